//! Signals that a terminal or an operating system sends to `alluvium run`: it ends with the status that
//! shells expect, and the same command goes on from where it was.
#![cfg(all(unix, feature = "cli", feature = "memory"))]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking"
)]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// Begins a run, and reads what it tells until `line` says so.
fn run_until(arguments: &[&str], line: impl Fn(&str) -> bool) -> (Child, BufReader<impl Read>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_alluvium"))
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap());
    let mut text = String::new();
    while !line(&text) {
        text.clear();
        assert!(told.read_line(&mut text).unwrap() > 0, "it ended before");
    }
    (child, told)
}

fn send(signal: &str, child: &Child) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
}

/// Sends `signal` when the third checkpoint is complete.
fn ended_by(signal: &str, status: i32) {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().to_str().unwrap();
    let arguments = ["run", "--nexmark", "60000", "--json", "--checkpoint-dir", place];
    let third = |line: &str| line.starts_with("checkpoint 3 ") && line.contains("complete");
    let (mut child, mut told) = run_until(&arguments, third);
    send(signal, &child);
    let mut rest = String::new();
    told.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(status), "{rest}");
    let mut output = String::new();
    child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
    assert_eq!(output, "", "nothing was verified, so nothing is reported");
    let last = rest.lines().last().unwrap();
    assert!(last.starts_with("alluvium: ") && last.contains("same command goes on"), "{rest}");

    let again = Command::new(env!("CARGO_BIN_EXE_alluvium")).args(arguments).output().unwrap();
    assert_eq!(again.status.code(), Some(0), "{again:?}");
    let report: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert!(report["resumed_from"].as_u64() >= Some(3), "{report}");
    assert!(report["resumed_at"].as_u64() >= Some(18_000), "{report}");
    assert_eq!(report["mismatches"], 0, "{report}");
    assert!(report["compared"].as_u64() > Some(0), "{report}");
}

#[test]
fn sigint_ends_a_run_with_130_and_the_same_command_goes_on() {
    ended_by("-INT", 130);
}

#[test]
fn sigterm_ends_a_run_with_143_and_the_same_command_goes_on() {
    ended_by("-TERM", 143);
}
