//! [`Maps`]: accesses on maps in memory, as a program without a state backend would keep its state.
//!
//! # Role
//! [`Plain`], on maps of the standard library, is the plain computation that every backend must agree with. The
//! same on `hashbrown`'s maps and on ordered ones are peers: nothing is encoded, and nothing can be snapshotted.
//!
//! There is a map for each kind of state, without windows and with them, whose keys and values are those of the
//! operator: bytes, numbers, a vector of elements, an ordered map of map keys.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{BuildHasher, Hash};

use alluvium_state_api::{Error, Result};

use super::Target;
use super::access::{Access, Blob, Fold, Operation};
use super::player::PlayedKey;
use crate::keys::mix;

/// A map of a [`Family`].
pub trait Map<K, V: Default>: Default {
    /// The value of a key.
    fn get(&self, key: &K) -> Option<&V>;

    /// Changes the value of a key, which is the default where there is none.
    fn change(&mut self, key: &K, change: impl FnOnce(&mut V));

    /// Removes a key.
    fn remove(&mut self, key: &K) -> Option<V>;

    /// How many keys there are.
    fn count(&self) -> usize;

    /// Each entry, in any order.
    fn each<'a>(&'a self) -> impl Iterator<Item = (&'a K, &'a V)>
    where
        K: 'a,
        V: 'a;
}

/// A kind of map, for keys and values of any type.
pub trait Family: 'static {
    /// The map.
    type Map<K: Hash + Ord + Clone, V: Default>: Map<K, V>;
}

/// The standard library's hash maps.
#[derive(Clone, Copy, Debug)]
pub struct Standard;

/// `hashbrown`'s hash maps with its own hasher, which is faster than the standard library's.
#[derive(Clone, Copy, Debug)]
pub struct Hashbrown;

/// The standard library's ordered maps.
#[derive(Clone, Copy, Debug)]
pub struct Ordered;

macro_rules! family {
    ($family:ty: $($map:ident)::+ $(, $hasher:ident)?) => {
        impl Family for $family {
            type Map<K: Hash + Ord + Clone, V: Default> = $($map)::+<K, V>;
        }

        impl<K: Hash + Ord + Clone, V: Default $(, $hasher: BuildHasher + Default)?> Map<K, V>
            for $($map)::+<K, V $(, $hasher)?>
        {
            #[inline]
            fn get(&self, key: &K) -> Option<&V> {
                self.get(key)
            }

            #[inline]
            fn change(&mut self, key: &K, change: impl FnOnce(&mut V)) {
                if let Some(value) = self.get_mut(key) {
                    return change(value);
                }
                let mut value = V::default();
                change(&mut value);
                self.insert(key.clone(), value);
            }

            #[inline]
            fn remove(&mut self, key: &K) -> Option<V> {
                self.remove(key)
            }

            fn count(&self) -> usize {
                self.len()
            }

            fn each<'a>(&'a self) -> impl Iterator<Item = (&'a K, &'a V)>
            where
                K: 'a,
                V: 'a,
            {
                self.iter()
            }
        }
    };
}

family!(Standard: HashMap, S);
family!(Hashbrown: hashbrown::HashMap, S);
family!(Ordered: BTreeMap);

type Elements = Vec<Vec<u8>>;
type Entries = BTreeMap<u64, Vec<u8>>;

/// All states, without windows or in them.
struct States<F: Family, K: Hash + Ord + Clone> {
    values: F::Map<K, Vec<u8>>,
    sums: F::Map<K, u64>,
    lists: F::Map<K, Elements>,
    maps: F::Map<K, Entries>,
}

impl<F: Family, K: Hash + Ord + Clone> Default for States<F, K> {
    fn default() -> Self {
        Self {
            values: F::Map::default(),
            sums: F::Map::default(),
            lists: F::Map::default(),
            maps: F::Map::default(),
        }
    }
}

impl<F: Family, K: Hash + Ord + Clone> States<F, K> {
    fn len(&self) -> usize {
        self.values.count() + self.sums.count() + self.lists.count() + self.maps.count()
    }

    fn entries(&self) -> u64 {
        let maps: usize = self.maps.each().map(|(_, map)| map.len()).sum();
        (self.values.count() + self.sums.count() + self.lists.count() + maps) as u64
    }

    fn holds(&self, key: &K, state: &str) -> bool {
        match state {
            "value" => self.values.get(key).is_some(),
            "sum" => self.sums.get(key).is_some(),
            "list" => self.lists.get(key).is_some(),
            _ => self.maps.get(key).is_some(),
        }
    }

    /// Each key, with an operation that reads all that it has in one of the states.
    fn each(&self, mut show: impl FnMut(&K, Operation)) {
        self.values.each().for_each(|(key, _)| show(key, Operation::ValueGet));
        self.sums.each().for_each(|(key, _)| show(key, Operation::SumGet));
        self.lists.each().for_each(|(key, _)| show(key, Operation::ListGet));
        self.maps.each().for_each(|(key, _)| show(key, Operation::MapScan));
    }

    #[inline]
    fn apply(&mut self, key: &K, operation: Operation, fold: &mut Fold) {
        match operation {
            Operation::ValueGet => tell(self.values.get(key).map(Vec::as_slice), fold),
            Operation::ValueSet(blob) => self.values.change(key, |value| blob.write(value)),
            Operation::ValueClear => drop(self.values.remove(key)),
            Operation::SumAdd(number) => {
                self.sums.change(key, |sum| *sum = sum.wrapping_add(number));
            }
            Operation::SumGet => match self.sums.get(key) {
                Some(sum) => fold.number(*sum),
                None => fold.nothing(),
            },
            Operation::SumClear => drop(self.sums.remove(key)),
            Operation::ListAdd(blob) => self.lists.change(key, |list| list.push(bytes(blob))),
            Operation::ListAddAll(_, 0) | Operation::MergeSum(_) | Operation::MergeList(_) => {}
            Operation::ListUpdate(_, 0) | Operation::ListClear => drop(self.lists.remove(key)),
            Operation::ListAddAll(first, count) => {
                self.lists.change(key, |list| list.extend(series(first, count).map(bytes)));
            }
            Operation::ListUpdate(first, count) => self.lists.change(key, |list| {
                list.clear();
                list.extend(series(first, count).map(bytes));
            }),
            Operation::ListGet => {
                let elements = self.lists.get(key).into_iter().flatten();
                elements.for_each(|element| fold.bytes(element));
            }
            Operation::MapGet(map_key) => {
                let value = self.maps.get(key).and_then(|map| map.get(&map_key));
                tell(value.map(Vec::as_slice), fold);
            }
            Operation::MapInsert(map_key, blob) => {
                self.maps.change(key, |map| blob.write(map.entry(map_key).or_default()));
            }
            Operation::MapRemove(map_key) => self.map_remove(key, map_key),
            Operation::MapScan => {
                for (map_key, value) in self.maps.get(key).into_iter().flatten() {
                    fold.number(*map_key);
                    fold.bytes(value);
                }
            }
            Operation::MapClear => drop(self.maps.remove(key)),
        }
    }

    fn map_remove(&mut self, key: &K, map_key: u64) {
        let mut empty = true;
        if self.maps.get(key).is_some() {
            self.maps.change(key, |map| {
                map.remove(&map_key);
                empty = map.is_empty();
            });
        }
        if empty {
            self.maps.remove(key);
        }
    }

    fn merge(&mut self, target: &K, source: &K, lists: bool) {
        if target == source {
        } else if lists {
            if let Some(elements) = self.lists.remove(source) {
                self.lists.change(target, |list| list.extend(elements));
            }
        } else if let Some(more) = self.sums.remove(source) {
            self.sums.change(target, |sum| *sum = sum.wrapping_add(more));
        }
    }
}

/// See the module.
pub struct Maps<F: Family, K: PlayedKey + Hash + Ord + Clone = u64> {
    plain: States<F, K>,
    windowed: States<F, (K, u64)>,
    /// The key of the last access with its window, and the one that is merged.
    at: (K, u64),
    source: (K, u64),
    form: K::Form,
    fold: Fold,
}

/// The plain computation that every backend must agree with.
pub type Plain = Maps<Standard>;

impl<F: Family, K: PlayedKey + Hash + Ord + Clone> fmt::Debug for Maps<F, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Maps").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl<F: Family> Default for Maps<F> {
    fn default() -> Self {
        Self::new(())
    }
}

impl<F: Family, K: PlayedKey + Hash + Ord + Clone> Maps<F, K> {
    /// Empty maps. The key's form is its length, where keys are bytes.
    pub fn new(form: K::Form) -> Self {
        Self {
            plain: States::default(),
            windowed: States::default(),
            at: (K::start(), 0),
            source: (K::start(), 0),
            form,
            fold: Fold::default(),
        }
    }

    /// How many keys have something, counted once for each of their windows and kinds of state.
    pub fn len(&self) -> usize {
        self.plain.len() + self.windowed.len()
    }

    /// How many entries there are: keys in their windows, and of maps each map key.
    pub fn entries(&self) -> u64 {
        self.plain.entries() + self.windowed.entries()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<F: Family> Maps<F> {
    /// Whether a key has something in this kind of state ([`Operation::state`]), in a window or without one.
    pub fn holds(&self, key: u64, window: Option<u64>, state: &str) -> bool {
        match window {
            None => self.plain.holds(&key, state),
            Some(window) => self.windowed.holds(&(key, window), state),
        }
    }

    /// Reads of what is held, at most about so many: the same ones and in the same order whatever the maps.
    pub fn reads(&self, most: usize) -> Vec<Access> {
        let step = (self.len() / most.max(1)).max(1) as u64;
        let mut reads = Vec::new();
        let mut take = |key: u64, window: Option<u64>, operation| {
            let order = mix(key ^ window.map_or(0, mix));
            if order.is_multiple_of(step) {
                reads.push((order, Access { key, window, operation }));
            }
        };
        self.plain.each(|key, operation| take(*key, None, operation));
        self.windowed.each(|at, operation| take(at.0, Some(at.1), operation));
        reads.sort_unstable_by_key(|(order, access)| {
            (*order, access.key, access.window, access.operation.name())
        });
        reads.into_iter().map(|(_, access)| access).collect()
    }

    /// The digest of this read by itself; what was read before counts on.
    ///
    /// # Errors
    /// None that occurs.
    pub fn peek(&mut self, read: &Access) -> Result<u64> {
        let before = std::mem::take(&mut self.fold);
        self.apply(read)?;
        let digest = self.fold.digest();
        self.fold = before;
        Ok(digest)
    }
}

/// Merging is for windows.
#[cold]
pub(crate) fn unwindowed() -> Error {
    Error::invalid_input("windows are merged in a window; the access names none")
}

fn bytes(blob: Blob) -> Vec<u8> {
    let mut bytes = Vec::new();
    blob.write(&mut bytes);
    bytes
}

/// `count` blobs that begin with this one.
pub(crate) fn series(first: Blob, count: u32) -> impl Iterator<Item = Blob> {
    (0..count).map(move |at| Blob { seed: first.seed.wrapping_add(at.into()), ..first })
}

fn tell(value: Option<&[u8]>, fold: &mut Fold) {
    match value {
        Some(value) => fold.bytes(value),
        None => fold.nothing(),
    }
}

impl<F: Family, K: PlayedKey + Hash + Ord + Clone> Target for Maps<F, K> {
    #[inline]
    fn apply(&mut self, access: &Access) -> Result<()> {
        let Self { plain, windowed, at, source, form, fold } = self;
        at.0.remake(access.key, *form);
        let merged = match access.operation {
            Operation::MergeSum(window) => Some((window, false)),
            Operation::MergeList(window) => Some((window, true)),
            _ => None,
        };
        match (access.window, merged) {
            (None, None) => plain.apply(&at.0, access.operation, fold),
            (None, Some(_)) => return Err(unwindowed()),
            (Some(window), None) => {
                at.1 = window;
                windowed.apply(at, access.operation, fold);
            }
            (Some(window), Some((from, lists))) => {
                at.1 = window;
                source.0.remake(access.key, *form);
                source.1 = from;
                windowed.merge(at, source, lists);
            }
        }
        Ok(())
    }

    fn digest(&self) -> u64 {
        self.fold.digest()
    }

    fn restart(&mut self) {
        self.fold = Fold::default();
    }
}
