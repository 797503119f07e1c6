//! `footprint`: what a backend by name takes of memory and of its disk. See `alluvium_benches::footprint`.
//!
//! Exit status: 0, 1 where a measurement fails, 2 for wrong usage.

use std::io::Write as _;
use std::process::ExitCode;

use alluvium_benches::float;
use alluvium_benches::footprint::{Phase, Plan, run};
use alluvium_state_api::settings::Settings;

const USAGE: &str = "usage: footprint [--state MB] [--value BYTES] [--lookups N] [--dir DIR] [KEY=VALUE]...

Fills a store, overwrites, looks up, scans, takes an incremental snapshot and restores it; prints for each phase the time,
the highest own memory above that before, and what was written and read.
  --state MB     bytes of values, 400 by default
  --value BYTES  bytes of a value, 100 by default
  --lookups N    lookups in each phase of them, 100000 by default
  --dir DIR      a directory on a local disk; the system's temporary one by default
  KEY=VALUE      settings, of which state.backend is one
MB are 1,000,000 bytes.
";

fn number(word: Option<String>, option: &str) -> Result<u64, String> {
    let parsed = word.and_then(|word| word.parse().ok()).filter(|number| *number > 0);
    parsed.ok_or_else(|| format!("{option} needs a number"))
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Plan>, String> {
    let mut plan = Plan {
        state_bytes: 400_000_000,
        value_bytes: 100,
        lookups: 100_000,
        settings: Settings::default(),
        directory: std::env::temp_dir(),
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--help" | "-h" => return Ok(None),
            "--state" => {
                plan.state_bytes = number(words.next(), "--state")?.saturating_mul(1_000_000);
            }
            "--value" => {
                let bytes = number(words.next(), "--value")?;
                plan.value_bytes = usize::try_from(bytes).map_err(|error| error.to_string())?;
            }
            "--lookups" => plan.lookups = number(words.next(), "--lookups")?,
            "--dir" => plan.directory = words.next().ok_or("--dir needs a directory")?.into(),
            setting => {
                let (key, value) =
                    setting.split_once('=').ok_or_else(|| format!("unknown option {setting}"))?;
                plan.settings.set(key, value).map_err(|error| error.to_string())?;
            }
        }
    }
    Ok(Some(plan))
}

/// Prints a line. Nobody reads on where it cannot be written.
fn print(line: &str) {
    drop(writeln!(std::io::stdout().lock(), "{line}"));
}

fn show(phase: &Phase) {
    let each = |count: u64| float(count) / float(phase.operations.max(1));
    print(&format!(
        "{:<13} {:>7.1} s {:>8.2} us each {:>7.0} MB own memory {:>8.0} MB written {:>7.2} reads {:>9.0} bytes read each",
        phase.name,
        phase.seconds,
        phase.seconds * 1e6 / float(phase.operations.max(1)),
        float(phase.resident_bytes) / 1e6,
        float(phase.io.written_bytes) / 1e6,
        each(phase.io.reads),
        each(phase.io.read_bytes),
    ));
}

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)) {
        Ok(None) => {
            print(USAGE);
            ExitCode::SUCCESS
        }
        Ok(Some(plan)) => match run(&plan, &alluvium::registry(), &mut show) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                drop(writeln!(std::io::stderr(), "footprint: {error}"));
                ExitCode::from(1)
            }
        },
        Err(text) => {
            drop(writeln!(std::io::stderr(), "footprint: {text}\n{USAGE}"));
            ExitCode::from(2)
        }
    }
}
