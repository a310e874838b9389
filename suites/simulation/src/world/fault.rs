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
    /// The primary's process dies and is started again after the window, whatever the others say of it.
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
    /// The primary and its first `with` replicas on one side, all other servers on the other; or only one way. Chat nodes
    /// reach both. `reset` breaks the connections, else they hang.
    CutOffPrimary {
        shard: usize,
        with: usize,
        way: Way,
        reset: bool,
    },
    /// Nothing goes between two servers, whatever they are; or only one way.
    CutServers {
        one: usize,
        other: usize,
        way: Way,
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
    /// The bus alone is cut between one replica and its primary.
    CutBus {
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
    /// A chat node reaches no server at all, or that shard's primary alone.
    IsolateNode {
        node: usize,
        but: Option<usize>,
    },
    /// Every connection between a chat node and a shard's primary breaks.
    ResetNode {
        node: usize,
        shard: usize,
    },
    /// A user's own link: nothing goes between the user and any chat node; or only one way.
    CutClient {
        client: usize,
        way: Way,
    },
    /// A user's connections break.
    ResetClient {
        client: usize,
    },
    /// Replicas of the shard, or one of them, get no votes when they stand for election within the window.
    SpoilElections {
        shard: usize,
        nth: Option<Nth>,
    },
    /// A replica's clock is off from then on; its promotion goes back in time.
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
    /// An operator trims a room to the last entry that every replica holds, while it may be replayed.
    Trim {
        room: usize,
    },
}

impl Fault {
    /// The shard that may lose or miss its primary by this.
    pub fn costs_primary(&self) -> Option<usize> {
        match self {
            Fault::KillPrimary { shard, .. }
            | Fault::FastRestart { shard }
            | Fault::PausePrimary { shard }
            | Fault::CutOffPrimary { shard, .. }
            | Fault::CutPrimaryBus { shard }
            | Fault::StallThenKill { shard }
            | Fault::LagThenKill { shard, .. } => Some(*shard),
            _ => None,
        }
    }

    /// Its name, as `{:?}` begins it.
    pub fn kind(&self) -> &'static str {
        match self {
            Fault::KillPrimary { machine: true, .. } => "KillPrimary (machine)",
            Fault::KillPrimary { .. } => "KillPrimary",
            Fault::KillReplica { .. } => "KillReplica",
            Fault::FastRestart { .. } => "FastRestart",
            Fault::PausePrimary { .. } => "PausePrimary",
            Fault::PauseReplica { .. } => "PauseReplica",
            Fault::CutOffPrimary { way: Way::Both, .. } => "CutOffPrimary",
            Fault::CutOffPrimary { .. } => "CutOffPrimary (one way)",
            Fault::CutServers { way: Way::Both, .. } => "CutServers",
            Fault::CutServers { .. } => "CutServers (one way)",
            Fault::CutReplica { way: Way::Both, .. } => "CutReplica",
            Fault::CutReplica { .. } => "CutReplica (one way)",
            Fault::StallThenKill { .. } => "StallThenKill",
            Fault::Lag { .. } => "Lag",
            Fault::LagThenKill { .. } => "LagThenKill",
            Fault::CutReplicaBus { .. } => "CutReplicaBus",
            Fault::CutBus { .. } => "CutBus",
            Fault::CutPrimaryBus { .. } => "CutPrimaryBus",
            Fault::Detach { .. } => "Detach",
            Fault::CrashNode { .. } => "CrashNode",
            Fault::CutNode { way: Way::Both, .. } => "CutNode",
            Fault::CutNode { .. } => "CutNode (one way)",
            Fault::IsolateNode { .. } => "IsolateNode",
            Fault::ResetNode { .. } => "ResetNode",
            Fault::CutClient { way: Way::Both, .. } => "CutClient",
            Fault::CutClient { .. } => "CutClient (one way)",
            Fault::ResetClient { .. } => "ResetClient",
            Fault::SpoilElections { .. } => "SpoilElections",
            Fault::ClockBehind { .. } => "ClockBehind",
            Fault::Migrate { .. } => "Migrate",
            Fault::Trim { .. } => "Trim",
        }
    }
}

/// The kinds of the mix. A restart before the failover is not among them: with the append-only file it would look safe
/// here, since the fsync window is not modelled, and it is not (docs/delivery.md, "Settings that the promise needs").
pub const MIXED: [&str; 29] = [
    "KillPrimary (machine)",
    "KillPrimary",
    "KillReplica",
    "PausePrimary",
    "PauseReplica",
    "CutOffPrimary",
    "CutOffPrimary (one way)",
    "CutServers",
    "CutServers (one way)",
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
    "CutClient",
    "CutClient (one way)",
    "ResetClient",
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

/// For the storyboard. Shards, nodes and rooms count from one there.
impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let death = |machine: &bool| if *machine { "its machine goes off" } else { "its process is killed" };
        let primary = |shard: &usize| format!("the primary of shard {}", shard + 1);
        let replica = |shard: &usize, nth: &Nth| format!("replica {} of shard {}", nth + 1, shard + 1);
        let chat = |node: &usize| format!("chat-{}", node + 1);
        let user = |client: &usize| format!("u{}", client + 1);
        match self {
            Fault::KillPrimary { shard, machine } => write!(out, "{}: {}", primary(shard), death(machine)),
            Fault::KillReplica { shard, nth, machine } => write!(out, "{}: {}", replica(shard, nth), death(machine)),
            Fault::FastRestart { shard } => write!(out, "{} is killed and started again at once", primary(shard)),
            Fault::PausePrimary { shard } => write!(out, "{} hangs", primary(shard)),
            Fault::PauseReplica { shard, nth } => write!(out, "{} hangs", replica(shard, nth)),
            Fault::CutOffPrimary { shard, with, way, reset } => {
                let how = if *reset { ", connections reset" } else { "" };
                let side = if *with == 0 { String::new() } else { format!(", with {with} of its replicas,") };
                write!(out, "{}{side} and all other servers: {way}{how}", primary(shard))
            }
            Fault::CutServers { one, other, way } => write!(out, "redis-{} and redis-{}: {way}", one + 1, other + 1),
            Fault::CutReplica { shard, nth, way } => write!(out, "{} and its primary: {way}", replica(shard, nth)),
            Fault::StallThenKill { shard } => write!(out, "{} replicates nothing more, and dies then", primary(shard)),
            Fault::Lag { shard, ms } => write!(out, "{} replicates {ms} ms late", primary(shard)),
            Fault::LagThenKill { shard, ms } => {
                write!(out, "{} replicates {ms} ms late, and dies then", primary(shard))
            }
            Fault::CutReplicaBus { shard, nth } => write!(out, "the cluster bus of {} is cut", replica(shard, nth)),
            Fault::CutBus { shard, nth } => write!(out, "the bus of {} to its primary is cut", replica(shard, nth)),
            Fault::CutPrimaryBus { shard } => write!(out, "the cluster bus of {} is cut", primary(shard)),
            Fault::Detach { shard, nth } => write!(out, "the link of {} to its primary breaks", replica(shard, nth)),
            Fault::CrashNode { node, machine } => write!(out, "{}: {}", chat(node), death(machine)),
            Fault::CutNode { node, shard, way } => write!(out, "{} and {}: {way}", chat(node), primary(shard)),
            Fault::IsolateNode { node, but: None } => write!(out, "{} reaches no server", chat(node)),
            Fault::IsolateNode { node, but: Some(shard) } => {
                write!(out, "{} reaches no server but {}", chat(node), primary(shard))
            }
            Fault::ResetNode { node, shard } => {
                write!(out, "all connections of {} to {} break", chat(node), primary(shard))
            }
            Fault::CutClient { client, way } => write!(out, "{} and all chat nodes: {way}", user(client)),
            Fault::ResetClient { client } => write!(out, "the connections of {} break", user(client)),
            Fault::SpoilElections { shard, nth: None } => {
                write!(out, "replicas of shard {} get no votes", shard + 1)
            }
            Fault::SpoilElections { shard, nth: Some(nth) } => write!(out, "{} gets no votes", replica(shard, nth)),
            Fault::ClockBehind { shard, nth, ms } => write!(out, "the clock of {} is {ms} ms off", replica(shard, nth)),
            Fault::Migrate { room, .. } => write!(out, "the slot of room{} moves to another shard", room + 1),
            Fault::Trim { room } => write!(out, "an operator trims room{}", room + 1),
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Way::Both => "nothing goes between them",
            Way::Out => "nothing goes from the first to the second",
            Way::In => "nothing goes from the second to the first",
        })
    }
}

impl fmt::Display for Planned {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.fault)?;
        if self.lasts > 0 { write!(out, " (for {:.3} s)", self.lasts as f64 / 1e3) } else { Ok(()) }
    }
}

pub fn death(machine: bool) -> Death {
    if machine { Death::Machine } else { Death::Process }
}
