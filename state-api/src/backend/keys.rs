//! Iteration over the keys of a state, in the order of key groups and key bytes.

use std::ops::ControlFlow;

use super::{KeyContext, KeyedBackend, context};
use crate::codec::{EncodeKey, KeyCodec};
use crate::descriptor::{AnyHandle, InNamespace, NoNamespace};
use crate::key::{EntryKey, Placed};
use crate::state::check_token;
use crate::store::{KeyedStore, Scan};
use crate::{KeyHash, Result, hash_bytes};

impl<K, S: KeyedStore, C: KeyCodec<K>, H: KeyHash<K>> KeyedBackend<K, S, C, H> {
    /// Visits every key that has an entry in a state without namespaces, each once, ordered by key
    /// group and encoded key; breaking stops. Linear in the state's entries.
    ///
    /// # Errors
    /// What the visitor returns; where the store fails or a key cannot be decoded.
    pub fn for_each_key<A: AnyHandle<Namespace = NoNamespace>>(
        &mut self,
        handle: A,
        mut visit: impl FnMut(K) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        self.scan_keys(handle, |entry| visit(C::decode_key(entry.key())?.0))
    }

    /// Visits every key that has an entry in one namespace of a state, each once; breaking stops.
    ///
    /// # Errors
    /// As [`for_each_key`](Self::for_each_key).
    pub fn for_each_key_in<W, CW, A>(
        &mut self,
        handle: A,
        namespace: &W,
        mut visit: impl FnMut(K) -> Result<ControlFlow<()>>,
    ) -> Result<()>
    where
        CW: KeyCodec<W>,
        A: AnyHandle<Namespace = InNamespace<W, CW>>,
    {
        let mut wanted = Vec::new();
        <CW as EncodeKey<W>>::encode_key(namespace, &mut wanted)?;
        self.scan_keys(handle, |entry| {
            if entry.namespace() != wanted {
                return Ok(ControlFlow::Continue(()));
            }
            visit(C::decode_key(entry.key())?.0)
        })
    }

    /// Visits every pair of key and namespace that has an entry in a state, each once; breaking stops.
    ///
    /// # Errors
    /// As [`for_each_key`](Self::for_each_key).
    pub fn for_each_key_and_namespace<W, CW, A>(
        &mut self,
        handle: A,
        mut visit: impl FnMut(K, W) -> Result<ControlFlow<()>>,
    ) -> Result<()>
    where
        CW: KeyCodec<W>,
        A: AnyHandle<Namespace = InNamespace<W, CW>>,
    {
        self.scan_keys(handle, |entry| {
            visit(C::decode_key(entry.key())?.0, CW::decode_key(entry.namespace())?.0)
        })
    }

    /// Calls the closure with the context of every key that has an entry in a state without
    /// namespaces. Keys are collected first, so that the closure may change what it likes; memory is
    /// in proportion to them.
    ///
    /// # Errors
    /// What the closure returns; as [`for_each_key`](Self::for_each_key).
    pub fn apply_to_all_keys<A: AnyHandle<Namespace = NoNamespace>>(
        &mut self,
        handle: A,
        mut apply: impl FnMut(KeyContext<'_, S>) -> Result<()>,
    ) -> Result<()> {
        let mut keys: Vec<Box<[u8]>> = Vec::new();
        self.scan_keys(handle, |entry| {
            keys.push(entry.key().into());
            Ok(ControlFlow::Continue(()))
        })?;
        for encoded in keys {
            let hash = hash_bytes(&encoded);
            let placement = self.store.key_space().placement_of(&encoded, hash)?;
            self.key.clear();
            self.key.extend_from_slice(&encoded);
            let placed = Placed::known(hash, placement, self.groups);
            let place = context::Place { placed: &placed, backend: self.id };
            let bytes = context::KeyBytes { short: None, buffer: &mut self.key };
            apply(KeyContext::new(&mut self.store, bytes, &mut self.buffers, place))?;
        }
        Ok(())
    }

    /// Visits every (key, namespace) of a state once. Entries come ordered, so those of one map are
    /// neighbours and only the last one has to be remembered.
    fn scan_keys<A: AnyHandle>(
        &mut self,
        handle: A,
        mut visit: impl FnMut(EntryKey<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let slot = check_token(handle.token(), self.id)?;
        let range = self.store.key_space().range();
        let mut last: Option<Vec<u8>> = None;
        self.store.scan(slot, Scan::KeyGroups { range, from: &[] }, &mut |entry, _| {
            let address = entry.bytes().get(..entry.namespace_end()).unwrap_or_default();
            if last.as_deref() == Some(address) {
                return Ok(ControlFlow::Continue(()));
            }
            let seen = last.get_or_insert_default();
            seen.clear();
            seen.extend_from_slice(address);
            visit(EntryKey::new(address, entry.key_end(), address.len())?)
        })
    }
}
