//! Map state: entries per key and namespace, ordered by the bytes of their map keys.

use std::borrow::Borrow;
use std::marker::PhantomData;
use std::ops::ControlFlow;

use super::{Buffers, check_token};
use crate::Result;
use crate::change::Change;
use crate::codec::{Codec, Encode};
use crate::descriptor::StateToken;
use crate::key::{EntryKey, Placed, StateKey};
use crate::store::{KeyedStore, Scan, Slot};

/// A map per key and namespace. With the default codec its order is that of the map keys.
pub trait MapState<UK, V> {
    /// The value of a map key.
    ///
    /// # Errors
    /// Where the store fails or the bytes cannot be decoded.
    fn get(&mut self, map_key: &UK) -> Result<Option<V>>;

    /// Whether the map holds a map key.
    ///
    /// # Errors
    /// Where the store fails.
    fn contains(&mut self, map_key: &UK) -> Result<bool>;

    /// Sets the value of a map key.
    ///
    /// # Errors
    /// `LimitExceeded`; where the store fails.
    fn insert(&mut self, map_key: &UK, value: &V) -> Result<()>;

    /// Replaces the value of a map key by what the closure makes of it, in one probe; `None` removes
    /// it. The closure runs at most once.
    ///
    /// # Errors
    /// As [`get`](Self::get) and [`insert`](Self::insert).
    fn update(&mut self, map_key: &UK, change: impl FnOnce(Option<V>) -> Option<V>) -> Result<()>;

    /// Removes a map key; an absent one is no error.
    ///
    /// # Errors
    /// Where the store fails.
    fn remove(&mut self, map_key: &UK) -> Result<()>;

    /// Visits all entries in ascending order; breaking stops.
    ///
    /// # Errors
    /// What the visitor returns; where the store fails or an entry cannot be decoded.
    fn for_each(&mut self, visit: impl FnMut(UK, V) -> Result<ControlFlow<()>>) -> Result<()>;

    /// Visits all entries in ascending order and keeps those for which the closure returns true, with
    /// the value as the closure left it. Changes are collected first: memory is in proportion to
    /// them.
    ///
    /// # Errors
    /// As [`for_each`](Self::for_each) and [`insert`](Self::insert).
    fn retain(&mut self, keep: impl FnMut(&UK, &mut V) -> bool) -> Result<()>;

    /// All map keys in ascending order.
    ///
    /// # Errors
    /// As [`for_each`](Self::for_each).
    fn keys(&mut self) -> Result<Vec<UK>> {
        let mut keys = Vec::new();
        self.for_each(|key, _| {
            keys.push(key);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(keys)
    }

    /// All entries in ascending order.
    ///
    /// # Errors
    /// As [`for_each`](Self::for_each).
    fn entries(&mut self) -> Result<Vec<(UK, V)>> {
        let mut entries = Vec::new();
        self.for_each(|key, value| {
            entries.push((key, value));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(entries)
    }

    /// Whether the map has no entry.
    ///
    /// # Errors
    /// Where the store fails.
    fn is_empty(&mut self) -> Result<bool>;

    /// Removes all entries.
    ///
    /// # Errors
    /// Where the store fails.
    fn clear(&mut self) -> Result<()>;
}

/// The part of an entry's address that all entries of one map share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MapAddress<'c> {
    pub(crate) key_end: usize,
    pub(crate) namespace_end: usize,
    pub(crate) placed: &'c Placed,
}

/// [`MapState`] over a store.
#[derive(Debug)]
pub struct MapView<'c, S, UK, V, CK, C> {
    store: &'c mut S,
    bytes: &'c mut Vec<u8>,
    buffers: &'c mut Buffers,
    address: MapAddress<'c>,
    token: StateToken,
    backend: u32,
    types: PhantomData<fn() -> (UK, V, CK, C)>,
}

impl<'c, S, UK, V, CK, C> MapView<'c, S, UK, V, CK, C>
where
    S: KeyedStore,
    CK: Codec<UK>,
    C: Codec<V>,
{
    pub(crate) fn new(
        store: &'c mut S,
        bytes: &'c mut Vec<u8>,
        buffers: &'c mut Buffers,
        address: MapAddress<'c>,
        (token, backend): (StateToken, u32),
    ) -> Self {
        Self { store, bytes, buffers, address, token, backend, types: PhantomData }
    }

    #[inline]
    fn slot(&self) -> Result<Slot> {
        check_token(self.token, self.backend)
    }

    /// Encodes the map key behind key and namespace and splits the borrow of `self`.
    #[inline]
    fn entry<Q: ?Sized>(&mut self, map_key: &Q) -> Result<(&mut S, StateKey<'_>, &mut Vec<u8>)>
    where
        CK: Encode<Q>,
    {
        self.bytes.truncate(self.address.namespace_end);
        <CK as Encode<Q>>::encode(map_key, self.bytes)?;
        let key = state_key(self.bytes, &self.address)?;
        Ok((self.store, key, &mut self.buffers.value))
    }

    #[inline]
    fn prefix(&mut self) -> Result<(&mut S, StateKey<'_>)> {
        self.bytes.truncate(self.address.namespace_end);
        let key = state_key(self.bytes, &self.address)?;
        Ok((self.store, key))
    }

    /// Reads without copying.
    ///
    /// # Errors
    /// As [`MapState::get`].
    #[inline]
    pub fn read<Q: ?Sized, R>(
        &mut self,
        map_key: &Q,
        read: impl FnOnce(Option<C::View<'_>>) -> R,
    ) -> Result<R>
    where
        UK: Borrow<Q>,
        CK: Encode<Q>,
    {
        let slot = self.slot()?;
        let (store, key, _) = self.entry(map_key)?;
        Ok(read(store.get(slot, &key)?.map(C::view).transpose()?))
    }

    /// [`MapState::get`] for a borrowed form of the map key.
    ///
    /// # Errors
    /// As [`MapState::get`].
    #[inline]
    pub fn get<Q: ?Sized>(&mut self, map_key: &Q) -> Result<Option<V>>
    where
        UK: Borrow<Q>,
        CK: Encode<Q>,
    {
        let slot = self.slot()?;
        let (store, key, _) = self.entry(map_key)?;
        store.get(slot, &key)?.map(C::decode).transpose()
    }

    /// [`MapState::contains`] for a borrowed form of the map key.
    ///
    /// # Errors
    /// As [`MapState::contains`].
    #[inline]
    pub fn contains<Q: ?Sized>(&mut self, map_key: &Q) -> Result<bool>
    where
        UK: Borrow<Q>,
        CK: Encode<Q>,
    {
        let slot = self.slot()?;
        let (store, key, _) = self.entry(map_key)?;
        Ok(store.get(slot, &key)?.is_some())
    }

    /// [`MapState::insert`] for borrowed forms of map key and value.
    ///
    /// # Errors
    /// As [`MapState::insert`].
    #[inline]
    pub fn insert<Q: ?Sized, W: ?Sized>(&mut self, map_key: &Q, value: &W) -> Result<()>
    where
        UK: Borrow<Q>,
        V: Borrow<W>,
        CK: Encode<Q>,
        C: Encode<W>,
    {
        let slot = self.slot()?;
        let (store, key, buffer) = self.entry(map_key)?;
        if let Some(short) = <C as Encode<W>>::short(value) {
            return store.put(slot, &key, short.as_bytes());
        }
        buffer.clear();
        <C as Encode<W>>::encode(value, buffer)?;
        store.put(slot, &key, buffer)
    }

    /// [`MapState::update`] for a borrowed form of the map key.
    ///
    /// # Errors
    /// As [`MapState::update`].
    #[inline]
    pub fn update<Q: ?Sized>(
        &mut self,
        map_key: &Q,
        change: impl FnOnce(Option<V>) -> Option<V>,
    ) -> Result<()>
    where
        UK: Borrow<Q>,
        CK: Encode<Q>,
    {
        let slot = self.slot()?;
        let (store, key, _) = self.entry(map_key)?;
        store.modify_with(slot, &key, move |old, new| {
            match change(old.map(C::decode).transpose()?) {
                Some(value) => new.set::<C, _>(&value).map(|()| Change::Put),
                None => Ok(Change::Remove),
            }
        })
    }

    /// [`MapState::remove`] for a borrowed form of the map key.
    ///
    /// # Errors
    /// As [`MapState::remove`].
    #[inline]
    pub fn remove<Q: ?Sized>(&mut self, map_key: &Q) -> Result<()>
    where
        UK: Borrow<Q>,
        CK: Encode<Q>,
    {
        let slot = self.slot()?;
        let (store, key, _) = self.entry(map_key)?;
        store.remove(slot, &key)
    }

    /// Visits entries whose encoded map key is not below that of `from`, ascending; breaking stops.
    ///
    /// # Errors
    /// As [`MapState::for_each`].
    pub fn for_each_from<Q: ?Sized>(
        &mut self,
        from: &Q,
        mut visit: impl FnMut(UK, V) -> Result<ControlFlow<()>>,
    ) -> Result<()>
    where
        UK: Borrow<Q>,
        CK: Encode<Q>,
    {
        let slot = self.slot()?;
        let mut lower = Vec::new();
        <CK as Encode<Q>>::encode(from, &mut lower)?;
        let (store, prefix) = self.prefix()?;
        store.scan(slot, Scan::Map { prefix, from: &lower }, &mut |key, value| {
            visit(CK::decode(key.map_key())?, C::decode(value)?)
        })
    }

    /// Visits borrowed forms of all entries in ascending order; breaking stops.
    ///
    /// # Errors
    /// As [`MapState::for_each`].
    pub fn read_each(
        &mut self,
        mut visit: impl FnMut(CK::View<'_>, C::View<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let slot = self.slot()?;
        let (store, prefix) = self.prefix()?;
        store.scan(slot, Scan::Map { prefix, from: &[] }, &mut |key, value| {
            visit(CK::view(key.map_key())?, C::view(value)?)
        })
    }
}

#[inline]
fn state_key<'a>(bytes: &'a [u8], address: &MapAddress<'a>) -> Result<StateKey<'a>> {
    let entry = EntryKey::new(bytes, address.key_end, address.namespace_end)?;
    Ok(StateKey::placed(entry, address.placed))
}

impl<S, UK, V, CK, C> MapState<UK, V> for MapView<'_, S, UK, V, CK, C>
where
    S: KeyedStore,
    CK: Codec<UK>,
    C: Codec<V>,
{
    fn get(&mut self, map_key: &UK) -> Result<Option<V>> {
        MapView::get::<UK>(self, map_key)
    }

    fn contains(&mut self, map_key: &UK) -> Result<bool> {
        MapView::contains::<UK>(self, map_key)
    }

    fn insert(&mut self, map_key: &UK, value: &V) -> Result<()> {
        MapView::insert::<UK, V>(self, map_key, value)
    }

    fn update(&mut self, map_key: &UK, change: impl FnOnce(Option<V>) -> Option<V>) -> Result<()> {
        MapView::update::<UK>(self, map_key, change)
    }

    fn remove(&mut self, map_key: &UK) -> Result<()> {
        MapView::remove::<UK>(self, map_key)
    }

    fn for_each(&mut self, mut visit: impl FnMut(UK, V) -> Result<ControlFlow<()>>) -> Result<()> {
        let slot = self.slot()?;
        let (store, prefix) = self.prefix()?;
        store.scan(slot, Scan::Map { prefix, from: &[] }, &mut |key, value| {
            visit(CK::decode(key.map_key())?, C::decode(value)?)
        })
    }

    fn retain(&mut self, mut keep: impl FnMut(&UK, &mut V) -> bool) -> Result<()> {
        let slot = self.slot()?;
        let mut changes: Vec<(Box<[u8]>, Option<Box<[u8]>>)> = Vec::new();
        let (store, prefix) = self.prefix()?;
        let mut encoded = Vec::new();
        store.scan(slot, Scan::Map { prefix, from: &[] }, &mut |key, bytes| {
            let (map_key, mut value) = (CK::decode(key.map_key())?, C::decode(bytes)?);
            let kept = keep(&map_key, &mut value);
            encoded.clear();
            <C as Encode<V>>::encode(&value, &mut encoded)?;
            if !kept {
                changes.push((key.map_key().into(), None));
            } else if encoded != bytes {
                changes.push((key.map_key().into(), Some(encoded.as_slice().into())));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        for (map_key, value) in changes {
            self.bytes.truncate(self.address.namespace_end);
            self.bytes.extend_from_slice(&map_key);
            let key = state_key(self.bytes, &self.address)?;
            match value {
                Some(value) => self.store.put(slot, &key, &value)?,
                None => self.store.remove(slot, &key)?,
            }
        }
        Ok(())
    }

    fn is_empty(&mut self) -> Result<bool> {
        let slot = self.slot()?;
        let mut empty = true;
        let (store, prefix) = self.prefix()?;
        store.scan(slot, Scan::Map { prefix, from: &[] }, &mut |_, _| {
            empty = false;
            Ok(ControlFlow::Break(()))
        })?;
        Ok(empty)
    }

    fn clear(&mut self) -> Result<()> {
        let slot = self.slot()?;
        let (store, prefix) = self.prefix()?;
        store.remove_prefix(slot, &prefix)
    }
}
