//! Users of the official client, in a Node process that is told what they do (`fixtures/clients/users.js`).

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{ChildStdin, Command, Stdio},
};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{
    process::Process,
    wait::{PATIENCE, not_tested},
};

/// The oldest version that is promised to work, and the newest: names of packages in `fixtures/clients`.
pub(crate) const VERSIONS: [&str; 2] = ["oldest", "newest"];

/// What a user saw, and whatever was told with it.
#[derive(Clone, Debug)]
pub(crate) struct Saw {
    pub(crate) user: String,
    pub(crate) what: String,
    pub(crate) told: Value,
}

pub(crate) struct Users {
    _process: Process,
    orders: ChildStdin,
    lines: mpsc::UnboundedReceiver<String>,
    /// In the order in which it happened; what a test took is gone.
    inbox: Vec<Saw>,
    asked: u64,
}

impl Users {
    /// `None` where there are no official clients: loudly, and in CI a failure.
    pub(crate) fn start() -> Option<Users> {
        let script = clients().join("users.js");
        let lock = "package-lock.json";
        let wanted = std::fs::read(clients().join(lock)).expect("a lock file");
        if std::fs::read(installed().join(lock)).ok() != Some(wanted) || !installed().join("node_modules").exists() {
            not_tested("the official Socket.IO clients, which are not installed (just clients)");
            return None;
        }
        let mut node = node()?;
        node.arg(script).env("NODE_PATH", installed().join("node_modules"));
        let mut process = Process::start(node.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let orders = process.child().stdin.take().expect("its input");
        let output = BufReader::new(process.child().stdout.take().expect("its output"));
        let (told, lines) = mpsc::unbounded_channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| told.send(line)));
        Some(Users { _process: process, orders, lines, inbox: Vec::new(), asked: 0 })
    }

    pub(crate) fn order(&mut self, order: &Value) {
        self.order_as_written(&order.to_string());
    }

    /// An order that a `Value` cannot hold.
    pub(crate) fn order_as_written(&mut self, order: &str) {
        writeln!(self.orders, "{order}").expect("a process that reads");
    }

    /// Connects, and goes on doing so. `more`: `auth`, `options`, whatever the script takes.
    pub(crate) fn open(&mut self, user: &str, client: &str, nodes: &[String], more: &Value) {
        let mut order = json!({ "do": "open", "user": user, "client": client, "nodes": nodes });
        for (field, value) in more.as_object().into_iter().flatten() {
            order[field] = value.clone();
        }
        self.order(&order);
    }

    /// Connects with `auth`, and waits for `joined`.
    pub(crate) async fn join(&mut self, user: &str, client: &str, node: &str, auth: &Value) -> Value {
        self.open(user, client, &[node.to_owned()], &json!({ "auth": auth }));
        self.take(user, "joined").await["payload"].clone()
    }

    /// Emits with a callback, and waits for its argument.
    pub(crate) async fn ask(&mut self, user: &str, event: &str, payload: &Value) -> Value {
        self.asked += 1;
        let asked = self.asked;
        self.order(&json!({ "do": "emit", "user": user, "event": event, "payload": payload, "ask": asked }));
        self.first(user, &format!("the answer to {payload}"), |saw| saw.told["ask"] == asked).await["answer"].take()
    }

    /// The first thing of that kind that the user saw.
    pub(crate) async fn take(&mut self, user: &str, what: &str) -> Value {
        self.first(user, what, |saw| saw.what == what).await
    }

    /// The contents of messages of a room, up to one that says `last`.
    pub(crate) async fn contents_up_to(&mut self, user: &str, last: &str) -> Vec<String> {
        let mut contents = Vec::new();
        while contents.last().is_none_or(|content| content != last) {
            let said = self.take(user, "chat-message").await;
            contents.push(said["payload"]["content"].as_str().unwrap_or_default().to_owned());
        }
        contents
    }

    async fn first(&mut self, user: &str, what: &str, wanted: impl Fn(&Saw) -> bool) -> Value {
        let mut looked = 0;
        loop {
            if let Some(at) = self.inbox[looked..].iter().position(|saw| saw.user == user && wanted(saw)) {
                return self.inbox.remove(looked + at).told;
            }
            looked = self.inbox.len();
            let Ok(saw) = tokio::time::timeout(PATIENCE, self.next()).await else {
                panic!("{user} did not see {what}; but {:#?}", self.inbox);
            };
            self.inbox.push(saw);
        }
    }

    /// What is seen next, whoever sees it.
    pub(crate) async fn next(&mut self) -> Saw {
        let line = self.lines.recv().await.expect("a process that goes on; its errors are above");
        let mut told: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
        let text = |value: Value| value.as_str().unwrap_or_default().to_owned();
        let (user, what) = (text(told["user"].take()), text(told["saw"].take()));
        Saw { user, what, told }
    }

    pub(crate) fn has_seen(&self, user: &str, what: &str) -> bool {
        self.inbox.iter().any(|saw| saw.user == user && saw.what == what)
    }
}

/// Node.js, or `None`, loudly.
pub(crate) fn node() -> Option<Command> {
    let found = Command::new("node").arg("--version").stdout(Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        not_tested("what needs Node.js, which is not there (Debian: apt-get install nodejs npm)");
        return None;
    }
    Some(Command::new("node"))
}

/// Scripts, and what is to be installed.
pub(crate) fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/clients")
}

/// Where `just clients` installs.
fn installed() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("../clients")
}
