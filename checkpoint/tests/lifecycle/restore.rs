use alluvium_checkpoint::{
    OperatorSpec, RestoreOptions, RestorePlan, RestorePoint, StartFrom, SubtaskAck, Trigger,
};
use alluvium_state_api::codec::Native;
use alluvium_state_api::format::metadata::CheckpointMetadata;
use alluvium_state_api::schema::KeySpace;
use alluvium_state_api::storage::StoredCheckpoint;
use alluvium_state_api::{ErrorKind, MaxParallelism, OpenEnv, StableHash};

use crate::fake::{Job, UID, id, incremental};

fn groups(count: u32) -> MaxParallelism {
    MaxParallelism::new(count).unwrap()
}

/// Every subtask finds every one of its key groups once, as a store checks it.
fn assert_covers(plan: &RestorePlan) {
    for operator in &plan.operators {
        for subtask in &operator.subtasks {
            let all = operator.operator.groups();
            let space = KeySpace::of::<u64, Native, StableHash>(all, subtask.range).unwrap();
            let env = OpenEnv::new(space).with_restore(subtask.restore.clone());
            assert_eq!(env.restore_plan().unwrap().len(), subtask.restore.len());
            assert!(!subtask.restore.is_empty());
        }
    }
}

#[test]
fn any_parallelism_gets_exactly_the_parts_it_needs() {
    let (mut job, _) = Job::started(incremental(1));
    for parallelism in [1, 3, 2, 7, 128, 5] {
        job.complete(Trigger::checkpoint().with_application("source"));
        let plan = job.start(parallelism, StartFrom::Newest).unwrap();
        assert_covers(&plan);
        assert_eq!(plan.application, b"source");
        let bases = plan.operators[0].subtasks.iter().flat_map(|one| &one.restore);
        assert!(bases.clone().all(|part| part.base == Some(plan.restored.as_ref().unwrap().0)));
        assert_eq!(plan.operators[0].subtasks.len(), parallelism as usize);
    }
    let two = job.complete(Trigger::checkpoint());
    let plan = job.start(2, StartFrom::Pointer(&two.pointer)).unwrap();
    let former = &plan.operator(UID).unwrap().former;
    assert_eq!(former.len(), 5);
    assert_eq!(former[4], (4, b"subtask 4".to_vec()));
    let part = &plan.operators[0].subtasks[0].restore[0];
    assert_eq!(part.base, Some(two.id), "it is the job's own");
}

#[test]
fn a_part_is_not_given_to_those_who_do_not_need_it() {
    let (mut job, _) = Job::started(incremental(1));
    job.complete(Trigger::checkpoint());
    let plan = job.start(4, StartFrom::Newest).unwrap();
    let parts: Vec<_> = plan.operators[0].subtasks.iter().map(|one| one.restore.len()).collect();
    assert_eq!(parts, [1, 1, 1, 1]);
}

#[test]
fn savepoints_are_no_base_and_stay() {
    let (mut job, _) = Job::started(incremental(1));
    job.complete(Trigger::checkpoint());
    let savepoint = job.complete(Trigger::savepoint(None));
    let plan = job.start(3, StartFrom::Pointer(&savepoint.pointer)).unwrap();
    assert_covers(&plan);
    let mut parts = plan.operators[0].subtasks.iter().flat_map(|one| &one.restore);
    assert!(parts.all(|part| part.base.is_none()));
    job.complete(Trigger::checkpoint());
    assert_eq!(job.retained(), [3]);
    assert!(job.storage.open_pointer(&savepoint.pointer).is_ok());
}

#[test]
fn numbers_go_on_above_the_savepoint_that_another_coordinator_starts_from() {
    let (mut job, _) = Job::started(incremental(1));
    let checkpoint = job.complete(Trigger::checkpoint());
    let savepoint = job.complete(Trigger::savepoint(None));
    assert!(savepoint.id > checkpoint.id);
    job.restart_process();
    job.start(2, StartFrom::Pointer(&savepoint.pointer)).unwrap();
    assert!(job.complete(Trigger::checkpoint()).id > savepoint.id);
}

#[test]
fn refuses_what_does_not_fit() {
    let (mut job, _) = Job::started(incremental(1));
    let plan = job.complete(Trigger::checkpoint());
    let point = RestorePoint::open(&*job.storage, &plan.pointer).unwrap();
    assert_eq!(point.base(), None, "nobody said whose it is");
    let refused = |specs: &[OperatorSpec]| {
        let error = point.plan(specs, RestoreOptions::default()).unwrap_err();
        (error.kind(), error.message().to_owned())
    };
    let (kind, message) = refused(&[OperatorSpec::new("other", 2)]);
    assert!(kind == ErrorKind::Incompatible && message.contains("counts"), "{message}");
    let other = OperatorSpec::new(UID, 2).with_max_parallelism(groups(256));
    let (kind, message) = refused(&[other]);
    assert!(kind == ErrorKind::Incompatible && message.contains("256"), "{message}");
    assert_eq!(refused(&[OperatorSpec::new(UID, 129)]).0, ErrorKind::Incompatible);
    assert_eq!(refused(&[OperatorSpec::new(UID, 0)]).0, ErrorKind::InvalidInput);
    let twice = [OperatorSpec::new(UID, 1), OperatorSpec::new(UID, 2)];
    assert_eq!(refused(&twice).0, ErrorKind::InvalidInput);

    let allowed = RestoreOptions { allow_non_restored_state: true, ..RestoreOptions::default() };
    let plan = point.plan(&[OperatorSpec::new("other", 2)], allowed).unwrap();
    assert_eq!(&*plan.skipped[0], UID);
    assert!(plan.operators[0].subtasks[0].restore.is_empty());
    // An operator that is new beside the restored one starts empty.
    let both = [OperatorSpec::new(UID, 3), OperatorSpec::new("new", 1)];
    let plan = point.plan(&both, RestoreOptions::default()).unwrap();
    assert_eq!(plan.operators[0].operator.groups(), groups(128));
    assert_eq!(plan.operators[1].subtasks.len(), 1);
}

/// Operators are found by uid, whatever their order; what the job does not know any more is refused, or
/// skipped, told, and no part of what the job takes from then on.
#[test]
fn of_several_operators_those_that_are_unknown_are_refused_or_skipped_and_told() {
    let (mut job, _) = Job::started(incremental(1));
    let start = |job: &mut Job, uids: &[&str], allow_non_restored_state| {
        let specs: Vec<_> = uids.iter().map(|uid| OperatorSpec::new(uid, 1)).collect();
        let options = RestoreOptions { allow_non_restored_state, ..RestoreOptions::default() };
        job.coordinator.start(&specs, StartFrom::Newest, options)
    };
    let take = |job: &mut Job, uids: &[&str]| {
        let plan = job.coordinator.trigger(Trigger::checkpoint()).unwrap();
        for uid in uids {
            let ack = SubtaskAck::application(format!("bytes of {uid}"));
            job.coordinator.acknowledge(plan.id, uid, 0, ack).unwrap();
        }
        let stored = job.storage.load(plan.id).unwrap();
        let metadata = CheckpointMetadata::decode(&stored.metadata).unwrap();
        metadata.operators.into_iter().map(|operator| operator.uid).collect::<Vec<_>>()
    };
    start(&mut job, &["b", "c", "a"], false).unwrap();
    assert_eq!(take(&mut job, &["a", "b", "c"]), ["a", "b", "c"].map(Box::from));
    for unknown in [&["c", "b"][..], &["a", "b", "d"]] {
        let error = start(&mut job, unknown, false).unwrap_err();
        let message = error.message();
        assert_eq!(error.kind(), ErrorKind::Incompatible);
        assert!(message.contains("\"a\"") || message.contains("\"c\""), "{error}");
    }
    let plan = start(&mut job, &["c", "new", "a"], true).unwrap();
    assert_eq!(plan.skipped, ["b"].map(Box::from));
    for (uid, former) in [("a", 1), ("c", 1), ("new", 0)] {
        let operator = plan.operator(uid).unwrap();
        assert_eq!(operator.former.len(), former, "{uid}");
        let bytes = operator.former.first().map(|(_, bytes)| bytes.clone());
        assert!(bytes.is_none_or(|bytes| bytes == format!("bytes of {uid}").into_bytes()));
    }
    assert_eq!(take(&mut job, &["a", "c", "new"]), ["a", "c", "new"].map(Box::from));
    assert_eq!(start(&mut job, &["new", "a", "c"], false).unwrap().skipped, [] as [Box<str>; 0]);
}

#[test]
fn missing_parts_are_damage() {
    let (mut job, _) = Job::started(incremental(1));
    let plan = job.complete(Trigger::checkpoint());
    let stored = job.storage.load(plan.id).unwrap();
    let whole = CheckpointMetadata::decode(&stored.metadata).unwrap();
    let with = |change: &dyn Fn(&mut CheckpointMetadata)| {
        let mut metadata = whole.clone();
        change(&mut metadata);
        let metadata = metadata.encode().unwrap();
        let point = RestorePoint::read(StoredCheckpoint { metadata, ..stored.clone() });
        point.unwrap().plan(&[OperatorSpec::new(UID, 2)], RestoreOptions::default())
    };
    assert!(with(&|_| {}).is_ok());
    let missing = with(&|metadata| drop(metadata.operators[0].subtasks.pop()));
    let error = missing.unwrap_err();
    assert_eq!((error.kind(), error.checkpoint()), (ErrorKind::Corrupted, Some(id(1))));
    assert!(error.message().contains("key group 64"), "{error}");
    let without_keyed = with(&|metadata| metadata.operators[0].subtasks[0].keyed = None);
    assert!(without_keyed.unwrap_err().message().contains("key group 0"));
}

#[test]
fn operators_without_keyed_state_keep_their_bytes() {
    let (mut job, _) = Job::started(incremental(1));
    let specs = [OperatorSpec::new("source", 1), OperatorSpec::new("sink", 2)];
    let start = |job: &mut Job| {
        job.coordinator.start(&specs, StartFrom::Newest, RestoreOptions::default()).unwrap()
    };
    start(&mut job);
    let plan = job.coordinator.trigger(Trigger::checkpoint()).unwrap();
    for (uid, subtask) in [("sink", 1), ("source", 0), ("sink", 0)] {
        let ack = SubtaskAck::application(format!("{uid} {subtask}"));
        job.coordinator.acknowledge(plan.id, uid, subtask, ack).unwrap();
    }
    let plan = start(&mut job);
    assert_eq!(plan.restored.as_ref().unwrap().0, id(1));
    assert_eq!(plan.operator("source").unwrap().former, [(0, b"source 0".to_vec())]);
    assert_eq!(plan.operator("sink").unwrap().former[1], (1, b"sink 1".to_vec()));
}

#[test]
fn pointers_that_lead_nowhere_are_told() {
    let (mut job, _) = Job::started(incremental(1));
    assert_eq!(job.start(2, StartFrom::Newest).unwrap().restored, None);
    for from in [StartFrom::Checkpoint(id(3)), StartFrom::Pointer("/nowhere")] {
        let error = job.start(2, from).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
}
