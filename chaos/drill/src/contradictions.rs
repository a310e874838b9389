//! Settings that are each fine and make no sense together: refused when the drill is loaded, so that no run is spent
//! on a question that its own plan cannot answer.
//!
//! One function, one contradiction. Where it comes from is said at each; the numbers are those of delivery.md.

use chaos_checkers::{Contract, Rule};
use chaos_observe::Length;

use crate::{
    deployment,
    drill::{Delivery, Drill, Event, Fence, Step, When},
    inject::Foreseen as _,
    mistake::Mistake,
    plan::estimate,
    read::{Places, Unread, nearest_place},
};

/// Fewer than this in flight, and a run that loses nothing has shown nothing.
const LEAST_IN_FLIGHT: f64 = 20.0;
/// The longest that a node lets one WAIT take.
const WAIT: Length = Length::millis(500);
/// How long a node lets a connection to Redis be silent.
const LIVENESS: Length = Length::millis(800);
/// Messages a second that a node takes of one socket (contract.md).
const RATE_LIMIT: f64 = 10.0;

/// A contradiction: the setting it is told at, and the sentence.
type Contradiction = (String, String);
type Check = fn(&Drill) -> Option<Contradiction>;
type CheckOfStep = fn(&Drill, &Step) -> Option<String>;
/// Top tables and settings that a check reads.
type Settings = &'static [&'static str];

/// Each is looked for where all can be read that it comes from, whatever else cannot.
pub(crate) fn of(drill: &Drill, places: &Places, unread: &Unread) -> Vec<Mistake> {
    let can_be_read = |settings: &[&str]| settings.iter().chain(&[""]).all(|setting| !unread.contains(*setting));
    let whole: [(Check, Settings); 15] = [
        (user_faster_than_acks, &["cluster", "workload"]),
        (too_few_in_flight, &["cluster", "workload", "expect"]),
        (durability_without_delay, &["cluster", "step", "expect"]),
        (delay_outlasts_the_wait, &["cluster"]),
        (timeout_under_liveness, &["cluster"]),
        (user_over_the_rate_limit, &["workload"]),
        (window_too_short, &["cluster", "longest"]),
        (longer_than_allowed, &["longest", "steady", "settle", "cluster", "workload", "step"]),
        (promises_what_fails, &["expect"]),
        (no_fence_without_a_log, &["cluster"]),
        (unfit_system, &["cluster"]),
        (leaves_that_nobody_knows, &["workload"]),
        (rooms_that_nobody_can_join, &["workload"]),
        (majority_at_once, &["cluster", "step"]),
        (event_that_nothing_causes, &["step"]),
    ];
    let whole = whole.iter().filter(|(_, settings)| can_be_read(settings));
    let mut found: Vec<_> = whole.filter_map(|(check, _)| check(drill)).collect();
    let of_steps: [(CheckOfStep, Settings); 3] = [
        (before_steady, &["step", "steady"]),
        (no_such_target, &["step", "cluster", "workload"]),
        (no_majority_left, &["step", "cluster"]),
    ];
    for (nth, step) in drill.steps.iter().enumerate() {
        let checks = of_steps.iter().filter(|(_, settings)| can_be_read(settings));
        found.extend(checks.filter_map(|(check, _)| Some((format!("step.{nth}.inject"), check(drill, step)?))));
    }
    if can_be_read(&["cluster", "workload"]) {
        found.extend(workload(drill));
    }
    if can_be_read(&["cluster"]) {
        found.extend(settings_that_it_is_not_told(drill));
    }
    if can_be_read(&["cluster", "step"]) {
        found.extend(deployment::contradictions(drill));
    }
    let mistake = |(path, message): (String, String)| {
        let place = nearest_place(places, &path);
        Mistake { place, message: format!("`{path}`: {message}"), nearest: None }
    };
    found.into_iter().map(mistake).collect()
}

fn at(path: &str, message: String) -> Contradiction {
    (path.to_owned(), message)
}

/// A writer fences serially, so with a delay d an ack takes 1 to 2 d, and a user has one message in flight.
fn user_faster_than_acks(drill: &Drill) -> Option<Contradiction> {
    let delay = drill.cluster.redis.replication_delay.as_secs();
    let (rate, most) = (drill.workload.rate_per_membership(), 0.6 / (1.5 * delay));
    if delay == 0.0 || rate <= most {
        return None;
    }
    Some(at(
        "workload.fan_out.sends_per_second",
        format!(
            "{rate:.2} sends a second of each user are more than the {most:.2} = 0.6 / (1.5 × {}) that a user with one \
             message in flight can get acked behind that replication delay; queues would grow",
            drill.cluster.redis.replication_delay
        ),
    ))
}

fn too_few_in_flight(drill: &Drill) -> Option<Contradiction> {
    let delayed = drill.cluster.redis.replication_delay > Length::default();
    let expected = drill.in_flight();
    if !(delayed && promises(drill, Rule::R12) && expected < LEAST_IN_FLIGHT) {
        return None;
    }
    Some(at(
        "cluster.redis.replication_delay",
        format!(
            "only {expected:.1} messages are expected in flight when the primary dies ({} sends/s ÷ {} shards × {}); a \
             drill about durability needs at least {LEAST_IN_FLIGHT}",
            drill.workload.sends_per_second, drill.cluster.redis.shards, drill.cluster.redis.replication_delay
        ),
    ))
}

/// On one machine, without delay, a killed primary loses nothing even without WAIT: the kernel still sends what the
/// dead process wrote.
fn durability_without_delay(drill: &Drill) -> Option<Contradiction> {
    let kills = drill.steps.iter().any(|step| step.inject.kills_primary());
    let delayed = drill.cluster.redis.replication_delay > Length::default();
    let shows = drill.has_log() && promises(drill, Rule::R12) && !drill.must_fail();
    if !kills || delayed || !shows {
        return None;
    }
    Some(at(
        "cluster.redis.replication_delay",
        "a killed primary loses nothing on one machine unless its replication link is delayed, so R12 would prove \
         nothing; set it (200ms)"
            .to_owned(),
    ))
}

fn delay_outlasts_the_wait(drill: &Drill) -> Option<Contradiction> {
    let delay = drill.cluster.redis.replication_delay;
    let fenced = drill.has_log() && drill.cluster.fence == Fence::Full;
    if !fenced || delay.as_secs() * 2.0 < WAIT.as_secs() {
        return None;
    }
    let path = "cluster.redis.replication_delay";
    Some(at(
        path,
        format!("behind {delay} most fences outlast the {WAIT} that a node gives one WAIT; stay under 250ms"),
    ))
}

/// A connection must be given up before Redis decides, or a node learns of a failover last.
fn timeout_under_liveness(drill: &Drill) -> Option<Contradiction> {
    let timeout = drill.cluster.redis.node_timeout;
    let path = "cluster.redis.node_timeout";
    let message = || format!("{timeout} is not longer than the {LIVENESS} after which a node gives up a connection");
    (timeout <= LIVENESS).then(|| at(path, message()))
}

fn user_over_the_rate_limit(drill: &Drill) -> Option<Contradiction> {
    let rate = drill.workload.rate_per_membership();
    let path = "workload.fan_out.sends_per_second";
    let message =
        || format!("{rate:.1} sends a second of each user exceed the {RATE_LIMIT} that a node takes of a socket");
    (rate > RATE_LIMIT).then(|| at(path, message()))
}

/// The final read joins with the run's first offset, which must still be held then.
fn window_too_short(drill: &Drill) -> Option<Contradiction> {
    let (window, longest) = (drill.cluster.history_window, drill.longest);
    let message =
        || format!("{window} is under twice the longest duration ({longest}): the final read would prove nothing");
    (window.get() < longest.get() * 2).then(|| at("cluster.history_window", message()))
}

fn longer_than_allowed(drill: &Drill) -> Option<Contradiction> {
    let estimate = estimate(drill);
    let longest = drill.longest;
    let message = || format!("{longest} is too short: by its steps the drill takes about {estimate}");
    (estimate > longest).then(|| at("longest", message()))
}

/// What the workload itself finds wrong; each begins with the setting's path.
fn workload(drill: &Drill) -> Vec<(String, String)> {
    let mistakes = drill.workload.mistakes(u32::from(drill.cluster.chat_nodes));
    let split = |mistake: String| match mistake.split_once(": ") {
        Some((path, why)) => (format!("workload.fan_out.{path}"), why.to_owned()),
        None => ("workload.fan_out".to_owned(), mistake),
    };
    mistakes.into_iter().map(split).collect()
}

fn promises_what_fails(drill: &Drill) -> Option<Contradiction> {
    let outside = |rule: &&Rule| drill.expect.contract == Contract::AtMostOnce && **rule == Rule::R12;
    let rule = drill.expect.exercises.iter().chain(&drill.expect.fails).find(outside)?;
    Some(at("expect.contract", format!("`at_most_once` promises no durability, so {rule} is outside it")))
}

/// A node would not start with it.
fn no_fence_without_a_log(drill: &Drill) -> Option<Contradiction> {
    let unfenced = drill.cluster.delivery == Delivery::Pubsub && drill.cluster.fence == Fence::None;
    unfenced.then(|| at("cluster.fence", "`none` means nothing with `pubsub`, which never fences".to_owned()))
}

fn unfit_system(drill: &Drill) -> Option<Contradiction> {
    Some(at("system", drill.system.unfit_for(drill.cluster.backend)?))
}

/// Such a drill is about what they change, and would show nothing. Nodes of a deployment are told nothing at all.
fn settings_that_it_is_not_told(drill: &Drill) -> Vec<Contradiction> {
    let Drill { system, cluster, deployment, .. } = drill;
    let unusual = [
        ("fence", cluster.fence.as_str(), cluster.fence != Fence::Full),
        ("delivery", cluster.delivery.as_str(), cluster.delivery != Delivery::Log),
    ];
    let lost = unusual
        .into_iter()
        .filter(|(setting, _, unusual)| *unusual && deployment.is_none() && !system.start.tells(setting));
    let told = |(setting, value, _)| {
        let why = format!("`{value}` is a setting of the reference system; {} has no such thing", system.name);
        at(&format!("cluster.{setting}"), why)
    };
    lost.map(told).collect()
}

fn leaves_that_nobody_knows(drill: &Drill) -> Option<Contradiction> {
    let knows = drill.system.dialect.as_ref().is_none_or(|dialect| dialect.leave.is_some());
    let leavers = drill.workload.churn.leavers_per_room;
    let message =
        || format!("{leavers} members of each room leave it, and the file of {} has no `leave`", drill.system.name);
    (leavers > 0 && !knows).then(|| at("workload.fan_out.churn", message()))
}

fn rooms_that_nobody_can_join(drill: &Drill) -> Option<Contradiction> {
    let joins = drill.system.dialect.as_ref().is_none_or(|dialect| dialect.join.is_some());
    let rooms = drill.workload.rooms_per_user;
    let message = || format!("each user is in {rooms} rooms, and the file of {} has no `join`", drill.system.name);
    (rooms > 1 && !joins).then(|| at("workload.fan_out.rooms_per_user", message()))
}

fn promises(drill: &Drill, rule: Rule) -> bool {
    drill.expect.exercises.contains(&rule) || drill.expect.fails.contains(&rule)
}

fn before_steady(drill: &Drill, step: &Step) -> Option<String> {
    let steady = drill.steady;
    let When::At(at) = step.when else { return None };
    (at < steady).then(|| format!("at {at} the steady state has not yet held for {steady}"))
}

fn no_such_target(drill: &Drill, step: &Step) -> Option<String> {
    step.inject.missing_target(drill)
}

/// Promotion needs the votes of a majority of the primaries, the dead one counted.
fn no_majority_left(drill: &Drill, step: &Step) -> Option<String> {
    let shards = usize::from(drill.cluster.redis.shards);
    let down = step.inject.primaries_down();
    let left = shards.saturating_sub(down);
    (down > 0 && left * 2 <= shards).then(|| {
        format!("of {shards} primaries {left} would be left, which is no majority: nothing could ever be promoted")
    })
}

/// It would be waited for until `longest`.
fn event_that_nothing_causes(drill: &Drill) -> Option<Contradiction> {
    let in_vain = |(nth, step): (usize, &Step)| {
        let When::On { event, .. } = step.when else { return None };
        let mut before = drill.steps[..nth].iter();
        let (what, caused) = match event {
            Event::Healed => ("is healed", nth > 0),
            Event::EpochChange => ("changes an epoch", before.any(|step| step.inject.may_promote())),
            Event::Promotion => ("has anybody promoted", before.any(|step| step.inject.may_promote())),
        };
        (!caused).then(|| at(&format!("step.{nth}.on"), format!("no step before it {what}, so it would never come")))
    };
    drill.steps.iter().enumerate().find_map(in_vain)
}

/// Two steps whose windows overlap by the clock, each of them harmless.
fn majority_at_once(drill: &Drill) -> Option<Contradiction> {
    let shards = usize::from(drill.cluster.redis.shards);
    let window = |step: &Step| match step.when {
        When::At(at) => Some((at.get(), at.get() + step.heal_after.get(), step.inject.primaries_down())),
        _ => None,
    };
    let windows: Vec<_> = drill.steps.iter().filter_map(window).filter(|(_, _, down)| *down > 0).collect();
    for (start, _, _) in &windows {
        let open = windows.iter().filter(|(from, to, _)| from <= start && start < to);
        let down: usize = open.clone().map(|(_, _, down)| down).sum();
        if open.count() > 1 && (shards.saturating_sub(down)) * 2 <= shards {
            let when = Length::from(*start);
            let text = format!("at {when} overlapping faults take {down} of {shards} primaries: no majority is left");
            return Some(at("step", text));
        }
    }
    None
}
