//! What can be written on the command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum};

mod operate;

use crate::job::{Mode, Point};
pub(super) use operate::{
    CheckpointsArgs, CheckpointsCommand, CopyArgs, DisposeArgs, GcArgs, ListArgs, RehashArgs,
    SavepointCommand, StorageArgs,
};

/// Pluggable state backends for stream processors.
#[derive(Debug, Parser)]
#[command(name = "alluvium", version, max_term_width = 100)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

impl Args {
    /// The command that `words` begin with, such as `alluvium checkpoints copy`, and the commands that
    /// there are below it.
    pub(super) fn meant<'w>(words: impl IntoIterator<Item = &'w str>) -> (String, Vec<String>) {
        let root = Self::command();
        let mut at = &root;
        let mut path = root.get_name().to_owned();
        for word in words {
            if let Some(next) = at.find_subcommand(word) {
                at = next;
                path.push(' ');
                path.push_str(word);
            }
        }
        (path, at.get_subcommands().map(|command| command.get_name().to_owned()).collect())
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a keyed streaming job over real records, with checkpoints, a crash, a recovery and a
    /// rescale, and compare every key of every state with an independent recomputation.
    ///
    /// Exit status: 0 if nothing differs, 1 if something does or the run fails, 2 if the request is
    /// wrong, 130 or 143 if it was interrupted.
    Run(Box<RunArgs>),
    /// Check every checksum, count and digest of a checkpoint or savepoint.
    ///
    /// Exit status: 0 if all are right, 1 if not, 2 if the request is wrong.
    Verify(VerifyArgs),
    /// List checkpoints with what each of them cost, or copy one out.
    Checkpoints(CheckpointsArgs),
    /// Rewrite savepoints.
    #[command(subcommand, disable_help_subcommand = true)]
    Savepoint(SavepointCommand),
    /// Find what crashes left behind in the directory of a job, and remove it if asked to.
    ///
    /// That is: checkpoints and savepoints that were never completed, or half removed; shared files that
    /// no checkpoint names; files in complete ones that these do not name; drafts and probes.
    /// Incomplete savepoints are kept for an hour at least: their names do not tell for sure whose they are.
    ///
    /// Nothing that a checkpoint refers to is ever removed, and nothing is removed without --delete. If
    /// some checkpoint cannot be read, nobody knows which shared files it needs, and all of them stay.
    ///
    /// With --delete no `alluvium run` can start in this directory meanwhile. While one is running,
    /// what is younger than an hour has to stay: a checkpoint under way may be about to refer to it.
    /// Other runtimes cannot be seen: choose --min-age above the longest time that a checkpoint of
    /// theirs can take, or stop them first.
    ///
    /// Exit status: 0 if done, 1 if something failed or some checkpoint cannot be read, 2 if the request
    /// is wrong.
    Gc(GcArgs),
    /// Remove savepoints and copies of checkpoints: the metadata, then the files that it names, and nothing
    /// else.
    ///
    /// Checkpoints in the directory of a job are refused: the job deletes them.
    ///
    /// Exit status: 0 if all are gone, 1 if something failed, 2 if the request is wrong and nothing was
    /// removed.
    Dispose(DisposeArgs),
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum ModeArg {
    /// Full snapshots while the subtask waits.
    Sync,
    /// Full snapshots in the background.
    Async,
    /// Only what changed since the last completed checkpoint, in the background.
    Incremental,
}

impl From<ModeArg> for Mode {
    fn from(mode: ModeArg) -> Self {
        match mode {
            ModeArg::Sync => Self::Sync,
            ModeArg::Async => Self::Async,
            ModeArg::Incremental => Self::Incremental,
        }
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    /// State backend by name or alias (same as --set state.backend=NAME) [default: memory]
    #[arg(long, value_name = "NAME")]
    pub(super) backend: Option<String>,

    /// Records: CSV with header or JSON lines, also .gz; - for standard input [default: flights from
    /// New York City in January 2013, built in]
    #[arg(long, value_name = "FILE", conflicts_with = "nexmark")]
    pub(super) input: Option<OsString>,

    /// So many events of the Nexmark benchmark instead of a file; bids, keyed by auction
    #[arg(long, value_name = "EVENTS")]
    pub(super) nexmark: Option<u64>,

    /// Column to key by; needed with --input
    #[arg(long, value_name = "COLUMN")]
    pub(super) key: Option<String>,

    /// Column of whole numbers to add up
    #[arg(long, value_name = "COLUMN")]
    pub(super) measure: Option<String>,

    /// Column to count by, per key
    #[arg(long, value_name = "COLUMN")]
    pub(super) category: Option<String>,

    /// Where checkpoints and the savepoint go, and stay: a path, or a URL with one of the schemes file, s3,
    /// gs and az. A run that was ended early, by whatever, goes on from its newest complete checkpoint, or from its savepoint, when it is started again with the same arguments. (Set
    /// execution.checkpointing.externalized-checkpoint-retention for checkpoints to be deleted at the end
    /// as in Flink.) [default: a temporary directory that is removed at the end]
    #[arg(long, value_name = "DIR|URL")]
    pub(super) checkpoint_dir: Option<PathBuf>,

    /// Subtasks until the rescale [default: 2]
    #[arg(long, value_name = "N")]
    pub(super) parallelism: Option<u32>,

    /// Subtasks after it [default: one more than --parallelism]
    #[arg(long, value_name = "N")]
    pub(super) rescale_to: Option<u32>,

    /// Number of key groups [default: 1.5 times the larger parallelism, as a power of two, at least
    /// 128]
    #[arg(long, value_name = "N")]
    pub(super) max_parallelism: Option<u32>,

    /// A checkpoint after every N records [default: a tenth of the input]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) checkpoint_every: Option<u64>,

    /// How checkpoints are taken [default: incremental]
    #[arg(long, value_enum)]
    pub(super) mode: Option<ModeArg>,

    /// Crash after so many records or such a share of them, such as 10000 or 55% [default: 55%, not
    /// before the first checkpoint]
    #[arg(long, value_name = "N|P%", value_parser = Point::parse)]
    pub(super) crash_at: Option<Point>,

    /// A setting under Flink's name, such as state.checkpoints.num-retained=3; repeatable
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) settings: Vec<String>,

    /// Print one JSON object as the last line of standard output instead of a table
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct VerifyArgs {
    /// A checkpoint or savepoint: its directory, or its _metadata file, as a path or URL
    #[arg(value_name = "POINTER")]
    pub(super) pointer: String,

    #[command(flatten)]
    pub(super) storage: StorageArgs,

    /// Print one JSON object as the last line of standard output instead of a table
    #[arg(long)]
    pub(super) json: bool,
}
