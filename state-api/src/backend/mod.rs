//! The typed front: one implementation over any store, static or boxed.
//!
//! [`KeyedBackend`] opens descriptors and gives access to the state of a key: [`KeyedBackend::at`]
//! encodes, hashes and places the key once, and every access of that record reuses it.
//!
//! * [`context`]: [`KeyContext`], the states of one key, and of one of its namespaces;
//! * [`batch`]: [`BatchContext`], one state of many keys, with overlapped cache misses;
//! * [`keys`]: iteration over the keys of a state.

mod batch;
mod context;
mod keys;

pub use batch::BatchContext;
pub use context::{KeyContext, Mergeable};

use std::borrow::Borrow;
use std::fmt;
use std::hint::cold_path;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::codec::{EncodeKey, KeyCodec, Native, ShortKey};
use crate::descriptor::{Descriptor, StateToken};
use crate::key::{Placed, check_length};
use crate::schema::{Compatibility, KeySpace, StateMeta};
use crate::snapshot::{KeyedSnapshot, SnapshotContext, SnapshotRequest, SnapshotTask};
use crate::state::Buffers;
use crate::statistics::StoreStatistics;
use crate::store::{KeyedStore, Slot};
use crate::{
    CheckpointId, Error, KeyGroupRange, KeyHash, MaxParallelism, Result, StableHash, hash_bytes,
};

/// Keys up to this length are hashed by whoever needs the hash: it costs less than keeping it does for
/// stores that need none.
const MAX_HASHED_LATER_BYTES: usize = 16;

/// Tells handles of different backends apart. Only compared, never stored.
static NEXT_BACKEND: AtomicU32 = AtomicU32::new(1);

/// Typed keyed state for keys `K` over a store `S`: the concrete store where a runtime names it, or
/// `Box<dyn KeyedStore>` where a setting does.
///
/// ```
/// use alluvium_state_api::{KeyedBackend, KeyedStore, Result, ValueDescriptor, ValueState};
///
/// const COUNT: ValueDescriptor<u64> = ValueDescriptor::new("count");
///
/// fn count_words<S: KeyedStore>(store: S, words: &[&str]) -> Result<Option<u64>> {
///     let mut backend = KeyedBackend::<String, S>::new(store)?;
///     let count = backend.open(COUNT)?;
///     for word in words {
///         backend.at(*word)?.value(count).update(|n| Some(n.unwrap_or(0) + 1))?;
///     }
///     backend.at("be")?.value(count).get()
/// }
/// ```
pub struct KeyedBackend<K, S = Box<dyn KeyedStore>, C = Native, H = StableHash> {
    store: S,
    key: Vec<u8>,
    buffers: Buffers,
    groups: MaxParallelism,
    /// The range whose keys are accepted; `None` where every key is.
    range: Option<KeyGroupRange>,
    /// Every key is accepted, and placed by its table hash: hashing can be left to the store.
    owns_all_stably: bool,
    /// Of the last key; not computed only where that can be left to the store.
    placed: Placed,
    id: u32,
    types: PhantomData<fn(&K) -> (C, H)>,
}

impl<K, C: KeyCodec<K>, H: KeyHash<K>> KeyedBackend<K, Box<dyn KeyedStore>, C, H> {
    /// The key space that a store for this type of backend is opened with.
    ///
    /// # Errors
    /// `InvalidInput` if `range` is not within `groups`.
    pub fn key_space(groups: MaxParallelism, range: KeyGroupRange) -> Result<KeySpace> {
        KeySpace::of::<K, C, H>(groups, range)
    }
}

impl<K, S: KeyedStore, C: KeyCodec<K>, H: KeyHash<K>> KeyedBackend<K, S, C, H> {
    /// Wraps a store that was opened with this key type, codec and hash.
    ///
    /// # Errors
    /// `Incompatible` if it was opened with others.
    pub fn new(store: S) -> Result<Self> {
        let space = store.key_space();
        let (groups, range) = (space.groups(), space.range());
        KeySpace::of::<K, C, H>(groups, range)?.check_restorable(space.identity(), groups)?;
        Ok(Self {
            range: (range != groups.all()).then_some(range),
            owns_all_stably: range == groups.all() && H::ID == <StableHash as KeyHash<K>>::ID,
            placed: Placed::known(0, 0, groups),
            groups,
            store,
            key: Vec::new(),
            buffers: Buffers::default(),
            id: NEXT_BACKEND.fetch_add(1, Ordering::Relaxed),
            types: PhantomData,
        })
    }

    /// Opens a state: registers it with the store, and migrates what was restored under an older
    /// schema. Opening the same descriptor twice yields equal handles.
    ///
    /// # Errors
    /// `Incompatible`, naming the state and why; `InvalidInput`; as [`KeyedStore::register`].
    #[expect(clippy::needless_pass_by_value, reason = "descriptors are `Copy` constants")]
    pub fn open<D: Descriptor>(&mut self, descriptor: D) -> Result<D::Handle> {
        let meta = descriptor.meta();
        meta.validate()?;
        self.check_known(&descriptor, &meta)?;
        let registration = self.store.register(&meta)?;
        if let Some(restored) = registration.restored {
            self.adopt(&descriptor, registration.slot, &meta, &restored)?;
        }
        Ok(descriptor.bind(StateToken { slot: registration.slot, backend: self.id }))
    }

    /// Refuses what does not fit before the store remembers it, so that the right descriptor can
    /// still be opened.
    fn check_known<D: Descriptor>(&self, descriptor: &D, meta: &StateMeta) -> Result<()> {
        let known = self.store.states().into_iter().find(|known| known.name == meta.name);
        let Some(known) = known else { return Ok(()) };
        meta.check_against(&known)?;
        match descriptor.resolve(&known.value) {
            Compatibility::Incompatible(reason) => {
                Err(Error::incompatible(reason).with_state(meta.name.clone()))
            }
            Compatibility::AsIs | Compatibility::AfterMigration => Ok(()),
        }
    }

    fn adopt<D: Descriptor>(
        &mut self,
        descriptor: &D,
        slot: Slot,
        meta: &StateMeta,
        restored: &StateMeta,
    ) -> Result<()> {
        match descriptor.resolve(&restored.value) {
            Compatibility::AsIs => Ok(()),
            Compatibility::AfterMigration => self.store.rewrite(slot, &mut |bytes, out| {
                descriptor
                    .migrate(&restored.value, bytes, out)
                    .map_err(|error| error.with_state(meta.name.clone()))
            }),
            Compatibility::Incompatible(reason) => {
                Err(Error::incompatible(reason).with_state(meta.name.clone()))
            }
        }
    }

    /// The states of a key. Borrowed forms work as in a `HashMap`: `&str` for `String` keys.
    ///
    /// # Errors
    /// `InvalidInput` if the key cannot be encoded or belongs to a key group that this backend does
    /// not own.
    #[expect(
        clippy::inline_always,
        reason = "a context returned through memory costs 40 instructions"
    )]
    #[inline(always)]
    pub fn at<Q: ?Sized>(&mut self, key: &Q) -> Result<KeyContext<'_, S>>
    where
        K: Borrow<Q>,
        C: EncodeKey<Q>,
        H: KeyHash<Q>,
    {
        let short = <C as EncodeKey<Q>>::short_key(key);
        if short.is_none() {
            self.key.clear();
            <C as EncodeKey<Q>>::encode_key(key, &mut self.key)?;
            check_length(self.key.len())?;
        }
        let bytes = short.as_ref().map_or(self.key.as_slice(), ShortKey::as_bytes);
        if self.placed.is_known() || bytes.len() > MAX_HASHED_LATER_BYTES {
            cold_path();
            self.placed = if self.owns_all_stably && bytes.len() <= MAX_HASHED_LATER_BYTES {
                Placed::later(self.groups)
            } else {
                let hash = hash_bytes(bytes);
                let placement = <H as KeyHash<Q>>::placement(key, bytes, hash);
                self.check_owned(placement)?;
                Placed::known(hash, placement, self.groups)
            };
        }
        let place = context::Place { placed: &self.placed, backend: self.id };
        let bytes = context::KeyBytes { short, buffer: &mut self.key };
        Ok(KeyContext::new(&mut self.store, bytes, &mut self.buffers, place))
    }

    #[inline]
    fn check_owned(&self, placement: u32) -> Result<()> {
        match self.range {
            Some(range) if !range.contains(self.groups.group_of(placement)) => {
                Err(not_owned(self.groups.group_of(placement), range))
            }
            _ => Ok(()),
        }
    }

    /// The synchronous phase of a snapshot; see [`KeyedStore::snapshot`].
    ///
    /// # Errors
    /// As [`KeyedStore::snapshot`].
    pub fn snapshot(&mut self, request: &SnapshotRequest) -> Result<Box<dyn SnapshotTask>> {
        self.store.snapshot(request)
    }

    /// A synchronous snapshot: done, or failed, when the call returns.
    ///
    /// # Errors
    /// As [`KeyedStore::snapshot`] and [`SnapshotTask::run`].
    pub fn snapshot_now(
        &mut self,
        request: &SnapshotRequest,
        context: SnapshotContext<'_>,
    ) -> Result<KeyedSnapshot> {
        self.store.snapshot(request)?.run(context)
    }

    /// See [`KeyedStore::checkpoint_completed`].
    ///
    /// # Errors
    /// Where the store fails.
    pub fn checkpoint_completed(&mut self, checkpoint: CheckpointId) -> Result<()> {
        self.store.checkpoint_completed(checkpoint)
    }

    /// See [`KeyedStore::checkpoint_aborted`].
    ///
    /// # Errors
    /// Where the store fails.
    pub fn checkpoint_aborted(&mut self, checkpoint: CheckpointId) -> Result<()> {
        self.store.checkpoint_aborted(checkpoint)
    }

    /// Figures about the store.
    pub fn statistics(&self) -> StoreStatistics {
        self.store.statistics()
    }

    /// The store itself.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// The store itself, for what the typed front does not offer.
    pub fn store_mut(&mut self) -> &mut S {
        &mut self.store
    }

    /// Gives the store back.
    pub fn into_store(self) -> S {
        self.store
    }
}

impl<K, S: KeyedStore, C, H> fmt::Debug for KeyedBackend<K, S, C, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedBackend")
            .field("backend", &self.store.backend_name())
            .field("range", &self.store.key_space().range())
            .finish_non_exhaustive()
    }
}

#[cold]
fn not_owned(group: crate::KeyGroup, range: KeyGroupRange) -> Error {
    Error::invalid_input(format!(
        "the key belongs to a key group outside {range}, which this subtask owns; route records by \
         the same hash and maximum parallelism"
    ))
    .with_key_group(group)
}
