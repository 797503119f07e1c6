//! [`MemoryBudget`]: one cache, one limit of write buffers, and one of what is kept in front of RocksDB, for all stores of
//! a process.
//!
//! The last one is taken off first; the cache has what stores do not use of it. The formula for the rest is Flink's: write
//! buffers may exceed their limit by half before RocksDB acts, and are charged to the cache, so that of a total `t` of
//! which write buffers are to take the part `w`, the cache gets `(3 - w) * t / 3` and the limit of write buffers is
//! `2 * t * w / 3`. The limit of the cache is not strict: a strict one makes reads fail.

use std::fmt;
use std::sync::{Arc, Weak};

use alluvium_state_api::{Error, Result};
use parking_lot::Mutex;
use rocksdb::{Cache, WriteBufferManager};

use crate::cache::Purse;

/// The budget of a process where no other is set.
const DEFAULT_TOTAL: u64 = 512 << 20;
/// By default, one in so many bytes of it are for what stores keep in front of RocksDB.
const WRITE_BACK_PART: u64 = 4;

/// Where the memory of caches and write buffers comes from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum MemoryBudget {
    /// All stores of the process with the same figures share one budget.
    PerProcess(ProcessBudget),
    /// The store has a budget of these figures for itself, as a slot of Flink's has.
    PerSlot(ProcessBudget),
    /// A budget that the embedding program shares among the stores that it likes.
    Shared(SharedMemory),
    /// Each store has its own cache, and as many write buffers as it likes.
    PerStore,
}

/// The figures of a budget of the process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProcessBudget {
    /// Bytes in total.
    pub total_bytes: u64,
    /// The part for write buffers, above 0 and below 1.
    pub write_buffer_ratio: f64,
    /// Whether index and filter of a file are in blocks of which only the needed ones are in memory.
    pub partitioned_index_filters: bool,
    /// Bytes of the total for what stores keep in front of RocksDB ([`WriteBackOptions`](super::WriteBackOptions)); by
    /// default a quarter. Flink's formula divides the rest.
    pub write_back_bytes: Option<u64>,
}

impl Default for ProcessBudget {
    fn default() -> Self {
        Self {
            total_bytes: DEFAULT_TOTAL,
            write_buffer_ratio: 0.5,
            partitioned_index_filters: false,
            write_back_bytes: None,
        }
    }
}

impl Default for MemoryBudget {
    fn default() -> Self {
        Self::PerProcess(ProcessBudget::default())
    }
}

/// A cache, and write buffers that are charged to it; clones are the same.
#[derive(Clone)]
pub struct SharedMemory(Arc<Shared>);

struct Shared {
    figures: Figures,
    cache: Cache,
    buffers: WriteBufferManager,
    write_back: Arc<Purse>,
}

/// What tells budgets of a process apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Figures {
    cache_bytes: u64,
    buffer_bytes: u64,
    write_back_bytes: u64,
    partitioned: bool,
}

static BUDGETS: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());

impl fmt::Debug for SharedMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.figures.fmt(f)
    }
}

impl Figures {
    fn of(budget: &ProcessBudget) -> Result<Self> {
        let (total, ratio) = (budget.total_bytes, budget.write_buffer_ratio);
        if total < 1 << 20 || !(ratio > 0.0 && ratio < 1.0) {
            return Err(Error::invalid_input(format!(
                "a budget of {total} bytes with {ratio} of it for write buffers cannot be had: it must have \
                 at least 1 mb, and the part be above 0 and below 1"
            )));
        }
        let write_back_bytes = budget.write_back_bytes.unwrap_or(total / WRITE_BACK_PART);
        if write_back_bytes > total / 2 {
            return Err(Error::invalid_input(format!(
                "{write_back_bytes} bytes in front of RocksDB are more than half of the budget of {total} bytes; lower \
                 state.backend.rocksdb.write-back.size, or raise the budget"
            )));
        }
        let rest = total - write_back_bytes;
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "rounding of sizes; the ratio is between 0 and 1"
        )]
        let part = |factor: f64| (rest as f64 * factor) as u64;
        Ok(Self {
            cache_bytes: part((3.0 - ratio) / 3.0),
            buffer_bytes: part(2.0 * ratio / 3.0),
            write_back_bytes,
            partitioned: budget.partitioned_index_filters,
        })
    }
}

impl SharedMemory {
    /// A budget of its own.
    ///
    /// # Errors
    /// `InvalidInput` below 1 MiB, where the part for write buffers is not above 0 and below 1, and where more than half
    /// of it is to be in front of RocksDB.
    pub fn new(budget: &ProcessBudget) -> Result<Self> {
        Ok(Self::of(Figures::of(budget)?))
    }

    fn of(figures: Figures) -> Self {
        let size = |bytes| usize::try_from(bytes).unwrap_or(usize::MAX);
        let cache = Cache::new_lru_cache(size(figures.cache_bytes));
        let buffers = WriteBufferManager::new_write_buffer_manager_with_cache(
            size(figures.buffer_bytes),
            false,
            cache.clone(),
        );
        let own = size(figures.cache_bytes);
        let write_back = Purse::lending(figures.write_back_bytes, cache.clone(), own);
        Self(Arc::new(Shared { figures, cache, buffers, write_back }))
    }

    /// The budget of the process with these figures.
    fn of_process(figures: Figures) -> Self {
        let mut budgets = BUDGETS.lock();
        budgets.retain(|budget| budget.strong_count() > 0);
        let known = budgets.iter().filter_map(Weak::upgrade);
        if let Some(known) = known.into_iter().find(|budget| budget.figures == figures) {
            return Self(known);
        }
        let budget = Self::of(figures);
        budgets.push(Arc::downgrade(&budget.0));
        budget
    }

    /// The size of the cache, in bytes. It has what stores have not taken of [`write_back_bytes`](Self::write_back_bytes)
    /// besides.
    pub fn cache_bytes(&self) -> u64 {
        self.0.figures.cache_bytes
    }

    /// The limit of write buffers, in bytes.
    pub fn write_buffer_bytes(&self) -> u64 {
        self.0.figures.buffer_bytes
    }

    /// Bytes in the cache, with those of write buffers.
    pub fn usage_bytes(&self) -> u64 {
        self.0.cache.get_usage() as u64
    }

    /// What stores may keep in front of RocksDB, in bytes.
    pub fn write_back_bytes(&self) -> u64 {
        self.0.figures.write_back_bytes
    }

    pub(super) fn write_back(&self) -> Arc<Purse> {
        Arc::clone(&self.0.write_back)
    }

    pub(super) fn cache(&self) -> &Cache {
        &self.0.cache
    }

    pub(super) fn buffers(&self) -> &WriteBufferManager {
        &self.0.buffers
    }

    pub(super) fn is_partitioned(&self) -> bool {
        self.0.figures.partitioned
    }

    /// Refuses write buffers of which a single piece of memory fills the limit: they would be written out
    /// all the time.
    ///
    /// # Errors
    /// `InvalidInput`, saying what to set.
    pub(super) fn check_write_buffer(&self, bytes: u64) -> Result<()> {
        let piece = (bytes / 8).next_multiple_of(4 << 10);
        let limit = self.write_buffer_bytes();
        if piece <= limit / 8 * 7 {
            return Ok(());
        }
        Err(Error::invalid_input(format!(
            "write buffers of {bytes} bytes grow by {piece} bytes at a time, and all together may have {limit}; \
             raise state.backend.rocksdb.memory.fixed-per-tm, or lower state.backend.rocksdb.writebuffer.size"
        )))
    }
}

impl MemoryBudget {
    /// The budget to be used, if it is shared.
    ///
    /// # Errors
    /// `InvalidInput` for figures that cannot be had.
    pub(super) fn shared(&self) -> Result<Option<SharedMemory>> {
        match self {
            Self::PerProcess(budget) => Ok(Some(SharedMemory::of_process(Figures::of(budget)?))),
            Self::PerSlot(budget) => Ok(Some(SharedMemory::of(Figures::of(budget)?))),
            Self::Shared(memory) => Ok(Some(memory.clone())),
            Self::PerStore => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_divided_as_in_flink() {
        let memory = |total_bytes, write_buffer_ratio, write_back_bytes| {
            let partitioned_index_filters = false;
            SharedMemory::new(&ProcessBudget {
                total_bytes,
                write_buffer_ratio,
                partitioned_index_filters,
                write_back_bytes,
            })
        };
        let flink = memory(600 << 20, 0.5, Some(0)).unwrap();
        assert_eq!(flink.cache_bytes(), 500 << 20);
        assert_eq!(flink.write_buffer_bytes(), 200 << 20);
        let default = memory(800 << 20, 0.5, None).unwrap();
        assert_eq!(default.write_back_bytes(), 200 << 20);
        let rest = default.cache_bytes() + default.write_buffer_bytes() / 2;
        assert!((600u64 << 20).abs_diff(rest) <= 2, "{rest}");
        assert!(memory(600 << 20, 1.0, None).is_err());
        assert!(memory(600 << 20, f64::NAN, None).is_err());
        assert!(memory(1000, 0.5, None).is_err());
        assert!(memory(10 << 20, 0.5, Some(6 << 20)).is_err());
    }

    #[test]
    fn stores_of_a_process_share_a_budget_of_the_same_figures() {
        let budget = |total_bytes| {
            MemoryBudget::PerProcess(ProcessBudget { total_bytes, ..ProcessBudget::default() })
        };
        let shared = |total| budget(total).shared().unwrap().unwrap();
        let (one, same, other) = (shared(50 << 20), shared(50 << 20), shared(60 << 20));
        assert!(Arc::ptr_eq(&one.0, &same.0) && !Arc::ptr_eq(&one.0, &other.0));
        let own = MemoryBudget::PerSlot(ProcessBudget::default());
        let own = || own.shared().unwrap().unwrap();
        assert!(!Arc::ptr_eq(&own().0, &own().0), "a slot shares with nobody");
        assert!(MemoryBudget::PerStore.shared().unwrap().is_none());
    }

    #[test]
    fn write_buffers_must_fit_the_budget() {
        // Flink's example: below about 27.4 MB buffers of 64 MB do not fit.
        let memory = |total_bytes| {
            let write_back_bytes = Some(0);
            SharedMemory::new(&ProcessBudget {
                total_bytes,
                write_back_bytes,
                ..ProcessBudget::default()
            })
            .unwrap()
        };
        memory(28 << 20).check_write_buffer(64 << 20).unwrap();
        assert!(memory(27 << 20).check_write_buffer(64 << 20).is_err());
    }
}
