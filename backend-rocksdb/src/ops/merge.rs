//! Merging of namespaces: whatever can be refused is refused before anything is changed.

use std::ops::ControlFlow;

use alluvium_state_api::schema::StateKind;
use alluvium_state_api::{
    ElementsBuffer, KeyBatch, MergeValues, Result, Slot, StateKey, StateOperation,
};
use rocksdb::WriteBatch;

use super::lists::{FoundList, list_at};
use crate::address::set_address;
use crate::list::CHUNK_BYTES;
use crate::states::check_value;
use crate::store::RocksStore;

impl RocksStore {
    /// [`KeyedStore::merge_namespaces`](alluvium_state_api::KeyedStore::merge_namespaces).
    pub(crate) fn merge(
        &mut self,
        slot: Slot,
        target: &StateKey<'_>,
        sources: KeyBatch<'_>,
        merge: &mut MergeValues<'_>,
    ) -> Result<()> {
        self.poison.check()?;
        let (meta, _) = self.states.find(slot, StateOperation::Merge)?;
        if meta.kind == StateKind::List {
            return self.merge_lists(slot, target, sources);
        }
        let (mut folded, mut out) = (None::<Vec<u8>>, Vec::new());
        let mut gone = Vec::new();
        for source in sources.iter() {
            let Some(value) = self.get_value(slot, &source)? else {
                continue;
            };
            folded = Some(match folded.take() {
                None => value.to_vec(),
                Some(before) => fold(&before, value, &mut out, merge)?,
            });
            gone.push(source);
        }
        let Some(mut folded) = folded else {
            return Ok(());
        };
        if let Some(value) = self.get_value(slot, target)? {
            folded = fold(&folded, value, &mut out, merge)?;
        }
        let (meta, _) = self.states.find(slot, StateOperation::Merge)?;
        check_value(meta, target, folded.len())?;
        // From here on only the database can fail, which poisons the store.
        for source in &gone {
            self.remove_value(slot, source)?;
        }
        self.put_value(slot, target, &folded)
    }

    fn merge_lists(
        &mut self,
        slot: Slot,
        target: &StateKey<'_>,
        sources: KeyBatch<'_>,
    ) -> Result<()> {
        let mut size = self.size_of_list(slot, target)?.bytes;
        for source in sources.iter() {
            size = size.saturating_add(self.size_of_list(slot, &source)?.bytes);
        }
        let (meta, _) = self.states.find(slot, StateOperation::Merge)?;
        meta.check_size(|| target.key_group(), size)?;
        for source in sources.iter() {
            if let Err(error) = self.merge_list(slot, &source, target) {
                // Part of it may have been moved.
                self.poison.check()?;
                return Err(self.poison.set(error));
            }
        }
        Ok(())
    }

    /// Moves the elements of a list to the end of another one, and removes it.
    fn merge_list(&mut self, slot: Slot, from: &StateKey<'_>, to: &StateKey<'_>) -> Result<()> {
        let source = self.find_list(slot, from)?;
        let parts = source.parts(&self.cache, self.buffers.stored.len(), &self.buffers.value)?;
        if parts.is_empty() {
            return Ok(());
        }
        if parts.head.is_none() {
            let mut all = ElementsBuffer::default();
            all.extend(parts.loose);
            self.append_elements(slot, to, all.as_elements())?;
            return self.remove_list(slot, from);
        }
        self.hand_over(source)?;
        let target = self.find_list(slot, to)?;
        self.hand_over(target)?;
        self.move_list(slot, from, to)?;
        for moved in [from, to] {
            let (_, state) = self.states.find(slot, StateOperation::List)?;
            set_address(&mut self.buffers.address, state.id, moved);
            if let Some(at) = self.cache.probe(&self.buffers.address).hit() {
                self.cache.forget(at);
            }
        }
        Ok(())
    }

    /// Leaves a list to the database, which gets what it lacks.
    fn hand_over(&mut self, list: FoundList) -> Result<()> {
        match list {
            FoundList::Kept(at) => self.cache.hand_over(at, &self.database),
            FoundList::Elsewhere(_) => Ok(()),
        }
    }

    /// The same in the database, which has all of both, of a long list.
    fn move_list(&mut self, slot: Slot, from: &StateKey<'_>, to: &StateKey<'_>) -> Result<()> {
        let (_, state) = self.states.find(slot, StateOperation::List)?;
        let (shape, id) = (state.shape, state.id);
        let (mut address, mut target) = (Vec::new(), Vec::new());
        set_address(&mut address, id, from);
        set_address(&mut target, id, to);
        let database = std::sync::Arc::clone(&self.database);
        let source = list_at(&database, shape, &address)?;
        let Some(source) = source.and_then(|source| source.parts().head) else {
            return Ok(());
        };
        let old = list_at(&database, shape, &target)?;
        let is_new = old.is_none();
        let mut list = old.unwrap_or_default();
        let (mut batch, mut elements) = (WriteBatch::default(), ElementsBuffer::default());
        let mut stored = Vec::new();
        self.read_elements(slot, from, &mut |element| {
            elements.push(element)?;
            if elements.as_elements().size() < CHUNK_BYTES {
                return Ok(ControlFlow::Continue(()));
            }
            list.append(&target, elements.as_elements(), &mut batch);
            elements.clear();
            if batch.size_in_bytes() > MOST_BATCH_BYTES {
                stored.clear();
                shape.wrap(to.entry(), &mut stored)?;
                list.encode(&mut stored);
                batch.put(&target, &stored);
                database.write(std::mem::take(&mut batch))?;
            }
            Ok(ControlFlow::Continue(()))
        })?;
        list.append(&target, elements.as_elements(), &mut batch);
        stored.clear();
        shape.wrap(to.entry(), &mut stored)?;
        list.encode(&mut stored);
        batch.put(&target, &stored);
        source.remove_chunks(&address, &mut batch);
        batch.delete(&address);
        let (_, state) = self.states.find(slot, StateOperation::List)?;
        state.count(u64::from(is_new), 1);
        database.write(batch)
    }
}

/// A batch of elements that are moved is written when it is as long.
const MOST_BATCH_BYTES: usize = 8 << 20;

fn fold(
    before: &[u8],
    value: &[u8],
    out: &mut Vec<u8>,
    merge: &mut MergeValues<'_>,
) -> Result<Vec<u8>> {
    out.clear();
    merge(before, value, out)?;
    Ok(std::mem::take(out))
}
