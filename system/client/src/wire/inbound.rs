//! The events that a node sends, read straight into their types: a load generator reads thousands a second.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, SeqAccess, Visitor};
use system_protocol::{ChatMessage, Draining, Joined, Refusal, event};

use super::Malformed;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Inbound {
    Message(ChatMessage),
    Joined(Joined),
    Error(Refusal),
    Draining(Draining),
    /// Not of this contract, by name.
    Other(String),
}

/// Reads `["name", payload, …]`; what follows the payload is ignored, as unknown fields are.
pub(crate) fn read(json: &str) -> Result<Inbound, Malformed> {
    serde_json::from_str(json).map_err(|e| Malformed::json("event", &e))
}

impl<'de> Deserialize<'de> for Inbound {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(Event)
    }
}

struct Event;

impl<'de> Visitor<'de> for Event {
    type Value = Inbound;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an array of a name and a payload")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Inbound, A::Error> {
        let name: String = next(&mut array)?;
        let inbound = match name.as_str() {
            event::CHAT_MESSAGE => Inbound::Message(next(&mut array)?),
            event::JOINED => Inbound::Joined(next(&mut array)?),
            event::ERROR => Inbound::Error(next(&mut array)?),
            event::DRAINING => Inbound::Draining(next(&mut array)?),
            _ => Inbound::Other(name),
        };
        while array.next_element::<IgnoredAny>()?.is_some() {}
        Ok(inbound)
    }
}

fn next<'de, A: SeqAccess<'de>, T: Deserialize<'de>>(array: &mut A) -> Result<T, A::Error> {
    array.next_element()?.ok_or_else(|| A::Error::custom("event without a payload"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn events_are_read_into_their_types() {
        let message = r#"["chat-message",{"id":"i","room":"r","sender":"u","content":"x","timestamp":1,
                          "offset":"00000000000100000000","more":true},7]"#;
        let Ok(Inbound::Message(message)) = read(message) else { panic!("no message") };
        assert_eq!((message.id.as_str(), message.timestamp), ("i", 1));
        let Ok(Inbound::Error(refusal)) = read(r#"["error",{"message":"m","code":"room_full"}]"#) else { panic!() };
        assert_eq!(refusal.code, system_protocol::Code::RoomFull);
        assert_eq!(read(r#"["news"]"#), Ok(Inbound::Other("news".into())));
        let Ok(Inbound::Draining(draining)) = read(r#"["draining",{"reconnect_within_ms":9}]"#) else { panic!() };
        assert_eq!(draining.reconnect_within_ms, 9);
    }

    #[test]
    fn a_payload_against_the_contract_is_malformed() {
        for bad in [
            "[]",
            "{}",
            "[1]",
            r#"["chat-message"]"#,
            r#"["chat-message",{"id":"i"}]"#,
            r#"["joined",{"room":"a b"}]"#,
            r#"["draining",{"reconnect_within_ms":-1}]"#,
            r#"["error","m"]"#,
            r#"["news"] "#.trim_end_matches("] "),
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_event_makes_it_panic(json in any::<String>(), near in "\\[\"(joined|error|chat-message)\",[{}\":a-z0-9,]{0,40}\\]") {
            let _ = read(&json);
            let _ = read(&near);
        }
    }
}
