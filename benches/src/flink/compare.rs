//! Ratios of what both sides printed, round by round.
//!
//! A directory has one directory per round, and in each a file per side: `flink-heap.jsonl` and `flink-rocksdb.jsonl`
//! beside `memory.jsonl`, `fs.jsonl` and `rocksdb.jsonl`. Where Flink did an operation several times in a round, with
//! several collectors and with and without compression, its best counts.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::Outcome;
use crate::row::{Bar, Row};

/// Backends that are compared: Flink's, ours, and what an operation must reach.
const PAIRS: [(&str, &str, Bar); 3] = [
    ("heap", "memory", Bar::AtLeast(3.0, 5.0)),
    ("heap", "fs", Bar::None),
    ("rocksdb", "rocksdb", Bar::AtLeast(1.5, 3.0)),
];

/// A figure of one side.
#[derive(Clone, Debug, PartialEq)]
struct Figure {
    operation: String,
    unit: &'static str,
    /// What the state held after it was filled.
    filled: Option<String>,
    value: f64,
}

impl Figure {
    /// Whether more is better.
    fn is_rate(&self) -> bool {
        self.unit.ends_with("/s")
    }
}

/// One operation beside Flink.
#[derive(Clone, Debug)]
pub struct Compared {
    flink: &'static str,
    alluvium: &'static str,
    unit: &'static str,
    figures: [f64; 2],
    /// How many times better ours is.
    pub row: Row,
}

/// The figures of a line; none of lines of other kinds.
fn figures(line: &Value) -> Vec<Figure> {
    let text = |name: &str| line.get(name).and_then(Value::as_str).unwrap_or_default();
    let number = |name: &str| line.get(name).and_then(Value::as_f64);
    let operation = text("op");
    let filled = line.get("filled").and_then(Value::as_str).map(str::to_owned);
    let figure = |end: &str, unit, value: Option<f64>| {
        let (operation, filled) = (format!("{operation}{end}"), filled.clone());
        value.map(|value| Figure { operation, unit, filled, value })
    };
    let found = match text("kind") {
        "throughput" if operation.starts_with("mapIterate") => {
            vec![figure("", "entries/s", number("median"))]
        }
        "throughput" => vec![figure("", "op/s", number("median"))],
        "snapshot" => {
            let (sync, beside) = (number("sync_ms_median"), number("async_ms_median"));
            let both = sync.zip(beside).map(|(sync, beside)| sync + beside);
            vec![
                figure(", synchronous", "ms", sync),
                figure(", both phases", "ms", both),
                figure(", written", "bytes", number("bytes_written")),
            ]
        }
        "updates-during-snapshot" => {
            vec![figure(", during", "op/s", number("during_ops_s_median"))]
        }
        "restore" => {
            let halves = number("subtask0_ms_median").zip(number("subtask1_ms_median"));
            let halves = halves.map(|(first, second)| first + second);
            vec![figure("", "ms", number("ms_median").or(halves))]
        }
        "memory" => {
            let entry = number("bytes_per_entry").or(number("live_heap_bytes_per_entry"));
            vec![figure(", per entry", "bytes", entry)]
        }
        _ => Vec::new(),
    };
    found.into_iter().flatten().filter(|figure| figure.value > 0.0).collect()
}

/// The best figure of each operation in a file.
fn read(path: &Path) -> Outcome<Vec<Figure>> {
    let about = |error: &dyn fmt::Display| format!("{}: {error}", path.display());
    let text = fs::read_to_string(path).map_err(|error| about(&error))?;
    let mut best: Vec<Figure> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line: Value = serde_json::from_str(line)
            .map_err(|error| format!("{}:{}: {error}", path.display(), index + 1))?;
        for figure in figures(&line) {
            match best.iter_mut().find(|known| known.operation == figure.operation) {
                None => best.push(figure),
                Some(known) if known.filled != figure.filled => {
                    return Err(
                        about(&format!("{} held different states", figure.operation)).into()
                    );
                }
                Some(known) if (figure.value > known.value) == figure.is_rate() => *known = figure,
                Some(_) => {}
            }
        }
    }
    Ok(best)
}

/// Compares all rounds below a directory.
///
/// # Errors
/// Where files are missing or malformed, and where the sides did different work.
pub fn directory(path: &Path) -> Outcome<Vec<Compared>> {
    let about = |error: &dyn fmt::Display| format!("{}: {error}", path.display());
    let mut rounds: Vec<PathBuf> = fs::read_dir(path)
        .map_err(|error| about(&error))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.is_dir())
        .collect();
    rounds.sort();
    let mut compared = Vec::new();
    for (flink, alluvium, bar) in PAIRS {
        let mut of_rounds = Vec::new();
        for round in &rounds {
            let theirs = round.join(format!("flink-{flink}.jsonl"));
            let ours = round.join(format!("{alluvium}.jsonl"));
            if theirs.exists() && ours.exists() {
                of_rounds.push((read(&theirs)?, read(&ours)?));
            }
        }
        compare((flink, alluvium, bar), &of_rounds, &mut compared)?;
    }
    if compared.is_empty() {
        return Err(about(&"there are no rounds with both sides").into());
    }
    Ok(compared)
}

fn compare(
    (flink, alluvium, bar): (&'static str, &'static str, Bar),
    rounds: &[(Vec<Figure>, Vec<Figure>)],
    compared: &mut Vec<Compared>,
) -> Outcome<()> {
    // Turns may be of different workloads.
    let mut all: Vec<&Figure> = Vec::new();
    for figure in rounds.iter().flat_map(|(_, ours)| ours) {
        if all.iter().all(|known| known.operation != figure.operation) {
            all.push(figure);
        }
    }
    for ours in all {
        // What one side does in two ways is compared with the one way of the other.
        let (theirs, way) = ours.operation.split_once('/').unwrap_or((&ours.operation, ""));
        let (mut ratios, mut figures) = (Vec::new(), [Vec::new(), Vec::new()]);
        for (flink, alluvium) in rounds {
            let of = |side: &[Figure], name: &str| {
                side.iter().find(|one| one.operation == name).cloned()
            };
            let (Some(theirs), Some(ours)) = (of(flink, theirs), of(alluvium, &ours.operation))
            else {
                continue;
            };
            if theirs.filled.is_some() && ours.filled.is_some() && theirs.filled != ours.filled {
                let name = &ours.operation;
                return Err(format!("{name}: the sides were filled with different states").into());
            }
            let ratio = ours.value / theirs.value;
            ratios.push(if ours.is_rate() { ratio } else { 1.0 / ratio });
            figures[0].push(theirs.value);
            figures[1].push(ours.value);
        }
        if ratios.is_empty() {
            continue;
        }
        let is_access = ours.is_rate() && !ours.operation.ends_with("during") && way.is_empty();
        let bar = if is_access { bar } else { Bar::None };
        let [theirs, own] = figures.map(|values| Row::note("", "", values).median);
        let row = Row::new(ours.operation.clone(), "x", bar, ratios);
        compared.push(Compared { flink, alluvium, unit: ours.unit, figures: [theirs, own], row });
    }
    Ok(())
}

impl Compared {
    /// The heading over what `Display` prints.
    pub fn heading() -> String {
        format!("{:<9} {:>14} {:>14}  {}", "ours", "Flink", "Alluvium", Row::heading())
    }

    /// As one JSON object.
    pub fn to_json(&self) -> String {
        let Self { flink, alluvium, unit, figures: [theirs, ours], row } = self;
        json!({
            "operation": row.name, "flink": flink, "alluvium": alluvium, "unit": unit,
            "flink_median": theirs, "alluvium_median": ours,
            "median": row.median, "min": row.min, "max": row.max,
            "bar": row.bar, "goal": row.goal, "sense": row.sense, "ok": row.ok,
        })
        .to_string()
    }
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { alluvium, unit, figures, row, .. } = self;
        let [theirs, ours] = figures.map(|value| match *unit {
            "ms" => crate::report::text::milliseconds(value),
            "bytes" => crate::report::text::bytes(value),
            _ => format!("{}/s", crate::report::text::count(value)),
        });
        write!(f, "{alluvium:<9} {theirs:>14} {ours:>14}  {row}")
    }
}
