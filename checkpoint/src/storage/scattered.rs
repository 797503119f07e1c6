//! Entropy: data files of checkpoints spread over many prefixes, which a store that divides its load by
//! prefix serves in parallel.
//!
//! # Names
//! The checkpoint directory has a marker as one part: `s3://bucket/_entropy_/checkpoints`. Without it, that
//! is where everything seems to be (`checkpoints/<job>/shared/3fa9..`), and where all but data files is.
//! The object of a data file has the first characters of its own name where the marker is:
//! `3fa9/checkpoints/<job>/shared/3fa9..`. Names of data files are 128 random bits in hexadecimal.
//!
//! # Invariants
//! 1. The place of an object follows from its name: references stay one component, and nothing else is
//!    written down. So retention, claims, export and restore do not know of it.
//! 2. A file is found wherever another length, or none, has put it; it is deleted from all of these places,
//!    and listed from all of them. Only the marker's position must stay.
//! 3. Metadata, savepoints and copies are never spread: they can be found, and moved, by their prefix.
//!
//! # Cost
//! Listing asks for the prefixes that are there, then for each: at most 16 to the power of the length. Only
//! the start of a job and the collection of orphans list.

use std::fmt;
use std::sync::Arc;

use alluvium_state_api::storage::is_drawn;
use alluvium_state_api::{Error, Result};
use async_trait::async_trait;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error as StoreError, GetOptions, GetResult, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result as StoreResult,
};

use crate::object::is_place;

/// How many prefixes are listed at once.
const LISTINGS: usize = 32;
/// The longest entropy that settings allow.
const LONGEST: usize = 8;

/// Where the marker is, and how long entropy is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// The path before the marker; empty, or with a slash at its end.
    before: String,
    /// The path behind it, likewise.
    after: String,
    length: usize,
}

impl Layout {
    /// Takes the marker `key` out of `path`, if it is there.
    ///
    /// # Errors
    /// `InvalidInput` where it is no whole part, or there twice.
    pub(super) fn take(path: &str, key: &str, length: usize) -> Result<(String, Option<Self>)> {
        let count = path.split('/').filter(|part| *part == key).count();
        if count == 0 && !path.contains(key) {
            return Ok((path.to_owned(), None));
        }
        if key.contains('/') || path.matches(key).count() != 1 || count != 1 {
            return Err(Error::invalid_input(
                "what s3.entropy.key names must be one whole part of the path, between slashes, and \
                 there once",
            ));
        }
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let at = parts.iter().position(|part| *part == key).unwrap_or_default();
        let joined = |parts: Option<&[&str]>| match parts {
            None | Some([]) => String::new(),
            Some(parts) => parts.join("/") + "/",
        };
        let before = joined(parts.get(..at));
        let after = joined(parts.get(at + 1..));
        let without = format!("{before}{after}").trim_end_matches('/').to_owned();
        Ok((without, Some(Self { before, after, length: length.clamp(1, LONGEST) })))
    }

    /// The name of the data file that `rest`, a path without what is before the marker, means.
    fn data<'a>(&self, rest: &'a str) -> Option<&'a str> {
        let mut parts = rest.strip_prefix(&self.after)?.split('/');
        let (_job, place, name) = (parts.next()?, parts.next()?, parts.next()?);
        (parts.next().is_none() && is_place(place) && is_drawn(name)).then_some(name)
    }

    /// Where the object of a data file is with so much entropy.
    fn spread(&self, key: &Path, length: usize) -> Option<Path> {
        let rest = key.as_ref().strip_prefix(&self.before)?;
        let entropy = self.data(rest)?.get(..length)?;
        Path::parse(format!("{}{entropy}/{rest}", self.before)).ok()
    }

    /// Where an object is written.
    fn home(&self, key: &Path) -> Path {
        self.spread(key, self.length).unwrap_or_else(|| key.clone())
    }

    /// Where an object may be, the likeliest first.
    fn homes(&self, key: &Path) -> Vec<Path> {
        let mut homes: Vec<Path> = self.spread(key, self.length).into_iter().collect();
        homes.push(key.clone());
        let others = (1..=LONGEST).filter(|length| *length != self.length);
        homes.extend(others.filter_map(|length| self.spread(key, length)));
        homes
    }

    /// What the object of a data file seems to be; everything else is what it is.
    fn seen(&self, key: Path) -> Path {
        let seen = || {
            let (entropy, rest) = key.as_ref().strip_prefix(&self.before)?.split_once('/')?;
            let fits = is_entropy(entropy) && self.data(rest)?.starts_with(entropy);
            fits.then(|| Path::parse(format!("{}{rest}", self.before)).ok()).flatten()
        };
        seen().unwrap_or(key)
    }

    /// The part of `prefix` that is the same below every entropy; `None` if none of that is below it, or
    /// all is already.
    fn tail<'a>(&self, prefix: &'a str) -> Option<&'a str> {
        let rest = prefix.strip_prefix(&self.before)?;
        (rest.starts_with(&self.after) || self.after.starts_with(rest)).then_some(rest)
    }
}

fn is_entropy(part: &str) -> bool {
    (1..=LONGEST).contains(&part.len())
        && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A store whose data files are spread. See the module.
#[derive(Clone)]
pub(super) struct Scattered {
    pub(super) inner: Arc<dyn ObjectStore>,
    pub(super) layout: Layout,
}

impl fmt::Debug for Scattered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scattered").field("layout", &self.layout).finish_non_exhaustive()
    }
}

impl fmt::Display for Scattered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scattered")
    }
}

impl Scattered {
    fn seen(&self, mut meta: ObjectMeta) -> ObjectMeta {
        meta.location = self.layout.seen(meta.location);
        meta
    }

    /// Lists what is below `tail` in all entropies.
    async fn list_spread(self, tail: String) -> StoreResult<Vec<ObjectMeta>> {
        let before = Path::parse(&self.layout.before).map_err(StoreError::from)?;
        let found = self.inner.list_with_delimiter(Some(&before)).await?;
        let spread = found.common_prefixes.into_iter();
        let spread = spread.filter(|prefix| prefix.filename().is_some_and(is_entropy));
        let listed = stream::iter(spread).map(|prefix| {
            let (inner, below) = (Arc::clone(&self.inner), Path::parse(format!("{prefix}/{tail}")));
            async move { inner.list(Some(&below?)).try_collect::<Vec<_>>().await }
        });
        let listed: Vec<Vec<_>> = listed.buffer_unordered(LISTINGS).try_collect().await?;
        let is_spread =
            |meta: &ObjectMeta| self.layout.seen(meta.location.clone()) != meta.location;
        Ok(listed.into_iter().flatten().filter(is_spread).map(|meta| self.seen(meta)).collect())
    }
}

#[async_trait]
impl ObjectStore for Scattered {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> StoreResult<PutResult> {
        self.inner.put_opts(&self.layout.home(location), payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> StoreResult<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(&self.layout.home(location), opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> StoreResult<GetResult> {
        let mut missing = None;
        for home in self.layout.homes(location) {
            match self.inner.get_opts(&home, options.clone()).await {
                Err(error @ StoreError::NotFound { .. }) => missing = missing.or(Some(error)),
                Ok(mut found) => {
                    found.meta = self.seen(found.meta);
                    return Ok(found);
                }
                failed => return failed,
            }
        }
        Err(missing.unwrap_or(StoreError::NotImplemented {
            operation: "get".to_owned(),
            implementer: self.to_string(),
        }))
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, StoreResult<Path>>,
    ) -> BoxStream<'static, StoreResult<Path>> {
        let layout = self.layout.clone();
        let homes = locations.flat_map(move |location| match location {
            Ok(location) => stream::iter(layout.homes(&location)).map(Ok).boxed(),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        });
        self.inner.delete_stream(homes.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        let this = self.clone();
        let below = prefix.map(|prefix| format!("{prefix}/")).unwrap_or_default();
        let plain = self.inner.list(prefix).map_ok(move |meta| this.seen(meta));
        let Some(tail) = self.layout.tail(&below) else {
            return plain.boxed();
        };
        if tail.is_empty() {
            return plain.boxed();
        }
        let spread = self.clone().list_spread(tail.to_owned());
        let spread = stream::once(spread).map_ok(|all| stream::iter(all).map(Ok)).try_flatten();
        plain.chain(spread).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> StoreResult<()> {
        self.inner.copy_opts(&self.layout.home(from), &self.layout.home(to), options).await
    }
}
