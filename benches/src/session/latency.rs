//! Latencies of single accesses that are due at regular times.
//!
//! An access is charged from when it was due, not from when it could begin: one that takes long makes those
//! behind it late, and they are charged for that, too. A loop that begins the next access when the last one is
//! over would leave these out ("coordinated omission", Gil Tene).

use hdrhistogram::Histogram;

use alluvium_state_api::Result;

use crate::clock::Stopwatch;
use crate::workload::{Access, Target};
use crate::{Outcome, float};

/// The longest latency that is told apart, a minute.
const MOST_NS: u64 = 60_000_000_000;
/// The shortest time between two accesses: with less the clock itself would be measured.
const LEAST_INTERVAL_NS: u64 = 500;
/// So much longer than an access takes is the time from one to the next.
const SLACK: f64 = 4.0;

/// The latencies of many accesses, in nanoseconds.
#[derive(Clone, Debug)]
pub struct Latencies(Histogram<u64>);

impl Latencies {
    /// None yet.
    ///
    /// # Errors
    /// None that occurs.
    pub fn new() -> Outcome<Self> {
        Ok(Self(Histogram::new_with_bounds(1, MOST_NS, 3)?))
    }

    /// Takes note of one.
    pub fn record(&mut self, nanoseconds: u64) {
        self.0.saturating_record(nanoseconds.max(1));
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// So many nanoseconds at most took this share of them, from 0 to 1; within 0.1 %.
    pub fn at(&self, share: f64) -> u64 {
        self.0.value_at_quantile(share)
    }

    /// The longest.
    pub fn max(&self) -> u64 {
        self.0.max()
    }

    /// As a JSON object of microseconds.
    pub fn to_json(&self) -> serde_json::Value {
        let us = |nanoseconds: u64| float(nanoseconds) / 1e3;
        serde_json::json!({
            "count": self.len(), "p50_us": us(self.at(0.5)), "p90_us": us(self.at(0.9)),
            "p99_us": us(self.at(0.99)), "p999_us": us(self.at(0.999)), "max_us": us(self.max()),
        })
    }
}

/// Accesses at regular times.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    interval_ns: u64,
}

impl Pace {
    /// A pace that leaves time, where an access takes so many seconds at full speed.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive number of nanoseconds"
    )]
    pub fn of(access_s: f64) -> Self {
        Self { interval_ns: ((access_s * SLACK * 1e9) as u64).clamp(LEAST_INTERVAL_NS, MOST_NS) }
    }

    /// Begins: the first access is due now.
    pub fn begin(self) -> Schedule {
        Schedule { watch: Stopwatch::start(), interval_ns: self.interval_ns, due_ns: 0 }
    }
}

/// When accesses are due.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    watch: Stopwatch,
    interval_ns: u64,
    due_ns: u64,
}

impl Schedule {
    /// Nanoseconds since it began.
    pub fn now_ns(&self) -> u64 {
        nanoseconds(self.watch)
    }

    /// Nothing was due while nobody could play: the next access is due now.
    pub fn skip(&mut self) {
        self.due_ns = self.now_ns();
    }

    /// Does what no job would do between two accesses: those that are due meanwhile are due later instead.
    pub fn aside<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let from_ns = self.now_ns();
        let done = work();
        let lost_ns = self.now_ns().saturating_sub(from_ns.max(self.due_ns));
        self.due_ns = self.due_ns.saturating_add(lost_ns);
        done
    }

    /// Does accesses, each when it is due, until `goes_on` says no and none is late; how many were done. What is
    /// recorded of each is when it was due and how many nanoseconds after that it was done.
    ///
    /// # Errors
    /// Where the backend fails.
    pub fn play(
        &mut self,
        target: &mut impl Target,
        accesses: &[Access],
        mut record: impl FnMut(u64, u64),
        goes_on: impl Fn() -> bool,
    ) -> Result<usize> {
        for (done, access) in accesses.iter().enumerate() {
            while self.now_ns() < self.due_ns {
                if !goes_on() {
                    return Ok(done);
                }
                std::hint::spin_loop();
            }
            target.apply(access)?;
            record(self.due_ns, self.now_ns().saturating_sub(self.due_ns));
            self.due_ns = self.due_ns.saturating_add(self.interval_ns);
        }
        Ok(accesses.len())
    }
}

fn nanoseconds(watch: Stopwatch) -> u64 {
    u64::try_from(watch.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::workload::Operation;

    /// The first access takes long.
    struct Stalls(bool);

    impl Target for Stalls {
        fn apply(&mut self, _: &Access) -> Result<()> {
            if !std::mem::replace(&mut self.0, true) {
                thread::sleep(Duration::from_millis(50));
            }
            Ok(())
        }

        fn digest(&self) -> u64 {
            0
        }

        fn restart(&mut self) {}
    }

    #[test]
    fn what_waits_behind_a_slow_access_is_charged_for_it() {
        let mut latencies = Latencies::new().unwrap();
        let accesses = [Access::of(1, Operation::ValueGet); 100];
        // One is due each millisecond, so that some fifty are late.
        let pace = Pace::of(0.000_25);
        assert_eq!(pace.interval_ns, 1_000_000);
        let mut schedule = pace.begin();
        let record = |_, nanoseconds| latencies.record(nanoseconds);
        assert_eq!(schedule.play(&mut Stalls(false), &accesses, record, || true).unwrap(), 100);
        assert!(latencies.len() == 100 && latencies.max() >= 50_000_000);
        assert!(latencies.at(0.75) > 20_000_000, "{}", latencies.at(0.75));
    }

    #[test]
    fn nobody_is_charged_for_what_is_done_aside() {
        let accesses = [Access::of(1, Operation::ValueGet); 10];
        let mut schedule = Pace::of(0.002_5).begin();
        schedule.aside(|| thread::sleep(Duration::from_millis(50)));
        let due_ns = schedule.due_ns;
        assert!(due_ns >= 49_000_000, "{due_ns}");
        let mut first = None;
        let record = |due, _| {
            first.get_or_insert(due);
        };
        schedule.play(&mut Stalls(true), &accesses, record, || true).unwrap();
        assert_eq!(first, Some(due_ns));
        // what is done before something is due costs nobody anything
        let due_ns = schedule.due_ns;
        schedule.aside(|| ());
        assert_eq!(schedule.due_ns, due_ns);
    }

    /// A stall before the first access is charged, too, and what is late is played although it should end.
    #[test]
    fn it_ends_when_it_is_told_and_nothing_is_late() {
        let accesses = [Access::of(1, Operation::ValueGet); 100];
        let mut schedule = Pace::of(0.000_25).begin();
        thread::sleep(Duration::from_millis(20));
        let (mut latencies, mut due) = (Latencies::new().unwrap(), Vec::new());
        let record = |at, nanoseconds| {
            due.push(at);
            latencies.record(nanoseconds);
        };
        let done = schedule.play(&mut Stalls(true), &accesses, record, || false).unwrap();
        assert!((20..90).contains(&done) && latencies.len() == done as u64, "{done}");
        assert!(latencies.max() >= 20_000_000 && due[1] == 1_000_000);
        schedule.skip();
        let none = schedule.play(&mut Stalls(true), &accesses, |_, _| {}, || false).unwrap();
        assert!(none <= 1, "{none}");
    }
}
