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
use system_protocol::{Join, Leave, Refusal, Submit};
use system_wire::Connection;
use tokio::time::Instant;

/// Where a request's answer goes; nowhere when the client asked for none.
pub(super) type Ack = Option<i64>;

/// What a client asks for.
pub(super) enum Asked {
    Submit(Submit),
    Join(Join),
    Leave(Leave),
    /// A payload that breaks the contract, and whether it counts as a message.
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
pub(super) type Read = fn(Result<Json, Refusal>) -> Asked;

pub(super) fn submit(payload: Result<Json, Refusal>) -> Asked {
    asked(payload.and_then(|payload| Submit::parse(&payload)).map(Asked::Submit), true)
}

pub(super) fn join(payload: Result<Json, Refusal>) -> Asked {
    asked(payload.and_then(|payload| Join::parse(&payload)).map(Asked::Join), false)
}

pub(super) fn leave(payload: Result<Json, Refusal>) -> Asked {
    asked(payload.and_then(|payload| Leave::parse(&payload)).map(Asked::Leave), false)
}

fn asked(read: Result<Asked, Refusal>, message: bool) -> Asked {
    read.unwrap_or_else(|refusal| Asked::Invalid { refusal, message })
}

/// The handler of one event.
pub(super) struct Intake {
    read: Read,
    /// Bounded by the connection: it stops the reader.
    queue: UnboundedSender<Request>,
    connection: Arc<Connection>,
}

/// Tells this handler from socketioxide's own, which are told apart by their arguments.
pub(super) struct Synchronous;

impl Intake {
    pub(super) fn new(read: Read, queue: UnboundedSender<Request>, connection: Arc<Connection>) -> Self {
        Intake { read, queue, connection }
    }
}

impl<A: Adapter> MessageHandler<A, Synchronous> for Intake {
    fn call(&self, _: Arc<Socket<A>>, value: Value, ack: Ack) {
        let asked = (self.read)(payload(&value));
        let request = Request { asked, ack, arrived: Instant::now() };
        self.connection.requested();
        if self.queue.unbounded_send(request).is_err() {
            self.connection.handled();
        }
    }
}

/// The first argument after the event's name.
fn payload(value: &Value) -> Result<Json, Refusal> {
    let text = value.as_str().map_or("", |text| text);
    match serde_json::from_str(text) {
        Ok(Json::Array(mut arguments)) if arguments.len() > 1 => Ok(arguments.swap_remove(1)),
        Ok(_) => Ok(Json::Null),
        Err(error) => Err(Refusal::invalid("payload", format_args!("cannot be read: {error}"))),
    }
}
