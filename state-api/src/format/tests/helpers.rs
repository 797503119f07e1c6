//! Several threads that write one file together.

use std::thread;

use super::model::{
    Content, Item, Numbers, Parts, bytes_of, joined, options, random_content, random_spec, read,
};
use crate::format::{
    BufferReader, BufferWriter, FileForm, ScatterWriter, StateFile, StateFileSpec, StateFileWriter,
};
use crate::schema::StateKind;
use crate::snapshot::Compression;
use crate::{EntryKey, ErrorKind, KeyGroup};

const HELPERS: usize = 3;

fn scatter(spec: &StateFileSpec, compression: Compression) -> ScatterWriter {
    let options = options(compression);
    let file = StateFileWriter::new(BufferWriter::boxed(), spec.clone(), options);
    file.unwrap().into_scatter().unwrap()
}

fn put(writer: &mut ScatterWriter, group: u16, parts: &Parts, item: &Item) {
    let (bytes, key_end, namespace_end) = joined(parts);
    let key = EntryKey::new(&bytes, key_end, namespace_end).unwrap();
    let Item::Value(value) = item else { panic!("only values and maps are shared") };
    writer.put(KeyGroup::new(group), key, value).unwrap();
}

/// Every thread writes each fourth entry.
fn write_together(content: &Content, spec: &StateFileSpec, compression: Compression) -> Vec<u8> {
    let mut writer = scatter(spec, compression);
    for state in 0..u16::try_from(spec.states.len()).unwrap() {
        writer.state(state).unwrap();
        let entries = || {
            let sections = content.iter().filter(move |((of, _), _)| *of == state);
            let all = sections.flat_map(|((_, group), section)| {
                section.iter().map(move |(parts, item)| (*group, parts, item))
            });
            all.enumerate()
        };
        let helpers = writer.helpers(HELPERS).unwrap();
        let done = thread::scope(|scope| {
            let spawned: Vec<_> = (1..)
                .zip(helpers)
                .map(|(turn, mut helper)| {
                    scope.spawn(move || {
                        let mine = entries().filter(|(n, _)| n % (HELPERS + 1) == turn);
                        for (_, (group, parts, item)) in mine {
                            put(&mut helper, group, parts, item);
                        }
                        helper.end_state().unwrap();
                        helper
                    })
                })
                .collect();
            for (_, (group, parts, item)) in entries().filter(|(n, _)| n % (HELPERS + 1) == 0) {
                put(&mut writer, group, parts, item);
            }
            spawned.into_iter().map(|helper| helper.join().unwrap()).collect::<Vec<_>>()
        });
        for helper in done {
            writer.join(helper).unwrap();
        }
    }
    bytes_of(&writer.finish().unwrap())
}

#[test]
fn what_threads_write_together_is_read_as_one() {
    let mut numbers = Numbers(31);
    let mut files = 0;
    while files < 40 {
        let spec = random_spec(&mut numbers, FileForm::Full);
        if spec.states.iter().any(|state| state.kind == StateKind::List) {
            continue;
        }
        let content = random_content(&mut numbers, &spec, 400, 300);
        let compression = Compression::ALL[files % 4];
        let bytes = write_together(&content, &spec, compression);
        let (found, read) = read(&bytes).unwrap();
        assert_eq!((found, read), (spec.clone(), content));
        let file = StateFile::open(BufferReader::over(&bytes[..]), "together").unwrap();
        file.verify().unwrap();
        files += 1;
    }
}

#[test]
fn lists_and_increments_have_no_helpers() {
    let mut numbers = Numbers(5);
    let (mut lists, mut increments) = (0, 0);
    while lists < 3 || increments < 3 {
        let increment = numbers.below(2) == 0;
        let form = if increment { FileForm::Increment } else { FileForm::Full };
        let spec = random_spec(&mut numbers, form);
        let list = spec.states[0].kind == StateKind::List;
        let mut writer = scatter(&spec, Compression::None);
        assert_eq!(writer.helpers(1).unwrap_err().kind(), ErrorKind::Bug, "no state was chosen");
        writer.state(0).unwrap();
        let refused = writer.helpers(1).is_err();
        assert_eq!(refused, list || increment);
        (lists, increments) = (lists + usize::from(list), increments + usize::from(increment));
    }
}

#[test]
fn a_file_that_is_still_shared_is_not_finished() {
    let mut numbers = Numbers(8);
    let spec = loop {
        let spec = random_spec(&mut numbers, FileForm::Full);
        if spec.states[0].kind == StateKind::Value {
            break spec;
        }
    };
    let mut writer = scatter(&spec, Compression::None);
    writer.state(0).unwrap();
    let helpers = writer.helpers(1).unwrap();
    assert_eq!(writer.finish().unwrap_err().kind(), ErrorKind::Bug);
    drop(helpers);
}
