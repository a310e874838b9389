//! Socket.IO 5 packets of the main namespace: `<type>[<ack id>][<JSON>]`.
//! <https://github.com/socketio/socket.io-protocol>

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;
use system_protocol::{Code, Refusal};

use super::Malformed;

/// Goodbye, as a whole Engine.IO frame.
pub(crate) const DISCONNECT: &str = "41";

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Packet<'a> {
    /// The node lets us in.
    Connect,
    Disconnect,
    /// `["name", …]`
    Event(&'a str),
    /// `[…]`, the answer to the event that carried `id`.
    Ack {
        id: u64,
        json: &'a str,
    },
    ConnectError(&'a str),
}

pub(crate) fn read(packet: &str) -> Result<Packet<'_>, Malformed> {
    let malformed = || Malformed::new("socket.io packet", packet);
    let kind = packet.as_bytes().first().ok_or_else(malformed)?;
    let rest = packet.get(1..).unwrap_or_default();
    match kind {
        b'0' if rest.is_empty() || rest.starts_with('{') => Ok(Packet::Connect),
        b'1' if rest.is_empty() => Ok(Packet::Disconnect),
        b'2' => match numbered(rest).ok_or_else(malformed)? {
            (_, json) if json.starts_with('[') => Ok(Packet::Event(json)),
            _ => Err(malformed()),
        },
        b'3' => match numbered(rest).ok_or_else(malformed)? {
            (Some(id), json) if json.starts_with('[') => Ok(Packet::Ack { id, json }),
            _ => Err(malformed()),
        },
        b'4' if rest.starts_with('{') => Ok(Packet::ConnectError(rest)),
        // 5 and 6 are binary, a `/` begins another namespace: never asked for.
        _ => Err(malformed()),
    }
}

/// Splits the ack id off. `None` when it does not fit 64 bits.
fn numbered(rest: &str) -> Option<(Option<u64>, &str)> {
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (id, json) = rest.split_at(digits);
    if id.is_empty() { Some((None, json)) } else { Some((Some(id.parse().ok()?), json)) }
}

/// The first argument of an ack.
pub(crate) fn read_ack(json: &str) -> Result<Value, Malformed> {
    let arguments: Vec<Value> = serde_json::from_str(json).map_err(|e| Malformed::json("ack", &e))?;
    arguments.into_iter().next().ok_or_else(|| Malformed::new("ack", json))
}

/// `{ "message", "data": { "code" } }`; stock servers send no `data`.
pub(crate) fn read_connect_error(json: &str) -> Result<Refusal, Malformed> {
    let error: Value = serde_json::from_str(json).map_err(|e| Malformed::json("connect error", &e))?;
    let message = error.get("message").and_then(Value::as_str).unwrap_or("no reason given");
    let code = error.pointer("/data/code").cloned().and_then(|code| serde_json::from_value(code).ok());
    Ok(Refusal::new(code.unwrap_or(Code::Unknown), message))
}

/// CONNECT, as a whole Engine.IO frame.
pub(crate) fn connect(auth: &impl Serialize) -> String {
    frame("40", None, auth)
}

/// An event that asks for an ack, as a whole Engine.IO frame.
pub(crate) fn event(ack: u64, name: &str, payload: &impl Serialize) -> String {
    frame("42", Some(ack), &(name, payload))
}

fn frame(kind: &str, ack: Option<u64>, payload: &impl Serialize) -> String {
    let json = serde_json::to_string(payload).unwrap_or_else(|_| unreachable!("strings and numbers become JSON"));
    let mut frame = String::with_capacity(json.len() + 24);
    frame.push_str(kind);
    if let Some(ack) = ack {
        let _ = write!(frame, "{ack}");
    }
    frame.push_str(&json);
    frame
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn packets_are_told_apart() {
        assert_eq!(read(r#"0{"sid":"x"}"#), Ok(Packet::Connect));
        assert_eq!(read("1"), Ok(Packet::Disconnect));
        assert_eq!(read(r#"2["a",1]"#), Ok(Packet::Event(r#"["a",1]"#)));
        assert_eq!(read(r#"27["a"]"#), Ok(Packet::Event(r#"["a"]"#)));
        assert_eq!(read("312[1]"), Ok(Packet::Ack { id: 12, json: "[1]" }));
        assert_eq!(read(r#"4{"message":"m"}"#), Ok(Packet::ConnectError(r#"{"message":"m"}"#)));
    }

    #[test]
    fn anything_else_is_malformed() {
        for bad in
            ["", "0x", "1x", "2", "2{}", "3[1]", "3x", "318446744073709551616[1]", "4", "51-[1]", "2/admin,[1]", "ä"]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
        for bad in ["[]", "[", "[1", "[1]]"] {
            assert!(read_ack(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_connect_error_of_a_stock_server_has_no_code() {
        let ours = read_connect_error(&Refusal::unauthenticated().connect_error().to_string()).unwrap();
        assert_eq!(ours, Refusal::unauthenticated());
        assert_eq!(read_connect_error(r#"{"message":"no"}"#).unwrap(), Refusal::new(Code::Unknown, "no"));
    }

    #[test]
    fn what_goes_out_looks_as_the_protocol_says() {
        assert_eq!(connect(&json!({ "token": "t" })), r#"40{"token":"t"}"#);
        assert_eq!(event(3, "join", &json!({ "room": "r" })), r#"423["join",{"room":"r"}]"#);
    }

    proptest! {
        #[test]
        fn no_packet_makes_it_panic(packet in any::<String>(), near in "[0-6][0-9]{0,25}[\\[\\]{}\",a-z]{0,20}") {
            for packet in [&packet, &near] {
                match read(packet) {
                    Ok(Packet::Ack { json, .. }) => drop(read_ack(json)),
                    Ok(Packet::ConnectError(json)) => drop(read_connect_error(json)),
                    _ => {}
                }
            }
        }

        #[test]
        fn an_event_comes_back_as_it_was_written(ack in any::<u64>(), text in any::<String>()) {
            let frame = event(ack, "n", &text);
            let Ok(Packet::Event(json)) = read(&frame[1..]) else { panic!("no event in {frame}") };
            prop_assert_eq!(serde_json::from_str::<(String, String)>(json).unwrap(), ("n".to_owned(), text));
        }
    }
}
