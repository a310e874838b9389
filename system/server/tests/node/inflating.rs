//! A client that agreed on compression, by hand: zlib's inflater with the window that was agreed on, and every frame
//! as it was on the wire.

use std::collections::BTreeMap;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::server::{PATIENCE, Server, Stream};

pub(crate) const TEXT: u8 = 1;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;
const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
const KEY: [u8; 4] = [0x5a, 0x17, 0xc3, 0x88];

/// What came, with its content inflated.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    pub(crate) content: Vec<u8>,
    pub(crate) compressed: bool,
}

pub(crate) struct Inflating {
    stream: Box<dyn Stream>,
    rest: Vec<u8>,
    zlib: Decompress,
    /// Each message stands alone.
    alone: bool,
    /// The answer's `Sec-WebSocket-Extensions`.
    pub(crate) agreed: Option<String>,
    /// Texts of chat messages by room, in their order.
    pub(crate) messages: BTreeMap<String, Vec<Chat>>,
    /// Chat messages that came compressed.
    pub(crate) compressed: usize,
    acks: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Chat {
    pub(crate) offset: String,
    /// The whole packet, byte for byte.
    pub(crate) text: String,
}

impl Inflating {
    /// A session, and what its `joined` said.
    pub(crate) async fn join(server: &Server, offer: &str, auth: &Value) -> (Inflating, Value) {
        let mut client = Inflating::dial(server, offer).await;
        client.write(FIN | TEXT, format!("40{auth}").as_bytes()).await;
        let joined = client.until("42[\"joined\",").await;
        (client, joined[1].clone())
    }

    async fn dial(server: &Server, offer: &str) -> Inflating {
        let (stream, head) = handshake(server, offer).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{offer}: {head}");
        let field = |line: &str| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("sec-websocket-extensions").then(|| value.to_owned())
        };
        let agreed = head.lines().find_map(field);
        let bits = agreed.as_deref().and_then(|agreed| agreed.split("server_max_window_bits=").nth(1));
        let bits = bits.map_or(15, |bits| bits.parse().unwrap());
        let zlib = Decompress::new_with_window_bits(false, bits);
        let alone = agreed.as_deref().is_some_and(|agreed| agreed.contains("server_no_context_takeover"));
        let (messages, rest) = (BTreeMap::new(), Vec::new());
        Inflating { stream, rest, zlib, alone, agreed, messages, compressed: 0, acks: 0 }
    }

    /// Asks, and waits for the answer.
    pub(crate) async fn call(&mut self, event: &str, payload: Value) -> Value {
        self.acks += 1;
        let id = self.acks;
        self.write(FIN | TEXT, format!("42{id}{}", json!([event, payload])).as_bytes()).await;
        self.until(&format!("43{id}[")).await[0].take()
    }

    /// Reads on until a packet begins so; its JSON.
    pub(crate) async fn until(&mut self, begins: &str) -> Value {
        loop {
            if let Some(text) = self.packet().await
                && text.starts_with(begins)
            {
                return serde_json::from_str(&text[text.find('[').unwrap()..]).unwrap();
            }
        }
    }

    /// Reads on until so many messages of the room came.
    pub(crate) async fn hear(&mut self, room: &str, messages: usize) {
        while self.messages.get(room).map_or(0, Vec::len) < messages {
            self.packet().await;
        }
    }

    /// The next packet, unless it is a message, which is kept, or a ping, which is answered.
    async fn packet(&mut self) -> Option<String> {
        let frame = self.frame().await.expect("the connection goes on");
        let text = String::from_utf8(frame.content).unwrap();
        assert_eq!(frame.opcode, TEXT, "{text}");
        if text == "2" {
            self.write(FIN | TEXT, b"3").await;
        } else if text.starts_with("42[\"chat-message\",") {
            let message: Value = serde_json::from_str(&text[2..]).unwrap();
            let word = |name: &str| message[1][name].as_str().unwrap().to_owned();
            self.compressed += usize::from(frame.compressed);
            self.messages.entry(word("room")).or_default().push(Chat { offset: word("offset"), text });
        } else {
            return Some(text);
        }
        None
    }

    /// A masked frame.
    pub(crate) async fn write(&mut self, first: u8, payload: &[u8]) {
        let mut frame = vec![first];
        match payload.len() {
            short @ 0..=125 => frame.push(0x80 | short as u8),
            middle @ 126..=0xffff => {
                frame.push(0x80 | 0x7e);
                frame.extend((middle as u16).to_be_bytes());
            }
            long => {
                frame.push(0x80 | 0x7f);
                frame.extend((long as u64).to_be_bytes());
            }
        }
        frame.extend(KEY);
        frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
        self.write_bytes(&frame).await;
    }

    pub(crate) async fn write_bytes(&mut self, bytes: &[u8]) {
        // A node that has had enough may be gone.
        let _ = self.stream.write_all(bytes).await;
    }

    /// A compressed text in so many pieces, with a ping between them.
    pub(crate) async fn write_compressed(&mut self, text: &[u8], pieces: usize) {
        let compressed = compressed(text);
        let pieces: Vec<_> = compressed.chunks(compressed.len().div_ceil(pieces)).collect();
        for (nth, piece) in pieces.iter().enumerate() {
            let begins = if nth == 0 { RSV1 | TEXT } else { 0 };
            let ends = if nth + 1 == pieces.len() { FIN } else { 0 };
            self.write(begins | ends, piece).await;
            if ends == 0 {
                self.write(FIN | PING, format!("between {nth}").as_bytes()).await;
            }
        }
    }

    /// The next frame; `None` at the end.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some((first, payload, length)) = split(&self.rest) {
                let (compressed, opcode, payload) = (first & RSV1 != 0, first & 0x0f, payload.to_vec());
                assert_eq!(first & !(RSV1 | 0x0f), FIN, "one whole frame, no other reserved bit");
                assert!(!compressed || self.agreed.is_some(), "compressed unasked");
                self.rest.drain(..length);
                let content = if compressed { self.inflate(&payload) } else { payload };
                return Some(Frame { opcode, content, compressed });
            }
            let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.rest)).await;
            if read.expect("a frame or the end").unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    fn inflate(&mut self, payload: &[u8]) -> Vec<u8> {
        let (input, start) = ([payload, &TAIL].concat(), self.zlib.total_in());
        let mut content = Vec::with_capacity(64 * 1024);
        let status = self.zlib.decompress_vec(&input, &mut content, FlushDecompress::Sync);
        assert!(status.is_ok(), "zlib cannot follow: {status:?}");
        assert_eq!((self.zlib.total_in() - start) as usize, input.len(), "all of it is read");
        if self.alone {
            self.zlib.reset(false);
        }
        content
    }
}

/// The connection, and the head of the answer.
pub(crate) async fn handshake(server: &Server, offer: &str) -> (Box<dyn Stream>, String) {
    let mut stream = server.stream().await;
    let extensions = if offer.is_empty() { String::new() } else { format!("Sec-WebSocket-Extensions: {offer}\r\n") };
    let request = format!(
        "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
         {extensions}\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tokio::time::timeout(PATIENCE, stream.read_u8()).await.expect("an answer").unwrap());
    }
    (stream, String::from_utf8(head).unwrap())
}

/// A message of its own.
fn compressed(text: &[u8]) -> Vec<u8> {
    let mut zlib = Compress::new(Compression::default(), false);
    let mut out = Vec::with_capacity(text.len() + 1024);
    zlib.compress_vec(text, &mut out, FlushCompress::Sync).unwrap();
    out.truncate(out.len() - TAIL.len());
    out
}

/// First byte, payload and length of the first whole frame.
fn split(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let (start, length) = match *bytes.get(1)? {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().unwrap()))),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().unwrap()) as usize),
        short => (2, usize::from(short)),
    };
    Some((bytes[0], bytes.get(start..start + length)?, start + length))
}
