//! A deployment that runs already is drilled by its operator's own commands, within the blast radius, and is as it was
//! afterwards.
//!
//! Here: what is done, and how it is put back. `verbs` has every command, `refused` what goes wrong.

mod refused;
mod staging;
mod verbs;

use std::{
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

use chaos_checkers::Outcome;
use chaos_cluster::Server;
use chaos_drill::{Exit, Plan, RunError, Stop};

use crate::{wait::eventually, warm::play};
use staging::{ASK_AND_GO, EVERYTHING, KILL, Staging, seen_gone};

const DRILL: &str = r#"format = 1
title = "the primary of the busiest room dies"
longest = "90s"
steady = "1s"
settle = "1s"
[workload.fan_out]
rooms = 6
members_per_room = 6
sends_per_second = 60
[[step]]
at = "1s"
inject = { kill = { redis = "primary_of_busiest_room" } }
heal_after = "4s"
[expect]
contract = "acked_is_durable"
exercises = ["R1", "R2", "R4", "R6", "R7", "R13"]
converge_within = "10s"
"#;

/// Then a chat node, too.
const CHAT_TOO: &str = r#"
[[step]]
on = "healed"
then = "1s"
inject = { kill = { chat = 2 } }
heal_after = "2s"
[expect]"#;

fn staged(scenario: impl AsyncFnOnce(Staging)) {
    play(async { scenario(Staging::set().await).await });
}

#[test]
fn a_deployment_is_drilled_by_its_operators_commands_and_is_as_it_was() {
    staged(async |staging| {
        let text = DRILL.replace("\n[expect]", CHAT_TOO);
        let drill =
            staging.drill(&staging.file(KILL, EVERYTHING), &text).await.unwrap_or_else(|wrong| panic!("{wrong}"));
        let judged = staging.play(drill, Stop::default()).await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(judged.verdict.outcome, Outcome::Pass, "{}", judged.report);
        let restarted = staging.restarted();
        let [Server::Redis(_), Server::Chat(2)] = restarted[..] else { panic!("restarted: {restarted:?}") };
        for act in ["kill", "start"] {
            assert!(
                staging.commands().contains(&format!("$ ./ask {act} {}\n", restarted[0])),
                "{}",
                staging.commands()
            );
        }
        assert!(seen_gone(&judged.report, restarted[0]), "{}", judged.report);
        assert!(!staging.latest().join("put-back.sh").exists());

        // The same users, rooms and seed again, on nodes that remember the first run.
        let (before, rest) = DRILL.split_once("[[step]]").expect("its step");
        let quiet = format!("{before}[expect]{}", rest.split_once("[expect]").expect("what it expects").1);
        let drill =
            staging.drill(&staging.file(KILL, EVERYTHING), &quiet).await.unwrap_or_else(|wrong| panic!("{wrong}"));
        let judged = staging.play(drill, Stop::default()).await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(judged.verdict.outcome, Outcome::Pass, "{}", judged.report);
    });
}

#[test]
fn a_deployment_is_only_looked_at_without_its_name() {
    staged(async |staging| {
        let drill =
            staging.drill(&staging.file(KILL, EVERYTHING), DRILL).await.unwrap_or_else(|wrong| panic!("{wrong}"));
        let plan = Plan::of(drill.clone(), None, String::new()).to_string();
        for part in [
            "would hit     kill of one of redis-1, redis-2, redis-3",
            "kill: ./ask kill redis-2",
            "blast radius  staging, which",
        ] {
            assert!(plan.contains(part), "{part} is not in\n{plan}");
        }
        for name in [None, Some("production")] {
            let refused = staging.run(drill.clone(), name, Stop::default()).await.expect_err("nobody confirmed it");
            assert_eq!(refused.exit(), Exit::Usage, "{refused}");
            assert!(refused.to_string().contains("nothing was touched"), "{refused}");
        }
        assert_eq!(staging.restarted(), []);
        assert!(!staging.folder.path().join("runs").exists(), "not even a run was begun");
        let narrow = staging.file(KILL, "\"redis-1\", \"chat\"");
        let refused = staging.drill(&narrow, DRILL).await.expect_err("it may hit others").to_string();
        assert!(refused.contains("`kill` may hit redis-2, redis-3, and the blast radius of staging"), "{refused}");
    });
}

#[test]
fn a_command_that_does_nothing_is_no_fault() {
    staged(async |staging| {
        let file = staging.file("\"true\", \"{name}\"", EVERYTHING);
        let drill = staging.drill(&file, DRILL).await.unwrap_or_else(|wrong| panic!("{wrong}"));
        let judged = staging.play(drill, Stop::default()).await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(judged.verdict.outcome, Outcome::Unknown, "{}", judged.report);
        assert_eq!(staging.restarted(), []);
    });
}

#[test]
fn an_interrupted_drill_puts_back_what_it_took_away() {
    staged(async |staging| {
        let drill =
            staging.drill(&staging.file(KILL, EVERYTHING), DRILL).await.unwrap_or_else(|wrong| panic!("{wrong}"));
        let stop = Stop::default();
        let interrupt = async {
            let gone = async || staging.pids().values().any(Option::is_none).then_some(());
            eventually("a primary that is gone", gone).await;
            assert!(staging.latest().join("put-back.sh").exists(), "what a dead harness would leave is written down");
            stop.now("interrupted");
        };
        let (ended, ()) = tokio::join!(staging.play(drill, stop.clone()), interrupt);
        let ended = ended.expect_err("it was interrupted");
        assert!(matches!(&ended, RunError::Aborted { healed, .. } if healed == "everything is healed"), "{ended}");
        assert!(matches!(staging.restarted()[..], [Server::Redis(_)]));
        assert!(!staging.latest().join("put-back.sh").exists());
    });
}

#[test]
fn what_cannot_be_put_back_is_told_with_the_command_to_run() {
    staged(async |staging| {
        let file = staging.file(KILL, EVERYTHING);
        let broken =
            fs::read_to_string(&file).expect("a file").replace("\"./ask\", \"start\"", "\"./ask-in-vain\", \"start\"");
        fs::write(&file, broken).expect("written");
        let refused = staging.drill(&file, DRILL).await.expect_err("there is no such program").to_string();
        assert!(refused.contains(".start`: ./ask-in-vain cannot be run: No such file"), "{refused}");
        staging.write_program("ask-in-vain", "#!/bin/sh\necho nobody hears; exit 1\n");
        let drill = staging.drill(&file, DRILL).await.unwrap_or_else(|wrong| panic!("{wrong}"));
        let ended = staging.play(drill, Stop::default()).await.expect_err("nobody started it").to_string();
        let pids = staging.pids();
        let gone = pids.iter().find(|(_, pid)| pid.is_none()).map(|(server, _)| *server);
        let gone = gone.unwrap_or_else(|| panic!("nobody is gone: {ended}"));
        assert!(ended.contains(&format!("{gone}: ./ask-in-vain start {gone}")), "{ended}");
        staging.write_program("ask-in-vain", ASK_AND_GO);
        // Whether another has its slots is for a person to say.
        let put_back = |answer: &str| {
            let mut script = Command::new("sh");
            script.arg(staging.latest().join("put-back.sh")).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut script = script.spawn().expect("a shell");
            script.stdin.take().expect("piped").write_all(answer.as_bytes()).expect("it asks");
            let said = script.wait_with_output().expect("our child");
            (said.status.success(), String::from_utf8_lossy(&said.stdout).into_owned())
        };
        let (whole, said) = put_back("\n");
        assert!(!whole && said.ends_with(&format!("{gone} was not started\n")), "{said}");
        staging.operate_once().await;
        assert_eq!(staging.pids()[&gone], None, "started without an answer");
        assert!(put_back("y\n").0);
        staging.operate_once().await;
        assert_eq!(staging.restarted(), [gone]);
    });
}
