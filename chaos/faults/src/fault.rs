//! The one shape of all faults, and what they are given.

use chaos_cluster::{Carried, Cluster, Server};
use chaos_observe::Clock;

use crate::{Evidence, FaultError, HealList, HealStep, Sign, link::Link, markers::Markers};

/// Where a fault happens, and what is known there.
pub struct Scene<'a> {
    pub cluster: &'a Cluster,
    pub clock: &'a Clock,
    pub heal_list: &'a HealList,
    /// That of the room with the most sends right now; where rooms have no place in Redis, one of the primary that carries
    /// the most. Faults know no workload, so whoever injects says.
    pub busiest_slot: Option<u16>,
}

/// Whom a fault hits, resolved, and what was there before it did: what its evidence is measured against.
#[derive(Debug, Default)]
pub struct Aim {
    pub struck: Vec<Struck>,
    pub(crate) links: Vec<Touched>,
    pub(crate) markers: Option<Markers>,
}

/// One process before the fault.
#[derive(Clone, Debug)]
pub struct Struck {
    pub server: Server,
    pub pid: u32,
    /// Of a Redis primary: what it owns, and since which epoch.
    pub owned: Option<Owned>,
}

#[derive(Clone, Debug)]
pub struct Owned {
    /// Both ends included; never empty.
    pub slots: Vec<(u16, u16)>,
    pub epoch: u64,
}

/// One link before the fault.
#[derive(Clone, Debug)]
pub(crate) struct Touched {
    pub(crate) link: Link,
    pub(crate) before: Carried,
}

/// A fault is its settings; what it does to a cluster is in four steps, so that a test can leave out the one that
/// bites and see that nothing is proved then.
pub trait Fault {
    /// As a drill file names it.
    const KIND: &'static str;
    const SUMMARY: &'static str;
    /// A value of `inject` in a drill file.
    const EXAMPLE: &'static str;

    /// Who is hit, by role.
    fn target(&self) -> String;

    /// How far it reaches at most.
    fn blast_radius(&self) -> String;

    /// Resolves the target and looks at it.
    fn aim(&self, scene: &Scene<'_>) -> impl Future<Output = Result<Aim, FaultError>> + Send;

    /// How to undo it. Written to disk before it bites.
    fn undo(&self, aim: &Aim) -> Vec<HealStep>;

    /// Does it.
    fn bite(&self, scene: &Scene<'_>, aim: &mut Aim) -> impl Future<Output = Result<(), FaultError>> + Send;

    /// What shows now that it bit. Asked right after the bite and again later; never takes the fault's word for it.
    fn prove(&self, scene: &Scene<'_>, aim: &Aim) -> impl Future<Output = Vec<Evidence>> + Send;

    /// Without these signs it is as if it had not happened.
    fn required(&self, aim: &Aim) -> Vec<Sign>;
}

impl Aim {
    pub(crate) fn at(struck: Vec<Struck>) -> Aim {
        Aim { struck, ..Aim::default() }
    }

    pub(crate) fn names(&self) -> String {
        let names: Vec<String> = self.struck.iter().map(|struck| struck.server.to_string()).collect();
        names.join(", ")
    }
}

impl Owned {
    pub(crate) fn has(&self, slot: u16) -> bool {
        self.slots.iter().any(|(first, last)| (*first..=*last).contains(&slot))
    }

    /// One of its slots.
    pub(crate) fn slot(&self) -> u16 {
        self.slots[0].0
    }
}
