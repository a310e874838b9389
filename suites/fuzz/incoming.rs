//! The decoder and a WebSocket server above it, in this process: what is right comes through byte for byte, what is
//! not ends the same way however the bytes were cut, and nothing panics or grows beyond the limit.

use system_wire::{
    deflate::{DecodeError, Decoder},
    frame,
};

use super::{Plan, chunks, grammar::Grammar};

const LIMIT: usize = 64 << 10;
/// What the decoder may make of a message beside it: a header.
const HEADER: usize = 14;

#[test]
fn fuzzed_frames_are_decoded_or_refused_and_never_otherwise() {
    let plan = Plan::from_environment("the decoder", 20_000);
    let mut grammar = Grammar::new(plan.seed, 0);
    let (mut frames, mut honest, mut refused) = (0, 0_u64, 0_u64);
    for nth in 0.. {
        let Some(piece) = grammar.line(nth) else { break };
        wild(&mut grammar, &piece.bytes);
    }
    while frames < plan.frames {
        let pieces = 1 + grammar.up_to(11);
        match grammar.up_to(2) {
            0 => {
                let pieces: Vec<_> = (0..pieces).map(|_| grammar.tame(true)).collect();
                let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.bytes.clone()).collect();
                let messages: Vec<_> = pieces.iter().filter_map(|piece| piece.message.clone()).collect();
                frames += pieces.iter().map(|piece| piece.frames).sum::<u64>();
                honest += pieces.len() as u64;
                assert_eq!(server_reads(cut(&mut grammar, &bytes)), messages, "{}", shown(&bytes));
            }
            1 => {
                let pieces: Vec<_> = (0..pieces).map(|_| grammar.tame(false)).collect();
                let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.bytes.clone()).collect();
                frames += pieces.iter().map(|piece| piece.frames).sum::<u64>();
                let (plain, error) = decoded(cut(&mut grammar, &bytes));
                assert!(plain == bytes && error.is_none(), "not as it came ({error:?}): {}", shown(&bytes));
            }
            _ => {
                let pieces: Vec<_> = (0..pieces).map(|_| grammar.wild()).collect();
                let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.bytes.clone()).collect();
                frames += pieces.iter().map(|piece| piece.frames).sum::<u64>();
                refused += u64::from(wild(&mut grammar, &bytes));
            }
        }
    }
    eprintln!("{frames} frames, {honest} honest messages, {refused} streams refused");
    // Of what is wild a good part must be taken for what it is.
    assert!(refused > frames / 200, "only {refused} streams were refused");
}

/// Whether it was refused.
fn wild(grammar: &mut Grammar, bytes: &[u8]) -> bool {
    let (whole, error) = decoded(vec![bytes.to_vec()]);
    let chunks = cut(grammar, bytes);
    let (in_parts, same) = decoded(chunks.clone());
    assert!(
        whole == in_parts && error == same,
        "cut otherwise, read otherwise ({error:?}, {same:?}): {}",
        shown(bytes)
    );
    for message in server_reads(chunks) {
        assert!(message.len() <= LIMIT, "{} bytes of {}", message.len(), shown(bytes));
    }
    // A server's own frames are split without a mask; a client's are none.
    let mut rest = bytes;
    while let Some((frame, after)) = frame::split(rest) {
        assert!(frame.whole.len() + after.len() == rest.len() && frame.whole.ends_with(frame.payload));
        rest = after;
    }
    error.is_some()
}

fn cut(grammar: &mut Grammar, bytes: &[u8]) -> Vec<Vec<u8>> {
    let (mut chunks, mut left) = (Vec::new(), bytes);
    while !left.is_empty() {
        let (chunk, rest) = left.split_at(left.len().min(1 + grammar.up_to(300)));
        chunks.push(chunk.to_vec());
        left = rest;
    }
    chunks
}

/// All that the decoder makes of it.
fn decoded(chunks: Vec<Vec<u8>>) -> (Vec<u8>, Option<DecodeError>) {
    let (mut decoder, mut plain, mut into) = (Decoder::new(LIMIT), Vec::new(), [0; 4096]);
    for chunk in chunks {
        decoder.push(&chunk);
        let before = plain.len();
        loop {
            match decoder.read(&mut into) {
                Ok(0) => break,
                Ok(read) => plain.extend_from_slice(&into[..read]),
                Err(error) => return (plain, Some(error)),
            }
        }
        let messages = chunk.len() / 7 + 1;
        assert!(plain.len() - before <= messages * (LIMIT + HEADER) + chunk.len(), "more than the limit allows");
    }
    (plain, None)
}

/// The messages that a server takes before the end.
fn server_reads(chunks: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let (messages, _) = chunks::server_reads(chunks, LIMIT);
    let messages = messages.into_iter().filter(|message| message.is_text() || message.is_binary());
    messages.map(|message| message.into_data().to_vec()).collect()
}

/// As a line of the corpus.
fn shown(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
