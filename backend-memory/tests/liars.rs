//! A file that lies, with right checksums, costs no memory that it could not fill.

mod harness;

use std::sync::Arc;

use alluvium_state_api::snapshot::{FileLocation, SnapshotKind, StoredFile};
use alluvium_state_api::storage::InlineSource;
use alluvium_state_api::testkit::corruption::Counting;
use alluvium_state_api::testkit::fixtures::{Everything, fill, image, refused};
use alluvium_state_api::testkit::fuzz::with_other_counts;
use alluvium_state_api::testkit::{Kit, ten};
use alluvium_state_api::{ErrorKind, RestorePart, format};
use harness::Memory;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn counts_are_not_believed_before_entries_were_seen() {
    let kit = Kit::<Memory>::new();
    let mut backend = kit.fresh::<u64>();
    let states = Everything::open(&mut backend);
    fill(&mut backend, &states, &image(20, 5));
    let taken = kit.take(&mut backend, SnapshotKind::Full);
    let right = kit.storage.read(taken.id, &taken.snapshot.files[0]).unwrap();
    for entries in [1 << 24, 1 << 40, u64::MAX] {
        let lying: Arc<[u8]> = with_other_counts(&right, |_| entries).into();
        let mut snapshot = taken.snapshot.clone();
        snapshot.files[0].stored = StoredFile {
            length: lying.len() as u64,
            checksum: format::file_checksum(&lying),
            location: FileLocation::Inline(lying),
        };
        let part = RestorePart { snapshot, source: Arc::new(InlineSource), base: None };
        let peak = Counting::begin();
        refused(kit.try_open::<u64>(ten(), ten().all(), vec![part]), ErrorKind::Corrupted);
        assert!(peak.bytes() < 16 << 20, "{} bytes for {entries} entries", peak.bytes());
    }
}
