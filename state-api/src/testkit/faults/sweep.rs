//! A fault at every operation of a script, and the power cut at every operation.

use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::Arc;

use super::super::harness::Harness;
use super::Budget;
use super::check::{Checker, not_swallowed};
use super::job::{Job, Ledger};
use super::master::{Master, Place};
use super::script::Script;
use crate::vfs::faulty::{EINVAL, EIO, ENOSPC, Fault, Operation};
use crate::vfs::{FaultyFs, FileSystem, MemoryFs};

/// `EINTR`: a signal came first.
const EINTR: i32 = 4;
/// `EMFILE`: the process has too many files open.
const EMFILE: i32 = 24;

/// What is tried at every operation.
pub const FAULTS: [Fault; 7] = [
    Fault::Fails(EIO),
    Fault::Fails(ENOSPC),
    Fault::Fails(EMFILE),
    Fault::Fails(EINTR),
    Fault::Fails(EINVAL),
    Fault::HappensButFails(EIO),
    Fault::Short,
];

/// Puts something between the product and the file system that fails: for canaries.
pub type Wrap<'a> = &'a dyn Fn(Arc<dyn FileSystem>) -> Arc<dyn FileSystem>;

/// What was tried, and what was wrong.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Operations of the scripts at which something was tried.
    pub points: u64,
    /// Faults that were injected.
    pub faults: u64,
    /// Power cuts.
    pub cuts: u64,
    /// States of the file system that were looked at.
    pub states: u64,
    /// Snapshots that were restored and compared.
    pub restores: u64,
    /// What did not hold, and when.
    pub bad: Vec<String>,
}

impl Outcome {
    fn add(&mut self, result: Result<(), String>, when: impl FnOnce() -> String) {
        if let Err(problem) = result {
            self.bad.push(format!("{}: {problem}", when()));
        }
    }
}

/// Runs a closure, and makes of a panic what it is: bad.
fn guarded<T>(run: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
        Err(format!("a panic: {}", text.unwrap_or("of an unknown kind")))
    })
}

/// One life of the job in memory.
struct Life<H: Harness, M> {
    job: Job<H, M>,
    faulty: FaultyFs,
    memory: MemoryFs,
    place: Place,
}

/// Lives the script, with `fault` at operation `number`.
fn live<H: Harness, M: Master>(
    script: &Script,
    seed: u64,
    fault: Option<(u64, Fault)>,
    wrap: Wrap<'_>,
) -> Life<H, M> {
    let memory = MemoryFs::new();
    let place = Place { fs: Arc::new(memory.clone()), root: PathBuf::from("/"), seed };
    let (job, faulty) = live_in(&place, script, fault, wrap);
    Life { job, faulty, memory, place }
}

fn live_in<H: Harness, M: Master>(
    place: &Place,
    script: &Script,
    fault: Option<(u64, Fault)>,
    wrap: Wrap<'_>,
) -> (Job<H, M>, FaultyFs) {
    let mut faulty = FaultyFs::new(Arc::clone(&place.fs));
    if let Some((number, fault)) = fault {
        faulty = faulty.with_fault(number, fault);
    }
    let over = Place { fs: wrap(Arc::new(faulty.clone())), ..place.clone() };
    let mut job = Job::new(over, faulty.clone());
    job.run(script);
    (job, faulty)
}

/// How many operations a script has in an empty place.
///
/// # Errors
/// Where it does not go through.
pub fn operations<H: Harness, M: Master>(
    place: &Place,
    script: &Script,
    wrap: Wrap<'_>,
) -> Result<u64, String> {
    let (job, faulty) = live_in::<H, M>(place, script, None, wrap);
    if job.dead { Err("the script fails".into()) } else { Ok(faulty.operations()) }
}

/// Lives a script in an empty place until nothing reaches the file system any more, from operation
/// `number` on; returns what the job was told. It is for the caller to cut the power then.
pub fn live_until<H: Harness, M: Master>(
    place: &Place,
    script: &Script,
    number: u64,
    wrap: Wrap<'_>,
) -> Ledger {
    live_in::<H, M>(place, script, Some((number, Fault::PowerCut)), wrap).0.ledger
}

/// The operations of a script without faults, all of which must hold.
///
/// # Errors
/// What does not.
fn span<H: Harness, M: Master>(
    script: &Script,
    budget: Budget,
    wrap: Wrap<'_>,
) -> Result<Vec<Operation>, String> {
    guarded(|| {
        let mut life = live::<H, M>(script, budget.seed, None, wrap);
        let operations = life.faulty.trace().iter().map(|entry| entry.operation).collect();
        life.job.finish();
        life.job.compare()?;
        let place = life.place.on(wrap(Arc::new(life.memory.clone())));
        Checker::default().check::<H, M>(&place, &life.job.ledger)?;
        Ok(operations)
    })
}

/// Fails every operation of the script, in every way.
pub fn fail_everywhere<H: Harness, M: Master>(
    script: &Script,
    budget: Budget,
    wrap: Wrap<'_>,
    outcome: &mut Outcome,
) {
    let operations = match span::<H, M>(script, budget, wrap) {
        Ok(operations) => operations,
        Err(problem) => return outcome.bad.push(format!("without a fault: {problem}")),
    };
    let mut checker = Checker::default();
    for number in budget.points(operations.len() as u64) {
        outcome.points += 1;
        let operation = usize::try_from(number - 1).ok().and_then(|index| operations.get(index));
        for fault in FAULTS {
            if fault == Fault::Short
                && !matches!(operation, Some(Operation::Read | Operation::Write))
            {
                continue;
            }
            outcome.faults += 1;
            let result = guarded(|| {
                let life = live::<H, M>(script, budget.seed, Some((number, fault)), wrap);
                survived(life, number, fault, wrap, &mut checker, outcome)
            });
            outcome.add(result, || format!("{} {fault:?} at {number}", script.name));
        }
    }
    outcome.restores += checker.restores;
}

/// What must hold of a life with one fault.
fn survived<H: Harness, M: Master>(
    mut life: Life<H, M>,
    number: u64,
    fault: Fault,
    wrap: Wrap<'_>,
    checker: &mut Checker,
    outcome: &mut Outcome,
) -> Result<(), String> {
    if life.job.dead {
        return Err("one fault ended the job".into());
    }
    if life.faulty.operations() < number {
        // A store that merges files beside its writer may do less in one life than in the other, and the
        // fault, which has not struck yet, would strike what follows.
        return Ok(());
    }
    if let Fault::Fails(error @ (EIO | ENOSPC)) | Fault::HappensButFails(error) = fault {
        not_swallowed(&life.job.ledger, &life.faulty.trace(), number, error)?;
    }
    if let Some(path) = life.faulty.retried().first() {
        return Err(format!("I8: {} was lost, and used all the same", path.display()));
    }
    let before = life.job.ledger.completed.len();
    life.job.finish();
    life.job.compare()?;
    if life.job.ledger.completed.len() != before + 1 {
        return Err("the next checkpoint fails".into());
    }
    for left in [life.memory.clone(), life.memory.crash()] {
        outcome.states += 1;
        let place = life.place.on(wrap(Arc::new(left)));
        checker.check::<H, M>(&place, &life.job.ledger)?;
        Checker::check_aborted(&place, &life.job.ledger)?;
    }
    Ok(())
}

/// Cuts the power at every operation of the script, and looks at what may be left.
pub fn cut_everywhere<H: Harness, M: Master>(
    script: &Script,
    budget: Budget,
    wrap: Wrap<'_>,
    outcome: &mut Outcome,
) {
    let operations = match span::<H, M>(script, budget, wrap) {
        Ok(operations) => operations,
        Err(problem) => return outcome.bad.push(format!("without a cut: {problem}")),
    };
    let mut checker = Checker::default();
    // One more: the cut after everything.
    for number in budget.points(operations.len() as u64 + 1) {
        outcome.points += 1;
        outcome.cuts += 1;
        let result = guarded(|| {
            let fault = (number, Fault::PowerCut);
            let life = live::<H, M>(script, budget.seed, Some(fault), wrap);
            for state in 0..budget.crash_states {
                outcome.states += 1;
                let left = match state {
                    0 => life.memory.crash(),
                    state => life.memory.crash_with(budget.seed ^ (state << 32 | number)),
                };
                let place = life.place.on(wrap(Arc::new(left)));
                let checked = checker.check::<H, M>(&place, &life.job.ledger);
                checked.map_err(|problem| format!("state {state}: {problem}"))?;
                if state == 0 {
                    goes_on::<H, M>(&place)?;
                }
            }
            Ok(())
        });
        outcome.add(result, || format!("{} cut at {number}", script.name));
    }
    outcome.restores += checker.restores;
}

/// After a power cut a job starts from what is left and takes its next checkpoint.
///
/// # Errors
/// Where it does not.
pub fn goes_on<H: Harness, M: Master>(place: &Place) -> Result<(), String> {
    let faulty = FaultyFs::new(Arc::clone(&place.fs));
    let place = Place { fs: Arc::new(faulty.clone()), ..place.clone() };
    let mut job = Job::<H, M>::new(place, faulty);
    job.run(&Script { name: "after", actions: &[] });
    job.finish();
    if job.ledger.completed.len() == 1 { Ok(()) } else { Err("the next checkpoint fails".into()) }
}
