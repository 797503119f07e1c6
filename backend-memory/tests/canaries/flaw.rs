//! [`Flaw`]: what is wrong with a store; [`Flawed`]: the memory backend with a flaw.

use std::fmt::Debug;

use alluvium_backend_memory::MemoryStore;
use alluvium_state_api::schema::{KeySpace, StateMeta};
use alluvium_state_api::snapshot::{SnapshotRequest, SnapshotTask};
use alluvium_state_api::{
    Change, CheckpointId, Elements, EntryKey, KeyBatch, KeyedStore, ListSize, MergeValues, Modify,
    ModifyEach, NewValue, OpenEnv, Registration, Result, Rewrite, Scan, Slot, StateKey,
    StoreStatistics, VisitElement, VisitEntry,
};

macro_rules! hooks {
    ($(fn $name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        /// What a store does wrong: a flaw overrides what it breaks, and the rest is as it should be.
        pub(crate) trait Flaw: Debug + Send {
            /// Changes what the store is opened with.
            fn opening(&mut self, env: OpenEnv) -> OpenEnv {
                env
            }

            /// Changes what the store says about itself.
            fn statistics(&self, right: StoreStatistics) -> StoreStatistics {
                right
            }

            $(
                fn $name(&mut self, store: &mut MemoryStore, $($argument: $type),*) -> $answer {
                    store.$name($($argument),*)
                }
            )*
        }

        #[deny(clippy::missing_trait_methods)]
        impl KeyedStore for Flawed {
            fn backend_name(&self) -> &'static str {
                self.store.backend_name()
            }

            fn key_space(&self) -> &KeySpace {
                self.store.key_space()
            }

            fn states(&self) -> Vec<StateMeta> {
                self.store.states()
            }

            fn get(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<Option<&[u8]>> {
                self.store.get(slot, key)
            }

            fn get_with<R, F>(&mut self, slot: Slot, key: &StateKey<'_>, read: F) -> Result<R>
            where
                F: FnOnce(Option<&[u8]>) -> Result<R>,
            {
                self.store.get_with(slot, key, read)
            }

            fn modify_with<F>(&mut self, slot: Slot, key: &StateKey<'_>, change: F) -> Result<()>
            where
                F: FnOnce(Option<&[u8]>, &mut NewValue<'_>) -> Result<Change>,
            {
                self.modify(slot, key, &mut NewValue::modify(change))
            }

            fn get_many(
                &mut self,
                slot: Slot,
                keys: KeyBatch<'_>,
                visit: &mut alluvium_state_api::VisitEach<'_>,
            ) -> Result<()> {
                self.store.get_many(slot, keys, visit)
            }

            fn read_list(
                &mut self,
                slot: Slot,
                key: &StateKey<'_>,
                visit: &mut VisitElement<'_>,
            ) -> Result<bool> {
                self.store.read_list(slot, key, visit)
            }

            fn list_size(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<ListSize> {
                self.store.list_size(slot, key)
            }

            fn rewrite(&mut self, slot: Slot, rewrite: &mut Rewrite<'_>) -> Result<()> {
                self.store.rewrite(slot, rewrite)
            }

            fn statistics(&self) -> StoreStatistics {
                self.flaw.statistics(self.store.statistics())
            }

            $(
                fn $name(&mut self, $($argument: $type),*) -> $answer {
                    self.flaw.$name(&mut self.store, $($argument),*)
                }
            )*
        }
    };
}

hooks! {
    fn register(meta: &StateMeta) -> Result<Registration>;
    fn put(slot: Slot, key: &StateKey<'_>, value: &[u8]) -> Result<()>;
    fn remove(slot: Slot, key: &StateKey<'_>) -> Result<()>;
    fn remove_prefix(slot: Slot, prefix: &StateKey<'_>) -> Result<()>;
    fn modify(slot: Slot, key: &StateKey<'_>, change: &mut Modify<'_>) -> Result<()>;
    fn append(slot: Slot, key: &StateKey<'_>, elements: Elements<'_>) -> Result<()>;
    fn replace_list(slot: Slot, key: &StateKey<'_>, elements: Elements<'_>) -> Result<()>;
    fn scan(slot: Slot, scan: Scan<'_>, visit: &mut VisitEntry<'_>) -> Result<()>;
    fn merge_namespaces(
        slot: Slot,
        target: &StateKey<'_>,
        sources: KeyBatch<'_>,
        merge: &mut MergeValues<'_>
    ) -> Result<()>;
    fn modify_many(slot: Slot, keys: KeyBatch<'_>, change: &mut ModifyEach<'_>) -> Result<()>;
    fn snapshot(request: &SnapshotRequest) -> Result<Box<dyn SnapshotTask>>;
    fn checkpoint_completed(checkpoint: CheckpointId) -> Result<()>;
    fn checkpoint_aborted(checkpoint: CheckpointId) -> Result<()>;
}

/// The memory backend with a flaw.
#[derive(Debug)]
pub(crate) struct Flawed {
    store: MemoryStore,
    flaw: Box<dyn Flaw>,
}

impl Flawed {
    pub(crate) fn open(mut flaw: Box<dyn Flaw>, env: OpenEnv) -> Result<Self> {
        let store = MemoryStore::open(flaw.opening(env))?;
        Ok(Self { store, flaw })
    }
}

/// Nothing is wrong.
#[derive(Debug)]
pub(crate) struct NoFlaw;

impl Flaw for NoFlaw {}

/// An address that outlives the call in which it was given.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) slot: Slot,
    bytes: Vec<u8>,
    ends: (usize, usize),
    hash: u64,
    placement: u32,
}

impl Place {
    pub(crate) fn new(slot: Slot, key: &StateKey<'_>) -> Self {
        let entry = key.entry();
        Self {
            slot,
            bytes: entry.bytes().to_vec(),
            ends: (entry.key_end(), entry.namespace_end()),
            hash: key.key_hash(),
            placement: key.placement(),
        }
    }

    /// The address in `store`.
    pub(crate) fn key(&self, store: &MemoryStore) -> StateKey<'_> {
        let entry = EntryKey::new(&self.bytes, self.ends.0, self.ends.1).unwrap();
        StateKey::new(entry, self.hash, self.placement, store.key_space().groups())
    }
}
