use alluvium_backend_memory::MemoryBackend;
use alluvium_state_api::{BackendRegistry, MissingBackend};

use super::super::backend::{Opener, is_built_in};
use super::super::source::record;
use super::*;
use crate::disk::Disk;
use crate::engine::memory_store;
use crate::subtasks::Times;
use crate::workload::{Access, Operation, Plain, Player, Target};

fn arguments(text: &str) -> Arguments {
    let registry = alluvium::registry();
    let words = "--keys 300 --operations 2000 --backend memory,fs,peers ".to_owned() + text;
    let words = words.split_whitespace().map(str::to_owned);
    Arguments::parse(&Session::new(&registry), words).unwrap().unwrap()
}

fn played_on(
    registry: &BackendRegistry,
    name: &str,
    arguments: &Arguments,
) -> Vec<Outcome<Report>> {
    let session = Session::new(registry);
    let of = |source| play(&session, Run { name, source, shape: &arguments.shape, arguments });
    arguments.sources.iter().map(of).collect()
}

fn played(arguments: &Arguments) -> Vec<Report> {
    let registry = alluvium::registry();
    let each = |name: &String| played_on(&registry, name, arguments);
    arguments.backends.iter().flat_map(each).map(Outcome::unwrap).collect()
}

/// Keys of the JSON that others read.
fn complete(report: &Report, peer: bool) -> serde_json::Value {
    let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    for (name, fields) in [
        ("shape", &["keys", "value_bytes", "key_bytes", "draw", "operations", "seed"][..]),
        ("fill", &["accesses", "seconds"]),
        ("run", &["accesses", "seconds", "per_s"]),
        ("latency", &["count", "p50_us", "p90_us", "p99_us", "p999_us", "max_us"]),
        (
            "memory",
            &[
                "own_bytes_before",
                "own_bytes_filled",
                "own_bytes_peak",
                "entries",
                "bytes_per_entry",
            ],
        ),
        ("timeline", &["bucket_ms", "points", "snapshots"]),
    ] {
        for field in fields {
            assert!(json[name].get(field).is_some(), "{name}.{field}");
        }
    }
    assert_eq!(json["peer"], peer);
    assert_eq!(json["latency"]["count"], 1_000);
    assert!(json["snapshots"].is_array() && json["rescale"].is_array());
    json
}

#[test]
fn every_side_is_measured_and_reads_the_same() {
    for more in [
        "list.append --churn 0.2",
        "session.holistic --value-bytes 40 --key-bytes 24",
        "value.get --draw moving:10",
    ] {
        let arguments = arguments(more);
        let reports = played(&arguments);
        assert_eq!(reports.len(), arguments.backends.len() * arguments.sources.len());
        for report in &reports {
            let (peer, maps) = match &*report.backend {
                "memory" | "fs" => (false, false),
                "peer:hashbrown" | "peer:btreemap" => (true, true),
                _ => (true, false),
            };
            let json = complete(report, peer);
            assert_eq!((report.run.0, report.latencies.len()), (2_000, 1_000));
            assert!(report.run.1 > 0.0 && report.checked >= 3_000 + report.fill.0);
            assert!(report.to_string().contains(&report.workload));
            assert!(report.memory.peak >= report.memory.filled && report.memory.entries > 0);
            let points = json["timeline"]["points"].as_array().unwrap();
            let due = points.iter().map(|point| point["count"].as_u64().unwrap()).sum::<u64>();
            if maps {
                assert!(report.snapshots.is_empty() && report.restore.is_none() && due >= 1_000);
                continue;
            }
            assert!(due > 1_500, "{due}");
            snapshots(report, more);
            assert_eq!(json["restore"]["correct"], true);
            let restore = report.restore.unwrap();
            assert!(0.0 < restore.first_ms && restore.first_ms <= restore.all_ms);
            assert!(restore.reads > 20 && restore.bytes > 0);
            let rescaled = report.rescale.iter().map(|one| (one.from, one.to)).collect::<Vec<_>>();
            assert_eq!(rescaled, if peer { vec![] } else { vec![(1, 2), (2, 1), (2, 3)] });
            assert!(report.rescale.iter().all(|one| 0.0 < one.first_ms));
        }
    }
}

fn snapshots(report: &Report, more: &str) {
    let appends = more.starts_with("list.append");
    let kinds: Vec<_> = report.snapshots.iter().map(|one| one.kind).collect();
    let wanted = ["full", "incremental", "incremental"];
    assert_eq!(kinds, wanted[..if appends { 3 } else { 2 }]);
    let (full, increment) = (&report.snapshots[0], &report.snapshots[1]);
    assert_eq!(full.churn, None);
    let churn = increment.churn.unwrap();
    let (full, increment) = (full.taken, increment.taken);
    assert!(full.bytes_new > 0 && full.files > 0 && full.sync_ms + full.async_ms > 0.0);
    if more.starts_with("value.get") {
        assert!(churn == 0.0, "{churn}");
        assert!(report.peer || increment.bytes_new * 2 < full.bytes_new);
    } else {
        assert!(churn > 0.0 && churn <= 1.0, "{churn}");
    }
    if appends {
        // A fifth of the keys, and what the last up to 64 accesses changed more.
        let asked = report.snapshots[2].churn.unwrap();
        assert!((0.2..0.42).contains(&asked), "{asked}");
    }
}

#[test]
fn a_recorded_workload_is_replayed_to_the_same_digest() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("trace");
    let made = arguments("tumbling.holistic --no-snapshots");
    assert_eq!(record(&made.sources[0], &made, &file).unwrap(), 2_000);
    let again = record(&made.sources[0], &made, &file).unwrap_err().to_string();
    assert!(again.contains("exists"), "{again}");
    let replayed = arguments(&format!("--no-snapshots --replay {}", file.display()));
    let reports = played(&replayed);
    let digests: Vec<_> = reports.iter().map(|report| report.digest).collect();
    let mut plain = Plain::default();
    for access in made.sources[0].accesses(&made.shape).unwrap().1.take(2_000) {
        plain.apply(&access).unwrap();
    }
    assert_eq!(digests, vec![plain.digest(); replayed.backends.len()]);
    // It ends where the trace does, and its size is its own.
    assert_eq!(reports[0].checked, 2_000);
    let json: serde_json::Value = serde_json::from_str(&reports[0].to_json()).unwrap();
    assert!(json["shape"]["keys"].is_null() && json["restore"].is_null());
}

#[test]
fn who_reads_something_else_is_found_out() {
    let arguments = arguments("value.get");
    let (source, shape) = (&arguments.sources[0], &arguments.shape);
    let mut player = Player::<_, u64>::over(memory_store(Vec::new()).unwrap(), ()).unwrap();
    let (fill, run) = source.accesses(shape).unwrap();
    let filled = Supply::new(fill).play(&mut player, u64::MAX).unwrap().0;
    Supply::new(run).play(&mut player, 10).unwrap();
    let marks = Marks { restored: Some(filled), ..Marks::default() };
    let checked = |ran| check::play(source, shape, (filled, ran), &marks).unwrap();
    assert!(checked(10).compare(&player).is_ok());
    assert!(checked(9).compare(&player).is_err());
    player.apply(&Access::of(1, Operation::ValueGet)).unwrap();
    let error = checked(10).compare(&player).unwrap_err().to_string();
    assert!(error.contains("something else"), "{error}");
    // A restored side is asked for each key.
    let mut probes = checked(10).probes;
    assert_eq!(probes.len(), 300);
    let watch = crate::clock::Stopwatch::start();
    let read = |player: &mut _, probes: &[check::Probe]| {
        Times::of(probes, watch, |probe| super::super::side::read(player, probe))
    };
    let times = read(&mut player, &probes).unwrap();
    assert!(0.0 < times.first_ms && times.first_ms <= times.all_ms);
    probes[299].digest ^= 1;
    let error = read(&mut player, &probes).unwrap_err().to_string();
    assert!(error.contains("after a restore"), "{error}");
}

/// The part of the keys that changed is that of those which are still there.
#[test]
fn what_has_changed_is_counted_once() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("trace");
    let mut recorder = crate::workload::trace::Recorder::new(Vec::new()).unwrap();
    let set = Operation::SumAdd(1);
    let fill = (0..10).map(|key| Access::of(key, set));
    let change = [(1, set), (1, set), (2, Operation::SumGet), (3, Operation::SumClear), (10, set)];
    for access in fill.chain(change.map(|(key, operation)| Access::of(key, operation))) {
        recorder.record(&access).unwrap();
    }
    std::fs::write(&file, recorder.finish().unwrap().0).unwrap();
    let source = Source::trace(&file).unwrap();
    let marks = Marks { filled: 10, snapshots: vec![10, 10, 15], restored: Some(15) };
    let checked = check::play(&source, &Shape::default(), (0, 15), &marks).unwrap();
    assert_eq!(checked.entries, 10);
    // Keys 1 and 10 of ten.
    assert_eq!(checked.churn, [None, Some(0.0), Some(0.2)]);
    assert_eq!(checked.probes.len(), 10);
}

#[test]
fn settings_reach_the_backends_that_know_them() {
    let registry = BackendRegistry::new().with(MemoryBackend);
    let mut disk = Disk::new(&std::env::temp_dir()).unwrap();
    let arguments = arguments("--set state.backend.fs.read-mode=never value.get");
    let mut open = |registry, name| {
        let opener = Opener::new(registry, name, &arguments, ())?;
        opener.open::<u64>(&mut disk, &[], (0, 1)).map(drop)
    };
    assert!(open(&registry, "memory").is_ok());
    let refused = open(&alluvium::registry(), "fs").unwrap_err().to_string();
    assert!(refused.contains("read-mode"), "{refused}");
}

#[test]
fn snapshots_are_compressed_where_that_is_set() {
    let full = |more: &str| {
        let text = format!("--backend memory map.get {more}");
        let report = &played(&arguments(&text))[0];
        report.snapshots[0].taken.bytes_new
    };
    let plain = full("");
    let less = full("--set execution.checkpointing.snapshot-compression=zstd");
    // Map keys are of eight bytes and below ten.
    assert!(less < plain * 4 / 5, "{less} of {plain}");
}

#[test]
fn a_backend_that_is_not_built_in_is_left_out_unless_it_is_named() {
    let registry =
        BackendRegistry::new().with(MemoryBackend).with(MissingBackend::new("tape", &[], "tape"));
    let arguments = arguments("value.get");
    assert!(is_built_in(&registry, "memory", &arguments));
    assert!(!is_built_in(&registry, "tape", &arguments));
    let error = played_on(&registry, "tape", &arguments).remove(0).unwrap_err();
    assert!(error.to_string().contains("--features tape"), "{error}");
}
