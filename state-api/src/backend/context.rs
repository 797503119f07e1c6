//! [`KeyContext`]: the states of one key, and of one of its namespaces.

use std::marker::PhantomData;

use crate::codec::{Codec, EncodeKey, KeyCodec, ShortKey};
use crate::descriptor::{
    AggregatingHandle, AnyHandle, InNamespace, ListHandle, MapHandle, NoNamespace, ReducingHandle,
    StateToken, ValueHandle,
};
use crate::key::{EntryKey, Placed, StateKey, check_length};
use crate::state::{
    Access, Address, Aggregate, AggregatingView, Buffers, ListView, MapAddress, MapView,
    ReducingView, ValueView, check_token,
};
use crate::store::KeyedStore;
use crate::{KeyGroup, Result};

/// What is known of a key besides its bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'b> {
    pub(crate) placed: &'b Placed,
    pub(crate) backend: u32,
}

/// The bytes of a key: a short one's are here, those of others in the backend's buffer. Storing a key
/// into the buffer, with its length, and loading it again is three stores of the fastest access's ten.
#[derive(Debug)]
pub(crate) struct KeyBytes<'b> {
    pub(crate) short: Option<ShortKey>,
    pub(crate) buffer: &'b mut Vec<u8>,
}

impl KeyBytes<'_> {
    fn len(&self) -> usize {
        self.short.as_ref().map_or(self.buffer.len(), |short| short.as_bytes().len())
    }

    /// The buffer with the first `end` bytes in it, so that others can follow.
    #[inline]
    fn spilled(&mut self, end: usize) -> &mut Vec<u8> {
        if let Some(short) = self.short.take() {
            self.buffer.clear();
            self.buffer.extend_from_slice(short.as_bytes());
        }
        self.buffer.truncate(end);
        self.buffer
    }
}

/// The states of one key; within `N`, those of one of its namespaces. Borrows the backend for as long
/// as the record is processed: one state is accessed at a time.
#[derive(Debug)]
pub struct KeyContext<'b, S, N = NoNamespace> {
    store: &'b mut S,
    bytes: KeyBytes<'b>,
    buffers: &'b mut Buffers,
    place: Place<'b>,
    key_end: usize,
    namespace_end: usize,
    namespace: PhantomData<fn() -> N>,
}

impl<'b, S: KeyedStore> KeyContext<'b, S> {
    #[expect(clippy::inline_always, reason = "a context in memory costs more than the access")]
    #[inline(always)]
    pub(crate) fn new(
        store: &'b mut S,
        bytes: KeyBytes<'b>,
        buffers: &'b mut Buffers,
        place: Place<'b>,
    ) -> Self {
        let key_end = bytes.len();
        let namespace = PhantomData;
        Self { store, bytes, buffers, place, key_end, namespace_end: key_end, namespace }
    }

    /// Narrows to a namespace, for states that were defined in one of this type.
    ///
    /// # Errors
    /// `InvalidInput` if the namespace cannot be encoded.
    #[inline]
    pub fn within<W, C: KeyCodec<W>>(
        &mut self,
        namespace: &W,
    ) -> Result<KeyContext<'_, S, InNamespace<W, C>>> {
        let buffer = self.bytes.spilled(self.key_end);
        C::encode_key(namespace, buffer)?;
        check_length(buffer.len())?;
        Ok(KeyContext {
            namespace_end: buffer.len(),
            store: self.store,
            bytes: KeyBytes { short: None, buffer },
            buffers: self.buffers,
            place: self.place,
            key_end: self.key_end,
            namespace: PhantomData,
        })
    }

    /// Moves what a state holds in `sources` into `target`, all namespaces of this key. The target and
    /// repeated sources are skipped among the sources; sources are removed.
    ///
    /// Lists keep the target's elements first, then the sources' in order. Reducing and aggregating
    /// states fold the sources in order, then the target as the second argument, as Flink does.
    ///
    /// # Errors
    /// `LimitExceeded`, and nothing was moved; where the store fails.
    pub fn merge_namespaces<'n, M, W, C>(
        &mut self,
        handle: M,
        target: &W,
        sources: impl IntoIterator<Item = &'n W>,
    ) -> Result<()>
    where
        W: 'n,
        C: KeyCodec<W>,
        M: Mergeable<Namespace = InNamespace<W, C>>,
    {
        let slot = check_token(handle.token(), self.place.backend)?;
        let bytes = self.bytes.spilled(self.key_end);
        let Place { placed, .. } = self.place;
        let (hash, placement) = placed.of(bytes);
        C::encode_key(target, bytes)?;
        let batch = &mut self.buffers.batch;
        batch.clear();
        for source in sources {
            let start = batch.next_start();
            batch.bytes_mut().extend_from_slice(bytes.get(..self.key_end).unwrap_or_default());
            <C as EncodeKey<W>>::encode_key(source, batch.bytes_mut())?;
            let skip = batch.pending() == bytes.as_slice()
                || batch.as_batch(placed.groups()).iter().any(|key| key.bytes() == batch.pending());
            if skip {
                batch.bytes_mut().truncate(start);
            } else {
                batch.commit(self.key_end, hash, placement)?;
            }
        }
        let entry = EntryKey::new(bytes, self.key_end, bytes.len())?;
        let (target, batch) = (StateKey::placed(entry, placed), batch.as_batch(placed.groups()));
        self.store.merge_namespaces(slot, &target, batch, &mut |a, b, out| handle.merge(a, b, out))
    }
}

impl<S: KeyedStore, N> KeyContext<'_, S, N> {
    /// The key group of the key.
    pub fn key_group(&self) -> KeyGroup {
        let KeyBytes { short, buffer } = &self.bytes;
        let bytes = short.as_ref().map_or(buffer.as_slice(), ShortKey::as_bytes);
        self.place.placed.group_of(bytes.get(..self.key_end).unwrap_or_default())
    }

    #[expect(clippy::inline_always, reason = "a context in memory costs more than the access")]
    #[inline(always)]
    fn access(&mut self, token: StateToken) -> Access<'_, S> {
        let Place { placed, backend } = self.place;
        let KeyBytes { short, buffer } = &mut self.bytes;
        let (word, short) = short.map_or(([0; ShortKey::MAX], None), |short| {
            let (word, len) = short.into_parts();
            (word, Some(len))
        });
        if short.is_none() {
            buffer.truncate(self.namespace_end);
        }
        let address = Address { bytes: buffer, short, key_end: self.key_end, placed };
        Access { store: self.store, address, word, buffers: self.buffers, token, backend }
    }

    /// A value state of this key.
    #[expect(clippy::inline_always, reason = "a context in memory costs more than the access")]
    #[inline(always)]
    pub fn value<V, C: Codec<V>>(
        &mut self,
        handle: ValueHandle<V, C, N>,
    ) -> ValueView<'_, S, V, C> {
        ValueView::new(self.access(handle.token), handle.default)
    }

    /// A list state of this key.
    #[inline]
    pub fn list<T, C: Codec<T>>(&mut self, handle: ListHandle<T, C, N>) -> ListView<'_, S, T, C> {
        ListView::new(self.access(handle.token))
    }

    /// A reducing state of this key.
    #[expect(clippy::inline_always, reason = "a context in memory costs more than the access")]
    #[inline(always)]
    pub fn reducing<V, C: Codec<V>>(
        &mut self,
        handle: ReducingHandle<V, C, N>,
    ) -> ReducingView<'_, S, V, C> {
        ReducingView::new(self.access(handle.token), handle.reduce)
    }

    /// An aggregating state of this key.
    #[expect(clippy::inline_always, reason = "a context in memory costs more than the access")]
    #[inline(always)]
    pub fn aggregating<A: Aggregate, C: Codec<A::Accumulator>>(
        &mut self,
        handle: AggregatingHandle<A, C, N>,
    ) -> AggregatingView<'_, S, A, C> {
        AggregatingView::new(self.access(handle.token))
    }

    /// A map state of this key.
    #[inline]
    pub fn map<UK, V, CK: Codec<UK>, C: Codec<V>>(
        &mut self,
        handle: MapHandle<UK, V, CK, C, N>,
    ) -> MapView<'_, S, UK, V, CK, C> {
        let Place { placed, backend } = self.place;
        let (key_end, namespace_end) = (self.key_end, self.namespace_end);
        let address = MapAddress { key_end, namespace_end, placed };
        let bytes = self.bytes.spilled(namespace_end);
        MapView::new(self.store, bytes, self.buffers, address, (handle.token, backend))
    }
}

/// Handles of states whose namespaces can be merged: lists, reducing and aggregating states.
pub trait Mergeable: AnyHandle {
    /// Folds the second encoded value into the first.
    ///
    /// # Errors
    /// Where a value cannot be decoded or encoded.
    fn merge(&self, first: &[u8], second: &[u8], out: &mut Vec<u8>) -> Result<()>;
}

impl<T, C, N> Mergeable for ListHandle<T, C, N> {
    fn merge(&self, _: &[u8], _: &[u8], _: &mut Vec<u8>) -> Result<()> {
        Err(crate::Error::bug("the store asked to fold two lists instead of appending them"))
    }
}

impl<V, C: Codec<V>, N> Mergeable for ReducingHandle<V, C, N> {
    fn merge(&self, first: &[u8], second: &[u8], out: &mut Vec<u8>) -> Result<()> {
        C::encode(&(self.reduce)(C::decode(first)?, C::decode(second)?), out)
    }
}

impl<A: Aggregate, C: Codec<A::Accumulator>, N> Mergeable for AggregatingHandle<A, C, N> {
    fn merge(&self, first: &[u8], second: &[u8], out: &mut Vec<u8>) -> Result<()> {
        C::encode(&A::merge(C::decode(first)?, C::decode(second)?), out)
    }
}
