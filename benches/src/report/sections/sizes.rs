//! How throughput falls as state grows.

use super::{Story, median};
use crate::report::chart::svg::Svg;
use crate::report::chart::{Axis, Line, Lines, NARROW};
use crate::report::input::Played;
use crate::report::section::{Block, Section};
use crate::report::text;

pub(super) fn section(story: &Story<'_>) -> Section {
    // Of the same as what is compared, except for the number of keys.
    let alike = || story.input.played.iter().filter(|one| one.shape.rest == story.shape.rest);
    let sizes = |name: &str| -> usize {
        let mut keys: Vec<f64> =
            alike().filter(|one| one.workload == name).map(|one| one.shape.keys).collect();
        keys.sort_by(f64::total_cmp);
        keys.dedup();
        keys.len()
    };
    let names = Story::workloads(alike());
    let several = names.into_iter().filter(|name| sizes(name) > 1);
    let plots: Vec<_> = several
        .map(|name| {
            let here: Vec<&Played> = alike().filter(|one| one.workload == name).collect();
            (format!("sizes-{name}"), plot(story, name, &here))
        })
        .collect();
    let blocks = if plots.is_empty() { Vec::new() } else { vec![Block::Plots(plots)] };
    let about = "Accesses per second by the number of keys. A step downwards is a cache that became too small: of the \
                 processor, of the backend, or the page cache."
        .to_owned();
    let lacking = "workloads --json with several --keys";
    Section { anchor: "sizes", title: "Throughput by state size", about, blocks, lacking }
}

fn plot(story: &Story<'_>, name: &str, here: &[&Played]) -> Svg {
    let points = |number: usize| -> Vec<(f64, f64)> {
        let backend = story.series.get(number).map(|one| one.name.as_str());
        let ours = || here.iter().filter(|one| Some(one.backend.as_str()) == backend);
        let mut keys: Vec<f64> = ours().map(|one| one.shape.keys).collect();
        keys.sort_by(f64::total_cmp);
        keys.dedup();
        let at = |keys: f64| ours().filter(move |one| one.shape.keys.total_cmp(&keys).is_eq());
        let point = |keys| Some((keys, median(at(keys).map(|one| one.per_s).collect())?));
        keys.into_iter().filter_map(point).collect()
    };
    let (series, places) = story.of_plot(|number| !points(number).is_empty());
    let lines = places.iter().enumerate().filter_map(|(number, place)| {
        Some(Line { series: (*place)?, thin: false, points: points(number) })
    });
    let axis =
        |unit: &str| Axis { unit: unit.to_owned(), tick: text::count_tick, logarithmic: true };
    let lines = Lines {
        title: name.to_owned(),
        width: NARROW,
        x: axis("keys"),
        y: axis("accesses per second"),
        series,
        legend: true,
        lines: lines.collect(),
        windows: Vec::new(),
    };
    lines.draw()
}
