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

/// What socketioxide keeps per client to read into, in bytes.
const READ_BUFFER: usize = 256;
/// How long one attempt to reach Redis may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait before the next one.
const RETRY: Duration = Duration::from_secs(1);

/// What a node needs of socketioxide.
pub(crate) struct Engine {
    /// Whether a stream would be accepted now.
    pub(crate) open: Box<dyn Fn() -> bool + Send + Sync>,
    pub(crate) accept: Accept,
    pub(crate) close: Close,
}

/// Nothing is shared with other nodes but what the backend shares.
pub(crate) fn local<B>(chat: &Arc<Chat<B>>, settings: &Settings) -> Engine
where
    B: Backend<Adapter = LocalAdapter>,
{
    let (service, io) = Transport::of(settings).builder().build_svc();
    io.ns("/", socket::handler(Arc::clone(chat)));
    Engine {
        open: Box::new(|| true),
        accept: accept(service),
        close: Box::new(move || Box::pin(async move { io.close().await })),
    }
}

/// The stock adapter wants a connection before anything else: handshakes are refused until the returned task has one.
pub(crate) fn clustered(
    chat: &Arc<Chat<PubSub>>,
    settings: &Settings,
    redis: &RedisSettings,
) -> (Engine, impl Future<Output = ()> + Send + use<>) {
    let opened = Arc::new(OnceLock::<(Accept, SocketIo<Clustered>)>::new());
    let (asking, accepting, closing) = (Arc::clone(&opened), Arc::clone(&opened), Arc::clone(&opened));
    let engine = Engine {
        open: Box::new(move || asking.get().is_some()),
        accept: Box::new(move |stream, request| accepting.get().is_some_and(|(accept, _)| accept(stream, request))),
        close: Box::new(move || {
            Box::pin(async move {
                if let Some((_, io)) = closing.get() {
                    io.close().await;
                }
            })
        }),
    };
    let (chat, settings, urls) = (Arc::clone(chat), Transport::of(settings), redis.urls());
    let connecting = async move {
        loop {
            match tokio::time::timeout(PATIENCE, connect(&chat, &settings, &urls)).await {
                Ok(Ok((accept, io))) => {
                    chat.backend.opened(io.clone());
                    let _ = opened.set((accept, io));
                    return;
                }
                Ok(Err(error)) => tracing::warn!(error, "Redis cannot be reached yet"),
                Err(_) => tracing::warn!("Redis does not answer yet"),
            }
            tokio::time::sleep(RETRY).await;
        }
    };
    (engine, connecting)
}

/// One attempt; what it began goes with it when it fails.
async fn connect(
    chat: &Arc<Chat<PubSub>>,
    transport: &Transport,
    urls: &[String],
) -> Result<(Accept, SocketIo<Clustered>), String> {
    let client = ClusterClient::new(urls.to_vec()).map_err(|error| error.to_string())?;
    let adapter = RedisAdapterCtr::new_with_cluster(&client).await.map_err(|error| error.to_string())?;
    let (service, io) = transport.builder().with_adapter::<Clustered>(adapter).build_svc();
    io.ns("/", socket::handler(Arc::clone(chat))).await.map_err(|error| error.to_string())?;
    Ok((accept(service), io))
}

/// What the settings say of transports.
struct Transport {
    ping_interval: Duration,
    ping_timeout: Duration,
    /// How long a client may hold a transport without a session.
    connect_timeout: Duration,
}

impl Transport {
    fn of(settings: &Settings) -> Self {
        let Settings { ping_interval, ping_timeout, handshake_timeout: connect_timeout, .. } = *settings;
        Transport { ping_interval, ping_timeout, connect_timeout }
    }

    fn builder(&self) -> SocketIoBuilder {
        let parser = ParserConfig::common()
            .max_incoming_binary_buf_size(limits::PAYLOAD_BYTES)
            // The contract has no binary payloads; one is read and refused by name.
            .max_incoming_binaries(1)
            .packet_completion_timeout(self.ping_timeout);
        SocketIo::builder()
            .transports([TransportType::Websocket])
            .ping_interval(self.ping_interval)
            .ping_timeout(self.ping_timeout)
            .max_payload(limits::PAYLOAD_BYTES as u64)
            .ws_max_message_size(limits::PAYLOAD_BYTES)
            .ws_max_frame_size(limits::PAYLOAD_BYTES)
            // A frame is put together in memory of its own; an idle client needs none.
            .ws_read_buffer_size(READ_BUFFER)
            .connect_timeout(self.connect_timeout)
            .with_parser(parser)
    }
}

fn accept<A: Adapter, S: Clone + Send + Sync + 'static>(service: SocketIoService<S, A>) -> Accept {
    Box::new(move |stream, request| {
        // It answers at once, and goes on in a task of its own.
        Service::call(&service, (stream, request)).now_or_never().is_some_and(|accepted| accepted.is_ok())
    })
}
