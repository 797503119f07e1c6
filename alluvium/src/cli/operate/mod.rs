//! The commands that operate a job's checkpoints: copy, rehash, gc, dispose.
//!
//! # Invariants
//! 1. A pointer or target may be a path or a URL; what follows a scheme is not repeated in messages
//!    before the storage has accepted it, for it may hold credentials.
//! 2. What has to be refused is refused before anything is written or removed.

mod copy;
mod dispose;
mod gc;
mod rehash;

use std::sync::Arc;

use alluvium_checkpoint::{RestorePoint, StorageEnv, open_pointer, open_storage};
use alluvium_state_api::format::CheckpointKind;
use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::{CheckpointStorage, StoredCheckpoint};
use alluvium_state_api::{Error, ErrorKind};

pub(super) use copy::copy;
pub(super) use dispose::dispose;
pub(super) use gc::gc;
pub(super) use rehash::rehash;

use super::args::StorageArgs;
use super::failure::{Failure, chain};
use super::progress::Reading;

/// Storage that reaches every pointer and target by its URL, and has no checkpoints of its own.
///
/// # Errors
/// What is wrong with the settings.
fn storage(args: &StorageArgs) -> Result<Arc<dyn CheckpointStorage>, Failure> {
    let job = FileName::new("none").map_err(|error| refused(&error))?;
    open_storage(&args.settings()?, &job, &StorageEnv::default()).map_err(|error| refused(&error))
}

/// Opens what is to be read, and shows how much of it was.
fn open(pointer: &str, args: &StorageArgs, reading: &Reading) -> Result<RestorePoint, Failure> {
    let opened = open_pointer(&args.settings()?, pointer, &StorageEnv::default());
    let stored = opened.map_err(|error| refused(&error))?;
    let path = stored.pointer.clone();
    let stored = StoredCheckpoint { source: reading.watch(&stored.source), ..stored };
    RestorePoint::read(stored).map_err(|error| failed(&error.with_path(path)))
}

/// `checkpoint 7 of job word-count`.
fn title(point: &RestorePoint) -> String {
    let metadata = point.metadata();
    format!("{} {} of job {}", kind(metadata.kind), metadata.checkpoint, metadata.job)
}

const fn kind(kind: CheckpointKind) -> &'static str {
    match kind {
        CheckpointKind::Savepoint => "savepoint",
        _ => "checkpoint",
    }
}

/// A request that cannot be carried out, or a failure.
pub(super) fn refused(error: &Error) -> Failure {
    match error.kind() {
        ErrorKind::NotFound
        | ErrorKind::InvalidInput
        | ErrorKind::AlreadyExists
        | ErrorKind::Unsupported
        | ErrorKind::Incompatible => Failure::usage(chain(error)),
        _ => failed(error),
    }
}

/// A failure of something that was begun.
fn failed(error: &Error) -> Failure {
    match error.kind() {
        ErrorKind::InvalidInput | ErrorKind::AlreadyExists => Failure::usage(chain(error)),
        _ => Failure::run(chain(error)),
    }
}
