//! How far a message came on its way from its sender to a member.

use std::{fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::span::Span;

/// The way of a message. `chat.ack` ends the branch back to the sender; the others are the way to the members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hop {
    Send,
    Accept,
    Append,
    Fence,
    Ack,
    Read,
    FanOut,
    Receive,
}

impl Hop {
    pub const ALL: [Hop; 8] =
        [Hop::Send, Hop::Accept, Hop::Append, Hop::Fence, Hop::Ack, Hop::Read, Hop::FanOut, Hop::Receive];

    /// The name of its span.
    pub const fn span(self) -> &'static str {
        match self {
            Hop::Send => "chat.send",
            Hop::Accept => "chat.accept",
            Hop::Append => "log.append",
            Hop::Fence => "log.fence",
            Hop::Ack => "chat.ack",
            Hop::Read => "log.read",
            Hop::FanOut => "chat.fanout",
            Hop::Receive => "chat.receive",
        }
    }

    fn of(span: &Span) -> Option<Hop> {
        Hop::ALL.into_iter().find(|hop| hop.span() == span.name)
    }

    /// Whether it happens on the member's side, where a node can be named.
    const fn at_member(self) -> bool {
        matches!(self, Hop::Read | Hop::FanOut | Hop::Receive)
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

/// `at least log.append on chat-2`
impl fmt::Display for LastHop {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let least = if self.at_least { "at least " } else { "" };
        write!(out, "{least}{} on {}", self.hop, self.service)
    }
}

pub(crate) fn last(spans: &[Arc<Span>], node: Option<&str>, killed: &[Killed]) -> Option<LastHop> {
    let reached = spans.iter().filter_map(|span| Some((Hop::of(span)?, span)));
    let concerns = |(hop, span): &(Hop, &Arc<Span>)| !hop.at_member() || node.is_none_or(|node| on(span, node));
    let (hop, span) = reached.filter(concerns).max_by_key(|(hop, span)| (*hop, span.end_ns))?;
    let at_least = killed.iter().any(|killed| may_hide_more(killed, span, node));
    Some(LastHop { hop, service: span.service.clone(), at_ns: span.end_ns, at_least })
}

/// A receipt is the harness's own span; it says which node it came from.
fn on(span: &Span, node: &str) -> bool {
    span.service == node || span.text("node") == Some(node)
}

/// What came next would have been known to the node that made the span, or to the member's node.
fn may_hide_more(killed: &Killed, span: &Span, node: Option<&str>) -> bool {
    let knew = killed.service == span.service || node.is_none_or(|node| node == killed.service);
    let window = u64::try_from(killed.window.as_nanos()).unwrap_or(u64::MAX);
    let next = span.end_ns.saturating_add(window);
    knew && next >= killed.at_unix_ns.saturating_sub(window) && span.end_ns <= killed.at_unix_ns
}
