//! One message through zlib (RFC 7692, sections 7.2.1 and 7.2.2): raw deflate, each message flushed to a byte boundary.

use std::cell::RefCell;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::DecodeError;
use super::negotiation::WINDOW_BITS;

/// What ends every flush, and is left out on the wire.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// A last block without content. A message is complete where it may follow.
const END: [u8; 5] = [1, 0, 0, 0xff, 0xff];
/// A message without content.
const EMPTY: u8 = 0;
/// Room for what flushing adds, and for what deflate adds to bytes that do not shrink.
const SLACK: usize = 128;
/// How far back a peer may refer, and how much is inflated at a time.
const WINDOW: usize = 32 * 1024;
/// Last blocks within a message. zlib writes none and others one; each costs a new start with the window so far.
const LAST_BLOCKS: usize = 256;

/// A compressor with its window: 368 KiB at 15 bits.
pub(super) struct Compressor(Compress);

impl Compressor {
    pub(super) fn new(window_bits: u8) -> Self {
        Compressor(Compress::new_with_window_bits(Compression::default(), false, window_bits))
    }

    /// Forgets what went before.
    pub(super) fn reset(&mut self) {
        self.0.reset();
    }

    /// Appends the message as it goes on the wire, which may refer to the messages before it.
    pub(super) fn message(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        if payload.is_empty() {
            // zlib has nothing to flush after a flush.
            out.push(EMPTY);
            return;
        }
        out.reserve(payload.len() + payload.len() / 8 + SLACK);
        let before = self.0.total_in();
        let status = self.0.compress_vec(payload, out, FlushCompress::Sync);
        // A full buffer could mean that the flush is not complete.
        let whole = self.0.total_in() - before == payload.len() as u64 && out.len() < out.capacity();
        assert!(whole && matches!(status, Ok(Status::Ok)), "deflate into memory: {status:?}");
        assert!(out.ends_with(&TAIL), "a flush ends with an empty block");
        out.truncate(out.len() - TAIL.len());
    }
}

thread_local! {
    /// By window bits; messages that stand alone need no window of anybody's.
    static ALONE: RefCell<Vec<Option<Compressor>>> = const { RefCell::new(Vec::new()) };
    static INFLATER: RefCell<Decompress> = RefCell::new(Decompress::new(false));
}

/// Appends the message so that it refers to nothing before it.
pub(super) fn compress_alone(window_bits: u8, payload: &[u8], out: &mut Vec<u8>) {
    ALONE.with_borrow_mut(|compressors| {
        compressors.resize_with(WINDOW_BITS.count(), || None);
        let nth = usize::from(window_bits - WINDOW_BITS.start());
        let compressor = compressors[nth].get_or_insert_with(|| Compressor::new(window_bits));
        compressor.reset();
        compressor.message(payload, out);
    });
}

/// Appends the content of a message that stands alone; at most `limit` bytes, else it is an error.
pub(super) fn inflate(payload: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), DecodeError> {
    if payload.is_empty() {
        // Section 7.2.3.6 wants one byte; those who send none mean the same.
        return Ok(());
    }
    INFLATER.with_borrow_mut(|inflater| {
        inflater.reset(false);
        let start = out.len();
        let mut message = Inflation { inflater, start, limit, out, ended: false, last_blocks: 0 };
        message.feed(payload)?;
        message.feed(&TAIL)?;
        message.feed(&END)?;
        if message.ended { Ok(()) } else { Err(DecodeError::Corrupt) }
    })
}

struct Inflation<'a> {
    inflater: &'a mut Decompress,
    out: &'a mut Vec<u8>,
    /// Where in `out` the message begins.
    start: usize,
    limit: usize,
    /// The last block was one that says so.
    ended: bool,
    last_blocks: usize,
}

impl Inflation<'_> {
    fn feed(&mut self, mut input: &[u8]) -> Result<(), DecodeError> {
        while !input.is_empty() {
            if std::mem::take(&mut self.ended) {
                self.start_again()?;
            }
            let left = self.limit + 1 - (self.out.len() - self.start);
            self.out.reserve(left.min(WINDOW));
            let (taken, written) = (self.inflater.total_in(), self.out.len());
            let status = self.inflater.decompress_vec(input, self.out, FlushDecompress::None);
            let status = status.map_err(|_| DecodeError::Corrupt)?;
            let taken = (self.inflater.total_in() - taken) as usize;
            input = &input[taken..];
            if self.out.len() - self.start > self.limit {
                return Err(DecodeError::TooLarge);
            }
            self.ended = status == Status::StreamEnd;
            if taken == 0 && written == self.out.len() && !self.ended {
                return Err(DecodeError::Corrupt);
            }
        }
        Ok(())
    }

    /// After a last block more may follow within the message (section 7.2.3.4), and may refer to what went before.
    fn start_again(&mut self) -> Result<(), DecodeError> {
        self.last_blocks += 1;
        if self.last_blocks > LAST_BLOCKS {
            return Err(DecodeError::Corrupt);
        }
        self.inflater.reset(false);
        let window = self.out.len().saturating_sub(WINDOW).max(self.start);
        self.inflater.set_dictionary(&self.out[window..]).map_err(|_| DecodeError::Corrupt)?;
        Ok(())
    }
}
