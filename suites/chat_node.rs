//! A chat node that a test starts by itself, beside the cluster, with its log at hand.

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

use crate::{http, process::Process, wait::eventually, warm};

pub(crate) struct ChatNode {
    process: Process,
    log: Arc<Mutex<Vec<String>>>,
}

impl ChatNode {
    /// On a port of the kernel's choosing, with these flags and no other.
    pub(crate) fn start(flags: &[&str]) -> ChatNode {
        let mut command = Command::new(warm::node_program());
        command.args(["--listen", "127.0.0.1:0"]).args(flags);
        let mut process = Process::start(command.stderr(Stdio::piped()));
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(process.child().stderr.take().expect("its log")).lines();
        let kept = log.clone();
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| kept.lock().expect("a log").push(line)));
        ChatNode { process, log }
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().expect("a log").clone()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
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
        http::get(self.address().await, path, "").await.body
    }

    /// The value of one metric, with its labels as they are printed.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        metric(self.address().await, name).await
    }

    /// As an operator's SIGTERM.
    pub(crate) fn terminate(&self) {
        kill(Pid::from_raw(self.pid().cast_signed()), Signal::SIGTERM).expect("a process that runs");
    }

    /// How it ended, when it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.process.child().try_wait().expect("a process of ours")
    }
}

/// How many clients a node has now.
pub(crate) async fn connections(node: SocketAddr) -> u64 {
    metric(node, "chat_connections").await as u64
}

async fn metric(node: SocketAddr, name: &str) -> f64 {
    let metrics = http::get(node, "/metrics", "").await.body;
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in\n{metrics}"))
}
