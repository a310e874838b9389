//! Plans by name: the mix, and for each hole that the protocol closes a scenario aimed at it.
//!
//! Random faults alone are not enough: what some rules prevent shows in none of hundreds of mixed seeds
//! (docs/protocol.md, "Each rule left out"). So each negative control leaves one rule out, is played in the
//! scenario aimed at it, and must be caught in a minimum number of fixed seeds; the same scenario with the whole
//! protocol must be good in all of them.

mod aimed;
mod controls;

pub use controls::CONTROLS;

use chaos_checkers::Rule;

use crate::world::plan::Plan;
use crate::world::run::Report;

pub type Make = fn(u64) -> Plan;

/// A rule of the protocol left out, and how it must be caught.
pub struct Control {
    pub name: &'static str,
    /// What is left out, for people.
    pub left_out: &'static str,
    pub scenario: Make,
    /// The same scenario with the rule missing.
    pub break_it: fn(&mut Plan),
    /// Any of these must fail; or, where there are none, a write must go astray, of which the whole protocol makes none
    /// in that scenario.
    pub caught_by: &'static [Rule],
    /// In at least so many of the seeds `0..seeds`.
    pub at_least: u64,
    pub seeds: u64,
}

impl Control {
    /// Whether that run shows what is left out. One that is not sound shows nothing.
    pub fn is_hit(&self, report: &Report) -> bool {
        let astray = self.none_astray() && report.stray_writes > 0;
        report.sound() && (astray || report.violated().iter().any(|rule| self.caught_by.contains(rule)))
    }

    /// Whether a stray write is what its scenario is about.
    pub fn none_astray(&self) -> bool {
        self.caught_by.is_empty()
    }

    pub fn broken(&self, seed: u64) -> Plan {
        let mut plan = (self.scenario)(seed);
        (self.break_it)(&mut plan);
        plan
    }
}

/// What a scenario is aimed at, with its rule left out (`!`) or not.
pub fn control(name: &str) -> Option<&'static Control> {
    let name = name.strip_suffix('!').unwrap_or(name);
    CONTROLS.iter().find(|control| control.name == name)
}

pub fn by_name(name: &str) -> Option<Box<dyn Fn(u64) -> Plan + Sync>> {
    match name {
        "mixed" => Some(Box::new(Plan::mixed)),
        "quiet" => Some(Box::new(Plan::quiet)),
        name => {
            let (control, broken) = (control(name)?, name.ends_with('!'));
            Some(Box::new(move |seed| if broken { control.broken(seed) } else { (control.scenario)(seed) }))
        }
    }
}

pub fn names() -> Vec<&'static str> {
    ["mixed", "quiet"].into_iter().chain(CONTROLS.iter().map(|control| control.name)).collect()
}
