//! How to chat with a server that does not speak docs/contract.md: what its events are called, what they carry, and
//! where in its answers things stand. Data, as a system file writes it; `translate.rs` puts it to work.
//!
//! Such a server gives no offsets and holds no history as far as users know. Deliberately absent: binary packets,
//! several namespaces, HTTP long polling.

mod fill;
mod translate;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use system_client::Translator;

use translate::Translation;

/// Texts in `auth` and `arguments` may hold marks: [`Dialect::MARKS`], and those of `send` [`Say::MARKS`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dialect {
    pub connect: Connect,
    /// Absent: whoever connects is in the room that `connect.auth` names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<Join>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leave: Option<Ask>,
    pub send: Say,
    pub received: Received,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connect {
    pub path: String,
    /// `/` or `/chat`
    pub namespace: String,
    /// The payload of CONNECT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Value>,
}

/// An event that is answered by an ack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    pub event: String,
    pub arguments: Vec<Value>,
    /// Pointer (RFC 6901) into the list of the ack's arguments: refused unless there is something true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok: Option<String>,
    /// Likewise: refused when there is anything but null, false and an empty text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Join {
    pub ask: Ask,
    /// The event that answers it in the place of an ack, which can only refuse then. Joins are answered in their order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joined: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Say {
    pub ask: Ask,
    /// Whether the server takes the same id again for the same message. If not, what was not answered in time is not
    /// sent again.
    pub retry: bool,
}

impl Say {
    /// Marks in its templates, without their braces.
    pub const MARKS: [&'static str; 4] = ["user", "room", "text", "id"];
}

/// A message as members get it. Pointers begin at the list of the event's arguments: `/0/text`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Received {
    pub event: String,
    pub text: String,
    /// Absent: the text begins with the room and the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    /// Absent: whoever the id belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
}

impl Dialect {
    /// Marks in every template, without their braces.
    pub const MARKS: [&'static str; 2] = ["user", "room"];

    /// The server carries neither ids nor rooms of ours back, so the text does.
    fn tags(&self) -> bool {
        self.received.id.is_none() || self.received.room.is_none()
    }

    /// What each setting lacks to make sense, by its path in a system file.
    pub fn mistakes(&self) -> Vec<(&'static str, String)> {
        let mut wrong = Vec::new();
        let mut require = |holds: bool, path, why: &str| {
            if !holds {
                wrong.push((path, why.to_owned()));
            }
        };
        let says = |ask: &Ask, mark| ask.arguments.iter().any(|argument| fill::has(argument, mark));
        let connects = |mark| self.connect.auth.as_ref().is_some_and(|auth| fill::has(auth, mark));
        require(says(&self.send.ask, "text"), "send.arguments", "holds no {text}");
        if self.received.id.is_some() {
            require(says(&self.send.ask, "id"), "received.id", "`send.arguments` hold no {id} that could come back");
        }
        if self.send.retry {
            require(says(&self.send.ask, "id"), "send.retry", "needs {id} in `send.arguments`");
        }
        match &self.join {
            Some(join) => require(says(&join.ask, "room"), "join.arguments", "holds no {room}"),
            None => require(connects("room"), "join", "is missing, and `connect.auth` names no {room} either"),
        }
        if let Some(leave) = &self.leave {
            require(says(leave, "room"), "leave.arguments", "holds no {room}");
        }
        let join = self.join.as_ref().map(|join| &join.ask);
        let pointers = [
            ("join.ok", join.and_then(|join| join.ok.as_ref())),
            ("join.error", join.and_then(|join| join.error.as_ref())),
            ("leave.ok", self.leave.as_ref().and_then(|leave| leave.ok.as_ref())),
            ("leave.error", self.leave.as_ref().and_then(|leave| leave.error.as_ref())),
            ("send.ok", self.send.ask.ok.as_ref()),
            ("send.error", self.send.ask.error.as_ref()),
            ("received.text", Some(&self.received.text)),
            ("received.id", self.received.id.as_ref()),
            ("received.room", self.received.room.as_ref()),
            ("received.sender", self.received.sender.as_ref()),
        ];
        for (path, pointer) in pointers.into_iter().filter_map(|(path, pointer)| Some((path, pointer?))) {
            let holds = pointer.strip_prefix('/').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
            require(holds, path, "must begin with an argument's number, as in \"/0/text\"");
        }
        wrong
    }
}

impl system_client::Dialect for Dialect {
    fn path(&self) -> &str {
        &self.connect.path
    }

    fn open(&self) -> Box<dyn Translator> {
        Box::new(Translation::new(self.clone()))
    }
}
