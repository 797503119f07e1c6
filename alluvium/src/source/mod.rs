//! Replayable record sources: where the records of `alluvium run` come from.
//!
//! # Role
//!
//! A job that recovers from a checkpoint has to read its input again from the position the
//! checkpoint holds. So everything here can be replayed: [`Source::open`] looks at an [`Input`]
//! once (format, columns, a sample), and [`Source::open_at`] gives as many independent [`Reader`]s
//! as wanted, each from any position. What cannot be read twice (standard input, a pipe) is spooled
//! to an unnamed temporary file first. How records are spread over subtasks is the job's business.
//!
//! # Records
//!
//! A [`Record`] is an ordered list of text fields, one per column of the [`Schema`]. Three columns
//! have a role, chosen by [`ColumnRequest`] or by the rules of [`Selection`]: the *key* (text), the
//! *measure* (a whole number) and the *category* (text).
//!
//! | input | columns | key | measure | category |
//! |---|---|---|---|---|
//! | [`Input::Flights`] | the 19 of the table | `tailnum` | `distance` | `dest` |
//! | [`Input::Nexmark`] | those of a bid | `auction` | `price` | `channel` |
//! | CSV with header, JSON lines | header, field names | must be named | by rule | by rule |
//!
//! # Invariants
//!
//! 1. A *position* is a number of records from the start, skipped ones included. Blank lines are no
//!    records.
//! 2. What a reader gives, and every number in its [`Counts`], depends on input and position only:
//!    `open_at(n)` goes on exactly as a reader from 0 that has passed `n` records.
//! 3. Memory is bounded by one record, and a record by [`MAX_RECORD_BYTES`], whatever the input.
//! 4. An error is an error and never an end: after one, a reader gives nothing but errors.
//! 5. An input that was changed after it was opened is refused, not silently read differently.
//!
//! # Cost
//!
//! [`Reader::next_into`] reuses the buffers of the record it is given; nothing is allocated per
//! record once they have grown, but for two strings inside the crate `nexmark`. Opening a file at
//! position `n` reads (and checks) the prefix again; the Nexmark stream jumps.
//!
//! # Example
//!
//! ```
//! use alluvium::source::{ColumnRequest, Input, Record, Source};
//!
//! let source = Source::open(&Input::Flights, &ColumnRequest::default())?;
//! let mut reader = source.open_at(0)?;
//! let (mut record, mut miles) = (Record::default(), 0);
//! while reader.next_into(&mut record)? {
//!     miles += record.measure().unwrap_or(0);
//! }
//! assert_eq!(reader.counts().kept(), 26_849);
//! assert_eq!(miles, 27_107_042);
//! # Ok::<(), alluvium::source::SourceError>(())
//! ```

mod columns;
mod csv_rows;
mod decode;
mod error;
mod flights;
mod json_rows;
mod json_value;
mod limit;
mod nexmark_rows;
mod open;
mod reader;
mod record;
mod replay;
mod rows;
mod sample;
mod sniff;

#[cfg(test)]
mod tests;

pub use columns::{Choice, Column, ColumnRequest, Schema, Selection};
pub use error::{Result, SourceError, SourceErrorKind};
pub use limit::MAX_RECORD_BYTES;
pub use nexmark_rows::MAX_EVENTS as MAX_NEXMARK_EVENTS;
pub use open::{Input, Source};
pub use reader::{Counts, Progress, ProgressUnit, Reader};
pub use record::Record;
