//! Frames of the node, as they come in.

use std::time::{Duration, Instant};

use rand::RngExt;
use system_protocol::{Auth, ChatMessage, Code, Draining, Joined, Refusal, Room};

use super::line::{Line, MoveOn, Phase};
use super::membership::{Receipt, State};
use super::{LONGEST, Session};
use crate::wire::engine::{self, Open};
use crate::wire::inbound::{self, Inbound};
use crate::wire::{Malformed, socket};
use crate::{Notice, What, Why};

impl From<Malformed> for Why {
    fn from(malformed: Malformed) -> Why {
        Why::Malformed(malformed.to_string())
    }
}

impl Session {
    /// An error ends the connection.
    pub(crate) fn receive(&mut self, frame: &str, now: Instant) -> Result<(), Why> {
        let Some(line) = &mut self.line else { return Ok(()) };
        line.heard = now;
        match engine::read(frame)? {
            engine::Packet::Open(open) if line.phase == Phase::Opening => self.opened(&open, now),
            engine::Packet::Open(_) => Err(Malformed::new("second handshake", frame).into()),
            engine::Packet::Ping => {
                line.out.push(engine::PONG.to_owned());
                Ok(())
            }
            engine::Packet::Close => Err(Why::Goodbye),
            engine::Packet::Noop => Ok(()),
            engine::Packet::Message(packet) => self.packet(packet, now),
        }
    }

    fn opened(&mut self, open: &Open, now: Instant) -> Result<(), Why> {
        let wanted = self.rooms.iter_mut().find(|(_, membership)| membership.wanted);
        let (Some(line), Some((room, membership))) = (&mut self.line, wanted) else { return Err(Why::Closed) };
        line.liveness = Some(open.liveness());
        line.phase = Phase::Asked;
        let auth = Auth { token: self.config.token.clone(), room: room.clone(), offset: membership.position };
        line.out.push(socket::connect(&auth));
        line.token.clone_from(&auth.token);
        membership.state = State::Joining { by: now + self.config.join_timeout };
        self.changed = true;
        self.tell(now, What::Joining { room: auth.room, offset: auth.offset });
        Ok(())
    }

    fn packet(&mut self, packet: &str, now: Instant) -> Result<(), Why> {
        let phase = self.line.as_ref().map(|line| line.phase);
        match (socket::read(packet)?, phase) {
            (socket::Packet::Event(json), Some(Phase::Up)) => self.event(inbound::read(json)?, now),
            (socket::Packet::Ack { id, json }, Some(Phase::Up)) => self.ack(id, socket::read_ack(json)?, now),
            (socket::Packet::Connect, Some(Phase::Asked)) => {
                self.up(now);
                Ok(())
            }
            (socket::Packet::ConnectError(json), Some(Phase::Asked)) => {
                Err(self.rejected(socket::read_connect_error(json)?, now))
            }
            (socket::Packet::Disconnect, _) => Err(Why::Goodbye),
            _ => Err(Malformed::new("packet out of turn", packet).into()),
        }
    }

    fn up(&mut self, now: Instant) {
        if let Some(line) = &mut self.line {
            line.phase = Phase::Up;
        }
        self.changed = true;
        self.tell(now, What::Up { node: self.node });
    }

    /// A bad token is bad everywhere, a forbidden room too; anything else may be better on another node.
    fn rejected(&mut self, refusal: Refusal, now: Instant) -> Why {
        match refusal.code {
            // Unless our owner has brought another since.
            code if is_about_the_token(code) => {
                self.token_refused = self.line.as_ref().is_none_or(|line| line.token == self.config.token);
            }
            Code::RoomInvalid | Code::RoomForbidden | Code::RoomLimit => {
                let asked = self.rooms.iter().find(|(_, membership)| membership.due().is_some());
                if let Some(room) = asked.map(|(room, _)| room.clone()) {
                    self.give_up(&room, refusal.clone(), now);
                }
            }
            _ => {}
        }
        Why::Rejected(refusal)
    }

    pub(super) fn give_up(&mut self, room: &Room, refusal: Refusal, now: Instant) {
        self.rooms.remove(room);
        self.changed = true;
        self.tell(now, What::JoinRefused { room: room.clone(), refusal });
        self.abandon(room, now);
    }

    fn event(&mut self, event: Inbound, now: Instant) -> Result<(), Why> {
        match event {
            Inbound::Message(message) => self.message(message, now),
            Inbound::Joined(joined) => return self.entered(joined, now),
            Inbound::Error(refusal) => {
                self.tell(now, What::Notice { notice: Notice::Error(refusal.clone()) });
                // The node is about to disconnect us: our token has expired.
                if is_about_the_token(refusal.code) {
                    return Err(self.rejected(refusal, now));
                }
            }
            Inbound::Draining(draining) => self.draining(draining, now),
            Inbound::Other(name) => self.tell(now, What::Notice { notice: Notice::Other(name) }),
        }
        Ok(())
    }

    /// A second answer for a room that is joined already changes nothing.
    pub(super) fn entered(&mut self, joined: Joined, now: Instant) -> Result<(), Why> {
        match self.rooms.get_mut(&joined.room) {
            Some(membership) if matches!(membership.state, State::Joining { .. }) => membership.entered(&joined),
            Some(_) => return Ok(()),
            None => return Err(Malformed::new("joined a room not asked for", joined.room.as_str()).into()),
        }
        self.backoff.reset();
        self.changed = true;
        self.tell(now, What::Joined { joined });
        Ok(())
    }

    fn message(&mut self, message: ChatMessage, now: Instant) {
        let stranger = Receipt { replay: false, hidden: true };
        let membership = self.rooms.get_mut(&message.room);
        let Receipt { replay, hidden } = membership.map_or(stranger, |m| m.receive(message.offset));
        #[cfg(debug_assertions)]
        if !hidden {
            self.shown += 1;
            if self.config.drop_received == Some(self.shown) {
                return;
            }
        }
        self.tell(now, What::Received { message, replay, hidden });
    }

    /// Goes within the first half of the time given, so that the second is left for acks in flight; and at a random
    /// moment, so that the next node is not met by everyone at once.
    pub(super) fn draining(&mut self, draining: Draining, now: Instant) {
        let within = Duration::from_millis(draining.reconnect_within_ms).min(LONGEST);
        let Some(line) = self.line.as_mut().filter(|line| line.move_on.is_none()) else { return };
        let after = self.random.random_range(Duration::ZERO..=(within / 2).min(self.config.backoff.1));
        line.move_on = Some(MoveOn { at: now + after, latest: now + within });
        self.changed = true;
        self.tell(now, What::Notice { notice: Notice::Draining { draining, after } });
    }

    pub(super) fn line(&mut self) -> Option<&mut Line> {
        self.line.as_mut()
    }
}

fn is_about_the_token(code: Code) -> bool {
    matches!(code, Code::Unauthenticated | Code::TokenExpired | Code::TokenInvalid)
}
