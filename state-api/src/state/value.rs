//! Value state: at most one value per key and namespace.

use std::borrow::Borrow;
use std::marker::PhantomData;

use super::Access;
use crate::Result;
use crate::change::Change;
use crate::codec::{Codec, Encode};
use crate::store::KeyedStore;

/// One value per key and namespace.
///
/// ```
/// use alluvium_state_api::{Result, ValueState};
///
/// // operator logic, testable against any implementation
/// fn count(state: &mut impl ValueState<u64>) -> Result<()> {
///     state.update(|count| Some(count.unwrap_or(0) + 1))
/// }
/// ```
pub trait ValueState<T> {
    /// The value; where there is none, the descriptor's default, if it has one.
    ///
    /// # Errors
    /// Where the store fails or the bytes cannot be decoded.
    fn get(&mut self) -> Result<Option<T>>;

    /// Replaces the value.
    ///
    /// # Errors
    /// `LimitExceeded`; where the store fails.
    fn set(&mut self, value: &T) -> Result<()>;

    /// Replaces the value by what the closure makes of it, in one probe; `None` clears. The closure
    /// runs at most once; its error leaves the value as it was.
    ///
    /// # Errors
    /// What the closure returns; as [`get`](Self::get) and [`set`](Self::set).
    fn try_update(&mut self, change: impl FnOnce(Option<T>) -> Result<Option<T>>) -> Result<()>;

    /// [`try_update`](Self::try_update) with a closure that cannot fail.
    ///
    /// # Errors
    /// As [`get`](Self::get) and [`set`](Self::set).
    #[inline]
    fn update(&mut self, change: impl FnOnce(Option<T>) -> Option<T>) -> Result<()> {
        self.try_update(|value| Ok(change(value)))
    }

    /// Removes the value.
    ///
    /// # Errors
    /// Where the store fails.
    fn clear(&mut self) -> Result<()>;
}

/// [`ValueState`] over a store.
#[derive(Debug)]
pub struct ValueView<'c, S, V, C> {
    access: Access<'c, S>,
    default: Option<fn() -> V>,
    types: PhantomData<fn() -> C>,
}

impl<'c, S: KeyedStore, V, C: Codec<V>> ValueView<'c, S, V, C> {
    #[expect(clippy::inline_always, reason = "a view in memory costs more than the access")]
    #[inline(always)]
    pub(crate) fn new(access: Access<'c, S>, default: Option<fn() -> V>) -> Self {
        Self { access, default, types: PhantomData }
    }

    /// Reads without copying: the closure gets `None` where there is no value (the default is not
    /// applied).
    ///
    /// # Errors
    /// As [`ValueState::get`].
    #[inline]
    pub fn read<R>(&mut self, read: impl FnOnce(Option<C::View<'_>>) -> R) -> Result<R> {
        let (slot, word) = (self.access.slot()?, self.access.word);
        let key = self.access.address.key(&word);
        self.access.store.get_with(slot, &key, |bytes| Ok(read(bytes.map(C::view).transpose()?)))
    }

    /// Reads into an existing value, whose memory is reused; returns whether there was one.
    ///
    /// # Errors
    /// As [`ValueState::get`].
    #[inline]
    pub fn get_into(&mut self, target: &mut V) -> Result<bool> {
        let (slot, word) = (self.access.slot()?, self.access.word);
        let key = self.access.address.key(&word);
        match self.access.store.get(slot, &key)? {
            Some(bytes) => C::decode_into(bytes, target).map(|()| true),
            None => Ok(false),
        }
    }

    /// [`ValueState::set`] for a borrowed form of the value, such as `&str` for `String`.
    ///
    /// # Errors
    /// As [`ValueState::set`].
    #[expect(clippy::inline_always, reason = "a view in memory costs more than the access")]
    #[inline(always)]
    pub fn set<Q: ?Sized>(&mut self, value: &Q) -> Result<()>
    where
        V: Borrow<Q>,
        C: Encode<Q>,
    {
        let (slot, word) = (self.access.slot()?, self.access.word);
        let key = self.access.address.key(&word);
        if let Some(short) = <C as Encode<Q>>::short(value) {
            return self.access.store.put(slot, &key, short.as_bytes());
        }
        let buffer = &mut self.access.buffers.value;
        buffer.clear();
        <C as Encode<Q>>::encode(value, buffer)?;
        self.access.store.put(slot, &key, buffer)
    }
}

impl<S: KeyedStore, V, C: Codec<V>> ValueState<V> for ValueView<'_, S, V, C> {
    #[expect(clippy::inline_always, reason = "a view in memory costs more than the access")]
    #[inline(always)]
    fn get(&mut self) -> Result<Option<V>> {
        let (slot, word) = (self.access.slot()?, self.access.word);
        let key = self.access.address.key(&word);
        let default = self.default;
        self.access.store.get_with(slot, &key, move |bytes| match bytes {
            Some(bytes) => C::decode(bytes).map(Some),
            None => Ok(default.map(|default| default())),
        })
    }

    #[expect(clippy::inline_always, reason = "a view in memory costs more than the access")]
    #[inline(always)]
    fn set(&mut self, value: &V) -> Result<()> {
        ValueView::set::<V>(self, value)
    }

    #[expect(clippy::inline_always, reason = "a view in memory costs more than the access")]
    #[inline(always)]
    fn try_update(&mut self, change: impl FnOnce(Option<V>) -> Result<Option<V>>) -> Result<()> {
        let (slot, word) = (self.access.slot()?, self.access.word);
        let key = self.access.address.key(&word);
        let default = self.default;
        self.access.store.modify_with(slot, &key, move |old, new| {
            let value = match old {
                Some(bytes) => Some(C::decode(bytes)?),
                None => default.map(|default| default()),
            };
            match change(value)? {
                Some(value) => new.set::<C, _>(&value).map(|()| Change::Put),
                None => Ok(Change::Remove),
            }
        })
    }

    #[inline]
    fn clear(&mut self) -> Result<()> {
        let (slot, word) = (self.access.slot()?, self.access.word);
        let key = self.access.address.key(&word);
        self.access.store.remove(slot, &key)
    }
}
