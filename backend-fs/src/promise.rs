//! [`Promise`]: a segment that somebody in the background makes.

use std::sync::Arc;
use std::time::Duration;

use alluvium_state_api::snapshot::CancelToken;
use alluvium_state_api::{Error, Result};
use parking_lot::{Condvar, Mutex};

use crate::member::Member;

/// How long a waiter sleeps before it looks whether it was cancelled.
const PATIENCE: Duration = Duration::from_millis(20);

/// What background work yields: a segment, or nothing where there was nothing to write.
type Outcome = std::result::Result<Option<Arc<Member>>, Arc<Error>>;

/// A segment to come; see the module's page.
#[derive(Debug, Default)]
pub(crate) struct Promise {
    outcome: Mutex<Option<Outcome>>,
    done: Condvar,
}

impl Promise {
    /// The outcome, if it is there already.
    pub(crate) fn poll(&self) -> Option<Result<Option<Arc<Member>>>> {
        self.outcome.lock().as_ref().map(answer)
    }

    /// Whether the work has ended, however it did.
    pub(crate) fn is_done(&self) -> bool {
        self.outcome.lock().is_some()
    }

    /// Waits for the outcome.
    ///
    /// # Errors
    /// `Cancelled`; why there is no segment.
    pub(crate) fn wait(&self, cancel: &CancelToken) -> Result<Option<Arc<Member>>> {
        let mut outcome = self.outcome.lock();
        loop {
            if let Some(outcome) = &*outcome {
                return answer(outcome);
            }
            cancel.check()?;
            self.done.wait_for(&mut outcome, PATIENCE);
        }
    }

    /// Waits until the work has ended, however it did.
    pub(crate) fn wait_until_done(&self) {
        let mut outcome = self.outcome.lock();
        while outcome.is_none() {
            self.done.wait(&mut outcome);
        }
    }

    fn keep(&self, outcome: Outcome) {
        *self.outcome.lock() = Some(outcome);
        self.done.notify_all();
    }
}

fn answer(outcome: &Outcome) -> Result<Option<Arc<Member>>> {
    match outcome {
        Ok(segment) => Ok(segment.clone()),
        Err(error) => Err(Error::new(error.kind(), error.message()).with_source(Arc::clone(error))),
    }
}

/// The side that keeps a promise; one that is dropped tells that the work was given up.
#[derive(Debug)]
pub(crate) struct Keeper(Option<Arc<Promise>>);

impl Keeper {
    /// The keeper of a promise.
    pub(crate) fn new(promise: &Arc<Promise>) -> Self {
        Self(Some(Arc::clone(promise)))
    }

    /// Says how the work ended.
    pub(crate) fn keep(mut self, outcome: Result<Option<Arc<Member>>>) {
        if let Some(promise) = self.0.take() {
            promise.keep(outcome.map_err(Arc::new));
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if let Some(promise) = self.0.take() {
            let text = "background work ended without a result";
            promise.keep(Err(Arc::new(Error::unavailable(text))));
        }
    }
}
