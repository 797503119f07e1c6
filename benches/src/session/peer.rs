//! A peer as a [`Side`].

use std::hash::Hash;

use alluvium_state_api::Result;
use alluvium_state_api::snapshot::SnapshotKind;
use tempfile::TempDir;

use super::check::Probe;
use super::play::Run;
use super::report::{Report, Restore, Taken};
use super::side::{Beside, Restored, Side, Stand, meanwhile, read};
use crate::Outcome;
use crate::clock::{Stopwatch, timed};
use crate::peers::bytes::EncodedKey;
use crate::peers::{Bytes, Kept, Kind, OpenStore, Peer};
use crate::subtasks::Times;
use crate::workload::maps::{Family, Hashbrown, Ordered};
use crate::workload::player::PlayedKey;
use crate::workload::{Access, Maps, Target};

/// Plays on a fresh peer.
pub(super) fn play(peer: Peer, run: Run<'_>) -> Outcome<Report> {
    match run.arguments.key_bytes {
        None => with::<u64>(peer, run, ()),
        Some(length) => with::<Vec<u8>>(peer, run, length),
    }
}

fn with<K: EncodedKey + Hash + Ord + Clone>(
    peer: Peer,
    run: Run<'_>,
    form: K::Form,
) -> Outcome<Report> {
    match peer.kind {
        Kind::Hashbrown => run.on(|| Ok(Maps::<Hashbrown, K>::new(form))),
        Kind::Ordered => run.on(|| Ok(Maps::<Ordered, K>::new(form))),
        Kind::Store(open) => run.on(|| Database::<K>::open(open, run, form)),
        #[cfg(not(all(feature = "peers", feature = "rocksdb")))]
        Kind::Missing(feature) => Err(format!(
            "the peer {:?} was not built in; build with --features {feature}",
            peer.name
        )
        .into()),
    }
}

/// Maps of the program cannot be snapshotted.
impl<F: Family, K: PlayedKey + Hash + Ord + Clone> Side for Maps<F, K> {
    fn snapshot(&mut self, _: SnapshotKind, _: Beside<'_, Self>) -> Outcome<Option<Taken>> {
        Ok(None)
    }

    fn compactions(&self) -> u32 {
        0
    }

    fn stand(&self) -> Stand {
        Stand::Nothing
    }

    fn restore(self, _: &[Probe]) -> Outcome<Restored> {
        Ok(Restored::default())
    }
}

/// A database of bytes that is played on, and where it lies.
struct Database<K: EncodedKey> {
    player: Bytes<K>,
    open: OpenStore,
    form: K::Form,
    directory: TempDir,
    checkpoints: u64,
    last: Option<Kept>,
}

impl<K: EncodedKey> Database<K> {
    fn open(open: OpenStore, run: Run<'_>, form: K::Form) -> Outcome<Self> {
        let directory = tempfile::Builder::new()
            .prefix("alluvium-peer-")
            .tempdir_in(&run.arguments.directory)?;
        let store = open(&directory.path().join("store"))?;
        let player = Bytes::over(store, form);
        Ok(Self { player, open, form, directory, checkpoints: 0, last: None })
    }
}

impl<K: EncodedKey> Target for Database<K> {
    #[inline]
    fn apply(&mut self, access: &Access) -> Result<()> {
        self.player.apply(access)
    }

    fn digest(&self) -> u64 {
        self.player.digest()
    }

    fn restart(&mut self) {
        self.player.restart();
    }
}

impl<K: EncodedKey> Side for Database<K> {
    fn snapshot(&mut self, _: SnapshotKind, beside: Beside<'_, Self>) -> Outcome<Option<Taken>> {
        self.checkpoints += 1;
        let fresh = self.directory.path().join(format!("checkpoint-{}", self.checkpoints));
        let (finish, sync_s) = timed(|| self.player.store.checkpoint(&fresh));
        let (kept, async_s) = meanwhile(finish?, |goes_on| beside(self, goes_on))?;
        let kept = kept?;
        let taken = Taken {
            sync_ms: sync_s * 1e3,
            async_ms: async_s * 1e3,
            bytes_new: kept.bytes_new,
            bytes_full: kept.bytes_full,
            files: kept.files,
        };
        self.last = Some(kept);
        Ok(Some(taken))
    }

    fn compactions(&self) -> u32 {
        0
    }

    fn stand(&self) -> Stand {
        match &self.last {
            None => Stand::Nothing,
            Some(kept) if kept.goes_on => Stand::End,
            Some(_) => Stand::Snapshot,
        }
    }

    fn restore(self, probes: &[Probe]) -> Outcome<Restored> {
        let Self { player, open, form, directory, last, .. } = self;
        drop(player);
        let Some(kept) = last.filter(|_| !probes.is_empty()) else {
            return Ok(Restored::default());
        };
        let watch = Stopwatch::start();
        let mut player = Bytes::<K>::over(open(&kept.path)?, form);
        let Times { first_ms, all_ms } =
            Times::of(probes, watch, |probe| read(&mut player, probe))?;
        drop((player, directory));
        let (reads, bytes) = (probes.len() as u64, kept.bytes_full);
        let restore = Restore { first_ms, all_ms, reads, bytes };
        Ok(Restored { restore: Some(restore), rescale: Vec::new() })
    }
}
