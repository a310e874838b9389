//! A seam for nodes that do not speak this contract: frames are translated between session and socket.
//!
//! The session says and reads what the contract says, whatever is on the wire; what another server's events and answers
//! are called is known to whoever brings the [`Dialect`]. Deliberately absent: any dialect.

use std::collections::VecDeque;
use std::fmt;

/// Where and how a node that does not speak the contract is spoken to.
pub trait Dialect: fmt::Debug + Send + Sync {
    /// Of the request that opens the WebSocket: `/socket.io/` at most servers.
    fn path(&self) -> &str;

    /// For one connection.
    fn open(&self) -> Box<dyn Translator>;
}

/// Translates the frames of one connection. A frame is an Engine.IO packet in a text frame (`42["join",…]`).
pub trait Translator: Send {
    /// In the place of a frame of the client.
    fn outgoing(&mut self, frame: &str) -> Frames;

    /// In the place of a frame of the node.
    fn incoming(&mut self, frame: &str) -> Frames;
}

/// What a frame becomes. Either side may have to be told something: a server that answers a join with nothing is
/// answered for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frames {
    pub to_node: Vec<String>,
    pub to_client: Vec<String>,
}

/// Engine.IO's packet that says nothing.
const NOOP: &str = "6";

/// A translator, and what it has translated that was not yet read or written.
pub(crate) struct Speech {
    translator: Box<dyn Translator>,
    heard: VecDeque<String>,
    unsaid: Vec<String>,
}

impl Speech {
    pub(crate) fn new(translator: Box<dyn Translator>) -> Speech {
        Speech { translator, heard: VecDeque::new(), unsaid: Vec::new() }
    }

    pub(crate) fn incoming(&mut self, frame: &str) {
        let frames = self.translator.incoming(frame);
        // Whoever reads then writes what is unsaid, so there must be something to read.
        if frames.to_client.is_empty() && !frames.to_node.is_empty() {
            self.heard.push_back(NOOP.to_owned());
        }
        self.take(frames);
    }

    pub(crate) fn outgoing(&mut self, frame: &str) {
        let frames = self.translator.outgoing(frame);
        self.take(frames);
    }

    fn take(&mut self, frames: Frames) {
        self.heard.extend(frames.to_client);
        self.unsaid.extend(frames.to_node);
    }

    pub(crate) fn heard(&mut self) -> Option<String> {
        self.heard.pop_front()
    }

    pub(crate) fn has_unsaid(&self) -> bool {
        !self.unsaid.is_empty()
    }

    pub(crate) fn unsaid(&mut self) -> Vec<String> {
        std::mem::take(&mut self.unsaid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers every frame of the node with another, and tells the client nothing of it.
    struct Echo;

    impl Translator for Echo {
        fn outgoing(&mut self, frame: &str) -> Frames {
            Frames { to_node: vec![format!("<{frame}>")], to_client: Vec::new() }
        }

        fn incoming(&mut self, frame: &str) -> Frames {
            self.outgoing(frame)
        }
    }

    #[test]
    fn what_must_be_said_wakes_whoever_reads() {
        let mut speech = Speech::new(Box::new(Echo));
        speech.incoming("2");
        assert_eq!((speech.heard().as_deref(), speech.has_unsaid()), (Some(NOOP), true));
        speech.outgoing("41");
        assert_eq!(speech.unsaid(), ["<2>", "<41>"]);
        assert_eq!((speech.heard(), speech.has_unsaid()), (None, false));
    }
}
