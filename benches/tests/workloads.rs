//! The program `workloads`, as its users start it.

use std::process::{Command, Output};

use serde_json::Value;

fn workloads(words: &str) -> std::io::Result<Output> {
    Command::new(env!("CARGO_BIN_EXE_workloads")).args(words.split_whitespace()).output()
}

/// The lines that were printed as JSON.
fn lines(words: &str) -> std::io::Result<Vec<Value>> {
    let output = workloads(words)?;
    let (out, err) = (&output.stdout, String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && err.is_empty(), "{words}: {err}");
    let text = String::from_utf8_lossy(out);
    Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

#[test]
fn each_size_and_side_is_a_line_behind_the_environment() {
    let words = "--json --sizes 400,4000 --operations 4000 --churn 0.1 --backend memory,peer:btreemap value.update";
    let lines = lines(words).unwrap();
    let command: Vec<_> = lines[0]["environment"]["command"].as_array().unwrap().iter().collect();
    assert_eq!(command[1..], words.split(' ').collect::<Vec<_>>());
    let of = |line: &Value| (line["shape"]["keys"].as_u64(), line["peer"].as_bool());
    let found: Vec<_> = lines[1..].iter().map(of).collect();
    let wanted = [(400, false), (400, true), (4000, false), (4000, true)];
    assert_eq!(found, wanted.map(|(keys, peer)| (Some(keys), Some(peer))));
    let increments = lines[3]["snapshots"].as_array().unwrap();
    assert_eq!(increments.len(), 3);
    assert!(increments[2]["churn"].as_f64().unwrap() >= 0.1);
    assert!(
        lines[3]["memory"]["own_bytes_peak"].as_u64()
            > lines[3]["memory"]["own_bytes_before"].as_u64()
    );
}

#[test]
fn entries_of_a_process_of_its_own_take_memory() {
    let lines = lines(
        "--json --keys 200000 --operations 1000 --no-snapshots --backend memory,peer:hashbrown,memory value.get",
    ).unwrap();
    for line in &lines[1..] {
        assert_eq!(line["memory"]["entries"], 200_000);
        let bytes = line["memory"]["bytes_per_entry"].as_f64().unwrap();
        assert!((16.0..200.0).contains(&bytes), "{line}");
    }
}

#[test]
fn wrong_words_and_failures_have_their_exit_status() {
    assert_eq!(workloads("--sizes none").unwrap().status.code(), Some(2));
    let output = workloads(
        "--keys 10 --operations 10 --set state.backend.fs.read-mode=never --backend fs value.get",
    )
    .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("value.get on fs") && text.contains("read-mode"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[cfg(not(feature = "peers"))]
#[test]
fn a_peer_that_was_not_built_in_says_so() {
    let output = workloads("--keys 10 --operations 10 --backend peer:redb value.get").unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && text.contains("--features peers"), "{text}");
}
