//! Columns that line up, for reports: left-aligned words, right-aligned numbers.

/// Rows of cells; numbers (cells that begin with a digit) are set to the right.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new() -> Table {
        Table { rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Each line begins with `indent`; the last column is never padded.
    pub(crate) fn render(&self, indent: &str) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width =
            |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        let widths: Vec<_> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        self.rows.iter().map(|row| line(row, &widths, indent)).collect()
    }
}

fn line(row: &[String], widths: &[usize], indent: &str) -> String {
    let mut line = indent.to_owned();
    for (at, (cell, width)) in row.iter().zip(widths).enumerate() {
        let pad = " ".repeat(width - cell.chars().count());
        let number = cell.starts_with(|c: char| c.is_ascii_digit());
        let (before, after) = if number && at + 1 < row.len() { (pad.as_str(), "") } else { ("", pad.as_str()) };
        line.extend([before, cell, after, "  "]);
    }
    format!("{}\n", line.trim_end())
}

/// `9214` as `9 214`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_line_up_left_and_numbers_right() {
        let mut table = Table::new();
        table.row(["R1".into(), "12".into(), "lost".into()]);
        table.row(["R12".into(), "1 204".into(), "ok".into()]);
        assert_eq!(table.render("  "), "  R1      12  lost\n  R12  1 204  ok\n");
        assert_eq!([thousands(7), thousands(1_234), thousands(1_000_000)], ["7", "1 234", "1 000 000"]);
    }
}
