//! Snapshots in the backend's own form: one pass over each table, in the table's order, scattered into
//! a buffer per key group. Full snapshots of values have a pass of their own: see `full.rs`.
//!
//! A full snapshot writes every entry. An increment writes, for the key groups that its plan rewrites,
//! every entry, and for the others what was inserted, changed or removed since the base: values whole,
//! of lists the elements appended, of maps the entries changed.

use std::collections::HashSet;
use std::sync::Arc;

use alluvium_state_api::format::{FileForm, ScatterWriter, StateFileWriter, WrittenStateFile};
use alluvium_state_api::schema::KeySpace;
use alluvium_state_api::snapshot::{
    CancelToken, EntryCount, KeyedSnapshot, SnapshotContext, SnapshotFile, SnapshotKind,
    SnapshotTask, StateSummary,
};
use alluvium_state_api::storage::FileScope;
use alluvium_state_api::{EntryKey, Error, KeyGroup, Result};

use super::full::FullPass;
use super::{AnyView, Job, StateView};
use crate::cells::list::{ListCell, ListImage};
use crate::cells::map::{MapCell, MapImage};
use crate::cells::value::ValueCell;
use crate::chain::{self, Base, Candidates, ChainFile};
use crate::fold::{Groups, Plan};
use crate::table::{Cell, Epoch, Fixed, Item, KeyRep, ShardImage, TableView};
use crate::tables::shape::Shape;

/// A full snapshot, or an increment on a base.
pub(crate) struct OwnTask {
    pub(crate) job: Job,
    pub(crate) base: Option<Arc<Base>>,
    /// Where to report, if the result may become a base itself.
    pub(crate) candidates: Option<Candidates>,
}

impl SnapshotTask for OwnTask {
    fn run(self: Box<Self>, context: SnapshotContext<'_>) -> Result<KeyedSnapshot> {
        let checkpoint = self.job.request.checkpoint;
        self.write(context).map_err(|error| error.with_checkpoint(checkpoint))
    }
}

impl OwnTask {
    fn write(self, context: SnapshotContext<'_>) -> Result<KeyedSnapshot> {
        context.cancel.check()?;
        let Self { mut job, base, candidates } = self;
        let range = job.space.range();
        let plan = base.as_ref().map(|base| {
            if job.changes_alone {
                return Plan::changes_alone(range);
            }
            let groups = Groups::of(base, range);
            let changed = job.estimate_changed(groups.full_bytes());
            groups.plan(base, range, changed)
        });
        let form = if plan.is_some() { FileForm::Increment } else { FileForm::Full };
        let scope = if candidates.is_some() { FileScope::Shared } else { FileScope::Own };
        let (spec, epochs) = (job.spec(form), job.epochs());
        let writer = StateFileWriter::create(&context, scope, spec, job.request.compression)?;
        let mut writer = writer.into_scatter()?;
        let mut summaries = Vec::with_capacity(job.states.len());
        for (id, state) in std::mem::take(&mut job.states).into_iter().enumerate() {
            let since = base.as_ref().and_then(|base| base.epochs.get(state.slot)).copied();
            let id = u16::try_from(id)
                .map_err(|_many| Error::unsupported("a snapshot holds at most 65,535 states"))?;
            writer.state(id)?;
            let mut pass = Pass {
                writer: &mut writer,
                space: &job.space,
                shape: state.shape,
                delta: plan.as_ref().map(|plan| (since.unwrap_or(0), plan)),
                cancel: context.cancel,
                failed: None,
            };
            let (meta, entries) = (state.meta.clone(), EntryCount::Exact(state.entries));
            pass.state(state)?;
            summaries.push(StateSummary { meta, entries, digest: None });
        }
        let written = writer.finish()?;
        if plan.is_none() {
            check_counts(&mut summaries, &written)?;
        }
        Ok(finish(&job, written, plan, summaries, (epochs, candidates)))
    }
}

/// What went into a full file must be what the tables counted.
fn check_counts(summaries: &mut [StateSummary], written: &WrittenStateFile) -> Result<()> {
    for (summary, totals) in summaries.iter_mut().zip(&written.states) {
        if totals.entries != summary.entries.get() {
            return Err(Error::bug(format!(
                "{} entries were written of {} that the table counted",
                totals.entries,
                summary.entries.get()
            ))
            .with_state(summary.meta.name.clone()));
        }
        summary.digest = Some(totals.digest);
    }
    Ok(())
}

fn finish(
    job: &Job,
    written: WrittenStateFile,
    plan: Option<Plan>,
    states: Vec<StateSummary>,
    (epochs, candidates): (Vec<Epoch>, Option<Candidates>),
) -> KeyedSnapshot {
    let range = job.space.range();
    let bytes_new = written.stored.length;
    let kind = if plan.is_some() { SnapshotKind::Incremental } else { SnapshotKind::Full };
    let group_bytes = written.group_bytes.as_slice().into();
    let mut chain = plan.map_or_else(Vec::new, |plan| plan.kept);
    chain.push(ChainFile { file: SnapshotFile::of_state(written, range), group_bytes });
    let files: Vec<SnapshotFile> = chain.iter().map(|file| file.file.clone()).collect();
    let bytes_full = chain.iter().map(|file| file.read_bytes(range)).sum();
    if let Some(candidates) = candidates
        && let Some(base) = Base::new(job.request.checkpoint, epochs, chain)
    {
        chain::report(&candidates, base);
    }
    KeyedSnapshot {
        backend: crate::BACKEND_NAME.into(),
        kind,
        key: job.space.identity().clone(),
        groups: job.space.groups(),
        range,
        states,
        files,
        bytes_new,
        bytes_full,
    }
}

/// One pass over the table of one state.
struct Pass<'a> {
    writer: &'a mut ScatterWriter,
    space: &'a KeySpace,
    shape: Shape,
    /// Of an increment: the base's epoch in this table, and which key groups are written in full.
    delta: Option<(Epoch, &'a Plan)>,
    cancel: &'a CancelToken,
    failed: Option<Error>,
}

impl<'a> Pass<'a> {
    fn state(&mut self, state: StateView) -> Result<()> {
        match state.view {
            AnyView::K8V8(view) => self.plain(view),
            AnyView::K8V16(view) => self.plain(view),
            AnyView::K8(view) => self.values(view),
            AnyView::K16V8(view) => self.plain(view),
            AnyView::K16(view) => self.values(view),
            AnyView::V8(view) => self.values(view),
            AnyView::Any(view) => self.values(view),
            AnyView::ListsK8(view) => self.lists(view),
            AnyView::ListsK16(view) => self.lists(view),
            AnyView::ListsAny(view) => self.lists(view),
            AnyView::MapsK8(view) => self.maps(view),
            AnyView::MapsK16(view) => self.maps(view),
            AnyView::MapsAny(view) => self.maps(view),
        }
    }

    /// Whether a key group is written in full.
    fn is_full(&self, group: KeyGroup) -> bool {
        self.delta.is_none_or(|(_, plan)| {
            let at = group.index().saturating_sub(self.space.range().start());
            plan.full.get(usize::from(at)).copied().unwrap_or(false)
        })
    }

    /// Calls `each` with every entry that the file must tell of: its group, its key, and the base's
    /// epoch unless its group is written in full.
    fn entries<K: KeyRep, C: Cell>(
        &mut self,
        mut view: TableView<K, C>,
        mut each: impl FnMut(
            &mut Self,
            (KeyGroup, EntryKey<'_>),
            Item<'_, C>,
            Option<Epoch>,
        ) -> Result<()>,
    ) -> Result<()> {
        if self.delta.is_some_and(|(_, plan)| plan.full.contains(&true)) {
            view.include_unchanged();
        }
        let mut image = ShardImage::default();
        while view.next_shard(&mut image) {
            self.cancel.check()?;
            image.for_each(|item| {
                if self.failed.is_some() {
                    return;
                }
                let told = self.place(item.key).and_then(|(group, key)| {
                    let full = self.is_full(group);
                    let base = self.delta.map(|(base, _)| base).filter(|_| !full);
                    match base {
                        Some(base) if item.epoch <= base => Ok(()),
                        _ => each(self, (group, key), item, base),
                    }
                });
                self.failed = told.err();
            });
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
        }
        Ok(())
    }

    #[inline]
    fn place<'k>(&self, table_key: &'k [u8]) -> Result<(KeyGroup, EntryKey<'k>)> {
        let key = self.shape.parts(table_key)?;
        Ok((self.space.group_of(key.key())?, key))
    }

    /// The keys of the table that were removed since the base, in groups that are not written in full.
    fn removed<K: KeyRep, C: Cell>(&self, view: &TableView<K, C>) -> Result<HashSet<Box<[u8]>>> {
        let (mut removed, mut failed) = (HashSet::new(), None);
        view.removed(|table_key| match self.place(table_key) {
            Ok((group, _)) if self.is_full(group) => {}
            Ok(_) => {
                removed.insert(table_key.into());
            }
            Err(error) => failed = Some(error),
        });
        failed.map_or(Ok(removed), Err)
    }

    fn write_removed(&mut self, removed: HashSet<Box<[u8]>>) -> Result<()> {
        let mut removed: Vec<_> = removed.into_iter().collect();
        removed.sort_unstable();
        for table_key in &removed {
            let (group, key) = self.place(table_key)?;
            self.writer.remove(group, key)?;
        }
        Ok(())
    }

    /// The pass that writes all entries; none of increments.
    fn full(&self) -> Option<FullPass<'a>> {
        let full = FullPass { space: self.space, shape: self.shape, cancel: self.cancel };
        self.delta.is_none().then_some(full)
    }

    /// Values in a table whose widths the compiler knows.
    fn plain<const K: usize, const V: usize>(
        &mut self,
        view: TableView<[u8; K], Fixed<V>>,
    ) -> Result<()> {
        match self.full() {
            Some(full) => full.plain(view, self.writer),
            None => self.changed_values(view),
        }
    }

    fn values<K: KeyRep, V: ValueCell>(&mut self, view: TableView<K, V>) -> Result<()> {
        match self.full() {
            Some(full) => full.values(view, self.writer),
            None => self.changed_values(view),
        }
    }

    fn changed_values<K: KeyRep, V: ValueCell>(&mut self, view: TableView<K, V>) -> Result<()> {
        let mut removed = self.removed(&view)?;
        self.entries(view, |pass, (group, key), item, base| {
            if base.is_some() && !removed.is_empty() {
                removed.remove(item.key);
            }
            pass.writer.put(group, key, V::image_bytes(item.image, item.arena))
        })?;
        self.write_removed(removed)
    }

    fn lists<K: KeyRep>(&mut self, view: TableView<K, ListCell>) -> Result<()> {
        let mut removed = self.removed(&view)?;
        self.entries(view, |pass, (group, key), item, base| {
            if base.is_some() && !removed.is_empty() {
                removed.remove(item.key);
            }
            pass.list(group, key, item.image, item.arena, base)
        })?;
        self.write_removed(removed)
    }

    /// Writes a list, or the elements appended since the base.
    fn list(
        &mut self,
        group: KeyGroup,
        key: EntryKey<'_>,
        image: &ListImage,
        arena: &[u8],
        base: Option<Epoch>,
    ) -> Result<()> {
        let appended = base.and_then(|base| image.appended_since(base)).filter(|first| *first > 0);
        let mut first = 0;
        for elements in image.runs(arena) {
            let end = first + elements.count();
            match appended {
                None if !elements.is_empty() => self.writer.list(group, key, first, elements)?,
                Some(from) if end > from => {
                    let skipped = from.saturating_sub(first);
                    let elements = elements.skip(skipped);
                    self.writer.append(group, key, first + skipped, elements)?;
                }
                _ => {}
            }
            first = end;
        }
        Ok(())
    }

    fn maps<K: KeyRep>(&mut self, view: TableView<K, MapCell>) -> Result<()> {
        let mut removed: Vec<_> = self.removed(&view)?.into_iter().collect();
        removed.sort_unstable();
        for table_key in &removed {
            let (group, key) = self.place(table_key)?;
            self.writer.remove_map(group, key)?;
        }
        let mut bytes = Vec::new();
        self.entries(view, |pass, (group, key), item, base| {
            pass.map(group, key, (item.image, item.arena), base, &mut bytes)
        })
    }

    /// Writes a map, or what changed in it since the base.
    fn map(
        &mut self,
        group: KeyGroup,
        key: EntryKey<'_>,
        (image, arena): (&MapImage, &[u8]),
        base: Option<Epoch>,
        bytes: &mut Vec<u8>,
    ) -> Result<()> {
        let base = base.filter(|base| !image.is_new_since(*base));
        let mut removed: HashSet<&[u8]> = HashSet::new();
        if let Some(base) = base {
            removed.extend(image.removed_since(base));
        }
        bytes.clear();
        bytes.extend_from_slice(key.bytes());
        let (key_end, end) = (key.key_end(), key.namespace_end());
        for record in image.records(arena) {
            if !removed.is_empty() {
                removed.remove(record.key);
            }
            if base.is_none_or(|base| record.touched > base) {
                bytes.truncate(end);
                bytes.extend_from_slice(record.key);
                self.writer.put(group, EntryKey::new(bytes, key_end, end)?, record.value)?;
            }
        }
        let mut removed: Vec<&[u8]> = removed.into_iter().collect();
        removed.sort_unstable();
        for map_key in removed {
            bytes.truncate(end);
            bytes.extend_from_slice(map_key);
            self.writer.remove(group, EntryKey::new(bytes, key_end, end)?)?;
        }
        Ok(())
    }
}
