//! Damaged and missing files: an error or the same content, never other content and never a panic.

use super::fixtures::{Everything, Image, fill, image};
use super::harness::{Harness, KINDS, Kit, Taken, ten};
use crate::ErrorKind;
use crate::snapshot::SnapshotKind;

fn small<H: Harness>(kit: &Kit<H>, kind: SnapshotKind) -> (Taken, Image) {
    let mut backend = kit.fresh::<u64>();
    let states = Everything::open(&mut backend);
    let mut image = image(12, 5);
    fill(&mut backend, &states, &image);
    kit.confirm(&mut backend, kind);
    states.put(&mut backend, 3, 1);
    image.insert(3, 1);
    states.remove(&mut backend, 4);
    image.remove(&4);
    (kit.confirm(&mut backend, kind), image)
}

/// Opens what is damaged: errors are right, other content is not.
fn open_damaged<H: Harness>(kit: &Kit<H>, taken: &Taken, image: &Image) -> Option<ErrorKind> {
    match kit.try_open::<u64>(ten(), ten().all(), vec![taken.part()]) {
        Err(error) => Some(error.kind()),
        Ok(mut restored) => {
            let states = Everything::open(&mut restored);
            states.check(&mut restored, image, 20);
            None
        }
    }
}

fn each_file<H: Harness>(
    kit: &Kit<H>,
    attempts: usize,
    damage: impl Fn(usize, Vec<u8>) -> Option<Vec<u8>>,
    judge: impl Fn(Option<ErrorKind>),
) {
    for kind in KINDS {
        let (taken, image) = small(kit, kind);
        for file in &taken.snapshot.files {
            for attempt in 0..attempts {
                let whole = kit.storage.read(taken.id, file).unwrap();
                kit.storage.alter(taken.id, file, |bytes| damage(attempt, bytes));
                judge(open_damaged(kit, &taken, &image));
                kit.storage.restore_file(taken.id, file, whole);
            }
        }
        assert_eq!(open_damaged(kit, &taken, &image), None, "undamaged again");
    }
}

/// A file that is gone.
pub fn missing_files_are_noticed<H: Harness>(kit: &Kit<H>) {
    each_file(kit, 1, |_, _| None, |found| assert_eq!(found, Some(ErrorKind::NotFound)));
}

/// A file that is shorter or longer than recorded.
pub fn other_lengths_are_noticed<H: Harness>(kit: &Kit<H>) {
    let damage = |attempt: usize, mut bytes: Vec<u8>| {
        match attempt {
            0 => bytes.clear(),
            1 => drop(bytes.pop()),
            2 => bytes.push(0),
            3 => bytes.truncate(bytes.len() / 2),
            _ => bytes.extend_from_within(..),
        }
        Some(bytes)
    };
    each_file(kit, 5, damage, |found| assert_eq!(found, Some(ErrorKind::Corrupted)));
}

/// One flipped bit, at fifty places of each file.
pub fn flipped_bits_are_noticed<H: Harness>(kit: &Kit<H>) {
    let damage = |attempt: usize, mut bytes: Vec<u8>| {
        let at = bytes.len() * attempt / 50;
        bytes[at] ^= 1 << (attempt % 8);
        Some(bytes)
    };
    each_file(kit, 50, damage, |found| assert!(found.is_some(), "a flipped bit passed unseen"));
}

/// A file of the right length full of something else.
pub fn replaced_content_is_noticed<H: Harness>(kit: &Kit<H>) {
    let damage = |attempt: usize, mut bytes: Vec<u8>| {
        match attempt {
            0 => bytes.fill(0),
            1 => bytes.reverse(),
            _ => bytes.rotate_left(1),
        }
        Some(bytes)
    };
    each_file(kit, 3, damage, |found| assert!(found.is_some(), "other bytes passed unseen"));
}
