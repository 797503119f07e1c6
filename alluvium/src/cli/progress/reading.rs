//! Tells how much of a snapshot was read: a counter on a terminal, one line elsewhere.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use alluvium_state_api::Result;
use alluvium_state_api::snapshot::SnapshotFile;
use alluvium_state_api::storage::{FileReader, SnapshotSource};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::print;

/// Shows what is read on standard error. How much it will be is not known: files may be read for
/// their checksum first, and again where memory is short.
#[derive(Debug)]
pub(in crate::cli) struct Reading {
    bar: ProgressBar,
}

impl Reading {
    /// Shows nothing yet.
    pub(in crate::cli) fn new() -> Self {
        Self { bar: ProgressBar::hidden() }
    }

    /// Tells what begins.
    pub(in crate::cli) fn begin(&self, what: &str) {
        if !std::io::stderr().is_terminal() {
            print::note(what);
            return;
        }
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}: {bytes} read, {elapsed}")
        {
            self.bar.set_style(style);
        }
        self.bar.set_message(what.to_owned());
        self.bar.set_draw_target(ProgressDrawTarget::stderr());
        self.bar.enable_steady_tick(Duration::from_millis(100));
    }

    /// The same files, counted as they are read.
    pub(in crate::cli) fn watch(
        &self,
        source: &Arc<dyn SnapshotSource>,
    ) -> Arc<dyn SnapshotSource> {
        Arc::new(Watched { source: Arc::clone(source), bar: self.bar.clone() })
    }

    /// Takes the counter away.
    pub(in crate::cli) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

#[derive(Debug)]
struct Watched {
    source: Arc<dyn SnapshotSource>,
    bar: ProgressBar,
}

impl SnapshotSource for Watched {
    fn open(&self, file: &SnapshotFile) -> Result<Box<dyn FileReader>> {
        let reader = self.source.open(file)?;
        Ok(Box::new(WatchedReader { reader, bar: self.bar.clone() }))
    }

    fn local_path(&self, file: &SnapshotFile) -> Option<PathBuf> {
        self.source.local_path(file)
    }
}

#[derive(Debug)]
struct WatchedReader {
    reader: Box<dyn FileReader>,
    bar: ProgressBar,
}

impl FileReader for WatchedReader {
    fn len(&self) -> u64 {
        self.reader.len()
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.reader.read_exact_at(offset, buffer)?;
        self.bar.inc(buffer.len() as u64);
        Ok(())
    }

    fn as_file(&self) -> Option<&std::fs::File> {
        self.reader.as_file()
    }
}
