//! Engine.IO 4 packets, one to a WebSocket text frame: a digit, then the payload.
//! <https://github.com/socketio/engine.io-protocol>

use std::time::Duration;

use serde::Deserialize;

use super::Malformed;

/// A node's ping times beyond this are nonsense, and would overflow clocks.
const LONGEST: u64 = 24 * 60 * 60 * 1000;

pub(crate) const PONG: &str = "3";

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Packet<'a> {
    Open(Open),
    Close,
    Ping,
    /// A Socket.IO packet.
    Message(&'a str),
    Noop,
}

/// The handshake: how often the node pings, and how long it waits for us.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Open {
    #[serde(rename = "pingInterval")]
    ping_interval: u64,
    #[serde(rename = "pingTimeout")]
    ping_timeout: u64,
}

impl Open {
    /// A node that is silent for longer is gone.
    pub(crate) fn liveness(&self) -> Duration {
        Duration::from_millis(self.ping_interval + self.ping_timeout)
    }
}

pub(crate) fn read(frame: &str) -> Result<Packet<'_>, Malformed> {
    let malformed = || Malformed::new("engine.io packet", frame);
    let kind = frame.as_bytes().first().ok_or_else(malformed)?;
    match (kind, frame.get(1..).unwrap_or_default()) {
        (b'0', json) => open(json).map(Packet::Open),
        (b'1', "") => Ok(Packet::Close),
        (b'2', "") => Ok(Packet::Ping),
        (b'4', packet) => Ok(Packet::Message(packet)),
        (b'6', "") => Ok(Packet::Noop),
        _ => Err(malformed()),
    }
}

fn open(json: &str) -> Result<Open, Malformed> {
    let open: Open = serde_json::from_str(json).map_err(|e| Malformed::json("engine.io handshake", &e))?;
    let times = [open.ping_interval, open.ping_timeout];
    if times.iter().all(|time| (1..=LONGEST).contains(time)) {
        Ok(open)
    } else {
        Err(Malformed::new("ping times of the engine.io handshake", &format!("{times:?}")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_handshake_gives_the_liveness() {
        let frame = r#"0{"sid":"s","upgrades":[],"pingInterval":2000,"pingTimeout":1500,"maxPayload":1000000}"#;
        let Ok(Packet::Open(open)) = read(frame) else { panic!("no handshake") };
        assert_eq!(open.liveness(), Duration::from_millis(3500));
    }

    #[test]
    fn packets_are_told_apart() {
        assert_eq!(read("1"), Ok(Packet::Close));
        assert_eq!(read("2"), Ok(Packet::Ping));
        assert_eq!(read("40"), Ok(Packet::Message("0")));
        assert_eq!(read("6"), Ok(Packet::Noop));
    }

    #[test]
    fn anything_else_is_malformed() {
        for bad in [
            "",
            "3",
            "2probe",
            "5",
            "7",
            "x",
            "ä",
            "0",
            "0{}",
            r#"0{"pingInterval":0,"pingTimeout":1}"#,
            r#"0{"pingInterval":18446744073709551615,"pingTimeout":18446744073709551615}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_frame_makes_it_panic(frame in any::<String>(), json in "0[{}\":a-zA-Z0-9,]{0,60}") {
            let _ = read(&frame);
            let _ = read(&json);
        }
    }
}
