//! CONNECT: who is this, and where do they want to be?
//!
//! Everything that must be there before the client's first message (handlers, queue) is made in the middleware, which
//! runs before socketioxide answers CONNECT; the session's task starts right after. Nothing is awaited in between.

use std::sync::Arc;

use serde_json::Value as Json;
use socketioxide::adapter::Adapter;
use socketioxide::extract::TryData;
use socketioxide::handler::{ConnectHandler, FromConnectParts, Value};
use socketioxide::socket::Socket;
use system_protocol::{Auth, Code, Refusal, event};
use tokio::sync::{Mutex, Notify, mpsc};

use super::connect_error::Refused;
use super::intake::{self, Intake, Read};
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
    let admit = move |Arrived(socket): Arrived<A>, TryData(payload): TryData<Json>| {
        let admitted = admit(&chat, &socket, payload.ok().as_ref());
        let admitted = admitted.inspect_err(|refusal| chat.metrics.connect_refused(refusal.code));
        async move { admitted.map_err(Refused) }
    };
    start::<A, B>.with(admit)
}

/// A session that was let in and not started, on its way from the middleware to the handler.
struct Prepared<B: Backend>(Arc<Mutex<Option<Session<B>>>>);

impl<B: Backend> Clone for Prepared<B> {
    fn clone(&self) -> Self {
        Prepared(Arc::clone(&self.0))
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
    let auth = Auth::parse(payload)?;
    let identity = chat.auth.identify(&auth.token)?;
    identity.may_join(&auth.room)?;
    let session = prepare(chat, socket, identity).ok_or_else(|| Refusal::new(Code::Unavailable, "No connection"))?;
    let session = session.with_first(auth.room, auth.offset);
    socket.extensions.insert(Prepared(Arc::new(Mutex::new(Some(session)))));
    Ok(())
}

/// `None` when the transport was not made by our gate, which does not happen.
fn prepare<B: Backend>(
    chat: &Arc<Chat<B>>,
    socket: &Arc<Socket<B::Adapter>>,
    identity: Identity,
) -> Option<Session<B>> {
    let link = Arc::clone(socket.req_parts().extensions.get::<Arc<Link>>()?);
    let (queue, requests) = mpsc::unbounded_channel();
    for (event, read) in EVENTS {
        socket.on(event, Intake::new(read, queue.clone(), Arc::clone(&link)));
    }
    let gone = Arc::new(Notify::new());
    let outbox = Arc::new(Outbox::new(Arc::clone(socket), link, Arc::clone(&chat.metrics), chat.send_queue));
    // Only for a client that leaves the namespace and keeps the transport; everything else ends with the link.
    socket.on_disconnect({
        let gone = Arc::clone(&gone);
        async move || gone.notify_one()
    });
    Some(Session::new(Arc::clone(chat), identity, outbox, requests, gone))
}

async fn start<A: Adapter, B: Backend<Adapter = A>>(Arrived(socket): Arrived<A>) {
    let Some(Prepared(session)) = socket.extensions.remove::<Prepared<B>>() else { return };
    drop(socket);
    let session = session.lock().await.take();
    if let Some(session) = session {
        session.run().await;
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
