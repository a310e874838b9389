//! One line of time: rates as a sparkline, roles as letters, faults as bars. Each cell is the same slice of the run.

use std::{fmt::Write as _, time::Duration};

const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// How many cells a strip has at most; with a label in front it then fits into 100 columns.
const CELLS: usize = 64;

/// The division of a run into cells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis {
    cell: Duration,
    cells: usize,
}

impl Axis {
    /// Cells as fine as fits, in steps that read well.
    pub(crate) fn over(length: Duration) -> Axis {
        let steps = [100, 200, 250, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000].map(Duration::from_millis);
        let fits = |cell: &Duration| length.as_micros().div_ceil(cell.as_micros()) <= CELLS as u128;
        let cell = steps.into_iter().find(fits).unwrap_or(length / CELLS as u32 + Duration::from_micros(1));
        Axis { cell, cells: length.as_micros().div_ceil(cell.as_micros().max(1)).max(1) as usize }
    }

    pub(crate) fn cell(self) -> Duration {
        self.cell
    }

    /// The cell that `at` lies in; what is past the end lies in the last.
    pub(crate) fn index(self, at: Duration) -> usize {
        ((at.as_micros() / self.cell.as_micros().max(1)) as usize).min(self.cells - 1)
    }

    /// Counts per cell of moments since the beginning of the axis.
    pub(crate) fn count(self, moments: impl IntoIterator<Item = Duration>) -> Vec<u64> {
        let mut counts = vec![0; self.cells];
        for at in moments {
            counts[self.index(at)] += 1;
        }
        counts
    }

    /// A ruler with a tick and its seconds wherever there is room.
    pub(crate) fn ruler(self) -> String {
        let mut ruler = String::new();
        for cell in (0..self.cells).step_by(8) {
            let seconds = (self.cell * cell as u32).as_secs_f64();
            let tick = format!("|{seconds:.1}").trim_end_matches(".0").to_owned();
            // Half a number is another one.
            if cell + tick.len() <= self.cells.max(8) {
                let _ = write!(ruler, "{tick:<8}");
            }
        }
        ruler.trim_end().to_owned()
    }

    /// `mark` from one moment to another, spaces elsewhere.
    pub(crate) fn bar(self, from: Duration, to: Duration, mark: char) -> String {
        let (from, to) = (self.index(from), self.index(to));
        (0..self.cells).map(|cell| if (from..=to).contains(&cell) { mark } else { ' ' }).collect()
    }

    /// For each cell the letter of the latest change at or before its end.
    pub(crate) fn letters(self, changes: &[(Duration, char)]) -> String {
        let letter = |cell: usize| {
            let end = self.cell * (cell as u32 + 1);
            changes.iter().rev().find(|(at, _)| *at < end).map_or(' ', |(_, letter)| *letter)
        };
        (0..self.cells).map(letter).collect()
    }
}

/// Heights against the highest; nothing at all is a space, so that a stall is seen as a gap.
pub(crate) fn sparkline(counts: &[u64]) -> String {
    let highest = counts.iter().copied().max().unwrap_or(0).max(1);
    let level = |count: u64| match count {
        0 => ' ',
        count => LEVELS[(count * (LEVELS.len() as u64 - 1)).div_ceil(highest) as usize],
    };
    counts.iter().map(|count| level(*count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_stall_is_a_gap_between_heights() {
        assert_eq!(sparkline(&[8, 4, 0, 0, 1, 8]), "█▅  ▂█");
        assert_eq!(sparkline(&[]), "");
    }

    #[test]
    fn every_moment_lands_in_a_cell_even_past_the_end() {
        let axis = Axis::over(ms(1_000));
        assert_eq!(axis.cell(), ms(100));
        let counts = axis.count([ms(0), ms(99), ms(100), ms(999), ms(5_000)]);
        assert_eq!((counts[0], counts[1], counts[9], counts.len()), (2, 1, 2, 10));
    }

    #[test]
    fn long_runs_get_coarser_cells_and_no_more_of_them() {
        for seconds in [1, 30, 45, 180, 4_000, 100_000] {
            let axis = Axis::over(Duration::from_secs(seconds));
            assert!(axis.count([]).len() <= CELLS, "{seconds} s");
        }
    }

    #[test]
    fn a_tick_has_its_whole_number_or_is_left_out() {
        let ruler = |seconds| Axis::over(Duration::from_secs(seconds)).ruler();
        assert_eq!(ruler(17), "|0      |4      |8      |12");
        assert_eq!(ruler(18), "|0      |4      |8      |12     |16");
    }

    #[test]
    fn a_letter_stays_until_the_next_change() {
        let axis = Axis::over(ms(1_000));
        assert_eq!(axis.letters(&[(ms(0), '1'), (ms(300), '·'), (ms(650), '4')]), "111···4444");
        assert_eq!(axis.bar(ms(300), ms(500), '#'), "   ###    ");
    }
}
