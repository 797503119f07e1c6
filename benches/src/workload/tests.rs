use std::collections::BTreeMap;

use alluvium_backend_memory::MemoryStore;

use super::*;
use crate::disk::Disk;
use crate::engine::{Engine, memory_store};

fn shape(draw: draw::Pattern) -> Shape {
    Shape { keys: 50, value_bytes: 20, draw, rate: 50, seed: 9 }
}

fn accesses(workload: &Workload, shape: &Shape, count: usize) -> Vec<Access> {
    workload.fill(shape).chain(workload.run(shape).unwrap()).take(count).collect()
}

fn played(target: &mut dyn Target, accesses: &[Access]) -> u64 {
    for access in accesses {
        target.apply(access).unwrap();
    }
    target.digest()
}

/// What holds for every backend, static and boxed.
fn agree<S: Engine>() {
    let directory = tempfile::tempdir().unwrap();
    let mut disk = Disk::new(directory.path()).unwrap();
    for workload in all() {
        for draw in [draw::Pattern::Uniform, draw::Pattern::Zipf(1.2)] {
            let accesses = accesses(&workload, &shape(draw), 6_000);
            let wanted = played(&mut Plain::default(), &accesses);
            let mut numbers =
                Player::<S, u64>::over(S::store(&mut disk, Vec::new()).unwrap(), ()).unwrap();
            assert_eq!(played(&mut numbers, &accesses), wanted, "{}", workload.name());
        }
    }
}

#[test]
fn memory_agrees_with_the_plain_computation() {
    agree::<MemoryStore>();
}

#[test]
fn fs_agrees_with_the_plain_computation() {
    agree::<alluvium_backend_fs::FsStore>();
}

#[test]
fn names_are_different_and_each_workload_reads_and_writes_what_it_says() {
    let mut kinds = BTreeMap::new();
    for workload in all() {
        let operations = kinds.entry(workload.name()).or_insert_with(BTreeMap::new);
        assert!(operations.is_empty(), "{} is there twice", workload.name());
        let run = workload.run(&shape(draw::Pattern::Uniform)).unwrap();
        for access in run.take(50_000) {
            *operations.entry(access.operation.name()).or_insert(0u64) += 1;
        }
    }
    let of = |name: &str| kinds[name].keys().copied().collect::<Vec<_>>();
    assert_eq!(kinds.len(), 37);
    assert_eq!(of("tumbling.incremental"), ["sum.add", "sum.clear", "sum.get"]);
    assert_eq!(of("session.holistic"), ["list.add", "list.clear", "list.get", "merge.list"]);
    assert_eq!(of("interval.join"), ["map.insert", "map.remove", "map.scan"]);
    let count = |name: &str, operation| kinds[name][operation];
    assert!(count("sliding.holistic", "list.add") > 4 * count("sliding.holistic", "list.get"));
    assert!(count("session.incremental", "merge.sum") > 50);
}

/// Windows end: what is held stays bounded however long it runs.
#[test]
fn windows_leave_nothing_behind() {
    for workload in [windows::all(), joins::all()].into_iter().flatten() {
        let run = workload.run(&shape(draw::Pattern::Uniform)).unwrap();
        let (mut plain, mut most) = (Plain::default(), [0, 0]);
        for (number, access) in run.take(200_000).enumerate() {
            plain.apply(&access).unwrap();
            let most = &mut most[usize::from(number >= 100_000)];
            *most = plain.len().max(*most);
        }
        assert!(most[0] > 10 && most[1] <= most[0] * 5 / 4, "{}: {most:?}", workload.name());
    }
}

#[test]
fn a_recorded_trace_is_the_same_workload() {
    for workload in all() {
        let accesses = accesses(&workload, &shape(draw::Pattern::Uniform), 5_000);
        let mut recorder = trace::Recorder::new(Vec::new()).unwrap();
        for access in &accesses {
            recorder.record(access).unwrap();
        }
        let (bytes, _) = recorder.finish().unwrap();
        let replayed =
            trace::Replay::new(&bytes[..]).unwrap().collect::<Outcome<Vec<_>>>().unwrap();
        assert_eq!(replayed, accesses, "{}", workload.name());
    }
}

#[test]
fn keys_of_bytes_have_the_length_that_was_asked_for() {
    let accesses = accesses(&states::all()[0], &shape(draw::Pattern::Uniform), 500);
    let wanted = played(&mut Plain::default(), &accesses);
    for length in [0, 8, 33, 1000] {
        let mut player = Player::<_, Vec<u8>>::over(memory_store_of_bytes(), length).unwrap();
        assert_eq!(played(&mut player, &accesses), wanted, "{length}");
    }
    let boxed: Box<dyn alluvium_state_api::KeyedStore> =
        Box::new(memory_store(Vec::new()).unwrap());
    let mut boxed = Player::<_, u64>::over(boxed, ()).unwrap();
    assert_eq!(played(&mut boxed, &accesses), wanted);
}

fn memory_store_of_bytes() -> MemoryStore {
    use alluvium_state_api::{KeyedBackend, MaxParallelism, OpenEnv};
    let groups = MaxParallelism::new(128).unwrap();
    let space = KeyedBackend::<Vec<u8>>::key_space(groups, groups.all()).unwrap();
    MemoryStore::open(OpenEnv::new(space)).unwrap()
}

#[test]
fn merging_without_a_window_is_refused() {
    let access = Access::of(1, Operation::MergeSum(2));
    let mut player = Player::<_, u64>::over(memory_store(Vec::new()).unwrap(), ()).unwrap();
    for target in [&mut Plain::default() as &mut dyn Target, &mut player] {
        let refused = target.apply(&access).unwrap_err();
        assert!(refused.to_string().contains("names none"), "{refused}");
    }
}

/// What the queries of Nexmark read, by key and window, and the sums that the stream itself has.
#[test]
fn queries_read_what_the_events_say() {
    use ::nexmark::EventGenerator;
    use ::nexmark::config::NexmarkConfig;
    use ::nexmark::event::Event;

    let shape = Shape { rate: 500, ..shape(draw::Pattern::Uniform) };
    let config =
        NexmarkConfig { base_time: 0, first_rate: 500, next_rate: 500, ..Default::default() };
    let offset = crate::keys::mix(shape.seed) % (1 << 30);
    let mut wanted = BTreeMap::new();
    for event in EventGenerator::new(config).with_offset(offset).take(30_000) {
        if let Event::Bid(bid) = event {
            let window = bid.date_time - bid.date_time % 10_000;
            *wanted.entry((crate::keys::key(bid.bidder as u64), window)).or_insert(0u64) += 1;
        }
    }
    let query = all().into_iter().find(|workload| workload.name() == "nexmark.q12").unwrap();
    let (mut found, mut held) = (BTreeMap::new(), BTreeMap::new());
    for access in query.run(&shape).unwrap().take(25_000) {
        let at = (access.key, access.window.unwrap());
        match access.operation {
            Operation::SumAdd(number) => *held.entry(at).or_insert(0) += number,
            Operation::SumGet => drop(found.insert(at, held[&at])),
            _ => drop(held.remove(&at)),
        }
    }
    assert!(found.len() > 500, "{}", found.len());
    // The first window began before the stream did.
    let first = wanted.keys().map(|(_, window)| *window).min().unwrap();
    let whole = found.iter().filter(|((_, window), _)| *window > first);
    assert!(whole.clone().count() > 300);
    for (at, count) in whole {
        assert_eq!(wanted[at], *count, "{at:?}");
    }
}
