//! Records on their way from the source to a subtask: one flat buffer per batch, recycled.
//!
//! A [`Batch`] holds the text of its records in one string and the rest in one vector, so that
//! moving a record from the reader to a subtask allocates nothing once the buffers have grown.
//!
//! # Invariants
//!
//! 1. A batch is full at [`MAX_RECORDS`] records or [`FULL_TEXT_BYTES`] of text, whichever is first;
//!    its text is therefore shorter than that plus one record.
//! 2. Records come out in the order in which they went in.

use crate::source::Record;

/// The most records that a batch holds.
pub(super) const MAX_RECORDS: usize = 1024;

/// A batch with so much text takes no further record, in bytes.
const FULL_TEXT_BYTES: usize = 64 * 1024;

/// Text above this is given back when a batch is recycled, in bytes.
const KEPT_TEXT_BYTES: usize = 1024 * 1024;

/// What the job uses of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row<'a> {
    /// The key.
    pub(super) key: &'a str,
    /// The category, where the record has one.
    pub(super) category: Option<&'a str>,
    /// The measure, where the record has one.
    pub(super) measure: Option<i64>,
    /// The position of the record in the input.
    pub(super) index: u64,
}

impl<'a> Row<'a> {
    /// What the job uses of `record`.
    pub(super) fn of(record: &'a Record) -> Self {
        Self {
            key: record.key(),
            category: record.category(),
            measure: record.measure(),
            index: record.index(),
        }
    }
}

/// Where the parts of a row lie in the text.
#[derive(Debug)]
struct Packed {
    start: usize,
    key_end: usize,
    category_end: Option<usize>,
    measure: Option<i64>,
    index: u64,
}

/// Records for one subtask.
#[derive(Debug, Default)]
pub(super) struct Batch {
    text: String,
    rows: Vec<Packed>,
}

impl Batch {
    /// Adds a record.
    pub(super) fn push(&mut self, row: Row<'_>) {
        let start = self.text.len();
        self.text.push_str(row.key);
        let key_end = self.text.len();
        let category_end = row.category.map(|category| {
            self.text.push_str(category);
            self.text.len()
        });
        self.rows.push(Packed {
            start,
            key_end,
            category_end,
            measure: row.measure,
            index: row.index,
        });
    }

    /// Whether it should be sent before another record is added.
    pub(super) fn is_full(&self) -> bool {
        self.rows.len() >= MAX_RECORDS || self.text.len() >= FULL_TEXT_BYTES
    }

    /// Whether it holds no record.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The records.
    pub(super) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let text = |start, end| self.text.get(start..end).unwrap_or_default();
        self.rows.iter().map(move |row| Row {
            key: text(row.start, row.key_end),
            category: row.category_end.map(|end| text(row.key_end, end)),
            measure: row.measure,
            index: row.index,
        })
    }

    /// Empties it for the next records.
    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.text.clear();
        self.text.shrink_to(KEPT_TEXT_BYTES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row<'a>(key: &'a str, category: Option<&'a str>, index: u64) -> Row<'a> {
        let measure = index.is_multiple_of(2).then_some(-1);
        Row { key, category, measure, index }
    }

    #[test]
    fn records_come_out_as_they_went_in() {
        let rows = [row("a", None, 0), row("é", Some("ü"), 1), row("b", Some(""), 2)];
        let mut batch = Batch::default();
        for row in rows {
            batch.push(row);
        }
        assert!(batch.rows().eq(rows));
        batch.clear();
        assert!(batch.is_empty() && batch.rows().next().is_none());
    }

    #[test]
    fn a_batch_is_full_by_records_or_by_text() {
        let mut batch = Batch::default();
        for index in 0..MAX_RECORDS as u64 {
            assert!(!batch.is_full());
            batch.push(row("k", None, index));
        }
        assert!(batch.is_full());
        batch.clear();
        batch.push(row(&"x".repeat(FULL_TEXT_BYTES), None, 0));
        assert!(batch.is_full());
    }
}
