//! R7: each room has one total order. The union of all members' "came directly after" is a graph of messages; where it
//! has a cycle, no single order agrees with what everyone saw. Comparing members pair by pair would miss a cycle that
//! needs three of them.
//!
//! Where every member (and the final read) saw a room in the order of its offsets, and each offset is one message, that
//! order is the proof that there is no cycle, and no graph is made.

mod graph;

use graph::Graph;

use crate::{
    Rule,
    facts::{Facts, LaneFacts, NOWHERE, mark},
    findings::Findings,
    verdict::Numbers,
};

/// A cycle of more messages than this is shown in part.
const SHOWN: usize = 8;

pub(super) fn check(facts: &Facts<'_>, _: &mut Numbers) -> Findings {
    if !facts.promised(Rule::R7) {
        return Findings::outside(Rule::R7);
    }
    let mut findings = Findings::of(Rule::R7);
    let mut numbers = vec![NOWHERE; facts.history.messages.len()];
    for (room, one_to_one) in one_to_one(facts).into_iter().enumerate() {
        let members = facts.lanes_of[room].iter().filter(|lane| !facts.lanes[**lane].lane.receipts.is_empty()).count();
        let read = !facts.history.rooms[room].finals.is_empty();
        if members + usize::from(read) < 2 {
            continue;
        }
        findings.examined += sequences(facts, room).map(|sequence| sequence.pairs()).sum::<u64>();
        if !(one_to_one && sequences(facts, room).all(|sequence| sequence.in_order_of_offsets(facts))) {
            search(facts, room, &mut numbers, &mut findings);
        }
    }
    findings
}

/// Rooms where every message has one rank and every rank one message.
fn one_to_one(facts: &Facts<'_>) -> Vec<bool> {
    let mut holds = vec![true; facts.history.rooms.len()];
    let mut at = vec![(NOWHERE, NOWHERE); facts.history.messages.len()];
    for (entry, rank) in facts.history.entries.iter().zip(&facts.rank_of) {
        let place = facts.places[entry.room as usize].all.get(*rank as usize);
        let known = std::mem::replace(&mut at[entry.message as usize], (entry.room, *rank));
        let same = known == (NOWHERE, NOWHERE) || known == (entry.room, *rank);
        holds[entry.room as usize] &= same && place.is_some_and(|place| place.message == entry.message);
    }
    holds
}

/// What one member, or the final read, saw of a room.
enum Sequence<'f, 'h> {
    Member(&'f LaneFacts<'h>),
    Log(&'h [chaos_observe::history::Final]),
}

fn sequences<'f, 'h>(facts: &'f Facts<'h>, room: usize) -> impl Iterator<Item = Sequence<'f, 'h>> {
    let members = facts.lanes_of[room].iter().map(|lane| Sequence::Member(&facts.lanes[*lane]));
    members.chain([Sequence::Log(&facts.history.rooms[room].finals)])
}

impl Sequence<'_, '_> {
    /// Each message where it came first, as entries.
    fn for_each(&self, mut visit: impl FnMut(u32)) {
        match self {
            Sequence::Member(lane) => {
                let firsts = lane.lane.receipts.entry.iter().zip(&lane.marks);
                firsts.filter(|(_, marks)| *marks & mark::REPEAT == 0).for_each(|(entry, _)| visit(*entry));
            }
            Sequence::Log(finals) => finals.iter().for_each(|read| visit(read.entry)),
        }
    }

    fn pairs(&self) -> u64 {
        let mut messages = 0u64;
        self.for_each(|_| messages += 1);
        messages.saturating_sub(1)
    }

    fn in_order_of_offsets(&self, facts: &Facts<'_>) -> bool {
        let (mut next, mut ordered) = (0, true);
        self.for_each(|entry| {
            let rank = facts.rank_of[entry as usize];
            ordered &= rank != NOWHERE && rank >= next;
            next = rank.saturating_add(1);
        });
        ordered
    }

    /// Pairs of messages that came directly after each other.
    fn edges(&self, facts: &Facts<'_>, mut visit: impl FnMut(u32, u32)) {
        let mut last = None;
        self.for_each(|entry| {
            let message = facts.message_of[entry as usize];
            if let Some(last) = last.replace(message).filter(|last| *last != message) {
                visit(last, message);
            }
        });
    }

    fn name(&self, facts: &Facts<'_>) -> String {
        match self {
            Sequence::Member(lane) => facts.history.users.name(lane.lane.user).to_owned(),
            Sequence::Log(_) => "the final read".to_owned(),
        }
    }
}

/// `numbers` gives a message its number in the graph; it is left as it came.
fn search(facts: &Facts<'_>, room: usize, numbers: &mut [u32], findings: &mut Findings) {
    let (mut messages, mut graph) = (Vec::new(), Graph::default());
    let mut number = |message: u32| {
        let number = &mut numbers[message as usize];
        if *number == NOWHERE {
            *number = messages.len() as u32;
            messages.push(message);
        }
        *number
    };
    for sequence in sequences(facts, room) {
        sequence.edges(facts, |a, b| graph.edge(number(a), number(b)));
    }
    for cycle in graph.shortest_cycle_of_each_knot() {
        let cycle: Vec<u32> = cycle.into_iter().map(|number| messages[number as usize]).collect();
        findings.add(u32::MAX - cycle.len() as u32, |rule| {
            facts.anomaly(rule, "order cycle", describe(facts, room, &cycle)).message(cycle[0]).room(room as u32).done()
        });
    }
    for message in messages {
        numbers[message as usize] = NOWHERE;
    }
}

fn describe(facts: &Facts<'_>, room: usize, cycle: &[u32]) -> String {
    let name = |message: u32| facts.history.message_names.name(message);
    let next = cycle.iter().cycle().skip(1);
    let steps = cycle.iter().zip(next).take(SHOWN).map(|(a, b)| {
        let witness = sequences(facts, room).find(|sequence| saw(facts, sequence, *a, *b));
        let witness = witness.map_or(String::new(), |sequence| sequence.name(facts));
        format!("{witness} saw {} then {}", name(*a), name(*b))
    });
    let steps: Vec<_> = steps.collect();
    let more = if cycle.len() > SHOWN { format!(", and {} more steps", cycle.len() - SHOWN) } else { String::new() };
    format!("no order of {} messages agrees with: {}{more}", cycle.len(), steps.join(", "))
}

fn saw(facts: &Facts<'_>, sequence: &Sequence<'_, '_>, a: u32, b: u32) -> bool {
    let mut found = false;
    sequence.edges(facts, |from, to| found |= (from, to) == (a, b));
    found
}
