//! Wall clock and processor time.

use std::time::{Duration, Instant, SystemTime};

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

/// The date in UTC, as year, month and day: `2026-11-29`.
#[expect(clippy::disallowed_methods, reason = "a report says when it was made")]
pub fn today() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    date(since.map_or(0, |since| since.as_secs() / (24 * 60 * 60)))
}

/// The date so many days after the first of January 1970. Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn date(days: u64) -> String {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Months from March on.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{day:02}", year + era * 400 + next)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let dates = [
            (0, "1970-01-01"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (19_722, "2023-12-31"),
            (20_786, "2026-11-29"),
        ];
        for (days, text) in dates {
            assert_eq!(date(days), text);
        }
        assert!(today().as_str() > "2026-01-01");
    }
}
