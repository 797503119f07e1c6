//! [`Watch`]: knows whether a store works in the background.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use alluvium_state_api::{Result, Spawner, ThreadSpawner};

/// Runs each job on a thread of its own, and counts those that have not ended. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Watch(Arc<AtomicUsize>);

/// A job that counts until this is dropped, however it ends.
#[derive(Debug)]
struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

impl Watch {
    /// Whether a job runs, or waits for its thread.
    pub fn is_busy(&self) -> bool {
        self.0.load(Ordering::Acquire) > 0
    }
}

impl Spawner for Watch {
    fn spawn(&self, name: &str, job: Box<dyn FnOnce() + Send>) -> Result<()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let running = Running(Arc::clone(&self.0));
        let watched = move || {
            let _running = running;
            job();
        };
        ThreadSpawner.spawn(name, Box::new(watched))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    #[test]
    fn a_watch_is_busy_while_a_job_runs() {
        let watch = Watch::default();
        let (go, wait) = channel::<()>();
        watch.spawn("job", Box::new(move || assert!(wait.recv().is_err()))).unwrap();
        assert!(watch.is_busy());
        drop(go);
        while watch.is_busy() {
            thread::yield_now();
        }
    }

    #[test]
    fn a_job_that_panics_has_ended() {
        let watch = Watch::default();
        watch.spawn("job", Box::new(|| std::panic::resume_unwind(Box::new(())))).unwrap();
        while watch.is_busy() {
            thread::yield_now();
        }
    }
}
