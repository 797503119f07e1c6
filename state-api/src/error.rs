//! The one public error of Alluvium, for every crate and every backend.
//!
//! A caller asks two questions: *what should I do?* ([`Error::kind`], coarse and prescriptive) and
//! *what exactly was it about?* (the context: operation, state, key group, checkpoint, path).
//! Kinds are chosen where the failure happens, never guessed from a text. `Display` is one line and
//! never repeats the source, which stays reachable through [`std::error::Error::source`].
//!
//! ```
//! use alluvium_state_api::{Error, ErrorKind};
//!
//! let error = Error::corrupted("block checksum differs").with_path("chk-7/state").with_offset(4096);
//! assert_eq!(error.kind(), ErrorKind::Corrupted);
//! assert_eq!(error.to_string(), "corrupted: block checksum differs (path chk-7/state, offset 4096)");
//! ```

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::{CheckpointId, KeyGroup};

/// The result of everything in Alluvium that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn StdError + Send + Sync + 'static>;

/// What a caller should do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The call, setting, path or user input is wrong: fix it. Nothing was changed.
    InvalidInput,
    /// Snapshot and program do not fit: schema, codec, hash or maximum parallelism differ.
    Incompatible,
    /// Something that was asked for by name does not exist.
    NotFound,
    /// Something that had to be new exists already; nothing was overwritten.
    AlreadyExists,
    /// Stored bytes fail verification. Restore from another checkpoint.
    Corrupted,
    /// An accumulating state or an inline snapshot would pass its limit; see [`Error::limit`].
    LimitExceeded,
    /// A resource failed (I/O error, no space, no permission). A new attempt may succeed.
    Unavailable,
    /// The operation may or may not have happened: reconcile by reading before a retry.
    Indeterminate,
    /// An earlier failure left the store unusable: reopen it from the last checkpoint.
    Poisoned,
    /// The caller cancelled the operation, or its checkpoint was aborted.
    Cancelled,
    /// This backend or build cannot do it; the message names what can.
    Unsupported,
    /// An internal invariant is broken: a defect of Alluvium or of a third-party backend.
    Bug,
}

impl ErrorKind {
    /// The stable lower-case name that messages begin with.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid input",
            Self::Incompatible => "incompatible",
            Self::NotFound => "not found",
            Self::AlreadyExists => "already exists",
            Self::Corrupted => "corrupted",
            Self::LimitExceeded => "limit exceeded",
            Self::Unavailable => "unavailable",
            Self::Indeterminate => "indeterminate",
            Self::Poisoned => "poisoned",
            Self::Cancelled => "cancelled",
            Self::Unsupported => "unsupported",
            Self::Bug => "bug",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What was refused by a size limit, in bytes. See [`Error::limit`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitExceeded {
    /// Name of the state.
    pub state: Box<str>,
    /// Key group of the entry; `None` where the limit is on a whole state of a snapshot.
    pub key_group: Option<KeyGroup>,
    /// The size that was refused, in bytes.
    pub size: u64,
    /// The limit, in bytes.
    pub limit: u64,
}

/// The error of all operations: a kind, a message, a context and perhaps a source.
///
/// One word wide, so that `Result<()>` costs nothing on the hot path.
pub struct Error(Box<Inner>);

#[derive(Default)]
struct Context {
    operation: Option<&'static str>,
    state: Option<Box<str>>,
    key_group: Option<KeyGroup>,
    checkpoint: Option<CheckpointId>,
    path: Option<PathBuf>,
    offset: Option<u64>,
    limit: Option<LimitExceeded>,
}

struct Inner {
    kind: ErrorKind,
    message: Box<str>,
    context: Context,
    source: Option<Source>,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident;)*) => {
        $($(#[$doc])*
        #[cold]
        #[must_use]
        pub fn $name(message: impl Into<String>) -> Self {
            Self::new(ErrorKind::$kind, message)
        })*
    };
}

impl Error {
    /// Makes an error of `kind`. `message` is one lower-case line without a final period that says
    /// what is wrong and what to do.
    #[cold]
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into().into_boxed_str(),
            context: Context::default(),
            source: None,
        }))
    }

    constructors! {
        /// The call or a setting is wrong.
        invalid_input => InvalidInput;
        /// Snapshot and program do not fit.
        incompatible => Incompatible;
        /// A named thing does not exist.
        not_found => NotFound;
        /// A thing that had to be new exists.
        already_exists => AlreadyExists;
        /// Stored bytes fail verification.
        corrupted => Corrupted;
        /// A resource failed.
        unavailable => Unavailable;
        /// It may or may not have happened.
        indeterminate => Indeterminate;
        /// An earlier failure made the store unusable.
        poisoned => Poisoned;
        /// The caller cancelled.
        cancelled => Cancelled;
        /// This backend or build cannot do it.
        unsupported => Unsupported;
        /// An internal invariant is broken.
        bug => Bug;
    }

    /// Refuses an addition to an entry of `state` whose size would become `size` bytes.
    #[cold]
    #[must_use]
    pub fn limit_exceeded(
        state: &str,
        key_group: Option<KeyGroup>,
        size: u64,
        limit: u64,
        advice: &str,
    ) -> Self {
        let mut error = Self::new(
            ErrorKind::LimitExceeded,
            format!("{size} bytes are above the limit of {limit} bytes; {advice}"),
        );
        error.0.context.limit = Some(LimitExceeded { state: state.into(), key_group, size, limit });
        let error = error.with_state(state);
        match key_group {
            Some(group) => error.with_key_group(group),
            None => error,
        }
    }

    /// Wraps an I/O error: missing files become [`ErrorKind::NotFound`], existing ones
    /// [`ErrorKind::AlreadyExists`], everything else [`ErrorKind::Unavailable`].
    #[cold]
    #[must_use]
    pub fn io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::AlreadyExists => ErrorKind::AlreadyExists,
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidFilename => ErrorKind::InvalidInput,
            _ => ErrorKind::Unavailable,
        };
        let message = format!("{operation} failed: {source}");
        Self::new(kind, message).with_operation(operation).with_path(path).with_source(source)
    }

    /// Adds the operation during which it happened, unless one is known already.
    #[must_use]
    pub fn with_operation(mut self, operation: &'static str) -> Self {
        self.0.context.operation.get_or_insert(operation);
        self
    }

    /// Adds the name of the state.
    #[must_use]
    pub fn with_state(mut self, state: impl Into<Box<str>>) -> Self {
        self.0.context.state = Some(state.into());
        self
    }

    /// Adds the key group.
    #[must_use]
    pub fn with_key_group(mut self, group: KeyGroup) -> Self {
        self.0.context.key_group = Some(group);
        self
    }

    /// Adds the checkpoint.
    #[must_use]
    pub fn with_checkpoint(mut self, id: CheckpointId) -> Self {
        self.0.context.checkpoint = Some(id);
        self
    }

    /// Adds the file or directory, unless one is known already.
    #[must_use]
    pub fn with_path(mut self, path: impl AsRef<Path>) -> Self {
        self.0.context.path.get_or_insert_with(|| path.as_ref().to_path_buf());
        self
    }

    /// Adds the byte offset in the file.
    #[must_use]
    pub fn with_offset(mut self, offset: u64) -> Self {
        self.0.context.offset = Some(offset);
        self
    }

    /// Adds the underlying error.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The message without kind and context.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The operation during which it happened, if known.
    pub fn operation(&self) -> Option<&'static str> {
        self.0.context.operation
    }

    /// The name of the state it is about, if any.
    pub fn state(&self) -> Option<&str> {
        self.0.context.state.as_deref()
    }

    /// The key group it is about, if any.
    pub fn key_group(&self) -> Option<KeyGroup> {
        self.0.context.key_group
    }

    /// The checkpoint it is about, if any.
    pub fn checkpoint(&self) -> Option<CheckpointId> {
        self.0.context.checkpoint
    }

    /// The file or directory it is about, if any.
    pub fn path(&self) -> Option<&Path> {
        self.0.context.path.as_deref()
    }

    /// The byte offset in [`path`](Self::path), if known.
    pub fn offset(&self) -> Option<u64> {
        self.0.context.offset
    }

    /// Sizes and names of a refusal of kind [`ErrorKind::LimitExceeded`].
    pub fn limit(&self) -> Option<&LimitExceeded> {
        self.0.context.limit.as_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, message, context, .. } = &*self.0;
        write!(f, "{kind}: {message}")?;
        let mut open = false;
        let mut item = |f: &mut fmt::Formatter<'_>, name: &str, value: &dyn fmt::Display| {
            let separator = if open { ", " } else { " (" };
            open = true;
            write!(f, "{separator}{name} {value}")
        };
        if let Some(state) = &context.state {
            item(f, "state", state)?;
        }
        if let Some(group) = context.key_group {
            item(f, "key group", &group)?;
        }
        if let Some(id) = context.checkpoint {
            item(f, "checkpoint", &id)?;
        }
        if let Some(path) = &context.path {
            item(f, "path", &path.display())?;
        }
        if let Some(offset) = context.offset {
            item(f, "offset", &offset)?;
        }
        if open { f.write_str(")") } else { Ok(()) }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        if let Some(operation) = self.0.context.operation {
            write!(f, " during {operation}")?;
        }
        if let Some(source) = &self.0.source {
            write!(f, ", caused by {source:?}")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_one_word() {
        assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    }

    #[test]
    fn io_kinds_and_context_survive() {
        let error = Error::io("open", Path::new("a/b"), io::Error::from(io::ErrorKind::NotFound))
            .with_checkpoint(CheckpointId::new(3));
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(error.path(), Some(Path::new("a/b")));
        assert_eq!(error.checkpoint(), Some(CheckpointId::new(3)));
        assert!(StdError::source(&error).is_some());
    }

    #[test]
    fn a_limit_names_state_group_size_and_limit() {
        let group = KeyGroup::new(7);
        let error = Error::limit_exceeded("orders", Some(group), 11, 10, "raise the limit");
        let limit = error.limit().unwrap();
        assert_eq!((&*limit.state, limit.key_group), ("orders", Some(group)));
        assert_eq!((limit.size, limit.limit), (11, 10));
    }
}
