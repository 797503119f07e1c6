//! What snapshots cost: phases and bytes, and bytes by what had changed.

use super::{Story, median};
use crate::report::chart::svg::Svg;
use crate::report::chart::{Axis, Line, Lines, NARROW};
use crate::report::input::{Played, Snapshot};
use crate::report::section::{Block, Cell, Section, Table};
use crate::report::text;

/// The most workloads whose increments are drawn.
const DRAWN: usize = 4;

pub(super) fn section(story: &Story<'_>) -> Section {
    let mut table = Table::new([
        "workload",
        "backend",
        "kind",
        "synchronous",
        "asynchronous",
        "written",
        "of",
        "files",
    ]);
    for played in story.compared() {
        for one in &played.snapshots {
            let Snapshot { sync_ms, async_ms, bytes_new, bytes_full, files, .. } = one;
            let names = [&played.workload, &played.backend, &one.kind];
            let mut row: Vec<Cell> = names.map(|name| Cell::Text(name.clone())).to_vec();
            let figures = [
                text::milliseconds(*sync_ms),
                text::milliseconds(*async_ms),
                text::bytes(*bytes_new),
                text::bytes(*bytes_full),
                format!("{files:.0}"),
            ];
            row.extend(figures.map(Cell::Figure));
            table.rows.push(row);
        }
    }
    let blocks = if table.rows.is_empty() {
        Vec::new()
    } else {
        vec![Block::Folded("Snapshots of all workloads".to_owned(), table)]
    };
    let about = "The writer stands still for the synchronous phase and goes on beside the asynchronous one, which ends \
                 when everything is written and synced. Written is what this snapshot added; the rest it shares with \
                 the one before."
        .to_owned();
    Section {
        anchor: "snapshots",
        title: "What snapshots cost",
        about,
        blocks,
        lacking: "workloads --json, with snapshots",
    }
}

/// Increments with what had changed: share of the entries, and what was written as a share of a full snapshot.
fn increments(played: &Played) -> impl Iterator<Item = (f64, f64)> {
    let full = played.snapshots.iter().find(|one| one.kind == "full").map(|one| one.bytes_full);
    let known = |one: &&Snapshot| one.kind != "full" && one.bytes_full > 0.0;
    let shares =
        move |one: &Snapshot| Some((one.churn?, one.bytes_new / full.unwrap_or(one.bytes_full)));
    played.snapshots.iter().filter(known).filter_map(shares).filter(|(churn, _)| *churn > 0.0)
}

/// What was played with several shares of changes.
fn swept<'a>(story: &Story<'a>) -> impl Iterator<Item = &'a Played> {
    story.compared().filter(|one| increments(one).count() > 1)
}

pub(super) fn by_churn(story: &Story<'_>) -> Section {
    let varied = |name: &str| swept(story).any(|one| one.workload == name);
    let names = Story::workloads(story.compared());
    let varied = names.into_iter().filter(|name| varied(name));
    let plots: Vec<_> = varied.take(DRAWN).map(|name| plot(story, name)).collect();
    let blocks = if plots.is_empty() { Vec::new() } else { vec![Block::Plots(plots)] };
    let about = "Bytes of an increment by how much of the state had changed since the checkpoint below it, each as a \
                 share of a full snapshot. On the diagonal, what is written is what changed."
        .to_owned();
    let title = "Bytes of an increment by churn";
    let lacking = "workloads --json --churn";
    Section { anchor: "churn", title, about, blocks, lacking }
}

fn plot(story: &Story<'_>, name: &str) -> (String, Svg) {
    let points = |number: usize| -> Vec<(f64, f64)> {
        let backend = story.series.get(number).map(|one| one.name.as_str());
        let here = swept(story)
            .filter(|one| one.workload == name && Some(one.backend.as_str()) == backend);
        let mut all: Vec<(f64, f64)> = here.flat_map(increments).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut churns: Vec<f64> = all.iter().map(|(churn, _)| *churn).collect();
        churns.dedup();
        let of = |churn: f64| all.iter().filter(move |one| one.0.total_cmp(&churn).is_eq());
        let point = |churn| Some((churn, median(of(churn).map(|one| one.1).collect())?));
        churns.into_iter().filter_map(point).collect()
    };
    let (series, places) = story.of_plot(|number| !points(number).is_empty());
    let lines = places.iter().enumerate().filter_map(|(number, place)| {
        Some(Line { series: (*place)?, thin: false, points: points(number) })
    });
    let percent: fn(f64) -> String = |share| format!("{} %", text::tick(share * 100.0));
    let axis = |unit: &str| Axis { unit: unit.to_owned(), tick: percent, logarithmic: true };
    let lines = Lines {
        title: name.to_owned(),
        width: NARROW,
        x: axis("entries that had changed"),
        y: axis("bytes written, of a full snapshot"),
        series,
        legend: true,
        lines: lines.collect(),
        windows: Vec::new(),
    };
    (format!("churn-{name}"), lines.draw())
}
