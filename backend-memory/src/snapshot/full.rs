//! Full passes over tables of values, the bulk of most snapshots, by as many threads as there are cores.
//!
//! # Invariants
//! * F1 A shard is captured by one thread, which writes all of it; the last shard ends the pass.
//! * F2 The first error ends the pass for all threads, and is the one that is told.
//! * F3 No thread outlives the pass.

use std::num::NonZeroUsize;
use std::thread;

use alluvium_state_api::format::{FixedLayout, ScatterWriter};
use alluvium_state_api::schema::KeySpace;
use alluvium_state_api::snapshot::CancelToken;
use alluvium_state_api::{Error, Result};
use parking_lot::Mutex;

use crate::cells::value::ValueCell;
use crate::table::{KeyRep, ShardImage, TableView};
use crate::tables::shape::Shape;

/// Entries that are worth a thread of their own.
const ENTRIES_PER_THREAD: usize = 64 << 10;
/// More threads would wait for each other's writes.
const MOST_THREADS: usize = 4;

/// A full pass over one state.
#[derive(Clone, Copy)]
pub(super) struct FullPass<'a> {
    pub(super) space: &'a KeySpace,
    pub(super) shape: Shape,
    pub(super) cancel: &'a CancelToken,
}

/// What the threads of a pass have in common.
struct Source<K: KeyRep, V: ValueCell> {
    /// None after the last shard, and after an error.
    view: Option<TableView<K, V>>,
    failed: Option<Error>,
}

impl<K: KeyRep, V: ValueCell> Source<K, V> {
    fn next_shard(&mut self, image: &mut ShardImage<K, V>) -> bool {
        let any = self.view.as_mut().is_some_and(|view| view.next_shard(image));
        if !any {
            self.view = None;
        }
        any
    }
}

impl FullPass<'_> {
    /// Writes all entries.
    pub(super) fn values<K: KeyRep, V: ValueCell>(
        self,
        view: TableView<K, V>,
        writer: &mut ScatterWriter,
    ) -> Result<()> {
        let threads = threads(view.len()).min(writer.most_threads());
        let helpers = match threads {
            0 | 1 => Vec::new(),
            _ => writer.helpers(threads - 1)?,
        };
        let source = Mutex::new(Source { view: Some(view), failed: None });
        let helped = thread::scope(|scope| {
            let source = &source;
            let help = |mut helper: ScatterWriter| {
                let help = move || {
                    self.run(source, &mut helper, ScatterWriter::end_state);
                    helper
                };
                // Without another thread this one does all of the work.
                thread::Builder::new().name("alluvium-snapshot".into()).spawn_scoped(scope, help)
            };
            let running: Vec<_> = helpers.into_iter().filter_map(|one| help(one).ok()).collect();
            self.run(source, writer, |_| Ok(()));
            running.into_iter().map(thread::ScopedJoinHandle::join).collect::<Vec<_>>()
        });
        if let Some(error) = source.into_inner().failed {
            return Err(error);
        }
        for helper in helped {
            let helper =
                helper.map_err(|_panic| Error::bug("a thread of the snapshot panicked"))?;
            writer.join(helper)?;
        }
        Ok(())
    }

    /// Writes shards while there are any, then calls `end`.
    fn run<K: KeyRep, V: ValueCell>(
        self,
        source: &Mutex<Source<K, V>>,
        writer: &mut ScatterWriter,
        end: impl FnOnce(&mut ScatterWriter) -> Result<()>,
    ) {
        let result = self.shards(source, writer).and_then(|()| end(writer));
        if let Err(error) = result {
            let mut source = source.lock();
            source.view = None;
            source.failed.get_or_insert(error);
        }
    }

    fn shards<K: KeyRep, V: ValueCell>(
        self,
        source: &Mutex<Source<K, V>>,
        writer: &mut ScatterWriter,
    ) -> Result<()> {
        let fixed = writer.fixed_layout();
        let fixed = fixed.filter(|fixed| self.shape.width == Some(fixed.key_bytes()));
        let mut image = ShardImage::default();
        while source.lock().next_shard(&mut image) {
            self.cancel.check()?;
            match fixed {
                Some(fixed) => self.fixed_entries(&image, fixed, writer)?,
                None => self.entries(&image, writer)?,
            }
        }
        Ok(())
    }

    /// Entries of fixed width go from table to buffer without a look at their parts.
    fn fixed_entries<K: KeyRep, V: ValueCell>(
        self,
        image: &ShardImage<K, V>,
        fixed: FixedLayout,
        writer: &mut ScatterWriter,
    ) -> Result<()> {
        let mut failed = None;
        image.for_each(|item| {
            if failed.is_some() {
                return;
            }
            let key = item.key.get(..fixed.key).unwrap_or_default();
            let written = match self.space.group_of(key) {
                Ok(group) => {
                    writer.put_fixed(group, item.key, V::image_bytes(item.image, item.arena))
                }
                Err(error) => Err(error),
            };
            failed = written.err();
        });
        failed.map_or(Ok(()), Err)
    }

    fn entries<K: KeyRep, V: ValueCell>(
        self,
        image: &ShardImage<K, V>,
        writer: &mut ScatterWriter,
    ) -> Result<()> {
        let mut failed = None;
        image.for_each(|item| {
            if failed.is_some() {
                return;
            }
            let written = self.shape.parts(item.key).and_then(|key| {
                let group = self.space.group_of(key.key())?;
                writer.put(group, key, V::image_bytes(item.image, item.arena))
            });
            failed = written.err();
        });
        failed.map_or(Ok(()), Err)
    }
}

/// How many threads a table of so many entries is worth; one core is left to the writer.
fn threads(entries: usize) -> usize {
    let worth = (entries / ENTRIES_PER_THREAD).min(MOST_THREADS);
    if worth < 2 {
        return 1;
    }
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    cores.saturating_sub(1).clamp(1, worth)
}

#[cfg(test)]
mod tests {
    use alluvium_state_api::snapshot::{
        CancelToken, KeyedSnapshot, Progress, SnapshotContext, SnapshotKind, SnapshotRequest,
    };
    use alluvium_state_api::storage::InlinePolicy;
    use alluvium_state_api::testkit::{TestSink, TestStorage};
    use alluvium_state_api::{
        CheckpointId, ErrorKind, KeyedBackend, MaxParallelism, OpenEnv, Result, ValueDescriptor,
    };

    use super::ENTRIES_PER_THREAD;
    use crate::MemoryStore;

    type Backend = KeyedBackend<u64, MemoryStore>;

    /// Enough entries for several threads.
    fn filled() -> Backend {
        let groups = MaxParallelism::new(16).unwrap();
        let space = KeyedBackend::<u64>::key_space(groups, groups.all()).unwrap();
        let mut backend = Backend::new(MemoryStore::open(OpenEnv::new(space)).unwrap()).unwrap();
        let state = backend.open(ValueDescriptor::<u64>::new("v")).unwrap();
        for key in 0..(3 * ENTRIES_PER_THREAD) as u64 {
            backend.at(&key).unwrap().value(state).set(&(key * 7)).unwrap();
        }
        backend
    }

    fn run(
        backend: &mut Backend,
        (number, kind): (u64, SnapshotKind),
        sink: &TestSink,
        cancel: &CancelToken,
    ) -> Result<KeyedSnapshot> {
        let request = SnapshotRequest::new(CheckpointId::new(number), kind);
        let task = backend.snapshot(&request)?;
        task.run(SnapshotContext { sink, cancel, progress: &Progress::default() })
    }

    #[test]
    fn threads_together_write_every_entry_once() {
        let (mut backend, storage) = (filled(), TestStorage::default());
        let digests = [SnapshotKind::Full, SnapshotKind::Canonical].map(|kind| {
            let number = if kind == SnapshotKind::Full { 1 } else { 2 };
            let sink = storage.sink(CheckpointId::new(number));
            let done = run(&mut backend, (number, kind), &sink, &CancelToken::default()).unwrap();
            (done.states[0].entries, done.states[0].digest.unwrap())
        });
        assert_eq!(digests[0], digests[1]);
    }

    #[test]
    fn errors_and_cancellation_end_all_threads() {
        let (mut backend, storage) = (filled(), TestStorage::default());
        let sink = |number| storage.sink(CheckpointId::new(number));
        let failing = sink(1).failing_at(6);
        let error = run(&mut backend, (1, SnapshotKind::Full), &failing, &CancelToken::default());
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Unavailable);
        let cancel = CancelToken::default();
        let cancelling = sink(2).cancelling_at(6, cancel.clone());
        let error = run(&mut backend, (2, SnapshotKind::Full), &cancelling, &cancel);
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Cancelled);
        let small = sink(3).inline(InlinePolicy::Everything { limit_bytes: 1 << 20 });
        let error = run(&mut backend, (3, SnapshotKind::Full), &small, &CancelToken::default());
        assert_eq!(error.unwrap_err().kind(), ErrorKind::LimitExceeded);
        assert_eq!(failing.left_open() + cancelling.left_open() + small.left_open(), 0);
    }
}
