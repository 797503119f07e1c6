//! All entries of a small section with their hashes, for who looks into several sections at once.

use alluvium_state_api::format::{BlockKind, Place as At, Record};
use alluvium_state_api::{EntryKey, KeyGroup, Result, entry_hash_of, hash_bytes};

use super::probe::{Wanted, key_of};
use super::{BlockCache, Place, Segment};

const KINDS: [BlockKind; 4] =
    [BlockKind::Entries, BlockKind::Tombstones, BlockKind::ListAppends, BlockKind::MapRemovals];

impl Segment {
    /// Bytes of the section of a state in a key group, and how many things it says, if it has one that is
    /// live.
    pub(crate) fn section_size(&self, state: u16, group: KeyGroup) -> Option<(u64, u64)> {
        let (section, _) = self.section_of(state, group)?;
        let section = self.file.sections().get(section)?;
        Some((section.stored_bytes(), section.entries.saturating_add(section.tombstones)))
    }

    /// Tells hash and place of each entry, tombstone, first segment of a list or run, and removal of a map.
    /// All data blocks of the section are read and verified.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub(crate) fn list(
        &self,
        cache: &mut BlockCache,
        state: u16,
        group: KeyGroup,
        tell: &mut impl FnMut(u64, At),
    ) -> Result<()> {
        let Some((section, _)) = self.section_of(state, group) else {
            return Ok(());
        };
        for kind in KINDS {
            let mut run = None;
            for number in self.opened(section)?.directory.blocks_of(kind) {
                let (block, raw) = self.block(cache, section, number)?;
                if self.list_fixed((section, number), block.kind, raw, tell)?.is_none() {
                    self.list_any((section, number), block.kind, raw, &mut run, tell)?;
                }
            }
        }
        Ok(())
    }

    /// The same of a block of entries that all have the same width, and keys alone; else `None`.
    fn list_fixed(
        &self,
        (section, number): (usize, u32),
        kind: BlockKind,
        raw: &[u8],
        tell: &mut impl FnMut(u64, At),
    ) -> Result<Option<()>> {
        let widths = self.sections.get(section).map(|slot| slot.widths).unwrap_or_default();
        if widths.entry == 0 || kind != BlockKind::Entries {
            return Ok(None);
        }
        let first = self.layout(section)?.record_at(kind, raw, 0);
        if !first.is_ok_and(|(record, _)| key_of(&record).suffix().is_empty()) {
            return Ok(None);
        }
        let entries = raw.chunks_exact(widths.entry as usize);
        for (offset, entry) in (0..).step_by(widths.entry as usize).zip(entries) {
            let key = entry.get(..widths.key as usize).unwrap_or_default();
            tell(hash_bytes(key), At { block: number, offset });
        }
        Ok(Some(()))
    }

    fn list_any(
        &self,
        (section, number): (usize, u32),
        kind: BlockKind,
        raw: &[u8],
        run: &mut Option<Vec<u8>>,
        tell: &mut impl FnMut(u64, At),
    ) -> Result<()> {
        let layout = self.layout(section)?;
        let mut offset = 0;
        while let Ok(at) = u32::try_from(offset)
            && offset < raw.len()
        {
            let read = layout.record_at(kind, raw, offset);
            let (record, end) =
                read.map_err(|_error| self.misled(section, "entries do not fill a block"))?;
            let key = key_of(&record);
            if !goes_on(&record, key, run) {
                tell(entry_hash_of(key), At { block: number, offset: at });
            }
            if end <= offset {
                break;
            }
            offset = end;
        }
        Ok(())
    }

    /// What the section of a state in a key group has at a place that [`list`](Self::list) told, if that is
    /// about `key`: the removal of a map or not, as is asked for.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    #[inline]
    pub(crate) fn listed(
        &self,
        cache: &mut BlockCache,
        (state, group): (u16, KeyGroup),
        at: At,
        (key, removal): (EntryKey<'_>, bool),
    ) -> Result<Option<Place>> {
        let Some((section, slot)) = self.section_of(state, group) else {
            return Ok(None);
        };
        let wanted = Wanted { section, widths: slot.widths, key, removal };
        let (block, raw) = self.block(cache, section, at.block)?;
        self.compare(wanted, &block, raw, at)
    }
}

/// Whether a record goes on with the list or run before it; the key of the latter is kept in `run`.
fn goes_on(record: &Record<'_>, key: EntryKey<'_>, run: &mut Option<Vec<u8>>) -> bool {
    match record {
        Record::List(segment) => segment.first > 0,
        Record::Append(_) => {
            let goes_on = run.as_deref() == Some(key.bytes());
            if !goes_on {
                *run = Some(key.bytes().to_vec());
            }
            goes_on
        }
        _ => false,
    }
}
