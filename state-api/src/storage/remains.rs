//! The list of a savepoint's files that outlives its metadata while it is deleted: only metadata names
//! the files, and it goes first. Text of a line for each name between a header and an end, so that a
//! list that was cut short is noticed.

use crate::snapshot::FileName;
use crate::{Error, Result};

const HEADER: &str = "alluvium disposal 1";
const END: &str = "end";

/// Room for two million files.
pub const MAX_REMAINS_BYTES: u64 = 64 << 20;

/// The list of `files`.
pub fn encode_remains(files: &[FileName]) -> Vec<u8> {
    let names = files.iter().map(FileName::as_str);
    let lines: Vec<_> = [HEADER].into_iter().chain(names).chain([END]).collect();
    lines.join("\n").into_bytes()
}

/// Whether `bytes` begin as a list does. Metadata never does.
pub fn are_remains(bytes: &[u8]) -> bool {
    bytes.strip_prefix(HEADER.as_bytes()).is_some_and(|rest| rest.starts_with(b"\n"))
}

/// The files of a list, each a plain name.
///
/// # Errors
/// `Corrupted` where the list is not whole or holds anything else.
pub fn decode_remains(bytes: &[u8]) -> Result<Vec<FileName>> {
    let damaged =
        || Error::corrupted("this is no list of a savepoint's files; remove them by hand");
    let text = std::str::from_utf8(bytes).map_err(|error| damaged().with_source(error))?;
    let mut lines = text.split('\n');
    if lines.next() != Some(HEADER) || lines.next_back() != Some(END) {
        return Err(damaged());
    }
    lines.map(|name| FileName::new(name).map_err(|error| damaged().with_source(error))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn a_list_holds_safe_names_or_is_refused() {
        let names = ["a", "0123456789abcdef"].map(|name| FileName::new(name).unwrap());
        let bytes = encode_remains(&names);
        assert!(are_remains(&bytes) && !are_remains(b"alluvium") && !are_remains(b"end"));
        assert_eq!(decode_remains(&bytes).unwrap(), names);
        assert_eq!(decode_remains(&encode_remains(&[])).unwrap(), []);
        for length in 0..bytes.len() {
            assert_eq!(decode_remains(&bytes[..length]).unwrap_err().kind(), ErrorKind::Corrupted);
        }
        for name in ["..", "../a", "/etc/passwd", "a/b", "", ".", ".hidden", "a\0", "a\r"] {
            let text = format!("{HEADER}\n{name}\n{END}");
            assert!(decode_remains(text.as_bytes()).is_err(), "{name:?}");
        }
        assert!(decode_remains(b"alluvium disposal 2\na\nend").is_err());
    }
}
