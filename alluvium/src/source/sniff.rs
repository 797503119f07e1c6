//! What is in a file: packing, format, or a reason why it cannot be read.
//!
//! The extension decides first (`.csv`, `.json`, `.jsonl`, `.ndjson`, each perhaps with `.gz`
//! behind it); without a known one the first character does: `{` means JSON lines, anything else
//! CSV. Content that is neither (archives, other compressions, UTF-16, binary) is named.

use std::io::{self, Read};
use std::path::Path;

use super::decode::{Decoded, Packing};
use super::error::{Result, SourceError, SourceErrorKind};
use super::replay::Replay;

const HEAD_BYTES: u64 = 4096;

/// The text formats that are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Csv,
    JsonLines,
}

/// First bytes of what is often tried, with what it is and what to do.
const FOREIGN: &[(&[u8], &str)] = &[
    (&[0x28, 0xb5, 0x2f, 0xfd], "is compressed with zstd; run zstd -dc on it and pipe to -"),
    (&[0xfd, 0x37, 0x7a, 0x58, 0x5a], "is compressed with xz; run xz -dc on it and pipe to -"),
    (&[0x04, 0x22, 0x4d, 0x18], "is compressed with lz4; run lz4 -dc on it and pipe to -"),
    (b"BZh", "is compressed with bzip2; run bzip2 -dc on it and pipe to -"),
    (b"PK\x03\x04", "is a zip archive; run unzip -p on it and pipe to -"),
    (b"PAR1", "is a Parquet file; convert it to CSV or JSON lines"),
    (&[0xff, 0xfe], "is UTF-16; run iconv -f utf-16 -t utf-8 on it and pipe to -"),
    (&[0xfe, 0xff], "is UTF-16; run iconv -f utf-16 -t utf-8 on it and pipe to -"),
];

/// Looks at the first bytes of `replay`, and at the path where there is one.
pub(super) fn sniff(
    replay: &Replay,
    path: Option<&Path>,
    place: &str,
) -> Result<(Packing, Format)> {
    let stored = head(replay.reader()).map_err(|error| SourceError::from_read(place, error))?;
    if stored.is_empty() {
        return Err(empty(place));
    }
    let packing = Packing::of(&stored);
    if packing == Packing::Plain && path.is_some_and(|path| has_extension(path, "gz")) {
        let message = "is named .gz but is not gzip; rename it or fetch it again";
        return Err(SourceError::new(SourceErrorKind::Malformed, place, message));
    }
    let plain = head(Decoded::new(replay.reader(), packing))
        .map_err(|error| SourceError::from_read(place, error))?;
    if plain.is_empty() {
        return Err(empty(place));
    }
    if let Some(reason) = foreign(&plain) {
        return Err(SourceError::new(SourceErrorKind::Unsupported, place, reason));
    }
    let named = path.and_then(format_by_name);
    if named == Some(Format::Csv) {
        return Ok((packing, Format::Csv));
    }
    let format = format_by_content(&plain, place)?;
    Ok((packing, named.unwrap_or(format)))
}

/// The error for an input without one byte.
pub(super) fn empty(place: &str) -> SourceError {
    let message = "is empty; give an input with at least one record";
    SourceError::new(SourceErrorKind::Empty, place, message)
}

fn head(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    reader.take(HEAD_BYTES).read_to_end(&mut head)?;
    Ok(head)
}

fn foreign(plain: &[u8]) -> Option<&'static str> {
    let known = FOREIGN.iter().find(|(magic, _)| plain.starts_with(magic));
    let binary = "is binary; give CSV with a header, or JSON lines, in UTF-8";
    known.map(|(_, reason)| *reason).or_else(|| plain.contains(&0).then_some(binary))
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(wanted))
}

fn format_by_name(path: &Path) -> Option<Format> {
    let stem = if has_extension(path, "gz") { Path::new(path.file_stem()?) } else { path };
    if has_extension(stem, "csv") {
        return Some(Format::Csv);
    }
    let json = ["json", "jsonl", "ndjson"].iter().any(|name| has_extension(stem, name));
    json.then_some(Format::JsonLines)
}

fn format_by_content(plain: &[u8], place: &str) -> Result<Format> {
    let text = plain.strip_prefix(b"\xef\xbb\xbf").unwrap_or(plain).trim_ascii_start();
    match text.first() {
        Some(b'{') => Ok(Format::JsonLines),
        Some(b'[') => Err(SourceError::new(
            SourceErrorKind::Unsupported,
            place,
            "is a JSON array; write one object a line, for example with jq -c '.[]'",
        )),
        _ => Ok(Format::Csv),
    }
}
