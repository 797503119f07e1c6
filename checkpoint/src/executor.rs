//! The threads that requests to storage over a network run on.
//!
//! Callers may be threads of an async runtime themselves, so nothing is ever driven on theirs: a request
//! is spawned on threads of our own, and the caller waits on a channel.

use std::fmt;
use std::future::Future;
use std::sync::mpsc;

use alluvium_state_api::{Error, Result};
use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle, Runtime};

/// A few threads, started with the first request.
#[derive(Default)]
pub(crate) struct Executor(Mutex<Option<Runtime>>);

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Executor")
    }
}

impl Executor {
    /// The runtime that requests run on.
    pub(crate) fn handle(&self) -> Result<Handle> {
        let mut runtime = self.0.lock();
        if let Some(running) = &*runtime {
            return Ok(running.handle().clone());
        }
        let built = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("storage-request")
            .enable_all()
            .build()
            .map_err(|error| {
                Error::unavailable("threads for requests to storage cannot be started")
                    .with_source(error)
            })?;
        Ok(runtime.insert(built).handle().clone())
    }

    /// Begins `request`; its answer comes through the channel.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        request: impl Future<Output = T> + Send + 'static,
    ) -> Result<mpsc::Receiver<T>> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let handle = self.handle()?;
        drop(handle.spawn(async move { drop(sender.send(request.await)) }));
        Ok(receiver)
    }

    /// Runs `request` to its end.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        request: impl Future<Output = T> + Send + 'static,
    ) -> Result<T> {
        self.spawn(request)?.recv().map_err(|_gone| interrupted())
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.get_mut().take() {
            runtime.shutdown_background();
        }
    }
}

/// The error of a request that ended without an answer.
pub(crate) fn interrupted() -> Error {
    Error::unavailable("a request to storage ended without an answer")
}
