//! `alluvium checkpoints`: the checkpoints of the jobs in a directory, and what they cost.

use std::ffi::OsStr;
use std::path::Path;

use alluvium_checkpoint::{CheckpointRecord, Figures, History, Spread, Summary};
use alluvium_state_api::settings::Settings;
use alluvium_state_api::snapshot::SnapshotKind;
use serde_json::{Value, json};

use super::args::ListArgs;
use super::directory::Directory;
use super::failure::{Failure, chain};
use super::operate::refused;
use super::print;
use super::table::{Table, grouped, millis, size, utc};

/// Lists the checkpoints of a job, or of every job in a directory.
///
/// # Errors
/// Why the directory could not be read, or that some checkpoint cannot be.
pub(super) fn list(args: &ListArgs) -> Result<(), Failure> {
    let mut histories = Vec::new();
    for job in jobs(&args.dir, &args.settings()?)? {
        let name = job.last();
        let mut history = job
            .open(None)
            .and_then(|storage| History::read(&*storage))
            .map_err(|error| refused(&error))?;
        // Those of other jobs whose names begin alike lie beside them.
        history.savepoints.retain(|savepoint| *savepoint.job == *name);
        histories.push((name, job, history));
    }
    let damaged = histories.iter().any(|(_, _, history)| {
        !history.unreadable.is_empty() || !history.unreadable_savepoints.is_empty()
    });
    if args.json {
        let jobs: Vec<Value> =
            histories.iter().map(|(name, path, found)| job_json(name, path, found, args)).collect();
        print::text(&format!("{}\n", json!({ "jobs": jobs })))?;
    } else {
        let texts: Vec<String> =
            histories.iter().map(|(name, path, found)| render(name, path, found, args)).collect();
        print::text(&texts.join("\n"))?;
    }
    if damaged { Err(Failure::reported()) } else { Ok(()) }
}

/// The places of the jobs that are meant.
fn jobs(dir: &OsStr, settings: &Settings) -> Result<Vec<Directory>, Failure> {
    let dir = Directory::of(dir, settings).map_err(|error| refused(&error))?;
    let found = dir.look().map_err(|error| refused(&error))?;
    let refuse = |what: &str| Err(Failure::usage(format!("{dir}: {what}")));
    if found.is_checkpoint {
        return refuse(
            "this is one checkpoint or savepoint; give the directory of its job, or check it with \
             `alluvium verify`",
        );
    }
    if found.is_job {
        return Ok(vec![dir]);
    }
    match dir.files() {
        None => refuse(
            "there is no job here; in an object store, give the URL of one job: that of \
             --checkpoint-dir and the job's name",
        ),
        Some(_) if found.jobs.is_empty() => refuse(
            "there is no job here: neither checkpoints (chk-<n>) nor directories of jobs; check the \
             path",
        ),
        Some(_) => Ok(found.jobs.iter().map(|name| dir.job(name)).collect()),
    }
}

const fn form_name(form: Option<SnapshotKind>) -> &'static str {
    match form {
        Some(SnapshotKind::Full) => "full",
        Some(SnapshotKind::Incremental) => "incremental",
        Some(SnapshotKind::Canonical) => "canonical",
        Some(_) => "other",
        None => "stateless",
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people; exact below 2^53 microseconds")]
fn ms(micros: u64) -> f64 {
    micros as f64 / 1e3
}

/// What a checkpoint, or a part of one, consists of.
fn content(
    first: String,
    time: String,
    form: Option<SnapshotKind>,
    figures: &Figures,
    files: usize,
) -> [String; 7] {
    [
        first,
        form_name(form).to_owned(),
        time,
        size(figures.bytes_new),
        size(figures.bytes_full),
        grouped(figures.entries),
        files.to_string(),
    ]
}

/// How long it took.
fn times(first: String, figures: &Figures) -> [String; 5] {
    let Figures { duration_us, start_delay_us, sync_us, async_us, .. } = *figures;
    let [took, delay, sync, async_part] =
        [duration_us, start_delay_us, sync_us, async_us].map(|micros| millis(ms(micros)));
    [first, took, delay, sync, async_part]
}

fn render(name: &str, path: &Directory, found: &History, args: &ListArgs) -> String {
    let (mut contents, mut durations) = (Table::default(), Table::default());
    contents.row(["id", "kind", "triggered (UTC)", "new", "full", "entries", "files"]);
    durations.row(["id", "took", "delay", "sync", "async"]);
    for one in &found.checkpoints {
        let (id, time) = (one.id.to_string(), utc(one.time_ms));
        contents.row(content(id.clone(), time, one.form, &one.figures, one.files.total()));
        durations.row(times(id, &one.figures));
        for part in one.subtasks.iter().filter(|_| args.subtasks) {
            let first = format!("  {}/{}", part.operator, part.index);
            let (files, none) = (part.files.total(), String::new());
            contents.row(content(first.clone(), none, part.form, &part.figures, files));
            durations.row(times(first, &part.figures));
        }
    }
    let mut lines = vec![format!("job {name} in {path}"), String::new()];
    if found.checkpoints.is_empty() {
        lines.push("  no complete checkpoint".to_owned());
    } else {
        lines.extend([contents.render(), durations.render()]);
    }
    for (what, summary) in [("checkpoints", found.summary()), ("subtasks", found.subtask_summary())]
    {
        lines.extend(summary.map(|summary| render_summary(what, &summary)));
    }
    let open = found.incomplete.iter();
    lines.extend(open.map(|place| {
        format!("  {} is incomplete: under way, or left behind by a crash", place.id)
    }));
    let unreadable = found.unreadable.iter();
    lines.extend(unreadable.map(|(id, error)| format!("  {id} CANNOT BE READ: {}", chain(error))));
    lines.extend(savepoints(found));
    lines.join("\n") + "\n"
}

/// The savepoints beside the job.
fn savepoints(found: &History) -> Vec<String> {
    let mut lines = Vec::new();
    if !found.savepoints.is_empty() {
        let mut table = Table::default();
        table.row(["savepoint", "kind", "triggered (UTC)", "new", "full", "entries", "files"]);
        for one in &found.savepoints {
            let place = Path::new(&one.pointer);
            let name = place.file_name().unwrap_or(place.as_os_str()).to_string_lossy();
            let (time, files) = (utc(one.time_ms), one.files.total());
            table.row(content(name.into_owned(), time, one.form, &one.figures, files));
        }
        lines.push(table.render());
    }
    let open = found.incomplete_savepoints.iter();
    lines.extend(open.map(|place| {
        format!("  {} is incomplete: under way, or left behind by a crash", place.pointer)
    }));
    let unreadable = found.unreadable_savepoints.iter();
    lines.extend(unreadable.map(|(at, error)| format!("  {at} CANNOT BE READ: {}", chain(error))));
    lines
}

fn render_summary(what: &str, summary: &Summary) -> String {
    let mut table = Table::default();
    table.row([format!("of {} {what}", summary.count).as_str(), "min", "avg", "p99", "max"]);
    let time = |value| millis(ms(value));
    for (name, spread, show) in [
        ("took", summary.duration_us, &time as &dyn Fn(u64) -> String),
        ("delay", summary.start_delay_us, &time),
        ("sync", summary.sync_us, &time),
        ("async", summary.async_us, &time),
        ("new", summary.bytes_new, &size),
        ("full", summary.bytes_full, &size),
        ("entries", summary.entries, &grouped),
    ] {
        let Spread { min, avg, max, p99 } = spread;
        table.row([name.to_owned(), show(min), show(avg), show(p99), show(max)]);
    }
    table.render()
}

fn figures_json(figures: &Figures) -> Value {
    json!({
        "duration_ms": ms(figures.duration_us),
        "start_delay_ms": ms(figures.start_delay_us),
        "sync_ms": ms(figures.sync_us),
        "async_ms": ms(figures.async_us),
        "bytes_new": figures.bytes_new,
        "bytes_full": figures.bytes_full,
        "entries": figures.entries,
    })
}

fn checkpoint_json(one: &CheckpointRecord, args: &ListArgs) -> Value {
    let subtasks = one.subtasks.iter().filter(|_| args.subtasks).map(|subtask| {
        json!({
            "operator": subtask.operator,
            "subtask": subtask.index,
            "figures": figures_json(&subtask.figures),
        })
    });
    json!({
        "id": one.id.get(),
        "kind": form_name(one.form),
        "job": one.job,
        "path": one.pointer,
        "time_ms": one.time_ms,
        "time": utc(one.time_ms),
        "figures": figures_json(&one.figures),
        "entries_exact": one.entries_exact,
        "files": one.files.total(),
        "subtasks": subtasks.collect::<Vec<_>>(),
    })
}

fn summary_json(summary: &Summary) -> Value {
    let number = |spread: Spread| json!({ "min": spread.min, "avg": spread.avg, "max": spread.max, "p99": spread.p99 });
    let time = |spread: Spread| {
        let [min, avg, max, p99] = [spread.min, spread.avg, spread.max, spread.p99].map(ms);
        json!({ "min": min, "avg": avg, "max": max, "p99": p99 })
    };
    json!({
        "count": summary.count,
        "duration_ms": time(summary.duration_us),
        "start_delay_ms": time(summary.start_delay_us),
        "sync_ms": time(summary.sync_us),
        "async_ms": time(summary.async_us),
        "bytes_new": number(summary.bytes_new),
        "bytes_full": number(summary.bytes_full),
        "entries": number(summary.entries),
    })
}

fn job_json(name: &str, path: &Directory, found: &History, args: &ListArgs) -> Value {
    let checkpoints = found.checkpoints.iter().map(|one| checkpoint_json(one, args));
    let incomplete = found.incomplete.iter().map(|place| place.id.get());
    let unreadable = found.unreadable.iter();
    json!({
        "job": name,
        "path": path.to_string(),
        "checkpoints": checkpoints.collect::<Vec<_>>(),
        "incomplete": incomplete.collect::<Vec<_>>(),
        "unreadable": unreadable
            .map(|(id, error)| json!({ "id": id.get(), "error": chain(error) }))
            .collect::<Vec<_>>(),
        "savepoints": found
            .savepoints
            .iter()
            .map(|one| checkpoint_json(one, args))
            .collect::<Vec<_>>(),
        "incomplete_savepoints": found
            .incomplete_savepoints
            .iter()
            .map(|place| place.pointer.as_str())
            .collect::<Vec<_>>(),
        "unreadable_savepoints": found
            .unreadable_savepoints
            .iter()
            .map(|(pointer, error)| json!({ "path": pointer, "error": chain(error) }))
            .collect::<Vec<_>>(),
        "summary": found.summary().as_ref().map(summary_json),
        "subtask_summary": found.subtask_summary().as_ref().map(summary_json),
    })
}
