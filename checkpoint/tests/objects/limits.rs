//! How many requests are under way at once, as a store sees it that holds them until so many have come.

use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::thread;

use alluvium_checkpoint::object::{ObjectOptions, ObjectStorage};
use alluvium_checkpoint::{
    ExportOptions, RestorePoint, StartFrom, StorageEnv, Trigger, export, open_storage,
};
use alluvium_state_api::random::OsRandomness;
use alluvium_state_api::settings::Settings;
use alluvium_state_api::storage::{CheckpointStorage, FileScope};
use alluvium_state_api::testkit::storages::content::{content, id, write};
use alluvium_state_api::testkit::storages::job;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

use parking_lot::Mutex;

use crate::fake::{Job, incremental};
use crate::grounds::objects::{ROOT, storage};

/// How often a request that is let through lets others go first.
const YIELDS: u32 = 200;
/// How often one that is held does so until it is let through although too few have come.
const PATIENCE: u32 = 2_000_000;

/// Holds requests until `wanted` are under way, and counts the most that are.
#[derive(Debug)]
struct Gate {
    wanted: usize,
    under_way: AtomicUsize,
    most: AtomicUsize,
    open: AtomicBool,
}

impl Gate {
    fn new(wanted: usize) -> Arc<Self> {
        let (under_way, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { wanted, under_way, most, open: AtomicBool::new(false) })
    }

    async fn pass(self: Arc<Self>) -> Passing {
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        if now >= self.wanted {
            self.open.store(true, Ordering::SeqCst);
        }
        let passing = Passing(self);
        for _ in 0..PATIENCE {
            if passing.0.open.load(Ordering::SeqCst) {
                break;
            }
            Yield(false).await;
        }
        for _ in 0..YIELDS {
            Yield(false).await;
        }
        passing
    }

    fn most(&self) -> usize {
        assert_eq!(self.under_way.load(Ordering::SeqCst), 0);
        self.most.load(Ordering::SeqCst)
    }
}

/// A request that is under way.
struct Passing(Arc<Gate>);

impl Drop for Passing {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Lets other tasks and threads go first, once.
struct Yield(bool);

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        thread::yield_now();
        Poll::Pending
    }
}

/// A store every request of which passes the gate.
#[derive(Debug)]
struct Gated {
    inner: InMemory,
    gate: Mutex<Arc<Gate>>,
}

impl Gated {
    fn new() -> Arc<Self> {
        Arc::new(Self { inner: InMemory::new(), gate: Mutex::new(Gate::new(0)) })
    }

    /// From now on requests are held until `wanted` are under way.
    fn hold(&self, wanted: usize) -> Arc<Gate> {
        let gate = Gate::new(wanted);
        *self.gate.lock() = Arc::clone(&gate);
        gate
    }

    async fn pass(&self) -> Passing {
        let gate = Arc::clone(&self.gate.lock());
        gate.pass().await
    }
}

impl fmt::Display for Gated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gated")
    }
}

#[async_trait]
impl ObjectStore for Gated {
    async fn put_opts(
        &self,
        at: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let _passing = self.pass().await;
        self.inner.put_opts(at, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let inner = self.inner.put_multipart_opts(at, options).await?;
        Ok(Box::new(Upload { inner, gate: Arc::clone(&self.gate.lock()) }))
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        let _passing = self.pass().await;
        self.inner.get_opts(at, options).await
    }

    async fn get_ranges(&self, at: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let _passing = self.pass().await;
        self.inner.get_ranges(at, ranges).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct Upload {
    inner: Box<dyn MultipartUpload>,
    gate: Arc<Gate>,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (part, gate) = (self.inner.put_part(data), Arc::clone(&self.gate));
        Box::pin(async move {
            let _passing = gate.pass().await;
            part.await
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}

#[test]
fn no_more_requests_are_under_way_than_the_setting_allows() {
    let store = Gated::new();
    let settings = Settings::from_pairs([
        ("state.checkpoints.dir", "s3://bucket/checkpoints"),
        ("object-store.max-requests", "3"),
    ]);
    let given = Arc::<Gated>::clone(&store);
    let env = StorageEnv::default().with_object_store("s3://bucket", given);
    let storage = open_storage(&settings.unwrap(), &job(), &env).unwrap();
    let attempt = storage.begin(id(1)).unwrap();
    let gate = store.hold(3);
    thread::scope(|scope| {
        for number in 0..12 {
            let sink = attempt.sink();
            scope
                .spawn(move || write(&*sink, FileScope::Shared, &content(number, 30_000)).unwrap());
        }
    });
    assert_eq!(gate.most(), 3);
}

#[test]
fn no_more_parts_of_a_file_are_under_way_than_the_option_allows() {
    let store = Gated::new();
    let mut options = ObjectOptions::default();
    (options.part_bytes, options.parallel_parts) = (5 << 20, 2);
    let url = format!("{ROOT}/checkpoints");
    let (given, random) = (Arc::<Gated>::clone(&store), Arc::new(OsRandomness));
    let storage = ObjectStorage::open(given, random, ROOT, &url, &job(), options).unwrap();
    let attempt = storage.begin(id(1)).unwrap();
    let gate = store.hold(2);
    let mut writer = attempt.sink().create(FileScope::Shared).unwrap();
    let part = vec![7; 5 << 20];
    for _ in 0..6 {
        writer.write(&part).unwrap();
    }
    writer.finish().unwrap();
    assert_eq!(gate.most(), 2);
}

#[test]
fn no_more_files_are_transferred_at_once_than_the_option_allows() {
    let store = Gated::new();
    let storage = storage(Arc::<Gated>::clone(&store), "checkpoints", 1);
    let mut job = Job::over(Arc::clone(&storage), incremental(1));
    job.start(4, StartFrom::Newest).unwrap();
    for _ in 0..3 {
        job.complete(Trigger::checkpoint());
    }
    let pointer = &job.coordinator.completed().next_back().unwrap().pointer;
    let point = RestorePoint::open(&*storage, pointer).unwrap();
    let mut options = ExportOptions::default();
    options.transfers = 3;
    let gate = store.hold(3);
    let copied = export(&point, &*storage, &format!("{ROOT}/copy"), &options).unwrap();
    assert!(copied.files >= 8, "{copied:?}");
    assert_eq!(gate.most(), 3);
}
