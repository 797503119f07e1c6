//! Cobble: new databases over the snapshots of former ones, which are shrunk and expanded to the buckets of a subtask.
//!
//! As `CobbleKeyedStateBackendBuilder` of `cobble-project/cobble-flink` restores at another parallelism; the order is that of
//! Cobble's page "Online Rescale".

use std::cmp::Reverse;
use std::ops::{Range, RangeInclusive};
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Duration;

use alluvium::{KeyGroupRange, MaxParallelism};
use alluvium_benches::Outcome;
use alluvium_benches::clock::Stopwatch;
use alluvium_benches::subtasks::{GROUPS, Subtasks};
use cobble::{Config, Db, ExpandStorageMode};
use tempfile::TempDir;

use super::contents::{Checker, Contents, Probe, group_of};
use super::{Filled, Side};
use crate::store::{COLUMN, config};

/// How long copies may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// Databases below one directory.
pub(super) struct Cobble {
    root: TempDir,
    groups: MaxParallelism,
    mode: ExpandStorageMode,
    /// The databases of the present round.
    opened: Vec<String>,
    copied_ms: Option<f64>,
    checker: Checker,
}

/// A subtask.
pub(super) struct Instance {
    database: Db,
    groups: KeyGroupRange,
    /// Since it was opened.
    watch: Stopwatch,
    /// Whether files of other databases are being copied.
    copies: bool,
}

/// A snapshot of a database.
pub(super) struct Snapshot {
    database: String,
    number: u64,
    manifest: String,
    groups: KeyGroupRange,
}

/// A database with all contents, from which others follow in this mode.
///
/// # Errors
/// Those of Cobble.
pub(super) fn filled(
    mode: ExpandStorageMode,
    contents: &Contents,
    directory: &Path,
) -> Outcome<Filled<Cobble>> {
    let mut side = Cobble {
        root: tempfile::Builder::new().prefix("alluvium-cobble-").tempdir_in(directory)?,
        groups: MaxParallelism::new(GROUPS)?,
        mode,
        opened: Vec::new(),
        copied_ms: None,
        checker: Checker::default(),
    };
    let groups = side.groups.all();
    let database = Db::open(side.config()?, buckets(groups.start()..groups.end()).collect())?;
    let mut value = Vec::new();
    for entry in contents.entries() {
        entry.value.write(&mut value);
        let bucket = group_of(side.groups, entry.key).index();
        database.put(bucket, entry.key.to_be_bytes(), COLUMN, &value)?;
    }
    let watch = Stopwatch::start();
    let last = [side.leave(Instance { database, groups, watch, copies: false })?];
    Ok(Filled { side, last })
}

/// Key groups as a range of buckets; none where there are none.
fn buckets(groups: Range<u16>) -> impl Iterator<Item = RangeInclusive<u16>> {
    groups
        .end
        .checked_sub(1)
        .filter(|last| groups.start <= *last)
        .map(|last| groups.start..=last)
        .into_iter()
}

impl Cobble {
    fn config(&self) -> Outcome<Config> {
        Ok(Config { total_buckets: GROUPS, ..config(self.root.path())? })
    }
}

impl Subtasks for Cobble {
    type Instance = Instance;
    type Checkpoint = Snapshot;
    type Probe = Probe;

    fn open(&mut self, former: &[Snapshot], (subtask, count): (u32, u32)) -> Outcome<Instance> {
        let watch = Stopwatch::start();
        let groups = self.groups.range_of(subtask, count)?;
        let shared = former.iter().map(|one| (one, one.groups.intersection(groups)));
        let mut shared: Vec<_> = shared.filter(|(_, shared)| !shared.is_empty()).collect();
        shared.sort_by_key(|(_, shared)| Reverse(shared.len()));
        let ((base, kept), others) = shared.split_first().ok_or("no snapshot has these buckets")?;
        let database = Db::open_new_with_manifest_path(self.config()?, &*base.manifest)?;
        self.opened.push(database.id().to_owned());
        let before = buckets(base.groups.start()..kept.start());
        let foreign: Vec<_> = before.chain(buckets(kept.end()..base.groups.end())).collect();
        if !foreign.is_empty() {
            database.shrink_bucket(foreign)?;
        }
        for (other, shared) in others {
            let ranges = buckets(shared.start()..shared.end()).collect();
            let (source, number) = (&*other.database, Some(other.number));
            database.expand_bucket_with_storage_mode(source, number, Some(ranges), self.mode)?;
        }
        let copies = self.mode == ExpandStorageMode::AdoptAsync && !others.is_empty();
        Ok(Instance { database, groups, watch, copies })
    }

    fn read(&mut self, instance: &mut Instance, probe: &Probe) -> Outcome<()> {
        let bucket = group_of(self.groups, probe.key).index();
        let columns = instance.database.get(bucket, &probe.key.to_be_bytes())?;
        self.checker.check(probe, columns.as_ref().and_then(|columns| columns.first()?.as_deref()))
    }

    fn leave(&mut self, instance: Instance) -> Outcome<Snapshot> {
        let Instance { database, groups, watch, copies } = instance;
        if copies {
            database.wait_for_expand_adoption(PATIENCE)?;
            let copied_ms = watch.seconds() * 1e3;
            self.copied_ms = Some(self.copied_ms.map_or(copied_ms, |other| other.max(copied_ms)));
        }
        let (published, publication) = channel();
        database.snapshot_with_callback(move |done| {
            // Nobody waits where the measurement has failed.
            let _ = published.send(done);
        })?;
        let told = publication.recv()??;
        database.close()?;
        Ok(Snapshot {
            database: told.db_id,
            number: told.snapshot_id,
            manifest: told.manifest_path,
            groups,
        })
    }
}

impl Side for Cobble {
    fn begin(&mut self) -> Outcome<()> {
        for database in self.opened.drain(..) {
            #[expect(
                clippy::disallowed_methods,
                reason = "files of another program's, on a real disk"
            )]
            std::fs::remove_dir_all(self.root.path().join(database))?;
        }
        Ok(())
    }

    fn copied_ms(&mut self) -> Option<f64> {
        self.copied_ms.take()
    }
}
