//! A report as one HTML page that needs nothing else: style and plots are in it, and there are no scripts.

use super::chart::svg::STYLE;
use super::input::{COMMAND, Environment};
use super::section::{Block, Cell, Section, Table};
use super::text::{add, escaped};

const PAGE: &str = include_str!("page.css");

/// What a page says before its sections.
#[derive(Clone, Debug)]
pub struct Head<'a> {
    /// Machines, versions and commands.
    pub environments: &'a [Environment],
    /// Files that it was made from.
    pub files: &'a [String],
}

/// The page.
pub fn page(head: &Head<'_>, sections: &[Section]) -> String {
    let mut out = String::new();
    out.push_str("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    out.push_str("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">");
    out.push_str("<meta name=\"color-scheme\" content=\"light dark\">");
    add(
        &mut out,
        format_args!("<title>Alluvium benchmarks</title><style>{STYLE}{PAGE}</style></head>"),
    );
    out.push_str("<body><header><h1>Alluvium benchmarks</h1><p class=\"lead\">State backends for stream processors, ");
    out.push_str("side by side on one machine. Absolute rates hold for this machine only; compare what stands in one plot.</p>");
    let (told, lacking): (Vec<&Section>, Vec<&Section>) =
        sections.iter().partition(|section| !section.blocks.is_empty());
    out.push_str("<nav>");
    for section in &told {
        add(&mut out, format_args!("<a href=\"#{}\">{}</a>", section.anchor, section.title));
    }
    out.push_str("</nav></header><main>");
    environments(&mut out, head);
    for section in &told {
        add(
            &mut out,
            format_args!("<section id=\"{}\"><h2>{}</h2>", section.anchor, section.title),
        );
        add(&mut out, format_args!("<p class=\"about\">{}</p>", escaped(&section.about)));
        section.blocks.iter().for_each(|block| add_block(&mut out, block));
        out.push_str("</section>");
    }
    if !lacking.is_empty() {
        out.push_str("<section id=\"left-out\"><h2>Not measured in this run</h2><ul>");
        for section in lacking {
            let (title, lacking) = (section.title, escaped(section.lacking));
            add(&mut out, format_args!("<li>{title}: needs <code>{lacking}</code></li>"));
        }
        out.push_str("</ul></section>");
    }
    out.push_str("</main><footer>Made by <code>report</code> of alluvium-benches from ");
    let files: Vec<String> =
        head.files.iter().map(|file| format!("<code>{}</code>", escaped(file))).collect();
    add(&mut out, format_args!("{}.</footer></body></html>\n", files.join(", ")));
    out
}

fn environments(out: &mut String, head: &Head<'_>) {
    out.push_str("<section id=\"environment\"><h2>Machine, versions, commands</h2>");
    if head.environments.is_empty() {
        out.push_str("<p class=\"about\">The files do not tell where they were measured.</p>");
    }
    for environment in head.environments {
        out.push_str("<dl>");
        for (name, text) in environment {
            let text = escaped(text);
            if *name == COMMAND {
                add(
                    out,
                    format_args!(
                        "<div class=\"wide\"><dt>{name}</dt><dd><code>{text}</code></dd></div>"
                    ),
                );
            } else {
                add(out, format_args!("<div><dt>{name}</dt><dd>{text}</dd></div>"));
            }
        }
        out.push_str("</dl>");
    }
    out.push_str("</section>");
}

fn add_block(out: &mut String, block: &Block) {
    match block {
        Block::Text(text) => add(out, format_args!("<p>{}</p>", escaped(text))),
        Block::Plot(_, svg) => add(out, format_args!("<figure>{}</figure>", svg.within_page())),
        Block::Plots(plots) => {
            out.push_str("<div class=\"pair\">");
            for (_, svg) in plots {
                add(out, format_args!("<figure>{}</figure>", svg.within_page()));
            }
            out.push_str("</div>");
        }
        Block::Table(table) => add_table(out, table),
        Block::Folded(name, table) => {
            add(out, format_args!("<details><summary>{}</summary>", escaped(name)));
            add_table(out, table);
            out.push_str("</details>");
        }
    }
}

fn add_table(out: &mut String, table: &Table) {
    out.push_str("<div class=\"table\"><table><thead><tr>");
    let first = table.rows.first();
    for (number, name) in table.head.iter().enumerate() {
        let cell = first.and_then(|row| row.get(number));
        let class = if matches!(cell, Some(Cell::Text(_))) { "" } else { " class=\"n\"" };
        add(out, format_args!("<th{class}>{}</th>", escaped(name)));
    }
    out.push_str("</tr></thead><tbody>");
    for row in &table.rows {
        out.push_str("<tr>");
        for cell in row {
            let class = match cell {
                Cell::Text(_) => "",
                Cell::Figure(_) => "n",
                Cell::Best(_) => "n best",
                Cell::Verdict(_, true) => "n good",
                Cell::Verdict(_, false) => "n bad",
            };
            add(out, format_args!("<td class=\"{class}\">{}</td>", escaped(cell.text())));
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div>");
}
