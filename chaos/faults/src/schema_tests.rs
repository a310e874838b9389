//! What a drill file may say of faults.

use std::{collections::BTreeSet, time::Duration};

use super::*;

#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    inject: Inject,
}

fn read(inject: &str) -> Result<Inject, String> {
    toml::from_str::<Step>(&format!("inject = {inject}"))
        .map(|step| step.inject)
        .map_err(|error| error.message().into())
}

#[test]
fn every_example_of_the_catalogue_is_of_its_fault_and_reads_back() {
    for entry in CATALOGUE {
        let inject = read(entry.example).unwrap_or_else(|error| panic!("{}: {error}", entry.example));
        assert_eq!(inject.kind(), entry.kind);
        let written = toml::to_string(&Step { inject: inject.clone() }).unwrap();
        assert_eq!(toml::from_str::<Step>(&written).unwrap().inject, inject, "{written}");
        assert!(!inject.target().is_empty() && !inject.blast_radius().is_empty());
    }
    let kinds: BTreeSet<_> = CATALOGUE.iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds.len(), CATALOGUE.len(), "each name once");
}

#[test]
fn a_target_is_one_thing() {
    let target = |text: &str| match read(&format!("{{ kill = {text} }}")) {
        Ok(Inject::Kill(Kill(target))) => Ok(target),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error),
    };
    assert_eq!(target("{ redis = { primary_of_slot = 7 } }"), Ok(Target::Redis(RedisTarget::PrimaryOfSlot(7))));
    let room = RedisTarget::PrimaryOfRoom("lobby".to_owned());
    assert_eq!(target(r#"{ redis = { primary_of_room = "lobby" } }"#), Ok(Target::Redis(room)));
    assert_eq!(target("{ chat = 2 }"), Ok(Target::Chat(2)));
    for (bad, why) in [
        ("{}", "needs `redis` or `chat`"),
        (r#"{ chat = 1, redis = "busiest_primary" }"#, "one of them"),
        ("{ chat = 0 }", "counted from 1"),
        ("{ redis = { replica_of_slot = 16384 } }", "outside 0..=16383"),
        (r#"{ redis = "busyest_primary" }"#, "unknown variant"),
        ("{ chatt = 1 }", "unknown field"),
    ] {
        let error = target(bad).expect_err(bad);
        assert!(error.contains(why), "{bad}: {error}");
    }
}

#[test]
fn what_is_left_out_has_a_sensible_value() {
    let cut = read(r#"{ cut = { redis = "busiest_primary" } }"#).unwrap();
    let Inject::Cut(Cut { from, direction, carrying, .. }) = cut else { panic!("{cut:?}") };
    assert_eq!((from, direction, carrying), (Across::Everyone, Direction::Both, Carrying::Everything));
    let fast = read(r#"{ fast_restart = { redis = "busiest_primary" } }"#).unwrap();
    let Inject::FastRestart(FastRestart { down_for, .. }) = fast else { panic!("{fast:?}") };
    assert_eq!(down_for, Duration::from_millis(200));
    assert_eq!(read("{ rolling_restart = {} }").unwrap().target(), "every Redis node and every chat node");
    assert!(read(r#"{ cut = { redis = "busiest_primary", colour = "red" } }"#).is_err());
    assert!(read("{ explode = {} }").is_err());
}
