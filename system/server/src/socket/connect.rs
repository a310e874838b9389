//! CONNECT: who is this, and where do they want to be?
//!
//! Everything that must be there before the client's first message (handlers, queue) is made in the middleware, which
//! runs before socketioxide answers CONNECT; the session's task starts right after. Nothing is awaited in between.

use std::sync::{Arc, Mutex, Weak};

use futures_channel::mpsc::{self, UnboundedReceiver};
use serde_json::Value as Json;
use socketioxide::adapter::Adapter;
use socketioxide::extract::TryData;
use socketioxide::handler::{ConnectHandler, DisconnectHandler, FromConnectParts, Value};
use socketioxide::socket::{DisconnectReason, Socket};
use system_protocol::{Auth, Code, Offset, Refusal, Room, event};
use system_wire::{Connection, Voice};
use tokio::time::Instant;

use super::conduct::Conduct;
use super::connect_error::Refused;
use super::intake::{self, Intake, Read, Request};
use super::outbox::{Ending, Outbox};
use super::session::Session;
use crate::auth::Identity;
use crate::backend::Backend;
use crate::chat::Chat;
use crate::phase::Phase;
use crate::telemetry::add;

/// The events of a client, and how each is read.
const EVENTS: [(&str, Read); 3] =
    [(event::CHAT_MESSAGE, intake::submit), (event::JOIN, intake::join), (event::LEAVE, intake::leave)];

/// What the namespace `/` does with a CONNECT.
pub(crate) fn handler<A: Adapter, B: Backend<Adapter = A>>(
    chat: Arc<Chat<B>>,
) -> impl ConnectHandler<A, (Arrived<A>,)> {
    let starting = Arc::clone(&chat);
    let start = move |Arrived(socket): Arrived<A>| start(starting, socket);
    start.with(move |Arrived(socket): Arrived<A>, TryData(payload): TryData<Json>| {
        let line = Line::of(&socket);
        let admitted = line.as_ref().ok_or_else(|| Refusal::new(Code::Unavailable, "No connection"));
        let admitted = admitted.and_then(|line| admit(&chat, line, &socket, payload.ok().as_ref()));
        let admitted = admitted.inspect_err(|refusal| refused(&chat, line.as_ref(), refusal.code));
        async move { admitted.map_err(Refused) }
    })
}

/// Below a socket: every transport was made by our gate, and has one, until it is gone.
struct Line {
    connection: Arc<Connection>,
    conduct: Arc<Conduct>,
}

impl Line {
    fn of<A: Adapter>(socket: &Socket<A>) -> Option<Line> {
        let parts = &socket.req_parts().extensions;
        let connection = parts.get::<Weak<Connection>>().and_then(Weak::upgrade)?;
        Some(Line { connection, conduct: Arc::clone(parts.get::<Arc<Conduct>>()?) })
    }
}

fn refused<B>(chat: &Chat<B>, line: Option<&Line>, code: Code) {
    chat.metrics.connect_refused(code);
    if let Some(Line { connection, conduct }) = line
        && conduct.refused(code)
    {
        add(&chat.metrics.unruly);
        connection.cut();
    }
}

/// Who was let in, on the way from the middleware to the handler. It does not hold the socket, in whose extensions it
/// waits: a client that goes in between leaves nothing behind.
struct Admitted {
    identity: Identity,
    room: Room,
    offset: Option<Offset>,
    voice: Voice,
    requests: UnboundedReceiver<Request>,
    ending: Arc<Ending>,
    conduct: Arc<Conduct>,
}

/// Extensions are cloned when they are read; this one is taken once.
#[derive(Clone)]
struct Waiting(Arc<Mutex<Option<Admitted>>>);

fn admit<B: Backend>(
    chat: &Arc<Chat<B>>,
    Line { connection, conduct }: &Line,
    socket: &Arc<Socket<B::Adapter>>,
    payload: Option<&Json>,
) -> Result<(), Refusal> {
    if chat.life.phase() != Phase::Running {
        return Err(Refusal::new(Code::Draining, "This node is going away"));
    }
    let Auth { token, room, offset } = Auth::parse(payload)?;
    let identity = chat.auth.identify(&token)?;
    identity.may_join(&room)?;
    conduct.join(Instant::now())?;
    let (queue, requests) = mpsc::unbounded();
    for (event, read) in EVENTS {
        socket.on(event, Intake::new(read, queue.clone(), Arc::clone(connection)));
    }
    let voice = connection.voice();
    let ending = Ending::of(voice.clone());
    // Only for a client that leaves the namespace and keeps the transport; everything else ends with the connection.
    socket.on_disconnect(Gone(Arc::clone(&ending)));
    // Nothing of this session overtakes the answer to its CONNECT, which is queued next.
    connection.hold();
    let conduct = Arc::clone(conduct);
    let admitted = Admitted { identity, room, offset, voice, requests, ending, conduct };
    socket.extensions.insert(Waiting(Arc::new(Mutex::new(Some(admitted)))));
    Ok(())
}

async fn start<A: Adapter, B: Backend<Adapter = A>>(chat: Arc<Chat<B>>, socket: Arc<Socket<A>>) {
    let waiting = socket.extensions.remove::<Waiting>();
    let admitted = waiting.and_then(|Waiting(admitted)| admitted.lock().expect("it is only taken").take());
    let Some(Admitted { identity, room, offset, voice, requests, ending, conduct }) = admitted else { return };
    let outbox = Arc::new(Outbox::new(socket, voice, &chat));
    // Boxed before it is a future, which would hold it more than once.
    Box::new(Session::new(chat, identity, outbox, requests, ending, conduct)).run(room, offset).await;
}

/// Runs in the reader, before the next packet is read: nothing of this session reaches a later one.
struct Gone(Arc<Ending>);

/// Tells this handler from socketioxide's own.
struct Synchronous;

impl<A: Adapter> DisconnectHandler<A, Synchronous> for Gone {
    fn call_with_defer(&self, socket: Arc<Socket<A>>, _: DisconnectReason, defer: fn(Arc<Socket<A>>)) {
        self.0.end();
        defer(socket);
    }
}

/// The socket itself: socketioxide's own extractor hides its `Arc`.
pub(crate) struct Arrived<A: Adapter>(Arc<Socket<A>>);

impl<A: Adapter> FromConnectParts<A> for Arrived<A> {
    type Error = std::convert::Infallible;

    fn from_connect_parts(socket: &Arc<Socket<A>>, _auth: &Option<Value>) -> Result<Self, Self::Error> {
        Ok(Arrived(Arc::clone(socket)))
    }
}
