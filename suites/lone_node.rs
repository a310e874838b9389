//! A chat node of its own, beside the cluster: on a port that the kernel chose, with the flags that a test gives.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{process::Process, wait::eventually, warm};

/// A chat node of its own.
pub(crate) struct Node {
    process: Process,
    log: Arc<Mutex<Vec<String>>>,
}

impl Node {
    pub(crate) fn start(flags: &[&str]) -> Node {
        let mut command = Command::new(warm::node_program());
        command.args(["--listen", "127.0.0.1:0"]).args(flags);
        let mut process = Process::start(command.stderr(Stdio::piped()));
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(process.child().stderr.take().expect("its log")).lines();
        let kept = log.clone();
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| kept.lock().expect("a log").push(line)));
        Node { process, log }
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().expect("a log").clone()
    }

    pub(crate) async fn address(&self) -> SocketAddr {
        let listening = |line: &String| {
            let line: Value = serde_json::from_str(line).ok()?;
            (line["message"] == "listening").then(|| line["address"].as_str()?.parse().ok())?
        };
        eventually("that the node listens", async || self.log().iter().find_map(listening)).await
    }

    /// The body of `/ready`.
    pub(crate) async fn ready(&self) -> Value {
        serde_json::from_str(&self.get("/ready").await).expect("JSON")
    }

    /// The body of a path.
    pub(crate) async fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address().await).await.expect("a node that listens");
        let request = format!("GET {path} HTTP/1.1\r\nHost: n\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("a question");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        body.to_owned()
    }

    /// As an operator's SIGTERM.
    pub(crate) fn terminate(&mut self) {
        let id = Pid::from_raw(self.process.child().id().cast_signed());
        kill(id, Signal::SIGTERM).expect("a process that runs");
    }

    /// How it ended, when it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.process.child().try_wait().expect("a process of ours")
    }
}
