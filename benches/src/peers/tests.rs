//! Every peer reads what the plain computation reads, also after it was closed.

#[cfg(any(feature = "peers", feature = "rocksdb"))]
use super::*;
use crate::workload::draw::Pattern;
use crate::workload::maps::{Family, Hashbrown, Ordered};
use crate::workload::{self, Access, Maps, Plain, Shape, Target};

/// A short run of each workload, with what is to be read in it.
fn each(mut play: impl FnMut(&str, &[Access], u64)) {
    let shape = Shape { keys: 50, value_bytes: 20, draw: Pattern::Zipf(0.8), rate: 50, seed: 5 };
    for workload in workload::all() {
        let run = workload.run(&shape).unwrap();
        let accesses: Vec<_> = workload.fill(&shape).chain(run).take(4_000).collect();
        let mut plain = Plain::default();
        accesses.iter().try_for_each(|access| plain.apply(access)).unwrap();
        play(workload.name(), &accesses, plain.digest());
    }
}

fn maps<F: Family>() {
    each(|name, accesses, wanted| {
        let (mut numbers, mut bytes) = (Maps::<F>::default(), Maps::<F, Vec<u8>>::new(24));
        for access in accesses {
            numbers.apply(access).unwrap();
            bytes.apply(access).unwrap();
        }
        assert_eq!((numbers.digest(), bytes.digest()), (wanted, wanted), "{name}");
        assert_eq!((numbers.len(), numbers.entries()), (bytes.len(), bytes.entries()));
        assert!(numbers.entries() >= numbers.len() as u64);
    });
}

#[test]
fn maps_agree_with_the_plain_computation() {
    maps::<Hashbrown>();
    maps::<Ordered>();
}

#[cfg(any(feature = "peers", feature = "rocksdb"))]
fn agrees(open: OpenStore) {
    let directory = tempfile::tempdir().unwrap();
    let mut number = 0;
    let mut fresh = move || {
        number += 1;
        directory.path().join(format!("{number}"))
    };
    let mut numbers = Bytes::<u64>::over(open(&fresh()).unwrap(), ());
    let mut bytes = Bytes::<Vec<u8>>::over(open(&fresh()).unwrap(), 24);
    each(|name, accesses, wanted| {
        for access in accesses {
            numbers.apply(access).unwrap();
        }
        assert_eq!(numbers.digest(), wanted, "{name}");
        numbers = Bytes::over(open(&fresh()).unwrap(), ());
        if name.starts_with("interval") {
            accesses.iter().try_for_each(|access| bytes.apply(access)).unwrap();
            assert_eq!(bytes.digest(), wanted, "{name}");
        }
    });
}

/// What was written before a checkpoint is there after opening it, and what it cost is told.
#[cfg(any(feature = "peers", feature = "rocksdb"))]
fn keeps(open: OpenStore) {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(&directory.path().join("store")).unwrap();
    let put = |store: &mut Box<dyn Store>, range: std::ops::Range<u32>| {
        for number in range {
            store.put(&number.to_be_bytes(), &[7; 100]).unwrap();
        }
    };
    put(&mut store, 0..10_000);
    let full = store.checkpoint(&directory.path().join("1")).unwrap()().unwrap();
    put(&mut store, 10_000..10_100);
    store.append(&5u32.to_be_bytes(), &[8]).unwrap();
    store.remove_all(&0u32.to_be_bytes()[..3]).unwrap();
    let kept = store.checkpoint(&directory.path().join("2")).unwrap()().unwrap();
    put(&mut store, 20_000..20_001);
    assert!(full.bytes_new > 10_000 && full.bytes_full > 10_000 && full.files > 0, "{full:?}");
    assert!(kept.bytes_new > 100 && kept.bytes_new < full.bytes_new, "{full:?} {kept:?}");
    drop(store);
    let mut found = Vec::new();
    let mut store = open(&kept.path).unwrap();
    store.scan(&[], &mut |key, value| found.push((key.to_vec(), value.len()))).unwrap();
    let numbers = (256u32..10_100).chain(kept.goes_on.then_some(20_000));
    let wanted: Vec<_> = numbers.map(|number| (number.to_be_bytes().to_vec(), 100)).collect();
    assert_eq!(found, wanted);
}

#[cfg(feature = "peers")]
#[test]
fn redb_agrees_with_the_plain_computation_and_keeps_it() {
    agrees(redb::open);
    keeps(redb::open);
}

#[cfg(feature = "peers")]
#[test]
fn fjall_agrees_with_the_plain_computation_and_keeps_it() {
    agrees(fjall::open);
    keeps(fjall::open);
}

#[cfg(feature = "rocksdb")]
#[test]
fn rocksdb_agrees_with_the_plain_computation_and_keeps_it() {
    agrees(rocksdb::open);
    keeps(rocksdb::open);
}
