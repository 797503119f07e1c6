//! Refusals: limits of inline snapshots, misuse by a store, cancellation.

use super::model::{Content, How, Item, Numbers, codec, options, random_spec, write};
use crate::format::{BufferWriter, FileForm, StateFileSpec, StateFileWriter, WriteOptions};
use crate::schema::StateKind;
use crate::snapshot::{CancelToken, Compression};
use crate::{EntryKey, ErrorKind, KeyGroup, Result};

fn plain(form: FileForm) -> StateFileSpec {
    let mut spec = random_spec(&mut Numbers(1), form);
    spec.key.codec = codec(Some(8));
    spec.states.truncate(1);
    let state = &mut spec.states[0];
    (state.kind, state.stamped) = (StateKind::Value, false);
    (state.namespace, state.map_key, state.value) = (None, None, codec(None));
    spec
}

fn entries(count: u64, value: usize) -> Content {
    let section = (0..count).map(|n| {
        let parts = (n.to_be_bytes().to_vec(), Vec::new(), Vec::new());
        (parts, Item::Value(vec![3; value]))
    });
    Content::from([((0, 0), section.collect())])
}

#[test]
fn the_inline_limit_is_per_state_and_names_it() {
    let content = entries(1000, 100);
    for (how, form) in [
        (How::Scatter(1 << 20), FileForm::Full),
        (How::Sequential, FileForm::Canonical),
        (How::Sections, FileForm::Canonical),
    ] {
        let spec = plain(form);
        let limited =
            |limit| WriteOptions { inline_limit_bytes: Some(limit), ..options(Compression::None) };
        assert!(write(&content, &spec, how, limited(120_000), 0).is_ok());
        let error = write(&content, &spec, how, limited(100_000), 0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error:?}");
        let limit = error.limit().unwrap();
        assert_eq!((&*limit.state, limit.limit), (&*spec.states[0].name, 100_000));
        assert!(limit.size > 100_000 && limit.key_group.is_none());
        for advice in ["state.checkpoints.dir", "state.backend.memory.max-state-size"] {
            assert!(error.message().contains(advice));
        }
    }
}

#[test]
fn cancellation_ends_the_writing() {
    let cancel = CancelToken::default();
    cancel.cancel();
    let options = WriteOptions { cancel, ..options(Compression::None) };
    let error = write(&entries(9, 9), &plain(FileForm::Full), How::Scatter(0), options, 0);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Cancelled);
}

#[test]
fn misuse_by_a_store_is_a_bug_and_names_state_and_group() {
    let writer = |form| {
        StateFileWriter::new(BufferWriter::boxed(), plain(form), WriteOptions::default()).unwrap()
    };
    let bytes = [0, 0, 0, 0, 0, 0, 0, 2, 9];
    let key = EntryKey::new(&bytes[..8], 8, 8).unwrap();
    let long = EntryKey::new(&bytes, 9, 9).unwrap();
    let before = EntryKey::new(&[0; 8], 8, 8).unwrap();
    let bug = |result: Result<()>| {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Bug, "{error:?}");
        error
    };
    assert!(writer(FileForm::Canonical).into_scatter().is_err());
    for descent in [key, before] {
        let mut canonical = writer(FileForm::Canonical).into_sequential();
        bug(canonical.put(key, b""));
        canonical.section(0, KeyGroup::new(0)).unwrap();
        canonical.put(key, b"").unwrap();
        canonical.put(descent, b"").unwrap();
        let error = bug(canonical.finish().map(drop));
        assert_eq!(error.key_group(), Some(KeyGroup::new(0)));
        assert!(error.state().is_some());
    }
    let mut full = writer(FileForm::Full).into_scatter().unwrap();
    bug(full.put(KeyGroup::new(0), key, b""));
    bug(full.state(1));
    full.state(0).unwrap();
    bug(full.put(KeyGroup::new(0), long, b""));
    bug(full.put(KeyGroup::new(40_000), key, b""));
    bug(full.list(KeyGroup::new(0), key, 0, crate::Elements::default()));
    full.remove(KeyGroup::new(0), key).unwrap();
    bug(full.finish().map(drop));
    let mut twice = writer(FileForm::Canonical);
    for last in [false, true] {
        let mut section = twice.encoding().section(0, KeyGroup::new(0)).unwrap();
        section.put(key, b"").unwrap();
        let appended = twice.append_section(section.finish().unwrap());
        assert_eq!(appended.is_err(), last);
    }
}

#[test]
fn a_specification_is_checked() {
    let mut spec = plain(FileForm::Canonical);
    spec.states.push(spec.states[0].clone());
    assert_eq!(spec.validate().unwrap_err().kind(), ErrorKind::InvalidInput);
    spec.states[1].name = "a".into();
    assert_eq!(spec.validate().unwrap_err().kind(), ErrorKind::InvalidInput);
    spec.form = FileForm::Full;
    spec.validate().unwrap();
    spec.key.codec.width = Some(u32::MAX);
    spec.states[0].value.width = Some(u32::MAX);
    assert_eq!(spec.validate().unwrap_err().kind(), ErrorKind::InvalidInput);
}
