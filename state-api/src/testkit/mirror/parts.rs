//! One snapshot for two stores: their files side by side, marked, and taken apart at a restore.
//!
//! A file of a full or incremental snapshot is labelled `mirror/WHOSE/KIND/BACKEND/LABEL`: whose it is,
//! what kind the store's snapshot was, the store's backend and its own label. Files without a mark
//! belong to both: a canonical snapshot, or one that somebody else took.

use std::borrow::Cow;

use super::NAME;
use crate::env::{OpenEnv, RestorePart};
use crate::snapshot::{EntryCount, KeyedSnapshot, SnapshotFile, SnapshotKind, StateSummary};
use crate::vfs::ensure_directory;

/// Marks the first store's files.
pub(super) const FIRST: &str = "first";
/// Marks the second store's files.
pub(super) const SECOND: &str = "second";

/// What one of the stores is opened with.
pub(super) fn env_of(env: &OpenEnv, whose: &str) -> OpenEnv {
    let mut own = env.clone();
    for part in &mut own.restore {
        keep_own(part, whose);
    }
    if let Some(directory) = &mut own.local_dir {
        directory.push(whose);
        ensure_directory(&*env.file_system, directory).expect("a directory for one store");
    }
    own
}

fn keep_own(part: &mut RestorePart, whose: &str) {
    let snapshot = &mut part.snapshot;
    if !snapshot.files.iter().any(|file| marks(file).is_some()) {
        return;
    }
    let mut own = Vec::new();
    for mut file in std::mem::take(&mut snapshot.files) {
        let Some([owner, kind, backend, label]) = marks(&file) else {
            continue;
        };
        if owner == whose {
            snapshot.kind = kind_of(kind);
            snapshot.backend = Cow::Owned(backend.to_owned());
            file.label = label.into();
            own.push(file);
        }
    }
    snapshot.bytes_full = own.iter().map(|file| file.stored.length).sum();
    snapshot.bytes_new = snapshot.bytes_full;
    snapshot.files = own;
}

fn marks(file: &SnapshotFile) -> Option<[&str; 4]> {
    let mut fields = file.label.strip_prefix(NAME)?.strip_prefix('/')?.splitn(4, '/');
    Some([fields.next()?, fields.next()?, fields.next()?, fields.next()?])
}

const fn kind_name(kind: SnapshotKind) -> &'static str {
    match kind {
        SnapshotKind::Full => "full",
        SnapshotKind::Incremental => "incremental",
        SnapshotKind::Canonical => "canonical",
    }
}

fn kind_of(name: &str) -> SnapshotKind {
    let kinds = super::super::harness::KINDS;
    kinds.into_iter().find(|kind| kind_name(*kind) == name).expect("a kind of snapshot")
}

/// The snapshot of both stores.
pub(super) fn together(first: KeyedSnapshot, second: &KeyedSnapshot) -> KeyedSnapshot {
    let same_kind = first.kind == second.kind;
    let mut files = marked(&first, FIRST);
    files.extend(marked(second, SECOND));
    KeyedSnapshot {
        backend: Cow::Borrowed(NAME),
        kind: if same_kind { first.kind } else { SnapshotKind::Full },
        states: summaries(first.states, &second.states),
        files,
        bytes_new: first.bytes_new + second.bytes_new,
        bytes_full: first.bytes_full + second.bytes_full,
        ..first
    }
}

fn marked(snapshot: &KeyedSnapshot, whose: &str) -> Vec<SnapshotFile> {
    let (kind, backend) = (kind_name(snapshot.kind), &snapshot.backend);
    let mark = |file: &SnapshotFile| SnapshotFile {
        label: format!("{NAME}/{whose}/{kind}/{backend}/{}", file.label).into(),
        ..file.clone()
    };
    snapshot.files.iter().map(mark).collect()
}

/// The summaries of both, after their comparison: what one of them does not know, the other may.
fn summaries(first: Vec<StateSummary>, second: &[StateSummary]) -> Vec<StateSummary> {
    let both = first.into_iter().zip(second);
    both.map(|(first, second)| StateSummary {
        entries: exact_of(first.entries, second.entries),
        digest: first.digest.or(second.digest),
        ..first
    })
    .collect()
}

pub(super) fn exact_of(first: EntryCount, second: EntryCount) -> EntryCount {
    if matches!(first, EntryCount::Exact(_)) { first } else { second }
}

/// Panics unless two snapshots describe the same content.
pub(super) fn compare(first: &KeyedSnapshot, second: &KeyedSnapshot) {
    let shape = |s: &KeyedSnapshot| (s.key.clone(), s.groups, s.range);
    assert_eq!(shape(first), shape(second), "the snapshots of the two stores");
    let names = |s: &KeyedSnapshot| s.states.iter().map(|s| s.meta.clone()).collect::<Vec<_>>();
    assert_eq!(names(first), names(second), "the states in the snapshots of the two stores");
    for (one, other) in first.states.iter().zip(&second.states) {
        let name = &one.meta.name;
        compare_counts(one.entries, other.entries, &format!("the snapshot, state {name:?}"));
        if let (Some(one), Some(other)) = (one.digest, other.digest) {
            assert_eq!(one, other, "digests in the snapshots of the two stores, state {name:?}");
        }
    }
}

/// Panics if two exact counts differ.
pub(super) fn compare_counts(first: EntryCount, second: EntryCount, place: &str) {
    if let (EntryCount::Exact(_), EntryCount::Exact(_)) = (first, second) {
        assert_eq!(first, second, "entries of the two stores in {place}");
    }
}
