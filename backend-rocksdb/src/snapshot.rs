//! Snapshots: the synchronous phase takes a view of the database, the task writes it as a state file; or an
//! incremental one takes its files.
//!
//! # How
//! A view costs nothing but that RocksDB keeps what it shows while it exists: nothing is flushed, and the writer
//! does not wait. The task goes through the states in order, within each through the key groups, by itself and with helpers
//! ([`crate::sections`]), and writes one file with everything, in the canonical form or the backend's own. An incremental snapshot writes the write buffers
//! out, which the writer waits for, and gives the database's files second names; the task uploads those that are new
//! ([`crate::native`]). Where no storage is there to refer to files, it is written in full as well.
//!
//! # Invariants
//! T1. The files hold the state as of the synchronous phase.
//! T2. A list is written only if it has the elements that its head counts.

use alluvium_state_api::format::{FileForm, StateFileSpec, StateFileWriter};
use alluvium_state_api::schema::StateKind;
use alluvium_state_api::snapshot::{
    KeyedSnapshot, SnapshotContext, SnapshotKind, SnapshotRequest, SnapshotTask,
};
use alluvium_state_api::storage::{FileScope, InlinePolicy};
use alluvium_state_api::{Error, KeyGroup, Result, StateOperation};

use rocksdb::properties;

use crate::address::{PREFIX_BYTES, set_entry_address};
use crate::chain::{InFlight, Reports};
use crate::list::Stored;
use crate::native::{Linked, Native};
use crate::sections::{Piece, Sections, pieces, write_all};
use crate::states::State;
use crate::store::RocksStore;
use crate::view::View;
use crate::walk::{OwnedKey, Walk};

/// Of helpers, as `nice` has it, which on Linux is for the calling thread alone. Whoever asks for a savepoint waits for
/// it: they get a share of a busy machine, if a small one.
const LOW: i32 = 10;
/// Of those of a checkpoint.
const LOWEST: i32 = 19;

/// The rest of a snapshot.
struct Task {
    request: SnapshotRequest,
    spec: StateFileSpec,
    /// In the order of the specification.
    states: Vec<State>,
    view: View,
    /// Of an incremental snapshot.
    native: Option<Native>,
    reports: Reports,
    _in_flight: InFlight,
}

impl RocksStore {
    /// The synchronous phase.
    pub(crate) fn begin_snapshot(
        &mut self,
        request: &SnapshotRequest,
    ) -> Result<Box<dyn SnapshotTask>> {
        self.poison.check()?;
        if !self.chain.may_begin(request.checkpoint) {
            return Err(Error::invalid_input("checkpoint numbers must ascend")
                .with_checkpoint(request.checkpoint));
        }
        self.flush()?;
        self.recording.record(&self.database);
        let form = match request.kind {
            SnapshotKind::Canonical => FileForm::Canonical,
            _ => FileForm::Full,
        };
        let slots: Vec<_> = self.states.directory.by_name().map(|(slot, _)| slot).collect();
        let mut states = Vec::with_capacity(slots.len());
        for slot in slots {
            states.push(*self.states.find(slot, StateOperation::Any)?.1);
        }
        let native = match request.kind {
            SnapshotKind::Incremental => Some(self.begin_native()?),
            _ => None,
        };
        self.joiner.look(&mut self.jobs);
        Ok(Box::new(Task {
            request: request.clone(),
            spec: StateFileSpec::new(&self.space, self.states.directory.metas(), form),
            states,
            view: View::of(&self.database),
            native,
            reports: self.chain.reports(),
            _in_flight: self.chain.begin(request.checkpoint),
        }))
    }

    /// Takes the database's files.
    fn begin_native(&mut self) -> Result<Native> {
        match Linked::of(&self.database) {
            Ok(linked) => Ok(Native { linked, base: self.chain.base() }),
            // Buffers that could not be written out are lost to later snapshots, too (F1).
            Err(error) if self.database.property(properties::BACKGROUND_ERRORS) > 0 => {
                Err(self.poison.set(error))
            }
            Err(error) => Err(error),
        }
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
        let everything_inline =
            matches!(context.sink.inline_policy(), InlinePolicy::Everything { .. });
        if let Some(native) = self.native.as_ref().filter(|_| !everything_inline) {
            let (snapshot, uploads) = native.upload(&self.spec, &self.states, context)?;
            self.reports.report(self.request.checkpoint, Some(uploads));
            return Ok(snapshot);
        }
        let (spec, compression) = (self.spec.clone(), self.request.compression);
        let writer = StateFileWriter::create(&context, FileScope::Own, spec, compression)?;
        let mut writer = writer.into_sequential();
        let count = u16::try_from(self.states.len())
            .map_err(|_many| Error::unsupported("a snapshot holds at most 65,535 states"))?;
        let write = |piece: Piece, sections: &mut dyn Sections| {
            self.write_piece(piece, sections).map_err(|error| {
                match self.spec.states.get(usize::from(piece.state)) {
                    Some(meta) => error.with_state(meta.name.clone()),
                    None => error,
                }
            })
        };
        let nice = if self.request.kind == SnapshotKind::Canonical { LOW } else { LOWEST };
        write_all(&pieces(count, self.spec.range)?, &write, &mut writer, nice)?;
        let written = writer.finish()?;
        if self.request.kind != SnapshotKind::Canonical {
            self.reports.report(self.request.checkpoint, None);
        }
        Ok(KeyedSnapshot::of_file(crate::BACKEND_NAME, self.request.kind, &self.spec, written))
    }

    /// Writes some key groups of a state.
    fn write_piece(&self, piece: Piece, sections: &mut dyn Sections) -> Result<()> {
        let Piece { state: id, groups: range } = piece;
        let Some(state) = self.states.get(usize::from(id)) else {
            return Ok(());
        };
        let iterator = self.view.iterator(Walk::bound(range));
        let mut walk = Walk::new(iterator, state.id, range, Vec::new());
        let (mut key, mut address) = (OwnedKey::default(), Vec::with_capacity(PREFIX_BYTES));
        let mut section = None::<KeyGroup>;
        while walk.find()? {
            let (group, bytes, stored) = walk.entry()?;
            if section.replace(group) != Some(group) {
                sections.section(id, group)?;
            }
            let (entry, value) = state.shape.unwrap(bytes, stored)?;
            if state.kind != StateKind::List {
                sections.put(entry, value)?;
                walk.step();
                continue;
            }
            let head = match Stored::decode(value)? {
                Stored::Short(elements) => {
                    sections.list(entry, 0, elements)?;
                    walk.step();
                    continue;
                }
                Stored::Long(head) => head,
            };
            key.set(entry);
            set_entry_address(&mut address, state.id, group, entry);
            let entry = key.get()?;
            walk.read_list(&address, head, &mut |first, elements| {
                sections.list(entry, first, elements)
            })?;
        }
        Ok(())
    }
}
