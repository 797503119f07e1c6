//! Restored state under a changed program: as is, after migration, incompatible.
//!
//! Flink: `StateBackendMigrationTestBase`, `test...StateRestoreWithWrongSerializers`,
//! `testRestoreWithWrongKeySerializer`.

use super::fixtures::{keys_of, refused};
use super::harness::{Backend, Harness, Kit, Taken, groups, ten};
use crate::codec::{Codec, Encode, Native, Upgrade};
use crate::schema::{CodecSchema, Compatibility};
use crate::{
    Aggregate, AggregatingDescriptor, AggregatingState, Descriptor, Error, ErrorKind, FlinkHash,
    InNamespace, KeyedStore, ListDescriptor, ListState, MapDescriptor, MapState,
    ReducingDescriptor, ReducingState, Result, ValueDescriptor, ValueState,
};

type Widened = Upgrade<u32, Native, Native>;

const VALUE: ValueDescriptor<u32> = ValueDescriptor::new("value");
const LIST: ListDescriptor<u32> = ListDescriptor::new("list");
const REDUCING: ReducingDescriptor<u32> = ReducingDescriptor::new("reducing", |a, b| a * 10 + b);
const SUM: AggregatingDescriptor<Sum<u32>> = AggregatingDescriptor::new("sum");
const MAP: MapDescriptor<String, u32> = MapDescriptor::new("map");
const WINDOW: ValueDescriptor<u32, Native, InNamespace<i64>> =
    ValueDescriptor::new("window").in_namespace();

const NEW_VALUE: ValueDescriptor<u64, Widened> = ValueDescriptor::new("value").with_codec();
const NEW_LIST: ListDescriptor<u64, Widened> = ListDescriptor::new("list").with_codec();
const NEW_REDUCING: ReducingDescriptor<u64, Widened> =
    ReducingDescriptor::new("reducing", |a, b| a * 10 + b).with_codec();
const NEW_SUM: AggregatingDescriptor<Sum<u64>, Widened> =
    AggregatingDescriptor::new("sum").with_codec();
const NEW_MAP: MapDescriptor<String, u64, Native, Widened> =
    MapDescriptor::new("map").with_codecs();

/// A sum with an accumulator of type `T`.
#[derive(Debug)]
pub struct Sum<T>(T);

impl<T: From<u8> + std::ops::Add<Output = T> + Copy + 'static> Aggregate for Sum<T> {
    type Input = u8;
    type Accumulator = T;
    type Output = T;

    fn create() -> T {
        T::from(0)
    }

    fn add(accumulator: T, input: u8) -> T {
        accumulator + T::from(input)
    }

    fn merge(first: T, second: T) -> T {
        first + second
    }

    fn result(accumulator: &T) -> T {
        *accumulator
    }
}

fn old_program<H: Harness>(kit: &Kit<H>) -> Backend<H> {
    let mut backend = kit.fresh::<u64>();
    let (value, list) = (backend.open(VALUE).unwrap(), backend.open(LIST).unwrap());
    let (reducing, sum) = (backend.open(REDUCING).unwrap(), backend.open(SUM).unwrap());
    let (map, window) = (backend.open(MAP).unwrap(), backend.open(WINDOW).unwrap());
    for key in 0..30 {
        let number = u32::try_from(key).unwrap();
        let mut cx = backend.at(&key).unwrap();
        cx.value(value).set(&number).unwrap();
        cx.list(list).add_all(&[number, 7, u32::MAX]).unwrap();
        cx.reducing(reducing).add(number).unwrap();
        cx.aggregating(sum).add(u8::try_from(key).unwrap()).unwrap();
        cx.map(map).insert("b", &number).unwrap();
        cx.map(map).insert("a", &5).unwrap();
        cx.within(&3).unwrap().value(window).set(&number).unwrap();
    }
    backend
}

fn of_old_program<H: Harness>(kit: &Kit<H>) -> Vec<Taken> {
    let mut backend = old_program(kit);
    kit.kinds().map(|kind| kit.take(&mut backend, kind)).into()
}

/// The same schema: values are used as they are. Flink: `...AsIs`.
pub fn same_schema_is_used_as_is<H: Harness>(kit: &Kit<H>) {
    for taken in of_old_program(kit) {
        let mut backend = kit.restore::<u64>(&[&taken]);
        let (value, window) = (backend.open(VALUE).unwrap(), backend.open(WINDOW).unwrap());
        let mut cx = backend.at(&9).unwrap();
        assert_eq!(cx.value(value).get().unwrap(), Some(9));
        assert_eq!(cx.within(&3).unwrap().value(window).get().unwrap(), Some(9));
    }
}

fn check_migrated<H: Harness>(backend: &mut Backend<H>, adds: u64) {
    let (value, list) = (backend.open(NEW_VALUE).unwrap(), backend.open(NEW_LIST).unwrap());
    let (reducing, sum) = (backend.open(NEW_REDUCING).unwrap(), backend.open(NEW_SUM).unwrap());
    let map = backend.open(NEW_MAP).unwrap();
    for key in 0..30 {
        let mut cx = backend.at(&key).unwrap();
        assert_eq!(cx.value(value).get().unwrap(), Some(key + adds));
        let mut want = vec![key, 7, u64::from(u32::MAX)];
        want.extend((0..adds).map(|_| u64::MAX));
        assert_eq!(cx.list(list).get().unwrap(), want);
        assert_eq!(cx.list(list).size().unwrap().bytes, 12 * want.len() as u64);
        let want = (0..adds).fold(key, |folded, _| folded * 10 + 1);
        assert_eq!(cx.reducing(reducing).get().unwrap(), Some(want));
        assert_eq!(cx.aggregating(sum).get().unwrap(), Some(key + adds));
        let want = [("a".to_owned(), 5), ("b".to_owned(), key + adds)];
        assert_eq!(cx.map(map).entries().unwrap(), want);
        cx.value(value).update(|old| old.map(|old| old + 1)).unwrap();
        cx.list(list).add(&u64::MAX).unwrap();
        cx.reducing(reducing).add(1).unwrap();
        cx.aggregating(sum).add(1).unwrap();
        cx.map(map).insert("b", &(key + adds + 1)).unwrap();
    }
    assert_eq!(keys_of(backend, value), (0..30).collect::<Vec<_>>());
}

/// A changed type: every kind of state is rewritten, keeps its order, goes on, and the next snapshot
/// of any kind holds it under its new schema. Flink: `testKeyed{Value,List,Map}StateMigration`.
pub fn every_kind_migrates<H: Harness>(kit: &Kit<H>) {
    for taken in of_old_program(kit) {
        for kind in kit.kinds() {
            let mut backend = kit.resume::<u64>(&taken);
            check_migrated::<H>(&mut backend, 0);
            let again = kit.take(&mut backend, kind);
            let mut restored = kit.restore::<u64>(&[&again]);
            check_migrated::<H>(&mut restored, 1);
        }
    }
}

/// State that was migrated and not touched afterwards is in the next increment in its new form.
pub fn migrated_state_reaches_increments<H: Harness>(kit: &Kit<H>) {
    for taken in of_old_program(kit) {
        let mut backend = kit.resume::<u64>(&taken);
        let list = backend.open(NEW_LIST).unwrap();
        backend.at(&1).unwrap().list(list).add(&8).unwrap();
        let first = kit.confirm(&mut backend, crate::snapshot::SnapshotKind::Incremental);
        backend.at(&1).unwrap().list(list).add(&9).unwrap();
        let second = kit.confirm(&mut backend, crate::snapshot::SnapshotKind::Incremental);
        for (taken, tail) in [(first, &[8][..]), (second, &[8, 9])] {
            let mut restored = kit.restore::<u64>(&[&taken]);
            let (list, value) = (restored.open(NEW_LIST).unwrap(), restored.open(VALUE).unwrap());
            for key in 0..30 {
                let mut want = vec![key, 7, u64::from(u32::MAX)];
                want.extend(if key == 1 { tail } else { &[] });
                assert_eq!(restored.at(&key).unwrap().list(list).get().unwrap(), want);
            }
            assert_eq!(restored.at(&4).unwrap().value(value).get().unwrap(), Some(4));
        }
    }
}

/// Another type without a migration is refused, each time, and changes nothing: the right one opens.
/// Flink: `...RegistrationFailsIfNewStateSerializerIsIncompatible`.
pub fn incompatible_values_are_refused<H: Harness>(kit: &Kit<H>) {
    let taken = &of_old_program(kit)[0];
    let mut backend = kit.restore::<u64>(&[taken]);
    for _ in 0..2 {
        let value = ValueDescriptor::<String>::new("value");
        refused(backend.open(value), ErrorKind::Incompatible);
        refused(backend.open(ListDescriptor::<u8>::new("list")), ErrorKind::Incompatible);
        let reducing = ReducingDescriptor::<u64>::new("reducing", |a, _| a);
        refused(backend.open(reducing), ErrorKind::Incompatible);
        let sum = AggregatingDescriptor::<Sum<u64>>::new("sum");
        refused(backend.open(sum), ErrorKind::Incompatible);
        refused(backend.open(MapDescriptor::<String, i32>::new("map")), ErrorKind::Incompatible);
    }
    let (value, list) = (backend.open(VALUE).unwrap(), backend.open(LIST).unwrap());
    assert_eq!(backend.at(&3).unwrap().value(value).get().unwrap(), Some(3));
    assert_eq!(backend.at(&3).unwrap().list(list).get().unwrap(), [3, 7, u32::MAX]);
    let error = kit.restore::<u64>(&[taken]).open(ValueDescriptor::<String>::new("value"));
    assert_eq!(error.unwrap_err().state(), Some("value"));
}

/// Kind, namespace and map key must be as they were.
/// Flink: `testKeyedStateRegistrationFailsIfNewNamespaceSerializer...`.
pub fn kind_namespace_and_map_key_are_fixed<H: Harness>(kit: &Kit<H>) {
    type Other = ValueDescriptor<u32, Native, InNamespace<String>>;
    let taken = &of_old_program(kit)[0];
    let mut backend = kit.restore::<u64>(&[taken]);
    refused(backend.open(ListDescriptor::<u32>::new("value")), ErrorKind::Incompatible);
    refused(backend.open(ValueDescriptor::<u32>::new("list")), ErrorKind::Incompatible);
    refused(backend.open(ValueDescriptor::<u32>::new("reducing")), ErrorKind::Incompatible);
    refused(backend.open(ValueDescriptor::<u32>::new("window")), ErrorKind::Incompatible);
    let other: Other = ValueDescriptor::new("window").in_namespace();
    refused(backend.open(other), ErrorKind::Incompatible);
    let other: Other = ValueDescriptor::new("value").in_namespace();
    refused(backend.open(other), ErrorKind::Incompatible);
    refused(backend.open(MapDescriptor::<u32, u32>::new("map")), ErrorKind::Incompatible);
    let window = backend.open(WINDOW).unwrap();
    let mut cx = backend.at(&3).unwrap();
    assert_eq!(cx.within(&3).unwrap().value(window).get().unwrap(), Some(3));
}

/// Other keys, another placement, another number of key groups: refused when the store is opened.
/// Flink: `testRestoreWithWrongKeySerializer`.
pub fn keys_and_placement_are_fixed<H: Harness>(kit: &Kit<H>) {
    for taken in of_old_program(kit) {
        let part = || vec![taken.part()];
        let wrong_key = kit.try_open::<String>(ten(), ten().all(), part());
        refused(wrong_key.map(drop), ErrorKind::Incompatible);
        let wrong_hash = kit.try_open_placed::<u64, FlinkHash>(ten(), ten().all(), part());
        refused(wrong_hash.map(drop), ErrorKind::Incompatible);
        let wrong_groups = kit.try_open::<u64>(groups(11), groups(11).all(), part());
        refused(wrong_groups.map(drop), ErrorKind::Incompatible);
    }
}

/// A codec under another name that reads the same bytes.
#[derive(Clone, Copy, Debug)]
pub struct Renamed;

impl Encode<u32> for Renamed {
    fn encode(value: &u32, out: &mut Vec<u8>) -> Result<()> {
        Native::encode(value, out)
    }
}

impl Codec<u32> for Renamed {
    type View<'a> = u32;

    fn schema() -> CodecSchema {
        CodecSchema { codec: "renamed".into(), ..<Native as Codec<u32>>::schema() }
    }

    fn view(bytes: &[u8]) -> Result<u32> {
        Native::decode(bytes)
    }

    fn decode(bytes: &[u8]) -> Result<u32> {
        Native::decode(bytes)
    }

    fn resolve(previous: &CodecSchema) -> Compatibility {
        match previous.codec.as_ref() {
            "native" | "renamed" => Compatibility::AsIs,
            _ => Compatibility::Incompatible("unknown".to_owned()),
        }
    }
}

/// Another schema that reads the old bytes: nothing is rewritten, the new schema is recorded.
/// Flink: `test...StateSerializerReconfiguration`.
pub fn compatible_schema_replaces_the_old<H: Harness>(kit: &Kit<H>) {
    const RENAMED: ValueDescriptor<u32, Renamed> = ValueDescriptor::new("value").with_codec();
    for taken in of_old_program(kit) {
        for kind in kit.kinds() {
            let mut backend = kit.resume::<u64>(&taken);
            let value = backend.open(RENAMED).unwrap();
            assert_eq!(backend.at(&9).unwrap().value(value).get().unwrap(), Some(9));
            let again = kit.take(&mut backend, kind);
            let restored = kit.restore::<u64>(&[&again]);
            let metas = restored.store().states();
            let meta = metas.iter().find(|meta| &*meta.name == "value").unwrap();
            assert_eq!(meta.value, RENAMED.meta().value);
        }
    }
}

/// A codec whose migration fails half-way.
#[derive(Clone, Copy, Debug)]
pub struct Failing;

impl Encode<u64> for Failing {
    fn encode(value: &u64, out: &mut Vec<u8>) -> Result<()> {
        Native::encode(value, out)
    }
}

impl Codec<u64> for Failing {
    type View<'a> = u64;

    fn schema() -> CodecSchema {
        <Native as Codec<u64>>::schema()
    }

    fn view(bytes: &[u8]) -> Result<u64> {
        Native::decode(bytes)
    }

    fn decode(bytes: &[u8]) -> Result<u64> {
        Native::decode(bytes)
    }

    fn resolve(_: &CodecSchema) -> Compatibility {
        Compatibility::AfterMigration
    }

    fn migrate(_: &CodecSchema, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
        match <Native as Codec<u32>>::decode(bytes)? {
            17 => Err(Error::corrupted("on purpose")),
            old => Native::encode(&u64::from(old), out),
        }
    }
}

/// A migration that fails fails the opening, and names the state; the snapshot is unharmed.
pub fn failed_migration_fails_the_opening<H: Harness>(kit: &Kit<H>) {
    const FAILING: ValueDescriptor<u64, Failing> = ValueDescriptor::new("value").with_codec();
    for taken in of_old_program(kit) {
        let mut backend = kit.restore::<u64>(&[&taken]);
        let error = backend.open(FAILING).unwrap_err();
        assert_eq!((error.kind(), error.state()), (ErrorKind::Corrupted, Some("value")));
        let mut backend = kit.restore::<u64>(&[&taken]);
        let value = backend.open(VALUE).unwrap();
        assert_eq!(backend.at(&17).unwrap().value(value).get().unwrap(), Some(17));
    }
}
