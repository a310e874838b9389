//! What goes wrong: each fault is a value, its target is found when it fires, and it says what it did.

use std::fmt;

use crate::network::Death;

/// Which replica of a shard, counted from its first.
pub type Nth = usize;

#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// The primary's process or machine dies; what lagging or stalled links hold of it is gone.
    KillPrimary {
        shard: usize,
        machine: bool,
    },
    KillReplica {
        shard: usize,
        nth: Nth,
        machine: bool,
    },
    /// A primary or replica dies and is started again after the window, whatever the others say of it.
    FastRestart {
        shard: usize,
    },
    /// SIGSTOP; it wakes at the end of the window.
    PausePrimary {
        shard: usize,
    },
    PauseReplica {
        shard: usize,
        nth: Nth,
    },
    /// The primary and its first `with` replicas on one side, all other servers on the other. Chat nodes reach both.
    /// `reset` breaks the connections, else they hang.
    CutOffPrimary {
        shard: usize,
        with: usize,
        reset: bool,
    },
    /// Nothing goes between the primary and one replica, bus and replication alike; or only one way.
    CutReplica {
        shard: usize,
        nth: Nth,
        way: Way,
    },
    /// All replication out of the primary stands still, then it dies: what was under way is lost.
    StallThenKill {
        shard: usize,
    },
    /// Replication out of the primary is late by so many milliseconds.
    Lag {
        shard: usize,
        ms: u64,
    },
    /// Lag as above, and the primary dies at the end of the window.
    LagThenKill {
        shard: usize,
        ms: u64,
    },
    /// The bus alone is cut between one replica and everybody else.
    CutReplicaBus {
        shard: usize,
        nth: Nth,
    },
    /// The bus alone is cut between the primary and everybody else.
    CutPrimaryBus {
        shard: usize,
    },
    /// A replica's link breaks; it synchronises again.
    Detach {
        shard: usize,
        nth: Nth,
    },
    CrashNode {
        node: usize,
        machine: bool,
    },
    /// A chat node and a shard's primary don't hear each other; or only one way.
    CutNode {
        node: usize,
        shard: usize,
        way: Way,
    },
    /// A chat node reaches no server at all.
    IsolateNode {
        node: usize,
    },
    /// Every connection between a chat node and a shard's primary breaks.
    ResetNode {
        node: usize,
        shard: usize,
    },
    /// The next elections get no votes.
    SpoilElections {
        count: u64,
    },
    /// A server's clock is off for the whole run; a promotion then goes back in time.
    ClockBehind {
        shard: usize,
        nth: Nth,
        ms: i64,
    },
    /// A room's slot moves to the next shard.
    Migrate {
        room: usize,
        pace_ms: u64,
    },
    /// An operator trims a room to nothing, while it may be replayed.
    Trim {
        room: usize,
    },
}

impl Fault {
    /// Its name, as `{:?}` begins it.
    pub fn kind(&self) -> &'static str {
        match self {
            Fault::KillPrimary { machine: true, .. } => "KillPrimary (machine)",
            Fault::KillPrimary { .. } => "KillPrimary",
            Fault::KillReplica { .. } => "KillReplica",
            Fault::FastRestart { .. } => "FastRestart",
            Fault::PausePrimary { .. } => "PausePrimary",
            Fault::PauseReplica { .. } => "PauseReplica",
            Fault::CutOffPrimary { .. } => "CutOffPrimary",
            Fault::CutReplica { way: Way::Both, .. } => "CutReplica",
            Fault::CutReplica { .. } => "CutReplica (one way)",
            Fault::StallThenKill { .. } => "StallThenKill",
            Fault::Lag { .. } => "Lag",
            Fault::LagThenKill { .. } => "LagThenKill",
            Fault::CutReplicaBus { .. } => "CutReplicaBus",
            Fault::CutPrimaryBus { .. } => "CutPrimaryBus",
            Fault::Detach { .. } => "Detach",
            Fault::CrashNode { .. } => "CrashNode",
            Fault::CutNode { way: Way::Both, .. } => "CutNode",
            Fault::CutNode { .. } => "CutNode (one way)",
            Fault::IsolateNode { .. } => "IsolateNode",
            Fault::ResetNode { .. } => "ResetNode",
            Fault::SpoilElections { .. } => "SpoilElections",
            Fault::ClockBehind { .. } => "ClockBehind",
            Fault::Migrate { .. } => "Migrate",
            Fault::Trim { .. } => "Trim",
        }
    }
}

/// The kinds of the mix. A restart before the failover is not among them: with the append-only file it would look safe
/// here, since the fsync window is not modelled, and it is not (delivery.md, "Redis settings").
pub const MIXED: [&str; 23] = [
    "KillPrimary (machine)",
    "KillPrimary",
    "KillReplica",
    "PausePrimary",
    "PauseReplica",
    "CutOffPrimary",
    "CutReplica",
    "CutReplica (one way)",
    "StallThenKill",
    "Lag",
    "LagThenKill",
    "CutReplicaBus",
    "CutPrimaryBus",
    "Detach",
    "CrashNode",
    "CutNode",
    "CutNode (one way)",
    "IsolateNode",
    "ResetNode",
    "SpoilElections",
    "ClockBehind",
    "Migrate",
    "Trim",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Both,
    /// From the one that is named first.
    Out,
    In,
}

/// A fault with its window, milliseconds since the world began.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    pub at: u64,
    pub lasts: u64,
    pub fault: Fault,
}

impl fmt::Display for Planned {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "at {:.3} s for {:.3} s: {:?}", self.at as f64 / 1e3, self.lasts as f64 / 1e3, self.fault)
    }
}

pub fn death(machine: bool) -> Death {
    if machine { Death::Machine } else { Death::Process }
}
