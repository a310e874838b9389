//! What peers send, read by a server through a decoder.

use flate2::{Compress, Compression, FlushCompress};
use miniz_oxide::deflate::core::{CompressorOxide, TDEFLFlush, compress_to_output, create_comp_flags_from_zip_params};
use proptest::prelude::*;
use system_wire::deflate::DecodeError;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::browser::header;
use crate::chunks::server_reads;

const LIMIT: usize = 1_000_000;
const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const PING: u8 = 9;

fn is_end(error: &Error) -> bool {
    matches!(error, Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))
}

fn reads(bytes: Vec<u8>) -> Vec<Message> {
    let (messages, end) = server_reads([bytes], LIMIT);
    assert!(is_end(&end), "{end}");
    messages
}

fn refuses(bytes: Vec<u8>) -> Error {
    let (messages, end) = server_reads([bytes], LIMIT);
    assert!(!is_end(&end) && !messages.iter().any(|message| message.is_text() || message.is_binary()), "{messages:?}");
    end
}

#[track_caller]
fn ends_with(bytes: Vec<u8>, expected: DecodeError) {
    let Error::Io(error) = refuses(bytes) else { panic!("tungstenite judged it, not the decoder") };
    assert_eq!(error.get_ref().and_then(|error| error.downcast_ref()), Some(&expected));
}

/// A client's frame.
fn frame(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut frame = header(first, 0x80, payload.len());
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

fn message(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first, payload, [0x37, 0xfa, 0x21, 0x3d])
}

/// zlib's algorithm, as most clients have it.
fn deflate(content: &[u8], level: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + content.len() / 8 + 64);
    let mut compressor = Compress::new(Compression::new(level), false);
    compressor.compress_vec(content, &mut out, FlushCompress::Sync).unwrap();
    out.truncate(out.len().saturating_sub(4));
    if out.is_empty() { vec![0] } else { out }
}

/// Another implementation.
fn other_deflate(content: &[u8], level: i32) -> Vec<u8> {
    let mut compressor = CompressorOxide::new(create_comp_flags_from_zip_params(level, -15, 0));
    let mut out = Vec::new();
    let (_, taken) = compress_to_output(&mut compressor, content, TDEFLFlush::Sync, |piece| {
        out.extend_from_slice(piece);
        true
    });
    assert_eq!(taken, content.len());
    out.truncate(out.len().saturating_sub(4));
    if out.is_empty() { vec![0] } else { out }
}

fn compressed(first: u8, content: &[u8]) -> Vec<u8> {
    message(FIN | RSV1 | first, &deflate(content, 6))
}

#[test]
fn the_examples_of_rfc_7692_are_read() {
    let hello = vec![Message::text("Hello")];
    let whole = |payload: &[u8]| message(FIN | RSV1 | TEXT, payload);
    assert_eq!(reads(whole(&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00])), hello, "section 7.2.3.1");
    let fragments = [message(RSV1 | TEXT, &[0xf2, 0x48, 0xcd]), message(FIN, &[0xc9, 0xc9, 0x07, 0x00])].concat();
    assert_eq!(reads(fragments), hello, "section 7.2.3.1, in fragments");
    let stored = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
    assert_eq!(reads(whole(&stored)), hello, "section 7.2.3.3: a block without compression");
    assert_eq!(reads(whole(&[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00])), hello, "section 7.2.3.4: a last block");
    let two = [0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00];
    assert_eq!(reads(whole(&two)), hello, "section 7.2.3.5: two blocks");
    assert_eq!(reads(whole(&[0x00])), [Message::text("")], "section 7.2.3.6: nothing");
}

#[test]
fn a_reference_to_the_message_before_ends_the_connection() {
    let second = message(FIN | RSV1 | TEXT, &[0xf2, 0x00, 0x11, 0x00, 0x00]);
    ends_with(second.clone(), DecodeError::Corrupt);
    let (messages, _) = server_reads([[compressed(TEXT, b"Hello"), second].concat()], LIMIT);
    assert_eq!(messages, [Message::text("Hello")], "section 7.2.3.2 needs a context, and the answer forbade it");
}

#[test]
fn what_follows_a_last_block_may_refer_to_what_went_before() {
    let begin = b"a message that goes on, ".repeat(3000);
    let mut payload = Vec::with_capacity(begin.len());
    Compress::new(Compression::new(6), false).compress_vec(&begin, &mut payload, FlushCompress::Finish).unwrap();
    let mut compressor = Compress::new(Compression::new(6), false);
    compressor.set_dictionary(&begin[begin.len() - 32_768..]).unwrap();
    let mut rest = Vec::with_capacity(1024);
    compressor.compress_vec(&begin[..100], &mut rest, FlushCompress::Sync).unwrap();
    payload.extend_from_slice(&rest[..rest.len() - 4]);
    assert!(rest.len() < 60, "it does refer to it");
    assert_eq!(reads(message(FIN | RSV1 | BINARY, &payload)), [Message::binary([&begin[..], &begin[..100]].concat())]);
}

#[test]
fn an_endless_row_of_last_blocks_ends_the_connection() {
    let one = [0x03, 0x00];
    assert_eq!(reads(message(FIN | RSV1 | TEXT, &[&one.repeat(200)[..], &[0]].concat())), [Message::text("")]);
    ends_with(message(FIN | RSV1 | TEXT, &[&one.repeat(100_000)[..], &[0]].concat()), DecodeError::Corrupt);
}

#[test]
fn a_bomb_ends_the_connection() {
    let bomb = deflate(&vec![0; 64 * LIMIT], 9);
    assert!(bomb.len() < LIMIT / 10, "{} bytes are a bomb", bomb.len());
    ends_with(message(FIN | RSV1 | BINARY, &bomb), DecodeError::TooLarge);
    let pieces: Vec<&[u8]> = bomb.chunks(1000).collect();
    let frames = pieces.iter().enumerate().map(|(nth, piece)| {
        let first = if nth == 0 { RSV1 | BINARY } else { 0 };
        message(first | if nth + 1 == pieces.len() { FIN } else { 0 }, piece)
    });
    ends_with(frames.collect::<Vec<_>>().concat(), DecodeError::TooLarge);
}

#[test]
fn the_limit_is_exact_also_for_what_does_not_shrink() {
    let noise: Vec<u8> = (0..=LIMIT as u64).map(|nth| (nth.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
    for content in [&noise[..], &vec![7; LIMIT + 1]] {
        for level in [0, 1, 6] {
            let fits = message(FIN | RSV1 | BINARY, &deflate(&content[..LIMIT], level));
            assert_eq!(reads(fits), [Message::binary(content[..LIMIT].to_vec())]);
            ends_with(message(FIN | RSV1 | BINARY, &deflate(content, level)), DecodeError::TooLarge);
        }
    }
}

#[test]
fn what_is_too_large_before_it_is_inflated_is_not_even_awaited() {
    let mut endless = vec![FIN | RSV1 | BINARY, 0x80 | 127];
    endless.extend(u64::MAX.to_be_bytes());
    endless.extend([0; 4]);
    ends_with(endless, DecodeError::TooLarge);
    let many = (0..40).map(|nth| message(if nth == 0 { RSV1 | BINARY } else { 0 }, &vec![0; 30_000]));
    ends_with(many.collect::<Vec<_>>().concat(), DecodeError::TooLarge);
}

#[test]
fn corrupt_and_unfinished_messages_end_the_connection() {
    let good = deflate(b"a message that is long enough to be cut anywhere, anywhere, anywhere", 6);
    for cut in 1..good.len() - 1 {
        ends_with(message(FIN | RSV1 | TEXT, &good[..cut]), DecodeError::Corrupt);
    }
    for junk in [&[0xff][..], &[0x06], b"not deflate at all", &[0x03, 0x00, 0x07], &[0, 0xff, 0xff, 0, 0]] {
        ends_with(message(FIN | RSV1 | TEXT, junk), DecodeError::Corrupt);
    }
}

#[test]
fn inflated_text_must_be_utf_8() {
    assert!(matches!(refuses(compressed(TEXT, &[b'a', 0xc3, 0x28])), Error::Utf8(_)));
    assert!(matches!(refuses(compressed(TEXT, &[0xed, 0xa0, 0x80])), Error::Utf8(_)), "a lone surrogate");
    assert_eq!(reads(compressed(BINARY, &[0xc3, 0x28])), [Message::binary(vec![0xc3, 0x28])]);
    let umlaut = "ü".repeat(3).into_bytes();
    let cut = [message(RSV1 | TEXT, &deflate(&umlaut, 0)[..6]), message(FIN, &deflate(&umlaut, 0)[6..])].concat();
    assert_eq!(reads(cut), [Message::text("üüü")], "a character may be cut by a fragment");
}

#[test]
fn the_bit_is_only_for_the_first_frame_of_a_message() {
    let hello = deflate(b"Hello", 6);
    assert!(matches!(refuses(message(FIN | RSV1 | PING, b"x")), Error::Protocol(_)), "not for control frames");
    let begun = message(RSV1 | TEXT, &hello[..3]);
    ends_with([&begun[..], &message(FIN | RSV1, &hello[3..])].concat(), DecodeError::Protocol);
    let plain = message(TEXT, b"He");
    assert!(matches!(refuses([&plain[..], &message(FIN | RSV1, b"llo")].concat()), Error::Protocol(_)));
    assert!(matches!(refuses(message(FIN | RSV1, &hello)), Error::Protocol(_)), "a continuation of nothing");
    for first in [0x20, 0x10, 0x60, 0x50, 0x70] {
        assert!(matches!(refuses(message(FIN | first | TEXT, &hello)), Error::Protocol(_)), "{first:#x}");
        ends_with([&begun[..], &message(FIN | first, &hello[3..])].concat(), DecodeError::Protocol);
    }
}

#[test]
fn messages_may_not_begin_within_others() {
    let hello = deflate(b"Hello", 6);
    let begun = message(RSV1 | TEXT, &hello[..3]);
    ends_with([&begun[..], &message(FIN | TEXT, b"x")].concat(), DecodeError::Protocol);
    ends_with([&begun[..], &compressed(TEXT, b"x")].concat(), DecodeError::Protocol);
    assert!(matches!(refuses([message(TEXT, b"He"), compressed(TEXT, b"x")].concat()), Error::Protocol(_)));
}

#[test]
fn frames_without_a_mask_end_the_connection() {
    let hello = deflate(b"Hello", 6);
    let bare = [&[FIN | RSV1 | TEXT, hello.len() as u8][..], &hello].concat();
    assert!(matches!(refuses(bare), Error::Protocol(_)));
    let rest = [&[FIN, hello.len() as u8 - 3][..], &hello[3..]].concat();
    ends_with([message(RSV1 | TEXT, &hello[..3]), rest].concat(), DecodeError::Protocol);
}

/// A message as a client may send it.
#[derive(Debug, Clone)]
struct Sent {
    content: String,
    binary: bool,
    how: How,
    /// Cuts between frames, in thousandths of the payload.
    cuts: Vec<usize>,
    /// A ping goes before each frame but the first.
    pings: bool,
    mask: [u8; 4],
}

#[derive(Debug, Clone, Copy)]
enum How {
    Plain,
    Zlib(u32),
    Other(i32),
}

fn sent() -> impl Strategy<Value = Sent> {
    let content = prop_oneof!["\\PC{0,80}", "(chat-message ){0,400}", "[a-f0-9]{0,3000}"];
    let how = prop_oneof![Just(How::Plain), (0..=9u32).prop_map(How::Zlib), (0..=9i32).prop_map(How::Other)];
    let cuts = prop::collection::vec(0..=1000usize, 0..5);
    let parts = (content, any::<bool>(), how, cuts, any::<bool>(), any::<[u8; 4]>());
    parts.prop_map(|(content, binary, how, mut cuts, pings, mask)| {
        cuts.sort_unstable();
        Sent { content, binary, how, cuts, pings, mask }
    })
}

impl Sent {
    fn bytes(&self) -> Vec<u8> {
        let content = self.content.as_bytes();
        let (payload, bit) = match self.how {
            How::Plain => (content.to_vec(), 0),
            How::Zlib(level) => (deflate(content, level), RSV1),
            How::Other(level) => (other_deflate(content, level), RSV1),
        };
        let ends = self.cuts.iter().map(|cut| cut * payload.len() / 1000).chain([payload.len()]);
        let mut bytes = Vec::new();
        let mut start = 0;
        for (nth, end) in ends.enumerate() {
            if nth > 0 && self.pings {
                bytes.extend(frame(FIN | PING, b"still there?", self.mask));
            }
            let opcode = if nth > 0 { 0 } else { bit | if self.binary { BINARY } else { TEXT } };
            let last = if nth == self.cuts.len() { FIN } else { 0 };
            bytes.extend(frame(opcode | last, &payload[start..end], self.mask));
            start = end;
        }
        bytes
    }

    fn expected(&self) -> Vec<Message> {
        let pings = if self.pings { self.cuts.len() } else { 0 };
        let content = self.content.clone();
        let message = if self.binary { Message::binary(content) } else { Message::text(content) };
        std::iter::repeat_n(Message::Ping("still there?".into()), pings).chain([message]).collect()
    }
}

proptest! {
    #[test]
    fn messages_in_fragments_between_pings_in_any_chunks_are_read(
        sent in prop::collection::vec(sent(), 1..8),
        chunk in prop_oneof![1..20usize, 100..5000usize],
    ) {
        let bytes: Vec<u8> = sent.iter().flat_map(Sent::bytes).collect();
        let (messages, end) = server_reads(bytes.chunks(chunk).map(<[u8]>::to_vec), LIMIT);
        prop_assert_eq!(messages, sent.iter().flat_map(Sent::expected).collect::<Vec<_>>());
        prop_assert!(is_end(&end), "{}", end);
    }

    #[test]
    fn no_bytes_make_it_panic(
        sent in prop::collection::vec(sent(), 0..3),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        junk in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut bytes: Vec<u8> = sent.iter().flat_map(Sent::bytes).chain(junk).collect();
        for (at, with) in flips {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] ^= with;
            }
        }
        server_reads(bytes.chunks(97).map(<[u8]>::to_vec), LIMIT);
    }
}
