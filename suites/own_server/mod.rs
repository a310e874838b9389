//! Anybody's server is drilled like ours, and judged by what it promises: a stock Socket.IO server on Redis Pub/Sub loses
//! acknowledged messages when its primary dies, which no contract of its own forbids it.
//!
//! The servers are those of `fixtures/systems` and of docs/your-own-server.md, as they are written there; in containers
//! the same as images ([`image`]). Without Node.js or their packages nothing here runs, which is said.

mod image;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use chaos_checkers::{Contract, Outcome, Rule, State};
use chaos_cluster::EngineChoice;
use chaos_drill::{Backend, Judged, Nobody, Overrides, Plan, Planted, Settings, Stop, System, from_text, run};

use crate::{
    official_client::node,
    wait::not_tested,
    warm::{self, backend, ground, place_on, play},
};

/// Small: two nodes, so that half of all deliveries pass through Redis; the primary stays dead for four seconds.
const DRILL: &str = r#"format = 1
title = "the primary that carries the adapter dies"
longest = "90s"
steady = "1s"
settle = "2s"
[cluster]
chat_nodes = 2
redis = { shards = 3, replicas_per_shard = 1, node_timeout = "1s" }
[workload.fan_out]
rooms = 3
members_per_room = 6
sends_per_second = 60
[[step]]
at = "1s"
inject = { kill = { redis = "primary_of_busiest_room" } }
heal_after = "4s"
[expect]
contract = "acked_is_durable"
exercises = ["R1", "R2", "R4", "R13", "R14"]
converge_within = "5s"
"#;

const GUIDE: &str = include_str!("../../docs/your-own-server.md");

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/systems/socket.io")
}

/// Where `just systems` installs.
fn installed() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("../systems/socket.io")
}

/// What the servers require. `None` where it is not installed: loudly, and in CI a failure.
fn modules() -> Option<PathBuf> {
    let lock = |folder: PathBuf| fs::read(folder.join("package-lock.json")).ok();
    let modules = installed().join("node_modules");
    if lock(installed()) != lock(shipped()) || !modules.is_dir() {
        not_tested("servers of others, whose packages are not installed (just systems)");
        return None;
    }
    Some(modules)
}

/// The system of this file as `$HOLDFAST_BACKEND` can start it.
fn runnable(file: &Path) -> Option<System> {
    if backend() == Backend::Containers {
        return image::packed(file);
    }
    let modules = modules()?;
    node()?;
    let mut system = load(file);
    system.start.env.insert("NODE_PATH".to_owned(), modules.display().to_string());
    Some(system)
}

fn load(file: &Path) -> System {
    System::load(file.to_str().expect("a path in UTF-8")).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

async fn drill(text: &str, system: System, contract: Option<Contract>, backend: Backend) -> Judged {
    // One cluster at a time: times are judged.
    let _turn = warm::turn().await;
    let overrides = Overrides { system: Some(system), contract, backend: Some(backend), ..Overrides::default() };
    let drill = from_text("drill", "own-server", text, &overrides).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let (engine, containers) = place_on(backend, EngineChoice::Any).await;
    let settings = Settings {
        plan: Plan::of(drill, Some(&engine), "cargo test own_server".to_owned()),
        engine,
        containers,
        node: PathBuf::new(),
        runs: ground().join("drills"),
        keep: false,
        forward: None,
        planted: Planted::default(),
        confirmed: None,
    };
    let judged = run(settings, &Nobody, Stop::default()).await.unwrap_or_else(|error| panic!("{error}"));
    eprintln!("{}", judged.report);
    judged
}

/// `chaos compare` tells them apart by their names.
#[test]
fn every_system_that_is_shipped_loads_under_a_name_of_its_own() {
    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/systems");
    let inside = |folder: &Path| fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let files = inside(&folders).filter(|path| path.is_dir()).flat_map(|folder| inside(&folder));
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
    let mut names: Vec<_> = files.map(|file| load(&file).name).collect();
    names.sort();
    assert_eq!(names, ["redis-adapter", "sharded-adapter", "socketioxide", "streams-adapter"]);
}

#[test]
fn a_stock_server_that_is_asked_for_more_than_it_promises_fails_by_numbers() {
    let Some(system) = runnable(&shipped().join("redis-adapter.toml")) else { return };
    let judged = play(drill(DRILL, system, Some(Contract::AckedIsDurable), backend()));
    let (verdict, found) = (&judged.verdict, &judged.found);
    assert_eq!((verdict.outcome, &verdict.rules[&Rule::R1].state), (Outcome::Fail, &State::Fail));
    assert!(found.lost > 20 && found.missing > found.lost, "{found:?}");
    assert!(found.deaf_pairs > 0 && found.deaf_seconds > 0.0, "{found:?}");
    let sentence = judged.report.lines().next().unwrap_or_default();
    for part in ["on redis-adapter: FAIL", "acknowledged messages did not reach everyone", "deaf to chat-"] {
        assert!(sentence.contains(part), "{part} is not in: {sentence}");
    }
}

#[test]
fn the_same_server_is_not_blamed_for_what_it_never_promised() {
    let Some(system) = runnable(&of_the_guide()) else { return };
    assert_eq!(system.contract, Contract::AtMostOnce);
    let judged = play(drill(DRILL, system, None, backend()));
    for rule in [Rule::R1, Rule::R7, Rule::R12] {
        assert_eq!(judged.verdict.rules[&rule].state, State::NotApplicable, "{rule}");
    }
    // Its losses are counted all the same, and how fast it recovers is judged.
    assert!(judged.found.lost > 20, "{:?}", judged.found);
    // node-redis publishes over each primary in turn, so a sender's messages may overtake each other.
    let failed: Vec<_> = judged.verdict.failed().collect();
    assert!(failed.iter().all(|rule| matches!(rule, Rule::R6 | Rule::R13 | Rule::R14)), "{failed:?}");
    assert!(judged.verdict.rules[&Rule::R13].examined > 0 && judged.verdict.rules[&Rule::R14].examined > 0);
}

/// Then the node that users are on.
const CHAT_TOO: &str = r#"
[[step]]
on = "healed"
then = "1s"
inject = { kill = { chat = 1 } }
heal_after = "1s"
[expect]"#;

/// Whatever else runs as processes: containers of an image that nothing here knows, one of them made again.
#[test]
fn a_server_that_is_an_image_runs_in_containers_and_is_judged_as_any_other() {
    let Some(system) = image::packed(&shipped().join("redis-adapter.toml")) else { return };
    assert!(system.start.command.is_empty() && system.start.image.is_some(), "{:?}", system.start);
    let overrides = Overrides { system: Some(system.clone()), ..Overrides::default() };
    let refused = from_text("drill", "own-server", DRILL, &overrides).expect_err("it is no program").to_string();
    assert!(refused.contains("is an image and no command: it needs `--backend containers`"), "{refused}");

    let text = DRILL.replace("\n[expect]", CHAT_TOO);
    let judged = play(drill(&text, system, Some(Contract::AckedIsDurable), Backend::Containers));
    let (verdict, found) = (&judged.verdict, &judged.found);
    assert_eq!((verdict.outcome, &verdict.rules[&Rule::R1].state), (Outcome::Fail, &State::Fail));
    assert!(found.lost > 20 && found.missing > found.lost, "{found:?}");
    for hit in ["✔ kill redis-", "✔ kill chat-1"] {
        assert!(judged.report.contains(hit), "{hit:?} is not in the report");
    }
}

/// The code block that begins with a line of this text.
fn block(first: &str) -> &'static str {
    let blocks = GUIDE.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
    let mut named = blocks.map(|(_, text)| text).filter(|text| text.starts_with(first));
    named.next().unwrap_or_else(|| panic!("the guide has no block that begins with {first:?}"))
}

/// Both files as the guide shows them, in a folder of their own: tests run beside each other.
fn of_the_guide() -> PathBuf {
    static FOLDERS: AtomicUsize = AtomicUsize::new(0);
    let folder = ground().join(format!("your-own-server-{}", FOLDERS.fetch_add(1, Ordering::Relaxed)));
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("server.js"), block("// server.js")).expect("written");
    let file = folder.join("chat.toml");
    fs::write(&file, block("# chat.toml")).expect("written");
    file
}

#[test]
fn every_system_file_that_is_shown_or_shipped_loads() {
    let guide = load(&of_the_guide());
    assert_eq!(
        (guide.name.as_str(), guide.start.command.as_slice()),
        ("chat", ["node", "server.js"].map(str::to_owned).as_slice())
    );
    let files = fs::read_dir(shipped()).expect("a folder").flatten().map(|entry| entry.path());
    let files: Vec<_> = files.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect();
    assert_eq!(files.len(), 3, "{files:?}");
    for file in files {
        let system = load(&file);
        assert!(system.dialect.is_some() && !system.is_reference(), "{}", file.display());
    }
    System::from_text("every key", "every-key", PathBuf::new(), block("# every key"))
        .unwrap_or_else(|mistakes| panic!("{mistakes}"));
}
