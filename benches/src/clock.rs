//! Wall clock and processor time.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Seconds of wall-clock time since it was started.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts.
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    /// The time since, in seconds; never 0, so that it can be divided by.
    pub fn seconds(self) -> f64 {
        self.elapsed().as_secs_f64().max(1e-9)
    }
}

/// Runs `work`; returns what it yields and the seconds of wall-clock time that it took.
pub fn timed<R>(work: impl FnOnce() -> R) -> (R, f64) {
    let watch = Stopwatch::start();
    let result = work();
    (result, watch.seconds())
}

/// What a comparison counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meter {
    /// Wall-clock time: for work that waits for a disk or another thread.
    Wall,
    /// Processor time of this thread: for work that only computes, so that what other processes of
    /// the machine do counts less.
    Processor,
}

impl Meter {
    /// Runs `work`; returns what it yields and how many seconds it took, never 0.
    pub fn time<R>(self, work: impl FnOnce() -> R) -> (R, f64) {
        if self == Self::Wall {
            return timed(work);
        }
        let before = thread_cpu_ns();
        let result = work();
        let nanos = thread_cpu_ns().saturating_sub(before);
        (result, Duration::from_nanos(nanos).as_secs_f64().max(1e-9))
    }
}

/// Processor time of this thread so far, in nanoseconds.
pub fn thread_cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    seconds.unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(nanos.unwrap_or(0))
}
