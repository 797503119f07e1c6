//! Lists: append, replace, read, merge.

use alluvium_state_api::{Elements, KeyBatch, ListSize, Result, VisitElement};

use super::{Target, wrong_key};
use crate::cells::Now;
use crate::cells::list::ListCell;
use crate::table::{Entry, KeyRep, Table};
use crate::tables::shape::Shape;

type Lists<K> = Table<K, ListCell>;

/// The list of a key.
#[inline]
pub(crate) fn find<'t, K: KeyRep>(
    table: &'t Lists<K>,
    (hash, bytes): (u64, &[u8]),
    target: Target<'_>,
) -> Result<Option<&'t ListCell>> {
    let Some(probe) = K::probe(bytes) else {
        return Err(wrong_key(target));
    };
    Ok(table.get(hash, probe))
}

/// The size by the contract of a list with so many framed bytes and elements: stamps do not count.
fn payload_size(target: Target<'_>, framed: u64, elements: u64) -> u64 {
    framed.saturating_sub(elements.saturating_mul(target.meta.stamp_bytes() as u64))
}

#[inline]
fn check(target: Target<'_>, framed: u64, elements: u64) -> Result<()> {
    target.meta.check_entry(|| Ok(target.key.key_group()), framed, elements)
}

/// Adds elements at the end of a list.
#[inline]
pub(crate) fn append<K: KeyRep>(
    table: &mut Lists<K>,
    (hash, bytes): (u64, &[u8]),
    target: Target<'_>,
    elements: Elements<'_>,
    now: Now,
) -> Result<()> {
    let Some(probe) = K::probe(bytes) else {
        return Err(wrong_key(target));
    };
    if elements.is_empty() {
        return Ok(());
    }
    let mut entry = table.entry(hash, probe);
    let (size, count) = entry.get().map_or((0, 0), |list| (list.size(), list.elements()));
    check(target, size.saturating_add(elements.size()), count.saturating_add(elements.count()))?;
    if entry.edit(|list| list.append(elements, now)).is_none() {
        entry.put(ListCell::new(elements, now));
    }
    Ok(())
}

/// Replaces a list; no elements remove it.
pub(crate) fn replace<K: KeyRep>(
    table: &mut Lists<K>,
    (hash, bytes): (u64, &[u8]),
    target: Target<'_>,
    elements: Elements<'_>,
    now: Now,
) -> Result<()> {
    let Some(probe) = K::probe(bytes) else {
        return Err(wrong_key(target));
    };
    check(target, elements.size(), elements.count())?;
    if elements.is_empty() {
        table.remove(hash, probe);
        return Ok(());
    }
    match table.entry(hash, probe) {
        Entry::Occupied(mut entry) => entry.edit(|list| list.replace(elements, now)),
        Entry::Vacant(entry) => entry.insert(ListCell::new(elements, now)),
    }
    Ok(())
}

/// Removes a list.
pub(crate) fn remove<K: KeyRep>(
    table: &mut Lists<K>,
    (hash, bytes): (u64, &[u8]),
    target: Target<'_>,
) -> Result<()> {
    let Some(probe) = K::probe(bytes) else {
        return Err(wrong_key(target));
    };
    table.remove(hash, probe);
    Ok(())
}

/// Visits the elements in order; returns whether there is a list.
pub(crate) fn read<K: KeyRep>(
    table: &Lists<K>,
    address: (u64, &[u8]),
    target: Target<'_>,
    visit: &mut VisitElement<'_>,
) -> Result<bool> {
    match find(table, address, target)? {
        Some(list) => list.for_each(visit).map(|()| true),
        None => Ok(false),
    }
}

/// Elements and size of a list.
pub(crate) fn size<K: KeyRep>(
    table: &Lists<K>,
    address: (u64, &[u8]),
    target: Target<'_>,
) -> Result<ListSize> {
    Ok(find(table, address, target)?.map_or_else(ListSize::default, |list| ListSize {
        elements: list.elements(),
        bytes: payload_size(target, list.size(), list.elements()),
    }))
}

/// Moves the sources' elements, in order, behind the target's.
pub(crate) fn merge<K: KeyRep>(
    table: &mut Lists<K>,
    shape: Shape,
    target: Target<'_>,
    sources: KeyBatch<'_>,
    now: Now,
) -> Result<()> {
    let mut scratch = Vec::new();
    let list = find(table, shape.address(target.key, &mut scratch), target)?;
    let (mut size, mut count) = list.map_or((0, 0), |list| (list.size(), list.elements()));
    for source in sources.iter() {
        let about = Target { meta: target.meta, key: &source };
        if let Some(list) = find(table, shape.address(&source, &mut scratch), about)? {
            size = size.saturating_add(list.size());
            count = count.saturating_add(list.elements());
        }
    }
    check(target, size, count)?;
    for source in sources.iter() {
        let (hash, bytes) = shape.address(&source, &mut scratch);
        let Some(list) = K::probe(bytes).and_then(|probe| table.remove(hash, probe)) else {
            continue;
        };
        let (hash, bytes) = shape.address(target.key, &mut scratch);
        let Some(probe) = K::probe(bytes) else {
            return Err(wrong_key(target));
        };
        let mut entry = table.entry(hash, probe);
        if entry.edit(|merged| list.append_to(merged, now)).is_none() {
            let mut merged = ListCell::new(Elements::default(), now);
            list.append_to(&mut merged, now);
            entry.put(merged);
        }
    }
    Ok(())
}
