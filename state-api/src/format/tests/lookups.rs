//! Lookups: whatever was written is found by its hash, and nothing else.

use std::collections::BTreeMap;
use std::ops::Range;

use proptest::prelude::*;

use super::damage::{parts, reseal};
use super::model::{
    Content, How, Item, Numbers, Parts, bytes_of, codec, joined, options, random_content,
    random_spec, read, write,
};
use crate::format::{
    BlockKind, BufferReader, BufferWriter, Directory, FileForm, LookupPage, Place, Record, Section,
    StateFile, StateFileSpec, StateFileWriter, StateTotals, WriteOptions,
};
use crate::schema::StateKind;
use crate::snapshot::Compression;
use crate::{EntryKey, ErrorKind, KeyGroup, Result, entry_hash_of};

pub(super) fn with_lookups() -> WriteOptions {
    WriteOptions { lookups: true, ..options(Compression::None) }
}

/// A file with lookups, read as a backend reads it that has its bytes mapped.
pub(super) struct Mapped {
    pub(super) bytes: Vec<u8>,
    pub(super) file: StateFile,
}

/// What a backend finds of an entry in a section.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Value(Vec<u8>),
    List(u64, Vec<Vec<u8>>),
    Removed,
    MapRemoved,
}

impl Mapped {
    pub(super) fn new(bytes: Vec<u8>) -> Result<Self> {
        let file = StateFile::open(BufferReader::over(&bytes[..]), "mapped")?;
        Ok(Self { bytes, file })
    }

    pub(super) fn at(&self, range: Range<u64>) -> &[u8] {
        self.bytes.get(range.start as usize..range.end as usize).unwrap_or_default()
    }

    fn section(&self, state: u16, group: u16) -> Option<&Section> {
        let place = (state, KeyGroup::new(group));
        self.file.sections().iter().find(|section| (section.state, section.group) == place)
    }

    pub(super) fn directory(&self, section: &Section) -> Result<Directory> {
        self.file.directory(section, self.at(self.file.lookups(section).unwrap()))
    }

    /// Places whose entry may have this hash, and whether these are all.
    fn candidates(&self, section: &Section, hash: u64) -> Result<(Vec<Place>, bool)> {
        let directory = self.directory(section)?;
        let page = directory.page_of(hash);
        let bytes = self.at(directory.page(page));
        let page = self.file.verify_page(section, &directory, page, bytes)?;
        let mut candidates = page.candidates(hash);
        let places = candidates.by_ref().collect();
        Ok((places, candidates.is_complete()))
    }

    /// All that the file says under a key.
    pub(super) fn find(&self, section: &Section, key: EntryKey<'_>) -> Result<Vec<Found>> {
        let (places, complete) = self.candidates(section, entry_hash_of(key))?;
        let mut found = Vec::new();
        for place in places {
            found.extend(self.found(section, place, key)?);
        }
        if !complete && found.is_empty() {
            for place in self.search(section, key)? {
                found.extend(self.found(section, place, key)?);
            }
        }
        Ok(found)
    }

    fn found(&self, section: &Section, place: Place, key: EntryKey<'_>) -> Result<Option<Found>> {
        let (directory, lookups) = (self.directory(section)?, self.file.lookups(section).unwrap());
        let Some(block) = directory.block(self.at(lookups.clone()), place.block) else {
            return Err(crate::Error::corrupted("a slot names no block"));
        };
        let raw = self.file.verify_block(section, self.at(block.range()), block.at)?.raw();
        assert_eq!(raw, self.at(block.raw_range()));
        let layout = self.file.layout(section.state).unwrap();
        let (record, next) = layout.record_at(block.kind, raw, place.offset as usize)?;
        assert!(next <= raw.len());
        Ok(match record {
            Record::Entry(found, value) if found == key => Some(Found::Value(value.to_vec())),
            Record::Tombstone(found) if found == key => Some(Found::Removed),
            Record::MapRemoval(found) if found == key => Some(Found::MapRemoved),
            Record::List(segment) | Record::Append(segment) if segment.key == key => {
                let first = segment.first;
                let numbers = place.block..directory.blocks_of(block.kind).end;
                Some(Found::List(first, self.elements(section, numbers, place.offset, key)?))
            }
            _ => None,
        })
    }

    /// The elements of the list or run that begins in the first of these blocks.
    fn elements(
        &self,
        section: &Section,
        blocks: Range<u32>,
        offset: u32,
        key: EntryKey<'_>,
    ) -> Result<Vec<Vec<u8>>> {
        let (directory, lookups) = (self.directory(section)?, self.file.lookups(section).unwrap());
        let (mut elements, mut offset) = (Vec::new(), offset as usize);
        for number in blocks {
            let block = directory.block(self.at(lookups.clone()), number).unwrap();
            let block = self.file.block_at(self.at(block.range()))?;
            while offset < block.raw().len() {
                let (record, next) = block.record_at(offset)?;
                let (Record::List(segment) | Record::Append(segment)) = record else {
                    return Err(crate::Error::corrupted("a list goes on as something else"));
                };
                if segment.key != key {
                    return Ok(elements);
                }
                elements.extend(segment.elements.iter().map(<[u8]>::to_vec));
                offset = next;
            }
            offset = 0;
        }
        Ok(elements)
    }

    /// Where an entry is by the order of blocks, for each kind of blocks.
    fn search(&self, section: &Section, key: EntryKey<'_>) -> Result<Vec<Place>> {
        let (directory, lookups) = (self.directory(section)?, self.file.lookups(section).unwrap());
        let kinds = [BlockKind::Entries, BlockKind::Tombstones, BlockKind::ListAppends];
        let mut places = Vec::new();
        for kind in kinds.into_iter().chain([BlockKind::MapRemovals]) {
            let block = |number| {
                let block = directory.block(self.at(lookups.clone()), number).unwrap();
                self.file.block_at(self.at(block.range()))
            };
            let numbers: Vec<u32> = directory.blocks_of(kind).collect();
            let before = numbers.partition_point(|number| {
                let first = block(*number).and_then(|block| block.record_at(0));
                first.is_ok_and(|(record, _)| key_of(&record).bytes() < key.bytes())
            });
            for number in numbers.into_iter().skip(before.saturating_sub(1)).take(2) {
                let (block, mut offset) = (block(number)?, 0);
                for _ in 0..block.count() {
                    let (record, next) = block.record_at(offset)?;
                    if key_of(&record) == key {
                        places.push(Place { block: number, offset: offset as u32 });
                        break;
                    }
                    offset = next;
                }
            }
        }
        Ok(places)
    }
}

fn key_of<'a>(record: &Record<'a>) -> EntryKey<'a> {
    match record {
        Record::Entry(key, _) | Record::Tombstone(key) | Record::MapRemoval(key) => *key,
        Record::List(segment) | Record::Append(segment) => segment.key,
    }
}

fn expected(item: &Item) -> Found {
    match item {
        Item::Value(value) => Found::Value(value.clone()),
        Item::List(elements) => Found::List(0, elements.clone()),
        Item::Append(first, elements) => Found::List(*first, elements.clone()),
        Item::Removed => Found::Removed,
        Item::MapRemoved => Found::MapRemoved,
    }
}

fn check(content: &Content, spec: &StateFileSpec, seed: u64) {
    let mut both = Vec::new();
    for how in [How::Sequential, How::Sections] {
        let written = write(content, spec, how, with_lookups(), seed).unwrap();
        let bytes = bytes_of(&written);
        assert_eq!(read(&bytes).unwrap(), (spec.clone(), content.clone()), "{how:?}");
        let mapped = Mapped::new(bytes).unwrap();
        assert_eq!(mapped.file.verify().unwrap(), written.states);
        let plain = write(content, spec, how, options(Compression::None), seed).unwrap();
        for (state, plain) in written.states.iter().zip(plain.states) {
            assert_eq!((state.entries, state.digest), (plain.entries, plain.digest));
        }
        find_all(&mapped, content);
        both.push(mapped.bytes);
    }
    assert!(both[0] == both[1], "bytes depend on how they are written");
}

/// Everything is found, and of other keys nothing.
pub(super) fn find_all(mapped: &Mapped, content: &Content) {
    for ((state, group), items) in content {
        let section = mapped.section(*state, *group).unwrap();
        let mut wanted: BTreeMap<(Vec<u8>, usize, usize), Vec<Found>> = BTreeMap::new();
        for (parts, item) in items {
            wanted.entry(joined(parts)).or_default().push(expected(item));
        }
        for ((bytes, key_end, namespace_end), found) in wanted {
            let key = EntryKey::new(&bytes, key_end, namespace_end).unwrap();
            let mut answer = mapped.find(section, key).unwrap();
            answer.sort_by_key(|found| *found == Found::MapRemoved);
            let mut found = found;
            found.sort_by_key(|found| *found == Found::MapRemoved);
            assert_eq!(answer, found);
            let absent = [&[0xdd; 3], &bytes[..]].concat();
            let absent = EntryKey::new(&absent, key_end + 3, namespace_end + 3).unwrap();
            assert_eq!(mapped.find(section, absent).unwrap(), []);
        }
    }
}

fn forms() -> impl Strategy<Value = FileForm> {
    prop_oneof![Just(FileForm::Full), Just(FileForm::Increment)]
}

/// Asks for everything in a file that lies; what it answers does not matter.
fn ask_for_all(bytes: Vec<u8>, content: &Content) -> Result<()> {
    let mapped = Mapped::new(bytes)?;
    for ((state, group), items) in content {
        let Some(section) = mapped.section(*state, *group) else { continue };
        for parts in items.keys() {
            let (bytes, key_end, namespace_end) = joined(parts);
            if let Ok(key) = EntryKey::new(&bytes, key_end, namespace_end) {
                mapped.find(section, key)?;
            }
        }
    }
    mapped.file.verify().map(drop)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_written_is_found(seed: u64, form in forms(), entries in 0usize..300) {
        let mut numbers = Numbers(seed);
        let spec = random_spec(&mut numbers, form);
        let content = random_content(&mut numbers, &spec, entries, 40);
        check(&content, &spec, seed);
    }

    #[test]
    fn large_entries_and_long_lists_are_found(seed: u64, form in forms()) {
        let mut numbers = Numbers(seed);
        let spec = random_spec(&mut numbers, form);
        let content = random_content(&mut numbers, &spec, 12, 20_000);
        check(&content, &spec, seed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Bytes anywhere in data blocks, pages and directories, behind right checksums.
    #[test]
    fn lies_in_blocks_lead_nowhere(seed: u64, form in forms(), lies in prop::collection::vec(any::<(prop::sample::Index, u8)>(), 1..20)) {
        let mut numbers = Numbers(seed);
        let spec = random_spec(&mut numbers, form);
        let content = random_content(&mut numbers, &spec, 8, 40);
        let written = write(&content, &spec, How::Sequential, with_lookups(), seed).unwrap();
        let bytes = bytes_of(&written);
        let (header, blocks, index) = parts(&bytes);
        for (at, byte) in lies {
            let mut lying = bytes.clone();
            if let Some((start, end)) = blocks.get(at.index(blocks.len().max(1))) {
                // Of a block's header: what it says of itself, but not its length.
                let at = start + at.index(end - start);
                lying[if (start + 16..start + 24).contains(&at) { start + 8 } else { at }] = byte;
            }
            reseal(&mut lying, header, &blocks, index);
            if let Err(error) = ask_for_all(lying, &content) {
                prop_assert_eq!(error.kind(), ErrorKind::Corrupted);
            }
        }
    }
}

/// A spec of one state from 8 bytes to any, in one key group.
fn plain(form: FileForm, kind: StateKind) -> StateFileSpec {
    let mut spec = random_spec(&mut Numbers(1), form);
    spec.groups = crate::MaxParallelism::new(1).unwrap();
    spec.range = spec.groups.all();
    spec.key.codec = codec(Some(8));
    spec.states.truncate(1);
    let state = &mut spec.states[0];
    (state.kind, state.stamped) = (kind, false);
    (state.namespace, state.map_key, state.value) = (None, None, codec(None));
    spec
}

fn key(n: u64) -> Parts {
    (n.to_be_bytes().to_vec(), Vec::new(), Vec::new())
}

/// A file with 50,000 entries from 8 bytes to 8 in one section, and what it is said to have.
pub(super) fn many_pages() -> (Vec<u8>, StateTotals) {
    let mut spec = plain(FileForm::Full, StateKind::Value);
    spec.states[0].value = codec(Some(8));
    let items = (0..50_000u64).map(|n| (key(n), Item::Value(n.to_le_bytes().to_vec())));
    let content = Content::from([((0, 0), items.collect())]);
    let written = write(&content, &spec, How::Sequential, with_lookups(), 0).unwrap();
    (bytes_of(&written), written.states[0])
}

#[test]
fn many_pages_are_found_and_are_what_they_cost() {
    let (bytes, totals) = many_pages();
    let mapped = Mapped::new(bytes).unwrap();
    let section = &mapped.file.sections()[0];
    let directory = mapped.directory(section).unwrap();
    assert_eq!((directory.pages(), directory.blocks()), (14, 50_000u32.div_ceil(256)));
    for page in 0..directory.pages() {
        let range = directory.page(page);
        let buckets = directory.buckets(page);
        assert_eq!((buckets.start % 64, buckets.end), (0, range.end));
        mapped.file.verify_page(section, &directory, page, mapped.at(range)).unwrap();
    }
    for n in 0..50_000u64 {
        let bytes = n.to_be_bytes();
        let hash = entry_hash_of(EntryKey::new(&bytes, 8, 8).unwrap());
        let page = LookupPage::new(mapped.at(directory.buckets(directory.page_of(hash))));
        let mut candidates = page.candidates(hash);
        let place = Place { block: n as u32 / 256, offset: n as u32 % 256 * 16 };
        assert!(candidates.any(|found| found == place));
        assert!(candidates.by_ref().count() < 5 && candidates.is_complete());
    }
    let overhead = totals.stored_bytes - 50_000 * 16;
    assert!(overhead < 50_000 * 9, "{overhead} bytes");
}

/// Keys whose hashes belong to the first of two pages.
fn of_the_first_page(count: usize) -> impl Iterator<Item = u64> {
    let first = |n: &u64| crate::hash_bytes(&n.to_be_bytes()) >> 63 == 0;
    (0u64..).filter(first).take(count)
}

#[test]
fn what_a_page_cannot_take_is_found_by_its_order() {
    // Two pages of 257 buckets each, of which one gets everything.
    let mut all: Vec<u64> = of_the_first_page(3842).collect();
    let absent = all.remove(1000);
    let spec = plain(FileForm::Full, StateKind::Value);
    let items = all.iter().map(|n| (key(*n), Item::Value(n.to_le_bytes().to_vec())));
    let content = Content::from([((0, 0), items.collect())]);
    let written = write(&content, &spec, How::Sequential, with_lookups(), 0).unwrap();
    let mapped = Mapped::new(bytes_of(&written)).unwrap();
    assert_eq!(mapped.file.verify().unwrap(), written.states);
    let section = &mapped.file.sections()[0];
    let directory = mapped.directory(section).unwrap();
    assert_eq!((directory.pages(), directory.buckets_of_page()), (2, 257));
    let page = LookupPage::new(mapped.at(directory.buckets(0)));
    let missing = |n: &&u64| {
        let mut candidates = page.candidates(crate::hash_bytes(&n.to_be_bytes()));
        let places: Vec<Place> = candidates.by_ref().collect();
        assert!(!candidates.is_complete() && places.len() < 100);
        let bytes = n.to_be_bytes();
        let key = EntryKey::new(&bytes, 8, 8).unwrap();
        places.iter().all(|place| mapped.found(section, *place, key).unwrap().is_none())
    };
    assert_eq!(all.iter().step_by(40).filter(missing).count(), 32);
    for n in all.iter().step_by(40) {
        let bytes = n.to_be_bytes();
        let key = EntryKey::new(&bytes, 8, 8).unwrap();
        let value = Found::Value(n.to_le_bytes().to_vec());
        assert_eq!(mapped.find(section, key).unwrap(), [value]);
    }
    let absent = absent.to_be_bytes();
    assert_eq!(mapped.find(section, EntryKey::new(&absent, 8, 8).unwrap()).unwrap(), []);
}

#[test]
fn a_list_of_many_blocks_is_found_among_others() {
    for form in [FileForm::Full, FileForm::Increment] {
        let spec = plain(form, StateKind::List);
        let long: Vec<Vec<u8>> = (0..3000).map(|n| Numbers(n).bytes(n as usize % 300)).collect();
        let mut items = BTreeMap::new();
        for n in 0..200u64 {
            let item = match n % 7 {
                3 => Item::List(long.clone()),
                5 if form == FileForm::Increment => Item::Append(n + 1, long.clone()),
                6 if form == FileForm::Increment => Item::Removed,
                _ => Item::List(vec![n.to_le_bytes().to_vec()]),
            };
            items.insert(key(n), item);
        }
        check(&Content::from([((0, 0), items)]), &spec, 3);
    }
}

/// All but the flag that a search goes on, which entries alone do not tell.
#[test]
fn every_lie_about_what_entries_there_are_is_noticed() {
    let spec = plain(FileForm::Increment, StateKind::Value);
    let items = (0..120u64).map(|n| {
        let removed = n % 5 == 0;
        (key(n), if removed { Item::Removed } else { Item::Value(vec![7; n as usize % 40]) })
    });
    let content = Content::from([((0, 0), items.collect())]);
    let written = write(&content, &spec, How::Sequential, with_lookups(), 0).unwrap();
    let bytes = bytes_of(&written);
    let (header, blocks, index) = parts(&bytes);
    let lookups: Vec<_> = blocks.iter().filter(|(start, _)| bytes[*start] > 4).collect();
    assert_eq!(lookups.len(), 2, "a page and the directory");
    for &&(start, end) in &lookups {
        for at in start + 24..end {
            let mut lying = bytes.clone();
            lying[at] ^= 1;
            reseal(&mut lying, header, &blocks, index);
            let file = StateFile::open(BufferReader::over(lying), "lying").unwrap();
            let is_flag = bytes[start] == 5 && at % 64 == 60;
            match file.verify() {
                Ok(_) => assert!(is_flag, "{at} in {start}..{end}"),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupted),
            }
        }
    }
}

#[test]
fn misuse_of_lookups_is_a_bug() {
    let writer = |form, options| {
        StateFileWriter::new(BufferWriter::boxed(), plain(form, StateKind::Value), options)
    };
    let bug = |result: Result<()>| assert_eq!(result.unwrap_err().kind(), ErrorKind::Bug);
    bug(writer(FileForm::Canonical, with_lookups()).map(drop));
    let compressed = WriteOptions { compression: Compression::Lz4, ..with_lookups() };
    bug(writer(FileForm::Full, compressed).map(drop));
    bug(writer(FileForm::Full, with_lookups()).unwrap().into_scatter().map(drop));
    let keys = [1u64.to_be_bytes(), 0u64.to_be_bytes()];
    for removals in [false, true] {
        let mut file = writer(FileForm::Increment, with_lookups()).unwrap().into_sequential();
        file.section(0, KeyGroup::new(0)).unwrap();
        for key in &keys {
            let key = EntryKey::new(key, 8, 8).unwrap();
            if removals { file.remove(key) } else { file.put(key, b"") }.unwrap();
        }
        bug(file.finish().map(drop));
    }
}

#[test]
fn a_file_without_lookups_has_none() {
    let spec = plain(FileForm::Full, StateKind::Value);
    let content = Content::from([((0, 0), [(key(1), Item::Value(vec![1]))].into())]);
    let written = write(&content, &spec, How::Sequential, options(Compression::None), 0).unwrap();
    let file = StateFile::open(BufferReader::of(&written.stored).unwrap(), "x").unwrap();
    assert_eq!(file.lookups(&file.sections()[0]), None);
    let error = file.directory(&file.sections()[0], &[0; 100]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupted);
}
