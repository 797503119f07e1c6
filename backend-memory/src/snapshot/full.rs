//! Full passes over tables of values, the bulk of most snapshots, by as many threads as there are cores.
//!
//! One thread captures shards. It hands their images to helpers, and encodes those itself that no
//! helper is free for. Helpers have the lowest priority there is, so that on a busy machine the
//! state's writer keeps its core; they hold no lock that the writer waits for.
//!
//! # Invariants
//! * F1 Every image is encoded by one thread; the last shard ends the pass.
//! * F2 The first error ends the pass for all threads, and is the one that is told.
//! * F3 No thread outlives the pass.

use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use alluvium_state_api::format::{FixedLayout, ScatterWriter};
use alluvium_state_api::schema::KeySpace;
use alluvium_state_api::snapshot::CancelToken;
use alluvium_state_api::{Error, Result};

use crate::cells::value::ValueCell;
use crate::sync::Mutex;
use crate::table::{KeyRep, ShardImage, TableView};
use crate::tables::shape::Shape;

/// Entries that are worth a thread of their own.
const ENTRIES_PER_THREAD: usize = 64 << 10;
/// As `nice` has it, which on Linux is for the calling thread alone.
#[cfg(target_os = "linux")]
const LOWEST_PRIORITY: i32 = 19;
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
struct Work<K: KeyRep, V: ValueCell> {
    /// Images that are to be encoded.
    filled: Mutex<Receiver<ShardImage<K, V>>>,
    /// Images whose memory can be used again.
    empty: Mutex<Vec<ShardImage<K, V>>>,
    failed: Mutex<Option<Error>>,
}

impl<K: KeyRep, V: ValueCell> Work<K, V> {
    /// Waits for an image; none after the last one.
    fn next(&self) -> Option<ShardImage<K, V>> {
        self.filled.lock().recv().ok()
    }

    fn has_failed(&self) -> bool {
        self.failed.lock().is_some()
    }

    /// Remembers an error unless there was one before (F2).
    fn note(&self, result: Result<()>) {
        if let Err(error) = result {
            self.failed.lock().get_or_insert(error);
        }
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
        let (fill, filled) = sync_channel(helpers.len());
        let (filled, empty) = (Mutex::new(filled), Mutex::default());
        let work = Work { filled, empty, failed: Mutex::default() };
        let helped = thread::scope(|scope| {
            let work = &work;
            let help = |mut helper: ScatterWriter| {
                let help = move || {
                    yield_to_others();
                    self.help(work, &mut helper);
                    helper
                };
                // Without another thread this one does all of the work.
                thread::Builder::new().name("alluvium-snapshot".into()).spawn_scoped(scope, help)
            };
            let running: Vec<_> = helpers.into_iter().filter_map(|one| help(one).ok()).collect();
            work.note(self.capture(view, work, &fill, writer));
            drop(fill);
            running.into_iter().map(thread::ScopedJoinHandle::join).collect::<Vec<_>>()
        });
        if let Some(error) = work.failed.lock().take() {
            return Err(error);
        }
        for helper in helped {
            let helper =
                helper.map_err(|_panic| Error::bug("a thread of the snapshot panicked"))?;
            writer.join(helper)?;
        }
        Ok(())
    }

    /// Captures all shards, and encodes those that no helper takes.
    fn capture<K: KeyRep, V: ValueCell>(
        self,
        mut view: TableView<K, V>,
        work: &Work<K, V>,
        fill: &SyncSender<ShardImage<K, V>>,
        writer: &mut ScatterWriter,
    ) -> Result<()> {
        let mut image = ShardImage::default();
        while view.next_shard(&mut image) && !work.has_failed() {
            self.cancel.check()?;
            match fill.try_send(image) {
                Ok(()) => image = work.empty.lock().pop().unwrap_or_default(),
                Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) => {
                    image = back;
                    self.shard(&image, writer)?;
                }
            }
        }
        Ok(())
    }

    /// Encodes images until there is none left, and drops what comes after an error.
    fn help<K: KeyRep, V: ValueCell>(self, work: &Work<K, V>, writer: &mut ScatterWriter) {
        while let Some(image) = work.next() {
            if !work.has_failed() {
                work.note(self.shard(&image, writer));
            }
            work.empty.lock().push(image);
        }
        if !work.has_failed() {
            work.note(writer.end_state());
        }
    }

    fn shard<K: KeyRep, V: ValueCell>(
        self,
        image: &ShardImage<K, V>,
        writer: &mut ScatterWriter,
    ) -> Result<()> {
        let fixed = writer.fixed_layout();
        match fixed.filter(|fixed| self.shape.width == Some(fixed.key_bytes())) {
            Some(fixed) => self.fixed_entries(image, fixed, writer),
            None => self.entries(image, writer),
        }
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

/// How many threads a table of so many entries is worth.
fn threads(entries: usize) -> usize {
    let worth = (entries / ENTRIES_PER_THREAD).min(MOST_THREADS);
    if worth < 2 {
        return 1;
    }
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    // Where a helper cannot stand back, a core is left to the writer.
    let spare = if cfg!(target_os = "linux") { cores } else { cores.saturating_sub(1) };
    spare.clamp(1, worth)
}

/// Gives this thread the lowest priority; where that fails it works on with the one it has.
fn yield_to_others() {
    #[cfg(target_os = "linux")]
    let _unchanged_on_error = rustix::process::nice(LOWEST_PRIORITY);
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
