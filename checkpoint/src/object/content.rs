//! What can be at the key `_metadata`, and reading it.
//!
//! | content | begins with | to readers |
//! |---|---|---|
//! | metadata | anything else | a checkpoint or savepoint |
//! | a *tombstone*: the number is decided, and no publication that arrives late may change that | `ALVTOMB1`, eight zero bytes, a random token of 16 bytes | nothing |
//! | the *remains* of a savepoint that is being deleted: the files that may still be there | a line of text, see [`are_remains`] | nothing |

use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::{are_remains, decode_remains};
use alluvium_state_api::{Error, Result};
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt, UpdateVersion};

use super::errors::failed;

const MAGIC: &[u8; 16] = b"ALVTOMB1\0\0\0\0\0\0\0\0";
const TOMBSTONE_BYTES: usize = 32;
/// Metadata is not larger.
pub(super) const MAX_METADATA_BYTES: u64 = 1 << 30;
/// So many bytes tell what it is.
const PEEKED: u64 = 32;

/// What is at the key.
#[derive(Debug)]
pub(super) enum Found {
    Nothing,
    Tombstone { version: UpdateVersion, token: u128 },
    Remains(Vec<FileName>),
    Metadata(Vec<u8>, UpdateVersion),
}

pub(super) fn tombstone(token: u128) -> Vec<u8> {
    [&MAGIC[..], &token.to_le_bytes()].concat()
}

fn token_of(bytes: &[u8]) -> Option<u128> {
    let token = bytes.strip_prefix(MAGIC)?.try_into().ok()?;
    Some(u128::from_le_bytes(token))
}

fn is_tombstone(bytes: &[u8]) -> bool {
    token_of(bytes).is_some()
}

/// Whether these bytes can be published: they would not be taken for something else.
pub(super) fn is_publishable(metadata: &[u8]) -> bool {
    metadata.len() as u64 <= MAX_METADATA_BYTES && !is_tombstone(metadata) && !are_remains(metadata)
}

/// Reads what is at `at`.
pub(super) async fn look(store: &dyn ObjectStore, at: &Path) -> Result<Found> {
    let answer = match store.get(at).await {
        Err(StoreError::NotFound { .. }) => return Ok(Found::Nothing),
        answer => answer.map_err(|error| failed("get", at.as_ref(), &error))?,
    };
    let meta = answer.meta.clone();
    if meta.size > MAX_METADATA_BYTES {
        let message = format!("{} bytes are too many for metadata", meta.size);
        return Err(Error::corrupted(message).with_path(at.as_ref()));
    }
    let bytes = answer.bytes().await.map_err(|error| failed("get", at.as_ref(), &error))?;
    if bytes.len() as u64 != meta.size {
        return Err(cut_short(at));
    }
    let version = UpdateVersion { e_tag: meta.e_tag, version: meta.version };
    if let Some(token) = token_of(&bytes) {
        return Ok(Found::Tombstone { version, token });
    }
    if are_remains(&bytes) {
        let files = decode_remains(&bytes).map_err(|error| error.with_path(at.as_ref()))?;
        return Ok(Found::Remains(files));
    }
    Ok(Found::Metadata(bytes.into(), version))
}

/// Whether metadata of `size` bytes is at `at`, by its beginning.
pub(super) async fn is_metadata(store: &dyn ObjectStore, at: &Path, size: u64) -> Result<bool> {
    if size == 0 {
        return Ok(true);
    }
    let peeked = size.min(PEEKED);
    match store.get_range(at, 0..peeked).await {
        Ok(start) if size == TOMBSTONE_BYTES as u64 && is_tombstone(&start) => Ok(false),
        Ok(start) if are_remains(&start) => Ok(false),
        Ok(start) if (start.len() as u64) < peeked => Err(cut_short(at)),
        Ok(_) => Ok(true),
        Err(StoreError::NotFound { .. }) => Ok(false),
        Err(error) => Err(failed("get", at.as_ref(), &error)),
    }
}

/// The error of an answer that ended too early, and did not say so.
#[cold]
pub(super) fn cut_short(at: &Path) -> Error {
    Error::unavailable("the answer of the object store was cut short").with_path(at.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_taken_for_something_else_is_not_published() {
        assert!(is_publishable(b"metadata") && is_publishable(b"") && is_publishable(MAGIC));
        let stone = tombstone(7);
        assert!(stone.len() == TOMBSTONE_BYTES && !is_publishable(&stone));
        assert!(!is_publishable(b"alluvium disposal 1\nfile\nend"));
        let longer = [&stone[..], b"x"].concat();
        assert!(is_publishable(&longer));
    }
}
