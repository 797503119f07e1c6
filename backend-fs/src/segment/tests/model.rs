//! What a segment holds, as a plain map; random instances; writing one; reading one completely.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use alluvium_state_api::format::{
    BlockKind, BufferWriter, FileForm, StateFileSpec, StateFileWriter, WriteOptions,
};
use alluvium_state_api::random::{Randomness, SeededRandomness};
use alluvium_state_api::schema::{CodecSchema, KeyIdentity, StateKind, StateMeta};
use alluvium_state_api::snapshot::FileLocation;
use alluvium_state_api::{
    ElementsBuffer, EntryKey, KeyGroup, KeyGroupRange, MaxParallelism, Result, entry_hash_of,
};

use crate::segment::{BlockCache, Item, Place, SectionCursor, Segment, What};

pub(super) const GROUPS: u16 = 4;

/// Bytes of an entry's key and where its parts end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(pub(super) Vec<u8>, usize, usize);

impl Key {
    pub(super) fn new(key: &[u8], namespace: &[u8], map_key: &[u8]) -> Self {
        let bytes = [key, namespace, map_key].concat();
        Self(bytes, key.len(), key.len() + namespace.len())
    }

    pub(super) fn entry(&self) -> EntryKey<'_> {
        EntryKey::new(&self.0, self.1, self.2).unwrap()
    }

    pub(super) fn hash(&self) -> u64 {
        entry_hash_of(self.entry())
    }

    fn of(key: EntryKey<'_>) -> Self {
        Self(key.bytes().to_vec(), key.key_end(), key.namespace_end())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Says {
    Value(Vec<u8>),
    List(Vec<Vec<u8>>),
    Append(u64, Vec<Vec<u8>>),
    Removed,
}

/// State and key group.
pub(super) type At = (u16, u16);

#[derive(Clone, Debug)]
pub(super) struct Content {
    pub(super) spec: StateFileSpec,
    pub(super) entries: BTreeMap<At, BTreeMap<Key, Says>>,
    pub(super) removed_maps: BTreeMap<At, BTreeSet<Key>>,
}

fn codec(width: Option<u32>) -> CodecSchema {
    CodecSchema { codec: "test".into(), version: 1, shape: "bytes".into(), width }
}

/// States of every kind and layout under keys of `width`.
pub(super) fn spec(form: FileForm, width: Option<u32>) -> StateFileSpec {
    let meta = |name: &str, kind, namespace: Option<_>, map_key: Option<_>, value, stamped| {
        let (namespace, map_key) = (namespace.map(codec), map_key.map(codec));
        let (name, value) = (name.into(), codec(value));
        StateMeta { name, kind, namespace, map_key, value, size_limit: 1 << 31, stamped }
    };
    let groups = MaxParallelism::new(u32::from(GROUPS)).unwrap();
    StateFileSpec {
        key: KeyIdentity { codec: codec(width), hash: "xxh3/1".into() },
        groups,
        range: groups.all(),
        states: vec![
            meta("fixed", StateKind::Value, None, None, Some(8), false),
            meta("values", StateKind::Reducing, Some(Some(4)), None, None, true),
            meta("lists", StateKind::List, Some(None), None, None, false),
            meta("maps", StateKind::Map, None, Some(None), Some(3), false),
            meta("windowed", StateKind::Map, Some(Some(2)), Some(Some(8)), None, false),
        ],
        form,
    }
}

pub(super) struct Numbers(SeededRandomness);

impl Numbers {
    pub(super) fn new(seed: u64) -> Self {
        Self(SeededRandomness::new(seed))
    }

    pub(super) fn below(&self, bound: usize) -> usize {
        usize::try_from(self.0.next_u64() % bound as u64).unwrap()
    }

    pub(super) fn bytes(&self, length: usize) -> Vec<u8> {
        (0..length).map(|_| 1 + u8::try_from(self.below(5)).unwrap()).collect()
    }

    /// Of one width, or prefix-free by a zero at the end.
    fn part(&self, schema: Option<&CodecSchema>) -> Vec<u8> {
        match schema.map(|schema| schema.width) {
            None => Vec::new(),
            Some(Some(width)) => self.bytes(width as usize),
            Some(None) => [self.bytes(self.below(12)), vec![0]].concat(),
        }
    }

    fn elements(&self) -> Vec<Vec<u8>> {
        let (count, most) = match self.below(40) {
            0 => (1 + self.below(3), 9_000),
            1 => (3_000 + self.below(3_000), 60),
            2..10 => (1 + self.below(400), 30),
            _ => (1 + self.below(5), 20),
        };
        (0..count).map(|_| self.bytes(self.below(most))).collect()
    }

    /// A key of a state.
    pub(super) fn key(&self, spec: &StateFileSpec, state: u16) -> Key {
        let meta = &spec.states[usize::from(state)];
        let namespace = self.part(meta.namespace.as_ref());
        Key::new(&self.part(Some(&spec.key.codec)), &namespace, &self.part(meta.map_key.as_ref()))
    }

    fn says(&self, spec: &StateFileSpec, state: u16) -> Says {
        let meta = &spec.states[usize::from(state)];
        let increment = spec.form == FileForm::Increment;
        let list = meta.kind == StateKind::List;
        match self.below(4) {
            0 if increment => Says::Removed,
            1 if increment && list => Says::Append(1 + self.below(3) as u64, self.elements()),
            _ if list => Says::List(self.elements()),
            _ => {
                let most = if self.below(50) == 0 { 9_000 } else { 60 };
                let width = meta.value.width.map_or_else(|| self.below(most), |w| w as usize);
                Says::Value(self.bytes(width + meta.stamp_bytes()))
            }
        }
    }
}

impl Content {
    pub(super) fn empty(spec: StateFileSpec) -> Self {
        Self { spec, entries: BTreeMap::new(), removed_maps: BTreeMap::new() }
    }

    /// Up to `most` entries in each section.
    pub(super) fn random(numbers: &Numbers, spec: StateFileSpec, most: usize) -> Self {
        let mut content = Self::empty(spec);
        let spec = &content.spec;
        for state in 0..u16::try_from(spec.states.len()).unwrap() {
            for group in 0..GROUPS {
                let mut entries = BTreeMap::new();
                for _ in 0..numbers.below(most + 1) {
                    entries.insert(numbers.key(spec, state), numbers.says(spec, state));
                }
                let meta = &spec.states[usize::from(state)];
                if spec.form == FileForm::Increment && meta.kind == StateKind::Map {
                    let whole = |_| {
                        let key = numbers.key(spec, state);
                        Key::new(key.entry().key(), key.entry().namespace(), &[])
                    };
                    let removed = (0..numbers.below(1 + most / 3)).map(whole).collect();
                    content.removed_maps.insert((state, group), removed);
                }
                content.entries.insert((state, group), entries);
            }
        }
        content
    }

    pub(super) fn groups(&self) -> KeyGroupRange {
        self.spec.range
    }

    pub(super) fn sections(&self) -> impl Iterator<Item = (At, &BTreeMap<Key, Says>)> {
        self.entries.iter().map(|(at, entries)| (*at, entries))
    }

    /// The bytes of a state file with lookups that has all of it.
    pub(super) fn written(&self) -> Vec<u8> {
        let mut options = WriteOptions::default();
        options.lookups = true;
        self.written_with(options)
    }

    pub(super) fn written_with(&self, options: WriteOptions) -> Vec<u8> {
        let writer = StateFileWriter::new(BufferWriter::boxed(), self.spec.clone(), options);
        let mut writer = writer.unwrap().into_sequential();
        for (at, entries) in self.sections() {
            writer.section(at.0, KeyGroup::new(at.1)).unwrap();
            for key in self.removed_maps.get(&at).into_iter().flatten() {
                writer.remove_map(key.entry()).unwrap();
            }
            for (key, says) in entries {
                let key = key.entry();
                let mut buffer = ElementsBuffer::default();
                if let Says::List(elements) | Says::Append(_, elements) = says {
                    for element in elements {
                        buffer.push(element).unwrap();
                    }
                }
                match says {
                    Says::Value(value) => writer.put(key, value),
                    Says::List(_) => writer.list(key, 0, buffer.as_elements()),
                    Says::Append(first, _) => writer.append(key, *first, buffer.as_elements()),
                    Says::Removed => writer.remove(key),
                }
                .unwrap();
            }
        }
        match writer.finish().unwrap().stored.location {
            FileLocation::Inline(bytes) => bytes.to_vec(),
            _ => unreachable!("it was written into memory"),
        }
    }
}

/// What is at a place, read completely.
pub(super) fn said(segment: &Segment, cache: &mut BlockCache, place: Place) -> Result<Says> {
    if place.kind() == BlockKind::Tombstones || place.kind() == BlockKind::MapRemovals {
        return Ok(Says::Removed);
    }
    let list = segment.spec().states[usize::from(state_of(segment, place))].kind == StateKind::List;
    if !list {
        return segment.value(cache, place).map(|value| Says::Value(value.to_vec()));
    }
    let mut elements = Vec::new();
    let read = segment.read_list(cache, place, &mut |element| {
        elements.push(element.to_vec());
        Ok(ControlFlow::Continue(()))
    })?;
    assert!(read.is_continue());
    let (first, size) = segment.list_extent(cache, place)?;
    let bytes: usize = elements.iter().map(|element| element.len() + 4).sum();
    assert_eq!((size.elements, size.bytes), (elements.len() as u64, bytes as u64));
    Ok(match place.kind() {
        BlockKind::Entries => Says::List(elements),
        _ => Says::Append(first, elements),
    })
}

fn state_of(segment: &Segment, place: Place) -> u16 {
    segment.state_file().sections()[place.section as usize].state
}

/// Everything from where the cursor is.
pub(super) fn rest(
    segment: &Segment,
    cache: &mut BlockCache,
    cursor: &mut SectionCursor<'_>,
) -> Result<Vec<(Key, Says)>> {
    next(segment, cache, cursor, usize::MAX)
}

/// At most so many from where the cursor is.
pub(super) fn next(
    segment: &Segment,
    cache: &mut BlockCache,
    cursor: &mut SectionCursor<'_>,
    most: usize,
) -> Result<Vec<(Key, Says)>> {
    let mut all = Vec::new();
    while let Some(Item { key, what, place }) = cursor.item()?
        && all.len() < most
    {
        let key = Key::of(key);
        let says = said(segment, cache, place)?;
        match what {
            What::Value(value) => assert_eq!(says, Says::Value(value.to_vec())),
            What::List => assert!(matches!(says, Says::List(_))),
            What::Append { first } => assert!(matches!(says, Says::Append(at, _) if at == first)),
            What::Removed => assert_eq!(says, Says::Removed),
        }
        all.push((key, says));
        cursor.advance(cache)?;
    }
    Ok(all)
}
