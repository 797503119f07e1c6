//! An object store between the one that is tested and a real one, which makes requests fail by seed.
//!
//! A request has four outcomes: it is done or not, and that is reported or not. A write, a deletion or
//! the completion of an upload that is not reported may also be *deferred*: it is done when
//! [`Faulty::land`] is called, as a request is that was still on its way when its sender gave up, or died.
//! A conditional put may be *repeated* by the client: the answer of the first was lost, and the second
//! finds the object there. Of a read an answer that is lost is a body that breaks off, a repeated one too, or
//! where that was asked for it ends early without an error, and a deferred one comes in small pieces. Uploads that were begun and not ended
//! are counted, and so are those of which nobody was told that they were begun: only a rule of the bucket
//! can end them.
//!
//! Errors are those of the S3 client: it reports 409 as `AlreadyExists`, whatever the request was and
//! whether or not there is an object, and what it gave up retrying (503, no answer) as `Generic`.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use alluvium_state_api::random::{Randomness, SeededRandomness};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result, UploadPart,
};
use parking_lot::Mutex;

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// 503, 409: not done, and said so.
    Refused(u16),
    /// Done, and the answer was lost.
    AnswerLost,
    /// Not done, and no answer.
    RequestLost,
    /// No answer, and done later.
    Deferred,
    /// Done, and a second try was refused because of the first.
    Repeated,
}

/// A request on its way.
enum Late {
    Put(Path, PutPayload, PutOptions),
    Delete(Path),
    Complete(Box<dyn MultipartUpload>),
}

impl fmt::Debug for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, at) = match self {
            Self::Put(at, ..) => ("put", at.as_ref()),
            Self::Delete(at) => ("delete", at.as_ref()),
            Self::Complete(_) => ("complete", ""),
        };
        write!(f, "{what} {at}")
    }
}

#[derive(Debug)]
struct State {
    inner: Arc<dyn ObjectStore>,
    random: SeededRandomness,
    percent: AtomicU64,
    /// Whether bodies may end early without an error.
    silent: AtomicBool,
    requests: AtomicU64,
    faults: AtomicU64,
    open_uploads: AtomicI64,
    unknown_uploads: AtomicU64,
    late: Mutex<Vec<Late>>,
    /// How many more requests are done, where all later ones fail.
    left: Option<AtomicI64>,
}

/// See the module. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Faulty(Arc<State>);

impl Faulty {
    pub(crate) fn over(inner: Arc<dyn ObjectStore>, seed: u64, percent: u64) -> Self {
        Self::with(inner, seed, percent, None)
    }

    /// The store of a process that dies after so many requests.
    pub(crate) fn dying(inner: Arc<dyn ObjectStore>, requests: u64) -> Self {
        Self::with(inner, 0, 0, Some(AtomicI64::new(requests.try_into().unwrap())))
    }

    fn with(inner: Arc<dyn ObjectStore>, seed: u64, percent: u64, left: Option<AtomicI64>) -> Self {
        Self(Arc::new(State {
            inner,
            random: SeededRandomness::new(seed),
            percent: AtomicU64::new(percent),
            silent: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            faults: AtomicU64::new(0),
            open_uploads: AtomicI64::new(0),
            unknown_uploads: AtomicU64::new(0),
            late: Mutex::default(),
            left,
        }))
    }

    /// The same, whose bodies may end early without an error, which HTTP itself would notice.
    pub(crate) fn cutting_silently(self) -> Self {
        self.0.silent.store(true, Ordering::Relaxed);
        self
    }

    /// How many of a hundred requests fail from now on.
    pub(crate) fn set_percent(&self, percent: u64) {
        self.0.percent.store(percent, Ordering::Relaxed);
    }

    /// Requests and faults so far.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.0.requests.load(Ordering::Relaxed), self.0.faults.load(Ordering::Relaxed))
    }

    /// Multipart uploads that were begun and neither completed nor aborted.
    pub(crate) fn open_uploads(&self) -> i64 {
        self.0.open_uploads.load(Ordering::Relaxed)
    }

    /// Multipart uploads that were begun without an answer, so that nobody can end them.
    pub(crate) fn unknown_uploads(&self) -> u64 {
        self.0.unknown_uploads.load(Ordering::Relaxed)
    }

    /// Lets some of the deferred requests be done, or all, in any order; how many changed something.
    pub(crate) async fn land(&self, all: bool) -> usize {
        let mut landed = 0;
        loop {
            let late = {
                let mut late = self.0.late.lock();
                let random = self.0.random.next_u64() as usize;
                if late.is_empty() || !all && random.is_multiple_of(4) {
                    return landed;
                }
                let at = random / 4 % late.len();
                late.swap_remove(at)
            };
            let inner = &self.0.inner;
            landed += usize::from(match late {
                Late::Put(at, payload, options) => {
                    inner.put_opts(&at, payload, options).await.is_ok()
                }
                Late::Delete(at) => inner.delete(&at).await.is_ok(),
                Late::Complete(mut upload) => upload.complete().await.is_ok(),
            });
        }
    }

    /// Whether it is deferred.
    fn defer(&self, fault: Fault, late: impl FnOnce() -> Late) -> bool {
        let deferred = fault == Fault::Deferred;
        if deferred {
            self.0.late.lock().push(late());
        }
        deferred
    }

    fn draw(&self) -> Fault {
        self.0.requests.fetch_add(1, Ordering::Relaxed);
        if let Some(left) = &self.0.left
            && left.fetch_sub(1, Ordering::Relaxed) <= 0
        {
            return Fault::RequestLost;
        }
        if self.0.random.next_u64() % 100 >= self.0.percent.load(Ordering::Relaxed) {
            return Fault::None;
        }
        self.0.faults.fetch_add(1, Ordering::Relaxed);
        match self.0.random.next_u64() % 6 {
            0 => Fault::Refused(503),
            1 => Fault::Refused(409),
            2 => Fault::AnswerLost,
            3 => Fault::RequestLost,
            4 => Fault::Repeated,
            _ => Fault::Deferred,
        }
    }
}

fn failure(fault: Fault) -> Error {
    let source = format!("{fault:?}").into();
    match fault {
        Fault::Refused(409) | Fault::Repeated => {
            Error::AlreadyExists { path: "faulty".to_owned(), source }
        }
        _ => Error::Generic { store: "faulty", source },
    }
}

/// The same answer with a body that breaks off or ends after its first half, or comes in pieces of 7 bytes.
async fn with_body(answer: GetResult, fault: Fault, silent: bool) -> Result<GetResult> {
    let (meta, range) = (answer.meta.clone(), answer.range.clone());
    let (attributes, extensions) = (answer.attributes.clone(), answer.extensions.clone());
    let bytes = answer.bytes().await?;
    let pieces: Vec<_> = match fault {
        Fault::Repeated if silent => vec![Ok(bytes.slice(..bytes.len() / 2))],
        Fault::AnswerLost | Fault::Repeated => {
            vec![Ok(bytes.slice(..bytes.len() / 2)), Err(failure(fault))]
        }
        _ => bytes.chunks(7).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect(),
    };
    let payload = GetResultPayload::Stream(stream::iter(pieces).boxed());
    Ok(GetResult { payload, meta, range, attributes, extensions })
}

/// Does a request as `$fault` says.
macro_rules! through {
    ($fault:expr, $request:expr) => {
        match $fault {
            Fault::None => $request,
            fault @ (Fault::AnswerLost | Fault::Repeated) => {
                $request?;
                Err(failure(fault))
            }
            fault => Err(failure(fault)),
        }
    };
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Faulty({})", self.0.inner)
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(
        &self,
        at: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let fault = match self.draw() {
            // Whoever overwrites is refused by nobody.
            Fault::Repeated if options.mode == PutMode::Overwrite => Fault::AnswerLost,
            fault => fault,
        };
        if self.defer(fault, || Late::Put(at.clone(), payload.clone(), options.clone())) {
            return Err(failure(fault));
        }
        through!(fault, self.0.inner.put_opts(at, payload, options).await)
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        match self.draw() {
            Fault::None => {}
            fault @ (Fault::AnswerLost | Fault::Repeated | Fault::Deferred) => {
                drop(self.0.inner.put_multipart_opts(at, options).await?);
                self.0.unknown_uploads.fetch_add(1, Ordering::Relaxed);
                return Err(failure(fault));
            }
            fault => return Err(failure(fault)),
        }
        let inner = self.0.inner.put_multipart_opts(at, options).await?;
        self.0.open_uploads.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(Upload { inner: Some(inner), store: self.clone(), ended: false }))
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        let inner = &self.0.inner;
        match self.draw() {
            Fault::None => inner.get_opts(at, options).await,
            fault @ (Fault::AnswerLost | Fault::Repeated | Fault::Deferred) => {
                let silent = self.0.silent.load(Ordering::Relaxed);
                with_body(inner.get_opts(at, options).await?, fault, silent).await
            }
            fault => Err(failure(fault)),
        }
    }

    async fn get_ranges(&self, at: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        through!(self.draw(), self.0.inner.get_ranges(at, ranges).await)
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let one = move |path: Result<Path>| {
            let store = store.clone();
            async move {
                let (path, fault) = (path?, store.draw());
                if store.defer(fault, || Late::Delete(path.clone())) {
                    return Err(failure(fault));
                }
                let only = stream::iter([Ok(path)]).boxed();
                let mut deleted = store.0.inner.delete_stream(only);
                through!(fault, deleted.next().await.unwrap())
            }
        };
        paths.then(one).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.draw() {
            Fault::None => self.0.inner.list(prefix),
            // A page is lost, after those that came before it.
            fault => {
                let some = usize::try_from(self.0.random.next_u64() % 3).unwrap();
                let lost = stream::iter([Err(failure(fault))]);
                self.0.inner.list(prefix).take(some).chain(lost).boxed()
            }
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        through!(self.draw(), self.0.inner.list_with_delimiter(prefix).await)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        through!(self.draw(), self.0.inner.copy_opts(from, to, options).await)
    }
}

#[derive(Debug)]
struct Upload {
    /// Taken by a completion that is on its way.
    inner: Option<Box<dyn MultipartUpload>>,
    store: Faulty,
    ended: bool,
}

impl Upload {
    fn inner(&mut self) -> Result<&mut Box<dyn MultipartUpload>> {
        let source = "there is no such upload".into();
        self.inner.as_mut().ok_or(Error::NotFound { path: "faulty".to_owned(), source })
    }

    fn end(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            self.store.0.open_uploads.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let fault = self.store.draw();
        let part = match fault {
            Fault::None | Fault::AnswerLost | Fault::Repeated => {
                self.inner().map(|inner| inner.put_part(data))
            }
            fault => Err(failure(fault)),
        };
        Box::pin(async move {
            part?.await?;
            if fault == Fault::None { Ok(()) } else { Err(failure(fault)) }
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let fault = self.store.draw();
        if fault == Fault::Deferred
            && let Some(upload) = self.inner.take()
        {
            self.store.0.late.lock().push(Late::Complete(upload));
            self.end();
            return Err(failure(fault));
        }
        let result = through!(fault, self.inner()?.complete().await);
        if matches!(fault, Fault::None | Fault::AnswerLost | Fault::Repeated) {
            self.end();
        }
        result
    }

    async fn abort(&mut self) -> Result<()> {
        let fault = self.store.draw();
        let result = through!(fault, self.inner()?.abort().await);
        if matches!(fault, Fault::None | Fault::AnswerLost | Fault::Repeated) {
            self.end();
        }
        result
    }
}

mod tests {
    use futures_executor::block_on;
    use object_store::memory::InMemory;

    use super::*;

    #[test]
    fn every_outcome_of_a_write_happens() {
        let inner = Arc::new(InMemory::new());
        let store = Faulty::over(Arc::<InMemory>::clone(&inner), 7, 50);
        let (mut answered, mut unanswered, mut nothing) = (0, 0, 0);
        block_on(async {
            for number in 0..400 {
                let path = Path::from(format!("{number}"));
                let put = store.put_opts(&path, "x".into(), PutMode::Create.into()).await;
                let there = inner.head(&path).await.is_ok();
                match (put, there) {
                    (Ok(_), there) => {
                        assert!(there);
                        answered += 1;
                    }
                    (Err(_), true) => unanswered += 1,
                    (Err(_), false) => nothing += 1,
                }
            }
            let some = store.land(false).await;
            let late = some + store.land(true).await;
            assert!(late > 20 && late < nothing, "{late} of {nothing} landed later");
            assert_eq!(store.land(true).await, 0);
        });
        assert!(answered > 150 && unanswered > 20, "{answered} {unanswered} {nothing}");
        assert_eq!(store.counts(), (400, 400 - answered));
    }

    #[test]
    fn uploads_are_counted_until_they_end() {
        let store = Faulty::over(Arc::new(InMemory::new()), 1, 0);
        block_on(async {
            let path = Path::from("upload");
            let mut upload = store.put_multipart(&path).await.unwrap();
            upload.put_part("part".into()).await.unwrap();
            assert_eq!(store.open_uploads(), 1);
            store.set_percent(100);
            while upload.abort().await.is_err() && store.open_uploads() == 1 {}
            assert_eq!(store.open_uploads(), 0);
            store.set_percent(0);
            assert!(store.head(&path).await.is_err());
        });
    }

    #[test]
    fn a_body_is_whole_or_breaks_off_with_an_error_or_without() {
        let store = Faulty::over(Arc::new(InMemory::new()), 5, 0).cutting_silently();
        let content = vec![7; 1_000];
        block_on(async {
            let path = Path::from("body");
            store.put(&path, content.clone().into()).await.unwrap();
            store.set_percent(80);
            let (mut whole, mut short, mut cut, mut conflicts) = (0, 0, 0, 0);
            for _ in 0..200 {
                match store.get(&path).await {
                    Ok(answer) => match answer.bytes().await {
                        Ok(bytes) if bytes == content => whole += 1,
                        Ok(bytes) => {
                            assert_eq!(bytes.len(), 500);
                            short += 1;
                        }
                        Err(_) => cut += 1,
                    },
                    Err(error) => {
                        conflicts += usize::from(matches!(error, Error::AlreadyExists { .. }));
                    }
                }
            }
            assert!(whole > 40 && short > 10 && cut > 10 && conflicts > 10, "{whole} {cut}");
        });
    }

    #[test]
    fn an_upload_may_be_begun_without_an_answer() {
        let store = Faulty::over(Arc::new(InMemory::new()), 3, 100);
        block_on(async {
            for _ in 0..50 {
                assert!(store.put_multipart(&Path::from("upload")).await.is_err());
            }
        });
        assert!((1..50).contains(&store.unknown_uploads()) && store.open_uploads() == 0);
    }
}
