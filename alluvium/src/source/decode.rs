//! From stored bytes to plain ones: gzip where the first two bytes say so, else as they are.
//!
//! The magic decides and not the name: what is called `.csv` may be compressed and is read all the
//! same. Files of several gzip members (as `cat a.gz b.gz` makes them) are read to the end.

use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use super::limit::READ_AHEAD;
use super::replay::{Replay, ReplayReader};

/// How the stored bytes are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Gzip,
}

impl Packing {
    /// Judges by the first stored bytes.
    pub(super) fn of(head: &[u8]) -> Self {
        if head.starts_with(&[0x1f, 0x8b]) { Self::Gzip } else { Self::Plain }
    }
}

/// Bytes that can be read again, and how they are packed.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) replay: Replay,
    pub(super) packing: Packing,
}

impl Stored {
    /// The plain bytes from the start.
    pub(super) fn decode(&self) -> Decoded {
        Decoded::new(self.replay.reader(), self.packing)
    }
}

/// A stream of plain bytes.
#[derive(Debug)]
pub(super) enum Decoded {
    Plain(ReplayReader),
    Gzip(Box<MultiGzDecoder<BufReader<ReplayReader>>>),
}

impl Decoded {
    pub(super) fn new(reader: ReplayReader, packing: Packing) -> Self {
        match packing {
            Packing::Plain => Self::Plain(reader),
            Packing::Gzip => {
                let buffered = BufReader::with_capacity(READ_AHEAD, reader);
                Self::Gzip(Box::new(MultiGzDecoder::new(buffered)))
            }
        }
    }
}

impl Read for Decoded {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(reader) => reader.read(buf),
            Self::Gzip(reader) => reader.read(buf),
        }
    }
}
