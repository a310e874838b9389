//! CONNECT_ERROR with `data`.
//!
//! socketioxide 0.18 sends `44{"message": …}` and nothing else, while the contract (as Socket.IO 5 itself) puts the
//! refusal's code into `data`. So the refusal travels as JSON inside that message, and the stream unfolds it on its
//! way out.

use serde_json::Value;
use system_protocol::Refusal;
use system_wire::Passage;

/// A refusal as a connect middleware's error: its text is the packet's payload.
#[derive(Debug)]
pub(super) struct Refused(pub(super) Refusal);

impl std::fmt::Display for Refused {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}", self.0.connect_error())
    }
}

/// What becomes of a packet of socketioxide's own.
pub(super) fn inspect(packet: &[u8]) -> Passage {
    if packet.starts_with(b"40{") {
        return Passage::Opens;
    }
    unfolded(packet).map_or(Passage::Pass, Passage::Instead)
}

fn unfolded(packet: &[u8]) -> Option<String> {
    let packet: Value =
        serde_json::from_slice(packet.strip_prefix(b"44").filter(|rest| rest.starts_with(b"{"))?).ok()?;
    let inner: Value = serde_json::from_str(packet.get("message")?.as_str()?).ok()?;
    inner.is_object().then(|| format!("44{inner}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_refusal_comes_out_as_the_contract_says() {
        let packet = format!("44{}", json!({ "message": Refused(Refusal::unauthenticated()).to_string() }));
        let expected = r#"44{"data":{"code":"unauthenticated"},"message":"Authentication required"}"#;
        assert_eq!(inspect(packet.as_bytes()), Passage::Instead(expected.to_owned()));
    }

    #[test]
    fn nothing_else_is_touched() {
        for packet in
            ["2", "42[\"44{\"]", "44/other,{\"message\":\"Invalid namespace\"}", "44{\"message\":\"Plain\"}", ""]
        {
            assert_eq!(inspect(packet.as_bytes()), Passage::Pass, "{packet}");
        }
        assert_eq!(inspect(b"40{\"sid\":\"x\"}"), Passage::Opens);
    }
}
