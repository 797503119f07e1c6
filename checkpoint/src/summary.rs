//! What checkpoints cost: figures of one, and how the figures of many are spread.
//!
//! # Role
//! Everything here is computed from metadata, so it outlives the processes that took the checkpoints.
//! [`Figures`] are those of a checkpoint or of one subtask's part of it; a [`Summary`] describes many of
//! them. [`History`](crate::History) collects them for a job.
//!
//! # Rules
//! * A checkpoint waits for its slowest subtask: its start delay, synchronous and asynchronous time are
//!   the largest of its subtasks; bytes and entries are sums.
//! * `p99` is the nearest-rank percentile: the smallest value that at least 99 % of all values do not
//!   exceed. It is one of the values, never an interpolation; of fewer than 100 values it is the
//!   largest.
//! * `avg` is the arithmetic mean, rounded half up to a whole number.

use alluvium_state_api::format::metadata::{CheckpointMetadata, SubtaskStatistics};

/// The figures of a checkpoint, or of one subtask's part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// From the trigger to the end, in microseconds: until the checkpoint was complete, or the sum of
    /// the three times of a subtask.
    pub duration_us: u64,
    /// From the trigger to the start of the synchronous part, in microseconds.
    pub start_delay_us: u64,
    /// The synchronous part, in microseconds.
    pub sync_us: u64,
    /// The asynchronous part, in microseconds.
    pub async_us: u64,
    /// Bytes written.
    pub bytes_new: u64,
    /// Bytes that a restore reads.
    pub bytes_full: u64,
    /// Entries of all states.
    pub entries: u64,
}

impl Figures {
    /// Those of a whole checkpoint.
    pub fn of_checkpoint(metadata: &CheckpointMetadata) -> Self {
        let subtasks = metadata.operators.iter().flat_map(|operator| &operator.subtasks);
        let slowest = subtasks.map(|subtask| Self::of_subtask(&subtask.statistics)).fold(
            Self::default(),
            |slowest, one| Self {
                start_delay_us: slowest.start_delay_us.max(one.start_delay_us),
                sync_us: slowest.sync_us.max(one.sync_us),
                async_us: slowest.async_us.max(one.async_us),
                ..slowest
            },
        );
        Self {
            duration_us: metadata.statistics.duration_us,
            bytes_new: metadata.statistics.bytes_new,
            bytes_full: metadata.statistics.bytes_full,
            entries: metadata.statistics.entries,
            ..slowest
        }
    }

    /// Those of one subtask.
    pub fn of_subtask(statistics: &SubtaskStatistics) -> Self {
        let waited = statistics.start_delay_us.saturating_add(statistics.sync_us);
        Self {
            duration_us: waited.saturating_add(statistics.async_us),
            start_delay_us: statistics.start_delay_us,
            sync_us: statistics.sync_us,
            async_us: statistics.async_us,
            bytes_new: statistics.bytes_new,
            bytes_full: statistics.bytes_full,
            entries: statistics.entries,
        }
    }
}

/// How the values of one figure are spread. See the module for what `p99` and `avg` are exactly.
///
/// ```
/// use alluvium_checkpoint::Spread;
///
/// let spread = Spread::of([40, 10, 20, 30]).expect("there are values");
/// assert_eq!((spread.min, spread.avg, spread.max, spread.p99), (10, 25, 40, 40));
/// assert_eq!(Spread::of(1..=1000).map(|spread| spread.p99), Some(990));
/// assert_eq!(Spread::of([]), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// The smallest.
    pub min: u64,
    /// The mean.
    pub avg: u64,
    /// The largest.
    pub max: u64,
    /// The 99th percentile.
    pub p99: u64,
}

impl Spread {
    /// Of these values; `None` where there are none.
    pub fn of(values: impl IntoIterator<Item = u64>) -> Option<Self> {
        let mut values: Vec<u64> = values.into_iter().collect();
        values.sort_unstable();
        let (min, max) = (*values.first()?, *values.last()?);
        let count = values.len() as u128;
        let sum: u128 = values.iter().map(|value| u128::from(*value)).sum();
        let mean = (sum + count / 2) / count;
        let rank = (count * 99).div_ceil(100).saturating_sub(1);
        let at_rank = usize::try_from(rank).ok().and_then(|rank| values.get(rank));
        Some(Self {
            min,
            avg: u64::try_from(mean).unwrap_or(max),
            max,
            p99: at_rank.copied().unwrap_or(max),
        })
    }
}

/// How the figures of many checkpoints, or of many parts of subtasks, are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Of how many.
    pub count: usize,
    /// [`Figures::duration_us`].
    pub duration_us: Spread,
    /// [`Figures::start_delay_us`].
    pub start_delay_us: Spread,
    /// [`Figures::sync_us`].
    pub sync_us: Spread,
    /// [`Figures::async_us`].
    pub async_us: Spread,
    /// [`Figures::bytes_new`].
    pub bytes_new: Spread,
    /// [`Figures::bytes_full`].
    pub bytes_full: Spread,
    /// [`Figures::entries`].
    pub entries: Spread,
}

impl Summary {
    /// Of these figures; `None` where there are none.
    pub fn of<'a>(figures: impl IntoIterator<Item = &'a Figures>) -> Option<Self> {
        let all: Vec<&Figures> = figures.into_iter().collect();
        let spread = |field: fn(&Figures) -> u64| Spread::of(all.iter().map(|one| field(one)));
        Some(Self {
            count: all.len(),
            duration_us: spread(|one| one.duration_us)?,
            start_delay_us: spread(|one| one.start_delay_us)?,
            sync_us: spread(|one| one.sync_us)?,
            async_us: spread(|one| one.async_us)?,
            bytes_new: spread(|one| one.bytes_new)?,
            bytes_full: spread(|one| one.bytes_full)?,
            entries: spread(|one| one.entries)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_percentile_is_the_value_at_the_nearest_rank() {
        let p99 = |count: u64| Spread::of((1..=count).rev()).map(|spread| spread.p99);
        let ranks = [1, 2, 99, 100, 101, 199, 200, 201, 1000].map(p99);
        assert_eq!(ranks, [1, 2, 99, 99, 100, 198, 198, 199, 990].map(Some));
    }

    #[test]
    fn the_percentile_covers_99_percent_and_no_smaller_value_does() {
        for count in 1..400_u64 {
            // Values that repeat, so that ranks and values differ.
            let values: Vec<u64> = (0..count).map(|index| index * 7 % 31).collect();
            let p99 = Spread::of(values.iter().copied()).map(|spread| spread.p99);
            let covered = |most: u64| values.iter().filter(|value| **value <= most).count() * 100;
            let enough = |most: u64| covered(most) >= values.len() * 99;
            assert_eq!(p99, (0..31).find(|most| values.contains(most) && enough(*most)), "{count}");
        }
    }

    #[test]
    fn means_are_rounded_and_do_not_overflow() {
        assert_eq!(Spread::of([1, 2]).map(|spread| spread.avg), Some(2));
        assert_eq!(Spread::of([1, 1, 2]).map(|spread| spread.avg), Some(1));
        let huge = Spread::of([u64::MAX; 3]);
        assert_eq!(huge.map(|spread| (spread.avg, spread.p99)), Some((u64::MAX, u64::MAX)));
    }

    #[test]
    fn nothing_has_no_summary() {
        assert_eq!(Summary::of([]), None);
        let one = Figures { sync_us: 7, ..Figures::default() };
        let summary = Summary::of([&one, &one]).map(|summary| (summary.count, summary.sync_us));
        assert_eq!(summary, Some((2, Spread { min: 7, avg: 7, max: 7, p99: 7 })));
    }
}
