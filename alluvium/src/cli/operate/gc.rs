//! `alluvium gc`.
//!
//! # A job that is running
//! `alluvium run` holds the lock of its directory. Removing takes the same lock, so that no run starts
//! meanwhile; where a run has it, removing is refused unless what is younger than
//! [`LEAST_WHILE_RUNNING`] stays; the same holds in object stores and HDFS, where there are no locks. Runtimes
//! that take no lock are protected by the age floor alone.

use std::time::Duration;

use alluvium_checkpoint::{OrphanOptions, Orphans, collect_orphans};
use alluvium_state_api::clock::SystemClock;
use serde_json::json;

use super::{failed, refused};
use crate::cli::args::GcArgs;
use crate::cli::directory::Directory;
use crate::cli::failure::Failure;
use crate::cli::print;
use crate::cli::table::{grouped, size};
use crate::job::{JobError, Lock};

/// The age floor below which nothing is removed under a running job: longer than a checkpoint takes
/// unless its timeout, 10 minutes by default, was raised above this.
const LEAST_WHILE_RUNNING: Duration = Duration::from_hours(1);

/// So many names are shown to people.
const SHOWN: usize = 20;

/// Finds what nothing refers to in a job's directory, and removes it if asked to.
///
/// # Errors
/// Why the directory cannot be searched, or something not be removed; that a checkpoint cannot be read.
pub(in crate::cli) fn gc(args: &GcArgs) -> Result<(), Failure> {
    let settings = args.storage.settings()?;
    let dir = &Directory::of(&args.dir, &settings).map_err(|error| refused(&error))?;
    check(dir)?;
    let storage = dir.open(args.savepoint_dir.as_deref()).map_err(|error| refused(&error))?;
    let mut options = OrphanOptions { dry_run: !args.delete, ..OrphanOptions::default() };
    options.min_age = args.min_age.unwrap_or(options.min_age);
    let lock = if args.delete { lock(dir, options.min_age)? } else { None };
    let found = collect_orphans(&storage, &SystemClock::new(), options);
    drop(lock);
    let found = found.map_err(|error| failed(&error))?;
    if args.json {
        print::text(&format!("{}\n", to_json(dir, &found, options)))?;
    } else {
        print::text(&render(dir, &found, options))?;
    }
    if found.unreadable.is_empty() { Ok(()) } else { Err(Failure::reported()) }
}

/// Refuses everything but the directory of a job, and says what it is instead.
fn check(dir: &Directory) -> Result<(), Failure> {
    let found = dir.look().map_err(|error| refused(&error))?;
    let refuse = |what: &str| Err(Failure::usage(format!("{dir}: {what}")));
    if found.is_checkpoint {
        return refuse(
            "this is one checkpoint or savepoint, and `gc` needs the directory of a job; savepoints \
             are removed with `alluvium dispose`",
        );
    }
    if found.is_job {
        return Ok(());
    }
    match found.jobs.first() {
        Some(one) => refuse(&format!(
            "this directory has {} jobs in it; name one of them, such as {}",
            found.jobs.len(),
            dir.job(one)
        )),
        None => refuse("there is no job here: neither checkpoints (chk-<n>) nor shared/"),
    }
}

/// The job's lock; `None` where there is none to have, as in an object store or HDFS, or a running job has
/// it, and what is young stays.
fn lock(dir: &Directory, min_age: Duration) -> Result<Option<Lock>, Failure> {
    let Some(files) = dir.files().filter(|files| !files.is_remote()) else {
        return check_age(dir, min_age);
    };
    match Lock::take(&*files.file_system, &files.path) {
        Ok(lock) => Ok(lock),
        Err(JobError::Busy(_)) if min_age >= LEAST_WHILE_RUNNING => Ok(None),
        Err(JobError::Busy(_)) => Err(Failure::usage(format!(
            "{dir}: a process runs this job, and what is younger than 1h may be part of a checkpoint \
             under way; wait for its end, or use --min-age 1h or more; nothing was removed"
        ))),
        Err(error) => Err(error.into()),
    }
}

/// Where there are no locks, a job may be running.
fn check_age(dir: &Directory, min_age: Duration) -> Result<Option<Lock>, Failure> {
    if min_age >= LEAST_WHILE_RUNNING {
        return Ok(None);
    }
    Err(Failure::usage(format!(
        "{dir}: nobody can tell whether a process runs this job, and what is younger than 1h may be \
         part of a checkpoint under way; use --min-age 1h or more; nothing was removed"
    )))
}

fn render(dir: &Directory, found: &Orphans, options: OrphanOptions) -> String {
    let mut lines = vec![format!("job in {dir}"), String::new()];
    let checkpoints = found.checkpoints.iter().map(|id| format!("  chk-{id} (never completed)"));
    let savepoints = found.savepoints.iter().map(|one| format!("  {one} (never completed)"));
    let shared = found.shared.iter().map(|name| format!("  shared/{}", name.as_str()));
    let strays = found.strays.iter().map(|stray| format!("  {stray}"));
    lines.extend(checkpoints.chain(savepoints).chain(shared).chain(strays).take(SHOWN));
    let all = found.len();
    if all > SHOWN {
        lines.push(format!("  and {} more; --json lists all", grouped((all - SHOWN) as u64)));
    }
    let unreadable = found.unreadable.iter();
    lines.extend(unreadable.map(|id| {
        format!("  chk-{id} CANNOT BE READ: shared files may be part of it, and all of them stay")
    }));
    let what = format!(
        "{} checkpoints and {} savepoints that were never completed, {} shared files, {} others; {} \
         files, {}",
        grouped(found.checkpoints.len() as u64),
        grouped(found.savepoints.len() as u64),
        grouped(found.shared.len() as u64),
        grouped(found.strays.len() as u64),
        grouped(found.files as u64),
        size(found.bytes)
    );
    lines.push(match (all, options.dry_run) {
        (0, _) => "nothing was left behind".to_owned(),
        (_, true) => format!("{what}; --delete removes them"),
        (_, false) => format!("removed: {what}"),
    });
    if found.too_young > 0 {
        lines.push(format!(
            "{} more files are too young to tell, see --min-age",
            grouped(found.too_young as u64)
        ));
    }
    lines.join("\n") + "\n"
}

fn to_json(dir: &Directory, found: &Orphans, options: OrphanOptions) -> serde_json::Value {
    let checkpoints = found.checkpoints.iter().map(|id| id.get());
    let shared = found.shared.iter().map(|name| name.as_str().to_owned());
    let unreadable = found.unreadable.iter().map(|id| id.get());
    json!({
        "path": dir.to_string(),
        "deleted": !options.dry_run,
        "min_age_s": options.min_age.as_secs_f64(),
        "checkpoints": checkpoints.collect::<Vec<_>>(),
        "savepoints": found.savepoints,
        "shared": shared.collect::<Vec<_>>(),
        "strays": found.strays.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "files": found.files,
        "bytes": found.bytes,
        "too_young": found.too_young,
        "unreadable": unreadable.collect::<Vec<_>>(),
    })
}
