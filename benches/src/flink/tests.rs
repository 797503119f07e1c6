//! Both sides' lines, and what is made of them.

use super::*;

fn directory(rounds: &[(&str, &str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (round, file, text) in rounds {
        let round = directory.path().join(round);
        std::fs::create_dir_all(&round).unwrap();
        std::fs::write(round.join(file), text).unwrap();
    }
    directory
}

fn rate(operation: &str, median: u32, filled: &str) -> String {
    format!(
        "{{\"kind\": \"throughput\", \"op\": \"{operation}\", \"median\": {median}, \"filled\": \"{filled}\"}}\n"
    )
}

#[test]
fn the_best_of_flink_is_compared_round_by_round() {
    let heap =
        [rate("valueGet", 200, "7"), rate("valueGet", 400, "7"), rate("rmwUniform", 100, "1")];
    let restore = "{\"kind\": \"restore\", \"op\": \"restoreNative\", \"subtask0_ms_median\": 30, \"subtask1_ms_median\": 10}\n";
    let ours = [
        rate("valueGet", 1600, "7"),
        rate("rmwUniform", 200, "1"),
        rate("rmwUniform/one-call", 900, "1"),
    ];
    let own_restore = "{\"kind\": \"restore\", \"op\": \"restoreNative\", \"ms_median\": 4}\n";
    let directory = directory(&[
        ("1", "flink-heap.jsonl", &(heap.concat() + restore)),
        ("1", "memory.jsonl", &(ours.concat() + own_restore)),
        ("2", "flink-heap.jsonl", &rate("valueGet", 400, "7")),
        ("2", "memory.jsonl", &rate("valueGet", 2000, "7")),
        ("3", "flink-heap.jsonl", &rate("valueGet", 400, "7")),
    ]);
    let compared = compare::directory(directory.path()).unwrap();
    let names: Vec<&str> = compared.iter().map(|one| one.row.name.as_str()).collect();
    assert_eq!(names, ["valueGet", "rmwUniform", "rmwUniform/one-call", "restoreNative"]);
    let shown: Vec<String> = compared
        .iter()
        .map(|one| format!("{:.1} {:.1} {}", one.row.min, one.row.max, one.row.ok))
        .collect();
    assert_eq!(shown, ["4.0 5.0 true", "2.0 2.0 false", "9.0 9.0 true", "10.0 10.0 true"]);
    let line = compared[1].to_json();
    let mut input = crate::report::input::Input::default();
    input.take("f", &line).unwrap();
    assert_eq!((input.flink.len(), input.flink[0].ratio.bounds[0]), (1, Some(3.0)));
    assert!(compared[0].to_string().contains("1.80 k/s"), "{}", compared[0]);
}

#[test]
fn different_work_is_not_compared() {
    let different = directory(&[
        ("1", "flink-heap.jsonl", &rate("valueGet", 400, "7")),
        ("1", "memory.jsonl", &rate("valueGet", 1600, "8")),
    ]);
    let error = compare::directory(different.path()).unwrap_err().to_string();
    assert!(error.contains("different states"), "{error}");
    let one_side = directory(&[("1", "memory.jsonl", &rate("valueGet", 1600, "8"))]);
    assert!(compare::directory(one_side.path()).unwrap_err().to_string().contains("no rounds"));
    let cut = directory(&[("1", "flink-heap.jsonl", "{\"kind\""), ("1", "memory.jsonl", "")]);
    assert!(compare::directory(cut.path()).unwrap_err().to_string().contains("heap.jsonl:1:"));
}

/// Every workload, small, does what it says or fails.
#[test]
fn all_workloads_play_on_every_backend() {
    let words = "--n 1000 --newkeys 1000 --mapkeys 300 --warmups 1 --rounds 1 --roundms 1 --loadrounds 1 --snaprounds 1";
    for backend in [
        "memory",
        "fs",
        #[cfg(feature = "rocksdb")]
        "rocksdb",
    ] {
        for workload in
            ["value", "value100", "list", "reducing", "map", "rmw", "snapshot", "memory"]
        {
            let line = format!("--backend {backend} --workload {workload} {words}");
            let options = Options::parse(line.split(' ').map(str::to_owned)).unwrap().unwrap();
            assert!(perform(&options).unwrap(), "{line}");
        }
    }
}

#[test]
fn wrong_words_are_refused() {
    let parse = |line: &str| Options::parse(line.split_whitespace().map(str::to_owned));
    assert!(parse("--help").unwrap().is_none());
    for bad in ["", "--backend memory", "--n", "--compare x --n 0", "--fast 1 --compare x"] {
        assert!(parse(bad).is_err(), "{bad}");
    }
    assert_eq!(parse("--backend rocksdb --workload map").unwrap().unwrap().keys, 500_000);
}
