//! Maps of all sizes against a model: entries come and go one by one and with their map, are read and walked through, snapshot
//! and restored, in the table in front of the database and past it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;
#[path = "harness/rounds.rs"]
mod rounds;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use alluvium_state_api::codec::Native;
use alluvium_state_api::testkit::{Backend, Harness};
use alluvium_state_api::{InNamespace, MapDescriptor, MapState};
use harness::{PROFILE, TINY, harnesses};
use rounds::{Draw, pick, play};

harnesses! {
    /// Default options.
    Plain: PROFILE;
    /// Always short of memory.
    Tiny: TINY;
}

type Model = BTreeMap<(String, u64), BTreeMap<u64, Vec<u8>>>;

const MAP: MapDescriptor<u64, Vec<u8>, Native, Native, InNamespace<u64>> =
    MapDescriptor::new("map").in_namespace();
const NAMESPACES: u64 = 2;
/// Maps have up to so many entries, by their key: all fit the table, some do, or nearly none.
const ENTRIES: [u64; 5] = [1, 5, 17, 40, 200];

fn key_of(number: u64) -> String {
    "k".repeat(usize::try_from(number).unwrap())
}

/// One random operation on both.
fn step<H: Harness>(backend: &mut Backend<H, String>, model: &mut Model, draw: Draw<'_>) {
    let map = backend.open(MAP).unwrap();
    let (number, namespace) = (draw(ENTRIES.len() as u64), draw(NAMESPACES));
    let name = draw(pick(&ENTRIES, number));
    let length = pick(&[0, 1, 8, 8, 8, 60, 300, 2_000], draw(8));
    let value = vec![u8::try_from(draw(250)).unwrap(); length];
    let here = (key_of(number), namespace);
    let known = model.entry(here.clone()).or_default();
    let mut cx = backend.at(&here.0).unwrap();
    let mut cx = cx.within(&namespace).unwrap();
    let mut map = cx.map(map);
    match draw(20) {
        0 => {
            map.clear().unwrap();
            known.clear();
        }
        1..4 => {
            map.remove(&name).unwrap();
            known.remove(&name);
        }
        4..6 => {
            let keeps = draw(3) == 0;
            let changed = map.update(&name, |old| {
                assert_eq!(old.as_ref(), known.get(&name));
                if keeps { old } else { Some(value.clone()) }
            });
            changed.unwrap();
            if !keeps {
                known.insert(name, value);
            }
        }
        6..9 => {
            let most = draw(300);
            let (mut found, mut seen) = (Vec::new(), 0);
            let visited = map.for_each(|name, value| {
                found.push((name, value));
                seen += 1;
                Ok(if seen > most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            });
            visited.unwrap();
            let all = known.iter().map(|(name, value)| (*name, value.clone()));
            let most = usize::try_from(most).unwrap() + 1;
            assert_eq!(found, all.take(most).collect::<Vec<_>>());
        }
        9..13 => assert_eq!(map.get(&name).unwrap().as_ref(), known.get(&name)),
        _ => {
            map.insert(&name, &value).unwrap();
            known.insert(name, value);
        }
    }
    assert_eq!(map.contains(&name).unwrap(), known.contains_key(&name));
}

fn check<H: Harness>(backend: &mut Backend<H, String>, model: &Model) {
    let map = backend.open(MAP).unwrap();
    for (number, most) in (0..).zip(ENTRIES) {
        for namespace in 0..NAMESPACES {
            let key = key_of(number);
            let expected = model.get(&(key.clone(), namespace)).cloned().unwrap_or_default();
            let mut cx = backend.at(&key).unwrap();
            let mut cx = cx.within(&namespace).unwrap();
            for name in 0..most {
                assert_eq!(cx.map(map).get(&name).unwrap().as_ref(), expected.get(&name));
            }
            let found = cx.map(map).entries().unwrap();
            assert!(found.iter().map(|(name, value)| (name, value)).eq(&expected));
        }
    }
}

#[test]
fn maps_of_all_sizes_agree_with_a_model() {
    play::<Plain, _, _>(1, (150, 20), step::<Plain>, check::<Plain>);
}

#[test]
fn maps_of_all_sizes_agree_with_a_model_where_memory_is_short() {
    play::<Tiny, _, _>(2, (150, 20), step::<Tiny>, check::<Tiny>);
}
