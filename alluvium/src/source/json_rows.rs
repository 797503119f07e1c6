//! Rows of JSON lines: one object a line, UTF-8.
//!
//! The columns are the names of all fields in the first records, in order of first appearance; a
//! name that comes up only later is ignored, and a field that a record lacks is empty. A byte order
//! mark and blank lines are ignored. The lines are parsed in place; see `json_value` for values.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

use csv::StringRecord;
use serde_json::error::Category;

use super::decode::Decoded;
use super::error::{Result, SourceError, SourceErrorKind};
use super::json_value::{self, Slots};
use super::limit::{MAX_RECORD_BYTES, OverLimit, READ_AHEAD};
use super::rows::Row;
use super::sample::SAMPLE_RECORDS;

/// The most columns that are accepted.
const MAX_COLUMNS: usize = 10_000;

/// Columns by name, and names by column.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) ordered: Vec<String>,
    pub(super) by_name: BTreeMap<String, usize>,
}

/// The rows of the file, with the columns of `names`.
#[derive(Debug)]
pub(super) struct JsonRows {
    lines: Lines,
    names: Arc<Names>,
    slots: Slots,
}

impl JsonRows {
    pub(super) fn new(bytes: Decoded, names: Arc<Names>, place: Arc<str>) -> Self {
        Self { lines: Lines::new(bytes, place), slots: Slots::new(names.ordered.len()), names }
    }

    pub(super) fn next_row(&mut self, fields: &mut StringRecord) -> Result<Row> {
        if !self.lines.advance()? {
            return Ok(Row::End);
        }
        let text = self.lines.text()?;
        json_value::fill(text, &self.names, &mut self.slots)
            .map_err(|error| self.lines.describe(&error))?;
        fields.clear();
        self.slots.for_each(|text| fields.push_field(text));
        Ok(Row::Present)
    }
}

/// Collects the columns of the first records.
pub(super) fn discover(bytes: Decoded, place: Arc<str>) -> Result<Names> {
    let mut lines = Lines::new(bytes, place);
    let mut names = Names::default();
    let mut records = 0;
    while records < SAMPLE_RECORDS && lines.advance()? {
        let text = lines.text()?;
        json_value::collect_names(text, |name| {
            if !names.by_name.contains_key(name) {
                names.by_name.insert(name.to_owned(), names.ordered.len());
                names.ordered.push(name.to_owned());
            }
        })
        .map_err(|error| lines.describe(&error))?;
        if names.ordered.len() > MAX_COLUMNS {
            let message = format!("more than {MAX_COLUMNS} field names; is this one record type?");
            return Err(lines.refuse(SourceErrorKind::Columns, message));
        }
        records += 1;
    }
    Ok(names)
}

/// Lines of bounded length, numbered from 1.
#[derive(Debug)]
struct Lines {
    reader: BufReader<Decoded>,
    buffer: Vec<u8>,
    number: u64,
    place: Arc<str>,
}

impl Lines {
    fn new(bytes: Decoded, place: Arc<str>) -> Self {
        let reader = BufReader::with_capacity(READ_AHEAD, bytes);
        Self { reader, buffer: Vec::new(), number: 0, place }
    }

    /// Goes to the next line that is not blank; false at the end.
    fn advance(&mut self) -> Result<bool> {
        loop {
            self.buffer.clear();
            self.number = self.number.saturating_add(1);
            let mut capped = self.reader.by_ref().take(MAX_RECORD_BYTES.saturating_add(1));
            let outcome = capped.read_until(b'\n', &mut self.buffer).and_then(|read| {
                let over = read as u64 > MAX_RECORD_BYTES;
                if over { Err(std::io::Error::other(OverLimit)) } else { Ok(read) }
            });
            match outcome {
                Ok(0) => return Ok(false),
                Ok(_) if self.content().is_empty() => {}
                Ok(_) => return Ok(true),
                Err(error) => {
                    return Err(SourceError::from_read(&self.place, error).with_line(self.number));
                }
            }
        }
    }

    fn content(&self) -> &[u8] {
        let bytes = self.buffer.as_slice();
        let marked = if self.number == 1 { bytes.strip_prefix(b"\xef\xbb\xbf") } else { None };
        marked.unwrap_or(bytes).trim_ascii()
    }

    fn text(&self) -> Result<&str> {
        std::str::from_utf8(self.content()).map_err(|error| {
            let message = format!(
                "byte {} is not valid UTF-8; convert the file, for example with iconv",
                error.valid_up_to().saturating_add(1)
            );
            self.refuse(SourceErrorKind::Malformed, message).with_source(error)
        })
    }

    #[cold]
    fn refuse(&self, kind: SourceErrorKind, message: String) -> SourceError {
        SourceError::new(kind, &self.place, message).with_line(self.number)
    }

    #[cold]
    fn describe(&self, error: &serde_json::Error) -> SourceError {
        let text = error.to_string();
        let reason = text.split(" at line ").next().unwrap_or_default();
        let message = match error.classify() {
            Category::Eof => {
                "object is not closed on its line; write one a line, for example with jq -c"
                    .to_owned()
            }
            _ => format!("{reason} (column {}); give one JSON object a line", error.column()),
        };
        self.refuse(SourceErrorKind::Malformed, message)
    }
}
