//! Numbers as people read them, and text that is safe in a page.

use std::fmt::Write as _;

/// So many digits that three of them matter.
pub fn digits(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 1.0 || v == 0.0 => format!("{value:.2}"),
        v if v >= 0.1 => format!("{value:.3}"),
        _ => format!("{value:.4}"),
    }
}

/// The same without zeros behind the point, for axes.
pub fn tick(value: f64) -> String {
    let text = digits(value);
    if text.contains('.') {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    text
}

/// With the first of these by which it can be divided and stay at 1 or above.
fn scaled(value: f64, units: &[(f64, &str)], short: fn(f64) -> String) -> String {
    let fits = units.iter().find(|(unit, _)| value.abs() >= *unit);
    fits.map_or_else(
        || short(value),
        |(unit, name)| format!("{}{name}", short(if *unit > 0.0 { value / unit } else { value })),
    )
}

const COUNTS: [(f64, &str); 3] = [(1e9, " G"), (1e6, " M"), (1e3, " k")];
const BYTES: [(f64, &str); 4] = [(1e9, " GB"), (1e6, " MB"), (1e3, " kB"), (0.0, " B")];
const MICROSECONDS: [(f64, &str); 3] = [(1e6, " s"), (1e3, " ms"), (0.0, " µs")];

/// A count or a rate.
pub fn count(value: f64) -> String {
    scaled(value, &COUNTS, digits)
}

/// The same for axes.
pub fn count_tick(value: f64) -> String {
    scaled(value, &COUNTS, tick)
}

/// Bytes, of which a kB has 1000.
pub fn bytes(value: f64) -> String {
    scaled(value, &BYTES, digits)
}

/// The same for axes.
pub fn bytes_tick(value: f64) -> String {
    scaled(value, &BYTES, tick)
}

/// A time that is given in microseconds.
pub fn microseconds(value: f64) -> String {
    scaled(value, &MICROSECONDS, digits)
}

/// The same for axes.
pub fn microseconds_tick(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    scaled(value, &MICROSECONDS, tick)
}

/// A time that is given in milliseconds.
pub fn milliseconds(value: f64) -> String {
    microseconds(value * 1e3)
}

/// Adds what was formatted; writing to a string does not fail.
pub fn add(out: &mut String, text: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(text);
    debug_assert!(written.is_ok(), "a string takes everything");
}

/// Text that is safe between tags and in attributes of HTML and SVG; what XML cannot hold becomes a space.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_that_matter_and_a_unit() {
        let shown = [count(1_234_567.0), count(12.0), bytes(1e9), microseconds(0.25)];
        assert_eq!(shown, ["1.23 M", "12.0", "1.00 GB", "0.250 µs"]);
        assert_eq!([milliseconds(0.5), milliseconds(2500.0)], ["500 µs", "2.50 s"]);
        assert_eq!([tick(0.5), tick(100.0), count_tick(1e6)], ["0.5", "100", "1 M"]);
        assert_eq!([bytes_tick(0.0), tick(0.0), microseconds_tick(0.0)], ["0 B", "0", "0"]);
    }

    #[test]
    fn nothing_leaves_its_place_in_a_page() {
        assert_eq!(escaped("<a b='\"&\u{0}>"), "&lt;a b=&#39;&quot;&amp; &gt;");
    }
}
