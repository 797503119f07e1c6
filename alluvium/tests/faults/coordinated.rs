//! The coordinator as the master of the testkit's scripts.

use std::sync::Arc;
use std::time::Duration;

use alluvium::checkpoint::{
    Components, Coordinator, OperatorSpec, Options, OrphanOptions, RestoreOptions, StartFrom,
    SubtaskAck, Trigger, dispose_savepoint,
};
use alluvium::clock::ManualClock;
use alluvium::snapshot::{FileName, KeyedSnapshot, SnapshotKind};
use alluvium::storage::CheckpointStorage;
use alluvium::testkit::faults::{
    Ask, JOB, Master, Origin, Place, Plan, RETAINED, Started, Told, key_groups,
};
use alluvium::{CheckpointId, ErrorKind, Result};

const UID: &str = "rows";

#[derive(Debug)]
pub(crate) struct Coordinated {
    storage: Arc<dyn CheckpointStorage>,
    coordinator: Coordinator,
    clock: Arc<ManualClock>,
}

impl Master for Coordinated {
    fn open(place: &Place) -> Result<Self> {
        let clock = Arc::new(ManualClock::at(1_000_000));
        let storage = place.storage()?;
        let components = Components {
            storage: Arc::clone(&storage),
            clock: Arc::<ManualClock>::clone(&clock),
            randomness: place.randomness(),
        };
        let options = Options {
            kind: SnapshotKind::Incremental,
            retained: RETAINED,
            max_concurrent: 2,
            tolerable_failures: u32::MAX,
            ..Options::default()
        };
        let coordinator = Coordinator::open(FileName::new(JOB)?, options, components)?;
        Ok(Self { storage, coordinator, clock })
    }

    fn start(
        &mut self,
        origin: Origin,
        savepoint: Option<&str>,
        parallelism: u32,
    ) -> Result<Started> {
        let from = match (origin, savepoint) {
            (Origin::Savepoint, Some(pointer)) => StartFrom::Pointer(pointer),
            _ => StartFrom::Newest,
        };
        let operators = [OperatorSpec::new(UID, parallelism).with_max_parallelism(key_groups()?)];
        let plan = self.coordinator.start(&operators, from, RestoreOptions::default())?;
        let subtasks = plan.operators.into_iter().flat_map(|operator| operator.subtasks);
        Ok(Started {
            application: plan.restored.map(|_| plan.application),
            subtasks: subtasks.map(|subtask| (subtask.range, subtask.restore)).collect(),
        })
    }

    fn trigger(&mut self, ask: Ask, application: Vec<u8>) -> Result<Plan> {
        let trigger = match ask {
            Ask::Full => Trigger::full_checkpoint(),
            Ask::Incremental => Trigger::checkpoint(),
            Ask::Savepoint => Trigger::savepoint(None),
        };
        let plan = self.coordinator.trigger(trigger.with_application(application))?;
        Ok(Plan {
            request: plan.request,
            sink: plan.sink,
            cancel: plan.cancel,
            pointer: plan.pointer,
        })
    }

    fn take(&mut self, id: CheckpointId, subtask: u32, part: Result<KeyedSnapshot>) -> Result<()> {
        match part {
            Ok(part) => {
                self.coordinator.acknowledge(id, UID, subtask, SubtaskAck::keyed(part))?;
            }
            Err(error) => {
                self.coordinator.decline(id, UID, subtask, error)?;
            }
        }
        Ok(())
    }

    fn abort(&mut self, id: CheckpointId) {
        self.coordinator.abort(id);
    }

    fn told(&mut self) -> Vec<Told> {
        let notifications = self.coordinator.notifications();
        notifications.map(|one| Told { id: one.id(), completed: one.is_completed() }).collect()
    }

    fn dispose(&mut self, pointer: &str) -> Result<()> {
        match dispose_savepoint(&*self.storage, pointer) {
            // An interrupted call is repeated: the metadata is gone, the files it named may not be.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            disposed => disposed,
        }
    }

    fn settle(&mut self) {
        self.clock.advance(Duration::from_mins(1));
        self.coordinator.tick();
    }

    fn collect(&mut self) -> Result<()> {
        let options = OrphanOptions { min_age: Duration::ZERO, dry_run: false };
        self.coordinator.collect_orphans(options).map(drop)
    }
}
