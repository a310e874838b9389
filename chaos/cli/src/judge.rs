//! `chaos judge <run>`: judge a stored run again. The same record gives the same verdict, so a newer checker can be
//! asked about an older run, and nobody has to believe a report.

use std::path::PathBuf;

use chaos_drill::{Exit, Expectation, rejudge};

use crate::terminal;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A run directory (target/drills/<drill>/<time>, or its `latest`)
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// `declared`, or `fail:R12[,R1]`: succeed when these rules failed
    #[arg(long, value_name = "WHAT")]
    expect: Option<Expectation>,
    /// The verdict as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Exit {
    let judged = match rejudge(&arguments.run) {
        Ok(judged) => judged,
        Err(error) => return terminal::refuse(&error, error.exit()),
    };
    let expectation = arguments.expect.clone().unwrap_or_default();
    let (exit, sentence) = expectation.settle(&judged.plan.drill, &judged.verdict);
    if arguments.json {
        terminal::out(&serde_json::to_string(&judged.verdict).expect("a verdict is JSON"));
    } else {
        terminal::out(&judged.report);
    }
    if let Some(sentence) = sentence {
        terminal::remark(&sentence);
    }
    exit
}
