//! `ratios`: what the design asks of speed, measured against peers in one run.
//!
//! Exit status: 0 where every bar is reached, 1 where one falls short or a measurement fails, 2 for
//! wrong usage.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use alluvium_benches::clock::Stopwatch;
use alluvium_benches::row::Row;
use alluvium_benches::rows::{ALL, Lab, Measurement, Sizes};
use cap::Cap;

#[global_allocator]
static ALLOCATOR: Cap<std::alloc::System> = Cap::new(std::alloc::System, usize::MAX);

const USAGE: &str = "usage: ratios [--json] [--quick] [--list] [--dir DIR] [NAME...]

Runs the rows whose names contain one of NAME; all of them without.
  --json     one JSON object a line
  --quick    small sizes: shows that the rows work; what they measure means nothing
  --list     prints the names of the rows
  --dir DIR  a directory on a local disk for snapshots; the system's temporary one by default
";

struct Arguments {
    json: bool,
    quick: bool,
    list: bool,
    directory: PathBuf,
    names: Vec<String>,
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
    let directory = std::env::temp_dir();
    let mut parsed =
        Arguments { json: false, quick: false, list: false, directory, names: Vec::new() };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--json" => parsed.json = true,
            "--quick" => parsed.quick = true,
            "--list" => parsed.list = true,
            "--help" | "-h" => return Ok(None),
            "--dir" => {
                let directory = words.next().ok_or("--dir needs a directory")?;
                parsed.directory = PathBuf::from(directory);
            }
            flag if flag.starts_with('-') => return Err(format!("unknown option {flag}")),
            _ => parsed.names.push(word),
        }
    }
    if !parsed.directory.is_dir() {
        return Err(format!("{} is not a directory", parsed.directory.display()));
    }
    let unknown =
        parsed.names.iter().find(|name| !ALL.iter().any(|row| row.name.contains(name.as_str())));
    match unknown {
        Some(name) => Err(format!("no row's name contains {name:?}; --list shows them")),
        None => Ok(Some(parsed)),
    }
}

/// Prints a line. Nobody reads on where it cannot be written.
fn print(line: &str) {
    drop(writeln!(std::io::stdout().lock(), "{line}"));
}

fn note(line: &str) {
    drop(writeln!(std::io::stderr().lock(), "{line}"));
}

/// Runs and prints the chosen rows; returns whether all of them are what they should be.
fn run(arguments: &Arguments) -> bool {
    let chosen = |row: &&Measurement| {
        let names = &arguments.names;
        names.is_empty() || names.iter().any(|name| row.name.contains(name.as_str()))
    };
    let rows = ALL.iter().filter(chosen);
    if arguments.list {
        rows.for_each(|row| print(row.name));
        return true;
    }
    let sizes = if arguments.quick { Sizes::QUICK } else { Sizes::FULL };
    let mut lab = Lab::new(sizes, arguments.directory.clone(), || ALLOCATOR.allocated());
    let (mut all_ok, total) = (true, Stopwatch::start());
    if !arguments.json {
        print(&Row::heading());
    }
    for measurement in rows {
        match measurement.run(&mut lab) {
            Ok(rows) => {
                for row in rows {
                    all_ok &= row.ok;
                    print(&if arguments.json { row.to_json() } else { row.to_string() });
                }
            }
            Err(error) => {
                all_ok = false;
                note(&format!("ratios: {}: {error}", measurement.name));
            }
        }
    }
    note(&format!("{:.0} s", total.seconds()));
    all_ok
}

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)) {
        Ok(None) => {
            print(USAGE);
            ExitCode::SUCCESS
        }
        Ok(Some(arguments)) if run(&arguments) => ExitCode::SUCCESS,
        Ok(Some(_)) => ExitCode::from(1),
        Err(text) => {
            note(&format!("ratios: {text}\n{USAGE}"));
            ExitCode::from(2)
        }
    }
}
