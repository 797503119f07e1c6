//! The asynchronous phase of both stores, one after the other, and the comparison of what they wrote.

use std::sync::Arc;

use parking_lot::Mutex;

use super::{NAME, parts, sections};
use crate::format::BufferWriter;
use crate::snapshot::{
    Compression, FileLocation, KeyedSnapshot, SnapshotContext, SnapshotFile, SnapshotKind,
    SnapshotRequest, SnapshotTask, StoredFile,
};
use crate::storage::{FileScope, FileWriter, InlinePolicy, SnapshotSink};
use crate::{ErrorKind, Result};

/// The tasks of both stores.
pub(super) struct MirrorTask {
    pub(super) first: Box<dyn SnapshotTask>,
    pub(super) second: Box<dyn SnapshotTask>,
    pub(super) request: SnapshotRequest,
}

impl SnapshotTask for MirrorTask {
    /// What fails for the first store (the storage, a cancellation) is not tried for the second, but
    /// what is too large for one must be too large for both.
    fn run(self: Box<Self>, context: SnapshotContext<'_>) -> Result<KeyedSnapshot> {
        let Self { first, second, request } = *self;
        if request.kind == SnapshotKind::Canonical {
            return run_canonical(first, second, context, request.compression);
        }
        let one = first.run(context);
        if !is_comparable(&one) {
            return one;
        }
        let (one, other) = both(one, second.run(context))?;
        parts::compare(&one, &other);
        Ok(parts::together(one, &other))
    }
}

fn is_comparable(result: &Result<KeyedSnapshot>) -> bool {
    result.as_ref().err().is_none_or(|error| error.kind() == ErrorKind::LimitExceeded)
}

/// Both snapshots, or the error of either; panics where only one is too large.
fn both(
    first: Result<KeyedSnapshot>,
    second: Result<KeyedSnapshot>,
) -> Result<(KeyedSnapshot, KeyedSnapshot)> {
    let too_large = |result: &Result<KeyedSnapshot>| {
        result.as_ref().err().is_some_and(|error| error.kind() == ErrorKind::LimitExceeded)
    };
    assert_eq!(
        too_large(&first),
        too_large(&second),
        "one snapshot is too large: first {first:?}, second {second:?}"
    );
    Ok((first?, second?))
}

fn run_canonical(
    first: Box<dyn SnapshotTask>,
    second: Box<dyn SnapshotTask>,
    context: SnapshotContext<'_>,
    compression: Compression,
) -> Result<KeyedSnapshot> {
    let copies = Copies { sink: context.sink, files: Kept::default() };
    let one = first.run(SnapshotContext { sink: &copies, ..context });
    if !is_comparable(&one) {
        return one;
    }
    let memory = InMemory(context.sink.inline_policy());
    let other = second.run(SnapshotContext { sink: &memory, ..context });
    let (one, other) = both(one, other)?;
    parts::compare(&one, &other);
    let files = [copies.of(&one.files), copies.of(&other.files)];
    sections::compare(&files[0], &files[1], compression);
    Ok(KeyedSnapshot { backend: NAME.into(), ..one })
}

type Kept = Arc<Mutex<Vec<(FileLocation, Arc<[u8]>)>>>;

/// Hands files on and keeps their bytes.
#[derive(Debug)]
struct Copies<'a> {
    sink: &'a dyn SnapshotSink,
    files: Kept,
}

impl Copies<'_> {
    /// The bytes of these files, from the copies or from where they travel inline.
    fn of(&self, files: &[SnapshotFile]) -> Vec<Arc<[u8]>> {
        let kept = self.files.lock();
        let bytes = |file: &SnapshotFile| match &file.stored.location {
            FileLocation::Inline(bytes) => Arc::clone(bytes),
            location => {
                let found = kept.iter().find(|(at, _)| at == location);
                Arc::clone(&found.expect("a file of a snapshot went through its sink").1)
            }
        };
        files.iter().map(bytes).collect()
    }
}

impl SnapshotSink for Copies<'_> {
    fn create(&self, scope: FileScope) -> Result<Box<dyn FileWriter>> {
        let writer = self.sink.create(scope)?;
        Ok(Box::new(CopyingWriter { writer, bytes: Vec::new(), kept: Arc::clone(&self.files) }))
    }

    fn inline_policy(&self) -> InlinePolicy {
        self.sink.inline_policy()
    }
}

struct CopyingWriter {
    writer: Box<dyn FileWriter>,
    bytes: Vec<u8>,
    kept: Kept,
}

impl FileWriter for CopyingWriter {
    fn expect(&mut self, bytes: u64) -> Result<()> {
        self.writer.expect(bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes.extend_from_slice(bytes);
        self.writer.write(bytes)
    }

    fn finish(self: Box<Self>) -> Result<StoredFile> {
        let Self { writer, bytes, kept } = *self;
        let stored = writer.finish()?;
        kept.lock().push((stored.location.clone(), bytes.into()));
        Ok(stored)
    }
}

/// Keeps all files in memory.
#[derive(Debug)]
struct InMemory(InlinePolicy);

impl SnapshotSink for InMemory {
    fn create(&self, _: FileScope) -> Result<Box<dyn FileWriter>> {
        Ok(BufferWriter::boxed())
    }

    fn inline_policy(&self) -> InlinePolicy {
        self.0
    }
}
