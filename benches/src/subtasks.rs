//! Restores as another number of subtasks, measured in one way whatever is restored.
//!
//! Subtasks are opened one after the other, and the slowest of them counts, as each would have a machine of its own. A
//! time begins before one is opened and ends with reads that are right: the first one, and those of all probes whose key
//! groups it owns. What a subtask leaves behind for others to be restored from is not in any time.

use alluvium_state_api::{KeyGroup, MaxParallelism};

use crate::Outcome;
use crate::clock::Stopwatch;

/// Key groups; Flink's default.
pub const GROUPS: u32 = 128;

/// How long something took that was restored.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Times {
    /// Milliseconds to the first read that was right.
    pub first_ms: f64,
    /// Milliseconds to all reads.
    pub all_ms: f64,
}

impl Times {
    /// Reads all probes, and tells how long that took from `watch` on.
    ///
    /// # Errors
    /// Those of `read`, which fails where something else is read than should be.
    pub fn of<P>(
        probes: &[P],
        watch: Stopwatch,
        mut read: impl FnMut(&P) -> Outcome<()>,
    ) -> Outcome<Self> {
        let mut first_ms = None;
        for probe in probes {
            read(probe)?;
            first_ms.get_or_insert_with(|| watch.seconds() * 1e3);
        }
        let all_ms = watch.seconds() * 1e3;
        Ok(Self { first_ms: first_ms.unwrap_or(all_ms), all_ms })
    }

    /// The longer times of two.
    #[must_use]
    pub const fn max(self, other: Self) -> Self {
        Self { first_ms: self.first_ms.max(other.first_ms), all_ms: self.all_ms.max(other.all_ms) }
    }
}

/// What can be restored as another number of subtasks.
pub trait Subtasks {
    /// A subtask that was restored.
    type Instance;
    /// What it leaves behind for others to be restored from.
    type Checkpoint;
    /// A read, and what it must read.
    type Probe;

    /// Opens the subtask of this number out of so many over the checkpoints of all former ones.
    ///
    /// # Errors
    /// Where it cannot be restored.
    fn open(&mut self, former: &[Self::Checkpoint], place: (u32, u32)) -> Outcome<Self::Instance>;

    /// Does the read.
    ///
    /// # Errors
    /// Where it fails, and where it reads something else.
    fn read(&mut self, instance: &mut Self::Instance, probe: &Self::Probe) -> Outcome<()>;

    /// Takes a checkpoint of the subtask and closes it.
    ///
    /// # Errors
    /// Where there is no checkpoint of it.
    fn leave(&mut self, instance: Self::Instance) -> Outcome<Self::Checkpoint>;
}

/// Restores so many subtasks; the times of the slowest, and what all leave behind. Probes come with the key groups of
/// their keys.
///
/// # Errors
/// Those of the side.
pub fn restore<S: Subtasks>(
    side: &mut S,
    former: &[S::Checkpoint],
    count: u32,
    probes: &[(KeyGroup, S::Probe)],
) -> Outcome<(Times, Vec<S::Checkpoint>)> {
    let (mut slowest, mut left) = (Times::default(), Vec::new());
    for subtask in 0..count {
        let range = MaxParallelism::new(GROUPS)?.range_of(subtask, count)?;
        let own = probes.iter().filter(|(group, _)| range.contains(*group));
        let own: Vec<_> = own.map(|(_, probe)| probe).collect();
        let watch = Stopwatch::start();
        let mut instance = side.open(former, (subtask, count))?;
        let times = Times::of(&own, watch, |probe| side.read(&mut instance, probe))?;
        slowest = slowest.max(times);
        left.push(side.leave(instance)?);
    }
    Ok((slowest, left))
}

#[cfg(test)]
mod tests {
    use std::thread::sleep;
    use std::time::Duration;

    use super::*;

    /// Subtasks that take a time to open and know what they own.
    struct Slow(Vec<(u32, u32)>);

    impl Subtasks for Slow {
        type Instance = (u32, u32);
        type Checkpoint = u32;
        type Probe = u16;

        fn open(&mut self, former: &[u32], place: (u32, u32)) -> Outcome<(u32, u32)> {
            assert_eq!(former, [7]);
            sleep(Duration::from_millis(if place.0 == 0 { 20 } else { 1 }));
            self.0.push(place);
            Ok(place)
        }

        fn read(&mut self, (subtask, count): &mut (u32, u32), group: &u16) -> Outcome<()> {
            let range = MaxParallelism::new(GROUPS)?.range_of(*subtask, *count)?;
            if range.contains(KeyGroup::new(*group)) { Ok(()) } else { Err("not here".into()) }
        }

        fn leave(&mut self, (subtask, _): (u32, u32)) -> Outcome<u32> {
            Ok(subtask)
        }
    }

    #[test]
    fn the_slowest_counts_and_each_reads_what_it_owns() {
        let probes: Vec<_> = (0..128).map(|group| (KeyGroup::new(group), group)).collect();
        let mut side = Slow(Vec::new());
        let (times, left) = restore(&mut side, &[7], 3, &probes).unwrap();
        assert_eq!((side.0, left), (vec![(0, 3), (1, 3), (2, 3)], vec![0, 1, 2]));
        assert!(times.first_ms >= 20.0 && times.all_ms >= times.first_ms, "{times:?}");
        let wrong = [(KeyGroup::new(0), 127)];
        assert!(restore(&mut Slow(Vec::new()), &[7], 2, &wrong).is_err());
    }
}
