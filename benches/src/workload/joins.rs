//! Joins of two inputs: in tumbling and sliding windows, over an interval of time, and of what is valid.
//!
//! Each side has states of its own, which are told apart by the window: twice its begin, and one more for
//! the second side.

use super::stream::{Event, Operator, Output, Timer, drive};
use super::windows::Regular;
use super::{Access, Operation, Workload};

/// Length of a window.
const SIZE_MS: u64 = 5_000;
/// From the begin of a sliding window to that of the next.
const SLIDE_MS: u64 = 1_000;
/// How far apart the times of joined events may be.
const INTERVAL_MS: u64 = 2_000;
/// How long an event is valid.
const VALID_MS: u64 = 5_000;

/// All of them.
pub fn all() -> Vec<Workload> {
    let of = |name, run| Workload { name, fill: super::empty, run };
    vec![
        of("tumbling.join", |shape, keys| drive(shape, keys, Windowed(every(SIZE_MS)))),
        of("sliding.join", |shape, keys| drive(shape, keys, Windowed(every(SLIDE_MS)))),
        of("interval.join", |shape, keys| drive(shape, keys, Interval)),
        of("continuous.join", |shape, keys| drive(shape, keys, Continuous)),
    ]
}

const fn every(slide_ms: u64) -> Regular {
    Regular { size_ms: SIZE_MS, slide_ms }
}

/// Where a side's state of this window is.
const fn of_side(window: u64, side: u64) -> u64 {
    window * 2 + side
}

/// The lists of both sides are read when a window ends.
struct Windowed(Regular);

impl Operator for Windowed {
    fn event(&mut self, event: &Event, out: &mut Output) {
        for window in self.0.of(event.time_ms) {
            let at = of_side(window, event.side);
            out.access(Access::within(event.key, at, Operation::ListAdd(event.blob)));
            out.timer(Timer { time_ms: self.0.end(window), key: event.key, window });
        }
    }

    fn timer(&mut self, timer: &Timer, out: &mut Output) {
        for operation in [Operation::ListGet, Operation::ListClear] {
            for side in [0, 1] {
                out.access(Access::within(timer.key, of_side(timer.window, side), operation));
            }
        }
    }
}

/// Events wait in a map by time, and meet those of the other side.
struct Interval;

impl Operator for Interval {
    fn event(&mut self, event: &Event, out: &mut Output) {
        let insert = Operation::MapInsert(event.time_ms, event.blob);
        out.access(Access::within(event.key, event.side, insert));
        out.access(Access::within(event.key, 1 - event.side, Operation::MapScan));
        let time_ms = event.time_ms + INTERVAL_MS;
        out.timer(Timer { time_ms, key: event.key, window: event.side });
    }

    fn timer(&mut self, timer: &Timer, out: &mut Output) {
        let remove = Operation::MapRemove(timer.time_ms - INTERVAL_MS);
        out.access(Access::within(timer.key, timer.window, remove));
    }
}

/// The newest event of each side is joined with that of the other while it is valid.
struct Continuous;

impl Operator for Continuous {
    fn event(&mut self, event: &Event, out: &mut Output) {
        out.access(Access::within(event.key, event.side, Operation::ValueSet(event.blob)));
        out.access(Access::within(event.key, 1 - event.side, Operation::ValueGet));
        let time_ms = event.time_ms + VALID_MS;
        out.timer(Timer { time_ms, key: event.key, window: event.side });
    }

    fn timer(&mut self, timer: &Timer, out: &mut Output) {
        out.access(Access::within(timer.key, timer.window, Operation::ValueClear));
    }
}
