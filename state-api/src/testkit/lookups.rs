//! State files with lookups, such as a backend writes that leaves its state in files, are restored by every
//! backend that restores state files.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::fixtures::{Everything, Image, fill, image};
use super::harness::{Backend, Harness, KINDS, Kit, Taken, ten};
use crate::env::RestorePart;
use crate::format::{
    BufferReader, BufferWriter, FileForm, Record, SequentialWriter, StateFile, StateFileWriter,
    WriteOptions, file_checksum,
};
use crate::snapshot::{FileFormat, FileLocation, KeyedSnapshot, SnapshotKind, StoredFile};
use crate::storage::InlineSource;
use crate::{ElementsBuffer, EntryKey, KeyGroup, KeyGroupRange, ListDescriptor, ListState, Result};

/// Key, namespace and map key.
type Parts = (Vec<u8>, Vec<u8>, Vec<u8>);

/// What a file says under a key.
enum Said {
    Entry(Vec<u8>),
    /// From this index on; whether it begins a list.
    Elements(u64, bool, ElementsBuffer),
    Tombstone,
    MapRemoval,
}

/// A section in the order in which it is written: removals of maps, then by key.
type Section = BTreeMap<(bool, Parts), Said>;

fn parts_of(key: EntryKey<'_>) -> Parts {
    (key.key().to_vec(), key.namespace().to_vec(), key.map_key().to_vec())
}

fn collect(section: &mut Section, record: Record<'_>) -> Result<()> {
    let (key, said) = match record {
        Record::Entry(key, value) => (key, Said::Entry(value.to_vec())),
        Record::Tombstone(key) => (key, Said::Tombstone),
        Record::MapRemoval(key) => (key, Said::MapRemoval),
        Record::List(segment) | Record::Append(segment) => {
            let begins = matches!(record, Record::List(_));
            (segment.key, Said::Elements(segment.first, begins, ElementsBuffer::default()))
        }
    };
    let place = (!matches!(said, Said::MapRemoval), parts_of(key));
    let said = section.entry(place).or_insert(said);
    if let (Said::Elements(_, _, all), Record::List(segment) | Record::Append(segment)) =
        (said, record)
    {
        segment.elements.iter().try_for_each(|element| all.push(element))?;
    }
    Ok(())
}

fn write(writer: &mut SequentialWriter, (_, parts): &(bool, Parts), said: &Said) -> Result<()> {
    let (key, namespace, map_key) = parts;
    let bytes = [&key[..], namespace, map_key].concat();
    let key = EntryKey::new(&bytes, key.len(), key.len() + namespace.len())?;
    match said {
        Said::Entry(value) => writer.put(key, value),
        Said::Elements(first, true, elements) => writer.list(key, *first, elements.as_elements()),
        Said::Elements(first, false, elements) => {
            writer.append(key, *first, elements.as_elements())
        }
        Said::Tombstone => writer.remove(key),
        Said::MapRemoval => writer.remove_map(key),
    }
}

/// A state file with the same content, and lookups.
///
/// # Errors
/// Those of reading it.
pub fn with_lookups(bytes: &[u8]) -> Result<Arc<[u8]>> {
    let file = StateFile::open(BufferReader::over(bytes), "without lookups")?;
    let mut spec = file.spec().clone();
    if spec.form == FileForm::Canonical {
        spec.form = FileForm::Full;
    }
    let mut sections: BTreeMap<(u16, KeyGroup), Section> = BTreeMap::new();
    let mut blocks = file.blocks(spec.range);
    while let Some(block) = blocks.next_block()? {
        let section = sections.entry((block.state(), block.group())).or_default();
        block.records().try_for_each(|record| collect(section, record))?;
    }
    let options = WriteOptions { lookups: true, ..WriteOptions::default() };
    let writer = StateFileWriter::new(BufferWriter::boxed(), spec, options)?;
    let mut writer = writer.into_sequential();
    for ((state, group), section) in &sections {
        writer.section(*state, *group)?;
        section.iter().try_for_each(|(place, said)| write(&mut writer, place, said))?;
    }
    match writer.finish()?.stored.location {
        FileLocation::Inline(bytes) => Ok(bytes),
        other => Err(crate::Error::bug(format!("{other:?} is not in memory"))),
    }
}

/// The snapshot with lookups in all its state files, and how many that are.
fn looked_up<H: Harness>(kit: &Kit<H>, taken: &Taken) -> (KeyedSnapshot, usize) {
    let mut snapshot = taken.snapshot.clone();
    let mut changed = 0;
    for file in snapshot.files.iter_mut().filter(|file| file.format == FileFormat::State) {
        let bytes = with_lookups(&kit.storage.read(taken.id, file).unwrap()).unwrap();
        file.stored = StoredFile {
            length: bytes.len() as u64,
            checksum: file_checksum(&bytes),
            location: FileLocation::Inline(bytes),
        };
        file.frame_checksum = None;
        changed += 1;
    }
    if snapshot.kind == SnapshotKind::Canonical {
        snapshot.kind = SnapshotKind::Full;
    }
    (snapshot, changed)
}

fn opened<H: Harness>(kit: &Kit<H>, snapshot: &KeyedSnapshot, range: (u16, u16)) -> Backend<H> {
    let source = Arc::new(InlineSource);
    let part = RestorePart { snapshot: snapshot.clone(), source, base: None };
    let range = KeyGroupRange::new(range.0, range.1).unwrap();
    kit.try_open::<u64>(ten(), range, vec![part]).unwrap()
}

fn check<H: Harness>(kit: &Kit<H>, snapshot: &KeyedSnapshot, image: &Image) {
    for range in [(0, 10), (0, 3), (3, 10)] {
        let mut restored = opened(kit, snapshot, range);
        let states = Everything::open(&mut restored);
        states.check(&mut restored, image, 250);
    }
}

/// Full and canonical snapshots, whose state files were written anew with lookups.
pub fn full_files_with_lookups_are_restored<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let states = Everything::open(&mut backend);
    let image = image(200, 3);
    fill(&mut backend, &states, &image);
    for kind in [SnapshotKind::Full, SnapshotKind::Canonical] {
        let taken = kit.take(&mut backend, kind);
        let (snapshot, changed) = looked_up(kit, &taken);
        if changed < snapshot.files.len() {
            assert_ne!(kind, SnapshotKind::Canonical, "canonical files are state files");
            continue;
        }
        check(kit, &snapshot, &image);
    }
}

/// Chains of increments with removals, appended elements and removed maps.
pub fn increments_with_lookups_are_restored<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let states = Everything::open(&mut backend);
    let mut image = image(200, 3);
    fill(&mut backend, &states, &image);
    for round in 0..3 {
        kit.confirm(&mut backend, SnapshotKind::Incremental);
        for key in (round..200).step_by(7) {
            states.remove(&mut backend, key);
            image.remove(&key);
        }
        for key in (round..200).step_by(11) {
            states.put(&mut backend, key, 1000 + key);
            image.insert(key, 1000 + key);
        }
        let taken = kit.confirm(&mut backend, SnapshotKind::Incremental);
        let (snapshot, changed) = looked_up(kit, &taken);
        if changed == snapshot.files.len() {
            check(kit, &snapshot, &image);
        }
    }
}

/// A list of many blocks, to which increments append.
pub fn long_lists_with_lookups_are_restored<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let list = backend.open(ListDescriptor::<u64>::new("long")).unwrap();
    let mut all: Vec<u64> = (0..5000).collect();
    backend.at(&7).unwrap().list(list).add_all(&all).unwrap();
    for kind in [KINDS, KINDS].concat() {
        all.extend(10_000..13_000);
        backend.at(&7).unwrap().list(list).add_all(&all[all.len() - 3000..]).unwrap();
        let taken = kit.confirm(&mut backend, kind);
        let (snapshot, changed) = looked_up(kit, &taken);
        if changed == snapshot.files.len() {
            let mut restored = opened(kit, &snapshot, (0, 10));
            let list = restored.open(ListDescriptor::<u64>::new("long")).unwrap();
            let found = restored.at(&7).unwrap().list(list).get().unwrap();
            assert!(found == all, "{kind:?}");
        }
    }
}
