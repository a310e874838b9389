//! Chat nodes are any program that is told where to listen: here a small web server of Python. As processes: in containers
//! a program that needs files of this machine is an image, which the suites have tests for.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use chaos_cluster::{ChatTopology, Cluster, ProcessState, Program, Ready, Server, Topology};

use crate::stage::{PATIENCE, as_processes, topology};

fn one_redis(chat: ChatTopology) -> Topology {
    let mut small = Topology { chat, ..topology() };
    (small.redis.shards, small.redis.replicas_per_shard) = (1, 0);
    small
}

async fn without_chat() -> Cluster {
    Cluster::start(one_redis(ChatTopology::none()), as_processes()).await.expect("a cluster")
}

const WEB_SERVER: &str = "import ctypes, http.server, os, signal, subprocess, sys, threading, time
print(sys.argv[1:], os.environ.get('OTEL_EXPORTER_OTLP_ENDPOINT'), os.environ.get('COLOUR'), os.getcwd(), flush=True)
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == '/ready' else 404)
        self.end_headers()
server = http.server.HTTPServer((sys.argv[1], int(sys.argv[2])), Answer)
if os.environ.get('SLOW'):
    signal.signal(signal.SIGTERM, lambda *_: threading.Timer(1, os._exit, [0]).start())
    memory = b'.' * (256 << 20)
if os.environ.get('HEADLESS'):
    threading.Thread(target=server.serve_forever).start()
    ctypes.CDLL(None).pthread_exit(None)
def spawn():
    while True:
        subprocess.run('true')
def leave():
    while True:
        subprocess.Popen(['sleep', '1000'], start_new_session=True)
        time.sleep(.001)
if os.environ.get('LEAVES'):
    threading.Thread(target=leave, daemon=True).start()
if os.environ.get('SPAWNS'):
    threading.Thread(target=spawn, daemon=True).start()
server.serve_forever()
";

fn python(ready: &str) -> ChatTopology {
    let arguments = ["-c", WEB_SERVER, "{host}", "{port}", "--name={name}", "--redis={redis}"];
    let program = Program {
        command: "python3".into(),
        arguments: arguments.map(ToOwned::to_owned).to_vec(),
        folder: Some(std::env::temp_dir()),
        ready: Ready::Http(ready.to_owned()),
        inherits: true,
    };
    let env = [("COLOUR".to_owned(), "green of {name}".to_owned())].into();
    ChatTopology { nodes: 2, program, args: vec!["--more".to_owned()], env, otlp: None }
}

#[tokio::test]
async fn a_chat_node_is_told_who_it_is_where_redis_is_and_where_spans_go() {
    let mut small = one_redis(python("/ready"));
    small.chat.otlp = Some("http://127.0.0.1:4318".to_owned());
    let cluster = Cluster::start(small, as_processes()).await.expect("a cluster");

    assert_eq!(cluster.servers(), [Server::Redis(1), Server::Chat(1), Server::Chat(2)]);
    let told = cluster.log_tail(Server::Chat(2), 10);
    let folder = std::env::temp_dir().display().to_string();
    for part in
        ["--name=chat-2", &*cluster.redis_urls(), "--more", "http://127.0.0.1:4318", "green of chat-2", &*folder]
    {
        assert!(told.contains(part), "{part:?} is missing in: {told}");
    }
    assert_ne!(cluster.chat_urls()[0], cluster.chat_urls()[1]);
}

#[tokio::test]
async fn a_chat_node_is_killed_and_started_again_where_it_was() {
    let cluster = without_chat().await;
    cluster.start_chat(python("/ready")).await.expect("chat nodes");
    let (node, url) = (Server::Chat(1), cluster.chat_urls()[0].clone());
    cluster.kill(node).await.expect("killed");
    assert_eq!(cluster.state(node), ProcessState::Ended);
    cluster.start_again(node).await.expect("started");
    assert_eq!((cluster.state(node), cluster.chat_urls()[0].clone()), (ProcessState::Running, url));
    cluster.terminate(node, PATIENCE).await.expect("terminated");
}

/// As with `npm start`: a shell, and the server its child, in a session of its own at that.
pub(crate) const STAYS: &str = "setsid python3 -c \"$@\"; exit";
/// The server is nobody's child any more, and the shell becomes something else.
const FORKS: &str = "setsid --fork python3 -c \"$@\"; exec sleep 1000";
/// The first thread of the server has ended and the process goes on, as one that is ending does for a moment.
const HEADLESS: &str = "HEADLESS=1 python3 -c \"$@\"; exit";
/// It starts one program after another, and waits in the kernel until each has begun, also when that one is stopped before.
const SPAWNS: &str = "SPAWNS=1 python3 -c \"$@\"; exit";
/// It starts one program after another, each in a session of its own.
const LEAVES: &str = "LEAVES=1 python3 -c \"$@\"; exit";
/// The shell goes at once when it is asked to, and the server takes its time: to begin with it, and to end, for the kernel
/// takes much memory from it before it closes its port.
const DRAINS: &str = "SLOW=1 python3 -c \"$@\" & wait";

/// What is started is a shell.
pub(crate) fn behind_a_shell(script: &str) -> ChatTopology {
    let mut node = python("/ready");
    let python = std::mem::take(&mut node.program.arguments).into_iter().skip(1);
    let shell = ["-c", script, "sh"].map(ToOwned::to_owned);
    (node.program.command, node.program.arguments) = ("sh".into(), shell.into_iter().chain(python).collect());
    ChatTopology { nodes: 1, ..node }
}

#[tokio::test]
async fn a_chat_node_has_gone_when_all_of_its_processes_have() {
    let cluster = without_chat().await;
    cluster.start_chat(behind_a_shell(DRAINS)).await.expect("a chat node");
    let (node, url) = (Server::Chat(1), cluster.chat_urls()[0].clone());
    let pid = cluster.pid(node).expect("it runs");
    cluster.terminate(node, PATIENCE).await.expect("terminated");
    TcpStream::connect(url.trim_start_matches("http://")).expect_err("the shell is gone, and the server answers");
    assert_eq!(cluster.life(node, pid), ProcessState::Ended);
    cluster.start_again(node).await.expect("its port is free");
}

#[tokio::test]
async fn what_is_done_to_a_chat_node_is_done_to_all_of_its_processes() {
    let cluster = without_chat().await;
    for script in [STAYS, FORKS, HEADLESS] {
        all_of_its_processes(&cluster, script).await;
    }
}

#[tokio::test]
async fn a_chat_node_that_is_starting_something_can_be_paused() {
    let cluster = without_chat().await;
    cluster.start_chat(behind_a_shell(SPAWNS)).await.expect("a chat node");
    let node = Server::Chat(1);
    for _ in 0..10 {
        cluster.pause(node).await.expect("paused");
        cluster.resume(node).await.expect("resumed");
    }
}

#[tokio::test]
async fn what_a_chat_node_starts_while_it_is_killed_is_killed_too() {
    let cluster = without_chat().await;
    for _ in 0..20 {
        cluster.start_chat(behind_a_shell(LEAVES)).await.expect("a chat node");
        cluster.kill(Server::Chat(1)).await.expect("killed");
    }
}

async fn all_of_its_processes(cluster: &Cluster, script: &str) {
    cluster.start_chat(behind_a_shell(script)).await.expect("a chat node");
    let (node, url) = (Server::Chat(1), cluster.chat_urls()[0].clone());
    let address = url.trim_start_matches("http://").to_owned();
    let pid = cluster.pid(node).expect("it runs");

    let shell = Pid::from_raw(pid.cast_signed());
    kill(shell, Signal::SIGSTOP).expect("stopped");
    assert!(answers(&address));
    assert_eq!(cluster.life(node, pid), ProcessState::Running, "only the shell is stopped");

    cluster.pause(node).await.expect("paused");
    assert!(!answers(&address), "it hangs, and answers");
    assert_eq!(cluster.life(node, pid), ProcessState::Paused);
    cluster.resume(node).await.expect("resumed");
    assert!(answers(&address));

    cluster.kill(node).await.expect("killed");
    TcpStream::connect(&address).expect_err("what was started is gone, and the server answers");
    assert_eq!(cluster.life(node, pid), ProcessState::Ended);
}

/// Within a time that is long for it.
fn answers(address: &str) -> bool {
    let mut stream = TcpStream::connect(address).expect("the kernel accepts");
    stream.set_read_timeout(Some(Duration::from_secs(1))).expect("a deadline");
    stream.write_all(b"GET /ready HTTP/1.0\r\n\r\n").expect("the kernel takes it");
    stream.read(&mut [0; 16]).is_ok_and(|read| read > 0)
}

#[tokio::test]
async fn a_chat_node_that_ends_is_told_with_the_end_of_its_log() {
    let cluster = without_chat().await;
    let mut broken = python("/ready");
    broken.program.arguments = ["-c", "raise SystemExit('no room')"].map(ToOwned::to_owned).to_vec();
    let error = cluster.start_chat(broken).await.expect_err("it ends").to_string();
    assert!(error.starts_with("chat-1 did not start: ") && error.contains(" ended with exit code 1"), "{error}");
    assert!(error.ends_with("no room"), "{error}");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let cluster = without_chat().await;
    let missing = ChatTopology::reference(1, "/nowhere/chat-node".into());
    let error = cluster.start_chat(missing).await.expect_err("nothing is there").to_string();
    assert!(error.starts_with("chat-1 /nowhere/chat-node cannot be started: No such file"), "{error}");
}
