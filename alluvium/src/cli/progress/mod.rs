//! Tells how far a run is: a bar on a terminal, plain lines elsewhere.

mod reading;

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

pub(super) use reading::Reading;

use super::print;
use super::table::{grouped, millis, size};
use crate::job::{Event, Observer, Phase};
use crate::source::{Progress, ProgressUnit};

/// An observer that shows what it is told on standard error.
#[derive(Debug)]
pub(super) struct Shown {
    /// The bar; `None` where standard error is no terminal.
    bar: Option<ProgressBar>,
}

impl Shown {
    /// On standard error, whatever that is.
    pub(super) fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self {
            bar: terminal
                .then(|| ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())),
        }
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn line(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => print::note(line),
        }
    }
}

impl Observer for Shown {
    fn phase(&self, phase: Phase) {
        let text = match phase {
            Phase::Reference => "reading the input for the independent recomputation",
            Phase::UntilCrash => "processing",
            Phase::UntilSavepoint => "processing again",
            Phase::UntilEnd => "processing the rest",
            Phase::Verification => "comparing every key of every state",
        };
        match &self.bar {
            Some(bar) => bar.set_message(text),
            None => print::note(text),
        }
    }

    fn progress(&self, progress: Progress) {
        let Some(bar) = &self.bar else { return };
        if bar.length() != Some(progress.total) {
            bar.set_length(progress.total);
            let counter = match progress.unit {
                ProgressUnit::Records => "{human_pos}/{human_len} records",
                ProgressUnit::Bytes => "{bytes}/{total_bytes}",
            };
            let template = format!("{{bar:40}} {counter} {{msg}}");
            if let Ok(style) = ProgressStyle::with_template(&template) {
                bar.set_style(style);
            }
        }
        bar.set_position(progress.done);
    }

    fn event(&self, event: &Event) {
        self.line(&match event {
            Event::Resumed { from, savepoint, position } => format!(
                "resumed from {} {from} at record {}: an earlier run was ended early",
                if *savepoint { "savepoint" } else { "checkpoint" },
                grouped(*position)
            ),
            Event::Repeated { last } => {
                format!("an earlier run came to its end with checkpoint {last}: starting afresh")
            }
            Event::Completed { id, kind, position, bytes_new } => format!(
                "checkpoint {id} ({kind}) complete at record {}, {} written",
                grouped(*position),
                size(*bytes_new)
            ),
            Event::Failed { id, reason } => format!("checkpoint {id} failed: {reason}"),
            Event::Crashed { position, in_flight } => format!(
                "crash at record {}: all working state dropped, {in_flight} checkpoint in flight",
                grouped(*position)
            ),
            Event::Recovered { from: Some(id), position, millis: time } => format!(
                "recovered from checkpoint {id} in {}, going on at record {}",
                millis(*time),
                grouped(*position)
            ),
            Event::Recovered { millis: time, .. } => format!(
                "no checkpoint was complete: started again from the beginning in {}",
                millis(*time)
            ),
            Event::Rescaled { from, to, millis: time } => format!(
                "rescaled from {from} to {to} subtasks from the savepoint in {}",
                millis(*time)
            ),
            Event::LeftBehind { reason } => {
                format!("not everything could be removed: {reason}; `alluvium gc` tries again")
            }
        });
    }
}
