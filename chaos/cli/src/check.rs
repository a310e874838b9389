//! `chaos check <file>`: every mistake in a drill file, and nothing started.

use chaos_drill::{Exit, Overrides, load};
use serde_json::json;

use crate::terminal;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Drill files, or names of shipped drills
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// As JSON: one object a file
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Exit {
    let mut exit = Exit::Pass;
    for file in &arguments.files {
        if !check(file, arguments.json) {
            exit = Exit::Usage;
        }
    }
    exit
}

fn check(file: &str, json: bool) -> bool {
    match load(file, &Overrides::default()) {
        Ok(drill) if json => terminal::out(&json!({ "file": file, "ok": true, "title": drill.title }).to_string()),
        Ok(drill) => terminal::out(&format!("{file}: fine ({})", drill.title)),
        Err(mistakes) if json => {
            let list: Vec<_> = mistakes.mistakes.iter().map(as_json).collect();
            terminal::out(&json!({ "file": file, "ok": false, "mistakes": list }).to_string());
            return false;
        }
        Err(mistakes) => {
            terminal::remark(&mistakes.to_string());
            return false;
        }
    }
    true
}

fn as_json(mistake: &chaos_drill::Mistake) -> serde_json::Value {
    let (line, column) = mistake.place.map_or((None, None), |place| (Some(place.line), Some(place.column)));
    json!({ "line": line, "column": column, "message": mistake.message, "nearest": mistake.nearest })
}
