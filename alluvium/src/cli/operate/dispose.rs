//! `alluvium dispose`.

use alluvium_checkpoint::{RestorePoint, dispose_savepoint};
use alluvium_state_api::ErrorKind;
use alluvium_state_api::format::CheckpointKind;
use alluvium_state_api::storage::CheckpointStorage;
use serde_json::json;

use super::{failed, refused, storage};
use crate::cli::args::DisposeArgs;
use crate::cli::failure::{Failure, chain};
use crate::cli::print;

/// Removes savepoints, in order, up to the first that cannot be removed.
///
/// # Errors
/// That one of them is a checkpoint (then nothing is removed), or why one could not be removed.
pub(in crate::cli) fn dispose(args: &DisposeArgs) -> Result<(), Failure> {
    let storage = storage()?;
    for pointer in &args.pointers {
        check(&*storage, pointer)?;
    }
    let mut disposed = Vec::new();
    let mut failure = None;
    for pointer in &args.pointers {
        if let Err(error) = dispose_savepoint(&*storage, pointer) {
            failure = Some(match disposed.len() {
                0 => refused(&error),
                before => Failure::run(format!(
                    "{}; {before} of {} savepoints were removed before",
                    chain(&error),
                    args.pointers.len()
                )),
            });
            break;
        }
        disposed.push(pointer.as_str());
    }
    if let (Some(failure), true) = (&failure, disposed.is_empty()) {
        return Err(failure.clone());
    }
    if args.json {
        print::text(&format!("{}\n", json!({ "disposed": disposed })))?;
    } else {
        let lines = disposed.iter().map(|pointer| format!("removed savepoint {pointer}\n"));
        print::text(&lines.collect::<String>())?;
    }
    failure.map_or(Ok(()), Err)
}

/// Refuses a checkpoint. What is gone, or half gone, is left to the removal to judge.
fn check(storage: &dyn CheckpointStorage, pointer: &str) -> Result<(), Failure> {
    match RestorePoint::open(storage, pointer) {
        Ok(point) if point.metadata().kind != CheckpointKind::Savepoint => {
            Err(Failure::usage(format!(
                "{pointer}: this is a checkpoint and no savepoint; if its job still uses it, the job \
                 deletes it; if not, or if it is a copy, remove its directory; nothing was removed"
            )))
        }
        Ok(_) => Ok(()),
        Err(error) => match error.kind() {
            ErrorKind::NotFound => Ok(()),
            ErrorKind::Corrupted => Err(Failure::run(format!(
                "{}; what cannot be read is not removed: remove its directory yourself",
                chain(&error)
            ))),
            ErrorKind::InvalidInput => Err(refused(&error)),
            _ => Err(failed(&error)),
        },
    }
}
