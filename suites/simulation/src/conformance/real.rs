//! The pair on real processes, loopback only. Both servers end with the test.

use std::path::Path;
use std::pin::Pin;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use redis::aio::MultiplexedConnection;
use redis::cmd;
use tokio::net::TcpStream;
use tokio::time::{Duration, sleep};

use super::{Control, Pair, connection};

struct Server {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start(program: &Path, libraries: Option<&Path>, port: u16) -> Server {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = [
            ("port", port.to_string()),
            ("bind", "127.0.0.1".to_owned()),
            ("dir", folder.path().display().to_string()),
            ("cluster-enabled", "yes".to_owned()),
            ("cluster-node-timeout", "5000".to_owned()),
            ("save", String::new()),
            ("repl-diskless-sync-delay", "0".to_owned()),
            ("repl-ping-replica-period", "1".to_owned()),
            ("enable-debug-command", "local".to_owned()),
        ];
        let mut command = Command::new(program);
        for (name, value) in &settings {
            command.arg(format!("--{name}")).arg(value);
        }
        if let Some(libraries) = libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        Server { child, port, _folder: folder }
    }

    async fn connect(&self) -> TcpStream {
        for _ in 0..500 {
            if let Ok(stream) = TcpStream::connect(("127.0.0.1", self.port)).await {
                return stream;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("nobody listens on port {}", self.port);
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("our own child");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Real {
    primary: Server,
    replica: Server,
}

impl Control for Real {
    fn pause_replica(&mut self, paused: bool) {
        self.replica.signal(if paused { Signal::SIGSTOP } else { Signal::SIGCONT });
    }

    fn fresh(&mut self) -> Pin<Box<dyn Future<Output = MultiplexedConnection> + '_>> {
        Box::pin(async { connection(self.primary.connect().await).await.0 })
    }
}

/// A port below the ephemeral range, its bus port too, that nobody has.
fn free_port(beginning: u16) -> u16 {
    let free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    (beginning..22_000).find(|port| free(*port) && free(*port + 10_000)).expect("a free port")
}

async fn until(connection: &mut MultiplexedConnection, command: &[&str], holds: impl Fn(&str) -> bool) {
    for _ in 0..1000 {
        let mut asked = cmd(command[0]);
        asked.arg(&command[1..]);
        let answer: String = asked.query_async(connection).await.unwrap_or_default();
        if holds(&answer) {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("{command:?} never came to hold");
}

pub fn with_pair<F: Future>(program: &Path, libraries: Option<&Path>, body: impl FnOnce(Pair) -> F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let port = free_port(16_000);
        let (first, second) = (Server::start(program, libraries, port), free_port(port + 1));
        let second = Server::start(program, libraries, second);
        let (mut primary, pushes) = connection(first.connect().await).await;
        let (mut replica, _) = connection(second.connect().await).await;
        let ask = |command: &str| {
            let mut parts = command.split(' ');
            let mut asked = cmd(parts.next().unwrap_or_default());
            parts.for_each(|part| {
                asked.arg(part);
            });
            asked
        };
        ask("CLUSTER ADDSLOTSRANGE 0 16383").query_async::<()>(&mut primary).await.unwrap();
        ask(&format!("CLUSTER MEET 127.0.0.1 {}", first.port)).query_async::<()>(&mut replica).await.unwrap();
        let id: String = ask("CLUSTER MYID").query_async(&mut primary).await.unwrap();
        until(&mut replica, &["CLUSTER", "NODES"], |nodes| nodes.contains(&id)).await;
        ask(&format!("CLUSTER REPLICATE {id}")).query_async::<()>(&mut replica).await.unwrap();
        until(&mut primary, &["CLUSTER", "INFO"], |info| info.contains("cluster_state:ok")).await;
        until(&mut replica, &["CLUSTER", "INFO"], |info| info.contains("cluster_state:ok")).await;
        until(&mut primary, &["INFO", "replication"], |info| info.contains("state=online")).await;
        until(&mut replica, &["INFO", "replication"], |info| info.contains("master_link_status:up")).await;
        // CLUSTER SLOTS leaves a replica out until its offset has come by gossip.
        let known = |slots: &redis::Value| format!("{slots:?}").matches("int").count() >= 4;
        for _ in 0..1000 {
            if known(&ask("CLUSTER SLOTS").query_async(&mut primary).await.unwrap()) {
                break;
            }
            sleep(Duration::from_millis(10)).await;
        }
        let control = Box::new(Real { primary: first, replica: second });
        body(Pair { primary, replica, pushes, control }).await
    })
}
