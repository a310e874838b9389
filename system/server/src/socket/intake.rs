//! From the reader to the session's queue, synchronously.
//!
//! socketioxide spawns a task per message for an ordinary handler, and two messages of one sender may then swap. This
//! handler runs in the reader instead: it reads the payload (so that the queue holds small valid values, never a
//! megabyte of JSON) and pushes.

use std::sync::Arc;

use futures_channel::mpsc::UnboundedSender;
use serde_json::Value as Json;
use socketioxide::adapter::Adapter;
use socketioxide::handler::{MessageHandler, Value};
use socketioxide::socket::Socket;
use system_protocol::{Join, Leave, Refusal, Submit, event};
use system_wire::Connection;
use tokio::time::Instant;

/// Where a request's answer goes; nowhere when the client asked for none.
pub(super) type Ack = Option<i64>;

/// What a client asks for.
pub(super) enum Asked {
    Submit(Submit),
    Join(Join),
    Leave(Leave),
    /// An event or a payload that breaks the contract, and whether it counts as a message.
    Invalid {
        refusal: Refusal,
        message: bool,
    },
}

pub(super) struct Request {
    pub(super) asked: Asked,
    pub(super) ack: Ack,
    pub(super) arrived: Instant,
}

/// How the payload of one event is read.
type Read = fn(Result<Json, Refusal>) -> Asked;

/// The events of a client.
const EVENTS: [(&str, Read); 3] = [(event::CHAT_MESSAGE, submit), (event::JOIN, join), (event::LEAVE, leave)];

fn submit(payload: Result<Json, Refusal>) -> Asked {
    asked(payload.and_then(|payload| Submit::parse(&payload)).map(Asked::Submit), true)
}

fn join(payload: Result<Json, Refusal>) -> Asked {
    asked(payload.and_then(|payload| Join::parse(&payload)).map(Asked::Join), false)
}

fn leave(payload: Result<Json, Refusal>) -> Asked {
    asked(payload.and_then(|payload| Leave::parse(&payload)).map(Asked::Leave), false)
}

/// Said, because whoever waits for its ack would wait for ever.
fn unknown() -> Asked {
    let known = EVENTS.map(|(event, _)| event).join(", ");
    Asked::Invalid { refusal: Refusal::invalid("event", format_args!("must be one of {known}")), message: false }
}

fn asked(read: Result<Asked, Refusal>, message: bool) -> Asked {
    read.unwrap_or_else(|refusal| Asked::Invalid { refusal, message })
}

/// The handler of every event: with one for each, every session would have a map of them.
pub(super) struct Intake {
    /// Bounded by the connection: it stops the reader. Boxed, because a queue without requests has room for one.
    queue: UnboundedSender<Box<Request>>,
    connection: Arc<Connection>,
}

/// Tells this handler from socketioxide's own, which are told apart by their arguments.
pub(super) struct Synchronous;

impl Intake {
    pub(super) fn new(queue: UnboundedSender<Box<Request>>, connection: Arc<Connection>) -> Self {
        Intake { queue, connection }
    }
}

impl<A: Adapter> MessageHandler<A, Synchronous> for Intake {
    fn call(&self, _: Arc<Socket<A>>, value: Value, ack: Ack) {
        let text = value.as_str().map_or("", |text| text);
        let event = event_of(text);
        let read = EVENTS.iter().find(|(known, _)| event == Some(known));
        let asked = read.map_or_else(unknown, |(_, read)| read(payload(text)));
        let request = Request { asked, ack, arrived: Instant::now() };
        self.connection.requested();
        if self.queue.unbounded_send(Box::new(request)).is_err() {
            self.connection.handled();
        }
    }
}

/// The event's name: socketioxide has read it before, and takes none that is written with escapes.
fn event_of(text: &str) -> Option<&str> {
    let name = text.trim_start().strip_prefix('[')?.trim_start().strip_prefix('"')?;
    name.split_once('"').map(|(name, _)| name)
}

/// The first argument after the event's name.
fn payload(text: &str) -> Result<Json, Refusal> {
    match serde_json::from_str(text) {
        Ok(Json::Array(mut arguments)) if arguments.len() > 1 => Ok(arguments.swap_remove(1)),
        Ok(_) => Ok(Json::Null),
        Err(error) => Err(Refusal::invalid("payload", format_args!("cannot be read: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_told_by_its_name_however_its_packet_is_spaced() {
        let packets = [
            (r#"["join",{}]"#, Some("join")),
            ("\t[ \"leave\" , {}]", Some("leave")),
            (r#"["chat-message"]"#, Some("chat-message")),
            (r#"[1,"join"]"#, None),
            (r#"{"join":1}"#, None),
            ("", None),
        ];
        for (packet, event) in packets {
            assert_eq!(event_of(packet), event, "{packet}");
        }
    }
}
