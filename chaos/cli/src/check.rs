//! `chaos check <file>`: every mistake in a drill file, a system file or a deployment file, and nothing started. The
//! program of a system's command is looked for, too, and so are the programs and the password file of a deployment.

use chaos_drill::{Exit, Mistakes, Overrides, System, is_deployment, load, load_deployment};
use serde_json::json;

use crate::{environment::Environment, terminal};

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
    let (environment, mut exit) = (Environment::read(), Exit::Pass);
    for file in &arguments.files {
        if !check(file, &environment, arguments.json) {
            exit = Exit::Usage;
        }
    }
    exit
}

fn check(file: &str, environment: &Environment, json: bool) -> bool {
    match title(file, environment) {
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
fn title(file: &str, environment: &Environment) -> Result<String, Mistakes> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    if is_deployment(&text) {
        let deployment = load_deployment(file)?;
        let missing = deployment.missing_files(Some(environment.search_path()));
        if missing.is_empty() { Ok(deployment.title) } else { Err(Mistakes::unfit(file, missing)) }
    } else if System::is_meant(&text) {
        let system = System::load(file)?;
        // Without an image it must be there, whichever backend it is for.
        let missing = system.missing_program(environment.search_path()).filter(|_| system.start.image.is_none());
        missing.map_or(Ok(system.title), |why| Err(Mistakes::unfit(file, vec![why])))
    } else {
        load(file, &Overrides::default()).map(|drill| drill.title)
    }
}

fn as_json(mistake: &chaos_drill::Mistake) -> serde_json::Value {
    let (line, column) = mistake.place.map_or((None, None), |place| (Some(place.line), Some(place.column)));
    json!({ "line": line, "column": column, "message": mistake.message, "nearest": mistake.nearest })
}
