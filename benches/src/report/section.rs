//! [`Section`]: a part of a report, before it is a page or Markdown.

use super::chart::svg::Svg;

/// A cell of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Text: a name.
    Text(String),
    /// A figure.
    Figure(String),
    /// A figure that is the best of its row.
    Best(String),
    /// A verdict, and whether it is a good one.
    Verdict(String, bool),
}

impl Cell {
    /// What is written in it.
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Figure(text) | Self::Best(text) | Self::Verdict(text, _) => {
                text
            }
        }
    }

    /// A figure, or a dash.
    pub fn maybe(figure: Option<String>) -> Self {
        Self::Figure(figure.unwrap_or_else(|| "-".to_owned()))
    }
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Names of columns.
    pub head: Vec<String>,
    /// Rows.
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows.
    pub fn new<const N: usize>(head: [&str; N]) -> Self {
        Self { head: head.map(str::to_owned).to_vec(), rows: Vec::new() }
    }
}

/// What a section consists of.
#[derive(Clone, Debug)]
pub enum Block {
    /// Some sentences.
    Text(String),
    /// A plot: the name of its file without directory and ending, and the drawing.
    Plot(String, Svg),
    /// Plots that stand side by side where there is room.
    Plots(Vec<(String, Svg)>),
    /// A table.
    Table(Table),
    /// A table that is opened on demand, with what it is called.
    Folded(String, Table),
}

/// A part of a report.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its name in links: letters and dashes.
    pub anchor: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// What it is about, and how to read it.
    pub about: String,
    /// Its content; without any it is left out, and [`lacking`](Self::lacking) is told.
    pub blocks: Vec<Block>,
    /// What would have to be measured for it.
    pub lacking: &'static str,
}
