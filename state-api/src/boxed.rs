//! A boxed store is a store: what a runtime has whose backend a setting names.

use crate::schema::{KeySpace, StateMeta};
use crate::snapshot::{SnapshotRequest, SnapshotTask};
use crate::{
    Change, CheckpointId, Elements, KeyBatch, KeyedStore, ListSize, MergeValues, Modify,
    ModifyEach, NewValue, Registration, Result, Rewrite, Scan, Slot, StateKey, StoreStatistics,
    VisitEach, VisitElement, VisitEntry,
};

#[deny(clippy::missing_trait_methods)]
impl<T: KeyedStore + ?Sized> KeyedStore for Box<T> {
    #[inline]
    fn backend_name(&self) -> &'static str {
        (**self).backend_name()
    }

    #[inline]
    fn key_space(&self) -> &KeySpace {
        (**self).key_space()
    }

    #[inline]
    fn register(&mut self, meta: &StateMeta) -> Result<Registration> {
        (**self).register(meta)
    }

    #[inline]
    fn states(&self) -> Vec<StateMeta> {
        (**self).states()
    }

    #[inline]
    fn get(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<Option<&[u8]>> {
        (**self).get(slot, key)
    }

    #[inline]
    fn get_with<R, F>(&mut self, slot: Slot, key: &StateKey<'_>, read: F) -> Result<R>
    where
        F: FnOnce(Option<&[u8]>) -> Result<R>,
    {
        read((**self).get(slot, key)?)
    }

    #[inline]
    fn put(&mut self, slot: Slot, key: &StateKey<'_>, value: &[u8]) -> Result<()> {
        (**self).put(slot, key, value)
    }

    #[inline]
    fn remove(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<()> {
        (**self).remove(slot, key)
    }

    #[inline]
    fn remove_prefix(&mut self, slot: Slot, prefix: &StateKey<'_>) -> Result<()> {
        (**self).remove_prefix(slot, prefix)
    }

    #[inline]
    fn modify(&mut self, slot: Slot, key: &StateKey<'_>, change: &mut Modify<'_>) -> Result<()> {
        (**self).modify(slot, key, change)
    }

    #[inline]
    fn modify_with<F>(&mut self, slot: Slot, key: &StateKey<'_>, change: F) -> Result<()>
    where
        F: FnOnce(Option<&[u8]>, &mut NewValue<'_>) -> Result<Change>,
    {
        (**self).modify(slot, key, &mut NewValue::modify(change))
    }

    #[inline]
    fn append(&mut self, slot: Slot, key: &StateKey<'_>, elements: Elements<'_>) -> Result<()> {
        (**self).append(slot, key, elements)
    }

    #[inline]
    fn read_list(
        &mut self,
        slot: Slot,
        key: &StateKey<'_>,
        visit: &mut VisitElement<'_>,
    ) -> Result<bool> {
        (**self).read_list(slot, key, visit)
    }

    #[inline]
    fn replace_list(
        &mut self,
        slot: Slot,
        key: &StateKey<'_>,
        elements: Elements<'_>,
    ) -> Result<()> {
        (**self).replace_list(slot, key, elements)
    }

    #[inline]
    fn list_size(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<ListSize> {
        (**self).list_size(slot, key)
    }

    #[inline]
    fn scan(&mut self, slot: Slot, scan: Scan<'_>, visit: &mut VisitEntry<'_>) -> Result<()> {
        (**self).scan(slot, scan, visit)
    }

    #[inline]
    fn merge_namespaces(
        &mut self,
        slot: Slot,
        target: &StateKey<'_>,
        sources: KeyBatch<'_>,
        merge: &mut MergeValues<'_>,
    ) -> Result<()> {
        (**self).merge_namespaces(slot, target, sources, merge)
    }

    #[inline]
    fn get_many(
        &mut self,
        slot: Slot,
        keys: KeyBatch<'_>,
        visit: &mut VisitEach<'_>,
    ) -> Result<()> {
        (**self).get_many(slot, keys, visit)
    }

    #[inline]
    fn modify_many(
        &mut self,
        slot: Slot,
        keys: KeyBatch<'_>,
        change: &mut ModifyEach<'_>,
    ) -> Result<()> {
        (**self).modify_many(slot, keys, change)
    }

    #[inline]
    fn rewrite(&mut self, slot: Slot, rewrite: &mut Rewrite<'_>) -> Result<()> {
        (**self).rewrite(slot, rewrite)
    }

    #[inline]
    fn snapshot(&mut self, request: &SnapshotRequest) -> Result<Box<dyn SnapshotTask>> {
        (**self).snapshot(request)
    }

    #[inline]
    fn checkpoint_completed(&mut self, checkpoint: CheckpointId) -> Result<()> {
        (**self).checkpoint_completed(checkpoint)
    }

    #[inline]
    fn checkpoint_aborted(&mut self, checkpoint: CheckpointId) -> Result<()> {
        (**self).checkpoint_aborted(checkpoint)
    }

    #[inline]
    fn statistics(&self) -> StoreStatistics {
        (**self).statistics()
    }
}
