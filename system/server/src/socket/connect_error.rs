//! CONNECT_ERROR with `data`.
//!
//! socketioxide 0.18 sends `44{"message": …}` and nothing else, while the contract (as Socket.IO 5 itself) puts the
//! refusal's code into `data`. So the refusal travels as JSON inside that message, and the stream unfolds it on its
//! way out.

use serde_json::Value;
use system_protocol::Refusal;

const PREFIX: &[u8] = b"44{";
const FIN_AND_TEXT: u8 = 0x81;

/// A refusal as a connect middleware's error: its text is the packet's payload.
#[derive(Debug)]
pub(super) struct Refused(pub(super) Refusal);

impl std::fmt::Display for Refused {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}", self.0.connect_error())
    }
}

/// The same frames with each CONNECT_ERROR completed; `None` when there is none, which is nearly always.
pub(super) fn complete(frames: &[u8]) -> Option<Vec<u8>> {
    let mut rest = frames;
    let mut found = false;
    while let Some((_, payload, after)) = split_frame(rest) {
        found |= payload.starts_with(PREFIX);
        rest = after;
    }
    found.then(|| rewrite(frames))
}

fn rewrite(frames: &[u8]) -> Vec<u8> {
    let mut rest = frames;
    let mut rewritten = Vec::with_capacity(frames.len());
    while let Some((header, payload, after)) = split_frame(rest) {
        match unfolded(header, payload) {
            Some(packet) => push_frame(&mut rewritten, packet.as_bytes()),
            None => rewritten.extend_from_slice(&rest[..rest.len() - after.len()]),
        }
        rest = after;
    }
    rewritten.extend_from_slice(rest);
    rewritten
}

fn unfolded(header: &[u8], payload: &[u8]) -> Option<String> {
    if header[0] != FIN_AND_TEXT || !payload.starts_with(PREFIX) {
        return None;
    }
    let packet: Value = serde_json::from_slice(&payload[2..]).ok()?;
    let inner: Value = serde_json::from_str(packet.get("message")?.as_str()?).ok()?;
    inner.is_object().then(|| format!("44{inner}"))
}

/// Header, payload and what follows, of an unmasked frame (RFC 6455, section 5.2).
fn split_frame(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (header, length) = match *bytes.get(1)? {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?),
        short => (2, usize::from(short & 0x7f)),
    };
    let (header, rest) = bytes.split_at_checked(header)?;
    let (payload, after) = rest.split_at_checked(length)?;
    Some((header, payload, after))
}

fn push_frame(into: &mut Vec<u8>, payload: &[u8]) {
    into.push(FIN_AND_TEXT);
    match u16::try_from(payload.len()) {
        Ok(short @ 0..=125) => into.push(short as u8),
        Ok(length) => {
            into.push(126);
            into.extend_from_slice(&length.to_be_bytes());
        }
        Err(_) => {
            into.push(127);
            into.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    into.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn frame(payload: &str) -> Vec<u8> {
        let mut frame = Vec::new();
        push_frame(&mut frame, payload.as_bytes());
        frame
    }

    fn packet(refusal: Refusal) -> String {
        format!("44{}", json!({ "message": Refused(refusal).to_string() }))
    }

    #[test]
    fn a_refusal_comes_out_as_the_contract_says_and_its_neighbours_stay() {
        let (before, after) = (frame("2"), frame(&"x".repeat(70_000)));
        let frames = [before.clone(), frame(&packet(Refusal::unauthenticated())), after.clone()].concat();
        let expected = frame(r#"44{"data":{"code":"unauthenticated"},"message":"Authentication required"}"#);
        assert_eq!(complete(&frames), Some([before, expected, after].concat()));
    }

    #[test]
    fn nothing_else_is_touched() {
        for payload in ["2", "40{\"sid\":\"x\"}", "42[\"44{\"]", "44/other,{\"message\":\"Invalid namespace\"}", ""] {
            assert_eq!(complete(&frame(payload)), None, "{payload}");
        }
        let plain = frame("44{\"message\":\"Plain\"}");
        assert_eq!(complete(&plain), Some(plain));
    }

    #[test]
    fn half_a_frame_is_left_as_it_is() {
        let whole = [frame(&packet(Refusal::unauthenticated())), frame("2")].concat();
        let completed = complete(&whole[..whole.len() - 1]).unwrap();
        assert_eq!(completed.last(), Some(&1), "the half frame's header is kept");
    }
}
