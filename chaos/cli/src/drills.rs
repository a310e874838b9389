//! `chaos drills`: what is shipped, with a sentence each.

use chaos_drill::{Drill, Exit, Overrides, SHIPPED, load};
use serde_json::{Value, json};

use crate::terminal;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// As JSON, with everything that a drill file says
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Exit {
    let mut drills = Vec::new();
    for shipped in SHIPPED {
        match load(shipped.name, &Overrides::default()) {
            Ok(drill) => drills.push(drill),
            Err(mistakes) => return terminal::refuse(&mistakes, Exit::Harness),
        }
    }
    if arguments.json {
        terminal::out(&Value::Array(drills.iter().map(as_json).collect()).to_string());
    } else {
        terminal::out(&for_people(&drills));
    }
    Exit::Pass
}

fn as_json(drill: &Drill) -> Value {
    json!({ "name": drill.name, "title": drill.title, "why": drill.why, "must_fail": drill.expect.fails, "drill": drill })
}

fn for_people(drills: &[Drill]) -> String {
    let width = drills.iter().map(|drill| drill.name.len()).max().unwrap_or(0);
    let line = |drill: &&Drill| {
        let by = if drill.must_fail() { format!(" (by {})", names(drill)) } else { String::new() };
        format!("  {:width$}  {}{by}", drill.name, drill.title)
    };
    let part = |must_fail: bool| {
        let lines: Vec<_> = drills.iter().filter(|drill| drill.must_fail() == must_fail).collect();
        lines.iter().map(line).collect::<Vec<_>>().join("\n")
    };
    format!(
        "Must pass:\n{}\nMust fail (chaos drill <name> --expect declared):\n{}\nRun one with: chaos drill <name>; see \
         what it would do with --dry-run.\nOn your own server: chaos drill <name> --system FILE \
         (docs/your-own-server.md).",
        part(false),
        part(true)
    )
}

fn names(drill: &Drill) -> String {
    drill.expect.fails.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
