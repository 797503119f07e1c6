//! List states.

use std::ops::ControlFlow;

use super::fixtures::{keys_of, refused};
use super::harness::{Harness, Kit, total_entries};
use crate::{Error, ErrorKind, ListDescriptor, ListSize, ListState};

const WORDS: ListDescriptor<String> = ListDescriptor::new("words");
const NUMBERS: ListDescriptor<u64> = ListDescriptor::new("numbers");

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// There is no list before the first element. Flink: `testListStateDefaultValue`.
pub fn empty_where_nothing_was_added<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let list = backend.open(WORDS).unwrap();
    let mut cx = backend.at(&1).unwrap();
    assert!(cx.list(list).get().unwrap().is_empty());
    assert_eq!(cx.list(list).size().unwrap(), ListSize::default());
    cx.list(list).add(&"a".to_owned()).unwrap();
    cx.list(list).clear().unwrap();
    assert!(cx.list(list).get().unwrap().is_empty());
    assert_eq!(cx.list(list).size().unwrap(), ListSize::default());
    assert_eq!(total_entries(&backend), 0);
}

/// Elements come in the order in which they were added. Flink: `testListState`.
pub fn order_is_append_order<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let list = backend.open(WORDS).unwrap();
    for (key, word) in [(1, "one"), (2, "two"), (1, "uno"), (2, "due"), (1, "one")] {
        backend.at(&key).unwrap().list(list).add(&word.to_owned()).unwrap();
    }
    assert_eq!(backend.at(&1).unwrap().list(list).get().unwrap(), words("one uno one"));
    assert_eq!(backend.at(&2).unwrap().list(list).get().unwrap(), words("two due"));
}

/// `add`, `add_all`, `update` and `clear` in all combinations. Flink: `testListStateAPIs`.
pub fn adds_updates_and_clears<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<String>();
    let list = backend.open(WORDS).unwrap();
    let mut cx = backend.at("g").unwrap();
    cx.list(list).add_all(&[]).unwrap();
    assert!(cx.list(list).get().unwrap().is_empty());
    cx.list(list).add_all(&words("3 4")).unwrap();
    cx.list(list).add_all(&[]).unwrap();
    assert_eq!(cx.list(list).get().unwrap(), words("3 4"));
    cx.list(list).add(&"5".to_owned()).unwrap();
    cx.list(list).update(&words("6 7 8")).unwrap();
    cx.list(list).add_all(&words("9 10")).unwrap();
    assert_eq!(cx.list(list).get().unwrap(), words("6 7 8 9 10"));
    cx.list(list).update(&[]).unwrap();
    assert!(cx.list(list).get().unwrap().is_empty());
    cx.list(list).add(&"11".to_owned()).unwrap();
    assert_eq!(cx.list(list).get().unwrap(), words("11"));
    cx.list(list).clear().unwrap();
    assert_eq!(total_entries(&backend), 0, "no empty list is left behind");
    assert!(keys_of(&mut backend, list).is_empty());
}

/// A visitor that breaks sees no more; its error is returned.
pub fn visitors_stop<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let list = backend.open(NUMBERS).unwrap();
    let mut cx = backend.at(&1).unwrap();
    cx.list(list).add_all(&[1, 2, 3, 4]).unwrap();
    let mut seen = Vec::new();
    let stopped = cx.list(list).for_each(|n| {
        seen.push(n);
        Ok(if n == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    });
    stopped.unwrap();
    assert_eq!(seen, [1, 2]);
    let failed = cx.list(list).for_each(|_| Err(Error::unavailable("on purpose")));
    refused(failed, ErrorKind::Unavailable);
    assert_eq!(cx.list(list).get().unwrap(), [1, 2, 3, 4]);
}

/// The size is the sum of 4 + payload, however the list came about.
pub fn size_is_the_sum_of_frames<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let list = backend.open(WORDS).unwrap();
    let mut cx = backend.at(&1).unwrap();
    cx.list(list).add_all(&words("a bb")).unwrap();
    cx.list(list).add(&String::new()).unwrap();
    let size = |elements, bytes| ListSize { elements, bytes };
    assert_eq!(cx.list(list).size().unwrap(), size(3, 4 + 1 + 4 + 2 + 4));
    cx.list(list).update(&words("ccc")).unwrap();
    assert_eq!(cx.list(list).size().unwrap(), size(1, 7));
    cx.list(list).add(&"d".to_owned()).unwrap();
    assert_eq!(cx.list(list).size().unwrap(), size(2, 12));
}

/// A list of empty elements is a list.
pub fn empty_elements_count<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let list = backend.open(WORDS).unwrap();
    let mut cx = backend.at(&1).unwrap();
    cx.list(list).add(&String::new()).unwrap();
    cx.list(list).add(&String::new()).unwrap();
    assert_eq!(cx.list(list).get().unwrap(), ["", ""]);
    assert_eq!(keys_of(&mut backend, list), [1]);
}

/// 100,000 elements, one by one and at once, through a snapshot.
pub fn long_lists<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let list = backend.open(NUMBERS).unwrap();
    for n in 0..50_000 {
        backend.at(&1).unwrap().list(list).add(&n).unwrap();
    }
    let rest: Vec<u64> = (50_000..100_000).collect();
    backend.at(&1).unwrap().list(list).add_all(&rest).unwrap();
    backend.at(&2).unwrap().list(list).add(&2).unwrap();
    let size = backend.at(&1).unwrap().list(list).size().unwrap();
    assert_eq!((size.elements, size.bytes), (100_000, 1_200_000));
    let taken = kit.take(&mut backend, crate::snapshot::SnapshotKind::Canonical);
    let mut restored = kit.restore::<u64>(&[&taken]);
    let list = restored.open(NUMBERS).unwrap();
    let mut next = 0;
    let mut cx = restored.at(&1).unwrap();
    let counted = cx.list(list).for_each(|n| {
        assert_eq!(n, next);
        next += 1;
        Ok(ControlFlow::Continue(()))
    });
    counted.unwrap();
    assert_eq!(next, 100_000);
    cx.list(list).add(&7).unwrap();
    assert_eq!(cx.list(list).size().unwrap().elements, 100_001);
    assert_eq!(restored.at(&2).unwrap().list(list).get().unwrap(), [2]);
}

/// Many lists that grow in turns do not run into each other.
pub fn interleaved_lists<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let list = backend.open(NUMBERS).unwrap();
    for round in 0..40 {
        for key in 0..50 {
            if (key + round) % 3 != 0 {
                backend.at(&key).unwrap().list(list).add(&(key * 1_000 + round)).unwrap();
            }
        }
        let key = round % 50;
        if round % 7 == 3 {
            backend.at(&key).unwrap().list(list).update(&[key]).unwrap();
        }
    }
    for key in 0..50u64 {
        let mut want = Vec::new();
        for round in 0..40 {
            if (key + round) % 3 != 0 {
                want.push(key * 1_000 + round);
            }
            if round % 7 == 3 && round % 50 == key {
                want = vec![key];
            }
        }
        assert_eq!(backend.at(&key).unwrap().list(list).get().unwrap(), want, "key {key}");
    }
}

/// Null elements are elements where the type has them; where it has not, there are none to be refused.
/// Flink: `testListStateAddNull`, `testListStateAddAllNullEntries`, `testListStateUpdateNullEntries`.
pub fn none_is_an_element<H: Harness>(kit: &Kit<H>) {
    const MAYBE: ListDescriptor<Option<u16>> = ListDescriptor::new("maybe");
    let mut backend = kit.fresh::<u64>();
    let list = backend.open(MAYBE).unwrap();
    let mut cx = backend.at(&1).unwrap();
    cx.list(list).add(&None).unwrap();
    cx.list(list).add_all(&[Some(1), None]).unwrap();
    assert_eq!(cx.list(list).get().unwrap(), [None, Some(1), None]);
    cx.list(list).update(&[None]).unwrap();
    assert_eq!(cx.list(list).get().unwrap(), [None]);
    assert_eq!(keys_of(&mut backend, list), [1]);
}
