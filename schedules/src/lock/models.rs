//! The models. What lies under a lock is a cell of Loom's, which notices accesses that nothing orders.

#![expect(
    unsafe_code,
    reason = "Loom's cells hand out raw pointers, and the writer goes without the lock"
)]

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use loom::cell::UnsafeCell;
use loom::model::Builder;
use loom::sync::atomic::AtomicU32;
use loom::sync::atomic::Ordering::Relaxed;
use loom::thread;

use super::block::Block;
use super::cell::Fixed;
use super::lock::Lock;
use super::order;
use super::pool::Pool;
use super::raw::Slot;
use super::records::{Origin, UndoLog};
use super::shard::Shard;
use super::view::{Marks, Ticket};

/// A model and its name.
type Model = (&'static str, fn());

/// All of them.
pub(crate) const ALL: [Model; 4] = [
    ("two threads exclude each other", exclusion),
    ("a captured shard is the writer's", || capture(1)),
    ("two snapshots in flight share the writer's changes", || capture(2)),
    ("plain entries come from the copy or from the log", plain_entries),
];

/// Executions that there must be at least, of all models together.
pub(crate) const FEWEST: usize = 150;

/// Runs a model in all its executions, and returns how many there are.
pub(crate) fn explore(preemptions: usize, model: fn()) -> usize {
    let executions = Arc::new(AtomicUsize::new(0));
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    let counted = Arc::clone(&executions);
    builder.check(move || {
        counted.fetch_add(1, Relaxed);
        model();
    });
    executions.load(Relaxed)
}

type Counter = UnsafeCell<u32>;

fn add_one(counter: &Counter) {
    counter.with_mut(|value| {
        // SAFETY: Loom checks that nobody else uses the cell, which is what the model is about.
        unsafe { *value += 1 }
    });
}

fn value(counter: &Counter) -> u32 {
    counter.with(|value| {
        // SAFETY: as in `add_one`.
        unsafe { *value }
    })
}

/// Two threads add one under the lock, twice each, and see what was added before.
fn exclusion() {
    let lock = Arc::new(Lock::new(Counter::new(0)));
    let add_twice = |lock: &Lock<Counter>| (0..2).for_each(|_| add_one(&lock.lock()));
    let other = {
        let lock = Arc::clone(&lock);
        thread::spawn(move || add_twice(&lock))
    };
    add_twice(&lock);
    assert!(other.join().is_ok(), "a thread panicked");
    assert_eq!(value(&lock.lock()), 4);
}

type Key = [u8; 8];
type OneTicket = Ticket<Key, Fixed<8>>;

/// A shard and the tickets that need it, as the writer and the snapshots see them.
struct Shared {
    shard: Lock<Counter>,
    /// A ticket, and how much the writer logged for it (L2).
    tickets: Vec<(OneTicket, Counter)>,
}

impl Shared {
    #[expect(clippy::arc_with_non_send_sync, reason = "Loom's threads take turns on one of ours")]
    fn new(tickets: u32) -> Arc<Self> {
        let tickets = (0..tickets)
            .map(|epoch| (Ticket::new(epoch, 1, &Pool::default()), Counter::new(0)))
            .collect();
        Arc::new(Self { shard: Lock::new(Counter::new(0)), tickets })
    }

    /// Changes the shard as `shared.rs` does (W2): under its lock if any ticket needs it, and then
    /// logs for those that do.
    fn write(&self) {
        if !self.tickets.iter().any(|(ticket, _)| ticket.needs(0)) {
            // SAFETY: no ticket needs the shard any more (W2).
            return add_one(unsafe { &*self.shard.data_ptr() });
        }
        let shard = self.shard.lock();
        for (_, log) in self.tickets.iter().filter(|(ticket, _)| ticket.needs(0)) {
            add_one(log);
        }
        add_one(&shard);
    }

    /// Captures the shard for each ticket, under its lock and with a mark before the lock is released
    /// (V1); then takes the log over, without the lock (L2).
    fn capture(&self) {
        for (ticket, log) in &self.tickets {
            let shard = self.shard.lock();
            let seen = value(&shard);
            ticket.capture_first(0, &Shard::new(Block::NONE, 0, 0), &Pool::default());
            drop(shard);
            assert_eq!(value(log), seen, "the log has what was changed before the capture");
        }
    }
}

/// So many snapshots capture a shard, one after the other, while the writer changes it twice.
fn capture(tickets: u32) {
    let shared = Shared::new(tickets);
    let snapshots = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || shared.capture())
    };
    shared.write();
    shared.write();
    assert!(snapshots.join().is_ok(), "a snapshot panicked");
    shared.write();
}

/// Two entries of a shard whose values, of two words each, are changed in place.
struct Plain {
    entries: [(AtomicU32, [AtomicU32; 2]); 2],
    marks: Marks,
    log: UndoLog<Key, Fixed<8>>,
}

impl Plain {
    /// Changes each entry once, as `shared.rs` does, whose generation then is 1.
    fn write(&self, pool: &Pool<Key, Fixed<8>>) {
        for (place, (generation, value)) in self.entries.iter().enumerate() {
            let keep = || {
                if self.marks.needs(0) {
                    let entry = Slot { key: [0; 8], cell: Fixed([0; 8]) };
                    // SAFETY: this is the log's one writer, and nothing goes to the arena (L3, L4).
                    unsafe { self.log.push(&entry, Origin::new(0, place, (0, 0)), pool) };
                }
                true
            };
            order::before_change(keep, || generation.store(1, Relaxed));
            for word in value {
                word.store(1, Relaxed);
            }
        }
    }

    /// Captures the shard, as `view.rs` does; returns which entries the copy has.
    fn capture(&self) -> [bool; 2] {
        let begin = self.log.end();
        let (mut values, mut copied) = ([[0; 2]; 2], [false; 2]);
        let load = |word: &AtomicU32| word.load(Relaxed);
        order::copy(
            || values = self.entries.each_ref().map(|(_, value)| value.each_ref().map(load)),
            || copied = self.entries.each_ref().map(|(generation, _)| load(generation) == 0),
        );
        for (copied, value) in copied.iter().zip(values) {
            assert!(
                !copied || value == [0; 2],
                "a copy has {value:?} of an entry before its change"
            );
        }
        let end = self.log.end_of((0, begin), |place, _| {
            if let Some(copied) = copied.get_mut(place) {
                *copied = false;
            }
        });
        self.marks.mark(0, end);
        copied
    }
}

/// A snapshot captures entries that the writer changes meanwhile: it gets each one once, as it was, from
/// the copy or from the log.
fn plain_entries() {
    let pool = Pool::default();
    let entry = || (AtomicU32::new(0), [AtomicU32::new(0), AtomicU32::new(0)]);
    let entries = [entry(), entry()];
    let plain = Arc::new(Plain { entries, marks: Marks::new(1), log: UndoLog::new(&pool) });
    let snapshot = {
        let plain = Arc::clone(&plain);
        thread::spawn(move || plain.capture())
    };
    plain.write(&pool);
    let Ok(copied) = snapshot.join() else { panic!("the snapshot panicked") };
    let (mut logged, mut open) = (0, false);
    while !open {
        let (chunk, last) = plain.log.pop_last();
        logged += chunk.records(&plain.marks).count();
        open = last;
    }
    let copied = copied.iter().filter(|copied| **copied).count();
    assert_eq!(logged + copied, 2, "{logged} from the log, {copied} from the copy");
}
