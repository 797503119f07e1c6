//! One publication after another while requests fail: each completes, or is given up cleanly.

use std::sync::Arc;

use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::{CheckpointAttempt, CheckpointStorage, FileScope};
use alluvium_state_api::testkit::storages::content::{
    check_whole, content, encode, id, names, write, write_three,
};
use alluvium_state_api::{ErrorKind, Result};

/// A storage whose requests fail, and the same without failures.
pub(crate) struct Publications<'a> {
    pub(crate) failing: Arc<dyn CheckpointStorage>,
    pub(crate) look: Arc<dyn CheckpointStorage>,
    /// Lets requests fail, or not any more; then what was late is done.
    pub(crate) disturb: &'a dyn Fn(bool),
    /// How many bytes the large file has that some publications bring, to be written in parts.
    pub(crate) large: usize,
}

/// How many publications were completed, given up, and gone wrong.
#[derive(Debug, Default)]
pub(crate) struct Count {
    pub(crate) completed: u64,
    pub(crate) given_up: u64,
    pub(crate) bad: u64,
}

impl Publications<'_> {
    pub(crate) fn run(&self, points: u64) -> Count {
        let mut count = Count::default();
        for number in 1..=points {
            (self.disturb)(true);
            let attempt = self.failing.begin(id(number));
            let published = attempt.and_then(|attempt| {
                let published = self.publish(&*attempt, number)?;
                Ok((attempt, published))
            });
            match published {
                Ok((attempt, (metadata, unused))) => {
                    let there = self.look.load(id(number));
                    let right = there.is_ok_and(|found| found.metadata == metadata);
                    count.bad += u64::from(!right || attempt.abort().is_ok());
                    count.completed += 1;
                    (self.disturb)(false);
                    self.discard(number, &unused);
                }
                Err(error) => {
                    let kind = error.kind();
                    let told = matches!(kind, ErrorKind::Unavailable | ErrorKind::Indeterminate);
                    count.bad += u64::from(!told);
                    count.given_up += 1;
                    (self.disturb)(false);
                }
            }
            // What was late has landed: what there is, is whole.
            for found in self.look.list().unwrap() {
                count.bad += u64::from(check_whole(&self.look.load(found).unwrap()).is_err());
            }
        }
        count
    }

    /// Publishes, or gives up. The metadata, and the shared files.
    fn publish(
        &self,
        attempt: &dyn CheckpointAttempt,
        number: u64,
    ) -> Result<(Vec<u8>, Vec<FileName>)> {
        let write_all = || {
            let mut files = write_three(&*attempt.sink(), number)?;
            if number.is_multiple_of(5) {
                files.push(write(
                    &*attempt.sink(),
                    FileScope::Shared,
                    &content(number, self.large),
                )?);
            }
            Ok(files)
        };
        let published = write_all().and_then(|files| {
            let metadata = encode(&files);
            attempt.publish(&metadata).map(|()| (metadata, names(&files).1))
        });
        if let Err(error) = &published {
            self.give_up(attempt, number, error.kind());
        }
        published
    }

    fn give_up(&self, attempt: &dyn CheckpointAttempt, number: u64, kind: ErrorKind) {
        let first = attempt.abort();
        (self.disturb)(false);
        let last = first.or_else(|_| attempt.abort());
        let there = self.look.load(id(number)).is_ok();
        match last {
            Ok(()) => assert!(!there, "{number} was given up and is there"),
            Err(error) => {
                assert_eq!(
                    (error.kind(), kind),
                    (ErrorKind::InvalidInput, ErrorKind::Indeterminate)
                );
                assert!(there, "{number} is said to be published, and is not there");
            }
        }
    }

    fn discard(&self, number: u64, unused: &[FileName]) {
        self.failing.discard(id(number), unused).unwrap();
        assert_eq!(self.look.load(id(number)).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
