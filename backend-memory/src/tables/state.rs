//! A state of the store: its table, the shape of its keys, and the epochs of its snapshots.

use alluvium_state_api::StateKey;
use alluvium_state_api::schema::{KeyIdentity, StateKind, StateMeta};

use super::any::{AnyTable, Lists, Maps, with_keyed, with_values};
use super::shape::{Shape, hash_of_8};
use crate::cells::Now;
use crate::table::{Epoch, Fixed, Seed, Table};

/// A registered or restored state.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) table: AnyTable,
    pub(crate) shape: Shape,
    /// Map entries of all maps; 0 for other kinds.
    pub(crate) map_entries: u64,
    now: Now,
}

/// Whether all values have one width, which is within the state's limit.
fn always_fits(meta: &StateMeta) -> bool {
    meta.value.width.is_some_and(|width| u64::from(width) <= meta.size_limit)
}

impl State {
    /// An empty state.
    pub(crate) fn new(key: &KeyIdentity, meta: &StateMeta, seed: Seed) -> Self {
        let shape = Shape::of(key, meta);
        let value = meta.value.width.and_then(|width| usize::try_from(width).ok());
        let value = value.and_then(|width| width.checked_add(meta.stamp_bytes()));
        let plain = always_fits(meta) && shape.is_key_alone();
        let table = match meta.kind {
            StateKind::List => AnyTable::Lists(Lists::new(shape.width, seed)),
            StateKind::Map => AnyTable::Maps(Maps::new(shape.width, seed)),
            _ => AnyTable::values((shape.width, value), plain, seed),
        };
        Self { table, shape, map_entries: 0, now: Now { epoch: 1, horizon: None } }
    }

    /// Has values checked from now on, if the limit under which the state is registered has become too low for them.
    pub(crate) fn limit(&mut self, meta: &StateMeta) {
        if let AnyTable::Numbers(table) = &mut self.table
            && !always_fits(meta)
        {
            let checked = std::mem::replace(table, Table::new(Seed::new(0, 0), hash_of_8));
            self.table = AnyTable::K8V8(checked);
        }
    }

    /// The table and its key, where both keys and values are plain and have 8 bytes (`MemoryStore`, S4).
    #[expect(clippy::inline_always, reason = "so that key and table travel in registers")]
    #[inline(always)]
    pub(crate) fn eight(&self, key: &StateKey<'_>) -> Option<(&Table<[u8; 8], Fixed<8>>, [u8; 8])> {
        if let AnyTable::Numbers(table) = &self.table
            && let Ok(probe) = key.bytes().try_into()
        {
            return Some((table, probe));
        }
        None
    }

    /// What a change of a cell must record.
    #[inline]
    pub(crate) fn now(&self) -> Now {
        self.now
    }

    /// A snapshot ended the epoch `ended`; `as_base` if increments may build on it.
    pub(crate) fn snapshot_taken(&mut self, ended: Epoch, as_base: bool) {
        self.now.epoch = ended.saturating_add(1);
        if as_base {
            self.now.horizon.get_or_insert(ended);
        }
    }

    /// Increments may now build on the snapshot that ended `base`; nothing older is needed.
    pub(crate) fn set_base(&mut self, base: Option<Epoch>) {
        let kept = with_values!(&mut self.table, table => table.set_horizon(base), {
            AnyTable::Lists(lists) => with_keyed!(Lists, lists, table => table.set_horizon(base)),
            AnyTable::Maps(maps) => with_keyed!(Maps, maps, table => table.set_horizon(base)),
        });
        if kept {
            self.now.horizon = base;
        }
    }

    /// Keys and namespaces; of maps, their entries.
    pub(crate) fn entries(&self) -> u64 {
        with_values!(&self.table, table => table.len() as u64, {
            AnyTable::Lists(lists) => with_keyed!(Lists, lists, table => table.len() as u64),
            AnyTable::Maps(_) => self.map_entries,
        })
    }

    /// Bytes allocated for the state.
    pub(crate) fn heap_bytes(&self) -> u64 {
        let bytes = with_values!(&self.table, table => table.heap_bytes(), {
            AnyTable::Lists(lists) => with_keyed!(Lists, lists, table => table.heap_bytes()),
            AnyTable::Maps(maps) => with_keyed!(Maps, maps, table => table.heap_bytes()),
        });
        bytes as u64
    }
}
