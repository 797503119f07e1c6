//! A list: in its slot while it is short, in chunks when it is not.
//!
//! # Layout
//! Elements are kept framed (see `alluvium_state_api::Elements`). Up to [`INLINE`] bytes of them lie in the
//! slot itself, so that reading or replacing a short list waits for one place in memory and allocates
//! nothing. A longer list has its newest elements in a growing `tail` of at most [`CHUNK_BYTES`], older
//! ones in sealed chunks that never change, in groups of at most [`GROUP_CHUNKS`]. Appending copies the new
//! elements and nothing else; a snapshot copies the tail and shares the rest, one reference per full group.
//!
//! # Invariants
//! L1. `sealed_elements` and `sealed_bytes` are the sums over all sealed chunks; a list's size by the
//!     contract is the length of its framed bytes.
//! L2. Sealed chunks and full groups are never written.
//! L3. Marks ascend in epoch and in elements; a mark (e, n) says that before the first append in
//!     epoch e the list had n elements. So what an increment on base b must append are the elements
//!     from the first mark above b, unless the list was made (`born`) after b. The last mark is that of
//!     `marked_in` and `marked`; earlier ones that an increment may still need make a list [`Long`](Body::Long).
//! L4. Framed bytes are those of `Elements`, put in as they came: they are read without being checked again.

use std::ops::ControlFlow;
use std::sync::Arc;

use alluvium_state_api::{Elements, Result};

use super::Now;
use crate::table::{Cell, Epoch, Span, append};

/// The longest tail, in bytes: what a snapshot copies at most.
pub(crate) const CHUNK_BYTES: usize = 4096;

/// Bytes of a short list. With a key of 8 bytes, a slot is as long as a line of the processor's cache.
const INLINE: usize = 44;

/// What a tail begins with, in bytes.
const FIRST_TAIL_BYTES: usize = 2 * INLINE;

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
    born: Epoch,
    /// The epoch of the last mark.
    marked_in: Epoch,
    body: Body,
}

/// Where a list's elements are.
#[derive(Debug)]
enum Body {
    /// The first `len` bytes of `bytes`. None of the numbers is above [`INLINE`].
    Short { len: u8, elements: u8, marked: u8, bytes: [u8; INLINE] },
    /// More than fits into the slot.
    Long { tail_elements: u32, tail: Vec<u8>, marked: u64, more: Option<Box<More>> },
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
        let body = Body::Short { len: 0, elements: 0, marked: 0, bytes: [0; INLINE] };
        let mut cell = Self { born: now.epoch, marked_in: now.epoch, body };
        cell.add(elements);
        cell
    }

    /// Makes it a list of these elements, made in the epoch `now`.
    #[inline]
    pub(crate) fn replace(&mut self, elements: Elements<'_>, now: Now) {
        if !self.replace_in_place(elements, now) {
            *self = Self::new(elements, now);
        }
    }

    /// [`replace`](Self::replace) for a list that is short and stays so; returns whether it is one.
    #[inline]
    pub(crate) fn replace_in_place(&mut self, elements: Elements<'_>, now: Now) -> bool {
        if let Body::Short { len, elements: count, marked, .. } = &mut self.body
            && elements.framed().len() <= INLINE
        {
            (*len, *count, *marked) = (0, 0, 0);
            (self.born, self.marked_in) = (now.epoch, now.epoch);
            return self.add_in_place(elements);
        }
        false
    }

    /// How many elements the list has.
    #[inline]
    pub(crate) fn elements(&self) -> u64 {
        match &self.body {
            Body::Short { elements, .. } => u64::from(*elements),
            Body::Long { tail_elements, more, .. } => {
                let sealed = more.as_ref().map_or(0, |more| more.sealed_elements);
                u64::from(*tail_elements) + sealed
            }
        }
    }

    /// The list's size: the sum of 4 + payload, in bytes.
    #[inline]
    pub(crate) fn size(&self) -> u64 {
        match &self.body {
            Body::Short { len, .. } => u64::from(*len),
            Body::Long { tail, more, .. } => {
                tail.len() as u64 + more.as_ref().map_or(0, |more| more.sealed_bytes)
            }
        }
    }

    /// Adds elements at the end.
    #[inline]
    pub(crate) fn append(&mut self, elements: Elements<'_>, now: Now) {
        if self.marked_in < now.epoch {
            self.mark(now);
        }
        self.add(elements);
    }

    /// Sets the mark of an epoch that has none, and keeps older ones for as long as an increment may need them.
    fn mark(&mut self, now: Now) {
        let needed = |epoch: Epoch| now.horizon.is_some_and(|horizon| epoch > horizon);
        let (passed, count) = (self.marked_in, self.elements());
        if needed(passed) {
            self.lengthen(0);
        }
        self.marked_in = now.epoch;
        match &mut self.body {
            Body::Short { elements, marked, .. } => *marked = *elements,
            Body::Long { marked, more, .. } => {
                let mark = (passed, std::mem::replace(marked, count));
                if let Some(more) = more {
                    more.marks.retain(|(epoch, _)| needed(*epoch));
                }
                if needed(passed) {
                    more.get_or_insert_default().marks.push(mark);
                }
            }
        }
    }

    /// Moves the elements of a short list to where there is room for so many bytes more.
    fn lengthen(&mut self, added: usize) {
        if let Body::Short { len, elements, marked, bytes } = &self.body {
            let framed = bytes.get(..usize::from(*len)).unwrap_or(bytes);
            let room = (framed.len() + added).clamp(FIRST_TAIL_BYTES, CHUNK_BYTES);
            let mut tail = Vec::with_capacity(room);
            tail.extend_from_slice(framed);
            let (tail_elements, marked) = (u32::from(*elements), u64::from(*marked));
            self.body = Body::Long { tail_elements, tail, marked, more: None };
        }
    }

    /// [`append`](Self::append) where that takes no memory and no mark; returns whether it was so.
    #[inline]
    pub(crate) fn append_in_place(&mut self, elements: Elements<'_>, now: Now) -> bool {
        self.marked_in >= now.epoch && self.add_in_place(elements)
    }

    #[inline]
    fn add_in_place(&mut self, added: Elements<'_>) -> bool {
        let framed = added.framed();
        match &mut self.body {
            Body::Short { len, elements, bytes, .. } => {
                let (from, to) = (usize::from(*len), usize::from(*len) + framed.len());
                if let Some(place) = bytes.get_mut(from..to) {
                    place.copy_from_slice(framed);
                    // neither is above `INLINE`, as each element has 4 bytes at least
                    *len += u8::try_from(framed.len()).unwrap_or(0);
                    *elements += u8::try_from(added.count()).unwrap_or(0);
                    return true;
                }
            }
            Body::Long { tail_elements, tail, .. } => {
                if let Ok(count) = u32::try_from(added.count())
                    && tail.len() + framed.len() <= tail.capacity().min(CHUNK_BYTES)
                {
                    tail.extend_from_slice(framed);
                    *tail_elements += count;
                    return true;
                }
            }
        }
        false
    }

    #[inline]
    fn add(&mut self, added: Elements<'_>) {
        if !self.add_in_place(added) {
            self.add_long(added);
        }
    }

    #[inline(never)]
    fn add_long(&mut self, added: Elements<'_>) {
        let size = added.framed().len();
        self.lengthen(size);
        if let Body::Long { tail, .. } = &mut self.body
            && tail.len() + size <= CHUNK_BYTES
        {
            tail.reserve(size);
        }
        if self.add_in_place(added) {
            return;
        }
        let Body::Long { tail_elements, tail, more, .. } = &mut self.body else {
            return;
        };
        for payload in added {
            if tail.len() + 4 + payload.len() > CHUNK_BYTES {
                seal(tail, tail_elements, more);
            }
            let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
            tail.extend_from_slice(&length.to_le_bytes());
            tail.extend_from_slice(payload);
            *tail_elements += 1;
            if tail.len() > CHUNK_BYTES {
                seal(tail, tail_elements, more);
            }
        }
    }

    /// Visits the runs of elements in order.
    #[inline]
    fn runs(&self) -> impl Iterator<Item = Elements<'_>> {
        let (more, last, elements) = match &self.body {
            Body::Short { len, elements, bytes, .. } => {
                (None, bytes.get(..usize::from(*len)).unwrap_or(bytes), u32::from(*elements))
            }
            Body::Long { tail, tail_elements, more, .. } => {
                (more.as_ref(), tail.as_slice(), *tail_elements)
            }
        };
        let sealed = more.into_iter().flat_map(|more| more.sealed.chunks());
        sealed
            .map(|chunk| Elements::from_checked(&chunk.framed, chunk.elements))
            .chain(std::iter::once(Elements::from_checked(last, u64::from(elements))))
    }

    /// Visits the elements in order; breaking stops.
    #[inline]
    pub(crate) fn for_each(
        &self,
        visit: &mut dyn FnMut(&[u8]) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        // Most lists by far, and what is common to all costs as much again.
        if let Body::Short { len, elements, bytes, .. } = &self.body {
            let framed = bytes.get(..usize::from(*len)).unwrap_or(bytes);
            let elements = Elements::from_checked(framed, u64::from(*elements));
            return visit_each(elements, visit).map(drop);
        }
        self.for_each_long(visit)
    }

    #[inline(never)]
    fn for_each_long(&self, visit: &mut dyn FnMut(&[u8]) -> Result<ControlFlow<()>>) -> Result<()> {
        for run in self.runs() {
            if visit_each(run, visit)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Hands the list's elements to another one, run by run.
    pub(crate) fn append_to(&self, target: &mut ListCell, now: Now) {
        self.runs().for_each(|elements| target.append(elements, now));
    }
}

#[inline]
fn visit_each(
    elements: Elements<'_>,
    visit: &mut dyn FnMut(&[u8]) -> Result<ControlFlow<()>>,
) -> Result<ControlFlow<()>> {
    for payload in elements {
        if visit(payload)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Makes a chunk of a tail that has elements.
fn seal(tail: &mut Vec<u8>, tail_elements: &mut u32, more: &mut Option<Box<More>>) {
    if tail.is_empty() {
        return;
    }
    let more = more.get_or_insert_default();
    let elements = u64::from(std::mem::take(tail_elements));
    more.sealed_bytes += tail.len() as u64;
    more.sealed_elements += elements;
    more.sealed.push(Chunk { framed: tail.as_slice().into(), elements });
    tail.clear();
}

/// A list in a snapshot.
#[derive(Debug)]
pub(crate) struct ListImage {
    tail: Span,
    tail_elements: u32,
    sealed: Option<Box<Sealed>>,
    born: Epoch,
    /// Marks before the last one.
    marks: Vec<(Epoch, u64)>,
    last_mark: (Epoch, u64),
}

impl ListImage {
    /// The first element that an increment on `base` must append; `None` if the list is new to it
    /// and goes in whole.
    pub(crate) fn appended_since(&self, base: Epoch) -> Option<u64> {
        if self.born > base {
            return None;
        }
        let mut marks = self.marks.iter().chain(std::iter::once(&self.last_mark));
        marks.find(|(epoch, _)| *epoch > base).map(|(_, elements)| *elements)
    }

    /// The same list with its copied bytes in another arena.
    pub(crate) fn moved(&self, from: &[u8], to: &mut Vec<u8>) -> Self {
        Self {
            tail: append(to, self.tail.of(from)),
            tail_elements: self.tail_elements,
            sealed: self.sealed.clone(),
            born: self.born,
            marks: Vec::new(),
            last_mark: self.last_mark,
        }
    }

    /// Visits the runs of elements in order.
    pub(crate) fn runs<'a>(&'a self, arena: &'a [u8]) -> impl Iterator<Item = Elements<'a>> {
        let sealed = self.sealed.iter().flat_map(|sealed| sealed.chunks());
        let last = Elements::from_checked(self.tail.of(arena), u64::from(self.tail_elements));
        sealed
            .map(|chunk| Elements::from_checked(&chunk.framed, chunk.elements))
            .chain(std::iter::once(last))
    }
}

impl Cell for ListCell {
    type Image = ListImage;

    fn image(&self, arena: &mut Vec<u8>) -> ListImage {
        let (framed, tail_elements, marked, more) = match &self.body {
            Body::Short { len, elements, marked, bytes } => {
                let framed = bytes.get(..usize::from(*len)).unwrap_or(bytes);
                (framed, u32::from(*elements), u64::from(*marked), None)
            }
            Body::Long { tail_elements, tail, marked, more } => {
                (tail.as_slice(), *tail_elements, *marked, more.as_ref())
            }
        };
        ListImage {
            tail: append(arena, framed),
            tail_elements,
            sealed: more.map(|more| Box::new(more.sealed.clone())),
            born: self.born,
            marks: more.map_or_else(Vec::new, |more| more.marks.clone()),
            last_mark: (self.marked_in, marked),
        }
    }

    #[inline]
    fn heap_bytes(&self) -> usize {
        let Body::Long { tail, more, .. } = &self.body else {
            return 0;
        };
        let more = more.as_ref().map_or(0, |more| {
            let sealed = usize::try_from(more.sealed_bytes).unwrap_or(usize::MAX);
            sealed.saturating_add(size_of::<More>() + more.marks.capacity() * 16)
        });
        tail.capacity().saturating_add(more)
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
        for elements in image.runs(&arena) {
            assert_eq!(Elements::parse(elements.framed()).unwrap(), elements);
            copied += elements.framed().len();
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
        assert_eq!(image.marks, [], "marks that no increment needs are dropped");
    }

    #[test]
    fn short_lists_allocate_nothing_until_they_must() {
        let mut buffer = ElementsBuffer::default();
        elements(&mut buffer, &[vec![7; 8]]);
        let mut cell = ListCell::new(buffer.as_elements(), now(1, None));
        for (epoch, horizon, allocated) in
            [(1, None, false), (2, Some(2), false), (4, Some(2), true)]
        {
            cell.append(buffer.as_elements(), now(epoch, horizon));
            assert_eq!(cell.heap_bytes() > 0, allocated, "in epoch {epoch}");
        }
        assert_eq!((cell.size(), cell.elements()), (48, 4));
        assert_eq!(contents(&cell), vec![vec![7; 8]; 4]);
        assert_eq!(size_of::<ListCell>(), 56);
    }
}
