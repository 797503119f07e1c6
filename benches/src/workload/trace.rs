//! Traces: sequences of accesses in a file, so that a workload of one's own can be brought along.
//!
//! # Format
//! Version 1. Numbers are varints of LEB128 (seven bits a byte, the lowest first) unless it says otherwise.
//!
//! | part | content |
//! |---|---|
//! | head | `ALVTRACE`, then the version, one byte |
//! | each access | a byte: the operation's number, plus 128 in a window; the key; the window, if there is one; what the operation has |
//! | tail | a byte 0, the number of accesses, and the XXH3-64 of everything before it (8 bytes, little-endian) |
//!
//! | number | operation | what it has |
//! |---|---|---|
//! | 1, 2, 3 | value: get, set, clear | set: a blob |
//! | 4, 5, 6 | sum: add, get, clear | add: the number |
//! | 7, 8, 9, 10, 11 | list: add, add all, update, get, clear | add: a blob; add all, update: a blob and how many |
//! | 12, 13, 14, 15, 16 | map: get, insert, remove, scan, clear | get, remove: the map key; insert: the map key and a blob |
//! | 17, 18 | merge: sum, list | the window that is merged into this one |
//!
//! A blob is its seed and its length in bytes. A file that ends before its tail is refused: a trace that was
//! cut short would be another workload.

use std::io::{self, Read, Write};

use xxhash_rust::xxh3::Xxh3;

use super::access::{Access, Blob, Operation};
use crate::Outcome;

const MAGIC: &[u8; 9] = b"ALVTRACE\x01";
const WINDOWED: u8 = 128;
/// The largest value or element, 64 MiB, so that a damaged trace does not ask for all memory.
const MAX_BLOB_BYTES: u64 = 64 << 20;
/// The most elements that are added at once.
const MAX_SERIES: u64 = 1 << 20;

/// Writes a trace.
pub struct Recorder<W: Write> {
    out: Hashing<W>,
    accesses: u64,
    buffer: Vec<u8>,
}

struct Hashing<T> {
    inner: T,
    hash: Xxh3,
}

impl<W: Write> Hashing<W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.inner.write_all(bytes)
    }
}

impl<W: Write> std::fmt::Debug for Recorder<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("accesses", &self.accesses).finish_non_exhaustive()
    }
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 128 {
        out.push(number.to_le_bytes()[0] | 128);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

fn put_blob(out: &mut Vec<u8>, blob: Blob) {
    put_number(out, blob.seed);
    put_number(out, blob.bytes.into());
}

fn number_of(operation: Operation) -> u8 {
    match operation {
        Operation::ValueGet => 1,
        Operation::ValueSet(_) => 2,
        Operation::ValueClear => 3,
        Operation::SumAdd(_) => 4,
        Operation::SumGet => 5,
        Operation::SumClear => 6,
        Operation::ListAdd(_) => 7,
        Operation::ListAddAll(..) => 8,
        Operation::ListUpdate(..) => 9,
        Operation::ListGet => 10,
        Operation::ListClear => 11,
        Operation::MapGet(_) => 12,
        Operation::MapInsert(..) => 13,
        Operation::MapRemove(_) => 14,
        Operation::MapScan => 15,
        Operation::MapClear => 16,
        Operation::MergeSum(_) => 17,
        Operation::MergeList(_) => 18,
    }
}

impl<W: Write> Recorder<W> {
    /// Begins a trace. Give it something buffered: an access is a few bytes.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn new(inner: W) -> Outcome<Self> {
        let mut out = Hashing { inner, hash: Xxh3::new() };
        out.put(MAGIC)?;
        Ok(Self { out, accesses: 0, buffer: Vec::new() })
    }

    /// Adds an access.
    ///
    /// # Errors
    /// Where it cannot be written, or no reader would take it.
    pub fn record(&mut self, access: &Access) -> Outcome<()> {
        let buffer = &mut self.buffer;
        buffer.clear();
        buffer
            .push(number_of(access.operation) | if access.window.is_some() { WINDOWED } else { 0 });
        put_number(buffer, access.key);
        if let Some(window) = access.window {
            put_number(buffer, window);
        }
        match access.operation {
            Operation::ValueSet(blob) | Operation::ListAdd(blob) => put_blob(buffer, blob),
            Operation::ListAddAll(blob, count) | Operation::ListUpdate(blob, count) => {
                put_blob(buffer, blob);
                put_number(buffer, count.into());
            }
            Operation::SumAdd(number)
            | Operation::MapGet(number)
            | Operation::MapRemove(number)
            | Operation::MergeSum(number)
            | Operation::MergeList(number) => put_number(buffer, number),
            Operation::MapInsert(map_key, blob) => {
                put_number(buffer, map_key);
                put_blob(buffer, blob);
            }
            _ => {}
        }
        check(access)?;
        self.accesses += 1;
        Ok(self.out.put(buffer)?)
    }

    /// Ends the trace; how many accesses it has.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn finish(mut self) -> Outcome<(W, u64)> {
        self.buffer.clear();
        self.buffer.push(0);
        put_number(&mut self.buffer, self.accesses);
        self.out.put(&self.buffer)?;
        let hash = self.out.hash.digest();
        self.out.inner.write_all(&hash.to_le_bytes())?;
        self.out.inner.flush()?;
        Ok((self.out.inner, self.accesses))
    }
}

/// Refuses what would take too much memory.
fn check(access: &Access) -> Outcome<()> {
    let (blob, count) = match access.operation {
        Operation::ValueSet(blob) | Operation::ListAdd(blob) | Operation::MapInsert(_, blob) => {
            (blob, 1)
        }
        Operation::ListAddAll(blob, count) | Operation::ListUpdate(blob, count) => {
            (blob, u64::from(count))
        }
        _ => return Ok(()),
    };
    let bytes = u64::from(blob.bytes);
    if bytes > MAX_BLOB_BYTES || count > MAX_SERIES || bytes.saturating_mul(count) > MAX_BLOB_BYTES
    {
        let name = access.operation.name();
        return Err(format!(
            "{name} with {count} x {bytes} bytes is too much: at most {MAX_BLOB_BYTES} bytes and {MAX_SERIES} elements"
        )
        .into());
    }
    Ok(())
}

/// Reads a trace, access by access.
pub struct Replay<R: Read> {
    input: R,
    hash: Xxh3,
    accesses: u64,
    ended: bool,
}

impl<R: Read> std::fmt::Debug for Replay<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replay").field("accesses", &self.accesses).finish_non_exhaustive()
    }
}

impl<R: Read> Replay<R> {
    /// Begins to read a trace. Give it something buffered.
    ///
    /// # Errors
    /// Where it cannot be read, is no trace, or one of another version.
    pub fn new(input: R) -> Outcome<Self> {
        let mut replay = Self { input, hash: Xxh3::new(), accesses: 0, ended: false };
        let mut magic = [0; MAGIC.len()];
        replay.fill(&mut magic).map_err(|_short| "this is no trace: it is too short")?;
        if magic.split_last().map(|(_, name)| name) != MAGIC.split_last().map(|(_, name)| name) {
            return Err("this is no trace: it does not begin with ALVTRACE".into());
        }
        if magic != *MAGIC {
            let version = magic.last().copied().unwrap_or(0);
            return Err(
                format!("the trace has version {version}; this program reads version 1").into()
            );
        }
        Ok(replay)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Outcome<()> {
        self.input.read_exact(bytes)?;
        self.hash.update(bytes);
        Ok(())
    }

    fn byte(&mut self) -> Outcome<u8> {
        let mut byte = [0];
        self.fill(&mut byte)?;
        Ok(byte[0])
    }

    fn number(&mut self) -> Outcome<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 127);
            if shift == 63 && part > 1 {
                break;
            }
            number |= part << shift;
            if byte < 128 {
                return Ok(number);
            }
        }
        Err("a number has more than 64 bits".into())
    }

    fn blob(&mut self) -> Outcome<Blob> {
        let seed = self.number()?;
        Ok(Blob { seed, bytes: u32::try_from(self.number()?)? })
    }

    fn series(&mut self) -> Outcome<(Blob, u32)> {
        Ok((self.blob()?, u32::try_from(self.number()?)?))
    }

    fn operation(&mut self, number: u8) -> Outcome<Operation> {
        Ok(match number {
            1 => Operation::ValueGet,
            2 => Operation::ValueSet(self.blob()?),
            3 => Operation::ValueClear,
            4 => Operation::SumAdd(self.number()?),
            5 => Operation::SumGet,
            6 => Operation::SumClear,
            7 => Operation::ListAdd(self.blob()?),
            8 => {
                let (first, count) = self.series()?;
                Operation::ListAddAll(first, count)
            }
            9 => {
                let (first, count) = self.series()?;
                Operation::ListUpdate(first, count)
            }
            10 => Operation::ListGet,
            11 => Operation::ListClear,
            12 => Operation::MapGet(self.number()?),
            13 => Operation::MapInsert(self.number()?, self.blob()?),
            14 => Operation::MapRemove(self.number()?),
            15 => Operation::MapScan,
            16 => Operation::MapClear,
            17 => Operation::MergeSum(self.number()?),
            18 => Operation::MergeList(self.number()?),
            other => return Err(format!("there is no operation {other}").into()),
        })
    }

    /// The next access; `None` after the last one.
    fn access(&mut self) -> Outcome<Option<Access>> {
        let first = self.byte()?;
        if first == 0 {
            return self.tail().map(|()| None);
        }
        let key = self.number()?;
        let window = if first & WINDOWED == 0 { None } else { Some(self.number()?) };
        let operation = self.operation(first & !WINDOWED)?;
        let access = Access { key, window, operation };
        check(&access)?;
        Ok(Some(access))
    }

    fn tail(&mut self) -> Outcome<()> {
        let told = self.number()?;
        if told != self.accesses {
            return Err(format!("it has {} accesses and tells of {told}", self.accesses).into());
        }
        let found = self.hash.digest();
        let mut hash = [0; 8];
        self.input.read_exact(&mut hash)?;
        if u64::from_le_bytes(hash) != found {
            return Err("its checksum is wrong".into());
        }
        Ok(())
    }
}

impl<R: Read> Iterator for Replay<R> {
    type Item = Outcome<Access>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.access() {
            Ok(Some(access)) => {
                self.accesses += 1;
                Some(Ok(access))
            }
            Ok(None) => {
                self.ended = true;
                None
            }
            Err(error) => {
                self.ended = true;
                Some(Err(
                    format!("the trace is damaged at access {}: {error}", self.accesses).into()
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_operation() -> Vec<Access> {
        let blob = Blob { seed: u64::MAX, bytes: 100 };
        let operations = [
            Operation::ValueGet,
            Operation::ValueSet(blob),
            Operation::ValueClear,
            Operation::SumAdd(300),
            Operation::SumGet,
            Operation::SumClear,
            Operation::ListAdd(blob),
            Operation::ListAddAll(blob, 7),
            Operation::ListUpdate(blob, 0),
            Operation::ListGet,
            Operation::ListClear,
            Operation::MapGet(0),
            Operation::MapInsert(128, blob),
            Operation::MapRemove(127),
            Operation::MapScan,
            Operation::MapClear,
            Operation::MergeSum(1),
            Operation::MergeList(u64::MAX),
        ];
        let of =
            |operation| [Access::of(u64::MAX, operation), Access::within(0, 1 << 40, operation)];
        operations.into_iter().flat_map(of).collect()
    }

    fn written(accesses: &[Access]) -> Vec<u8> {
        let mut recorder = Recorder::new(Vec::new()).unwrap();
        for access in accesses {
            recorder.record(access).unwrap();
        }
        let (bytes, count) = recorder.finish().unwrap();
        assert_eq!(count, accesses.len() as u64);
        bytes
    }

    fn read(bytes: &[u8]) -> Outcome<Vec<Access>> {
        Replay::new(bytes)?.collect()
    }

    #[test]
    fn every_access_comes_back() {
        let all = every_operation();
        assert_eq!(read(&written(&all)).unwrap(), all);
        assert_eq!(read(&written(&[])).unwrap(), []);
    }

    #[test]
    fn the_bytes_are_those_of_the_format() {
        let bytes = written(&[Access::within(300, 5, Operation::SumAdd(1))]);
        let content = [&MAGIC[..], &[4 | 128, 0xac, 2, 5, 1], &[0, 1]].concat();
        let hash = xxhash_rust::xxh3::xxh3_64(&content);
        assert_eq!(bytes, [&content[..], &hash.to_le_bytes()].concat());
    }

    #[test]
    fn damage_is_found_wherever_it_is() {
        let bytes = written(&every_operation());
        for at in 0..bytes.len() {
            assert!(read(&bytes[..at]).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                assert!(read(&damaged).is_err(), "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn what_asks_for_too_much_is_refused_on_both_sides() {
        let large = Operation::ListAddAll(Blob { seed: 0, bytes: 1 << 20 }, 65);
        let access = Access::of(1, large);
        let refused = Recorder::new(Vec::new()).unwrap().record(&access).unwrap_err();
        assert!(refused.to_string().contains("too much"), "{refused}");
        let mut bytes = MAGIC.to_vec();
        bytes.extend([8, 1, 0, 0x80, 0x80, 0x40, 65]);
        let refused = read(&bytes).unwrap_err().to_string();
        assert!(refused.contains("too much") && refused.contains("access 0"), "{refused}");
    }
}
