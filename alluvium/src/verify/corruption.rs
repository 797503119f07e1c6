//! Damaged checkpoints: what `alluvium verify` calls good can be restored, and has the same content.

#[path = "../../tests/harness/mod.rs"]
mod harness;

use std::sync::Arc;

use alluvium_state_api::storage::StoredCheckpoint;
use alluvium_state_api::testkit::corruption::Stored;
use alluvium_state_api::{Error, Result, corruption_suite};

use harness::Memory;

/// The command's check, of a checkpoint that lies under its number.
fn verify(stored: &Stored<'_>) -> Result<()> {
    let metadata = stored.metadata.ok_or_else(|| Error::not_found("there is no metadata"))?;
    let found = super::verify_stored(StoredCheckpoint {
        pointer: format!("job/chk-{}", stored.id),
        metadata: metadata.to_vec(),
        source: Arc::clone(&stored.source),
    })?;
    if found.is_right() { Ok(()) } else { Err(Error::corrupted(found.problems.join("; "))) }
}

corruption_suite!(Memory, verify);
