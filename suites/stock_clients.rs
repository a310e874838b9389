//! Stock Socket.IO clients on two chat nodes miss nothing that was acknowledged while a Redis primary dies.

use std::{collections::BTreeSet, time::Duration};

use chaos_checkers::{Contract, Question, Rule};
use chaos_faults::{Inject, Kill, RedisTarget, ReplicationDelay};
use serde_json::Value;
use tokio::{sync::watch, task::JoinSet};

use crate::{
    primary_loss::of_room,
    stage::Stage,
    stock_client::{Door, StockClient, read_back},
    wait::PATIENCE,
    warm::{Set, play},
};

const ROOM: &str = "lobby";
const PER_NODE: usize = 6;
const DELAY: Duration = Duration::from_millis(200);
/// Below the rate limit of a socket, 10 a second.
const PACE: Duration = Duration::from_millis(150);
/// The contract's: send it again, same id.
const ACK: Duration = Duration::from_secs(5);

#[test]
fn stock_clients_miss_nothing() {
    play(async {
        let mut stage = Stage::set(Set::usual().chat_nodes(2)).await;
        let (stop, stopped) = watch::channel(false);
        let (first, mut members) = gather(&stage, &stopped).await;
        let primary = stage.primary_of(ROOM).await;
        let slow = ReplicationDelay { redis: RedisTarget::PrimaryOfRoom(ROOM.to_owned()), delay: DELAY };

        let slowed = stage.inject(Inject::ReplicationDelay(slow), None).await;
        stage.until_more_acks(30).await;
        let killed = stage.inject(Inject::Kill(Kill(of_room(ROOM))), None).await;
        stage.until_replaced(primary, ROOM).await;
        stage.until_more_acks(30).await;
        stage.heal(killed).await;
        stage.heal(slowed).await;
        stop.send_replace(true);

        let mut left = Vec::new();
        while let Some(member) = members.join_next().await {
            left.push(member.expect("a member that did not panic").unwrap_or_else(|error| panic!("{error}")));
        }
        let acked: BTreeSet<&String> = left.iter().flat_map(|member| &member.acked).collect();
        assert!(acked.len() > 60, "only {} were acknowledged", acked.len());
        for member in &left {
            let missing: Vec<_> = acked.iter().filter(|offset| !member.received.contains(**offset)).collect();
            assert!(missing.is_empty(), "{} of {} acknowledged are missing: {missing:?}", missing.len(), acked.len());
        }

        read_back(&stage.door(1), ROOM, &first, PATIENCE).await.expect("the log is whole");
        let mut question = Question::of(Contract::AckedIsDurable);
        question.exercises = [Rule::R1, Rule::R4, Rule::R6, Rule::R7, Rule::R8, Rule::R12].into();
        stage.judge(question).must_pass();
    });
}

impl Stage {
    async fn until_more_acks(&self, more: u64) {
        let enough = self.recorder.live().acked + more;
        let acked = async || (self.recorder.live().acked >= enough).then_some(());
        crate::wait::eventually(&format!("{more} more acks"), acked).await;
    }
}

/// By offset: what the member was promised, and what it was given.
struct Left {
    acked: Vec<String>,
    received: BTreeSet<String>,
}

/// Joins all members before any of them speaks; also the offset from which the room can be read back.
async fn gather(stage: &Stage, stopped: &watch::Receiver<bool>) -> (String, JoinSet<Result<Left, String>>) {
    let mut clients = Vec::new();
    for nth in 0..2 * PER_NODE {
        let door = stage.door(1 + nth % 2);
        let name = format!("stock-{nth:02}");
        let client = StockClient::join(&door, &name, ROOM, None).await.unwrap_or_else(|error| panic!("{error}"));
        clients.push((door, name, client));
    }
    let first = clients[0].2.position();
    let mut members = JoinSet::new();
    for (door, name, client) in clients {
        members.spawn(chat(door, name, client, stopped.clone()));
    }
    (first, members)
}

/// One message after the other; a connection that is lost is made again from where the client stood. When it is over
/// it says one last thing, and reads until it has heard the last thing of everyone.
async fn chat(door: Door, name: String, client: StockClient, stopped: watch::Receiver<bool>) -> Result<Left, String> {
    let mut member =
        Member { door, name, client: Some(client), left: Left { acked: Vec::new(), received: BTreeSet::new() } };
    for nth in 0.. {
        let last = *stopped.borrow();
        let id = if last { format!("{}-last", member.name) } else { format!("{}-{nth}", member.name) };
        member.say(&id).await?;
        if last {
            break;
        }
        member.listen(PACE).await;
    }
    let mut client = member.client.take().ok_or("no connection")?;
    let all = |received: &[Value]| {
        let last = received.iter().filter_map(|message| message["id"].as_str()).filter(|id| id.ends_with("-last"));
        last.collect::<BTreeSet<_>>().len() == 2 * PER_NODE
    };
    client.read_until(PATIENCE, all).await;
    member.keep(client, "done");
    Ok(member.left)
}

struct Member {
    door: Door,
    name: String,
    client: Option<StockClient>,
    left: Left,
}

impl Member {
    /// A connection that is lost meanwhile is noticed by the next thing said.
    async fn listen(&mut self, pause: Duration) {
        if let Some(client) = &mut self.client {
            client.read_until(pause, |_| false).await;
        }
    }

    async fn say(&mut self, id: &str) -> Result<(), String> {
        for attempt in 1..=5 {
            let mut client = self.client.take().ok_or("no connection")?;
            match client.send(id, attempt, ACK).await {
                Ok(Some(ack)) => {
                    self.left.acked.extend(ack["offset"].as_str().map(ToOwned::to_owned));
                    self.client = Some(client);
                    return Ok(());
                }
                Ok(None) => self.client = Some(client),
                Err(why) => {
                    let at = self.keep(client, &why);
                    self.client = Some(StockClient::join(&self.door, &self.name, ROOM, Some(&at)).await?);
                }
            }
        }
        Err(format!("{id} was never acknowledged"))
    }

    /// Keeps what the connection brought, and says where to come back.
    fn keep(&mut self, client: StockClient, why: &str) -> String {
        let offsets = client.received.iter().filter_map(|message| message["offset"].as_str());
        self.left.received.extend(offsets.map(ToOwned::to_owned));
        client.cut(why)
    }
}
