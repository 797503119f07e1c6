//! Single operations of each kind of state, as Apache Flink's state benchmarks have them: on keys that are
//! there (`get`, `update`, `append`) and on new ones (`add`), with lists of 100 values and maps of 10 keys.
//!
//! Sizes of keys and values are swept by playing the same workload with other [`Shape`]s.

use super::draw::Draw;
use super::{Access, Accesses, Blob, Operation, Shape, Workload};
use crate::keys::{key, mix};

/// Elements of a list.
pub const LIST_VALUES: u32 = 100;
/// Keys of a map.
pub const MAP_KEYS: u64 = 10;

/// All of them.
pub fn all() -> Vec<Workload> {
    let of = |name, fill, run| Workload { name, fill, run };
    vec![
        of("value.get", values, |shape, keys| drawn(shape, keys, |_| Operation::ValueGet)),
        of("value.update", values, |shape, keys| drawn(shape, keys, Operation::ValueSet)),
        of("value.add", super::empty, |shape, _| added(shape, Operation::ValueSet)),
        of("value.read-modify-write", values, read_modify_write),
        of("sum.get", sums, |shape, keys| drawn(shape, keys, |_| Operation::SumGet)),
        of("sum.add", sums, |shape, keys| drawn(shape, keys, |blob| Operation::SumAdd(blob.seed))),
        of("list.get", lists, |shape, keys| drawn(shape, keys, |_| Operation::ListGet)),
        of("list.update", lists, |shape, keys| drawn(shape, keys, list)),
        of("list.add", super::empty, |shape, _| added(shape, list)),
        of("list.append", elements, |shape, keys| drawn(shape, keys, Operation::ListAdd)),
        of("list.add-all", elements, |shape, keys| drawn(shape, keys, added_all)),
        of("map.get", maps, |shape, keys| {
            drawn(shape, keys, |blob| Operation::MapGet(map_key(blob)))
        }),
        of("map.update", maps, |shape, keys| {
            drawn(shape, keys, |blob| Operation::MapInsert(map_key(blob), blob))
        }),
        of("map.add", super::empty, |shape, _| added(shape, |blob| Operation::MapInsert(0, blob))),
        of("map.scan", maps, |shape, keys| drawn(shape, keys, |_| Operation::MapScan)),
    ]
}

fn blob(shape: &Shape, number: u64) -> Blob {
    Blob { seed: mix(shape.seed ^ number), bytes: shape.value_bytes }
}

const fn list(first: Blob) -> Operation {
    Operation::ListUpdate(first, LIST_VALUES)
}

const fn added_all(first: Blob) -> Operation {
    Operation::ListAddAll(first, LIST_VALUES)
}

const fn map_key(blob: Blob) -> u64 {
    blob.seed % MAP_KEYS
}

/// The same operation on each key, one after the other.
fn each(shape: &Shape, operation: fn(Blob) -> Operation) -> Accesses {
    let (shape, keys) = (shape.clone(), shape.keys);
    let access = move |number| Access::of(key(number), operation(blob(&shape, number)));
    Box::new((0..keys).map(access))
}

fn values(shape: &Shape) -> Accesses {
    each(shape, Operation::ValueSet)
}

fn sums(shape: &Shape) -> Accesses {
    each(shape, |blob| Operation::SumAdd(blob.seed))
}

fn lists(shape: &Shape) -> Accesses {
    each(shape, list)
}

fn elements(shape: &Shape) -> Accesses {
    each(shape, Operation::ListAdd)
}

fn maps(shape: &Shape) -> Accesses {
    let shape = shape.clone();
    let entries = shape.keys.saturating_mul(MAP_KEYS);
    let entry = move |number: u64| {
        let (at, map_key) = (number / MAP_KEYS, number % MAP_KEYS);
        Access::of(key(at), Operation::MapInsert(map_key, blob(&shape, number)))
    };
    Box::new((0..entries).map(entry))
}

/// The same operation on keys that are there, drawn by the shape's pattern, without end.
fn drawn(shape: &Shape, keys: Draw, operation: fn(Blob) -> Operation) -> Accesses {
    let shape = shape.clone();
    // Values differ from those that are there already.
    let access = move |(number, key): (u64, u64)| Access::of(key, operation(blob(&shape, !number)));
    Box::new((0..).zip(keys).map(access))
}

/// The same operation on keys that are not there yet, without end.
fn added(shape: &Shape, operation: fn(Blob) -> Operation) -> Accesses {
    let (shape, first) = (shape.clone(), shape.keys);
    let access = move |number| Access::of(key(number), operation(blob(&shape, number)));
    Box::new((first..).map(access))
}

fn read_modify_write(shape: &Shape, keys: Draw) -> Accesses {
    let shape = shape.clone();
    let both = move |(number, key): (u64, u64)| {
        let write = Operation::ValueSet(blob(&shape, !number));
        [Access::of(key, Operation::ValueGet), Access::of(key, write)]
    };
    Box::new((0..).zip(keys).flat_map(both))
}
