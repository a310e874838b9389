//! A headless Chromium, spoken to by its DevTools protocol.

use std::collections::VecDeque;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::process::dies_with_us;
use crate::server::PATIENCE;

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
/// A profile of its own, nothing of the network but this machine, and no page put to sleep behind another.
const FLAGS: [&str; 14] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-dev-shm-usage",
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--remote-debugging-port=0",
];

pub(super) struct Browser {
    process: Child,
    profile: TempDir,
    /// `ws://…/devtools/browser/…`
    address: String,
}

/// One page in a window of its own, over a connection of its own.
pub(super) struct Tab {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    session: String,
    calls: u64,
    events: VecDeque<Value>,
}

impl Browser {
    /// `None` when there is no Chromium on this machine.
    pub(super) async fn launch() -> Option<Browser> {
        let program = find()?;
        let profile = tempfile::tempdir().unwrap();
        let mut command = Command::new(&program);
        let process = dies_with_us(&mut command)
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            // What it leaves when it is killed goes with its profile.
            .env("TMPDIR", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let mut browser = Browser { process, profile, address: String::new() };
        browser.address = browser.address().await;
        Some(browser)
    }

    /// It writes its port and path into its profile.
    async fn address(&mut self) -> String {
        let file = self.profile.path().join("DevToolsActivePort");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            if let Some((port, path)) = text.split_once('\n') {
                return format!("ws://127.0.0.1:{port}{}", path.trim_end());
            }
            assert!(self.process.try_wait().unwrap().is_none(), "the browser ended at once");
            assert!(Instant::now() < deadline, "the browser does not say where it listens");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(super) async fn open(&self, url: &str) -> Tab {
        let (socket, _) = connect_async(&self.address).await.unwrap();
        let mut tab = Tab { socket, session: String::new(), calls: 0, events: VecDeque::new() };
        let target = tab.call("Target.createTarget", json!({ "url": "about:blank", "newWindow": true })).await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = tab.call("Target.attachToTarget", attach).await;
        tab.session.push_str(attached["sessionId"].as_str().unwrap());
        for domain in ["Page", "Runtime", "Log"] {
            tab.call(&format!("{domain}.enable"), json!({})).await;
        }
        tab.call("Emulation.setFocusEmulationEnabled", json!({ "enabled": true })).await;
        tab.call("Page.addScriptToEvaluateOnNewDocument", json!({ "source": WATCH })).await;
        tab.call("Page.navigate", json!({ "url": url })).await;
        tab.loaded().await;
        tab
    }
}

const WATCH: &str = "window.violations = [];
    addEventListener('securitypolicyviolation', (event) => violations.push(event.violatedDirective));";

/// What a page shows, and how far it and each of its files came.
const STATE: &str = "[document.body.innerText, location.href, document.readyState]
    .concat(performance.getEntriesByType('resource').map((file) => `${file.name} ${file.responseStatus} ${file.duration} ms`))
    .join('\\n')";

impl Drop for Browser {
    /// Its helpers are of its group, which nobody else is in.
    fn drop(&mut self) {
        let _ = killpg(Pid::from_raw(self.process.id().cast_signed()), Signal::SIGKILL);
        let _ = self.process.wait();
    }
}

fn find() -> Option<PathBuf> {
    let folders: Vec<_> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    let candidates = NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    candidates.into_iter().find(|path| path.is_file())
}

impl Tab {
    /// The value of an expression, or of what it promises.
    pub(super) async fn eval(&mut self, expression: &str) -> Value {
        let what = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut answer = self.call("Runtime.evaluate", what).await;
        assert_eq!(answer["exceptionDetails"], Value::Null, "{expression}");
        answer["result"]["value"].take()
    }

    /// Waits until the expression holds.
    pub(super) async fn until(&mut self, what: &str, expression: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.eval(&format!("!!({expression})")).await != true {
            if Instant::now() > deadline {
                let page = self.eval(STATE).await;
                panic!("{what}: not within {PATIENCE:?}. The page:\n{}", page.as_str().unwrap_or_default());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(super) async fn focus(&mut self, id: &str) {
        self.focus_on(&format!("#{id}")).await;
    }

    pub(super) async fn focus_on(&mut self, selector: &str) {
        self.eval(&format!("document.querySelector({}).focus()", json!(selector))).await;
    }

    /// Types at the cursor, as an input method does.
    pub(super) async fn insert(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text })).await;
    }

    /// Presses and releases a key: `Tab` or `Enter`.
    pub(super) async fn press(&mut self, key: &str) {
        let (code, text) = if key == "Enter" { (13, "\r") } else { (9, "") };
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            let event = json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text });
            self.call("Input.dispatchKeyEvent", event).await;
        }
    }

    pub(super) async fn reload(&mut self) {
        self.events.clear();
        self.call("Page.reload", json!({})).await;
        self.loaded().await;
    }

    /// Errors of scripts, and whatever the browser wrote to its console.
    pub(super) fn complaints(&self) -> Vec<String> {
        let told = |event: &&Value| {
            let method = event["method"].as_str().unwrap_or_default();
            ["Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"].contains(&method)
        };
        self.events.iter().filter(told).map(|event| event["params"].to_string()).collect()
    }

    async fn loaded(&mut self) {
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = self.read().await;
            self.heard(event).await;
        }
    }

    pub(super) async fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let id = self.calls;
        let mut call = json!({ "id": id, "method": method, "params": params });
        if !self.session.is_empty() {
            call["sessionId"] = json!(self.session);
        }
        self.socket.send(Message::text(call.to_string())).await.unwrap();
        loop {
            let mut answer = self.read().await;
            if answer["id"] == id {
                assert_eq!(answer["error"], Value::Null, "{method}");
                return answer["result"].take();
            }
            self.heard(answer).await;
        }
    }

    /// A page with unsent messages asks before it is left: yes.
    async fn heard(&mut self, event: Value) {
        if event["method"] == "Page.javascriptDialogOpening" {
            let accept = json!({ "id": 0, "method": "Page.handleJavaScriptDialog", "params": { "accept": true },
                                 "sessionId": self.session });
            self.socket.send(Message::text(accept.to_string())).await.unwrap();
        }
        self.events.push_back(event);
    }

    async fn read(&mut self) -> Value {
        let frame = tokio::time::timeout(PATIENCE, self.socket.next()).await;
        let frame = frame.expect("the browser does not answer").expect("the browser is gone").unwrap();
        serde_json::from_str(frame.to_text().unwrap()).unwrap()
    }
}
