//! The rules by number and name.

use std::fmt;

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Rule {
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
}

impl Rule {
    pub const ALL: [Rule; 14] = [
        Rule::R1,
        Rule::R2,
        Rule::R3,
        Rule::R4,
        Rule::R5,
        Rule::R6,
        Rule::R7,
        Rule::R8,
        Rule::R9,
        Rule::R10,
        Rule::R11,
        Rule::R12,
        Rule::R13,
        Rule::R14,
    ];

    /// Whether only a system that gives offsets can show it.
    pub const fn needs_offsets(self) -> bool {
        matches!(self, Rule::R8 | Rule::R10 | Rule::R11 | Rule::R12)
    }

    /// What the rule promises, in a few words.
    pub const fn promise(self) -> &'static str {
        match self {
            Rule::R1 => "what is owed arrives",
            Rule::R2 => "what arrives was sent",
            Rule::R3 => "what was refused does not arrive",
            Rule::R4 => "nothing arrives twice",
            Rule::R5 => "content, room and sender arrive as sent",
            Rule::R6 => "each sender's messages arrive in their order",
            Rule::R7 => "each room has one order",
            Rule::R8 => "no member goes back or skips",
            Rule::R9 => "nothing arrives from outside the membership",
            Rule::R10 => "who resumes gets the gap, once, in order, first",
            Rule::R11 => "messages without an answer reach everyone or no one",
            Rule::R12 => "what was acknowledged stays in the log",
            Rule::R13 => "after heal every node delivers every room again",
            Rule::R14 => "everything happens within its budget",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, out)
    }
}
