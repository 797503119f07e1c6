//! Aligned columns for people.

/// A table of text; the first column is aligned to the left, the others to the right.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Adds a row.
    pub(super) fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// The text, each line indented by two blanks.
    pub(super) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
            })
            .collect();

        let cell = |(index, (cell, width)): (usize, (&String, &usize))| match index {
            0 => format!("  {cell:<width$}"),
            _ => format!("  {cell:>width$}"),
        };
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).enumerate().map(cell);
            format!(
                "{}
",
                cells.collect::<String>().trim_end()
            )
        };
        self.rows.iter().map(line).collect()
    }
}

/// A number with commas between thousands.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size in bytes, in the unit that suits it.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let (mut whole, mut unit) = (bytes, "B");
    let mut tenths = 0;
    for next in UNITS {
        if whole < 1024 {
            break;
        }
        tenths = (whole % 1024) * 10 / 1024;
        whole /= 1024;
        unit = next;
    }
    format!("{whole}.{tenths} {unit}")
}

/// A duration in milliseconds.
pub(super) fn millis(millis: f64) -> String {
    if millis < 10.0 { format!("{millis:.2} ms") } else { format!("{millis:.0} ms") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::default();
        table.row(["a", "1"]);
        table.row(["bcd", "1000"]);
        assert_eq!(table.render(), "  a       1\n  bcd  1000\n");
    }

    #[test]
    fn numbers_and_sizes_read_well() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0, 1023, 1024, 1536, 5 << 20].map(size),
            ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "5.0 MiB"]
        );
        assert_eq!((millis(0.5), millis(12.3)), ("0.50 ms".into(), "12 ms".into()));
    }
}
