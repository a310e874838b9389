//! From what a client told to what the history holds. Pure; every event that says something about the system under
//! test becomes one operation.

use chaos_observe::{At, Content, Offset, Op};
use system_client::{What, Why};
use system_protocol::ChatMessage;

/// What only the sender knows about a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Intent {
    pub(crate) due: At,
    pub(crate) canary: bool,
}

/// `node` is where the user is, or now comes to be; `intent` that of the message, when `what` is about one.
pub(crate) fn operation(what: &What, node: &str, intent: Option<Intent>) -> Option<Op> {
    Some(match what {
        What::Up { .. } => Op::Up { node: node.to_owned() },
        What::Down { why, .. } if *why != Why::Closed => Op::Down { why: why.to_string() },
        What::Joining { room, offset } => Op::Join { room: room.to_string(), offset: place(*offset) },
        What::Joined { joined } => Op::JoinOk {
            room: joined.room.to_string(),
            offset: place(joined.offset),
            head: place(joined.head),
            recovered: joined.recovered,
        },
        What::Leaving { room } => Op::Leave { room: room.to_string() },
        What::Left { left } => Op::LeaveOk { room: left.room.to_string(), offset: place(left.offset) },
        What::Sending { id, room, attempt, content, .. } => {
            let Intent { due, canary } = intent?;
            let (message, room) = (id.to_string(), room.to_string());
            Op::Send { message, room, attempt: *attempt, intended: due, content: Content::of(content), canary }
        }
        What::Acked { id, sent, .. } | What::AckedLate { id, sent, .. } => {
            Op::SendOk { message: id.to_string(), offset: place(sent.offset) }
        }
        What::Refused { id, refusal, .. } => {
            Op::SendFail { message: id.to_string(), code: refusal.code.as_str().to_owned() }
        }
        What::TimedOut { id, .. } => Op::SendInfo { message: id.to_string(), why: "timed out".to_owned() },
        What::Cut { id, .. } => Op::SendInfo { message: id.to_string(), why: "cut".to_owned() },
        What::Unknown { id, why, .. } => Op::SendInfo { message: id.to_string(), why: format!("given up: {why}") },
        What::Received { message, replay, hidden } => Op::Recv {
            room: message.room.to_string(),
            message: message.id.to_string(),
            sender: message.sender.to_string(),
            offset: place(message.offset),
            content: Content::of(&message.content),
            replay: *replay,
            hidden: *hidden,
        },
        // It was never on the wire, or says nothing of a message, a room or a session.
        // Nor does the goodbye at the end: whoever is connected then is owed everything up to the end of the run.
        What::Overflowed { .. }
        | What::Unsent { .. }
        | What::Unreachable { .. }
        | What::Down { .. }
        | What::JoinRefused { .. }
        | What::Notice { .. } => return None,
    })
}

/// One entry of the final read.
pub(crate) fn read(message: &ChatMessage) -> Option<Op> {
    Some(Op::Final {
        room: message.room.to_string(),
        message: message.id.to_string(),
        sender: message.sender.to_string(),
        offset: place(message.offset)?,
        content: Content::of(&message.content),
    })
}

/// The history's offsets are opaque numbers in the order of the room.
pub(crate) fn place(offset: Option<system_protocol::Offset>) -> Option<Offset> {
    offset.and_then(|offset| offset.to_string().parse().ok())
}
