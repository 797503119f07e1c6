//! [`Bars`].

use super::scale::Scale;
use super::svg::{Anchor, Svg};
use super::{Format, Series, WIDE, draw_legend, legend_places, place, text_width, widest};

/// The height of a bar, and what is between rows.
const BAR: f64 = 13.0;
const GAP: f64 = 11.0;

/// Bars from 0, with their values behind them.
#[derive(Clone, Debug)]
pub struct Bars {
    /// What it shows.
    pub title: String,
    /// What the axis counts.
    pub unit: String,
    /// How the axis names values.
    pub tick: Format,
    /// How values are told.
    pub value: Format,
    /// The series.
    pub series: Vec<Series>,
    /// Names of rows, and a figure for each series that has one: its place in `series`, and the value.
    pub rows: Vec<(String, Vec<(usize, f64)>)>,
}

impl Bars {
    /// Draws it.
    pub fn draw(&self) -> Svg {
        let left = widest(self.rows.iter().map(|(name, _)| name.as_str())) + 22.0;
        let values = || self.rows.iter().flat_map(|(_, bars)| bars).map(|(_, value)| *value);
        let behind = values().map(|value| text_width(&(self.value)(value))).fold(0.0, f64::max);
        let right = WIDE - 16.0 - behind;
        let (places, top) = legend_places(&self.series, left, WIDE - 16.0);
        let heights = self.rows.iter().map(|(_, bars)| place(bars.len()) * BAR + GAP);
        let bottom = top + heights.sum::<f64>();
        let mut svg = Svg::new(WIDE, bottom + 40.0, &self.title);
        draw_legend(&mut svg, &self.series, &places);
        let scale = Scale::linear(values(), (left, right));
        for tick in scale.ticks() {
            let x = scale.at(tick);
            svg.line("grid", (x, top), (x, bottom));
            svg.text("", (x, bottom + 15.0), Anchor::Middle, &(self.tick)(tick));
        }
        svg.text("", (f64::midpoint(left, right), bottom + 32.0), Anchor::Middle, &self.unit);
        let mut y = top;
        for (name, bars) in &self.rows {
            let height = place(bars.len()) * BAR;
            let middle = y + f64::midpoint(height, GAP) + 4.0;
            svg.text("ink", (left - 12.0, middle), Anchor::End, name);
            for (number, (series, value)) in bars.iter().enumerate() {
                let Some(series) = self.series.get(*series) else { continue };
                let at = y + GAP / 2.0 + place(number) * BAR;
                let text = (self.value)(*value);
                let class = if series.ring { "light" } else { "area" };
                let class = format!("{class} s{}", series.colour());
                let hint = format!("{name}, {}: {text}", series.name);
                let width = scale.at(*value) - left;
                svg.rectangle(&class, (left, at), (width, BAR - 2.0), &hint);
                svg.text("", (left + width + 6.0, at + 9.5), Anchor::Start, &text);
            }
            y += height + GAP;
        }
        svg.line("axis", (left, top), (left, bottom));
        svg
    }
}
