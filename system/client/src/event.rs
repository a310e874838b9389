//! What a client tells its owner, in the order in which it happened.

use std::time::{Duration, Instant};

use system_protocol::{ChatMessage, Draining, Joined, Left, MessageId, Offset, Refusal, Room, Sent, TraceParent};

/// One thing that happened, and when: taken as it happened, not when the owner comes to read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub at: Instant,
    pub what: What,
}

/// `node` is the index in [`Config::nodes`](crate::Config::nodes); `attempt` counts from 1.
///
/// A message ends with exactly one of [`Acked`](What::Acked), [`Refused`](What::Refused) with `again: false`,
/// [`Unknown`](What::Unknown), [`Overflowed`](What::Overflowed) or [`Unsent`](What::Unsent).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The node accepted CONNECT.
    Up {
        node: usize,
    },
    /// A connection that was up is gone. Another is made after the backoff, unless `why` is [`Why::Closed`].
    Down {
        node: usize,
        why: Why,
    },
    /// A connection did not come up.
    Unreachable {
        node: usize,
        why: Why,
    },

    /// A join goes on the wire, within CONNECT or as an event.
    Joining {
        room: Room,
        offset: Option<Offset>,
    },
    Joined {
        joined: Joined,
    },
    /// The node does not let us in; the room is given up.
    JoinRefused {
        room: Room,
        refusal: Refusal,
    },
    /// A leave goes on the wire, or would if there were a connection.
    Leaving {
        room: Room,
    },
    /// Left; `offset` is the node's word, or where we were when the connection went.
    Left {
        left: Left,
    },

    /// An attempt goes on the wire. The first carries the given `traceparent`, a retry another span of that trace.
    Sending {
        id: MessageId,
        room: Room,
        attempt: u32,
        content: String,
        traceparent: Option<TraceParent>,
    },
    /// The promise. `attempt` is the attempt that was answered, not necessarily the latest.
    Acked {
        id: MessageId,
        room: Room,
        attempt: u32,
        sent: Sent,
    },
    /// One more ack of a message that had ended already.
    AckedLate {
        id: MessageId,
        room: Room,
        attempt: u32,
        sent: Sent,
    },
    /// Refused. With `again` the message stays in the queue and is sent again.
    Refused {
        id: MessageId,
        room: Room,
        attempt: u32,
        refusal: Refusal,
        again: bool,
    },
    /// No answer in time: indeterminate, will be sent again with the same id.
    TimedOut {
        id: MessageId,
        room: Room,
        attempt: u32,
    },
    /// The connection went before the answer: indeterminate, will be sent again with the same id.
    Cut {
        id: MessageId,
        room: Room,
        attempt: u32,
    },
    /// It may or may not have been stored, and it is not sent again.
    Unknown {
        id: MessageId,
        room: Room,
        why: Unresolved,
    },
    /// The queue was full and this was the oldest that had never been sent.
    Overflowed {
        id: MessageId,
        room: Room,
    },
    /// It was never sent, and it will not be, because its room was left or the client closed.
    Unsent {
        id: MessageId,
        room: Room,
    },

    /// Every receipt on the wire. `replay`: history, at or before the head that `joined` named on this connection.
    /// `hidden`: not for the user's eyes, because it is at or before the room's position (a duplicate), or came while
    /// the room was not joined.
    Received {
        message: ChatMessage,
        replay: bool,
        hidden: bool,
    },
    Notice {
        notice: Notice,
    },
}

/// Something that the node said unasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// An `error` event; refusals of our own messages appear here as well as in their acks.
    Error(Refusal),
    /// The node goes; the client moves on after `after`.
    Draining { draining: Draining, after: Duration },
    /// An event that is not of this contract, by name.
    Other(String),
}

/// Why a message's outcome will not be known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    #[error("it was first sent longer ago than the retry horizon")]
    Horizon,
    #[error("refused ({0}), and an earlier attempt was never answered")]
    Refused(Refusal),
    #[error("its room was left, or refused on the way back")]
    Left,
    #[error("the client was closed")]
    Closed,
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    #[error("closed by its owner")]
    Closed,
    #[error("moved on from a draining node")]
    Draining,
    #[error("heard nothing for {0:?}")]
    Silent(Duration),
    #[error("no answer to {0} within {1:?}")]
    Unanswered(&'static str, Duration),
    #[error("malformed: {0}")]
    Malformed(String),
    #[error("connection lost: {0}")]
    Lost(String),
    #[error("the node said goodbye")]
    Goodbye,
    #[error("rejected: {0}")]
    Rejected(Refusal),
}
