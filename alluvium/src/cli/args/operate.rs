//! The arguments of the commands that operate a job's checkpoints.

use std::ffi::OsString;
use std::time::Duration;

use alluvium_state_api::MaxParallelism;
use alluvium_state_api::settings::{Settings, parse_duration, parse_size};
use clap::{Args, Subcommand};

use crate::cli::failure::Failure;

/// How storages are opened.
#[derive(Clone, Debug, Default, Args)]
pub(in crate::cli) struct StorageArgs {
    /// A setting of the storage, such as s3.endpoint=HOST; repeatable. Credentials come from the
    /// environment
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
}

impl StorageArgs {
    /// The settings, checked.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(in crate::cli) fn settings(&self) -> Result<Settings, Failure> {
        checked(&self.settings)
    }
}

impl ListArgs {
    /// As [`StorageArgs::settings`].
    ///
    /// # Errors
    /// As there.
    pub(in crate::cli) fn settings(&self) -> Result<Settings, Failure> {
        checked(&self.settings)
    }
}

fn checked(assignments: &[String]) -> Result<Settings, Failure> {
    let parsed = Settings::from_assignments(assignments);
    let checked = parsed.and_then(|settings| settings.check_known(&[]).map(|()| settings));
    checked.map_err(|error| Failure::from_request(&error))
}

/// Without a subcommand the arguments are those of `list`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    disable_help_subcommand = true
)]
pub(in crate::cli) struct CheckpointsArgs {
    #[command(subcommand)]
    pub(in crate::cli) command: Option<CheckpointsCommand>,

    #[command(flatten)]
    pub(in crate::cli) list: Option<ListArgs>,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum CheckpointsCommand {
    /// List the complete checkpoints of a job, or of every job in a directory, with what each of them
    /// cost, and minimum, mean, 99th percentile (nearest rank) and maximum over
    /// the checkpoints of a job; and the savepoints that lie beside the job. `checkpoints DIR` does the same (write ./copy for a directory of that
    /// name).
    ///
    /// Exit status: 0 if all can be read, 1 if not, 2 if the request is wrong.
    List(ListArgs),
    /// Copy a checkpoint or savepoint out into a directory of its own that needs nothing else: it stays
    /// when the job deletes the original, may be moved, and can be restored from.
    ///
    /// Every file is compared with its checksum. An interrupted copy leaves files without _metadata,
    /// which nothing takes for a checkpoint; remove them.
    ///
    /// Exit status: 0 if the copy is complete, 1 if something failed, 2 if the request is wrong.
    Copy(CopyArgs),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ListArgs {
    /// The directory of a job, or one with directories of jobs in it, or the URL of a job in an object
    /// store
    #[arg(value_name = "DIR")]
    pub(in crate::cli) dir: OsString,

    // Not flattened: clap would not notice any more that the list was asked for.
    /// A setting of the storage, such as s3.endpoint=HOST; repeatable. Credentials come from the
    /// environment
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,

    /// Show the figures of each subtask, too
    #[arg(long)]
    pub(in crate::cli) subtasks: bool,

    /// Print one JSON object as the last line of standard output instead of tables
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct CopyArgs {
    /// A checkpoint or savepoint: its directory, or its _metadata file, as a path or URL
    #[arg(value_name = "POINTER")]
    pub(in crate::cli) pointer: String,

    /// The directory of the copy, as a path or URL: new or empty
    #[arg(value_name = "TARGET")]
    pub(in crate::cli) target: String,

    #[command(flatten)]
    pub(in crate::cli) storage: StorageArgs,

    /// Copy every file. Otherwise a file in the same file system gets a second name (a hard link), which
    /// takes no space, but shares damage to the medium
    #[arg(long)]
    pub(in crate::cli) no_links: bool,

    /// Print one JSON object as the last line of standard output instead of text
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum SavepointCommand {
    /// Write a checkpoint or savepoint as a savepoint with another number of key groups, which is the
    /// most subtasks that an operator can have.
    ///
    /// The result is canonical: it restores into every backend. Entries and digest of every state are
    /// compared with those of the original, which is only read.
    ///
    /// Exit status: 0 if the savepoint is complete, 1 if something failed, 2 if the request is wrong.
    Rehash(RehashArgs),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RehashArgs {
    /// A checkpoint or savepoint: its directory, or its _metadata file, as a path or URL
    #[arg(value_name = "POINTER")]
    pub(in crate::cli) pointer: String,

    /// The directory of the savepoint, as a path or URL: new or empty
    #[arg(value_name = "TARGET")]
    pub(in crate::cli) target: String,

    #[command(flatten)]
    pub(in crate::cli) storage: StorageArgs,

    /// The new number of key groups, 1 to 32768
    #[arg(long, value_name = "N", value_parser = groups)]
    pub(in crate::cli) max_parallelism: MaxParallelism,

    /// Memory to use, such as 512mb; with less of it, files are read more often [default: 256mb]
    #[arg(long, value_name = "SIZE", value_parser = memory)]
    pub(in crate::cli) memory: Option<u64>,

    /// An operator to rewrite, by uid; repeatable. Others are taken over as they are [default: all]
    #[arg(long = "uid", value_name = "UID")]
    pub(in crate::cli) uids: Vec<String>,

    /// Print one JSON object as the last line of standard output instead of text
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct GcArgs {
    /// The directory of one job, as a path or URL
    #[arg(value_name = "DIR")]
    pub(in crate::cli) dir: OsString,

    #[command(flatten)]
    pub(in crate::cli) storage: StorageArgs,

    /// Remove what is found instead of listing it
    #[arg(long)]
    pub(in crate::cli) delete: bool,

    /// Keep what was changed within this time: a number and a unit, such as 30min, 12h or 7d
    /// [default: 1d]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(in crate::cli) min_age: Option<Duration>,

    /// Where the job's savepoints go, to look for incomplete ones [default: the directory above DIR]
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) savepoint_dir: Option<OsString>,

    /// Print one JSON object as the last line of standard output instead of text
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct DisposeArgs {
    /// Savepoints: their directories, or their _metadata files, as paths or URLs
    #[arg(value_name = "POINTER", required = true)]
    pub(in crate::cli) pointers: Vec<String>,

    #[command(flatten)]
    pub(in crate::cli) storage: StorageArgs,

    /// Print one JSON object as the last line of standard output instead of text
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

fn groups(text: &str) -> Result<MaxParallelism, String> {
    let number = text.parse().ok().and_then(|number| MaxParallelism::new(number).ok());
    number.ok_or_else(|| {
        format!("a whole number from 1 to {} is needed, such as 256", MaxParallelism::LIMIT)
    })
}

fn memory(text: &str) -> Result<u64, String> {
    const LEAST: u64 = 1 << 20;
    match parse_size(text) {
        Some(bytes) if bytes >= LEAST => Ok(bytes),
        Some(_) => Err("at least 1mb is needed".to_owned()),
        None => Err("a whole number and a unit are needed, such as 512mb".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    // A number alone would be milliseconds, which nobody means here.
    let has_unit = text.ends_with(char::is_alphabetic);
    parse_duration(text)
        .filter(|_| has_unit)
        .ok_or_else(|| "a whole number and a unit are needed, such as 30min, 12h or 7d".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::super::Args;
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_command_that_was_meant_is_found() {
        let path = |words: &[&str]| Args::meant(words.iter().copied()).0;
        assert_eq!(path(&["checkpoints", "--json", "copy", "x"]), "alluvium checkpoints copy");
        assert_eq!(path(&["run", "--input", "verify"]), "alluvium run");
        assert_eq!(path(&["walk"]), "alluvium");
        assert_eq!(Args::meant(["savepoint"]).1, ["rehash"]);
    }

    #[test]
    fn quantities_need_units() {
        assert_eq!(duration("2 h"), Ok(Duration::from_hours(2)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for wrong in ["", "5", "h", "-1h", "1.5h", "2 moons"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!(memory("1mb"), Ok(1 << 20));
        for wrong in ["", "64", "lots", "1kb"] {
            assert!(memory(wrong).is_err(), "{wrong}");
        }
        assert!(groups("1").is_ok() && groups("0").is_err() && groups("32769").is_err());
    }
}
