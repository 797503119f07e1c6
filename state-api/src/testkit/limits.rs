//! Size limits: exact boundaries, and what was there stays readable (rule R3).

use super::fixtures::{Trail, refused};
use super::harness::{Harness, Kit};
use crate::codec::{Native, Upgrade};
use crate::schema::DEFAULT_SIZE_LIMIT;
use crate::snapshot::SnapshotKind;
use crate::{
    AggregatingDescriptor, AggregatingState, Error, ErrorKind, ListDescriptor, ListState,
    MapDescriptor, MapState, ReducingDescriptor, ReducingState, ValueDescriptor, ValueState,
};

const TEXT: ValueDescriptor<String> = ValueDescriptor::new("text").with_size_limit(5);
const WORDS: ListDescriptor<String> = ListDescriptor::new("words").with_size_limit(12);
const JOINED: ReducingDescriptor<String> =
    ReducingDescriptor::new("joined", |a: String, b| a + b.as_str()).with_size_limit(5);
const PAGES: MapDescriptor<String, String> = MapDescriptor::new("pages").with_size_limit(5);

/// A value may be as long as the limit and not one byte longer.
pub fn of_a_value<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let text = backend.open(TEXT).unwrap();
    let mut cx = backend.at(&1).unwrap();
    cx.value(text).set("12345").unwrap();
    refused(cx.value(text).set("123456"), ErrorKind::LimitExceeded);
    let grown = cx.value(text).update(|old| old.map(|old| old + "6"));
    refused(grown, ErrorKind::LimitExceeded);
    assert_eq!(cx.value(text).get().unwrap().as_deref(), Some("12345"));
    let mut cx = backend.at(&2).unwrap();
    refused(cx.value(text).set("123456"), ErrorKind::LimitExceeded);
    assert_eq!(cx.value(text).get().unwrap(), None);
}

/// A list's size is the sum of 4 + payload; an addition is taken wholly or not at all.
pub fn of_a_list<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let words = backend.open(WORDS).unwrap();
    let mut cx = backend.at(&1).unwrap();
    let word = |text: &str| text.to_owned();
    cx.list(words).add(&word("ab")).unwrap();
    refused(cx.list(words).add(&word("abc")), ErrorKind::LimitExceeded);
    refused(cx.list(words).add_all(&[word(""), word("")]), ErrorKind::LimitExceeded);
    backend.at(&2).unwrap().list(words).add(&word("ab")).unwrap();
    let mut cx = backend.at(&2).unwrap();
    refused(cx.list(words).add_all(&[word("a"), word("")]), ErrorKind::LimitExceeded);
    assert_eq!(cx.list(words).get().unwrap(), ["ab"]);
    cx.list(words).add(&word("cd")).unwrap();
    assert_eq!(cx.list(words).size().unwrap().bytes, 12);
    refused(cx.list(words).add(&word("")), ErrorKind::LimitExceeded);
    refused(cx.list(words).update(&[word("123456789")]), ErrorKind::LimitExceeded);
    assert_eq!(cx.list(words).get().unwrap(), ["ab", "cd"]);
    cx.list(words).update(&[word("12345678")]).unwrap();
    assert_eq!(cx.list(words).get().unwrap(), ["12345678"]);
}

/// Folding that would pass the limit leaves the old value.
pub fn of_a_reducing_state<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let joined = backend.open(JOINED).unwrap();
    let mut cx = backend.at(&1).unwrap();
    refused(cx.reducing(joined).add("123456".to_owned()), ErrorKind::LimitExceeded);
    cx.reducing(joined).add("123".to_owned()).unwrap();
    refused(cx.reducing(joined).add("456".to_owned()), ErrorKind::LimitExceeded);
    cx.reducing(joined).add("45".to_owned()).unwrap();
    assert_eq!(cx.reducing(joined).get().unwrap().as_deref(), Some("12345"));
}

/// The limit of an aggregating state is on its encoded accumulator.
pub fn of_an_accumulator<H: Harness>(kit: &Kit<H>) {
    let fits = AggregatingDescriptor::<Trail>::new("fits").with_size_limit(16);
    let short = AggregatingDescriptor::<Trail>::new("short").with_size_limit(15);
    let mut backend = kit.fresh::<u64>();
    let (fits, short) = (backend.open(fits).unwrap(), backend.open(short).unwrap());
    let mut cx = backend.at(&1).unwrap();
    cx.aggregating(fits).add(1).unwrap();
    refused(cx.aggregating(short).add(1), ErrorKind::LimitExceeded);
    assert!(cx.aggregating(fits).get().unwrap().is_some());
    assert!(cx.aggregating(short).get().unwrap().is_none());
}

/// The limit of a map is on each value, not on map keys nor on the sum.
pub fn of_a_map_value<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let pages = backend.open(PAGES).unwrap();
    let mut cx = backend.at(&1).unwrap();
    for entry in 0..10 {
        cx.map(pages).insert(format!("a long map key {entry}").as_str(), "12345").unwrap();
    }
    refused(cx.map(pages).insert("new", "123456"), ErrorKind::LimitExceeded);
    let grown = cx.map(pages).update("a long map key 1", |old| old.map(|old| old + "6"));
    refused(grown, ErrorKind::LimitExceeded);
    let entries = cx.map(pages).entries().unwrap();
    assert_eq!(entries.len(), 10);
    assert!(entries.iter().all(|(_, value)| value == "12345"));
}

/// The refusal names state, key group, size and limit.
pub fn refusal_says_what_and_where<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let words = backend.open(WORDS).unwrap();
    let mut cx = backend.at(&42).unwrap();
    cx.list(words).add(&"abc".to_owned()).unwrap();
    let group = cx.key_group();
    let error = cx.list(words).add(&"abcd".to_owned()).unwrap_err();
    let limit = error.limit().expect("details");
    assert_eq!((&*limit.state, limit.key_group), ("words", Some(group)));
    assert_eq!((limit.size, limit.limit), (15, 12));
}

/// Values, and lists as a whole, that grow past the limit when they are migrated are refused with the key group
/// that they are in.
pub fn refused_migration_says_where<H: Harness>(kit: &Kit<H>) {
    type Widened = Upgrade<u32, Native, Native>;
    let mut backend = kit.fresh::<u64>();
    let value = backend.open(ValueDescriptor::<u32>::new("value")).unwrap();
    let list = backend.open(ListDescriptor::<u32>::new("list")).unwrap();
    let map = backend.open(MapDescriptor::<u8, u32>::new("map")).unwrap();
    let mut cx = backend.at(&42).unwrap();
    let group = cx.key_group();
    assert_ne!(group.index(), 0, "which would be named by who does not know");
    cx.value(value).set(&1).unwrap();
    cx.list(list).add_all([&2, &3]).unwrap();
    cx.map(map).insert(&3, &4).unwrap();
    let taken = kit.take(&mut backend, SnapshotKind::Canonical);
    let check = |error: Error, state, size| {
        let limit = error.limit().expect("details");
        assert_eq!((&*limit.state, limit.key_group), (state, Some(group)));
        assert_eq!((limit.size, limit.limit), (size, size - 1));
    };
    let value: ValueDescriptor<u64, Widened> =
        ValueDescriptor::new("value").with_codec().with_size_limit(7);
    check(kit.restore::<u64>(&[&taken]).open(value).unwrap_err(), "value", 8);
    let list: ListDescriptor<u64, Widened> =
        ListDescriptor::new("list").with_codec().with_size_limit(23);
    check(kit.restore::<u64>(&[&taken]).open(list).unwrap_err(), "list", 24);
    let map: MapDescriptor<u8, u64, Native, Widened> =
        MapDescriptor::new("map").with_codecs().with_size_limit(7);
    check(kit.restore::<u64>(&[&taken]).open(map).unwrap_err(), "map", 8);
}

/// The default is 2^31 - 1 bytes and part of the description that the store keeps.
pub fn default_is_two_gibibytes<H: Harness>(kit: &Kit<H>) {
    use crate::KeyedStore;
    let mut backend = kit.fresh::<u64>();
    backend.open(ListDescriptor::<u64>::new("plain")).unwrap();
    backend.open(WORDS).unwrap();
    let limits: Vec<_> = backend.store().states().iter().map(|meta| meta.size_limit).collect();
    assert_eq!(limits, [DEFAULT_SIZE_LIMIT, 12]);
    assert_eq!(DEFAULT_SIZE_LIMIT, 2_147_483_647);
}

/// After a restore the size is known again, and the program's limit counts, raised or lowered.
pub fn hold_after_a_restore<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let words = backend.open(WORDS).unwrap();
    backend.at(&1).unwrap().list(words).add_all(&["ab".to_owned(), "c".to_owned()]).unwrap();
    for kind in kit.kinds() {
        let taken = kit.take(&mut backend, kind);
        for (limit, accepted) in [(12, false), (15, true), (16, true), (4, false)] {
            let mut restored = kit.restore::<u64>(&[&taken]);
            let words = restored.open(WORDS.with_size_limit(limit)).unwrap();
            let mut cx = restored.at(&1).unwrap();
            assert_eq!(cx.list(words).get().unwrap(), ["ab", "c"]);
            let added = cx.list(words).add(&String::new());
            assert_eq!(added.is_ok(), accepted, "limit {limit}: {added:?}");
            assert_eq!(cx.list(words).get().unwrap().len(), 2 + usize::from(accepted));
        }
    }
}

/// A limit that was lowered counts for what replaces a restored value, also by one of the same length.
pub fn lowered_ones_hold_for_what_is_replaced<H: Harness>(kit: &Kit<H>) {
    let number = ValueDescriptor::<u64>::new("number");
    let numbers = MapDescriptor::<u64, u64>::new("numbers");
    let mut backend = kit.fresh::<u64>();
    let (one, many) = (backend.open(number).unwrap(), backend.open(numbers).unwrap());
    let text = backend.open(TEXT).unwrap();
    let mut cx = backend.at(&1).unwrap();
    cx.value(one).set(&7).unwrap();
    cx.map(many).insert(&1, &7).unwrap();
    cx.value(text).set("12345").unwrap();
    for kind in kit.kinds() {
        let taken = kit.take(&mut backend, kind);
        let mut restored = kit.restore::<u64>(&[&taken]);
        let one = restored.open(number.with_size_limit(7)).unwrap();
        let many = restored.open(numbers.with_size_limit(7)).unwrap();
        let text = restored.open(TEXT.with_size_limit(4)).unwrap();
        let mut cx = restored.at(&1).unwrap();
        refused(cx.value(one).set(&8), ErrorKind::LimitExceeded);
        refused(cx.value(one).update(|old| old.map(|old| old + 1)), ErrorKind::LimitExceeded);
        refused(cx.map(many).insert(&1, &8), ErrorKind::LimitExceeded);
        refused(cx.value(text).set("abcde"), ErrorKind::LimitExceeded);
        assert_eq!(
            (cx.value(one).get().unwrap(), cx.map(many).get(&1).unwrap()),
            (Some(7), Some(7))
        );
        assert_eq!(cx.value(text).get().unwrap().as_deref(), Some("12345"));
        cx.value(text).set("abcd").unwrap();
    }
}

/// A batch is refused at the entry that would pass the limit.
pub fn of_a_batch<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let text = backend.open(TEXT).unwrap();
    let updated = backend.batch([1, 2, 3]).unwrap().update(text, |i, _| Some("x".repeat(4 + i)));
    refused(updated, ErrorKind::LimitExceeded);
    let read = [1, 2, 3].map(|key| backend.at(&key).unwrap().value(text).get().unwrap());
    assert_eq!(read.map(|text| text.map(|text| text.len())), [Some(4), Some(5), None]);
}
