//! How far a message came on its way from its sender to a member.

use std::{fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::span::Span;

/// The way of a message. `chat.ack` ends the branch back to the sender; the others are the way to the members (a reader that is
/// woken by the sweep does without the bell).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hop {
    Send,
    Accept,
    Append,
    Fence,
    Ack,
    /// The node that wrote it told those who listen.
    Bell,
    Read,
    FanOut,
    Receive,
}

impl Hop {
    pub const ALL: [Hop; 9] =
        [Hop::Send, Hop::Accept, Hop::Append, Hop::Fence, Hop::Ack, Hop::Bell, Hop::Read, Hop::FanOut, Hop::Receive];

    /// The name of its span.
    pub const fn span(self) -> &'static str {
        match self {
            Hop::Send => "chat.send",
            Hop::Accept => "chat.accept",
            Hop::Append => "log.append",
            Hop::Fence => "log.fence",
            Hop::Ack => "chat.ack",
            Hop::Bell => "log.bell",
            Hop::Read => "log.read",
            Hop::FanOut => "chat.fanout",
            Hop::Receive => "chat.receive",
        }
    }

    fn of(span: &Span) -> Option<Hop> {
        Hop::ALL.into_iter().find(|hop| hop.span() == span.name)
    }
}

impl fmt::Display for Hop {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.span())
    }
}

/// A process that died: spans that it had ended within `window` before may never have left it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Killed {
    pub service: String,
    pub at_unix_ns: u64,
    pub window: Duration,
}

/// The furthest hop that is known to have been reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastHop {
    pub hop: Hop,
    /// Who made the span.
    pub service: String,
    /// When the hop was done, Unix time in nanoseconds: a fault window that holds it is a suspect.
    pub at_ns: u64,
    /// The message may have come further: a node that could have known died before it could export.
    pub at_least: bool,
}

impl LastHop {
    /// What would have come next on the way to a member. `with_log`: whether there is one; without, nothing is appended,
    /// fenced, rung for or read, and the stock adapter fans out without a span.
    pub fn next(&self, with_log: bool) -> Option<Hop> {
        let there = |hop: &Hop| with_log || matches!(hop, Hop::Send | Hop::Accept | Hop::Ack | Hop::Receive);
        Hop::ALL.into_iter().filter(there).find(|later| *later > self.hop)
    }

    /// `log.append on chat-2 (it never came to log.fence)`
    pub fn told(&self, with_log: bool) -> String {
        let next = self.next(with_log).map(|next| format!(" (it never came to {next})")).unwrap_or_default();
        format!("{self}{next}")
    }
}

/// `at least log.append on chat-2`
impl fmt::Display for LastHop {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let least = if self.at_least { "at least " } else { "" };
        write!(out, "{least}{} on {}", self.hop, self.service)
    }
}

/// Towards whom a message was on its way. Hops on the members' side count only where they lead there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Towards<'a> {
    /// The members on this node; `None`: anyone.
    pub node: Option<&'a str>,
    /// This member, by its user; `None`: nobody in particular.
    pub member: Option<&'a str>,
}

pub(crate) fn last(spans: &[Arc<Span>], towards: Towards<'_>, killed: &[Killed]) -> Option<LastHop> {
    let reached = spans.iter().filter_map(|span| Some((Hop::of(span)?, span)));
    let (hop, span) =
        reached.filter(|(hop, span)| towards.counts(*hop, span)).max_by_key(|(hop, span)| (*hop, span.end_ns))?;
    let at_least = killed.iter().any(|killed| may_hide_more(killed, span, towards.node));
    Some(LastHop { hop, service: span.service.clone(), at_ns: span.end_ns, at_least })
}

impl Towards<'_> {
    /// That somebody else on the node received it says nothing of this member.
    fn counts(self, hop: Hop, span: &Span) -> bool {
        match hop {
            Hop::Receive if self == Towards::default() => true,
            Hop::Receive => self.member.is_some() && span.text("user") == self.member,
            Hop::Read | Hop::FanOut => self.node.is_none_or(|node| span.service == node),
            _ => true,
        }
    }
}

/// What came next would have been known to the node that made the span, or to the member's node; and it may have ended
/// so shortly before the process died that it was never exported.
fn may_hide_more(killed: &Killed, span: &Span, node: Option<&str>) -> bool {
    let knew = killed.service == span.service || node.is_none_or(|node| node == killed.service);
    let window = u64::try_from(killed.window.as_nanos()).unwrap_or(u64::MAX);
    let due = span.end_ns.saturating_add(window);
    knew && span.end_ns <= killed.at_unix_ns && due >= killed.at_unix_ns.saturating_sub(window)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spans::{SpanStore, TraceId};

    fn span(name: &str, service: &str, end_ms: u64) -> Span {
        let end_ns = end_ms * 1_000_000;
        let (trace, name, service) = (TraceId(1), name.to_owned(), service.to_owned());
        Span { trace, name, service, start_ns: end_ns, end_ns, ..Span::default() }.with("message.id", "m")
    }

    /// Sent through chat-1, fanned out there and on chat-2, received by `ann` on chat-2.
    fn way() -> SpanStore {
        let store = SpanStore::in_memory();
        for (name, service, end_ms) in [
            ("chat.send", "user", 60),
            ("chat.accept", "chat-1", 10),
            ("log.append", "chat-1", 20),
            ("log.fence", "chat-1", 30),
            ("chat.ack", "chat-1", 40),
            ("log.bell", "chat-1", 40),
            ("log.read", "chat-1", 41),
            ("chat.fanout", "chat-1", 42),
            ("log.read", "chat-2", 43),
            ("chat.fanout", "chat-2", 44),
        ] {
            store.record(span(name, service, end_ms));
        }
        store.record(span("chat.receive", "user", 45).with("user", "ann").with("node", "chat-2"));
        store
    }

    fn hop(store: &SpanStore, node: Option<&str>, member: Option<&str>) -> String {
        store.last_hop("m", Towards { node, member }, &[]).unwrap().to_string()
    }

    #[test]
    fn the_last_hop_is_the_one_on_the_way_to_whom_it_was_lost() {
        let store = way();
        assert_eq!(hop(&store, None, None), "chat.receive on user");
        assert_eq!(hop(&store, Some("chat-2"), Some("ann")), "chat.receive on user");
        assert_eq!(hop(&store, Some("chat-2"), Some("bob")), "chat.fanout on chat-2");
        assert_eq!(hop(&store, Some("chat-2"), None), "chat.fanout on chat-2");
        // It never came to this node, so it came as far as its sender's node did with it.
        assert_eq!(hop(&store, Some("chat-3"), Some("cid")), "log.bell on chat-1");
        assert_eq!(store.last_hop("other", Towards::default(), &[]), None);
    }

    #[test]
    fn a_message_that_stopped_within_the_log_stopped_there() {
        let store = SpanStore::in_memory();
        store.record(span("chat.send", "user", 5000));
        store.record(span("log.append", "chat-1", 20));
        assert_eq!(hop(&store, None, None), "log.append on chat-1");
    }

    #[test]
    fn what_a_killed_node_could_not_export_makes_it_at_least() {
        let store = way();
        let at_least = |service: &str, at_ms: u64, node: &str| {
            let killed = Killed {
                service: service.to_owned(),
                at_unix_ns: at_ms * 1_000_000,
                window: Duration::from_millis(100),
            };
            store.last_hop("m", Towards { node: Some(node), member: None }, &[killed]).unwrap().at_least
        };
        // chat-3 died shortly after: it may have read it and told nobody.
        assert!(at_least("chat-3", 120, "chat-3"));
        assert!(!at_least("chat-3", 900, "chat-3"));
        // It died before.
        assert!(!at_least("chat-3", 30, "chat-3"));
        assert!(!at_least("chat-2", 120, "chat-3"));
    }
}
