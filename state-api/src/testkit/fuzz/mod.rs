//! What must hold for any bytes: one function for each decoder, for a fuzzer and for replaying what it
//! found.
//!
//! # Role
//! A target takes bytes and panics if something does not hold. The package `fuzz` wraps each in a
//! libFuzzer target (`scripts/fuzz` runs them), and a test here replays `fuzz/corpus` in every test run.
//!
//! # Rules of a target
//! 1. No input panics, takes long, or takes memory out of proportion: the decoder answers or refuses.
//! 2. Errors are of the kind that the decoder documents.
//! 3. What was decoded is encoded to bytes that decode to the same; to the same bytes, where the
//!    encoding is unique.
//! 4. Nothing is read but the input, and no I/O is done: a target makes tens of thousands of
//!    executions in a second.

mod codecs;
mod draw;
mod keys;
mod text;

#[cfg(test)]
mod tests;

pub use crate::format::fuzz::{
    block, compression, lookups, lying_state_file, metadata, sealed_metadata, sealed_state_file,
    state_file, with_other_blocks, with_other_counts, written_state_file,
};
pub use codecs::{codecs, key_codecs, ordered_codecs};
pub(crate) use draw::Draw;
pub use keys::{elements, entry_keys};
pub use text::{file_names, pointers, settings, settings_toml};

/// What a target is.
pub type Target = fn(&[u8]);

macro_rules! targets {
    ($($name:ident)*) => {
        /// All targets by name.
        pub const TARGETS: &[(&str, Target)] = &[$((stringify!($name), $name as Target)),*];
    };
}

targets! {
    block codecs compression elements entry_keys file_names key_codecs lookups lying_state_file metadata ordered_codecs
    pointers sealed_metadata sealed_state_file settings settings_toml state_file written_state_file
}
