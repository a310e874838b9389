//! WebSocket frames as a server writes them (RFC 6455, section 5.2): unmasked, and always whole.

use bytes::{BufMut, Bytes, BytesMut};

const FIN: u8 = 0x80;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
/// The longest header that a server writes: two bytes and a length of eight.
const HEADER: usize = 10;

/// A finished text frame: encoded once, written to any number of connections.
pub fn text(payload: &str) -> Bytes {
    let mut frame = BytesMut::with_capacity(HEADER + payload.len());
    frame.put_u8(FIN | TEXT);
    match payload.len() {
        short @ 0..=125 => frame.put_u8(short as u8),
        middle @ 126..=0xffff => {
            frame.put_u8(126);
            frame.put_u16(middle as u16);
        }
        long => {
            frame.put_u8(127);
            frame.put_u64(long as u64);
        }
    }
    frame.put_slice(payload.as_bytes());
    frame.freeze()
}

/// A Close frame (RFC 6455, section 5.5.1). A reason is ours, and short.
pub(crate) fn close(code: u16, reason: &'static str) -> Bytes {
    let length = 2 + reason.len();
    assert!(length <= 125, "a control frame is short");
    let [high, low] = code.to_be_bytes();
    [&[FIN | CLOSE, length as u8, high, low], reason.as_bytes()].concat().into()
}

/// One frame within a run of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Header and payload.
    pub whole: &'a [u8],
    pub payload: &'a [u8],
}

impl Frame<'_> {
    /// A text message in one piece.
    pub fn is_text(&self) -> bool {
        self.whole[0] == FIN | TEXT
    }

    /// Nothing may follow it.
    pub fn is_close(&self) -> bool {
        self.whole[0] & OPCODE == CLOSE
    }
}

/// Splits the first frame off. `None` when `bytes` do not begin with a whole unmasked frame.
pub fn split(bytes: &[u8]) -> Option<(Frame<'_>, &[u8])> {
    let (header, length) = header(bytes)?.ok()?;
    let (whole, after) = bytes.split_at_checked(header.checked_add(usize::try_from(length).ok()?)?)?;
    Some((Frame { whole, payload: &whole[header..] }, after))
}

/// A server never masks.
pub(crate) struct Masked;

/// The length of the frame that `bytes` begin with, its header included; `None` while some of that is missing.
pub(crate) fn length(bytes: &[u8]) -> Option<Result<u64, Masked>> {
    header(bytes).map(|read| read.map(|(header, length)| length.saturating_add(header as u64)))
}

/// How long the header is, and what follows it.
fn header(bytes: &[u8]) -> Option<Result<(usize, u64), Masked>> {
    Some(Ok(match *bytes.get(1)? {
        masked if masked & MASKED != 0 => return Some(Err(Masked)),
        126 => (4, u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?).into()),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)),
        short => (2, short.into()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_written_and_read_again() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, 200_000] {
            let payload = "x".repeat(length);
            let frame = text(&payload);
            let more = [&frame[..], b"\x88\x00"].concat();
            let (first, after) = split(&more).unwrap();
            assert_eq!((first.whole, first.payload), (&frame[..], payload.as_bytes()), "{length}");
            assert!(first.is_text() && !first.is_close());
            let (last, nothing) = split(after).unwrap();
            assert!(last.is_close() && nothing.is_empty());
        }
    }

    #[test]
    fn what_is_no_whole_frame_is_none() {
        for length in [0, 125, 126, 65_536] {
            let frame = text(&"x".repeat(length));
            for cut in [0, 1, 3, 9, frame.len() - 1] {
                assert_eq!(split(&frame[..cut.min(frame.len() - 1)]), None, "{length} cut at {cut}");
            }
        }
        assert_eq!(split(b"\x81\x81\0\0\0\0x"), None, "a server never masks");
        assert_eq!(split(&[0x81, 127, 255, 255, 255, 255, 255, 255, 255, 255, 0]), None, "no overflow");
    }
}
