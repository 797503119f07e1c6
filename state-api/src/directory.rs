//! [`StateDirectory`]: the bookkeeping of states that every store needs.
//!
//! A store gives out a [`Slot`] for each state it knows: those that a snapshot brought, under the
//! description of the snapshot until they are registered, and those that the program registers. The
//! directory keeps slot, name and description together and answers the three questions that come up
//! in every method of the SPI: may this description be registered, is this slot one of mine, and does
//! this operation fit the state's kind. A store keeps its own data in a `Vec` by [`Slot::index`].
//!
//! # Invariants
//! 1. Slots are 0, 1, 2, ... without gaps, are never reused, and belong to one name each.
//! 2. A restored state keeps the snapshot's description until its first registration, so that a
//!    state that is never accessed goes into the next snapshot as it came.
//! 3. What is refused changes nothing.
//!
//! ```
//! use alluvium_state_api::{Descriptor, ListDescriptor, StateDirectory, StateOperation};
//!
//! # fn main() -> alluvium_state_api::Result<()> {
//! let mut states = StateDirectory::default();
//! let meta = ListDescriptor::<u64>::new("seen").meta();
//! let slot = states.register(&meta)?.slot;
//! assert_eq!(states.register(&meta)?.slot, slot);
//! assert!(states.check(slot, StateOperation::List).is_ok());
//! assert!(states.check(slot, StateOperation::Value).is_err());
//! # Ok(())
//! # }
//! ```

use std::collections::BTreeMap;

use crate::schema::{StateKind, StateMeta};
use crate::snapshot::EntryCount;
use crate::statistics::{StateStatistics, StoreStatistics};
use crate::store::{Registration, Slot};
use crate::{Error, Result};

/// A group of SPI operations, by the kinds of state that they are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateOperation {
    /// `get`, `put`, `modify` and their batches: value, reducing, aggregating and map states.
    Value,
    /// `append`, `read_list`, `replace_list`, `list_size`: list states.
    List,
    /// `remove_prefix` and the scan of one map: map states.
    Map,
    /// `merge_namespaces`: list, reducing and aggregating states.
    Merge,
    /// `remove`, `rewrite`, the scan of key groups: every state.
    Any,
}

impl StateOperation {
    /// Whether the operation is for states of `kind`.
    #[inline]
    pub const fn fits(self, kind: StateKind) -> bool {
        match self {
            Self::Value => kind.is_single_value() || matches!(kind, StateKind::Map),
            Self::List => matches!(kind, StateKind::List),
            Self::Map => matches!(kind, StateKind::Map),
            Self::Merge => {
                matches!(kind, StateKind::List | StateKind::Reducing | StateKind::Aggregating)
            }
            Self::Any => true,
        }
    }
}

#[derive(Clone, Debug)]
struct Known {
    meta: StateMeta,
    registered: bool,
}

/// The states that a store knows; see the module's page.
#[derive(Clone, Debug, Default)]
pub struct StateDirectory {
    states: Vec<Known>,
    by_name: BTreeMap<Box<str>, Slot>,
}

impl StateDirectory {
    /// Takes up a state that a snapshot brought. Several parts of a snapshot may bring the same one.
    ///
    /// # Errors
    /// `Incompatible` if parts describe it differently (one of them was migrated and another one not,
    /// or they do not belong together); `InvalidInput` for a description that is not valid.
    pub fn adopt(&mut self, restored: &StateMeta) -> Result<Slot> {
        restored.validate()?;
        let Some(slot) = self.find(&restored.name) else {
            return self.insert(restored, false);
        };
        if let Some(known) = self.states.get_mut(slot.index()) {
            known.meta.check_against(restored)?;
            if known.meta.value != restored.value {
                return Err(Error::incompatible(format!(
                    "its values are {} in one part of the snapshot and {} in another",
                    known.meta.value, restored.value
                ))
                .with_state(restored.name.clone()));
            }
            known.meta.size_limit = known.meta.size_limit.max(restored.size_limit);
        }
        Ok(slot)
    }

    /// Registers a state as [`KeyedStore::register`](crate::KeyedStore::register) demands.
    ///
    /// # Errors
    /// As there.
    pub fn register(&mut self, meta: &StateMeta) -> Result<Registration> {
        meta.validate()?;
        if meta.kind == StateKind::Ordered {
            let text = "ordered states are not supported yet";
            return Err(Error::unsupported(text).with_state(meta.name.clone()));
        }
        let Some(slot) = self.find(&meta.name) else {
            let slot = self.insert(meta, true)?;
            return Ok(Registration { slot, restored: None });
        };
        let known = self.get(slot)?;
        if known.registered {
            if known.meta == *meta {
                return Ok(Registration { slot, restored: None });
            }
            meta.check_against(&known.meta)?;
            let text = "the state is registered already, with another value codec or size limit";
            return Err(Error::incompatible(text).with_state(meta.name.clone()));
        }
        meta.check_against(&known.meta)?;
        let restored = Some(known.meta.clone());
        if let Some(known) = self.states.get_mut(slot.index()) {
            known.meta = meta.clone();
            known.registered = true;
        }
        Ok(Registration { slot, restored })
    }

    fn insert(&mut self, meta: &StateMeta, registered: bool) -> Result<Slot> {
        let index = u32::try_from(self.states.len())
            .map_err(|_full| Error::invalid_input("a store cannot have 2^32 states"))?;
        let slot = Slot::new(index);
        self.by_name.insert(meta.name.clone(), slot);
        let meta = meta.clone();
        self.states.push(Known { meta, registered });
        Ok(slot)
    }

    fn get(&self, slot: Slot) -> Result<&Known> {
        self.states.get(slot.index()).ok_or_else(|| unknown_slot(slot, self.states.len()))
    }

    /// The description of a slot's state, if `operation` fits its kind (rule R2 of the SPI).
    ///
    /// # Errors
    /// `InvalidInput` for a slot that was not given out, and for an operation that does not fit.
    #[inline]
    pub fn check(&self, slot: Slot, operation: StateOperation) -> Result<&StateMeta> {
        match self.states.get(slot.index()) {
            Some(known) if operation.fits(known.meta.kind) => Ok(&known.meta),
            Some(known) => Err(wrong_kind(&known.meta, operation)),
            None => Err(unknown_slot(slot, self.states.len())),
        }
    }

    /// The slot of the state with this name.
    pub fn find(&self, name: &str) -> Option<Slot> {
        self.by_name.get(name).copied()
    }

    /// How many states there are; slots are below.
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether there is no state.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// All states in the order of their names: what [`KeyedStore::states`](crate::KeyedStore::states)
    /// returns and snapshots list.
    pub fn by_name(&self) -> impl Iterator<Item = (Slot, &StateMeta)> {
        self.by_name.values().filter_map(|slot| Some((*slot, &self.states.get(slot.index())?.meta)))
    }

    /// Statistics with the entries that `count` says a state has.
    pub fn statistics(&self, count: impl Fn(Slot) -> EntryCount) -> StoreStatistics {
        let of = |(slot, meta): (Slot, &StateMeta)| StateStatistics::new(&meta.name, count(slot));
        StoreStatistics { states: self.by_name().map(of).collect(), ..StoreStatistics::default() }
    }

    /// The descriptions of all states in the order of their names.
    pub fn metas(&self) -> Vec<StateMeta> {
        self.by_name().map(|(_, meta)| meta.clone()).collect()
    }
}

#[cold]
fn unknown_slot(slot: Slot, known: usize) -> Error {
    Error::invalid_input(format!(
        "slot {} was not given out by this store, which has {known} states",
        slot.index()
    ))
}

#[cold]
fn wrong_kind(meta: &StateMeta, operation: StateOperation) -> Error {
    Error::invalid_input(format!(
        "an operation on {} was called for a {} state",
        match operation {
            StateOperation::Value => "values",
            StateOperation::List => "lists",
            StateOperation::Map => "whole maps",
            StateOperation::Merge => "mergeable states",
            StateOperation::Any => "states",
        },
        meta.kind.name()
    ))
    .with_state(meta.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Descriptor, ErrorKind, ListDescriptor, ValueDescriptor};

    #[test]
    fn restored_states_keep_their_description_until_registered() {
        let mut states = StateDirectory::default();
        let old = ValueDescriptor::<u32>::new("count").meta();
        let new = ValueDescriptor::<u64>::new("count").meta();
        let slot = states.adopt(&old).unwrap();
        assert_eq!(states.adopt(&old).unwrap(), slot);
        assert_eq!(states.adopt(&new).unwrap_err().kind(), ErrorKind::Incompatible);
        assert_eq!(states.metas(), std::slice::from_ref(&old));
        let list = ListDescriptor::<u32>::new("count").meta();
        assert_eq!(states.register(&list).unwrap_err().kind(), ErrorKind::Incompatible);
        let answer = states.register(&new).unwrap();
        assert_eq!((answer.slot, answer.restored), (slot, Some(old.clone())));
        assert_eq!(states.register(&new).unwrap().restored, None);
        assert_eq!(states.register(&old).unwrap_err().kind(), ErrorKind::Incompatible);
        assert_eq!(states.metas(), [new]);
    }

    #[test]
    fn names_are_ordered_and_slots_dense() {
        let mut states = StateDirectory::default();
        for (index, name) in ["b", "a", "c"].into_iter().enumerate() {
            let slot = states.register(&ValueDescriptor::<u8>::new(name).meta()).unwrap().slot;
            assert_eq!(slot.index(), index);
        }
        let names: Vec<_> = states.by_name().map(|(_, meta)| meta.name.to_string()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(states.find("a"), Some(Slot::new(1)));
        assert!(states.check(Slot::new(3), StateOperation::Any).is_err());
    }
}
