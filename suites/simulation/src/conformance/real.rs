//! The same on real processes, loopback only. All servers end with the test.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, Value, cmd};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Duration, sleep};

use super::{Connected, Control, Halves, Operator, Pair, STREAM_BLOCK, Soon, connection};
use crate::model::slot::SLOTS;

struct Server {
    command: Command,
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start(program: &Path, libraries: Option<&Path>, node_timeout: u32) -> Server {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let settings = [
            ("port", port.to_string()),
            ("bind", "127.0.0.1".to_owned()),
            ("dir", folder.path().display().to_string()),
            ("cluster-enabled", "yes".to_owned()),
            ("cluster-node-timeout", node_timeout.to_string()),
            ("cluster-require-full-coverage", "no".to_owned()),
            ("cluster-allow-pubsubshard-when-down", "no".to_owned()),
            ("save", String::new()),
            ("repl-diskless-sync-delay", "0".to_owned()),
            ("repl-ping-replica-period", "1".to_owned()),
            ("enable-debug-command", "local".to_owned()),
            ("stream-node-max-entries", STREAM_BLOCK.to_string()),
        ];
        let mut command = Command::new(program);
        for (name, value) in &settings {
            command.arg(format!("--{name}")).arg(value);
        }
        if let Some(libraries) = libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        Server { command, child, port, _folder: folder }
    }

    async fn connect(&self) -> Connected {
        for _ in 0..500 {
            if let Ok(stream) = TcpStream::connect(("127.0.0.1", self.port)).await {
                return connection(stream).await;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("nobody listens on port {}", self.port);
    }

    /// One command on a connection of its own.
    async fn ask<T: FromRedisValue>(&self, line: &str) -> T {
        ask(&mut self.connect().await.0, line).await
    }

    /// Until an answer in text holds.
    async fn until(&self, line: &str, holds: impl Fn(&str) -> bool) {
        let mut connection = self.connect().await.0;
        for _ in 0..1000 {
            if holds(&ask::<String>(&mut connection, line).await) {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("{line} never came to hold");
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("our own child");
    }

    fn pause(&self, paused: bool) {
        self.signal(if paused { Signal::SIGSTOP } else { Signal::SIGCONT });
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

async fn ask<T: FromRedisValue>(connection: &mut MultiplexedConnection, line: &str) -> T {
    let mut parts = line.split(' ');
    let mut asked = cmd(parts.next().unwrap_or_default());
    parts.for_each(|part| {
        asked.arg(part);
    });
    asked.query_async(connection).await.unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// A port below the ephemeral range, its bus port too, that nobody has; another each time.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Bound and not made to listen: a copy of it in what another thread forks keeps the port from nobody.
    let free = |port: u16| {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).and_then(|()| socket.bind((Ipv4Addr::LOCALHOST, port).into())).is_ok()
    };
    // Where two processes of this test rarely meet.
    let beginning = 16_000 + (std::process::id() % 50) as u16 * 100;
    let port = |_| beginning + NEXT.fetch_add(1, Relaxed);
    (0..1000).map(port).find(|port| free(*port) && free(*port + 10_000)).expect("a free port")
}

struct Real {
    first: Server,
    second: Server,
}

impl Real {
    /// Two that have met.
    async fn start(program: &Path, libraries: Option<&Path>, node_timeout: u32) -> Real {
        let server = || Server::start(program, libraries, node_timeout);
        let real = Real { first: server(), second: server() };
        let meet = format!("CLUSTER MEET 127.0.0.1 {}", real.first.port);
        real.second.ask::<()>(&meet).await;
        for (one, other) in [(&real.first, &real.second), (&real.second, &real.first)] {
            let id = other.id().await;
            one.until("CLUSTER NODES", |nodes| nodes.contains(&id)).await;
        }
        real
    }

    async fn connected(&self) -> [Connected; 2] {
        [self.first.connect().await, self.second.connect().await]
    }

    async fn serves(&self) {
        for server in [&self.first, &self.second] {
            server.until("CLUSTER INFO", |info| info.contains("cluster_state:ok")).await;
        }
    }
}

impl Server {
    async fn id(&self) -> String {
        self.ask("CLUSTER MYID").await
    }
}

impl Control for Real {
    fn pause_replica(&mut self, paused: bool) {
        self.second.pause(paused);
    }

    fn fresh(&mut self) -> Soon<'_, MultiplexedConnection> {
        Box::pin(async { self.first.connect().await.0 })
    }

    fn replace(&mut self) -> Soon<'_, ()> {
        Box::pin(async {
            self.first.until("INFO clients", |info| info.contains("blocked_clients:1")).await;
            self.second.ask::<()>("CLUSTER FAILOVER TAKEOVER").await;
        })
    }

    fn kill_replica(&mut self) {
        self.second.end();
    }

    fn restart_primary(&mut self) {
        self.first.end();
        self.first.child = self.first.command.spawn().expect("the same program again");
    }
}

impl Operator for Real {
    fn begin(&mut self, slot: u16) -> Soon<'_, ()> {
        Box::pin(async move {
            let (source, target) = (self.first.id().await, self.second.id().await);
            self.second.ask::<()>(&format!("CLUSTER SETSLOT {slot} IMPORTING {source}")).await;
            self.first.ask::<()>(&format!("CLUSTER SETSLOT {slot} MIGRATING {target}")).await;
        })
    }

    fn move_key<'a>(&'a mut self, key: &'a str) -> Soon<'a, ()> {
        Box::pin(async move {
            let said: String = self.first.ask(&format!("MIGRATE 127.0.0.1 {} {key} 0 5000", self.second.port)).await;
            assert_eq!(said, "OK");
        })
    }

    fn end(&mut self, slot: u16) -> Soon<'_, ()> {
        Box::pin(async move {
            let target = self.second.id().await;
            for server in [&self.second, &self.first] {
                server.ask::<()>(&format!("CLUSTER SETSLOT {slot} NODE {target}")).await;
            }
        })
    }

    fn pause_second(&mut self, paused: bool) {
        self.second.pause(paused);
    }

    fn allow_reads_when_down(&mut self) -> Soon<'_, ()> {
        Box::pin(self.first.ask("CONFIG SET cluster-allow-reads-when-down yes"))
    }
}

fn on_runtime<F: Future>(body: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(body)
}

pub fn with_pair<F: Future>(program: &Path, libraries: Option<&Path>, body: impl FnOnce(Pair) -> F) -> F::Output {
    on_runtime(async {
        let real = Real::start(program, libraries, 5000).await;
        real.first.ask::<()>(&format!("CLUSTER ADDSLOTSRANGE 0 {}", SLOTS - 1)).await;
        real.second.ask::<()>(&format!("CLUSTER REPLICATE {}", real.first.id().await)).await;
        real.serves().await;
        real.first.until("INFO replication", |info| info.contains("state=online")).await;
        real.second.until("INFO replication", |info| info.contains("master_link_status:up")).await;
        // CLUSTER SLOTS leaves a replica out until its offset has come by gossip.
        let known = |slots: &Value| format!("{slots:?}").matches("int").count() >= 4;
        for _ in 0..1000 {
            if known(&real.first.ask("CLUSTER SLOTS").await) {
                break;
            }
            sleep(Duration::from_millis(10)).await;
        }
        let connected = real.connected().await;
        body(Pair::of(Box::new(real), connected)).await
    })
}

pub fn with_halves<F: Future>(program: &Path, libraries: Option<&Path>, body: impl FnOnce(Halves) -> F) -> F::Output {
    on_runtime(async {
        let real = Real::start(program, libraries, 1000).await;
        let half = SLOTS / 2;
        real.first.ask::<()>(&format!("CLUSTER ADDSLOTSRANGE 0 {}", half - 1)).await;
        real.second.ask::<()>(&format!("CLUSTER ADDSLOTSRANGE {half} {}", SLOTS - 1)).await;
        real.serves().await;
        let all = |nodes: &str| nodes.contains(" 0-8191") && nodes.contains(" 8192-16383");
        for server in [&real.first, &real.second] {
            server.until("CLUSTER NODES", all).await;
        }
        let connected = real.connected().await;
        body(Halves::of(Box::new(real), connected)).await
    })
}
