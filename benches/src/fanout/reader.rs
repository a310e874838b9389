//! One client's incoming side: it inflates what comes compressed, and counts.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flate2::{Decompress, FlushDecompress};
use system_wire::frame::{self, Frame};
use tokio::net::TcpStream;

use super::clients::masked;

pub(super) const MESSAGE: &[u8] = b"42[\"chat-message\"";
/// Where a message's id begins; every server writes it first.
const ID: usize = MESSAGE.len() + ",{\"id\":\"".len();
/// What a compressed message lacks at its end (RFC 7692, section 7.2.2).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// The bit of a frame that says that its message is compressed.
const RSV1: u8 = 0x40;

/// What all clients together have got.
#[derive(Default)]
pub(super) struct Seen {
    /// When each message was said, by the beginning of its id.
    pub(super) said: RefCell<HashMap<u32, Instant>>,
    /// From saying to reading.
    pub(super) delays: RefCell<Vec<Duration>>,
    pub(super) opened: Cell<usize>,
    pub(super) joined: Cell<usize>,
    pub(super) acks: Cell<usize>,
    pub(super) messages: Cell<u64>,
    /// On the wire, of messages.
    pub(super) bytes: Cell<u64>,
    pub(super) ended: Cell<usize>,
    /// The first thing that was wrong.
    pub(super) wrong: RefCell<Option<String>>,
}

pub(super) struct Reader {
    rest: Vec<u8>,
    head: Head,
    inflater: Option<Inflater>,
    seen: Rc<Seen>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    /// HTTP is behind, or there was none.
    Read,
    Plain,
    /// It must agree to compress.
    Compressed,
}

struct Inflater {
    state: Decompress,
    out: Vec<u8>,
}

impl Reader {
    pub(super) fn new(head: Head, seen: Rc<Seen>) -> Reader {
        let inflater = (head == Head::Compressed)
            .then(|| Inflater { state: Decompress::new(false), out: Vec::with_capacity(1024) });
        Reader { rest: Vec::new(), head, inflater, seen }
    }

    pub(super) async fn run(mut self, stream: Arc<TcpStream>) {
        let mut buffer = [0; 4096];
        while stream.readable().await.is_ok() {
            let taken = match stream.try_read(&mut buffer) {
                Ok(read) if read > 0 => self.take(&buffer[..read], &stream),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
                _ => break,
            };
            if let Err(wrong) = taken {
                self.seen.wrong.borrow_mut().get_or_insert(wrong);
                break;
            }
        }
        self.seen.ended.set(self.seen.ended.get() + 1);
    }

    fn take(&mut self, bytes: &[u8], stream: &TcpStream) -> Result<(), String> {
        self.rest.extend_from_slice(bytes);
        if self.head != Head::Read {
            let Some(end) = self.rest.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(()) };
            let head = String::from_utf8_lossy(&self.rest[..end]).to_ascii_lowercase();
            let compresses = head.contains("sec-websocket-extensions: permessage-deflate");
            if compresses != (self.head == Head::Compressed) {
                return Err(format!("compresses: {compresses}, in {head:?}"));
            }
            self.rest.drain(..end + 4);
            self.head = Head::Read;
        }
        let mut left = &self.rest[..];
        while let Some((frame, after)) = frame::split(left) {
            count(&self.seen, &frame, content(&mut self.inflater, &frame)?, stream);
            left = after;
        }
        self.rest = left.to_vec();
        Ok(())
    }
}

/// The payload as the server meant it.
fn content<'a>(inflater: &'a mut Option<Inflater>, frame: &Frame<'a>) -> Result<&'a [u8], String> {
    if frame.whole[0] & RSV1 == 0 {
        return Ok(frame.payload);
    }
    let Inflater { state, out } = inflater.as_mut().ok_or("compressed, though nothing was agreed on")?;
    out.clear();
    for mut part in [frame.payload, &TAIL] {
        while !part.is_empty() {
            out.reserve(1024);
            let before = (state.total_in(), state.total_out());
            state.decompress_vec(part, out, FlushDecompress::Sync).map_err(|error| error.to_string())?;
            if before == (state.total_in(), state.total_out()) {
                return Err("a message cannot be inflated".to_owned());
            }
            part = &part[(state.total_in() - before.0) as usize..];
        }
    }
    Ok(out)
}

fn count(seen: &Seen, frame: &Frame<'_>, content: &[u8], stream: &TcpStream) {
    if content.starts_with(MESSAGE) {
        seen.messages.set(seen.messages.get() + 1);
        if let Some(said) = content.get(ID..).and_then(beginning).and_then(|id| seen.said.borrow().get(&id).copied()) {
            seen.delays.borrow_mut().push(said.elapsed());
        }
        seen.bytes.set(seen.bytes.get() + frame.whole.len() as u64);
    } else if content.starts_with(b"42[\"joined\"") {
        seen.joined.set(seen.joined.get() + 1);
    } else if content.starts_with(b"43") {
        seen.acks.set(seen.acks.get() + 1);
    } else if content.starts_with(b"0{") {
        seen.opened.set(seen.opened.get() + 1);
    } else if content == b"2" {
        // Who does not answer a ping is closed.
        let _ = stream.try_write(&masked("3"));
    }
}

/// What a message is told from others by: the first eight digits of its id.
pub(super) fn beginning(id: &[u8]) -> Option<u32> {
    u32::from_str_radix(std::str::from_utf8(id.get(..8)?).ok()?, 16).ok()
}
