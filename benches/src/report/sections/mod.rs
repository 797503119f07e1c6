//! The sections of a report, each a function of what was read.

mod flink;
mod latency;
mod memory;
mod ratios;
mod restore;
mod sizes;
mod snapshots;
mod throughput;

use super::chart::Series;
use super::input::{Input, Played, Shape};
use super::section::Section;

/// What was read, and what all sections need to know of it.
#[derive(Debug)]
pub struct Story<'a> {
    /// What was read.
    pub input: &'a Input,
    /// Backends, ours first, each in the order in which it came.
    pub series: Vec<Series>,
    /// What most workloads were played with: it is what backends are compared at.
    pub shape: Shape,
}

impl<'a> Story<'a> {
    /// What is told of it.
    pub fn of(input: &'a Input) -> Self {
        let mut series: Vec<Series> = Vec::new();
        for ring in [false, true] {
            for played in input.played.iter().filter(|played| played.peer == ring) {
                if series.iter().all(|one| one.name != played.backend) {
                    let (name, number) = (played.backend.clone(), series.len());
                    series.push(Series { name, number, ring });
                }
            }
        }
        let mut shapes: Vec<(&Shape, usize)> = Vec::new();
        for Played { shape, .. } in &input.played {
            match shapes.iter_mut().find(|(known, _)| *known == shape) {
                Some((_, count)) => *count += 1,
                None => shapes.push((shape, 1)),
            }
        }
        // Of as frequent ones the largest.
        let most = shapes.iter().max_by(|(a, m), (b, n)| m.cmp(n).then(a.keys.total_cmp(&b.keys)));
        let shape = most.map_or_else(Shape::default, |(shape, _)| (*shape).clone());
        Self { input, series, shape }
    }

    /// What was played at the common shape.
    fn compared(&self) -> impl Iterator<Item = &'a Played> {
        self.input.played.iter().filter(|played| played.shape == self.shape)
    }

    /// The workloads of these, each once, in the order in which they came.
    fn workloads(played: impl Iterator<Item = &'a Played>) -> Vec<&'a str> {
        let mut names: Vec<&str> = Vec::new();
        for one in played {
            if !names.contains(&one.workload.as_str()) {
                names.push(&one.workload);
            }
        }
        names
    }

    /// The series that these places name, and what each place becomes: a plot has only series with figures.
    fn of_plot(&self, used: impl Fn(usize) -> bool) -> (Vec<Series>, Vec<Option<usize>>) {
        let (mut series, mut places) = (Vec::new(), Vec::new());
        for (number, one) in self.series.iter().enumerate() {
            places.push(used(number).then_some(series.len()));
            if used(number) {
                series.push(one.clone());
            }
        }
        (series, places)
    }

    /// All sections, in their order.
    pub fn sections(&self) -> Vec<Section> {
        vec![
            throughput::section(self),
            latency::section(self),
            latency::over_time(self),
            snapshots::section(self),
            snapshots::by_churn(self),
            restore::section(self),
            sizes::section(self),
            memory::section(self),
            ratios::section(self),
            flink::section(self),
        ]
    }
}

/// Lowest, median and highest.
fn spread(mut values: Vec<f64>) -> Option<[f64; 3]> {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.first().copied()?, values.last().copied()?);
    let below = values.get(values.len().saturating_sub(1) / 2).copied()?;
    let median = f64::midpoint(below, values.get(values.len() / 2).copied()?);
    Some([low, median, high])
}

/// The median.
fn median(values: Vec<f64>) -> Option<f64> {
    spread(values).map(|[_, median, _]| median)
}
