//! A bell is lost because the listening connection broke: who has no sweep stays behind until the next one rings.

use std::time::Duration;

use chaos_checkers::{Contract, Question, Rule};

use super::caught;
use crate::{
    stage::Stage,
    stock_client::{StockClient, read_back},
    verdict::{Close, Judged},
    wait::PATIENCE,
    warm::{Set, play},
};

const ROOM: &str = "belfry";
/// A bell falls into the moment in which nobody listens, or not.
const CHANCES: u32 = 40;
/// Three sweeps, with room for a busy machine: who has none by then has no sweep.
const SWEPT: Duration = Duration::from_millis(2500);

#[test]
fn bells_without_a_sweep_are_caught() {
    play(caught(Rule::R1, &["--broken", "no_sweep"], lost_bells));
}

#[test]
fn the_sweep_finds_what_bells_were_for() {
    play(async { lost_bells(Set::usual(), Close::exercising(&[Rule::R1, Rule::R12])).await.must_pass() });
}

/// One thing at a time is said right after the listeners' connections broke. With the sweep it always arrives; without,
/// the first that does not ends it.
async fn lost_bells(set: Set, close: Close) -> Judged {
    let stage = Stage::set(set).await;
    let mut speaker =
        StockClient::join(&stage.door(1), "speaker", ROOM, None).await.unwrap_or_else(|error| panic!("{error}"));
    let first = speaker.position();
    let listener = StockClient::join(&stage.door(2), "listener", ROOM, None).await;
    let mut listener = listener.unwrap_or_else(|error| panic!("{error}"));
    let primary = stage.primary_of(ROOM).await;
    let patience = if close.broken { SWEPT } else { PATIENCE };
    for nth in 0..CHANCES {
        stage.break_connections(primary, "pubsub").await;
        let ack = speaker.send(&format!("word-{nth}"), 1, PATIENCE).await.unwrap_or_else(|error| panic!("{error}"));
        let said = ack.and_then(|ack| Some(ack["offset"].as_str()?.to_owned())).expect("an ack");
        let heard = listener.read_up_to(&said, patience).await & speaker.read_up_to(&said, patience).await;
        if !heard {
            eprintln!("word {nth} was not heard");
            break;
        }
    }
    // Through a node that has heard no bell of this room yet: it begins at the head.
    read_back(&stage.door(3), ROOM, &first, PATIENCE).await.expect("the log is whole");
    let mut question = Question::of(Contract::AckedIsDurable);
    question.exercises = close.exercises;
    stage.judge(question)
}
