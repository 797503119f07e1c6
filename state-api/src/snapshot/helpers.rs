//! Threads that help a snapshot's task, for backends whose tasks encode more than one core can, or a restore that takes
//! many files in.
//!
//! A task owns one thread: the one that it runs on. What it starts beside that must not take the processor
//! from the thread that works on the state, which is why helpers have a lower priority, and how much there
//! is to gain decides how many there are. Whoever uses them must be able to do without: where the machine
//! is busy they get next to nothing, and where there are no more threads to be had they do not exist.

use std::num::NonZeroUsize;
use std::thread::{self, Scope, ScopedJoinHandle};

/// More threads would wait for each other's writes.
const MOST_THREADS: usize = 4;

/// How many threads a task may have, its own included: as many as there are cores, or less where the work is
/// worth only so many.
pub fn most_threads(worth: usize) -> usize {
    if worth < 2 {
        return 1;
    }
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    // Where a helper cannot stand back, a core is left to the state's writer.
    let spare = if cfg!(target_os = "linux") { cores } else { cores.saturating_sub(1) };
    spare.clamp(1, worth.min(MOST_THREADS))
}

/// Runs `help` in a thread whose priority is lower by `nice`, as the command of that name has it: 19 is the
/// lowest there is. `None` where there is no thread to be had: the task then does all of the work.
///
/// ```
/// use alluvium_state_api::snapshot::helpers;
///
/// let sum = std::thread::scope(|scope| {
///     let helper = helpers::spawn(scope, 19, || 1);
///     2 + helper.map_or(0, |helper| helper.join().unwrap_or(0))
/// });
/// assert!(sum == 3 || sum == 2);
/// ```
pub fn spawn<'scope, R: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    nice: i32,
    help: impl FnOnce() -> R + Send + 'scope,
) -> Option<ScopedJoinHandle<'scope, R>> {
    let help = move || {
        lower_priority(nice);
        help()
    };
    thread::Builder::new().name("alluvium-snapshot".into()).spawn_scoped(scope, help).ok()
}

/// Gives this thread a lower priority, on Linux, where that is for the calling thread alone; where it fails
/// the thread works on with the one it has.
fn lower_priority(by: i32) {
    #[cfg(target_os = "linux")]
    let _unchanged_on_error = rustix::process::nice(by);
    #[cfg(not(target_os = "linux"))]
    let _ = by;
}
