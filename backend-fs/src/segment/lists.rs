//! Lists and runs of appended elements: segments that follow one another.

use std::ops::ControlFlow;

use alluvium_state_api::format::{DataBlock, ListSegment, Record};
use alluvium_state_api::{ListSize, Result, VisitElement};

use super::{BlockCache, Place, Segment};

impl Segment {
    /// Visits the elements of the list or run at `place`, in order.
    ///
    /// # Errors
    /// What the visitor returns; `Corrupted`, `Unavailable`.
    pub(crate) fn read_list(
        &self,
        cache: &mut BlockCache,
        place: Place,
        visit: &mut VisitElement<'_>,
    ) -> Result<ControlFlow<()>> {
        self.segments(cache, place, |segment| {
            for element in segment.elements {
                if visit(element)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    /// The index of the first element of the list or run at `place`, how many it has, and their size.
    ///
    /// # Errors
    /// `Corrupted`, `Unavailable`.
    pub(crate) fn list_extent(
        &self,
        cache: &mut BlockCache,
        place: Place,
    ) -> Result<(u64, ListSize)> {
        let (mut first, mut size) = (None, ListSize::default());
        let _ended = self.segments(cache, place, |segment| {
            first.get_or_insert(segment.first);
            size.elements += segment.elements.count();
            size.bytes += segment.elements.size();
            Ok(ControlFlow::Continue(()))
        })?;
        Ok((first.unwrap_or_default(), size))
    }

    /// Visits the segments of the list or run that begins at `place`.
    fn segments(
        &self,
        cache: &mut BlockCache,
        place: Place,
        mut visit: impl FnMut(&ListSegment<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<ControlFlow<()>> {
        let section = place.section as usize;
        let layout = self.layout(section)?;
        let (mut number, mut offset) = (place.block, place.offset as usize);
        let mut key = Vec::new();
        let mut next = None;
        loop {
            let (DataBlock { kind, .. }, raw) = self.block(cache, section, number)?;
            while offset < raw.len() {
                let (record, end) = layout.record_at(kind, raw, offset).map_err(|_error| {
                    self.misled(section, "segments of a list do not fill their block")
                })?;
                let (Record::List(segment) | Record::Append(segment)) = record else {
                    return Err(self.misled(section, "a place names no list"));
                };
                match next {
                    None => key.extend_from_slice(segment.key.bytes()),
                    Some(next) if next == segment.first && key == segment.key.bytes() => {}
                    Some(_) => return Ok(ControlFlow::Continue(())),
                }
                // Bounded: a segment whose elements pass 2^64 is refused where it is decoded.
                next = Some(segment.first + segment.elements.count());
                if visit(&segment)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                offset = end;
            }
            (number, offset) = (number.saturating_add(1), 0);
            if !self.opened(section)?.directory.blocks_of(kind).contains(&number) {
                return Ok(ControlFlow::Continue(()));
            }
        }
    }
}
