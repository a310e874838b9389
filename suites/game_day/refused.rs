//! What goes wrong in the middle: a command that fails or hangs, and an operator who has seen enough.

use std::{fs, pin::pin};

use chaos_cluster::Server;
use chaos_drill::{Exit, RunError, Stop};

use super::{
    CHAT_TOO, DRILL, staged,
    staging::{EVERYTHING, KILL, Staging},
};
use crate::wait::eventually;

/// One server is out of order already when the next is struck, by a command that is worth nothing.
async fn ends_in_the_second(staging: &Staging, kill_of_chat: &str, within: &str) -> String {
    let overlapping = CHAT_TOO.replace("on = \"healed\"\nthen = \"1s\"", "at = \"2s\"");
    let text = DRILL.replace("heal_after = \"4s\"", "heal_after = \"20s\"").replace("\n[expect]", &overlapping);
    let file = staging.file(KILL, EVERYTHING);
    let text_of_file = fs::read_to_string(&file).expect("a file");
    let odd = format!("kill = [{kill_of_chat}], start = [\"./ask\", \"start\", \"{{name}}\"]");
    let odd = format!("within = \"{within}\"\nchat-2 = {{ {odd} }}\n[blast_radius]");
    let text_of_file = text_of_file.replace("at_once = 1", "at_once = 2").replace("[blast_radius]", &odd);
    fs::write(&file, text_of_file).expect("written");
    let drill = staging.drill(&file, &text).await.unwrap_or_else(|wrong| panic!("{wrong}"));
    let ended = staging.play(drill, Stop::default()).await.expect_err("a command failed");
    assert_eq!(ended.exit(), Exit::Harness, "{ended}");
    assert!(!staging.latest().join("put-back.sh").exists(), "{ended}");
    ended.to_string()
}

#[test]
fn a_command_that_fails_is_named_and_what_others_did_is_undone() {
    staged(async |staging| {
        let ended = ends_in_the_second(&staging, r#""sh", "-c", "echo no route to {name}; exit 3""#, "20s").await;
        assert!(ended.contains("chat-2 was to be told `kill`: `sh -c"), "{ended}");
        assert!(ended.contains("ended with exit status: 3") && ended.contains("no route to chat-2"), "{ended}");
        assert!(matches!(staging.restarted()[..], [Server::Redis(_)]));
    });
}

#[test]
fn a_command_that_hangs_is_named_and_what_it_did_all_the_same_is_undone() {
    staged(async |staging| {
        let ended = ends_in_the_second(&staging, r#""sh", "-c", "./ask kill {name}; sleep 77""#, "3s").await;
        assert!(ended.contains("did not end within 3s and was killed"), "{ended}");
        assert!(matches!(staging.restarted()[..], [Server::Redis(_), Server::Chat(2)]));
    });
}

/// As when something fails in the middle of a game day, or two teams have theirs at once.
#[test]
fn while_something_else_is_broken_nothing_is_touched() {
    staged(async |staging| {
        let text = DRILL.replace("at = \"1s\"", "at = \"3s\"");
        let drill =
            staging.drill(&staging.file(KILL, EVERYTHING), &text).await.unwrap_or_else(|wrong| panic!("{wrong}"));
        let cluster = staging.stage.cluster();
        let other = cluster.replicas_of(Server::Redis(1)).await.expect("replicas")[0];
        let breaks = async {
            let journal = staging.latest().join("journal.jsonl");
            let faults = async || fs::read_to_string(&journal).ok()?.contains("\"faults\"").then_some(());
            eventually("a steady state", faults).await;
            cluster.kill(other).await.expect("killed");
        };
        let (ended, ()) = tokio::join!(staging.play(drill, Stop::default()), breaks);
        let ended = ended.expect_err("something else is broken");
        cluster.start_again(other).await.expect("started");
        assert!(matches!(&ended, RunError::Aborted { healed, .. } if healed == "everything is healed"), "{ended}");
        let why = format!("is not touched: {other} is out of order, and not by this drill");
        assert!(ended.to_string().contains(&why), "{ended}");
        assert_eq!(staging.restarted(), [other]);
    });
}

#[test]
fn a_stop_file_ends_the_drill_and_puts_everything_back() {
    staged(async |staging| {
        let file = staging.file(KILL, EVERYTHING);
        let drill = staging.drill(&file, DRILL).await.unwrap_or_else(|wrong| panic!("{wrong}"));
        let enough = async {
            let gone = async || staging.pids().values().any(Option::is_none).then_some(());
            eventually("a primary that is gone", gone).await;
            fs::write(staging.folder.path().join("stop"), "").expect("written");
        };
        let mut playing = pin!(staging.play(drill.clone(), Stop::default()));
        // One that ends before it strikes says why.
        tokio::select! {
            ended = &mut playing => panic!("it ended by itself: {:?}", ended.map(|judged| judged.report)),
            () = enough => {}
        }
        let ended = playing.await.expect_err("it was stopped");
        let RunError::Aborted { why, healed, .. } = &ended else { panic!("{ended}") };
        assert!(why.contains("the stop file") && why.ends_with("/stop is there"), "{ended}");
        assert_eq!((healed.as_str(), ended.exit()), ("everything is healed", Exit::Aborted), "{ended}");
        assert!(matches!(staging.restarted()[..], [Server::Redis(_)]));
        assert!(!staging.latest().join("put-back.sh").exists());

        // Whoever forgets it there is not asked to go on.
        let ended_in = fs::canonicalize(staging.latest()).expect("a run");
        let refused = staging.play(drill, Stop::default()).await.expect_err("it is still there");
        assert_eq!(refused.exit(), Exit::Usage, "{refused}");
        assert!(refused.to_string().ends_with("/stop is there; nothing was touched"), "{refused}");
        assert_eq!(fs::canonicalize(staging.latest()).expect("a run"), ended_in, "a run was begun");
    });
}
