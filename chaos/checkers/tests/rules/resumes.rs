//! What sessions owe around lost connections, leaves and the end of the run. One room, one member, a log of messages
//! `m1`, `m2`, …, each at its own offset.

use std::collections::BTreeSet;

use chaos_checkers::{Outcome, Rule, State, judge};
use chaos_observe::{At, Content, History, Offset, Op, Record};

use crate::{failed, kinds, question, verdict};

#[derive(Default)]
struct Story {
    records: Vec<Record>,
    said: u128,
}

fn offset(nth: u128) -> Offset {
    Offset(100 + nth)
}

impl Story {
    /// The member is up and joined at the room's beginning.
    fn begin() -> Story {
        let mut story = Story::default();
        story.write("teller", Op::Up { node: "chat-1".to_owned() });
        story.up().join(None, 0, 0, true)
    }

    fn write(&mut self, user: &str, op: Op) {
        let at = At::from_millis(self.records.len() as u64 + 1);
        self.records.push(Record { at, user: user.to_owned(), op });
    }

    fn member(mut self, op: Op) -> Story {
        self.write("member", op);
        self
    }

    fn up(self) -> Story {
        self.member(Op::Up { node: "chat-2".to_owned() })
    }

    fn down(self) -> Story {
        self.member(Op::Down { why: "cut".to_owned() })
    }

    fn join(self, asked: Option<u128>, from: u128, head: u128, recovered: bool) -> Story {
        let room = || "r".to_owned();
        let asked = self.member(Op::Join { room: room(), offset: asked.map(offset) });
        asked.member(Op::JoinOk { room: room(), offset: Some(offset(from)), head: Some(offset(head)), recovered })
    }

    fn leave(self, at: u128) -> Story {
        let left = self.member(Op::Leave { room: "r".to_owned() });
        left.member(Op::LeaveOk { room: "r".to_owned(), offset: Some(offset(at)) })
    }

    fn say(mut self, count: u128) -> Story {
        for _ in 0..count {
            self.said += 1;
            let (message, content, at) = (format!("m{}", self.said), Content(self.said as u64), At(0));
            let room = "r".to_owned();
            let send = Op::Send { message: message.clone(), room, attempt: 1, intended: at, content, canary: false };
            self.write("teller", send);
            let offset = Some(offset(self.said));
            self.write("teller", Op::SendOk { message, offset });
        }
        self
    }

    fn receives(self, which: impl IntoIterator<Item = u128>) -> Story {
        which.into_iter().fold(self, |story, nth| {
            let (room, message, sender) = ("r".to_owned(), format!("m{nth}"), "teller".to_owned());
            let (offset, content) = (Some(offset(nth)), Content(nth as u64));
            story.member(Op::Recv { room, message, sender, offset, content, replay: false, hidden: false })
        })
    }

    fn read(mut self) -> Story {
        for nth in 1..=self.said {
            let (room, message, sender) = ("r".to_owned(), format!("m{nth}"), "teller".to_owned());
            let (offset, content) = (offset(nth), Content(nth as u64));
            self.write("reader", Op::Final { room, message, sender, offset, content });
        }
        let head = offset(self.said);
        self.write("reader", Op::FinalEnd { room: "r".to_owned(), head });
        self
    }

    /// The rules that fail.
    fn fails(self, expected: &[Rule]) -> chaos_checkers::Verdict {
        let verdict = verdict(&self.records);
        assert_eq!(failed(&verdict), expected.iter().copied().collect::<BTreeSet<_>>(), "{:#?}", verdict.reasons);
        verdict
    }
}

#[test]
fn a_lost_connection_owes_up_to_the_last_receipt() {
    let verdict = Story::begin().say(4).receives([1, 2]).down().say(1).read().fails(&[]);
    assert_eq!(verdict.numbers.owed, 2);
    Story::begin().say(4).receives([1, 3]).down().read().fails(&[Rule::R1, Rule::R8]);
}

#[test]
fn a_session_that_resumes_owes_the_gap_too() {
    let gap = || Story::begin().say(2).receives([1]).down().say(3).up().join(Some(1), 1, 5, true);
    let verdict = gap().receives([2, 3, 4, 5]).read().fails(&[]);
    assert_eq!(verdict.numbers.owed, 5);
    let verdict = gap().receives([2, 4, 5]).read().fails(&[Rule::R1, Rule::R8, Rule::R10]);
    assert_eq!(kinds(&verdict, Rule::R10), BTreeSet::from(["gap loss".to_owned()]));
    // The tail of the gap is not skipped over by anything later, and is missed all the same.
    gap().receives([2, 3]).read().fails(&[Rule::R1, Rule::R10]);
}

#[test]
fn a_member_that_resumes_behind_its_last_receipt_still_owes_from_there() {
    let story = Story::begin().say(5).receives([1, 2]).down().up().join(Some(4), 4, 5, true).receives([5]).read();
    let verdict = story.fails(&[Rule::R1, Rule::R8, Rule::R10]);
    assert_eq!(verdict.rules[&Rule::R1].count, 2);
}

#[test]
fn a_connection_lost_within_a_replay_leaves_the_rest_to_the_next() {
    let half = || Story::begin().say(4).receives([1]).down().up().join(Some(1), 1, 4, true).receives([2]).down().up();
    half().join(Some(2), 2, 4, true).receives([3, 4]).read().fails(&[]);
    half().join(Some(2), 2, 4, true).receives([4]).read().fails(&[Rule::R1, Rule::R8, Rule::R10]);
    // It never came back for the rest.
    half().down().read().fails(&[]);
}

#[test]
fn a_fresh_join_owes_nothing_from_before() {
    let story =
        Story::begin().say(2).receives([1, 2]).down().say(3).up().join(None, 5, 5, true).say(1).receives([6]).read();
    let verdict = story.fails(&[]);
    assert_eq!((verdict.numbers.owed, verdict.rules[&Rule::R9].examined), (3, 3));
}

#[test]
fn a_leave_owes_up_to_the_offset_that_it_was_answered_with() {
    Story::begin().say(4).receives([1, 2]).leave(2).say(1).read().fails(&[]);
    Story::begin().say(4).receives([1, 2]).leave(3).say(1).read().fails(&[Rule::R1]);
    let verdict = Story::begin().say(4).receives([1, 2, 3]).leave(2).read().fails(&[Rule::R9]);
    assert!(verdict.rules[&Rule::R9].examples[0].detail.contains("after the offset"), "{verdict:#?}");
}

#[test]
fn going_home_after_the_final_read_excuses_nothing() {
    let verdict = Story::begin().say(3).receives([1, 2]).read().down().fails(&[Rule::R1]);
    assert_eq!(verdict.rules[&Rule::R1].examples[0].message.as_deref(), Some("m3"));
    Story::begin().say(3).receives([1, 2]).down().read().fails(&[]);
}

#[test]
fn recovered_false_is_right_only_when_history_is_gone() {
    let gone =
        || Story::begin().say(1).receives([1]).down().say(2).up().join(Some(1), 3, 3, false).say(1).receives([4]);
    let verdict = gone().read().fails(&[Rule::R10]);
    assert!(verdict.rules[&Rule::R10].examples[0].detail.contains("shorter than the history window"));
    let mut question = question();
    question.history_window_ms = 1;
    let history = History::of(gone().read().records);
    assert_eq!(judge(&history, &question).outcome, Outcome::Pass);
    // Nothing was missed: never right.
    let nothing = Story::begin().say(1).receives([1]).down().up().join(Some(1), 1, 1, false).read();
    assert_eq!(judge(&History::of(nothing.records), &question).rules[&Rule::R10].state, State::Fail);
}

#[test]
fn what_is_younger_than_the_history_window_cannot_be_gone() {
    let story = Story::begin().say(10).receives(1..=10).down().say(2).up().join(Some(10), 12, 12, false).read();
    let (history, mut question) = (History::of(story.records), question());
    for (window_ms, state) in [(2, State::Pass), (20, State::Fail)] {
        question.history_window_ms = window_ms;
        let verdict = judge(&history, &question);
        assert_eq!(verdict.rules[&Rule::R10].state, state, "{window_ms} ms: {verdict:#?}");
    }
}

#[test]
fn a_replay_comes_once_in_order_and_before_anything_newer() {
    let gap = || Story::begin().say(2).receives([1, 2]).down().say(2).up().join(Some(2), 2, 4, true).say(1);
    gap().receives([3, 4, 5]).read().fails(&[]);
    for (receipts, kind, rules) in [
        (vec![2, 3, 4, 5], "replay duplicate", vec![Rule::R4, Rule::R10]),
        (vec![4, 3, 5], "gap out of order", vec![Rule::R6, Rule::R7, Rule::R8, Rule::R10]),
        (vec![5, 3, 4], "gap after newer", vec![Rule::R6, Rule::R7, Rule::R8, Rule::R10]),
    ] {
        let verdict = gap().receives(receipts).read().fails(&rules);
        assert_eq!(kinds(&verdict, Rule::R10), BTreeSet::from([kind.to_owned()]));
    }
}

#[test]
fn a_room_joined_already_goes_on() {
    Story::begin().say(2).receives([1]).join(Some(0), 1, 2, true).receives([2]).read().fails(&[]);
    Story::begin().say(2).receives([1]).join(Some(0), 1, 2, true).receives([]).read().fails(&[Rule::R1]);
}

#[test]
fn a_node_that_answers_with_an_earlier_place_takes_the_cursor_back() {
    let back = Story::begin().say(2).receives([1, 2]).down().up().join(Some(2), 1, 2, true).read();
    let verdict = back.fails(&[Rule::R8]);
    assert_eq!(kinds(&verdict, Rule::R8), BTreeSet::from(["cursor back".to_owned()]));
}

#[test]
fn a_message_that_is_only_acked_is_not_lost_on_the_way() {
    let mut story = Story::begin().say(3).receives([1, 3]).read();
    story.records.retain(|record| !matches!(&record.op, Op::Final { message, .. } if message == "m2"));
    story.fails(&[Rule::R12]);
}

#[test]
fn without_a_final_read_nothing_can_be_said_of_a_room() {
    let story = Story::begin().say(3).receives([1, 2, 3]);
    let verdict = story.fails(&[]);
    assert_eq!(verdict.outcome, Outcome::Unknown);
    assert!(verdict.reasons.iter().all(|reason| reason.contains("no final read of r")), "{:?}", verdict.reasons);
}

#[test]
fn what_comes_before_the_answer_to_a_join_is_a_leak() {
    let mut story = Story::default();
    story.write("teller", Op::Up { node: "chat-1".to_owned() });
    let story = story.say(1).up().member(Op::Join { room: "r".to_owned(), offset: None }).receives([1]);
    let answer = Op::JoinOk { room: "r".to_owned(), offset: Some(offset(1)), head: Some(offset(1)), recovered: true };
    story.member(answer).read().fails(&[Rule::R9]);
}
