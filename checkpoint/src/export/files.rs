//! The files of a snapshot, taken over by another one: each once, several at a time.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use alluvium_state_api::snapshot::{KeyedSnapshot, SnapshotFile, StoredFile};
use alluvium_state_api::storage::{
    FileReader, FileScope, SnapshotSink, SnapshotSource, verify_checksum,
};
use alluvium_state_api::{Error, Result};

use super::ExportOptions;
use crate::files::{Place, place};
use crate::restore::RestorePoint;

/// Where the files of the original are in the copy.
#[derive(Debug, Default)]
pub(crate) struct Files(BTreeMap<Place, StoredFile>);

impl Files {
    /// Takes over every file of `snapshots` that is not inline.
    pub(crate) fn import<'a>(
        snapshots: impl Iterator<Item = &'a KeyedSnapshot>,
        point: &RestorePoint,
        sink: &dyn SnapshotSink,
        options: &ExportOptions,
    ) -> Result<Self> {
        let mut wanted = BTreeMap::new();
        for file in snapshots.flat_map(|snapshot| &snapshot.files) {
            if let Some(place) = place(&file.stored.location) {
                wanted.entry(place).or_insert(file);
            }
        }
        let wanted: Vec<_> = wanted.into_iter().collect();
        let transfer = Transfer {
            source: point.source(),
            sink,
            options,
            next: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
        };
        let threads = options.transfers.clamp(1, wanted.len().max(1));
        let taken = thread::scope(|scope| {
            let work = || transfer.work(&wanted);
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            let mut results = vec![work()];
            let panicked = |_| Err(Error::bug("a transfer of files panicked"));
            results.extend(others.into_iter().map(|other| other.join().unwrap_or_else(panicked)));
            results.into_iter().collect::<Result<Vec<_>>>()
        })?;
        Ok(Self(taken.into_iter().flatten().collect()))
    }

    /// Lets `keyed` refer to the copies. What is inline stays.
    pub(crate) fn relocate(&self, keyed: &mut KeyedSnapshot) -> Result<()> {
        for file in &mut keyed.files {
            if let Some(place) = place(&file.stored.location) {
                let taken = self.0.get(&place);
                file.stored =
                    taken.cloned().ok_or_else(|| Error::bug("a file was not taken over"))?;
            }
        }
        Ok(())
    }

    /// How many files there are, and their bytes.
    pub(crate) fn totals(&self) -> (u64, u64) {
        (self.0.len() as u64, self.0.values().map(|stored| stored.length).sum())
    }
}

struct Transfer<'a> {
    source: &'a Arc<dyn SnapshotSource>,
    sink: &'a dyn SnapshotSink,
    options: &'a ExportOptions,
    next: AtomicUsize,
    stopped: AtomicBool,
}

impl Transfer<'_> {
    /// Takes over files until there is none left or one fails.
    fn work(&self, wanted: &[(Place, &SnapshotFile)]) -> Result<Vec<(Place, StoredFile)>> {
        let mut taken = Vec::new();
        while let Some((place, file)) = wanted.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            if self.stopped.load(Ordering::Relaxed) {
                break;
            }
            let stored = self.import(file).map_err(|error| {
                self.stopped.store(true, Ordering::Relaxed);
                if error.path().is_some() { error } else { error.with_path(place.1.as_str()) }
            })?;
            taken.push((place.clone(), stored));
        }
        Ok(taken)
    }

    fn import(&self, file: &SnapshotFile) -> Result<StoredFile> {
        self.options.cancel.check()?;
        if !self.options.links {
            let copied = Unlinked(&**self.source);
            return self.sink.import(file, &copied, FileScope::Own);
        }
        if self.options.verify && self.source.local_path(file).is_some() {
            // May become a link, which reads nothing.
            let reader = self.source.open(file)?;
            verify_checksum(&*reader, file.stored.checksum)?;
        }
        self.sink.import(file, &**self.source, FileScope::Own)
    }
}

/// A source whose files have to be copied.
#[derive(Debug)]
struct Unlinked<'a>(&'a dyn SnapshotSource);

impl SnapshotSource for Unlinked<'_> {
    fn open(&self, file: &SnapshotFile) -> Result<Box<dyn FileReader>> {
        self.0.open(file)
    }

    fn local_path(&self, _: &SnapshotFile) -> Option<PathBuf> {
        None
    }
}
