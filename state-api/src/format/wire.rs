//! The smallest pieces of all formats: integers, varints, byte strings, records.
//!
//! | piece | encoding |
//! |---|---|
//! | `u8` .. `u128` | little-endian |
//! | varint | LEB128 of a `u64`, 1 to 10 bytes, shortest form only |
//! | bytes, string | varint length, then the bytes (UTF-8) |
//! | record | varint length, then the fields of a structure |
//!
//! Two ways of reading: the `take_*` functions return `None` where bytes are missing or wrong and
//! are used per entry; [`Input`] returns errors that say what was being read and is used for headers.
//!
//! # Invariants
//! * I1 Nothing is reserved or read before the length was compared with what remains.
//! * I2 A record is read completely, unless the file says that it may be longer (FORMAT.md 1).

use crate::{Error, Result};

/// Appends a varint.
#[inline]
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    #[expect(clippy::cast_possible_truncation, reason = "below 0x80")]
    out.push(value as u8);
}

/// How many bytes [`put_varint`] appends.
#[inline]
pub(crate) const fn varint_len(value: u64) -> usize {
    (70 - (value | 1).leading_zeros() as usize) / 7
}

/// Bytes that are copied at once.
const COPIED_BYTES: usize = 1 << 10;

/// Appends many bytes. Long copies between places with about the same offset in their pages are several
/// times slower than short ones on some processors (`rep movsb` on Zen 3 and 4).
pub(crate) fn append_long(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(bytes.len());
    for part in bytes.chunks(COPIED_BYTES) {
        out.extend_from_slice(part);
    }
}

/// Appends a length and the bytes.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a record, whose fields `write` appends.
pub(crate) fn put_record(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let mut body = Vec::new();
    write(&mut body);
    put_bytes(out, &body);
}

/// Appends the zigzag varint of a signed difference.
pub(crate) fn put_difference(out: &mut Vec<u8>, to: u64, from: u64) {
    let difference = to.wrapping_sub(from).cast_signed();
    put_varint(out, ((difference << 1) ^ (difference >> 63)).cast_unsigned());
}

/// Splits `length` bytes off the front.
#[inline]
pub(crate) fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}

/// Splits a varint off the front; `None` where it is cut off, above 64 bits or not the shortest.
#[inline]
pub(crate) fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let (&first, after) = rest.split_first()?;
    if first < 0x80 {
        *rest = after;
        return Some(u64::from(first));
    }
    take_long_varint(rest)
}

fn take_long_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for (index, &byte) in rest.iter().enumerate().take(10) {
        let bits = u64::from(byte & 0x7f);
        if index == 9 && byte > 1 {
            return None;
        }
        value |= bits << (7 * index);
        if byte < 0x80 {
            if byte == 0 {
                return None;
            }
            *rest = rest.get(index + 1..)?;
            return Some(value);
        }
    }
    None
}

/// Reads structures from bytes in memory, with errors that name what was being read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'a> {
    rest: &'a [u8],
    /// Whether records may be longer than what is known of them.
    extensible: bool,
}

macro_rules! integers {
    ($($name:ident: $type:ty;)*) => {
        $(pub(crate) fn $name(&mut self, what: &'static str) -> Result<$type> {
            let (bytes, rest) = self.rest.split_first_chunk().ok_or_else(|| cut_off(what))?;
            self.rest = rest;
            Ok(<$type>::from_le_bytes(*bytes))
        })*
    };
}

impl<'a> Input<'a> {
    pub(crate) const fn new(bytes: &'a [u8], extensible: bool) -> Self {
        Self { rest: bytes, extensible }
    }

    integers! {
        u8: u8;
        u16: u16;
        u32: u32;
        u64: u64;
        u128: u128;
    }

    pub(crate) const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// What was not read so far.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn take(&mut self, length: usize, what: &'static str) -> Result<&'a [u8]> {
        take(&mut self.rest, length).ok_or_else(|| cut_off(what))
    }

    pub(crate) fn varint(&mut self, what: &'static str) -> Result<u64> {
        take_varint(&mut self.rest).ok_or_else(|| {
            Error::corrupted(format!("{what} is cut off or not the shortest varint"))
        })
    }

    pub(crate) fn varint_u32(&mut self, what: &'static str) -> Result<u32> {
        let value = self.varint(what)?;
        u32::try_from(value).map_err(|_error| out_of_range(what, value))
    }

    /// A count of items that take at least `least` bytes each in what remains.
    pub(crate) fn count(&mut self, least: usize, what: &'static str) -> Result<usize> {
        let count = self.varint(what)?;
        let most = self.rest.len() / least.max(1);
        match usize::try_from(count) {
            Ok(fits) if fits <= most => Ok(fits),
            _ => Err(out_of_range(what, count)),
        }
    }

    /// The `(to)` of [`put_difference`].
    pub(crate) fn difference(&mut self, from: u64, what: &'static str) -> Result<u64> {
        let zigzag = self.varint(what)?;
        let difference = (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
        from.checked_add_signed(difference).ok_or_else(|| out_of_range(what, zigzag))
    }

    pub(crate) fn bytes(&mut self, what: &'static str) -> Result<&'a [u8]> {
        let length = self.count(1, what)?;
        self.take(length, what)
    }

    pub(crate) fn string(&mut self, what: &'static str) -> Result<&'a str> {
        std::str::from_utf8(self.bytes(what)?)
            .map_err(|error| Error::corrupted(format!("{what} is not UTF-8")).with_source(error))
    }

    pub(crate) fn flag(&mut self, what: &'static str) -> Result<bool> {
        match self.u8(what)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(out_of_range(what, u64::from(other))),
        }
    }

    /// Reads a record with `read`.
    pub(crate) fn record<T>(
        &mut self,
        what: &'static str,
        read: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let mut inner = Self::new(self.bytes(what)?, self.extensible);
        let value = read(&mut inner)?;
        if !self.extensible {
            inner.end(what)?;
        }
        Ok(value)
    }

    /// Fails unless all bytes were read.
    pub(crate) fn end(&self, what: &'static str) -> Result<()> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(Error::corrupted(format!("{what} has {} bytes too many", self.rest.len())))
    }
}

#[cold]
fn cut_off(what: &'static str) -> Error {
    Error::corrupted(format!("{what} is cut off"))
}

#[cold]
pub(crate) fn out_of_range(what: &'static str, value: u64) -> Error {
    Error::corrupted(format!("{what} has the impossible value {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn varints_round_trip_in_the_shortest_form(value: u64, shift in 0u32..64, tail: Vec<u8>) {
            let value = value >> shift;
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            prop_assert_eq!(bytes.len(), varint_len(value));
            bytes.extend_from_slice(&tail);
            let mut rest = &bytes[..];
            prop_assert_eq!(take_varint(&mut rest), Some(value));
            prop_assert_eq!(rest, &tail[..]);
        }

        #[test]
        fn differences_round_trip(to: u64, from: u64) {
            let (to, from) = (to >> 1, from >> 1);
            let mut bytes = Vec::new();
            put_difference(&mut bytes, to, from);
            prop_assert_eq!(Input::new(&bytes, false).difference(from, "it").unwrap(), to);
        }

        #[test]
        fn any_bytes_are_a_varint_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
            let mut rest = &bytes[..];
            if let Some(value) = take_varint(&mut rest) {
                let mut again = Vec::new();
                put_varint(&mut again, value);
                prop_assert_eq!(&again[..], &bytes[..bytes.len() - rest.len()]);
            }
        }
    }

    #[test]
    fn records_are_read_completely_unless_extensible() {
        let mut bytes = Vec::new();
        put_record(&mut bytes, |out| out.extend_from_slice(&[7, 8]));
        let read = |extensible| Input::new(&bytes, extensible).record("it", |input| input.u8("x"));
        assert!(read(false).is_err());
        assert_eq!(read(true).unwrap(), 7);
    }

    #[test]
    fn counts_are_bounded_by_what_remains() {
        let bytes = [3, 0, 0, 0, 0, 0];
        assert_eq!(Input::new(&bytes, false).count(1, "it").unwrap(), 3);
        assert!(Input::new(&bytes, false).count(2, "it").is_err());
    }
}
