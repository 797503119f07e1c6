//! The words behind `--rescale`.

use std::path::PathBuf;

use alluvium_benches::Outcome;

use super::contents::Contents;

/// What `--rescale --help` prints.
pub(super) const USAGE: &str = "usage: bench-cobble --rescale [OPTION]...

Rescales the backends memory and fs and Cobble from one subtask to two, and from two to one and to three; prints the
milliseconds of the slowest new subtask to its first read that is right, to its share of 20000 such reads, and where
Cobble copies files until they are copied. All values that are read are compared with what was written.

  --keys N          keys that there are, of 8 bytes (1000000)
  --value-bytes N   bytes of a value (100)
  --rounds N        rounds that are counted, after one that is not (5)
  --dir DIR         a directory on a local disk; the system's temporary one by default
  --json            a line of JSON for each change and side, behind one about the machine
";

/// What is to be measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// What every side holds.
    pub(super) contents: Contents,
    /// Rounds that are counted.
    pub(super) rounds: u64,
    /// Where everything lies.
    pub(super) directory: PathBuf,
    /// Whether lines of JSON are printed.
    pub(super) json: bool,
}

/// Reads a command line; none where it asks for help.
///
/// # Errors
/// What is wrong, and what would be right.
pub(super) fn parse(mut words: impl Iterator<Item = String>) -> Outcome<Option<Plan>> {
    let mut plan = Plan {
        contents: Contents { keys: 1_000_000, value_bytes: 100 },
        rounds: 5,
        directory: std::env::temp_dir(),
        json: false,
    };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--help" | "-h" => return Ok(None),
            "--json" => plan.json = true,
            "--keys" => plan.contents.keys = number(&word, &value()?, 1_000_000_000)?,
            "--value-bytes" => {
                let bytes = number(&word, &value()?, 1 << 20)?;
                plan.contents.value_bytes = u32::try_from(bytes)?;
            }
            "--rounds" => plan.rounds = number(&word, &value()?, 1_000)?,
            "--dir" => plan.directory = value()?.into(),
            _ => return Err(format!("unknown option {word}").into()),
        }
    }
    if !plan.directory.is_dir() {
        return Err(format!("{} is not a directory", plan.directory.display()).into());
    }
    Ok(Some(plan))
}

fn number(option: &str, text: &str, most: u64) -> Outcome<u64> {
    let number: u64 =
        text.parse().map_err(|_not| format!("{option} needs a number, not {text:?}"))?;
    if number == 0 || number > most {
        return Err(format!("{option} must be between 1 and {most}, not {number}").into());
    }
    Ok(number)
}
