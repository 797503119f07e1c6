//! What RocksDB's errors mean here.
//!
//! # Invariants
//! F1. A write that failed poisons the store: RocksDB may have stopped taking writes because of an error in the
//!     background, and what it took before may never reach the disk.
//! F2. A read that failed poisons nothing: the answer to the next one may be right.

use std::sync::Arc;

use alluvium_state_api::{Error, ErrorKind, Result};

/// The error of the contract for one of RocksDB's.
#[cold]
pub(crate) fn failed(operation: &'static str, error: rocksdb::Error) -> Error {
    let kind = match error.kind() {
        rocksdb::ErrorKind::Corruption => ErrorKind::Corrupted,
        rocksdb::ErrorKind::NotSupported => ErrorKind::Unsupported,
        rocksdb::ErrorKind::InvalidArgument => ErrorKind::InvalidInput,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, format!("{operation} failed in RocksDB: {error}"))
        .with_operation(operation)
        .with_source(error)
}

/// The same where RocksDB has told no more than a text.
#[cold]
pub(crate) fn refused(operation: &'static str, text: &str) -> Error {
    let kind = match text.split(':').next() {
        Some("Corruption") => ErrorKind::Corrupted,
        Some("Not implemented") => ErrorKind::Unsupported,
        Some("Invalid argument") => ErrorKind::InvalidInput,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, format!("{operation} failed in RocksDB: {text}")).with_operation(operation)
}

/// Why a store refuses everything, once it does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Poison(Option<Arc<Error>>);

impl Poison {
    /// Refuses, if the store is poisoned.
    ///
    /// # Errors
    /// `Poisoned`.
    #[inline]
    pub(crate) fn check(&self) -> Result<()> {
        match &self.0 {
            None => Ok(()),
            Some(cause) => Err(poisoned(cause)),
        }
    }

    /// From now on the store refuses everything.
    #[cold]
    pub(crate) fn set(&mut self, cause: Error) -> Error {
        let cause = Arc::new(cause);
        self.0 = Some(Arc::clone(&cause));
        poisoned(&cause)
    }
}

fn poisoned(cause: &Arc<Error>) -> Error {
    let text =
        format!("the store failed before ({cause}); restore the last checkpoint in a new store");
    Error::new(ErrorKind::Poisoned, text).with_source(Arc::clone(cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_is_not_there_is_an_error_of_its_kind() {
        let directory = tempfile::tempdir().unwrap();
        let options = rocksdb::Options::default();
        let opened = rocksdb::DB::open_for_read_only(&options, directory.path(), false);
        let error = failed("open", opened.map(drop).unwrap_err());
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Unavailable, Some("open")));
    }

    #[test]
    fn poison_stays() {
        let mut poison = Poison::default();
        poison.check().unwrap();
        assert_eq!(poison.set(Error::unavailable("no space")).kind(), ErrorKind::Poisoned);
        let error = poison.check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Poisoned);
        assert!(error.message().contains("no space"), "{error}");
    }
}
