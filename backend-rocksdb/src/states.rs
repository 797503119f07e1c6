//! [`States`]: what the store knows of each state besides its description.
//!
//! # Estimates
//! Whether a value that is put replaces another one is known only to who reads first, and reading costs more than
//! writing. So a state's count is one of writes that added an entry as far as is known, less removals; it may be
//! too high by what was overwritten unread, or removed with a whole map. [`States::estimate`] caps it by RocksDB's
//! own estimate over all states.

use std::collections::BTreeMap;

use alluvium_state_api::schema::{KeyIdentity, StateKind, StateMeta};
use alluvium_state_api::{
    Error, KeyGroup, Registration, Result, Slot, StateDirectory, StateKey, StateOperation,
};

use crate::address::{Shape, StateId};

/// The longest value, with its wrapping: RocksDB cannot hold one of 4 GiB.
pub(crate) const MOST_VALUE_BYTES: u64 = 3 << 30;

/// A state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    pub(crate) id: StateId,
    pub(crate) shape: Shape,
    pub(crate) kind: StateKind,
    /// Whether one of its lists may have chunks, of which nothing is known but by a look at its head. It stays so.
    pub(crate) may_have_chunks: bool,
    count: u64,
}

impl State {
    /// About how many entries it has.
    pub(crate) const fn entries(&self) -> u64 {
        self.count
    }

    /// Notes entries that came and went, as far as is known.
    #[inline]
    pub(crate) fn count(&mut self, came: u64, gone: u64) {
        self.count = self.count.saturating_add(came).saturating_sub(gone);
    }
}

/// The states of a store, by slot, with their descriptions.
#[derive(Debug, Default)]
pub(crate) struct States {
    pub(crate) directory: StateDirectory,
    by_slot: Vec<State>,
    /// Numbers that states have in what was restored.
    numbers: BTreeMap<Box<str>, StateId>,
    next: usize,
}

impl States {
    /// The states of `directory`, of which some have numbers already.
    ///
    /// # Errors
    /// `Unsupported` for more states than a database takes.
    pub(crate) fn of(
        directory: StateDirectory,
        numbers: BTreeMap<Box<str>, StateId>,
        identity: &KeyIdentity,
    ) -> Result<Self> {
        let next = numbers.values().max().map_or(0, |last| usize::from(*last) + 1);
        let mut states = Self { directory, by_slot: Vec::new(), numbers, next };
        states.add(identity)?;
        Ok(states)
    }

    /// The number of a state.
    pub(crate) fn number(&self, name: &str) -> Option<StateId> {
        let slot = self.directory.find(name)?;
        self.by_slot.get(slot.index()).map(|state| state.id)
    }

    /// Registers a state.
    ///
    /// # Errors
    /// As [`KeyedStore::register`](alluvium_state_api::KeyedStore::register); `Unsupported` for more states
    /// than a database takes.
    pub(crate) fn register(
        &mut self,
        meta: &StateMeta,
        identity: &KeyIdentity,
    ) -> Result<Registration> {
        if self.directory.len() > usize::from(StateId::MAX)
            && self.directory.find(&meta.name).is_none()
        {
            return Err(too_many());
        }
        let registration = self.directory.register(meta)?;
        self.add(identity)?;
        Ok(registration)
    }

    /// Takes up the states that the directory has gained.
    ///
    /// # Errors
    /// `Unsupported` for more states than a database takes.
    pub(crate) fn add(&mut self, identity: &KeyIdentity) -> Result<()> {
        for index in self.by_slot.len()..self.directory.len() {
            let slot = Slot::new(u32::try_from(index).map_err(|_many| too_many())?);
            let meta = self.directory.check(slot, StateOperation::Any)?;
            let known = self.numbers.remove(&meta.name);
            // What was restored may have lists of it.
            let may_have_chunks = known.is_some();
            let id = if let Some(id) = known {
                id
            } else {
                let id = StateId::try_from(self.next).map_err(|_many| too_many())?;
                self.next += 1;
                id
            };
            let (shape, kind) = (Shape::new(identity, meta), meta.kind);
            self.by_slot.push(State { id, shape, kind, may_have_chunks, count: 0 });
        }
        Ok(())
    }

    /// Whatever lists the database has, any of them may have chunks.
    pub(crate) fn expect_chunks(&mut self) {
        self.by_slot.iter_mut().for_each(|state| state.may_have_chunks = true);
    }

    /// Description and state of a slot, where the operation fits its kind.
    ///
    /// # Errors
    /// `InvalidInput` (rule R2).
    #[inline]
    pub(crate) fn find(
        &mut self,
        slot: Slot,
        operation: StateOperation,
    ) -> Result<(&StateMeta, &mut State)> {
        let meta = self.directory.check(slot, operation)?;
        match self.by_slot.get_mut(slot.index()) {
            Some(state) => Ok((meta, state)),
            None => Err(Error::bug("a state is known to the directory alone")),
        }
    }

    /// About how many entries a state has; `all` is about how many the database has.
    pub(crate) fn estimate(&self, slot: Slot, all: u64) -> u64 {
        self.by_slot.get(slot.index()).map_or(0, |state| state.count.min(all))
    }
}

#[cold]
fn too_many() -> Error {
    Error::unsupported("a store of the backend rocksdb has at most 65,536 states")
}

/// Refuses a value above its state's limit, or what RocksDB takes.
///
/// # Errors
/// `LimitExceeded`.
#[inline]
pub(crate) fn check_value(meta: &StateMeta, key: &StateKey<'_>, bytes: usize) -> Result<()> {
    check_value_in(meta, || key.key_group(), bytes)
}

/// The same for an entry whose key group is known.
///
/// # Errors
/// As [`check_value`].
#[inline]
pub(crate) fn check_value_in(
    meta: &StateMeta,
    group: impl FnOnce() -> KeyGroup,
    bytes: usize,
) -> Result<()> {
    let size = (bytes as u64).saturating_sub(meta.stamp_bytes() as u64);
    if size > meta.size_limit.min(MOST_VALUE_BYTES) {
        return Err(too_large(meta, group(), size));
    }
    Ok(())
}

/// What is said of a value that is too large.
#[cold]
pub(crate) fn too_large(meta: &StateMeta, group: KeyGroup, size: u64) -> Error {
    match meta.check_size(|| group, size) {
        Err(error) => error,
        Ok(()) => Error::limit_exceeded(
            &meta.name,
            Some(group),
            size,
            MOST_VALUE_BYTES,
            "split the value: RocksDB cannot hold it in one piece",
        ),
    }
}
