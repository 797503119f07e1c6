//! A list in chunks.
//!
//! # Layout
//! Elements are kept framed (see `alluvium_state_api::Elements`): the newest in a growing `tail` of at
//! most [`CHUNK_BYTES`], older ones in sealed chunks that never change, in groups of at most
//! [`GROUP_CHUNKS`]. Appending copies the new elements and nothing else; a snapshot copies the tail
//! and shares the rest, one reference per full group.
//!
//! # Invariants
//! L1. `elements` and `bytes` are the sums over all chunks; `bytes` is the list's size by the contract.
//! L2. Sealed chunks and full groups are never written.
//! L3. `marks` ascend in epoch and in elements; a mark (e, n) says that before the first append in
//!     epoch e the list had n elements. So what an increment on base b must append are the elements
//!     from the first mark above b, unless the list was made (`born`) after b.

use std::ops::ControlFlow;
use std::sync::Arc;

use alluvium_state_api::{Elements, Result};

use super::Now;
use crate::table::{Cell, Epoch, Span, append};

/// The longest tail, in bytes: what a snapshot copies at most.
pub(crate) const CHUNK_BYTES: usize = 4096;

/// Chunks in a full group.
const GROUP_CHUNKS: usize = 256;

#[derive(Clone, Debug)]
struct Chunk {
    framed: Arc<[u8]>,
    elements: u64,
}

#[derive(Clone, Debug, Default)]
struct Sealed {
    full: Vec<Arc<[Chunk]>>,
    open: Vec<Chunk>,
}

impl Sealed {
    fn push(&mut self, chunk: Chunk) {
        self.open.push(chunk);
        if self.open.len() == GROUP_CHUNKS {
            self.full.push(std::mem::take(&mut self.open).into());
        }
    }

    fn chunks(&self) -> impl Iterator<Item = &Chunk> {
        self.full.iter().flat_map(|group| group.iter()).chain(&self.open)
    }
}

/// A list of framed elements.
#[derive(Debug)]
pub(crate) struct ListCell {
    tail: Vec<u8>,
    tail_elements: u64,
    more: Option<Box<More>>,
    born: Epoch,
    last_mark: (Epoch, u64),
}

/// What only lists of some size or age have.
#[derive(Debug, Default)]
struct More {
    sealed: Sealed,
    sealed_elements: u64,
    sealed_bytes: u64,
    /// Marks before the last one.
    marks: Vec<(Epoch, u64)>,
}

impl ListCell {
    /// A list of these elements, made in the epoch `now`.
    pub(crate) fn new(elements: Elements<'_>, now: Now) -> Self {
        let mut cell = Self {
            tail: Vec::new(),
            tail_elements: 0,
            more: None,
            born: now.epoch,
            last_mark: (now.epoch, 0),
        };
        cell.add(elements);
        cell
    }

    /// How many elements the list has.
    pub(crate) fn elements(&self) -> u64 {
        self.tail_elements + self.more.as_ref().map_or(0, |more| more.sealed_elements)
    }

    /// The list's size: the sum of 4 + payload, in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.tail.len() as u64 + self.more.as_ref().map_or(0, |more| more.sealed_bytes)
    }

    /// Adds elements at the end.
    pub(crate) fn append(&mut self, elements: Elements<'_>, now: Now) {
        if self.last_mark.0 < now.epoch {
            let mark = (now.epoch, self.elements());
            let passed = std::mem::replace(&mut self.last_mark, mark);
            self.remember(passed, now.horizon);
        }
        self.add(elements);
    }

    /// Keeps an older mark for as long as an increment may need it.
    fn remember(&mut self, mark: (Epoch, u64), horizon: Option<Epoch>) {
        let needed = |epoch: Epoch| horizon.is_some_and(|horizon| epoch > horizon);
        if let Some(more) = &mut self.more {
            more.marks.retain(|(epoch, _)| needed(*epoch));
        }
        if needed(mark.0) {
            self.more.get_or_insert_default().marks.push(mark);
        }
    }

    fn add(&mut self, elements: Elements<'_>) {
        let framed = elements.framed();
        if self.tail.len() + framed.len() <= CHUNK_BYTES {
            self.tail.extend_from_slice(framed);
            self.tail_elements += elements.count();
            return;
        }
        for payload in elements {
            if self.tail.len() + 4 + payload.len() > CHUNK_BYTES {
                self.seal();
            }
            let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
            self.tail.extend_from_slice(&length.to_le_bytes());
            self.tail.extend_from_slice(payload);
            self.tail_elements += 1;
            if self.tail.len() > CHUNK_BYTES {
                self.seal();
            }
        }
    }

    fn seal(&mut self) {
        if self.tail.is_empty() {
            return;
        }
        let more = self.more.get_or_insert_default();
        more.sealed_bytes += self.tail.len() as u64;
        more.sealed_elements += self.tail_elements;
        let chunk = Chunk { framed: self.tail.as_slice().into(), elements: self.tail_elements };
        more.sealed.push(chunk);
        self.tail.clear();
        self.tail_elements = 0;
    }

    /// Visits the framed runs of elements in order, each with how many it has.
    fn runs(&self) -> impl Iterator<Item = (&[u8], u64)> {
        let sealed = self.more.iter().flat_map(|more| more.sealed.chunks());
        sealed
            .map(|chunk| (&*chunk.framed, chunk.elements))
            .chain(std::iter::once((self.tail.as_slice(), self.tail_elements)))
    }

    /// Visits the elements in order; breaking stops.
    pub(crate) fn for_each(
        &self,
        visit: &mut dyn FnMut(&[u8]) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        for (framed, _) in self.runs() {
            for payload in Elements::parse(framed)? {
                if visit(payload)?.is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Hands the list's elements to another one, run by run.
    pub(crate) fn append_to(&self, target: &mut ListCell, now: Now) -> Result<()> {
        for (framed, _) in self.runs() {
            target.append(Elements::parse(framed)?, now);
        }
        Ok(())
    }
}

/// A list in a snapshot.
#[derive(Debug)]
pub(crate) struct ListImage {
    tail: Span,
    tail_elements: u64,
    sealed: Option<Box<Sealed>>,
    born: Epoch,
    marks: Vec<(Epoch, u64)>,
}

impl ListImage {
    /// The first element that an increment on `base` must append; `None` if the list is new to it
    /// and goes in whole.
    pub(crate) fn appended_since(&self, base: Epoch) -> Option<u64> {
        if self.born > base {
            return None;
        }
        self.marks.iter().find(|(epoch, _)| *epoch > base).map(|(_, elements)| *elements)
    }

    /// The same list with its copied bytes in another arena.
    pub(crate) fn moved(&self, from: &[u8], to: &mut Vec<u8>) -> Self {
        Self {
            tail: append(to, self.tail.of(from)),
            tail_elements: self.tail_elements,
            sealed: self.sealed.clone(),
            born: self.born,
            marks: Vec::new(),
        }
    }

    /// Visits the framed runs of elements in order, each with how many it has.
    pub(crate) fn runs<'a>(&'a self, arena: &'a [u8]) -> impl Iterator<Item = (&'a [u8], u64)> {
        let sealed = self.sealed.iter().flat_map(|sealed| sealed.chunks());
        sealed
            .map(|chunk| (&*chunk.framed, chunk.elements))
            .chain(std::iter::once((self.tail.of(arena), self.tail_elements)))
    }
}

impl Cell for ListCell {
    type Image = ListImage;

    fn image(&self, arena: &mut Vec<u8>) -> ListImage {
        let mut marks = self.more.as_ref().map_or_else(Vec::new, |more| more.marks.clone());
        marks.push(self.last_mark);
        ListImage {
            tail: append(arena, &self.tail),
            tail_elements: self.tail_elements,
            sealed: self.more.as_ref().map(|more| Box::new(more.sealed.clone())),
            born: self.born,
            marks,
        }
    }

    fn heap_bytes(&self) -> usize {
        let more = self.more.as_ref().map_or(0, |more| {
            let sealed = usize::try_from(more.sealed_bytes).unwrap_or(usize::MAX);
            sealed.saturating_add(size_of::<More>() + more.marks.capacity() * 16)
        });
        self.tail.capacity().saturating_add(more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alluvium_state_api::ElementsBuffer;

    fn now(epoch: Epoch, horizon: Option<Epoch>) -> Now {
        Now { epoch, horizon }
    }

    fn elements(buffer: &mut ElementsBuffer, payloads: &[Vec<u8>]) {
        buffer.clear();
        for payload in payloads {
            buffer.push(payload).unwrap();
        }
    }

    fn contents(cell: &ListCell) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        cell.for_each(&mut |payload| {
            found.push(payload.to_vec());
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
        found
    }

    #[test]
    fn elements_of_all_sizes_come_back_in_order() {
        let mut buffer = ElementsBuffer::default();
        let mut expected: Vec<Vec<u8>> = Vec::new();
        elements(&mut buffer, &[vec![0; 3]]);
        let mut cell = ListCell::new(buffer.as_elements(), now(1, None));
        expected.push(vec![0; 3]);
        for size in [0usize, 1, 4091, 4092, 4093, 10_000, 5, 70_000, 2] {
            let batch: Vec<Vec<u8>> = (0..5u8).map(|fill| vec![fill; size]).collect();
            elements(&mut buffer, &batch);
            cell.append(buffer.as_elements(), now(1, None));
            expected.extend(batch);
        }
        assert_eq!(contents(&cell), expected);
        assert_eq!(cell.elements(), expected.len() as u64);
        let size: usize = expected.iter().map(|payload| 4 + payload.len()).sum();
        assert_eq!(cell.size(), size as u64);
        let (mut arena, mut copied) = (Vec::new(), 0);
        let image = cell.image(&mut arena);
        assert!(arena.len() <= CHUNK_BYTES);
        for (framed, count) in image.runs(&arena) {
            assert_eq!(Elements::parse(framed).unwrap().count(), count);
            copied += framed.len();
        }
        assert_eq!(copied, size);
    }

    #[test]
    fn marks_say_what_was_appended_since_a_base() {
        let mut buffer = ElementsBuffer::default();
        elements(&mut buffer, &[vec![1], vec![2]]);
        let mut cell = ListCell::new(buffer.as_elements(), now(3, Some(2)));
        for epoch in [4, 6, 6, 9] {
            cell.append(buffer.as_elements(), now(epoch, Some(2)));
        }
        let image = cell.image(&mut Vec::new());
        let since: Vec<_> = (2..10).map(|base| image.appended_since(base)).collect();
        assert_eq!(since, [None, Some(2), Some(4), Some(4), Some(8), Some(8), Some(8), None]);
        cell.append(buffer.as_elements(), now(12, Some(9)));
        let image = cell.image(&mut Vec::new());
        assert_eq!(image.appended_since(9), Some(10));
        assert_eq!(image.marks.len(), 1, "marks that no increment needs are dropped");
    }
}
