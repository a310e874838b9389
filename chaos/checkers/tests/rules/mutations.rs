//! A correct history with one thing broken is caught by the rule that is meant for it, which names the message.

use std::collections::BTreeMap;

use chaos_checkers::{Rule, State, Verdict};
use chaos_observe::{Content, Offset, Op, Record};
use proptest::{prelude::*, sample::Index};

use crate::{
    verdict,
    world::{self, World},
};

/// What stands at a place of the history, when it is a receipt.
#[derive(Clone, Debug)]
struct Receipt {
    at: usize,
    user: String,
    room: String,
    message: String,
    sender: String,
    offset: Offset,
}

fn receipts(records: &[Record]) -> Vec<Receipt> {
    let receipt = |(at, record): (usize, &Record)| match &record.op {
        Op::Recv { room, message, sender, offset, .. } => Some(Receipt {
            at,
            user: record.user.clone(),
            room: room.clone(),
            message: message.clone(),
            sender: sender.clone(),
            offset: (*offset)?,
        }),
        _ => None,
    };
    records.iter().enumerate().filter_map(receipt).collect()
}

/// Pairs of receipts that directly follow each other in one session.
fn neighbours(records: &[Record]) -> Vec<(Receipt, Receipt)> {
    let mut last: BTreeMap<(String, String), Receipt> = BTreeMap::new();
    let mut pairs = Vec::new();
    let mut receipts = receipts(records).into_iter().peekable();
    for (at, record) in records.iter().enumerate() {
        match &record.op {
            Op::Recv { room, .. } => {
                let Some(receipt) = receipts.next_if(|receipt| receipt.at == at) else { continue };
                if let Some(before) = last.insert((record.user.clone(), room.clone()), receipt.clone()) {
                    pairs.push((before, receipt));
                }
            }
            Op::Down { .. } => last.retain(|(user, _), _| *user != record.user),
            Op::Leave { room } => drop(last.remove(&(record.user.clone(), room.clone()))),
            _ => {}
        }
    }
    pairs
}

fn pick<T: Clone>(from: &[T], index: Index) -> Option<T> {
    (!from.is_empty()).then(|| from[index.index(from.len())].clone())
}

/// The rule failed, and one of its examples is about this message and member.
fn names(verdict: &Verdict, rule: Rule, kind: &str, message: &str, member: Option<&str>) -> Result<(), TestCaseError> {
    let result = &verdict.rules[&rule];
    prop_assert_eq!(&result.state, &State::Fail, "{} {:#?}", rule, result);
    let named = result.examples.iter().any(|anomaly| {
        // What a whole node or everyone missed has no one member.
        let of_member = member.is_none() || anomaly.member.is_none() || anomaly.member.as_deref() == member;
        anomaly.kind.contains(kind) && anomaly.message.as_deref() == Some(message) && of_member
    });
    prop_assert!(named, "no {} of {} in {:#?}", kind, message, result);
    Ok(())
}

fn change(records: &mut [Record], at: usize, change: impl FnOnce(&mut Op)) {
    change(&mut records[at].op);
}

fn position(records: &[Record], is: impl Fn(&Op) -> bool) -> Vec<usize> {
    records.iter().enumerate().filter(|(_, record)| is(&record.op)).map(|(at, _)| at).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_dropped_delivery_is_a_loss(users in 2..8usize, steps in world::steps(), which in any::<Index>()) {
        let mut records = World::run(users, &steps);
        // With a later receipt in the same session nobody can say that the member did not get that far.
        let Some((dropped, _)) = pick(&neighbours(&records), which) else { return Ok(()) };
        records.remove(dropped.at);
        let verdict = verdict(&records);
        names(&verdict, Rule::R1, "lost", &dropped.message, Some(&dropped.user))?;
        prop_assert_eq!(verdict.rules[&Rule::R1].count, 1);
        prop_assert_eq!(&verdict.rules[&Rule::R8].state, &State::Fail);
        prop_assert_eq!(&verdict.rules[&Rule::R12].state, &State::Pass);
    }

    #[test]
    fn a_message_lost_for_all_is_said_to_be(users in 2..8usize, steps in world::steps()) {
        let mut records = World::run(users, &steps);
        let canaries = position(&records, |op| matches!(op, Op::Send { canary: true, .. }));
        let Some(canary) = canaries.first() else { return Ok(()) };
        let Op::Send { message: canary, .. } = records[*canary].op.clone() else { unreachable!() };
        let joined = receipts(&records).iter().filter(|receipt| receipt.message == canary).count();
        prop_assume!(joined > 1);
        records.retain(|record| !matches!(&record.op, Op::Recv { message, .. } if *message == canary));
        let verdict = verdict(&records);
        names(&verdict, Rule::R1, "lost for all", &canary, None)?;
        prop_assert_eq!(verdict.rules[&Rule::R1].count, joined as u64);
        names(&verdict, Rule::R13, "deaf", &canary, None)?;
    }

    #[test]
    fn a_duplicate_is_caught(users in 2..8usize, steps in world::steps(), which in any::<Index>(), hidden in any::<bool>()) {
        let mut records = World::run(users, &steps);
        let Some((_, again)) = pick(&neighbours(&records), which) else { return Ok(()) };
        let mut copy = records[again.at].clone();
        if let Op::Recv { hidden: of_copy, .. } = &mut copy.op {
            *of_copy = hidden;
        }
        records.insert(again.at + 1, copy);
        let verdict = verdict(&records);
        names(&verdict, Rule::R4, "duplicate", &again.message, Some(&again.user))?;
        prop_assert_eq!(verdict.rules[&Rule::R4].count, 1);
        prop_assert_eq!(&verdict.rules[&Rule::R8].state, &State::Pass);
        prop_assert_eq!(&verdict.rules[&Rule::R7].state, &State::Pass);
    }

    #[test]
    fn a_swap_breaks_the_rooms_order(users in 2..8usize, steps in world::steps(), which in any::<Index>()) {
        let mut records = World::run(users, &steps);
        let Some((a, b)) = pick(&neighbours(&records), which) else { return Ok(()) };
        let op = records[a.at].op.clone();
        records[a.at].op = std::mem::replace(&mut records[b.at].op, op);
        let verdict = verdict(&records);
        names(&verdict, Rule::R8, "cursor back", &a.message, Some(&a.user))?;
        prop_assert_eq!(&verdict.rules[&Rule::R7].state, &State::Fail);
        let cycle = &verdict.rules[&Rule::R7].examples[0].detail;
        prop_assert!(cycle.contains(&a.message) && cycle.contains(&b.message), "{}", cycle);
        if a.sender == b.sender && answered_before(&records, &a.message, &b.message) {
            names(&verdict, Rule::R6, "inversion", &a.message, Some(&a.user))?;
        } else {
            prop_assert_ne!(&verdict.rules[&Rule::R6].state, &State::Fail);
        }
    }

    #[test]
    fn an_invented_message_is_a_phantom(users in 2..8usize, steps in world::steps(), which in any::<Index>()) {
        let mut records = World::run(users, &steps);
        let Some(receipt) = pick(&receipts(&records), which) else { return Ok(()) };
        let mut invented = records[receipt.at].clone();
        if let Op::Recv { message, offset, .. } = &mut invented.op {
            (*message, *offset) = ("nobody-1".to_owned(), Some(Offset(receipt.offset.0 + 1)));
        }
        records.insert(receipt.at + 1, invented);
        names(&verdict(&records), Rule::R2, "phantom", "nobody-1", Some(&receipt.user))?;
    }

    #[test]
    fn corrupt_content_sender_and_room_are_caught(
        users in 2..8usize, steps in world::steps(), which in any::<Index>(), what in 0..3usize,
    ) {
        let mut records = World::run(users, &steps);
        let Some(receipt) = pick(&receipts(&records), which) else { return Ok(()) };
        let kind = ["corrupt content", "wrong sender", "cross-room"][what];
        change(&mut records, receipt.at, |op| if let Op::Recv { room, sender, content, .. } = op {
            match what {
                0 => *content = Content(content.0 ^ 1),
                1 => "u99".clone_into(sender),
                _ => *room = if room == "r0" { "r1" } else { "r0" }.to_owned(),
            }
        });
        names(&verdict(&records), Rule::R5, kind, &receipt.message, Some(&receipt.user))?;
    }

    #[test]
    fn two_messages_at_one_offset_are_a_conflict(users in 2..8usize, steps in world::steps(), which in any::<Index>()) {
        let mut records = World::run(users, &steps);
        let Some((a, b)) = pick(&neighbours(&records), which) else { return Ok(()) };
        change(&mut records, b.at, |op| if let Op::Recv { offset, .. } = op { *offset = Some(a.offset) });
        let verdict = verdict(&records);
        prop_assert_eq!(&verdict.rules[&Rule::R5].state, &State::Fail);
        prop_assert!(verdict.rules[&Rule::R5].examples.iter().all(|anomaly| anomaly.kind == "offset conflict"));
    }

    #[test]
    fn an_ack_with_another_offset_is_a_conflict(users in 2..8usize, steps in world::steps(), which in any::<Index>()) {
        let mut records = World::run(users, &steps);
        let Some(ack) = pick(&position(&records, |op| matches!(op, Op::SendOk { .. })), which) else { return Ok(()) };
        let Op::SendOk { message, .. } = records[ack].op.clone() else { unreachable!() };
        change(&mut records, ack, |op| if let Op::SendOk { offset, .. } = op { *offset = offset.map(|o| Offset(o.0 + 1)) });
        names(&verdict(&records), Rule::R5, "offset conflict", &message, None)?;
    }

    #[test]
    fn a_late_message_is_no_duplicate(users in 2..8usize, steps in world::steps(), which in any::<Index>()) {
        let mut records = World::run(users, &steps);
        let Some((late, next)) = pick(&neighbours(&records), which) else { return Ok(()) };
        let record = records.remove(late.at);
        records.insert(next.at, record);
        let verdict = verdict(&records);
        names(&verdict, Rule::R8, "cursor back", &late.message, Some(&late.user))?;
        prop_assert_eq!(&verdict.rules[&Rule::R4].state, &State::Pass);
        prop_assert_eq!(&verdict.rules[&Rule::R1].state, &State::Pass);
    }

    #[test]
    fn a_leak_after_a_leave_is_caught(users in 2..8usize, steps in world::steps(), which in any::<Index>()) {
        let mut records = World::run(users, &steps);
        let Some(leave) = pick(&position(&records, |op| matches!(op, Op::LeaveOk { .. })), which) else { return Ok(()) };
        let (user, Op::LeaveOk { room, .. }) = (records[leave].user.clone(), records[leave].op.clone()) else { unreachable!() };
        let known = receipts(&records);
        let of_room = |receipt: &&Receipt| receipt.room == room && receipt.user != user;
        let Some(other) = known.iter().rfind(of_room) else { return Ok(()) };
        let leaked = Record { user: user.clone(), at: records[leave].at, op: records[other.at].op.clone() };
        records.insert(leave + 1, leaked);
        names(&verdict(&records), Rule::R9, "leak", &other.message, Some(&user))?;
    }

    #[test]
    fn a_false_recovered_is_caught(users in 2..8usize, steps in world::steps(), which in any::<Index>()) {
        let mut records = World::run(users, &steps);
        let resumed = (1..records.len()).filter(|at| {
            let asked = matches!(records[at - 1].op, Op::Join { offset: Some(_), .. });
            asked && matches!(records[*at].op, Op::JoinOk { .. })
        });
        let Some(at) = pick(&resumed.collect::<Vec<_>>(), which) else { return Ok(()) };
        let user = records[at].user.clone();
        change(&mut records, at, |op| if let Op::JoinOk { recovered, .. } = op { *recovered = false });
        let verdict = verdict(&records);
        prop_assert_eq!(&verdict.rules[&Rule::R10].state, &State::Fail);
        let example = &verdict.rules[&Rule::R10].examples[0];
        prop_assert_eq!((example.kind.as_str(), example.member.as_deref()), ("false recovered", Some(user.as_str())));
    }

    #[test]
    fn a_hole_in_a_replay_is_a_gap_loss(users in 2..8usize, steps in world::steps(), which in any::<Index>()) {
        let mut records = World::run(users, &steps);
        let replayed = |(receipt, _): &(Receipt, Receipt)| matches!(records[receipt.at].op, Op::Recv { replay: true, .. });
        let replayed: Vec<_> = neighbours(&records).into_iter().filter(replayed).collect();
        let Some((dropped, _)) = pick(&replayed, which) else { return Ok(()) };
        records.remove(dropped.at);
        let verdict = verdict(&records);
        names(&verdict, Rule::R10, "gap loss", &dropped.message, Some(&dropped.user))?;
        names(&verdict, Rule::R1, "lost", &dropped.message, Some(&dropped.user))?;
    }

    #[test]
    fn what_is_gone_from_the_log_is_told_apart_from_what_is_lost_on_the_way(
        users in 2..8usize, steps in world::steps(), which in any::<Index>(), delivered in any::<bool>(),
    ) {
        let mut records = World::run(users, &steps);
        let Some(ack) = pick(&position(&records, |op| matches!(op, Op::SendOk { .. })), which) else { return Ok(()) };
        let Op::SendOk { message: gone, .. } = records[ack].op.clone() else { unreachable!() };
        records.retain(|record| match &record.op {
            Op::Final { message, .. } => *message != gone,
            Op::Recv { message, .. } => delivered || *message != gone,
            _ => true,
        });
        let verdict = verdict(&records);
        names(&verdict, Rule::R12, "lost from the log", &gone, None)?;
        prop_assert_eq!(verdict.rules[&Rule::R12].count, 1);
        prop_assert_ne!(&verdict.rules[&Rule::R1].state, &State::Fail);
    }

    #[test]
    fn an_unanswered_message_reaches_all_or_none(
        users in 2..8usize, steps in world::steps(), which in any::<Index>(), vanish in any::<bool>(),
    ) {
        let mut records = World::run(users, &steps);
        let acked = position(&records, |op| matches!(op, Op::SendOk { .. }));
        let unanswered = neighbours(&records).into_iter().filter(|(receipt, _)| {
            !acked.iter().any(|at| matches!(&records[*at].op, Op::SendOk { message, .. } if *message == receipt.message))
        });
        let Some((receipt, _)) = pick(&unanswered.collect::<Vec<_>>(), which) else { return Ok(()) };
        let kind = if vanish {
            records.retain(|record| !matches!(&record.op, Op::Final { message, .. } if *message == receipt.message));
            "vanished from the log"
        } else {
            let others = receipts(&records).iter().filter(|other| other.message == receipt.message).count();
            prop_assume!(others > 1);
            records.remove(receipt.at);
            "not for all"
        };
        names(&verdict(&records), Rule::R11, kind, &receipt.message, None)?;
    }

    #[test]
    fn a_refused_message_that_arrives_is_caught(users in 2..8usize, steps in world::steps(), which in any::<Index>()) {
        let mut records = World::run(users, &steps);
        let Some(receipt) = pick(&receipts(&records), which) else { return Ok(()) };
        let code = "invalid_payload".to_owned();
        for record in &mut records {
            let of_it = match &record.op {
                Op::SendOk { message, .. } | Op::SendInfo { message, .. } => *message == receipt.message,
                _ => false,
            };
            if of_it {
                record.op = Op::SendFail { message: receipt.message.clone(), code: code.clone() };
            }
        }
        names(&verdict(&records), Rule::R3, "refused but delivered", &receipt.message, None)?;
    }
}

/// Whether the sender had the ack of `a` before it sent `b`.
fn answered_before(records: &[Record], a: &str, b: &str) -> bool {
    let acked = records.iter().position(|record| matches!(&record.op, Op::SendOk { message, .. } if message == a));
    let sent = records.iter().position(|record| matches!(&record.op, Op::Send { message, .. } if message == b));
    acked.zip(sent).is_some_and(|(acked, sent)| acked < sent)
}
