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
//! * F4 Where helpers get little of the processor, nobody waits for more than the image that each has:
//!   the capturing thread does the rest of their work, what they have buffered included.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use alluvium_state_api::format::{FixedEntries, ScatterWriter};
use alluvium_state_api::schema::KeySpace;
use alluvium_state_api::snapshot::{CancelToken, helpers};
use alluvium_state_api::{Error, KeyGroup, Result};

use crate::cells::value::ValueCell;
use crate::sync::{AtomicBool, Mutex, Ordering};
use crate::table::{Fixed, KeyRep, ShardImage, TableView};
use crate::tables::shape::Shape;

/// Entries that are worth a thread of their own.
const ENTRIES_PER_THREAD: usize = 64 << 10;
/// As `nice` has it.
const LOWEST_PRIORITY: i32 = 19;
/// Images that may wait for each helper: enough for it while the capturing thread encodes one itself.
const IMAGES_WAITING: usize = 4;

/// A full pass over one state.
#[derive(Clone, Copy)]
pub(super) struct FullPass<'a> {
    pub(super) space: &'a KeySpace,
    pub(super) shape: Shape,
    pub(super) cancel: &'a CancelToken,
}

/// Encodes the image of a shard.
type Encode<'a, K, V> = fn(FullPass<'a>, &ShardImage<K, V>, &mut ScatterWriter) -> Result<()>;

/// What the threads of a pass have in common.
struct Work<K: KeyRep, V: ValueCell> {
    /// Images that are to be encoded.
    filled: Mutex<Receiver<ShardImage<K, V>>>,
    /// Images whose memory can be used again.
    empty: Mutex<Vec<ShardImage<K, V>>>,
    failed: Mutex<Option<Error>>,
    /// The capturing thread has nothing else to do (F4).
    waited_for: AtomicBool,
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

impl<'a> FullPass<'a> {
    /// Writes all entries.
    pub(super) fn values<K: KeyRep, V: ValueCell>(
        self,
        view: TableView<K, V>,
        writer: &mut ScatterWriter,
    ) -> Result<()> {
        self.shards(view, writer, Self::shard)
    }

    /// Writes all entries, whose widths the compiler knows.
    pub(super) fn plain<const K: usize, const V: usize>(
        self,
        view: TableView<[u8; K], Fixed<V>>,
        writer: &mut ScatterWriter,
    ) -> Result<()> {
        self.shards(view, writer, Self::plain_shard)
    }

    fn shards<K: KeyRep, V: ValueCell>(
        self,
        view: TableView<K, V>,
        writer: &mut ScatterWriter,
        encode: Encode<'a, K, V>,
    ) -> Result<()> {
        writer.expect_entries(view.len() as u64)?;
        let threads = threads(view.len()).min(writer.most_threads());
        let writers = match threads {
            0 | 1 => Vec::new(),
            _ => writer.helpers(threads - 1)?,
        };
        let (fill, filled) = sync_channel(writers.len() * IMAGES_WAITING);
        let (filled, empty) = (Mutex::new(filled), Mutex::default());
        let (failed, waited_for) = (Mutex::default(), AtomicBool::new(false));
        let work = Work { filled, empty, failed, waited_for };
        let helped = thread::scope(|scope| {
            let work = &work;
            let help = |mut helper: ScatterWriter| {
                helpers::spawn(scope, LOWEST_PRIORITY, move || {
                    self.help(work, &mut helper, encode);
                    helper
                })
            };
            let running: Vec<_> = writers.into_iter().filter_map(help).collect();
            work.note(self.capture(view, work, &fill, (writer, encode)));
            drop(fill);
            self.help(work, writer, encode);
            work.waited_for.store(true, Ordering::Relaxed);
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
        (writer, encode): (&mut ScatterWriter, Encode<'a, K, V>),
    ) -> Result<()> {
        let mut image = ShardImage::default();
        while view.next_shard(&mut image) && !work.has_failed() {
            self.cancel.check()?;
            match fill.try_send(image) {
                Ok(()) => image = work.empty.lock().pop().unwrap_or_default(),
                Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) => {
                    image = back;
                    encode(self, &image, writer)?;
                }
            }
        }
        Ok(())
    }

    /// Encodes images until there is none left, and drops what comes after an error; then seals what
    /// is buffered, unless somebody waits (F4).
    fn help<K: KeyRep, V: ValueCell>(
        self,
        work: &Work<K, V>,
        writer: &mut ScatterWriter,
        encode: Encode<'a, K, V>,
    ) {
        while let Some(image) = work.next() {
            if !work.has_failed() {
                work.note(encode(self, &image, writer));
            }
            work.empty.lock().push(image);
        }
        while !work.has_failed() && !work.waited_for.load(Ordering::Relaxed) {
            match writer.end_group() {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => work.note(Err(error)),
            }
        }
    }

    /// Entries whose widths the compiler knows go from table to buffer without a look at their parts.
    fn plain_shard<const K: usize, const V: usize>(
        self,
        image: &ShardImage<[u8; K], Fixed<V>>,
        writer: &mut ScatterWriter,
    ) -> Result<()> {
        let Some(mut entries) = writer.fixed_entries::<K, V>()? else {
            return self.shard(image, writer);
        };
        let space = self.space;
        match self.shape.key_width(K) {
            Some(width) if width == K => encode(&mut entries, image, |key| space.group_of(key)),
            Some(width) => encode(&mut entries, image, |key| {
                space.group_of(key.get(..width).unwrap_or_default())
            }),
            None => return self.shard(image, writer),
        }
        entries.finish()
    }

    fn shard<K: KeyRep, V: ValueCell>(
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

/// The loop over most entries of most snapshots: each of its functions is to end up in it.
fn encode<const K: usize, const V: usize>(
    entries: &mut FixedEntries<'_, K, V>,
    image: &ShardImage<[u8; K], Fixed<V>>,
    group_of: impl Fn(&[u8; K]) -> Result<KeyGroup>,
) {
    let mut logged = Vec::new();
    image.for_each_plain(
        |key, value| match group_of(key) {
            Ok(group) => entries.put(group, key, value),
            Err(error) => entries.fail(error),
        },
        |key, value| logged.push((*key, *value)),
    );
    for (key, value) in logged {
        match group_of(&key) {
            Ok(group) => entries.put(group, &key, &value),
            Err(error) => entries.fail(error),
        }
    }
}

/// How many threads a table of so many entries is worth.
pub(super) fn threads(entries: usize) -> usize {
    helpers::most_threads(entries / ENTRIES_PER_THREAD)
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
        for (first, kind) in [(1, SnapshotKind::Full), (4, SnapshotKind::Canonical)] {
            let failing = sink(first).failing_at(6);
            let error = run(&mut backend, (first, kind), &failing, &CancelToken::default());
            assert_eq!(error.unwrap_err().kind(), ErrorKind::Unavailable);
            let cancel = CancelToken::default();
            let cancelling = sink(first + 1).cancelling_at(6, cancel.clone());
            let error = run(&mut backend, (first + 1, kind), &cancelling, &cancel);
            assert_eq!(error.unwrap_err().kind(), ErrorKind::Cancelled);
            let small = sink(first + 2).inline(InlinePolicy::Everything { limit_bytes: 1 << 20 });
            let error = run(&mut backend, (first + 2, kind), &small, &CancelToken::default());
            assert_eq!(error.unwrap_err().kind(), ErrorKind::LimitExceeded);
            assert_eq!(failing.left_open() + cancelling.left_open() + small.left_open(), 0);
        }
    }
}
