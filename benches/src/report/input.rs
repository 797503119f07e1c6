//! What a report is made from: the JSON lines of `workloads`, `ratios` and `flink`, in any mixture and order.
//!
//! Of which program a line is tell its names: `environment`, `workload` with `run`, `flink` with `alluvium`, or
//! `name` with `median`. Names that are not known here are passed over, so that the programs may add some; what is
//! missing is left out of the report, except what a line cannot do without.

use serde_json::Value;

use super::fields::{Fields, Malformed, Place, Read};

/// A machine and a build: headings, and what is told.
pub type Environment = Vec<(&'static str, String)>;

/// The heading of commands, of which there may be several.
pub const COMMAND: &str = "command";

/// Everything that was read.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// Machines, versions and commands, each once.
    pub environments: Vec<Environment>,
    /// Workloads that were played.
    pub played: Vec<Played>,
    /// Rows of `ratios`.
    pub ratios: Vec<Ratio>,
    /// Operations beside Flink.
    pub flink: Vec<Beside>,
}

/// What a workload was played with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shape {
    /// Keys that there are.
    pub keys: f64,
    /// All else, as a text.
    pub rest: String,
}

/// Latencies in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    /// The median.
    pub p50_us: f64,
    /// Of a hundred, one was longer.
    pub p99_us: f64,
    /// Of a thousand, one was longer.
    pub p999_us: f64,
    /// The longest.
    pub max_us: f64,
}

/// A snapshot that was taken.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// `full` or `incremental`.
    pub kind: String,
    /// How long the writer stood still, in milliseconds.
    pub sync_ms: f64,
    /// How long it took beside the writer, in milliseconds.
    pub async_ms: f64,
    /// Bytes that were written.
    pub bytes_new: f64,
    /// Bytes that it has.
    pub bytes_full: f64,
    /// Files that it refers to.
    pub files: f64,
    /// The share of the entries that had changed, where that was known.
    pub churn: Option<f64>,
    /// Accesses meanwhile.
    pub latency: Latency,
}

/// Latency over time.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// When, and the 99th of a hundred and the longest of that while, in milliseconds and microseconds.
    pub points: Vec<(f64, f64, f64)>,
    /// Snapshots: kind, begin and end.
    pub snapshots: Vec<(String, f64, f64)>,
}

/// A restore at another parallelism.
#[derive(Clone, Debug)]
pub struct Rescale {
    /// Subtasks before and after.
    pub change: String,
    /// Until the first right read, in milliseconds.
    pub first_ms: f64,
    /// Until nothing was left to do, in milliseconds.
    pub all_ms: f64,
}

/// A workload on a backend.
#[derive(Clone, Debug)]
pub struct Played {
    /// The workload's name.
    pub workload: String,
    /// The backend's name.
    pub backend: String,
    /// Whether the backend is not one of ours.
    pub peer: bool,
    /// What with.
    pub shape: Shape,
    /// Accesses per second that filled the state.
    pub fill_per_s: Option<f64>,
    /// Accesses per second.
    pub per_s: f64,
    /// Accesses while nothing else went on.
    pub latency: Latency,
    /// Accesses while something was merged or compacted.
    pub compacting: Option<Latency>,
    /// Snapshots, in their order.
    pub snapshots: Vec<Snapshot>,
    /// Bytes per entry.
    pub bytes_per_entry: Option<f64>,
    /// The most bytes of its own that the process had.
    pub peak_bytes: Option<f64>,
    /// A restore: until the first right read, until all was read, in milliseconds, and its bytes.
    pub restore: Option<(f64, f64, f64)>,
    /// Restores at another parallelism.
    pub rescale: Vec<Rescale>,
    /// Latency over time.
    pub timeline: Option<Timeline>,
}

/// A row of `ratios`.
#[derive(Clone, Debug)]
pub struct Ratio {
    /// Its name.
    pub name: String,
    /// `x`, or a unit.
    pub unit: String,
    /// Lowest, median and highest round.
    pub rounds: [f64; 3],
    /// What is to be reached, and where we are going.
    pub bounds: [Option<f64>; 2],
    /// `at-least`, `at-most` or `worst-below`; empty without a bar.
    pub sense: String,
    /// Whether it is reached.
    pub ok: bool,
}

/// An operation beside Flink.
#[derive(Clone, Debug)]
pub struct Beside {
    /// The operation.
    pub operation: String,
    /// Flink's backend.
    pub flink: String,
    /// Ours.
    pub alluvium: String,
    /// What is counted.
    pub unit: String,
    /// Flink's figure and ours, each a median.
    pub figures: [f64; 2],
    /// How many times better ours is.
    pub ratio: Ratio,
}

impl Input {
    /// Takes the lines of a file.
    ///
    /// # Errors
    /// The first line that is not as it should be.
    pub fn take(&mut self, file: &str, text: &str) -> Read<()> {
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let place = Place { file: file.to_owned(), line: index.saturating_add(1) };
            let value: Value = serde_json::from_str(line)
                .map_err(|error| Malformed::new(&place, format!("this is no JSON: {error}")))?;
            self.take_line(&Fields::of_line(&value, &place)?, &place)?;
        }
        Ok(())
    }

    /// Adds a machine and a build, or only the command, where all else is known.
    fn take_environment(&mut self, environment: Environment) {
        let rest = |one: &Environment| -> Environment {
            one.iter().filter(|(name, _)| *name != COMMAND).cloned().collect()
        };
        let mut known = self.environments.iter_mut();
        let Some(known) = known.find(|known| rest(known) == rest(&environment)) else {
            self.environments.push(environment);
            return;
        };
        let commands = environment.into_iter().filter(|(name, _)| *name == COMMAND);
        for command in commands.collect::<Vec<_>>() {
            if !known.contains(&command) {
                let after = known.iter().take_while(|(name, _)| *name == COMMAND).count();
                known.insert(after, command);
            }
        }
    }

    fn take_line(&mut self, line: &Fields<'_>, place: &Place) -> Read<()> {
        if line.has("environment") {
            self.take_environment(environment(&line.object("environment")?)?);
        } else if line.has("workload") && line.has("run") {
            self.played.push(played(line)?);
        } else if line.has("flink") && line.has("alluvium") {
            self.flink.push(beside(line)?);
        } else if line.has("name") && line.has("median") {
            self.ratios.push(ratio(line, line.text("name")?)?);
        } else {
            let known =
                "it is of none of workloads --json, ratios --json and scripts/bench-flink --json";
            return Err(Malformed::new(place, known));
        }
        Ok(())
    }
}

/// What is told of a machine and a build, with its heading; the command is the first.
const ENVIRONMENT: [(&str, &str); 11] = [
    ("command", COMMAND),
    ("date", "date"),
    ("version", "version"),
    ("commit", "commit"),
    ("features", "features"),
    ("cpu", "processor"),
    ("cores", "cores"),
    ("memory_bytes", "memory"),
    ("os", "system"),
    ("rustc", "compiler"),
    ("java", "Java"),
];

fn environment(fields: &Fields<'_>) -> Read<Environment> {
    let mut told = Vec::new();
    for (name, heading) in ENVIRONMENT {
        let text = match name {
            "memory_bytes" => {
                fields.maybe_number(name)?.map_or_else(String::new, super::text::bytes)
            }
            "command" => fields.joined(name, " ")?,
            _ => fields.shown(name)?,
        };
        if !text.is_empty() {
            told.push((heading, text));
        }
    }
    Ok(told)
}

fn played(line: &Fields<'_>) -> Read<Played> {
    let run = line.object("run")?;
    let fill_per_s = line.maybe_object("fill")?.map(|fill| -> Read<Option<f64>> {
        let (accesses, seconds) = (fill.number("accesses")?, fill.number("seconds")?);
        Ok((accesses > 0.0 && seconds > 0.0).then(|| accesses / seconds))
    });
    let memory = line.maybe_object("memory")?;
    let of_memory = |name| memory.as_ref().map_or(Ok(None), |memory| memory.maybe_number(name));
    let restore = line.maybe_object("restore")?;
    let restore = restore.map(|one| -> Read<_> {
        Ok((one.number("first_ms")?, one.number("all_ms")?, one.number("bytes")?))
    });
    Ok(Played {
        workload: line.text("workload")?,
        backend: line.text("backend")?,
        peer: line.flag("peer")? || line.text("backend")?.starts_with("peer:"),
        shape: line.maybe_object("shape")?.map_or_else(|| Ok(Shape::default()), |it| shape(&it))?,
        fill_per_s: fill_per_s.transpose()?.flatten(),
        per_s: run.number("per_s")?,
        latency: latency(&line.object("latency")?)?,
        compacting: line.maybe_object("latency_compacting")?.as_ref().map(latency).transpose()?,
        snapshots: line.objects("snapshots")?.iter().map(snapshot).collect::<Read<_>>()?,
        bytes_per_entry: of_memory("bytes_per_entry")?,
        peak_bytes: of_memory("own_bytes_peak")?,
        restore: restore.transpose()?,
        rescale: line.objects("rescale")?.iter().map(rescale).collect::<Read<_>>()?,
        timeline: line.maybe_object("timeline")?.as_ref().map(timeline).transpose()?,
    })
}

fn shape(fields: &Fields<'_>) -> Read<Shape> {
    let value = fields.shown("value_bytes")?;
    let key = fields.shown("key_bytes")?;
    let key = if key.is_empty() { "8".to_owned() } else { key };
    let draw = fields.shown("draw")?;
    let rest = format!("keys of {key} bytes, values of {value} bytes, {draw}");
    Ok(Shape { keys: fields.number("keys")?, rest })
}

fn latency(fields: &Fields<'_>) -> Read<Latency> {
    Ok(Latency {
        p50_us: fields.number("p50_us")?,
        p99_us: fields.number("p99_us")?,
        p999_us: fields.number("p999_us")?,
        max_us: fields.number("max_us")?,
    })
}

fn snapshot(fields: &Fields<'_>) -> Read<Snapshot> {
    Ok(Snapshot {
        kind: fields.text("kind")?,
        sync_ms: fields.number("sync_ms")?,
        async_ms: fields.number("async_ms")?,
        bytes_new: fields.number("bytes_new")?,
        bytes_full: fields.number("bytes_full")?,
        files: fields.number("files")?,
        churn: fields.maybe_number("churn")?,
        latency: latency(&fields.object("latency")?)?,
    })
}

fn rescale(fields: &Fields<'_>) -> Read<Rescale> {
    Ok(Rescale {
        change: format!("{} to {}", fields.shown("from")?, fields.shown("to")?),
        first_ms: fields.number("first_ms")?,
        all_ms: fields.number("all_ms")?,
    })
}

fn timeline(fields: &Fields<'_>) -> Read<Timeline> {
    let point = |point: &Fields<'_>| {
        Ok((point.number("at_ms")?, point.number("p99_us")?, point.number("max_us")?))
    };
    let window = |window: &Fields<'_>| {
        Ok((window.text("kind")?, window.number("from_ms")?, window.number("to_ms")?))
    };
    Ok(Timeline {
        points: fields.objects("points")?.iter().map(point).collect::<Read<_>>()?,
        snapshots: fields.objects("snapshots")?.iter().map(window).collect::<Read<_>>()?,
    })
}

fn ratio(line: &Fields<'_>, name: String) -> Read<Ratio> {
    let unit = line.shown("unit")?;
    Ok(Ratio {
        name,
        unit: if unit.is_empty() { "x".to_owned() } else { unit },
        rounds: [line.number("min")?, line.number("median")?, line.number("max")?],
        bounds: [line.maybe_number("bar")?, line.maybe_number("goal")?],
        sense: line.shown("sense")?,
        ok: line.flag("ok")?,
    })
}

fn beside(line: &Fields<'_>) -> Read<Beside> {
    let operation = line.text("operation")?;
    Ok(Beside {
        flink: line.text("flink")?,
        alluvium: line.text("alluvium")?,
        unit: line.text("unit")?,
        figures: [line.number("flink_median")?, line.number("alluvium_median")?],
        ratio: ratio(line, operation.clone())?,
        operation,
    })
}
