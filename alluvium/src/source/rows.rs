//! One interface over the three kinds of rows.
//!
//! A closed enum and not a trait object: there is one `match` per record, and the readers stay
//! plain data that can go to another thread.

use csv::StringRecord;

use super::csv_rows::CsvRows;
use super::error::Result;
use super::json_rows::JsonRows;
use super::nexmark_rows::NexmarkRows;

/// What came of asking for the next row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// The fields were filled.
    Present,
    /// There was an event, but not one with the columns of the schema.
    NotABid,
    /// There is no other row.
    End,
}

/// A stream of rows.
#[derive(Debug)]
pub(super) enum Rows {
    Csv(Box<CsvRows>),
    Json(Box<JsonRows>),
    Nexmark(Box<NexmarkRows>),
}

impl Rows {
    /// Fills `fields` with the next row, one field per column of the schema.
    pub(super) fn next_row(&mut self, fields: &mut StringRecord) -> Result<Row> {
        match self {
            Self::Csv(rows) => rows.next_row(fields),
            Self::Json(rows) => rows.next_row(fields),
            Self::Nexmark(rows) => Ok(rows.next_row(fields)),
        }
    }
}
