//! Reads records from a position on, and counts.
//!
//! The counts are those of the whole prefix before the position, whether this reader gave those
//! records or was opened behind them, so that a job that recovers need not keep them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::{Result, SourceError, SourceErrorKind};
use super::nexmark_rows;
use super::record::{Record, Roles, is_missing};
use super::rows::{Row, Rows};

/// What became of the records before a position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All of them; the same as the position.
    pub records: u64,
    /// Skipped because the key is missing (empty, `NA` or JSON `null`).
    pub without_key: u64,
    /// Skipped because the Nexmark event is a person or an auction, not a bid.
    pub not_a_bid: u64,
    /// Given, but without a measure: the field is missing or not a whole number.
    pub without_measure: u64,
}

impl Counts {
    /// Records that were given.
    pub fn kept(&self) -> u64 {
        self.records.saturating_sub(self.skipped())
    }

    /// Records that were skipped for whatever reason.
    pub fn skipped(&self) -> u64 {
        self.without_key.saturating_add(self.not_a_bid)
    }
}

/// What [`Progress`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressUnit {
    /// Records of an input whose number of records is known.
    Records,
    /// Bytes of a file, as stored.
    Bytes,
}

/// How far a reader came, for a progress bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is behind.
    pub done: u64,
    /// What there is.
    pub total: u64,
    /// Of what.
    pub unit: ProgressUnit,
}

/// Where the progress comes from.
#[derive(Debug)]
pub(super) enum Meter {
    Records { total: u64 },
    Bytes { read: Arc<AtomicU64>, total: u64 },
}

/// A stream of records from one position on. See [`Source::open_at`](super::Source::open_at).
#[derive(Debug)]
pub struct Reader {
    rows: Rows,
    roles: Roles,
    counts: Counts,
    meter: Meter,
    place: Arc<str>,
    failed: bool,
}

impl Reader {
    /// A reader of `rows` from their start.
    pub(super) fn new(rows: Rows, roles: Roles, meter: Meter, place: Arc<str>) -> Self {
        Self { rows, roles, counts: Counts::default(), meter, place, failed: false }
    }

    /// Tells a reader of the Nexmark stream that its rows begin at `position`.
    pub(super) fn begins_at(mut self, position: u64) -> Self {
        self.counts.records = position;
        self.counts.not_a_bid = nexmark_rows::not_bids_before(position);
        self
    }

    /// Reads over records up to `position`, as if they had been given.
    pub(super) fn pass_to(mut self, position: u64) -> Result<Self> {
        let mut record = Record::default();
        while self.counts.records < position {
            if self.step(&mut record)? == Step::End {
                let message = format!(
                    "has only {} records, position {position} is past its end; was it replaced?",
                    self.counts.records
                );
                return Err(SourceError::new(SourceErrorKind::Changed, &self.place, message));
            }
        }
        Ok(self)
    }

    /// Fills `record` with the next record that has a key; false at the end.
    ///
    /// The buffers of `record` are reused. After false or an error its content is unspecified.
    ///
    /// # Errors
    ///
    /// The first record that cannot be read, or a failure of the input; from then on always
    /// [`SourceErrorKind::Stopped`].
    pub fn next_into(&mut self, record: &mut Record) -> Result<bool> {
        loop {
            match self.step(record)? {
                Step::Kept => return Ok(true),
                Step::Skipped => {}
                Step::End => return Ok(false),
            }
        }
    }

    /// The number of records behind, skipped ones included: what a checkpoint has to hold.
    pub fn position(&self) -> u64 {
        self.counts.records
    }

    /// What became of the records behind.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How far this reader came.
    pub fn progress(&self) -> Progress {
        match &self.meter {
            Meter::Records { total } => {
                Progress { done: self.counts.records, total: *total, unit: ProgressUnit::Records }
            }
            Meter::Bytes { read, total } => Progress {
                done: read.load(Ordering::Relaxed),
                total: *total,
                unit: ProgressUnit::Bytes,
            },
        }
    }

    fn step(&mut self, record: &mut Record) -> Result<Step> {
        if self.failed {
            let message = "reading stopped at an earlier error; fix that first";
            return Err(SourceError::new(SourceErrorKind::Stopped, &self.place, message));
        }
        let row = self.rows.next_row(&mut record.fields).inspect_err(|_| self.failed = true)?;
        if row == Row::End {
            return Ok(Step::End);
        }
        record.index = self.counts.records;
        self.counts.records = self.counts.records.saturating_add(1);
        if row == Row::NotABid {
            self.counts.not_a_bid = self.counts.not_a_bid.saturating_add(1);
            return Ok(Step::Skipped);
        }
        record.roles = self.roles;
        if is_missing(record.key()) {
            self.counts.without_key = self.counts.without_key.saturating_add(1);
            return Ok(Step::Skipped);
        }
        let measure = self.roles.measure.and_then(|column| record.field(column));
        record.measure = measure.and_then(|text| text.parse().ok());
        let lacking = u64::from(record.measure.is_none());
        self.counts.without_measure = self.counts.without_measure.saturating_add(lacking);
        Ok(Step::Kept)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Kept,
    Skipped,
    End,
}

/// The convenient form: a new [`Record`] each, and nothing after an error.
impl Iterator for Reader {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let mut record = Record::default();
        match self.next_into(&mut record) {
            Ok(true) => Some(Ok(record)),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }
}
