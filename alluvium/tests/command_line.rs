//! The command line as a user sees it: exit statuses, one-line errors, the JSON line.
#![cfg(all(feature = "cli", feature = "memory"))]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking"
)]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn alluvium(arguments: &[&str]) -> Output {
    alluvium_with_input(arguments, b"")
}

fn alluvium_with_input(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_alluvium"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A command that does not read closes the pipe.
    drop(stdin.write_all(input));
    drop(stdin);
    child.wait_with_output().unwrap()
}

/// The one JSON object in the last line of a successful run.
fn report(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = str::from_utf8(&output.stdout).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

/// Checks that a command fails with this status and one line that holds all of `parts`.
fn refused(arguments: &[&str], status: i32, parts: &[&str]) {
    refused_with_input(arguments, b"", status, parts);
}

fn refused_with_input(arguments: &[&str], input: &[u8], status: i32, parts: &[&str]) {
    let output = alluvium_with_input(arguments, input);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {text}");
    assert_eq!(output.stdout, b"", "{arguments:?}");
    let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("alluvium: ")).collect();
    assert_eq!(errors.len(), 1, "{arguments:?}: {text}");
    assert!(!text.contains("panicked"), "{text}");
    for part in parts {
        assert!(errors[0].contains(part), "{arguments:?}: {text} lacks {part}");
    }
}

fn write(directory: &Path, name: &str, bytes: &[u8]) -> String {
    let path = directory.join(name);
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn flights_run_right_and_are_reported_in_one_object() {
    let report = report(&alluvium(&["run", "--json"]));
    assert_eq!(report["backend"], "memory");
    assert_eq!((&report["records"], &report["skipped"]), (&26_849.into(), &155.into()));
    assert_eq!((&report["keys"], &report["mismatches"]), (&3_148.into(), &0.into()));
    assert!(report["records_per_s"].as_f64().unwrap() > 0.0);
    assert!(report["recovery_ms"].as_f64().unwrap() > 0.0);
    assert!(report["rescale_ms"].as_f64().unwrap() > 0.0);
    let checkpoints = report["checkpoints"].as_array().unwrap();
    assert!(checkpoints.len() > 5);
    for checkpoint in checkpoints {
        for field in ["id", "kind", "sync_ms", "async_ms", "bytes_new", "bytes_full"] {
            assert!(!checkpoint[field].is_null(), "{field}");
        }
    }
}

#[test]
fn a_run_prints_a_table_and_leaves_no_temporary_directory() {
    let temporary = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_alluvium"))
        .args(["run", "--nexmark", "5000", "--mode", "sync"])
        .env("TMPDIR", temporary.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    for line in ["records", "keys", "records/s", "recovery", "rescale", "mismatches", "savepoint"] {
        assert!(text.contains(line), "{text}");
    }
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
}

/// 500 records of 11 keys.
fn orders() -> String {
    let mut text = String::from("user,amount,kind\n");
    for index in 0..500 {
        writeln!(text, "u{},{index},k{}", index % 11, index % 3).unwrap();
    }
    text
}

#[test]
fn input_comes_from_files_and_from_standard_input() {
    let directory = tempfile::tempdir().unwrap();
    let text = orders();
    let file = write(directory.path(), "orders.csv", text.as_bytes());
    let from_file = report(&alluvium(&["run", "--input", &file, "--key", "user", "--json"]));
    assert_eq!((&from_file["records"], &from_file["keys"]), (&500.into(), &11.into()));
    let from_pipe = report(&alluvium_with_input(
        &["run", "--input", "-", "--key", "user", "--json", "--mode", "async"],
        text.as_bytes(),
    ));
    assert_eq!(from_pipe["keys"], 11);
    let lines = b"{\"id\":\"a\",\"n\":1}\n{\"id\":\"b\",\"n\":2}\n";
    let json = alluvium_with_input(&["run", "--input", "-", "--key", "id", "--json"], lines);
    assert_eq!(report(&json)["records"], 2);
}

#[test]
fn many_subtasks_and_key_groups_are_right() {
    let wide = [
        "run",
        "--json",
        "--nexmark",
        "20000",
        "--parallelism",
        "3",
        "--rescale-to",
        "7",
        "--max-parallelism",
        "1000",
    ];
    let report = report(&alluvium(&wide));
    assert_eq!((&report["mismatches"], &report["max_parallelism"]), (&0.into(), &1000.into()));
}

#[test]
fn wrong_usage_is_refused_with_status_2() {
    refused(&[], 2, &["no command", "run"]);
    refused(&["walk"], 2, &["walk"]);
    refused(&["run", "--backend", "tape"], 2, &["tape", "memory"]);
    if cfg!(not(feature = "rocksdb")) {
        refused(&["run", "--backend", "rocksdb"], 2, &["rocksdb", "--features rocksdb"]);
    }
    if cfg!(not(feature = "fs")) {
        refused(&["run", "--backend", "filesystem"], 2, &["--features fs"]);
    }
    refused(&["run", "--mode", "eager"], 2, &["eager", "sync, async, incremental"]);
    refused(&["run", "--parallelism", "0"], 2, &["--parallelism 0"]);
    let above = ["run", "--parallelism", "9", "--max-parallelism", "8"];
    refused(&above, 2, &["--parallelism 9", "8"]);
    refused(&["run", "--rescale-to", "0"], 2, &["--rescale-to 0"]);
    refused(&["run", "--max-parallelism", "40000"], 2, &["40000", "32768"]);
    refused(&["run", "--set", "state.backnd=memory"], 2, &["state.backnd", "state.backend"]);
    refused(&["run", "--set", "state.backend"], 2, &["key=value"]);
    let interval = ["run", "--set", "execution.checkpointing.interval=1 s"];
    refused(&interval, 2, &["--checkpoint-every"]);
    let twice = ["run", "--mode", "sync", "--set", "state.backend.incremental=true"];
    refused(&twice, 2, &["--mode sync", "state.backend.incremental"]);
    let flat = ["run", "--set", "state.checkpoints.create-subdir=false"];
    refused(&flat, 2, &["create-subdir"]);
    refused(&["run", "--crash-at", "110%"], 2, &["--crash-at", "100%"]);
    refused(&["run", "--crash-at", "99999999"], 2, &["--crash-at", "27004"]);
    refused(&["run", "--checkpoint-every", "0"], 2, &["--checkpoint-every"]);
    refused(&["run", "--key", "tail"], 2, &["tail", "tailnum"]);
    refused(&["run", "--measure", "dest"], 2, &["dest"]);
    refused(&["run", "--nexmark", "0"], 1, &["nexmark"]);
    refused(&["run", "--checkpoint-dir", "ftp://x/y"], 2, &["ftp"]);
}

#[test]
fn wrong_input_is_refused_in_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let input = |name: &str, bytes: &[u8]| write(directory.path(), name, bytes);
    let refuse = |file: &str, parts: &[&str]| {
        refused(&["run", "--input", file, "--key", "a"], 1, parts);
    };
    refuse("/nonexistent/file.csv", &["/nonexistent/file.csv"]);
    refuse(&input("empty.csv", b""), &["empty.csv"]);
    refuse(&input("header.csv", b"a,b\n"), &["header.csv"]);
    refuse(&input("binary.csv", &[0, 159, 146, 150, 255, 0, 1, 2]), &["binary.csv"]);
    refuse(directory.path().to_str().unwrap(), &["directory"]);
    refuse(&input("ragged.csv", b"a,b\n1,2\n3\n"), &["ragged.csv", "line 3"]);
    refused_with_input(&["run", "--input", "-", "--key", "a"], b"", 1, &["standard input"]);
}

#[test]
fn a_directory_that_cannot_be_written_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = write(directory.path(), "file", b"");
    refused(&["run", "--checkpoint-dir", &format!("{file}/below")], 2, &["file"]);
    refused(&["run", "--checkpoint-dir", "/proc/alluvium"], 1, &["/proc"]);
}

#[test]
fn checkpoints_are_kept_where_asked_and_verify() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().to_str().unwrap();
    let run = ["run", "--json", "--checkpoint-dir", place];
    let first = report(&alluvium(&run));
    assert_eq!(first["checkpoint_dir"], place);
    report(&alluvium(&run));

    let found = checkpoints(directory.path());
    assert_eq!(found.len(), 3, "two savepoints, and the last checkpoint: {found:?}");
    for path in &found {
        let verified = report(&alluvium(&["verify", "--json", path]));
        assert_eq!((&verified["ok"], &verified["problems"]), (&true.into(), &Value::Array(vec![])));
        assert!(verified["states"].as_array().unwrap().iter().all(|s| s["compared"] == true));
        let metadata = format!("{path}/_metadata");
        assert_eq!(alluvium(&["verify", &metadata]).status.code(), Some(0));
    }
}

#[test]
fn verify_finds_every_flipped_bit() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().to_str().unwrap();
    // Little state, for a file is read whole to find what is wrong with it, and all of it in files.
    let input = write(directory.path(), "orders.csv", orders().as_bytes());
    let in_files = ["--set", "state.storage.fs.memory-threshold=0"];
    let run = ["run", "--input", &input, "--key", "user", "--json", "--checkpoint-dir", place];
    report(&alluvium(&[&run[..], &in_files].concat()));
    for path in checkpoints(directory.path()) {
        let own = std::fs::read_dir(&path).unwrap();
        let shared = Path::new(&path).parent().unwrap().join("shared");
        let shared = std::fs::read_dir(shared).into_iter().flatten();
        let mut found = 0;
        for entry in own.chain(shared) {
            found += usize::from(damage_is_found(&path, &entry.unwrap().path()));
        }
        assert!(found >= 3, "metadata and the files of two subtasks of {path}");
        assert_eq!(alluvium(&["verify", &path]).status.code(), Some(0));
    }
}

/// Whether any damage to `file` is found in the checkpoint at `path`. None is where the checkpoint
/// does not use the file.
fn damage_is_found(path: &str, file: &Path) -> bool {
    let bytes = std::fs::read(file).unwrap();
    let status = |wrong: &[u8]| {
        std::fs::write(file, wrong).unwrap();
        let output = alluvium(&["verify", path]);
        assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"));
        output.status.code().unwrap()
    };
    let uses = status(&bytes[..bytes.len() - 1]) == 1;
    let spread = (0..=8).map(|part| part * (bytes.len() - 1) / 8);
    for at in spread {
        let mut wrong = bytes.clone();
        wrong[at] ^= 0x10;
        assert_eq!(status(&wrong), i32::from(uses), "{} at {at}", file.display());
    }
    std::fs::write(file, &bytes).unwrap();
    uses
}

#[test]
fn verify_refuses_what_is_no_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    refused(&["verify", "/nonexistent"], 2, &["/nonexistent"]);
    refused(&["verify", directory.path().to_str().unwrap()], 2, &["checkpoint"]);
    write(directory.path(), "_metadata", b"not metadata");
    refused(&["verify", directory.path().to_str().unwrap()], 1, &["corrupted"]);
}

#[test]
fn checkpoints_lists_what_verify_finds_and_refuses_wrong_directories() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().to_str().unwrap();
    report(&alluvium(&["run", "--json", "--checkpoint-dir", place]));
    let listed = report(&alluvium(&["checkpoints", place, "--subtasks", "--json"]));
    let checkpoints = listed["jobs"][0]["checkpoints"].as_array().unwrap();
    assert!(!checkpoints.is_empty(), "{listed}");
    for one in checkpoints {
        let path = one["path"].as_str().unwrap();
        let verified = report(&alluvium(&["verify", "--json", path]));
        let states = verified["states"].as_array().unwrap().iter();
        let entries: u64 = states.map(|state| state["entries"].as_u64().unwrap()).sum();
        assert_eq!(one["figures"]["entries"], entries);
        let subtasks = one["subtasks"].as_array().unwrap().iter();
        let parts: u64 = subtasks.map(|part| part["figures"]["entries"].as_u64().unwrap()).sum();
        assert_eq!(parts, entries);
        assert_eq!(one["files"], verified["files"].as_array().unwrap().len());
    }
    assert_eq!(listed["jobs"][0]["summary"]["count"], checkpoints.len());

    let one = checkpoints[0]["path"].as_str().unwrap();
    refused(&["checkpoints", one], 2, &["alluvium verify"]);
    refused(&["checkpoints", &format!("{one}/_metadata")], 2, &["file"]);
    refused(&["checkpoints", "/nonexistent"], 2, &["/nonexistent"]);
    let output = alluvium(&["checkpoints", "s3://user:secret@b/x"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(!String::from_utf8(output.stderr).unwrap().contains("secret"));
    refused(&["checkpoints", "memory://"], 2, &["memory of another process"]);
    refused(&["checkpoints", "ftp://host/x"], 2, &["ftp"]);
    refused(&["checkpoints", place, "--set", "s3.endpont=x"], 2, &["s3.endpont"]);
    refused(&["verify", place, "--set", "s3"], 2, &["key=value"]);
    let savepoints = listed["jobs"][0]["savepoints"].as_array().unwrap();
    assert_eq!((savepoints.len(), &savepoints[0]["kind"]), (1, &"canonical".into()));
    assert!(savepoints[0]["path"].as_str().unwrap().contains("/savepoint-"));
    report(&alluvium(&["checkpoints", "--json", &format!("file://{place}")]));
    let empty = tempfile::tempdir().unwrap();
    refused(&["checkpoints", empty.path().to_str().unwrap()], 2, &["no job here"]);
    let job = Path::new(one).parent().unwrap().to_str().unwrap();
    let text = alluvium(&["checkpoints", job]);
    assert!(String::from_utf8(text.stdout).unwrap().contains("p99"));
    std::fs::write(Path::new(one).join("_metadata"), b"damaged").unwrap();
    assert_eq!(alluvium(&["checkpoints", job]).status.code(), Some(1));
}

/// The directories below `root` that hold `_metadata`.
fn checkpoints(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.ends_with("_metadata") {
                found.push(directory.to_str().unwrap().to_owned());
            }
        }
    }
    found
}
