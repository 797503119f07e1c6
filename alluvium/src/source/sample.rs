//! What the first records of an input say about its columns.
//!
//! One pass over at most [`SAMPLE_RECORDS`] records notes per column whether there are values at
//! all, whether they are whole numbers and whether they differ. [`Selection`](super::Selection)
//! turns that into defaults.

use super::columns::Column;
use super::error::{Result, SourceError, SourceErrorKind};
use super::record::{Record, is_missing};
use super::rows::{Row, Rows};

/// How many records are looked at.
pub(super) const SAMPLE_RECORDS: u64 = 1000;

/// How much of a foreign value an error shows.
const SHOWN_CHARS: usize = 40;

/// What is known of one column; missing values do not count.
#[derive(Clone, Debug, Default)]
struct Stats {
    first: Option<String>,
    differs: bool,
    no_number: Option<String>,
    text: bool,
}

impl Stats {
    fn see(&mut self, text: &str) {
        if is_missing(text) {
            return;
        }
        match &self.first {
            None => self.first = Some(text.to_owned()),
            Some(first) => self.differs |= first != text,
        }
        self.text |= text.parse::<f64>().is_err();
        if self.no_number.is_none() && text.parse::<i64>().is_err() {
            self.no_number = Some(text.chars().take(SHOWN_CHARS).collect());
        }
    }

    fn has_values(&self) -> bool {
        self.first.is_some()
    }
}

/// What is known of all columns.
#[derive(Clone, Debug, Default)]
pub(super) struct Sampled {
    columns: Vec<Stats>,
    records: u64,
}

impl Sampled {
    /// Reads the first records of `rows`.
    pub(super) fn take(rows: &mut Rows, width: usize) -> Result<Self> {
        let mut sampled = Self { columns: vec![Stats::default(); width], records: 0 };
        let mut record = Record::default();
        while sampled.records < SAMPLE_RECORDS {
            match rows.next_row(&mut record.fields)? {
                Row::End => break,
                Row::Present => {
                    for (stats, text) in sampled.columns.iter_mut().zip(record.fields()) {
                        stats.see(text);
                    }
                }
                Row::NotABid => {}
            }
            sampled.records = sampled.records.saturating_add(1);
        }
        Ok(sampled)
    }

    /// How many records were there to look at.
    pub(super) fn records(&self) -> u64 {
        self.records
    }

    /// The rule for the measure.
    pub(super) fn best_measure(&self, key: usize) -> Option<usize> {
        let columns = self.columns.iter().enumerate();
        columns
            .filter(|(index, stats)| {
                *index != key && stats.has_values() && stats.no_number.is_none()
            })
            .min_by_key(|(_, stats)| !stats.differs)
            .map(|(index, _)| index)
    }

    /// The rule for the category.
    pub(super) fn best_category(&self, taken: &[usize]) -> Option<usize> {
        let columns = self.columns.iter().enumerate();
        columns
            .filter(|(index, _)| !taken.contains(index))
            .min_by_key(|(_, stats)| (!stats.has_values(), !stats.text, !stats.differs))
            .map(|(index, _)| index)
    }

    /// Refuses a measure that is not made of whole numbers.
    pub(super) fn check_whole_numbers(&self, column: &Column, place: &str) -> Result<()> {
        let foreign = self.columns.get(column.index).and_then(|stats| stats.no_number.as_deref());
        foreign.map_or(Ok(()), |text| {
            let message = format!(
                "column {:?} cannot be the measure: {text:?} is not a whole number; name another",
                column.name
            );
            Err(SourceError::new(SourceErrorKind::Columns, place, message))
        })
    }
}
