//! Walks what a section of a segment says, in the order of keys.
//!
//! Entries, tombstones and appended elements of one section are in blocks of their own; a cursor merges
//! them. Removals of whole maps concern other segments only, and have a cursor of their own.

use alluvium_state_api::format::BlockKind;
use alluvium_state_api::{EntryKey, KeyGroup, Result};

use super::lane::Lane;
use super::{BlockCache, Place, Segment};

/// What a segment says of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What<'a> {
    /// It has this value (stamp in front, if the state is stamped).
    Value(&'a [u8]),
    /// It is a list, which replaces what older segments have.
    List,
    /// Elements were appended to a list that had exactly `first`.
    Append {
        /// The index of the first one.
        first: u64,
    },
    /// It was removed; or the whole map was, where maps are walked.
    Removed,
}

/// An entry at which a cursor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Item<'a> {
    /// Its key.
    pub key: EntryKey<'a>,
    /// What the segment says of it.
    pub what: What<'a>,
    /// Where it is, as [`Segment::find`] says it.
    pub place: Place,
}

/// Walks one section. A cursor is at an entry or at the end; it begins at the end.
///
/// Blocks come from the map, or through the cache that is passed; they are the cursor's own as long as
/// it is there, so that items borrow nothing but the cursor.
#[derive(Debug)]
pub(crate) struct SectionCursor<'s> {
    lanes: Vec<Lane<'s>>,
    /// The lane that has the lowest key.
    lowest: usize,
}

impl<'s> SectionCursor<'s> {
    fn over(
        segment: &'s Segment,
        (state, group): (u16, KeyGroup),
        kinds: &[BlockKind],
    ) -> Result<Self> {
        let mut lanes = Vec::new();
        if let Some((section, _)) = segment.section_of(state, group) {
            for kind in kinds {
                let lane = Lane::new(segment, section, *kind)?;
                if !lane.is_empty() {
                    lanes.push(lane);
                }
            }
        }
        Ok(Self { lanes, lowest: 0 })
    }

    /// A cursor over the entries of a state in a key group: none where the segment has none that are
    /// live.
    ///
    /// # Errors
    /// `Corrupted`, `Unavailable`.
    pub(crate) fn new(segment: &'s Segment, state: u16, group: KeyGroup) -> Result<Self> {
        Self::over(segment, (state, group), &Lane::KINDS)
    }

    /// A cursor over the maps that were removed whole, by key and namespace.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(crate) fn removed_maps(segment: &'s Segment, state: u16, group: KeyGroup) -> Result<Self> {
        Self::over(segment, (state, group), &[BlockKind::MapRemovals])
    }

    /// The same, for who goes from the beginning to the end: it reads in large pieces, past map and
    /// cache, and verifies each block again.
    #[must_use]
    pub(crate) fn sequential(mut self) -> Self {
        self.lanes = self.lanes.into_iter().map(Lane::sequential).collect();
        self
    }

    /// Goes to the first entry.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(crate) fn rewind(&mut self, cache: &mut BlockCache) -> Result<()> {
        self.lanes.iter_mut().try_for_each(|lane| lane.rewind(cache))?;
        self.choose()
    }

    /// Goes to the first entry whose bytes (key, namespace, map key) are at least `from`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(crate) fn seek(&mut self, cache: &mut BlockCache, from: &[u8]) -> Result<()> {
        self.lanes.iter_mut().try_for_each(|lane| lane.seek(cache, from))?;
        self.choose()
    }

    /// Goes to the next entry.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    #[inline]
    pub(crate) fn advance(&mut self, cache: &mut BlockCache) -> Result<()> {
        if let Some(lane) = self.lanes.get_mut(self.lowest) {
            lane.advance(cache)?;
        }
        if self.lanes.len() > 1 { self.choose() } else { Ok(()) }
    }

    /// The entry at which it is; `None` at the end.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    #[inline]
    pub(crate) fn item(&self) -> Result<Option<Item<'_>>> {
        self.lanes.get(self.lowest).map_or(Ok(None), Lane::item)
    }

    /// Key and namespace are prefix-free, so that all bytes order entries as their parts do.
    fn choose(&mut self) -> Result<()> {
        let mut lowest: Option<(usize, EntryKey<'_>)> = None;
        for (index, lane) in self.lanes.iter().enumerate() {
            if let Some(key) = lane.key()?
                && lowest.is_none_or(|(_, least)| key.bytes() < least.bytes())
            {
                lowest = Some((index, key));
            }
        }
        self.lowest = lowest.map_or(0, |(index, _)| index);
        Ok(())
    }
}
