//! Writing for people and for machines: results to stdout, everything else to stderr.
//!
//! A closed pipe (`chaos drills | head -1`) is no error of ours, so failures to write are let go.

use std::io::{self, IsTerminal, Write};

use chaos_drill::Exit;

/// A result.
pub(crate) fn out(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{}", text.trim_end_matches('\n'));
}

/// A remark beside the result.
pub(crate) fn remark(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", text.trim_end_matches('\n'));
}

/// Why there is no result.
pub(crate) fn refuse(why: &impl std::fmt::Display, exit: Exit) -> Exit {
    remark(&format!("error: {why}"));
    exit
}

/// Whether a person watches.
pub(crate) fn is_watched() -> bool {
    io::stderr().is_terminal()
}
