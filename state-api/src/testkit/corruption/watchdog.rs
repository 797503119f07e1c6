//! Names the fault after which nothing comes back.
//!
//! What takes a second of processor time is found when it ends. What never ends would leave a test that
//! says nothing: after minutes in one place the process is aborted, with the fault's name. No test
//! passes or fails by this clock otherwise.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Longer than any fault takes on any machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// Watches the faults of one run.
#[derive(Debug)]
pub(super) struct Watchdog(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    over: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Counts the faults.
    turn: u64,
    fault: String,
    over: bool,
}

impl Default for Watchdog {
    fn default() -> Self {
        let shared = Arc::new(Shared::default());
        let watched = Arc::clone(&shared);
        std::thread::spawn(move || guard(&watched));
        Self(shared)
    }
}

impl Watchdog {
    /// A fault begins.
    pub(super) fn watch(&self, fault: impl FnOnce() -> String) {
        let mut state = self.0.state.lock();
        state.turn += 1;
        state.fault = fault();
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.0.state.lock().over = true;
        self.0.over.notify_all();
    }
}

#[expect(clippy::print_stderr, reason = "the last words of the process")]
fn guard(shared: &Shared) {
    let mut state = shared.state.lock();
    while !state.over {
        let turn = state.turn;
        let waited = shared.over.wait_for(&mut state, PATIENCE);
        if waited.timed_out() && !state.over && turn > 0 && state.turn == turn {
            eprintln!("corruption: hangs after {}", state.fault);
            std::process::abort();
        }
    }
}
