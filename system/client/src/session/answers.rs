//! Acks: promises, refusals, and answers to joins and leaves.

use std::time::{Duration, Instant};

use serde_json::Value;
use system_protocol::{Code, Draining, Joined, Left, MessageId, Refusal, Room, Sent, Unreadable, read_answer};

use super::Session;
use super::line::Pending;
use crate::outbox::Refused;
use crate::wire::Malformed;
use crate::{Unresolved, What, Why};

/// When a node limits us without saying until when.
const UNNAMED_WAIT: u64 = 1000;
/// No node may silence us for longer.
const LONGEST_WAIT: u64 = 60_000;

impl From<Unreadable> for Why {
    fn from(unreadable: Unreadable) -> Why {
        Why::Malformed(unreadable.to_string())
    }
}

impl Session {
    pub(super) fn ack(&mut self, ack: u64, answer: Value, now: Instant) -> Result<(), Why> {
        let pending = self.line().and_then(|line| line.answered(ack));
        self.changed = true;
        match pending {
            Some(Pending::Submit { room, id, attempt }) => match read_answer::<Sent>(answer)? {
                Ok(sent) if sent.id == id => self.acked(room, id, attempt, sent, now),
                Ok(sent) => return Err(Malformed::new("ack of another message", sent.id.as_str()).into()),
                Err(refusal) => self.refused(room, id, attempt, refusal, now),
            },
            Some(Pending::Join { room }) => return self.join_answered(&room, read_answer(answer)?, now),
            Some(Pending::Leave { room }) => self.leave_answered(&room, read_answer(answer)?, now),
            None => return Err(Malformed::new("ack not asked for", &ack.to_string()).into()),
        }
        Ok(())
    }

    fn acked(&mut self, room: Room, id: MessageId, attempt: u32, sent: Sent, now: Instant) {
        let first = self.outbox.acked(&room, &id).is_some();
        self.tell(
            now,
            if first { What::Acked { id, room, attempt, sent } } else { What::AckedLate { id, room, attempt, sent } },
        );
    }

    /// What a node cannot take now is sent again; what it will never take ends.
    fn refused(&mut self, room: Room, id: MessageId, attempt: u32, refusal: Refusal, now: Instant) {
        let again = matches!(refusal.code, Code::RateLimited | Code::Unavailable | Code::Draining);
        let left = !self.wants(&room);
        match refusal.code {
            Code::RateLimited | Code::Unavailable => {
                self.hold_until = self.hold_until.max(Some(now + wait(&refusal)));
            }
            Code::Draining => self.draining(Draining { reconnect_within_ms: UNNAMED_WAIT }, now),
            _ => {}
        }
        let what = match self.outbox.refused(&room, &id, attempt, again && !left) {
            Refused::Ended { unresolved: true } => What::Unknown { id, room, why: Unresolved::Refused(refusal) },
            Refused::Ended { unresolved: false } => What::Refused { id, room, attempt, refusal, again: false },
            Refused::Kept => What::Refused { id, room, attempt, refusal, again: true },
            Refused::Stranger => return,
        };
        self.tell(now, what);
    }

    /// A limit is waited for; a refusal that may be another node's yes ends the connection, any other the wish.
    fn join_answered(&mut self, room: &Room, answer: Result<Joined, Refusal>, now: Instant) -> Result<(), Why> {
        match answer {
            Ok(joined) if joined.room == *room => self.entered(joined, now),
            Ok(joined) => Err(Malformed::new("joined another room", joined.room.as_str()).into()),
            Err(refusal) if refusal.code == Code::RateLimited => {
                self.join_after = self.join_after.max(Some(now + wait(&refusal)));
                self.fall_out(room, now);
                Ok(())
            }
            Err(refusal) if matches!(refusal.code, Code::Draining | Code::Unavailable) => Err(Why::Rejected(refusal)),
            Err(refusal) => {
                self.give_up(room, refusal, now);
                Ok(())
            }
        }
    }

    /// A node that refuses a leave does not hold us in the room: we are out either way.
    fn leave_answered(&mut self, room: &Room, answer: Result<Left, Refusal>, now: Instant) {
        self.leave_done(room, answer.ok(), now);
    }
}

fn wait(refusal: &Refusal) -> Duration {
    Duration::from_millis(refusal.retry_after_ms.unwrap_or(UNNAMED_WAIT).min(LONGEST_WAIT))
}
