//! CONNECT: who is this, and where do they want to be?
//!
//! Everything that must be there before the client's first message (handlers, queue) is made in the middleware, which
//! runs before socketioxide answers CONNECT; the session's task starts right after. Nothing is awaited in between.

use std::sync::{Arc, Mutex};

use serde_json::Value as Json;
use socketioxide::adapter::Adapter;
use socketioxide::extract::TryData;
use socketioxide::handler::{ConnectHandler, FromConnectParts, Value};
use socketioxide::socket::Socket;
use system_protocol::{Auth, Code, Offset, Refusal, Room, event};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{Notify, mpsc};

use super::connect_error::Refused;
use super::intake::{self, Intake, Read, Request};
use super::link::Link;
use super::outbox::Outbox;
use super::session::Session;
use crate::auth::Identity;
use crate::backend::Backend;
use crate::chat::Chat;
use crate::phase::Phase;

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
        let admitted = admit(&chat, &socket, payload.ok().as_ref());
        let admitted = admitted.inspect_err(|refusal| chat.metrics.connect_refused(refusal.code));
        async move { admitted.map_err(Refused) }
    })
}

/// Who was let in, on the way from the middleware to the handler. It does not hold the socket, in whose extensions it
/// waits: a client that goes in between leaves nothing behind.
struct Admitted<A: Adapter> {
    identity: Identity,
    room: Room,
    offset: Option<Offset>,
    link: Arc<Link>,
    requests: UnboundedReceiver<Request<A>>,
    gone: Arc<Notify>,
}

/// Extensions are cloned when they are read; this one is taken once.
struct Waiting<A: Adapter>(Arc<Mutex<Option<Admitted<A>>>>);

impl<A: Adapter> Clone for Waiting<A> {
    fn clone(&self) -> Self {
        Waiting(Arc::clone(&self.0))
    }
}

fn admit<B: Backend>(
    chat: &Arc<Chat<B>>,
    socket: &Arc<Socket<B::Adapter>>,
    payload: Option<&Json>,
) -> Result<(), Refusal> {
    if chat.life.phase() != Phase::Running {
        return Err(Refusal::new(Code::Draining, "This node is going away"));
    }
    let Auth { token, room, offset } = Auth::parse(payload)?;
    let identity = chat.auth.identify(&token)?;
    identity.may_join(&room)?;
    // Every transport was made by our gate, and has one.
    let link = socket.req_parts().extensions.get::<Arc<Link>>();
    let link = Arc::clone(link.ok_or_else(|| Refusal::new(Code::Unavailable, "No connection"))?);
    let (queue, requests) = mpsc::unbounded_channel();
    for (event, read) in EVENTS {
        socket.on(event, Intake::new(read, queue.clone(), Arc::clone(&link)));
    }
    let gone = Arc::new(Notify::new());
    // Only for a client that leaves the namespace and keeps the transport; everything else ends with the link.
    socket.on_disconnect({
        let gone = Arc::clone(&gone);
        async move || gone.notify_one()
    });
    let admitted = Admitted { identity, room, offset, link, requests, gone };
    socket.extensions.insert(Waiting(Arc::new(Mutex::new(Some(admitted)))));
    Ok(())
}

async fn start<A: Adapter, B: Backend<Adapter = A>>(chat: Arc<Chat<B>>, socket: Arc<Socket<A>>) {
    let waiting = socket.extensions.remove::<Waiting<A>>();
    let admitted = waiting.and_then(|Waiting(admitted)| admitted.lock().expect("it is only taken").take());
    let Some(Admitted { identity, room, offset, link, requests, gone }) = admitted else { return };
    let outbox = Arc::new(Outbox::new(socket, link, Arc::clone(&chat.metrics), chat.send_queue));
    Session::new(chat, identity, outbox, requests, gone).run(room, offset).await;
}

/// The socket itself: socketioxide's own extractor hides its `Arc`.
pub(crate) struct Arrived<A: Adapter>(Arc<Socket<A>>);

impl<A: Adapter> FromConnectParts<A> for Arrived<A> {
    type Error = std::convert::Infallible;

    fn from_connect_parts(socket: &Arc<Socket<A>>, _auth: &Option<Value>) -> Result<Self, Self::Error> {
        Ok(Arrived(Arc::clone(socket)))
    }
}
