//! Frame headers (RFC 6455, section 5.2): from the peer, and of what is written compressed.

use bytes::BufMut;

pub(crate) const FIN: u8 = 0x80;
pub(crate) const RSV1: u8 = 0x40;
const RESERVED: u8 = 0x70;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PONG: u8 = 10;
/// The longest header that a client sends.
pub(crate) const LONGEST: usize = 14;

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// FIN, the reserved bits and the opcode.
    pub(crate) first: u8,
    pub(crate) mask: Option<[u8; 4]>,
    /// Bytes of payload.
    pub(crate) length: u64,
}

impl Header {
    /// The header that `bytes` begin with and its own length; `None` while some of it is missing.
    pub(crate) fn parse(bytes: &[u8]) -> Option<(Header, usize)> {
        let (&first, &second) = (bytes.first()?, bytes.get(1)?);
        let (length, end) = match second & !MASKED {
            126 => (u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
            127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?), 10),
            short => (u64::from(short), 2),
        };
        if second & MASKED == 0 {
            return Some((Header { first, mask: None, length }, end));
        }
        let mask = bytes.get(end..end + 4)?.try_into().ok()?;
        Some((Header { first, mask: Some(mask), length }, end + 4))
    }

    pub(crate) fn write(&self, to: &mut impl BufMut) {
        let second = |length| length | if self.mask.is_some() { MASKED } else { 0 };
        to.put_u8(self.first);
        match self.length {
            short @ 0..=125 => to.put_u8(second(short as u8)),
            middle @ 126..=0xffff => {
                to.put_u8(second(126));
                to.put_u16(middle as u16);
            }
            long => {
                to.put_u8(second(127));
                to.put_u64(long);
            }
        }
        to.put_slice(self.mask.as_ref().map_or(&[][..], |mask| &mask[..]));
    }

    pub(crate) fn is_final(&self) -> bool {
        self.first & FIN != 0
    }

    pub(crate) fn opcode(&self) -> u8 {
        self.first & OPCODE
    }

    /// A reserved bit, or an opcode that nobody defined.
    pub(crate) fn is_reserved(&self) -> bool {
        self.first & RESERVED != 0 || !matches!(self.opcode(), CONTINUATION..=BINARY | CLOSE..=PONG)
    }

    /// As a control frame must be (section 5.5).
    pub(crate) fn is_short_and_whole(&self) -> bool {
        self.is_final() && self.length <= 125
    }

    pub(crate) fn continues(&self) -> bool {
        self.opcode() == CONTINUATION
    }

    /// Text, binary, or the continuation of one of them.
    pub(crate) fn is_data(&self) -> bool {
        self.opcode() <= BINARY
    }

    /// The first frame of a compressed message, and nothing reserved in it but that it is compressed.
    pub(crate) fn begins_compressed(&self) -> bool {
        let first = self.first & !FIN;
        first == RSV1 | TEXT || first == RSV1 | BINARY
    }
}

/// Where the payload of a frame begins that may be compressed: a whole message of the server's in one frame.
pub(crate) fn plain_message(frame: &[u8]) -> Option<usize> {
    let (header, start) = Header::parse(frame)?;
    let message = header.first == FIN | TEXT || header.first == FIN | BINARY;
    (message && header.mask.is_none() && header.length == (frame.len() - start) as u64).then_some(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_written_and_read_again() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, u64::from(u32::MAX), u64::MAX] {
            for mask in [None, Some([1, 2, 3, 4])] {
                let header = Header { first: FIN | RSV1 | 2, mask, length };
                let mut bytes = Vec::new();
                header.write(&mut bytes);
                assert!(bytes.len() <= LONGEST);
                for cut in 0..bytes.len() {
                    assert_eq!(Header::parse(&bytes[..cut]), None, "cut at {cut}");
                }
                let end = bytes.len();
                bytes.push(0);
                assert_eq!(Header::parse(&bytes), Some((header, end)));
            }
        }
    }
}
