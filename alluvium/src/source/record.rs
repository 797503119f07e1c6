//! One record: the fields of a row, and which of them are key, measure and category.
//!
//! A record is a reusable buffer. Its text lies in one string with the ends of the fields beside it
//! (the layout of `csv::StringRecord`, which the CSV parser fills in place).

use csv::StringRecord;

/// Says whether a field counts as missing: empty, or spelled `NA` as in the flights table.
pub(super) fn is_missing(text: &str) -> bool {
    text.is_empty() || text == "NA"
}

/// The indices of the three columns with a role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Roles {
    pub(super) key: usize,
    pub(super) measure: Option<usize>,
    pub(super) category: Option<usize>,
}

/// A record with a key, as [`Reader::next_into`](super::Reader::next_into) fills it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    pub(super) fields: StringRecord,
    pub(super) roles: Roles,
    pub(super) measure: Option<i64>,
    pub(super) index: u64,
}

impl Record {
    /// The key: never empty and never `NA`, except in a record that no reader has filled.
    pub fn key(&self) -> &str {
        self.field(self.roles.key).unwrap_or_default()
    }

    /// The measure; `None` where the field is missing or is not a whole number of 64 bits.
    pub fn measure(&self) -> Option<i64> {
        self.measure
    }

    /// The category; `None` where the field is missing.
    pub fn category(&self) -> Option<&str> {
        self.field(self.roles.category?).filter(|text| !is_missing(text))
    }

    /// The position of this record: how many come before it, skipped ones included.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The field of column `column` of the [`Schema`](super::Schema) as the input spells it.
    pub fn field(&self, column: usize) -> Option<&str> {
        self.fields.get(column)
    }

    /// All fields in the order of the [`Schema`](super::Schema).
    pub fn fields(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.fields.len()).map(|column| self.field(column).unwrap_or_default())
    }
}
