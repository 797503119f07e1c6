//! Events with times, timers, and operators over them: what turns a stream into accesses.
//!
//! Events come at the shape's rate. The time of one is up to [`LATENESS_MS`] earlier, so that they are out of
//! order as in real streams; the watermark is behind by as much, so that no event comes after it. A timer
//! fires when the watermark has passed it, before the next event.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;

use super::draw::Draw;
use super::{Access, Accesses, Blob, Shape};
use crate::keys::mix;

/// How much out of order events are, in milliseconds.
pub const LATENESS_MS: u64 = 1_000;

/// An event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    pub(super) key: u64,
    /// When it happened, in milliseconds.
    pub(super) time_ms: u64,
    /// By which of two inputs it came: 0 or 1.
    pub(super) side: u64,
    /// What it brings.
    pub(super) blob: Blob,
}

/// What an operator asked to be told, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Timer {
    pub(super) time_ms: u64,
    pub(super) key: u64,
    /// The window, or whatever the operator knows it by.
    pub(super) window: u64,
}

/// What an operator does at an event or a timer.
#[derive(Debug, Default)]
pub(super) struct Output {
    accesses: VecDeque<Access>,
    timers: BTreeSet<Timer>,
}

impl Output {
    /// The next access that was asked for.
    pub(super) fn next(&mut self) -> Option<Access> {
        self.accesses.pop_front()
    }

    /// The next timer that the watermark has passed.
    pub(super) fn due(&mut self, watermark_ms: u64) -> Option<Timer> {
        let first = self.timers.first().copied()?;
        (first.time_ms <= watermark_ms && self.timers.remove(&first)).then_some(first)
    }

    pub(super) fn access(&mut self, access: Access) {
        self.accesses.push_back(access);
    }

    /// Asks for a timer, unless the same is there.
    pub(super) fn timer(&mut self, timer: Timer) {
        self.timers.insert(timer);
    }

    pub(super) fn remove_timer(&mut self, timer: Timer) {
        self.timers.remove(&timer);
    }
}

/// An operator of a stream processor, as far as its state notices.
pub(super) trait Operator: Send + 'static {
    fn event(&mut self, event: &Event, out: &mut Output);

    fn timer(&mut self, timer: &Timer, out: &mut Output);
}

/// The accesses of an operator over a stream of events, without end.
struct Driven<O> {
    operator: O,
    keys: Draw,
    shape: Shape,
    arrived: u64,
    out: Output,
}

impl<O> fmt::Debug for Driven<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driven").field("arrived", &self.arrived).finish_non_exhaustive()
    }
}

/// What `operator` does with a stream of this shape.
pub(super) fn drive<O: Operator>(shape: &Shape, keys: Draw, operator: O) -> Accesses {
    let (shape, out) = (shape.clone(), Output::default());
    Box::new(Driven { operator, keys, shape, arrived: 0, out })
}

impl<O: Operator> Driven<O> {
    /// The next event, after the timers that the watermark has passed.
    fn step(&mut self) {
        let now = self.arrived.saturating_mul(1_000) / self.shape.rate.max(1);
        while let Some(timer) = self.out.due(now) {
            self.operator.timer(&timer, &mut self.out);
        }
        let random = mix(self.shape.seed ^ mix(self.arrived));
        self.arrived = self.arrived.wrapping_add(1);
        let event = Event {
            key: self.keys.next().unwrap_or_default(),
            // Times begin at the lateness, so that none is below 0 and the watermark is `now`.
            time_ms: now.saturating_add(LATENESS_MS).saturating_sub(random % LATENESS_MS),
            side: random >> 63,
            blob: Blob { seed: random, bytes: self.shape.value_bytes },
        };
        self.operator.event(&event, &mut self.out);
    }
}

impl<O: Operator> Iterator for Driven<O> {
    type Item = Access;

    fn next(&mut self) -> Option<Access> {
        loop {
            if let Some(access) = self.out.next() {
                return Some(access);
            }
            self.step();
        }
    }
}
