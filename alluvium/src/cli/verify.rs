//! `alluvium verify`.

use alluvium_checkpoint::{StorageEnv, open_pointer};
use alluvium_state_api::storage::StoredCheckpoint;
use alluvium_state_api::{Error, ErrorKind};

use super::args::VerifyArgs;
use super::failure::{Failure, chain};
use super::operate::refused;
use super::print;
use super::progress::Reading;
use super::table::{Table, grouped, size};
use crate::verify::{self, Verification};

/// Checks a checkpoint or savepoint and prints what was found.
///
/// # Errors
/// Why it could not be read, or that something is wrong with it.
pub(super) fn verify(args: &VerifyArgs) -> Result<(), Failure> {
    let opened = open_pointer(&args.storage.settings()?, &args.pointer, &StorageEnv::default());
    let stored = opened.map_err(|error| refused(&error))?;
    let (path, reading) = (stored.pointer.clone(), Reading::new());
    let stored = StoredCheckpoint { source: reading.watch(&stored.source), ..stored };
    reading.begin(&format!("verifying {path}"));
    let found = verify::verify_stored(stored);
    reading.finish();
    let found = found.map_err(|error| unreadable(&error.with_path(path)))?;
    if args.json {
        let line = serde_json::to_string(&Json { ok: found.is_right(), found: &found })
            .map_err(|error| Failure::run(format!("the result cannot be written: {error}")))?;
        print::text(&format!("{line}\n"))?;
    } else {
        print::text(&render(&found))?;
    }
    if found.is_right() { Ok(()) } else { Err(Failure::reported()) }
}

#[derive(serde::Serialize)]
struct Json<'a> {
    ok: bool,
    #[serde(flatten)]
    found: &'a Verification,
}

fn unreadable(error: &Error) -> Failure {
    let text = chain(error);
    match error.kind() {
        ErrorKind::Corrupted => Failure::run(format!("{text}; restore from another checkpoint")),
        _ => Failure::run(text),
    }
}

/// The result for people.
fn render(found: &Verification) -> String {
    let verdict = |ok: bool| if ok { "ok" } else { "WRONG" };
    let mut files = Table::default();
    files.row(["file", "of", "form", "size", ""]);
    for file in &found.files {
        files.row([
            file.name.clone(),
            format!("{}/{}", file.operator, file.subtask),
            file.form.to_owned(),
            size(file.bytes),
            verdict(file.ok).to_owned(),
        ]);
    }
    let mut states = Table::default();
    states.row(["state", "of", "kind", "entries", "digest", ""]);
    for state in &found.states {
        states.row([
            state.state.clone(),
            format!("{}/{}", state.operator, state.subtask),
            state.kind.to_owned(),
            grouped(state.entries),
            state.digest.clone().unwrap_or_else(|| "-".to_owned()),
            if state.compared { verdict(state.ok) } else { "not compared" }.to_owned(),
        ]);
    }
    let title = format!("{} {} of job {} in {}", found.kind, found.id, found.job, found.path);
    let mut lines = vec![title, String::new(), files.render(), states.render()];
    lines.extend(found.problems.iter().map(|problem| format!("  wrong: {problem}")));
    lines.push(match found.problems.len() {
        0 => "everything is as it was written".to_owned(),
        wrong => format!("{wrong} problem(s)"),
    });
    lines.join("\n") + "\n"
}
