//! Publication of `_metadata` by a conditional put, and the tombstone that fences it.
//!
//! A put whose answer was lost may land at any time later. Whoever has to know that it never will puts a
//! tombstone in its place: then the key is occupied, and a late put, which creates, is refused.
//!
//! | found after a failed put | publication |
//! |---|---|
//! | the own metadata | has succeeded |
//! | other metadata, or its remains | `AlreadyExists` |
//! | a tombstone or nothing, and the put was refused | is tried again after a pause, over exactly what was found |
//! | anything else | fenced: determinate if that succeeds, else `Indeterminate` |

use std::sync::Arc;
use std::time::Duration;

use alluvium_state_api::{Error, Result};
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, PutMode};

use super::content::{Found, look, tombstone};
use super::errors::failed;

/// How often a put is tried that the store refuses because of another one.
pub(super) const ATTEMPTS: u32 = 8;

/// Waits before the put number `tries`, counted from 0: not before the first, and then twice as long each
/// time, down to half of it by what `token` says, so that two who disturb each other get apart.
async fn wait(first: Duration, tries: u32, token: u128) {
    let Some(doublings) = tries.checked_sub(1).filter(|_| !first.is_zero()) else {
        return;
    };
    let doublings = doublings.min(ATTEMPTS);
    let [part, ..] = (token >> (8 * doublings)).to_le_bytes();
    let half = first.saturating_mul(1 << doublings) / 2;
    tokio::time::sleep(half.saturating_add(half / 256 * u32::from(part))).await;
}

/// How a fence ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fenced {
    /// A tombstone is there.
    Closed,
    /// Metadata of another attempt is there.
    Other,
    /// The own metadata is there, and was to stay.
    Own,
}

fn was_refused(error: &StoreError) -> bool {
    matches!(error, StoreError::AlreadyExists { .. } | StoreError::Precondition { .. })
}

/// Publishes `metadata`. See the module.
pub(super) async fn publish(
    store: Arc<dyn ObjectStore>,
    at: Path,
    metadata: Vec<u8>,
    token: u128,
    pause: Duration,
) -> Result<()> {
    let mut mode = PutMode::Create;
    let mut failure = Error::unavailable("the object store kept refusing the metadata");
    for tries in 0..ATTEMPTS {
        wait(pause, tries, token).await;
        let put = store.put_opts(&at, metadata.clone().into(), mode.clone().into()).await;
        let Err(error) = put else {
            return Ok(());
        };
        failure = failed("put", at.as_ref(), &error);
        mode = match look(&*store, &at).await {
            Ok(Found::Metadata(found, _)) if found == metadata => return Ok(()),
            Ok(Found::Metadata(..) | Found::Remains(_)) => return Err(other(&at)),
            Ok(Found::Tombstone { version, .. }) if was_refused(&error) => PutMode::Update(version),
            Ok(Found::Nothing) if was_refused(&error) => PutMode::Create,
            _ => break,
        };
    }
    match fence(store, at.clone(), metadata.into(), token, false, pause).await {
        Ok(Fenced::Closed) => Err(failure),
        Ok(Fenced::Other) => Err(other(&at)),
        Ok(Fenced::Own) => Ok(()),
        Err(error) => Err(error.with_source(failure)),
    }
}

fn other(at: &Path) -> Error {
    Error::already_exists("another attempt has published this checkpoint; nothing was overwritten")
        .with_path(at.as_ref())
}

/// Puts a tombstone where `metadata` may be or may still arrive. `take_back`: also over `metadata`.
///
/// # Errors
/// `Indeterminate`.
pub(super) async fn fence(
    store: Arc<dyn ObjectStore>,
    at: Path,
    metadata: Arc<[u8]>,
    token: u128,
    take_back: bool,
    pause: Duration,
) -> Result<Fenced> {
    let stone = tombstone(token);
    let mut mode = PutMode::Create;
    for tries in 0..ATTEMPTS {
        wait(pause, tries, token).await;
        if store.put_opts(&at, stone.clone().into(), mode.clone().into()).await.is_ok() {
            return Ok(Fenced::Closed);
        }
        mode = match look(&*store, &at).await {
            Ok(Found::Nothing) => PutMode::Create,
            // Only the answer was lost.
            Ok(Found::Tombstone { token: found, .. }) if found == token => {
                return Ok(Fenced::Closed);
            }
            Ok(Found::Tombstone { version, .. }) => PutMode::Update(version),
            Ok(Found::Metadata(found, version)) if *found == *metadata => {
                if !take_back {
                    return Ok(Fenced::Own);
                }
                PutMode::Update(version)
            }
            Ok(Found::Metadata(..) | Found::Remains(_)) => return Ok(Fenced::Other),
            Err(_) => continue,
        };
    }
    Err(Error::indeterminate(
        "it is not known whether the checkpoint became visible, and it could not be fenced; abort it",
    )
    .with_path(at.as_ref()))
}
