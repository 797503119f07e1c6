//! Why a run ended early.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use alluvium_state_api::{CheckpointId, Error, ErrorKind};

use crate::source::{SourceError, SourceErrorKind};

/// The result of everything in the job that can fail.
pub(crate) type Result<T, E = JobError> = std::result::Result<T, E>;

/// Why a run ended early.
#[derive(Debug)]
pub(crate) enum JobError {
    /// The request cannot be carried out as it stands.
    Usage(String),
    /// The settings, or the places that they name, cannot be used.
    Request(Error),
    /// The input cannot be read.
    Input(SourceError),
    /// State, checkpoint or storage failed.
    State(Error),
    /// Another process runs the job in this directory.
    Busy(PathBuf),
    /// Another process takes checkpoints of the job where there are no locks: this one is its.
    Overtaken(CheckpointId),
    /// It was told to stop.
    Interrupted,
    /// A thread of the job panicked: a defect.
    Panicked(String),
}

impl JobError {
    /// A request that cannot be carried out.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    /// An error from before the run began: a refusal is the request's fault.
    pub(super) fn before_the_run(self) -> Self {
        match self {
            Self::State(error)
                if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) =>
            {
                Self::Request(error)
            }
            other => other,
        }
    }

    /// Whether the request is at fault, not the run.
    pub(crate) fn is_usage(&self) -> bool {
        match self {
            Self::Usage(_) | Self::Request(_) => true,
            Self::Input(error) => {
                matches!(error.kind(), SourceErrorKind::Columns | SourceErrorKind::OutOfRange)
            }
            Self::State(_)
            | Self::Busy(_)
            | Self::Overtaken(_)
            | Self::Interrupted
            | Self::Panicked(_) => false,
        }
    }
}

/// Ends the run where it was told to stop.
///
/// # Errors
/// `Interrupted`.
pub(super) fn check_stop(stop: &AtomicBool) -> Result<()> {
    if stop.load(Ordering::Relaxed) { Err(JobError::Interrupted) } else { Ok(()) }
}

impl From<SourceError> for JobError {
    fn from(error: SourceError) -> Self {
        Self::Input(error)
    }
}

impl From<Error> for JobError {
    fn from(error: Error) -> Self {
        Self::State(error)
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(message) => f.write_str(message),
            Self::Input(error) => error.fmt(f),
            Self::State(error) | Self::Request(error) => error.fmt(f),
            Self::Busy(directory) => write!(
                f,
                "another process runs this job in {}; wait for it, or choose another \
                 --checkpoint-dir",
                directory.display()
            ),
            Self::Overtaken(checkpoint) => write!(
                f,
                "another process runs this job: checkpoint {checkpoint} was taken by it; wait for its \
                 end, or choose another --checkpoint-dir"
            ),
            Self::Interrupted => f.write_str("interrupted"),
            Self::Panicked(thread) => write!(
                f,
                "thread {thread} panicked; this is a defect, please report it with the command line"
            ),
        }
    }
}

impl std::error::Error for JobError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Input(error) => std::error::Error::source(error),
            Self::State(error) | Self::Request(error) => std::error::Error::source(error),
            Self::Usage(_)
            | Self::Busy(_)
            | Self::Overtaken(_)
            | Self::Interrupted
            | Self::Panicked(_) => None,
        }
    }
}
