//! Lists: a short one is one value, a long one a head that says how much there is, and chunks of framed elements
//! behind it.
//!
//! Most lists are short, and one value costs half of what a head and a chunk do. It is rewritten when something is
//! added, so it may have no more than [`SHORT_BYTES`].
//! Elements of a long list are added to its last chunk by RocksDB's merge, which reads and rewrites nothing, until the chunk
//! has [`CHUNK_BYTES`]; then the next one begins. So no value grows without bound, a list of any length is
//! read in the memory of a chunk, and its size is known from the head alone. A long list stays long until it is replaced.
//!
//! # Invariants
//! L1. Head and chunks change in one batch.
//! L2. Chunks are numbered from 0 without gaps; each holds whole elements, at least one.
//! L3. A short list has at least one element, and no chunks.

use alluvium_state_api::{Elements, ElementsBuffer, Error, ListSize, Result};
use rocksdb::{MergeOperands, WriteBatch};

use crate::address::{push_varint, successor, take_varint};

/// A chunk takes elements while it is shorter than that; a longer element has one for itself.
pub(crate) const CHUNK_BYTES: u64 = 64 << 10;
/// Chunks that are removed one by one; more of them by one range.
const MOST_SINGLE_REMOVALS: u64 = 8;
/// The name of the merge operator, which the database remembers.
pub(crate) const MERGE_OPERATOR: &str = "alluvium-append";

/// What begins a short list, where a head has its number of elements.
const SHORT_MARK: u8 = 0;
/// A short list has at most so many bytes of framed elements.
const SHORT_BYTES: u64 = 64;

/// Whether a list without chunks stays short when so many bytes are added to what it has.
#[inline]
pub(crate) const fn is_short(has: u64, added: u64) -> bool {
    has.saturating_add(added) <= SHORT_BYTES
}

/// Appends what is stored of a short list, or of its beginning.
#[inline]
pub(crate) fn encode_short(elements: Elements<'_>, out: &mut Vec<u8>) {
    out.push(SHORT_MARK);
    out.extend_from_slice(elements.framed());
}

/// What is stored of a list, behind the bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored<'a> {
    /// All of it.
    Short(Elements<'a>),
    /// How much there is in chunks.
    Long(Head),
}

impl<'a> Stored<'a> {
    /// Reads what is stored.
    ///
    /// # Errors
    /// `Corrupted` for anything else.
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self> {
        let Some((&SHORT_MARK, framed)) = bytes.split_first() else {
            return Head::decode(bytes).map(Self::Long);
        };
        let elements = Elements::parse(framed)?;
        if elements.is_empty() {
            return Err(Error::corrupted("a stored list is empty"));
        }
        Ok(Self::Short(elements))
    }
}

/// A list as an operation sees it: what chunks have, and behind it what is in none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Parts<'a> {
    /// The head of the chunks, if there are any.
    pub(crate) head: Option<Head>,
    /// The other elements.
    pub(crate) loose: Elements<'a>,
}

impl Parts<'_> {
    /// Whether there is no list.
    pub(crate) const fn is_empty(&self) -> bool {
        self.head.is_none() && self.loose.is_empty()
    }

    /// Elements and size of the whole by the contract, of a state with stamps of so many bytes.
    pub(crate) fn size(&self, stamp_bytes: usize) -> ListSize {
        let Head { elements, framed, .. } = self.head.unwrap_or_default();
        let elements = elements.saturating_add(self.loose.count());
        let framed = framed.saturating_add(self.loose.size());
        let stamps = elements.saturating_mul(stamp_bytes as u64);
        ListSize { elements, bytes: framed.saturating_sub(stamps) }
    }
}

/// A list that is written piece by piece: short as long as it can be.
#[derive(Debug, Default)]
pub(crate) struct Growing {
    head: Option<Head>,
    short: ElementsBuffer,
}

impl Growing {
    /// Goes on with what is stored.
    pub(crate) fn of(stored: Stored<'_>) -> Self {
        let mut growing = Self::default();
        match stored {
            Stored::Short(elements) => growing.short.extend(elements),
            Stored::Long(head) => growing.head = Some(head),
        }
        growing
    }

    /// What there is so far.
    pub(crate) fn parts(&self) -> Parts<'_> {
        Parts { head: self.head, loose: self.short.as_elements() }
    }

    /// Adds elements; those that go into chunks to a batch. The caller stores the rest (L1).
    pub(crate) fn append(
        &mut self,
        address: &[u8],
        elements: Elements<'_>,
        batch: &mut WriteBatch,
    ) {
        let short = self.short.as_elements();
        if self.head.is_none() && is_short(short.size(), elements.size()) {
            self.short.extend(elements);
            return;
        }
        let head = self.head.get_or_insert_default();
        head.append(address, short, batch);
        self.short.clear();
        head.append(address, elements, batch);
    }

    /// Appends what is to be stored at the list's address, behind the bounds.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match &self.head {
            Some(head) => head.encode(out),
            None => encode_short(self.short.as_elements(), out),
        }
    }
}

/// How much a long list has.
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

    /// Adds elements to the chunks, and to the head in memory; the caller stores the head (L1).
    pub(crate) fn append(
        &mut self,
        address: &[u8],
        elements: Elements<'_>,
        batch: &mut WriteBatch,
    ) {
        let mut key = address.to_vec();
        self.extend(elements, |head, piece| {
            chunk_address(&mut key, address, head.chunks - 1);
            if head.tail == 0 {
                batch.put(&key, piece);
            } else {
                batch.merge(&key, piece);
            }
        });
    }

    /// The head once these elements are added. Who puts it into a batch before the chunks spares RocksDB a search: it
    /// begins each one where the last one ended, and chunks lie behind their head.
    pub(crate) fn with(mut self, elements: [Elements<'_>; 2]) -> Self {
        for elements in elements {
            self.extend(elements, |_, _| ());
        }
        self
    }

    /// Divides elements among chunks: `add` gets the head before each piece, with the number of chunks after it, and
    /// a tail of 0 where the piece begins a chunk.
    fn extend(&mut self, elements: Elements<'_>, mut add: impl FnMut(&Self, &[u8])) {
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
            add(self, now);
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
    fn short_lists_come_back_and_damaged_ones_are_refused() {
        let short = elements(&[3, 0]);
        let mut bytes = Vec::new();
        encode_short(short.as_elements(), &mut bytes);
        assert_eq!(Stored::decode(&bytes).unwrap(), Stored::Short(short.as_elements()));
        assert!(Stored::decode(&bytes[..bytes.len() - 1]).is_err());
        assert!(Stored::decode(&[SHORT_MARK]).is_err(), "an empty list is not stored");
        assert!(Stored::decode(&[]).is_err());
        let head = Head { elements: 3, framed: 300, chunks: 1, tail: 300 };
        bytes.clear();
        head.encode(&mut bytes);
        assert_eq!(Stored::decode(&bytes).unwrap(), Stored::Long(head));
    }

    #[test]
    fn what_short_lists_rewrite_is_bounded() {
        for length in [0, 1, 8, 27, 28, 29, 59, 60, 61, 1_000] {
            let (mut growing, mut batch) = (Growing::default(), WriteBatch::default());
            let piece = elements(&[length]);
            let (mut rewritten, mut added) = (0, 0);
            while growing.head.is_none() {
                rewritten += growing.parts().loose.size();
                growing.append(b"list", piece.as_elements(), &mut batch);
                added += 1;
            }
            let all = growing.parts().size(0);
            assert_eq!(all, ListSize { elements: added, bytes: added * (length as u64 + 4) });
            let pieces = if length as u64 + 4 > SHORT_BYTES { 1 } else { 2 };
            assert_eq!((batch.len(), growing.parts().loose.count()), (pieces, 0), "{length}");
            assert!(rewritten <= added * SHORT_BYTES && added <= SHORT_BYTES / 4 + 1);
        }
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
        let both = [elements(&[1, chunk]), elements(&[9])];
        let after = head.with(both.each_ref().map(ElementsBuffer::as_elements));
        for elements in &both {
            head.append(b"list", elements.as_elements(), &mut WriteBatch::default());
        }
        assert_eq!(after, head);
        head.append(b"list", Elements::default(), &mut batch);
        assert_eq!(batch.len(), 4);
    }
}
