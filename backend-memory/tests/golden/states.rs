//! The states of the golden jobs and what happens to them in each round.
//!
//! Fifteen states: of each kind a plain one, one in windows and a stamped one. Round 1 fills all of
//! them; rounds 2 and 3 change, append, remove and fill, so that each kind of block occurs.

use alluvium_state_api::codec::{Codec, Encode, EncodeKey, KeyCodec, Native};
use alluvium_state_api::schema::{StateKind, StateMeta};
use alluvium_state_api::testkit::fixtures::{RawKey, Trail, fold};
use alluvium_state_api::{
    AggregatingDescriptor, Descriptor, ElementsBuffer, InNamespace, KeyedStore, ListDescriptor,
    MapDescriptor, MaxParallelism, ReducingDescriptor, ValueDescriptor,
};

pub(super) const VALUE: ValueDescriptor<u64> = ValueDescriptor::new("value");
pub(super) const LIST: ListDescriptor<String> = ListDescriptor::new("list");
pub(super) const REDUCING: ReducingDescriptor<i64> = ReducingDescriptor::new("reducing", fold);
pub(super) const AGGREGATING: AggregatingDescriptor<Trail> =
    AggregatingDescriptor::new("aggregating");
pub(super) const MAP: MapDescriptor<u64, String> = MapDescriptor::new("map");
pub(super) const VALUE_IN: ValueDescriptor<String, Native, InNamespace<i64>> =
    ValueDescriptor::new("value in windows").in_namespace();
const LIST_IN: ListDescriptor<u64, Native, InNamespace<i64>> =
    ListDescriptor::new("list in windows").in_namespace();
const REDUCING_IN: ReducingDescriptor<i64, Native, InNamespace<i64>> =
    ReducingDescriptor::new("reducing in windows", fold).in_namespace();
const AGGREGATING_IN: AggregatingDescriptor<Trail, Native, InNamespace<i64>> =
    AggregatingDescriptor::new("aggregating in windows").in_namespace();
const MAP_IN: MapDescriptor<String, u64, Native, Native, InNamespace<i64>> =
    MapDescriptor::new("map in windows").in_namespace();

/// All states by name.
pub(super) fn metas() -> Vec<StateMeta> {
    let plain = [VALUE.meta(), LIST.meta(), REDUCING.meta(), AGGREGATING.meta(), MAP.meta()];
    let windowed =
        [VALUE_IN.meta(), LIST_IN.meta(), REDUCING_IN.meta(), AGGREGATING_IN.meta(), MAP_IN.meta()];
    let stamped = plain.clone().map(|meta| StateMeta {
        name: format!("{} stamped", meta.name).into(),
        stamped: true,
        ..meta
    });
    let mut all = [plain, windowed, stamped].concat();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// What is done to an entry: key, namespace, map key.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Put(StateMeta, [Vec<u8>; 3], Vec<u8>),
    Append(StateMeta, [Vec<u8>; 3], Vec<Vec<u8>>),
    Remove(StateMeta, [Vec<u8>; 3]),
    RemoveMap(StateMeta, [Vec<u8>; 3]),
}

impl Step {
    /// The state.
    pub(super) const fn meta(&self) -> &StateMeta {
        match self {
            Self::Put(meta, ..)
            | Self::Append(meta, ..)
            | Self::Remove(meta, _)
            | Self::RemoveMap(meta, _) => meta,
        }
    }

    /// The encoded key.
    pub(super) fn key(&self) -> &[u8] {
        let (Self::Put(_, at, _)
        | Self::Append(_, at, _)
        | Self::Remove(_, at)
        | Self::RemoveMap(_, at)) = self;
        &at[0]
    }

    /// Does it to a store.
    pub(super) fn run(&self, store: &mut dyn KeyedStore, groups: MaxParallelism) {
        let slot = store.register(self.meta()).unwrap().slot;
        let raw = |at: &[Vec<u8>; 3]| RawKey::new(groups, &at[0], &at[1], &at[2]);
        match self {
            Self::Put(_, at, value) => store.put(slot, &raw(at).get(), value).unwrap(),
            Self::Append(_, at, elements) => {
                let mut buffer = ElementsBuffer::default();
                for element in elements {
                    buffer.push(element).unwrap();
                }
                store.append(slot, &raw(at).get(), buffer.as_elements()).unwrap();
            }
            Self::Remove(_, at) => store.remove(slot, &raw(at).get()).unwrap(),
            Self::RemoveMap(_, at) => store.remove_prefix(slot, &raw(at).get()).unwrap(),
        }
    }
}

/// Encodes the `index`-th key of an operator.
pub(super) type EncodeIndex = fn(u64) -> Vec<u8>;

/// Keys that are numbers.
pub(super) fn number(index: u64) -> Vec<u8> {
    key_bytes(&index)
}

/// Keys that are words.
pub(super) fn word(index: u64) -> Vec<u8> {
    key_bytes(&word_of(index))
}

/// The `index`-th word.
pub(super) fn word_of(index: u64) -> String {
    ["ant", "bee", "", "dög", "e\0l", "fox"][usize::try_from(index).unwrap() % 6].to_owned()
}

fn key_bytes<T>(value: &T) -> Vec<u8>
where
    Native: KeyCodec<T>,
{
    let mut bytes = Vec::new();
    <Native as EncodeKey<T>>::encode_key(value, &mut bytes).unwrap();
    bytes
}

fn encoded<T>(value: &T) -> Vec<u8>
where
    Native: Codec<T>,
{
    let mut bytes = Vec::new();
    <Native as Encode<T>>::encode(value, &mut bytes).unwrap();
    bytes
}

/// A value of the state's type that shows where it is from; texts repeat, to be compressed.
fn value(meta: &StateMeta, number: u64) -> Vec<u8> {
    let mut bytes = if meta.stamped { number.to_be_bytes().to_vec() } else { Vec::new() };
    let signed = number.cast_signed();
    bytes.extend(match &*meta.value.shape {
        "u64" => encoded(&number),
        "i64" => encoded(&-signed),
        "(u64,i64)" => encoded(&(number, -signed)),
        _ => encoded(&format!("{number} sheep, ").repeat(5)),
    });
    bytes
}

fn map_key(meta: &StateMeta, number: u64) -> Vec<u8> {
    match meta.map_key.as_ref().map(|schema| &*schema.shape) {
        None => Vec::new(),
        Some("u64") => encoded(&number),
        Some(_) => encoded(&format!("part {number}")),
    }
}

/// What happens in a round, for keys as `encode` makes them.
pub(super) fn steps(round: u64, encode: EncodeIndex) -> Vec<Step> {
    let mut steps = Vec::new();
    for meta in metas() {
        let windows = if meta.namespace.is_some() { vec![-1_i64, 3] } else { vec![0] };
        for (index, window) in (0..6).flat_map(|index| windows.iter().map(move |w| (index, *w))) {
            let namespace = meta.namespace.as_ref().map(|_| key_bytes(&window));
            let at = [encode(index), namespace.unwrap_or_default(), Vec::new()];
            let number = round * 100 + index * 10 + window.unsigned_abs();
            steps.extend(steps_of(&meta, &at, round, index, number));
        }
    }
    steps
}

/// In round 1 everything but the last key is filled. Later keys take turns: one is changed, one goes
/// away, one is replaced, the rest stay.
fn steps_of(meta: &StateMeta, at: &[Vec<u8>; 3], round: u64, index: u64, number: u64) -> Vec<Step> {
    let (is_map, is_list) = (meta.kind == StateKind::Map, meta.kind == StateKind::List);
    let part = |n| [at[0].clone(), at[1].clone(), map_key(meta, n)];
    let fill = |count: u64| -> Vec<Step> {
        if is_list {
            let elements = (0..count).map(|n| value(meta, number + n)).collect();
            return vec![Step::Append(meta.clone(), at.clone(), elements)];
        }
        let parts = if is_map { count } else { 1 };
        (0..parts).map(|n| Step::Put(meta.clone(), part(n), value(meta, number + n))).collect()
    };
    let gone = || {
        let map = || Step::RemoveMap(meta.clone(), at.clone());
        if is_map { map() } else { Step::Remove(meta.clone(), at.clone()) }
    };
    match (round, (index + round) % 6) {
        (1, 0) => Vec::new(),
        (1, _) => fill(3),
        (_, 2 | 3) => Vec::new(),
        (_, 1) if is_map => {
            fill(1).into_iter().chain([Step::Remove(meta.clone(), part(1))]).collect()
        }
        (_, 0 | 1) => fill(1),
        (_, 4) => vec![gone()],
        (_, _) => std::iter::once(gone()).chain(fill(2)).collect(),
    }
}
