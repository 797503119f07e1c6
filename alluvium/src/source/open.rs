//! Opens an input: finds out what it is, chooses the columns, and hands out readers.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use super::columns::{ColumnRequest, Defaults, Schema, Selection};
use super::csv_rows::CsvRows;
use super::decode::{Decoded, Packing, Stored};
use super::error::{Result, SourceError, SourceErrorKind};
use super::flights;
use super::json_rows::{self, JsonRows, Names};
use super::nexmark_rows::{self, NexmarkRows};
use super::reader::{Meter, Reader};
use super::replay::Replay;
use super::rows::Rows;
use super::sample::Sampled;
use super::sniff::{self, Format};

/// What to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The built-in table: flights from New York City in January 2013, keyed by `tailnum`.
    Flights,
    /// A file: CSV with header or JSON lines, perhaps compressed with gzip. A pipe is spooled.
    File(PathBuf),
    /// Standard input, in the same formats, spooled to a temporary file.
    Stdin,
    /// So many events of the Nexmark benchmark; bids, keyed by `auction`.
    Nexmark(u64),
}

impl Input {
    /// Reads the argument of `--input`: a path, or `-` for standard input.
    pub fn from_arg(argument: impl AsRef<OsStr>) -> Self {
        let argument = argument.as_ref();
        if argument == "-" { Self::Stdin } else { Self::File(argument.into()) }
    }
}

/// An input that was looked at and can be read any number of times.
#[derive(Clone, Debug)]
pub struct Source {
    place: Arc<str>,
    content: Content,
    schema: Schema,
    selection: Selection,
    known_len: Option<u64>,
}

/// What readers are made of.
#[derive(Clone, Debug)]
enum Content {
    Csv(Stored),
    Json(Stored, Arc<Names>),
    Nexmark(u64),
}

impl Source {
    /// Looks at `input` (spooling what cannot be replayed) and chooses its columns.
    ///
    /// # Errors
    ///
    /// Of every kind but `Stopped`: what the first 1000 records show of a wrong input is found
    /// here, the rest when it is read.
    pub fn open(input: &Input, columns: &ColumnRequest) -> Result<Self> {
        match input {
            Input::Flights => {
                let replay = Replay::Memory(flights::GZIP);
                let content = Content::Csv(Stored { replay, packing: Packing::Gzip });
                Self::look(content, flights::NAME, columns, flights::DEFAULTS, Some(flights::ROWS))
            }
            Input::File(path) => {
                let place = printable(path);
                Self::text(Replay::open(path, &place)?, Some(path), &place, columns)
            }
            Input::Stdin => Self::from_read(io::stdin().lock(), "standard input", columns),
            Input::Nexmark(events) => {
                nexmark_rows::check_events(*events)?;
                let (content, place) = (Content::Nexmark(*events), nexmark_rows::name(*events));
                Self::look(content, &place, columns, nexmark_rows::DEFAULTS, Some(*events))
            }
        }
    }

    /// Spools a stream that can be read only once, and opens that. `place` names it in messages.
    ///
    /// # Errors
    ///
    /// As [`Source::open`].
    pub fn from_read(input: impl io::Read, place: &str, columns: &ColumnRequest) -> Result<Self> {
        Self::text(Replay::spool(input, place)?, None, place, columns)
    }

    fn text(
        replay: Replay,
        path: Option<&Path>,
        place: &str,
        columns: &ColumnRequest,
    ) -> Result<Self> {
        let (packing, format) = sniff::sniff(&replay, path, place)?;
        let stored = Stored { replay, packing };
        let content = match format {
            Format::Csv => Content::Csv(stored),
            Format::JsonLines => {
                let names = json_rows::discover(stored.decode(), place.into())?;
                Content::Json(stored, Arc::new(names))
            }
        };
        Self::look(content, place, columns, Defaults::default(), None)
    }

    /// Reads names and a sample, and chooses the columns.
    fn look(
        content: Content,
        place: &str,
        columns: &ColumnRequest,
        defaults: Defaults,
        known_len: Option<u64>,
    ) -> Result<Self> {
        let place: Arc<str> = place.into();
        let names = match &content {
            Content::Csv(stored) => {
                CsvRows::new(stored.decode(), stored.clone(), Arc::clone(&place)).header()?
            }
            Content::Json(_, names) => names.ordered.clone(),
            Content::Nexmark(_) => nexmark_rows::COLUMNS.map(str::to_owned).into(),
        };
        let schema = Schema::new(names, &place)?;
        let width = schema.names().len();
        let sampled = Sampled::take(&mut content.rows(0, &place).0, width)?;
        if sampled.records() == 0 {
            let message = "has no record; give an input with at least one";
            return Err(SourceError::new(SourceErrorKind::Empty, &place, message));
        }
        let selection = Selection::resolve(&schema, columns, defaults, &sampled, &place)?;
        Ok(Self { place, content, schema, selection, known_len })
    }

    /// A reader of the records from `position` on, counted in records with skipped ones included.
    /// Readers are independent of each other.
    ///
    /// # Errors
    ///
    /// [`SourceErrorKind::Changed`] if the input was changed since it was opened or `position` is
    /// past its end, and whatever is wrong with the records before `position`.
    pub fn open_at(&self, position: u64) -> Result<Reader> {
        if let Some(total) = self.known_len.filter(|total| position > *total) {
            let message = format!("has only {total} records, position {position} is past its end");
            return Err(SourceError::new(SourceErrorKind::Changed, &self.place, message));
        }
        self.content.check_unchanged(&self.place)?;
        let (rows, mut meter) = self.content.rows(position, &self.place);
        if let Some(total) = self.known_len {
            meter = Meter::Records { total };
        }
        let reader = Reader::new(rows, self.selection.roles(), meter, Arc::clone(&self.place));
        match self.content {
            Content::Nexmark(_) => Ok(reader.begins_at(position)),
            _ => reader.pass_to(position),
        }
    }

    /// A digest of everything that decides which records readers give, and under which name: all
    /// stored bytes, the name of the file without its directories, the format, the columns with a
    /// role. Two inputs with the same digest are the same input.
    ///
    /// # Errors
    ///
    /// Where the input cannot be read.
    pub fn digest(&self) -> Result<u128> {
        let mut hasher = Xxh3::new();
        let mut field = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        field(self.place.rsplit('/').next().unwrap_or_default());
        let Selection { key, measure, category } = &self.selection;
        for column in [Some(key), measure.as_ref(), category.as_ref()] {
            let role = column.map(|column| (column.index, &column.name));
            field(&format!("{role:?}"));
        }
        match &self.content {
            Content::Csv(stored) | Content::Json(stored, _) => {
                field(if matches!(self.content, Content::Csv(_)) { "csv" } else { "json" });
                stored.replay.digest(&self.place, &mut hasher)?;
            }
            Content::Nexmark(events) => field(&format!("nexmark {events}")),
        }
        Ok(hasher.digest128())
    }

    /// What the input is called in messages: its path, `standard input`, or a built-in name.
    pub fn name(&self) -> &str {
        &self.place
    }

    /// The columns of the input.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The columns with a role, to be reported to the user.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// The number of records, skipped ones included, where it is known without reading them all.
    pub fn known_len(&self) -> Option<u64> {
        self.known_len
    }
}

impl Content {
    /// Rows from the start; those of the Nexmark stream from `position`.
    fn rows(&self, position: u64, place: &Arc<str>) -> (Rows, Meter) {
        match self {
            Self::Csv(stored) => {
                let (bytes, meter) = open_bytes(stored);
                let rows = CsvRows::new(bytes, stored.clone(), Arc::clone(place));
                (Rows::Csv(Box::new(rows)), meter)
            }
            Self::Json(stored, names) => {
                let (bytes, meter) = open_bytes(stored);
                let rows = JsonRows::new(bytes, Arc::clone(names), Arc::clone(place));
                (Rows::Json(Box::new(rows)), meter)
            }
            Self::Nexmark(events) => {
                let rows = NexmarkRows::new(*events, position);
                (Rows::Nexmark(Box::new(rows)), Meter::Records { total: *events })
            }
        }
    }

    fn check_unchanged(&self, place: &str) -> Result<()> {
        match self {
            Self::Csv(stored) | Self::Json(stored, _) => stored.replay.check_unchanged(place),
            Self::Nexmark(_) => Ok(()),
        }
    }
}

fn open_bytes(stored: &Stored) -> (Decoded, Meter) {
    let reader = stored.replay.reader();
    let meter = Meter::Bytes { read: reader.progress(), total: stored.replay.len() };
    (Decoded::new(reader, stored.packing), meter)
}

/// The path for messages; quoted and escaped where it would break the line.
fn printable(path: &Path) -> String {
    let text = path.display().to_string();
    if text.is_empty() || text.contains(char::is_control) { format!("{text:?}") } else { text }
}
