//! How long restores take, at the same and at another parallelism.

use super::{Story, median};
use crate::report::chart::Bars;
use crate::report::input::Played;
use crate::report::section::{Block, Cell, Section, Table};
use crate::report::text;

/// Milliseconds until the first right read, and until all was done, by what was restored.
fn times(played: &Played) -> Vec<(String, f64, f64)> {
    let restored = played.restore.iter().map(|one| ("1 to 1".to_owned(), one.0, one.1));
    let rescaled = played.rescale.iter().map(|one| (one.change.clone(), one.first_ms, one.all_ms));
    restored.chain(rescaled).collect()
}

fn row(story: &Story<'_>, name: &str, change: &str, number: usize) -> Option<(f64, f64)> {
    let backend = &story.series.get(number)?.name;
    let here = story.compared().filter(|one| one.workload == name && one.backend == *backend);
    let all: Vec<_> = here.flat_map(times).filter(|one| one.0 == change).collect();
    let first = median(all.iter().map(|one| one.1).collect())?;
    Some((first, median(all.iter().map(|one| one.2).collect())?))
}

pub(super) fn section(story: &Story<'_>) -> Section {
    let with = || story.compared().filter(|one| !times(one).is_empty());
    let names = Story::workloads(with());
    let mut blocks = Vec::new();
    let mut table = Table::new(["workload", "subtasks", "backend", "first right read", "all read"]);
    for name in &names {
        let mut changes: Vec<String> = Vec::new();
        for (change, ..) in with().filter(|one| one.workload == *name).flat_map(times) {
            if !changes.contains(&change) {
                changes.push(change);
            }
        }
        for change in &changes {
            for (number, one) in story.series.iter().enumerate() {
                let Some((first, all)) = row(story, name, change, number) else { continue };
                let texts = [(*name).to_owned(), change.clone(), one.name.clone()];
                let mut cells = texts.map(Cell::Text).to_vec();
                cells.extend([first, all].map(|ms| Cell::Figure(text::milliseconds(ms))));
                table.rows.push(cells);
            }
        }
        // One plot is enough to see; the table has all.
        if blocks.is_empty() {
            blocks.push(plot(story, name, &changes));
        }
    }
    if !table.rows.is_empty() {
        blocks.push(Block::Folded("Restores of all workloads".to_owned(), table));
    }
    let about = "From opening a store over a checkpoint on the same file system, in the page cache, to the first value that \
                 is read and right, and until every entry was read. At another parallelism, subtasks are restored one \
                 after the other and their times added up. The plot shows the first read."
        .to_owned();
    let lacking = "workloads --json, with restores";
    Section { anchor: "restore", title: "Restore and rescale", about, blocks, lacking }
}

fn plot(story: &Story<'_>, name: &str, changes: &[String]) -> Block {
    let has = |number| changes.iter().any(|change| row(story, name, change, number).is_some());
    let (series, places) = story.of_plot(has);
    let bars = |change: &String| -> Vec<(usize, f64)> {
        let at = |(number, place): (usize, &Option<usize>)| {
            Some(((*place)?, row(story, name, change, number)?.0))
        };
        places.iter().enumerate().filter_map(at).collect()
    };
    let bars = Bars {
        title: format!("Restore of {name}"),
        unit: format!("until the first right read, {name}"),
        tick: |ms| text::microseconds_tick(ms * 1e3),
        value: text::milliseconds,
        series,
        rows: changes.iter().map(|change| (change.clone(), bars(change))).collect(),
    };
    Block::Plot("restore".to_owned(), bars.draw())
}
