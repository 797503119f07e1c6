//! Maps: point access to their entries, and maps as a whole.
//!
//! A map without entries is no map: removing the last entry removes the map from the table.

use alluvium_state_api::{Change, Error, Modify, Result};

use super::{Target, wrong_key, wrong_width};
use crate::cells::Now;
use crate::cells::map::MapCell;
use crate::table::{Entry, KeyRep, Table};

type Maps<K> = Table<K, MapCell>;

/// The longest map key and value together, in bytes, whatever the state's limit.
const MAX_ENTRY_BYTES: usize = (1 << 31) - 1;

/// The map of a key.
#[inline]
pub(crate) fn find<'t, K: KeyRep>(
    table: &'t Maps<K>,
    (hash, bytes): (u64, &[u8]),
    target: Target<'_>,
) -> Result<Option<&'t MapCell>> {
    let Some(probe) = K::probe(bytes) else {
        return Err(wrong_key(target));
    };
    Ok(table.get(hash, probe))
}

/// The value of a map key.
#[inline]
pub(crate) fn get<'t, K: KeyRep>(
    table: &'t Maps<K>,
    address: (u64, &[u8]),
    target: Target<'_>,
) -> Result<Option<&'t [u8]>> {
    let map = find(table, address, target)?;
    Ok(map.and_then(|map| map.get(target.key.entry().map_key())))
}

/// Sets the value of a map key; returns whether the map key is new.
#[inline]
pub(crate) fn put<K: KeyRep>(
    table: &mut Maps<K>,
    (hash, bytes): (u64, &[u8]),
    target: Target<'_>,
    value: &[u8],
    now: Now,
) -> Result<bool> {
    let Some(probe) = K::probe(bytes) else {
        return Err(wrong_key(target));
    };
    store(table.entry(hash, probe), target, value, now)
}

#[inline]
fn store<K: KeyRep>(
    mut entry: Entry<'_, '_, K, MapCell>,
    target: Target<'_>,
    value: &[u8],
    now: Now,
) -> Result<bool> {
    target.check_value(value.len())?;
    let map_key = target.key.entry().map_key();
    if map_key.len().saturating_add(value.len()) > MAX_ENTRY_BYTES {
        return Err(Error::limit_exceeded(
            &target.meta.name,
            Some(target.key.key_group()),
            map_key.len().saturating_add(value.len()) as u64,
            MAX_ENTRY_BYTES as u64,
            "this backend holds no larger map entry",
        ));
    }
    let width = target.meta.value.width.map(|width| width as usize + target.meta.stamp_bytes());
    if width.is_some_and(|width| width != value.len()) {
        return Err(wrong_width(target.meta, value.len()));
    }
    Ok(entry.edit(|map| map.put(map_key, value, now)).unwrap_or_else(|| {
        let mut map = MapCell::new(now);
        map.put(map_key, value, now);
        entry.put(map);
        true
    }))
}

/// Removes a map key; returns whether there was one.
#[inline]
pub(crate) fn remove<K: KeyRep>(
    table: &mut Maps<K>,
    (hash, bytes): (u64, &[u8]),
    target: Target<'_>,
    now: Now,
) -> Result<bool> {
    let Some(probe) = K::probe(bytes) else {
        return Err(wrong_key(target));
    };
    let entry = table.entry(hash, probe);
    let (removed, outgrown) = take(entry, target, now);
    if outgrown {
        make_anew(table, hash, bytes, now);
    }
    Ok(removed)
}

/// Removes a map key, and the map with its last one; also returns whether to make the map anew.
fn take<K: KeyRep>(
    mut entry: Entry<'_, '_, K, MapCell>,
    target: Target<'_>,
    now: Now,
) -> (bool, bool) {
    let map_key = target.key.entry().map_key();
    if entry.get().is_none_or(|map| map.get(map_key).is_none()) {
        return (false, false);
    }
    if entry.get().is_some_and(|map| map.len() == 1) {
        entry.remove();
        return (true, false);
    }
    entry.edit(|map| map.remove(map_key, now));
    (true, entry.get().is_some_and(MapCell::is_outgrown))
}

#[cold]
fn make_anew<K: KeyRep>(table: &mut Maps<K>, hash: u64, bytes: &[u8], now: Now) {
    let Some(probe) = K::probe(bytes) else { return };
    if let Some(map) = table.remove(hash, probe) {
        table.insert(hash, probe, map.made_anew(now));
    }
}

/// Reads, changes and writes an entry in one probe of the table; returns by how much the number of
/// entries changed.
pub(crate) fn modify<K: KeyRep>(
    table: &mut Maps<K>,
    (hash, bytes): (u64, &[u8]),
    target: Target<'_>,
    (out, now): (&mut Vec<u8>, Now),
    change: &mut Modify<'_>,
) -> Result<i64> {
    let Some(probe) = K::probe(bytes) else {
        return Err(wrong_key(target));
    };
    let entry = table.entry(hash, probe);
    let map_key = target.key.entry().map_key();
    out.clear();
    match change(entry.get().and_then(|map| map.get(map_key)), out)? {
        Change::Keep => Ok(0),
        Change::Put => store(entry, target, out, now).map(i64::from),
        Change::Remove => {
            let (removed, outgrown) = take(entry, target, now);
            if outgrown {
                make_anew(table, hash, bytes, now);
            }
            Ok(-i64::from(removed))
        }
    }
}

/// Removes a whole map; returns how many entries it had.
pub(crate) fn remove_all<K: KeyRep>(
    table: &mut Maps<K>,
    (hash, bytes): (u64, &[u8]),
    target: Target<'_>,
) -> Result<u64> {
    let Some(probe) = K::probe(bytes) else {
        return Err(wrong_key(target));
    };
    Ok(table.remove(hash, probe).map_or(0, |map| map.len()))
}
