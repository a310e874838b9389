//! The clients of one contestant: they count what they get, and one after the other says something.

use std::io::{self, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use system_wire::frame;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::contestants::{Contestant, Kind};
use super::load::Load;
use super::reader::{Head, MESSAGE, Reader, Seen, beginning};
use super::script::{Script, room_name};
use crate::corpus;

/// For one client to enter.
const SOON: Duration = Duration::from_secs(20);
/// Without any delivery, after which nothing more is waited for.
const SILENCE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_micros(200);

pub(super) struct Clients {
    contestant: Contestant,
    streams: Vec<Arc<TcpStream>>,
    seen: Rc<Seen>,
    script: Script,
}

/// What was measured in one turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    /// Nanoseconds of the server per delivery.
    pub(super) cost: f64,
    /// On the wire per delivery.
    pub(super) bytes: f64,
}

impl Clients {
    /// In the order of the rooms. Within a `LocalSet` or a current-thread runtime.
    pub(super) async fn connect(contestant: Contestant, load: &Load) -> io::Result<Clients> {
        let mut clients = Clients { contestant, streams: Vec::new(), seen: Rc::default(), script: Script::new() };
        for number in 0..load.connections() {
            let stream = clients.one(number, load).await?;
            clients.streams.push(stream);
        }
        Ok(clients)
    }

    async fn one(&self, number: usize, load: &Load) -> io::Result<Arc<TcpStream>> {
        let stream = TcpStream::connect(self.contestant.address).await;
        let mut stream = stream.map_err(|error| self.error(&format!("connection {number}: {error}")))?;
        stream.set_nodelay(true)?;
        let chats = self.contestant.kind() == Kind::SocketIo;
        if chats {
            stream.write_all(self.request().as_bytes()).await?;
        }
        let head = match (chats, self.contestant.compresses()) {
            (false, _) => Head::Read,
            (true, false) => Head::Plain,
            (true, true) => Head::Compressed,
        };
        let (stream, opened) = (Arc::new(stream), self.seen.opened.get());
        tokio::task::spawn_local(Reader::new(head, Rc::clone(&self.seen)).run(Arc::clone(&stream)));
        if chats {
            // Socket.IO for Node loses what comes before it has said that it is open.
            self.until("a connection opens", || self.seen.opened.get() > opened).await?;
            self.enter(&stream, number, load).await?;
        }
        Ok(stream)
    }

    async fn enter(&self, stream: &TcpStream, number: usize, load: &Load) -> io::Result<()> {
        let (room, name) = (number / load.members, corpus::person(number % load.members));
        let joined = self.seen.joined.get();
        let connect = format!(r#"40{{"token":"{name}","room":"{}"}}"#, room_name(room));
        stream.try_write(&masked(&connect))?;
        self.until("a client joins", || self.seen.joined.get() > joined).await?;
        for other in 1..load.each {
            let acks = self.seen.acks.get();
            let join = format!(r#"420["join",{{"room":"{}"}}]"#, room_name((room + other) % load.rooms));
            stream.try_write(&masked(&join))?;
            self.until("a client joins another room", || self.seen.acks.get() > acks).await?;
        }
        Ok(())
    }

    /// Compression is asked for as browsers do.
    fn request(&self) -> String {
        let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
        format!(
            "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{}\r\n",
            if self.contestant.compresses() { offer } else { "" }
        )
    }

    async fn until(&self, what: &str, condition: impl Fn() -> bool) -> io::Result<()> {
        let deadline = Instant::now() + SOON;
        while !condition() {
            if Instant::now() > deadline {
                return Err(self.error(&format!("{what}: it did not")));
            }
            self.nobody_ended()?;
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    fn nobody_ended(&self) -> io::Result<()> {
        let ended = self.seen.ended.get();
        if let Some(wrong) = &*self.seen.wrong.borrow() {
            return Err(self.error(wrong));
        }
        if ended > 0 { Err(self.error(&format!("{ended} clients were closed"))) } else { Ok(()) }
    }

    fn error(&self, what: &str) -> io::Error {
        io::Error::other(format!("{}: {what}", self.name()))
    }

    /// The load for so long, and what it owes.
    pub(super) async fn turn(&mut self, load: &Load, long: Duration) -> io::Result<Turn> {
        let (messages, bytes) = (self.seen.messages.get(), self.seen.bytes.get());
        let time = self.contestant.part.core_time()?;
        let end = Instant::now() + long;
        match self.contestant.kind() {
            Kind::Floor => {
                writeln!(self.contestant.part.orders, "{}", Script::mean_frame())?;
                tokio::time::sleep_until(end).await;
                self.until("it writes", || self.seen.messages.get() > messages).await?;
                writeln!(self.contestant.part.orders)?;
                // What is on its way still belongs to this turn.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Kind::SocketIo => {
                let said = self.script.said();
                self.talk(load, end).await?;
                self.everything(messages + ((self.script.said() - said) * load.audience()) as u64).await?;
            }
        }
        self.nobody_ended()?;
        let (messages, bytes) = (self.seen.messages.get() - messages, self.seen.bytes.get() - bytes);
        if messages == 0 {
            return Err(self.error("no delivery"));
        }
        let per_delivery = |sum: u64| sum as f64 / messages as f64;
        let cost = per_delivery(self.contestant.part.core_time()? - time);
        Ok(Turn { cost, bytes: per_delivery(bytes) })
    }

    /// Until so many deliveries were counted.
    async fn everything(&self, owed: u64) -> io::Result<()> {
        let (mut last, mut since) = (0, Instant::now());
        while self.seen.messages.get() < owed {
            let now = self.seen.messages.get();
            if now > last {
                (last, since) = (now, Instant::now());
            } else if since.elapsed() > SILENCE {
                return Err(self.error(&format!("{} deliveries are missing", owed - now)));
            }
            self.nobody_ended()?;
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    async fn talk(&mut self, load: &Load, until: Instant) -> io::Result<()> {
        let mut next = Instant::now();
        while next < until {
            let said = self.script.next(load);
            let frame = masked(&said.payload);
            let id = beginning(said.id.as_bytes()).expect("an id is hexadecimal");
            self.seen.said.borrow_mut().insert(id, std::time::Instant::now());
            if self.streams[said.client].try_write(&frame)? != frame.len() {
                return Err(self.error("it does not read"));
            }
            next += Duration::from_secs(1) / load.per_second as u32;
            tokio::time::sleep_until(next).await;
        }
        Ok(())
    }

    /// From saying to reading, of what came since it was asked last: at the median, and of all but a hundredth. `None`
    /// where messages are nobody's.
    pub(super) fn delays(&self) -> Option<[Duration; 2]> {
        self.seen.said.take();
        let mut delays = self.seen.delays.take();
        delays.sort_unstable();
        let at = |share: usize| delays.get(delays.len() * share / 100).copied();
        Some([at(50)?, at(99)?])
    }

    pub(super) fn name(&self) -> String {
        self.contestant.name()
    }

    pub(super) fn resident(&self) -> io::Result<u64> {
        self.contestant.part.resident()
    }
}

/// A message as a server would send it, of so many bytes.
pub(super) fn message_of(length: usize) -> Vec<u8> {
    let mut payload = String::from_utf8_lossy(MESSAGE).into_owned();
    payload.push_str(&"x".repeat(length.saturating_sub(payload.len() + 4)));
    frame::text(&payload).to_vec()
}

/// As clients must; the key of zeros leaves the payload as it is.
pub(super) fn masked(payload: &str) -> Vec<u8> {
    let frame = frame::text(payload);
    let header = frame.len() - payload.len();
    let mut masked = frame[..header].to_vec();
    masked[1] |= 0x80;
    masked.extend_from_slice(&[0; 4]);
    masked.extend_from_slice(payload.as_bytes());
    masked
}
