//! The report of a small run that is written out here: two members, two messages, one of them lost with its primary.

use std::{collections::BTreeMap, path::Path};

use chaos_checkers::{NodeRoom, Rule, State, judge};
use chaos_observe::{
    At, Content, History, Late, Op, Record as Line, SpanStore,
    spans::{Span, SpanId, TraceId, Value},
};

use super::{Record, junit, text};
use crate::{
    Overrides, load,
    plan::Plan,
    question,
    schedule::{FaultSeen, PromotionSeen, RoleSeen, Schedule},
};

const ROOM: &str = "room-00";

fn at(ms: u64) -> At {
    At::from_millis(ms)
}

fn offset(nth: u128) -> chaos_observe::Offset {
    chaos_observe::Offset(nth)
}

/// `lost`: whether the second message, which was acked, is missing in the log and at the other member.
fn history(lost: bool) -> History {
    let mut lines = Vec::new();
    let mut line = |ms, user: &str, op| lines.push(Line { at: at(ms), user: user.to_owned(), op });
    for user in ["u1", "u2"] {
        line(1, user, Op::Up { node: "chat-1".into() });
        line(2, user, Op::Join { room: ROOM.into(), offset: None });
        let (offset, head) = (Some(offset(1)), Some(offset(1)));
        line(3, user, Op::JoinOk { room: ROOM.into(), offset, head, recovered: true });
    }
    for (nth, ms) in [(1_u128, 1_000), (2, 5_050)] {
        let (message, content) = (format!("m{nth}"), Content::of("text"));
        let sent = Op::Send {
            message: message.clone(),
            room: ROOM.into(),
            attempt: 1,
            intended: at(ms),
            content,
            canary: false,
        };
        line(ms, "u1", sent);
        line(ms + 5, "u1", Op::SendOk { message: message.clone(), offset: Some(offset(1 + nth)) });
        let receipt = |user: &str| Op::Recv {
            room: ROOM.into(),
            message: message.clone(),
            sender: "u1".into(),
            offset: Some(offset(1 + nth)),
            content,
            replay: false,
            hidden: user.is_empty(),
        };
        if nth == 1 || !lost {
            line(ms + 6, "u1", receipt("u1"));
            line(ms + 7, "u2", receipt("u2"));
        }
    }
    for nth in 1..=if lost { 1 } else { 2_u128 } {
        let (room, message, sender) = (ROOM.into(), format!("m{nth}"), "u1".into());
        line(
            9_000,
            "reader",
            Op::Final { room, message, sender, offset: offset(1 + nth), content: Content::of("text") },
        );
    }
    line(9_001, "reader", Op::FinalEnd { room: ROOM.into(), head: offset(3) });
    History::of(lines)
}

fn schedule() -> Schedule {
    let role = |ms, server: &str, role: &str, epoch| RoleSeen {
        at: at(ms),
        server: server.to_owned(),
        role: role.to_owned(),
        shard: Some(1),
        epoch,
    };
    Schedule {
        load_began: Some(at(0)),
        load_ended: Some(at(8_000)),
        rooms: BTreeMap::from([(ROOM.to_owned(), 1)]),
        faults: vec![FaultSeen {
            id: "fault-1".into(),
            kind: "kill".into(),
            role: "the primary of the busiest room".into(),
            target: "redis-1".into(),
            on: at(5_000),
            off: Some(at(7_000)),
            evidence: vec!["process 42 is gone".into()],
            missing: vec![],
        }],
        promotions: vec![PromotionSeen {
            fault: "fault-1".into(),
            shard: 1,
            slot: 0,
            from: "redis-1".into(),
            to: Some("redis-4".into()),
            killed_at: at(5_000),
            detected_at: Some(at(5_020)),
            promoted_at: Some(at(5_050)),
            failed_elections: 0,
        }],
        roles: vec![
            role(0, "redis-1", "primary", 1),
            role(5_010, "redis-1", "down", 0),
            role(5_050, "redis-4", "primary", 7),
        ],
        ..Schedule::default()
    }
}

fn spans() -> SpanStore {
    let spans = SpanStore::in_memory();
    for (nth, name) in [(1_u64, "chat.send"), (2, "chat.accept"), (3, "log.append")] {
        spans.record(Span {
            trace: TraceId(7),
            id: SpanId(nth),
            parent: (nth > 1).then(|| SpanId(nth - 1)),
            name: name.to_owned(),
            service: if nth == 1 { "chaos".to_owned() } else { "chat-1".to_owned() },
            start_ns: 5_050_000_000 + nth,
            end_ns: 5_051_000_000 + nth,
            attributes: BTreeMap::from([("message.id".to_owned(), Value::from("m2"))]),
            ..Span::default()
        });
    }
    spans
}

fn report(lost: bool) -> (String, String) {
    report_of(lost, &schedule())
}

fn report_of(lost: bool, schedule: &Schedule) -> (String, String) {
    let drill = load("primary-kill", &Overrides::default()).expect("a sound drill");
    let plan = Plan::of(drill, None, "chaos drill primary-kill".to_owned());
    let (history, spans) = (history(lost), spans());
    let verdict = judge(&history, &question::of(&plan, schedule, &history));
    assert_eq!(verdict.rules[&Rule::R12].state == State::Fail, lost, "{verdict:#?}");
    let run = Path::new("target/drills/primary-kill/then");
    let record = Record { run, plan: &plan, schedule, history: &history, spans: &spans, verdict: &verdict };
    (text(&record), junit(&plan, &verdict, 9.0))
}

#[track_caller]
fn says(report: &str, words: &[&str]) {
    for words in words {
        assert!(report.contains(words), "{words:?} in:\n{report}");
    }
}

#[test]
fn a_loss_is_told_with_the_message_its_last_hop_and_the_fault_window() {
    let (text, junit) = report(true);
    says(&text, &["primary-kill: FAIL", "no longer in the log", "✘ FAIL"]);
    says(
        &text,
        &[
            "last hop of m2: log.append on chat-1 (it never came to log.fence), during kill of redis-1",
            "chat.accept on chat-1",
        ],
    );
    says(&junit, &["<failure message=\"1 violations\">", "classname=\"primary-kill\" name=\"R12 "]);
}

#[test]
fn a_node_that_nobody_could_join_after_heal_and_an_end_that_is_not_whole_are_no_pass() {
    let unreached = vec![NodeRoom { node: "chat-2".to_owned(), room: ROOM.to_owned() }];
    let (text, _) = report_of(false, &Schedule { unreached, ..schedule() });
    says(&text, &["primary-kill: FAIL", "not reached", "nobody could join room-00 on chat-2 after heal"]);
    let incomplete = vec!["not drained after 20s".to_owned()];
    let (text, _) = report_of(false, &Schedule { incomplete, ..schedule() });
    says(&text, &["primary-kill: UNKNOWN", "because the record is incomplete: not drained after 20s"]);
}

#[test]
fn a_fault_is_told_with_its_evidence_and_its_times() {
    let (text, _) = report(false);
    says(&text, &["✔ kill redis-1 (the primary of the busiest room) at 5.00 s, healed at 7.00 s"]);
    says(&text, &["seen: process 42 is gone", "redis-1 → redis-4: detect 0.02 s · promote 0.05 s"]);
    says(&text, &["acks back 0.01 s after it (budget 500ms)", "without any ack"]);
}

/// One that wins beside the promoted replica costs a full synchronisation; one that says so at another time, or the old
/// primary when it wakes, does not.
#[test]
fn who_won_an_election_as_well_is_told_and_gives_acks_more_time() {
    let with = |ms, server: &str| {
        let mut schedule = schedule();
        let (server, role) = (server.to_owned(), "primary".to_owned());
        schedule.roles.push(RoleSeen { at: at(ms), server, role, shard: Some(1), epoch: 8 });
        schedule
    };
    let allowed = |schedule: &Schedule| {
        let drill = load("primary-kill", &Overrides::default()).expect("a sound drill");
        let plan = Plan::of(drill, None, String::new());
        question::of(&plan, schedule, &history(false)).measured[0].latest_ms
    };
    let won = with(5_060, "redis-5");
    assert_eq!(allowed(&won), 500 + 10 + 1_000);
    says(&report_of(false, &won).0, &["redis-5 won an election too: 1.01 s more for acks"]);
    for not in [schedule(), with(9_000, "redis-5"), with(5_060, "redis-1"), with(5_060, "redis-4")] {
        assert_eq!(allowed(&not), 500);
        assert!(!report_of(false, &not).0.contains("won an election too"));
    }
}

#[test]
fn where_the_load_has_no_room_nobody_can_miss_an_ack() {
    let elsewhere = Schedule { rooms: BTreeMap::from([(ROOM.to_owned(), 2)]), ..schedule() };
    let (text, _) = report_of(false, &elsewhere);
    says(&text, &["no room of the load lies on that shard", "primary-kill: UNKNOWN"]);
    assert!(!text.contains("no ack came back") && !text.contains("without any ack"), "{text}");
}

#[test]
fn a_late_harness_leaves_the_rules_on_safety_standing() {
    let (text, junit) = report_of(false, &Schedule { own_lag_ms: 156, ..schedule() });
    let claim = "nothing acknowledged was lost, doubled or reordered (R1, R4, R6, R7, R8, R12 stand)";
    let why = "times cannot be judged: acks back after the promotion of shard 1: after 5 ms; allowed: 500 ms; the harness \
               was late by 156 ms meanwhile, so it may have been 0 to 5055 ms";
    says(&text, &["primary-kill: UNKNOWN: ", claim, &format!("{why} (R14)")]);
    says(&junit, &[&format!("<error message=\"{why}\">"), claim]);
}

#[test]
fn a_harness_that_was_late_where_it_does_not_matter_says_when() {
    let late = |from, to, worst_ms| Late { from: at(from), to: at(to), worst_ms };
    let stretches =
        vec![late(3_000, 3_120, 105), late(4_900, 5_060, 156), late(100, 230, 110), late(7_000, 7_200, 180)];
    let (text, _) = report_of(false, &Schedule { own_lag_ms: 180, late: stretches, ..schedule() });
    says(&text, &["harness     late by 180 ms at most; by more than 100 ms at 7.00 s to 7.20 s (180 ms), "]);
    says(
        &text,
        &["4.90 s to 5.06 s (156 ms), 0.10 s to 0.23 s (110 ms), 1 more; a time that was measured then is judged"],
    );
    assert!(!text.contains("cannot be judged"), "{text}");
    says(&report(false).0, &["harness     late by 0 ms at most\n"]);
}

#[test]
fn the_timeline_shows_who_was_primary_and_what_users_got() {
    let (text, _) = report(false);
    let strip = text.lines().find(|line| line.trim_start().starts_with("shard 1  ")).expect("a strip");
    assert!(strip.contains('1') && strip.ends_with('4'), "{strip}");
    says(&text, &["acks/s", "deliveries/s", "kill redis-1 "]);
}

#[test]
fn where_times_count_from_is_said_beside_them() {
    let (text, _) = report(false);
    says(&text, &["Numbers (times count from when a message was due"]);
}

#[test]
fn it_ends_with_the_commands_to_run_again() {
    let (text, _) = report(false);
    says(&text, &["chaos drill primary-kill --seed 7", "chaos judge target/drills/primary-kill/then", "record: "]);
}
