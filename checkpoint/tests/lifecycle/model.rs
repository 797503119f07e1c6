//! Random interleavings of everything that can happen to a job, over storage that may fail now and then.
//!
//! # What it is for
//! The *coordinator*: every call that it has, in any order, with storage work run in place or by somebody
//! else at any later time, and subtasks that answer at their own pace. Each subtask has an inbox, which it
//! works off in order, so that it takes its part of a checkpoint long after later ones were triggered or
//! completed; but notifications may overtake requests. What *storages* do when requests fail, come late or
//! are answered wrongly, over object stores, and two masters at once, is tried by the random lives in
//! `tests/objects/sequences.rs`, whose jobs are simpler.
//!
//! # What is checked
//! After every step: every published checkpoint is whole; every checkpoint ends once; an orderly runtime
//! is never found at fault; numbers never repeat. What completes holds exactly the files that its subtasks
//! acknowledged, and what is claimed those of the original. What was not claimed or disposed of is there,
//! and nothing of the other job is damaged. At the end, when all is quiet: nothing is left but what
//! retained checkpoints and savepoints use.

mod checks;
mod world;

use std::cell::RefCell;
use std::collections::BTreeMap;

use alluvium_checkpoint::{JobEnd, Retention};
use alluvium_state_api::snapshot::SnapshotKind;
use alluvium_state_api::vfs::faulty::{EIO, Fault};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use world::World;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Trigger,
    TriggerFull,
    Savepoint,
    /// A last savepoint; once it is complete the job is shut down, and started again.
    Stop(bool),
    /// A subtask works off so many messages.
    Work(usize, usize),
    /// A subtask is told something while requests before it are still on their way, as calls
    /// overtake barriers that travel with the data.
    Overtake(usize),
    Decline(usize, usize),
    Abort(usize),
    /// Time passes, in tenths of the timeout.
    Tick(u32),
    /// The storage does one thing, where that is deferred.
    Storage(usize),
    /// A subtask dies; the job starts again when time passes.
    Die(usize),
    /// The job fails and starts again, with so many subtasks, from the n-th retained from the end or
    /// the newest savepoint.
    Restart(u32, usize, bool),
    /// The job starts again from a snapshot of another job or an own savepoint, claiming it or not.
    StartFrom(u32, usize, bool),
    Dispose(usize),
    /// Orphans are looked for, or removed; by the coordinator, or by somebody else when that is safe.
    Orphans(bool, bool),
    /// The job ends, and is run again.
    ShutDown(JobEnd, u32),
    /// The master's process dies, or its machine; the job starts again.
    Crash(u32, Option<u64>),
    /// The file system will fail, so many operations from now.
    Fault(u64, Fault),
}

/// What a world is made with.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) kind: SnapshotKind,
    pub(crate) retained: usize,
    pub(crate) retention: Retention,
    pub(crate) max_concurrent: usize,
    pub(crate) in_memory: bool,
    pub(crate) deferred: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ends = [JobEnd::Finished, JobEnd::Cancelled, JobEnd::Failed, JobEnd::Suspended];
    let step = prop_oneof![
        16 => Just(Step::Trigger),
        2 => Just(Step::TriggerFull),
        2 => Just(Step::Savepoint),
        1 => any::<bool>().prop_map(Step::Stop),
        32 => (0..8usize, 1..6usize).prop_map(|(who, count)| Step::Work(who, count)),
        6 => (0..8usize).prop_map(Step::Overtake),
        2 => (0..4usize, 0..8usize).prop_map(|(which, who)| Step::Decline(which, who)),
        2 => (0..4usize).prop_map(Step::Abort),
        4 => (0..12u32).prop_map(Step::Tick),
        16 => (0..2usize).prop_map(Step::Storage),
        1 => (0..8usize).prop_map(Step::Die),
        2 => (1..5u32, 0..3usize, any::<bool>()).prop_map(|(p, n, s)| Step::Restart(p, n, s)),
        2 => (1..5u32, 0..4usize, any::<bool>()).prop_map(|(p, n, c)| Step::StartFrom(p, n, c)),
        1 => (0..4usize).prop_map(Step::Dispose),
        2 => (any::<bool>(), any::<bool>()).prop_map(|(dry, own)| Step::Orphans(dry, own)),
        1 => (0..4usize, 1..5u32).prop_map(move |(end, p)| Step::ShutDown(ends[end], p)),
        4 => (1..120u64, 0..2usize).prop_map(|(at, kind)| {
            Step::Fault(at, [Fault::Fails(EIO), Fault::HappensButFails(EIO)][kind])
        }),
        2 => (1..5u32, any::<Option<u64>>()).prop_map(|(p, power)| Step::Crash(p, power)),
    ];
    prop::collection::vec(step, 1..60)
}

fn settings() -> impl Strategy<Value = Settings> {
    let retention = prop_oneof![
        Just(Retention::NoExternalized),
        Just(Retention::DeleteOnCancellation),
        Just(Retention::RetainOnCancellation),
    ];
    (
        prop::bool::weighted(0.8),
        1..4usize,
        retention,
        1..4usize,
        prop::bool::weighted(0.2),
        any::<bool>(),
    )
        .prop_map(|(incremental, retained, retention, max_concurrent, in_memory, deferred)| {
            let kind = if incremental { SnapshotKind::Incremental } else { SnapshotKind::Full };
            Settings { kind, retained, retention, max_concurrent, in_memory, deferred }
        })
}

/// How often what was tried, by the names of steps.
#[derive(Debug, Default)]
struct Tried {
    lives: u64,
    steps: BTreeMap<String, u64>,
}

impl Tried {
    fn note(&mut self, steps: &[Step]) {
        self.lives += 1;
        for step in steps {
            let name = format!("{step:?}");
            let name = name.split(['(', ' ']).next().unwrap_or_default();
            *self.steps.entry(name.to_owned()).or_default() += 1;
        }
    }

    fn of(&self, names: &[&str]) -> u64 {
        names.iter().filter_map(|name| self.steps.get(*name)).sum()
    }
}

#[test]
fn any_interleaving_leaves_whole_checkpoints_and_no_orphans() {
    let config = ProptestConfig { source_file: Some(file!()), ..ProptestConfig::default() };
    let (lives, tried) = (u64::from(config.cases), RefCell::new(Tried::default()));
    let tested = TestRunner::new(config).run(&(steps(), settings()), |(steps, settings)| {
        let mut world = World::new(&settings);
        for step in &steps {
            world.step(step);
        }
        world.quiesce();
        tried.borrow_mut().note(&steps);
        Ok(())
    });
    tested.unwrap_or_else(|failed| panic!("{failed}"));
    let tried = tried.into_inner();
    let faults = tried.of(&["Fault", "Crash", "Die"]);
    eprintln!("lifecycles: points={} faults={faults} bad=0 steps={:?}", tried.lives, tried.steps);
    let few = |names: &[&str]| lives >= 100 && tried.of(names) < lives / 10;
    let steps =
        ["Fault", "Crash", "StartFrom", "Dispose", "Stop", "ShutDown", "Restart", "Orphans"];
    let missed = steps.iter().any(|name| few(&[name]));
    assert!(tried.lives >= lives && !missed, "too little was tried: {tried:?}");
}
