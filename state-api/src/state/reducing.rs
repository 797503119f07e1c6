//! Reducing state: one value into which others of the same type are folded.

use std::marker::PhantomData;

use super::Access;
use crate::Result;
use crate::change::Change;
use crate::codec::Codec;
use crate::store::KeyedStore;

/// One value per key and namespace, folded by the descriptor's function.
pub trait ReducingState<T> {
    /// The folded value, if anything was added.
    ///
    /// # Errors
    /// Where the store fails or the bytes cannot be decoded.
    fn get(&mut self) -> Result<Option<T>>;

    /// Folds a value in: `reduce(old, value)`; the first value is stored as it is.
    ///
    /// # Errors
    /// `LimitExceeded`, and the state stays as it was; where the store fails.
    fn add(&mut self, value: T) -> Result<()>;

    /// Removes the value.
    ///
    /// # Errors
    /// Where the store fails.
    fn clear(&mut self) -> Result<()>;
}

/// [`ReducingState`] over a store.
#[derive(Debug)]
pub struct ReducingView<'c, S, V, C> {
    access: Access<'c, S>,
    reduce: fn(V, V) -> V,
    types: PhantomData<fn() -> C>,
}

impl<'c, S: KeyedStore, V, C: Codec<V>> ReducingView<'c, S, V, C> {
    #[expect(clippy::inline_always, reason = "a view in memory costs more than the access")]
    #[inline(always)]
    pub(crate) fn new(access: Access<'c, S>, reduce: fn(V, V) -> V) -> Self {
        Self { access, reduce, types: PhantomData }
    }
}

impl<S: KeyedStore, V, C: Codec<V>> ReducingState<V> for ReducingView<'_, S, V, C> {
    #[expect(clippy::inline_always, reason = "a view in memory costs more than the access")]
    #[inline(always)]
    fn get(&mut self) -> Result<Option<V>> {
        let (slot, word) = (self.access.slot()?, self.access.word);
        let key = self.access.address.key(&word);
        self.access.store.get_with(slot, &key, |bytes| bytes.map(C::decode).transpose())
    }

    #[expect(clippy::inline_always, reason = "a view in memory costs more than the access")]
    #[inline(always)]
    fn add(&mut self, value: V) -> Result<()> {
        let (slot, word) = (self.access.slot()?, self.access.word);
        let key = self.access.address.key(&word);
        let reduce = self.reduce;
        self.access.store.modify_with(slot, &key, move |old, new| {
            let folded = match old {
                Some(bytes) => reduce(C::decode(bytes)?, value),
                None => value,
            };
            new.set::<C, _>(&folded).map(|()| Change::Put)
        })
    }

    #[inline]
    fn clear(&mut self) -> Result<()> {
        let (slot, word) = (self.access.slot()?, self.access.word);
        let key = self.access.address.key(&word);
        self.access.store.remove(slot, &key)
    }
}
