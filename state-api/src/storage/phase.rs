//! How far an attempt at a checkpoint or savepoint is: what every storage's attempt has in common.
//!
//! ```text
//!            begin_publication          end_publication
//!   open ------------------------> publishing --+--> published
//!    |                                          +--> failed ------+
//!    |                                          +--> unclear      | begin_abort
//!    |                                                 | settle   |
//!    +------------------ begin_abort ------------------+----------+--> aborted
//! ```
//!
//! # Invariants
//! 1. It leaves *open* once. Files are registered only in *open*, so whatever metadata names was
//!    durable before its publication began.
//! 2. *Published* and *aborted* are for good.
//! 3. *Unclear* stays until somebody has found out, and says so with [`Phase::settle`]: the metadata
//!    may be there, or may still arrive.
//!
//! Whoever has a phase keeps it under a lock, and lets publication and abort exclude each other.

use std::sync::Arc;

use crate::{Error, ErrorKind, Result};

/// The phase of one attempt. See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Phase(State);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    Publishing,
    Published,
    /// Publication failed, and the checkpoint is not there.
    Failed,
    Unclear(Arc<[u8]>),
    Aborted,
}

impl Phase {
    /// Whether files may still be written.
    ///
    /// # Errors
    /// `Cancelled` where not.
    pub fn check_open(&self) -> Result<()> {
        match self.0 {
            State::Open => Ok(()),
            _ => Err(Error::cancelled("the checkpoint was published or aborted meanwhile")),
        }
    }

    /// Whether it was aborted, and its metadata is not there.
    pub fn is_aborted(&self) -> bool {
        self.0 == State::Aborted
    }

    /// From now on writers find it over.
    ///
    /// # Errors
    /// `AlreadyExists` where it is published, `Cancelled` where it was aborted, `Poisoned` where an
    /// earlier call failed.
    pub fn begin_publication(&mut self) -> Result<()> {
        match self.0 {
            State::Open => {
                self.0 = State::Publishing;
                Ok(())
            }
            State::Published => Err(Error::already_exists("this attempt has been published")),
            State::Aborted => Err(Error::cancelled("the checkpoint was aborted")),
            State::Publishing | State::Failed | State::Unclear(_) => Err(Error::poisoned(
                "an earlier publication of this attempt failed; abort it and begin another",
            )),
        }
    }

    /// Records how the publication of `metadata` ended.
    pub fn end_publication(&mut self, metadata: &[u8], result: &Result<()>) {
        self.0 = match result {
            Ok(()) => State::Published,
            Err(error) if error.kind() == ErrorKind::Indeterminate => {
                State::Unclear(metadata.into())
            }
            Err(_) => State::Failed,
        };
    }

    /// It is aborted, unless its publication is unclear: then this is the metadata that may be there.
    ///
    /// # Errors
    /// `InvalidInput` where it is published.
    pub fn begin_abort(&mut self) -> Result<Option<Arc<[u8]>>> {
        match &self.0 {
            State::Published => {
                Err(Error::invalid_input("it is published; discard it instead of aborting it"))
            }
            State::Unclear(metadata) => Ok(Some(Arc::clone(metadata))),
            _ => {
                self.0 = State::Aborted;
                Ok(None)
            }
        }
    }

    /// Ends the doubt: the metadata is there for good, or will never be. Where there is no doubt
    /// nothing changes.
    pub fn settle(&mut self, published: bool) {
        if let State::Unclear(_) = self.0 {
            self.0 = if published { State::Published } else { State::Aborted };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(result: &Result<()>) -> Phase {
        let mut phase = Phase::default();
        phase.check_open().unwrap();
        phase.begin_publication().unwrap();
        assert_eq!(phase.check_open().unwrap_err().kind(), ErrorKind::Cancelled);
        assert_eq!(phase.begin_publication().unwrap_err().kind(), ErrorKind::Poisoned);
        phase.end_publication(b"metadata", result);
        assert_eq!(phase.check_open().unwrap_err().kind(), ErrorKind::Cancelled);
        phase
    }

    #[test]
    fn what_is_published_stays() {
        let mut phase = ended(&Ok(()));
        for _ in 0..2 {
            assert_eq!(phase.begin_abort().unwrap_err().kind(), ErrorKind::InvalidInput);
            assert_eq!(phase.begin_publication().unwrap_err().kind(), ErrorKind::AlreadyExists);
            phase.settle(false);
        }
        assert!(!phase.is_aborted());
    }

    #[test]
    fn what_failed_or_was_never_published_is_aborted() {
        for mut phase in [Phase::default(), ended(&Err(Error::unavailable("no")))] {
            for _ in 0..2 {
                assert_eq!(phase.begin_abort().unwrap(), None);
                assert!(phase.is_aborted());
                assert_eq!(phase.begin_publication().unwrap_err().kind(), ErrorKind::Cancelled);
                phase.settle(true);
            }
        }
    }

    #[test]
    fn a_doubt_stays_until_it_is_settled() {
        for published in [true, false] {
            let mut phase = ended(&Err(Error::indeterminate("perhaps")));
            for _ in 0..2 {
                assert_eq!(phase.begin_abort().unwrap().as_deref(), Some(&b"metadata"[..]));
                assert!(!phase.is_aborted());
                assert_eq!(phase.begin_publication().unwrap_err().kind(), ErrorKind::Poisoned);
            }
            phase.settle(published);
            assert_eq!(phase.is_aborted(), !published);
            assert_eq!(phase.begin_abort().is_err(), published);
        }
    }
}
