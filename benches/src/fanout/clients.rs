//! The clients of one contestant: they count what they get, and one after the other says something.

use std::cell::{Cell, RefCell};
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

const MESSAGE: &[u8] = b"42[\"chat-message\"";
/// As long as a chat message of an ordinary length is on the wire, where no server says.
const LENGTH: usize = 260;
/// What a message says: when it was said, in microseconds of so many digits, and words.
const SAID: &[u8] = b"\"content\":\"";
const DIGITS: usize = 16;
const SOON: Duration = Duration::from_mins(1);

pub(super) struct Clients {
    contestant: Contestant,
    streams: Vec<Arc<TcpStream>>,
    seen: Rc<Seen>,
    said: usize,
}

/// Microseconds from saying to reading, at the median and for all but a hundredth.
pub(super) struct Delays {
    pub(super) median: u64,
    pub(super) most: u64,
}

/// What all clients together have got.
struct Seen {
    began: Instant,
    delays: RefCell<Vec<u64>>,
    joined: Cell<usize>,
    messages: Cell<u64>,
    ended: Cell<usize>,
}

impl Clients {
    /// In the order of the rooms. Within a `LocalSet` or a current-thread runtime.
    pub(super) async fn connect(contestant: Contestant, load: &Load) -> io::Result<Clients> {
        let mut clients = Clients { contestant, streams: Vec::new(), seen: Rc::new(Seen::new()), said: 0 };
        for number in 0..load.connections() {
            clients.streams.push(clients.one(number, number / load.members).await?);
        }
        Ok(clients)
    }

    async fn one(&self, number: usize, room: usize) -> io::Result<Arc<TcpStream>> {
        let mut stream = TcpStream::connect(self.contestant.address).await?;
        stream.set_nodelay(true)?;
        if self.contestant.kind == Kind::SocketIo {
            let request = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
                 Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
            stream.write_all(request.as_bytes()).await?;
            let connect = format!("40{{\"token\":\"user-{number}\",\"room\":\"room-{room}\"}}");
            stream.write_all(&masked(&connect)).await?;
        }
        let stream = Arc::new(stream);
        let reading = Reader { rest: Vec::new(), switched: self.contestant.is_floor(), seen: Rc::clone(&self.seen) };
        let before = self.seen.joined.get();
        tokio::task::spawn_local(reading.run(Arc::clone(&stream)));
        if self.contestant.kind == Kind::SocketIo {
            self.until("a client joins", || self.seen.joined.get() > before).await?;
        }
        Ok(stream)
    }

    async fn until(&self, what: &str, condition: impl Fn() -> bool) -> io::Result<()> {
        let deadline = Instant::now() + SOON;
        while !condition() {
            if Instant::now() > deadline || self.seen.ended.get() > 0 {
                return Err(io::Error::other(format!("{}: {what}: it did not", self.contestant.name)));
            }
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        Ok(())
    }

    /// The load for so long; nanoseconds of the server per delivery.
    pub(super) async fn turn(&mut self, load: &Load, long: Duration) -> io::Result<f64> {
        let (before, time) = (self.seen.messages.get(), self.contestant.part.core_time()?);
        let until = Instant::now() + long;
        match self.contestant.kind {
            Kind::Floor => {
                writeln!(self.contestant.part.orders, "{LENGTH}")?;
                tokio::time::sleep_until(until).await;
                writeln!(self.contestant.part.orders)?;
                // What is on its way still belongs to this turn.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Kind::SocketIo => {
                let said = self.said;
                self.talk(load, until).await?;
                let expected = before + ((self.said - said) * load.members) as u64;
                self.until("everybody gets everything", || self.seen.messages.get() >= expected).await?;
            }
        }
        let messages = self.seen.messages.get() - before;
        if self.seen.ended.get() > 0 || messages == 0 {
            let name = self.contestant.name;
            return Err(io::Error::other(format!("{name}: {messages} deliveries, and clients that were closed")));
        }
        Ok((self.contestant.part.core_time()? - time) as f64 / messages as f64)
    }

    /// Room after room, and in each member after member.
    async fn talk(&mut self, load: &Load, until: Instant) -> io::Result<()> {
        let mut next = Instant::now();
        while next < until {
            let (room, member) = (self.said % load.rooms, self.said / load.rooms % load.members);
            let content = format!("{:0DIGITS$} is when this was said, as it is.", self.seen.now());
            let message =
                format!("42{}[\"chat-message\",{{\"content\":\"{content}\",\"room\":\"room-{room}\"}}]", self.said);
            let frame = masked(&message);
            if self.streams[room * load.members + member].try_write(&frame)? != frame.len() {
                return Err(io::Error::other("a server does not read"));
            }
            self.said += 1;
            next += Duration::from_secs(1) / load.per_second as u32;
            tokio::time::sleep_until(next).await;
        }
        Ok(())
    }

    /// Of what came since it was asked last; `None` where messages don't say when they were said.
    pub(super) fn delays(&self) -> Option<Delays> {
        let mut delays = self.seen.delays.take();
        delays.sort_unstable();
        let at = |share: usize| delays.get(delays.len() * share / 100).copied();
        Some(Delays { median: at(50)?, most: at(99)? })
    }

    pub(super) fn name(&self) -> &'static str {
        self.contestant.name
    }

    pub(super) fn resident(&self) -> io::Result<u64> {
        self.contestant.resident()
    }
}

impl Seen {
    fn new() -> Seen {
        let (joined, messages, ended) = (Cell::default(), Cell::default(), Cell::default());
        Seen { began: Instant::now(), delays: RefCell::default(), joined, messages, ended }
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }

    fn message(&self, payload: &[u8]) {
        self.messages.set(self.messages.get() + 1);
        let at = payload.windows(SAID.len()).position(|words| words == SAID).map(|at| at + SAID.len());
        let digits = at.and_then(|at| std::str::from_utf8(payload.get(at..at + DIGITS)?).ok());
        if let Some(said) = digits.and_then(|digits| digits.parse::<u64>().ok()) {
            self.delays.borrow_mut().push(self.now() - said);
        }
    }
}

/// One client's incoming side.
struct Reader {
    rest: Vec<u8>,
    /// HTTP is behind.
    switched: bool,
    seen: Rc<Seen>,
}

impl Reader {
    async fn run(mut self, stream: Arc<TcpStream>) {
        let mut buffer = [0; 4096];
        while stream.readable().await.is_ok() {
            match stream.try_read(&mut buffer) {
                Ok(read) if read > 0 => self.take(&buffer[..read], &stream),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                _ => break,
            }
        }
        self.seen.ended.set(self.seen.ended.get() + 1);
    }

    fn take(&mut self, bytes: &[u8], stream: &TcpStream) {
        self.rest.extend_from_slice(bytes);
        if !self.switched {
            let Some(end) = self.rest.windows(4).position(|four| four == b"\r\n\r\n") else { return };
            self.rest.drain(..end + 4);
            self.switched = true;
        }
        let mut left = &self.rest[..];
        while let Some((frame, after)) = frame::split(left) {
            if frame.payload.starts_with(MESSAGE) {
                self.seen.message(frame.payload);
            } else if frame.payload.starts_with(b"42[\"joined\"") {
                self.seen.joined.set(self.seen.joined.get() + 1);
            } else if frame.payload == b"2" {
                // Who does not answer a ping is closed.
                let _ = stream.try_write(&masked("3"));
            }
            left = after;
        }
        self.rest = left.to_vec();
    }
}

/// A message as a server would send it, of so many bytes.
pub(super) fn message_of(length: usize) -> Vec<u8> {
    let mut payload = String::from_utf8_lossy(MESSAGE).into_owned();
    payload.push_str(&"x".repeat(length.saturating_sub(payload.len())));
    frame::text(&payload).to_vec()
}

/// As clients must; the key of zeros leaves the payload as it is.
fn masked(payload: &str) -> Vec<u8> {
    let frame = frame::text(payload);
    let header = frame.len() - payload.len();
    let mut masked = frame[..header].to_vec();
    masked[1] |= 0x80;
    masked.extend_from_slice(&[0; 4]);
    masked.extend_from_slice(payload.as_bytes());
    masked
}
