//! [`Dots`].

use super::scale::Scale;
use super::svg::{Anchor, Svg};
use super::{Format, Series, WIDE, draw_legend, legend_places, place, widest};

/// A row has at least this height.
const ROW: f64 = 16.0;
/// So far apart are the series of a row.
const APART: f64 = 5.0;

/// A figure: lowest, median, highest.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// Its series' place in [`Dots::series`].
    pub series: usize,
    /// Lowest, median and highest round.
    pub rounds: [f64; 3],
}

/// Rows with a dot for each series, on a logarithmic axis.
#[derive(Clone, Debug)]
pub struct Dots {
    /// What it shows.
    pub title: String,
    /// What the axis counts.
    pub unit: String,
    /// How the axis names values.
    pub tick: Format,
    /// How a dot's text tells its value.
    pub value: Format,
    /// The series.
    pub series: Vec<Series>,
    /// Names of rows, and their figures.
    pub rows: Vec<(String, Vec<Mark>)>,
    /// A value that a line is drawn at.
    pub bar: Option<f64>,
}

impl Dots {
    /// Draws it.
    pub fn draw(&self) -> Svg {
        let left = widest(self.rows.iter().map(|(name, _)| name.as_str())) + 22.0;
        let right = WIDE - 24.0;
        let (places, top) = legend_places(&self.series, left, right);
        let row = (place(self.series.len()) * APART + 7.0).max(ROW);
        let bottom = top + row * place(self.rows.len());
        let mut svg = Svg::new(WIDE, bottom + 40.0, &self.title);
        draw_legend(&mut svg, &self.series, &places);
        let all = self.rows.iter().flat_map(|(_, marks)| marks).flat_map(|mark| mark.rounds);
        let scale = Scale::logarithmic(all.chain(self.bar), (left, right));
        for tick in scale.ticks() {
            let x = scale.at(tick);
            svg.line("grid", (x, top), (x, bottom));
            svg.text("", (x, bottom + 15.0), Anchor::Middle, &(self.tick)(tick));
        }
        svg.text("", (f64::midpoint(left, right), bottom + 32.0), Anchor::Middle, &self.unit);
        if let Some(bar) = self.bar {
            svg.line("bar", (scale.at(bar), top - 4.0), (scale.at(bar), bottom));
        }
        for (number, (name, marks)) in self.rows.iter().enumerate() {
            let y = top + row * (place(number) + 0.5);
            svg.text("ink", (left - 12.0, y + 4.0), Anchor::End, name);
            svg.line("grid", (left, y + row / 2.0), (right, y + row / 2.0));
            self.draw_marks(&mut svg, scale, (name, marks), y);
        }
        svg.line("axis", (left, top), (left, bottom));
        svg.line("axis", (left, bottom), (right, bottom));
        svg
    }

    fn draw_marks(&self, svg: &mut Svg, scale: Scale, (name, marks): (&str, &[Mark]), y: f64) {
        let middle = (place(self.series.len()) - 1.0) / 2.0;
        for mark in marks {
            let Some(series) = self.series.get(mark.series) else { continue };
            let y = y + (place(mark.series) - middle) * APART;
            let [low, median, high] = mark.rounds;
            if scale.at(high) - scale.at(low) > 1.0 {
                let class = format!("thin s{}", series.colour());
                svg.line(&class, (scale.at(low), y), (scale.at(high), y));
            }
            let hint = format!("{name}, {}: {}", series.name, (self.value)(median));
            svg.dot(&series.dot_class(), (scale.at(median), y), &hint);
        }
    }
}
