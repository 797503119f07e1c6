//! Tests of the sources: what they give, that they can be replayed, and how they refuse.

mod built_in;
mod columns;
mod files;
mod refusals;
mod replay;

use std::io::Write;
use std::path::PathBuf;

use tempfile::TempDir;

use super::{ColumnRequest, Input, Record, Result, Source, SourceError, SourceErrorKind};

/// A directory with files for one test.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> Input {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        Input::File(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn gzip(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes.as_ref()).unwrap();
    encoder.finish().unwrap()
}

fn open(input: &Input, key: &str) -> Result<Source> {
    Source::open(input, &ColumnRequest::by_key(key))
}

/// Opens `text` as a file called `name`.
fn open_text(name: &str, text: impl AsRef<[u8]>, key: &str) -> Result<Source> {
    let files = Files::new();
    open(&files.put(name, text), key)
}

/// Key, measure and category of every record.
fn rows(source: &Source) -> Vec<(String, Option<i64>, Option<String>)> {
    let row = |record: Record| {
        (record.key().to_owned(), record.measure(), record.category().map(str::to_owned))
    };
    source.open_at(0).unwrap().map(|record| row(record.unwrap())).collect()
}

/// The fields of every record.
fn fields(source: &Source) -> Vec<Vec<String>> {
    let row = |record: Record| record.fields().map(str::to_owned).collect();
    source.open_at(0).unwrap().map(|record| row(record.unwrap())).collect()
}

/// The first error, on opening or on reading to the end.
fn first_error(source: Result<Source>) -> SourceError {
    let source = match source {
        Ok(source) => source,
        Err(error) => return error,
    };
    match source.open_at(0) {
        Ok(mut reader) => reader.find_map(Result::err).expect("an error"),
        Err(error) => error,
    }
}

/// The message is one lower-case line without a final period that names the place.
#[track_caller]
fn assert_refused(error: &SourceError, kind: SourceErrorKind, line: Option<u64>) {
    let text = error.to_string();
    assert_eq!((error.kind(), error.line()), (kind, line), "{text}");
    assert!(text.starts_with(error.place()), "{text}");
    assert!(!text.contains('\n') && !text.ends_with('.') && text.len() < 1000, "{text}");
}
