//! Ordered scans: the keys of all levels are merged, and the newest word about each is what is visited.
//!
//! Keys of the layers are fetched ahead: of one map a few at a time, of key groups all at once, since a
//! hash table yields them in order only after it has sorted them.

use std::ops::ControlFlow;
use std::sync::Arc;

use alluvium_state_api::schema::StateKind;
use alluvium_state_api::{
    EntryKey, KeyGroup, KeyedStore, Result, Scan, ScanPlan, Slot, StateKey, VisitEntry, hash_bytes,
};

use crate::key::OwnedKey;
use crate::layer::{Cover, Layer, Run};
use crate::segment::{SectionCursor, What};
use crate::store::FsStore;

/// Keys of a map that are fetched at a time.
const KEYS_AHEAD: usize = 64;

/// Keys of a layer, fetched ahead.
#[derive(Debug, Default)]
struct Ahead {
    bytes: Vec<u8>,
    keys: Vec<AheadKey>,
    next: usize,
    /// Whether the layer may have more.
    more: bool,
}

#[derive(Clone, Copy, Debug)]
struct AheadKey {
    group: KeyGroup,
    start: usize,
    end: usize,
    key_end: usize,
    namespace_end: usize,
}

impl Ahead {
    fn head(&self) -> Result<Option<(KeyGroup, EntryKey<'_>)>> {
        let Some(key) = self.keys.get(self.next) else {
            return Ok(None);
        };
        let bytes = self.bytes.get(key.start..key.end).unwrap_or_default();
        Ok(Some((key.group, EntryKey::new(bytes, key.key_end, key.namespace_end)?)))
    }

    /// Fetches the first keys, or those after the last one.
    fn fetch(&mut self, layer: &mut Layer, inner: Slot, scan: Scan<'_>) -> Result<()> {
        let last = self.keys.last().copied();
        let last =
            last.map(|last| self.bytes.get(last.start..last.end).unwrap_or_default().to_vec());
        self.bytes.clear();
        self.keys.clear();
        self.next = 0;
        self.more = false;
        let space = layer.space().clone();
        let most = if matches!(scan, Scan::Map { .. }) { KEYS_AHEAD } else { usize::MAX };
        let from = match (&last, scan) {
            (Some(last), Scan::Map { prefix, .. }) => {
                Scan::Map { prefix, from: last.get(prefix.bytes().len()..).unwrap_or_default() }
            }
            (_, scan) => scan,
        };
        layer.main.scan(inner, from, &mut |key, _| {
            if last.as_deref() == Some(key.bytes()) {
                return Ok(ControlFlow::Continue(()));
            }
            if self.keys.len() == most {
                self.more = true;
                return Ok(ControlFlow::Break(()));
            }
            let start = self.bytes.len();
            self.bytes.extend_from_slice(key.bytes());
            self.keys.push(AheadKey {
                group: space.group_of(key.key())?,
                start,
                end: self.bytes.len(),
                key_end: key.key_end(),
                namespace_end: key.namespace_end(),
            });
            Ok(ControlFlow::Continue(()))
        })
    }
}

/// A scan under way.
struct Walk<'w, 'v> {
    slot: Slot,
    scan: Scan<'w>,
    plan: &'w ScanPlan<'w>,
    is_list: bool,
    /// Of the layer and of the sealed layer.
    ahead: [Ahead; 2],
    current: OwnedKey,
    visit: &'w mut VisitEntry<'v>,
}

impl FsStore {
    /// [`KeyedStore::scan`].
    pub(crate) fn scan_entries(
        &mut self,
        slot: Slot,
        scan: Scan<'_>,
        visit: &mut VisitEntry<'_>,
    ) -> Result<()> {
        let plan = scan.plan(self.key_space().range())?;
        let is_list = self.directory.check(slot, plan.operation)?.kind == StateKind::List;
        let inner = self.inner(slot)?;
        if !self.has_below {
            return self.layer.main.scan(inner, scan, visit);
        }
        let ahead = [Ahead::default(), Ahead::default()];
        let current = OwnedKey::default();
        let mut walk = Walk { slot, scan, plan: &plan, is_list, ahead, current, visit };
        walk.fetch(self, 0)?;
        walk.fetch(self, 1)?;
        for group in plan.groups.iter() {
            if self.segments.level(group).is_empty() && !walk.is_ahead(group)? {
                continue;
            }
            if walk.group(self, group)?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl Walk<'_, '_> {
    /// Whether a layer's next key is in the group.
    fn is_ahead(&self, group: KeyGroup) -> Result<bool> {
        for ahead in &self.ahead {
            if ahead.head()?.is_some_and(|(in_group, _)| in_group == group) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn fetch(&mut self, store: &mut FsStore, which: usize) -> Result<()> {
        let layer = if which == 0 { Some(&mut store.layer) } else { store.sealed.as_mut() };
        if let (Some(layer), Some(ahead)) = (layer, self.ahead.get_mut(which))
            && let Some(inner) = layer.slot(self.slot)
        {
            ahead.fetch(layer, inner, self.scan)?;
        }
        Ok(())
    }

    fn group(&mut self, store: &mut FsStore, group: KeyGroup) -> Result<ControlFlow<()>> {
        let segments: Vec<_> = store
            .segments
            .level(group)
            .iter()
            .filter_map(|index| Some((*index, store.segments.id(*index, self.slot)?)))
            .filter_map(|(index, id)| Some((Arc::clone(store.segments.at(index).ok()?), id)))
            .collect();
        let mut cursors = Vec::new();
        let first = group == self.plan.from.0;
        let from = if first { self.plan.from.1.as_slice() } else { &[] };
        for (depth, (segment, id)) in segments.iter().enumerate() {
            let mut cursor = SectionCursor::new(segment.segment(), *id, group)?;
            cursor.seek(&mut store.cache, from)?;
            if cursor.item()?.is_some() {
                cursors.push((depth, cursor));
            }
        }
        let removing: Vec<bool> =
            segments.iter().map(|(segment, id)| segment.removes_maps(*id)).collect();
        let covers = |depth: usize| removing.iter().skip(depth + 1).any(|removes| *removes);
        while self.choose(group, &cursors)? {
            if !self.plan.contains(group, self.current.bytes()) {
                return Ok(ControlFlow::Continue(()));
            }
            let flow = self.entry(store, group, &cursors, &covers)?;
            if flow.is_break() {
                return Ok(flow);
            }
            self.step(store, group, &mut cursors)?;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Makes the least key of all levels the current one; `false` if there is none in the group.
    fn choose(&mut self, group: KeyGroup, cursors: &[(usize, SectionCursor<'_>)]) -> Result<bool> {
        let mut least: Option<EntryKey<'_>> = None;
        for ahead in &self.ahead {
            if let Some((in_group, key)) = ahead.head()?
                && in_group == group
                && least.is_none_or(|least| key.bytes() < least.bytes())
            {
                least = Some(key);
            }
        }
        for (_, cursor) in cursors {
            if let Some(item) = cursor.item()?
                && least.is_none_or(|least| item.key.bytes() < least.bytes())
            {
                least = Some(item.key);
            }
        }
        let Some(least) = least else {
            return Ok(false);
        };
        self.current.set(least);
        Ok(true)
    }

    /// Visits the current entry, if it is there.
    fn entry(
        &mut self,
        store: &mut FsStore,
        group: KeyGroup,
        cursors: &[(usize, SectionCursor<'_>)],
        covers: &dyn Fn(usize) -> bool,
    ) -> Result<ControlFlow<()>> {
        let entry = self.current.get()?;
        let space = store.key_space();
        let hash = hash_bytes(entry.key());
        let placement = space.placement_of(entry.key(), hash)?;
        let key = StateKey::new(entry, hash, placement, space.groups());
        let FsStore { layer, sealed, segments, cache, .. } = store;
        for layer in [Some(layer), sealed.as_mut()].into_iter().flatten() {
            let Some(inner) = layer.slot(self.slot) else {
                continue;
            };
            if self.is_list {
                match layer.run(self.slot, &key)? {
                    Run::Whole | Run::Over(_) => return (self.visit)(entry, &[]),
                    Run::Gone => return Ok(ControlFlow::Continue(())),
                    Run::Open => continue,
                }
            }
            let (main, mut covers) = layer.split();
            if let Some(value) = main.get(inner, &key)? {
                return (self.visit)(entry, value);
            }
            if covers.of(self.slot, &key)? == Cover::Gone {
                return Ok(ControlFlow::Continue(()));
            }
        }
        let mut newest = None;
        for (depth, cursor) in cursors.iter().rev() {
            if let Some(item) = cursor.item()?.filter(|item| item.key.bytes() == entry.bytes()) {
                newest = Some((*depth, item));
                break;
            }
        }
        let Some((depth, item)) = newest else {
            return Ok(ControlFlow::Continue(()));
        };
        if covers(depth) {
            let map = self.current.map()?;
            if segments.map_removed_above(cache, self.slot, (group, map), depth)? {
                return Ok(ControlFlow::Continue(()));
            }
        }
        match item.what {
            What::Value(value) => (self.visit)(entry, value),
            What::List | What::Append { .. } => (self.visit)(entry, &[]),
            What::Removed => Ok(ControlFlow::Continue(())),
        }
    }

    /// Goes past the current key in all levels.
    fn step(
        &mut self,
        store: &mut FsStore,
        group: KeyGroup,
        cursors: &mut [(usize, SectionCursor<'_>)],
    ) -> Result<()> {
        for which in 0..self.ahead.len() {
            let Some(ahead) = self.ahead.get_mut(which) else {
                continue;
            };
            let here = ahead.head()?.is_some_and(|(in_group, key)| {
                in_group == group && key.bytes() == self.current.bytes()
            });
            if here {
                ahead.next += 1;
                if ahead.next == ahead.keys.len() && ahead.more {
                    self.fetch(store, which)?;
                }
            }
        }
        for (_, cursor) in cursors {
            if cursor.item()?.is_some_and(|item| item.key.bytes() == self.current.bytes()) {
                cursor.advance(&mut store.cache)?;
            }
        }
        Ok(())
    }
}
