//! The rules, one file each, and the one list of them.
//!
//! A rule looks at [`Facts`] and says what it found; it does not know of other rules. To add one: a file here, a line in
//! [`RULES`], a variant of [`Rule`].

mod r01_loss;
mod r02_phantom;
mod r03_refused;
mod r04_duplicate;
mod r05_integrity;
mod r06_fifo;
mod r07_order;
mod r08_cursor;
mod r09_leak;
mod r10_resume;
mod r11_uniform;
mod r12_stored;
mod r13_canary;
mod r14_budgets;

use crate::{Rule, facts::Facts, findings::Findings, verdict::Numbers};

/// Rules add to the numbers what only they know.
pub(crate) type Check = fn(&Facts<'_>, &mut Numbers) -> Findings;

pub(crate) const RULES: [(Rule, Check); 14] = [
    (Rule::R1, r01_loss::check),
    (Rule::R2, r02_phantom::check),
    (Rule::R3, r03_refused::check),
    (Rule::R4, r04_duplicate::check),
    (Rule::R5, r05_integrity::check),
    (Rule::R6, r06_fifo::check),
    (Rule::R7, r07_order::check),
    (Rule::R8, r08_cursor::check),
    (Rule::R9, r09_leak::check),
    (Rule::R10, r10_resume::check),
    (Rule::R11, r11_uniform::check),
    (Rule::R12, r12_stored::check),
    (Rule::R13, r13_canary::check),
    // Last: it judges latencies that the others measured.
    (Rule::R14, r14_budgets::check),
];
