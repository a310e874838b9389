//! The node under test: the built binary, on a port that the kernel chose.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use crate::process::dies_with_us;

pub(crate) const NODE: &str = env!("CARGO_BIN_EXE_chat-node");
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// TCP, or TLS over it.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

pub(crate) struct Server {
    process: Child,
    /// Whom its clients trust, when it speaks TLS.
    pub(crate) trust: Option<Arc<ClientConfig>>,
    pub(crate) address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
    /// It ends when nobody is left who could write to the log.
    reader: JoinHandle<()>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Server {
    pub(crate) async fn start(arguments: &[&str]) -> Server {
        let mut command = Command::new(NODE);
        command.args(["--listen", "127.0.0.1:0"]).args(arguments);
        Server::run(command).await
    }

    /// A command that becomes a node.
    pub(crate) async fn run(mut command: Command) -> Server {
        let mut process = dies_with_us(&mut command).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let reader = std::thread::spawn({
            let log = Arc::clone(&log);
            move || lines.map_while(Result::ok).for_each(|line| log.lock().unwrap().push(line))
        });
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut server = Server { process, trust: None, address: unknown, log, reader };
        server.address = server.wait_for("the listening line", Server::listening).await;
        server
    }

    /// With `--auth none`: the token is the user's name.
    pub(crate) async fn open(arguments: &[&str]) -> Server {
        Server::start(&[&["--auth", "none"], arguments].concat()).await
    }

    fn listening(&mut self) -> Option<SocketAddr> {
        let line = |line: &String| {
            let line: Value = serde_json::from_str(line).ok()?;
            (line["message"] == "listening").then(|| line["address"].as_str()?.parse().ok())?
        };
        self.log.lock().unwrap().iter().find_map(line)
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// The lines of the log that say this, as soon as there are so many: what is logged is read a moment later.
    pub(crate) async fn lines_with(&self, words: &str, enough: usize) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said: Vec<_> = self.log().lines().filter(|line| line.contains(words)).map(str::to_owned).collect();
            if said.len() >= enough {
                return said;
            }
            assert!(Instant::now() < deadline, "not {enough} times {words:?}; the log:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().cast_signed()), signal).unwrap();
    }

    /// What the kernel says of it.
    pub(crate) fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.process.id())).unwrap()
    }

    /// The most bytes that it ever had in memory.
    pub(crate) fn most_resident(&self) -> u64 {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        1024 * line.split_whitespace().next().unwrap().parse::<u64>().unwrap()
    }

    /// Its log is whole then: the last lines are read a moment after its end.
    pub(crate) async fn exit_code(&mut self) -> i32 {
        let ended = |server: &mut Server| server.process.try_wait().unwrap();
        let status = self.wait_for("the process's end", ended).await;
        self.wait_for("the log's end", |server| server.reader.is_finished().then_some(())).await;
        status.code().expect("ended by a signal")
    }

    /// The value of one metric, with its labels as they are printed.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").await.body;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
    }

    /// The same as soon as it `holds`: much is counted just after a client can know of it.
    pub(crate) async fn metric_once(&self, name: &str, holds: impl Fn(f64) -> bool) -> f64 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let value = self.metric(name).await;
            if holds(value) {
                return value;
            }
            assert!(Instant::now() < deadline, "{name} is still {value}; the log:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.request("GET", path, "").await
    }

    /// `headers`: whole lines, each with its line break.
    pub(crate) async fn request(&self, method: &str, path: &str, headers: &str) -> Answer {
        let mut stream = self.stream().await;
        let host = self.address;
        let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("an answer").unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    pub(crate) async fn stream(&self) -> Box<dyn Stream> {
        self.secured(TcpStream::connect(self.address).await.unwrap()).await
    }

    /// One whose kernel takes few bytes that nobody reads.
    pub(crate) async fn narrow_stream(&self) -> Box<dyn Stream> {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        self.secured(socket.connect(self.address).await.unwrap()).await
    }

    async fn secured(&self, stream: TcpStream) -> Box<dyn Stream> {
        let Some(trust) = &self.trust else { return Box::new(stream) };
        let name = ServerName::try_from(self.address.ip().to_string()).unwrap();
        Box::new(TlsConnector::from(Arc::clone(trust)).connect(name, stream).await.unwrap())
    }

    pub(crate) async fn wait_for<T>(&mut self, what: &str, mut look: impl FnMut(&mut Server) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            assert!(Instant::now() < deadline, "{what} did not come; the log:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
