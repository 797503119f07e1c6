//! [`BatchContext`]: value states of many keys at once, so that a store can overlap cache misses.

use std::borrow::Borrow;

use super::KeyedBackend;
use crate::change::Change;
use crate::codec::{Codec, Encode, EncodeKey, KeyCodec};
use crate::descriptor::{NoNamespace, ReducingHandle, ValueHandle};
use crate::key::KeyBatch;
use crate::state::{called_twice, check_token};
use crate::store::KeyedStore;
use crate::{KeyHash, Result, hash_bytes};

/// Many keys, encoded, hashed and placed once. Results come in the keys' order; a key that occurs
/// twice is treated twice.
#[derive(Debug)]
pub struct BatchContext<'b, S> {
    store: &'b mut S,
    keys: KeyBatch<'b>,
    backend: u32,
}

impl<K, S: KeyedStore, C: KeyCodec<K>, H: KeyHash<K>> KeyedBackend<K, S, C, H> {
    /// The states of many keys. Batches of about 64 gain most.
    ///
    /// ```
    /// # use alluvium_state_api::{KeyedBackend, KeyedStore, Result, ValueDescriptor};
    /// # fn example<S: KeyedStore>(mut backend: KeyedBackend<u64, S>) -> Result<()> {
    /// let count = backend.open(ValueDescriptor::<u64>::new("count"))?;
    /// backend.batch([1, 2, 1])?.update(count, |_, n| Some(n.unwrap_or(0) + 1))?;
    /// let mut seen = Vec::new();
    /// backend.batch([1, 2, 3])?.get(count, |_, n| seen.push(n))?;
    /// assert_eq!(seen, [Some(2), Some(1), None]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`at`](Self::at).
    pub fn batch<Q>(&mut self, keys: impl IntoIterator<Item = Q>) -> Result<BatchContext<'_, S>>
    where
        Q: Borrow<K>,
    {
        self.buffers.batch.clear();
        for key in keys {
            let key = key.borrow();
            <C as EncodeKey<K>>::encode_key(key, self.buffers.batch.bytes_mut())?;
            if self.owns_all_stably {
                self.buffers.batch.commit_unhashed()?;
                continue;
            }
            let encoded = self.buffers.batch.pending();
            let (len, hash) = (encoded.len(), hash_bytes(encoded));
            let placement = <H as KeyHash<K>>::placement(key, encoded, hash);
            self.check_owned(placement)?;
            self.buffers.batch.commit(len, hash, placement)?;
        }
        Ok(BatchContext {
            store: &mut self.store,
            keys: self.buffers.batch.as_batch(self.groups),
            backend: self.id,
        })
    }
}

impl<S: KeyedStore> BatchContext<'_, S> {
    /// How many keys the batch has.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether the batch has no keys.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Reads a value state of every key: `visit(index, value)` in the keys' order.
    ///
    /// # Errors
    /// Where the store fails or a value cannot be decoded.
    #[inline]
    pub fn get<V, C: Codec<V>>(
        &mut self,
        handle: ValueHandle<V, C, NoNamespace>,
        mut visit: impl FnMut(usize, Option<V>),
    ) -> Result<()> {
        let slot = check_token(handle.token, self.backend)?;
        self.store.get_many(slot, self.keys, &mut |index, bytes| {
            let value = match bytes {
                Some(bytes) => Some(C::decode(bytes)?),
                None => handle.default.map(|default| default()),
            };
            visit(index, value);
            Ok(())
        })
    }

    /// Updates a value state of every key: `change(index, old)` in the keys' order; `None` clears.
    ///
    /// # Errors
    /// `LimitExceeded`; where the store fails. Keys before the failing one stay updated.
    #[inline]
    pub fn update<V, C: Codec<V>>(
        &mut self,
        handle: ValueHandle<V, C, NoNamespace>,
        mut change: impl FnMut(usize, Option<V>) -> Option<V>,
    ) -> Result<()> {
        let slot = check_token(handle.token, self.backend)?;
        self.store.modify_many(slot, self.keys, &mut |index, bytes, out| {
            let value = match bytes {
                Some(bytes) => Some(C::decode(bytes)?),
                None => handle.default.map(|default| default()),
            };
            match change(index, value) {
                Some(value) => <C as Encode<V>>::encode(&value, out).map(|()| Change::Put),
                None => Ok(Change::Remove),
            }
        })
    }

    /// Folds one value into a reducing state of every key, in the keys' order; values that are missing
    /// at the end leave their keys alone.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub fn add<V, C: Codec<V>>(
        &mut self,
        handle: ReducingHandle<V, C, NoNamespace>,
        values: impl IntoIterator<Item = V>,
    ) -> Result<()> {
        let slot = check_token(handle.token, self.backend)?;
        let mut values = values.into_iter();
        let mut expected = 0;
        self.store.modify_many(slot, self.keys, &mut |index, bytes, out| {
            if index != expected {
                return Err(called_twice());
            }
            expected += 1;
            let Some(value) = values.next() else {
                return Ok(Change::Keep);
            };
            let folded = match bytes {
                Some(bytes) => (handle.reduce)(C::decode(bytes)?, value),
                None => value,
            };
            <C as Encode<V>>::encode(&folded, out).map(|()| Change::Put)
        })
    }
}
