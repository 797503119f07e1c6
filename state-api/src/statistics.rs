//! Figures about a store and its states.

use crate::snapshot::EntryCount;

/// Figures about one state.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StateStatistics {
    /// Its name.
    pub name: Box<str>,
    /// Its entries (map entries for maps).
    pub entries: EntryCount,
}

impl StateStatistics {
    /// Figures of the state `name`.
    pub fn new(name: &str, entries: EntryCount) -> Self {
        Self { name: name.into(), entries }
    }
}

/// Figures about a store, cheap to take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreStatistics {
    /// Per registered or restored state, ordered by name.
    pub states: Vec<StateStatistics>,
    /// Bytes of memory that the store has allocated for state, as far as it knows.
    pub memory_bytes: u64,
    /// Snapshots whose task has neither finished nor been dropped.
    pub snapshots_in_flight: u32,
    /// Compactions, or merges of segments, that run beside the writer at the moment.
    pub compactions_in_flight: u32,
}
