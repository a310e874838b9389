//! A chat node, from its settings to its end.
//!
//! [`Node::start`] binds and serves; the delivery behind it finds its Redis in its own time, and `/ready` says how
//! that goes. [`Node::drain`] is the graceful end: nothing new, everything that was accepted answered, clients told
//! and then put out.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use system_wire::deflate::{self, Deflate};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::auth::Authenticator;
use crate::backend::{Backend, Shard, Status};
use crate::chat::{Chat, Unanswered};
use crate::config::{Delivery, Settings};
use crate::engine::{self, Engine};
use crate::http::{Crowd, Http, HttpLimit, Proxies, Readiness, router};
use crate::listener::Listener;
use crate::log;
use crate::phase::{Life, Phase};
use crate::pubsub;
use crate::socket::gate::Gate;
use crate::socket::{Broadcasts, JoinRate};
use crate::telemetry::{Metrics, Observed, Reload, Telemetry, measure_lag};

/// How long those who are put out may take before the process goes without them, of a drain that may take longer.
const GOODBYE: Duration = Duration::from_millis(500);

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("--listen: {address} cannot be served on: {error}")]
    Listen { address: SocketAddr, error: std::io::Error },
    #[error("the log's settings do not go together: {0}")]
    Log(#[from] system_delivery::ConfigError),
}

/// A running node. Dropping it is a crash.
pub struct Node {
    address: SocketAddr,
    life: Life,
    drain: Pin<Box<dyn Future<Output = ()> + Send>>,
    tasks: JoinSet<()>,
}

/// What every node has, whatever delivers.
struct Frame {
    settings: Settings,
    listener: TcpListener,
    address: SocketAddr,
    life: Life,
    metrics: Arc<Metrics>,
    deflate: Arc<Deflate>,
    tasks: JoinSet<()>,
}

impl Node {
    /// Takes the address, before anything is logged: an address that cannot be had is a wrong setting.
    pub fn bind(settings: &Settings) -> Result<std::net::TcpListener, StartError> {
        let listener = std::net::TcpListener::bind(settings.listen).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        listener.map_err(|error| StartError::Listen { address: settings.listen, error })
    }

    /// Serves on a listener of [`Node::bind`], within a tokio runtime.
    pub fn start(
        mut settings: Settings,
        listener: std::net::TcpListener,
        telemetry: &Telemetry,
    ) -> Result<Node, StartError> {
        let wrong = |error| StartError::Listen { address: settings.listen, error };
        let listener = TcpListener::from_std(listener).map_err(wrong)?;
        let address = listener.local_addr().map_err(wrong)?;
        let delivery = std::mem::replace(&mut settings.delivery, Delivery::Memory);
        let (life, metrics) = (Life::new(), Arc::new(Metrics::new()));
        let threshold = settings.deflate_threshold.unwrap_or(usize::MAX);
        let deflate = Deflate::new(deflate::Settings { threshold, ..deflate::Settings::default() });
        let mut frame = Frame { settings, listener, address, life, metrics, deflate, tasks: JoinSet::new() };
        let probe = Arc::new(frame.metrics.of_log());
        let node = match delivery {
            Delivery::Memory => {
                let chat = frame.chat(log::memory(&frame.settings, probe));
                let engine = engine::local(&chat, &frame.settings);
                frame.run(chat, engine, telemetry)
            }
            Delivery::Log(redis) => {
                let chat = frame.chat(log::durable(&frame.settings, redis, probe)?);
                let engine = engine::local(&chat, &frame.settings);
                frame.run(chat, engine, telemetry)
            }
            Delivery::PubSub(redis) => {
                let chat = frame.chat(pubsub::PubSub::new());
                let (engine, connecting) = engine::clustered(&chat, &frame.settings, &redis);
                frame.tasks.spawn(connecting);
                frame.run(chat, engine, telemetry)
            }
        };
        // The harness reads this line when it asked for port 0.
        tracing::info!(%address, "listening");
        Ok(node)
    }

    /// Where it really serves.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends gracefully, within the setting `drain_within`.
    pub async fn drain(mut self) {
        self.life.enter(Phase::Draining);
        self.drain.await;
        self.tasks.shutdown().await;
    }
}

impl Frame {
    fn chat<B: Backend>(&mut self, backend: B) -> Arc<Chat<B>> {
        let auth = std::mem::replace(&mut self.settings.auth, Authenticator::None);
        if let Authenticator::Jwt(keys) = &auth {
            self.tasks.spawn(Arc::clone(keys).follow(Reload::Keys, Arc::clone(&self.metrics)));
        }
        Arc::new(Chat {
            backend,
            auth,
            rate_limit: self.settings.rate_limit,
            rooms_per_socket: self.settings.rooms_per_socket,
            send_buffer: self.settings.send_buffer,
            broadcasts: Arc::new(Broadcasts::new(Arc::clone(&self.deflate))),
            handshake_timeout: self.settings.handshake_timeout,
            reconnect_within: self.settings.drain_within / 2,
            life: self.life.clone(),
            metrics: Arc::clone(&self.metrics),
            unanswered: Arc::<Unanswered>::default(),
        })
    }

    fn run<B: Backend>(mut self, chat: Arc<Chat<B>>, engine: Engine, telemetry: &Telemetry) -> Node {
        let view = Arc::new(View(Arc::clone(&chat)));
        self.metrics.observe(&view, &telemetry.spans, &self.deflate);
        self.tasks.spawn(measure_lag(Arc::clone(&self.metrics)));
        self.tasks.spawn(sweep(Arc::clone(&self.deflate)));
        let (open, seen) = (engine.open, Arc::clone(&view));
        let gate = Arc::new(Gate {
            open: Box::new(move || open() && seen.readiness().unready.is_none()),
            accept: engine.accept,
            origins: self.settings.origins.clone(),
            patience: self.settings.ping_timeout,
            send_buffer: self.settings.send_buffer,
            joins: JoinRate::new(self.settings.join_rate_limit, self.settings.rooms_per_socket),
            deflate: self.settings.deflate_threshold.map(|_| Arc::clone(&self.deflate)),
            life: self.life.clone(),
            metrics: Arc::clone(&self.metrics),
        });
        let proxies = Arc::new(Proxies::new(self.settings.trusted_proxies));
        let crowd = Crowd::new(self.settings.connections_per_address, Arc::clone(&proxies));
        let app = router(Http {
            gate,
            metrics: Arc::clone(&self.metrics),
            readiness: Box::new(move || view.readiness()),
            crowd: Arc::clone(&crowd),
            proxies,
            limit: HttpLimit::new(self.settings.http_rate_limit),
            origins: self.settings.origins,
        });
        if let Some(certificate) = &self.settings.tls {
            self.tasks.spawn(Arc::clone(certificate).follow(Reload::Certificate, Arc::clone(&self.metrics)));
        }
        let listener = Listener {
            tcp: self.listener,
            tls: self.settings.tls,
            app,
            crowd,
            metrics: Arc::clone(&self.metrics),
            handshake_timeout: self.settings.handshake_timeout,
            patience: self.settings.ping_timeout,
        };
        self.tasks.spawn(listener.serve());
        let drain = Box::pin(drain(chat, engine.close, self.settings.drain_within));
        Node { address: self.address, life: self.life, drain, tasks: self.tasks }
    }
}

/// Called in the phase Draining.
async fn drain<B: Backend>(chat: Arc<Chat<B>>, close: engine::Close, within: Duration) {
    let (began, goodbye) = (Instant::now(), GOODBYE.min(within / 6));
    tracing::info!(unanswered = chat.unanswered.count(), "draining");
    chat.backend.drain();
    let answered = async {
        chat.backend.drained().await;
        chat.unanswered.none().await;
    };
    let left = until_gone(&chat.metrics);
    // Clients may move on at their own pace for half the time; answers may come until shortly before its end.
    let _ = tokio::time::timeout_at(began + within / 2, left).await;
    let _ = tokio::time::timeout_at(began + within - 3 * goodbye, answered).await;
    chat.life.enter(Phase::Closing);
    let _ = tokio::time::timeout(goodbye, async {
        close().await;
        until_gone(&chat.metrics).await;
    })
    .await;
    tracing::info!(
        unanswered = chat.unanswered.count(),
        connections = chat.metrics.connections.load(Ordering::Relaxed),
        millis = began.elapsed().as_millis() as u64,
        "drained"
    );
}

/// Returns when no client is connected any more.
async fn until_gone(metrics: &Metrics) {
    const LOOK: Duration = Duration::from_millis(20);
    while metrics.connections.load(Ordering::Relaxed) > 0 {
        tokio::time::sleep(LOOK).await;
    }
}

/// Gives back what rooms that went quiet were compressed with.
async fn sweep(deflate: Arc<Deflate>) {
    const EVERY: Duration = Duration::from_secs(5);
    let mut turns = tokio::time::interval(EVERY);
    loop {
        deflate.sweep(turns.tick().await.into_std());
    }
}

/// The node as an operator sees it.
struct View<B>(Arc<Chat<B>>);

impl<B: Backend> View<B> {
    fn readiness(&self) -> Readiness {
        let status = self.0.backend.status();
        let draining = self.0.life.phase() != Phase::Running;
        let degraded = |shard: &Shard| shard.degraded.as_ref().map(|why| format!("shard {}: {why}", shard.number));
        let degraded = status.shards.iter().filter_map(degraded).collect();
        Readiness { unready: if draining { Some("draining".to_owned()) } else { status.unready }, degraded }
    }
}

impl<B: Backend> Observed for View<B> {
    fn ready(&self) -> bool {
        self.readiness().unready.is_none()
    }

    fn status(&self) -> Status {
        self.0.backend.status()
    }
}

#[cfg(test)]
mod tests {
    use system_protocol::limits;

    use super::*;

    const WITHIN: Duration = limits::DRAIN;

    async fn chat() -> Arc<Chat<impl Backend>> {
        let settings = Settings::from_arguments(["chat-node"]).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (life, metrics, tasks) = (Life::new(), Arc::new(Metrics::new()), JoinSet::new());
        let deflate = Deflate::new(deflate::Settings::default());
        let mut frame = Frame { settings, listener, address, life, metrics, deflate, tasks };
        let backend = log::memory(&frame.settings, Arc::new(frame.metrics.of_log()));
        frame.chat(backend)
    }

    /// Virtual time. Redis may be busy for so long, and clients may have moved on long before.
    #[tokio::test(start_paused = true)]
    async fn an_ack_that_comes_late_in_a_drain_is_waited_for() {
        for connections in [0, 1] {
            let chat = chat().await;
            chat.metrics.connections.store(connections, Ordering::Relaxed);
            chat.life.enter(Phase::Draining);
            let (began, pending, seen) = (Instant::now(), chat.unanswered.one_more(), Arc::clone(&chat));
            let close: engine::Close = Box::new(move || {
                seen.metrics.connections.store(0, Ordering::Relaxed);
                Box::pin(std::future::ready(()))
            });
            let draining = tokio::spawn(drain(Arc::clone(&chat), close, WITHIN));
            tokio::time::sleep(WITHIN * 6 / 10).await;
            assert_eq!(chat.life.phase(), Phase::Draining, "{connections} connections: put out before its answer");
            drop(pending);
            draining.await.unwrap();
            assert_eq!(chat.life.phase(), Phase::Closing);
            assert!(began.elapsed() < WITHIN * 7 / 10, "nothing else is waited for: {:?}", began.elapsed());
        }
    }
}
