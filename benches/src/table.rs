//! A table for people, which is Markdown too.

use std::fmt;

pub(crate) struct Table<const COLUMNS: usize> {
    rows: Vec<[String; COLUMNS]>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    pub(crate) fn new(heads: [&str; COLUMNS]) -> Self {
        Table { rows: vec![heads.map(str::to_owned)] }
    }

    pub(crate) fn row(&mut self, cells: [&str; COLUMNS]) {
        self.rows.push(cells.map(str::to_owned));
    }
}

impl<const COLUMNS: usize> fmt::Display for Table<COLUMNS> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wide = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).max(3);
        for (nth, row) in self.rows.iter().enumerate() {
            for (column, cell) in row.iter().enumerate() {
                let wide = wide(column);
                if column == 0 { write!(out, "| {cell:wide$} ")? } else { write!(out, "| {cell:>wide$} ")? }
            }
            writeln!(out, "|")?;
            if nth == 0 {
                for column in 0..COLUMNS {
                    let line = "-".repeat(wide(column));
                    if column == 0 { write!(out, "| {line} ")? } else { write!(out, "| {}: ", &line[1..])? }
                }
                writeln!(out, "|")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let mut table = Table::new(["who", "µs"]);
        table.row(["write(2)", "7.5"]);
        assert_eq!(table.to_string(), "| who      |  µs |\n| -------- | --: |\n| write(2) | 7.5 |\n");
    }
}
