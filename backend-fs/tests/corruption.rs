//! Damaged checkpoints of the file-system backend: an error or the same content. Blocks are verified when
//! they are first used, so that the content is judged, not the opening.

mod harness;

use alluvium_state_api::corruption_suite;
use harness::{PROFILE, harnesses};

harnesses! {
    /// Default options.
    Mapped: PROFILE, Mapped;
}

corruption_suite!(Mapped);
