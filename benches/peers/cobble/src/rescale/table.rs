//! What was measured, as a table or as lines of JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::arguments::Plan;
use super::{CHANGES, Figures, Measured};

/// The median of rounds, the least and the most of them, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    /// Of these figures; none where there are none.
    pub(super) fn of(figures: impl Iterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<_> = figures.collect();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let upper = *sorted.get(middle)?;
        let lower =
            if sorted.len() % 2 == 0 { sorted.get(middle.checked_sub(1)?)? } else { &upper };
        let median = f64::midpoint(*lower, upper);
        Some(Self { median, least: *sorted.first()?, most: *sorted.last()? })
    }

    fn to_json(self) -> Value {
        json!({ "median": self.median, "least": self.least, "most": self.most })
    }
}

/// The figures of a change on a side, one after the other.
fn spreads(side: &Measured, change: usize) -> [Option<Spread>; 3] {
    let figures = || side.rounds.iter().filter_map(move |round| round.get(change));
    let of = |pick: fn(&Figures) -> Option<f64>| Spread::of(figures().filter_map(pick));
    [
        of(|figures| Some(figures.times.first_ms)),
        of(|figures| Some(figures.times.all_ms)),
        of(|figures| figures.copied_ms),
    ]
}

/// A table.
pub(super) fn text(plan: &Plan, sides: &[Measured]) -> String {
    let (contents, reads) = (plan.contents, format!("{} reads", plan.contents.reads()));
    let mut out = format!(
        "{} keys of 8 bytes, values of {} bytes, {} rounds; ms of the slowest subtask: median, least, most\n\n\
         change  {:<18}{:>24}  {reads:>24}  {:>24}\n",
        contents.keys, contents.value_bytes, plan.rounds, "side", "first read", "copied"
    );
    for (change, (from, to)) in CHANGES.into_iter().enumerate() {
        for side in sides {
            // Nothing is written to a string without success.
            let _ = write!(out, "{from} to {to}  {:<18}", side.name);
            for spread in spreads(side, change) {
                let _ = match spread {
                    Some(Spread { median, least, most }) => {
                        write!(out, "{median:>8.1}{least:>8.1}{most:>8.1}  ")
                    }
                    None => write!(out, "{:>8}{:>8}{:>8}  ", "-", "", ""),
                };
            }
            out.truncate(out.trim_end().len());
            out.push('\n');
        }
    }
    out
}

/// A line for each change and side.
pub(super) fn json(plan: &Plan, sides: &[Measured]) -> Vec<String> {
    let contents = plan.contents;
    let line = |change: usize, (from, to): (u32, u32), side: &Measured| {
        let [first, all, copied] = spreads(side, change).map(|of| of.map(Spread::to_json));
        json!({ "rescale": {
            "side": side.name, "from": from, "to": to, "keys": contents.keys, "value_bytes": contents.value_bytes,
            "reads": contents.reads(), "rounds": plan.rounds,
            "first_ms": first, "all_ms": all, "copied_ms": copied,
        }})
        .to_string()
    };
    let changes = CHANGES.into_iter().enumerate();
    changes
        .flat_map(|(change, numbers)| sides.iter().map(move |side| line(change, numbers, side)))
        .collect()
}
