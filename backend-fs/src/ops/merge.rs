//! Merging of namespaces: in terms of the other operations, since what is merged may lie anywhere.

use std::ops::ControlFlow;

use alluvium_state_api::schema::StateKind;
use alluvium_state_api::{
    ElementsBuffer, KeyBatch, KeyedStore, MergeValues, Result, Slot, StateKey, StateOperation,
};

use crate::store::FsStore;

impl FsStore {
    /// [`KeyedStore::merge_namespaces`].
    pub(crate) fn merge(
        &mut self,
        slot: Slot,
        target: &StateKey<'_>,
        sources: KeyBatch<'_>,
        merge: &mut MergeValues<'_>,
    ) -> Result<()> {
        let meta = self.directory.check(slot, StateOperation::Merge)?;
        if meta.kind == StateKind::List {
            return self.merge_lists(slot, target, sources);
        }
        let (mut folded, mut out) = (None::<Vec<u8>>, Vec::new());
        for source in sources.iter() {
            let Some(value) = self.get(slot, &source)? else {
                continue;
            };
            folded = Some(match folded.take() {
                None => value.to_vec(),
                Some(before) => fold(&before, value, &mut out, merge)?,
            });
        }
        let Some(mut folded) = folded else {
            return Ok(());
        };
        if let Some(value) = self.get(slot, target)? {
            folded = fold(&folded, value, &mut out, merge)?;
        }
        self.put(slot, target, &folded)?;
        self.remove_all(slot, sources)
    }

    fn merge_lists(
        &mut self,
        slot: Slot,
        target: &StateKey<'_>,
        sources: KeyBatch<'_>,
    ) -> Result<()> {
        let mut size = self.list_size(slot, target)?.bytes;
        for source in sources.iter() {
            size = size.saturating_add(self.list_size(slot, &source)?.bytes);
        }
        let meta = self.directory.check(slot, StateOperation::Merge)?;
        meta.check_size(|| target.key_group(), size)?;
        let mut elements = ElementsBuffer::default();
        for source in sources.iter() {
            elements.clear();
            self.read_list(slot, &source, &mut |element| {
                elements.push(element)?;
                Ok(ControlFlow::Continue(()))
            })?;
            self.append(slot, target, elements.as_elements())?;
        }
        self.remove_all(slot, sources)
    }

    fn remove_all(&mut self, slot: Slot, sources: KeyBatch<'_>) -> Result<()> {
        for source in sources.iter() {
            self.remove(slot, &source)?;
        }
        Ok(())
    }
}

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
