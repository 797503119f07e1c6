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

    /// Does these accesses, each when it is due, until `goes_on` says no; how many were done.
    ///
    /// # Errors
    /// Where the backend fails.
    pub fn play(
        self,
        target: &mut impl Target,
        accesses: &[Access],
        latencies: &mut Latencies,
        goes_on: impl Fn() -> bool,
    ) -> Result<usize> {
        let watch = Stopwatch::start();
        let mut due = 0u64;
        for (done, access) in accesses.iter().enumerate() {
            if !goes_on() {
                return Ok(done);
            }
            while nanoseconds(watch) < due {
                std::hint::spin_loop();
            }
            target.apply(access)?;
            latencies.record(nanoseconds(watch).saturating_sub(due));
            due = due.saturating_add(self.interval_ns);
        }
        Ok(accesses.len())
    }
}

fn nanoseconds(watch: Stopwatch) -> u64 {
    u64::try_from(watch.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
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
    }

    #[test]
    fn what_waits_behind_a_slow_access_is_charged_for_it() {
        let mut latencies = Latencies::new().unwrap();
        let accesses = [Access::of(1, Operation::ValueGet); 100];
        // One is due each millisecond, so that some fifty are late.
        let pace = Pace::of(0.000_25);
        assert_eq!(pace.interval_ns, 1_000_000);
        assert_eq!(pace.play(&mut Stalls(false), &accesses, &mut latencies, || true).unwrap(), 100);
        assert!(latencies.len() == 100 && latencies.max() >= 50_000_000);
        assert!(latencies.at(0.75) > 20_000_000, "{}", latencies.at(0.75));
    }

    #[test]
    fn it_ends_when_it_is_told() {
        let left = Cell::new(7);
        let goes_on = || left.replace(left.get() - 1) > 0;
        let mut latencies = Latencies::new().unwrap();
        let accesses = [Access::of(1, Operation::ValueGet); 100];
        let done = Pace::of(0.0).play(&mut Stalls(true), &accesses, &mut latencies, goes_on);
        assert_eq!((done.unwrap(), latencies.len(), latencies.is_empty()), (7, 7, false));
    }
}
