//! A report as a part of a Markdown file: tables, and links to plots in files of their own.

use super::input::Environment;
use super::section::{Block, Cell, Section, Table};
use super::text::add;

/// Where the part begins, and where it ends.
pub const MARKS: [&str; 2] = ["<!-- report:begin -->", "<!-- report:end -->"];

/// A part of a file, and the plots that it links to, by their file names.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// Markdown.
    pub text: String,
    /// File names, and drawings.
    pub plots: Vec<(String, String)>,
}

/// The text with what is between the marks replaced.
///
/// # Errors
/// Where the marks are not there once each, in their order.
pub fn replace(text: &str, part: &str) -> Result<String, String> {
    let [begin, end] = MARKS;
    if text.matches(begin).count() != 1 || text.matches(end).count() != 1 {
        return Err(format!("it needs one line {begin} and, below it, one line {end}"));
    }
    let between = text.split_once(begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(end)?;
        Some(format!("{before}{begin}\n{}\n{end}{after}", part.trim_end()))
    });
    between.ok_or_else(|| format!("{end} stands before {begin}"))
}

/// The part, whose plots are in a directory that is called so from there.
pub fn part(environments: &[Environment], sections: &[Section], directory: &str) -> Part {
    let mut part = Part::default();
    for environment in environments {
        part.text.push('\n');
        let each: Vec<String> =
            environment.iter().map(|(name, text)| format!("{name}: {}", inline(text))).collect();
        add(&mut part.text, format_args!("{}\n", each.join("; ")));
    }
    for section in sections.iter().filter(|section| !section.blocks.is_empty()) {
        add(
            &mut part.text,
            format_args!("\n### {}\n\n{}\n", section.title, inline(&section.about)),
        );
        for block in &section.blocks {
            match block {
                Block::Text(text) => add(&mut part.text, format_args!("\n{}\n", inline(text))),
                Block::Plot(name, svg) => {
                    part.text.push('\n');
                    part.link(section, directory, (name, svg.alone()));
                }
                Block::Plots(plots) => {
                    part.text.push('\n');
                    for (name, svg) in plots {
                        part.link(section, directory, (name, svg.alone()));
                    }
                }
                Block::Table(table) => add_table(&mut part.text, table),
                Block::Folded(name, table) => {
                    let summary = inline(name);
                    add(&mut part.text, format_args!("\n<details><summary>{summary}</summary>\n"));
                    add_table(&mut part.text, table);
                    part.text.push_str("\n</details>\n");
                }
            }
        }
    }
    part
}

impl Part {
    fn link(&mut self, section: &Section, directory: &str, (name, drawing): (&str, String)) {
        let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' };
        let file = format!("{}.svg", name.chars().map(safe).collect::<String>());
        add(&mut self.text, format_args!("![{}]({directory}/{file})\n", section.title));
        self.plots.push((file, drawing));
    }
}

/// Text that means nothing to Markdown, on one line.
fn inline(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' => out.extend(['\\', c]),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

fn add_table(out: &mut String, table: &Table) {
    let heads: Vec<String> = table.head.iter().map(|name| inline(name)).collect();
    add(out, format_args!("\n| {} |\n", heads.join(" | ")));
    let first = table.rows.first();
    out.push('|');
    for number in 0..table.head.len() {
        let cell = first.and_then(|row| row.get(number));
        out.push_str(if matches!(cell, Some(Cell::Text(_))) { "---|" } else { "--:|" });
    }
    out.push('\n');
    for row in &table.rows {
        let cells: Vec<String> = row
            .iter()
            .map(|cell| match cell {
                Cell::Best(text) | Cell::Verdict(text, false) => format!("**{}**", inline(text)),
                cell => inline(cell.text()),
            })
            .collect();
        add(out, format_args!("| {} |\n", cells.join(" | ")));
    }
}
