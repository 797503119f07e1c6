//! `beyond-memory`: state on the file system that is larger than the memory that it may take.
//!
//! Takes minutes, and three times as much disk as there is state: merging writes what it merges once more.
//! Exit status: 0, 1 where a measurement fails, 2 for wrong usage.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use alluvium_backend_fs::FsOptions;
use alluvium_benches::beyond::{Phase, Plan, run};
use alluvium_benches::float;

const USAGE: &str =
    "usage: beyond-memory [--state MB] [--budget MB] [--merge-rate MB] [--seconds N] [--dir DIR]

Fills a store, updates and reads it, and prints what was resident and how fast it was.
  --state MB       bytes of keys and values, 20000 by default
  --budget MB      state.backend.fs.write-buffer-size, 2000 by default
  --merge-rate MB  state.backend.fs.merge-rate per second, the backend's default otherwise
  --seconds N      how long each phase after filling lasts, 30 by default
  --dir DIR        a directory on a local disk; the system's temporary one by default
MB are 1,000,000 bytes.
";

struct Arguments {
    plan: Plan,
    directory: PathBuf,
}

fn number(word: Option<String>, option: &str) -> Result<u64, String> {
    let parsed = word.and_then(|word| word.parse().ok()).filter(|number| *number > 0);
    parsed.ok_or_else(|| format!("{option} needs a number"))
}

fn megabytes(word: Option<String>, option: &str) -> Result<u64, String> {
    Ok(number(word, option)?.saturating_mul(1_000_000))
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
    let mut options = FsOptions::default();
    options.write_buffer_bytes = 2_000_000_000;
    let mut plan = Plan { state_bytes: 20_000_000_000, options, seconds: 30.0 };
    let mut directory = std::env::temp_dir();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--help" | "-h" => return Ok(None),
            "--state" => plan.state_bytes = megabytes(words.next(), "--state")?,
            "--budget" => plan.options.write_buffer_bytes = megabytes(words.next(), "--budget")?,
            "--merge-rate" => {
                plan.options.merge_bytes_per_second = megabytes(words.next(), "--merge-rate")?;
            }
            "--seconds" => plan.seconds = float(number(words.next(), "--seconds")?),
            "--dir" => directory = words.next().ok_or("--dir needs a directory")?.into(),
            other => return Err(format!("unknown option {other}")),
        }
    }
    Ok(Some(Arguments { plan, directory }))
}

/// Prints a line. Nobody reads on where it cannot be written.
fn print(line: &str) {
    drop(writeln!(std::io::stdout().lock(), "{line}"));
}

fn show(phase: &Phase) {
    let mb = |bytes: u64| float(bytes) / 1e6;
    print(&format!(
        "{:<24} {:>9.1} s {:>9.3} M/s {:>9.0} MB own memory {:>9.0} MB mapped {:>9.0} MB in {} files",
        phase.name,
        phase.seconds,
        phase.rate() / 1e6,
        mb(phase.resident.anonymous),
        mb(phase.resident.mapped),
        mb(phase.disk_bytes),
        phase.files,
    ));
}

fn measure(arguments: &Arguments) -> alluvium_benches::Outcome<()> {
    let directory =
        tempfile::Builder::new().prefix("alluvium-beyond-").tempdir_in(&arguments.directory)?;
    run(&arguments.plan, &directory.path().join("store"), show)
}

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)) {
        Ok(None) => {
            print(USAGE);
            ExitCode::SUCCESS
        }
        Ok(Some(arguments)) => match measure(&arguments) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                drop(writeln!(std::io::stderr(), "beyond-memory: {error}"));
                ExitCode::from(1)
            }
        },
        Err(text) => {
            drop(writeln!(std::io::stderr(), "beyond-memory: {text}\n{USAGE}"));
            ExitCode::from(2)
        }
    }
}
