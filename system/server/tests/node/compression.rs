//! Compression, as a client with zlib sees it: nobody reads anything else than was said, whatever happens around them.

use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use crate::client::Client;
use crate::inflating::{self, CLOSE, Chat, Inflating, PONG, TEXT};
use crate::server::Server;
use crate::tls::Pair;

const USUAL: &str = "permessage-deflate; client_max_window_bits";
/// What is offered, and what is answered.
const OFFERS: [(&str, Option<&str>); 8] = [
    (USUAL, Some("permessage-deflate; client_no_context_takeover")),
    ("permessage-deflate", Some("permessage-deflate; client_no_context_takeover")),
    (
        "permessage-deflate; client_no_context_takeover; client_max_window_bits=9",
        Some("permessage-deflate; client_no_context_takeover"),
    ),
    (
        "permessage-deflate; server_max_window_bits=10",
        Some("permessage-deflate; client_no_context_takeover; server_max_window_bits=10"),
    ),
    (
        "permessage-deflate; server_no_context_takeover",
        Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
    ),
    (
        "permessage-deflate; server_max_window_bits=8, permessage-deflate",
        Some("permessage-deflate; client_no_context_takeover"),
    ),
    ("x-webkit-deflate-frame", None),
    ("", None),
];

fn said(nth: usize) -> String {
    format!("message {nth}: {}", "who said that, and why did nobody answer? ".repeat(1 + nth % 3))
}

/// A number below `most`, from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, most: usize) -> usize {
        // Knuth's constants.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % most
    }
}

/// One who comes and goes, and where it began in each room.
struct Member {
    client: Inflating,
    name: String,
    offer: &'static str,
    /// By room: the offset that messages follow from.
    from: [Option<String>; 2],
}

const ROOMS: [&str; 2] = ["a", "b"];

impl Member {
    async fn join(server: &Server, name: String, offer: &'static str) -> Member {
        let (client, joined) = Inflating::join(server, offer, &json!({ "token": name, "room": ROOMS[0] })).await;
        Member { client, name, offer, from: [Some(offset(&joined)), None] }
    }

    /// Into a room or out of it; what it got there is what the listener got.
    async fn change(&mut self, room: usize, listener: &mut Inflating) {
        let asked = json!({ "room": ROOMS[room] });
        let Some(from) = self.from[room].take() else {
            let joined = self.client.call("join", asked).await;
            self.from[room] = Some(offset(&joined));
            return;
        };
        let left = offset(&self.client.call("leave", asked).await);
        // Asked again, a join answers how far the listener got.
        while offset(&listener.call("join", json!({ "room": ROOMS[room] })).await) < left {}
        let all = listener.messages.get(ROOMS[room]).into_iter().flatten();
        let expected: Vec<_> = all.filter(|chat| chat.offset > from && chat.offset <= left).cloned().collect();
        let got = self.client.messages.remove(ROOMS[room]).unwrap_or_default();
        assert!(got == expected, "{} in {}: {got:#?}\ninstead of {expected:#?}", self.name, ROOMS[room]);
    }

    /// Loses its connection, and comes back with its offsets.
    async fn resume(&mut self, server: &Server) {
        let messages = std::mem::take(&mut self.client.messages);
        let at = |room: usize| {
            let last = messages.get(ROOMS[room]).and_then(|all: &Vec<Chat>| all.last());
            last.map(|chat| chat.offset.clone()).or_else(|| self.from[room].clone())
        };
        let first = usize::from(self.from[0].is_none());
        let auth = json!({ "token": self.name, "room": ROOMS[first], "offset": at(first) });
        let (mut client, joined) = Inflating::join(server, self.offer, &auth).await;
        assert_eq!(joined["recovered"], true, "{joined}");
        let second = (first == 0 && self.from[1].is_some()).then(|| json!({ "room": ROOMS[1], "offset": at(1) }));
        client.messages = messages;
        client.compressed = self.client.compressed;
        self.client = client;
        if let Some(second) = second {
            let joined = self.client.call("join", second).await;
            assert_eq!(joined["recovered"], true, "{joined}");
        }
    }
}

fn offset(answer: &Value) -> String {
    answer["offset"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[tokio::test]
async fn members_of_two_rooms_who_come_leave_and_resume_read_what_was_said() {
    const SEED: u64 = 7692;
    let limits = ["--rate-limit", "1000000", "--join-rate-limit", "1000000"];
    let server = Server::open(&[&["--deflate-threshold", "0"], &limits[..]].concat()).await;
    let mut speaker = Client::join_with(&server, json!({ "token": "speaker", "room": "a" })).await.0;
    speaker.call("join", json!({ "room": "b" })).await;
    // It compresses nothing, and hears everything.
    let mut listener = Inflating::join(&server, "", &json!({ "token": "listener", "room": "a" })).await.0;
    listener.call("join", json!({ "room": "b" })).await;
    let mut members = Vec::new();
    for (nth, (offer, _)) in OFFERS.into_iter().chain(OFFERS).enumerate() {
        members.push(Member::join(&server, format!("member-{nth}"), offer).await);
    }
    let mut dice = Dice(SEED);
    let mut spoken = 0;
    for _ in 0..120 {
        let who = dice.roll(members.len());
        match dice.roll(8) {
            0 | 1 => members[who].change(dice.roll(2), &mut listener).await,
            2 if members[who].from.iter().any(Option::is_some) => members[who].resume(&server).await,
            _ => {
                let room = ROOMS[usize::from(dice.roll(3) == 0)];
                for _ in 0..dice.roll(9) {
                    let answer = speaker.call("chat-message", json!({ "content": said(spoken), "room": room })).await;
                    assert!(answer["error"].is_null(), "{answer}");
                    spoken += 1;
                }
                speaker.inbox.clear();
            }
        }
    }
    let mut compressed = 0;
    for member in &mut members {
        for room in 0..ROOMS.len() {
            if member.from[room].is_some() {
                member.change(room, &mut listener).await;
            }
        }
        compressed += member.client.compressed;
    }
    let form = async |form: &str| server.metric(&format!("chat_deflate_frames_total{{form=\"{form}\"}}")).await;
    let (shared, alone, plain) = (form("shared").await, form("alone").await, form("plain").await);
    let told = format!(
        "seed {SEED}: {spoken} spoken, {compressed} read compressed; {shared} shared, {alone} alone, {plain} plain"
    );
    assert!(shared > 200.0 && alone > 200.0 && plain > 50.0 && compressed > 1000, "{told}");
    assert!(shared + alone >= compressed as f64, "{told}");
    let bytes = async |bytes: &str| server.metric(&format!("chat_deflate_bytes_total{{as=\"{bytes}\"}}")).await;
    let (plain, sent) = (bytes("plain").await, bytes("sent").await);
    assert!(sent < 0.8 * plain, "{sent} of {plain} bytes");
    assert!((1.0..=2.0 * 128.0).contains(&server.metric("chat_deflate_streams").await));
}

#[tokio::test]
async fn every_parameter_is_answered_and_kept_and_what_is_no_offer_is_refused() {
    let server = Server::open(&["--deflate-threshold", "0", "--rate-limit", "1000000"]).await;
    let mut speaker = Client::join(&server, "speaker").await;
    let mut members = Vec::new();
    for (offer, answer) in OFFERS {
        let (client, _) = Inflating::join(&server, offer, &json!({ "token": "member" })).await;
        assert_eq!(client.agreed.as_deref(), answer, "{offer}");
        members.push((client, answer.is_some()));
    }
    for nth in 0..60 {
        speaker.call("chat-message", json!({ "content": said(nth) })).await;
    }
    let mut heard = Vec::new();
    for (mut client, agreed) in members {
        client.hear("global", 60).await;
        assert!(if agreed { client.compressed > 50 } else { client.compressed == 0 }, "{}", client.compressed);
        heard.push(client.messages);
    }
    assert!(heard.iter().all(|messages| *messages == heard[0]));
    let (mut stream, head) = inflating::handshake(&server, "permessage-deflate; =1").await;
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    let mut body = vec![0; 57];
    stream.read_exact(&mut body).await.unwrap();
    assert_eq!(String::from_utf8(body).unwrap(), r#"{"code":3,"message":"Malformed Sec-WebSocket-Extensions"}"#);
}

#[tokio::test]
async fn short_messages_stay_plain_below_the_threshold_and_off_is_off() {
    let server = Server::open(&[]).await;
    let (mut client, _) = Inflating::join(&server, USUAL, &json!({ "token": "ann" })).await;
    client.call("chat-message", json!({ "content": "short" })).await;
    client.call("chat-message", json!({ "content": "long ".repeat(190) })).await;
    client.call("leave", json!({ "room": "nowhere" })).await;
    assert_eq!(client.messages["global"].len(), 2);
    assert_eq!(client.compressed, 1, "the long one");
    let off = Server::open(&["--deflate-threshold", "off"]).await;
    let (mut client, _) = Inflating::join(&off, USUAL, &json!({ "token": "ann" })).await;
    assert_eq!(client.agreed, None);
    assert!(client.call("chat-message", json!({ "content": "long ".repeat(190) })).await["error"].is_null());
}

#[tokio::test]
async fn a_compressed_message_in_pieces_with_pings_between_is_one_message() {
    let server = Server::open(&["--deflate-threshold", "0"]).await;
    let mut bob = Client::join(&server, "bob").await;
    let (mut ann, _) = Inflating::join(&server, USUAL, &json!({ "token": "ann" })).await;
    let content = said(2);
    ann.write_compressed(
        json!(["chat-message", { "content": content }]).to_string().replacen('[', "42[", 1).as_bytes(),
        4,
    )
    .await;
    for nth in 0..3 {
        let frame = loop {
            let frame = ann.frame().await.expect("the connection goes on");
            if frame.opcode != TEXT {
                break frame;
            }
        };
        assert_eq!((frame.opcode, frame.content), (PONG, format!("between {nth}").into_bytes()));
    }
    assert_eq!(bob.contents(1).await, [content]);
}

#[tokio::test]
async fn what_is_compressed_goes_over_tls_both_ways() {
    let server = Pair::make().serve(&["--deflate-threshold", "0"]).await;
    let (mut ann, _) = Inflating::join(&server, USUAL, &json!({ "token": "ann" })).await;
    let (mut bob, _) = Inflating::join(&server, USUAL, &json!({ "token": "bob" })).await;
    assert_eq!(ann.agreed.as_deref(), OFFERS[0].1);
    for nth in 0..5 {
        let packet = format!("42{}", json!(["chat-message", { "content": said(nth) }]));
        ann.write_compressed(packet.as_bytes(), 1).await;
    }
    bob.hear("global", 5).await;
    let heard: Vec<_> = bob.messages["global"].iter().map(|chat| chat.text.clone()).collect();
    assert!((0..5).all(|nth| heard[nth].contains(&said(nth))), "{heard:?}");
    assert_eq!(bob.compressed, 5);
}

#[tokio::test]
async fn a_compression_bomb_ends_its_connection_and_no_other_and_takes_no_memory() {
    let server = Server::open(&[]).await;
    let mut bob = Client::join(&server, "bob").await;
    let bomb = vec![b' '; 50_000_000];
    let before = server.most_resident();
    for pieces in [1, 3] {
        let (mut ann, _) = Inflating::join(&server, USUAL, &json!({ "token": "ann" })).await;
        ann.write_compressed(&bomb, pieces).await;
        let mut last = None;
        while let Some(frame) = ann.frame().await {
            last = Some(frame);
        }
        let last = last.expect("a word of farewell");
        assert_eq!(
            (last.opcode, last.content),
            (CLOSE, 1009_u16.to_be_bytes().to_vec()),
            "too big, and nothing after it"
        );
    }
    let grown = server.most_resident() - before;
    assert!(grown < 20_000_000, "{grown} bytes for a bomb");
    assert!(bob.call("chat-message", json!({ "content": "here" })).await["error"].is_null());
    assert_eq!(server.get("/health").await.status, 200);
}
