//! A state backend of one's own: a `BTreeMap` per state, snapshots by sharing the map.
//!
//! It implements every method of the SPI in the plainest way, depends on `alluvium-state-api` alone and
//! passes the whole conformance kit (`tests/own_backend`). `cargo run --example own_backend`.

#![cfg_attr(not(test), expect(clippy::wildcard_imports, reason = "kept short to be read"))]
#![expect(clippy::indexing_slicing, reason = "every slot has its table")]

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium_state_api::{format::*, schema::*, settings::Settings, snapshot::*, storage::*, *};

/// Key group, then key, namespace and map key end to end: the order of scans.
type Address = (KeyGroup, Vec<u8>);
type Table = BTreeMap<Address, Cell>;

/// An entry: where its key and namespace end, its value, and of lists the number of elements.
#[derive(Clone, Debug)]
struct Cell {
    ends: (usize, usize),
    value: Vec<u8>,
    elements: u64,
}

impl Cell {
    fn new(key: EntryKey<'_>, value: &[u8], elements: u64) -> Self {
        let (ends, value) = ((key.key_end(), key.namespace_end()), value.to_vec());
        Self { ends, value, elements }
    }

    fn extend(&mut self, elements: Elements<'_>) {
        self.value.extend_from_slice(elements.framed());
        self.elements += elements.count();
    }

    fn key<'a>(&self, bytes: &'a [u8]) -> Result<EntryKey<'a>> {
        EntryKey::new(bytes, self.ends.0, self.ends.1)
    }
}

fn address(key: &StateKey<'_>) -> Address {
    (key.key_group(), key.bytes().to_vec())
}

/// Applies one record of a snapshot; increments of other backends are not for us.
fn load(table: &mut Table, group: KeyGroup, record: Record<'_>) -> Result<()> {
    match record {
        Record::Entry(key, value) => {
            table.insert((group, key.bytes().to_vec()), Cell::new(key, value, 1));
        }
        Record::List(list) => {
            let cell = table.entry((group, list.key.bytes().to_vec()));
            cell.or_insert_with(|| Cell::new(list.key, &[], 0)).extend(list.elements);
        }
        _ => return Err(Error::incompatible("restore from a full snapshot or a savepoint")),
    }
    Ok(())
}

/// The store of one subtask.
#[derive(Debug)]
pub(crate) struct OwnStore {
    space: KeySpace,
    states: StateDirectory,
    /// By slot; shared with the snapshots in flight, copied at the first write after one.
    tables: Vec<Arc<Table>>,
    last: Option<CheckpointId>,
    /// Cloned into every task: tells how many snapshots are in flight.
    in_flight: Arc<()>,
}

impl OwnStore {
    /// Opens a store: fresh, restored or rescaled.
    pub(crate) fn open(env: &OpenEnv) -> Result<Self> {
        let mut states = StateDirectory::default();
        let mut tables = Vec::<Arc<Table>>::new();
        restore_records(env, &mut states, &mut |slot, group, record| {
            tables.resize_with(tables.len().max(slot.index() + 1), Arc::default);
            load(Arc::make_mut(&mut tables[slot.index()]), group, record)
        })?;
        tables.resize_with(states.len(), Arc::default);
        let space = env.key_space.clone();
        Ok(Self { space, states, tables, last: None, in_flight: Arc::default() })
    }

    fn state(&mut self, slot: Slot, operation: StateOperation) -> Result<(&StateMeta, &mut Table)> {
        let meta = self.states.check(slot, operation)?;
        Ok((meta, Arc::make_mut(&mut self.tables[slot.index()])))
    }
}

impl KeyedStore for OwnStore {
    fn backend_name(&self) -> &'static str {
        "own"
    }
    fn key_space(&self) -> &KeySpace {
        &self.space
    }
    fn register(&mut self, meta: &StateMeta) -> Result<Registration> {
        let registration = self.states.register(meta)?;
        self.tables.resize_with(self.states.len(), Arc::default);
        Ok(registration)
    }
    fn states(&self) -> Vec<StateMeta> {
        self.states.metas()
    }
    fn get(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<Option<&[u8]>> {
        let (_, table) = self.state(slot, StateOperation::Value)?;
        Ok(table.get(&address(key)).map(|cell| cell.value.as_slice()))
    }
    fn put(&mut self, slot: Slot, key: &StateKey<'_>, value: &[u8]) -> Result<()> {
        let (meta, table) = self.state(slot, StateOperation::Value)?;
        meta.check_entry(|| Ok(key.key_group()), value.len() as u64, 1)?;
        table.insert(address(key), Cell::new(key.entry(), value, 1));
        Ok(())
    }
    fn remove(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<()> {
        self.state(slot, StateOperation::Any)?.1.remove(&address(key));
        Ok(())
    }
    fn remove_prefix(&mut self, slot: Slot, prefix: &StateKey<'_>) -> Result<()> {
        let (_, table) = self.state(slot, StateOperation::Map)?;
        let map = address(prefix);
        table.retain(|at, _| at.0 != map.0 || !at.1.starts_with(&map.1));
        Ok(())
    }
    fn modify(&mut self, slot: Slot, key: &StateKey<'_>, change: &mut Modify<'_>) -> Result<()> {
        let (meta, table) = self.state(slot, StateOperation::Value)?;
        let (at, mut new) = (address(key), Vec::new());
        match change(table.get(&at).map(|cell| cell.value.as_slice()), &mut new)? {
            Change::Keep => {}
            Change::Remove => drop(table.remove(&at)),
            Change::Put => {
                meta.check_entry(|| Ok(key.key_group()), new.len() as u64, 1)?;
                table.insert(at, Cell::new(key.entry(), &new, 1));
            }
        }
        Ok(())
    }
    fn append(&mut self, slot: Slot, key: &StateKey<'_>, new: Elements<'_>) -> Result<()> {
        let old = self.list_size(slot, key)?;
        let (meta, table) = self.state(slot, StateOperation::List)?;
        meta.check_entry(|| Ok(key.key_group()), old.bytes + new.size(), new.count())?;
        if !new.is_empty() {
            let cell = table.entry(address(key)).or_insert_with(|| Cell::new(key.entry(), &[], 0));
            cell.extend(new);
        }
        Ok(())
    }
    fn read_list(&mut self, s: Slot, key: &StateKey<'_>, f: &mut VisitElement<'_>) -> Result<bool> {
        let (_, table) = self.state(s, StateOperation::List)?;
        let cell = table.get(&address(key));
        for element in Elements::parse(cell.map_or(&[], |cell| &cell.value))? {
            if f(element)?.is_break() {
                break;
            }
        }
        Ok(cell.is_some())
    }
    fn replace_list(&mut self, slot: Slot, key: &StateKey<'_>, new: Elements<'_>) -> Result<()> {
        let (meta, table) = self.state(slot, StateOperation::List)?;
        meta.check_entry(|| Ok(key.key_group()), new.size(), new.count())?;
        table.remove(&address(key));
        if !new.is_empty() {
            table.insert(address(key), Cell::new(key.entry(), new.framed(), new.count()));
        }
        Ok(())
    }
    fn list_size(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<ListSize> {
        let (meta, table) = self.state(slot, StateOperation::List)?;
        let (bytes, elements) =
            table.get(&address(key)).map_or((0, 0), |c| (c.value.len(), c.elements));
        Ok(ListSize { elements, bytes: bytes as u64 - elements * meta.stamp_bytes() as u64 })
    }
    fn scan(&mut self, slot: Slot, scan: Scan<'_>, visit: &mut VisitEntry<'_>) -> Result<()> {
        let plan = scan.plan(self.space.range())?;
        let (meta, table) = self.state(slot, plan.operation)?;
        let list = meta.kind == StateKind::List;
        for ((group, bytes), cell) in table.range(plan.from.clone()..) {
            let value = if list { &[] } else { cell.value.as_slice() };
            if !plan.contains(*group, bytes) || visit(cell.key(bytes)?, value)?.is_break() {
                break;
            }
        }
        Ok(())
    }
    fn merge_namespaces(
        &mut self,
        slot: Slot,
        target: &StateKey<'_>,
        sources: KeyBatch<'_>,
        merge: &mut MergeValues<'_>,
    ) -> Result<()> {
        let (meta, table) = self.state(slot, StateOperation::Merge)?;
        let list = meta.kind == StateKind::List;
        let mut all: Vec<Address> = sources.iter().map(|source| address(&source)).collect();
        all.insert(if list { 0 } else { all.len() }, address(target)); // a fold ends with it
        let mut merged: Option<Cell> = None;
        for cell in all.iter().filter_map(|at| table.get(at)) {
            match &mut merged {
                None => merged = Some(Cell::new(target.entry(), &cell.value, cell.elements)),
                Some(sum) if list => sum.extend(Elements::parse(&cell.value)?),
                Some(sum) => {
                    let mut out = Vec::new();
                    merge(&sum.value, &cell.value, &mut out)?;
                    sum.value = out;
                }
            }
        }
        if let Some(merged) = merged {
            let bytes = merged.value.len() as u64;
            meta.check_entry(|| Ok(target.key_group()), bytes, merged.elements)?;
            for at in &all {
                table.remove(at);
            }
            table.insert(address(target), merged);
        }
        Ok(())
    }
    fn rewrite(&mut self, slot: Slot, rewrite: &mut Rewrite<'_>) -> Result<()> {
        let (meta, table) = self.state(slot, StateOperation::Any)?;
        for ((group, _), cell) in table.iter_mut() {
            let mut value = Vec::new();
            if meta.kind == StateKind::List {
                let elements = Elements::parse(&cell.value)?.rewritten(rewrite)?;
                value.extend_from_slice(elements.as_elements().framed());
            } else {
                rewrite(&cell.value, &mut value)?;
            }
            meta.check_entry(|| Ok(*group), value.len() as u64, cell.elements)?;
            cell.value = value;
        }
        Ok(())
    }
    fn snapshot(&mut self, request: &SnapshotRequest) -> Result<Box<dyn SnapshotTask>> {
        if self.last >= Some(request.checkpoint) {
            return Err(Error::invalid_input("checkpoint numbers must rise"));
        }
        self.last = Some(request.checkpoint);
        let canonical = request.kind == SnapshotKind::Canonical;
        let form = if canonical { FileForm::Canonical } else { FileForm::Full };
        let table = |(slot, _): (Slot, _)| Arc::clone(&self.tables[slot.index()]);
        let tables: Vec<_> = self.states.by_name().map(table).collect();
        let guard = Arc::clone(&self.in_flight);
        let spec = StateFileSpec::new(&self.space, self.states.metas(), form);
        let (kind, compression) = (request.kind, request.compression);
        Ok(Box::new(move |context: SnapshotContext<'_>| {
            context.cancel.check()?;
            let file = StateFileWriter::create(&context, FileScope::Own, spec.clone(), compression);
            let mut writer = file?.into_sequential();
            for ((id, meta), table) in (0..).zip(&spec.states).zip(&tables) {
                let mut section = None;
                for ((group, bytes), cell) in table.iter() {
                    if section.replace(*group) != Some(*group) {
                        writer.section(id, *group)?;
                    }
                    if meta.kind == StateKind::List {
                        writer.list(cell.key(bytes)?, 0, Elements::parse(&cell.value)?)?;
                    } else {
                        writer.put(cell.key(bytes)?, &cell.value)?;
                    }
                }
            }
            let written = writer.finish()?;
            drop(guard);
            Ok(KeyedSnapshot::of_file("own", kind, &spec, written))
        }))
    }
    fn checkpoint_completed(&mut self, _: CheckpointId) -> Result<()> {
        Ok(()) // Nothing builds on it.
    }
    fn checkpoint_aborted(&mut self, _: CheckpointId) -> Result<()> {
        Ok(())
    }
    fn statistics(&self) -> StoreStatistics {
        let count = |slot: Slot| EntryCount::Exact(self.tables[slot.index()].len() as u64);
        let mut statistics = self.states.statistics(count);
        let in_flight = Arc::strong_count(&self.in_flight) - 1;
        statistics.snapshots_in_flight = u32::try_from(in_flight).unwrap_or(u32::MAX);
        statistics
    }
}

/// Counts words over the backend that a setting names.
pub fn main() -> Result<()> {
    let registry = BackendRegistry::new()
        .with(OpenBackend::new("own", |env| Ok(Box::new(OwnStore::open(&env)?))));
    let settings = Settings::from_pairs([("state.backend", "own")])?;
    let groups = MaxParallelism::new(128)?;
    let space = KeyedBackend::<String>::key_space(groups, groups.all())?;
    let mut backend = KeyedBackend::<String>::new(registry.open(OpenEnv::new(space), &settings)?)?;
    let count = backend.open(ValueDescriptor::<u64>::new("count"))?;
    for word in "to be or not to be".split(' ') {
        backend.at(word)?.value(count).update(|n| Some(n.unwrap_or(0) + 1))?;
    }
    assert_eq!(backend.at("be")?.value(count).get()?, Some(2));
    Ok(())
}
