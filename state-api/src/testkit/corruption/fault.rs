//! What happens to one file of a checkpoint.

use super::specimen::Specimen;
use crate::random::{Randomness, SeededRandomness};

/// What is hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// `_metadata`.
    Metadata,
    /// A file, by its index in the specimen.
    File(usize),
}

/// What happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A byte is combined with a mask by exclusive or.
    Flip {
        /// Where.
        at: usize,
        /// Never 0.
        mask: u8,
    },
    /// A byte gets a value.
    Set {
        /// Where.
        at: usize,
        /// The value.
        to: u8,
    },
    /// Only so many bytes are left.
    Cut(usize),
    /// So many bytes of 0xa5 follow.
    Longer(usize),
    /// The file follows itself.
    Doubled,
    /// Another one of its kind is in its place.
    Swapped(usize),
    /// All bytes are 0.
    Zeroed,
    /// The bytes are in the opposite order.
    Reversed,
    /// The file is not there.
    Missing,
}

impl Fault {
    /// What happens to the byte at `at`, and at the length `at`.
    pub fn of_byte(at: usize, seed: u64) -> [Self; 4] {
        let random = SeededRandomness::new(seed ^ (at as u64).rotate_left(32)).next_u64();
        let mask = random.to_le_bytes().into_iter().find(|byte| *byte != 0).unwrap_or(1);
        [
            Self::Flip { at, mask },
            Self::Set { at, to: 0 },
            Self::Set { at, to: 0xff },
            Self::Cut(at),
        ]
    }

    /// What happens to a file as a whole.
    pub fn of_file(specimen: &Specimen, target: Target) -> Vec<Self> {
        let mut faults = vec![
            Self::Longer(1),
            Self::Longer(4096),
            Self::Doubled,
            Self::Zeroed,
            Self::Reversed,
            Self::Missing,
        ];
        faults.extend((0..specimen.others(target).len()).map(Self::Swapped));
        faults
    }

    /// Whether it hits a single byte.
    pub const fn is_flip(self) -> bool {
        matches!(self, Self::Flip { .. } | Self::Set { .. })
    }

    /// What is left of the bytes; `None` where the file is missing.
    pub fn apply(self, specimen: &Specimen, target: Target) -> Option<Vec<u8>> {
        let mut bytes = specimen.bytes_of(target).to_vec();
        match self {
            Self::Flip { at, mask } => bytes[at] ^= mask,
            Self::Set { at, to } => bytes[at] = to,
            Self::Cut(length) => bytes.truncate(length),
            Self::Longer(more) => bytes.resize(bytes.len() + more, 0xa5),
            Self::Doubled => bytes.extend_from_within(..),
            Self::Swapped(other) => bytes = specimen.others(target)[other].to_vec(),
            Self::Zeroed => bytes.fill(0),
            Self::Reversed => bytes.reverse(),
            Self::Missing => return None,
        }
        Some(bytes)
    }
}
