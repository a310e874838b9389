//! `chaos check <file>`: every mistake in a drill file, a system file or a deployment file, and nothing started.

use chaos_drill::{Exit, Mistakes, Overrides, System, is_deployment, load, load_deployment};
use serde_json::json;

use crate::terminal;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Drill files, names of shipped drills, system files or deployment files
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
    match title(file) {
        Ok(title) if json => terminal::out(&json!({ "file": file, "ok": true, "title": title }).to_string()),
        Ok(title) => terminal::out(&format!("{file}: fine ({title})")),
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

/// A deployment file, a system file, or else a drill.
fn title(file: &str) -> Result<String, Mistakes> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    if is_deployment(&text) {
        load_deployment(file).map(|deployment| deployment.title)
    } else if System::is_meant(&text) {
        System::load(file).map(|system| system.title)
    } else {
        load(file, &Overrides::default()).map(|drill| drill.title)
    }
}

fn as_json(mistake: &chaos_drill::Mistake) -> serde_json::Value {
    let (line, column) = mistake.place.map_or((None, None), |place| (Some(place.line), Some(place.column)));
    json!({ "line": line, "column": column, "message": mistake.message, "nearest": mistake.nearest })
}
