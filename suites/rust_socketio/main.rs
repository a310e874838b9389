//! The contract as rust_socketio 0.6.0 sees it, a client that nobody here wrote; and the flaw of that client.
//!
//! It numbers acks at random between 0 and 998. With one in flight at a time that is harmless. Of many, two soon have
//! the same number, and one answer goes to both: a callback is then given the answer of another message. Whoever uses
//! it keeps one message in flight, or matches answers by the message's own id, which every ack of a node carries.
//!
//! The node is `$CHAT_NODE`. Deliberately absent: what other clients show already (`suites`).

use std::{
    env,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use nix::sys::{prctl::set_pdeathsig, signal::Signal};
use rust_socketio::{ClientBuilder, Payload, TransportType, client::Client};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(20);

struct Node {
    process: Child,
    url: String,
}

impl Node {
    fn start() -> Node {
        let program = env::var_os("CHAT_NODE").expect("CHAT_NODE says where the node is (just rust-socketio)");
        let mut command = Command::new(program);
        command.args(["--listen", "127.0.0.1:0", "--auth", "none", "--rate-limit", "1000"]).stderr(Stdio::piped());
        // SAFETY: between fork and exec, one system call that allocates nothing.
        unsafe { command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGKILL)?)) };
        let mut process = command.spawn().expect("a chat node");
        let mut lines = BufReader::new(process.stderr.take().expect("its log")).lines().map_while(Result::ok);
        let listening = lines.find_map(|line| {
            let line: Value = serde_json::from_str(&line).ok()?;
            (line["message"] == "listening").then(|| format!("http://{}", line["address"].as_str().unwrap_or_default()))
        });
        // Its log is read on, or the node would wait for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Node { process, url: listening.expect("a node that listens") }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The first argument, through the arrays that it is wrapped in.
fn argument(payload: Payload) -> Value {
    let Payload::Text(values) = payload else { panic!("not text: {payload:?}") };
    let mut value = values.into_iter().next().unwrap_or_default();
    while let Value::Array(mut inner) = value {
        value = if inner.is_empty() { Value::Null } else { inner.swap_remove(0) };
    }
    value
}

/// Somebody in the room `global`, and the messages that come.
fn join(node: &Node, name: &str) -> (Client, Receiver<Value>) {
    let ((told, messages), (came_in, joined)) = (channel(), channel());
    let client = ClientBuilder::new(&node.url)
        .transport_type(TransportType::Websocket)
        .auth(json!({ "token": name }))
        .on("joined", move |payload, _| came_in.send(argument(payload)).unwrap_or_default())
        .on("chat-message", move |payload, _| told.send(argument(payload)).unwrap_or_default())
        .connect()
        .expect("a connection");
    let joined = joined.recv_timeout(PATIENCE).expect("joined");
    assert_eq!((&joined["room"], &joined["recovered"]), (&json!("global"), &json!(true)));
    (client, messages)
}

fn ask(client: &Client, event: &str, payload: Value) -> Value {
    let (told, answer) = channel();
    let answered = move |payload, _| told.send(argument(payload)).unwrap_or_default();
    client.emit_with_ack(event, payload, PATIENCE, answered).expect("a connection that lasts");
    answer.recv_timeout(PATIENCE).expect("an answer")
}

#[test]
fn with_one_ack_in_flight_everything_is_as_promised() {
    let node = Node::start();
    let ((ann, to_ann), (_bob, to_bob)) = (join(&node, "ann"), join(&node, "bob"));
    let mut acked = Vec::new();
    for nth in 0..100 {
        let (id, content) = (format!("m-{nth}"), format!("\u{1f600} {nth}"));
        let answer = ask(&ann, "chat-message", json!({ "id": id, "content": content }));
        assert_eq!(answer["id"], id, "{answer}");
        acked.push(json!({ "id": id, "room": "global", "sender": "ann", "content": content,
            "timestamp": answer["timestamp"], "offset": answer["offset"] }));
    }
    for messages in [to_ann, to_bob] {
        let received: Vec<_> = acked.iter().map(|_| messages.recv_timeout(PATIENCE).expect("a message")).collect();
        assert_eq!(received, acked);
    }
    let refused = ask(&ann, "chat-message", json!({ "content": "" }));
    assert_eq!(refused["error"]["code"], "invalid_payload");
    assert_eq!(ask(&ann, "join", json!({ "room": "other" }))["room"], "other");
    assert_eq!(ask(&ann, "leave", json!({ "room": "other" }))["room"], "other");
}

/// Its flaw, not ours: what it received is whole. When this fails, rust_socketio has been repaired.
#[test]
fn with_many_acks_in_flight_its_callbacks_get_answers_of_others() {
    const MANY: usize = 200;
    let node = Node::start();
    let (ann, messages) = join(&node, "ann");
    let (told, answers) = channel();
    for nth in 0..MANY {
        let (id, told) = (format!("m-{nth}"), told.clone());
        let payload = json!({ "id": id, "content": "x" });
        let answered = move |payload, _| told.send(argument(payload)["id"] == *id).unwrap_or_default();
        ann.emit_with_ack("chat-message", payload, PATIENCE, answered).expect("a connection that lasts");
    }
    for _ in 0..MANY {
        messages.recv_timeout(PATIENCE).expect("every message");
    }
    drop(told);
    // The last answer is behind it on the same connection.
    ask(&ann, "chat-message", json!({ "content": "end" }));
    let own = answers.try_iter().filter(|own| *own).count();
    println!("{own} of {MANY} callbacks got their own answer");
    assert!(own < MANY, "each callback got its own answer");
}
