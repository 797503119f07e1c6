//! The threads that requests run on, and their errors.
//!
//! Callers may be threads of an async runtime themselves, so nothing is ever driven on theirs: a request
//! is spawned on threads of our own, and the caller waits on a channel.

use std::fmt;
use std::future::Future;
use std::sync::mpsc;

use alluvium_state_api::{Error, ErrorKind, Result};
use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle, Runtime};

/// A few threads, started with the first request.
#[derive(Default)]
pub(super) struct Executor(Mutex<Option<Runtime>>);

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Executor")
    }
}

impl Executor {
    fn handle(&self) -> Result<Handle> {
        let mut runtime = self.0.lock();
        if let Some(running) = &*runtime {
            return Ok(running.handle().clone());
        }
        let built = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("object-store")
            .enable_all()
            .build()
            .map_err(|error| {
                Error::unavailable("threads for object storage cannot be started")
                    .with_source(error)
            })?;
        Ok(runtime.insert(built).handle().clone())
    }

    /// Begins `request`; its answer comes through the channel.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        request: impl Future<Output = T> + Send + 'static,
    ) -> Result<mpsc::Receiver<T>> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let handle = self.handle()?;
        drop(handle.spawn(async move { drop(sender.send(request.await)) }));
        Ok(receiver)
    }

    /// Runs `request` to its end.
    pub(super) fn run<T: Send + 'static>(
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
pub(super) fn interrupted() -> Error {
    Error::unavailable("a request to the object store ended without an answer")
}

/// What else is known of a failure, by words of protocols in its text, which itself is not shown.
fn known(error: &object_store::Error) -> Option<&'static str> {
    let text = error.to_string();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if has(&["redirect", "AuthorizationHeaderMalformed", "PermanentRedirect"]) {
        Some("the bucket is in another region; set s3.endpoint.region")
    } else if has(&["NoSuchBucket", "ContainerNotFound"]) {
        Some("there is no such bucket or container")
    } else if has(&["RequestTimeTooSkewed"]) {
        Some("the clock of this machine is wrong")
    } else {
        None
    }
}

/// An error of the store without its text: the body of a response can repeat credentials.
#[cold]
pub(super) fn failed(operation: &'static str, key: &str, error: &object_store::Error) -> Error {
    use object_store::Error as Store;
    let (kind, what) = match error {
        Store::NotFound { .. } => (ErrorKind::NotFound, "there is no such object"),
        Store::InvalidPath { .. } => (ErrorKind::InvalidInput, "this is no name of an object"),
        Store::PermissionDenied { .. } => {
            (ErrorKind::Unavailable, "access is denied; check the permissions")
        }
        Store::Unauthenticated { .. } => (
            ErrorKind::Unavailable,
            "there are no credentials, or they are not accepted; check them",
        ),
        Store::NotSupported { .. } | Store::NotImplemented { .. } => {
            (ErrorKind::Unsupported, "the object store cannot do this")
        }
        Store::AlreadyExists { .. } | Store::Precondition { .. } => {
            (ErrorKind::Unavailable, "the object was changed meanwhile")
        }
        _ => (ErrorKind::Unavailable, "the object store failed or did not answer"),
    };
    let what = known(error).unwrap_or(what);
    Error::new(kind, format!("{operation} failed: {what}")).with_operation(operation).with_path(key)
}
