//! `alluvium dispose`.

use alluvium_checkpoint::{RestorePoint, check_disposable, dispose_savepoint};
use alluvium_state_api::ErrorKind;
use alluvium_state_api::storage::CheckpointStorage;
use serde_json::json;

use super::{failed, refused, storage};
use crate::cli::args::DisposeArgs;
use crate::cli::failure::{Failure, chain};
use crate::cli::print;

/// Removes savepoints and copies, in order, up to the first that cannot be removed.
///
/// # Errors
/// That one of them is a checkpoint of a job (then nothing is removed), or why one could not be removed.
pub(in crate::cli) fn dispose(args: &DisposeArgs) -> Result<(), Failure> {
    let storage = storage(&args.storage)?;
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
                    "{}; {before} of {} were removed before",
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
        let lines = disposed.iter().map(|pointer| format!("removed {pointer}\n"));
        print::text(&lines.collect::<String>())?;
    }
    failure.map_or(Ok(()), Err)
}

/// Refuses a checkpoint of a job. What is gone, or half gone, is left to the removal to judge.
fn check(storage: &dyn CheckpointStorage, pointer: &str) -> Result<(), Failure> {
    match RestorePoint::open(storage, pointer) {
        Ok(point) => check_disposable(&point)
            .map_err(|error| Failure::usage(format!("{}; nothing was removed", chain(&error)))),
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
