//! Snapshots: the synchronous phase takes a view of the database, the task writes it as a state file.
//!
//! # How
//! A view costs nothing but that RocksDB keeps what it shows while it exists: nothing is flushed, and the writer
//! does not wait. The task goes through the states in order, within each through the key groups, and writes one
//! file with everything, in the canonical form or the backend's own; an incremental snapshot is a full one.
//!
//! # Invariants
//! N1. The file holds the state as of the synchronous phase.
//! N2. A list is written only if it has the elements that its head counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use alluvium_state_api::format::{FileForm, SequentialWriter, StateFileSpec, StateFileWriter};
use alluvium_state_api::schema::StateKind;
use alluvium_state_api::snapshot::{
    KeyedSnapshot, SnapshotContext, SnapshotKind, SnapshotRequest, SnapshotTask,
};
use alluvium_state_api::storage::FileScope;
use alluvium_state_api::{Error, KeyGroup, Result, StateOperation};

use crate::address::{PREFIX_BYTES, set_entry_address};
use crate::list::Head;
use crate::states::State;
use crate::store::RocksStore;
use crate::view::View;
use crate::walk::{OwnedKey, Walk};

/// Counts a snapshot as in flight while it exists.
#[derive(Debug)]
struct InFlight(Arc<AtomicU32>);

impl InFlight {
    fn start(counter: &Arc<AtomicU32>) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(counter))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The rest of a snapshot.
struct Task {
    request: SnapshotRequest,
    spec: StateFileSpec,
    /// In the order of the specification.
    states: Vec<State>,
    view: View,
    _in_flight: InFlight,
}

impl RocksStore {
    /// The synchronous phase.
    pub(crate) fn begin_snapshot(
        &mut self,
        request: &SnapshotRequest,
    ) -> Result<Box<dyn SnapshotTask>> {
        self.poison.check()?;
        if self.last.is_some_and(|last| request.checkpoint <= last) {
            return Err(Error::invalid_input("checkpoint numbers must ascend")
                .with_checkpoint(request.checkpoint));
        }
        let form = match request.kind {
            SnapshotKind::Canonical => FileForm::Canonical,
            _ => FileForm::Full,
        };
        let slots: Vec<_> = self.states.directory.by_name().map(|(slot, _)| slot).collect();
        let mut states = Vec::with_capacity(slots.len());
        for slot in slots {
            states.push(*self.states.find(slot, StateOperation::Any)?.1);
        }
        self.last = Some(request.checkpoint);
        Ok(Box::new(Task {
            request: request.clone(),
            spec: StateFileSpec::new(&self.space, self.states.directory.metas(), form),
            states,
            view: View::of(&self.database),
            _in_flight: InFlight::start(&self.in_flight),
        }))
    }
}

impl SnapshotTask for Task {
    fn run(self: Box<Self>, context: SnapshotContext<'_>) -> Result<KeyedSnapshot> {
        let checkpoint = self.request.checkpoint;
        self.write(context).map_err(|error| error.with_checkpoint(checkpoint))
    }
}

impl Task {
    fn write(&self, context: SnapshotContext<'_>) -> Result<KeyedSnapshot> {
        context.cancel.check()?;
        let (spec, compression) = (self.spec.clone(), self.request.compression);
        let writer = StateFileWriter::create(&context, FileScope::Own, spec, compression)?;
        let mut writer = writer.into_sequential();
        for (id, state) in (0..).zip(&self.states) {
            self.write_state(id, *state, &mut writer).map_err(|error| {
                match self.spec.states.get(usize::from(id)) {
                    Some(meta) => error.with_state(meta.name.clone()),
                    None => error,
                }
            })?;
        }
        let written = writer.finish()?;
        Ok(KeyedSnapshot::of_file(crate::BACKEND_NAME, self.request.kind, &self.spec, written))
    }

    /// Writes a state, which the file calls by `id`.
    fn write_state(&self, id: u16, state: State, writer: &mut SequentialWriter) -> Result<()> {
        let range = self.spec.range;
        let iterator = self.view.iterator(Walk::bound(range));
        let mut walk = Walk::new(iterator, state.id, range, Vec::new());
        let (mut key, mut address) = (OwnedKey::default(), Vec::with_capacity(PREFIX_BYTES));
        let mut section = None::<KeyGroup>;
        while walk.find()? {
            let (group, bytes, stored) = walk.entry()?;
            if section.replace(group) != Some(group) {
                writer.section(id, group)?;
            }
            let (entry, value) = state.shape.unwrap(bytes, stored)?;
            if state.kind != StateKind::List {
                writer.put(entry, value)?;
                walk.step();
                continue;
            }
            let head = Head::decode(value)?;
            key.set(entry);
            set_entry_address(&mut address, state.id, group, entry);
            let entry = key.get()?;
            walk.read_list(&address, head, &mut |first, elements| {
                writer.list(entry, first, elements)
            })?;
        }
        Ok(())
    }
}
