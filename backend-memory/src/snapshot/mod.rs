//! Snapshots: the synchronous phase here, the rest as tasks.
//!
//! * [`own`]: full snapshots and increments in the backend's own form, in one pass over the tables;
//! * [`canonical`]: the canonical form, sorted by key group and key; `sorted` does so for tables of
//!   entries of fixed widths.
//!
//! # Invariants
//! N1. The synchronous phase ends an epoch in every table and shares their segments: its cost depends
//!     on the number of segments, not of entries.
//! N2. An increment is written only where every state of the base remembers what changed since then;
//!     otherwise the snapshot is a full one.
//! N3. A task reports its files as a candidate base only after all of them are durable.

pub(crate) mod canonical;
mod full;
pub(crate) mod own;
mod sorted;

use std::sync::Arc;

use alluvium_state_api::format::{FileForm, StateFileSpec};
use alluvium_state_api::schema::{KeySpace, StateMeta};
use alluvium_state_api::snapshot::{SnapshotKind, SnapshotRequest, SnapshotTask};
use alluvium_state_api::{Error, Result};

use crate::cells::list::ListCell;
use crate::cells::map::MapCell;
use crate::chain::{Base, InFlight};
use crate::store::MemoryStore;
use crate::table::{Blob, Cell, Epoch, Fixed, KeyRep, Table, TableView, VarKey};
use crate::tables::any::{AnyTable, with_keyed, with_values};
use crate::tables::shape::Shape;

/// A state as of a snapshot, ordered by name among the others.
pub(crate) struct StateView {
    pub(crate) slot: usize,
    pub(crate) meta: StateMeta,
    pub(crate) shape: Shape,
    /// Keys and namespaces, or map entries.
    pub(crate) entries: u64,
    pub(crate) view: AnyView,
}

/// What every task holds.
pub(crate) struct Job {
    pub(crate) request: SnapshotRequest,
    pub(crate) space: KeySpace,
    pub(crate) states: Vec<StateView>,
    /// Whether an increment has only what changed, and refers to no earlier file.
    pub(crate) changes_alone: bool,
    pub(crate) _in_flight: InFlight,
}

impl Job {
    /// The header of the file that the task writes.
    pub(crate) fn spec(&self, form: FileForm) -> StateFileSpec {
        StateFileSpec {
            key: self.space.identity().clone(),
            groups: self.space.groups(),
            range: self.space.range(),
            states: self.states.iter().map(|state| state.meta.clone()).collect(),
            form,
        }
    }

    /// About how many bytes an increment has of what changed, if a full snapshot has `full_bytes`. A list
    /// or map in which something changed counts as a whole.
    pub(crate) fn estimate_changed(&self, full_bytes: u64) -> u64 {
        let (mut changed, mut keys) = (0u64, 0u64);
        for state in &self.states {
            changed = changed.saturating_add(state.view.estimate_yield());
            keys = keys.saturating_add(state.view.len());
        }
        let bytes = u128::from(full_bytes) * u128::from(changed) / u128::from(keys.max(1));
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    /// The epochs that the snapshot ended, by slot.
    pub(crate) fn epochs(&self) -> Vec<Epoch> {
        let mut epochs = vec![0; self.states.len()];
        for state in &self.states {
            if let Some(place) = epochs.get_mut(state.slot) {
                *place = state.view.epoch();
            }
        }
        epochs
    }
}

macro_rules! any_view {
    ($($variant:ident($key:ty, $cell:ty),)*) => {
        /// A table as of a snapshot, whatever its type.
        pub(crate) enum AnyView {
            $($variant(TableView<$key, $cell>),)*
        }

        $(impl From<TableView<$key, $cell>> for AnyView {
            fn from(view: TableView<$key, $cell>) -> Self {
                Self::$variant(view)
            }
        })*

        impl AnyView {
            /// The epoch that the snapshot ended.
            pub(crate) fn epoch(&self) -> Epoch {
                match self {
                    $(Self::$variant(view) => view.epoch(),)*
                }
            }

            /// Keys in the table.
            fn len(&self) -> u64 {
                match self {
                    $(Self::$variant(view) => view.len() as u64,)*
                }
            }

            /// About how many entries the view yields, and removals.
            fn estimate_yield(&self) -> u64 {
                match self {
                    $(Self::$variant(view) => view.estimate_yield(),)*
                }
            }

            /// Makes the view yield what did not change, too.
            pub(crate) fn include_unchanged(&mut self) {
                match self {
                    $(Self::$variant(view) => view.include_unchanged(),)*
                }
            }

            /// Makes the view incremental; `false` if the table does not remember that far back.
            pub(crate) fn since(&mut self, base: Epoch) -> bool {
                match self {
                    $(Self::$variant(view) => view.since(base),)*
                }
            }
        }
    };
}

any_view! {
    K8V8([u8; 8], Fixed<8>),
    K8V16([u8; 8], Fixed<16>),
    K8([u8; 8], Blob),
    K16V8([u8; 16], Fixed<8>),
    K16([u8; 16], Blob),
    V8(VarKey, Fixed<8>),
    Any(VarKey, Blob),
    ListsK8([u8; 8], ListCell),
    ListsK16([u8; 16], ListCell),
    ListsAny(VarKey, ListCell),
    MapsK8([u8; 8], MapCell),
    MapsK16([u8; 16], MapCell),
    MapsAny(VarKey, MapCell),
}

/// The synchronous phase.
pub(crate) fn begin(
    store: &mut MemoryStore,
    request: &SnapshotRequest,
) -> Result<Box<dyn SnapshotTask>> {
    if store.chain.last.is_some_and(|last| request.checkpoint <= last) {
        return Err(Error::invalid_input("checkpoint numbers must ascend")
            .with_checkpoint(request.checkpoint));
    }
    let as_base = request.kind == SnapshotKind::Incremental;
    let mut states = Vec::with_capacity(store.states.len());
    for (slot, meta) in store.directory.by_name() {
        let Some(state) = store.states.get_mut(slot.index()) else {
            continue;
        };
        let view = with_values!(&mut state.table, table => view_of(table, as_base)?, {
            AnyTable::Lists(any) => with_keyed!(Lists, any, table => view_of(table, as_base)?),
            AnyTable::Maps(any) => with_keyed!(Maps, any, table => view_of(table, as_base)?),
        });
        state.snapshot_taken(view.epoch(), as_base);
        let maps = matches!(state.table, AnyTable::Maps(_));
        let entries = if maps { state.map_entries } else { view.len() };
        let (slot, meta, shape) = (slot.index(), meta.clone(), state.shape);
        states.push(StateView { slot, meta, shape, entries, view });
    }
    store.chain.last = Some(request.checkpoint);
    let job = Job {
        request: request.clone(),
        space: store.space.clone(),
        states,
        changes_alone: store.chain.changes_alone,
        _in_flight: store.chain.start(),
    };
    Ok(match request.kind {
        SnapshotKind::Canonical => Box::new(canonical::CanonicalTask { job }),
        SnapshotKind::Incremental => {
            let mut job = job;
            let base = store.chain.base().filter(|base| remembers(&mut job.states, base));
            let candidates = Some(store.chain.candidates());
            Box::new(own::OwnTask { job, base, candidates })
        }
        _ => {
            store.chain.full_requested(request.checkpoint);
            Box::new(own::OwnTask { job, base: None, candidates: None })
        }
    })
}

fn view_of<K: KeyRep, C: Cell>(table: &mut Table<K, C>, as_base: bool) -> Result<AnyView>
where
    AnyView: From<TableView<K, C>>,
{
    table.begin_snapshot(as_base).map(AnyView::from).ok_or_else(|| {
        Error::unavailable(
            "the oldest snapshot in flight is 200 snapshots old; finish or drop it first",
        )
    })
}

/// Makes the views incremental, if every state that the base knows remembers what changed; otherwise
/// none of them (N2).
fn remembers(states: &mut [StateView], base: &Arc<Base>) -> bool {
    let known = states.iter_mut().all(|state| match base.epochs.get(state.slot) {
        Some(epoch) => state.view.since(*epoch),
        None => true,
    });
    if !known {
        for state in states.iter_mut() {
            state.view.include_unchanged();
        }
    }
    known
}

/// Ends an epoch in every table without taking a snapshot; returns the epochs by slot.
pub(crate) fn end_epoch(store: &mut MemoryStore) -> Result<Vec<Epoch>> {
    let as_base = true;
    let mut epochs = Vec::with_capacity(store.states.len());
    for state in &mut store.states {
        let view = with_values!(&mut state.table, table => view_of(table, as_base)?, {
            AnyTable::Lists(any) => with_keyed!(Lists, any, table => view_of(table, as_base)?),
            AnyTable::Maps(any) => with_keyed!(Maps, any, table => view_of(table, as_base)?),
        });
        state.snapshot_taken(view.epoch(), as_base);
        epochs.push(view.epoch());
    }
    Ok(epochs)
}
