//! The commands that operate a job's checkpoints, as a user sees them.
#![cfg(all(feature = "cli", feature = "memory"))]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "helpers of tests fail by panicking, and play the user in real directories"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use alluvium_state_api::storage::savepoint_name;
use serde_json::Value;

fn alluvium(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_alluvium")).args(arguments).output().unwrap()
}

/// The one JSON object of a command that succeeds.
fn report(arguments: &[&str]) -> Value {
    let output = alluvium(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

/// Checks that a command fails with status 2, no result and one line that holds all of `parts`.
fn refused(arguments: &[&str], parts: &[&str]) {
    let output = alluvium(arguments);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
    assert_eq!(output.stdout, b"", "{arguments:?}");
    let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("alluvium: ")).collect();
    assert_eq!(errors.len(), 1, "{arguments:?}: {text}");
    for part in parts {
        assert!(errors[0].contains(part), "{arguments:?}: {text} lacks {part}");
    }
}

/// What a run leaves: the directory of the job, a checkpoint of it, and a savepoint.
struct Left {
    root: tempfile::TempDir,
    job: String,
    checkpoint: String,
    savepoint: String,
}

impl Left {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let place = root.path().to_str().unwrap();
        report(&["run", "--json", "--nexmark", "5000", "--checkpoint-dir", place]);
        let listed = report(&["checkpoints", "--json", place]);
        let job = &listed["jobs"][0];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let mut entries = std::fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path());
        let is_savepoint = |path: &PathBuf| path.to_str().unwrap().contains("/savepoint-");
        let savepoint = entries.find(is_savepoint).unwrap().to_str().unwrap().to_owned();
        let checkpoint = text(&job["checkpoints"][0]["path"]);
        Self { job: text(&job["path"]), checkpoint, savepoint, root }
    }

    fn path(&self, name: &str) -> String {
        self.root.path().join(name).to_str().unwrap().to_owned()
    }
}

fn entries(path: &str) -> u64 {
    let verified = report(&["verify", "--json", path]);
    assert_eq!(verified["ok"], true, "{verified}");
    let states = verified["states"].as_array().unwrap().iter();
    states.map(|state| state["entries"].as_u64().unwrap()).sum()
}

#[test]
fn a_copy_outlives_the_job_that_it_was_taken_from() {
    let left = Left::new();
    let before = entries(&left.checkpoint);
    for (name, flag) in [("linked", None), ("copied", Some("--no-links"))] {
        let target = left.path(name);
        let mut words = vec!["checkpoints", "copy", &left.checkpoint, &target, "--json"];
        words.extend(flag);
        assert_eq!(report(&words)["pointer"], target);
        refused(&words, &["not empty", &target]);
    }
    std::fs::remove_dir_all(&left.job).unwrap();
    for name in ["linked", "copied"] {
        assert_eq!(entries(&left.path(name)), before);
        assert_eq!(entries(&format!("file://{}", left.path(name))), before);
    }
    report(&["dispose", &left.path("copied"), "--json"]);
    assert!(!Path::new(&left.path("copied")).exists());
    assert_eq!(entries(&left.path("linked")), before);
    refused(&["checkpoints", "copy", "/nonexistent", &left.path("x")], &["/nonexistent"]);
    assert!(!Path::new(&left.path("x")).exists());
}

#[test]
fn a_rehashed_savepoint_holds_the_same_entries() {
    let left = Left::new();
    let target = left.path("rehashed");
    let rehash = ["savepoint", "rehash", &left.savepoint, &target, "--json", "--max-parallelism"];
    let with = |more: &[&'static str]| [&rehash[..], more].concat();
    for wrong in ["0", "40000", "many"] {
        refused(&with(&[wrong]), &[wrong, "32768", "alluvium savepoint rehash --help"]);
    }
    refused(&with(&["64", "--memory", "lots"]), &["lots", "512mb"]);
    refused(&with(&["64", "--uid", "nobody"]), &["nobody"]);
    assert!(!Path::new(&target).join("_metadata").exists());
    let done = report(&with(&["64"]));
    assert_eq!(done["operators"][0]["max_parallelism"]["after"], 64);
    assert_eq!(entries(&target), entries(&left.savepoint));
    refused(&with(&["64"]), &["not empty"]);
}

#[test]
fn gc_removes_what_nothing_refers_to_and_only_if_asked() {
    let left = Left::new();
    let orphan = Path::new(&left.job).join("shared/0123456789abcdef0123456789abcdef");
    std::fs::create_dir_all(orphan.parent().unwrap()).unwrap();
    std::fs::write(&orphan, b"left behind").unwrap();

    assert_eq!(report(&["gc", &left.job, "--json"])["too_young"], 1);
    let found = report(&["gc", &left.job, "--json", "--min-age", "0s"]);
    assert_eq!((&found["files"], &found["deleted"]), (&1.into(), &false.into()));
    assert!(orphan.exists());

    let lock = std::fs::File::create(Path::new(&left.job).join(".lock")).unwrap();
    lock.lock().unwrap();
    refused(&["gc", &left.job, "--delete", "--min-age", "59min"], &["runs this job", "1h"]);
    assert_eq!(report(&["gc", &left.job, "--delete", "--json"])["files"], 0);
    drop(lock);
    let removed = report(&["gc", &left.job, "--delete", "--min-age", "0s", "--json"]);
    assert_eq!(removed["files"], 1);
    assert!(!orphan.exists());
    assert!(entries(&left.checkpoint) > 0);
}

#[test]
fn gc_finds_late_files_and_leaves_young_savepoints_that_are_not_complete() {
    let left = Left::new();
    let drawn = "0123456789abcdef0123456789abcdef";
    let late = Path::new(&left.checkpoint).join(drawn);
    std::fs::write(&late, b"late").unwrap();
    let job = Path::new(&left.job).file_name().unwrap().to_str().unwrap();
    let named = |random| savepoint_name(job, random);
    let target = left.path("elsewhere");
    let beside = Path::new(&left.job).with_file_name(named(7));
    let elsewhere = [8, 9].map(|n| Path::new(&target).join(named(n)));
    for directory in elsewhere.iter().chain([&beside]) {
        std::fs::create_dir_all(directory).unwrap();
        std::fs::write(directory.join(drawn), b"half").unwrap();
    }
    // Somebody may be writing a savepoint, whatever age is asked for.
    let at_once = ["gc", &left.job, "--json", "--min-age", "0s"];
    let found = report(&at_once);
    assert_eq!((&found["files"], &found["too_young"]), (&1.into(), &1.into()), "{found}");
    assert!(found["strays"][0].as_str().unwrap().ends_with(drawn));
    let there = [&at_once[..], &["--savepoint-dir", &target]].concat();
    assert_eq!(report(&there)["too_young"], 2);
    assert_eq!(report(&[&at_once[..], &["--delete"]].concat())["files"], 1);
    assert!(!late.exists() && beside.exists());
    assert!(entries(&left.checkpoint) > 0 && entries(&left.savepoint) > 0);
}

#[test]
fn gc_refuses_what_is_no_directory_of_a_job() {
    let left = Left::new();
    refused(&["gc", &left.savepoint], &["alluvium dispose"]);
    refused(&["gc", &left.checkpoint], &["directory of a job"]);
    refused(&["gc", left.root.path().to_str().unwrap()], &["name one of them", &left.job]);
    refused(&["gc", "/nonexistent"], &["/nonexistent"]);
    refused(&["gc", &format!("{}/_metadata", left.savepoint)], &["file"]);
    let secret = alluvium(&["gc", "s3://user:secret@b/x"]);
    assert_eq!(secret.status.code(), Some(2));
    assert!(!String::from_utf8(secret.stderr).unwrap().contains("secret"));
    refused(&["gc", "memory://"], &["memory of another process"]);
    for wrong in ["5", "soon", "-1h"] {
        let flag = format!("--min-age={wrong}");
        refused(&["gc", &left.job, &flag], &["12h", "alluvium gc --help"]);
    }
}

#[test]
fn dispose_removes_savepoints_and_nothing_else() {
    let left = Left::new();
    let advice = ["is a checkpoint", "a job that runs deletes it", "nothing was"];
    refused(&["dispose", &left.savepoint, &left.checkpoint], &advice);
    let job = &report(&["checkpoints", "--json", &left.job])["jobs"][0];
    assert_eq!(job["savepoints"][0]["path"], left.savepoint.as_str(), "{job}");
    assert_eq!(job["savepoints"].as_array().unwrap().len(), 1);
    let shown = alluvium(&["checkpoints", &left.job]).stdout;
    let name = Path::new(&left.savepoint).file_name().unwrap().to_str().unwrap();
    assert!(String::from_utf8(shown).unwrap().contains(name));
    assert!(entries(&left.savepoint) > 0);
    assert_eq!(report(&["dispose", &left.savepoint, "--json"])["disposed"][0], left.savepoint);
    assert!(!Path::new(&left.savepoint).exists());
    refused(&["dispose", &left.savepoint], &[&left.savepoint]);
    refused(&["dispose"], &["POINTER", "alluvium dispose --help"]);
    assert!(entries(&left.checkpoint) > 0);
}

#[test]
fn commands_that_were_not_meant_name_those_that_there_are() {
    refused(&["savepoint"], &["no command", "`rehash`"]);
    refused(&["savepoint", "walk"], &["walk", "`rehash`", "alluvium savepoint --help"]);
    refused(&["walk"], &["`gc`", "`dispose`"]);
    let left = Left::new();
    let (plain, named) = (report(&["checkpoints", "--json", &left.job]), left.job.as_str());
    assert_eq!(report(&["checkpoints", "list", "--json", named]), plain);
}

#[test]
fn hostile_values_of_every_flag_are_refused_in_one_line() {
    let long = "x".repeat(5000);
    let retention = "execution.checkpointing.externalized-checkpoint-retention=maybe";
    let wrong: [&[&str]; 28] = [
        &["run", "--checkpoint-dir", ""],
        &["run", "--checkpoint-dir", "s3://"],
        &["run", "--checkpoint-dir", "s3://bucket/x?acl"],
        &["run", "--checkpoint-dir", "s3://key:secret@bucket/x"],
        &["run", "--checkpoint-dir", "memory://x"],
        &["run", "--checkpoint-dir", "://x"],
        &["run", "--set", "state.savepoints.dir=memory://"],
        &["run", "--set", "state.savepoints.dir=ftp://x", "--checkpoint-dir", "/tmp/x"],
        &["run", "--set", retention],
        &["run", "--set", "state.checkpoints.num-retained=0"],
        &["run", "--set", &long],
        &["run", "--nexmark", "-1"],
        &["run", "--nexmark", "18446744073709551616"],
        &["run", "--parallelism", "4294967296"],
        &["run", "--crash-at", "NaN%"],
        &["verify", ""],
        &["verify", "s3://"],
        &["verify", "file://"],
        &["verify", &long],
        &["checkpoints", ""],
        &["checkpoints", "s3://bucket"],
        &["checkpoints", "file://nowhere"],
        &["checkpoints", "copy", "/nonexistent", ""],
        &["gc", ""],
        &["gc", "/nonexistent", "--min-age", "soon"],
        &["gc", "/nonexistent", "--savepoint-dir", "s3://"],
        &["dispose", "memory://job/savepoint-x"],
        &["dispose", ""],
    ];
    for arguments in wrong {
        let output = alluvium(arguments);
        let text = String::from_utf8(output.stderr).unwrap();
        let shown: Vec<&str> = arguments.iter().map(|word| &word[..word.len().min(60)]).collect();
        assert_eq!(output.status.code(), Some(2), "{shown:?}: {text}");
        assert_eq!(output.stdout, b"", "{shown:?}");
        assert_eq!(text.lines().count(), 1, "{shown:?}: {text}");
        assert!(text.starts_with("alluvium: ") && text.len() < 1200, "{shown:?}: {text}");
        assert!(!text.contains("secret"), "{shown:?}: {text}");
    }
}
