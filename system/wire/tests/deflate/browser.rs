//! The other side: takes the server's frames apart and inflates them as browsers do, with one window per connection.
//! Three inflaters at once: zlib's algorithm, an independent one, and one that insists on the window that was agreed on.

use flate2::{Decompress, FlushDecompress};
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZFlush};

use crate::strict::Strict;

const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// A frame taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) first: u8,
    pub(crate) payload: &'a [u8],
}

pub(crate) struct Browser {
    zlib: Decompress,
    strict: Strict,
    other: Box<InflateState>,
    /// Forget everything after each message.
    without_context: bool,
}

impl Browser {
    pub(crate) fn new(window_bits: u8, without_context: bool) -> Self {
        let zlib = Decompress::new(false);
        let strict = Strict::new(window_bits);
        Browser { zlib, strict, other: InflateState::new_boxed(DataFormat::Raw), without_context }
    }

    /// The content of a finished frame, and whether it was compressed. Panics where a browser would fail.
    pub(crate) fn read(&mut self, frame: &[u8]) -> (Vec<u8>, bool) {
        let Frame { first, payload } = split(frame);
        assert!(matches!(first & 0xbf, 0x81 | 0x82), "one whole data message, no other reserved bit: {first:#x}");
        if first & 0x40 == 0 {
            return (payload.to_vec(), false);
        }
        let input = [payload, &TAIL].concat();
        let content = self.zlib(&input);
        assert!(content == self.other(&input) && content == self.strict.inflate(&input), "three inflaters agree");
        if self.without_context {
            self.zlib.reset(false);
            self.strict.forget();
            self.other.reset(DataFormat::Raw);
        }
        (content, true)
    }

    fn zlib(&mut self, input: &[u8]) -> Vec<u8> {
        let mut content = Vec::new();
        let start = self.zlib.total_in();
        loop {
            content.reserve(64 * 1024);
            let (taken, had) = ((self.zlib.total_in() - start) as usize, content.len());
            let status = self.zlib.decompress_vec(&input[taken..], &mut content, FlushDecompress::Sync);
            assert!(status.is_ok(), "zlib: {status:?} after {} bytes", content.len());
            if content.len() == had {
                assert_eq!((self.zlib.total_in() - start) as usize, input.len(), "all of it is read");
                return content;
            }
        }
    }

    fn other(&mut self, mut input: &[u8]) -> Vec<u8> {
        let mut content = Vec::new();
        loop {
            let mut piece = [0; 4096];
            let done = inflate(&mut self.other, input, &mut piece, MZFlush::Sync);
            input = &input[done.bytes_consumed..];
            content.extend_from_slice(&piece[..done.bytes_written]);
            let idle = done.bytes_consumed == 0 && done.bytes_written == 0;
            assert!(done.status.is_ok() || idle, "{:?} after {} bytes", done.status, content.len());
            if idle || (input.is_empty() && done.bytes_written < piece.len()) {
                assert!(input.is_empty(), "all of it is read");
                return content;
            }
        }
    }
}

/// One finished frame of a server.
pub(crate) fn split(frame: &[u8]) -> Frame<'_> {
    let start = match frame[1] {
        126 => 4,
        127 => 10,
        short => {
            assert!(short < 126, "a server never masks");
            2
        }
    };
    let length = match start {
        2 => u64::from(frame[1]),
        4 => u64::from(u16::from_be_bytes([frame[2], frame[3]])),
        _ => u64::from_be_bytes(frame[2..10].try_into().unwrap()),
    };
    let payload = &frame[start..];
    assert_eq!(payload.len() as u64, length, "the frame is whole");
    Frame { first: frame[0], payload }
}

/// A finished plain frame of a server.
pub(crate) fn plain(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(first, 0, payload.len());
    frame.extend_from_slice(payload);
    frame
}

/// Up to the length; `masked` is 0x80 when a mask follows. Not the code that is tested.
pub(crate) fn header(first: u8, masked: u8, length: usize) -> Vec<u8> {
    let mut header = vec![first];
    match length {
        short @ 0..=125 => header.push(masked + short as u8),
        middle @ 126..=0xffff => {
            header.push(masked + 126);
            header.extend((middle as u16).to_be_bytes());
        }
        long => {
            header.push(masked + 127);
            header.extend((long as u64).to_be_bytes());
        }
    }
    header
}
