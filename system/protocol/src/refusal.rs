//! Why a node said no: a code for machines, a sentence for people.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What kind of refusal. On the wire in `snake_case`; part of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// No token was given.
    Unauthenticated,
    /// The token was good once.
    TokenExpired,
    /// The token cannot be trusted, or names no valid user.
    TokenInvalid,
    /// The room of CONNECT is no room name.
    RoomInvalid,
    /// The token does not allow this room.
    RoomForbidden,
    /// An event or its payload breaks the contract; the message names the field.
    InvalidPayload,
    /// Too many messages or joins; `retry_after_ms` says when to come back.
    RateLimited,
    /// The sender is not in that room.
    NotInRoom,
    /// This socket is in as many rooms as it may be.
    TooManyRooms,
    /// The node has as many rooms as it may have.
    RoomLimit,
    /// The room holds as many messages as it may hold; it is never trimmed for that.
    RoomFull,
    /// The node is going away and takes nothing new.
    Draining,
    /// The node cannot do this now.
    Unavailable,
    /// A code that this build does not know, of a newer node or of another server.
    #[serde(other)]
    Unknown,
}

impl Code {
    /// Every code that a node can send.
    pub const ALL: [Code; 13] = [
        Code::Unauthenticated,
        Code::TokenExpired,
        Code::TokenInvalid,
        Code::RoomInvalid,
        Code::RoomForbidden,
        Code::InvalidPayload,
        Code::RateLimited,
        Code::NotInRoom,
        Code::TooManyRooms,
        Code::RoomLimit,
        Code::RoomFull,
        Code::Draining,
        Code::Unavailable,
    ];

    /// The name on the wire, which is also the metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Code::Unauthenticated => "unauthenticated",
            Code::TokenExpired => "token_expired",
            Code::TokenInvalid => "token_invalid",
            Code::RoomInvalid => "room_invalid",
            Code::RoomForbidden => "room_forbidden",
            Code::InvalidPayload => "invalid_payload",
            Code::RateLimited => "rate_limited",
            Code::NotInRoom => "not_in_room",
            Code::TooManyRooms => "too_many_rooms",
            Code::RoomLimit => "room_limit",
            Code::RoomFull => "room_full",
            Code::Draining => "draining",
            Code::Unavailable => "unavailable",
            Code::Unknown => "unknown",
        }
    }
}

/// A refusal, as it stands in an ack's `error` and in an `error` event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    pub code: Code,
    pub message: String,
    /// Only with [`Code::RateLimited`]: milliseconds after which the same may be asked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl Refusal {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Refusal { code, message: message.into(), retry_after_ms: None }
    }

    /// A payload that breaks the contract: `Invalid message payload: <field> <what is wrong>`.
    pub fn invalid(field: &str, wrong: impl std::fmt::Display) -> Self {
        Refusal::new(Code::InvalidPayload, format!("Invalid message payload: {field} {wrong}"))
    }

    pub fn unauthenticated() -> Self {
        Refusal::new(Code::Unauthenticated, "Authentication required")
    }

    pub fn messages_limited(per_second: u32, wait: Duration) -> Self {
        Refusal::rate_limited(format!("Rate limit exceeded: {per_second} messages/second"), wait)
    }

    pub fn joins_limited(per_second: u32, wait: Duration) -> Self {
        Refusal::rate_limited(format!("Rate limit exceeded: {per_second} joins/second"), wait)
    }

    /// Rounded up: who comes back after that many milliseconds is let in.
    fn rate_limited(message: String, wait: Duration) -> Self {
        let wait = wait.as_nanos().div_ceil(1_000_000) as u64;
        Refusal { retry_after_ms: Some(wait), ..Refusal::new(Code::RateLimited, message) }
    }

    /// The ack: `{ "error": { "code", "message", "retry_after_ms"? } }`.
    pub fn answer(&self) -> Value {
        json!({ "error": self })
    }

    /// The payload of an `error` event: `{ "message", "code" }`.
    pub fn event(&self) -> Value {
        json!({ "message": self.message, "code": self.code })
    }

    /// The payload of CONNECT_ERROR: `{ "message", "data": { "code", "retry_after_ms"? } }`.
    pub fn connect_error(&self) -> Value {
        let mut data = json!({ "code": self.code });
        if let Some(wait) = self.retry_after_ms {
            data["retry_after_ms"] = wait.into();
        }
        json!({ "message": self.message, "data": data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_written_as_it_is_named() {
        for code in Code::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
            assert_eq!(serde_json::from_value::<Code>(json!(code.as_str())).unwrap(), code);
        }
    }

    #[test]
    fn a_code_of_a_newer_node_is_unknown_not_an_error() {
        assert_eq!(serde_json::from_value::<Code>(json!("brand_new")).unwrap(), Code::Unknown);
    }

    #[test]
    fn a_rate_limit_says_when_to_come_back() {
        let refusal = Refusal::messages_limited(10, Duration::from_micros(249_001));
        assert_eq!(
            refusal.answer(),
            json!({ "error": { "code": "rate_limited", "message": "Rate limit exceeded: 10 messages/second",
                               "retry_after_ms": 250 } })
        );
        assert_eq!(
            refusal.event(),
            json!({ "message": "Rate limit exceeded: 10 messages/second", "code": "rate_limited" })
        );
    }

    #[test]
    fn a_connect_error_has_the_code_in_data() {
        assert_eq!(
            Refusal::unauthenticated().connect_error(),
            json!({ "message": "Authentication required", "data": { "code": "unauthenticated" } })
        );
        let limited = Refusal::joins_limited(1, Duration::from_millis(7)).connect_error();
        assert_eq!(limited["data"], json!({ "code": "rate_limited", "retry_after_ms": 7 }));
    }
}
