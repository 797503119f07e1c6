//! Rows of a CSV file with a header: commas, double quotes, any line end, UTF-8.
//!
//! Every row must have as many fields as the header. A byte order mark is ignored, and blank lines
//! are no records.
//!
//! # Line numbers
//!
//! The parser's own line numbers are too low behind blank lines and `\r\n` (it takes both for the
//! beginning of the next record), but its byte offsets are right. So the line of an error is found
//! by reading the input again up to that offset: slow, exact, and only done once.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;

use csv::{ErrorKind, Reader, ReaderBuilder, StringRecord};

use super::decode::{Decoded, Stored};
use super::error::{Result, SourceError, SourceErrorKind};
use super::limit::{Limited, READ_AHEAD};
use super::rows::Row;

/// The rows after the header.
#[derive(Debug)]
pub(super) struct CsvRows {
    reader: Reader<Limited<Decoded>>,
    stored: Stored,
    place: Arc<str>,
    begun: bool,
}

impl CsvRows {
    /// Rows of `bytes`, which are those of `stored` from the start.
    pub(super) fn new(bytes: Decoded, stored: Stored, place: Arc<str>) -> Self {
        let reader =
            ReaderBuilder::new().buffer_capacity(READ_AHEAD).from_reader(Limited::new(bytes));
        Self { reader, stored, place, begun: false }
    }

    /// The names in the header; none where the input is empty.
    pub(super) fn header(&mut self) -> Result<Vec<String>> {
        self.begun = true;
        match self.reader.headers() {
            Ok(names) => Ok(names.iter().map(str::to_owned).collect()),
            Err(error) => Err(self.describe(0, error)),
        }
    }

    pub(super) fn next_row(&mut self, fields: &mut StringRecord) -> Result<Row> {
        if !self.begun {
            self.header()?;
        }
        self.reader.get_mut().renew();
        let offset = self.reader.position().byte();
        match self.reader.read_record(fields) {
            Ok(true) => Ok(Row::Present),
            Ok(false) => Ok(Row::End),
            Err(error) => Err(self.describe(offset, error)),
        }
    }

    /// `offset` is where the record begins, for errors that do not know it themselves.
    #[cold]
    fn describe(&self, offset: u64, error: csv::Error) -> SourceError {
        let offset = error.position().map_or(offset, csv::Position::byte);
        let malformed =
            |message: String| SourceError::new(SourceErrorKind::Malformed, &self.place, message);
        let described = match error.into_kind() {
            ErrorKind::Io(error) => SourceError::from_read(&self.place, error),
            ErrorKind::UnequalLengths { expected_len, len, .. } => malformed(format!(
                "{len} field{} where the header has {expected_len}; fix the line, or quote fields \
                 that hold commas or quotes",
                if len == 1 { "" } else { "s" }
            )),
            ErrorKind::Utf8 { err, .. } => malformed(format!(
                "field {} is not valid UTF-8; convert the file, for example with iconv",
                err.field().saturating_add(1)
            ))
            .with_source(err),
            _ => malformed("is not valid CSV; fix the line".to_owned()),
        };
        match line_of(self.stored.decode(), offset) {
            Ok(line) => described.with_line(line),
            // What cannot be read again has no line.
            Err(_) => described,
        }
    }
}

/// The line, from 1, of the first byte from `offset` on that is not a line end.
fn line_of(bytes: Decoded, offset: u64) -> io::Result<u64> {
    let mut bytes = BufReader::with_capacity(READ_AHEAD, bytes);
    let mut line = 1_u64;
    let mut prefix = bytes.by_ref().take(offset);
    loop {
        let chunk = prefix.fill_buf()?;
        let read = chunk.len();
        if read == 0 {
            break;
        }
        line = line.saturating_add(chunk.iter().map(|byte| u64::from(*byte == b'\n')).sum());
        prefix.consume(read);
    }
    while let Some(end @ (b'\n' | b'\r')) = bytes.fill_buf()?.first().copied() {
        line = line.saturating_add(u64::from(end == b'\n'));
        bytes.consume(1);
    }
    Ok(line)
}
