//! The rows of `ratios`, and what each has to reach.

use super::Story;
use crate::report::chart::{Dots, Mark, Series};
use crate::report::input::Ratio;
use crate::report::section::{Block, Cell, Section, Table};
use crate::report::text;

/// How good a ratio is: 1 at its bar, more is better.
fn goodness(ratio: &Ratio) -> Option<[f64; 3]> {
    let bar = ratio.bounds[0].filter(|bar| *bar > 0.0)?;
    let [low, median, high] = ratio.rounds;
    match ratio.sense.as_str() {
        "at-least" => Some([low, median, high].map(|value| value / bar)),
        "at-most" => Some([high, median, low].map(|value| bar / value.max(f64::MIN_POSITIVE))),
        "worst-below" => Some([high, high, low].map(|value| bar / value.max(f64::MIN_POSITIVE))),
        _ => None,
    }
}

/// Two series, in the colours of verdicts.
pub(super) fn plot(file: &str, title: &str, ratios: &[&Ratio]) -> Option<Block> {
    let rows: Vec<(String, Vec<Mark>)> = ratios
        .iter()
        .filter_map(|ratio| {
            let rounds = goodness(ratio)?;
            let series = usize::from(!ratio.ok);
            Some((ratio.name.clone(), vec![Mark { series, rounds }]))
        })
        .collect();
    let series = ["reaches its bar", "falls short"];
    let of = |(number, name): (usize, &str)| Series {
        name: name.to_owned(),
        number: [1, 4].get(number).copied().unwrap_or(0),
        ring: number == 1,
    };
    let dots = Dots {
        title: title.to_owned(),
        unit: "times the bar; the dashed line is the bar, further right is better".to_owned(),
        tick: text::tick,
        value: |value| format!("{} times its bar", text::digits(value)),
        series: series.into_iter().enumerate().map(of).collect(),
        rows,
        bar: Some(1.0),
    };
    (!dots.rows.is_empty()).then(|| Block::Plot(file.to_owned(), dots.draw()))
}

/// The verdict on a ratio.
pub(super) fn verdict(ratio: &Ratio) -> Cell {
    match (ratio.bounds[0], ratio.ok) {
        (None, _) => Cell::Text(String::new()),
        (_, true) => Cell::Verdict("reached".to_owned(), true),
        (_, false) => Cell::Verdict("falls short".to_owned(), false),
    }
}

pub(super) fn section(story: &Story<'_>) -> Section {
    let ratios: Vec<&Ratio> = story.input.ratios.iter().collect();
    let mut blocks: Vec<Block> = Vec::from_iter(plot("ratios", "Ratios and their bars", &ratios));
    let mut table = Table::new(["row", "median", "least", "most", "unit", "bar", "goal", ""]);
    for ratio in &ratios {
        let [low, median, high] = ratio.rounds;
        let mut row = vec![Cell::Text(ratio.name.clone())];
        row.extend([median, low, high].map(|value| Cell::Figure(text::digits(value))));
        row.push(Cell::Text(ratio.unit.clone()));
        row.extend(ratio.bounds.map(|bound| Cell::maybe(bound.map(text::tick))));
        row.push(verdict(ratio));
        table.rows.push(row);
    }
    if !table.rows.is_empty() {
        blocks.push(Block::Table(table));
    }
    let about = "Two sides did the same work in one process, took turns, and yielded the same checksum. A row is judged by its \
                 median round, one that bounds the worst case by its worst."
        .to_owned();
    let lacking = "ratios --json";
    Section { anchor: "ratios", title: "Ratios and their bars", about, blocks, lacking }
}
