//! What is written is read, and canonical bytes and digests depend on content alone.

use proptest::prelude::*;

use super::model::{
    Content, How, Item, Numbers, bytes_of, joined, options, random_content, random_spec, read,
    write,
};
use crate::format::{
    BufferReader, FileForm, StateFile, StateFileSpec, element_digest, entry_digest,
};
use crate::schema::StateKind;
use crate::snapshot::{Compression, Digest};
use crate::{EntryKey, KeyGroupRange};

fn forms() -> impl Strategy<Value = FileForm> {
    prop_oneof![Just(FileForm::Full), Just(FileForm::Increment), Just(FileForm::Canonical)]
}

fn compressions() -> impl Strategy<Value = Compression> {
    prop::sample::select(&Compression::ALL[..])
}

fn ways(form: FileForm) -> Vec<How> {
    let mut ways = vec![How::Sequential, How::Sections];
    if form != FileForm::Canonical {
        ways.extend([How::Scatter(0), How::Scatter(40_000), How::Scatter(16 << 20)]);
    }
    ways
}

/// Entry counts and digests computed from the model.
fn expected(content: &Content, spec: &StateFileSpec) -> Vec<(u64, u64, u64, Digest)> {
    let mut totals = vec![(0, 0, 0, Digest::default()); spec.states.len()];
    for ((state, _), section) in content {
        let total = &mut totals[usize::from(*state)];
        for (parts, item) in section {
            let (bytes, key_end, namespace_end) = joined(parts);
            let key = EntryKey::new(&bytes, key_end, namespace_end).unwrap();
            let mut add = |digest: Digest| total.3.0 = total.3.0.wrapping_add(digest.0);
            match item {
                Item::Value(value) => {
                    add(entry_digest(key, value));
                    total.0 += 1;
                }
                Item::Removed | Item::MapRemoved => {
                    let whole = *item == Item::MapRemoved;
                    let part = if whole { 0xffff_ffff } else { parts.2.len() };
                    let numbers = [parts.0.len(), parts.1.len(), part, 0xffff_ffff];
                    let mut item: Vec<u8> =
                        numbers.iter().flat_map(|n| (*n as u32).to_le_bytes()).collect();
                    item.extend_from_slice(&bytes);
                    add(Digest(xxhash_rust::xxh3::xxh3_128(&item)));
                    total.2 += 1;
                }
                Item::List(elements) | Item::Append(_, elements) => {
                    let first = if let Item::Append(first, _) = item { *first } else { 0 };
                    for (index, element) in (first..).zip(elements) {
                        add(element_digest(key, index, element));
                    }
                    total.0 += 1;
                    total.1 += elements.len() as u64;
                }
            }
        }
    }
    totals
}

fn check(content: &Content, spec: &StateFileSpec, compression: Compression, seed: u64) {
    let mut canonical = None;
    for how in ways(spec.form) {
        let written = write(content, spec, how, options(compression), seed).unwrap();
        let bytes = bytes_of(&written);
        let (read_spec, read_content) = read(&bytes).unwrap();
        assert_eq!((&read_spec, &read_content), (spec, content), "{how:?}");
        let file = StateFile::open(BufferReader::over(bytes.clone()), "x").unwrap();
        let totals = file.verify().unwrap();
        assert_eq!(totals, written.states);
        let found: Vec<_> =
            totals.iter().map(|t| (t.entries, t.elements, t.tombstones, t.digest)).collect();
        assert_eq!(found, expected(content, spec), "{how:?}");
        if spec.form == FileForm::Canonical {
            let same = canonical.get_or_insert_with(|| bytes.clone());
            assert!(*same == bytes, "canonical bytes depend on how they are written");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn files_round_trip(seed: u64, form in forms(), compression in compressions(), entries in 0usize..120) {
        let mut numbers = Numbers(seed);
        let spec = random_spec(&mut numbers, form);
        let content = random_content(&mut numbers, &spec, entries, 40);
        check(&content, &spec, compression, seed);
    }

    #[test]
    fn large_entries_round_trip(seed: u64, form in forms(), compression in compressions()) {
        let mut numbers = Numbers(seed);
        let spec = random_spec(&mut numbers, form);
        let content = random_content(&mut numbers, &spec, 8, 70_000);
        check(&content, &spec, compression, seed);
    }

    #[test]
    fn a_range_yields_its_key_groups_only(seed: u64, start in 0u16..128, length in 0u16..64) {
        let mut numbers = Numbers(seed);
        let spec = random_spec(&mut numbers, FileForm::Full);
        let content = random_content(&mut numbers, &spec, 300, 20);
        let range = KeyGroupRange::new(start, start + length).unwrap();
        for how in ways(spec.form) {
            let written = write(&content, &spec, how, options(Compression::None), seed).unwrap();
            let file = StateFile::open(BufferReader::of(&written.stored).unwrap(), "x").unwrap();
            let mut blocks = file.blocks(range);
            let mut seen = std::collections::BTreeSet::new();
            while let Some(block) = blocks.next_block().unwrap() {
                seen.insert((block.state(), block.group().index()));
            }
            let wanted = content.keys().filter(|place| range.iter().any(|g| g.index() == place.1));
            prop_assert_eq!(seen, wanted.copied().collect());
        }
    }
}

#[test]
fn an_entry_of_fixed_widths_costs_nothing_but_its_bytes() {
    let mut spec = random_spec(&mut Numbers(1), FileForm::Full);
    spec.key.codec.width = Some(8);
    spec.states.truncate(1);
    spec.states[0].kind = StateKind::Value;
    (spec.states[0].namespace, spec.states[0].map_key) = (None, None);
    (spec.states[0].value.width, spec.states[0].stamped) = (Some(8), false);
    let section = (0..1000u64).map(|n| {
        let key = (n.to_be_bytes().to_vec(), Vec::new(), Vec::new());
        (key, Item::Value(n.to_le_bytes().to_vec()))
    });
    let content = Content::from([((0, 0), section.collect())]);
    let written =
        write(&content, &spec, How::Scatter(16 << 20), options(Compression::None), 0).unwrap();
    assert_eq!(written.states[0].stored_bytes, 16 * 1000 + 24);
}

#[test]
fn a_long_list_streams_through_many_blocks() {
    let mut spec = random_spec(&mut Numbers(3), FileForm::Canonical);
    spec.states.truncate(1);
    spec.states[0].kind = StateKind::List;
    (spec.states[0].map_key, spec.states[0].namespace) = (None, None);
    (spec.states[0].value.width, spec.states[0].stamped) = (None, false);
    spec.key.codec.width = None;
    let elements: Vec<Vec<u8>> = (0..3000).map(|n| Numbers(n).bytes(n as usize)).collect();
    let parts = (b"key".to_vec(), Vec::new(), Vec::new());
    let content = Content::from([((0, 0), [(parts, Item::List(elements))].into())]);
    check(&content, &spec, Compression::None, 5);
    spec.form = FileForm::Full;
    check(&content, &spec, Compression::Lz4, 5);
    let written = write(&content, &spec, How::Scatter(0), options(Compression::None), 0).unwrap();
    let file = StateFile::open(BufferReader::of(&written.stored).unwrap(), "x").unwrap();
    let section = &file.sections()[0];
    assert!((60..100).contains(&section.blocks), "{} blocks", section.blocks);
    assert_eq!((section.entries, section.elements), (1, 3000));
}
