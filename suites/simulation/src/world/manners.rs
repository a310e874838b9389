//! How users behave: how often they speak, how soon they try again, how often they move, leave and are too slow.

/// How a user behaves. Times in milliseconds.
#[derive(Debug, Clone)]
pub struct Manners {
    /// Between two messages of one user in one room.
    pub pace: (u64, u64),
    /// Sent again after this long without an answer.
    pub ack_timeout: u64,
    /// Between two attempts to connect.
    pub backoff: (u64, u64),
    /// Percent of pauses between messages in which the user moves to another node, abruptly.
    pub moves: u64,
    /// Away for this long when it moves.
    pub away: (u64, u64),
    /// Percent in which it leaves a room and comes back.
    pub leaves: u64,
    /// Percent of connections that turn out too slow after some frames.
    pub slow: u64,
}

impl Default for Manners {
    fn default() -> Manners {
        Manners {
            pace: (200, 800),
            ack_timeout: 2500,
            backoff: (100, 800),
            moves: 3,
            away: (0, 100),
            leaves: 3,
            slow: 10,
        }
    }
}
