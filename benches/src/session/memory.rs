//! Memory of the process while a side is played on: `RssAnon`, as the kernel counts it.
//!
//! What is in it besides the side: the program, what makes the accesses, and those that are ready, for which there
//! is memory before anything is measured. Mapped files are not in it. What an earlier side has left behind would be,
//! so that each is played in a process of its own ([`super::child`]).

use crate::Outcome;
use crate::float;
use crate::resident::{Resident, Sampler};

/// Measures.
#[derive(Debug)]
pub(super) struct Meter {
    sampler: Sampler,
    before: u64,
    filled: u64,
}

/// What was resident, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Before the side was there.
    pub before: u64,
    /// When the state was filled; without that, after the accesses at full speed.
    pub filled: u64,
    /// The highest until after the last snapshot.
    pub peak: u64,
    /// Entries when the state was filled, by the plain computation.
    pub entries: u64,
}

impl Meter {
    /// Begins, before the side is opened.
    pub(super) fn start() -> Outcome<Self> {
        let sampler = Sampler::start()?;
        let before = Resident::now()?.anonymous;
        Ok(Self { sampler, before, filled: before })
    }

    /// The state is filled.
    pub(super) fn filled(&mut self) -> Outcome<()> {
        self.filled = Resident::now()?.anonymous;
        Ok(())
    }

    /// Ends.
    pub(super) fn end(self) -> Outcome<Memory> {
        let highest = self.sampler.highest().anonymous;
        let peak = highest.max(self.filled).max(Resident::now()?.anonymous);
        Ok(Memory { before: self.before, filled: self.filled, peak, entries: 0 })
    }
}

impl Memory {
    /// With so many entries.
    #[must_use]
    pub(super) const fn with(mut self, entries: u64) -> Self {
        self.entries = entries;
        self
    }

    /// Bytes of an entry; none where there are no entries, or the memory did not grow.
    pub fn bytes_per_entry(&self) -> Option<f64> {
        let grown = self.filled.checked_sub(self.before).filter(|grown| *grown > 0)?;
        (self.entries > 0).then(|| float(grown) / float(self.entries))
    }

    /// As a JSON object.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "own_bytes_before": self.before, "own_bytes_filled": self.filled,
            "own_bytes_peak": self.peak, "entries": self.entries,
            "bytes_per_entry": self.bytes_per_entry(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is measured is that of the process, with other tests in it: `tests/workloads.rs` looks at that.
    #[test]
    fn what_a_side_takes_is_divided_by_its_entries() {
        let memory = Memory { before: 5, filled: 105, peak: 300, entries: 0 };
        assert_eq!(memory.with(40).bytes_per_entry(), Some(2.5));
        assert_eq!(memory.bytes_per_entry(), None);
        assert_eq!(Memory { before: 5, filled: 4, peak: 9, entries: 1 }.bytes_per_entry(), None);
        let mut meter = Meter::start().unwrap();
        meter.filled().unwrap();
        let memory = meter.end().unwrap();
        assert!(memory.before > 0 && memory.peak >= memory.filled);
    }
}
