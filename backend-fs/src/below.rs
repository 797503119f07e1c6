//! [`Below`]: what is under the write layer, for those who found nothing there.
//!
//! That is the sealed layer, while it is being written as a segment, and the segments; and a cache of what
//! was read of them.

use std::ops::ControlFlow;

use alluvium_state_api::{KeyedStore, ListSize, Result, Slot, StateKey, VisitElement};

use crate::layer::{Cover, Layer, Run};
use crate::read_cache::ReadCache;
use crate::segment::BlockCache;
use crate::segments::{PieceSpot, Segments, total};

/// The sealed layer and the segments.
#[derive(Debug)]
pub(crate) struct Below<'s> {
    pub(crate) sealed: Option<&'s mut Layer>,
    pub(crate) segments: &'s Segments,
    pub(crate) reads: &'s mut ReadCache,
    pub(crate) cache: &'s mut BlockCache,
    pub(crate) pieces: &'s mut Vec<PieceSpot>,
}

impl<'s> Below<'s> {
    /// The value of an entry of any state but a list that is not among what was read lately.
    #[inline(never)]
    pub(crate) fn value(self, slot: Slot, key: &StateKey<'_>) -> Result<Option<&'s [u8]>> {
        let Self { sealed, segments, cache, .. } = self;
        older(sealed, segments, cache, (slot, &key.hashed()))
    }

    /// The same, for a reader: it is kept among what was read lately.
    #[inline(never)]
    pub(crate) fn read(self, slot: Slot, key: &StateKey<'_>) -> Result<Option<&'s [u8]>> {
        let Self { sealed, segments, reads, cache, .. } = self;
        let key = &key.hashed();
        let value = older(sealed, segments, cache, (slot, key))?;
        if let Some(value) = value {
            reads.add(slot, key, value);
        }
        Ok(value)
    }

    /// The same, for a while.
    pub(crate) fn again(&mut self) -> Below<'_> {
        Below {
            sealed: self.sealed.as_deref_mut(),
            segments: self.segments,
            reads: self.reads,
            cache: self.cache,
            pieces: self.pieces,
        }
    }

    /// What the sealed layer has of a list.
    fn sealed_run(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<Run> {
        match self.sealed.as_deref_mut() {
            Some(layer) if layer.slot(slot).is_some() => layer.run(slot, key),
            _ => Ok(Run::Open),
        }
    }

    /// Elements and size of a list.
    pub(crate) fn list_size(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<ListSize> {
        let run = self.sealed_run(slot, key)?;
        let mut size = match run {
            Run::Gone => return Ok(ListSize::default()),
            Run::Over(base) => base,
            Run::Whole => ListSize::default(),
            Run::Open => {
                self.segments.list(self.cache, slot, key, self.pieces)?;
                return Ok(total(self.pieces));
            }
        };
        if let Some(layer) = self.sealed.as_deref_mut()
            && let Some(inner) = layer.slot(slot)
        {
            let above = layer.main.list_size(inner, key)?;
            size.elements = size.elements.saturating_add(above.elements);
            size.bytes = size.bytes.saturating_add(above.bytes);
        }
        Ok(size)
    }

    /// Visits the elements of a list in order, at most `most`: the layer that asks may be in the
    /// segments already, with what follows. Says whether there is a list, and whether to go on.
    pub(crate) fn read_list(
        &mut self,
        slot: Slot,
        key: &StateKey<'_>,
        most: u64,
        visit: &mut VisitElement<'_>,
    ) -> Result<(bool, ControlFlow<()>)> {
        let run = self.sealed_run(slot, key)?;
        let mut there = false;
        let in_segments = match run {
            Run::Over(base) => base.elements.min(most),
            Run::Open => most,
            Run::Whole | Run::Gone => 0,
        };
        if in_segments > 0 {
            self.segments.list(self.cache, slot, key, self.pieces)?;
            for index in (0..self.pieces.len()).rev() {
                let Some(piece) = self.pieces.get(index).copied() else {
                    break;
                };
                if piece.first >= in_segments {
                    break;
                }
                there = true;
                let flow = self.read_piece(piece, in_segments, visit)?;
                if flow.is_break() {
                    return Ok((true, flow));
                }
            }
        }
        if matches!(run, Run::Over(_) | Run::Whole)
            && let Some(layer) = self.sealed.as_deref_mut()
            && let Some(inner) = layer.slot(slot)
        {
            return read_run(layer, inner, key, visit);
        }
        Ok((there, ControlFlow::Continue(())))
    }
}

impl Below<'_> {
    /// Visits the elements of a piece whose index is below `end`.
    fn read_piece(
        &mut self,
        piece: PieceSpot,
        end: u64,
        visit: &mut VisitElement<'_>,
    ) -> Result<ControlFlow<()>> {
        let segment = self.segments.at(piece.spot.segment)?.segment();
        let mut next = piece.first;
        let mut flow = ControlFlow::Continue(());
        let ended = segment.read_list(self.cache, piece.spot.place, &mut |element| {
            if next == end {
                return Ok(ControlFlow::Break(()));
            }
            next += 1;
            flow = visit(element)?;
            Ok(flow)
        })?;
        debug_assert!(ended.is_break() || flow.is_continue(), "who is told to stop does");
        Ok(flow)
    }
}

/// The value of an entry of any state but a list, in the sealed layer and the segments.
fn older<'s>(
    sealed: Option<&'s mut Layer>,
    segments: &'s Segments,
    cache: &'s mut BlockCache,
    (slot, key): (Slot, &StateKey<'_>),
) -> Result<Option<&'s [u8]>> {
    if let Some(layer) = sealed
        && let Some(inner) = layer.slot(slot)
    {
        let (main, mut covers) = layer.split();
        if let Some(value) = main.get(inner, key)? {
            return Ok(Some(value));
        }
        if covers.of(slot, key)? == Cover::Gone {
            return Ok(None);
        }
    }
    let Some(spot) = segments.find(cache, slot, key)? else {
        return Ok(None);
    };
    segments.value(cache, spot).map(Some)
}

/// Visits what a layer has of a list; says whether there is something, and whether to go on.
pub(crate) fn read_run(
    layer: &mut Layer,
    inner: Slot,
    key: &StateKey<'_>,
    visit: &mut VisitElement<'_>,
) -> Result<(bool, ControlFlow<()>)> {
    let mut flow = ControlFlow::Continue(());
    let there = layer.main.read_list(inner, key, &mut |element| {
        flow = visit(element)?;
        Ok(flow)
    })?;
    Ok((there, flow))
}
