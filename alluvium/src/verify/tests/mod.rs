//! A chain of increments holds what a full file of the same content holds.

mod golden;

use alluvium_state_api::codec::{EncodeKey, Native};
use alluvium_state_api::format::{
    BufferReader, BufferWriter, FileForm, ScatterWriter, StateFile, StateFileSpec, StateFileWriter,
    WriteOptions,
};
use alluvium_state_api::schema::StateMeta;
use alluvium_state_api::{
    Descriptor, ElementsBuffer, EntryKey, KeyGroup, KeyedBackend, ListDescriptor, MapDescriptor,
    MaxParallelism, Result, ValueDescriptor,
};

use super::replay::Replay;
use super::subtask::Contents;

const GROUP: KeyGroup = KeyGroup::new(1);

fn spec(form: FileForm) -> StateFileSpec {
    let groups = MaxParallelism::new(4).unwrap();
    let space = KeyedBackend::<String>::key_space(groups, groups.all()).unwrap();
    let list: StateMeta = ListDescriptor::<u8>::new("a list").meta();
    let map: StateMeta = MapDescriptor::<u8, u8>::new("b map").meta();
    let value: StateMeta = ValueDescriptor::<u8>::new("c value").meta();
    StateFileSpec::new(&space, vec![list, map, value], form)
}

fn file(form: FileForm, fill: impl FnOnce(&mut ScatterWriter) -> Result<()>) -> StateFile {
    let writer = StateFileWriter::new(BufferWriter::boxed(), spec(form), WriteOptions::default());
    let mut writer = writer.unwrap().into_scatter().unwrap();
    fill(&mut writer).unwrap();
    let written = writer.finish().unwrap();
    StateFile::open(BufferReader::of(&written.stored).unwrap(), "test").unwrap()
}

/// The bytes of a key and a map key, and where the key ends.
fn bytes(key: &str, map_key: &[u8]) -> (Vec<u8>, usize) {
    let mut bytes = Vec::new();
    Native::encode_key(key, &mut bytes).unwrap();
    let end = bytes.len();
    bytes.extend_from_slice(map_key);
    (bytes, end)
}

fn entry((bytes, end): &(Vec<u8>, usize)) -> EntryKey<'_> {
    EntryKey::new(bytes, *end, *end).unwrap()
}

fn list(writer: &mut ScatterWriter, key: &str, first: u64, elements: &[u8]) -> Result<()> {
    let mut buffer = ElementsBuffer::default();
    for element in elements {
        buffer.push_with(|out| {
            out.push(*element);
            Ok(())
        })?;
    }
    let key = bytes(key, &[]);
    match first {
        0 => writer.list(GROUP, entry(&key), 0, buffer.as_elements()),
        _ => writer.append(GROUP, entry(&key), first, buffer.as_elements()),
    }
}

fn put(writer: &mut ScatterWriter, key: &str, map_key: &[u8], value: u8) -> Result<()> {
    writer.put(GROUP, entry(&bytes(key, map_key)), &[value])
}

fn base() -> StateFile {
    file(FileForm::Full, |writer| {
        writer.state(0)?;
        list(writer, "grows", 0, &[1, 2])?;
        list(writer, "goes", 0, &[3])?;
        list(writer, "stays", 0, &[4, 5])?;
        writer.state(1)?;
        put(writer, "whole", &[1], 1)?;
        put(writer, "whole", &[2], 2)?;
        put(writer, "wholesome", &[1], 3)?;
        put(writer, "partly", &[7], 4)?;
        put(writer, "partly", &[8], 5)?;
        writer.state(2)?;
        put(writer, "changes", &[], 1)?;
        put(writer, "goes", &[], 2)?;
        put(writer, "stays", &[], 3)
    })
}

fn increment() -> StateFile {
    file(FileForm::Increment, |writer| {
        writer.state(0)?;
        list(writer, "grows", 2, &[9])?;
        writer.remove(GROUP, entry(&bytes("goes", &[])))?;
        writer.state(1)?;
        writer.remove_map(GROUP, entry(&bytes("whole", &[])))?;
        put(writer, "whole", &[5], 6)?;
        writer.remove(GROUP, entry(&bytes("partly", &[7])))?;
        writer.state(2)?;
        put(writer, "changes", &[], 7)?;
        put(writer, "new", &[], 8)?;
        writer.remove(GROUP, entry(&bytes("goes", &[])))
    })
}

fn result() -> StateFile {
    file(FileForm::Full, |writer| {
        writer.state(0)?;
        list(writer, "grows", 0, &[1, 2, 9])?;
        list(writer, "stays", 0, &[4, 5])?;
        writer.state(1)?;
        put(writer, "whole", &[5], 6)?;
        put(writer, "wholesome", &[1], 3)?;
        put(writer, "partly", &[8], 5)?;
        writer.state(2)?;
        put(writer, "changes", &[], 7)?;
        put(writer, "new", &[], 8)?;
        put(writer, "stays", &[], 3)
    })
}

fn replayed(files: &[StateFile]) -> Result<Contents> {
    let mut replay = Replay::default();
    for file in files {
        replay.apply(file, file.spec().groups.all())?;
    }
    Ok(replay.contents())
}

#[test]
fn a_chain_holds_what_a_full_file_of_its_result_holds() {
    let chain = replayed(&[base(), increment()]).unwrap();
    let full = result();
    assert_eq!(chain, replayed(std::slice::from_ref(&full)).unwrap());
    for (meta, totals) in full.spec().states.iter().zip(full.totals(full.spec().range)) {
        let held = chain.get(&meta.name).unwrap();
        assert_eq!((held.entries, held.digest), (totals.entries, totals.digest.0));
    }
}

#[test]
fn elements_appended_to_another_list_than_there_was_are_refused() {
    assert!(replayed(&[increment()]).is_err());
    assert!(replayed(&[base(), increment(), increment()]).is_err());
}
