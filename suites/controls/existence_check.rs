//! A member comes back with an offset that is no longer held. Who does not look whether that entry is still there
//! replays what is left, with no sign of a gap.

use std::time::Duration;

use chaos_checkers::{Contract, Question, Rule};
use chaos_cluster::RespValue;

use super::caught;
use crate::{
    stage::Stage,
    stock_client::{StockClient, read_back},
    verdict::{Close, Judged},
    wait::PATIENCE,
    warm::{Set, play},
};

const ROOM: &str = "attic";
const MISSED: i64 = 8;

#[test]
fn a_resume_without_the_existence_check_is_caught() {
    play(caught(Rule::R10, &["--broken", "no_existence_check"], come_back_too_late));
}

#[test]
fn a_member_that_comes_back_too_late_is_told() {
    play(async { come_back_too_late(Set::usual(), Close::exercising(&[Rule::R10])).await.must_pass() });
}

async fn come_back_too_late(set: Set, close: Close) -> Judged {
    let stage = Stage::set(set.chat_nodes(2)).await;
    let mut speaker = join(&stage, 1, "speaker", None).await;
    let first = speaker.position();
    let mut absent = join(&stage, 2, "absent", None).await;
    let said = say(&mut speaker, "before").await;
    assert!(absent.read_up_to(&said, PATIENCE).await, "it hears what is said while it is there");
    let at = absent.cut("goes away");
    let mut last = String::new();
    for nth in 0..MISSED {
        last = say(&mut speaker, &format!("missed-{nth}")).await;
    }
    assert!(speaker.read_up_to(&last, PATIENCE).await);
    read_back(&stage.door(1), ROOM, &first, PATIENCE).await.expect("the log is whole");

    // What the window does to a room whose newest entries are all that is left.
    stage.trim(ROOM, &last).await;
    let mut absent = join(&stage, 2, "absent", Some(&at)).await;
    if absent.joined["recovered"] == true {
        assert!(absent.read_up_to(&last, PATIENCE).await, "what is left is replayed");
    }

    let mut question = Question::of(Contract::AckedIsDurable);
    question.exercises = close.exercises;
    // By the history's own clock the entries are younger than any window: this one lies before the trim.
    question.history_window_ms = 1;
    stage.judge(question)
}

async fn join(stage: &Stage, node: usize, name: &str, offset: Option<&str>) -> StockClient {
    StockClient::join(&stage.door(node), name, ROOM, offset).await.unwrap_or_else(|error| panic!("{error}"))
}

/// The offset of what was said.
async fn say(speaker: &mut StockClient, id: &str) -> String {
    let ack = speaker.send(id, 1, Duration::from_secs(5)).await.unwrap_or_else(|error| panic!("{id}: {error}"));
    ack.and_then(|ack| Some(ack["offset"].as_str()?.to_owned())).unwrap_or_else(|| panic!("{id} was not acknowledged"))
}

impl Stage {
    /// Takes everything before `from` out of the room's stream.
    async fn trim(&self, room: &str, from: &str) {
        let primary = self.primary_of(room).await;
        let keys = self.cluster().ask(primary, &["KEYS", &format!("{{p*}}r:{room}")]).await;
        let Ok(RespValue::List(keys)) = keys else { panic!("no stream of {room} at {primary}: {keys:?}") };
        let [RespValue::Text(stream)] = &keys[..] else { panic!("not one stream of {room}: {keys:?}") };
        let (ms, seq) = from.split_at(12);
        let number = |hex| u64::from_str_radix(hex, 16).expect("an offset");
        let id = format!("{}-{}", number(ms), number(seq));
        let trimmed = self.cluster().ask(primary, &["XTRIM", stream, "MINID", "=", &id]).await;
        let trimmed = trimmed.unwrap_or_else(|error| panic!("{error}"));
        assert!(matches!(trimmed, RespValue::Integer(taken) if taken > MISSED), "trimmed {trimmed:?}");
    }
}
