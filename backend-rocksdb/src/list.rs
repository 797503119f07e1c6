//! Lists: a head that says how much there is, and chunks of framed elements behind it.
//!
//! Elements are added to the last chunk by RocksDB's merge, which reads and rewrites nothing, until the chunk
//! has [`CHUNK_BYTES`]; then the next one begins. So no value grows without bound, a list of any length is
//! read in the memory of a chunk, and its size is known from the head alone.
//!
//! # Invariants
//! L1. Head and chunks change in one batch.
//! L2. Chunks are numbered from 0 without gaps; each holds whole elements, at least one.

use alluvium_state_api::{Elements, Error, ListSize, Result};
use rocksdb::{MergeOperands, WriteBatch};

use crate::address::{push_varint, successor, take_varint};

/// A chunk takes elements while it is shorter than that; a longer element has one for itself.
pub(crate) const CHUNK_BYTES: u64 = 64 << 10;
/// Chunks that are removed one by one; more of them by one range.
const MOST_SINGLE_REMOVALS: u64 = 8;
/// The name of the merge operator, which the database remembers.
pub(crate) const MERGE_OPERATOR: &str = "alluvium-append";

/// How much a list has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// Elements.
    pub(crate) elements: u64,
    /// Bytes of all framed elements, stamps included.
    pub(crate) framed: u64,
    /// Chunks.
    pub(crate) chunks: u64,
    /// Bytes of the last chunk.
    pub(crate) tail: u64,
}

impl Head {
    /// Appends the head's bytes.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        for number in [self.elements, self.framed, self.chunks, self.tail] {
            push_varint(out, number);
        }
    }

    /// Reads a head.
    ///
    /// # Errors
    /// `Corrupted` for anything else.
    pub(crate) fn decode(mut bytes: &[u8]) -> Result<Self> {
        let rest = &mut bytes;
        let head = Self {
            elements: take_varint(rest)?,
            framed: take_varint(rest)?,
            chunks: take_varint(rest)?,
            tail: take_varint(rest)?,
        };
        if !rest.is_empty() || head.elements == 0 || head.chunks == 0 {
            return Err(Error::corrupted("the head of a list is damaged"));
        }
        Ok(head)
    }

    /// Elements and size by the contract, of a state with stamps of so many bytes.
    pub(crate) fn size(&self, stamp_bytes: usize) -> ListSize {
        let stamps = self.elements.saturating_mul(stamp_bytes as u64);
        ListSize { elements: self.elements, bytes: self.framed.saturating_sub(stamps) }
    }

    /// Adds elements to the chunks, and to the head in memory; the caller stores the head (L1).
    pub(crate) fn append(
        &mut self,
        address: &[u8],
        elements: Elements<'_>,
        batch: &mut WriteBatch,
    ) {
        let mut key = address.to_vec();
        let mut rest = elements.framed();
        let mut lengths = elements.iter().map(|element| element.len() as u64 + 4).peekable();
        while lengths.peek().is_some() {
            if self.chunks == 0 || self.tail >= CHUNK_BYTES {
                self.chunks += 1;
                self.tail = 0;
            }
            let mut piece = 0;
            while let Some(length) = lengths.next_if(|length| {
                self.tail + piece == 0 || self.tail + piece + length <= CHUNK_BYTES
            }) {
                piece += length;
                self.elements += 1;
            }
            if piece == 0 {
                // The next element does not fit into what is left.
                self.tail = CHUNK_BYTES;
                continue;
            }
            let (now, after) = rest
                .split_at_checked(usize::try_from(piece).unwrap_or(usize::MAX))
                .unwrap_or((rest, &[]));
            chunk_address(&mut key, address, self.chunks - 1);
            if self.tail == 0 {
                batch.put(&key, now);
            } else {
                batch.merge(&key, now);
            }
            self.tail += piece;
            self.framed += piece;
            rest = after;
        }
    }

    /// Removes the chunks.
    pub(crate) fn remove_chunks(&self, address: &[u8], batch: &mut WriteBatch) {
        let mut key = address.to_vec();
        if self.chunks > MOST_SINGLE_REMOVALS {
            chunk_address(&mut key, address, 0);
            batch.delete_range(&key, &successor(address));
            return;
        }
        for number in 0..self.chunks {
            chunk_address(&mut key, address, number);
            batch.delete(&key);
        }
    }
}

/// Writes the address of a chunk of the list at `address` over `key`.
pub(crate) fn chunk_address(key: &mut Vec<u8>, address: &[u8], number: u64) {
    key.clear();
    key.extend_from_slice(address);
    key.extend_from_slice(&number.to_be_bytes());
}

/// The merge operator: what was added, end to end.
#[expect(clippy::unnecessary_wraps, reason = "RocksDB wants an option")]
pub(crate) fn merge(_key: &[u8], old: Option<&[u8]>, added: &MergeOperands) -> Option<Vec<u8>> {
    let old = old.unwrap_or_default();
    let length = added.iter().map(<[u8]>::len).fold(old.len(), usize::saturating_add);
    let mut merged = Vec::with_capacity(length);
    merged.extend_from_slice(old);
    added.iter().for_each(|piece| merged.extend_from_slice(piece));
    Some(merged)
}

#[cfg(test)]
mod tests {
    use alluvium_state_api::ElementsBuffer;

    use super::*;

    fn elements(lengths: &[usize]) -> ElementsBuffer {
        let mut buffer = ElementsBuffer::default();
        for length in lengths {
            buffer.push(&vec![1; *length]).unwrap();
        }
        buffer
    }

    #[test]
    fn heads_come_back_and_damaged_ones_are_refused() {
        let head = Head { elements: 3, framed: 300, chunks: 1, tail: 300 };
        let mut bytes = Vec::new();
        head.encode(&mut bytes);
        assert_eq!(Head::decode(&bytes).unwrap(), head);
        assert!(Head::decode(&bytes[..bytes.len() - 1]).is_err());
        bytes.push(0);
        assert!(Head::decode(&bytes).is_err());
        assert!(Head::decode(&[0, 0, 0, 0]).is_err(), "an empty list has no head");
    }

    #[test]
    fn chunks_end_where_they_are_full() {
        let (mut head, mut batch) = (Head::default(), WriteBatch::default());
        let chunk = usize::try_from(CHUNK_BYTES).unwrap();
        head.append(b"list", elements(&[chunk - 4, 1]).as_elements(), &mut batch);
        assert_eq!(head, Head { elements: 2, framed: CHUNK_BYTES + 5, chunks: 2, tail: 5 });
        head.append(b"list", elements(&[3 * chunk]).as_elements(), &mut batch);
        assert_eq!((head.chunks, head.tail), (3, 3 * CHUNK_BYTES + 4), "long ones stand alone");
        head.append(b"list", elements(&[1, 1]).as_elements(), &mut batch);
        assert_eq!((head.elements, head.chunks, head.tail), (5, 4, 10));
        assert_eq!(batch.len(), 4);
        head.append(b"list", Elements::default(), &mut batch);
        assert_eq!(batch.len(), 4);
    }
}
