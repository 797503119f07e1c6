//! [`Workshop`]: where segments are made, taken in and given away.

use std::path::PathBuf;
use std::sync::Arc;

use alluvium_state_api::format::{FileForm, StateFile, WriteOptions, WrittenStateFile};
use alluvium_state_api::snapshot::{FileLocation, FileName, SnapshotContext, SnapshotFile};
use alluvium_state_api::storage::{
    FileReader, FileScope, FileWriter, InlinePolicy, SnapshotSink, SnapshotSource,
};
use alluvium_state_api::{Error, KeyGroupRange, Result};
use parking_lot::Mutex;

use crate::build::merge::{Extent, Merge};
use crate::local::{LocalDirectory, LocalFile, Wanted};
use crate::member::Member;
use crate::segment::ReadMode;

/// The private directory, and how its segments are read. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Workshop {
    directory: LocalDirectory,
    mode: ReadMode,
}

impl Workshop {
    pub(crate) fn new(directory: LocalDirectory, mode: ReadMode) -> Self {
        Self { directory, mode }
    }

    /// Begins a segment's file.
    pub(crate) fn begin(&self) -> Result<(LocalFile, Box<dyn FileWriter>)> {
        self.directory.create()
    }

    /// Opens a file that was just written here; it counts for the key groups in `live`.
    pub(crate) fn segment(
        &self,
        file: LocalFile,
        written: WrittenStateFile,
        range: KeyGroupRange,
        live: Vec<KeyGroupRange>,
    ) -> Result<Arc<Member>> {
        let described = SnapshotFile { live, ..SnapshotFile::of_state(written, range) };
        Member::open(file, described, self.mode).map(Arc::new)
    }

    /// A second name for a file of a snapshot, and the file opened by it, where it can have one.
    pub(crate) fn link(
        &self,
        file: &SnapshotFile,
        source: &dyn SnapshotSource,
    ) -> Result<Option<(LocalFile, Box<dyn FileReader>)>> {
        self.directory.link(file, source)
    }

    /// Takes in a file with lookups of a snapshot, for the key groups that are wanted: `linked` is what it was
    /// opened by, if that is a second name.
    pub(crate) fn adopt(
        &self,
        file: &SnapshotFile,
        opened: StateFile,
        linked: Option<LocalFile>,
        live: Vec<KeyGroupRange>,
    ) -> Result<Arc<Member>> {
        let member = if let Some(local) = linked {
            let opened = opened.named(local.path());
            Member::over(local, opened, SnapshotFile { live, ..file.clone() }, self.mode)
        } else {
            let local = self.directory.copy(Wanted { file, opened: &opened, live: &live })?;
            Member::open(local, SnapshotFile { live, ..file.clone() }, self.mode)
        };
        member.map(Arc::new)
    }
}

/// Gives a segment's file to the storage: small ones by their bytes, so that they may go inline,
/// others by a second name where that is possible. What has but parts of a file becomes one of its own.
pub(crate) fn upload(
    member: &Arc<Member>,
    scope: FileScope,
    context: SnapshotContext<'_>,
) -> Result<SnapshotFile> {
    if member.segment().local().has_gaps() {
        return rewrite(member, scope, context);
    }
    let (sink, described) = (context.sink, member.described());
    let by_bytes = match sink.inline_policy() {
        InlinePolicy::Small { threshold_bytes } => described.stored.length <= threshold_bytes,
        InlinePolicy::Everything { .. } => true,
    };
    let source = OneFile(member);
    let stored = if by_bytes {
        let reader = source.open(described)?;
        let mut bytes = vec![0; usize::try_from(reader.len()).unwrap_or(usize::MAX)];
        reader.read_exact_at(0, &mut bytes)?;
        let mut writer = sink.create(scope)?;
        writer.write(&bytes)?;
        writer.finish()?
    } else {
        sink.import(described, &source, scope)?
    };
    if (stored.length, stored.checksum) != (described.stored.length, described.stored.checksum) {
        let text = "a segment is not what it was when it was written; restore a checkpoint";
        return Err(Error::corrupted(text).with_path(member.segment().local().path()));
    }
    let inline = matches!(stored.location, FileLocation::Inline(_));
    let frame_checksum = described.frame_checksum.filter(|_| !inline);
    Ok(SnapshotFile { stored, frame_checksum, ..described.clone() })
}

/// Writes what a segment has of its live key groups as a file of the storage.
fn rewrite(
    member: &Arc<Member>,
    scope: FileScope,
    context: SnapshotContext<'_>,
) -> Result<SnapshotFile> {
    let spec = member.segment().spec().clone();
    let range = spec.range;
    let extent = if spec.form == FileForm::Increment { Extent::Newer } else { Extent::All };
    let mut options = WriteOptions::default();
    options.lookups = true;
    options.cancel = context.cancel.clone();
    let merge = Merge { sources: std::slice::from_ref(member), extent, pace: None };
    let written = merge.write(spec, context.sink.create(scope)?, options, None)?;
    Ok(SnapshotFile { live: member.live().to_vec(), ..SnapshotFile::of_state(written, range) })
}

/// A segment as the source of its own file.
#[derive(Debug)]
struct OneFile<'a>(&'a Member);

impl SnapshotSource for OneFile<'_> {
    fn open(&self, _: &SnapshotFile) -> Result<Box<dyn FileReader>> {
        self.0.segment().local().read(self.0.described().stored.length)
    }

    fn local_path(&self, _: &SnapshotFile) -> Option<PathBuf> {
        Some(self.0.segment().local().path().to_path_buf())
    }
}

/// Takes the scratch files of a layer's snapshots.
#[derive(Debug)]
pub(crate) struct Scratch<'a> {
    workshop: &'a Workshop,
    made: Mutex<Vec<LocalFile>>,
}

impl<'a> Scratch<'a> {
    pub(crate) fn new(workshop: &'a Workshop) -> Self {
        Self { workshop, made: Mutex::default() }
    }

    /// The file of this name, which goes away with what is returned.
    pub(crate) fn take(&self, name: &FileName) -> Option<LocalFile> {
        let mut made = self.made.lock();
        let at = made.iter().position(|file| file.name() == name)?;
        Some(made.swap_remove(at))
    }
}

impl SnapshotSink for Scratch<'_> {
    fn create(&self, _: FileScope) -> Result<Box<dyn FileWriter>> {
        let (file, writer) = self.workshop.directory.create_scratch()?;
        self.made.lock().push(file);
        Ok(writer)
    }

    fn inline_policy(&self) -> InlinePolicy {
        InlinePolicy::Small { threshold_bytes: 0 }
    }
}
