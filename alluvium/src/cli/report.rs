//! The report of a run, for people.

use super::table::{Table, grouped, millis, size};
use crate::job::Report;

/// The report for people.
pub(super) fn render(report: &Report) -> String {
    let mut facts = Table::default();
    let mut fact = |name: &str, value: String| facts.row([name.to_owned(), value]);
    fact("records", grouped(report.records));
    fact("skipped", grouped(report.skipped));
    fact("keys", grouped(report.keys));
    fact("records/s", grouped(whole(report.records_per_s)));
    let told = |at: Option<u64>, time| at.map_or_else(|| "-".to_owned(), |_| millis(time));
    fact("recovery", told(report.crashed_at, report.recovery_ms));
    fact("rescale", told(report.rescaled_at, report.rescale_ms));
    fact("values compared", grouped(report.compared));
    fact("mismatches", grouped(report.mismatches));

    let mut checkpoints = Table::default();
    checkpoints.row(["checkpoint", "at record", "sync", "async", "new", "full"]);
    for checkpoint in &report.checkpoints {
        checkpoints.row([
            format!("{} {}", checkpoint.id, checkpoint.kind),
            grouped(checkpoint.position),
            millis(checkpoint.sync_ms),
            millis(checkpoint.async_ms),
            size(checkpoint.bytes_new),
            size(checkpoint.bytes_full),
        ]);
    }
    let skipped = match (report.skipped_without_key, report.skipped_not_a_bid) {
        (0, 0) => String::new(),
        (keyless, 0) => format!("; {} skipped, without {}", grouped(keyless), report.key),
        (keyless, others) => format!(
            "; skipped: {} without {}, {} that are not bids",
            grouped(keyless),
            report.key,
            grouped(others)
        ),
    };
    let name = |column: &Option<String>| column.clone().unwrap_or_else(|| "none".to_owned());
    let mut lines = vec![
        format!(
            "{} over {}: key {}, measure {}, category {}{skipped}",
            report.backend,
            report.input,
            report.key,
            name(&report.measure),
            name(&report.category),
        ),
        format!(
            "{} subtasks, then {}, over {} key groups; {} checkpoints, every {} records",
            report.parallelism,
            report.rescale_to,
            report.max_parallelism,
            report.mode,
            grouped(report.checkpoint_every),
        ),
        String::new(),
        checkpoints.render(),
        facts.render(),
    ];
    if let (Some(id), Some(position)) = (report.resumed_from, report.resumed_at) {
        lines.push(format!("resumed from checkpoint {id} at record {}", grouped(position)));
    }
    let examples = report.mismatch_examples.iter();
    lines.extend(examples.map(|example| format!("  mismatch: {example}")));
    lines.push(match &report.checkpoint_dir {
        Some(directory) => format!("checkpoints are in {directory}"),
        None => "checkpoints were in a temporary directory, now removed; keep them with \
                 --checkpoint-dir"
            .to_owned(),
    });
    lines.join("\n") + "\n"
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates; a rate is not negative"
)]
fn whole(rate: f64) -> u64 {
    rate as u64
}
