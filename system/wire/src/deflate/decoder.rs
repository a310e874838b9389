//! What comes from the peer, made plain: compressed messages are inflated and handed on as if they had come so.
//!
//! The server above sees frames without a reserved bit, masked with zeroes, and judges everything else itself: UTF-8,
//! control frames, unknown bits and opcodes pass as they came. A compressed message is collected from all its frames
//! and handed on in one; control frames between them go ahead of it. Nothing is kept from one message to the next.

use super::codec::inflate;
use crate::header::{FIN, Header, LONGEST};

/// Masked as a client's frame must be, with nothing.
const NO_MASK: Option<[u8; 4]> = Some([0; 4]);
/// A buffer that is longer than this gives its memory back when it is empty.
const KEPT: usize = 512;

/// Why a connection must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A header that is none, frames that may not follow each other, or a reserved bit where none may be (RFC 7692,
    /// section 6).
    #[error("frames break the protocol")]
    Protocol,
    #[error("a compressed message is corrupt")]
    Corrupt,
    /// More than the limit, inflated or not yet.
    #[error("a message is too large")]
    TooLarge,
}

impl DecodeError {
    /// The status of the Close frame (RFC 6455, section 7.4.1).
    pub fn close_code(self) -> u16 {
        match self {
            DecodeError::Protocol => 1002,
            DecodeError::Corrupt => 1007,
            DecodeError::TooLarge => 1009,
        }
    }
}

/// The incoming half of a connection that agreed on compression. Idle, it holds no buffer.
pub struct Decoder {
    /// Bytes of content that a message may have.
    limit: usize,
    /// Came and not worked off.
    raw: Buffer,
    /// Made and not fetched.
    plain: Buffer,
    frame: Frame,
    /// The compressed message that is coming.
    message: Option<Message>,
    failed: Option<DecodeError>,
}

/// Where in a frame we are.
enum Frame {
    Header,
    /// That many bytes of payload pass as they come.
    Passes {
        left: u64,
    },
    /// That many are part of the compressed message.
    Collects {
        left: usize,
        mask: [u8; 4],
        last: bool,
    },
}

enum Step {
    Done,
    /// Than what came so far.
    TakesMore,
}

struct Message {
    opcode: u8,
    compressed: Vec<u8>,
}

impl Decoder {
    /// `limit`: bytes that a message may have, inflated; the server above should allow a frame of that size.
    pub fn new(limit: usize) -> Self {
        let (raw, plain) = (Buffer::default(), Buffer::default());
        Decoder { limit, raw, plain, frame: Frame::Header, message: None, failed: None }
    }

    /// Bytes from the peer; to be called when [`Decoder::read`] has nothing more.
    pub fn push(&mut self, bytes: &[u8]) {
        self.raw.bytes.extend_from_slice(bytes);
    }

    /// The next bytes for the server above; 0 when more must come first. An error is final: the connection must end,
    /// with [`DecodeError::close_code`]. Holds at most what was pushed and one message of the limit's size.
    pub fn read(&mut self, into: &mut [u8]) -> Result<usize, DecodeError> {
        loop {
            let read = self.plain.read(into);
            if read > 0 || into.is_empty() {
                return Ok(read);
            }
            if let Some(error) = self.failed {
                return Err(error);
            }
            let done = match self.frame {
                Frame::Passes { left } => return Ok(self.pass(left, into)),
                Frame::Header => self.header(),
                Frame::Collects { left, mask, last } => self.collect(left, mask, last),
            };
            match done {
                Ok(Step::Done) => {}
                Ok(Step::TakesMore) => return Ok(0),
                Err(error) => self.fail(error),
            }
        }
    }

    fn pass(&mut self, left: u64, into: &mut [u8]) -> usize {
        let fits = into.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = self.raw.read(&mut into[..fits]);
        self.frame = Frame::passing(left - read as u64);
        read
    }

    fn fail(&mut self, error: DecodeError) {
        (self.raw, self.plain) = (Buffer::default(), Buffer::default());
        (self.message, self.failed) = (None, Some(error));
    }

    fn header(&mut self) -> Result<Step, DecodeError> {
        let Some((header, length)) = Header::parse(self.raw.rest()) else { return Ok(Step::TakesMore) };
        self.begin(header, length)?;
        self.raw.skip(length);
        Ok(Step::Done)
    }

    fn begin(&mut self, header: Header, length: usize) -> Result<(), DecodeError> {
        let goes_on = self.message.is_some() && header.is_data();
        match header.mask {
            // What the server above will not see, it cannot judge.
            Some(_) if goes_on && header.first & !FIN != 0 => return Err(DecodeError::Protocol),
            None if goes_on => return Err(DecodeError::Protocol),
            Some(mask) if goes_on || header.begins_compressed() => self.collects(header, mask)?,
            _ => {
                self.plain.bytes.extend_from_slice(&self.raw.rest()[..length]);
                self.frame = Frame::passing(header.length);
            }
        }
        Ok(())
    }

    fn collects(&mut self, header: Header, mask: [u8; 4]) -> Result<(), DecodeError> {
        let message = self.message.get_or_insert(Message { opcode: header.opcode(), compressed: Vec::new() });
        if header.length > (longest(self.limit) - message.compressed.len()) as u64 {
            return Err(DecodeError::TooLarge);
        }
        self.frame = Frame::Collects { left: header.length as usize, mask, last: header.is_final() };
        Ok(())
    }

    /// `mask`: for the next byte.
    fn collect(&mut self, left: usize, mut mask: [u8; 4], last: bool) -> Result<Step, DecodeError> {
        let Some(message) = &mut self.message else { return Err(DecodeError::Protocol) };
        let came = left.min(self.raw.rest().len());
        let masked = &self.raw.rest()[..came];
        message.compressed.extend(masked.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        mask.rotate_left(came % 4);
        self.raw.skip(came);
        if came < left {
            self.frame = Frame::Collects { left: left - came, mask, last };
            return Ok(Step::TakesMore);
        }
        self.frame = Frame::Header;
        match self.message.take_if(|_| last) {
            Some(message) => self.inflate(&message).map(|()| Step::Done),
            None => Ok(Step::Done),
        }
    }

    fn inflate(&mut self, message: &Message) -> Result<(), DecodeError> {
        let out = &mut self.plain.bytes;
        out.resize(LONGEST, 0);
        inflate(&message.compressed, self.limit, out)?;
        let length = (out.len() - LONGEST) as u64;
        let mut header = Vec::with_capacity(LONGEST);
        Header { first: FIN | message.opcode, mask: NO_MASK, length }.write(&mut header);
        self.plain.at = LONGEST - header.len();
        out[self.plain.at..LONGEST].copy_from_slice(&header);
        Ok(())
    }
}

impl Frame {
    fn passing(left: u64) -> Self {
        if left == 0 { Frame::Header } else { Frame::Passes { left } }
    }
}

/// Bytes of compressed message that `limit` bytes can become: what does not shrink grows a little, in whole blocks.
fn longest(limit: usize) -> usize {
    limit + limit / 64 + 1024
}

/// Bytes that are taken from the front.
#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    at: usize,
}

impl Buffer {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    fn read(&mut self, into: &mut [u8]) -> usize {
        let read = self.rest().len().min(into.len());
        into[..read].copy_from_slice(&self.rest()[..read]);
        self.skip(read);
        read
    }

    fn skip(&mut self, length: usize) {
        self.at += length;
        if self.at == self.bytes.len() {
            self.at = 0;
            self.bytes.clear();
            self.bytes.shrink_to(KEPT);
        }
    }
}
