//! [`Layer`]: what was written since the layer began, in memory.
//!
//! # How
//! Three [`MemoryStore`]s with the same states. `main` has the entries as they were written. What they
//! hide of the segments below stands in the other two: `marks` says of an entry that nothing of it is
//! to be seen below, and of a list how many elements it has there; `cleared` has the maps that were
//! removed whole. An access asks `main` first, and the others only where it has nothing.
//!
//! # Invariants
//! L1. Where `main` has an entry that is no list, nothing else is asked: a mark of it is out of date.
//! L2. A list in `main` without a mark is the whole list; with a mark it follows the elements that the
//!     mark counts, none if the list was removed or replaced.
//! L3. A mark that counts elements is written again with each change of its list, so that an increment
//!     which has the one has the other, too.
//! L4. Nothing is marked before there is anything below.
//! L5. As long as nobody was going to write values ([`Layer::will_write`]), `main` has none.

use alluvium_backend_memory::MemoryStore;
use alluvium_state_api::schema::{CodecSchema, KeySpace, StateKind, StateMeta};
use alluvium_state_api::{
    CheckpointId, EntryKey, Error, KeyedStore, ListSize, OpenEnv, Result, Slot, StateKey,
};

/// A mark: nothing of the entry is to be seen below.
const GONE: [u8; 1] = [1];

/// Elements and bytes of a list below its run, as a mark has them.
const LIST_MARK_BYTES: u32 = 16;

/// What a layer says of an entry that `main` does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cover {
    /// It was removed.
    Gone,
    /// Nothing: what is below counts.
    Open,
}

/// What a layer says of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    /// The list is in the layer, whole.
    Whole,
    /// The layer has what follows these elements.
    Over(ListSize),
    /// It was removed.
    Gone,
    /// Nothing: what is below counts.
    Open,
}

/// What one state needs besides its tables.
#[derive(Clone, Copy, Debug)]
struct Place {
    slot: Slot,
    is_map: bool,
    marked: bool,
    cleared: bool,
}

/// Recent writes; see the module's page.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) main: MemoryStore,
    pub(crate) marks: MemoryStore,
    pub(crate) cleared: MemoryStore,
    /// By slot of the store above; `None` for restored states that are not registered yet.
    places: Vec<Option<Place>>,
    /// Bytes of the tables when they were empty.
    empty_bytes: u64,
    /// L5.
    has_values: bool,
}

impl Layer {
    /// An empty layer for the keys of `env`.
    pub(crate) fn new(env: &OpenEnv) -> Result<Self> {
        let open = || -> Result<MemoryStore> {
            let env = OpenEnv { restore: Vec::new(), local_dir: None, ..env.clone() };
            Ok(MemoryStore::open(env)?.into_write_layer())
        };
        Ok(Self {
            main: open()?,
            marks: open()?,
            cleared: open()?,
            places: Vec::new(),
            empty_bytes: 0,
            has_values: false,
        })
    }

    /// The key space of the layer.
    pub(crate) fn space(&self) -> &KeySpace {
        self.main.key_space()
    }

    /// Takes up a state under the slot that it has in the store above.
    pub(crate) fn register(&mut self, above: Slot, meta: &StateMeta) -> Result<()> {
        let before = self.memory_bytes();
        let slot = self.main.register(meta)?.slot;
        self.marks.register(&mark_of(meta))?;
        self.cleared.register(&cleared_of(meta))?;
        let empty = self.memory_bytes().saturating_sub(before);
        self.empty_bytes = self.empty_bytes.saturating_add(empty);
        if self.places.len() <= above.index() {
            self.places.resize(above.index() + 1, None);
        }
        let is_map = meta.kind == StateKind::Map;
        if let Some(place) = self.places.get_mut(above.index()) {
            *place = Some(Place { slot, is_map, marked: false, cleared: false });
        }
        Ok(())
    }

    /// The slot of a state in the layer's stores.
    #[inline]
    pub(crate) fn slot(&self, above: Slot) -> Option<Slot> {
        match self.places.get(above.index()) {
            Some(Some(place)) => Some(place.slot),
            _ => None,
        }
    }

    fn place(&mut self, above: Slot) -> Result<&mut Place> {
        self.places.get_mut(above.index()).and_then(Option::as_mut).ok_or_else(not_registered)
    }

    /// Before values are written.
    #[inline]
    pub(crate) fn will_write(&mut self) {
        self.has_values = true;
    }

    /// Whether it may have values: if not, nobody needs to look for one.
    #[inline]
    pub(crate) const fn may_have_values(&self) -> bool {
        self.has_values
    }

    /// Stores of entries and of what they hide, side by side: while an entry is changed in the one,
    /// the other is asked.
    pub(crate) fn split(&mut self) -> (&mut MemoryStore, Covers<'_>) {
        let Self { main, marks, cleared, places, .. } = self;
        (main, Covers { marks, cleared, places })
    }

    /// What the layer has of a list.
    pub(crate) fn run(&mut self, above: Slot, key: &StateKey<'_>) -> Result<Run> {
        let Place { slot, marked, .. } = *self.place(above)?;
        let mark = if marked { list_mark(self.marks.get(slot, key)?)? } else { None };
        let size = self.main.list_size(slot, key)?;
        Ok(match (mark, size.elements) {
            (Some(base), 0) if base.elements == 0 => Run::Gone,
            (Some(base), elements) if elements > 0 && base.elements == 0 => Run::Whole,
            (Some(base), _) => Run::Over(base),
            (None, 0) => Run::Open,
            (None, _) => Run::Whole,
        })
    }

    /// Notes how much of a list is below the layer (L3).
    pub(crate) fn mark_list(
        &mut self,
        above: Slot,
        key: &StateKey<'_>,
        base: ListSize,
    ) -> Result<()> {
        let place = self.place(above)?;
        place.marked = true;
        let slot = place.slot;
        let mut mark = [0; LIST_MARK_BYTES as usize];
        let (elements, bytes) = mark.split_at_mut(8);
        elements.copy_from_slice(&base.elements.to_le_bytes());
        bytes.copy_from_slice(&base.bytes.to_le_bytes());
        self.marks.put(slot, key, &mark)
    }

    /// Notes that a map was removed whole.
    pub(crate) fn mark_map(&mut self, above: Slot, prefix: &StateKey<'_>) -> Result<()> {
        let place = self.place(above)?;
        place.cleared = true;
        let slot = place.slot;
        self.cleared.put(slot, prefix, &GONE)
    }

    /// About how many entries a state has here.
    pub(crate) fn entries(&self, above: Slot) -> u64 {
        self.slot(above).map_or(0, |inner| self.main.entries(inner))
    }

    /// Whether anything was ever marked.
    pub(crate) fn is_marked(&self) -> bool {
        self.places.iter().flatten().any(|place| place.marked || place.cleared)
    }

    /// Whether anything was written.
    pub(crate) fn has_entries(&self) -> bool {
        let mut slots = self.places.iter().flatten().map(|place| place.slot);
        self.is_marked() || slots.any(|slot| self.main.entries(slot) > 0)
    }

    /// A checkpoint is complete: increments of the layer build on it.
    pub(crate) fn completed(&mut self, checkpoint: CheckpointId) -> Result<()> {
        self.each(|store| store.checkpoint_completed(checkpoint))
    }

    /// A checkpoint will never complete.
    pub(crate) fn aborted(&mut self, checkpoint: CheckpointId) -> Result<()> {
        self.each(|store| store.checkpoint_aborted(checkpoint))
    }

    fn each(&mut self, mut act: impl FnMut(&mut MemoryStore) -> Result<()>) -> Result<()> {
        act(&mut self.main)?;
        act(&mut self.marks)?;
        act(&mut self.cleared)
    }

    /// Bytes of memory that were allocated for what was written.
    pub(crate) fn written_bytes(&self) -> u64 {
        self.memory_bytes().saturating_sub(self.empty_bytes)
    }

    /// Bytes of memory that the layer has allocated.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let stores = [&self.main, &self.marks, &self.cleared];
        stores.into_iter().map(MemoryStore::memory_bytes).fold(0, u64::saturating_add)
    }
}

/// What a layer hides, while its entries are borrowed.
#[derive(Debug)]
pub(crate) struct Covers<'s> {
    marks: &'s mut MemoryStore,
    cleared: &'s mut MemoryStore,
    places: &'s mut [Option<Place>],
}

impl Covers<'_> {
    fn place(&mut self, above: Slot) -> Result<&mut Place> {
        self.places.get_mut(above.index()).and_then(Option::as_mut).ok_or_else(not_registered)
    }

    /// Whether anything of a state was removed; if not, nothing that is not in the layer was.
    #[inline]
    pub(crate) fn may_hide(&self, above: Slot) -> bool {
        match self.places.get(above.index()) {
            Some(Some(place)) => place.marked || place.cleared,
            _ => true,
        }
    }

    /// Whether an entry that is not in the layer was removed.
    pub(crate) fn of(&mut self, above: Slot, key: &StateKey<'_>) -> Result<Cover> {
        let Place { slot, is_map, marked, cleared } = *self.place(above)?;
        if marked && self.marks.get(slot, key)?.is_some() {
            return Ok(Cover::Gone);
        }
        if is_map && cleared && self.cleared.get(slot, &map_of(key)?)?.is_some() {
            return Ok(Cover::Gone);
        }
        Ok(Cover::Open)
    }

    /// Notes that an entry of any state but a list was removed.
    pub(crate) fn mark(&mut self, above: Slot, key: &StateKey<'_>) -> Result<()> {
        let place = self.place(above)?;
        place.marked = true;
        let slot = place.slot;
        self.marks.put(slot, key, &GONE)
    }
}

/// Key and namespace of the map that an entry belongs to.
pub(crate) fn map_of<'a>(key: &StateKey<'a>) -> Result<StateKey<'a>> {
    let entry = key.entry();
    let bytes = entry.bytes().get(..entry.namespace_end()).unwrap_or_default();
    Ok(key.with_entry(EntryKey::new(bytes, entry.key_end(), entry.namespace_end())?))
}

/// Elements and bytes that a mark counts.
pub(crate) fn list_mark(mark: Option<&[u8]>) -> Result<Option<ListSize>> {
    let Some(mark) = mark else {
        return Ok(None);
    };
    let number = |at: usize| mark.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
    match (number(0), number(8)) {
        (Some(elements), Some(bytes)) => Ok(Some(ListSize {
            elements: u64::from_le_bytes(elements),
            bytes: u64::from_le_bytes(bytes),
        })),
        _ => Err(Error::bug("a mark of a list is not as long as it was written")),
    }
}

fn codec(width: u32) -> CodecSchema {
    CodecSchema { codec: "mark".into(), version: 1, shape: "bytes".into(), width: Some(width) }
}

/// What `marks` knows a state as.
fn mark_of(meta: &StateMeta) -> StateMeta {
    let (kind, width) = match meta.kind {
        StateKind::Map => (StateKind::Map, 1),
        StateKind::List => (StateKind::Value, LIST_MARK_BYTES),
        _ => (StateKind::Value, 1),
    };
    StateMeta { kind, value: codec(width), stamped: false, size_limit: 64, ..meta.clone() }
}

/// What `cleared` knows a state as.
fn cleared_of(meta: &StateMeta) -> StateMeta {
    let map_key = None;
    let (kind, value) = (StateKind::Value, codec(1));
    StateMeta { kind, value, map_key, stamped: false, size_limit: 64, ..meta.clone() }
}

#[cold]
fn not_registered() -> Error {
    Error::invalid_input("the state was not registered by this store")
}
