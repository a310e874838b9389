//! CONNECT: who is this, and where do they want to be?
//!
//! Everything that must be there before the client's first message (handlers, queue) is made in the middleware, which
//! runs before socketioxide answers CONNECT; the session's task starts right after. Nothing is awaited in between.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures_channel::mpsc::{self, UnboundedReceiver};
use serde_json::Value as Json;
use socketioxide::adapter::Adapter;
use socketioxide::extract::TryData;
use socketioxide::handler::{ConnectHandler, DisconnectHandler, FromConnectParts, Value};
use socketioxide::socket::{DisconnectReason, Socket};
use system_protocol::{Auth, Code, Offset, Refusal, Room};
use system_wire::{Connection, Voice};
use tokio::time::Instant;

use super::conduct::{Conduct, JoinRate};
use super::connect_error::Refused;
use super::intake::{Intake, Request};
use super::outbox::Outbox;
use super::session::Session;
use crate::auth::Identity;
use crate::backend::Backend;
use crate::chat::Chat;
use crate::phase::Phase;
use crate::telemetry::{Metrics, add};

/// RFC 6455, section 7.4.1.
const POLICY_VIOLATION: u16 = 1008;

/// What the namespace `/` does with a CONNECT.
pub(crate) fn handler<A: Adapter, B: Backend<Adapter = A>>(
    chat: Arc<Chat<B>>,
) -> impl ConnectHandler<A, (Entering<A>,)> {
    let starting = Arc::clone(&chat);
    let start = move |Entering(socket, line, admitted): Entering<A>| start(starting, socket, line, *admitted);
    start.with(move |Arrived(socket): Arrived<A>, TryData(payload): TryData<Json>| {
        let line = Line::of(&socket);
        let connection = line.and_then(|line| line.connection.upgrade());
        let line = line.zip(connection.as_ref());
        let admitted = line.ok_or_else(|| Refusal::new(Code::Unavailable, "No connection"));
        let admitted =
            admitted.and_then(|(line, connection)| admit(&chat, line, connection, &socket, payload.ok().as_ref()));
        let admitted = admitted.inspect_err(|refusal| refused(&chat, line, refusal.code));
        async move { admitted.map_err(Refused) }
    })
}

/// Below a socket: every transport was made by our gate, and has one.
pub(super) struct Line {
    /// Weak, because socketioxide keeps this with the request as long as the socket.
    connection: Weak<Connection>,
    pub(super) conduct: Conduct,
    /// Who was let in, on the way from the middleware to the handler.
    admitted: Mutex<Option<Box<Admitted>>>,
}

impl Line {
    pub(super) fn new(connection: &Arc<Connection>, joins: JoinRate) -> Arc<Self> {
        let connection = Arc::downgrade(connection);
        Arc::new(Line { connection, conduct: Conduct::new(joins), admitted: Mutex::default() })
    }

    /// Who asks only in vain is told that it is enough, and closed.
    pub(super) fn refused(&self, connection: &Arc<Connection>, metrics: &Metrics, code: Code) {
        if self.conduct.refused(code) {
            add(&metrics.unruly);
            tracing::debug!(code = code.as_str(), "a connection was closed: too much in a row was refused on it");
            connection.close(POLICY_VIOLATION, "too many refusals in a row");
        }
    }

    fn of<A: Adapter>(socket: &Socket<A>) -> Option<&Arc<Line>> {
        socket.req_parts().extensions.get()
    }
}

fn refused<B>(chat: &Chat<B>, line: Option<(&Arc<Line>, &Arc<Connection>)>, code: Code) {
    chat.metrics.connect_refused(code);
    if let Some((line, connection)) = line {
        line.refused(connection, &chat.metrics, code);
    }
}

/// Who was let in. It does not hold the socket, with whose request it waits: a client that goes in between leaves
/// nothing behind.
struct Admitted {
    identity: Identity,
    room: Room,
    offset: Option<Offset>,
    voice: Voice,
    requests: UnboundedReceiver<Box<Request>>,
}

fn admit<B: Backend>(
    chat: &Arc<Chat<B>>,
    line: &Line,
    connection: &Arc<Connection>,
    socket: &Arc<Socket<B::Adapter>>,
    payload: Option<&Json>,
) -> Result<(), Refusal> {
    if chat.life.phase() != Phase::Running {
        return Err(Refusal::new(Code::Draining, "This node is going away"));
    }
    let Auth { token, room, offset } = Auth::parse(payload)?;
    let identity = chat.auth.identify(&token)?;
    identity.may_join(&room)?;
    line.conduct.join(Instant::now())?;
    let (queue, requests) = mpsc::unbounded();
    socket.on_fallback(Intake::new(queue, Arc::clone(connection)));
    let voice = connection.voice();
    // Only for a client that leaves the namespace and keeps the transport; everything else ends with the connection.
    socket.on_disconnect(Gone(voice.clone()));
    // Nothing of this session overtakes the answer to its CONNECT, which is queued next.
    connection.hold();
    let admitted = Admitted { identity, room, offset, voice, requests };
    *line.admitted.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(admitted));
    Ok(())
}

/// Not async itself, or the task would have room for what it begins with.
fn start<A: Adapter, B: Backend<Adapter = A>>(
    chat: Arc<Chat<B>>,
    socket: Arc<Socket<A>>,
    line: Arc<Line>,
    admitted: Admitted,
) -> impl Future<Output = ()> + Send {
    let Admitted { identity, room, offset, voice, requests } = admitted;
    let outbox = Arc::new(Outbox::new(socket, voice, &chat));
    // Boxed before it is a future, which would hold it more than once.
    let mut session = Box::new(Session::new(chat, identity, outbox, requests, line));
    session.begin(room, offset);
    session.run()
}

/// Runs in the reader, before the next packet is read: nothing of this session reaches a later one.
struct Gone(Voice);

/// Tells this handler from socketioxide's own.
struct Synchronous;

impl<A: Adapter> DisconnectHandler<A, Synchronous> for Gone {
    fn call_with_defer(&self, socket: Arc<Socket<A>>, _: DisconnectReason, defer: fn(Arc<Socket<A>>)) {
        self.0.end();
        defer(socket);
    }
}

/// The socket with whom the middleware let in: socketioxide calls the handler right behind it, and lets no other CONNECT
/// of this transport come between.
pub(crate) struct Entering<A: Adapter>(Arc<Socket<A>>, Arc<Line>, Box<Admitted>);

/// The middleware let nobody in.
#[derive(Debug, thiserror::Error)]
#[error("nobody was let in")]
pub(crate) struct Nobody;

impl<A: Adapter> FromConnectParts<A> for Entering<A> {
    type Error = Nobody;

    fn from_connect_parts(socket: &Arc<Socket<A>>, _auth: &Option<Value>) -> Result<Self, Self::Error> {
        let line = Line::of(socket).ok_or(Nobody)?;
        let admitted = line.admitted.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(Entering(Arc::clone(socket), Arc::clone(line), admitted.ok_or(Nobody)?))
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
