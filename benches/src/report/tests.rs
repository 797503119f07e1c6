//! Reports from good and bad lines.

use super::chart::{Bars, Series};
use super::*;

const ENVIRONMENT: &str = r#"{"environment": {"version": "0.1.0", "commit": "abc", "cpu": "A <b>fast</b> one", "cores": 2, "memory_bytes": 24000000000, "os": "Linux", "rustc": "1.95", "date": "2026-11-29", "command": "workloads --json", "features": ["rocksdb"]}}"#;

fn latency() -> serde_json::Value {
    serde_json::json!({"count": 9, "p50_us": 0.1, "p90_us": 0.2, "p99_us": 1.5, "p999_us": 40.0, "max_us": 900.0})
}

/// A line of `workloads` with everything that one may have.
fn played(workload: &str, backend: &str, keys: u64, per_s: f64) -> String {
    let snapshot = |kind: &str, churn: Option<f64>, new: u64| {
        serde_json::json!({
            "kind": kind, "sync_ms": 0.03, "async_ms": 12.5, "bytes_new": new, "bytes_full": 1_000_000,
            "files": 2, "churn": churn, "latency": latency(),
        })
    };
    serde_json::json!({
        "workload": workload, "backend": backend, "peer": backend == "redb",
        "shape": {"keys": keys, "value_bytes": 8, "key_bytes": null, "draw": "uniform", "operations": 5, "seed": 1},
        "fill": {"accesses": keys, "seconds": 0.5},
        "run": {"accesses": 5, "seconds": 0.1, "per_s": per_s},
        "latency": latency(),
        "snapshots": [
            snapshot("full", None, 1_000_000),
            snapshot("incremental", Some(0.01), 12_000),
            snapshot("incremental", Some(0.1), 110_000),
        ],
        "memory": {"own_bytes_before": 1, "own_bytes_filled": 2, "own_bytes_peak": 30_000_000, "entries": keys, "bytes_per_entry": 28.5},
        "restore": {"first_ms": 1.5, "all_ms": 20.0, "bytes": 1_000_000},
        "rescale": [{"from": 1, "to": 2, "first_ms": 2.5, "all_ms": 30.0}],
        "timeline": {
            "bucket_ms": 25,
            "points": [
                {"at_ms": 0, "count": 3, "p50_us": 0.1, "p99_us": 0.5, "max_us": 3.0},
                {"at_ms": 25, "count": 3, "p50_us": 0.1, "p99_us": 7.0, "max_us": 90.0},
                {"at_ms": 50, "count": 3, "p50_us": 0.1, "p99_us": 1.0, "max_us": 9.0},
            ],
            "snapshots": [{"kind": "full", "from_ms": 20, "to_ms": 30}],
        },
        "a-name-of-tomorrow": {"x": 1},
    })
    .to_string()
}

const RATIO: &str = r#"{"name": "fs.x", "unit": "x", "median": 1.6, "min": 1.5, "max": 1.7, "bar": 1.3, "goal": 1.1, "sense": "at-most", "ok": false}"#;
const FLINK: &str = r#"{"operation": "valueGet", "flink": "heap", "alluvium": "memory", "unit": "op/s", "flink_median": 4000000, "alluvium_median": 16000000, "median": 4.0, "min": 3.9, "max": 4.1, "bar": 3.0, "sense": "at-least", "ok": true}"#;

fn everything() -> Input {
    let lines = [
        ENVIRONMENT.to_owned(),
        played("value.update", "memory", 1000, 3e6),
        played("value.update", "memory", 1000, 5e6),
        played("value.update", "memory", 1000, 4e6),
        played("value.update", "redb", 1000, 2e5),
        played("value.update", "memory", 100_000, 2e6),
        String::new(),
        RATIO.to_owned(),
        FLINK.to_owned(),
    ];
    let mut input = Input::default();
    input.take("run.jsonl", &lines.join("\n")).unwrap();
    input
}

fn html(input: &Input) -> String {
    let files = ["run.jsonl".to_owned()];
    let head = html::Head { environments: &input.environments, files: &files };
    html::page(&head, &Story::of(input).sections())
}

#[test]
fn a_page_has_everything_that_was_measured() {
    let page = html(&everything());
    for part in [
        "A &lt;b&gt;fast&lt;/b&gt; one",
        "24.0 GB",
        "value.update, memory: 4.00 M",
        "value.update, redb: 200 k",
        "<td class=\"n best\">4.00 M</td>",
        "<td class=\"n bad\">falls short</td>",
        "<td class=\"n good\">reached</td>",
        "28.5 B",
        "1 to 2",
        "class=\"shade\"",
        "10 %",
        "memory: 2 M at 100 k",
        "run.jsonl",
    ] {
        assert!(page.contains(part), "{part} is not in the page");
    }
    assert!(!page.contains("Not measured in this run") && !page.contains("<script"));
    assert!(!page.replace("http://www.w3.org/2000/svg", "").contains("http"), "it needs a network");
    assert_eq!(page, html(&everything()), "the same lines yield the same bytes");
}

#[test]
fn what_was_not_measured_is_left_out_and_named() {
    let mut input = Input::default();
    input.take("r", RATIO).unwrap();
    let page = html(&input);
    assert!(page.contains("id=\"ratios\"") && !page.contains("id=\"throughput\""));
    assert!(page.contains("<li>Throughput by workload: needs <code>workloads --json</code></li>"));
    assert!(page.contains("do not tell where they were measured"));
}

#[test]
fn commands_of_one_machine_stand_together() {
    let mut input = everything();
    let other = ENVIRONMENT.replace("workloads --json", "ratios --json");
    input.take("r", &[&*other, ENVIRONMENT, &other].join("\n")).unwrap();
    let commands: Vec<&str> = input.environments[0].iter().take(2).map(|one| &*one.1).collect();
    assert_eq!(
        (input.environments.len(), commands),
        (1, vec!["workloads --json", "ratios --json"])
    );
    input.take("r", &ENVIRONMENT.replace("1.95", "1.96")).unwrap();
    assert_eq!(input.environments.len(), 2);
}

#[test]
fn text_of_the_files_is_never_markup() {
    let evil = "\"><script>alert(1)</script>|`*";
    let mut input = Input::default();
    let line = played("w", "b", 1, 1.0).replace("\"w\"", &serde_json::json!(evil).to_string());
    input.take("r", &line).unwrap();
    let sections = Story::of(&input).sections();
    assert!(!html(&input).contains("<script"));
    let part = markdown::part(&input.environments, &sections, "plots");
    assert!(!part.text.contains("<script") && part.text.contains("\\|\\`\\*"));
    assert!(
        part.plots
            .iter()
            .all(|(file, svg)| !file.contains(['/', '"', '<']) && !svg.contains("<script"))
    );
}

#[test]
fn bad_lines_are_told_by_file_and_line() {
    let good = played("w", "b", 1, 1.0);
    let cut = &good[..good.len() / 2];
    for (line, wanted) in [
        ("hello", "f:2: this is no JSON"),
        (cut, "f:2: this is no JSON: EOF"),
        ("[1]", "f:2: the line must be an object, not a list"),
        ("{\"x\": 1}", "f:2: it is of none of workloads --json"),
        (
            &good.replace("\"per_s\":1.0", "\"per_s\":\"fast\""),
            "f:2: run.per_s must be a number from 0, not a string",
        ),
        (
            &good.replace("\"per_s\":1.0", "\"per_s\":-1"),
            "f:2: run.per_s must be a number from 0, not a number like this",
        ),
        (&good.replace("\"sync_ms\"", "\"other\""), "f:2: snapshots[0].sync_ms is missing"),
        (
            &good.replace("\"rescale\":[", "\"rescale\":3,\"y\":["),
            "f:2: rescale must be a list, not a number",
        ),
        (&RATIO.replace("1.5", "null"), "f:2: min is missing"),
        ("{\"environment\": {\"cpu\": {}}}", "f:2: environment.cpu must be a text, not an object"),
    ] {
        let error =
            Input::default().take("f", &format!("{good}\n{line}\n")).unwrap_err().to_string();
        assert!(error.starts_with(wanted), "{line}: {error}");
    }
}

#[test]
fn markdown_takes_the_place_of_what_was_there() {
    let sections = Story::of(&everything()).sections();
    let part = markdown::part(&everything().environments, &sections, "plots");
    assert!(part.text.contains("### Throughput by workload\n"));
    assert!(part.text.contains("![Throughput by workload](plots/throughput-states.svg)"));
    assert!(part.text.contains("| fs.x | 1.60 | 1.50 | 1.70 | x | 1.3 | 1.1 | **falls short** |"));
    assert!(
        part.plots
            .iter()
            .any(|(file, svg)| file == "throughput-states.svg" && svg.contains("<style>"))
    );
    let [begin, end] = markdown::MARKS;
    let text = format!("a\n{begin}\nold\n{end}\nb\n");
    let new = markdown::replace(&text, "new\n").unwrap();
    assert_eq!(new, format!("a\n{begin}\nnew\n{end}\nb\n"));
    for bad in ["a", begin, &format!("{end}{begin}"), &format!("{text}{text}")] {
        assert!(markdown::replace(bad, "new").is_err(), "{bad}");
    }
}

#[test]
fn a_small_drawing_is_what_it_was() {
    let series = vec![Series { name: "memory".to_owned(), number: 0, ring: false }];
    let bars = Bars {
        title: "a & b".to_owned(),
        unit: "bytes".to_owned(),
        tick: text::bytes_tick,
        value: text::bytes,
        series,
        rows: vec![("first".to_owned(), vec![(0, 40.0)])],
    };
    assert_eq!(bars.draw().within_page(), include_str!("golden.svg").trim_end());
}

#[test]
fn command_lines_ask_for_what_there_is() {
    let words = |text: &str| parse(text.split_whitespace().map(str::to_owned));
    assert!(words("--help").unwrap().is_none());
    let arguments = words("a b --html h --markdown m").unwrap().unwrap();
    assert_eq!(
        (arguments.files.len(), arguments.html, arguments.markdown),
        (2, Some("h".into()), Some("m".into()))
    );
    for bad in ["", "a", "--html h", "a --html", "a --html h --fast"] {
        assert!(words(bad).is_err(), "{bad}");
    }
}

#[test]
fn files_are_read_and_written_or_nothing_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("good"), format!("{ENVIRONMENT}\n{}\n", played("value.update", "fs", 9, 1e6)))
        .unwrap();
    fs::write(path("bad"), format!("{ENVIRONMENT}\n{{\n")).unwrap();
    fs::write(path("empty"), "\n").unwrap();
    fs::write(path("page.md"), format!("x\n{}\n{}\n", markdown::MARKS[0], markdown::MARKS[1]))
        .unwrap();
    let with = |name: &str| Arguments {
        files: vec![path(name)],
        html: Some(path("out.html")),
        markdown: Some(path("page.md")),
    };
    assert!(read(&[path("bad")]).unwrap_err().contains("bad:2: this is no JSON"));
    assert!(read(&[path("empty")]).unwrap_err().contains("no lines"));
    assert!(read(&[path("none")]).unwrap_err().contains("none: "));
    let input = read(&[path("good")]).unwrap();
    assert_eq!(write(&with("good"), &input).unwrap().len(), 2);
    let page = fs::read_to_string(path("page.md")).unwrap();
    let link = "plots/throughput-states.svg";
    assert!(page.contains(link) && path(link).exists());
    assert!(fs::read_to_string(path("out.html")).unwrap().ends_with("</html>\n"));
}
