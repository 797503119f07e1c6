//! The error of reading an input: kind, where it happened, and one line that says what to do.
//!
//! Input errors belong to the command line, not to the state contract, so they have a type of their
//! own here. `Display` is `PLACE, line N: what is wrong; what to do`, in lower case, and never
//! repeats the cause, which stays reachable through [`std::error::Error::source`]. Tests and callers
//! match on [`SourceError::kind`], never on text.

use std::fmt;
use std::io;

use super::limit::OverLimit;
use super::replay::Shrunk;

/// The result of everything in this module that can fail.
pub type Result<T, E = SourceError> = std::result::Result<T, E>;

/// What is wrong with an input, and so what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SourceErrorKind {
    /// The file is missing, is a directory, or cannot be read or spooled: fix path or permissions.
    Unreadable,
    /// There is not one record in the input.
    Empty,
    /// The input is binary, or packed in a way that is not supported: convert it.
    Unsupported,
    /// A record or the compressed data is damaged: fix the named line, or fetch the file again.
    Malformed,
    /// The compressed data ends too early: fetch the file again.
    Truncated,
    /// A record is longer than [`MAX_RECORD_BYTES`](super::MAX_RECORD_BYTES).
    TooLong,
    /// A column is missing, ambiguous or unfit for its role, or no key was named.
    Columns,
    /// The input is not what it was when it was opened, or is shorter than a position asked for.
    Changed,
    /// A number in the request is out of range.
    OutOfRange,
    /// The reader failed before and cannot go on.
    Stopped,
}

/// Why an input cannot be opened or read on. One word wide.
pub struct SourceError(Box<Inner>);

struct Inner {
    kind: SourceErrorKind,
    place: Box<str>,
    line: Option<u64>,
    message: Box<str>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl SourceError {
    /// Makes an error about the input called `place`.
    #[cold]
    pub(super) fn new(kind: SourceErrorKind, place: &str, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            place: place.into(),
            line: None,
            message: message.into().into_boxed_str(),
            source: None,
        }))
    }

    /// Adds the line, counted from 1, at which the record in question begins.
    pub(super) fn with_line(mut self, line: u64) -> Self {
        self.0.line = Some(line);
        self
    }

    /// Adds the cause.
    pub(super) fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Judges an I/O error that came up through the readers of this module.
    #[cold]
    pub(super) fn from_read(place: &str, error: io::Error) -> Self {
        use SourceErrorKind::{Changed, Malformed, TooLong, Truncated, Unreadable};
        let inner = error.get_ref();
        if inner.is_some_and(<dyn std::error::Error + Send + Sync>::is::<OverLimit>) {
            return Self::new(
                TooLong,
                place,
                "record of more than 16 MiB; close the quotes, or write one record a line",
            );
        }
        if inner.is_some_and(<dyn std::error::Error + Send + Sync>::is::<Shrunk>) {
            return Self::new(Changed, place, "became shorter while it was read; read a copy");
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                Self::new(Truncated, place, "compressed data ends too early; fetch the file again")
            }
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                Self::new(Malformed, place, "compressed data is damaged; fetch the file again")
            }
            _ => Self::new(Unreadable, place, "cannot be read; check the file and its disk"),
        }
        .with_source(error)
    }

    /// What is wrong, for a decision by the caller.
    pub fn kind(&self) -> SourceErrorKind {
        self.0.kind
    }

    /// The input it is about: a path, `standard input`, or the name of a built-in input.
    pub fn place(&self) -> &str {
        &self.0.place
    }

    /// The line, counted from 1, at which the record in question begins, where there is one.
    pub fn line(&self) -> Option<u64> {
        self.0.line
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.place)?;
        if let Some(line) = self.0.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {}", self.0.message)
    }
}

impl fmt::Debug for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceError")
            .field("kind", &self.0.kind)
            .field("place", &self.0.place)
            .field("line", &self.0.line)
            .field("message", &self.0.message)
            .field("source", &self.0.source)
            .finish()
    }
}

impl std::error::Error for SourceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
