//! `chaos`: the command. A table of contents: each command is a file of its name.
//!
//! Only this crate reads the environment (`environment.rs`), writes to the terminal (`terminal.rs`, `progress.rs`)
//! and turns what happened into an exit code. What happens next in a run is decided in `chaos-drill`, never here.

mod check;
mod compare;
mod containers;
mod deployment;
mod drill;
mod drills;
mod environment;
mod judge;
mod matrix;
mod progress;
mod stop;
mod system;
mod terminal;

use chaos_drill::Exit;
use clap::{Parser, Subcommand};

/// Chaos drills for real-time messaging: break a running chat on purpose, and say with evidence what it lost.
#[derive(Parser)]
#[command(name = "chaos", version, after_help = exit_codes(), arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a drill: boot, load, break, heal, judge, report
    Drill(drill::Arguments),
    /// Run one drill on several systems, and set them side by side
    Compare(compare::Arguments),
    /// List the drills that are shipped, with a sentence each
    Drills(drills::Arguments),
    /// Check a drill file, a system file or a deployment file, without starting anything
    Check(check::Arguments),
    /// Judge a stored run again
    Judge(judge::Arguments),
    /// Run drills on every engine, and show each promotion beside its budget
    Matrix(matrix::Arguments),
}

fn main() -> Exit {
    match Arguments::parse().command {
        Command::Drill(arguments) => drill::run(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Drills(arguments) => drills::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Judge(arguments) => judge::run(&arguments),
        Command::Matrix(arguments) => matrix::run(&arguments),
    }
}

fn exit_codes() -> String {
    let line = |exit: &Exit| format!("  {:>2}  {}", exit.code(), exit.meaning());
    format!("Exit codes:\n{}", Exit::ALL.iter().map(line).collect::<Vec<_>>().join("\n"))
}
