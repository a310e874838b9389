//! What a deployment file may say, and what a drill may ask of a deployment.

use std::{path::PathBuf, time::Duration};

use chaos_cluster::{Act, Deployment, Server, Shard};

use super::{Deployed, contradictions, load::from_text};
use crate::{
    drill::{Backend, Drill},
    from_text as drill_from_text,
    mistake::Mistakes,
    overrides::Overrides,
};

const SOUND: &str = r#"
format = 1
name = "staging"
title = "six Redis nodes and two chat nodes"
[redis]
nodes = ["redis://a:1", "redis://b:2", "redis://c:3", "redis://d:4", "redis://e:5", "redis://f"]
[chat]
nodes = ["http://g:3000", "http://h:3000/"]
[commands]
within = "5s"
redis = { kill = ["kill-it", "{host}", "{port}"], start = ["start-it", "{name}", "it's {number}"] }
redis-6 = { pause = ["hang"], wake = ["go on"] }
[blast_radius]
servers = ["redis", "chat-2"]
at_once = 1
longest = "20s"
"#;

fn read(text: &str) -> Result<Deployment, Mistakes> {
    from_text("staging.toml", PathBuf::from("/ops"), text)
}

fn told(text: &str) -> Vec<String> {
    let mistakes = read(text).expect_err("it is wrong").mistakes;
    mistakes.into_iter().map(|mistake| mistake.message).collect()
}

#[test]
fn a_server_has_its_own_commands_or_those_of_its_kind() {
    let staging = read(SOUND).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert_eq!(staging.line(Server::Redis(6), Act::Kill).as_deref(), Some("kill-it f 6379"));
    assert_eq!(staging.line(Server::Redis(2), Act::Start).as_deref(), Some(r"start-it redis-2 'it'\''s 2'"));
    assert_eq!(staging.line(Server::Redis(6), Act::Wake).as_deref(), Some("'go on'"));
    assert_eq!(staging.line(Server::Redis(5), Act::Pause), None);
    assert_eq!(staging.line(Server::Chat(1), Act::Kill), None);
    assert_eq!(staging.radius.servers.len(), 7);
    assert_eq!(staging.commands.within.get(), Duration::from_secs(5));
}

#[test]
fn all_mistakes_are_told_at_once_each_with_its_key() {
    let wrong = SOUND
        .replace("\"redis://b:2\"", "\"rediss://b:2\", \"redis://me:secret@b:2\", \"redis://a:1\"")
        .replace("http://g:3000\", \"http://h:3000/", "g:3000")
        .replace("{host}", "{hots}")
        .replace("wake", "awake")
        .replace("redis-6 =", "redis-66 =")
        .replace("chat-2", "chat-9")
        .replace("longest", "longst")
        .replace("name = \"staging\"", "name = \"my staging\"");
    let told = told(&wrong);
    for part in [
        "`redis.nodes`: \"rediss://b:2\" is TLS",
        "`redis.nodes`: credentials do not belong into this file",
        "`redis.nodes`: a:1 is there twice",
        "`chat.nodes`: \"g:3000\" is not http://host:port",
        "`commands.redis.kill`: unknown mark {hots}",
        "unknown key `commands.redis-66`",
        "`blast_radius.servers`: `chat-9` is unknown",
        "unknown key `blast_radius.longst`",
        "`blast_radius.longest` is missing",
        "`name`: expected a word",
    ] {
        assert!(told.iter().any(|message| message.contains(part)), "{part} is not in {told:#?}");
    }
    for part in ["secret", "0 nodes"] {
        assert!(!told.iter().any(|message| message.contains(part)), "{part} is in {told:#?}");
    }
}

#[test]
fn without_a_blast_radius_or_a_way_back_it_is_refused() {
    let (without, _) = SOUND.split_once("[blast_radius]").expect("its last table");
    assert!(told(without)[0].starts_with("`blast_radius` is missing: which servers may be touched"));
    let one_way = SOUND.replace(", wake = [\"go on\"]", "");
    assert_eq!(told(&one_way), ["`commands.redis-6`: has `pause` and no `wake`, which puts it back"]);
}

#[test]
fn a_way_back_is_missed_whatever_else_cannot_be_read() {
    let one_way = SOUND.replace(", wake = [\"go on\"]", "");
    let no_wake = "`commands.redis-6`: has `pause` and no `wake`, which puts it back";
    for (from, to, other) in [
        ("title = ", "titel = ", "`title` is missing"),
        ("\"redis://f\"", "\"f\"", "`redis.nodes`: \"f\" is not redis://host:port"),
        ("[redis]\nnodes", "[redis]\nnods", "`redis.nodes` is missing"),
        ("at_once = 1", "at_once = 0", "`blast_radius.at_once`: 0 is outside 1..=200"),
    ] {
        let told = told(&one_way.replace(from, to));
        let expected = 2 + usize::from(to.contains("titel") || to.contains("nods"));
        assert_eq!(told.len(), expected, "{told:#?}");
        assert!(told.iter().any(|message| message == no_wake), "{told:#?}");
        assert!(told.iter().any(|message| message == other), "{other} is not in {told:#?}");
    }
    let without = SOUND.replace(", start = [\"start-it\", \"{name}\", \"it's {number}\"]", "");
    let told = told(
        &without.replace("[redis]\nnodes", "[redis]\nnods").replace("redis-6 = {", "redis-7 = { start = [\"s\"],"),
    );
    assert!(
        !told.iter().any(|message| message.contains("no `start`")),
        "redis-7 has one, others are not known: {told:#?}"
    );
}

#[test]
fn a_command_that_cannot_be_read_is_there_all_the_same() {
    let unread = SOUND.replace("[\"go on\"]", "[\"{nam}\"]");
    let told = told(&unread);
    assert!(told.len() == 1 && told[0].contains("`commands.redis-6.wake`: unknown mark {nam}"), "{told:#?}");
}

/// Redis 1 to 3 are primaries, 4 to 6 follow them.
fn deployed(text: &str) -> Deployed {
    let deployment = read(text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let shard = |n: u8| {
        let first = u16::from(n - 1) * 5000;
        let slots = vec![(first, if n == 3 { 16383 } else { first + 4999 })];
        Shard { primary: Server::Redis(n), replicas: vec![Server::Redis(n + 3)], slots }
    };
    Deployed { deployment, shards: (1..=3).map(shard).collect(), engine: None }
}

fn asked(steps: &str, staging: &str) -> Vec<String> {
    let text = format!(
        "format = 1\ntitle = \"t\"\nlongest = \"60s\"\n[cluster]\nchat_nodes = 2\n[workload.fan_out]\nrooms = 1\n\
         members_per_room = 2\nsends_per_second = 2\n{steps}\n[expect]\ncontract = \"acked_is_durable\"\nexercises = []\n"
    );
    let drill = drill_from_text("drill.toml", "drill", &text, &Overrides::default());
    let mut drill: Drill = drill.unwrap_or_else(|mistakes| panic!("{mistakes}"));
    drill.cluster.backend = Backend::External;
    drill.deployment = Some(deployed(staging));
    contradictions(&drill).into_iter().map(|(path, why)| format!("{path}: {why}")).collect()
}

fn step(inject: &str) -> String {
    format!("[[step]]\nat = \"4s\"\ninject = {{ {inject} }}\nheal_after = \"8s\"")
}

#[test]
fn what_the_commands_can_do_within_the_radius_is_allowed() {
    let kill = step(r#"kill = { redis = "primary_of_busiest_room" }"#);
    assert_eq!(asked(&kill, SOUND), [""; 0]);
    assert_eq!(asked(&step("pause = { redis = { replica_of_slot = 16000 } }"), SOUND), [""; 0]);
}

#[test]
fn what_they_cannot_do_is_refused_by_name() {
    let pause = asked(&step(r#"pause = { redis = "busiest_primary" }"#), SOUND);
    assert!(pause[0].contains("`pause` needs the command `pause`, which staging does not have for redis-1, redis-2"));
    let kill = asked(&step("kill = { chat = 2 }"), SOUND);
    assert!(kill[0].contains("needs the command `kill`, which staging does not have for chat-2"), "{kill:?}");
    let delay = asked(&step(r#"replication_delay = { redis = "busiest_primary", delay = "1s" }"#), SOUND);
    assert_eq!(delay, ["step.0.inject: the backend `external` cannot do `replication_delay`"]);
}

#[test]
fn what_the_blast_radius_leaves_out_is_refused_before_anything_is_touched() {
    let only = SOUND.replace("[\"redis\", \"chat-2\"]", "[\"redis-1\", \"redis-4\"]");
    let kill = step(r#"kill = { redis = "primary_of_busiest_room" }"#);
    let told = asked(&kill, &only);
    assert!(told[0].starts_with("step.0.inject: `kill` may hit redis-2, redis-3, and the blast radius of staging"));
    assert_eq!(asked(&step("kill = { redis = { primary_of_slot = 7 } }"), &only), [""; 0]);
    let long = asked(&kill.replace("8s", "20s"), SOUND);
    assert_eq!(long, ["step.0.heal_after: 20s is not less than the 20s of the blast radius of staging"]);
    let both = format!("{kill}\n{}", step("kill = { redis = { replica_of_slot = 16000 } }"));
    let told = asked(&both, SOUND);
    assert!(told[0].starts_with("step: overlapping faults hit 2 at once"), "{told:?}");
    let wide = SOUND.replace("at_once = 1", "at_once = 2");
    assert_eq!(asked(&both, &wide), [""; 0]);
}

#[test]
fn only_its_own_name_confirms_a_deployment() {
    let staging = deployed(SOUND);
    assert_eq!(staging.confirmed(Some("staging")), Ok(()));
    assert!(staging.confirmed(Some("prod")).expect_err("another").contains("this deployment is staging"));
    assert!(staging.confirmed(None).expect_err("none").contains("`--yes-this-is staging` runs it"));
}
