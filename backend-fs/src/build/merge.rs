//! Joins segments into one file: what later segments say of an entry overrides what earlier ones say.
//!
//! Used for merging in the background, for full and canonical snapshots, and to rewrite the values of a
//! state. Entries stream; in memory are a block of each segment, and the removed maps of one section.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alluvium_state_api::format::{
    SequentialWriter, StateFileSpec, StateFileWriter, WriteOptions, WrittenStateFile,
};
use alluvium_state_api::schema::{StateKind, StateMeta};
use alluvium_state_api::snapshot::Progress;
use alluvium_state_api::storage::FileWriter;
use alluvium_state_api::{
    ElementsBuffer, EntryKey, Error, KeyGroup, KeyGroupRange, Result, Rewrite,
};

use super::heads::Heads;
use crate::key::OwnedKey;
use crate::member::Member;
use crate::segment::{BlockCache, Item, SectionCursor, Segment, What};

/// Bytes of elements that are moved at a time.
const PIECE_BYTES: u64 = 64 << 10;
/// Memory for blocks of lists that are read, where segments are not mapped.
const CACHE_BYTES: usize = 1 << 20;
/// Bytes that are written between two looks at the clock.
const PACE_BYTES: u64 = 1 << 20;

/// Keeps a merge to so many bytes per second; clones share one pace.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    bytes_per_second: u64,
    hurried: Arc<AtomicBool>,
}

impl Pace {
    /// A pace of so many bytes per second.
    pub(crate) fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second, hurried: Arc::default() }
    }

    /// From now on as fast as it goes.
    pub(crate) fn hurry(&self) {
        self.hurried.store(true, Ordering::Relaxed);
    }

    /// Rests after `bytes` were written.
    fn rest(&self, bytes: u64) {
        self.pause(bytes.saturating_mul(1000) / self.bytes_per_second.max(1));
    }

    /// Waits so many milliseconds, unless it is in a hurry.
    pub(crate) fn pause(&self, mut left: u64) {
        while left > 0 && !self.hurried.load(Ordering::Relaxed) {
            let step = left.min(20);
            std::thread::sleep(Duration::from_millis(step));
            left -= step;
        }
    }
}

/// What a merge takes of its sources.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Extent<'a> {
    /// Everything, and there is nothing below: what was removed leaves no trace.
    All,
    /// Everything, and there are older segments.
    Newer,
    /// Everything in these key groups, below which there is nothing; else the newest source alone.
    Fold(&'a [KeyGroupRange]),
}

impl Extent<'_> {
    /// Whether nothing lies below the sources of a key group, and how many of the older of `count`
    /// sources do not count.
    fn of(self, group: KeyGroup, count: usize) -> (bool, usize) {
        match self {
            Self::All => (true, 0),
            Self::Newer => (false, 0),
            Self::Fold(folded) if folded.iter().any(|range| range.contains(group)) => (true, 0),
            Self::Fold(_) => (false, count.saturating_sub(1)),
        }
    }
}

/// A merge of adjacent segments.
#[derive(Debug)]
pub(crate) struct Merge<'a> {
    /// Oldest first.
    pub(crate) sources: &'a [Arc<Member>],
    pub(crate) extent: Extent<'a>,
    pub(crate) pace: Option<Pace>,
}

/// A state whose values are rewritten on the way: its id in the result.
pub(crate) struct Rewriting<'a, 'f> {
    pub(crate) state: u16,
    pub(crate) rewrite: &'a mut Rewrite<'f>,
}

/// The key groups for which one of the segments counts.
pub(crate) fn live_ranges(sources: &[Arc<Member>], range: KeyGroupRange) -> Vec<KeyGroupRange> {
    range.runs_where(|group| sources.iter().any(|one| one.is_live(group)))
}

impl Merge<'_> {
    /// Writes the result.
    ///
    /// # Errors
    /// `Corrupted` where a segment is damaged; `Cancelled`; what `rewriting` returns; `Unavailable`.
    pub(crate) fn write(
        &self,
        spec: StateFileSpec,
        to: Box<dyn FileWriter>,
        options: WriteOptions,
        rewriting: Option<Rewriting<'_, '_>>,
    ) -> Result<WrittenStateFile> {
        let (progress, cancel) = (options.progress.clone(), options.cancel.clone());
        let states = spec.states.clone();
        let range = spec.range;
        let out = StateFileWriter::new(to, spec, options)?.into_sequential();
        let (key, value) = (OwnedKey::default(), Vec::new());
        let cache = BlockCache::new(CACHE_BYTES);
        let mut joint = Joint { out, bottom: true, rewriting, key, value, cache };
        let mut paced = progress.bytes();
        for (id, meta) in (0u16..).zip(&states) {
            let ids: Vec<Option<u16>> =
                self.sources.iter().map(|source| source.state_id(&meta.name)).collect();
            for group in self.groups(&ids, range) {
                let (bottom, passed) = self.extent.of(group, self.sources.len());
                let sources = self.sources.iter().zip(&ids).skip(passed);
                let sources = sources.filter_map(|(source, id)| Some((source, (*id)?)));
                let live = sources.filter(|(source, _)| source.is_live(group));
                let live: Vec<(&Segment, u16)> =
                    live.map(|(source, id)| (source.segment(), id)).collect();
                cancel.check()?;
                if live.is_empty() {
                    continue;
                }
                joint.bottom = bottom;
                joint.section((id, meta), group, &live)?;
                paced = self.rest(&progress, paced);
            }
        }
        joint.out.finish()
    }

    /// The key groups in which a source has something of the state that has these ids, ascending.
    fn groups(&self, ids: &[Option<u16>], range: KeyGroupRange) -> Vec<KeyGroup> {
        let sources = self.sources.iter().zip(ids);
        let sources = sources.filter_map(|(source, id)| Some((source, (*id)?)));
        let sections = sources.flat_map(|(source, id)| {
            let sections = source.segment().state_file().sections().iter();
            sections.filter(move |section| section.state == id).map(|section| section.group)
        });
        let mut groups: Vec<KeyGroup> = sections.filter(|group| range.contains(*group)).collect();
        groups.sort_unstable();
        groups.dedup();
        groups
    }

    fn rest(&self, progress: &Progress, paced: u64) -> u64 {
        let written = progress.bytes();
        if let Some(pace) = &self.pace
            && written.saturating_sub(paced) >= PACE_BYTES
        {
            pace.rest(written - paced);
            return written;
        }
        paced
    }
}

/// The result under construction.
struct Joint<'a, 'f> {
    out: SequentialWriter,
    bottom: bool,
    rewriting: Option<Rewriting<'a, 'f>>,
    key: OwnedKey,
    value: Vec<u8>,
    cache: BlockCache,
}

/// What one source has of a list.
struct Piece<'a> {
    source: usize,
    first: u64,
    item: Item<'a>,
}

/// The maps that the sources of a section removed, each with the newest that did.
type Removals = BTreeMap<Vec<u8>, (usize, usize)>;

impl Joint<'_, '_> {
    /// Writes one section.
    fn section(
        &mut self,
        (id, meta): (u16, &StateMeta),
        group: KeyGroup,
        sources: &[(&Segment, u16)],
    ) -> Result<()> {
        self.out.section(id, group)?;
        let removals = if meta.kind == StateKind::Map {
            self.removals(group, sources)?
        } else {
            Removals::new()
        };
        let mut cursors = Vec::with_capacity(sources.len());
        for (segment, state) in sources {
            let mut cursor = SectionCursor::new(segment, *state, group)?.sequential();
            cursor.rewind(&mut self.cache)?;
            cursors.push(cursor);
        }
        let mut heads = Heads::of(&cursors)?;
        while heads.choose(&cursors, &mut self.key)? {
            let removed = removals.get(self.key.map()?.bytes()).map(|(newest, _)| *newest);
            let newest_first = heads.least().iter().rev();
            let newest_first =
                newest_first.filter_map(|index| Some((*index, cursors.get(*index)?)));
            self.entry((id, meta, group), sources, newest_first, removed)?;
            heads.advance(&mut cursors, &mut self.cache)?;
        }
        Ok(())
    }

    /// Gathers the removed maps; writes them, unless there is nothing below.
    fn removals(&mut self, group: KeyGroup, sources: &[(&Segment, u16)]) -> Result<Removals> {
        let mut removals = Removals::new();
        for (index, (segment, state)) in sources.iter().enumerate() {
            let mut cursor = SectionCursor::removed_maps(segment, *state, group)?;
            cursor.rewind(&mut self.cache)?;
            while let Some(item) = cursor.item()? {
                removals.insert(item.key.bytes().to_vec(), (index, item.key.key_end()));
                cursor.advance(&mut self.cache)?;
            }
        }
        if !self.bottom {
            for (map, (_, key_end)) in &removals {
                self.out.remove_map(EntryKey::new(map, *key_end, map.len())?)?;
            }
        }
        Ok(removals)
    }

    /// Whether the values of a state change on the way, and must be within its limit then.
    fn is_rewritten(&self, id: u16) -> bool {
        self.rewriting.as_ref().is_some_and(|rewriting| rewriting.state == id)
    }

    /// Writes what counts of the entry under `self.key`, which `cursors` are at, newest first: nothing from
    /// before its map was removed.
    fn entry<'c>(
        &mut self,
        (id, meta, group): (u16, &StateMeta, KeyGroup),
        sources: &[(&Segment, u16)],
        cursors: impl Iterator<Item = (usize, &'c SectionCursor<'c>)>,
        removed: Option<usize>,
    ) -> Result<()> {
        let is_rewritten = self.is_rewritten(id);
        let (mut pieces, mut whole) = (Vec::new(), self.bottom);
        for (index, cursor) in cursors {
            if removed.is_some_and(|removed| index < removed) {
                break;
            }
            let Some(item) = cursor.item()? else {
                continue;
            };
            match item.what {
                What::Value(value) if pieces.is_empty() => {
                    let value = rewritten(&mut self.rewriting, id, value, &mut self.value)?;
                    if is_rewritten {
                        meta.check_entry(|| Ok(group), value.len() as u64, 1)?;
                    }
                    return self.out.put(self.key.get()?, value);
                }
                What::Removed if pieces.is_empty() => {
                    return if self.bottom { Ok(()) } else { self.out.remove(self.key.get()?) };
                }
                What::Append { first } => pieces.push(Piece { source: index, first, item }),
                What::List => {
                    pieces.push(Piece { source: index, first: 0, item });
                    whole = true;
                    break;
                }
                What::Value(_) | What::Removed => break,
            }
        }
        self.list((id, meta, group), sources, &pieces, whole)
    }

    /// Writes a list whose pieces are in these sources, newest first.
    fn list(
        &mut self,
        (id, meta, group): (u16, &StateMeta, KeyGroup),
        sources: &[(&Segment, u16)],
        pieces: &[Piece<'_>],
        whole: bool,
    ) -> Result<()> {
        let Some(mut next) = pieces.last().map(|oldest| oldest.first) else {
            return Ok(());
        };
        if whole && next != 0 {
            return Err(torn(meta, group));
        }
        let mut buffer = ElementsBuffer::default();
        let is_rewritten = self.is_rewritten(id);
        let Self { out, rewriting, key, value, cache, .. } = self;
        // Of the elements that are not in the buffer any more.
        let mut bytes = 0u64;
        let mut flush = |buffer: &mut ElementsBuffer, next: &mut u64| -> Result<()> {
            let elements = buffer.as_elements();
            if !elements.is_empty() {
                let key = key.get()?;
                if whole {
                    out.list(key, *next, elements)?;
                } else {
                    out.append(key, *next, elements)?;
                }
                *next = next.saturating_add(elements.count());
            }
            buffer.clear();
            Ok(())
        };
        for piece in pieces.iter().rev() {
            if piece.first != next {
                return Err(torn(meta, group));
            }
            let Some((segment, _)) = sources.get(piece.source) else {
                return Err(Error::bug("a piece of a list without its segment"));
            };
            let flow = segment.read_list(cache, piece.item.place, &mut |element| {
                buffer.push(rewritten(rewriting, id, element, value)?)?;
                let (size, count) = (buffer.as_elements().size(), buffer.as_elements().count());
                if is_rewritten {
                    let (bytes, elements) =
                        (bytes.saturating_add(size), next.saturating_add(count));
                    meta.check_entry(|| Ok(group), bytes, elements)?;
                }
                if size >= PIECE_BYTES {
                    bytes = bytes.saturating_add(size);
                    flush(&mut buffer, &mut next)?;
                }
                Ok(ControlFlow::Continue(()))
            })?;
            debug_assert!(flow.is_continue(), "nobody stopped it");
            bytes = bytes.saturating_add(buffer.as_elements().size());
            flush(&mut buffer, &mut next)?;
        }
        Ok(())
    }
}

/// A value as it goes into the result.
fn rewritten<'v>(
    rewriting: &mut Option<Rewriting<'_, '_>>,
    id: u16,
    value: &'v [u8],
    out: &'v mut Vec<u8>,
) -> Result<&'v [u8]> {
    let Some(rewriting) = rewriting.as_mut().filter(|rewriting| rewriting.state == id) else {
        return Ok(value);
    };
    out.clear();
    (rewriting.rewrite)(value, out)?;
    Ok(out)
}

#[cold]
fn torn(meta: &StateMeta, group: KeyGroup) -> Error {
    Error::corrupted("the files of a list do not follow one another; restore another checkpoint")
        .with_state(meta.name.clone())
        .with_key_group(group)
}
