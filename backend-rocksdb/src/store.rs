//! [`RocksStore`]: keyed state in a RocksDB.
//!
//! # Role
//! Implements the SPI by handing each operation to [`crate::ops`], and keeps the parts together: the database,
//! the states, buffers that are used again.
//!
//! # Invariants
//! S1. A state has one number in the database, as long as the database lives, and in what begins with its files.
//! S2. A store whose database failed to write is poisoned, and refuses everything; what was checkpointed is not
//!     touched.
//! S3. What an operation refuses or fails to do it has not begun to write, or the store is poisoned.

use std::sync::Arc;

use alluvium_state_api::schema::{KeySpace, StateKind, StateMeta};
use alluvium_state_api::snapshot::{EntryCount, SnapshotRequest, SnapshotTask};
use alluvium_state_api::{
    CheckpointId, Elements, KeyBatch, KeyedStore, ListSize, MergeValues, Modify, Registration,
    Result, Rewrite, Scan, Slot, StateKey, StateOperation, StoreStatistics, VisitEach,
    VisitElement, VisitEntry,
};
use rocksdb::properties;

use crate::address::END_OF_GROUPS;
use crate::background::Jobs;
use crate::cache::WriteBack;
use crate::chain::Chain;
use crate::database::Database;
use crate::failure::Poison;
use crate::figures::Recording;
use crate::joining::Joiner;
use crate::options::RocksOptions;
use crate::states::States;

/// Buffers that are used again, so that no access allocates on this side after warm-up.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    /// Where an entry lies.
    pub(crate) address: Vec<u8>,
    /// What is stored.
    pub(crate) stored: Vec<u8>,
    /// What was read, or a closure wrote.
    pub(crate) value: Vec<u8>,
}

/// Keyed state on RocksDB; see the crate's page.
#[derive(Debug)]
pub struct RocksStore {
    /// End before the database does.
    pub(crate) jobs: Jobs,
    pub(crate) joiner: Joiner,
    pub(crate) database: Arc<Database>,
    /// In front of it.
    pub(crate) cache: WriteBack,
    pub(crate) space: KeySpace,
    pub(crate) states: States,
    pub(crate) buffers: Buffers,
    pub(crate) options: RocksOptions,
    pub(crate) poison: Poison,
    pub(crate) chain: Chain,
    pub(crate) recording: Recording,
}

impl RocksStore {
    /// Takes the outcome of a write: what failed poisons the store (S2).
    #[inline]
    pub(crate) fn written(&mut self, outcome: Result<()>) -> Result<()> {
        match outcome {
            Ok(()) => Ok(()),
            Err(error) => Err(self.poison.set(error)),
        }
    }

    /// Brings the database up to date (B2).
    pub(crate) fn flush(&mut self) -> Result<()> {
        let flushed = self.cache.flush(&self.database);
        self.written(flushed)
    }

    /// Whether there is no entry at all, as far as is known.
    fn is_empty(&self) -> bool {
        if self.cache.lacks_something() {
            return false;
        }
        let mut iterator = self.database.iterator(END_OF_GROUPS.to_be_bytes().to_vec());
        iterator.seek_to_first();
        !iterator.valid() && iterator.status().is_ok()
    }
}

impl Drop for RocksStore {
    fn drop(&mut self) {
        self.recording.record(&self.database);
    }
}

impl KeyedStore for RocksStore {
    fn backend_name(&self) -> &'static str {
        crate::BACKEND_NAME
    }

    fn key_space(&self) -> &KeySpace {
        &self.space
    }

    fn register(&mut self, meta: &StateMeta) -> Result<Registration> {
        self.states.register(meta, self.space.identity())
    }

    fn states(&self) -> Vec<StateMeta> {
        self.states.directory.metas()
    }

    #[inline]
    fn get(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<Option<&[u8]>> {
        self.get_value(slot, key)
    }

    #[inline]
    fn put(&mut self, slot: Slot, key: &StateKey<'_>, value: &[u8]) -> Result<()> {
        self.put_value(slot, key, value)
    }

    fn remove(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<()> {
        let (_, state) = self.states.find(slot, StateOperation::Any)?;
        match state.kind {
            StateKind::List => self.remove_list(slot, key),
            _ => self.remove_value(slot, key),
        }
    }

    fn remove_prefix(&mut self, slot: Slot, prefix: &StateKey<'_>) -> Result<()> {
        self.remove_map(slot, prefix)
    }

    #[inline]
    fn modify(&mut self, slot: Slot, key: &StateKey<'_>, change: &mut Modify<'_>) -> Result<()> {
        self.modify_value(slot, key, change)
    }

    fn append(&mut self, slot: Slot, key: &StateKey<'_>, elements: Elements<'_>) -> Result<()> {
        self.append_elements(slot, key, elements)
    }

    fn read_list(
        &mut self,
        slot: Slot,
        key: &StateKey<'_>,
        visit: &mut VisitElement<'_>,
    ) -> Result<bool> {
        self.read_elements(slot, key, visit)
    }

    fn replace_list(
        &mut self,
        slot: Slot,
        key: &StateKey<'_>,
        elements: Elements<'_>,
    ) -> Result<()> {
        self.replace_elements(slot, key, elements)
    }

    fn list_size(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<ListSize> {
        self.size_of_list(slot, key)
    }

    fn scan(&mut self, slot: Slot, scan: Scan<'_>, visit: &mut VisitEntry<'_>) -> Result<()> {
        self.scan_entries(slot, scan, visit)
    }

    fn merge_namespaces(
        &mut self,
        slot: Slot,
        target: &StateKey<'_>,
        sources: KeyBatch<'_>,
        merge: &mut MergeValues<'_>,
    ) -> Result<()> {
        self.merge(slot, target, sources, merge)
    }

    fn get_many(
        &mut self,
        slot: Slot,
        keys: KeyBatch<'_>,
        visit: &mut VisitEach<'_>,
    ) -> Result<()> {
        self.get_values(slot, keys, visit)
    }

    fn rewrite(&mut self, slot: Slot, rewrite: &mut Rewrite<'_>) -> Result<()> {
        self.rewrite_state(slot, rewrite)
    }

    fn snapshot(&mut self, request: &SnapshotRequest) -> Result<Box<dyn SnapshotTask>> {
        self.begin_snapshot(request)
    }

    fn checkpoint_completed(&mut self, checkpoint: CheckpointId) -> Result<()> {
        self.poison.check()?;
        self.chain.completed(checkpoint);
        Ok(())
    }

    fn checkpoint_aborted(&mut self, checkpoint: CheckpointId) -> Result<()> {
        self.poison.check()?;
        self.chain.aborted(checkpoint);
        Ok(())
    }

    fn statistics(&self) -> StoreStatistics {
        let all = if self.is_empty() {
            0
        } else {
            let written = self.database.property(properties::ESTIMATE_NUM_KEYS);
            written.saturating_add(self.cache.unwritten()).max(1)
        };
        let count = |slot| EntryCount::Estimate(self.states.estimate(slot, all));
        let mut statistics = self.states.directory.statistics(count);
        let buffers = self.database.property(properties::CUR_SIZE_ALL_MEM_TABLES);
        let readers = self.database.property(properties::ESTIMATE_TABLE_READERS_MEM);
        statistics.memory_bytes =
            buffers.saturating_add(readers).saturating_add(self.cache.bytes());
        statistics.snapshots_in_flight = self.chain.in_flight();
        let running = self.database.property(properties::NUM_RUNNING_COMPACTIONS);
        statistics.compactions_in_flight = u32::try_from(running).unwrap_or(u32::MAX);
        statistics
    }
}
