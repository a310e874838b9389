//! What a drill may not ask of a deployment: what its operator gave no command for, and what the blast radius leaves out.

use std::collections::BTreeSet;

use chaos_cluster::{Act, Server, slot_of_room};
use chaos_faults::{Everyone, Inject, RedisTarget, Target};

use super::Deployed;
use crate::{
    drill::{Backend, Delivery, Drill, Fence, Step, When},
    inject,
};

/// The setting that it is told at, and the sentence.
type Contradiction = (String, String);

pub(crate) fn contradictions(drill: &Drill) -> Vec<Contradiction> {
    let external = drill.cluster.backend == Backend::External;
    let at = |path: &str, why: String| vec![(path.to_owned(), why)];
    let deployed = match &drill.deployment {
        None if external => {
            return at("cluster.backend", "`external` needs a deployment: `--deployment FILE`".to_owned());
        }
        None => return Vec::new(),
        Some(_) if !external => {
            let why = format!("`{}`: a deployment is drilled by the backend `external`", drill.cluster.backend);
            return at("cluster.backend", why);
        }
        Some(deployed) => deployed,
    };
    let mut found = settings_of_nodes(drill, deployed);
    for (nth, step) in drill.steps.iter().enumerate() {
        let told = |(key, why)| (format!("step.{nth}.{key}"), why);
        found.extend(of_step(step, deployed).into_iter().map(told));
    }
    found.extend(at_once(drill, deployed));
    found
}

/// What is set when a node is started.
fn settings_of_nodes(drill: &Drill, deployed: &Deployed) -> Vec<Contradiction> {
    let name = &deployed.deployment.name;
    let set = |what: &str, value: &str| {
        (format!("cluster.{what}"), format!("`{value}` is set when nodes are started; those of {name} run already"))
    };
    let mut found = Vec::new();
    if drill.cluster.fence != Fence::Full {
        found.push(set("fence", drill.cluster.fence.as_str()));
    }
    if drill.cluster.delivery != Delivery::Log {
        found.push(set("delivery", drill.cluster.delivery.as_str()));
    }
    found
}

fn of_step(step: &Step, deployed: &Deployed) -> Vec<(&'static str, String)> {
    let deployment = &deployed.deployment;
    let (name, radius, kind) = (&deployment.name, &deployment.radius, step.inject.kind());
    let Some(acts) = acts(&step.inject) else {
        return vec![("inject", format!("the backend `external` cannot do `{kind}`{}", why_not(&step.inject)))];
    };
    let hits = candidates(&step.inject, deployed);
    let mut found = Vec::new();
    for act in acts {
        let without: Vec<_> = hits.iter().filter(|server| deployment.command(**server, *act).is_none()).collect();
        if !without.is_empty() {
            let why = format!("`{kind}` needs the command `{act}`, which {name} does not have for {}", names(without));
            found.push(("inject", why));
        }
    }
    let outside: Vec<_> = hits.iter().filter(|server| !radius.servers.contains(server)).collect();
    if !outside.is_empty() {
        let why = format!("`{kind}` may hit {}, and the blast radius of {name} is {radius}", names(outside));
        found.push(("inject", why));
    }
    let most = hits_at_once(&step.inject, deployed);
    if most > usize::from(radius.at_once) {
        found.push(("inject", format!("`{kind}` hits {most} at once, and the blast radius of {name} is {radius}")));
    }
    if step.heal_after >= radius.longest {
        let why = format!("{} is not less than the {} of the blast radius of {name}", step.heal_after, radius.longest);
        found.push(("heal_after", why));
    }
    found
}

fn why_not(inject: &Inject) -> &'static str {
    match inject {
        Inject::Cut(_) => " but from everyone, in both directions",
        _ => "",
    }
}

fn names<'s>(servers: impl IntoIterator<Item = &'s Server>) -> String {
    servers.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The operator's commands that it takes; `None`: no command can do it.
pub(super) fn acts(inject: &Inject) -> Option<&'static [Act]> {
    match inject {
        Inject::Kill(_) | Inject::FastRestart(_) => Some(&[Act::Kill, Act::Start]),
        Inject::Terminate(_) | Inject::Restart(_) | Inject::RollingRestart(_) => Some(&[Act::Stop, Act::Start]),
        Inject::Pause(_) => Some(&[Act::Pause, Act::Wake]),
        Inject::Cut(cut) if cut.is_whole() => Some(&[Act::Cut, Act::Heal]),
        Inject::Cut(_) | Inject::ReplicationDelay(_) => None,
    }
}

/// Everyone whom it may hit: which of them has the role when it fires, nobody knows yet.
pub(super) fn candidates(inject: &Inject, deployed: &Deployed) -> Vec<Server> {
    let (redis, chat) = (deployed.deployment.redis_servers(), deployed.deployment.chat_servers());
    match inject {
        Inject::RollingRestart(fault) => match fault.of {
            Everyone::Everything => redis.chain(chat).collect(),
            Everyone::Redis => redis.collect(),
            Everyone::Chat => chat.collect(),
        },
        Inject::Cut(cut) => of_role(&cut.redis, deployed),
        Inject::ReplicationDelay(delay) => of_role(&delay.redis, deployed),
        _ => match inject::target(inject) {
            Some(Target::Chat(node)) => vec![Server::Chat(node)],
            Some(Target::Redis(role)) => of_role(&role, deployed),
            None => Vec::new(),
        },
    }
}

fn of_role(role: &RedisTarget, deployed: &Deployed) -> Vec<Server> {
    use RedisTarget as T;
    let slot = match role {
        T::PrimaryOfSlot(slot) | T::ReplicaOfSlot(slot) | T::AllReplicasOfSlot(slot) => Some(*slot),
        T::PrimaryOfRoom(room) => Some(slot_of_room(room)),
        _ => None,
    };
    let has = |slot: u16| move |(first, last): &(u16, u16)| (*first..=*last).contains(&slot);
    let meant = deployed.shards.iter().filter(|shard| slot.is_none_or(|slot| shard.slots.iter().any(has(slot))));
    let hit: BTreeSet<Server> = match role {
        T::PrimaryOfBusiestRoom | T::BusiestPrimary | T::PrimaryOfSlot(_) | T::PrimaryOfRoom(_) => {
            meant.map(|shard| shard.primary).collect()
        }
        _ => meant.flat_map(|shard| shard.replicas.clone()).collect(),
    };
    hit.into_iter().collect()
}

fn hits_at_once(inject: &Inject, deployed: &Deployed) -> usize {
    use RedisTarget::{AllReplicasOfBusiestPrimary, AllReplicasOfBusiestRoom, AllReplicasOfSlot};
    let replicas = || deployed.shards.iter().map(|shard| shard.replicas.len()).max().unwrap_or(0);
    match inject::target(inject) {
        Some(Target::Redis(AllReplicasOfBusiestRoom | AllReplicasOfBusiestPrimary | AllReplicasOfSlot(_))) => {
            replicas()
        }
        _ => 1,
    }
}

/// Steps whose windows overlap by the clock; what events make of them is held to the radius when it happens.
fn at_once(drill: &Drill, deployed: &Deployed) -> Option<Contradiction> {
    let radius = &deployed.deployment.radius;
    let window = |step: &Step| match step.when {
        When::At(at) => Some((at.get(), at.get() + step.heal_after.get(), hits_at_once(&step.inject, deployed))),
        _ => None,
    };
    let windows: Vec<_> = drill.steps.iter().filter_map(window).collect();
    let hit_at = |start| {
        let open = windows.iter().filter(move |(from, to, _)| *from <= start && start < *to);
        (open.clone().count(), open.map(|(_, _, hit)| hit).sum::<usize>())
    };
    let mut hits = windows.iter().map(|(start, _, _)| hit_at(*start));
    let (_, most) = hits.find(|(steps, hit)| *steps > 1 && *hit > usize::from(radius.at_once))?;
    let name = &deployed.deployment.name;
    Some((
        "step".to_owned(),
        format!("overlapping faults hit {most} at once, and the blast radius of {name} is {radius}"),
    ))
}
