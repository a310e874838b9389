//! A deployment that runs already is drilled by its operator's own commands, within the blast radius, and is as it was
//! afterwards.
//!
//! The deployment is the warm cluster; its operator is a task of the test that kills and starts those very processes when
//! a command asks for it, by a file.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use chaos_checkers::Outcome;
use chaos_cluster::{Act, Cluster, Server};
use chaos_drill::{
    Deployed, Drill, Exit, Judged, Mistakes, Nobody, Overrides, Plan, Planted, RunError, Settings, Stop, from_text,
    load_deployment, run,
};
use tempfile::TempDir;

use crate::{
    stage::Stage,
    wait::eventually,
    warm::{Set, ground, in_containers, play},
};

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

/// Asks the operator, and waits until it is done.
const ASK: &str = "#!/bin/sh\ntouch \"$1.$2\" && while [ -e \"$1.$2\" ]; do sleep 0.02; done\n";
/// For `put-back.sh`, which nobody is there to answer.
const ASK_AND_GO: &str = "#!/bin/sh\ntouch \"$1.$2\"\n";

struct Staging {
    stage: Stage,
    folder: TempDir,
    pids: BTreeMap<Server, Option<u32>>,
}

impl Staging {
    async fn set() -> Staging {
        let stage = Stage::set(Set::usual()).await;
        let folder = tempfile::tempdir_in(ground()).expect("a folder");
        let pids = pids(stage.cluster());
        let staging = Staging { stage, folder, pids };
        staging.write_program(ASK);
        staging
    }

    fn write_program(&self, text: &str) {
        let program = self.folder.path().join("ask");
        fs::write(&program, text).expect("written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("made a program");
    }

    /// Where Redis and the chat nodes listen themselves: what an operator of theirs would name.
    fn file(&self, kill: &str, servers: &str) -> PathBuf {
        let cluster = self.stage.cluster();
        let at = |scheme: &str, redis: bool| {
            let servers = cluster.servers().into_iter().filter(|server| server.is_redis() == redis);
            let urls = servers.map(|server| format!("\"{scheme}{}\"", cluster.direct_address(server)));
            urls.collect::<Vec<_>>().join(", ")
        };
        let text = format!(
            "format = 1\nname = \"staging\"\ntitle = \"the warm cluster\"\n[redis]\nnodes = [{}]\n[chat]\nnodes = [{}]\n\
             [commands]\nredis = {{ kill = [{kill}], start = [\"./ask\", \"start\", \"{{name}}\"] }}\n\
             chat = {{ kill = [{kill}], start = [\"./ask\", \"start\", \"{{name}}\"] }}\n\
             [blast_radius]\nservers = [{servers}]\nat_once = 1\nlongest = \"40s\"\n",
            at("redis://", true),
            at("http://", false),
        );
        let file = self.folder.path().join("staging.toml");
        fs::write(&file, text).expect("written");
        file
    }

    async fn drill(&self, file: &Path, text: &str) -> Result<Drill, Mistakes> {
        let deployment = load_deployment(file.to_str().expect("a path in UTF-8"))?;
        let found = deployment.look().await.unwrap_or_else(|wrong| panic!("{wrong:?}"));
        let overrides = Overrides { deployment: Some((deployment, found)), ..Overrides::default() };
        from_text("drill", "game-day", text, &overrides)
    }

    async fn run(&self, drill: Drill, confirmed: Option<&str>, stop: Stop) -> Result<Judged, RunError> {
        let engine = drill.deployment.as_ref().and_then(Deployed::engine).expect("it says what it is");
        let settings = Settings {
            plan: Plan::of(drill, Some(&engine), "cargo test game_day".to_owned()),
            engine,
            containers: None,
            node: PathBuf::new(),
            runs: self.folder.path().join("runs"),
            keep: false,
            forward: None,
            planted: Planted::default(),
            confirmed: confirmed.map(ToOwned::to_owned),
        };
        run(settings, &Nobody, stop).await
    }

    /// The drill with its operator there.
    async fn play(&self, drill: Drill, stop: Stop) -> Result<Judged, RunError> {
        tokio::select! {
            judged = self.run(drill, Some("staging"), stop) => judged,
            () = self.operate() => unreachable!("an operator goes on for ever"),
        }
    }

    async fn operate(&self) {
        loop {
            self.operate_once().await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Does what was asked for, and says so by taking the question away.
    async fn operate_once(&self) {
        for entry in fs::read_dir(self.folder.path()).expect("a folder").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some((act, server)) = name.split_once('.') else { continue };
            let Ok(server) = server.parse::<Server>() else { continue };
            let cluster = self.stage.cluster();
            let done =
                if act == Act::Kill.name() { cluster.kill(server).await } else { cluster.start_again(server).await };
            done.unwrap_or_else(|error| panic!("{name}: {error}"));
            fs::remove_file(entry.path()).expect("answered");
        }
    }

    fn latest(&self) -> PathBuf {
        self.folder.path().join("runs/game-day/latest")
    }

    fn commands(&self) -> String {
        fs::read_to_string(self.latest().join("logs/commands.log")).expect("the operator's commands are kept")
    }

    /// Who is another process than at first; nobody may be gone.
    fn restarted(&self) -> Vec<Server> {
        let now = pids(self.stage.cluster());
        assert!(now.values().all(Option::is_some), "not all are running: {now:?}");
        now.into_iter().filter(|(server, pid)| self.pids[server] != *pid).map(|(server, _)| server).collect()
    }
}

fn pids(cluster: &Cluster) -> BTreeMap<Server, Option<u32>> {
    cluster.servers().into_iter().map(|server| (server, cluster.pid(server))).collect()
}

const KILL: &str = "\"./ask\", \"kill\", \"{name}\"";
const EVERYTHING: &str = "\"redis\", \"chat\"";

/// Their own addresses are reached from this machine, and their process ids are ours, only without containers.
fn staged(scenario: impl AsyncFnOnce(Staging)) {
    if in_containers() {
        return crate::wait::not_tested("a deployment of containers: the backend external knows no difference");
    }
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
        assert!(judged.report.contains(&format!("{} (Connection refused", restarted[0])), "{}", judged.report);
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
            let gone = async || pids(staging.stage.cluster()).values().any(Option::is_none).then_some(());
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
        let drill = staging.drill(&file, DRILL).await.unwrap_or_else(|wrong| panic!("{wrong}"));
        let ended = staging.play(drill, Stop::default()).await.expect_err("nobody started it").to_string();
        let pids = pids(staging.stage.cluster());
        let gone = *pids.iter().find(|(_, pid)| pid.is_none()).expect("it is still gone").0;
        assert!(ended.contains(&format!("{gone}: ./ask-in-vain start {gone}")), "{ended}");
        fs::rename(staging.folder.path().join("ask"), staging.folder.path().join("ask-in-vain")).expect("mended");
        fs::write(staging.folder.path().join("ask-in-vain"), ASK_AND_GO).expect("written");
        let script = Command::new("sh").arg(staging.latest().join("put-back.sh")).status().expect("a shell");
        assert!(script.success());
        staging.operate_once().await;
        assert_eq!(staging.restarted(), [gone]);
    });
}
