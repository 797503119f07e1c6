//! Key groups: the unit in which keyed state is placed, moved and restored.
//!
//! Every key belongs to one of `MaxParallelism` key groups, a number that is fixed for the life of
//! a job's state; every subtask owns one contiguous [`KeyGroupRange`]. Arithmetic is Apache
//! Flink's (`KeyGroupRangeAssignment`), except that ranges are half-open everywhere, so that an
//! empty range needs no sentinel. Nothing here can overflow: products are formed in 64 bits.
//!
//! ```
//! use alluvium_state_api::{KeyGroup, MaxParallelism};
//!
//! # fn main() -> alluvium_state_api::Result<()> {
//! let groups = MaxParallelism::new(128)?;
//! let range = groups.range_of(1, 3)?;                  // subtask 1 of 3
//! assert_eq!((range.start(), range.end()), (43, 86));
//! assert_eq!(groups.owner_of(KeyGroup::new(43), 3)?, 1);
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::num::NonZeroU16;

use crate::{Error, Result};

/// One key group, numbered from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyGroup(u16);

impl KeyGroup {
    /// The group with this number.
    pub const fn new(index: u16) -> Self {
        Self(index)
    }

    /// The number of the group.
    #[inline]
    pub const fn index(self) -> u16 {
        self.0
    }
}

impl fmt::Display for KeyGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many key groups a job has: 1 to 32,768, fixed for the life of its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MaxParallelism(NonZeroU16);

impl MaxParallelism {
    /// The largest number of key groups, 2^15, as in Flink.
    pub const LIMIT: u16 = 1 << 15;

    /// The smallest number that [`default_for`](Self::default_for) yields.
    pub const DEFAULT_LOWER_BOUND: u16 = 128;

    /// Checks that `count` lies in `1..=32768`.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) otherwise.
    pub fn new(count: u32) -> Result<Self> {
        u16::try_from(count)
            .ok()
            .filter(|count| *count <= Self::LIMIT)
            .and_then(NonZeroU16::new)
            .map(Self)
            .ok_or_else(|| {
                Error::invalid_input(format!(
                    "maximum parallelism {count} must lie between 1 and {}",
                    Self::LIMIT
                ))
            })
    }

    /// Flink's default where the user sets none: `1.5 * parallelism`, rounded up to a power of two,
    /// at least 128 and at most 32,768.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if `parallelism` is 0 or above 32,768.
    pub fn default_for(parallelism: u32) -> Result<Self> {
        if parallelism == 0 || parallelism > u32::from(Self::LIMIT) {
            return Err(Error::invalid_input(format!(
                "parallelism {parallelism} must lie between 1 and {}",
                Self::LIMIT
            )));
        }
        let wanted = (parallelism + parallelism / 2).next_power_of_two();
        Self::new(wanted.clamp(u32::from(Self::DEFAULT_LOWER_BOUND), u32::from(Self::LIMIT)))
    }

    /// The maximum parallelism of a restored job: the snapshot's, unless one was configured that
    /// differs (refused), or the parallelism is larger than it (refused).
    ///
    /// # Errors
    /// [`Incompatible`](crate::ErrorKind::Incompatible) in both cases.
    pub fn for_restore(snapshot: Self, configured: Option<Self>, parallelism: u32) -> Result<Self> {
        if let Some(configured) = configured.filter(|configured| *configured != snapshot) {
            return Err(Error::incompatible(format!(
                "maximum parallelism {configured} is configured, but the snapshot has {snapshot}; \
                 leave it unset or set {snapshot}"
            )));
        }
        if parallelism > u32::from(snapshot.get()) {
            return Err(Error::incompatible(format!(
                "parallelism {parallelism} is above the snapshot's maximum parallelism {snapshot}"
            )));
        }
        Ok(snapshot)
    }

    /// The number of key groups.
    pub const fn get(self) -> u16 {
        self.0.get()
    }

    /// All key groups.
    pub const fn all(self) -> KeyGroupRange {
        KeyGroupRange { start: 0, end: self.0.get() }
    }

    /// The key group of a placement value (see [`KeyHash`](crate::KeyHash)): the value modulo the
    /// number of groups.
    #[inline]
    pub const fn group_of(self, placement: u32) -> KeyGroup {
        #[expect(clippy::cast_possible_truncation, reason = "a remainder below 2^15")]
        KeyGroup((placement % self.0.get() as u32) as u16)
    }

    /// The key groups of `subtask` out of `parallelism`:
    /// `ceil(subtask * n / p) .. ceil((subtask + 1) * n / p)`.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) unless `subtask < parallelism <= self`.
    pub fn range_of(self, subtask: u32, parallelism: u32) -> Result<KeyGroupRange> {
        self.check_parallelism(parallelism)?;
        if subtask >= parallelism {
            return Err(Error::invalid_input(format!(
                "subtask {subtask} does not exist at parallelism {parallelism}"
            )));
        }
        let bound = |index: u64| {
            let bound = (index * u64::from(self.get())).div_ceil(u64::from(parallelism));
            u16::try_from(bound).unwrap_or(self.get())
        };
        Ok(KeyGroupRange { start: bound(u64::from(subtask)), end: bound(u64::from(subtask) + 1) })
    }

    /// The subtask that owns `group` at `parallelism`: `group * p / n`.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the group does not exist or
    /// `parallelism` is 0 or above the number of groups.
    pub fn owner_of(self, group: KeyGroup, parallelism: u32) -> Result<u32> {
        self.check_parallelism(parallelism)?;
        if group.0 >= self.get() {
            return Err(Error::invalid_input(format!(
                "key group {group} does not exist among {self}"
            )));
        }
        let owner = u64::from(group.0) * u64::from(parallelism) / u64::from(self.get());
        Ok(u32::try_from(owner).unwrap_or(u32::MAX))
    }

    fn check_parallelism(self, parallelism: u32) -> Result<()> {
        if parallelism == 0 || parallelism > u32::from(self.get()) {
            return Err(Error::invalid_input(format!(
                "parallelism {parallelism} must lie between 1 and the maximum parallelism {self}"
            )));
        }
        Ok(())
    }
}

impl fmt::Display for MaxParallelism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Yields the key groups of many placement values without a division for each: two multiplications by
/// a number that is computed once (Lemire, Kaser, Kurz: Faster remainder by direct computation).
#[derive(Clone, Copy, Debug)]
pub(crate) struct GroupFinder {
    groups: u64,
    /// 2^64 divided by the number of groups, rounded up; 0 stands for 2^64.
    reciprocal: u64,
}

impl GroupFinder {
    pub(crate) const fn new(groups: MaxParallelism) -> Self {
        let groups = groups.get() as u64;
        Self { groups, reciprocal: (u64::MAX / groups).wrapping_add(1) }
    }

    /// As [`MaxParallelism::group_of`].
    #[inline]
    pub(crate) const fn group_of(self, placement: u32) -> KeyGroup {
        // The fractional part of the quotient, in units of 2^-64; exact enough for 32-bit numbers.
        let fraction = self.reciprocal.wrapping_mul(placement as u64);
        #[expect(clippy::cast_possible_truncation, reason = "a remainder below 2^15")]
        KeyGroup(((fraction as u128 * self.groups as u128) >> 64) as u16)
    }
}

/// A half-open interval of key groups, `start..end`; empty where both are equal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyGroupRange {
    start: u16,
    end: u16,
}

impl KeyGroupRange {
    /// The range `start..end`.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) unless `start <= end <= 32768`.
    pub fn new(start: u16, end: u16) -> Result<Self> {
        if start > end || end > MaxParallelism::LIMIT {
            return Err(Error::invalid_input(format!(
                "key groups {start}..{end} are no range below {}",
                MaxParallelism::LIMIT
            )));
        }
        Ok(Self { start, end })
    }

    /// The range of one group.
    pub const fn single(group: KeyGroup) -> Self {
        Self { start: group.0, end: group.0.saturating_add(1) }
    }

    /// The first group.
    pub const fn start(self) -> u16 {
        self.start
    }

    /// One past the last group.
    pub const fn end(self) -> u16 {
        self.end
    }

    /// How many groups it holds.
    pub const fn len(self) -> u16 {
        self.end - self.start
    }

    /// Whether it holds none.
    pub const fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Whether it holds `group`.
    #[inline]
    pub const fn contains(self, group: KeyGroup) -> bool {
        self.start <= group.0 && group.0 < self.end
    }

    /// Whether it holds every group of `other`.
    pub const fn covers(self, other: Self) -> bool {
        other.is_empty() || (self.start <= other.start && other.end <= self.end)
    }

    /// The groups of this range for which `wanted` says true, as ascending ranges with gaps between.
    ///
    /// ```
    /// use alluvium_state_api::KeyGroupRange;
    ///
    /// let even_tens = KeyGroupRange::new(0, 40)?.runs_where(|group| group.index() / 10 % 2 == 0);
    /// assert_eq!(even_tens, [KeyGroupRange::new(0, 10)?, KeyGroupRange::new(20, 30)?]);
    /// # Ok::<(), alluvium_state_api::Error>(())
    /// ```
    pub fn runs_where(self, wanted: impl Fn(KeyGroup) -> bool) -> Vec<Self> {
        let mut runs: Vec<Self> = Vec::new();
        for group in self.iter().filter(|group| wanted(*group)) {
            let end = group.index().saturating_add(1);
            match runs.last_mut() {
                Some(last) if last.end == group.index() => last.end = end,
                _ => runs.push(Self { start: group.index(), end }),
            }
        }
        runs
    }

    /// The groups that both hold, possibly none.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        let start = self.start.max(other.start);
        Self { start, end: self.end.min(other.end).max(start) }
    }

    /// The groups in ascending order.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = KeyGroup> + ExactSizeIterator + Clone {
        (self.start..self.end).map(KeyGroup)
    }
}

impl fmt::Debug for KeyGroupRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for KeyGroupRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_follows_flinks_formula() {
        for (parallelism, groups) in [
            (1, 128),
            (85, 128),
            (86, 256),
            (171, 256),
            (172, 512),
            (21_846, 32_768),
            (32_768, 32_768),
        ] {
            assert_eq!(MaxParallelism::default_for(parallelism).unwrap().get(), groups);
        }
    }

    #[test]
    fn ranges_tile_and_agree_with_owners() {
        for count in (1..200).chain([32_767, 32_768]) {
            let groups = MaxParallelism::new(count).unwrap();
            for parallelism in [1, 2, 3, 7, count / 2, count] {
                if parallelism == 0 || parallelism > count {
                    continue;
                }
                let mut next = 0;
                for subtask in 0..parallelism {
                    let range = groups.range_of(subtask, parallelism).unwrap();
                    assert_eq!(range.start(), next);
                    next = range.end();
                    for group in [range.start(), range.end() - 1] {
                        let owner = groups.owner_of(KeyGroup::new(group), parallelism).unwrap();
                        assert_eq!(owner, subtask);
                    }
                }
                assert_eq!(u32::from(next), count);
            }
        }
    }

    #[test]
    fn intersections_commute_and_may_be_empty() {
        let range = |start, end| KeyGroupRange::new(start, end).unwrap();
        for (a, b, want) in [
            (range(0, 10), range(2, 5), range(2, 5)),
            (range(0, 6), range(4, 9), range(4, 6)),
            (range(3, 3), range(0, 9), range(3, 3)),
        ] {
            assert_eq!(a.intersection(b), want);
            assert_eq!(b.intersection(a), want);
        }
        assert!(range(0, 4).intersection(range(4, 8)).is_empty());
    }

    #[test]
    fn remainders_without_division_are_the_same() {
        for count in (1..300).chain([1_000, 16_384, 21_845, 32_767, 32_768]) {
            let groups = MaxParallelism::new(count).unwrap();
            let finder = GroupFinder::new(groups);
            let multiples = (0..20).map(|factor| (u32::MAX / count).saturating_sub(factor) * count);
            for placement in multiples.chain(0..70).chain(u32::MAX - 70..=u32::MAX) {
                for placement in [placement.wrapping_sub(1), placement, placement.wrapping_add(1)] {
                    assert_eq!(finder.group_of(placement), groups.group_of(placement));
                }
            }
        }
    }

    #[test]
    fn refuses_what_does_not_fit() {
        assert!(MaxParallelism::new(0).is_err());
        assert!(MaxParallelism::new(32_769).is_err());
        assert!(MaxParallelism::new(8).unwrap().range_of(0, 9).is_err());
        assert!(MaxParallelism::new(8).unwrap().range_of(3, 3).is_err());
        let (four, eight) = (MaxParallelism::new(4).unwrap(), MaxParallelism::new(8).unwrap());
        assert!(MaxParallelism::for_restore(four, Some(eight), 2).is_err());
        assert!(MaxParallelism::for_restore(four, None, 5).is_err());
        assert_eq!(MaxParallelism::for_restore(four, None, 4).unwrap(), four);
    }
}
