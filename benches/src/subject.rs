//! What is measured: a backend behind the typed front, and `hashbrown` as a peer.
//!
//! Loops are kept out of line, so that both sides are compiled by themselves whatever calls them.

use alluvium_backend_memory::MemoryStore;
use alluvium_state_api::codec::Native;
use alluvium_state_api::{
    KeyedBackend, KeyedStore, NoNamespace, Result, ValueDescriptor, ValueHandle, ValueState,
};

use crate::disk::Disk;
use crate::engine::{Engine, memory_store};
use crate::keys::key;

/// The state that is measured.
pub const COUNT: ValueDescriptor<u64> = ValueDescriptor::new("count");

/// Keys of a batch.
pub const BATCH: usize = 64;

/// Its handle.
pub type Count = ValueHandle<u64, Native, NoNamespace>;

/// A backend with one value state.
#[derive(Debug)]
pub struct Subject<S: KeyedStore> {
    /// The backend.
    pub backend: KeyedBackend<u64, S>,
    /// Its state.
    pub count: Count,
}

impl Subject<MemoryStore> {
    /// A memory backend with `keys` keys, whose values are their numbers.
    ///
    /// # Errors
    /// Where the backend fails.
    pub fn memory(keys: u64) -> Result<Self> {
        let mut subject = Self::over(memory_store(Vec::new())?)?;
        subject.fill(0, keys)?;
        Ok(subject)
    }
}

impl Subject<Box<dyn KeyedStore>> {
    /// The same behind dynamic dispatch.
    ///
    /// # Errors
    /// Where the backend fails.
    pub fn boxed(keys: u64) -> Result<Self> {
        let mut subject = Self::over(Box::new(memory_store(Vec::new())?) as Box<dyn KeyedStore>)?;
        subject.fill(0, keys)?;
        Ok(subject)
    }
}

impl<S: Engine> Subject<S> {
    /// A backend of this kind with `keys` keys, whose values are their numbers.
    ///
    /// # Errors
    /// Where the backend fails.
    pub fn filled(disk: &mut Disk, keys: u64) -> Result<Self> {
        let mut subject = Self::over(S::store(disk, Vec::new())?)?;
        subject.fill(0, keys)?;
        Ok(subject)
    }
}

impl<S: KeyedStore> Subject<S> {
    /// A backend over this store.
    ///
    /// # Errors
    /// Where the backend fails.
    pub fn over(store: S) -> Result<Self> {
        let mut backend = KeyedBackend::new(store)?;
        let count = backend.open(COUNT)?;
        Ok(Self { backend, count })
    }

    /// Sets the keys numbered `from` to `to` to their numbers.
    ///
    /// # Errors
    /// Where the backend fails.
    pub fn fill(&mut self, from: u64, to: u64) -> Result<()> {
        for number in from..to {
            self.backend.at(&key(number))?.value(self.count).set(&number)?;
        }
        Ok(())
    }

    /// Reads keys one by one; the sum of the values.
    ///
    /// # Errors
    /// Where the backend fails.
    #[inline(never)]
    pub fn get(&mut self, keys: &[u64]) -> Result<u64> {
        let mut sum = 0u64;
        for key in keys {
            let value = self.backend.at(key)?.value(self.count).get()?;
            sum = sum.wrapping_add(value.unwrap_or(0));
        }
        Ok(sum)
    }

    /// Sets the values of keys to their keys, one by one.
    ///
    /// # Errors
    /// Where the backend fails.
    #[inline(never)]
    pub fn put(&mut self, keys: &[u64]) -> Result<()> {
        for key in keys {
            self.backend.at(key)?.value(self.count).set(key)?;
        }
        Ok(())
    }

    /// Increments keys one by one; the sum of the values before.
    ///
    /// # Errors
    /// Where the backend fails.
    #[inline(never)]
    pub fn update(&mut self, keys: &[u64]) -> Result<u64> {
        let mut sum = 0u64;
        for key in keys {
            self.backend.at(key)?.value(self.count).update(|value| {
                let value = value.unwrap_or(0);
                sum = sum.wrapping_add(value);
                Some(value.wrapping_add(1))
            })?;
        }
        Ok(sum)
    }

    /// [`get`](Self::get) in batches.
    ///
    /// # Errors
    /// Where the backend fails.
    #[inline(never)]
    pub fn get_batched(&mut self, keys: &[u64]) -> Result<u64> {
        let mut sum = 0u64;
        for chunk in keys.chunks(BATCH) {
            self.backend.batch(chunk)?.get(self.count, |_, value| {
                sum = sum.wrapping_add(value.unwrap_or(0));
            })?;
        }
        Ok(sum)
    }

    /// [`update`](Self::update) in batches.
    ///
    /// # Errors
    /// Where the backend fails.
    #[inline(never)]
    pub fn update_batched(&mut self, keys: &[u64]) -> Result<u64> {
        let mut sum = 0u64;
        for chunk in keys.chunks(BATCH) {
            self.backend.batch(chunk)?.update(self.count, |_, value| {
                let value = value.unwrap_or(0);
                sum = sum.wrapping_add(value);
                Some(value.wrapping_add(1))
            })?;
        }
        Ok(sum)
    }

    /// Touches all keys, so that each belongs to the present epoch.
    ///
    /// # Errors
    /// Where the backend fails.
    pub fn touch_all(&mut self, keys: u64) -> Result<()> {
        let mut chunk = [0u64; BATCH];
        for from in (0..keys).step_by(BATCH) {
            for (number, place) in (from..).zip(&mut chunk) {
                *place = key(number.min(keys.saturating_sub(1)));
            }
            self.update_batched(&chunk)?;
        }
        Ok(())
    }
}

/// `hashbrown`'s map with its default hasher, presized.
#[derive(Debug)]
pub struct Peer(hashbrown::HashMap<u64, u64>);

impl Peer {
    /// The map with `keys` keys, whose values are their numbers.
    pub fn new(keys: u64) -> Self {
        let capacity = usize::try_from(keys).unwrap_or(usize::MAX);
        let mut map = hashbrown::HashMap::with_capacity(capacity);
        map.extend((0..keys).map(|number| (key(number), number)));
        Self(map)
    }

    /// As [`Subject::get`].
    #[inline(never)]
    pub fn get(&self, keys: &[u64]) -> u64 {
        let mut sum = 0u64;
        for key in keys {
            sum = sum.wrapping_add(self.0.get(key).copied().unwrap_or(0));
        }
        sum
    }

    /// As [`Subject::update`].
    #[inline(never)]
    pub fn update(&mut self, keys: &[u64]) -> u64 {
        let mut sum = 0u64;
        for key in keys {
            let value = self.0.entry(*key).or_insert(0);
            sum = sum.wrapping_add(*value);
            *value = value.wrapping_add(1);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::accesses;

    #[test]
    fn both_sides_do_the_same() -> Result<()> {
        let (mut one, mut two) = (Subject::memory(1000)?, Subject::boxed(1000)?);
        let mut peer = Peer::new(1000);
        let keys = accesses(1100, 5000, 7);
        for _ in 0..2 {
            assert_eq!(one.update(&keys)?, peer.update(&keys));
            two.update_batched(&keys)?;
            let sum = peer.get(&keys);
            assert_eq!([one.get(&keys)?, two.get_batched(&keys)?], [sum, sum]);
        }
        Ok(())
    }
}
