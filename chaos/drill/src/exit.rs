//! How a command of `chaos` ends: one documented enum, the same in the program, in `--help` and in CI.
//!
//! Deliberately absent: a code for "some other error". A fault of the harness itself is 70 (`EX_SOFTWARE` of
//! sysexits.h), so that a broken harness is never taken for a broken system.

use std::process::{ExitCode, Termination};

use serde::{Deserialize, Serialize};

/// What a command found out, as the shell sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Exit {
    /// Every rule of the contract held, every fault bit, everything promised was exercised. With `--expect fail:R…`:
    /// the named rules failed, as they had to.
    Pass = 0,
    /// A rule was violated: the system broke its contract. With `--expect fail:R…`: they were not violated.
    Fail = 1,
    /// The command line or the drill file is wrong; nothing was started.
    Usage = 2,
    /// Neither pass nor fail may be claimed: a fault left no evidence, a rule was not exercised, telemetry is missing.
    Unknown = 3,
    /// The run ended before it could be judged: interrupted, past its longest duration, or never in a steady state.
    Aborted = 4,
    /// The harness itself failed (no engine, a port taken, a full disk, a bug): nothing is said about the system.
    Harness = 70,
}

impl Exit {
    /// Every code, in the order of the documentation.
    pub const ALL: [Exit; 6] = [Exit::Pass, Exit::Fail, Exit::Usage, Exit::Unknown, Exit::Aborted, Exit::Harness];

    pub const fn code(self) -> u8 {
        self as u8
    }

    /// One line for `--help` and the documentation.
    pub const fn meaning(self) -> &'static str {
        match self {
            Exit::Pass => "pass (or: failed by the rules that --expect names)",
            Exit::Fail => "fail: the system broke its contract (or: did not fail as --expect said)",
            Exit::Usage => "usage: wrong arguments or a wrong drill file; nothing was started",
            Exit::Unknown => "unknown: a fault without evidence, a rule not exercised, or telemetry missing",
            Exit::Aborted => "aborted, or never in a steady state",
            Exit::Harness => "a fault of the harness itself",
        }
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self.code())
    }
}
