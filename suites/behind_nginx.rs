//! Behind a real nginx without sticky sessions nobody loses anything: users spread evenly, leave a draining node, come
//! back elsewhere when theirs dies, and never meet a node that is not ready.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use chaos_cluster::Server;
use chaos_faults::{Inject, Kill, Target, Terminate};
use chaos_workload::{ContentSize, FanOut, Load, Node, Targets};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Error, client::IntoClientRequest, handshake::client::Response, http::HeaderValue},
};

use crate::{
    chat_node::{ChatNode, connections},
    http::{get, get_from},
    nginx::Nginx,
    node_loss::PROMISED,
    official_client::{Users, VERSIONS},
    process::free_ports,
    stage::Stage,
    stock_client::{Door, StockClient},
    verdict::Close,
    wait::eventually,
    warm::{Set, play},
};

const NODES: u8 = 4;
const BOUND: Duration = Duration::from_secs(2);
const HANDSHAKE: &str = "/socket.io/?EIO=4&transport=websocket";
/// Nothing on this machine connects from it, so that a free port stays free.
const AWAY: Ipv4Addr = Ipv4Addr::new(127, 83, 7, 3);

impl Stage {
    fn chat_addresses(&self) -> Vec<SocketAddr> {
        let servers = self.cluster().servers().into_iter().filter(|server| !server.is_redis());
        servers.map(|server| self.cluster().address(server)).collect()
    }

    async fn move_on(&mut self, load: &Load, loss: Inject, least: u64) {
        let before = load.counts().downs;
        let lost = self.inject(loss, Some(load)).await;
        let moved = async || (load.counts().downs >= before + least).then_some(());
        eventually("that the node's users lose their connections", moved).await;
        self.until_acked_everywhere(load).await;
        self.heal(lost).await;
    }
}

#[test]
fn users_behind_nginx_survive_a_drained_and_a_killed_node() {
    play(async {
        let mut stage = Stage::set(Set::usual().chat_nodes(NODES)).await;
        let nodes = stage.chat_addresses();
        let Some(nginx) = Nginx::before(&nodes).await else { return };
        let targets = Targets::new(vec![Node { name: "nginx".to_owned(), url: format!("ws://{}", nginx.address) }]);
        let content = ContentSize { least: 24, most: 60 };
        let crowd = FanOut { rooms: 6, members_per_room: 10, sends_per_second: 120, content, ..FanOut::default() };
        let load = stage.steady_on(&crowd, BOUND, targets).await;

        let mut spread = Vec::new();
        for node in &nodes {
            spread.push(connections(*node).await);
        }
        let (least, most) = (spread.iter().min().expect("nodes"), spread.iter().max().expect("nodes"));
        assert!(*least >= 14 && most - least <= 2, "60 users on four nodes: {spread:?}");

        stage.move_on(&load, Inject::Terminate(Terminate(Target::Chat(2))), *least).await;
        stage.move_on(&load, Inject::Kill(Kill(Target::Chat(3))), *least).await;
        stage.close(load, Close::exercising(&PROMISED)).await.must_pass();
    });
}

#[test]
fn nginx_passes_a_node_by_until_it_is_ready() {
    play(async {
        let stage = Stage::set(Set::usual().chat_nodes(1)).await;
        let [port] = free_ports(AWAY);
        let away = SocketAddr::from((AWAY, port));
        let late = ChatNode::start(&["--auth", "none", "--delivery", "log", "--redis", &format!("redis://{away}")]);
        let (late_address, ready) = (late.address().await, stage.chat_addresses()[0]);
        let Some(nginx) = Nginx::before(&[late_address, ready]).await else { return };
        let door = Door::beside(&nginx.address.to_string());
        let mut users = Vec::new();
        for nth in 0..8 {
            let user = StockClient::join(&door, &format!("early-{nth}"), "r", None).await;
            users.push(user.unwrap_or_else(|error| panic!("{error}")));
        }
        assert_eq!((connections(late_address).await, connections(ready).await), (0, 8));
        assert_eq!(get(late_address, HANDSHAKE, "").await.status, 503, "what nginx goes by");

        let _redis = lead(away, stage.cluster().address(Server::Redis(1))).await;
        let up = async || (late.ready().await["status"] == "ready").then_some(());
        eventually("that the late node is ready", up).await;
        // Without sticky sessions and with nobody on it, it gets whoever comes next.
        let taken = async || {
            let user = StockClient::join(&door, &format!("late-{}", users.len()), "r", None).await;
            users.push(user.unwrap_or_else(|error| panic!("{error}")));
            (connections(late_address).await > 0).then_some(())
        };
        eventually("that the late node gets users", taken).await;
    });
}

/// Whoever comes to `from` gets to `to`, until it is dropped.
async fn lead(from: SocketAddr, to: SocketAddr) -> JoinSet<()> {
    let listener = TcpListener::bind(from).await.expect("a port that stayed free");
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut peers = JoinSet::new();
        while let Ok((mut peer, _)) = listener.accept().await {
            peers.spawn(async move { copy_bidirectional(&mut peer, &mut TcpStream::connect(to).await?).await });
        }
    });
    tasks
}

#[test]
fn nginx_tells_a_node_what_it_needs_and_the_world_nothing_it_should_not_know() {
    play(async {
        let node = ChatNode::start(&["--auth", "none", "--trusted-proxies", "127.0.0.1"]);
        let Some(nginx) = Nginx::before(&[node.address().await]).await else { return };
        let (one, other) = (Ipv4Addr::new(127, 0, 9, 1), Ipv4Addr::new(127, 0, 9, 2));
        for (from, forged, remaining) in [(one, other, 99), (other, one, 99), (one, Ipv4Addr::new(1, 2, 3, 4), 98)] {
            let page = get_from(from, nginx.address, "/", &format!("X-Forwarded-For: {forged}\r\n")).await;
            assert_eq!(page.status, 200);
            let remaining = format!("ratelimit-remaining: {remaining}\r\n");
            assert!(page.head.contains(&remaining), "{from} as {forged}, {remaining}{}", page.head);
        }
        for path in ["/metrics", "/ready"] {
            let answer = get(nginx.address, path, "").await;
            assert!(answer.status == 404 && !answer.body.contains("chat_"), "{path}: {}", answer.body);
        }
        assert_eq!(get(nginx.address, "/health", "").await.status, 200);

        let own = shakes_hands(nginx.address, &format!("http://{}", nginx.address)).await;
        assert_eq!(own.map(|answer| answer.status().as_u16()).ok(), Some(101), "the node's own page");
        match shakes_hands(nginx.address, "http://evil.example").await {
            Err(Error::Http(answer)) => assert_eq!(answer.status(), 403),
            other => panic!("a foreign page: {other:?}"),
        }
    });
}

async fn shakes_hands(address: SocketAddr, origin: &str) -> Result<Response, Error> {
    let mut request = format!("ws://{address}{HANDSHAKE}").into_client_request()?;
    request.headers_mut().insert("origin", HeaderValue::from_str(origin).expect("ASCII"));
    connect_async(request).await.map(|(_, answer)| answer)
}

/// Between a client that offers and a server that takes it: the offer, the answer, and frames with their reserved bit.
#[test]
fn nginx_leaves_compression_to_the_two_that_agreed_on_it() {
    const OFFER: &str = "permessage-deflate; client_max_window_bits; server_no_context_takeover";
    const AGREED: &str = "permessage-deflate; client_no_context_takeover";
    /// "Hello", compressed and masked with nothing (RFC 7692, section 7.2.3.1), as both sides might write it.
    const UP: &[u8] = b"\xc1\x87\0\0\0\0\xf2\x48\xcd\xc9\xc9\x07\x00";
    const DOWN: &[u8] = b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00";
    play(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let Some(nginx) = Nginx::before(&[listener.local_addr().expect("an address")]).await else { return };
        let mut client = TcpStream::connect(nginx.address).await.expect("nginx listens");
        let handshake = format!(
            "GET {HANDSHAKE} HTTP/1.1\r\nHost: n\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
             Sec-WebSocket-Extensions: {OFFER}\r\n\r\n"
        );
        client.write_all(handshake.as_bytes()).await.expect("a handshake");
        let (mut server, _) = listener.accept().await.expect("nginx comes");
        let asked = head(&mut server).await;
        let offer = asked.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "));
        assert_eq!(offer, Some(OFFER), "{asked}");
        assert!(asked.contains("Upgrade: websocket\r\n") && asked.contains("Connection: upgrade\r\n"), "{asked}");
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: x\r\nSec-WebSocket-Extensions: {AGREED}\r\n\r\n"
        );
        server.write_all(answer.as_bytes()).await.expect("an answer");
        let answered = head(&mut client).await;
        assert!(answered.contains(&format!("Sec-WebSocket-Extensions: {AGREED}\r\n")), "{answered}");
        carries(&mut client, &mut server, UP).await;
        carries(&mut server, &mut client, DOWN).await;
    });
}

/// The official client offers it by itself.
#[test]
fn compression_passes_through_nginx_between_a_client_and_a_node() {
    play(async {
        let Some(mut users) = Users::start() else { return };
        let node = ChatNode::start(&["--auth", "none", "--rate-limit", "1000", "--deflate-threshold", "0"]);
        let Some(nginx) = Nginx::before(&[node.address().await]).await else { return };
        let url = format!("http://{}", nginx.address);
        for version in VERSIONS {
            let options = json!({ "perMessageDeflate": { "threshold": 0 } });
            let more = json!({ "auth": { "token": version }, "options": options });
            users.open(version, version, std::slice::from_ref(&url), &more);
            users.take(version, "joined").await;
        }
        let said: Vec<_> = (0..30).map(|nth| format!("{nth}: {}", "the same words again ".repeat(nth))).collect();
        for (nth, content) in said.iter().enumerate() {
            let ack = users.ask(VERSIONS[nth % 2], "chat-message", &json!({ "content": content })).await;
            assert!(ack["offset"].is_string(), "{ack}");
        }
        for version in VERSIONS {
            assert_eq!(users.contents_up_to(version, &said[29]).await, said, "{version}");
        }
        let compressed = node.metric("chat_deflate_frames_total{form=\"shared\"}").await
            + node.metric("chat_deflate_frames_total{form=\"alone\"}").await;
        assert!(compressed >= 60.0, "{compressed} of 60 messages were compressed");
    });
}

async fn carries(from: &mut TcpStream, to: &mut TcpStream, frame: &[u8]) {
    from.write_all(frame).await.expect("a frame");
    let mut came = vec![0; frame.len()];
    to.read_exact(&mut came).await.expect("a frame");
    assert_eq!(came, frame);
}

/// Everything up to the empty line, and nothing of what follows.
async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a head"));
    }
    String::from_utf8(head).expect("text")
}

#[test]
fn a_flood_of_handshakes_from_one_address_stops_at_nginx_and_others_get_in() {
    play(async {
        let node = ChatNode::start(&["--auth", "none"]);
        let Some(nginx) = Nginx::before(&[node.address().await]).await else { return };
        let (flooder, neighbour) = (Ipv4Addr::new(127, 0, 9, 3), Ipv4Addr::new(127, 0, 9, 4));
        // 200 at once and 20 a second are let through, to be refused by the node for what they are.
        let mut stopped = 0;
        for nth in 0.. {
            let answer = get_from(flooder, nginx.address, HANDSHAKE, "").await;
            assert!(nth >= 200 || answer.status == 400, "the {nth}th: {}", answer.head);
            stopped += u32::from(answer.status == 429);
            if stopped == 20 {
                break;
            }
            assert!(nth < 5000, "nothing stops it");
        }
        assert_eq!(get_from(neighbour, nginx.address, HANDSHAKE, "").await.status, 400);
    });
}
