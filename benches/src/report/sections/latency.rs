//! Latency of single accesses: idle, beside snapshots, while something is compacted, and over time.

use super::Story;
use crate::report::chart::svg::Svg;
use crate::report::chart::{Axis, Dots, Line, Lines, Mark, NARROW, Window};
use crate::report::input::{Latency, Played, Timeline};
use crate::report::section::{Block, Cell, Section, Table};
use crate::report::text;

/// The most workloads that are drawn over time.
const DRAWN: usize = 3;
/// The most workloads that are drawn beside a snapshot.
const MOST_ROWS: usize = 15;
/// They are these, before others, if they were played: what operators do most.
const FIRST: [&str; 4] =
    ["value.read-modify-write", "list.append", "sliding.incremental", "value.update"];

pub(super) fn section(story: &Story<'_>) -> Section {
    let mut table = Table::new([
        "workload",
        "backend",
        "idle p50",
        "p99",
        "p99.9",
        "longest",
        "beside a full snapshot p99.9",
        "longest",
        "beside an increment p99.9",
        "longest",
        "while compacting or merging p99.9",
        "longest",
    ]);
    for played in story.compared() {
        let beside = |kind: &str| -> Option<Latency> {
            let mut of_kind = played.snapshots.iter().filter(|one| one.kind == kind);
            of_kind.next().map(|one| one.latency)
        };
        let idle = played.latency;
        let mut row = vec![Cell::Text(played.workload.clone()), Cell::Text(played.backend.clone())];
        let figures = [idle.p50_us, idle.p99_us, idle.p999_us, idle.max_us];
        row.extend(figures.map(|us| Cell::Figure(text::microseconds(us))));
        for latency in [beside("full"), beside("incremental"), played.compacting] {
            let figures = latency.map(|latency| [latency.p999_us, latency.max_us]);
            for number in 0..2 {
                let figure = figures.and_then(|both| both.get(number).copied());
                row.push(Cell::maybe(figure.map(text::microseconds)));
            }
        }
        table.rows.push(row);
    }
    let blocks = if table.rows.is_empty() {
        Vec::new()
    } else {
        let mut blocks = Vec::from_iter(beside_plot(story));
        blocks.push(Block::Folded("Latencies of all workloads".to_owned(), table));
        blocks
    };
    let about = "Single accesses that are due at regular times, at a quarter of full speed. Each is charged from when it \
                 was due, so that a slow one is charged for those that wait behind it, too (no coordinated omission). \
                 The last columns count accesses while segments were merged or RocksDB compacted, and no snapshot was taken. \
                 Where something else ran on the machine, the longest are times of waiting for a processor. In the plot, a dot is \
                 what one access of a thousand exceeds while a full snapshot is written, and its line reaches to the same while \
                 nothing else goes on."
        .to_owned();
    let lacking = "workloads --json";
    Section { anchor: "latency", title: "Latency of single accesses", about, blocks, lacking }
}

/// The p99.9 beside a full snapshot, with a line from where it is idle.
fn beside_plot(story: &Story<'_>) -> Option<Block> {
    let beside = |name: &str, number: usize| -> Option<[f64; 3]> {
        let backend = &story.series.get(number)?.name;
        let mut here =
            story.compared().filter(|one| one.workload == name && one.backend == *backend);
        let played = here.next()?;
        let full = played.snapshots.iter().find(|one| one.kind == "full")?.latency.p999_us;
        let idle = played.latency.p999_us;
        Some([idle.min(full), full, full.max(idle)])
    };
    let mut names = Story::workloads(story.compared().filter(|one| !one.snapshots.is_empty()));
    names.truncate(MOST_ROWS);
    let used = |number| names.iter().any(|name| beside(name, number).is_some());
    let (series, places) = story.of_plot(used);
    let marks = |name: &str| -> Vec<Mark> {
        let at = |(number, place): (usize, &Option<usize>)| {
            Some(Mark { series: (*place)?, rounds: beside(name, number)? })
        };
        places.iter().enumerate().filter_map(at).collect()
    };
    let dots = Dots {
        title: "Latency beside a full snapshot".to_owned(),
        unit: "p99.9 of a single access while a full snapshot is written; the line reaches to the idle p99.9".to_owned(),
        tick: text::microseconds_tick,
        value: text::microseconds,
        rows: names.iter().map(|name| ((*name).to_owned(), marks(name))).collect(),
        series,
        bar: None,
    };
    (!dots.series.is_empty()).then(|| Block::Plot("latency".to_owned(), dots.draw()))
}

pub(super) fn over_time(story: &Story<'_>) -> Section {
    let with = |time: &Timeline| time.points.len() > 2 && !time.snapshots.is_empty();
    let timed = || story.compared().filter(move |one| one.timeline.as_ref().is_some_and(with));
    let mut names = Story::workloads(timed());
    names.sort_by_key(|name| FIRST.iter().position(|first| first == name).unwrap_or(FIRST.len()));
    let left_out = names.len().saturating_sub(DRAWN);
    names.truncate(DRAWN);
    let mut blocks = Vec::new();
    for name in &names {
        let mut plots = Vec::new();
        for number in 0..story.series.len() {
            let backend = story.series.get(number).map(|one| one.name.as_str());
            let mut here = timed().filter(|one| one.workload == *name);
            let found = here.find(|one| Some(one.backend.as_str()) == backend);
            plots.extend(found.and_then(|played| plot(story, number, played)));
        }
        blocks.push(Block::Plots(plots));
    }
    if left_out > 0 {
        blocks.push(Block::Text(format!(
            "{left_out} more workloads have figures over time, which are in the JSON lines."
        )));
    }
    let about = "Latency of single accesses over time, in intervals: the strong line is p99, the thin one the longest of \
                 each interval; scales differ between plots. Snapshots run in the shaded windows."
        .to_owned();
    let lacking = "workloads --json, with snapshots";
    let title = "Latency over time, with snapshots";
    Section { anchor: "over-time", title, about, blocks, lacking }
}

fn plot(story: &Story<'_>, number: usize, played: &Played) -> Option<(String, Svg)> {
    let Timeline { points, snapshots } = played.timeline.as_ref()?;
    let line = |thin, points| Line { series: 0, thin, points };
    let windows = snapshots.iter().map(|(kind, from, to)| Window {
        name: kind.clone(),
        from: *from,
        to: *to,
    });
    let lines = Lines {
        title: format!("{}, {}", played.workload, played.backend),
        width: NARROW,
        x: Axis {
            unit: "since it began".to_owned(),
            tick: |ms| text::microseconds_tick(ms * 1e3),
            logarithmic: false,
        },
        y: Axis { unit: String::new(), tick: text::microseconds_tick, logarithmic: true },
        series: Vec::from_iter(story.series.get(number).cloned()),
        legend: false,
        lines: vec![
            line(true, points.iter().map(|(at, _, max)| (*at, *max)).collect()),
            line(false, points.iter().map(|(at, p99, _)| (*at, *p99)).collect()),
        ],
        windows: windows.collect(),
    };
    Some((format!("over-time-{}-{}", played.workload, played.backend), lines.draw()))
}
