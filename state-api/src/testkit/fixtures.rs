//! States that many cases share: one of each kind, filled from a seed and compared as a whole.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::codec::{KeyCodec, Native};
use crate::{
    Aggregate, AggregatingDescriptor, AggregatingState, Descriptor, EntryKey, ErrorKind,
    InNamespace, KeyHash, KeyedBackend, KeyedStore, ListDescriptor, ListState, MapDescriptor,
    MapState, MaxParallelism, ReducingDescriptor, ReducingState, Result, StateKey, ValueDescriptor,
    ValueState, hash_bytes, stable_placement,
};

/// The handle type of a descriptor type.
pub type HandleOf<D> = <D as Descriptor>::Handle;

/// Asserts that something failed with this kind of error.
#[track_caller]
pub fn refused<T>(result: Result<T>, kind: ErrorKind) {
    match result {
        Ok(_) => panic!("expected an error of kind {kind}"),
        Err(error) => assert_eq!(error.kind(), kind, "{error:?}"),
    }
}

/// A fold in which order and grouping show.
pub fn fold(a: i64, b: i64) -> i64 {
    a.wrapping_mul(31).wrapping_add(b)
}

/// Counts inputs and folds them in order.
#[derive(Debug)]
pub struct Trail;

impl Aggregate for Trail {
    type Input = i64;
    type Accumulator = (u64, i64);
    type Output = String;

    fn create() -> (u64, i64) {
        (0, 7)
    }

    fn add((count, trail): (u64, i64), input: i64) -> (u64, i64) {
        (count + 1, fold(trail, input))
    }

    fn merge(first: (u64, i64), second: (u64, i64)) -> (u64, i64) {
        (first.0 + second.0, fold(first.1, second.1))
    }

    fn result((count, trail): &(u64, i64)) -> String {
        format!("{count}:{trail}")
    }
}

type Window<T> = ListDescriptor<T, Native, InNamespace<i64>>;

const VALUE: ValueDescriptor<u64> = ValueDescriptor::new("value");
const LIST: ListDescriptor<String> = ListDescriptor::new("list");
const REDUCING: ReducingDescriptor<i64> = ReducingDescriptor::new("reducing", fold);
const AGGREGATING: AggregatingDescriptor<Trail> = AggregatingDescriptor::new("aggregating");
const MAP: MapDescriptor<String, u32> = MapDescriptor::new("map");
const WINDOW: Window<u64> = ListDescriptor::new("window").in_namespace();

/// One state of each kind, and a windowed one.
#[derive(Clone, Copy, Debug)]
pub struct Everything {
    value: HandleOf<ValueDescriptor<u64>>,
    list: HandleOf<ListDescriptor<String>>,
    reducing: HandleOf<ReducingDescriptor<i64>>,
    aggregating: HandleOf<AggregatingDescriptor<Trail>>,
    map: HandleOf<MapDescriptor<String, u32>>,
    window: HandleOf<Window<u64>>,
}

/// What all states of one key hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    value: Option<u64>,
    list: Vec<String>,
    reducing: Option<i64>,
    aggregating: Option<String>,
    map: Vec<(String, u32)>,
    windows: [Vec<u64>; 2],
}

/// Key and seed of what it holds.
pub type Image = BTreeMap<u64, u64>;

impl Everything {
    /// Entries that one filled key has in all states together.
    pub const ENTRIES_PER_KEY: u64 = 8;

    /// Opens all states.
    pub fn open<S: KeyedStore, P: KeyHash<u64>>(
        backend: &mut KeyedBackend<u64, S, Native, P>,
    ) -> Self {
        Self {
            value: backend.open(VALUE).unwrap(),
            list: backend.open(LIST).unwrap(),
            reducing: backend.open(REDUCING).unwrap(),
            aggregating: backend.open(AGGREGATING).unwrap(),
            map: backend.open(MAP).unwrap(),
            window: backend.open(WINDOW).unwrap(),
        }
    }

    /// Fills all states of a key, whatever they held.
    pub fn put<S: KeyedStore, P: KeyHash<u64>>(
        &self,
        backend: &mut KeyedBackend<u64, S, Native, P>,
        key: u64,
        seed: u64,
    ) {
        self.remove(backend, key);
        let signed = seed.cast_signed();
        let mut cx = backend.at(&key).unwrap();
        cx.value(self.value).set(&seed).unwrap();
        cx.list(self.list).add_all(&[seed.to_string(), String::new()]).unwrap();
        cx.reducing(self.reducing).add(signed).unwrap();
        cx.reducing(self.reducing).add(1).unwrap();
        cx.aggregating(self.aggregating).add(signed).unwrap();
        cx.map(self.map).insert("", &1).unwrap();
        cx.map(self.map).insert(seed.to_string().as_str(), &2).unwrap();
        let mut first = cx.within(&-1).unwrap();
        first.list(self.window).add_all(&[seed, seed + 1, seed + 2]).unwrap();
        let mut second = cx.within(&(signed % 3)).unwrap();
        second.list(self.window).add(&seed).unwrap();
    }

    /// Empties all states of a key.
    pub fn remove<S: KeyedStore, P: KeyHash<u64>>(
        &self,
        backend: &mut KeyedBackend<u64, S, Native, P>,
        key: u64,
    ) {
        let mut cx = backend.at(&key).unwrap();
        cx.value(self.value).clear().unwrap();
        cx.list(self.list).clear().unwrap();
        cx.reducing(self.reducing).clear().unwrap();
        cx.aggregating(self.aggregating).clear().unwrap();
        cx.map(self.map).clear().unwrap();
        for window in -1..3 {
            cx.within(&window).unwrap().list(self.window).clear().unwrap();
        }
    }

    /// Adds to what a key holds, without replacing it: a list element, a fold, a map entry.
    pub fn touch<S: KeyedStore, P: KeyHash<u64>>(
        &self,
        backend: &mut KeyedBackend<u64, S, Native, P>,
        key: u64,
    ) {
        let mut cx = backend.at(&key).unwrap();
        cx.value(self.value).update(|old| old.map(|old| old + 1)).unwrap();
        cx.list(self.list).add(&"more".to_owned()).unwrap();
        cx.reducing(self.reducing).add(5).unwrap();
        cx.aggregating(self.aggregating).add(5).unwrap();
        cx.map(self.map).insert("", &9).unwrap();
        cx.map(self.map).insert("more", &9).unwrap();
        cx.within(&-1).unwrap().list(self.window).add(&99).unwrap();
    }

    /// What all states of a key hold.
    pub fn read<S: KeyedStore, P: KeyHash<u64>>(
        &self,
        backend: &mut KeyedBackend<u64, S, Native, P>,
        key: u64,
        seed: u64,
    ) -> Content {
        let mut cx = backend.at(&key).unwrap();
        Content {
            value: cx.value(self.value).get().unwrap(),
            list: cx.list(self.list).get().unwrap(),
            reducing: cx.reducing(self.reducing).get().unwrap(),
            aggregating: cx.aggregating(self.aggregating).get().unwrap(),
            map: cx.map(self.map).entries().unwrap(),
            windows: [-1, seed.cast_signed() % 3]
                .map(|window| cx.within(&window).unwrap().list(self.window).get().unwrap()),
        }
    }

    /// Asserts that the keys `0..domain` which this backend owns hold what the image says, and that
    /// enumeration finds exactly those.
    #[track_caller]
    pub fn check<S: KeyedStore, P: KeyHash<u64>>(
        &self,
        backend: &mut KeyedBackend<u64, S, Native, P>,
        image: &Image,
        domain: u64,
    ) {
        let range = backend.store().key_space().range();
        let mut owned = Vec::new();
        for key in 0..domain {
            let seed = image.get(&key).copied();
            let group = group_of(backend.store().key_space(), &key);
            if !range.contains(group) {
                refused(backend.at(&key).map(drop), ErrorKind::InvalidInput);
                continue;
            }
            let found = self.read(backend, key, seed.unwrap_or(0));
            assert_eq!(found, seed.map(Content::of).unwrap_or_default(), "key {key}");
            owned.extend(seed.map(|_| key));
        }
        for keys in [
            keys_of(backend, self.value),
            keys_of(backend, self.list),
            keys_of(backend, self.reducing),
            keys_of(backend, self.aggregating),
            keys_of(backend, self.map),
        ] {
            assert_eq!(keys, owned);
        }
    }
}

impl Content {
    /// What [`Everything::put`] writes.
    pub fn of(seed: u64) -> Self {
        let signed = seed.cast_signed();
        Self {
            value: Some(seed),
            list: vec![seed.to_string(), String::new()],
            reducing: Some(fold(signed, 1)),
            aggregating: Some(format!("1:{}", fold(7, signed))),
            map: vec![(String::new(), 1), (seed.to_string(), 2)],
            windows: [vec![seed, seed + 1, seed + 2], vec![seed]],
        }
    }
}

/// All keys of a state in ascending order, each as often as it was visited.
pub fn keys_of<K: Ord, S: KeyedStore, P: KeyHash<K>, A>(
    backend: &mut KeyedBackend<K, S, Native, P>,
    handle: A,
) -> Vec<K>
where
    Native: KeyCodec<K>,
    A: crate::AnyHandle<Namespace = crate::NoNamespace>,
{
    let mut keys = Vec::new();
    let visited = backend.for_each_key(handle, |key| {
        keys.push(key);
        Ok(ControlFlow::Continue(()))
    });
    visited.unwrap();
    keys.sort_unstable();
    keys
}

/// The key group of a key in a key space.
pub fn group_of<K>(space: &crate::schema::KeySpace, key: &K) -> crate::KeyGroup
where
    Native: KeyCodec<K>,
{
    let mut bytes = Vec::new();
    <Native as crate::codec::EncodeKey<K>>::encode_key(key, &mut bytes).unwrap();
    space.group_of(&bytes).unwrap()
}

/// A raw key, for cases that speak the SPI.
#[derive(Clone, Debug)]
pub struct RawKey {
    bytes: Vec<u8>,
    key_end: usize,
    namespace_end: usize,
    groups: MaxParallelism,
}

impl RawKey {
    /// Key, namespace and map key as bytes.
    pub fn new(groups: MaxParallelism, key: &[u8], namespace: &[u8], map_key: &[u8]) -> Self {
        Self {
            bytes: [key, namespace, map_key].concat(),
            key_end: key.len(),
            namespace_end: key.len() + namespace.len(),
            groups,
        }
    }

    /// As the SPI takes it.
    pub fn get(&self) -> StateKey<'_> {
        let entry = EntryKey::new(&self.bytes, self.key_end, self.namespace_end).unwrap();
        let hash = hash_bytes(entry.key());
        StateKey::new(entry, hash, stable_placement(hash), self.groups)
    }
}

/// An image of `count` keys with seeds from `seed`.
pub fn image(count: u64, seed: u64) -> Image {
    (0..count).map(|key| (key, seed + key)).collect()
}

/// Writes an image.
pub fn fill<S: KeyedStore, P: KeyHash<u64>>(
    backend: &mut KeyedBackend<u64, S, Native, P>,
    states: &Everything,
    image: &Image,
) {
    for (key, seed) in image {
        states.put(backend, *key, *seed);
    }
}
