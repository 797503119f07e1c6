//! A table beside a model of it.
//!
//! Every call goes to both and must yield the same. Snapshots are captured in steps, whenever the
//! test says, and compared with what the model was when they began. Increments are applied to the
//! image of their base, and must yield the same as a full one.

use super::super::{Blob, Cell, Epoch, Fixed, KeyRep, Seed, ShardImage, Table, TableView, VarKey};
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64;

/// Keys and values.
pub(super) type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// How a cell looks from outside.
pub(super) trait Look: Cell {
    fn make(value: &[u8]) -> Self;
    fn value(&self) -> &[u8];
    fn change(&mut self, value: &[u8]);
    fn imaged(image: &Self::Image, arena: &[u8]) -> Vec<u8>;
}

impl<const N: usize> Look for Fixed<N> {
    fn make(value: &[u8]) -> Self {
        Self(value.try_into().unwrap())
    }

    fn value(&self) -> &[u8] {
        &self.0
    }

    fn change(&mut self, value: &[u8]) {
        self.0.copy_from_slice(value);
    }

    fn imaged(image: &Self, _arena: &[u8]) -> Vec<u8> {
        image.0.to_vec()
    }
}

impl Look for Blob {
    fn make(value: &[u8]) -> Self {
        Self::new(value)
    }

    fn value(&self) -> &[u8] {
        self.bytes()
    }

    fn change(&mut self, value: &[u8]) {
        self.assign(value);
    }

    fn imaged(image: &Self::Image, arena: &[u8]) -> Vec<u8> {
        image.bytes(arena).to_vec()
    }
}

/// How test keys and values are made from numbers.
pub(super) trait Kind: KeyRep {
    type Cell: Look;
    fn key(number: u32) -> Vec<u8>;
    fn value(number: u32) -> Vec<u8>;
}

impl Kind for [u8; 8] {
    type Cell = Fixed<8>;

    fn key(number: u32) -> Vec<u8> {
        u64::from(number).to_be_bytes().to_vec()
    }

    fn value(number: u32) -> Vec<u8> {
        u64::from(number).to_le_bytes().to_vec()
    }
}

impl Kind for VarKey {
    type Cell = Blob;

    fn key(number: u32) -> Vec<u8> {
        let mut key = number.to_be_bytes().to_vec();
        key.resize(4 + number as usize % 40, 7);
        key
    }

    fn value(number: u32) -> Vec<u8> {
        let len = match number % 16 {
            0 => 0,
            1..=10 => number % 23,
            11..=14 => number % 900,
            _ => number % 5000,
        };
        number.to_le_bytes().into_iter().cycle().take(len as usize).collect()
    }
}

/// A snapshot in flight.
pub(super) struct Flight<K: Kind> {
    view: TableView<K, K::Cell>,
    expected: Map,
    base: Option<Map>,
    got: Map,
    image: ShardImage<K, K::Cell>,
}

/// A table and its model.
pub(super) struct Rig<K: Kind> {
    pub(super) table: Table<K, K::Cell>,
    pub(super) model: Map,
    pub(super) flights: Vec<Flight<K>>,
    hash: fn(&[u8]) -> u64,
    confirmed: Option<(Epoch, Map)>,
}

impl<K: Kind> Rig<K> {
    pub(super) fn new() -> Self {
        Self::with_hash(xxh3_64)
    }

    pub(super) fn with_hash(hash: fn(&[u8]) -> u64) -> Self {
        let table = Table::new(Seed::new(0x1234_5678_9abc_def1, 0x0fed_cba9_8765_4321), hash);
        let flights = Vec::new();
        Self { table, model: Map::new(), flights, hash, confirmed: None }
    }

    pub(super) fn put(&mut self, key: u32, value: u32) {
        let (key, value) = (K::key(key), K::value(value));
        let probe = K::probe(&key).unwrap();
        let cell = K::Cell::make(&value);
        let old = self.table.insert((self.hash)(&key), probe, cell);
        assert_eq!(self.model.insert(key, value).as_deref(), old.as_ref().map(Look::value));
    }

    pub(super) fn edit(&mut self, key: u32, value: u32) {
        let (key, value) = (K::key(key), K::value(value));
        let mut entry = self.table.entry((self.hash)(&key), K::probe(&key).unwrap());
        assert_eq!(entry.get().map(Look::value), self.model.get(&key).map(Vec::as_slice));
        let edited = entry.edit(|cell| cell.change(&value)).is_some();
        let model = self.model.get_mut(&key).map(|place| *place = value);
        assert_eq!(edited, model.is_some());
    }

    pub(super) fn remove(&mut self, key: u32) {
        let key = K::key(key);
        let old = self.table.remove((self.hash)(&key), K::probe(&key).unwrap());
        assert_eq!(self.model.remove(&key).as_deref(), old.as_ref().map(Look::value));
    }

    pub(super) fn get(&self, key: u32) {
        let key = K::key(key);
        let hash = (self.hash)(&key);
        self.table.warm(&[hash]);
        let cell = self.table.get(hash, K::probe(&key).unwrap());
        assert_eq!(cell.map(Look::value), self.model.get(&key).map(Vec::as_slice));
    }

    /// Begins a snapshot: an increment if that is asked for and possible.
    pub(super) fn begin(&mut self, increment: bool) {
        let Some(mut view) = self.table.begin_snapshot(true) else {
            panic!("no more snapshots");
        };
        assert_eq!(view.len(), self.model.len());
        let base = self.confirmed.as_ref().filter(|(epoch, _)| increment && view.since(*epoch));
        let mut base = base.map(|(_, base)| base.clone());
        if let Some(base) = &mut base {
            view.removed(|key| drop(base.remove(key)));
        }
        let (expected, image) = (self.model.clone(), ShardImage::default());
        self.flights.push(Flight { view, expected, base, got: Map::new(), image });
    }

    /// Captures one shard more; says whether the snapshot goes on. One that is complete is
    /// compared, and confirmed if `confirm`.
    pub(super) fn step(&mut self, index: usize, confirm: bool) -> bool {
        let flight = &mut self.flights[index];
        if flight.view.next_shard(&mut flight.image) {
            flight.image.for_each(|item| {
                let value = K::Cell::imaged(item.image, item.arena);
                let old = flight.got.insert(item.key.to_vec(), value);
                assert_eq!(old, None, "yielded twice");
            });
            return true;
        }
        let Flight { view, expected, base, got, .. } = self.flights.remove(index);
        let mut image = base.unwrap_or_default();
        image.extend(got);
        assert!(image == expected, "{} entries of {}", image.len(), expected.len());
        let newer = self.confirmed.as_ref().is_none_or(|(epoch, _)| *epoch < view.epoch());
        if confirm && newer && self.table.set_horizon(Some(view.epoch())) {
            self.confirmed = Some((view.epoch(), image));
        }
        false
    }

    /// Gives up a snapshot.
    pub(super) fn cancel(&mut self, index: usize) {
        self.flights.remove(index);
    }

    /// Captures all snapshots to their ends, and compares the whole table.
    pub(super) fn finish(&mut self) {
        while !self.flights.is_empty() {
            while self.step(0, false) {}
        }
        let mut all = Map::new();
        self.table.for_each(|key, cell| {
            assert_eq!(all.insert(key.to_vec(), cell.value().to_vec()), None);
        });
        assert!(all == self.model);
        assert_eq!(self.table.len(), self.model.len());
    }
}
