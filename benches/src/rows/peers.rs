//! The backend on the file system against embedded databases: the same gets and updates in wall-clock
//! time, since each has threads of its own. [`crate::peers`] says what makes it fair.
//!
//! * `get`: both sides were filled, and all keys updated about once, durably;
//! * `update`: rounds of updates, each made durable at its end. Ours by an incremental checkpoint, so that
//!   segments come up and are merged meanwhile;
//! * `get.reopened`: both are closed and opened again in each round, ours from the checkpoint; opening
//!   counts.

use alluvium_backend_fs::FsStore;
use alluvium_state_api::snapshot::SnapshotKind;

use super::Lab;
use super::increments::Checkpoint;
use crate::Outcome;
use crate::disk::Disk;
use crate::engine::Engine;
use crate::keys::accesses;
use crate::peers::database::Database;
use crate::rounds::with_rate;
use crate::row::{Bar, Row};
use crate::subject::Subject;

const AHEAD: Bar = Bar::AtLeast(1.0, 2.0);

/// Both sides with the same entries, and where they are kept.
struct Sides<D> {
    ours: Subject<FsStore>,
    newest: Checkpoint,
    peer: Option<D>,
    path: std::path::PathBuf,
    disk: Disk,
}

impl<D: Database> Sides<D> {
    fn new(lab: &mut Lab) -> Outcome<Self> {
        let (keys, mut disk) = (lab.sizes.small, lab.disk()?);
        let path = disk.fresh_path();
        let mut ours = Subject::<FsStore>::filled(&mut disk, keys)?;
        let newest = disk.snapshot(&mut ours, SnapshotKind::Incremental)?;
        let mut peer = D::open(&path)?;
        peer.fill(keys)?;
        let mut sides = Self { ours, newest, peer: Some(peer), path, disk };
        let sequence = accesses(keys, usize::try_from(keys)?, 17);
        sides.update(&sequence)?;
        sides.peer()?.update(&sequence)?;
        Ok(sides)
    }

    fn peer(&mut self) -> Outcome<&mut D> {
        self.peer.as_mut().ok_or_else(|| "the peer was not opened again".into())
    }

    /// Updates ours, durably.
    fn update(&mut self, sequence: &[u64]) -> Outcome<u64> {
        let sum = self.ours.update(sequence)?;
        self.newest = self.disk.snapshot(&mut self.ours, SnapshotKind::Incremental)?;
        Ok(sum)
    }

    fn reopen(&mut self) -> Outcome<()> {
        let part = self.disk.part(&self.newest);
        self.ours = Subject::over(FsStore::store(&mut self.disk, vec![part])?)?;
        Ok(())
    }

    fn reopen_peer(&mut self) -> Outcome<()> {
        self.peer = None;
        self.peer = Some(D::open(&self.path)?);
        Ok(())
    }
}

type Side<D> = fn(&mut Sides<D>, &[u64]) -> Outcome<u64>;

fn compare<D: Database>(
    lab: &mut Lab,
    name: &str,
    (ours, peer): (Side<D>, Side<D>),
) -> Outcome<Vec<Row>> {
    let mut sides = Sides::<D>::new(lab)?;
    let (keys, count) = (lab.sizes.small, lab.sizes.accesses);
    let sequences: Vec<Vec<u64>> = (40..43).map(|seed| accesses(keys, count, seed)).collect();
    let of = |round: usize| sequences.get(round % 3).map_or(&[][..], Vec::as_slice);
    let rows = with_rate(
        (name, AHEAD),
        (lab.sizes.rounds, count),
        &mut sides,
        |sides, round| ours(sides, of(round)),
        |sides, round| peer(sides, of(round)),
    )?;
    lab.disk = Some(sides.disk);
    Ok(rows)
}

pub(super) fn get<D: Database>(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    let ours: Side<D> = |sides, keys| Ok(sides.ours.get(keys)?);
    compare(lab, name, (ours, |sides, keys| sides.peer()?.get(keys)))
}

pub(super) fn update<D: Database>(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    compare(lab, name, (Sides::<D>::update, |sides, keys| sides.peer()?.update(keys)))
}

pub(super) fn get_reopened<D: Database>(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    let ours: Side<D> = |sides, keys| {
        sides.reopen()?;
        Ok(sides.ours.get(keys)?)
    };
    let peer: Side<D> = |sides, keys| {
        sides.reopen_peer()?;
        sides.peer()?.get(keys)
    };
    compare(lab, name, (ours, peer))
}
