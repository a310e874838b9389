//! What one rule found: a complete count, and the few worst examples.

use chaos_observe::{At, Offset};

use crate::{Anomaly, Rule, facts::Facts};

const EXAMPLES: usize = 5;

/// The higher the worse.
pub(crate) type Severity = u32;

pub(crate) struct Findings {
    rule: Rule,
    pub(crate) count: u64,
    pub(crate) examined: u64,
    /// Why the rule cannot be judged, unless it was violated anyway.
    pub(crate) unknown: Option<String>,
    /// The contract or the system does not promise it.
    pub(crate) outside: bool,
    examples: Vec<(Severity, Anomaly)>,
}

impl Findings {
    pub(crate) fn of(rule: Rule) -> Findings {
        Findings { rule, count: 0, examined: 0, unknown: None, outside: false, examples: Vec::new() }
    }

    pub(crate) fn outside(rule: Rule) -> Findings {
        Findings { outside: true, ..Findings::of(rule) }
    }

    /// One more violation. The example is made only if it is among the worst so far; of equals the earliest stay.
    pub(crate) fn add(&mut self, severity: Severity, example: impl FnOnce(Rule) -> Anomaly) {
        self.add_many(1, severity, example);
    }

    /// `count` violations that share one example.
    pub(crate) fn add_many(&mut self, count: u64, severity: Severity, example: impl FnOnce(Rule) -> Anomaly) {
        self.count += count;
        let place = self.examples.partition_point(|(other, _)| *other >= severity);
        if place < EXAMPLES {
            self.examples.insert(place, (severity, example(self.rule)));
            self.examples.truncate(EXAMPLES);
        }
    }

    pub(crate) fn into_examples(self) -> Vec<Anomaly> {
        self.examples.into_iter().map(|(_, anomaly)| anomaly).collect()
    }
}

/// Fills in an anomaly's names from the history's numbers.
pub(crate) struct Draft<'f, 'h> {
    facts: &'f Facts<'h>,
    anomaly: Anomaly,
}

impl<'h> Facts<'h> {
    pub(crate) fn anomaly(&self, rule: Rule, kind: &str, detail: String) -> Draft<'_, 'h> {
        Draft { facts: self, anomaly: Anomaly::new(rule, kind, detail) }
    }
}

impl Draft<'_, '_> {
    /// With the room and the sender as it was sent.
    pub(crate) fn message(mut self, message: u32) -> Self {
        let history = self.facts.history;
        self.anomaly.message = Some(history.message_names.name(message).to_owned());
        let sent = self.facts.message(message);
        if sent.attempts > 0 {
            self.anomaly.room = Some(history.room_names.name(sent.room).to_owned());
            self.anomaly.sender = Some(history.users.name(sent.sender).to_owned());
            let moment = sent.first_ack.or(sent.first_send);
            self.anomaly.at = moment.map(|moment| moment.at);
        }
        self
    }

    pub(crate) fn room(mut self, room: u32) -> Self {
        self.anomaly.room = Some(self.facts.history.room_names.name(room).to_owned());
        self
    }

    pub(crate) fn sender(mut self, user: u32) -> Self {
        self.anomaly.sender = Some(self.facts.history.users.name(user).to_owned());
        self
    }

    pub(crate) fn member(mut self, user: u32) -> Self {
        self.anomaly.member = Some(self.facts.history.users.name(user).to_owned());
        self
    }

    pub(crate) fn node(mut self, node: Option<u32>) -> Self {
        self.anomaly.node = node.map(|node| self.facts.history.nodes.name(node).to_owned());
        self
    }

    pub(crate) fn offset(mut self, offset: Option<Offset>) -> Self {
        self.anomaly.offset = offset;
        self
    }

    pub(crate) fn at(mut self, at: At) -> Self {
        self.anomaly.at = Some(at);
        self
    }

    /// The receipt's message, member, node, offset and time.
    pub(crate) fn receipt(self, lane: usize, receipt: usize) -> Self {
        let facts = self.facts;
        let lane = &facts.lanes[lane];
        let entry = &facts.history.entries[lane.lane.receipts.entry[receipt] as usize];
        let draft = self.message(entry.message).room(entry.room).member(lane.lane.user).offset(entry.offset);
        draft.node(lane.node_at(receipt)).at(lane.lane.receipts.at[receipt])
    }

    pub(crate) fn done(self) -> Anomaly {
        self.anomaly
    }
}
