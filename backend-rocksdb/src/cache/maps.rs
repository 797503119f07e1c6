//! Maps in the table: what is known of the entries of each is one entry of the table, a [cell](super::cell).
//!
//! # Invariants
//! M1. What a cell says of an entry, the map has; of what it does not say the database has the newest, or nobody if the
//!     cell is complete.

use rocksdb::WriteBatch;

use super::cell::{
    CELL_BYTES, Item, Items, Mark, Place, find, mark_written, replace, retain, value_at,
};
use super::table::{Below, Entry, Held};
use super::{Probe, WriteBack};

/// What was found of an entry of a map.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EntryProbe {
    map: Probe,
    place: Place,
    mark: Option<Mark>,
}

impl EntryProbe {
    /// What is known of the entry, if anything is.
    pub(crate) const fn mark(self) -> Option<Mark> {
        self.mark
    }

    /// What is known of the map.
    pub(crate) const fn map(self) -> Probe {
        self.map
    }
}

/// Gathers all entries of a map, as long as it is small enough.
#[derive(Debug, Default)]
pub(crate) struct CellBuilder(Option<Vec<u8>>);

impl CellBuilder {
    /// Begins, if the map is to be gathered.
    pub(crate) fn new(gathers: bool) -> Self {
        Self(gathers.then(Vec::new))
    }

    /// Adds the next entry.
    pub(crate) fn push(&mut self, key: &[u8], value: &[u8]) {
        let Some(cell) = &mut self.0 else {
            return;
        };
        let item = Item { mark: Mark::written(true), key, value };
        if cell.len() + item.bytes() > CELL_BYTES {
            self.0 = None;
        } else {
            item.encode(cell);
        }
    }
}

/// What the table has of a map.
#[derive(Clone, Copy, Debug)]
struct Known<'a> {
    bounds: &'a [u8],
    cell: &'a [u8],
    is_complete: bool,
}

impl Entry {
    #[inline]
    fn map(&self) -> Option<Known<'_>> {
        let Held::Map { bounds, is_complete, .. } = self.held else {
            return None;
        };
        let (bounds, cell) = self.stored().split_at_checked(usize::from(bounds))?;
        Some(Known { bounds, cell, is_complete })
    }

    /// Items that the database lacks, of a map.
    pub(super) fn unwritten_items(&self) -> Option<impl Iterator<Item = Item<'_>>> {
        Some(Items(self.map()?.cell).filter(|item| item.mark.is_unwritten))
    }

    /// Adds to a batch what the database lacks of a map.
    pub(super) fn record_items(&self, batch: &mut WriteBatch) {
        let (Some(items), Some(Known { bounds, .. })) = (self.unwritten_items(), self.map()) else {
            return;
        };
        let (mut key, mut stored) = (self.address().to_vec(), bounds.to_vec());
        for item in items {
            key.truncate(self.address().len());
            key.extend_from_slice(item.key);
            if item.mark.is_present {
                stored.truncate(bounds.len());
                stored.extend_from_slice(item.value);
                batch.put(&key, &stored);
            } else {
                batch.delete(&key);
            }
        }
    }

    /// The database has everything.
    pub(super) fn items_are_written(&mut self) {
        let Held::Map { bounds, is_complete, .. } = self.held else {
            return;
        };
        let (bytes, stored) = self.bytes_mut();
        let start = stored + usize::from(bounds);
        // That an entry is not there is told by its absence from what is complete.
        if is_complete && Items(bytes.get(start..).unwrap_or_default()).any(|i| !i.mark.is_present)
        {
            retain(bytes, start, |item| item.mark.is_present.then_some(item));
        }
        mark_written(bytes.get_mut(start..).unwrap_or_default());
        if let Held::Map { unwritten, .. } = &mut self.held {
            *unwritten = 0;
        }
    }

    fn change_items(&mut self, change: impl for<'a> Fn(Item<'a>) -> Option<Item<'a>>) {
        if let Held::Map { bounds, .. } = self.held {
            let (bytes, stored) = self.bytes_mut();
            retain(bytes, stored + usize::from(bounds), change);
        }
        let items = self.unwritten_items().into_iter().flatten();
        let bytes = items.map(|item| item.bytes()).sum::<usize>();
        if let Held::Map { unwritten, .. } = &mut self.held {
            *unwritten = u16::try_from(bytes).unwrap_or(u16::MAX);
        }
    }

    /// Sets an item; where there is too little room, what the database has goes. `false` if it does not fit even so.
    fn set_item(&mut self, mut place: Place, item: Item<'_>) -> bool {
        let room = |entry: &Self| entry.map().map_or(0, |map| CELL_BYTES - map.cell.len());
        if item.bytes() > room(self) + place.bytes {
            self.change_items(|item| item.mark.is_unwritten.then_some(item));
            if let Held::Map { is_complete, .. } = &mut self.held {
                *is_complete = false;
            }
            place = self.map().map_or(place, |map| find(map.cell, item.key).0);
            if item.bytes() > room(self) + place.bytes {
                return false;
            }
        }
        let bytes_if = |item: Item<'_>| if item.mark.is_unwritten { item.bytes() } else { 0 };
        let old = self.map().filter(|_| place.bytes > 0);
        let old = old.and_then(|map| Items(map.cell.get(place.at..)?).next());
        let (less, more) = (old.map_or(0, bytes_if), bytes_if(item));
        let Held::Map { bounds, is_complete, unwritten } = &mut self.held else {
            return false;
        };
        let sum = (usize::from(*unwritten) + more).saturating_sub(less);
        *unwritten = u16::try_from(sum).unwrap_or(u16::MAX);
        let (bounds, is_complete) = (*bounds, *is_complete);
        let says_nothing = is_complete && !item.mark.is_present && !item.mark.is_unwritten;
        let (bytes, stored) = self.bytes_mut();
        replace(bytes, stored + usize::from(bounds), place, (!says_nothing).then_some(item));
        true
    }
}

impl WriteBack {
    /// Looks an entry of a map up.
    #[inline]
    pub(crate) fn probe_entry(&mut self, map: &[u8], key: &[u8]) -> EntryProbe {
        if self.share.is_nothing() {
            return EntryProbe::default();
        }
        let probe = self.look_up(map);
        let known = probe.hit().and_then(|at| self.table.get(at)?.map());
        let (place, mark) = known.map_or((Place::default(), None), |known| {
            let (place, mark) = find(known.cell, key);
            (place, mark.or_else(|| known.is_complete.then(|| Mark::written(false))))
        });
        self.admission.note(probe.hash, mark.is_some());
        EntryProbe { map: probe, place, mark }
    }

    /// Looks a whole map up.
    pub(crate) fn probe_map(&mut self, map: &[u8]) -> Probe {
        if self.share.is_nothing() {
            return Probe::default();
        }
        let probe = self.look_up(map);
        let is_whole = self.whole_map(probe).is_some();
        self.admission.note(probe.hash, is_whole);
        probe
    }

    /// The value of an entry that was probed, if the map is known to have it.
    #[inline]
    pub(crate) fn entry_value(&self, probe: EntryProbe) -> Option<&[u8]> {
        probe.mark.filter(|mark| mark.is_present)?;
        value_at(self.table.get(probe.map.hit()?)?.map()?.cell, probe.place)
    }

    /// Keeps what the database has of an entry of which nothing is known.
    pub(crate) fn keep_entry(
        &mut self,
        probe: EntryProbe,
        map: (&[u8], &[u8]),
        key: &[u8],
        value: Option<&[u8]>,
    ) {
        let mark = Mark::written(value.is_some());
        self.set_item(probe, map, Item { mark, key, value: value.unwrap_or_default() });
    }

    /// Sets the value of an entry that was probed, or removes it; `false` if there is no place for it, and it must go to
    /// the database, behind what the table has of the map ([`hand_over`](Self::hand_over)). `below` is what the database is
    /// known to have.
    #[inline]
    pub(crate) fn set_entry(
        &mut self,
        probe: EntryProbe,
        map: (&[u8], &[u8]),
        key: &[u8],
        (value, below): (Option<&[u8]>, Below),
    ) -> bool {
        let mark = Mark::unwritten(value.is_some(), below);
        self.set_item(probe, map, Item { mark, key, value: value.unwrap_or_default() })
    }

    fn set_item(
        &mut self,
        probe: EntryProbe,
        (map, bounds): (&[u8], &[u8]),
        item: Item<'_>,
    ) -> bool {
        if item.bytes() > CELL_BYTES {
            return false;
        }
        let at = probe.map.hit();
        let placed = || self.place_map(probe.map, (map, bounds), item.bytes(), false);
        let Some(at) = at.or_else(placed) else {
            return false;
        };
        let mut is_set = false;
        let change = |entry: &mut Entry| is_set = entry.set_item(probe.place, item);
        if item.mark.is_unwritten {
            self.change_unwritten(at, change);
        } else {
            self.change(at, change);
        }
        is_set
    }

    /// A place for a map of which the table has nothing, with so many bytes of items.
    fn place_map(
        &mut self,
        probe: Probe,
        (map, bounds): (&[u8], &[u8]),
        bytes: usize,
        is_complete: bool,
    ) -> Option<u32> {
        let held =
            Held::Map { bounds: u8::try_from(bounds.len()).ok()?, is_complete, unwritten: 0 };
        let at = self.place(probe, map, bounds.len() + bytes, held)?;
        self.change(at, |entry| entry.store(bounds, &[]));
        Some(at)
    }

    /// Whether a map that was probed may get a place.
    pub(crate) fn admits_map(&self, probe: Probe) -> bool {
        !self.share.is_nothing() && self.admission.admits(probe.hash)
    }

    /// Keeps all that the database has of a map of which the table has nothing.
    pub(crate) fn keep_map(&mut self, probe: Probe, map: (&[u8], &[u8]), all: CellBuilder) {
        let Some(cell) = all.0 else {
            return;
        };
        if let Some(at) = self.place_map(probe, map, cell.len(), true) {
            self.change(at, |entry| entry.store(map.1, &cell));
        }
    }

    /// Bounds and entries of a map that was probed, if all of them are known.
    pub(crate) fn whole_map(
        &self,
        probe: Probe,
    ) -> Option<(&[u8], impl Iterator<Item = (&[u8], &[u8])>)> {
        let known = self.table.get(probe.hit()?)?.map().filter(|known| known.is_complete)?;
        let items = Items(known.cell).filter(|item| item.mark.is_present);
        Some((known.bounds, items.map(|item| (item.key, item.value))))
    }

    /// Removes all entries of a map that is known as a whole, unless more than `most` of them may be in the database; how
    /// many there were.
    pub(crate) fn clear_map(&mut self, probe: Probe, most: usize) -> Option<u64> {
        let at = probe.hit()?;
        let present = self.whole_map(probe)?.1.count() as u64;
        let items = Items(self.table.get(at)?.map()?.cell);
        if items.filter(|item| item.mark.below != Below::Absent).count() > most {
            return None;
        }
        self.change_unwritten(at, |entry| {
            entry.change_items(|Item { mark, key, .. }| {
                let mark = Mark::unwritten(false, mark.below);
                mark.is_unwritten.then_some(Item { mark, key, value: &[] })
            });
        });
        Some(present)
    }
}
