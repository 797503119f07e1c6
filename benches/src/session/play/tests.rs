use alluvium_backend_memory::MemoryBackend;
use alluvium_state_api::{BackendRegistry, MissingBackend};

use super::super::backend::{is_built_in, open};
use super::super::source::record;
use super::*;
use crate::disk::Disk;
use crate::engine::memory_store;
use crate::workload::{Access, Operation, Player};

fn arguments(text: &str) -> Arguments {
    let registry = alluvium::registry();
    let words = "--keys 300 --operations 2000 --backend memory,fs,peers ".to_owned() + text;
    let words = words.split_whitespace().map(str::to_owned);
    Arguments::parse(&Session::new(&registry), words).unwrap().unwrap()
}

fn played(arguments: &Arguments) -> Vec<Report> {
    let registry = alluvium::registry();
    let session = Session::new(&registry);
    let each = |backend: &String| {
        let of = |source| play(&session, backend, source, arguments).unwrap();
        arguments.sources.iter().map(of).collect::<Vec<_>>()
    };
    arguments.backends.iter().flat_map(each).collect()
}

#[test]
fn every_backend_is_measured_and_reads_the_same() {
    for more in [
        "list.append",
        "session.holistic --value-bytes 40 --key-bytes 24",
        "value.get --draw moving:10",
    ] {
        let arguments = arguments(more);
        let reports = played(&arguments);
        assert_eq!(reports.len(), arguments.backends.len() * arguments.sources.len());
        for report in &reports {
            assert_eq!((report.run.0, report.latencies.len()), (2_000, 1_000));
            assert!(report.run.1 > 0.0 && report.checked >= 3_000 + report.fill.0);
            let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
            assert_eq!(json["latency"]["count"], 1_000);
            assert!(report.to_string().contains(&report.workload));
            if ["peer:hashbrown", "peer:btreemap"].contains(&&*report.backend) {
                assert!(report.snapshots.is_empty());
                continue;
            }
            let [full, increment] = &*report.snapshots else { panic!("two snapshots") };
            assert_eq!((full.kind, increment.kind), ("full", "incremental"));
            let (full, increment) = (full.taken, increment.taken);
            assert!(full.bytes_new > 0 && full.files > 0 && full.sync_ms + full.async_ms > 0.0);
            assert_eq!(json["snapshots"][0]["kind"], "full");
            let unchanged = more.starts_with("value.get") && !report.backend.contains(':');
            let (new, all) = (increment.bytes_new, full.bytes_new);
            assert!(!unchanged || new * 2 < all, "{new} of {all} bytes");
        }
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
    // It ends where the trace does.
    assert_eq!(reports[0].checked, 2_000);
}

#[test]
fn who_reads_something_else_is_found_out() {
    let arguments = arguments("value.get");
    let source = &arguments.sources[0];
    let mut player = Player::<_, u64>::over(memory_store(Vec::new()).unwrap(), ()).unwrap();
    let (fill, run) = source.accesses(&arguments.shape).unwrap();
    let filled = Supply::new(fill).play(&mut player, u64::MAX).unwrap().0;
    Supply::new(run).play(&mut player, 10).unwrap();
    assert!(check(&player, source, &arguments, (filled, 10)).is_ok());
    assert!(check(&player, source, &arguments, (filled, 9)).is_err());
    player.apply(&Access::of(1, Operation::ValueGet)).unwrap();
    let error = check(&player, source, &arguments, (filled, 10)).unwrap_err().to_string();
    assert!(error.contains("something else"), "{error}");
}

#[test]
fn settings_reach_the_backends_that_know_them() {
    let registry = BackendRegistry::new().with(MemoryBackend);
    let mut disk = Disk::new(&std::env::temp_dir()).unwrap();
    let arguments = arguments("--set state.backend.fs.read-mode=never value.get");
    assert!(open::<u64>(&registry, "memory", &arguments, &mut disk).is_ok());
    let refused = open::<u64>(&alluvium::registry(), "fs", &arguments, &mut disk);
    assert!(refused.err().unwrap().to_string().contains("read-mode"));
}

#[test]
fn a_backend_that_is_not_built_in_is_left_out_unless_it_is_named() {
    let registry =
        BackendRegistry::new().with(MemoryBackend).with(MissingBackend::new("tape", &[], "tape"));
    let arguments = arguments("value.get");
    assert!(is_built_in(&registry, "memory", &arguments));
    assert!(!is_built_in(&registry, "tape", &arguments));
    let session = Session::new(&registry);
    let error = play(&session, "tape", &arguments.sources[0], &arguments).unwrap_err();
    assert!(error.to_string().contains("--features tape"), "{error}");
}
