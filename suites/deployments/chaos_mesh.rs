//! The shipped drills as workflows of Chaos Mesh: written out by a function of the drill, and compared with the files
//! in `fixtures/deployments/chaos-mesh`. `just chaos-mesh` writes them again.
//!
//! Deliberately absent: load, checkers, a verdict. An experiment breaks what runs; whether that kept its promise, it
//! does not say.

use std::{collections::BTreeMap, env, fmt::Write, fs, time::Duration};

use chaos_checkers::Rule;
use chaos_drill::{Drill, Overrides, SHIPPED, When, load};
use chaos_faults::{FastRestart, Inject, Kill, Pause, RedisTarget, Target};
use chaos_observe::Length;

use super::{fixtures, read};

/// Drills that Chaos Mesh has no equal for. docs/deployments.md tells what to do instead.
const WITHOUT: [&str; 1] = ["rolling-restart"];
/// The label that `aim` puts on the pods that are to be hit.
const AIM: &str = "holdfast/aim";

#[test]
fn experiments_for_chaos_mesh_do_what_the_shipped_drills_do() {
    let folder = fixtures().join("deployments/chaos-mesh");
    let mut expected = BTreeMap::new();
    for shipped in SHIPPED {
        let drill = load(shipped.name, &Overrides::default()).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let experiment = experiment(&drill);
        assert_eq!(experiment.is_none(), WITHOUT.contains(&shipped.name), "{} has an equal or has none", shipped.name);
        expected.extend(experiment.map(|text| (format!("{}.yaml", shipped.name), text)));
    }
    if env::var_os("HOLDFAST_WRITE_EXPERIMENTS").is_some() {
        for (name, text) in &expected {
            fs::write(folder.join(name), text).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
    let files = fs::read_dir(&folder).expect("the folder of experiments").flatten().map(|entry| entry.path());
    let experiments = files.filter(|path| path.extension().is_some_and(|end| end == "yaml"));
    let there: BTreeMap<_, _> = experiments
        .map(|path| (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), read(&path)))
        .collect();
    let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&there), names(&expected), "run `just chaos-mesh`, and remove what no drill is for");
    for (name, text) in &expected {
        assert!(
            there[name] == *text,
            "{name} is not what its drill does (run `just chaos-mesh`); it should be:\n{text}"
        );
    }
}

/// `None`: Chaos Mesh has nothing like one of its faults.
fn experiment(drill: &Drill) -> Option<String> {
    let redis = &drill.cluster.redis;
    let mut templates = Templates::default();
    if redis.replication_delay > Length::default() {
        let lasts = Length::from(healed(drill)?.saturating_sub(drill.steady.get()));
        templates.after("delay", drill.steady, lasts, &delayed(redis.replication_delay));
    }
    for (nth, step) in drill.steps.iter().enumerate() {
        let When::At(at) = step.when else { return None };
        templates.after(&format!("step-{}", nth + 1), at, step.heal_after, &bite(&step.inject)?);
    }
    let Templates { text, children } = templates;
    let (head, name, longest, children) = (head(drill), &drill.name, drill.longest, children.join(", "));
    Some(format!(
        "{head}apiVersion: chaos-mesh.org/v1alpha1\nkind: Workflow\n\
         metadata:\n  name: {name}\n  namespace: holdfast\n\
         spec:\n  entry: drill\n  templates:\n\
         \x20   - name: drill\n      templateType: Parallel\n      deadline: {longest}\n      children: [{children}]\n{text}"
    ))
}

/// When the last fault is healed.
fn healed(drill: &Drill) -> Option<Duration> {
    let ends = drill.steps.iter().map(|step| match step.when {
        When::At(at) => Some(at.get() + step.heal_after.get()),
        When::On { .. } | When::AfterAcks(_) => None,
    });
    ends.collect::<Option<Vec<_>>>()?.into_iter().max()
}

/// What an experiment does not do itself.
fn head(drill: &Drill) -> String {
    let (cluster, redis, load) = (&drill.cluster, &drill.cluster.redis, &drill.workload);
    let rules = |rules: &[Rule]| rules.iter().map(Rule::to_string).collect::<Vec<_>>().join(" ");
    let fails = if drill.must_fail() { format!("; {} must fail", rules(&drill.expect.fails)) } else { String::new() };
    format!(
        "# {title}\n#\n\
         # fixtures/drills/{name}.toml for Chaos Mesh. Made from it by `just chaos-mesh`, so change the drill.\n\
         # Cluster:   {shards} × (1 + {replicas}) Redis, node timeout {timeout}, append-only file {appendonly}; \
         {nodes} chat nodes, delivery {delivery}, fence {fence}\n\
         # Load:      {rooms} rooms of {members}, {sends} sends/s\n\
         # Judged by: {contract}, {exercises}{fails}\n\
         # First:     fixtures/deployments/chaos-mesh/aim labels who is hit.\n",
        title = drill.title,
        name = drill.name,
        shards = redis.shards,
        replicas = redis.replicas_per_shard,
        timeout = redis.node_timeout,
        appendonly = if redis.appendonly { "on" } else { "off" },
        nodes = cluster.chat_nodes,
        delivery = cluster.delivery,
        fence = cluster.fence,
        rooms = load.rooms,
        members = load.members_per_room,
        sends = load.sends_per_second,
        contract = drill.contract(),
        exercises = rules(&drill.expect.exercises),
    )
}

/// Templates of a workflow, and those of them that begin with it.
#[derive(Default)]
struct Templates {
    text: String,
    children: Vec<String>,
}

impl Templates {
    /// `chaos` for as long as it `lasts`, once `wait` is over.
    fn after(&mut self, name: &str, wait: Length, lasts: Length, chaos: &Chaos) {
        let Chaos { kind, field, spec } = chaos;
        let _ = write!(
            self.text,
            "    - name: {name}\n      templateType: Serial\n      children: [{name}-waits, {name}-bites]\n\
             \x20   - name: {name}-waits\n      templateType: Suspend\n      deadline: {wait}\n\
             \x20   - name: {name}-bites\n      templateType: {kind}\n      deadline: {lasts}\n      {field}:\n{spec}"
        );
        self.children.push(name.to_owned());
    }
}

/// An experiment of Chaos Mesh inside a template.
struct Chaos {
    kind: &'static str,
    field: &'static str,
    spec: String,
}

fn pod(spec: String) -> Chaos {
    Chaos { kind: "PodChaos", field: "podChaos", spec }
}

fn network(spec: String) -> Chaos {
    Chaos { kind: "NetworkChaos", field: "networkChaos", spec }
}

fn bite(inject: &Inject) -> Option<Chaos> {
    match inject {
        Inject::Kill(Kill(target)) => killed(target),
        // It is the entry point that makes a restart slow; without it the two are one.
        Inject::FastRestart(FastRestart { redis, .. }) => killed(&Target::Redis(redis.clone())),
        Inject::Pause(Pause(target)) => hung(target),
        _ => None,
    }
}

/// SIGKILL; the kubelet starts the container again, and a Redis node waits in its entry point.
fn killed(target: &Target) -> Option<Chaos> {
    let container = if matches!(target, Target::Redis(_)) { "redis" } else { "chat-node" };
    let selector = selector(target)?;
    Some(pod(format!(
        "        action: container-kill\n        mode: one\n        selector: {selector}\n        \
         containerNames: [{container}]\n"
    )))
}

/// Chaos Mesh sends no SIGSTOP. Packets that vanish both ways look the same from outside: no error, no data, and who
/// wakes is stale. The process itself sees the difference.
fn hung(target: &Target) -> Option<Chaos> {
    let selector = selector(target)?;
    Some(network(format!(
        "        action: partition\n        mode: one\n        selector: {selector}\n        direction: both\n        \
         target: {{ mode: all, selector: {{ namespaces: [holdfast] }} }}\n"
    )))
}

/// Everything from that primary to its replicas, the bus as well.
fn delayed(delay: Length) -> Chaos {
    let (from, to) = (labelled(AIM, "primary"), labelled(AIM, "replica"));
    network(format!(
        "        action: delay\n        mode: one\n        selector: {from}\n        direction: to\n        \
         target: {{ mode: all, selector: {to} }}\n        delay: {{ latency: {delay} }}\n"
    ))
}

/// Roles as `aim` knows them: it takes the busiest primary, whichever rooms make it that.
fn selector(target: &Target) -> Option<String> {
    match target {
        Target::Chat(_) => Some(labelled("app", "chat")),
        Target::Redis(RedisTarget::PrimaryOfBusiestRoom | RedisTarget::BusiestPrimary) => {
            Some(labelled(AIM, "primary"))
        }
        Target::Redis(RedisTarget::ReplicaOfBusiestRoom | RedisTarget::ReplicaOfBusiestPrimary) => {
            Some(labelled(AIM, "replica"))
        }
        Target::Redis(_) => None,
    }
}

fn labelled(key: &str, value: &str) -> String {
    format!("{{ namespaces: [holdfast], labelSelectors: {{ {key}: {value} }} }}")
}
