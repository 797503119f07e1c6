//! Schedules of a table: one writer, two snapshots.
//!
//! The writer changes the table, begins a snapshot, changes it while another thread reads the snapshot,
//! and does so again, so that two are in flight and the second is an increment on the first. Either is
//! read to its end, given up after some shards, or dropped unread; the table may be gone before.

#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "part of the table's tests")]
#[path = "../../../backend-memory/src/table/tests/rig.rs"]
mod rig;

use shuttle::rand::{Rng, thread_rng};
use shuttle::thread;
use xxhash_rust::xxh3::xxh3_64;

use super::{Seed, ShardImage, Table, TableView, VarKey};
use rig::{Kind, Look, Map};

/// What distinguishes scenarios.
#[derive(Clone, Copy, Debug)]
struct Scenario {
    /// Keys are below.
    keys: u32,
    /// Values are made from numbers below, times `stride`, and `plus`.
    values: (u32, u32, u32),
    /// Entries at the beginning.
    filled: u32,
    /// How many at most are put or removed at once, so that a shard grows, splits or shrinks.
    many: u32,
}

/// Values of 8 bytes: shards are copied as they are.
pub(super) fn of_fixed_entries() {
    let scenario = Scenario { keys: 90, values: (1000, 1, 0), filled: 30, many: 50 };
    schedule::<[u8; 8]>(scenario);
}

/// Keys and values on the heap: entries are copied one by one.
pub(super) fn of_variable_entries() {
    let scenario = Scenario { keys: 60, values: (40, 1, 0), filled: 20, many: 30 };
    schedule::<VarKey>(scenario);
}

/// Values so long that a shard splits when it has some forty entries.
pub(super) fn that_split() {
    let scenario = Scenario { keys: 60, values: (4, 5000, 4975), filled: 30, many: 30 };
    schedule::<VarKey>(scenario);
}

fn below(limit: u32) -> u32 {
    thread_rng().gen_range(0..limit)
}

/// A table and what it should hold.
struct Writer<K: Kind> {
    table: Table<K, K::Cell>,
    model: Map,
    scenario: Scenario,
}

impl<K: Kind> Writer<K> {
    fn new(scenario: Scenario) -> Self {
        let mut table = Table::new(Seed::new(0x1234_5678_9abc_def1, 0xfedc_ba98), xxh3_64);
        if below(2) == 0 {
            table.reserve(4096, 0); // four shards
        }
        let mut writer = Self { table, model: Map::new(), scenario };
        (0..scenario.filled).for_each(|number| writer.put(number));
        writer
    }

    fn value(&self) -> Vec<u8> {
        let (limit, stride, plus) = self.scenario.values;
        K::value(below(limit) * stride + plus)
    }

    fn put(&mut self, number: u32) {
        let (key, value) = (K::key(number), self.value());
        if let Some(probe) = K::probe(&key) {
            self.table.insert(xxh3_64(&key), probe, K::Cell::make(&value));
            self.model.insert(key, value);
        }
    }

    fn edit(&mut self, number: u32) {
        let (key, value) = (K::key(number), self.value());
        if let Some(probe) = K::probe(&key) {
            self.table.entry(xxh3_64(&key), probe).edit(|cell| cell.change(&value));
            if let Some(place) = self.model.get_mut(&key) {
                *place = value;
            }
        }
    }

    fn remove(&mut self, number: u32) {
        let key = K::key(number);
        if let Some(probe) = K::probe(&key) {
            self.table.remove(xxh3_64(&key), probe);
            self.model.remove(&key);
        }
    }

    /// Changes something: one entry, or so many that a shard grows or shrinks.
    fn change(&mut self) {
        let Scenario { keys, many, .. } = self.scenario;
        let (number, count) = (below(keys), below(many));
        match below(10) {
            0..=2 => self.put(number),
            3..=5 => self.edit(number),
            6 | 7 => self.remove(number),
            8 => (0..count).for_each(|more| self.put((number + more) % keys)),
            _ => (0..count).for_each(|more| self.remove((number + more) % keys)),
        }
    }

    fn changes(&mut self, most: u32) {
        (0..below(most + 1)).for_each(|_| self.change());
    }

    fn check(&self) {
        let mut all = Map::new();
        self.table.for_each(|key, cell| drop(all.insert(key.to_vec(), cell.value().to_vec())));
        assert!(all == self.model, "the table is not what the writer made of it");
        assert_eq!(self.table.len(), self.model.len());
    }
}

/// What becomes of a snapshot.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Read,
    GivenUpAfter(u32),
    Dropped,
}

fn fate() -> Fate {
    match below(8) {
        0 => Fate::Dropped,
        1 | 2 => Fate::GivenUpAfter(below(4)),
        _ => Fate::Read,
    }
}

/// Reads a snapshot on a thread of its own, on top of `base`, and compares it with `expected`.
fn read<K: Kind>(mut view: TableView<K, K::Cell>, base: Map, expected: &Map, fate: Fate) {
    let mut all = base;
    view.removed(|key| drop(all.remove(key)));
    let (mut image, mut got, mut shards) = (ShardImage::default(), Map::new(), 0);
    if matches!(fate, Fate::Dropped) {
        return;
    }
    while view.next_shard(&mut image) {
        image.for_each(|item| {
            let value = K::Cell::imaged(item.image, item.arena);
            let twice = got.insert(item.key.to_vec(), value);
            assert_eq!(twice, None, "an entry was yielded twice");
        });
        if matches!(fate, Fate::GivenUpAfter(most) if shards >= most) {
            return;
        }
        shards += 1;
    }
    all.extend(got);
    assert!(all == *expected, "a snapshot saw {} entries of {}", all.len(), expected.len());
}

fn schedule<K: Kind + 'static>(scenario: Scenario)
where
    K::Cell: 'static,
    TableView<K, K::Cell>: Send,
{
    let mut writer = Writer::<K>::new(scenario);
    let Some(first) = writer.table.begin_snapshot(true) else {
        panic!("the first snapshot begins");
    };
    let (first_epoch, first_model) = (first.epoch(), writer.model.clone());
    let mut readers = Vec::new();
    let (expected, fate_of_first) = (first_model.clone(), fate());
    readers.push(thread::spawn(move || read(first, Map::new(), &expected, fate_of_first)));
    writer.changes(6);
    let Some(mut second) = writer.table.begin_snapshot(true) else {
        panic!("a second snapshot begins");
    };
    let incremental = below(2) == 0;
    assert!(!incremental || second.since(first_epoch), "the table remembers the first snapshot");
    let base = if incremental { first_model } else { Map::new() };
    let (expected, fate_of_second) = (writer.model.clone(), fate());
    readers.push(thread::spawn(move || read(second, base, &expected, fate_of_second)));
    writer.changes(6);
    writer.check();
    if below(3) == 0 {
        drop(writer);
    } else {
        readers.drain(..).for_each(join);
        writer.changes(2);
        writer.check();
    }
    readers.drain(..).for_each(join);
}

fn join(reader: thread::JoinHandle<()>) {
    assert!(reader.join().is_ok(), "a reader panicked");
}
