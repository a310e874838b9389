//! A drill file → a [`Drill`], or every mistake in it at once.
//!
//! ```toml
//! format = 1                                  # of this file
//! title  = "one sentence: what is shown"
//! why    = "a few more: why it is worth showing"
//! seed   = 7
//! longest = "45s"                             # of the whole run
//! steady  = "3s"                              # before the first fault
//! settle  = "3s"                              # after the last heal
//! [cluster]
//! chat_nodes = 3
//! delivery = "log"                            # or "pubsub"
//! fence = "full"                              # or "none"
//! redis = { shards = 3, replicas_per_shard = 2, node_timeout = "1s", replication_delay = "200ms" }
//! [workload.fan_out]
//! rooms = 12
//! members_per_room = 20
//! sends_per_second = 400
//! [[step]]
//! at = "5s"                                   # or on = "epoch_change" (then = "1s"), or after_acks = 500
//! inject = { kill = { redis = "primary_of_busiest_room" } }
//! heal_after = "10s"
//! [expect]
//! contract = "acked_is_durable"
//! exercises = ["R1", "R12"]
//! ```
//! This file says which keys there are and what each may be; `read.rs` finds the mistakes, `contradictions.rs` what
//! makes no sense together of what can be read.

use std::{fs, path::Path};

use chaos_checkers::{Contract, Rule};
use chaos_cluster::{EngineChoice, EngineName};
use chaos_observe::Length;
use chaos_workload::{Churn, ContentSize, FanOut, Spacing, SpanRates};

use crate::{
    contradictions,
    drill::{Backend, CONTRACTS, Cluster, Delivery, Drill, Event, Expect, Fence, Redis, Step, When},
    mistake::{Mistake, Mistakes},
    overrides::Overrides,
    read::{Source, Table, Wrong},
    shipped,
    system::System,
};

/// The format that this version reads.
const FORMAT: u64 = 1;
const SPACINGS: &[(&str, Spacing)] = &[("exponential", Spacing::Exponential), ("even", Spacing::Even)];

/// Loads a shipped drill by name, or a file by path.
pub fn load(name_or_path: &str, overrides: &Overrides) -> Result<Drill, Mistakes> {
    if let Some(shipped) = shipped::find(name_or_path) {
        return from_text(shipped.name, shipped.name, shipped.text, overrides);
    }
    let path = Path::new(name_or_path);
    let text = fs::read_to_string(path).map_err(|error| no_such_drill(name_or_path, &error))?;
    if System::is_meant(&text) {
        return Err(Mistakes::whole(
            name_or_path,
            "this is a system file, not a drill: `--system` takes it".to_owned(),
        ));
    }
    let name = path.file_stem().map_or_else(|| name_or_path.into(), |stem| stem.to_string_lossy().into_owned());
    from_text(name_or_path, &name, &text, overrides)
}

fn no_such_drill(name: &str, error: &std::io::Error) -> Mistakes {
    let is_path = name.contains('/') || Path::new(name).extension().is_some_and(|extension| extension == "toml");
    let message = if is_path {
        format!("cannot read the drill file: {error}")
    } else {
        "no shipped drill has this name, and no file either (`chaos drills` lists them)".to_owned()
    };
    let nearest = if is_path { None } else { shipped::nearest(name) };
    Mistakes::new(name, vec![Mistake { place: None, message, nearest }])
}

/// Reads `text`; `file` is how mistakes name it.
pub fn from_text(file: &str, name: &str, text: &str, overrides: &Overrides) -> Result<Drill, Mistakes> {
    let (source, top) = Source::open(text);
    let mut drill = drill(name, top);
    let (mut mistakes, mut places, unread) = source.close();
    overrides.apply(&mut drill);
    for path in overrides.paths() {
        places.remove(path);
    }
    mistakes.extend(overrides.mistakes(&drill));
    mistakes.extend(contradictions::of(&drill, &places, &unread));
    if mistakes.is_empty() { Ok(drill) } else { Err(Mistakes::new(file, mistakes)) }
}

/// What cannot be read is told, and something stands in its place here.
fn drill(name: &str, mut top: Table<'_>) -> Drill {
    let format = top.whole("format", 0..=u64::from(u32::MAX));
    if let Some(format) = top.required("format", format).filter(|format| *format != FORMAT) {
        top.wrong(format!("`format` is {format}; this version reads format {FORMAT}"));
    }
    let title = top.text("title");
    let title = top.required("title", title);
    let why = top.text("why").unwrap_or_default();
    let seed = top.whole("seed", 0..=i64::MAX as u64).unwrap_or(1);
    let longest = top.length("longest").unwrap_or(Length::secs(120));
    let steady = top.length("steady").unwrap_or(Length::secs(3));
    let settle = top.length("settle").unwrap_or(Length::secs(3));
    let cluster = cluster(top.table("cluster"));
    let workload = workload(&mut top);
    let expect = top.table("expect");
    let expect = expectations(expect);
    let steps = top.tables("step").into_iter().filter_map(step).collect();
    top.done();
    Drill {
        name: name.to_owned(),
        title: title.unwrap_or_default(),
        why,
        seed,
        longest,
        steady,
        settle,
        system: System::reference(),
        deployment: None,
        cluster,
        workload: workload.unwrap_or_default(),
        expect,
        steps,
    }
}

fn cluster(mut table: Table<'_>) -> Cluster {
    let backend = table.choice("backend", Backend::NAMES).unwrap_or(Backend::Processes);
    let chat_nodes = table.whole("chat_nodes", 1..=16).unwrap_or(3) as u8;
    let delivery = table.choice("delivery", Delivery::NAMES).unwrap_or(Delivery::Log);
    let fence = table.choice("fence", Fence::NAMES).unwrap_or(Fence::Full);
    let history_window = table.length("history_window").unwrap_or(Length::secs(600));
    let ping_interval = table.length("ping_interval").unwrap_or(Length::secs(2));
    let ping_timeout = table.length("ping_timeout").unwrap_or(Length::secs(2));
    let redis = redis(table.table("redis"));
    table.done();
    Cluster { backend, chat_nodes, delivery, fence, history_window, ping_interval, ping_timeout, redis }
}

fn redis(mut table: Table<'_>) -> Redis {
    let redis = Redis {
        shards: table.whole("shards", 1..=16).unwrap_or(3) as u8,
        replicas_per_shard: table.whole("replicas_per_shard", 0..=5).unwrap_or(2) as u8,
        node_timeout: table.length("node_timeout").unwrap_or(Length::secs(1)),
        replication_delay: table.length("replication_delay").unwrap_or_default(),
        appendonly: table.flag("appendonly").unwrap_or(true),
        engine: table.value("engine", engine).unwrap_or_else(|| EngineChoice::Any.to_string()),
    };
    table.done();
    redis
}

fn engine(value: &toml::de::DeValue<'_>) -> Result<String, Wrong> {
    let text = value.as_str().unwrap_or_default();
    let names = EngineName::ALL.iter().map(|name| name.as_str());
    text.parse::<EngineChoice>()
        .map(|choice| choice.to_string())
        .map_err(|error| Wrong { message: error.to_string(), ..Wrong::name(text, names) })
}

fn workload(top: &mut Table<'_>) -> Option<FanOut> {
    let mut workload = top.table("workload");
    let mut table = workload.table("fan_out");
    let usual = FanOut::default();
    let rooms = table.whole("rooms", 1..=10_000);
    let members = table.whole("members_per_room", 2..=10_000);
    let sends = table.whole("sends_per_second", 1..=1_000_000);
    let rooms = table.required("rooms", rooms);
    let members = table.required("members_per_room", members);
    let sends = table.required("sends_per_second", sends);
    let rooms_per_user = whole_or(&mut table, "rooms_per_user", 1..=50, usual.rooms_per_user);
    let spacing = table.choice("spacing", SPACINGS).unwrap_or_default();
    let content = content(table.table("content"), usual.content);
    let ack_timeout = table.length("ack_timeout").map_or(usual.ack_timeout, Length::get);
    let churn = churn(table.table("churn"), &usual.churn);
    let sampling = sampling(table.table("sampling"), usual.sampling);
    table.done();
    workload.done();
    let (rooms, members_per_room, sends_per_second) = (rooms? as u32, members? as u32, sends? as u32);
    Some(FanOut {
        rooms,
        members_per_room,
        sends_per_second,
        rooms_per_user,
        spacing,
        content,
        ack_timeout,
        churn,
        sampling,
    })
}

fn whole_or(table: &mut Table<'_>, key: &'static str, range: std::ops::RangeInclusive<u64>, usual: u32) -> u32 {
    table.whole(key, range).map_or(usual, |number| number as u32)
}

fn content(mut table: Table<'_>, usual: ContentSize) -> ContentSize {
    let least = whole_or(&mut table, "least", 24..=1000, usual.least);
    let most = whole_or(&mut table, "most", 24..=1000, usual.most);
    table.done();
    ContentSize { least, most }
}

fn churn(mut table: Table<'_>, usual: &Churn) -> Churn {
    let churn = Churn {
        leavers_per_room: whole_or(&mut table, "leavers_per_room", 0..=10_000, usual.leavers_per_room),
        leave_every: table.length("leave_every").map_or(usual.leave_every, Length::get),
        away: table.length("away").map_or(usual.away, Length::get),
        cutters_per_room: whole_or(&mut table, "cutters_per_room", 0..=10_000, usual.cutters_per_room),
        cut_every: table.length("cut_every").map_or(usual.cut_every, Length::get),
    };
    table.done();
    churn
}

fn sampling(mut table: Table<'_>, usual: SpanRates) -> SpanRates {
    let sends_per_second = whole_or(&mut table, "sends_per_second", 0..=1_000_000, usual.sends_per_second);
    let receives_per_second = whole_or(&mut table, "receives_per_second", 0..=1_000_000, usual.receives_per_second);
    table.done();
    SpanRates { sends_per_second, receives_per_second }
}

fn step(mut table: Table<'_>) -> Option<Step> {
    let when = when(&mut table);
    let inject = table.described("inject");
    let inject = table.required("inject", inject);
    let heal_after = table.length("heal_after").unwrap_or(Length::secs(10));
    table.done();
    Some(Step { when: when?, inject: inject?, heal_after })
}

/// Exactly one of `at`, `on` and `after_acks`.
fn when(table: &mut Table<'_>) -> Option<When> {
    let at = table.length("at").map(When::At);
    let then = table.length("then").unwrap_or_default();
    let on = table.choice("on", Event::NAMES).map(|event| When::On { event, then });
    let after = table.whole("after_acks", 1..=i64::MAX as u64).map(When::AfterAcks);
    let given = ["at", "on", "after_acks"].into_iter().filter(|key| table.has(key)).count();
    if given != 1 {
        table.wrong("a step needs exactly one of `at`, `on` and `after_acks`".to_owned());
    }
    if table.has("then") && !table.has("on") {
        table.wrong("`then` belongs to `on`".to_owned());
    }
    at.or(on).or(after)
}

fn expectations(mut table: Table<'_>) -> Expect {
    let contract = table.choice("contract", CONTRACTS);
    let contract = table.required("contract", contract);
    let exercises = table.list("exercises", rule);
    let exercises = table.required("exercises", exercises);
    let fails = table.list("fails", rule).unwrap_or_default();
    let promote_within = table.value("promote_within", |value| match value.as_str() {
        Some("derived") => Ok(None),
        Some(text) => text
            .parse()
            .map(Some)
            .map_err(|error| Wrong { message: format!("{error}, or \"derived\""), ..Wrong::name(text, ["derived"]) }),
        None => Err(Wrong::new("expected \"derived\" or a length of time".to_owned())),
    });
    let acks_within = table.length("acks_within");
    let converge_within = table.length("converge_within").unwrap_or(Length::secs(10));
    if table.has("signals") {
        table.list("signals", |_| Ok(()));
        table.wrong("`expect.signals`: this version evaluates no alerts, so it cannot promise any".to_owned());
    }
    table.done();
    let promote_within = promote_within.flatten();
    let (contract, exercises) = (contract.unwrap_or(Contract::AckedIsDurable), exercises.unwrap_or_default());
    Expect { contract, exercises, fails, promote_within, acks_within, converge_within }
}

fn rule(text: &str) -> Result<Rule, Wrong> {
    let hit = Rule::ALL.iter().find(|rule| rule.to_string() == text);
    let names: Vec<_> = Rule::ALL.iter().map(ToString::to_string).collect();
    hit.copied().ok_or_else(|| Wrong::name(text, names.iter().map(String::as_str)))
}
