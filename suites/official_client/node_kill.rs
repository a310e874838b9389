//! Ten thousand messages through the official client while a chat node is killed: nothing is lost, doubled or out of
//! order for anybody, by a strict count and by the checkers of the drills.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chaos_checkers::{Contract, Question, Rule};
use chaos_faults::{Inject, Kill, Pause, Target};
use chaos_observe::{Clock, Content, Offset, Op, Recorder};
use serde_json::{Value, json};

use super::users::{Saw, Users, VERSIONS};
use crate::{
    stage::Stage,
    stock_client::read_back,
    verdict::Judged,
    wait::{PATIENCE, eventually},
    warm::{Set, play},
};

const ROOM: &str = "lobby";
const USERS: usize = 10;
const EACH: usize = 1000;
/// For how long a user of this rate waits before the same id is sent again, in milliseconds.
const ACK_MS: u64 = 2000;
/// Who has not seen all of it, and sees nothing for so long, will not.
const SILENCE: Duration = Duration::from_secs(8);

#[test]
fn ten_thousand_messages_survive_a_node_kill() {
    play(async {
        let Some(run) = Run::play(EACH, "received", Loss::NodeKill, &[]).await else { return };
        assert_eq!(run.faults, Faults::default(), "{}", run.told());
        run.judged.must_pass();
    });
}

/// What most deployments run: what a node had not passed on is lost with it, and whoever is away misses what is said.
/// Killed while it hangs, so that something is lost for members that are certainly there.
#[test]
fn plain_pubsub_is_caught_by_the_official_client() {
    play(async {
        let Some(run) = Run::play(EACH / 4, "received", Loss::HungNodeKill, &["--delivery", "pubsub"]).await else {
            return;
        };
        assert!(run.faults.lost > 0, "{}", run.told());
        run.judged.must_fail(Rule::R1);
    });
}

/// An ack's offset is no position: what comes before it may still be on its way.
#[test]
fn an_official_client_that_keeps_the_offset_of_acks_is_caught() {
    play(async {
        let Some(run) = Run::play(EACH / 10, "acked", Loss::BehindAcks, &[]).await else { return };
        assert!(run.faults.lost > 0, "{}", run.told());
        run.judged.must_fail(Rule::R1);
    });
}

#[test]
fn where_keeping_the_offset_of_acks_loses_that_of_receipts_does_not() {
    play(async {
        let Some(run) = Run::play(EACH / 10, "received", Loss::BehindAcks, &[]).await else { return };
        assert_eq!(run.faults, Faults::default(), "{}", run.told());
        run.judged.must_pass();
    });
}

/// How connections are lost.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Loss {
    NodeKill,
    HungNodeKill,
    /// Each user's, behind every tenth ack.
    BehindAcks,
}

/// Against what each of the users should have seen: every message that was acknowledged, once, in one order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Faults {
    lost: usize,
    doubled: usize,
    disordered: usize,
}

struct Run {
    faults: Faults,
    away: usize,
    judged: Judged,
}

impl Run {
    async fn play(each: usize, keeps: &str, loss: Loss, flags: &[&str]) -> Option<Run> {
        let mut users = Users::start()?;
        let mut stage = Stage::set(Set::usual().flags(flags)).await;
        let names: Vec<_> = (0..USERS).map(|nth| format!("{}-{nth}", VERSIONS[nth % VERSIONS.len()])).collect();
        for (nth, name) in names.iter().enumerate() {
            let nodes: Vec<_> = (0..3).map(|next| format!("http://{}", stage.node(1 + (nth + next) % 3))).collect();
            let more = json!({ "auth": { "token": name, "room": ROOM }, "keeps": keeps });
            users.open(name, VERSIONS[nth % VERSIONS.len()], &nodes, &more);
        }
        let mut record = Record::new(&stage);
        let mut first = None;
        while record.joined < USERS {
            let saw = tokio::time::timeout(PATIENCE, users.next()).await.expect("everybody joins");
            first = first.or_else(|| saw.told["payload"]["offset"].as_str().map(ToOwned::to_owned));
            record.take(&saw);
        }
        for name in &names {
            let cuts = if loss == Loss::BehindAcks { 10 } else { 0 };
            let talk = json!({ "do": "talk", "user": name, "messages": each, "patience": ACK_MS, "cuts": cuts });
            users.order(&talk);
        }
        let total = USERS * each;
        let following = tokio::spawn(async move {
            // In silence something is missing for good: the count says what.
            while !record.complete(total)
                && let Ok(saw) = tokio::time::timeout(SILENCE, users.next()).await
            {
                record.take(&saw);
            }
            record
        });

        if loss != Loss::BehindAcks {
            acked(&stage, total / 6).await;
            if loss == Loss::HungNodeKill {
                stage.inject(Inject::Pause(Pause(Target::Chat(2))), None).await;
                acked(&stage, total / 5).await;
            }
            stage.inject(Inject::Kill(Kill(Target::Chat(2))), None).await;
        }
        let record = following.await.expect("no panic");
        for fault in 0..stage.faults.len() {
            stage.heal(fault).await;
        }

        assert_eq!(record.talked, USERS, "not everybody came to an end; {} acks", record.acked.len());
        assert_eq!(record.acked.len(), total);
        if let Some(first) = first {
            read_back(&stage.door(1), ROOM, &first, PATIENCE).await.expect("the log is whole");
        }
        let mut question = Question::of(Contract::AckedIsDurable);
        question.exercises =
            [Rule::R1, Rule::R2, Rule::R4, Rule::R5, Rule::R6, Rule::R7, Rule::R8, Rule::R10, Rule::R12].into();
        let (faults, away) = (count(&record.received, &record.acked), record.away);
        Some(Run { faults, away, judged: stage.judge(question) })
    }

    fn told(&self) -> String {
        format!("{:?}; connections lost: {}", self.faults, self.away)
    }
}

async fn acked(stage: &Stage, enough: usize) {
    let acked = async || (stage.recorder.live().acked >= enough as u64).then_some(());
    eventually(&format!("{enough} acks"), acked).await;
}

/// What everybody saw, counted here and written into the stage's history.
struct Record {
    clock: Clock,
    recorder: Recorder,
    nodes: BTreeMap<String, String>,
    /// By user: the ids in their order, and the position offered last.
    received: BTreeMap<String, Vec<String>>,
    offered: BTreeMap<String, Option<Offset>>,
    heads: BTreeMap<String, Option<Offset>>,
    acked: BTreeSet<String>,
    receipts: usize,
    joined: usize,
    talked: usize,
    away: usize,
}

impl Record {
    fn new(stage: &Stage) -> Record {
        let nodes = (1..=3).map(|nth| (format!("http://{}", stage.node(nth)), format!("chat-{nth}")));
        Record {
            clock: stage.clock,
            recorder: stage.recorder.clone(),
            nodes: nodes.collect(),
            received: BTreeMap::new(),
            offered: BTreeMap::new(),
            heads: BTreeMap::new(),
            acked: BTreeSet::new(),
            receipts: 0,
            joined: 0,
            talked: 0,
            away: 0,
        }
    }

    fn take(&mut self, Saw { user, what, told }: &Saw) {
        let (id, room) = (text(&told["id"]), ROOM.to_owned());
        let payload = &told["payload"];
        match what.as_str() {
            "auth" => drop(self.offered.insert(user.clone(), place(&told["offset"]))),
            "connect" => {
                let node = self.nodes[told["node"].as_str().expect("a node")].clone();
                self.write(user, Op::Up { node });
                self.write(user, Op::Join { room, offset: self.offered[user] });
            }
            "disconnect" => {
                self.away += 1;
                self.write(user, Op::Down { why: text(&told["why"]) });
            }
            "joined" => {
                self.joined += 1;
                let (offset, head) = (place(&payload["offset"]), place(&payload["head"]));
                self.heads.insert(user.clone(), head);
                self.write(user, Op::JoinOk { room, offset, head, recovered: payload["recovered"] == true });
            }
            "send" => {
                let attempt = told["attempt"].as_u64().expect("a number") as u32;
                let (intended, content) = (self.clock.now(), Content::of(&text(&told["content"])));
                self.write(user, Op::Send { message: id, room, attempt, intended, content, canary: false });
            }
            "sent" => {
                self.acked.insert(id.clone());
                self.write(user, Op::SendOk { message: id, offset: place(&told["answer"]["offset"]) });
            }
            "refused" => {
                self.write(user, Op::SendFail { message: id, code: text(&told["answer"]["error"]["code"]) });
            }
            "unanswered" => self.write(user, Op::SendInfo { message: id, why: text(&told["why"]) }),
            "chat-message" => {
                let (message, offset) = (text(&payload["id"]), place(&payload["offset"]));
                self.receipts += 1;
                self.received.entry(user.clone()).or_default().push(message.clone());
                let replay = offset <= self.heads.get(user).copied().flatten();
                let (sender, content) = (text(&payload["sender"]), Content::of(&text(&payload["content"])));
                self.write(user, Op::Recv { room, message, sender, offset, content, replay, hidden: false });
            }
            "talked" => self.talked += 1,
            _ => {}
        }
    }

    fn write(&self, user: &str, op: Op) {
        self.recorder.record(self.clock.now(), user, op);
    }

    fn complete(&self, total: usize) -> bool {
        self.talked == USERS && self.receipts >= USERS * total
    }
}

/// What is wrong with what each user received of what was acknowledged.
fn count(received: &BTreeMap<String, Vec<String>>, acked: &BTreeSet<String>) -> Faults {
    let mut faults = Faults::default();
    // The order of who saw most is the order that all must have seen.
    let order = received.values().max_by_key(|ids| ids.len()).expect("somebody saw something");
    let places: BTreeMap<&String, usize> = order.iter().zip(0..).collect();
    for ids in received.values() {
        let seen: BTreeSet<_> = ids.iter().collect();
        faults.lost += acked.iter().filter(|id| !seen.contains(id)).count();
        faults.doubled += ids.len() - seen.len();
        let at: Vec<_> = ids.iter().filter_map(|id| places.get(id)).collect();
        faults.disordered += at.windows(2).filter(|pair| pair[0] > pair[1]).count();
        // And each sender's own order, which is in the number behind the name.
        let mut last = BTreeMap::new();
        for id in ids {
            let (sender, nth) = id.rsplit_once('-').expect("an id of ours");
            let nth: usize = nth.parse().expect("a number");
            faults.disordered += usize::from(last.insert(sender, nth).is_some_and(|before| before >= nth));
        }
    }
    faults
}

#[test]
fn the_count_sees_what_is_lost_doubled_and_out_of_order() {
    let acked: BTreeSet<String> = ["a-0", "a-1", "b-0", "b-1"].map(str::to_owned).into();
    let faults_of = |other: &[&str]| {
        let [one, other] = [&["a-0", "b-0", "a-1", "b-1"][..], other]
            .map(|ids| ids.iter().copied().map(str::to_owned).collect::<Vec<_>>());
        let Faults { lost, doubled, disordered } =
            count(&[("x".to_owned(), one), ("y".to_owned(), other)].into(), &acked);
        (lost, doubled, disordered > 0)
    };
    assert_eq!(faults_of(&["a-0", "b-0", "a-1", "b-1"]), (0, 0, false));
    assert_eq!(faults_of(&["a-0", "a-1", "b-1"]), (1, 0, false));
    assert_eq!(faults_of(&["a-0", "b-0", "a-1", "b-1", "b-1"]), (0, 1, true));
    assert_eq!(faults_of(&["b-0", "a-0", "a-1", "b-1"]), (0, 0, true), "of two senders");
    assert_eq!(faults_of(&["a-1", "a-0", "b-0", "b-1"]), (0, 0, true), "of one sender");
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn place(offset: &Value) -> Option<Offset> {
    offset.as_str().map(|offset| offset.parse().unwrap_or_else(|error| panic!("{error}")))
}
