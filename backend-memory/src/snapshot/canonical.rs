//! Canonical snapshots: the same bytes as from every other backend.
//!
//! Tables are unordered, so each state is first copied out of its table, then sorted by key group and
//! entry, then written section by section. Memory is in proportion to the state; of lists only
//! references are held. Tables of entries of fixed widths have a pass of their own: see `sorted.rs`.

use alluvium_state_api::format::{FileForm, SequentialWriter, StateFileWriter};
use alluvium_state_api::schema::KeySpace;
use alluvium_state_api::snapshot::{
    CancelToken, KeyedSnapshot, SnapshotContext, SnapshotFile, SnapshotKind, SnapshotTask,
};
use alluvium_state_api::storage::FileScope;
use alluvium_state_api::{EntryKey, Error, KeyGroup, Result};

use super::sorted::SortedPass;
use super::{AnyView, Job, StateView};
use crate::cells::list::{ListCell, ListImage};
use crate::cells::map::MapCell;
use crate::cells::value::ValueCell;
use crate::table::{Cell, Item, KeyRep, ShardImage, Span, TableView, append};
use crate::tables::shape::Shape;

/// A canonical snapshot.
pub(crate) struct CanonicalTask {
    pub(crate) job: Job,
}

impl SnapshotTask for CanonicalTask {
    fn run(self: Box<Self>, context: SnapshotContext<'_>) -> Result<KeyedSnapshot> {
        let checkpoint = self.job.request.checkpoint;
        self.write(context).map_err(|error| error.with_checkpoint(checkpoint))
    }
}

impl CanonicalTask {
    fn write(self, context: SnapshotContext<'_>) -> Result<KeyedSnapshot> {
        context.cancel.check()?;
        let Self { mut job } = self;
        let spec = job.spec(FileForm::Canonical);
        let writer =
            StateFileWriter::create(&context, FileScope::Own, spec, job.request.compression)?;
        let mut writer = writer.into_sequential();
        let mut counted = Vec::with_capacity(job.states.len());
        for (id, state) in std::mem::take(&mut job.states).into_iter().enumerate() {
            let id = u16::try_from(id)
                .map_err(|_many| Error::unsupported("a snapshot holds at most 65,535 states"))?;
            counted.push((state.meta.clone(), state.entries));
            let sorter = Sorter { space: &job.space, shape: state.shape, cancel: context.cancel };
            sorter.write(state, id, &mut writer)?;
        }
        let written = writer.finish()?;
        let mut states = Vec::with_capacity(counted.len());
        for ((meta, entries), totals) in counted.into_iter().zip(&written.states) {
            if totals.entries != entries {
                return Err(Error::bug(format!(
                    "{} entries were written of {entries} that the table counted",
                    totals.entries
                ))
                .with_state(meta.name));
            }
            states.push(totals.summary(meta));
        }
        let range = job.space.range();
        let bytes = written.stored.length;
        Ok(KeyedSnapshot {
            backend: crate::BACKEND_NAME.into(),
            kind: SnapshotKind::Canonical,
            key: job.space.identity().clone(),
            groups: job.space.groups(),
            range,
            states,
            files: vec![SnapshotFile::of_state(written, range)],
            bytes_new: bytes,
            bytes_full: bytes,
        })
    }
}

/// An entry to sort; bytes lie in an arena, lists beside it.
struct Sortable<P> {
    group: u16,
    /// The first bytes of the key as a number that is ordered like them: mostly they decide.
    front: u64,
    key_end: u32,
    namespace_end: u32,
    key: Span,
    payload: P,
}

/// Sorts and writes one state.
struct Sorter<'a> {
    space: &'a KeySpace,
    shape: Shape,
    cancel: &'a CancelToken,
}

impl Sorter<'_> {
    fn write(&self, state: StateView, id: u16, writer: &mut SequentialWriter) -> Result<()> {
        match state.view {
            AnyView::K8V8(view) => self.plain(id).write(view, writer),
            AnyView::K8V16(view) => self.plain(id).write(view, writer),
            AnyView::K8(view) => self.values(view, id, writer),
            AnyView::K16V8(view) => self.plain(id).write(view, writer),
            AnyView::K16(view) => self.values(view, id, writer),
            AnyView::V8(view) => self.values(view, id, writer),
            AnyView::Any(view) => self.values(view, id, writer),
            AnyView::ListsK8(view) => self.lists(view, id, writer),
            AnyView::ListsK16(view) => self.lists(view, id, writer),
            AnyView::ListsAny(view) => self.lists(view, id, writer),
            AnyView::MapsK8(view) => self.maps(view, id, writer),
            AnyView::MapsK16(view) => self.maps(view, id, writer),
            AnyView::MapsAny(view) => self.maps(view, id, writer),
        }
    }

    fn plain(&self, id: u16) -> SortedPass<'_> {
        SortedPass { space: self.space, shape: self.shape, cancel: self.cancel, id }
    }

    /// Copies the table out: `copy` puts what it needs of an entry into the arena and the list.
    fn collect<K: KeyRep, C: Cell, P>(
        &self,
        mut view: TableView<K, C>,
        copy: impl Fn(Item<'_, C>, EntryKey<'_>, KeyGroup, &mut Vec<u8>, &mut Vec<Sortable<P>>),
    ) -> Result<(Vec<u8>, Vec<Sortable<P>>)> {
        let (mut arena, mut found, mut failed) = (Vec::new(), Vec::new(), None);
        let mut image = ShardImage::default();
        while view.next_shard(&mut image) {
            self.cancel.check()?;
            image.for_each(|item| {
                let placed = self.shape.parts(item.key).and_then(|key| {
                    let group = self.space.group_of(key.key())?;
                    copy(item, key, group, &mut arena, &mut found);
                    Ok(())
                });
                if let Err(error) = placed {
                    failed = Some(error);
                }
            });
        }
        if let Some(error) = failed {
            return Err(error);
        }
        found.sort_unstable_by(|a, b| {
            let known = (a.group, a.front).cmp(&(b.group, b.front));
            known.then_with(|| a.key.of(&arena).cmp(b.key.of(&arena)))
        });
        Ok((arena, found))
    }

    /// Writes what was collected, in order.
    fn emit<P>(
        &self,
        (arena, found): (Vec<u8>, Vec<Sortable<P>>),
        id: u16,
        writer: &mut SequentialWriter,
        put: impl Fn(&mut SequentialWriter, EntryKey<'_>, &P, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut section = None;
        for entry in &found {
            if section != Some(entry.group) {
                section = Some(entry.group);
                self.cancel.check()?;
                writer.section(id, KeyGroup::new(entry.group))?;
            }
            let (key_end, namespace_end) = (entry.key_end as usize, entry.namespace_end as usize);
            let key = EntryKey::new(entry.key.of(&arena), key_end, namespace_end)?;
            put(writer, key, &entry.payload, &arena)?;
        }
        Ok(())
    }

    fn values<K: KeyRep, V: ValueCell>(
        &self,
        view: TableView<K, V>,
        id: u16,
        writer: &mut SequentialWriter,
    ) -> Result<()> {
        let collected = self.collect(view, |item, key, group, arena, found| {
            let value = V::image_bytes(item.image, item.arena);
            let (bytes, payload) = (append(arena, key.bytes()), append(arena, value));
            found.push(sortable(key, group, bytes, payload));
        })?;
        self.emit(collected, id, writer, |writer, key, value, arena| {
            writer.put(key, value.of(arena))
        })
    }

    fn lists<K: KeyRep>(
        &self,
        view: TableView<K, ListCell>,
        id: u16,
        writer: &mut SequentialWriter,
    ) -> Result<()> {
        let collected = self.collect(view, |item, key, group, arena, found| {
            let bytes = append(arena, key.bytes());
            found.push(sortable(key, group, bytes, item.image.moved(item.arena, arena)));
        })?;
        self.emit(collected, id, writer, |writer, key, image: &ListImage, arena| {
            let mut first = 0;
            for elements in image.runs(arena).filter(|elements| !elements.is_empty()) {
                writer.list(key, first, elements)?;
                first += elements.count();
            }
            Ok(())
        })
    }

    fn maps<K: KeyRep>(
        &self,
        view: TableView<K, MapCell>,
        id: u16,
        writer: &mut SequentialWriter,
    ) -> Result<()> {
        let collected = self.collect(view, |item, key, group, arena, found| {
            for record in item.image.records(item.arena) {
                let bytes = append(arena, key.bytes());
                append(arena, record.key);
                let bytes = bytes.extended(record.key.len());
                let payload = append(arena, record.value);
                found.push(sortable(key, group, bytes, payload));
            }
        })?;
        self.emit(collected, id, writer, |writer, key, value, arena| {
            writer.put(key, value.of(arena))
        })
    }
}

fn sortable<P>(key: EntryKey<'_>, group: KeyGroup, bytes: Span, payload: P) -> Sortable<P> {
    let end = |end: usize| u32::try_from(end).unwrap_or(u32::MAX);
    let mut front = [0; size_of::<u64>()];
    for (slot, byte) in front.iter_mut().zip(key.bytes()) {
        *slot = *byte;
    }
    Sortable {
        group: group.index(),
        front: u64::from_be_bytes(front),
        key_end: end(key.key_end()),
        namespace_end: end(key.namespace_end()),
        key: bytes,
        payload,
    }
}
