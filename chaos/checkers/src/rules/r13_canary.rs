//! R13: after heal every node delivers every room again. A canary is a message that is sent to a room after heal; each
//! node with members in it must deliver it to them within the budget.

use std::collections::BTreeMap;

use chaos_observe::At;

use crate::{
    Anomaly, Rule,
    facts::{Facts, Fate, LaneFacts, Session},
    findings::Findings,
    lateness::Held,
    verdict::Numbers,
};

/// Of one canary on one node.
#[derive(Default)]
struct Arrivals {
    members: u32,
    in_time: u32,
    late: u32,
    /// Late by less than the harness was.
    unsure: u32,
    /// A member that did not get it in time.
    without: Option<u32>,
}

pub(super) fn check(facts: &Facts<'_>, _: &mut Numbers) -> Findings {
    let mut findings = Findings::of(Rule::R13);
    for pair in &facts.question.unreached {
        findings.examined += 1;
        findings.add(3, |rule| {
            let detail = format!("nobody could join {} on {} after heal, so no canary was sent", pair.room, pair.node);
            let (room, node) = (Some(pair.room.clone()), Some(pair.node.clone()));
            Anomaly { room, node, ..Anomaly::new(rule, "not reached", detail) }
        });
    }
    let canaries = canaries(facts);
    if canaries.is_empty() {
        return findings;
    }
    let receipts = receipts(facts, &canaries);
    for (nth, canary) in canaries.iter().enumerate() {
        let sent = facts.message(*canary);
        if facts.fate(*canary) != Fate::Acked {
            findings.examined += 1;
            findings.add(3, |rule| {
                let detail = "a canary that was never acknowledged".to_owned();
                facts.anomaly(rule, "stuck", detail).message(*canary).done()
            });
        }
        let mut by_node: BTreeMap<u32, Arrivals> = BTreeMap::new();
        for lane in &facts.lanes_of[sent.room as usize] {
            let received = receipts.get(&(nth, *lane)).copied();
            arrive(facts, &facts.lanes[*lane], *canary, received, &mut by_node);
        }
        for (node, arrivals) in by_node {
            findings.examined += 1;
            report(facts, *canary, node, &arrivals, &mut findings);
        }
    }
    findings
}

fn canaries(facts: &Facts<'_>) -> Vec<u32> {
    let sent = (0u32..).zip(&facts.history.messages);
    sent.filter(|(_, message)| message.canary && message.attempts > 0).map(|(message, _)| message).collect()
}

/// When each lane first received each canary (by its place in the list).
fn receipts(facts: &Facts<'_>, canaries: &[u32]) -> BTreeMap<(usize, usize), At> {
    let mut place = vec![usize::MAX; facts.history.messages.len()];
    canaries.iter().enumerate().for_each(|(nth, canary)| place[*canary as usize] = nth);
    let mut receipts = BTreeMap::new();
    for (nth, lane) in facts.lanes.iter().enumerate() {
        for (receipt, entry) in lane.lane.receipts.entry.iter().enumerate() {
            let canary = place[facts.message_of[*entry as usize] as usize];
            if canary != usize::MAX {
                receipts.entry((canary, nth)).or_insert(lane.lane.receipts.at[receipt]);
            }
        }
    }
    receipts
}

/// Counts the member if it was connected and joined when the canary was sent. One whose connection was then lost
/// before the canary could come says nothing of the node.
fn arrive(
    facts: &Facts<'_>,
    lane: &LaneFacts<'_>,
    canary: u32,
    received: Option<At>,
    nodes: &mut BTreeMap<u32, Arrivals>,
) {
    let Some(sent) = facts.message(canary).first_send else { return };
    let joined = |session: &Session| session.joined_at < sent.at && sent.at < session.ends_at();
    let Some(nth) = lane.sessions.iter().position(joined) else { return };
    let session = &lane.sessions[nth];
    let Some(node) = session.node else { return };
    let mut held = received.map_or(Held::Never, |at| within(facts, sent.at, at));
    if held != Held::Within && received.is_none_or(|at| at > session.ends_at()) {
        match cut_short(facts, lane, nth, sent.at) {
            Held::Within => return,
            // The canary may have been due only after that.
            Held::Unsure => held = Held::Unsure,
            _ => {}
        }
    }
    let arrivals = nodes.entry(node).or_default();
    arrivals.members += 1;
    arrivals.in_time += u32::from(held == Held::Within);
    arrivals.late += u32::from(held == Held::TooSlow);
    arrivals.unsure += u32::from(held == Held::Unsure);
    if matches!(held, Held::TooSlow | Held::Never) {
        arrivals.without.get_or_insert(lane.lane.user);
    }
}

/// Whether the session ended before the canary was due; where nothing says when that is, before the member's last one.
fn cut_short(facts: &Facts<'_>, lane: &LaneFacts<'_>, session: usize, sent: At) -> Held {
    let ended = lane.sessions[session].ends_at();
    match facts.question.budgets.canary_ms {
        // Who stayed until the run's end was there, however late the harness was.
        Some(_) if ended > facts.history.end => Held::TooSlow,
        Some(_) => within(facts, sent, ended),
        None if session + 1 < lane.sessions.len() => Held::Within,
        None => Held::TooSlow,
    }
}

fn within(facts: &Facts<'_>, sent: At, received: At) -> Held {
    let budget = facts.question.budgets.canary_ms;
    budget.map_or(Held::Within, |budget| facts.lateness.since_done(sent, received).against(true, 0, budget))
}

fn report(facts: &Facts<'_>, canary: u32, node: u32, arrivals: &Arrivals, findings: &mut Findings) {
    let Arrivals { members, in_time, late, unsure, without } = *arrivals;
    if unsure > 0 {
        let (canary, node) = (facts.history.message_names.name(canary), facts.history.nodes.name(node));
        let why = format!(
            "canary {canary} may have been late for {unsure} of {members} members on {node}, or not: by less than the harness \
             was late meanwhile"
        );
        findings.unknown.get_or_insert(why);
    }
    if in_time + unsure == members {
        return;
    }
    let (severity, kind) = match late {
        0 if in_time + unsure == 0 => (3, "deaf"),
        late if late + in_time + unsure == members => (1, "late"),
        _ => (2, "deaf at a member"),
    };
    findings.add(severity, |rule| {
        let budget = facts.question.budgets.canary_ms.map_or(String::new(), |ms| format!(" within {ms} ms"));
        let detail = format!("of {members} members on this node {in_time} got the canary{budget}, {late} got it late");
        let draft = facts.anomaly(rule, kind, detail).message(canary).node(Some(node));
        match without {
            Some(member) if kind != "deaf" => draft.member(member).done(),
            _ => draft.done(),
        }
    });
}
