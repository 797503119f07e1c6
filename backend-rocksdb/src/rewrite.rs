//! Rewrites all values of a state after its codec changed, in batches, while an iterator shows what there was.

use std::sync::Arc;

use alluvium_state_api::schema::StateKind;
use alluvium_state_api::{Result, Rewrite, Slot, StateOperation};
use rocksdb::WriteBatch;

use crate::address::set_entry_address;
use crate::list::{Growing, Stored};
use crate::states::check_value_in;
use crate::store::RocksStore;
use crate::walk::Walk;

impl RocksStore {
    /// [`KeyedStore::rewrite`](alluvium_state_api::KeyedStore::rewrite).
    pub(crate) fn rewrite_state(&mut self, slot: Slot, rewrite: &mut Rewrite<'_>) -> Result<()> {
        self.poison.check()?;
        self.states.find(slot, StateOperation::Any)?;
        let cleared = self.cache.clear(&self.database);
        self.written(cleared)?;
        self.rewrite_entries(slot, rewrite).inspect_err(|error| {
            // Part of the state may have been rewritten.
            let cause = alluvium_state_api::Error::new(error.kind(), error.message());
            drop(self.poison.set(cause));
        })
    }

    fn rewrite_entries(&mut self, slot: Slot, rewrite: &mut Rewrite<'_>) -> Result<()> {
        let limits = self.options.batches;
        let range = self.space.range();
        let database = Arc::clone(&self.database);
        let (meta, state) = self.states.find(slot, StateOperation::Any)?;
        let mut walk =
            Walk::new(database.iterator(Walk::bound(range)), state.id, range, Vec::new());
        let mut address = Vec::new();
        let (mut batch, mut stored, mut new) = (WriteBatch::default(), Vec::new(), Vec::new());
        while walk.find()? {
            let (group, bytes, old) = walk.entry()?;
            let (entry, value) = state.shape.unwrap(bytes, old)?;
            set_entry_address(&mut address, state.id, group, entry);
            stored.clear();
            state.shape.wrap(entry, &mut stored)?;
            if state.kind == StateKind::List {
                let mut list = Growing::default();
                match Stored::decode(value)? {
                    Stored::Short(elements) => {
                        let elements = elements.rewritten(rewrite)?;
                        list.append(&address, elements.as_elements(), &mut batch);
                        walk.step();
                    }
                    Stored::Long(old) => {
                        old.remove_chunks(&address, &mut batch);
                        walk.read_list(&address, old, &mut |_, elements| {
                            let elements = elements.rewritten(rewrite)?;
                            list.append(&address, elements.as_elements(), &mut batch);
                            if limits.reached(&batch) {
                                database.write(std::mem::take(&mut batch))?;
                            }
                            Ok(())
                        })?;
                    }
                }
                meta.check_size(|| group, list.parts().size(meta.stamp_bytes()).bytes)?;
                list.encode(&mut stored);
            } else {
                new.clear();
                rewrite(value, &mut new)?;
                check_value_in(meta, || group, new.len())?;
                stored.extend_from_slice(&new);
                walk.step();
            }
            batch.put(&address, &stored);
            if limits.reached(&batch) {
                database.write(std::mem::take(&mut batch))?;
            }
        }
        drop(walk);
        database.write(batch)
    }
}
