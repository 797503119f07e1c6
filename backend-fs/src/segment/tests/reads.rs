//! Point reads and ordered reads say what was written, in every mode.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use alluvium_state_api::format::{BlockKind, FileForm};
use alluvium_state_api::{Error, ErrorKind, hash_bytes};

use super::model::{Content, GROUPS, Key, Numbers, Says, next, rest, said, spec};
use super::*;

fn contents() -> impl Iterator<Item = Content> {
    let numbers = Numbers::new(5);
    [FileForm::Full, FileForm::Increment].into_iter().flat_map(move |form| {
        let numbers = Numbers::new(numbers.below(1 << 30) as u64);
        [(Some(8), 200), (None, 200), (Some(8), 3), (Some(0), 2)]
            .map(|(width, most)| Content::random(&numbers, spec(form, width), most))
    })
}

#[test]
fn every_entry_is_found_by_its_hash_and_no_other() {
    for content in contents() {
        let numbers = Numbers::new(9);
        in_every_way(&content, |way, segment| {
            for mut cache in caches() {
                for ((state, group), entries) in content.sections() {
                    let at = KeyGroup::new(group);
                    for (key, says) in entries {
                        let place = segment.find(&mut cache, state, at, key.entry(), key.hash());
                        let place = place.unwrap().expect("it was written");
                        assert_eq!(said(segment, &mut cache, place).unwrap(), *says, "{way:?}");
                    }
                    for _ in 0..50 {
                        let key = numbers.key(&content.spec, state);
                        let found = segment.find(&mut cache, state, at, key.entry(), key.hash());
                        assert_eq!(found.unwrap().is_some(), entries.contains_key(&key));
                    }
                }
            }
        });
    }
}

#[test]
fn removed_maps_are_told_apart_from_entries() {
    for content in contents().filter(|content| content.spec.form == FileForm::Increment) {
        in_every_way(&content, |_, segment| {
            for mut cache in caches() {
                for (at, removed) in &content.removed_maps {
                    let (state, group) = (at.0, KeyGroup::new(at.1));
                    for key in removed {
                        let whole = (key.entry(), key.hash());
                        let found = segment.map_removed(&mut cache, state, group, whole.0, whole.1);
                        assert!(found.unwrap());
                        let entry = segment.find(&mut cache, state, group, whole.0, whole.1);
                        let exists = content.entries[at].contains_key(key);
                        assert_eq!(entry.unwrap().is_some(), exists);
                    }
                    for key in content.entries[at].keys() {
                        let whole = Key::new(key.entry().key(), key.entry().namespace(), &[]);
                        let (entry, hash) = (whole.entry(), whole.hash());
                        let found = segment.map_removed(&mut cache, state, group, entry, hash);
                        assert_eq!(found.unwrap(), removed.contains(&whole));
                    }
                    let mut cursor = SectionCursor::removed_maps(segment, state, group).unwrap();
                    cursor.rewind(&mut cache).unwrap();
                    let all = rest(segment, &mut cache, &mut cursor).unwrap();
                    let expected = removed.iter().map(|key| (key.clone(), Says::Removed));
                    assert_eq!(all, expected.collect::<Vec<_>>());
                }
            }
        });
    }
}

/// What a section says, with the hashes; and each of it is where it is said to be.
#[test]
fn what_is_listed_is_all_there_is_and_where_it_is() {
    for content in contents() {
        in_every_way(&content, |way, segment| {
            let mut cache = BlockCache::new(1 << 20);
            for ((state, group), entries) in content.sections() {
                let (group, mut listed) = (KeyGroup::new(group), Vec::new());
                let mut tell = |hash, at| listed.push((hash, at));
                segment.list(&mut cache, state, group, &mut tell).unwrap();
                let none = BTreeSet::new();
                let removed = content.removed_maps.get(&(state, group.index())).unwrap_or(&none);
                assert_eq!(listed.len(), entries.len() + removed.len(), "{way:?}");
                let wanted = entries.iter().map(|(key, says)| (key, Some(says)));
                for (key, says) in wanted.chain(removed.iter().map(|key| (key, None))) {
                    let alike = listed.iter().filter(|(hash, _)| *hash == key.hash());
                    let mut found = alike.filter_map(|(_, at)| {
                        let what = (key.entry(), says.is_none());
                        segment.listed(&mut cache, (state, group), *at, what).unwrap()
                    });
                    let place = found.next().unwrap();
                    assert!(found.next().is_none(), "{key:?} is there once");
                    drop(found);
                    let expected = says.cloned().unwrap_or(Says::Removed);
                    assert_eq!(said(segment, &mut cache, place).unwrap(), expected, "{way:?}");
                }
            }
        });
    }
}

#[test]
fn a_cursor_yields_all_in_order_from_anywhere() {
    for content in contents() {
        let numbers = Numbers::new(3);
        in_every_way(&content, |way, segment| {
            for mut cache in caches() {
                for ((state, group), entries) in content.sections() {
                    let group = KeyGroup::new(group);
                    let all: Vec<_> = entries.clone().into_iter().collect();
                    let new = || SectionCursor::new(segment, state, group).unwrap();
                    let mut cursor = new();
                    assert_eq!(cursor.item().unwrap(), None);
                    for mut cursor in [new(), new().sequential()] {
                        cursor.rewind(&mut cache).unwrap();
                        let read = rest(segment, &mut cache, &mut cursor).unwrap();
                        assert_eq!(read, all, "{way:?}");
                        cursor.advance(&mut cache).unwrap();
                        assert_eq!(cursor.item().unwrap(), None, "the end stays the end");
                    }
                    for round in 0..10 {
                        let from = match (round, entries.keys().nth(numbers.below(all.len() + 1))) {
                            (0..6, Some(key)) => key.0.clone(),
                            (6, _) => Vec::new(),
                            (7, _) => vec![0xff],
                            _ => numbers.key(&content.spec, state).0,
                        };
                        cursor.seek(&mut cache, &from).unwrap();
                        let first = all.partition_point(|(key, _)| key.0 < from);
                        let expected = &all[first..all.len().min(first + 5)];
                        let found = next(segment, &mut cache, &mut cursor, 5).unwrap();
                        assert_eq!(found, expected, "{way:?} from {from:?}");
                    }
                }
            }
        });
    }
}

#[test]
fn what_found_no_room_in_its_page_is_found_by_order() {
    let mut content = Content::empty(spec(FileForm::Full, Some(8)));
    // Keys whose hashes all choose the first of two pages, which has room for 5,120.
    let first_page = |key: &Vec<u8>| hash_bytes(key) >> 63 == 0;
    let mut keys = (0_u64..).map(|n| n.to_be_bytes().to_vec());
    let written: Vec<_> = keys.by_ref().filter(first_page).take(6_000).collect();
    let absent: Vec<_> = keys.filter(first_page).take(300).collect();
    let entry = |key: &Vec<u8>| (Key::new(key, &[], &[]), Says::Value(key.clone()));
    content.entries.insert((0, 1), written.iter().map(entry).collect());
    in_every_way(&content, |_, segment| {
        let (mut cache, group) = (BlockCache::new(1 << 20), KeyGroup::new(1));
        for key in &written {
            let wanted = Key::new(key, &[], &[]);
            let found = segment.find(&mut cache, 0, group, wanted.entry(), wanted.hash()).unwrap();
            assert_eq!(
                said(segment, &mut cache, found.unwrap()).unwrap(),
                Says::Value(key.clone())
            );
        }
        for key in &absent {
            let wanted = Key::new(key, &[], &[]);
            let found = segment.find(&mut cache, 0, group, wanted.entry(), wanted.hash());
            assert_eq!(found.unwrap(), None);
        }
    });
}

#[test]
fn a_list_is_read_as_far_as_the_visitor_wants() {
    let mut content = Content::empty(spec(FileForm::Full, Some(8)));
    let key = Key::new(b"12345678", &[1, 0], &[]);
    let long: Vec<_> = (0_u32..50_000).map(|n| n.to_le_bytes().to_vec()).collect();
    content.entries.insert((2, 0), [(key.clone(), Says::List(long))].into());
    in_every_way(&content, |_, segment| {
        let (mut cache, group) = (BlockCache::new(100_000), KeyGroup::new(0));
        let place = segment.find(&mut cache, 2, group, key.entry(), key.hash()).unwrap().unwrap();
        assert_eq!(place.kind(), BlockKind::Entries);
        let mut seen = 0;
        let ended = segment.read_list(&mut cache, place, &mut |_| {
            seen += 1;
            Ok(if seen == 30_000 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        });
        assert_eq!((ended.unwrap(), seen), (ControlFlow::Break(()), 30_000));
        let failed = segment.read_list(&mut cache, place, &mut |_| Err(Error::cancelled("enough")));
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Cancelled);
        let no_value = segment.value(&mut cache, place).unwrap_err();
        assert_eq!(no_value.kind(), ErrorKind::Bug);
    });
}

#[test]
fn only_live_key_groups_are_seen() {
    let content = Content::random(&Numbers::new(11), spec(FileForm::Increment, None), 40);
    let bytes = content.written();
    for way in Way::ALL {
        let place = Place::of(way);
        let live = [KeyGroupRange::new(0, 1).unwrap(), KeyGroupRange::new(2, 3).unwrap()];
        let segment = place.open(&bytes, way, &live).unwrap();
        let mut cache = BlockCache::new(1 << 20);
        for ((state, group), entries) in content.sections() {
            let (lives, at) = (group % 2 == 0, KeyGroup::new(group));
            for key in entries.keys() {
                let found = segment.find(&mut cache, state, at, key.entry(), key.hash()).unwrap();
                assert_eq!(found.is_some(), lives);
            }
            for key in content.removed_maps.get(&(state, group)).into_iter().flatten() {
                let removed = segment.map_removed(&mut cache, state, at, key.entry(), key.hash());
                assert_eq!(removed.unwrap(), lives);
            }
            let mut cursor = SectionCursor::new(&segment, state, at).unwrap();
            cursor.rewind(&mut cache).unwrap();
            assert_eq!(cursor.item().unwrap().is_some(), lives && !entries.is_empty());
        }
        let unknown = Key::new(b"\0", &[], &[]);
        for (state, group) in [(5, 0), (u16::MAX, 0), (0, GROUPS), (0, u16::MAX)] {
            let at = KeyGroup::new(group);
            let found = segment.find(&mut cache, state, at, unknown.entry(), unknown.hash());
            assert_eq!(found.unwrap(), None);
        }
    }
}
