//! What lies on storage: the state file and the checkpoint's `_metadata`, as `FORMAT.md` defines them.
//!
//! # Role
//! A byte layout that more than one crate reads is here, one structure per file; encoding and
//! decoding sit side by side. Backends write state files through [`StateFileWriter`] and read them
//! through [`StateFile`]; the coordinator writes and reads [`metadata`].
//!
//! # Layout of a state file
//!
//! | part | code | content |
//! |---|---|---|
//! | header | `header`, `schema` | form, key identity, key groups, states |
//! | blocks | `block`, `layout`, `audit` | entries of one (state, key group) each, with checksum |
//! | lookups | `lookup`, `single` | what finds single entries, in files that have it |
//! | index | `index` | sections: extents, counts, digest |
//! | footer | `footer` | where the index is, length, checksums |
//!
//! # Invariants
//! * I1 Every byte is covered by a checksum, and every block by exactly one section.
//! * I2 Decoders take their input as hostile: bounds first, checked arithmetic, memory capped by the
//!   bytes that are there, no panics.
//! * I3 What is written is checked by the same code that checks what is read.
//!
//! # Example
//! ```
//! use std::sync::Arc;
//! use alluvium_state_api::format::{BufferReader, BufferWriter, FileForm, StateFile,
//!     StateFileSpec, StateFileWriter, WriteOptions};
//! use alluvium_state_api::schema::{CodecSchema, KeyIdentity, StateKind, StateMeta};
//! use alluvium_state_api::{EntryKey, KeyGroup, MaxParallelism, Result};
//!
//! # fn main() -> Result<()> {
//! let codec = CodecSchema { codec: "native".into(), version: 1, shape: "u64".into(), width: Some(8) };
//! let groups = MaxParallelism::new(128)?;
//! let spec = StateFileSpec {
//!     key: KeyIdentity { codec: codec.clone(), hash: "xxh3/1".into() },
//!     groups,
//!     range: groups.all(),
//!     states: vec![StateMeta { name: "count".into(), kind: StateKind::Value, namespace: None,
//!         map_key: None, value: codec, size_limit: 1 << 20, stamped: false }],
//!     form: FileForm::Full,
//! };
//! let mut writer =
//!     StateFileWriter::new(BufferWriter::boxed(), spec, WriteOptions::default())?.into_scatter()?;
//! writer.state(0)?;
//! writer.put(KeyGroup::new(5), EntryKey::new(&7u64.to_be_bytes(), 8, 8)?, &1u64.to_le_bytes())?;
//! let written = writer.finish()?;
//!
//! let file = StateFile::open(BufferReader::of(&written.stored)?, "example")?;
//! let mut blocks = file.blocks(groups.all());
//! while let Some(block) = blocks.next_block()? {
//!     assert_eq!(block.group(), KeyGroup::new(5));
//!     assert_eq!(block.entries().count(), 1);
//! }
//! # Ok(())
//! # }
//! ```
#![deny(clippy::indexing_slicing)]

mod audit;
mod block;
mod buffer;
mod builder;
mod checksum;
mod compress;
mod cursor;
mod digest;
mod features;
mod footer;
#[cfg(feature = "testkit")]
pub(crate) mod fuzz;
mod header;
mod index;
mod layout;
mod lookup;
pub mod metadata;
mod output;
mod reader;
mod records;
mod run;
mod scatter;
mod schema;
mod section;
mod sequential;
mod single;
#[cfg(test)]
mod tests;
mod window;
mod wire;
mod writer;

pub use block::BLOCK_HEADER_BYTES;
pub use buffer::{BufferReader, BufferWriter};
pub use checksum::file_checksum;
pub use cursor::BlockCursor;
pub use digest::{element_digest, entry_digest};
pub use features::{MIN_READABLE, VERSION};
pub use header::{FileForm, StateFileSpec};
pub use index::Section;
pub use layout::{EntryLayout, FixedLayout, ListSegment};
pub use lookup::{Candidates, DataBlock, Directory, HomeBucket, LookupPage, Place};
pub use metadata::{
    CheckpointKind, CheckpointMetadata, CheckpointStatistics, OperatorState, Origin, SubtaskState,
    SubtaskStatistics,
};
pub use reader::StateFile;
pub use records::{Block, BlockKind, Entries, Record, Records};
pub use scatter::{FixedEntries, ScatterWriter};
pub use section::{EncodedSection, SectionEncoder, SectionEncoding};
pub use sequential::SequentialWriter;
pub(crate) use wire::append_long;
pub use writer::{
    DEFAULT_BUFFER_BYTES, StateFileWriter, StateTotals, WriteOptions, WrittenStateFile,
};
