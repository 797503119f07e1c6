//! Plots, drawn as SVG by nothing but formatting: the same figures yield the same bytes.
//!
//! * [`Dots`]: rows with a dot for each series, on a logarithmic axis, where bars would have no honest beginning;
//! * [`Bars`]: bars from 0;
//! * [`Lines`]: lines, with windows of time shaded.

mod bars;
mod dots;
mod lines;
pub mod scale;
pub mod svg;

pub use bars::Bars;
pub use dots::{Dots, Mark};
pub use lines::{Axis, Line, Lines, Window};

use svg::{Anchor, LETTER, Svg};

/// So many colours there are.
const COLOURS: usize = 10;
/// The width of a plot that has the page for itself.
pub const WIDE: f64 = 960.0;
/// The width of one of two side by side.
pub const NARROW: f64 = 470.0;
/// The height of a line of a legend.
const LEGEND_LINE: f64 = 18.0;

/// Formats the values of an axis.
pub type Format = fn(f64) -> String;

/// What has one colour: a backend, say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Its place among all series of a report, so that it has the same colour everywhere.
    pub number: usize,
    /// Whether its dots are rings: peers.
    pub ring: bool,
}

impl Series {
    fn colour(&self) -> usize {
        self.number % COLOURS
    }

    fn dot_class(&self) -> String {
        format!("{} s{}", if self.ring { "ring" } else { "dot" }, self.colour())
    }
}

/// Places of a legend's entries, and what is below it.
fn legend_places(series: &[Series], left: f64, right: f64) -> (Vec<(f64, f64)>, f64) {
    let (mut x, mut y, mut places) = (left, 14.0, Vec::new());
    for one in series {
        let width = text_width(&one.name) + 26.0;
        if x + width > right && x > left {
            (x, y) = (left, y + LEGEND_LINE);
        }
        places.push((x, y));
        x += width;
    }
    (places, if series.is_empty() { 4.0 } else { y + 12.0 })
}

fn draw_legend(svg: &mut Svg, series: &[Series], places: &[(f64, f64)]) {
    for (one, (x, y)) in series.iter().zip(places) {
        svg.dot(&one.dot_class(), (x + 5.0, y - 4.0), &one.name);
        svg.text("ink", (x + 14.0, *y), Anchor::Start, &one.name);
    }
}

/// What a text is wide, about.
#[expect(clippy::cast_precision_loss, reason = "a text has few letters")]
fn text_width(text: &str) -> f64 {
    text.chars().count() as f64 * LETTER
}

fn widest<'a>(texts: impl Iterator<Item = &'a str>) -> f64 {
    texts.map(text_width).fold(0.0, f64::max)
}

/// A small number as a place.
#[expect(clippy::cast_precision_loss, reason = "a plot has few rows")]
fn place(number: usize) -> f64 {
    number as f64
}
