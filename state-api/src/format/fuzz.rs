//! What must hold of the decoders of this module for any bytes; see [`testkit::fuzz`][1].
//!
//! Checksums keep random changes out, so most targets repair them first, as a liar would: what lies
//! behind them must be as careful.
//!
//! [1]: crate::testkit::fuzz
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a target fails by panicking, which is what the fuzzer looks for"
)]

use std::collections::BTreeMap;

use super::audit::{Audit, RawBlock};
use super::block::{BLOCK_HEADER_BYTES, BlockContent, BlockHeader};
use super::checksum::{crc32c, crc32c_of, file_checksum};
use super::digest::Digester;
use super::features::METADATA_COMPATIBLE;
use super::footer::FOOTER_BYTES;
use super::layout::EntryLayout;
use super::records::{Block, Record};
use super::{
    BufferReader, BufferWriter, CheckpointMetadata, FileForm, StateFile, StateFileSpec,
    StateFileWriter, WriteOptions, WrittenStateFile, compress, features, index, lookup,
};
use crate::schema::{CodecSchema, KeyIdentity, StateKind, StateMeta};
use crate::snapshot::{Compression, FileLocation};
use crate::testkit::fuzz::Draw;
use crate::{ElementsBuffer, EntryKey, ErrorKind, KeyGroup, KeyGroupRange, MaxParallelism, Result};

pub use super::lookup::fuzz::lookups;

/// What decoders of files may answer.
pub(super) fn expect_file_error<T>(result: Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            let kinds = [ErrorKind::Corrupted, ErrorKind::Unsupported];
            assert!(kinds.contains(&error.kind()), "{error:?}");
            None
        }
    }
}

/// A state file as it is.
pub fn state_file(bytes: &[u8]) {
    if let Some(file) = expect_file_error(StateFile::open(BufferReader::over(bytes), "fuzz")) {
        walk(&file);
    }
}

/// A state file whose checksums and lengths are right.
pub fn sealed_state_file(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    seal(&mut bytes);
    state_file(&bytes);
}

/// A right file, whose index lies about what there is.
pub fn lying_state_file(bytes: &[u8]) {
    let (lies, content) = bytes.split_at(bytes.len().min(24));
    let mut draw = Draw::new(lies);
    let lying = with_other_counts(&any_state_file(content).0, |count| match draw.below(8) {
        0 => u64::MAX,
        1 => u64::MAX / 2,
        2 => count.wrapping_add(u64::from(draw.u16())),
        _ => count,
    });
    state_file(&lying);
}

/// A right state file with other counts in its index, and right checksums: what a liar writes.
pub fn with_other_counts(bytes: &[u8], mut other: impl FnMut(u64) -> u64) -> Vec<u8> {
    let file = StateFile::open(BufferReader::over(bytes), "fuzz").unwrap();
    let mut sections = file.sections.clone();
    for section in &mut sections {
        let counts = [&mut section.entries, &mut section.elements, &mut section.tombstones];
        for count in counts {
            *count = other(*count);
        }
    }
    let (front, footer) = bytes.split_at(bytes.len() - FOOTER_BYTES);
    let (header, index) = (u32_at(bytes, 12).unwrap(), u32_at(footer, 0).unwrap());
    let mut lying = front[..index].to_vec();
    lying.extend(index::encode(&file.spec, file.lookups, header as u64, &sections));
    lying.extend(footer);
    seal(&mut lying);
    lying
}

/// A right state file with other blocks of the same lengths, and right checksums: what a liar writes.
/// Each header and its stored bytes are given to `other`, and may be of any compression, unless the file has lookups.
pub fn with_other_blocks(bytes: &[u8], mut other: impl FnMut(&mut [u8], &mut [u8])) -> Vec<u8> {
    let mut lying = bytes.to_vec();
    let index = u32_at(bytes, bytes.len() - FOOTER_BYTES).unwrap();
    let mut at = u32_at(bytes, 12).unwrap();
    while at < index {
        let end = at + BLOCK_HEADER_BYTES + u32_at(bytes, at + 16).unwrap();
        let (header, stored) = lying[at..end].split_at_mut(BLOCK_HEADER_BYTES);
        other(header, stored);
        at = end;
    }
    let bits = u32::try_from(u32_at(bytes, 20).unwrap()).unwrap();
    if bits & features::LOOKUPS == 0 {
        put_u32(&mut lying, 20, bits | features::COMPRESSIONS);
    }
    seal(&mut lying);
    lying
}

/// Reads everything in a file that could be opened.
fn walk(file: &StateFile) {
    let spec = file.spec();
    spec.validate().unwrap();
    let half =
        KeyGroupRange::new(spec.range.start(), spec.range.start().midpoint(spec.range.end()));
    for range in [spec.range, half.unwrap()] {
        assert_eq!(file.totals(range).len(), spec.states.len());
        let mut blocks = file.blocks(range);
        while let Some(Some(block)) = expect_file_error(blocks.next_block()) {
            assert!(
                range.contains(block.group()) && usize::from(block.state()) < spec.states.len()
            );
            read_block(&block);
        }
    }
    drop(expect_file_error(file.verify()));
    lookup::fuzz::walk(file);
}

/// All records of a block that was found to be right.
fn read_block(block: &Block<'_>) {
    let mut records = 0;
    for record in block.records() {
        records += 1;
        match record {
            Record::Entry(key, _) | Record::Tombstone(key) | Record::MapRemoval(key) => {
                assert!(key.namespace_end() <= key.bytes().len());
            }
            Record::List(segment) | Record::Append(segment) => {
                assert_eq!(segment.elements.iter().count() as u64, segment.elements.count());
                assert!(segment.elements.count() > 0);
            }
        }
    }
    assert_eq!(records, block.count());
    if let Some((fixed, raw)) = block.fixed() {
        assert_eq!(fixed.entry_bytes() * block.count() as usize, raw.len());
        assert_eq!(block.entries().count(), block.count() as usize);
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?) as usize)
}

fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    if let Some(place) = bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *place = value.to_le_bytes();
    }
}

/// Repairs the checksums of a state file wherever its own lengths say that they are.
pub(crate) fn seal(bytes: &mut [u8]) -> Option<()> {
    let footer = bytes.len().checked_sub(FOOTER_BYTES)?;
    let header = u32_at(bytes, 12)?.clamp(4, footer.max(4));
    let checksum = crc32c(bytes.get(..header - 4)?);
    put_u32(bytes, header - 4, checksum);
    let index = u32_at(bytes, footer)?.clamp(header.min(footer), footer);
    let mut at = header;
    while at + BLOCK_HEADER_BYTES <= index {
        let end = at.saturating_add(BLOCK_HEADER_BYTES).saturating_add(u32_at(bytes, at + 16)?);
        let stored = bytes.get(at + BLOCK_HEADER_BYTES..end.min(index))?;
        let checksum = crc32c_of(bytes.get(at..at + 20)?, stored);
        put_u32(bytes, at + 20, checksum);
        at = end;
    }
    let fields = [index as u64, (footer - index) as u64, bytes.len() as u64];
    let checksum = crc32c(bytes.get(index..footer)?);
    for (place, field) in bytes.get_mut(footer..)?.chunks_exact_mut(8).zip(fields) {
        place.copy_from_slice(&field.to_le_bytes());
    }
    put_u32(bytes, footer + 24, checksum);
    let checksum = crc32c(bytes.get(footer..footer + 28)?);
    put_u32(bytes, footer + 28, checksum);
    bytes.get_mut(footer + 32..)?.copy_from_slice(b"ALVS-END");
    Some(())
}

/// A block whose checksum is right, in a file of any form, of a state of any layout.
pub fn block(bytes: &[u8]) {
    let mut draw = Draw::new(bytes);
    let (meta, ordered) = (any_state(&mut draw, "state"), draw.flag());
    let layout = EntryLayout::new(&key_identity(&mut draw), &meta).unwrap();
    let (mut audit, mut digester) = (Audit::default(), Digester::default());
    let (mut rest, mut raw) = (draw.rest().to_vec(), Vec::new());
    let mut blocks = &mut rest[..];
    while let Some((head, tail)) = blocks.split_at_mut_checked(BLOCK_HEADER_BYTES) {
        let length = u32_at(head, 16).unwrap().min(tail.len());
        let (stored, after) = tail.split_at_mut(length);
        blocks = after;
        let checksum = crc32c_of(&head[..20], stored);
        put_u32(head, 20, checksum);
        let head: &[u8; BLOCK_HEADER_BYTES] = head.first_chunk().unwrap();
        let Some(header) = expect_file_error(BlockHeader::decode(head)) else { return };
        header.verify(head, stored).unwrap();
        let done = compress::decompress(header.compression, stored, header.raw_length, &mut raw);
        if expect_file_error(done).is_none() {
            return;
        }
        assert_eq!(raw.len(), header.raw_length);
        let (BlockContent::Entries(kind), count) = (header.content, header.count) else { return };
        let parts = RawBlock { kind, count, raw: &raw, ordered };
        if audit.block(&layout, parts, &mut digester, None).is_err() {
            return;
        }
        let (state, group) = (header.state, header.group);
        read_block(&Block { layout: &layout, kind, state, group, count, raw: &raw });
    }
}

/// Bytes that are decompressed as each compression's, and bytes that are compressed by it.
pub fn compression(bytes: &[u8]) {
    let mut draw = Draw::new(bytes);
    let compression = Compression::ALL[draw.below(Compression::ALL.len())];
    let raw_length = usize::from(draw.u16() % 4096) << draw.below(7);
    let (bytes, mut out) = (draw.rest(), Vec::new());
    if expect_file_error(compress::decompress(compression, bytes, raw_length, &mut out)).is_some() {
        assert_eq!(out.len(), raw_length);
    }
    let (mut stored, mut again) = (Vec::new(), Vec::new());
    if compress::compress(compression, bytes, &mut stored) {
        assert!(stored.len() < bytes.len());
        compress::decompress(compression, &stored, bytes.len(), &mut again).unwrap();
        assert_eq!(again, bytes);
    }
}

/// `_metadata` as it is.
pub fn metadata(bytes: &[u8]) {
    let Some(metadata) = expect_file_error(CheckpointMetadata::decode(bytes)) else { return };
    let encoded = metadata.encode().unwrap();
    // Records of a later version may be longer than we know.
    let features = u32::from_le_bytes(bytes[16..20].try_into().unwrap());
    let extended = features & !METADATA_COMPATIBLE != 0;
    assert!(extended || encoded == bytes, "what decodes is what would be written");
    assert_eq!(CheckpointMetadata::decode(&encoded).unwrap(), metadata);
}

/// `_metadata` whose length and checksum are right, and those of inline files in it.
pub fn sealed_metadata(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    seal_metadata(&mut bytes);
    metadata(&bytes);
}

/// Repairs length and checksum of metadata.
pub(crate) fn seal_metadata(bytes: &mut [u8]) {
    let length = bytes.len() as u64;
    if let Some(place) = bytes.get_mut(24..32) {
        place.copy_from_slice(&length.to_le_bytes());
    }
    if let Some((content, checksum)) = bytes.split_last_chunk_mut::<16>() {
        *checksum = file_checksum(content).to_le_bytes();
    }
}

fn any_schema(draw: &mut Draw<'_>) -> CodecSchema {
    let width = [None, None, Some(0), Some(1), Some(4), Some(8)][draw.below(6)];
    CodecSchema { codec: "fuzz".into(), version: 1, shape: "bytes".into(), width }
}

fn key_identity(draw: &mut Draw<'_>) -> KeyIdentity {
    KeyIdentity { codec: any_schema(draw), hash: "xxh3/1".into() }
}

fn any_state(draw: &mut Draw<'_>, name: &'static str) -> StateMeta {
    let kinds = [StateKind::Value, StateKind::List, StateKind::Reducing, StateKind::Map];
    let kind = kinds[draw.below(kinds.len())];
    StateMeta {
        name: name.into(),
        kind,
        namespace: draw.flag().then(|| any_schema(draw)),
        map_key: (kind == StateKind::Map).then(|| any_schema(draw)),
        value: any_schema(draw),
        size_limit: 1 << 20,
        stamped: draw.below(4) == 0,
    }
}

fn any_part(draw: &mut Draw<'_>, schema: Option<&CodecSchema>) -> Vec<u8> {
    let length = match schema.map(|schema| schema.width) {
        None => 0,
        Some(None) => draw.below(9),
        Some(Some(width)) => width as usize,
    };
    draw.exactly(length)
}

/// State, key group, and the bytes and ends of a key.
type Place = (u16, u16, Vec<u8>, usize, usize);

/// What a state file holds: values, or the elements of lists; nothing for what was removed.
type Content = BTreeMap<Place, Vec<Vec<u8>>>;

fn any_content(draw: &mut Draw<'_>, spec: &StateFileSpec) -> Content {
    let mut content = Content::new();
    while !draw.is_empty() && content.len() < 64 {
        let id = draw.below(spec.states.len());
        let state = &spec.states[id];
        let mut key = any_part(draw, Some(&spec.key.codec));
        let key_end = key.len();
        key.extend(any_part(draw, state.namespace.as_ref()));
        let namespace_end = key.len();
        key.extend(any_part(draw, state.map_key.as_ref()));
        let removed = spec.form == FileForm::Increment && draw.below(3) == 0;
        let most = if state.kind == StateKind::List { 4 } else { 1 };
        let count = if removed { 0 } else { 1 + draw.below(most) };
        let mut value = || {
            let mut value = draw.exactly(state.stamp_bytes());
            let times = 1 + draw.below(40);
            let part = any_part(draw, Some(&state.value));
            value.extend(if state.value.width.is_none() { part.repeat(times) } else { part });
            value
        };
        let values = (0..count).map(|_| value()).collect();
        let group = u16::try_from(draw.below(4)).unwrap();
        content.insert((u16::try_from(id).unwrap(), group, key, key_end, namespace_end), values);
    }
    content
}

/// A state file of any states and entries.
pub(crate) fn any_state_file(bytes: &[u8]) -> (Vec<u8>, Content) {
    any_file(&mut Draw::new(bytes), false)
}

/// A state file of any states and entries, with lookups or without.
pub(super) fn any_file(draw: &mut Draw<'_>, lookups: bool) -> (Vec<u8>, Content) {
    let compression = Compression::ALL[draw.below(Compression::ALL.len())];
    let groups = MaxParallelism::new(4).unwrap();
    let names = ["a", "b", "c"].into_iter().take(1 + draw.below(3));
    let spec = StateFileSpec {
        states: names.map(|name| any_state(draw, name)).collect(),
        key: key_identity(draw),
        groups,
        range: groups.all(),
        form: if draw.flag() { FileForm::Increment } else { FileForm::Full },
    };
    let content = any_content(draw, &spec);
    let compression = if lookups { Compression::None } else { compression };
    let options =
        WriteOptions { compression, lookups, buffer_bytes: 4096, ..WriteOptions::default() };
    let writer = StateFileWriter::new(BufferWriter::boxed(), spec, options).unwrap();
    let written = if lookups { in_order(writer, &content) } else { scattered(writer, &content) };
    let FileLocation::Inline(bytes) = written.stored.location else {
        panic!("the file is in memory")
    };
    (bytes.to_vec(), content)
}

fn framed(values: &[Vec<u8>]) -> ElementsBuffer {
    let mut elements = ElementsBuffer::default();
    for value in values {
        elements.push(value).unwrap();
    }
    elements
}

fn scattered(writer: StateFileWriter, content: &Content) -> WrittenStateFile {
    let spec = writer.spec().clone();
    let mut writer = writer.into_scatter().unwrap();
    for ((state, group, key, key_end, namespace_end), values) in content {
        writer.state(*state).unwrap();
        let group = KeyGroup::new(*group);
        let key = EntryKey::new(key, *key_end, *namespace_end).unwrap();
        if values.is_empty() {
            writer.remove(group, key).unwrap();
        } else if spec.states[usize::from(*state)].kind == StateKind::List {
            writer.list(group, key, 0, framed(values).as_elements()).unwrap();
        } else {
            writer.put(group, key, &values[0]).unwrap();
        }
    }
    writer.finish().unwrap()
}

fn in_order(writer: StateFileWriter, content: &Content) -> WrittenStateFile {
    let spec = writer.spec().clone();
    let mut writer = writer.into_sequential();
    let mut entries: Vec<_> = content.iter().collect();
    entries.sort_by_key(|((state, group, key, key_end, namespace_end), _)| {
        let (front, map_key) = key.split_at(*namespace_end);
        (*state, *group, front.split_at(*key_end), map_key)
    });
    let mut last = None;
    for ((state, group, key, key_end, namespace_end), values) in entries {
        if last.replace((*state, *group)) != Some((*state, *group)) {
            writer.section(*state, KeyGroup::new(*group)).unwrap();
        }
        let key = EntryKey::new(key, *key_end, *namespace_end).unwrap();
        if values.is_empty() {
            writer.remove(key).unwrap();
        } else if spec.states[usize::from(*state)].kind == StateKind::List {
            writer.list(key, 0, framed(values).as_elements()).unwrap();
        } else {
            writer.put(key, &values[0]).unwrap();
        }
    }
    writer.finish().unwrap()
}

/// What is written is what is read.
pub fn written_state_file(bytes: &[u8]) {
    let (bytes, content) = any_state_file(bytes);
    let file = StateFile::open(BufferReader::over(bytes), "fuzz").unwrap();
    let (mut blocks, mut found) = (file.blocks(file.spec().range), Content::new());
    while let Some(block) = blocks.next_block().unwrap() {
        read_block(&block);
        for record in block.records() {
            let (key, values) = match record {
                Record::Entry(key, value) => (key, vec![value.to_vec()]),
                Record::List(segment) => {
                    (segment.key, segment.elements.iter().map(<[u8]>::to_vec).collect())
                }
                Record::Tombstone(key) => (key, Vec::new()),
                other => panic!("nobody wrote {other:?}"),
            };
            let (state, group) = (block.state(), block.group().index());
            let ends = (key.key_end(), key.namespace_end());
            let place = (state, group, key.bytes().to_vec(), ends.0, ends.1);
            found.entry(place).or_default().extend(values);
        }
    }
    assert_eq!(found, content);
}
