//! The SPI: what a storage engine implements to become a state backend.
//!
//! [`KeyedStore`] is object-safe and speaks bytes; everything typed stands above it, written once in
//! [`KeyedBackend`](crate::KeyedBackend). A store belongs to one operator subtask (`&mut self`,
//! `Send`), owns a range of key groups and holds any number of registered states. The conformance
//! kit ([`testkit`](crate::testkit)) checks every rule stated here.
//!
//! # Rules for all operations
//!
//! * R1 An operation that fails changes nothing, except that it may poison the store.
//! * R2 A [`Slot`] that [`register`](KeyedStore::register) did not return, and an operation that does
//!   not fit the state's kind, are refused as `InvalidInput`.
//! * R3 Nothing above a state's size limit is accepted; the refusal is `LimitExceeded` and what was
//!   there stays readable. What was accepted can be read back.
//! * R4 Only entries that were written are seen: by point reads, scans, snapshots alike.
//! * R5 Borrowed results are valid until the next call.
//! * R6 The typed layer passes only keys of the store's key groups, encoded by the declared codecs.
//!
//! Only batches have default bodies; what forwards to another store implements everything.

use std::ops::ControlFlow;

use crate::change::{Change, NewValue};
use crate::directory::StateOperation;
use crate::elements::Elements;
use crate::key::{EntryKey, KeyBatch, StateKey};
use crate::schema::{KeySpace, StateMeta};
use crate::snapshot::{SnapshotRequest, SnapshotTask};
use crate::statistics::StoreStatistics;
use crate::{CheckpointId, Error, KeyGroup, KeyGroupRange, Result};

/// A registered state of one store: an index that [`KeyedStore::register`] gave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot(u32);

impl Slot {
    /// The slot with this index.
    pub const fn new(index: u32) -> Self {
        Self(index)
    }

    /// Its index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The answer to a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The state's slot.
    pub slot: Slot,
    /// The description under which the state was restored, at its first registration after a restore.
    /// The typed layer compares value codecs and calls [`KeyedStore::rewrite`] where needed.
    pub restored: Option<StateMeta>,
}

/// Reads the present value, writes a new one to the (empty) buffer, decides.
pub type Modify<'f> = dyn FnMut(Option<&[u8]>, &mut Vec<u8>) -> Result<Change> + 'f;
/// [`Modify`] for the key at an index of a batch.
pub type ModifyEach<'f> = dyn FnMut(usize, Option<&[u8]>, &mut Vec<u8>) -> Result<Change> + 'f;
/// Receives the value of the key at an index of a batch.
pub type VisitEach<'f> = dyn FnMut(usize, Option<&[u8]>) -> Result<()> + 'f;
/// Receives entries of a scan; breaking stops it.
pub type VisitEntry<'f> = dyn FnMut(EntryKey<'_>, &[u8]) -> Result<ControlFlow<()>> + 'f;
/// Receives list elements in order; breaking stops it.
pub type VisitElement<'f> = dyn FnMut(&[u8]) -> Result<ControlFlow<()>> + 'f;
/// Folds the second value into the first and writes the result to the (empty) buffer.
pub type MergeValues<'f> = dyn FnMut(&[u8], &[u8], &mut Vec<u8>) -> Result<()> + 'f;
/// Rewrites one value into the (empty) buffer.
pub type Rewrite<'f> = dyn FnMut(&[u8], &mut Vec<u8>) -> Result<()> + 'f;

/// Which entries a scan visits, and from where.
#[derive(Clone, Copy, Debug)]
pub enum Scan<'a> {
    /// The entries of one map: map keys in ascending byte order, from `from` (inclusive).
    Map {
        /// Key and namespace.
        prefix: StateKey<'a>,
        /// The lowest map key; empty for all.
        from: &'a [u8],
    },
    /// All entries of some key groups: groups ascending, within each all bytes (key, namespace, map
    /// key) ascending, within the first group from `from` (inclusive). For lists the visited value is
    /// empty; use [`KeyedStore::read_list`].
    KeyGroups {
        /// The key groups, within the store's range.
        range: KeyGroupRange,
        /// The lowest entry bytes in the first group; empty for all.
        from: &'a [u8],
    },
}

/// Where an ordered store begins a [`Scan`], and where it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanPlan<'a> {
    /// The first key group to visit, and the lowest bytes in it.
    pub from: (KeyGroup, Vec<u8>),
    /// The key groups to visit.
    pub groups: KeyGroupRange,
    /// What the bytes of all entries begin with.
    pub prefix: &'a [u8],
    /// The kind of operation that the scan is.
    pub operation: StateOperation,
}

impl ScanPlan<'_> {
    /// Whether an entry belongs to the scan; the first that does not, after `from`, ends it.
    #[inline]
    pub fn contains(&self, group: KeyGroup, bytes: &[u8]) -> bool {
        self.groups.contains(group) && bytes.starts_with(self.prefix)
    }
}

impl<'a> Scan<'a> {
    /// How a store that has its entries in order of key group and bytes performs the scan.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for key groups outside of `owned`.
    pub fn plan(&self, owned: KeyGroupRange) -> Result<ScanPlan<'a>> {
        let (groups, prefix, from, operation) = match *self {
            Self::Map { prefix, from } => {
                let groups = KeyGroupRange::single(prefix.key_group());
                let from = [prefix.bytes(), from].concat();
                (groups, prefix.bytes(), from, StateOperation::Map)
            }
            Self::KeyGroups { range, from } => (range, &[][..], from.to_vec(), StateOperation::Any),
        };
        if !owned.covers(groups) {
            return Err(Error::invalid_input(format!(
                "key groups {groups} are not within {owned}, which the store owns"
            )));
        }
        let from = (KeyGroup::new(groups.start()), from);
        Ok(ScanPlan { from, groups, prefix, operation })
    }
}

/// Elements and size of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListSize {
    /// How many elements it has; 0 where there is no entry.
    pub elements: u64,
    /// The sum of 4 + payload over its elements, in bytes.
    pub bytes: u64,
}

/// A storage engine for the keyed state of one operator subtask.
pub trait KeyedStore: Send {
    /// The name of the backend, as in settings.
    fn backend_name(&self) -> &'static str;

    /// How keys are encoded and placed, and which key groups the store owns.
    fn key_space(&self) -> &KeySpace;

    /// Registers a state, once per state at operator start. Idempotent for an equal description.
    ///
    /// # Errors
    /// `InvalidInput` for a description that is not valid; `Incompatible` where the name is taken by
    /// another description or was restored with one that does not fit ([`StateMeta::check_against`]);
    /// `Unsupported` for [`StateKind::Ordered`](crate::schema::StateKind::Ordered).
    fn register(&mut self, meta: &StateMeta) -> Result<Registration>;

    /// The descriptions of all states, registered or restored, ordered by name.
    fn states(&self) -> Vec<StateMeta>;

    /// The value of an entry. For value-like states and maps.
    ///
    /// # Errors
    /// Rules R2; `Corrupted`, `Unavailable`, `Poisoned` where the engine fails.
    fn get(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<Option<&[u8]>>;

    /// [`get`](Self::get) where types are known, as [`modify_with`](Self::modify_with).
    ///
    /// # Errors
    /// As [`get`](Self::get); what the closure returns.
    #[inline]
    fn get_with<R, F>(&mut self, slot: Slot, key: &StateKey<'_>, read: F) -> Result<R>
    where
        Self: Sized,
        F: FnOnce(Option<&[u8]>) -> Result<R>,
    {
        read(self.get(slot, key)?)
    }

    /// Sets the value of an entry. For value-like states and maps.
    ///
    /// # Errors
    /// Rules R2 and R3; where the engine fails.
    fn put(&mut self, slot: Slot, key: &StateKey<'_>, value: &[u8]) -> Result<()>;

    /// Removes an entry, of any kind but a whole map; an absent one is no error.
    ///
    /// # Errors
    /// Rules R2; where the engine fails.
    fn remove(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<()>;

    /// Removes all entries of one map, given key and namespace.
    ///
    /// # Errors
    /// Rules R2; where the engine fails.
    fn remove_prefix(&mut self, slot: Slot, prefix: &StateKey<'_>) -> Result<()>;

    /// Reads, changes and writes an entry in one probe. The closure runs at most once; its error is
    /// returned and leaves the entry as it was. For value-like states and maps.
    ///
    /// # Errors
    /// What the closure returns; rules R2 and R3; where the engine fails.
    fn modify(&mut self, slot: Slot, key: &StateKey<'_>, change: &mut Modify<'_>) -> Result<()>;

    /// [`modify`](Self::modify) where the types of store and closure are known, so that one can be compiled
    /// into the other. The typed layer calls it; a store that has nothing to gain leaves it as it is.
    ///
    /// # Errors
    /// As [`modify`](Self::modify).
    #[inline]
    fn modify_with<F>(&mut self, slot: Slot, key: &StateKey<'_>, change: F) -> Result<()>
    where
        Self: Sized,
        F: FnOnce(Option<&[u8]>, &mut NewValue<'_>) -> Result<Change>,
    {
        self.modify(slot, key, &mut NewValue::modify(change))
    }

    /// Adds elements at the end of a list. Adding none is nothing: it creates no list.
    ///
    /// # Errors
    /// Rules R2 and R3; where the engine fails.
    fn append(&mut self, slot: Slot, key: &StateKey<'_>, elements: Elements<'_>) -> Result<()>;

    /// Visits the elements of a list in order; returns whether there is one.
    ///
    /// # Errors
    /// What the visitor returns; rules R2; where the engine fails.
    fn read_list(
        &mut self,
        slot: Slot,
        key: &StateKey<'_>,
        visit: &mut VisitElement<'_>,
    ) -> Result<bool>;

    /// Replaces a list; no elements removes it.
    ///
    /// # Errors
    /// Rules R2 and R3; where the engine fails.
    fn replace_list(
        &mut self,
        slot: Slot,
        key: &StateKey<'_>,
        elements: Elements<'_>,
    ) -> Result<()>;

    /// Elements and size of a list, without reading it.
    ///
    /// # Errors
    /// Rules R2; where the engine fails.
    fn list_size(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<ListSize>;

    /// Visits entries in order.
    ///
    /// # Errors
    /// What the visitor returns; rules R2; `InvalidInput` for key groups outside the store's range;
    /// where the engine fails (an iterator's error is an error, never an end).
    fn scan(&mut self, slot: Slot, scan: Scan<'_>, visit: &mut VisitEntry<'_>) -> Result<()>;

    /// Moves what the sources hold into the target, all namespaces of one key. Absent sources are
    /// skipped; sources are removed; the caller passes neither the target nor a source twice.
    ///
    /// Lists: the target's elements come first, then the sources' in order; `merge` is not called.
    /// Reducing and aggregating: the sources are folded first, in order, then the target is folded in
    /// as the second argument (Flink's order).
    ///
    /// # Errors
    /// What `merge` returns; rules R2 and R3 (then no source is removed); where the engine fails.
    fn merge_namespaces(
        &mut self,
        slot: Slot,
        target: &StateKey<'_>,
        sources: KeyBatch<'_>,
        merge: &mut MergeValues<'_>,
    ) -> Result<()>;

    /// Visits the values of many entries in the batch's order. For value-like states.
    ///
    /// # Errors
    /// What the visitor returns; as [`get`](Self::get).
    fn get_many(
        &mut self,
        slot: Slot,
        keys: KeyBatch<'_>,
        visit: &mut VisitEach<'_>,
    ) -> Result<()> {
        for (index, key) in keys.iter().enumerate() {
            let value = self.get(slot, &key)?;
            visit(index, value)?;
        }
        Ok(())
    }

    /// [`modify`](Self::modify) for many entries in the batch's order; an entry that occurs twice is
    /// modified twice. An error stops the batch; entries before it stay modified.
    ///
    /// # Errors
    /// As [`modify`](Self::modify).
    fn modify_many(
        &mut self,
        slot: Slot,
        keys: KeyBatch<'_>,
        change: &mut ModifyEach<'_>,
    ) -> Result<()> {
        for (index, key) in keys.iter().enumerate() {
            self.modify(slot, &key, &mut |old, out| change(index, old, out))?;
        }
        Ok(())
    }

    /// Rewrites every value, element or map value of a state, after its codec changed. Called before
    /// the state is used.
    ///
    /// # Errors
    /// What `rewrite` returns; rule R3; where the engine fails. The store is then poisoned.
    fn rewrite(&mut self, slot: Slot, rewrite: &mut Rewrite<'_>) -> Result<()>;

    /// The synchronous phase of a snapshot: fixes what belongs to it, and returns the rest as a task.
    /// Several may be in flight; one counts until its task has finished or been dropped. Canonical ones
    /// reference no shared files. The task refuses what is above an inline limit as `LimitExceeded`.
    ///
    /// # Errors
    /// `Unsupported` for a kind of snapshot that the store does not have; `Poisoned`;
    /// `InvalidInput` for a checkpoint number that is not above the previous one.
    fn snapshot(&mut self, request: &SnapshotRequest) -> Result<Box<dyn SnapshotTask>>;

    /// The checkpoint is complete and durable. A full or incremental one subsumes all earlier ones,
    /// whose files may be gone: later increments may build on it and on nothing before it. A savepoint
    /// (canonical) subsumes nothing and is never built on. Unknown and late notifications are ignored.
    ///
    /// # Errors
    /// Where the engine fails.
    fn checkpoint_completed(&mut self, checkpoint: CheckpointId) -> Result<()>;

    /// The checkpoint will never complete: what was pinned for it may go. A task of it that still runs
    /// may succeed or end as `Cancelled`. Unknown and late notifications are ignored.
    ///
    /// # Errors
    /// Where the engine fails.
    fn checkpoint_aborted(&mut self, checkpoint: CheckpointId) -> Result<()>;

    /// Figures about the store.
    fn statistics(&self) -> StoreStatistics;
}
