//! Lists around the sizes at which they change their form, against a model: they grow by little and by much, are
//! replaced, removed, merged, snapshot and restored, in the table in front of the database and past it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;
#[path = "harness/rounds.rs"]
mod rounds;

use std::collections::BTreeMap;

use alluvium_state_api::codec::Native;
use alluvium_state_api::testkit::{Backend, Harness};
use alluvium_state_api::{ErrorKind, InNamespace, ListDescriptor, ListState};
use harness::{PROFILE, TINY, harnesses};
use rounds::{Draw, pick, play};

harnesses! {
    /// Default options.
    Plain: PROFILE;
    /// Always short of memory.
    Tiny: TINY;
}

type List = Vec<Vec<u8>>;
type Model = BTreeMap<(u64, u64), List>;

const LIMIT: u64 = 20_000;
const LIST: ListDescriptor<Vec<u8>, Native, InNamespace<u64>> =
    ListDescriptor::new("list").with_size_limit(LIMIT).in_namespace();
const KEYS: u64 = 12;
const NAMESPACES: u64 = 3;
/// Lengths of elements: many of the shortest, some that are too long for a short list.
const LENGTHS: [usize; 8] = [0, 1, 8, 8, 30, 60, 100, 2_100];

fn size(list: &List) -> u64 {
    list.iter().map(|element| element.len() as u64 + 4).sum()
}

/// One random operation on both.
fn step<H: Harness>(backend: &mut Backend<H>, model: &mut Model, draw: Draw<'_>) {
    let list = backend.open(LIST).unwrap();
    let (key, namespace) = (draw(KEYS), draw(NAMESPACES));
    let count = pick(&[1, 1, 1, 3, 20, 200], draw(6));
    let length = pick(&LENGTHS, draw(LENGTHS.len() as u64));
    let filler = u8::try_from(draw(250)).unwrap();
    let elements = vec![vec![filler; length]; count];
    let here = (key, namespace);
    let mut cx = backend.at(&key).unwrap();
    match draw(10) {
        0 => {
            cx.within(&namespace).unwrap().list(list).clear().unwrap();
            model.remove(&here);
        }
        1 => {
            let updated = cx.within(&namespace).unwrap().list(list).update(&elements);
            match size(&elements) {
                0..=LIMIT => {
                    updated.unwrap();
                    model.insert(here, elements);
                }
                _ => assert_eq!(updated.unwrap_err().kind(), ErrorKind::LimitExceeded),
            }
        }
        2 => {
            let sources: Vec<u64> = (0..NAMESPACES).filter(|other| *other != namespace).collect();
            let mut merged = model.get(&here).cloned().unwrap_or_default();
            let others = sources.iter().filter_map(|other| model.get(&(key, *other)));
            others.for_each(|other| merged.extend_from_slice(other));
            let outcome = cx.merge_namespaces(list, &namespace, &sources);
            match size(&merged) {
                0 => outcome.unwrap(),
                1..=LIMIT => {
                    outcome.unwrap();
                    model.retain(|(of, other), _| *of != key || !sources.contains(other));
                    model.insert(here, merged);
                }
                _ => assert_eq!(outcome.unwrap_err().kind(), ErrorKind::LimitExceeded),
            }
        }
        _ => {
            let all = [model.get(&here).cloned().unwrap_or_default(), elements.clone()].concat();
            let added = cx.within(&namespace).unwrap().list(list).add_all(&elements);
            match size(&all) {
                0..=LIMIT => {
                    added.unwrap();
                    model.insert(here, all);
                }
                _ => assert_eq!(added.unwrap_err().kind(), ErrorKind::LimitExceeded),
            }
        }
    }
    let found = backend.at(&key).unwrap().within(&namespace).unwrap().list(list).get().unwrap();
    assert_eq!(found, model.get(&here).cloned().unwrap_or_default());
}

/// Replaces or removes a list that is short, mostly one that was not read; seldom, makes one long.
fn replace<H: Harness>(backend: &mut Backend<H>, model: &mut Model, draw: Draw<'_>) {
    let list = backend.open(LIST).unwrap();
    let here = (draw(KEYS), draw(NAMESPACES));
    let filler = u8::try_from(draw(250)).unwrap();
    let length = pick(&LENGTHS, draw(4));
    let elements = vec![vec![filler; length]; usize::try_from(draw(5)).unwrap()];
    let mut cx = backend.at(&here.0).unwrap();
    let mut cx = cx.within(&here.1).unwrap();
    if draw(100) == 0 {
        let added = vec![vec![filler; length]; 20];
        cx.list(list).add_all(&added).unwrap();
        model.entry(here).or_default().extend(added);
    } else {
        cx.list(list).update(&elements).unwrap();
        model.insert(here, elements);
    }
}

fn check<H: Harness>(backend: &mut Backend<H>, model: &Model) {
    let list = backend.open(LIST).unwrap();
    for here in (0..KEYS).flat_map(|key| (0..NAMESPACES).map(move |namespace| (key, namespace))) {
        let expected = model.get(&here).cloned().unwrap_or_default();
        let mut cx = backend.at(&here.0).unwrap();
        let mut cx = cx.within(&here.1).unwrap();
        let found = cx.list(list).size().unwrap();
        assert_eq!((found.elements, found.bytes), (expected.len() as u64, size(&expected)));
        assert_eq!(cx.list(list).get().unwrap(), expected, "{here:?}");
    }
}

#[test]
fn lists_of_all_sizes_agree_with_a_model() {
    play::<Plain, _, _>(1, (50, 10), step::<Plain>, check::<Plain>);
}

#[test]
fn lists_of_all_sizes_agree_with_a_model_where_memory_is_short() {
    play::<Tiny, _, _>(2, (50, 10), step::<Tiny>, check::<Tiny>);
}

#[test]
fn short_lists_that_are_replaced_agree_with_a_model() {
    play::<Plain, _, _>(3, (50, 100), replace::<Plain>, check::<Plain>);
}

#[test]
fn short_lists_that_are_replaced_agree_with_a_model_where_memory_is_short() {
    play::<Tiny, _, _>(4, (50, 100), replace::<Tiny>, check::<Tiny>);
}
