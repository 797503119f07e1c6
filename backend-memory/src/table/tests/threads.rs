//! A writer that never stops, and snapshots on other threads.

use super::super::{Cell, Fixed, KeyRep, Seed, ShardImage, Table, VarKey};
use super::rig::{Kind, Look, Map};
use std::sync::mpsc;
use std::thread;
use xxhash_rust::xxh3::xxh3_64;

fn stress<K: Kind>(keys: u32, rounds: u32, ops: u32) {
    let mut table = Table::<K, K::Cell>::new(Seed::new(11, 13), xxh3_64);
    let mut model = Map::new();
    let mut state = 5_u32;
    let mut random = move |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % below
    };
    let (send, receive) = mpsc::channel();
    let mut running = Vec::new();
    for round in 0..rounds {
        let (mut view, expected) = (table.begin_snapshot(false).unwrap(), model.clone());
        let send = send.clone();
        running.push(thread::spawn(move || {
            let (mut image, mut got) = (ShardImage::default(), Map::new());
            while view.next_shard(&mut image) {
                image.for_each(|item| {
                    let value = K::Cell::imaged(item.image, item.arena);
                    assert_eq!(got.insert(item.key.to_vec(), value), None);
                });
                if round % 5 == 4 && got.len() > 1000 {
                    return;
                }
            }
            send.send(got == expected).unwrap();
        }));
        for _ in 0..ops {
            let (key, value) = (K::key(random(keys)), K::value(random(1 << 16)));
            let (hash, probe) = (xxh3_64(&key), K::probe(&key).unwrap());
            match random(8) {
                0..=3 => drop(table.insert(hash, probe, K::Cell::make(&value))),
                4 | 5 => drop(table.entry(hash, probe).edit(|cell| cell.change(&value))),
                6 => assert_eq!(
                    table.get(hash, probe).map(Look::value),
                    model.get(&key).map(Vec::as_slice)
                ),
                _ => drop(table.remove(hash, probe)),
            }
            match table.get(hash, probe).map(Look::value) {
                Some(value) => drop(model.insert(key, value.to_vec())),
                None => drop(model.remove(&key)),
            }
        }
    }
    for thread in running {
        thread.join().unwrap();
    }
    drop(send);
    let results: Vec<bool> = receive.iter().collect();
    assert!(results.iter().all(|same| *same), "{results:?}");
    assert!(results.len() >= rounds as usize * 4 / 5);
}

#[test]
fn snapshots_on_threads_see_their_moment() {
    stress::<[u8; 8]>(40_000, 12, 20_000);
}

#[test]
fn snapshots_of_variable_entries_on_threads_see_their_moment() {
    stress::<VarKey>(4_000, 12, 5_000);
}

#[test]
fn tables_and_views_can_move_between_threads() {
    fn moves<T: Send>() {}
    fn all<K: KeyRep, C: Cell>() {
        moves::<Table<K, C>>();
        moves::<super::super::TableView<K, C>>();
        moves::<ShardImage<K, C>>();
    }
    all::<[u8; 4], Fixed<8>>();
}
