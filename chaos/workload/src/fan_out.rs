//! How many people chat, where, how much and how often: the settings of the one workload there is, as a drill file
//! writes them. Pure: what follows from the settings is in `spread.rs` and `schedule.rs`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use chaos_observe::length;
use system_protocol::limits::ACK_TIMEOUT;

use crate::spread::room_name;

/// The contract's limit on rooms per socket.
const ROOMS_PER_SOCKET: u32 = 50;
/// The contract's limit on a message, in UTF-16 code units.
const CONTENT_UNITS: u32 = 1000;
/// The hash, the blank before it, and one word.
const LEAST_CONTENT_UNITS: u32 = 24;

/// Users who chat in rooms of equal size, spread round robin over all nodes. Open loop: a send has its time whether or
/// not the one before was answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FanOut {
    pub rooms: u32,
    pub members_per_room: u32,
    /// Of all users together.
    pub sends_per_second: u32,
    /// Rooms that each user is in; divides `rooms`.
    pub rooms_per_user: u32,
    pub spacing: Spacing,
    pub content: ContentSize,
    /// How long a client waits for an ack before it sends the same id again.
    #[serde(with = "length")]
    pub ack_timeout: Duration,
    pub churn: Churn,
    pub sampling: SpanRates,
}

/// When the next send is due after the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spacing {
    /// Exponentially distributed gaps, as independent people make them.
    #[default]
    Exponential,
    /// Equal gaps, every membership in its turn.
    Even,
}

/// Length of a message in UTF-16 code units, even between the two, both included: 24 to 1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ContentSize {
    pub least: u32,
    pub most: u32,
}

/// Users that do more than stay. Off by default; it stops when sends are paused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Churn {
    /// In each room so many members leave it every `leave_every` and join again `away` later: by turns without an
    /// offset and with the one that `leave` answered.
    pub leavers_per_room: u32,
    #[serde(with = "length")]
    pub leave_every: Duration,
    #[serde(with = "length")]
    pub away: Duration,
    /// In each room so many members cut their connection every `cut_every`, without a word, and come back with what
    /// they have.
    pub cutters_per_room: u32,
    #[serde(with = "length")]
    pub cut_every: Duration,
}

/// Up to how many spans a second are recorded for all messages; above, for a share of them, chosen by message id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpanRates {
    /// `chat.send`, and with it all that nodes record about the message (the traceparent's sampled flag).
    pub sends_per_second: u32,
    /// `chat.receive`, one per member and message. Every receipt is in the history anyway.
    pub receives_per_second: u32,
}

impl Default for FanOut {
    fn default() -> FanOut {
        FanOut {
            rooms: 12,
            members_per_room: 20,
            sends_per_second: 400,
            rooms_per_user: 1,
            spacing: Spacing::default(),
            content: ContentSize::default(),
            ack_timeout: ACK_TIMEOUT,
            churn: Churn::default(),
            sampling: SpanRates::default(),
        }
    }
}

impl Default for ContentSize {
    fn default() -> ContentSize {
        ContentSize { least: 32, most: 120 }
    }
}

impl Default for Churn {
    fn default() -> Churn {
        Churn {
            leavers_per_room: 0,
            leave_every: Duration::from_secs(3),
            away: Duration::from_secs(1),
            cutters_per_room: 0,
            cut_every: Duration::from_secs(3),
        }
    }
}

impl Default for SpanRates {
    fn default() -> SpanRates {
        SpanRates { sends_per_second: 1000, receives_per_second: 2000 }
    }
}

impl FanOut {
    pub fn room_names(&self) -> impl Iterator<Item = String> {
        (0..self.rooms).map(|room| room_name(room, self.rooms))
    }

    pub fn users(&self) -> u32 {
        self.rooms * self.members_per_room / self.rooms_per_user.max(1)
    }

    /// Deliveries a second that are owed when nothing is wrong.
    pub fn deliveries_per_second(&self) -> u64 {
        u64::from(self.sends_per_second) * u64::from(self.members_per_room)
    }

    /// Sends a second of one user in one room. One is in flight at a time, so this times the time to an ack has to
    /// stay well below 1.
    pub fn rate_per_membership(&self) -> f64 {
        f64::from(self.sends_per_second) / (f64::from(self.rooms) * f64::from(self.members_per_room)).max(1.0)
    }

    /// Everything that is wrong with the settings on so many nodes, each beginning with the setting's path.
    pub fn mistakes(&self, nodes: u32) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut require = |holds: bool, why: String| {
            if !holds {
                wrong.push(why);
            }
        };
        let per_user = self.rooms_per_user;
        require((1..=10_000).contains(&self.rooms), format!("rooms: {} is outside 1..=10000", self.rooms));
        require(self.sends_per_second > 0, "sends_per_second: must be above 0".into());
        require(
            self.members_per_room >= nodes.max(2),
            format!(
                "members_per_room: {} leaves a room without a member on each of {nodes} nodes",
                self.members_per_room
            ),
        );
        require(
            (1..=ROOMS_PER_SOCKET).contains(&per_user),
            format!("rooms_per_user: {per_user} is outside 1..={ROOMS_PER_SOCKET}"),
        );
        require(
            self.rooms.is_multiple_of(per_user.max(1)),
            format!("rooms_per_user: {per_user} does not divide {} rooms", self.rooms),
        );
        let ContentSize { least, most } = self.content;
        require(
            LEAST_CONTENT_UNITS <= least && least <= most && most <= CONTENT_UNITS,
            format!("content: {least} to {most} is not within {LEAST_CONTENT_UNITS} to {CONTENT_UNITS}"),
        );
        require(self.ack_timeout >= Duration::from_millis(100), "ack_timeout: must be at least 100ms".into());
        self.churn.mistakes(self.members_per_room, &mut require);
        wrong
    }
}

impl Churn {
    fn mistakes(&self, members: u32, require: &mut impl FnMut(bool, String)) {
        require(
            self.leavers_per_room.saturating_add(self.cutters_per_room) < members,
            format!("churn: all {members} members of a room come and go, nobody stays"),
        );
        require(self.away < self.leave_every, "churn.away: must be shorter than churn.leave_every".into());
        require(self.cut_every >= Duration::from_millis(100), "churn.cut_every: must be at least 100ms".into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_sound() {
        assert_eq!(FanOut::default().mistakes(3), Vec::<String>::new());
        assert_eq!(FanOut::default().users(), 240);
        assert_eq!(FanOut::default().deliveries_per_second(), 8000);
    }

    #[test]
    fn every_mistake_is_named_by_its_setting() {
        let content = ContentSize { least: 3, most: 2000 };
        let churn =
            Churn { leavers_per_room: 1, cutters_per_room: 1, away: Duration::from_secs(9), ..Churn::default() };
        let load = FanOut {
            rooms: 5,
            members_per_room: 2,
            sends_per_second: 0,
            rooms_per_user: 2,
            content,
            churn,
            ..FanOut::default()
        };
        let wrong = load.mistakes(3);
        let named: Vec<&str> = wrong.iter().filter_map(|why| why.split(':').next()).collect();
        let expected = ["sends_per_second", "members_per_room", "rooms_per_user", "content", "churn", "churn.away"];
        assert_eq!(named, expected, "{wrong:?}");
    }
}
