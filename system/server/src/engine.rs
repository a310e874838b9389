//! socketioxide, set up as the contract says, with the transport's limits lowered.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt;
use hyper::service::Service;
use socketioxide::adapter::{Adapter, Emitter, LocalAdapter};
use socketioxide::service::SocketIoService;
use socketioxide::{ParserConfig, SocketIo, SocketIoBuilder, TransportType};
use socketioxide_redis::drivers::redis::redis_client::cluster::ClusterClient;
use socketioxide_redis::{ClusterAdapter, RedisAdapterCtr};
use system_protocol::limits;

use crate::backend::Backend;
use crate::chat::Chat;
use crate::config::{RedisSettings, Settings};
use crate::pubsub::PubSub;
use crate::socket;
use crate::socket::gate::Accept;

/// Puts everyone out as Engine.IO does, so that clients come back elsewhere by themselves.
pub(crate) type Close = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// The adapter that most deployments run.
pub(crate) type Clustered = ClusterAdapter<Emitter>;

/// How long a client may hold a transport without a session.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait before the next attempt to reach Redis.
const RETRY: Duration = Duration::from_secs(1);

/// What a node needs of socketioxide.
pub(crate) struct Engine {
    pub(crate) accept: Accept,
    pub(crate) close: Close,
}

/// Nothing is shared with other nodes but what the backend shares.
pub(crate) fn local<B>(chat: &Arc<Chat<B>>, settings: &Settings) -> Engine
where
    B: Backend<Adapter = LocalAdapter>,
{
    let (service, io) = builder(settings).build_svc();
    io.ns("/", socket::handler(Arc::clone(chat)));
    Engine { accept: accept(service), close: Box::new(move || Box::pin(async move { io.close().await })) }
}

/// The stock adapter wants a connection before anything else: streams are refused until the returned task has one.
pub(crate) fn clustered(
    chat: &Arc<Chat<PubSub>>,
    settings: &Settings,
    redis: &RedisSettings,
) -> (Engine, impl Future<Output = ()> + Send + use<>) {
    let opened = Arc::new(OnceLock::<(Accept, SocketIo<Clustered>)>::new());
    let (accepting, closing) = (Arc::clone(&opened), Arc::clone(&opened));
    let engine = Engine {
        accept: Box::new(move |stream, request| accepting.get().is_some_and(|(accept, _)| accept(stream, request))),
        close: Box::new(move || {
            Box::pin(async move {
                if let Some((_, io)) = closing.get() {
                    io.close().await;
                }
            })
        }),
    };
    let (chat, builder, urls) = (Arc::clone(chat), builder(settings), redis.urls());
    let connecting = async move {
        let (service, io) = builder.with_adapter::<Clustered>(reach(urls).await).build_svc();
        if let Err(error) = io.ns("/", socket::handler(Arc::clone(&chat))).await {
            return tracing::error!(%error, "the adapter's subscriptions failed");
        }
        chat.backend.opened(io.clone());
        let _ = opened.set((accept(service), io));
    };
    (engine, connecting)
}

type Driver = socketioxide_redis::drivers::redis::ClusterDriver;

async fn reach(urls: Vec<String>) -> RedisAdapterCtr<Driver> {
    loop {
        let reached = async {
            let client = ClusterClient::new(urls.clone())?;
            RedisAdapterCtr::new_with_cluster(&client).await
        };
        match reached.await {
            Ok(adapter) => return adapter,
            Err(error) => tracing::warn!(%error, "Redis cannot be reached yet"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

fn builder(settings: &Settings) -> SocketIoBuilder {
    let parser = ParserConfig::common()
        .max_incoming_binary_buf_size(limits::PAYLOAD_BYTES)
        // The contract has no binary payloads; one is read and refused by name.
        .max_incoming_binaries(1)
        .packet_completion_timeout(settings.ping_timeout);
    SocketIo::builder()
        .transports([TransportType::Websocket])
        .ping_interval(settings.ping_interval)
        .ping_timeout(settings.ping_timeout)
        .max_payload(limits::PAYLOAD_BYTES as u64)
        .ws_max_message_size(limits::PAYLOAD_BYTES)
        .ws_max_frame_size(limits::PAYLOAD_BYTES)
        .max_buffer_size(settings.send_queue)
        .connect_timeout(CONNECT_TIMEOUT)
        .with_parser(parser)
}

fn accept<A: Adapter, S: Clone + Send + Sync + 'static>(service: SocketIoService<S, A>) -> Accept {
    Box::new(move |stream, request| {
        // It answers at once, and goes on in a task of its own.
        Service::call(&service, (stream, request)).now_or_never().is_some_and(|accepted| accepted.is_ok())
    })
}
