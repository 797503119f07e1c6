//! Memory per entry.

use super::{Story, median};
use crate::report::chart::Bars;
use crate::report::section::{Block, Cell, Section, Table};
use crate::report::text;

/// The most workloads that are drawn.
const DRAWN: usize = 8;

pub(super) fn section(story: &Story<'_>) -> Section {
    let with = || story.compared().filter(|one| one.bytes_per_entry.is_some_and(|b| b > 0.0));
    let names = Story::workloads(with());
    let figure = |name: &str, number: usize| -> Option<[f64; 2]> {
        let backend = &story.series.get(number)?.name;
        let here: Vec<_> =
            with().filter(|one| one.workload == name && one.backend == *backend).collect();
        let entry = median(here.iter().filter_map(|one| one.bytes_per_entry).collect())?;
        Some([entry, median(here.iter().filter_map(|one| one.peak_bytes).collect()).unwrap_or(0.0)])
    };
    let mut blocks = Vec::new();
    if !names.is_empty() {
        let drawn = || names.iter().take(DRAWN);
        let has = |number| drawn().any(|name| figure(name, number).is_some());
        let (series, places) = story.of_plot(has);
        let bars = |name: &str| -> Vec<(usize, f64)> {
            let at = |(number, place): (usize, &Option<usize>)| {
                Some(((*place)?, figure(name, number)?[0]))
            };
            places.iter().enumerate().filter_map(at).collect()
        };
        let plot = Bars {
            title: "Memory per entry".to_owned(),
            unit: "own memory per entry".to_owned(),
            tick: text::bytes_tick,
            value: text::bytes,
            series,
            rows: drawn().map(|name| ((*name).to_owned(), bars(name))).collect(),
        };
        blocks.push(Block::Plot("memory".to_owned(), plot.draw()));
        let mut table = Table::new(["workload", "backend", "per entry", "most"]);
        for name in &names {
            for (number, one) in story.series.iter().enumerate() {
                let Some([entry, peak]) = figure(name, number) else { continue };
                let mut row = [(*name).to_owned(), one.name.clone()].map(Cell::Text).to_vec();
                row.extend([entry, peak].map(|bytes| Cell::Figure(text::bytes(bytes))));
                table.rows.push(row);
            }
        }
        blocks.push(Block::Folded("Memory of all workloads".to_owned(), table));
    }
    let about = "Memory that belongs to the process alone (anonymous pages, so no mapped files and no page cache), after the \
                 state was filled, above what it was before, by the number of entries. Most is the highest of the whole run, \
                 snapshots included. Backends over a disk hold part of it, within a budget."
        .to_owned();
    let lacking = "workloads --json, with memory";
    Section { anchor: "memory", title: "Memory per entry", about, blocks, lacking }
}
