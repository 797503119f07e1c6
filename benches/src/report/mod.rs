//! A report: one page, or a part of a Markdown file, from the JSON lines of the other programs.
//!
//! # Role
//! [`run`] is the whole of the program `report`. [`input`] reads lines, [`sections`] make tables and plots of them,
//! [`html`] and [`markdown`] write these down; [`chart`] draws. Nothing here measures.
//!
//! # Invariants
//! R1. The same lines yield the same bytes.
//! R2. What stands in the files is text: it is escaped wherever it goes.
//! R3. What was not measured is left out and named; a line that cannot be read is an error, and nothing is written.

pub mod chart;
pub mod fields;
pub mod html;
pub mod input;
pub mod markdown;
pub mod section;
pub mod sections;
pub mod text;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use input::Input;
use sections::Story;

/// What `--help` prints.
pub const USAGE: &str = "usage: report FILE... [--html FILE] [--markdown FILE]

Makes a report from the JSON lines of workloads --json, ratios --json and scripts/bench-flink --json.

  --html FILE      writes one page that needs nothing else
  --markdown FILE  replaces what is between <!-- report:begin --> and <!-- report:end --> in FILE,
                   and writes plots into the directory plots beside it
";

#[derive(Debug, Default)]
struct Arguments {
    files: Vec<PathBuf>,
    html: Option<PathBuf>,
    markdown: Option<PathBuf>,
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
    let mut parsed = Arguments::default();
    while let Some(word) = words.next() {
        let mut file =
            || words.next().map(PathBuf::from).ok_or_else(|| format!("{word} needs a file"));
        match word.as_str() {
            "--help" | "-h" => return Ok(None),
            "--html" => parsed.html = Some(file()?),
            "--markdown" => parsed.markdown = Some(file()?),
            flag if flag.starts_with('-') => return Err(format!("unknown option {flag}")),
            _ => parsed.files.push(word.into()),
        }
    }
    if parsed.files.is_empty() {
        return Err("a file of JSON lines is needed".to_owned());
    }
    if parsed.html.is_none() && parsed.markdown.is_none() {
        return Err("--html FILE or --markdown FILE is needed".to_owned());
    }
    Ok(Some(parsed))
}

/// Runs the program `report` with the words of its command line.
///
/// Exit status: 0, 1 where a file cannot be written, 2 for wrong usage and for files that cannot be read.
pub fn run(words: impl Iterator<Item = String>) -> ExitCode {
    let arguments = match parse(words) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            drop(write!(std::io::stdout().lock(), "{USAGE}"));
            return ExitCode::SUCCESS;
        }
        Err(text) => return failed(&format!("{text}\n{USAGE}"), 2),
    };
    let input = match read(&arguments.files) {
        Ok(input) => input,
        Err(text) => return failed(&text, 2),
    };
    match write(&arguments, &input) {
        Ok(written) => {
            for path in written {
                drop(writeln!(std::io::stdout().lock(), "{}", path.display()));
            }
            ExitCode::SUCCESS
        }
        Err(text) => failed(&text, 1),
    }
}

fn failed(text: &str, status: u8) -> ExitCode {
    drop(writeln!(std::io::stderr().lock(), "report: {text}"));
    ExitCode::from(status)
}

fn read(files: &[PathBuf]) -> Result<Input, String> {
    let mut input = Input::default();
    for path in files {
        let name = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
        let lines = text.lines().filter(|line| !line.trim().is_empty()).count();
        if lines == 0 {
            return Err(format!("{name}: there are no lines in it"));
        }
        input.take(&name, &text).map_err(|error| error.to_string())?;
    }
    Ok(input)
}

fn write(arguments: &Arguments, input: &Input) -> Result<Vec<PathBuf>, String> {
    let sections = Story::of(input).sections();
    let name = |path: &PathBuf| {
        path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    };
    let files: Vec<String> = arguments.files.iter().map(name).collect();
    let mut written = Vec::new();
    if let Some(path) = &arguments.html {
        let head = html::Head { environments: &input.environments, files: &files };
        put(path, &html::page(&head, &sections))?;
        written.push(path.clone());
    }
    if let Some(path) = &arguments.markdown {
        let about = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = fs::read_to_string(path).map_err(|error| about(&error))?;
        let part = markdown::part(&input.environments, &sections, "plots");
        let text = markdown::replace(&text, &part.text).map_err(|error| about(&error))?;
        let plots = path.parent().unwrap_or_else(|| Path::new("")).join("plots");
        fs::create_dir_all(&plots).map_err(|error| format!("{}: {error}", plots.display()))?;
        for (file, drawing) in &part.plots {
            put(&plots.join(file), drawing)?;
        }
        put(path, &text)?;
        written.push(path.clone());
    }
    Ok(written)
}

fn put(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
