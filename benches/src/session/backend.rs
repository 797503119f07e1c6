//! A backend as a [`Side`]: snapshots into a job's directory, on a second thread.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use alluvium_state_api::codec::{KeyCodec, Native};
use alluvium_state_api::settings::Settings;
use alluvium_state_api::snapshot::{SnapshotKind, SnapshotRequest};
use alluvium_state_api::{
    BackendRegistry, ErrorKind, KeyHash, KeyedBackend, KeyedStore, MaxParallelism, OpenEnv, Result,
    StableHash,
};

use super::arguments::Arguments;
use super::play::Run;
use super::report::{Report, Taken};
use super::side::{Beside, Side};
use crate::Outcome;
use crate::clock::{Stopwatch, timed};
use crate::disk::Disk;
use crate::workload::player::PlayedKey;
use crate::workload::{Access, Player, Target};

/// Key groups; Flink's default.
const GROUPS: u32 = 128;

/// Whether this build has the backend; one that it lacks says so when it is opened.
pub(super) fn is_built_in(
    registry: &BackendRegistry,
    backend: &str,
    arguments: &Arguments,
) -> bool {
    let opened = Disk::new(&arguments.directory)
        .and_then(|mut disk| open::<u64>(registry, backend, arguments, &mut disk));
    let lacking = |error: &alluvium_state_api::Error| error.kind() == ErrorKind::Unsupported;
    !opened.is_err_and(|error| error.downcast_ref().is_some_and(lacking))
}

/// Plays on a fresh store.
pub(super) fn play(registry: &BackendRegistry, run: Run<'_>) -> Outcome<Report> {
    match run.arguments.key_bytes {
        None => run.on(Ours::<u64>::open(registry, run, ())?),
        Some(length) => run.on(Ours::<Vec<u8>>::open(registry, run, length)?),
    }
}

pub(super) fn open<K>(
    registry: &BackendRegistry,
    backend: &str,
    arguments: &Arguments,
    disk: &mut Disk,
) -> Outcome<Box<dyn KeyedStore>>
where
    Native: KeyCodec<K>,
    StableHash: KeyHash<K>,
{
    let factory = registry.find(backend)?;
    let mut settings = Settings::new();
    settings.set("state.backend", backend)?;
    for (key, value) in &arguments.settings {
        if factory.setting_keys().contains(&key.as_str()) {
            settings.set(key, value)?;
        }
    }
    let groups = MaxParallelism::new(GROUPS)?;
    let env = OpenEnv::new(KeyedBackend::<K>::key_space(groups, groups.all())?);
    Ok(registry.open(env.with_local_dir(disk.fresh_path()), &settings)?)
}

/// A store that is played on, and where its snapshots go.
struct Ours<K: PlayedKey>
where
    Native: KeyCodec<K>,
{
    player: Player<Box<dyn KeyedStore>, K>,
    disk: Disk,
}

impl<K: PlayedKey> Ours<K>
where
    Native: KeyCodec<K>,
    StableHash: KeyHash<K>,
{
    fn open(registry: &BackendRegistry, run: Run<'_>, form: K::Form) -> Outcome<Self> {
        let mut disk = Disk::new(&run.arguments.directory)?;
        let store = open::<K>(registry, run.name, run.arguments, &mut disk)?;
        Ok(Self { player: Player::over(store, form)?, disk })
    }
}

impl<K: PlayedKey> Target for Ours<K>
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
}

impl<K: PlayedKey> Side for Ours<K>
where
    Native: KeyCodec<K>,
    StableHash: KeyHash<K>,
{
    fn snapshot(&mut self, kind: SnapshotKind, beside: Beside<'_, Self>) -> Outcome<Option<Taken>> {
        let attempt = self.disk.begin()?;
        let request = SnapshotRequest::new(attempt.id, kind);
        let (task, sync_s) = timed(|| self.player.backend.snapshot(&request));
        let task = task?;
        let done = AtomicBool::new(false);
        let (taken, played) = thread::scope(|scope| {
            let worker = scope.spawn(|| {
                let watch = Stopwatch::start();
                let taken = attempt.run(task);
                let seconds = watch.seconds();
                done.store(true, Ordering::Release);
                taken.map(|taken| (taken, seconds))
            });
            let played = beside(self, &|| !done.load(Ordering::Acquire));
            (worker.join(), played)
        });
        let (taken, async_s) = taken.map_err(|_panic| "the snapshot's thread panicked")??;
        played?;
        self.player.backend.checkpoint_completed(attempt.id)?;
        Ok(Some(Taken {
            sync_ms: sync_s * 1e3,
            async_ms: async_s * 1e3,
            bytes_new: taken.bytes_new,
            bytes_full: taken.bytes_full,
            files: taken.files.len(),
        }))
    }
}
