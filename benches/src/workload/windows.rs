//! Windows over events: tumbling, sliding and in sessions; incremental, where a window keeps a sum, and
//! holistic, where it keeps every event in a list; and aggregation without windows.
//!
//! A window's state is read and removed when the watermark passes its end. Windows are named by their
//! begins. Sessions that an event joins keep the state of the first and take in that of the others, as
//! Flink's merging windows do.

use std::collections::{BTreeMap, HashMap};

use super::draw::Draw;
use super::stream::{Event, Operator, Output, Timer, drive};
use super::{Access, Accesses, Operation, Shape, Workload};

/// Length of a window.
const SIZE_MS: u64 = 5_000;
/// From the begin of a sliding window to that of the next.
const SLIDE_MS: u64 = 1_000;
/// Silence that ends a session.
const GAP_MS: u64 = 2_000;

/// All of them.
pub fn all() -> Vec<Workload> {
    let of = |name, run| Workload { name, fill: super::empty, run };
    vec![
        of("tumbling.incremental", |shape, keys| sliding(shape, keys, SIZE_MS, Kept::Sum)),
        of("tumbling.holistic", |shape, keys| sliding(shape, keys, SIZE_MS, Kept::List)),
        of("sliding.incremental", |shape, keys| sliding(shape, keys, SLIDE_MS, Kept::Sum)),
        of("sliding.holistic", |shape, keys| sliding(shape, keys, SLIDE_MS, Kept::List)),
        of("session.incremental", |shape, keys| sessions(shape, keys, Kept::Sum)),
        of("session.holistic", |shape, keys| sessions(shape, keys, Kept::List)),
        of("continuous.aggregation", |shape, keys| drive(shape, keys, Aggregation)),
    ]
}

/// What a window keeps.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kept {
    Sum,
    List,
}

impl Kept {
    const fn add(self, event: &Event) -> Operation {
        match self {
            Self::Sum => Operation::SumAdd(event.blob.seed),
            Self::List => Operation::ListAdd(event.blob),
        }
    }

    const fn merge(self, source: u64) -> Operation {
        match self {
            Self::Sum => Operation::MergeSum(source),
            Self::List => Operation::MergeList(source),
        }
    }

    /// The window is read and removed.
    pub(super) fn fire(self, key: u64, window: u64, out: &mut Output) {
        let (get, clear) = match self {
            Self::Sum => (Operation::SumGet, Operation::SumClear),
            Self::List => (Operation::ListGet, Operation::ListClear),
        };
        out.access(Access::within(key, window, get));
        out.access(Access::within(key, window, clear));
    }
}

/// Windows of one length that begin at regular times; tumbling where they don't overlap.
#[derive(Clone, Copy, Debug)]
pub(super) struct Regular {
    pub(super) size_ms: u64,
    pub(super) slide_ms: u64,
}

impl Regular {
    /// The begins of the windows that hold this time.
    pub(super) fn of(self, time_ms: u64) -> impl Iterator<Item = u64> {
        let last = time_ms - time_ms % self.slide_ms;
        let begins = move |back| last.checked_sub(back * self.slide_ms);
        (0..self.size_ms / self.slide_ms).filter_map(begins)
    }

    /// When a window ends that begins then.
    pub(super) const fn end(self, window: u64) -> u64 {
        window + self.size_ms
    }
}

/// Each event goes into all windows that hold its time.
pub(super) struct Sliding {
    pub(super) windows: Regular,
    pub(super) kept: Kept,
}

fn sliding(shape: &Shape, keys: Draw, slide_ms: u64, kept: Kept) -> Accesses {
    let windows = Regular { size_ms: SIZE_MS, slide_ms };
    drive(shape, keys, Sliding { windows, kept })
}

impl Operator for Sliding {
    fn event(&mut self, event: &Event, out: &mut Output) {
        for window in self.windows.of(event.time_ms) {
            out.access(Access::within(event.key, window, self.kept.add(event)));
            out.timer(Timer { time_ms: self.windows.end(window), key: event.key, window });
        }
    }

    fn timer(&mut self, timer: &Timer, out: &mut Output) {
        self.kept.fire(timer.key, timer.window, out);
    }
}

/// A session: its end, and the window that holds its state.
#[derive(Clone, Copy, Debug)]
struct Session {
    end_ms: u64,
    window: u64,
}

/// Sessions of each key, by their begins.
pub(super) struct Sessions {
    kept: Kept,
    gap_ms: u64,
    open: HashMap<u64, BTreeMap<u64, Session>>,
    /// Names of windows: begins may come again after a session has moved.
    next_window: u64,
}

fn sessions(shape: &Shape, keys: Draw, kept: Kept) -> Accesses {
    drive(shape, keys, Sessions::new(kept, GAP_MS))
}

impl Sessions {
    pub(super) fn new(kept: Kept, gap_ms: u64) -> Self {
        Self { kept, gap_ms, open: HashMap::new(), next_window: 0 }
    }

    /// The sessions of the key that a new one from `begin` to `end` touches are taken out.
    fn touched(open: &mut BTreeMap<u64, Session>, begin: u64, end: u64) -> Vec<(u64, Session)> {
        let touched =
            |(from, session): &(&u64, &mut Session)| **from <= end && session.end_ms >= begin;
        let begins: Vec<u64> = open.iter_mut().filter(touched).map(|(from, _)| *from).collect();
        begins.into_iter().filter_map(|from| open.remove_entry(&from)).collect()
    }
}

impl Operator for Sessions {
    fn event(&mut self, event: &Event, out: &mut Output) {
        let (mut begin, mut end) = (event.time_ms, event.time_ms + self.gap_ms);
        let open = self.open.entry(event.key).or_default();
        let touched = Self::touched(open, begin, end);
        let mut window = None;
        for (from, session) in touched {
            let time_ms = session.end_ms;
            out.remove_timer(Timer { time_ms, key: event.key, window: session.window });
            (begin, end) = (begin.min(from), end.max(session.end_ms));
            match window {
                None => window = Some(session.window),
                Some(first) => {
                    let merge = self.kept.merge(session.window);
                    out.access(Access::within(event.key, first, merge));
                }
            }
        }
        let window = window.unwrap_or_else(|| {
            self.next_window += 1;
            self.next_window
        });
        out.access(Access::within(event.key, window, self.kept.add(event)));
        open.insert(begin, Session { end_ms: end, window });
        out.timer(Timer { time_ms: end, key: event.key, window });
    }

    fn timer(&mut self, timer: &Timer, out: &mut Output) {
        self.kept.fire(timer.key, timer.window, out);
        if let Some(open) = self.open.get_mut(&timer.key) {
            open.retain(|_, session| session.window != timer.window);
            if open.is_empty() {
                self.open.remove(&timer.key);
            }
        }
    }
}

/// A sum of each key that is told after each event.
struct Aggregation;

impl Operator for Aggregation {
    fn event(&mut self, event: &Event, out: &mut Output) {
        out.access(Access::of(event.key, Operation::SumAdd(event.blob.seed)));
        out.access(Access::of(event.key, Operation::SumGet));
    }

    fn timer(&mut self, _: &Timer, _: &mut Output) {}
}
