//! Damage anywhere is an error with a place; what passes its checksum and lies does no harm.

use std::sync::atomic::AtomicU64;

use alluvium_state_api::ErrorKind;
use alluvium_state_api::format::{BLOCK_HEADER_BYTES, FileForm};
use alluvium_state_api::snapshot::CancelToken;

use super::model::{Content, Key, Numbers, Says, rest, said, spec};
use super::*;

/// A file of a few kilobytes with blocks of every kind: two key groups of what is short, and a list and
/// a run that are longer than a block.
fn small() -> Content {
    let mut content = Content::random(&Numbers::new(21), spec(FileForm::Increment, Some(8)), 6);
    let short = |says: &Says| match says {
        Says::Value(value) => value.len() < 100,
        Says::List(elements) | Says::Append(_, elements) => elements.len() < 10,
        Says::Removed => true,
    };
    content.entries.retain(|at, _| at.1 < 2);
    content.removed_maps.retain(|at, _| at.1 < 2);
    content.entries.values_mut().for_each(|entries| entries.retain(|_, says| short(says)));
    let elements = |count: u8| (0..count).map(|n| vec![n; 40]).collect::<Vec<_>>();
    let lists = content.entries.entry((2, 0)).or_default();
    lists.insert(Key::new(&[1; 8], &[1, 0], &[]), Says::List(elements(100)));
    lists.insert(Key::new(&[2; 8], &[1, 0], &[]), Says::Append(3, elements(5)));
    content
}

/// Whatever can be asked of a segment.
fn use_all(content: &Content, segment: &Segment) -> Result<()> {
    let mut cache = BlockCache::new(1 << 20);
    for ((state, group), entries) in content.sections() {
        let at = KeyGroup::new(group);
        for key in entries.keys() {
            if let Some(place) = segment.find(&mut cache, state, at, key.entry(), key.hash())? {
                said(segment, &mut cache, place)?;
            }
        }
        for key in content.removed_maps.get(&(state, group)).into_iter().flatten() {
            segment.map_removed(&mut cache, state, at, key.entry(), key.hash())?;
        }
        for sequential in [false, true] {
            for mut cursor in [
                SectionCursor::new(segment, state, at)?,
                SectionCursor::removed_maps(segment, state, at)?,
            ] {
                if sequential {
                    cursor = cursor.sequential();
                }
                cursor.rewind(&mut cache)?;
                let _all = rest(segment, &mut cache, &mut cursor)?;
                if let Some(key) = entries.keys().nth(entries.len() / 2) {
                    cursor.seek(&mut cache, &key.0)?;
                    let _rest = rest(segment, &mut cache, &mut cursor)?;
                }
            }
        }
    }
    Ok(())
}

/// All that the sections of a segment list.
fn listed(content: &Content, segment: &Segment) -> Result<Vec<(u64, Listed)>> {
    let (mut cache, mut all) = (BlockCache::new(1 << 20), Vec::new());
    for ((state, group), _) in content.sections() {
        let mut tell = |hash, at| all.push((hash, at));
        segment.list(&mut cache, state, KeyGroup::new(group), &mut tell)?;
    }
    Ok(all)
}

/// Who lists a section goes from block to block, without pages and directory.
#[test]
fn damage_does_not_change_what_is_listed() {
    let content = small();
    let bytes = content.written();
    let open = |bytes: &[u8]| Place::of(Way::Mapped).open(bytes, Way::Mapped, &[content.groups()]);
    let undamaged = open(&bytes).unwrap();
    let expected = listed(&content, &undamaged).unwrap();
    assert!(expected.len() > 10);
    let starts: Vec<_> = undamaged.sections.iter().map(|slot| slot.range.start).collect();
    let mut noticed = 0;
    let all = (0..bytes.len()).step_by(11).map(|at| (at, bytes[at] ^ 1 << (at % 8)));
    // A lookup page where there should be data.
    let early = starts.iter().map(|start| (usize::try_from(*start).unwrap(), 5));
    for (at, byte) in all.chain(early) {
        let mut damaged = bytes.clone();
        damaged[at] = byte;
        match open(&damaged).and_then(|segment| listed(&content, &segment)) {
            Ok(found) => assert!(found == expected, "byte {at}"),
            Err(error) => {
                let kind = error.kind();
                assert!(
                    matches!(kind, ErrorKind::Corrupted | ErrorKind::Unsupported),
                    "byte {at}: {error}"
                );
                noticed += 1;
            }
        }
    }
    assert!(noticed > bytes.len() / 44, "{noticed} of {}", bytes.len());
}

#[test]
fn hydration_verifies_all_that_is_live() {
    let content = small();
    let bytes = content.written();
    let live = [KeyGroupRange::new(0, 1).unwrap()];
    let hydrated = |bytes: &[u8], way, live: &[KeyGroupRange]| -> Result<Segment> {
        let segment = Place::of(way).open(bytes, way, live)?;
        let done = AtomicU64::new(0);
        segment.hydrate(&CancelToken::default(), &done)?;
        let sections = segment.sections.iter().filter(|slot| slot.live);
        let expected: u64 = sections.map(|slot| slot.range.end - slot.range.start).sum();
        assert_eq!(done.into_inner(), expected);
        Ok(segment)
    };
    for way in Way::ALL {
        let segment = hydrated(&bytes, way, &live).unwrap();
        assert!(segment.sections.iter().all(|slot| slot.live == (slot.group.index() == 0)));
        let opened = segment.opened.iter().map(|section| section.get().is_some());
        let live = segment.sections.iter().map(|slot| slot.live && way == Way::Mapped);
        assert!(opened.eq(live), "{way:?}");
        let cancel = CancelToken::default();
        cancel.cancel();
        let cancelled = segment.hydrate(&cancel, &AtomicU64::new(0)).unwrap_err();
        assert_eq!(cancelled.kind(), ErrorKind::Cancelled);
    }
    let all = hydrated(&bytes, Way::Mapped, &[content.groups()]).unwrap();
    let ranges: Vec<_> = all.sections.iter().map(|slot| (slot.group, slot.range.clone())).collect();
    for (group, range) in ranges {
        for at in range.step_by(61) {
            let mut damaged = bytes.clone();
            damaged[usize::try_from(at).unwrap()] ^= 1;
            let found = hydrated(&damaged, Way::Mapped, &live).map_err(|error| error.kind());
            let expected = if group.index() == 0 { Err(ErrorKind::Corrupted) } else { Ok(()) };
            assert_eq!(found.map(drop), expected, "byte {at}");
        }
    }
}

#[test]
fn damage_of_any_byte_is_noticed() {
    let content = small();
    let bytes = content.written();
    for way in Way::ALL {
        let undamaged = Place::of(way).open(&bytes, way, &[content.groups()]).unwrap();
        use_all(&content, &undamaged).unwrap();
        // Each byte over the model, which is fastest; a part of them where a file is mapped or read.
        let step = if way == Way::Model { 1 } else { 29 };
        for at in (0..bytes.len()).step_by(step) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            let used = Place::of(way)
                .open(&damaged, way, &[content.groups()])
                .and_then(|segment| use_all(&content, &segment));
            let error = used.expect_err("damage was not noticed");
            let kind = error.kind();
            assert!(
                matches!(kind, ErrorKind::Corrupted | ErrorKind::Unsupported),
                "byte {at}, {way:?}: {error}"
            );
            assert!(error.path().is_some(), "byte {at}, {way:?}: {error}");
        }
    }
}

#[test]
fn damage_of_a_block_is_located() {
    let content = small();
    let bytes = content.written();
    for (at, length) in blocks(&bytes) {
        let mut damaged = bytes.clone();
        damaged[at + length - 1] ^= 1;
        let place = Place::of(Way::Pread);
        let segment = place.open(&damaged, Way::Pread, &[content.groups()]).unwrap();
        let error = use_all(&content, &segment).unwrap_err();
        assert_eq!((error.kind(), error.offset()), (ErrorKind::Corrupted, Some(at as u64)));
        assert_eq!(error.path(), Some(segment.local().path()));
        assert!(error.state().is_some() && error.key_group().is_some());
    }
}

/// Where blocks begin and how long they are, headers included.
fn blocks(bytes: &[u8]) -> Vec<(usize, usize)> {
    let number = |at: usize, width: usize| {
        bytes[at..at + width].iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
    };
    let (mut at, end) = (number(12, 4), number(bytes.len() - 40, 8));
    let mut blocks = Vec::new();
    while at < end {
        let length = BLOCK_HEADER_BYTES + number(at + 16, 4);
        blocks.push((at, length));
        at += length;
    }
    assert_eq!(at, end);
    blocks
}

#[test]
fn a_block_that_lies_under_a_right_checksum_does_no_harm() {
    let (content, numbers) = (small(), Numbers::new(77));
    let bytes = content.written();
    let blocks = blocks(&bytes);
    let (mut refused, mut rounds) = (0, 0);
    for (at, length) in blocks {
        let kind = bytes[at];
        for _ in 0..if kind < 5 { 40 } else { 200 } {
            let mut lying = bytes.clone();
            for _ in 0..=numbers.below(3) {
                let changed = at + BLOCK_HEADER_BYTES + numbers.below(length - BLOCK_HEADER_BYTES);
                lying[changed] = match numbers.below(3) {
                    0 => lying[changed] ^ (1 << numbers.below(8)),
                    1 => lying[changed].wrapping_add(1),
                    _ => u8::try_from(numbers.below(256)).unwrap(),
                };
            }
            let body = &lying[at + BLOCK_HEADER_BYTES..at + length];
            let checksum = crc32c::crc32c_append(crc32c::crc32c(&lying[at..at + 20]), body);
            lying[at + 20..at + 24].copy_from_slice(&checksum.to_le_bytes());
            let place = Place::of(Way::Model);
            let segment = place.open(&lying, Way::Model, &[content.groups()]).unwrap();
            rounds += 1;
            if let Err(error) = use_all(&content, &segment) {
                refused += 1;
                assert_eq!(error.kind(), ErrorKind::Corrupted, "{error}");
                assert!(error.path().is_some() && error.offset().is_some(), "{error}");
            }
        }
    }
    assert!(refused > rounds / 10, "{refused} of {rounds}");
}
