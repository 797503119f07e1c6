//! Ordered scans. Tables are unordered, so a scan of key groups first collects and sorts addresses:
//! memory is in proportion to the keys visited, time to all entries of the state.

use std::ops::ControlFlow;

use alluvium_state_api::schema::KeySpace;
use alluvium_state_api::{EntryKey, KeyGroupRange, Result, VisitEntry};

use super::Target;
use crate::cells::map::MapCell;
use crate::cells::value::ValueCell;
use crate::table::{Cell, KeyRep, Table};
use crate::tables::shape::Shape;

/// Visits the entries of one map from a map key on.
pub(crate) fn map<K: KeyRep>(
    table: &Table<K, MapCell>,
    address: (u64, &[u8]),
    target: Target<'_>,
    (from, scratch): (&[u8], &mut Vec<u8>),
    visit: &mut VisitEntry<'_>,
) -> Result<()> {
    let Some(map) = super::maps::find(table, address, target)? else {
        return Ok(());
    };
    MapWalk::new(target.key.entry(), scratch).run(map, from, visit).map(drop)
}

/// Puts map keys behind a key and namespace, one after the other.
struct MapWalk<'a> {
    bytes: &'a mut Vec<u8>,
    key_end: usize,
    namespace_end: usize,
}

impl<'a> MapWalk<'a> {
    /// `scratch` is a buffer to use again.
    fn new(address: EntryKey<'_>, scratch: &'a mut Vec<u8>) -> Self {
        let (key_end, namespace_end) = (address.key_end(), address.namespace_end());
        scratch.clear();
        scratch.extend_from_slice(address.bytes().get(..namespace_end).unwrap_or_default());
        Self { bytes: scratch, key_end, namespace_end }
    }

    fn run(
        &mut self,
        map: &MapCell,
        from: &[u8],
        visit: &mut VisitEntry<'_>,
    ) -> Result<ControlFlow<()>> {
        map.for_each_from(from, |map_key, value| {
            if self.bytes.len() != self.namespace_end + map_key.len() {
                self.bytes.resize(self.namespace_end + map_key.len(), 0);
            }
            let place = self.bytes.get_mut(self.namespace_end..).unwrap_or_default();
            match (place.as_mut_array::<8>(), map_key.as_array::<8>()) {
                // without a call
                (Some(place), Some(map_key)) => *place = *map_key,
                _ => place.copy_from_slice(map_key),
            }
            visit(EntryKey::new(self.bytes, self.key_end, self.namespace_end)?, value)
        })
    }
}

/// Which key groups a scan visits, and how keys are placed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Groups<'a> {
    pub(crate) space: &'a KeySpace,
    pub(crate) shape: Shape,
    pub(crate) range: KeyGroupRange,
    pub(crate) from: &'a [u8],
}

/// A key of the table with its group; the bytes lie in an arena.
#[derive(Clone, Copy)]
struct Found {
    group: u16,
    start: usize,
    len: usize,
}

/// Visits every key of the table that is in the groups, in order, with its cell.
fn in_order<K: KeyRep, C: Cell>(
    table: &Table<K, C>,
    groups: Groups<'_>,
    mut each: impl FnMut(u16, EntryKey<'_>, &C) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let (mut arena, mut found, mut failed) = (Vec::new(), Vec::new(), None);
    table.for_each(|bytes, _| {
        let group = groups.shape.parts(bytes).and_then(|parts| groups.space.group_of(parts.key()));
        match group {
            Ok(group) if groups.range.contains(group) => {
                found.push(Found { group: group.index(), start: arena.len(), len: bytes.len() });
                arena.extend_from_slice(bytes);
            }
            Ok(_) => {}
            Err(error) => failed = Some(error),
        }
    });
    if let Some(error) = failed {
        return Err(error);
    }
    let bytes_of = |found: &Found| arena.get(found.start..found.start + found.len).unwrap_or(&[]);
    found.sort_unstable_by(|a, b| a.group.cmp(&b.group).then_with(|| bytes_of(a).cmp(bytes_of(b))));
    for found in &found {
        let bytes = bytes_of(found);
        let Some(cell) =
            K::probe(bytes).and_then(|probe| table.get(groups.shape.hash(bytes), probe))
        else {
            continue;
        };
        if each(found.group, groups.shape.parts(bytes)?, cell)?.is_break() {
            break;
        }
    }
    Ok(())
}

/// Visits values.
pub(crate) fn values<K: KeyRep, V: ValueCell>(
    table: &Table<K, V>,
    groups: Groups<'_>,
    visit: &mut VisitEntry<'_>,
) -> Result<()> {
    in_order(table, groups, |group, entry, cell| {
        if group == groups.range.start() && entry.bytes() < groups.from {
            return Ok(ControlFlow::Continue(()));
        }
        visit(entry, cell.bytes())
    })
}

/// Visits lists, by key only.
pub(crate) fn lists<K: KeyRep, C: Cell>(
    table: &Table<K, C>,
    groups: Groups<'_>,
    visit: &mut VisitEntry<'_>,
) -> Result<()> {
    in_order(table, groups, |group, entry, _| {
        if group == groups.range.start() && entry.bytes() < groups.from {
            return Ok(ControlFlow::Continue(()));
        }
        visit(entry, &[])
    })
}

/// Visits map entries.
pub(crate) fn maps<K: KeyRep>(
    table: &Table<K, MapCell>,
    groups: Groups<'_>,
    visit: &mut VisitEntry<'_>,
) -> Result<()> {
    let mut scratch = Vec::new();
    in_order(table, groups, |group, entry, map| {
        let first = group == groups.range.start();
        MapWalk::new(entry, &mut scratch).run(map, &[], &mut |entry, value| {
            if first && entry.bytes() < groups.from {
                return Ok(ControlFlow::Continue(()));
            }
            visit(entry, value)
        })
    })
}
