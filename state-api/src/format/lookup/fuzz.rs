//! What must hold of lookups for any bytes; see [`testkit::fuzz`](crate::testkit::fuzz).
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a target fails by panicking, which is what the fuzzer looks for"
)]

use super::super::fuzz::{any_file, expect_file_error, state_file, with_other_blocks};
use super::super::{BufferReader, Record, Section, StateFile};
use super::{Directory, KINDS, LookupPage};
use crate::testkit::fuzz::Draw;
use crate::{EntryKey, entry_hash_of};

/// The bytes in `range` of the file, if it is so long.
fn bytes_at(file: &StateFile, range: std::ops::Range<u64>) -> Option<Vec<u8>> {
    let length = range.end.checked_sub(range.start)?;
    (range.end <= file.reader.len()).then_some(())?;
    let mut bytes = vec![0; usize::try_from(length).ok()?];
    file.reader.read_exact_at(range.start, &mut bytes).ok()?;
    Some(bytes)
}

/// Looks into all pages and at all places of a file that could be opened.
pub(crate) fn walk(file: &StateFile) {
    for section in file.sections() {
        let Some(range) = file.lookups(section) else { continue };
        let bytes = bytes_at(file, range).expect("directories lie in the file");
        let Some(directory) = expect_file_error(file.directory(section, &bytes)) else { continue };
        walk_blocks(file, section, &directory, &bytes);
        for page in 0..directory.pages() {
            let page_bytes = bytes_at(file, directory.page(page)).expect("pages lie in the file");
            let verified = file.verify_page(section, &directory, page, &page_bytes);
            if let Some(page) = expect_file_error(verified) {
                assert_eq!(page.buckets(), directory.buckets_of_page());
            }
            let buckets = bytes_at(file, directory.buckets(page)).expect("pages lie in the file");
            walk_page(file, section, &directory, (&bytes, &buckets));
        }
        assert!(directory.block(&bytes, directory.blocks()).is_none());
    }
}

fn walk_blocks(file: &StateFile, section: &Section, directory: &Directory, bytes: &[u8]) {
    let mut number = 0;
    for kind in KINDS {
        assert_eq!(directory.blocks_of(kind).start, number);
        number = directory.blocks_of(kind).end;
    }
    assert_eq!(number, directory.blocks());
    for number in 0..number {
        let data = directory.block(bytes, number).expect("there is such a block");
        assert_eq!(Some(data.kind), directory.kind_of(number));
        let block = bytes_at(file, data.range()).expect("data blocks lie in the file");
        let Some(block) = expect_file_error(file.verify_block(section, &block, data.at)) else {
            continue;
        };
        assert_eq!(block.records().count(), block.count() as usize);
        assert_eq!(block.raw().len() as u64, data.length);
    }
}

/// Wherever slots lead, there is an entry or there is none.
fn walk_page(
    file: &StateFile,
    section: &Section,
    directory: &Directory,
    (bytes, buckets): (&[u8], &[u8]),
) {
    let page = LookupPage::new(buckets);
    let layout = file.layout(section.state).expect("sections are of states");
    let mut searched = 0;
    for (tag, place) in page.places() {
        if searched < 64 {
            searched += 1;
            let hash = (u64::from(place.block) << 32) | u64::from(place.offset) << 20;
            assert!(page.candidates(hash | u64::from(tag)).count() <= buckets.len());
        }
        let Some(data) = directory.block(bytes, place.block) else { continue };
        let raw = bytes_at(file, data.raw_range()).expect("data blocks lie in the file");
        for kind in KINDS {
            let found = layout.record_at(kind, &raw, place.offset as usize);
            if let Some((_, next)) = expect_file_error(found) {
                assert!(place.offset as usize <= next && next <= raw.len());
            }
        }
    }
}

/// A right file with lookups, and lies in its blocks behind right checksums.
pub fn lookups(bytes: &[u8]) {
    let (lies, content) = bytes.split_at(bytes.len().min(32));
    let (right, content) = any_file(&mut Draw::new(content), true);
    let file = StateFile::open(BufferReader::over(&right[..]), "fuzz").expect("it is right");
    file.verify().expect("it is right");
    for (state, group, key, key_end, namespace_end) in content.keys() {
        let section = file
            .sections()
            .iter()
            .find(|section| (section.state, section.group.index()) == (*state, *group));
        let key = EntryKey::new(key, *key_end, *namespace_end).expect("it was written");
        assert!(is_found(&file, section.expect("it was written"), key), "{key:?} is not found");
    }
    let mut draw = Draw::new(lies);
    let mut blocks = draw.below(8);
    let lying = with_other_blocks(&right, |header, stored| {
        if blocks > 0 {
            blocks -= 1;
            return;
        }
        for _ in 0..draw.below(8) {
            let at = usize::from(draw.u16()) % stored.len().max(1);
            if let Some(byte) = stored.get_mut(at) {
                [*byte] = draw.array();
            }
        }
        if draw.below(8) == 0 {
            let at = draw.below(12);
            [header[at]] = draw.array();
        }
    });
    state_file(&lying);
}

fn is_found(file: &StateFile, section: &Section, key: EntryKey<'_>) -> bool {
    let range = file.lookups(section).expect("it has lookups");
    let bytes = bytes_at(file, range).expect("directories lie in the file");
    let directory = file.directory(section, &bytes).expect("it is right");
    let hash = entry_hash_of(key);
    let buckets = directory.buckets(directory.page_of(hash));
    let buckets = bytes_at(file, buckets).expect("pages lie in the file");
    LookupPage::new(&buckets).candidates(hash).any(|place| {
        let data = directory.block(&bytes, place.block).expect("there is such a block");
        let block = bytes_at(file, data.range()).expect("data blocks lie in the file");
        let block = file.block_at(&block).expect("it is right");
        assert_eq!(block.raw().len() as u64, data.length);
        let (record, _) = block.record_at(place.offset as usize).expect("it is right");
        key_of(&record) == key
    })
}

/// The key of what a block says.
fn key_of<'a>(record: &Record<'a>) -> EntryKey<'a> {
    match record {
        Record::Entry(key, _) | Record::Tombstone(key) | Record::MapRemoval(key) => *key,
        Record::List(segment) | Record::Append(segment) => segment.key,
    }
}
