//! [`Lines`].

use super::scale::Scale;
use super::svg::{Anchor, Svg};
use super::{Format, Series, draw_legend, legend_places, text_width, widest};

/// The height of what is drawn in.
const HEIGHT: f64 = 210.0;

/// An axis.
#[derive(Clone, Debug)]
pub struct Axis {
    /// What it counts.
    pub unit: String,
    /// How it names values.
    pub tick: Format,
    /// Whether it is logarithmic; otherwise it begins at 0.
    pub logarithmic: bool,
}

impl Axis {
    fn scale(&self, values: impl Iterator<Item = f64>, over: (f64, f64)) -> Scale {
        if self.logarithmic {
            Scale::logarithmic(values, over)
        } else {
            Scale::linear(values, over)
        }
    }
}

/// A line through points.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its series' place in [`Lines::series`].
    pub series: usize,
    /// Whether it is thin, and without dots.
    pub thin: bool,
    /// What it passes through.
    pub points: Vec<(f64, f64)>,
}

/// A part of the horizontal axis that is shaded.
#[derive(Clone, Debug)]
pub struct Window {
    /// What is written above it.
    pub name: String,
    /// Where it begins.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
}

/// Lines over a horizontal axis.
#[derive(Clone, Debug)]
pub struct Lines {
    /// What is written above it.
    pub title: String,
    /// Its width.
    pub width: f64,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The series.
    pub series: Vec<Series>,
    /// Whether these are named; not, where the title does it.
    pub legend: bool,
    /// The lines.
    pub lines: Vec<Line>,
    /// What is shaded.
    pub windows: Vec<Window>,
}

impl Lines {
    /// Draws it.
    pub fn draw(&self) -> Svg {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let shape = self.y.scale(points().map(|point| point.1), (0.0, 1.0));
        let names: Vec<String> = shape.ticks().into_iter().map(self.y.tick).collect();
        let left = widest(names.iter().map(String::as_str)) + 30.0;
        let right = self.width - 30.0;
        let named = if self.legend { &*self.series } else { &[] };
        let (mut places, legend) = legend_places(named, left, right);
        let title = if self.title.is_empty() { 0.0 } else { 18.0 };
        for place in &mut places {
            place.1 += title;
        }
        let top = legend + title + if self.windows.is_empty() { 4.0 } else { 16.0 };
        let bottom = top + HEIGHT;
        let mut svg = Svg::new(self.width, bottom + 40.0, &self.title);
        svg.text("head", (left, 14.0), Anchor::Start, &self.title);
        draw_legend(&mut svg, named, &places);
        let ends = self.windows.iter().map(|window| window.to);
        let x = self.x.scale(points().map(|point| point.0).chain(ends), (left, right));
        let y = self.y.scale(points().map(|point| point.1), (bottom, top));
        self.draw_windows(&mut svg, x, (top, bottom));
        for tick in y.ticks() {
            svg.line("grid", (left, y.at(tick)), (right, y.at(tick)));
            svg.text("", (left - 8.0, y.at(tick) + 4.0), Anchor::End, &(self.y.tick)(tick));
        }
        self.draw_ticks(&mut svg, x, bottom);
        let middle = f64::midpoint(left, right);
        svg.text("", (middle, bottom + 32.0), Anchor::Middle, &self.x.unit);
        svg.text("", (right, top - 4.0), Anchor::End, &self.y.unit);
        self.draw_lines(&mut svg, x, y);
        svg.line("axis", (left, bottom), (right, bottom));
        svg.line("axis", (left, top), (left, bottom));
        svg
    }

    fn draw_ticks(&self, svg: &mut Svg, x: Scale, bottom: f64) {
        let mut free = f64::NEG_INFINITY;
        for tick in x.ticks() {
            let (at, name) = (x.at(tick), (self.x.tick)(tick));
            let half = text_width(&name) / 2.0;
            svg.line("axis", (at, bottom), (at, bottom + 4.0));
            if at - half > free {
                svg.text("", (at, bottom + 16.0), Anchor::Middle, &name);
                free = at + half + 6.0;
            }
        }
    }

    fn draw_windows(&self, svg: &mut Svg, x: Scale, (top, bottom): (f64, f64)) {
        let mut free = f64::NEG_INFINITY;
        for window in &self.windows {
            let (from, to) = (x.at(window.from), x.at(window.to));
            let width = (to - from).max(1.5);
            svg.rectangle("shade", (from, top), (width, bottom - top), &window.name);
            if from > free {
                svg.text("", (from, top - 4.0), Anchor::Start, &window.name);
                free = from + text_width(&window.name);
            }
        }
    }

    fn draw_lines(&self, svg: &mut Svg, x: Scale, y: Scale) {
        for line in &self.lines {
            let Some(series) = self.series.get(line.series) else { continue };
            let points: Vec<_> = line.points.iter().map(|(a, b)| (x.at(*a), y.at(*b))).collect();
            let class = if line.thin { "thin" } else { "line" };
            svg.path(&format!("{class} s{}", series.colour()), &points, &series.name);
            if line.thin || points.len() > 20 {
                continue;
            }
            for (place, (a, b)) in points.iter().zip(&line.points) {
                let (a, b) = ((self.x.tick)(*a), (self.y.tick)(*b));
                svg.dot(&series.dot_class(), *place, &format!("{}: {b} at {a}", series.name));
            }
        }
    }
}
