//! Every command of an operator, on a cluster that lives: what it did is seen from outside, and undone.

use std::fs;

use chaos_checkers::Outcome;
use chaos_cluster::Server;
use chaos_drill::Stop;

use super::{
    DRILL, staged,
    staging::{EVERYTHING, Staging, seen_gone},
};
use crate::warm::{Set, play};

const VERBS: &str = r#"
[[step]]
at = "1s"
inject = { pause = { redis = "primary_of_busiest_room" } }
heal_after = "5s"
[[step]]
on = "healed"
then = "2s"
inject = { cut = { redis = "primary_of_busiest_room" } }
heal_after = "5s"
[[step]]
on = "healed"
then = "2s"
inject = { terminate = { redis = "primary_of_busiest_room" } }
heal_after = "4s"
[[step]]
on = "healed"
then = "2s"
inject = { restart = { chat = 2 } }
heal_after = "1s"
[expect]"#;

/// A signal is sent by the command itself, and by one that takes its time: what is measured of the cluster must not have
/// that in it. Links are cut, and processes started, by whoever runs the cluster.
fn acts() -> String {
    let acts = [
        r#"pause = ["./signal", "STOP", "{name}"]"#,
        r#"wake = ["./signal", "CONT", "{name}"]"#,
        r#"stop = ["sh", "-c", "sleep 2; ./signal TERM {name}"]"#,
        r#"start = ["./ask", "start", "{name}"]"#,
        r#"cut = ["./ask", "cut", "{name}"]"#,
        r#"heal = ["./ask", "heal", "{name}"]"#,
    ];
    acts.join(", ")
}

/// The usual drill with other faults.
fn with(steps: &str) -> String {
    let (before, rest) = DRILL.split_once("[[step]]").expect("its step");
    format!("{before}{steps}{}", rest.split_once("[expect]").expect("what it expects").1)
}

#[test]
fn hanging_cut_off_and_stopped_servers_are_seen_from_outside_and_put_back() {
    staged(async |staging| {
        let file = staging.file_with(&acts(), EVERYTHING);
        let drill = staging.drill(&file, &with(VERBS)).await.unwrap_or_else(|wrong| panic!("{wrong}"));
        let judged = staging.play(drill, Stop::default()).await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(judged.verdict.outcome, Outcome::Pass, "{}", judged.report);
        let restarted = staging.restarted();
        let [Server::Redis(_), Server::Chat(2)] = restarted[..] else { panic!("restarted: {restarted:?}") };
        for seen in ["accepts connections and does not answer", " failing", "chat-2 is life 2, was life 1"] {
            assert!(judged.report.contains(seen), "{seen:?} is not in\n{}", judged.report);
        }
        assert!(seen_gone(&judged.report, restarted[0]), "{}", judged.report);
        let commands = staging.commands();
        let struck = |line: &str| commands.lines().filter(|given| given.starts_with(line)).count();
        for once in ["$ ./signal STOP", "$ ./signal CONT", "$ ./ask cut", "$ ./ask heal"] {
            assert_eq!(struck(once), 1, "{once} in\n{commands}");
        }
        for twice in ["$ sh -c 'sleep 2; ./signal TERM", "$ ./ask start"] {
            assert_eq!(struck(twice), 2, "{twice} in\n{commands}");
        }
        assert!(!staging.latest().join("put-back.sh").exists());
    });
}

#[test]
fn commands_that_end_well_and_do_nothing_are_no_faults_and_in_no_ones_way() {
    staged(async |staging| {
        let acts =
            ["pause", "wake", "stop", "start", "cut", "heal"].map(|act| format!("{act} = [\"true\", \"{act}\"]"));
        let file = staging.file_with(&acts.join(", "), EVERYTHING);
        // A chat node that does not go shows no more than a primary that does not.
        let (steps, _) = VERBS.rsplit_once("[[step]]").expect("its last step");
        // Each hits another one, and none may be taken for one that is out of order still.
        let steps =
            steps.replace(r#"cut = { redis = "primary_of_busiest_room""#, "cut = { redis = { primary_of_slot = 0 }");
        let steps = steps.replace(
            r#"terminate = { redis = "primary_of_busiest_room""#,
            "terminate = { redis = { primary_of_slot = 16383 }",
        );
        let text = with(&format!("{steps}[expect]"));
        let drill = staging.drill(&file, &text).await.unwrap_or_else(|wrong| panic!("{wrong}"));
        let judged = staging.play(drill, Stop::default()).await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(judged.verdict.outcome, Outcome::Unknown, "{}", judged.report);
        for fault in ["fault-1 (pause", "fault-2 (cut", "fault-3 (terminate"] {
            let sentence = format!("nothing shows that fault {fault} of redis-");
            assert!(judged.report.contains(&sentence), "{sentence:?} is not in\n{}", judged.report);
        }
        assert_eq!(staging.restarted(), []);
        assert!(!staging.latest().join("put-back.sh").exists());
    });
}

/// All that it needs, and no key.
const RIGHTS: &str = "resetchannels -@all +ping +info +cluster|myid +cluster|nodes +cluster|info +config|get";
const PASSWORD: &str = "s3cret-of-the-drill";

#[test]
fn a_user_with_the_least_rights_is_enough_and_its_password_is_told_nowhere() {
    play(async {
        let mut set = Set::usual();
        // A second line, by which nobody gets in who forgets to log in.
        let users = format!("drill on >{PASSWORD} {RIGHTS}\nuser default on nopass ~* &* +@all -config|get");
        set.redis.settings.insert("user".to_owned(), users);
        let staging = Staging::of(set).await;
        let acts = r#"kill = ["./ask", "kill", "{name}"], start = ["./ask", "start", "{name}"]"#;
        let file = staging.file_with(acts, EVERYTHING);
        let text = fs::read_to_string(&file).expect("a file");

        let nobody = staging.drill(&file, DRILL).await.expect_err("nobody logs in").to_string();
        assert!(nobody.contains("redis-9") && nobody.contains("CONFIG GET cluster-node-timeout"), "{nobody}");
        let login = "[redis]\nuser = \"drill\"\npassword_file = \"password\"\n";
        fs::write(&file, text.replace("[redis]\n", login)).expect("written");
        let missing = staging.drill(&file, DRILL).await.expect_err("no file").to_string();
        assert!(missing.contains("password: No such file"), "{missing}");
        fs::write(staging.folder.path().join("password"), "\n").expect("written");
        let empty = staging.drill(&file, DRILL).await.expect_err("no password").to_string();
        assert!(empty.contains("password: its first line is empty"), "{empty}");
        fs::write(staging.folder.path().join("password"), "wr0ng\n").expect("written");
        let wrong = staging.drill(&file, DRILL).await.expect_err("another password").to_string();
        assert_eq!(wrong.matches("refuses the user or the password").count(), 9, "{wrong}");

        fs::write(staging.folder.path().join("password"), format!("{PASSWORD}\nnot the password\n")).expect("written");
        let drill = staging.drill(&file, DRILL).await.unwrap_or_else(|wrong| panic!("{wrong}"));
        let judged = staging.play(drill, Stop::default()).await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(judged.verdict.outcome, Outcome::Pass, "{}", judged.report);
        assert!(matches!(staging.restarted()[..], [Server::Redis(_)]));
        let mut files = vec![fs::canonicalize(staging.latest()).expect("a run")];
        while let Some(path) = files.pop() {
            if path.is_dir() {
                files.extend(fs::read_dir(&path).expect("a folder").flatten().map(|entry| entry.path()));
            } else {
                let bytes = fs::read(&path).expect("a file");
                let told = bytes.windows(PASSWORD.len()).any(|part| part == PASSWORD.as_bytes());
                assert!(!told, "{} tells the password", path.display());
            }
        }
    });
}
