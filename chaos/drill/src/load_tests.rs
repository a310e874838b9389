//! What a drill file may say, and what it is told when it is wrong.

use crate::{Overrides, SHIPPED, drill::Fence, from_text, load};

fn mistakes(text: &str) -> Vec<String> {
    let refused = from_text("a.toml", "a", text, &Overrides::default()).expect_err("a refusal").to_string();
    refused.lines().map(str::to_owned).collect()
}

/// A sound drill, with `this` replaced by `that`.
fn with(this: &str, that: &str) -> String {
    let sound = SHIPPED[0].text;
    assert!(sound.contains(this), "{this:?} is in the shipped drill");
    sound.replace(this, that)
}

#[test]
fn every_shipped_drill_is_sound() {
    for shipped in SHIPPED {
        let drill = load(shipped.name, &Overrides::default()).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        assert_eq!(drill.name, shipped.name);
        assert!(drill.title.split(' ').count() > 4 && !drill.why.is_empty(), "{} says what and why", drill.name);
        assert!(!drill.steps.is_empty(), "{} breaks something", drill.name);
    }
}

#[test]
fn a_drill_survives_being_stored_in_a_plan() {
    for shipped in SHIPPED {
        let drill = load(shipped.name, &Overrides::default()).expect(shipped.name);
        let stored = toml::to_string(&drill).expect("TOML");
        assert_eq!(toml::from_str::<crate::Drill>(&stored).expect(&stored), drill);
    }
}

#[test]
fn a_syntax_error_does_not_hide_the_mistakes_around_it() {
    let told = mistakes(&with("rooms            = 12", "rooms = = 12").replace("chat_nodes = 3", "chat_nodes = 99"));
    assert!(told.iter().any(|line| line.contains("99 is outside 1..=16")), "{told:#?}");
    assert!(told.len() >= 3, "{told:#?}");
}

#[test]
fn what_makes_no_sense_is_told_whatever_else_cannot_be_read() {
    let nonsense =
        with("node_timeout = \"1s\"", "node_timeout = \"500ms\"").replace("at         = \"5s\"", "at = \"1s\"");
    let [timeout, early] = ["500ms is not longer than the 800ms", "at 1s the steady state has not yet held for 3s"];
    for (from, to, hidden) in [
        ("title", "titel", &[][..]),
        ("rooms            = 12", "rooms = \"twelve\"", &[]),
        ("[expect]", "[expcet]", &[]),
        ("chat_nodes = 3", "chat_nodes = 99", &[timeout]),
        ("inject     = { kill", "inject = { kil", &[early]),
        ("steady", "staedy", &[early]),
    ] {
        assert!(nonsense.contains(from), "{from:?} is in the shipped drill");
        let told = mistakes(&nonsense.replacen(from, to, 1));
        for why in [timeout, early] {
            let is_told = told.iter().any(|line| line.contains(why));
            assert_eq!(is_told, !hidden.contains(&why), "{to}: {why} in {told:#?}");
        }
    }
}

#[test]
fn an_empty_file_is_told_everything_that_it_lacks() {
    let told = mistakes("");
    for missing in ["format", "title", "workload.fan_out.rooms", "expect.contract", "expect.exercises"] {
        assert!(told.iter().any(|line| line.contains(&format!("`{missing}` is missing"))), "{missing} in {told:#?}");
    }
}

#[test]
fn a_step_waits_for_exactly_one_thing() {
    for wrong in ["at = \"5s\"\non = \"epoch_change\"", "", "at = \"5s\"\nthen = \"1s\""] {
        let told = mistakes(&with("at         = \"5s\"", wrong));
        assert!(
            told.iter().any(|line| line.contains("`at`, `on` and `after_acks`") || line.contains("`then`")),
            "{told:#?}"
        );
    }
}

#[test]
fn a_step_that_waits_for_what_nothing_brings_about_is_refused() {
    let chat_first = "at = \"5s\"\ninject = { kill = { chat = 1 } }\n[[step]]\non = ";
    for (when, why) in [
        ("on = \"promotion\"".to_owned(), "`step.0.on`: no step before it has anybody promoted"),
        ("on = \"healed\"".to_owned(), "`step.0.on`: no step before it is healed"),
        (format!("{chat_first}\"epoch_change\""), "`step.1.on`: no step before it changes an epoch"),
    ] {
        let told = mistakes(&with("at         = \"5s\"", &when));
        assert!(told.iter().any(|line| line.contains(why)), "{when}: {told:#?}");
    }
}

#[test]
fn a_room_that_nobody_is_in_is_refused() {
    let told = mistakes(&with("\"primary_of_busiest_room\"", "{ primary_of_room = \"nowhere\" }"));
    let why = "`step.0.inject`: nobody is in room \"nowhere\"; the load makes room-00 to room-11";
    assert!(told.iter().any(|line| line.contains(why)), "{told:#?}");
}

#[test]
fn what_cannot_be_checked_is_not_promised() {
    let told = mistakes(&with("contract        =", "signals = [\"RedisPrimaryDown\"]\ncontract ="));
    assert!(told.iter().any(|line| line.contains("`expect.signals`")), "{told:#?}");
}

#[test]
fn a_faster_user_than_acks_allow_is_refused_with_the_formula() {
    let told = mistakes(&with("sends_per_second = 400", "sends_per_second = 500"));
    assert!(told.iter().any(|line| line.contains("2.08 sends a second") && line.contains("2.00 = 0.6")), "{told:#?}");
}

#[test]
fn a_durability_drill_needs_messages_in_flight() {
    let told = mistakes(&with("replication_delay = \"200ms\"", "replication_delay = \"100ms\""));
    assert!(told.iter().any(|line| line.contains("only 13.3 messages")), "{told:#?}");
    let told = mistakes(&with(", replication_delay = \"200ms\"", ""));
    assert!(told.iter().any(|line| line.contains("R12 would prove nothing")), "{told:#?}");
}

#[test]
fn a_short_history_window_is_refused() {
    let told = mistakes(&with("chat_nodes = 3", "chat_nodes = 3\nhistory_window = \"80s\""));
    assert!(
        told.iter().any(|line| line.starts_with("a.toml:14:18:") && line.contains("twice the longest")),
        "{told:#?}"
    );
}

#[test]
fn plain_pubsub_has_no_fence_to_leave_out() {
    let told = mistakes(&with("chat_nodes = 3", "chat_nodes = 3\ndelivery = \"pubsub\"\nfence = \"none\""));
    assert!(told.iter().any(|line| line.starts_with("a.toml:15:9:") && line.contains("never fences")), "{told:#?}");
}

#[test]
fn a_cluster_without_a_majority_left_is_refused() {
    let told = mistakes(&with("shards = 3", "shards = 2"));
    assert!(told.iter().any(|line| line.contains("of 2 primaries 1 would be left")), "{told:#?}");
}

#[test]
fn the_command_line_goes_before_the_file_and_has_no_place_in_it() {
    let overrides = Overrides { seed: Some(99), fence: Some(Fence::None), chat_nodes: Some(9), ..Overrides::default() };
    let drill = load("primary-kill", &overrides).expect("sound");
    assert_eq!((drill.seed, drill.cluster.fence, drill.cluster.chat_nodes), (99, Fence::None, 9));
    let crowded = Overrides { chat_nodes: Some(16), ..Overrides::default() };
    let text = with("members_per_room = 20", "members_per_room = 10")
        .replace("sends_per_second = 400", "sends_per_second = 200");
    let told = from_text("a.toml", "a", &text, &crowded).expect_err("too many nodes").to_string();
    assert!(told.contains("members_per_room"), "{told}");
}
