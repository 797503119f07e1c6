//! List state: elements in append order.

use std::marker::PhantomData;
use std::ops::ControlFlow;

use super::Access;
use crate::Result;
use crate::codec::{Codec, Encode};
use crate::store::{KeyedStore, ListSize};

/// A list of elements per key and namespace, in append order.
pub trait ListState<T> {
    /// Adds one element at the end.
    ///
    /// # Errors
    /// `LimitExceeded`, and the list stays as it was; where the store fails.
    fn add(&mut self, element: &T) -> Result<()>;

    /// Adds elements at the end, all or none; no elements change nothing.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    fn add_all<'t>(&mut self, elements: impl IntoIterator<Item = &'t T>) -> Result<()>
    where
        T: 't;

    /// Replaces the list; no elements clear it.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    fn update<'t>(&mut self, elements: impl IntoIterator<Item = &'t T>) -> Result<()>
    where
        T: 't;

    /// Visits the elements in order without holding all in memory; breaking stops.
    ///
    /// # Errors
    /// What the visitor returns; where the store fails or an element cannot be decoded.
    fn for_each(&mut self, visit: impl FnMut(T) -> Result<ControlFlow<()>>) -> Result<()>;

    /// All elements; empty where there is no list.
    ///
    /// # Errors
    /// As [`for_each`](Self::for_each).
    fn get(&mut self) -> Result<Vec<T>> {
        let mut elements = Vec::new();
        self.for_each(|element| {
            elements.push(element);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(elements)
    }

    /// How many elements and bytes the list has, without reading it.
    ///
    /// # Errors
    /// Where the store fails.
    fn size(&mut self) -> Result<ListSize>;

    /// Removes the list.
    ///
    /// # Errors
    /// Where the store fails.
    fn clear(&mut self) -> Result<()>;
}

/// Elements that a list is made room for first.
const FIRST_ELEMENTS: usize = 4;

/// [`ListState`] over a store.
#[derive(Debug)]
pub struct ListView<'c, S, T, C> {
    access: Access<'c, S>,
    types: PhantomData<fn() -> (T, C)>,
}

impl<'c, S: KeyedStore, T, C: Codec<T>> ListView<'c, S, T, C> {
    #[inline]
    pub(crate) fn new(access: Access<'c, S>) -> Self {
        Self { access, types: PhantomData }
    }

    /// Visits borrowed forms of the elements in order; breaking stops.
    ///
    /// # Errors
    /// As [`ListState::for_each`].
    pub fn read(
        &mut self,
        mut visit: impl FnMut(C::View<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let (slot, word) = (self.access.slot()?, self.access.word);
        let key = self.access.address.key(&word);
        let visit = &mut |bytes: &[u8]| visit(C::view(bytes)?);
        self.access.store.read_list(slot, &key, visit).map(drop)
    }

    fn encode<'t>(&mut self, elements: impl IntoIterator<Item = &'t T>) -> Result<()>
    where
        T: 't,
    {
        let buffer = &mut self.access.buffers.elements;
        buffer.clear();
        elements
            .into_iter()
            .try_for_each(|element| buffer.push_with(|out| <C as Encode<T>>::encode(element, out)))
    }
}

impl<S: KeyedStore, T, C: Codec<T>> ListState<T> for ListView<'_, S, T, C> {
    #[inline]
    fn add(&mut self, element: &T) -> Result<()> {
        self.add_all([element])
    }

    #[inline]
    fn add_all<'t>(&mut self, elements: impl IntoIterator<Item = &'t T>) -> Result<()>
    where
        T: 't,
    {
        let (slot, word) = (self.access.slot()?, self.access.word);
        let key = self.access.address.key(&word);
        self.encode(elements)?;
        let elements = self.access.buffers.elements.as_elements();
        self.access.store.append(slot, &key, elements)
    }

    fn update<'t>(&mut self, elements: impl IntoIterator<Item = &'t T>) -> Result<()>
    where
        T: 't,
    {
        let (slot, word) = (self.access.slot()?, self.access.word);
        let key = self.access.address.key(&word);
        self.encode(elements)?;
        let elements = self.access.buffers.elements.as_elements();
        self.access.store.replace_list(slot, &key, elements)
    }

    fn for_each(&mut self, mut visit: impl FnMut(T) -> Result<ControlFlow<()>>) -> Result<()> {
        let (slot, word) = (self.access.slot()?, self.access.word);
        let key = self.access.address.key(&word);
        let visit = &mut |bytes: &[u8]| visit(C::decode(bytes)?);
        self.access.store.read_list(slot, &key, visit).map(drop)
    }

    fn get(&mut self) -> Result<Vec<T>> {
        let mut elements = Vec::new();
        self.for_each(|element| {
            if elements.capacity() == 0 {
                // here and not by `push`, which would call what makes room for any number
                elements = Vec::with_capacity(FIRST_ELEMENTS);
            }
            elements.push(element);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(elements)
    }

    fn size(&mut self) -> Result<ListSize> {
        let (slot, word) = (self.access.slot()?, self.access.word);
        let key = self.access.address.key(&word);
        self.access.store.list_size(slot, &key)
    }

    fn clear(&mut self) -> Result<()> {
        let (slot, word) = (self.access.slot()?, self.access.word);
        let key = self.access.address.key(&word);
        self.access.store.remove(slot, &key)
    }
}
