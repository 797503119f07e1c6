//! `alluvium savepoint rehash`.

use alluvium_checkpoint::{DEFAULT_REHASH_MEMORY_BYTES, RehashOptions, Rehashed};
use alluvium_state_api::random::OsRandomness;
use serde_json::{Value, json};

use super::{open, refused, storage, title};
use crate::cli::args::RehashArgs;
use crate::cli::failure::Failure;
use crate::cli::print;
use crate::cli::progress::Reading;
use crate::cli::table::{Table, grouped};

/// Writes a snapshot anew for another number of key groups.
///
/// # Errors
/// Why it cannot be read, or the savepoint not be written.
pub(in crate::cli) fn rehash(args: &RehashArgs) -> Result<(), Failure> {
    let reading = Reading::new();
    let point = open(&args.pointer, &args.storage, &reading)?;
    let mut options = RehashOptions::new(args.max_parallelism);
    options.memory_bytes = args.memory.unwrap_or(DEFAULT_REHASH_MEMORY_BYTES);
    if !args.uids.is_empty() {
        options.operators = Some(args.uids.iter().map(|uid| uid.as_str().into()).collect());
    }
    let groups = args.max_parallelism.get();
    reading.begin(&format!("rewriting {} for {groups} key groups", title(&point)));
    let done = alluvium_checkpoint::rehash(
        &point,
        &*storage(&args.storage)?,
        &args.target,
        &options,
        &OsRandomness,
    );
    reading.finish();
    let done = done.map_err(|error| refused(&error))?;
    if args.json {
        return print::text(&format!("{}\n", to_json(&done)));
    }
    let title = format!("rewrote {} for {groups} key groups to {}", title(&point), done.pointer);
    print::text(&format!("{title}\n\n{}", render(&done)))
}

fn render(done: &Rehashed) -> String {
    let mut table = Table::default();
    table.row(["operator", "key groups", "subtasks", "states", "entries", "passes"]);
    for operator in &done.operators {
        let (before, after) = operator.groups;
        let entries = operator.states.iter().map(|state| state.entries).sum();
        table.row([
            operator.uid.to_string(),
            format!("{} -> {}", before.get(), after.get()),
            format!("{} -> {}", operator.parallelism.0, operator.parallelism.1),
            operator.states.len().to_string(),
            grouped(entries),
            operator.passes.to_string(),
        ]);
    }
    table.render()
}

fn to_json(done: &Rehashed) -> Value {
    let operators = done.operators.iter().map(|operator| {
        let states = operator.states.iter().map(|state| {
            json!({
                "name": state.name,
                "entries": state.entries,
                "digest": state.digest.to_string(),
            })
        });
        json!({
            "uid": operator.uid,
            "max_parallelism": { "before": operator.groups.0.get(), "after": operator.groups.1.get() },
            "parallelism": { "before": operator.parallelism.0, "after": operator.parallelism.1 },
            "passes": operator.passes,
            "states": states.collect::<Vec<_>>(),
        })
    });
    json!({ "pointer": done.pointer, "operators": operators.collect::<Vec<_>>() })
}
