//! The canonical form: the same content gives the same bytes, wherever it comes from.

use std::sync::Arc;

use super::fixtures::{Everything, fill, image};
use super::harness::{Backend, Harness, KINDS, Kit, Taken, groups};
use crate::snapshot::{Digest, SnapshotKind};
use crate::{ListDescriptor, ListState};

fn canonical_bytes<H: Harness>(kit: &Kit<H>, backend: &mut Backend<H>) -> Vec<Arc<[u8]>> {
    let taken = kit.take(backend, SnapshotKind::Canonical);
    taken.snapshot.files.iter().map(|file| kit.storage.read(taken.id, file).unwrap()).collect()
}

/// The order in which entries were written does not show.
pub fn order_of_writing_does_not_show<H: Harness>(kit: &Kit<H>) {
    let image = image(60, 5);
    let mut forward = kit.fresh::<u64>();
    let states = Everything::open(&mut forward);
    fill(&mut forward, &states, &image);
    let mut backward = kit.fresh::<u64>();
    let states = Everything::open(&mut backward);
    for (key, seed) in image.iter().rev() {
        states.put(&mut backward, *key, *seed);
    }
    assert!(canonical_bytes(kit, &mut forward) == canonical_bytes(kit, &mut backward));
}

/// What was overwritten, removed and put back does not show.
pub fn history_does_not_show<H: Harness>(kit: &Kit<H>) {
    let image = image(60, 5);
    let mut plain = kit.fresh::<u64>();
    let states = Everything::open(&mut plain);
    fill(&mut plain, &states, &image);
    let mut lived = kit.fresh::<u64>();
    let states = Everything::open(&mut lived);
    for key in 0..90 {
        states.put(&mut lived, key, 1);
        states.touch(&mut lived, key);
    }
    kit.confirm(&mut lived, SnapshotKind::Incremental);
    for key in 0..90 {
        states.remove(&mut lived, key);
    }
    let held = kit.begin(&mut lived, SnapshotKind::Full);
    fill(&mut lived, &states, &image);
    assert!(canonical_bytes(kit, &mut plain) == canonical_bytes(kit, &mut lived));
    drop(held);
}

/// How a list came about does not show.
pub fn list_chunks_do_not_show<H: Harness>(kit: &Kit<H>) {
    let descriptor = ListDescriptor::<u64>::new("list");
    let elements: Vec<u64> = (0..20_000).collect();
    let mut bytes = Vec::new();
    for chunk in [20_000, 1_000, 7] {
        let mut backend = kit.fresh::<u64>();
        let list = backend.open(descriptor).unwrap();
        for part in elements.chunks(chunk) {
            backend.at(&1).unwrap().list(list).add_all(part).unwrap();
        }
        bytes.push(canonical_bytes(kit, &mut backend));
    }
    assert!(bytes[0] == bytes[1] && bytes[1] == bytes[2]);
}

/// Through a restore from any kind of snapshot, the canonical bytes stay the same.
pub fn survives_every_restore<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let states = Everything::open(&mut backend);
    fill(&mut backend, &states, &image(60, 5));
    kit.confirm(&mut backend, SnapshotKind::Incremental);
    states.put(&mut backend, 5, 1);
    states.remove(&mut backend, 6);
    let bytes = canonical_bytes(kit, &mut backend);
    for kind in KINDS {
        let taken = kit.take(&mut backend, kind);
        let mut restored = kit.restore::<u64>(&[&taken]);
        assert!(canonical_bytes(kit, &mut restored) == bytes, "untouched, from {kind:?}");
        Everything::open(&mut restored);
        assert!(canonical_bytes(kit, &mut restored) == bytes, "registered, from {kind:?}");
    }
}

/// 1 to 3 to 1: the canonical bytes are as before.
pub fn survives_rescaling<H: Harness>(kit: &Kit<H>) {
    let groups = groups(10);
    let mut backend = kit.fresh::<u64>();
    let states = Everything::open(&mut backend);
    fill(&mut backend, &states, &image(60, 5));
    let bytes = canonical_bytes(kit, &mut backend);
    let whole = kit.take(&mut backend, SnapshotKind::Canonical);
    let part = |subtask| {
        let range = groups.range_of(subtask, 3).unwrap();
        let mut part = kit.try_open::<u64>(groups, range, vec![whole.part()]).unwrap();
        kit.take(&mut part, SnapshotKind::Canonical)
    };
    let parts: Vec<Taken> = (0..3).map(part).collect();
    let mut again = kit.restore::<u64>(&parts.iter().collect::<Vec<_>>());
    assert!(canonical_bytes(kit, &mut again) == bytes);
}

/// Digests are those of the content: equal for equal content, over parts they add up, and they
/// change with it.
pub fn digests_are_of_the_content<H: Harness>(kit: &Kit<H>) {
    let digests = |taken: &Taken| -> Vec<Digest> {
        taken.snapshot.states.iter().map(|state| state.digest.expect("a digest")).collect()
    };
    let groups = groups(10);
    let mut backend = kit.fresh::<u64>();
    let states = Everything::open(&mut backend);
    fill(&mut backend, &states, &image(60, 5));
    let whole = kit.take(&mut backend, SnapshotKind::Canonical);
    let mut sums = vec![Digest::default(); 6];
    for subtask in 0..3 {
        let range = groups.range_of(subtask, 3).unwrap();
        let mut part = kit.try_open::<u64>(groups, range, vec![whole.part()]).unwrap();
        for (sum, digest) in
            sums.iter_mut().zip(digests(&kit.take(&mut part, SnapshotKind::Canonical)))
        {
            sum.0 = sum.0.wrapping_add(digest.0);
        }
    }
    assert_eq!(digests(&whole), sums);
    if kit.profile().digests {
        let full = kit.take(&mut backend, SnapshotKind::Full);
        assert_eq!(digests(&full), sums);
    }
    states.touch(&mut backend, 5);
    let changed = digests(&kit.take(&mut backend, SnapshotKind::Canonical));
    assert!(changed.iter().zip(&sums).all(|(changed, old)| changed != old));
}

/// Summaries count what there is.
pub fn counts_are_of_the_content<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let states = Everything::open(&mut backend);
    fill(&mut backend, &states, &image(60, 5));
    states.remove(&mut backend, 3);
    for kind in KINDS {
        let taken = kit.take(&mut backend, kind);
        if kind == SnapshotKind::Canonical || kit.profile().exact_counts {
            let counts: Vec<u64> =
                taken.snapshot.states.iter().map(|state| state.entries.get()).collect();
            assert_eq!(counts, [59, 59, 118, 59, 59, 118]);
        }
    }
}
