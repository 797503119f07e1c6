//! What a checkpoint holds, entry by entry, and how it is written down as text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use alluvium_state_api::codec::{Codec, KeyCodec, Native};
use alluvium_state_api::format::Record;
use alluvium_state_api::schema::{CodecSchema, KeySpace, StateKind, StateMeta};
use alluvium_state_api::{Elements, EntryKey};

use super::states::Step;

/// Key, namespace, map key.
type Address = [Vec<u8>; 3];

/// The states of one operator, by name; of a list all elements, of others one value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Model(BTreeMap<String, BTreeMap<Address, Vec<Vec<u8>>>>);

fn address(key: EntryKey<'_>) -> Address {
    [key.key(), key.namespace(), key.map_key()].map(<[u8]>::to_vec)
}

fn owned(elements: Elements<'_>) -> Vec<Vec<u8>> {
    elements.iter().map(<[u8]>::to_vec).collect()
}

impl Model {
    fn state(&mut self, name: &str) -> &mut BTreeMap<Address, Vec<Vec<u8>>> {
        self.0.entry(name.to_owned()).or_default()
    }

    /// Sets an entry that there was not.
    pub(super) fn insert(&mut self, state: &str, key: EntryKey<'_>, values: Vec<Vec<u8>>) {
        let old = self.state(state).insert(address(key), values);
        assert_eq!(old, None, "{state}: an entry that is there twice");
    }

    /// Does what was done to the store.
    pub(super) fn apply(&mut self, step: &Step) {
        let state = self.state(&step.meta().name);
        match step {
            Step::Put(_, at, value) => drop(state.insert(at.clone(), vec![value.clone()])),
            Step::Append(_, at, elements) => {
                state.entry(at.clone()).or_default().extend_from_slice(elements);
            }
            Step::Remove(_, at) => drop(state.remove(at)),
            Step::RemoveMap(_, at) => state.retain(|entry, _| entry[..2] != at[..2]),
        }
    }

    /// Does what a record of a state file says.
    pub(super) fn replay(&mut self, state: &str, record: &Record<'_>) {
        let state = self.state(state);
        match record {
            Record::Entry(key, value) => drop(state.insert(address(*key), vec![value.to_vec()])),
            Record::Tombstone(key) => drop(state.remove(&address(*key))),
            Record::MapRemoval(map) => {
                let map = address(*map);
                state.retain(|entry, _| entry[..2] != map[..2]);
            }
            Record::List(segment) if segment.first == 0 => {
                state.insert(address(segment.key), owned(segment.elements));
            }
            Record::List(segment) | Record::Append(segment) => {
                let list = state.get_mut(&address(segment.key)).expect("a list to go on with");
                assert_eq!(list.len() as u64, segment.first);
                list.extend(owned(segment.elements));
            }
        }
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }

    /// Takes up what another subtask holds.
    pub(super) fn absorb(&mut self, other: Self) {
        for (name, entries) in other.0 {
            let state = self.state(&name);
            let expected = state.len() + entries.len();
            state.extend(entries);
            assert_eq!(state.len(), expected, "{name}: an entry that two subtasks have");
        }
    }

    /// The entries as text, one a line.
    pub(super) fn text(&self, uid: &str, space: &KeySpace, metas: &[StateMeta]) -> String {
        let names: BTreeSet<&str> = metas.iter().map(|meta| &*meta.name).collect();
        assert!(self.0.keys().all(|name| names.contains(name.as_str())), "only known states");
        let mut text = String::new();
        for meta in metas {
            for (at, values) in self.0.get(&*meta.name).into_iter().flatten() {
                let group = space.group_of(&at[0]).unwrap();
                write!(text, "{uid} | {} | key group {group}", meta.name).unwrap();
                write!(text, " | key {}", key(&space.identity().codec, &at[0])).unwrap();
                if let Some(schema) = &meta.namespace {
                    write!(text, " | window {}", key(schema, &at[1])).unwrap();
                }
                if let Some(schema) = &meta.map_key {
                    write!(text, " | map key {}", value(schema, &at[2])).unwrap();
                }
                let shown: Vec<_> = values.iter().map(|bytes| stamped(meta, bytes)).collect();
                let shown = shown.join(", ");
                let list = meta.kind == StateKind::List;
                writeln!(text, " | {}", if list { format!("[{shown}]") } else { shown }).unwrap();
            }
        }
        text
    }
}

fn key(schema: &CodecSchema, bytes: &[u8]) -> String {
    match &*schema.shape {
        "str+0" => format!("{:?}", <Native as KeyCodec<String>>::decode_key(bytes).unwrap().0),
        _ => value(schema, bytes),
    }
}

fn value(schema: &CodecSchema, bytes: &[u8]) -> String {
    match &*schema.shape {
        "u64" => <Native as Codec<u64>>::decode(bytes).unwrap().to_string(),
        "i64" => <Native as Codec<i64>>::decode(bytes).unwrap().to_string(),
        "str" => format!("{:?}", <Native as Codec<String>>::decode(bytes).unwrap()),
        "(u64,i64)" => format!("{:?}", <Native as Codec<(u64, i64)>>::decode(bytes).unwrap()),
        other => panic!("a shape that the golden states do not have: {other}"),
    }
}

fn stamped(meta: &StateMeta, bytes: &[u8]) -> String {
    let (stamp, payload) = bytes.split_at(meta.stamp_bytes());
    let payload = value(&meta.value, payload);
    match stamp {
        [] => payload,
        stamp => format!("{payload} stamped {stamp:?}"),
    }
}
