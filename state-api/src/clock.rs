//! Time, injected: nothing else in Alluvium reads a clock.
//!
//! # Role
//! Backends and the checkpoint coordinator are given an `Arc<dyn Clock>`. They measure durations
//! with [`Clock::now`] and stamp data (expiry, statistics) with [`Clock::wall_clock_ms`]. The hot
//! path reads no clock at all.
//!
//! # Invariants
//! 1. `now` never goes back, on any thread; `wall_clock_ms` may.
//! 2. A [`ManualClock`] moves only when it is told to, so that a run repeats from its seed.
//!
//! ```
//! use std::time::Duration;
//! use alluvium_state_api::clock::{Clock, ManualClock};
//!
//! let clock = ManualClock::at(1_000);
//! clock.advance(Duration::from_secs(2));
//! assert_eq!((clock.now(), clock.wall_clock_ms()), (Duration::from_secs(2), 3_000));
//! ```

use std::fmt::Debug;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

/// A source of time.
pub trait Clock: Debug + Send + Sync {
    /// Monotonic time since an origin of the clock's own choice: only differences mean something.
    fn now(&self) -> Duration;

    /// Milliseconds since the Unix epoch; 0 if the system's clock stands before it.
    fn wall_clock_ms(&self) -> u64;
}

/// The machine's clocks. The origin of [`Clock::now`] is the moment of construction.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock that starts now.
    #[expect(clippy::disallowed_methods, reason = "this is the clock that others are given")]
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock that others are given")]
    fn wall_clock_ms(&self) -> u64 {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since_epoch.map_or(0, millis)
    }
}

/// A clock that stands still until it is moved; shared by reference or in an `Arc`.
#[derive(Debug, Default)]
pub struct ManualClock {
    times: Mutex<Times>,
}

#[derive(Debug, Default)]
struct Times {
    monotonic: Duration,
    wall_ms: u64,
}

impl ManualClock {
    /// A clock at monotonic zero whose wall clock shows `wall_ms`.
    pub fn at(wall_ms: u64) -> Self {
        let times = Times { monotonic: Duration::ZERO, wall_ms };
        Self { times: Mutex::new(times) }
    }

    /// Moves both clocks forward, stopping at the end of time.
    pub fn advance(&self, by: Duration) {
        let mut times = self.times.lock();
        times.monotonic = times.monotonic.saturating_add(by);
        times.wall_ms = times.wall_ms.saturating_add(millis(by));
    }

    /// Sets the wall clock alone, also backwards, as an operator or NTP may do.
    pub fn set_wall_clock_ms(&self, wall_ms: u64) {
        self.times.lock().wall_ms = wall_ms;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Duration {
        self.times.lock().monotonic
    }

    fn wall_clock_ms(&self) -> u64 {
        self.times.lock().wall_ms
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_never_goes_back_and_knows_the_century() {
        let clock = SystemClock::new();
        let (first, second) = (clock.now(), clock.now());
        assert!(second >= first);
        assert!(clock.wall_clock_ms() > 1_500_000_000_000);
    }

    #[test]
    fn a_manual_clock_moves_only_when_told_and_saturates() {
        let clock = ManualClock::at(5);
        assert_eq!((clock.now(), clock.wall_clock_ms()), (Duration::ZERO, 5));
        clock.set_wall_clock_ms(1);
        assert_eq!((clock.now(), clock.wall_clock_ms()), (Duration::ZERO, 1));
        clock.advance(Duration::MAX);
        clock.advance(Duration::MAX);
        assert_eq!((clock.now(), clock.wall_clock_ms()), (Duration::MAX, u64::MAX));
    }
}
