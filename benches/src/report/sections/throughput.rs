//! Accesses per second of each workload on each backend.

use super::{Story, spread};
use crate::report::chart::{Dots, Mark};
use crate::report::section::{Block, Cell, Section, Table};
use crate::report::text;

/// What workloads are drawn together, by what their names begin with.
const GROUPS: [(&str, &[&str]); 3] = [
    ("states", &["value", "sum", "list", "map"]),
    ("operators", &["tumbling", "sliding", "session", "continuous", "interval"]),
    ("nexmark", &["nexmark"]),
];
const OTHERS: &str = "others";

fn group_of(workload: &str) -> &'static str {
    let begin = workload.split('.').next().unwrap_or(workload);
    let found = GROUPS.iter().find(|(_, begins)| begins.contains(&begin));
    found.map_or(OTHERS, |(group, _)| group)
}

pub(super) fn section(story: &Story<'_>) -> Section {
    let names = Story::workloads(story.compared());
    let mut blocks = Vec::new();
    for group in GROUPS.iter().map(|(group, _)| *group).chain([OTHERS]) {
        let members: Vec<&str> =
            names.iter().copied().filter(|name| group_of(name) == group).collect();
        if !members.is_empty() {
            blocks.push(plot(story, group, &members));
        }
    }
    if !names.is_empty() {
        blocks.push(Block::Folded("All figures".to_owned(), table(story, &names)));
    }
    let about = format!(
        "Accesses per second at full speed, each in a fresh store: {} keys, {}. Every backend read the same as a plain \
         computation. Further right is faster; the axis is logarithmic, so equal distances are equal ratios. Rings are \
         peers. Where something was played more than once, the dot is the median and the line reaches from least to most.",
        text::count(story.shape.keys),
        story.shape.rest,
    );
    let lacking = "workloads --json";
    Section { anchor: "throughput", title: "Throughput by workload", about, blocks, lacking }
}

fn rounds(story: &Story<'_>, workload: &str, series: usize) -> Option<[f64; 3]> {
    let name = &story.series.get(series)?.name;
    let here = story.compared().filter(|one| one.workload == workload && one.backend == *name);
    spread(here.map(|one| one.per_s).collect())
}

fn plot(story: &Story<'_>, group: &str, members: &[&str]) -> Block {
    let used = |series| members.iter().any(|name| rounds(story, name, series).is_some());
    let (series, places) = story.of_plot(used);
    let marks = |name: &str| -> Vec<Mark> {
        let at = |(number, place): (usize, &Option<usize>)| {
            Some(Mark { series: (*place)?, rounds: rounds(story, name, number)? })
        };
        places.iter().enumerate().filter_map(at).collect()
    };
    let dots = Dots {
        title: format!("Throughput of {group} workloads"),
        unit: "accesses per second".to_owned(),
        tick: text::count_tick,
        value: text::count,
        series,
        rows: members.iter().map(|name| ((*name).to_owned(), marks(name))).collect(),
        bar: None,
    };
    Block::Plot(format!("throughput-{group}"), dots.draw())
}

fn table(story: &Story<'_>, names: &[&str]) -> Table {
    let mut table = Table::new(["workload"]);
    table.head.extend(story.series.iter().map(|one| one.name.clone()));
    for name in names {
        let figures: Vec<Option<f64>> = (0..story.series.len())
            .map(|series| rounds(story, name, series).map(|[_, median, _]| median))
            .collect();
        let best = figures.iter().flatten().copied().fold(0.0, f64::max);
        let mut row = vec![Cell::Text((*name).to_owned())];
        row.extend(figures.into_iter().map(|figure| match figure {
            Some(figure) if figure >= best => Cell::Best(text::count(figure)),
            figure => Cell::maybe(figure.map(text::count)),
        }));
        table.rows.push(row);
    }
    table
}
