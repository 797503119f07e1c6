//! A plain model of what a state file holds, random instances of it, and three ways of writing it.

use std::collections::BTreeMap;

use crate::format::{
    BufferReader, BufferWriter, FileForm, Record, StateFile, StateFileSpec, StateFileWriter,
    WriteOptions, WrittenStateFile,
};
use crate::schema::{CodecSchema, KeyIdentity, StateKind, StateMeta};
use crate::snapshot::{Compression, FileLocation};
use crate::{ElementsBuffer, EntryKey, KeyGroup, MaxParallelism, Result};

/// A repeatable source of numbers (splitmix64).
#[derive(Clone, Debug)]
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    pub(super) fn bytes(&mut self, length: usize) -> Vec<u8> {
        // Few different bytes, so that compression has something to do.
        (0..length).map(|_| (self.next() % 7) as u8).collect()
    }
}

/// Key, namespace, map key.
pub(super) type Parts = (Vec<u8>, Vec<u8>, Vec<u8>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Value(Vec<u8>),
    List(Vec<Vec<u8>>),
    Append(u64, Vec<Vec<u8>>),
    Removed,
    /// A removed map; its map key is [`WHOLE`].
    MapRemoved,
}

/// Stands for no map key in the model; random bytes are below 7.
const WHOLE: [u8; 3] = [0xee; 3];

/// What a file holds, by (state, key group).
pub(super) type Content = BTreeMap<(u16, u16), BTreeMap<Parts, Item>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Scatter(usize),
    Sequential,
    Sections,
}

pub(super) fn codec(width: Option<u32>) -> CodecSchema {
    CodecSchema {
        codec: "test".into(),
        version: 3,
        shape: format!("bytes({width:?})").into(),
        width,
    }
}

fn width(numbers: &mut Numbers) -> Option<u32> {
    [None, None, Some(0), Some(1), Some(4), Some(8), Some(17)][numbers.below(7)]
}

pub(super) fn random_spec(numbers: &mut Numbers, form: FileForm) -> StateFileSpec {
    let groups = MaxParallelism::new([1, 4, 128][numbers.below(3)]).unwrap();
    let kinds = [
        StateKind::Value,
        StateKind::List,
        StateKind::Reducing,
        StateKind::Map,
        StateKind::Ordered,
    ];
    let states = (0..=numbers.below(3)).map(|index| {
        let kind = kinds[numbers.below(kinds.len())];
        StateMeta {
            name: format!("state-{index}").into(),
            kind,
            namespace: (numbers.below(2) == 0).then(|| codec(width(numbers))),
            map_key: (kind == StateKind::Map).then(|| codec(width(numbers))),
            value: codec(width(numbers)),
            size_limit: 1 << 31,
            stamped: numbers.below(3) == 0,
        }
    });
    let mut states: Vec<_> = states.collect();
    if form != FileForm::Canonical {
        states.reverse();
    }
    StateFileSpec {
        key: KeyIdentity {
            codec: codec([None, Some(8), Some(4)][numbers.below(3)]),
            hash: "xxh3/1".into(),
        },
        groups,
        range: groups.all(),
        states,
        form,
    }
}

fn part(numbers: &mut Numbers, schema: Option<&CodecSchema>, most: usize) -> Vec<u8> {
    let Some(schema) = schema else {
        return Vec::new();
    };
    let length = schema.width.map_or_else(|| numbers.below(most), |width| width as usize);
    numbers.bytes(length)
}

/// Entries for all states; values of up to `most` bytes.
pub(super) fn random_content(
    numbers: &mut Numbers,
    spec: &StateFileSpec,
    entries: usize,
    most: usize,
) -> Content {
    let mut content = Content::new();
    for (id, state) in (0u16..).zip(&spec.states) {
        for _ in 0..numbers.below(entries + 1) {
            let group = numbers.below(usize::from(spec.groups.get())) as u16;
            let key = part(numbers, Some(&spec.key.codec), 20);
            let namespace = part(numbers, state.namespace.as_ref(), 5);
            let mut map_key = part(numbers, state.map_key.as_ref(), 9);
            let value = |numbers: &mut Numbers| {
                let mut value = numbers.bytes(state.stamp_bytes());
                value.extend(part(numbers, Some(&state.value), most));
                value
            };
            let roll = numbers.below(10);
            let increment = spec.form == FileForm::Increment;
            let item = if increment && roll == 0 && state.kind == StateKind::Map {
                map_key = WHOLE.to_vec();
                Item::MapRemoved
            } else if increment && roll < 3 {
                Item::Removed
            } else if state.kind == StateKind::List {
                let count = 1 + numbers.below(if roll == 9 && most < 1000 { 300 } else { 4 });
                let elements = (0..count).map(|_| value(numbers)).collect();
                if increment && roll < 6 {
                    Item::Append(1 + numbers.next() % 1000, elements)
                } else {
                    Item::List(elements)
                }
            } else {
                Item::Value(value(numbers))
            };
            content.entry((id, group)).or_default().insert((key, namespace, map_key), item);
        }
    }
    content
}

/// Makes values of variable width so repetitive that every compression finds something.
pub(super) fn repetitive(mut content: Content, spec: &StateFileSpec) -> Content {
    for ((state, _), section) in &mut content {
        if spec.states[usize::from(*state)].value.width.is_some() {
            continue;
        }
        for item in section.values_mut() {
            match item {
                Item::Value(value) => *value = value.repeat(8),
                Item::List(elements) | Item::Append(_, elements) => {
                    for element in elements {
                        *element = element.repeat(8);
                    }
                }
                Item::Removed | Item::MapRemoved => {}
            }
        }
    }
    content
}

enum Step<'a> {
    Put(&'a [u8]),
    Remove,
    RemoveMap,
    List(u64, ElementsBuffer),
    Append(u64, ElementsBuffer),
}

/// The calls that write an item; lists in pieces of random size.
fn steps<'a>(numbers: &mut Numbers, item: &'a Item) -> Vec<Step<'a>> {
    let mut pieces = |mut first: u64, elements: &[Vec<u8>], append: bool| {
        let mut steps = Vec::new();
        let mut rest = elements;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(1 + numbers.below(rest.len()));
            rest = after;
            let mut buffer = ElementsBuffer::default();
            for element in piece {
                buffer.push(element).unwrap();
            }
            let step = if append { Step::Append } else { Step::List };
            steps.push(step(first, buffer));
            first += piece.len() as u64;
        }
        steps
    };
    match item {
        Item::Value(value) => vec![Step::Put(value)],
        Item::Removed => vec![Step::Remove],
        Item::MapRemoved => vec![Step::RemoveMap],
        Item::List(elements) => pieces(0, elements, false),
        Item::Append(first, elements) => pieces(*first, elements, true),
    }
}

fn removals_first(section: &BTreeMap<Parts, Item>) -> Vec<(&Parts, &Item)> {
    let mut all: Vec<_> = section.iter().collect();
    all.sort_by_key(|(_, item)| **item != Item::MapRemoved);
    all
}

pub(super) fn joined(parts: &Parts) -> (Vec<u8>, usize, usize) {
    let map_key = if parts.2 == WHOLE { &[] } else { &parts.2[..] };
    let bytes = [&parts.0[..], &parts.1, map_key].concat();
    (bytes, parts.0.len(), parts.0.len() + parts.1.len())
}

macro_rules! write_steps {
    ($writer:expr, $numbers:expr, $parts:expr, $item:expr $(, $group:expr)?) => {{
        let (bytes, key_end, namespace_end) = joined($parts);
        let key = EntryKey::new(&bytes, key_end, namespace_end)?;
        for step in steps($numbers, $item) {
            match step {
                Step::Put(value) => $writer.put($($group,)? key, value)?,
                Step::Remove => $writer.remove($($group,)? key)?,
                Step::RemoveMap => $writer.remove_map($($group,)? key)?,
                Step::List(first, elements) => {
                    $writer.list($($group,)? key, first, elements.as_elements())?;
                }
                Step::Append(first, elements) => {
                    $writer.append($($group,)? key, first, elements.as_elements())?;
                }
            }
        }
    }};
}

pub(super) fn write(
    content: &Content,
    spec: &StateFileSpec,
    how: How,
    options: WriteOptions,
    seed: u64,
) -> Result<WrittenStateFile> {
    let mut numbers = Numbers(seed);
    let mut options = options;
    if let How::Scatter(bytes) = how {
        options.buffer_bytes = bytes;
    }
    let mut file = StateFileWriter::new(BufferWriter::boxed(), spec.clone(), options)?;
    match how {
        How::Scatter(_) => {
            let mut writer = file.into_scatter()?;
            let mut all: Vec<_> = content
                .iter()
                .flat_map(|(place, section)| section.iter().map(move |entry| (*place, entry)))
                .collect();
            for index in (1..all.len()).rev() {
                all.swap(index, numbers.below(index + 1));
            }
            all.sort_by_key(|((state, _), (_, item))| (*state, **item != Item::MapRemoved));
            for ((state, group), (parts, item)) in all {
                writer.state(state)?;
                let group = KeyGroup::new(group);
                write_steps!(writer, &mut numbers, parts, item, group);
            }
            writer.finish()
        }
        How::Sequential => {
            let mut writer = file.into_sequential();
            for ((state, group), section) in content {
                writer.section(*state, KeyGroup::new(*group))?;
                for (parts, item) in removals_first(section) {
                    write_steps!(writer, &mut numbers, parts, item);
                }
            }
            writer.finish()
        }
        How::Sections => {
            let encoding = file.encoding();
            let mut encoded = Vec::new();
            for ((state, group), section) in content.iter().rev() {
                let mut encoder = encoding.section(*state, KeyGroup::new(*group))?;
                for (parts, item) in removals_first(section) {
                    write_steps!(encoder, &mut numbers, parts, item);
                }
                encoded.push(encoder.finish()?);
            }
            encoded.into_iter().rev().try_for_each(|section| file.append_section(section))?;
            file.finish()
        }
    }
}

pub(super) fn bytes_of(written: &WrittenStateFile) -> Vec<u8> {
    match &written.stored.location {
        FileLocation::Inline(bytes) => bytes.to_vec(),
        other => panic!("{other:?} is not in memory"),
    }
}

/// Reads a whole file back.
pub(super) fn read(bytes: &[u8]) -> Result<(StateFileSpec, Content)> {
    let file = StateFile::open(BufferReader::over(bytes), "test.state")?;
    let mut content = Content::new();
    let mut blocks = file.blocks_where(|_| true);
    while let Some(block) = blocks.next_block()? {
        let section = content.entry((block.state(), block.group().index())).or_default();
        let parts = |key: EntryKey<'_>| {
            (key.key().to_vec(), key.namespace().to_vec(), key.map_key().to_vec())
        };
        let mut records = 0;
        for record in block.records() {
            records += 1;
            match record {
                Record::Entry(key, value) => {
                    assert!(section.insert(parts(key), Item::Value(value.to_vec())).is_none());
                }
                Record::Tombstone(key) => {
                    assert!(section.insert(parts(key), Item::Removed).is_none());
                }
                Record::MapRemoval(key) => {
                    let parts = (key.key().to_vec(), key.namespace().to_vec(), WHOLE.to_vec());
                    assert!(section.insert(parts, Item::MapRemoved).is_none());
                }
                Record::List(segment) => {
                    let fresh = Item::List(Vec::new());
                    let item = section.entry(parts(segment.key)).or_insert(fresh);
                    let Item::List(list) = item else { panic!("no list") };
                    assert_eq!(list.len() as u64, segment.first);
                    list.extend(segment.elements.iter().map(<[u8]>::to_vec));
                }
                Record::Append(segment) => {
                    let fresh = Item::Append(segment.first, Vec::new());
                    let item = section.entry(parts(segment.key)).or_insert(fresh);
                    let Item::Append(first, list) = item else { panic!("no run") };
                    assert_eq!(*first + list.len() as u64, segment.first);
                    list.extend(segment.elements.iter().map(<[u8]>::to_vec));
                }
            }
        }
        assert_eq!(records, block.count());
        if let Some((fixed, raw)) = block.fixed() {
            let widths = fixed.entry_bytes() * block.count() as usize;
            assert_eq!((raw.len(), block.entries().count()), (widths, block.count() as usize));
        }
    }
    Ok((file.spec().clone(), content))
}

pub(super) fn options(compression: Compression) -> WriteOptions {
    WriteOptions { compression, ..WriteOptions::default() }
}
