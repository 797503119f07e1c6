//! A backend as a [`Side`]: snapshots into a job's directory, on a second thread, and stores restored from them.

use alluvium_state_api::codec::{KeyCodec, Native};
use alluvium_state_api::settings::Settings;
use alluvium_state_api::snapshot::{Compression, KeyedSnapshot, SnapshotKind, SnapshotRequest};
use alluvium_state_api::{
    BackendRegistry, CheckpointId, ErrorKind, KeyGroup, KeyHash, KeyedBackend, KeyedStore,
    MaxParallelism, OpenEnv, Result, StableHash,
};

use super::arguments::Arguments;
use super::check::Probe;
use super::play::Run;
use super::report::{Report, Rescale, Restore, Taken};
use super::side::{Beside, Restored, Side, Stand, meanwhile, read};
use crate::Outcome;
use crate::clock::{Stopwatch, timed};
use crate::disk::Disk;
use crate::subtasks::{GROUPS, Subtasks, Times, restore};
use crate::workload::player::PlayedKey;
use crate::workload::{Access, Player, Target};

/// Whether this build has the backend; one that it lacks says so when it is opened.
pub(super) fn is_built_in(
    registry: &BackendRegistry,
    backend: &str,
    arguments: &Arguments,
) -> bool {
    let opened = Disk::new(&arguments.directory).and_then(|mut disk| {
        Opener::new(registry, backend, arguments, ())?.open::<u64>(&mut disk, &[], (0, 1))
    });
    let lacking = |error: &alluvium_state_api::Error| error.kind() == ErrorKind::Unsupported;
    !opened.is_err_and(|error| error.downcast_ref().is_some_and(lacking))
}

/// Plays on a fresh store.
pub(super) fn play(registry: &BackendRegistry, run: Run<'_>) -> Outcome<Report> {
    match run.arguments.key_bytes {
        None => run.on(|| Ours::<u64>::open(registry, run, ())),
        Some(length) => run.on(|| Ours::<Vec<u8>>::open(registry, run, length)),
    }
}

/// Opens stores.
pub(super) struct Opener<'a, F> {
    registry: &'a BackendRegistry,
    settings: Settings,
    /// Of keys.
    form: F,
}

impl<'a, F: Copy> Opener<'a, F> {
    pub(super) fn new(
        registry: &'a BackendRegistry,
        backend: &str,
        arguments: &Arguments,
        form: F,
    ) -> Outcome<Self> {
        let factory = registry.find(backend)?;
        let mut settings = Settings::new();
        settings.set("state.backend", backend)?;
        for (key, value) in &arguments.settings {
            if factory.setting_keys().contains(&key.as_str()) {
                settings.set(key, value)?;
            }
        }
        Ok(Self { registry, settings, form })
    }

    /// Opens the store of one of so many subtasks, fresh or over the checkpoints of former ones.
    pub(super) fn open<K: PlayedKey<Form = F>>(
        &self,
        disk: &mut Disk,
        former: &[Checkpoint],
        (subtask, parallelism): (u32, u32),
    ) -> Outcome<Player<Box<dyn KeyedStore>, K>>
    where
        Native: KeyCodec<K>,
        StableHash: KeyHash<K>,
    {
        let groups = MaxParallelism::new(GROUPS)?;
        let range = groups.range_of(subtask, parallelism)?;
        let wanted =
            former.iter().filter(|(snapshot, _)| !range.intersection(snapshot.range).is_empty());
        let parts = wanted.map(|checkpoint| disk.part(checkpoint)).collect();
        let env = OpenEnv::new(KeyedBackend::<K>::key_space(groups, range)?).with_restore(parts);
        let store = self.registry.open(env.with_local_dir(disk.fresh_path()), &self.settings)?;
        Ok(Player::over(store, self.form)?)
    }
}

/// What a store is restored from.
type Checkpoint = (KeyedSnapshot, CheckpointId);

/// A store that is played on, and where its snapshots go.
struct Ours<'a, K: PlayedKey>
where
    Native: KeyCodec<K>,
{
    player: Player<Box<dyn KeyedStore>, K>,
    opener: Opener<'a, K::Form>,
    compression: Compression,
    disk: Disk,
    last: Option<Checkpoint>,
}

impl<'a, K: PlayedKey> Ours<'a, K>
where
    Native: KeyCodec<K>,
    StableHash: KeyHash<K>,
{
    fn open(registry: &'a BackendRegistry, run: Run<'_>, form: K::Form) -> Outcome<Self> {
        let mut disk = Disk::new(&run.arguments.directory)?;
        let opener = Opener::new(registry, run.name, run.arguments, form)?;
        let player = opener.open(&mut disk, &[], (0, 1))?;
        Ok(Self { player, opener, compression: run.arguments.compression()?, disk, last: None })
    }
}

impl<K: PlayedKey> Target for Ours<'_, K>
where
    Native: KeyCodec<K>,
    StableHash: KeyHash<K>,
{
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

impl<K: PlayedKey> Side for Ours<'_, K>
where
    Native: KeyCodec<K>,
    StableHash: KeyHash<K>,
{
    fn snapshot(&mut self, kind: SnapshotKind, beside: Beside<'_, Self>) -> Outcome<Option<Taken>> {
        let attempt = self.disk.begin()?;
        let request = SnapshotRequest::new(attempt.id, kind).with_compression(self.compression);
        let (task, sync_s) = timed(|| self.player.backend.snapshot(&request));
        let task = task?;
        let finish = || attempt.run(task);
        let (snapshot, async_s) = meanwhile(finish, |goes_on| beside(self, goes_on))?;
        let snapshot = snapshot?;
        self.player.backend.checkpoint_completed(attempt.id)?;
        let taken = Taken {
            sync_ms: sync_s * 1e3,
            async_ms: async_s * 1e3,
            bytes_new: snapshot.bytes_new,
            bytes_full: snapshot.bytes_full,
            files: snapshot.files.len(),
        };
        self.last = Some((snapshot, attempt.id));
        Ok(Some(taken))
    }

    fn compactions(&self) -> u32 {
        self.player.backend.statistics().compactions_in_flight
    }

    fn stand(&self) -> Stand {
        if self.last.is_some() { Stand::Snapshot } else { Stand::Nothing }
    }

    fn restore(self, probes: &[Probe]) -> Outcome<Restored> {
        let Self { player, opener, compression, mut disk, last } = self;
        drop(player);
        let Some(last) = last.filter(|_| !probes.is_empty()) else {
            return Ok(Restored::default());
        };
        let bytes = last.0.bytes_full;
        let mut restores = Restores::<K> { opener, compression, disk: &mut disk };
        let (whole, probes) = restores.whole(&last, probes)?;
        let (two, halves) = restore(&mut restores, &[last], 2, &probes)?;
        let (one, _) = restore(&mut restores, &halves, 1, &probes)?;
        let (three, _) = restore(&mut restores, &halves, 3, &probes)?;
        let reads = probes.len() as u64;
        let rescale = [(1, 2, two), (2, 1, one), (2, 3, three)];
        let rescale = rescale.map(|(from, to, times)| {
            let Times { first_ms, all_ms } = times;
            Rescale { from, to, first_ms, all_ms }
        });
        let Times { first_ms, all_ms } = whole;
        let restore = Restore { first_ms, all_ms, reads, bytes };
        Ok(Restored { restore: Some(restore), rescale: rescale.into() })
    }
}

/// Restores.
struct Restores<'a, K: PlayedKey> {
    opener: Opener<'a, K::Form>,
    compression: Compression,
    disk: &'a mut Disk,
}

impl<K: PlayedKey> Restores<'_, K>
where
    Native: KeyCodec<K>,
    StableHash: KeyHash<K>,
{
    /// Restores one store with everything, and learns which key groups the probes have.
    fn whole(
        &mut self,
        last: &Checkpoint,
        probes: &[Probe],
    ) -> Outcome<(Times, Vec<(KeyGroup, Probe)>)> {
        let watch = Stopwatch::start();
        let former = std::slice::from_ref(last);
        let mut player = self.opener.open::<K>(self.disk, former, (0, 1))?;
        let times = Times::of(probes, watch, |probe| read(&mut player, probe))?;
        let placed = probes.iter().map(|probe| Ok((player.group_of(probe.read.key)?, *probe)));
        Ok((times, placed.collect::<Outcome<_>>()?))
    }
}

impl<K: PlayedKey> Subtasks for Restores<'_, K>
where
    Native: KeyCodec<K>,
    StableHash: KeyHash<K>,
{
    type Instance = Player<Box<dyn KeyedStore>, K>;
    type Checkpoint = Checkpoint;
    type Probe = Probe;

    fn open(&mut self, former: &[Checkpoint], place: (u32, u32)) -> Outcome<Self::Instance> {
        self.opener.open(self.disk, former, place)
    }

    fn read(&mut self, player: &mut Self::Instance, probe: &Probe) -> Outcome<()> {
        read(player, probe)
    }

    fn leave(&mut self, mut player: Self::Instance) -> Outcome<Checkpoint> {
        let attempt = self.disk.begin()?;
        let request = SnapshotRequest::new(attempt.id, SnapshotKind::Incremental);
        let request = request.with_compression(self.compression);
        let snapshot = attempt.run(player.backend.snapshot(&request)?)?;
        Ok((snapshot, attempt.id))
    }
}
