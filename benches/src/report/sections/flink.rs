//! Operations beside Apache Flink's own state backends.

use super::Story;
use super::ratios::{plot, verdict};
use crate::report::input::{Beside, Ratio};
use crate::report::section::{Block, Cell, Section, Table};
use crate::report::text;

fn figure(one: &Beside, value: f64) -> String {
    match one.unit.as_str() {
        "ms" => text::milliseconds(value),
        "bytes" => text::bytes(value),
        _ => text::count(value),
    }
}

pub(super) fn section(story: &Story<'_>) -> Section {
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    for one in &story.input.flink {
        let pair = (one.alluvium.as_str(), one.flink.as_str());
        if !pairs.contains(&pair) {
            pairs.push(pair);
        }
    }
    let mut blocks = Vec::new();
    for (ours, theirs) in pairs {
        let of = |one: &&Beside| one.alluvium == ours && one.flink == theirs;
        let rows: Vec<&Beside> = story.input.flink.iter().filter(of).collect();
        blocks.push(Block::Text(format!("{ours} beside Flink's {theirs}:")));
        let ratios: Vec<&Ratio> = rows.iter().map(|one| &one.ratio).collect();
        let title = format!("{ours} beside Flink's {theirs}");
        blocks.extend(plot(&format!("flink-{ours}"), &title, &ratios));
        let mut table = Table::new([
            "operation",
            "unit",
            "Flink",
            "Alluvium",
            "ratio",
            "least",
            "most",
            "bar",
            "",
        ]);
        for one in rows {
            let mut row = [one.operation.clone(), one.unit.clone()].map(Cell::Text).to_vec();
            row.extend(one.figures.map(|value| Cell::Figure(figure(one, value))));
            let [low, median, high] =
                one.ratio.rounds.map(|value| format!("{} x", text::digits(value)));
            row.extend([median, low, high].map(Cell::Figure));
            row.push(Cell::maybe(one.ratio.bounds[0].map(text::tick)));
            row.push(verdict(&one.ratio));
            table.rows.push(row);
        }
        blocks.push(Block::Table(table));
    }
    let about = "Flink's backends and ours did the same operations on the same keys and values, in processes that took turns. The \
                 ratio is how many times better ours is: of rates ours by Flink's, of times and bytes Flink's by ours. Flink's \
                 figure is that of its best collector in each turn."
        .to_owned();
    let lacking = "scripts/bench-flink --json";
    Section { anchor: "flink", title: "Beside Apache Flink", about, blocks, lacking }
}
