//! Codecs that fail, and codecs that are not those of the snapshot.
//!
//! Flink: `testBackendUsesRegisteredKryoSerializer` (a failing serializer shows where it is used),
//! `test...StateRestoreWithWrongSerializers`.

use super::fixtures::{keys_of, refused};
use super::harness::{Backend, Harness, Kit, total_entries};
use crate::codec::{Codec, Encode, Native, Postcard};
use crate::schema::CodecSchema;
use crate::{
    Aggregate, AggregatingDescriptor, AggregatingState, Descriptor, Error, ErrorKind, InNamespace,
    KeyedStore, ListDescriptor, ListState, MapDescriptor, MapState, ReducingDescriptor,
    ReducingState, Result, ValueDescriptor, ValueState,
};

/// What [`Picky`] does not write.
const UNWRITABLE: u32 = 13;
/// What [`Picky`] does not read.
const UNREADABLE: u32 = 66;

/// The native codec, but for two numbers.
#[derive(Clone, Copy, Debug)]
pub struct Picky;

impl Encode<u32> for Picky {
    fn encode(value: &u32, out: &mut Vec<u8>) -> Result<()> {
        if *value == UNWRITABLE {
            out.push(1);
            return Err(Error::invalid_input("on purpose, half-way"));
        }
        Native::encode(value, out)
    }
}

impl Codec<u32> for Picky {
    type View<'a> = u32;

    fn schema() -> CodecSchema {
        <Native as Codec<u32>>::schema()
    }

    fn view(bytes: &[u8]) -> Result<u32> {
        Self::decode(bytes)
    }

    fn decode(bytes: &[u8]) -> Result<u32> {
        let value = <Native as Codec<u32>>::decode(bytes)?;
        if value == UNREADABLE { Err(Error::corrupted("on purpose")) } else { Ok(value) }
    }
}

const fn add(a: u32, b: u32) -> u32 {
    a + b
}

/// A sum of `u32`.
#[derive(Debug)]
pub struct Total;

impl Aggregate for Total {
    type Input = u32;
    type Accumulator = u32;
    type Output = u32;

    fn create() -> u32 {
        0
    }

    fn add(accumulator: u32, input: u32) -> u32 {
        accumulator + input
    }

    fn merge(first: u32, second: u32) -> u32 {
        first + second
    }

    fn result(accumulator: &u32) -> u32 {
        *accumulator
    }
}

type Window = InNamespace<i64>;

const VALUE: ValueDescriptor<u32, Picky> = ValueDescriptor::new("value").with_codec();
const LIST: ListDescriptor<u32, Picky> = ListDescriptor::new("list").with_codec();
const REDUCING: ReducingDescriptor<u32, Picky> =
    ReducingDescriptor::new("reducing", add).with_codec();
const SUM: AggregatingDescriptor<Total, Picky> = AggregatingDescriptor::new("sum").with_codec();
const MAP: MapDescriptor<u32, u32, Picky, Picky> = MapDescriptor::new("map").with_codecs();
const WINDOWED: ReducingDescriptor<u32, Picky, Window> =
    ReducingDescriptor::new("windowed", add).with_codec().in_namespace();

/// An encoder that fails, half-way through its output, fails the operation and changes nothing
/// (rule R1).
pub fn failing_encoders_change_nothing<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let (value, list) = (backend.open(VALUE).unwrap(), backend.open(LIST).unwrap());
    let (reducing, sum) = (backend.open(REDUCING).unwrap(), backend.open(SUM).unwrap());
    let (map, windowed) = (backend.open(MAP).unwrap(), backend.open(WINDOWED).unwrap());
    for there in [false, true] {
        let mut cx = backend.at(&1).unwrap();
        if there {
            cx.value(value).set(&6).unwrap();
            cx.list(list).add_all(&[6, 7]).unwrap();
            cx.reducing(reducing).add(6).unwrap();
            cx.aggregating(sum).add(6).unwrap();
            cx.map(map).insert(&1, &6).unwrap();
            cx.within(&1).unwrap().reducing(windowed).add(6).unwrap();
            cx.within(&2).unwrap().reducing(windowed).add(7).unwrap();
        }
        let rest = if there { UNWRITABLE - 6 } else { UNWRITABLE };
        let failures = [
            cx.value(value).set(&UNWRITABLE),
            cx.value(value).update(|_| Some(UNWRITABLE)),
            cx.list(list).add(&UNWRITABLE),
            cx.list(list).add_all(&[1, UNWRITABLE, 2]),
            cx.list(list).update(&[1, UNWRITABLE]),
            cx.reducing(reducing).add(rest),
            cx.aggregating(sum).add(rest),
            cx.map(map).insert(&1, &UNWRITABLE),
            cx.map(map).insert(&UNWRITABLE, &1),
            cx.map(map).update(&1, |_| Some(UNWRITABLE)),
        ];
        for failure in failures {
            refused(failure, ErrorKind::InvalidInput);
        }
        if there {
            let merged = cx.merge_namespaces(windowed, &1, &[2]);
            refused(merged, ErrorKind::InvalidInput);
            assert_eq!(cx.within(&1).unwrap().reducing(windowed).get().unwrap(), Some(6));
            assert_eq!(cx.within(&2).unwrap().reducing(windowed).get().unwrap(), Some(7));
        }
        assert_eq!(cx.value(value).get().unwrap(), there.then_some(6));
        assert_eq!(cx.list(list).get().unwrap(), if there { vec![6, 7] } else { vec![] });
        assert_eq!(cx.reducing(reducing).get().unwrap(), there.then_some(6));
        assert_eq!(cx.aggregating(sum).get().unwrap(), there.then_some(6));
        assert_eq!(cx.map(map).get(&1).unwrap(), there.then_some(6));
        if !there {
            assert_eq!(total_entries(&backend), 0);
        }
    }
    refused(
        backend.batch([1]).unwrap().update(value, |_, _| Some(UNWRITABLE)),
        ErrorKind::InvalidInput,
    );
    refused(backend.batch([1]).unwrap().add(reducing, [UNWRITABLE - 6]), ErrorKind::InvalidInput);
    assert_eq!(backend.at(&1).unwrap().value(value).get().unwrap(), Some(6));
    assert_eq!(backend.at(&1).unwrap().reducing(reducing).get().unwrap(), Some(6));
}

/// A decoder that fails fails the operation; the entry stays, to be read by whoever can, and other
/// entries are as before. The snapshot does not decode anything.
pub fn failing_decoders_are_errors<H: Harness>(kit: &Kit<H>) {
    let read_natively = |backend: &mut Backend<H>| {
        let value = backend.open(ValueDescriptor::<u32>::new("value")).unwrap();
        let list = backend.open(ListDescriptor::<u32>::new("list")).unwrap();
        let reducing = backend.open(ReducingDescriptor::<u32>::new("reducing", add)).unwrap();
        let map = backend.open(MapDescriptor::<u32, u32>::new("map")).unwrap();
        let mut cx = backend.at(&1).unwrap();
        assert_eq!(cx.value(value).get().unwrap(), Some(UNREADABLE));
        assert_eq!(cx.list(list).get().unwrap(), [1, UNREADABLE, 3]);
        assert_eq!(cx.reducing(reducing).get().unwrap(), Some(UNREADABLE));
        assert_eq!(cx.map(map).entries().unwrap(), [(1, UNREADABLE), (2, 2)]);
        assert_eq!(keys_of(backend, value), [1]);
    };
    let mut backend = kit.fresh::<u64>();
    let (value, list) = (backend.open(VALUE).unwrap(), backend.open(LIST).unwrap());
    let (reducing, map) = (backend.open(REDUCING).unwrap(), backend.open(MAP).unwrap());
    let mut cx = backend.at(&1).unwrap();
    cx.value(value).set(&UNREADABLE).unwrap();
    cx.list(list).add_all(&[1, UNREADABLE, 3]).unwrap();
    cx.reducing(reducing).add(UNREADABLE).unwrap();
    cx.map(map).insert(&1, &UNREADABLE).unwrap();
    cx.map(map).insert(&2, &2).unwrap();
    refused(cx.value(value).get(), ErrorKind::Corrupted);
    refused(cx.value(value).update(|_| Some(1)), ErrorKind::Corrupted);
    refused(cx.list(list).get(), ErrorKind::Corrupted);
    refused(cx.reducing(reducing).get(), ErrorKind::Corrupted);
    refused(cx.reducing(reducing).add(1), ErrorKind::Corrupted);
    refused(cx.map(map).get(&1), ErrorKind::Corrupted);
    refused(cx.map(map).entries(), ErrorKind::Corrupted);
    refused(cx.map(map).update(&1, |_| None), ErrorKind::Corrupted);
    refused(cx.map(map).retain(|_, _| false), ErrorKind::Corrupted);
    assert_eq!(cx.map(map).get(&2).unwrap(), Some(2));
    read_natively(&mut backend);
    for kind in kit.kinds() {
        let taken = kit.take(&mut backend, kind);
        read_natively(&mut kit.restore(&[&taken]));
    }
}

/// Other codecs than those of the snapshot, of any kind, are refused for each kind of state, and the
/// right ones still open. Flink: `test{Value,List,Reducing,Map}StateRestoreWithWrongSerializers`.
pub fn wrong_ones_are_refused_on_restore<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let (value, list) = (backend.open(VALUE).unwrap(), backend.open(LIST).unwrap());
    let (reducing, map) = (backend.open(REDUCING).unwrap(), backend.open(MAP).unwrap());
    backend.open(SUM).unwrap();
    backend.open(WINDOWED).unwrap();
    let mut cx = backend.at(&1).unwrap();
    cx.value(value).set(&5).unwrap();
    cx.list(list).add(&5).unwrap();
    cx.reducing(reducing).add(5).unwrap();
    cx.map(map).insert(&5, &5).unwrap();
    for kind in kit.kinds() {
        let taken = kit.take(&mut backend, kind);
        let mut restored = kit.restore::<u64>(&[&taken]);
        let serde: ValueDescriptor<u32, Postcard> = ValueDescriptor::new("value").with_codec();
        let errors = [
            restored.open(serde).err(),
            restored.open(ValueDescriptor::<i32>::new("value")).err(),
            restored.open(ListDescriptor::<u64>::new("list")).err(),
            restored.open(ListDescriptor::<String>::new("list")).err(),
            restored.open(ReducingDescriptor::<i64>::new("reducing", |a, _| a)).err(),
            restored.open(AggregatingDescriptor::<super::fixtures::Trail>::new("sum")).err(),
            restored.open(MapDescriptor::<u32, u64>::new("map")).err(),
            restored.open(MapDescriptor::<u64, u32>::new("map")).err(),
            restored.open(windows()).err(),
        ];
        for (index, error) in errors.into_iter().enumerate() {
            let error = error.unwrap_or_else(|| panic!("wrong codec {index} was accepted"));
            assert_eq!(error.kind(), ErrorKind::Incompatible, "{error:?}");
            assert!(error.state().is_some(), "{error:?}");
        }
        let value = restored.open(VALUE).unwrap();
        assert_eq!(restored.at(&1).unwrap().value(value).get().unwrap(), Some(5));
        let map = restored.open(MAP).unwrap();
        assert_eq!(restored.at(&1).unwrap().map(map).entries().unwrap(), [(5, 5)]);
    }
}

const fn windows() -> ReducingDescriptor<u32, Picky, InNamespace<u32>> {
    ReducingDescriptor::new("windowed", add).with_codec().in_namespace()
}

/// What the store keeps are the codec's bytes and nothing else. Flink: the raw access of
/// `testValueState`.
pub fn bytes_are_those_of_the_codec<H: Harness>(kit: &Kit<H>) {
    use super::fixtures::RawKey;
    use super::harness::ten;
    let mut backend = kit.fresh::<u64>();
    let value = backend.open(ValueDescriptor::<String>::new("value")).unwrap();
    let serde: ValueDescriptor<(u8, String), Postcard> = ValueDescriptor::new("serde").with_codec();
    let (meta, serde) = (serde.meta(), backend.open(serde).unwrap());
    let mut cx = backend.at(&7).unwrap();
    cx.value(value).set("text").unwrap();
    cx.value(serde).set(&(1, "text".to_owned())).unwrap();
    let key = RawKey::new(ten(), &7_u64.to_be_bytes(), b"", b"");
    let store = backend.store_mut();
    let slot = store.register(&ValueDescriptor::<String>::new("value").meta()).unwrap().slot;
    assert_eq!(store.get(slot, &key.get()).unwrap(), Some(&b"text"[..]));
    let slot = store.register(&meta).unwrap().slot;
    let mut bytes = Vec::new();
    <Postcard as Encode<(u8, String)>>::encode(&(1, "text".to_owned()), &mut bytes).unwrap();
    assert_eq!(store.get(slot, &key.get()).unwrap(), Some(&bytes[..]));
}
