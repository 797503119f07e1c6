//! Our backends by name: restored from confirmed snapshots on a local disk.

use std::path::{Path, PathBuf};

use alluvium::settings::Settings;
use alluvium::snapshot::{SnapshotKind, SnapshotRequest};
use alluvium::{
    BackendRegistry, KeyGroupRange, KeyedBackend, MaxParallelism, OpenEnv, RestorePart,
    ValueDescriptor, ValueHandle,
};
use alluvium_benches::Outcome;
use alluvium_benches::disk::Disk;
use alluvium_benches::subtasks::{GROUPS, Subtasks};

use super::contents::{Checker, Contents, Probe};
use super::{Filled, Side};

const VALUE: ValueDescriptor<Vec<u8>> = ValueDescriptor::new("value");

/// A backend, and where its snapshots and stores lie.
pub(super) struct Ours {
    registry: BackendRegistry,
    settings: Settings,
    directory: PathBuf,
    /// That of the snapshot of everything, and that of the present round.
    disks: Vec<Disk>,
    checker: Checker,
}

/// A subtask.
pub(super) struct Instance {
    pub(super) backend: KeyedBackend<u64>,
    value: ValueHandle<Vec<u8>>,
}

/// The backend of this name with all contents.
///
/// # Errors
/// Those of the backend.
pub(super) fn filled(name: &str, contents: &Contents, directory: &Path) -> Outcome<Filled<Ours>> {
    let mut side = Ours {
        registry: alluvium::registry(),
        settings: Settings::from_pairs([("state.backend", name)])?,
        directory: directory.to_owned(),
        disks: vec![Disk::new(directory)?],
        checker: Checker::default(),
    };
    let mut all = side.open_over(Vec::new(), MaxParallelism::new(GROUPS)?.all())?;
    let mut value = Vec::new();
    for entry in contents.entries() {
        entry.value.write(&mut value);
        all.backend.at(&entry.key)?.value(all.value).set(&value)?;
    }
    let last = [side.leave(all)?];
    Ok(Filled { side, last })
}

impl Ours {
    fn disk(&mut self) -> Outcome<&mut Disk> {
        self.disks.last_mut().ok_or_else(|| "there is no disk".into())
    }

    pub(super) fn open_over(
        &mut self,
        parts: Vec<RestorePart>,
        range: KeyGroupRange,
    ) -> Outcome<Instance> {
        let space = KeyedBackend::<u64>::key_space(MaxParallelism::new(GROUPS)?, range)?;
        let local = self.disk()?.fresh_path();
        let env = OpenEnv::new(space).with_local_dir(local).with_restore(parts);
        let mut backend = KeyedBackend::new(self.registry.open(env, &self.settings)?)?;
        let value = backend.open(VALUE)?;
        Ok(Instance { backend, value })
    }
}

impl Subtasks for Ours {
    type Instance = Instance;
    type Checkpoint = RestorePart;
    type Probe = Probe;

    fn open(&mut self, former: &[RestorePart], (subtask, count): (u32, u32)) -> Outcome<Instance> {
        let range = MaxParallelism::new(GROUPS)?.range_of(subtask, count)?;
        let meets = |part: &&RestorePart| !range.intersection(part.snapshot.range).is_empty();
        self.open_over(former.iter().filter(meets).cloned().collect(), range)
    }

    fn read(&mut self, instance: &mut Instance, probe: &Probe) -> Outcome<()> {
        let Instance { backend, value } = instance;
        let checker = &mut self.checker;
        backend.at(&probe.key)?.value(*value).read(|found| checker.check(probe, found))?
    }

    fn leave(&mut self, mut instance: Instance) -> Outcome<RestorePart> {
        let disk = self.disk()?;
        let attempt = disk.begin()?;
        let request = SnapshotRequest::new(attempt.id, SnapshotKind::Incremental);
        let snapshot = attempt.run(instance.backend.snapshot(&request)?)?;
        instance.backend.checkpoint_completed(attempt.id)?;
        Ok(disk.part(&(snapshot, attempt.id)))
    }
}

impl Side for Ours {
    fn begin(&mut self) -> Outcome<()> {
        self.disks.truncate(1);
        self.disks.push(Disk::new(&self.directory)?);
        Ok(())
    }
}
