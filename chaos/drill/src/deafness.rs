//! Who was deaf to whom, and for how long: nobody on one node heard, in one room, what was acknowledged to users of
//! another, while connections were healthy.
//!
//! A summary for people; what each member was owed is judged by R1. Pure, so that judging again measures the same.

use std::{collections::BTreeMap, time::Duration};

use chaos_observe::{
    At, History,
    history::{Lane, Mark},
};

/// Fewer messages in a row than this say nothing about a node.
const TELLING: usize = 5;

/// The longest time without a word, of one node in one room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Deafness {
    pub(crate) listener: String,
    pub(crate) speaker: String,
    pub(crate) room: String,
    /// When the first message that nobody heard was sent.
    pub(crate) from: At,
    /// When the first that was heard again was sent; `None`: none was until the load ended.
    pub(crate) to: Option<At>,
    pub(crate) unheard: usize,
    /// Of it.
    pub(crate) took: Duration,
}

/// A message that somebody on `listener` was owed.
struct Said {
    at: At,
    heard: bool,
}

/// Room, listener and speaker, as the history numbers them.
type Way = (u32, u32, u32);

/// Of what was sent between `from` and `to`; the longest first.
pub(crate) fn deafness(history: &History, from: At, to: At) -> Vec<Deafness> {
    let mut found: Vec<_> =
        said(history, from, to).iter().filter_map(|(way, said)| longest(history, *way, said, to)).collect();
    found.sort_by_key(|deafness| std::cmp::Reverse(deafness.took));
    found
}

fn said(history: &History, from: At, to: At) -> BTreeMap<Way, Vec<Said>> {
    let connections = connections(history);
    let mut said: BTreeMap<Way, BTreeMap<(At, u64), bool>> = BTreeMap::new();
    let mut received = vec![false; history.messages.len()];
    let by_room = acked_by_room(history, from, to);
    for lane in &history.lanes {
        received.fill(false);
        lane.receipts.entry.iter().for_each(|entry| received[history.entries[*entry as usize].message as usize] = true);
        let stays = stays(lane);
        for message in by_room.get(&lane.room).into_iter().flatten() {
            let of = &history.messages[*message as usize];
            let (Some(sent), Some(acked)) = (of.first_send, of.first_ack) else { continue };
            let here = stays.iter().find(|stay| stay.from < sent.at && acked.at < stay.to);
            let speaker = connections.get(&of.sender).and_then(|ups| node_at(ups, sent.at));
            let (Some(here), Some(speaker)) = (here, speaker) else { continue };
            if of.sender != lane.user {
                let way = said.entry((lane.room, here.node, speaker)).or_default();
                *way.entry((sent.at, sent.nth)).or_default() |= received[*message as usize];
            }
        }
    }
    let in_order =
        |heard: BTreeMap<(At, u64), bool>| heard.into_iter().map(|((at, _), heard)| Said { at, heard }).collect();
    said.into_iter().map(|(way, heard)| (way, in_order(heard))).collect()
}

fn acked_by_room(history: &History, from: At, to: At) -> BTreeMap<u32, Vec<u32>> {
    let mut by_room: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (number, message) in (0u32..).zip(&history.messages) {
        let sent = message.first_send.is_some_and(|sent| (from..=to).contains(&sent.at));
        if sent && message.first_ack.is_some() {
            by_room.entry(message.room).or_default().push(number);
        }
    }
    by_room
}

/// A time in which a member was certainly in the room, connected to one node.
struct Stay {
    node: u32,
    from: At,
    to: At,
}

fn stays(lane: &Lane) -> Vec<Stay> {
    let (mut node, mut stays, mut since) = (None, Vec::new(), None);
    for mark in &lane.marks {
        match mark.mark {
            Mark::Up { node: up } => node = Some(up),
            Mark::JoinOk { .. } => since = since.or(Some(mark.at)),
            Mark::Leave | Mark::Down => {
                stays.extend(node.zip(since.take()).map(|(node, from)| Stay { node, from, to: mark.at }));
            }
            Mark::Join { .. } | Mark::LeaveOk { .. } => {}
        }
    }
    stays.extend(node.zip(since).map(|(node, from)| Stay { node, from, to: At(u64::MAX) }));
    stays
}

/// Each user's connections, by time.
fn connections(history: &History) -> BTreeMap<u32, Vec<(At, u32)>> {
    let mut connections: BTreeMap<u32, Vec<(At, u32)>> = BTreeMap::new();
    for lane in &history.lanes {
        let up = |mark: &chaos_observe::history::LaneMark| match mark.mark {
            Mark::Up { node } => Some((mark.at, node)),
            _ => None,
        };
        connections.entry(lane.user).or_default().extend(lane.marks.iter().filter_map(up));
    }
    connections
}

fn node_at(ups: &[(At, u32)], at: At) -> Option<u32> {
    ups.iter().filter(|(up, _)| *up <= at).max_by_key(|(up, _)| *up).map(|(_, node)| *node)
}

fn longest(history: &History, (room, listener, speaker): Way, said: &[Said], end: At) -> Option<Deafness> {
    let mut runs = said.chunk_by(|a, b| a.heard == b.heard).peekable();
    let mut longest: Option<(At, Option<At>, usize, Duration)> = None;
    while let Some(run) = runs.next() {
        if run[0].heard || run.len() < TELLING {
            continue;
        }
        let to = runs.peek().map(|heard| heard[0].at);
        let took = to.unwrap_or(end).since(run[0].at);
        if longest.is_none_or(|(.., longest)| took > longest) {
            longest = Some((run[0].at, to, run.len(), took));
        }
    }
    longest.map(|(from, to, unheard, took)| Deafness {
        listener: history.nodes.name(listener).to_owned(),
        speaker: history.nodes.name(speaker).to_owned(),
        room: history.room_names.name(room).to_owned(),
        from,
        to,
        unheard,
        took,
    })
}

#[cfg(test)]
mod tests {
    use chaos_observe::{
        Content, Op,
        history::{LaneMark, Record},
    };

    use super::*;

    fn at(ms: u64) -> At {
        At(ms * 1000)
    }

    fn record(ms: u64, user: &str, op: Op) -> Record {
        Record { at: at(ms), user: user.to_owned(), op }
    }

    fn joins(user: &str, node: &str) -> [Record; 2] {
        let join = Op::JoinOk { room: "r".to_owned(), offset: None, head: None, recovered: true };
        [record(0, user, Op::Up { node: node.to_owned() }), record(1, user, join)]
    }

    /// `speaker` says something every 100 ms from 100 ms on, and `deaf` does not hear the messages of that range.
    fn history(deaf: std::ops::Range<u64>) -> History {
        let mut records: Vec<_> = joins("speaker", "chat-1").into_iter().collect();
        records.extend(joins("near", "chat-1"));
        records.extend(joins("far", "chat-2"));
        for nth in 1..=20u64 {
            let (ms, message, room) = (nth * 100, format!("speaker-{nth:06}"), "r".to_owned());
            let content = Content::of("x");
            let send = Op::Send {
                message: message.clone(),
                room: room.clone(),
                attempt: 1,
                intended: at(ms),
                content,
                canary: false,
            };
            records.push(record(ms, "speaker", send));
            records.push(record(ms + 1, "speaker", Op::SendOk { message: message.clone(), offset: None }));
            for user in ["near", "far"] {
                let sender = "speaker".to_owned();
                let heard = Op::Recv {
                    room: room.clone(),
                    message: message.clone(),
                    sender,
                    offset: None,
                    content,
                    replay: false,
                    hidden: false,
                };
                if user == "near" || !deaf.contains(&nth) {
                    records.push(record(ms + 2, user, heard));
                }
            }
        }
        History::of(records)
    }

    #[test]
    fn a_node_that_hears_nothing_of_another_is_deaf_until_it_does() {
        let found = deafness(&history(5..12), At(0), at(2100));
        let [deaf] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((deaf.listener.as_str(), deaf.speaker.as_str(), deaf.room.as_str()), ("chat-2", "chat-1", "r"));
        assert_eq!((deaf.from, deaf.to, deaf.unheard), (at(500), Some(at(1200)), 7));
        assert_eq!(deaf.took, Duration::from_millis(700));
    }

    #[test]
    fn one_that_never_hears_again_is_deaf_to_the_end() {
        let found = deafness(&history(5..21), At(0), at(2100));
        assert_eq!((found[0].to, found[0].took), (None, Duration::from_millis(1600)));
    }

    #[test]
    fn a_few_missing_messages_are_no_deafness() {
        assert_eq!(deafness(&history(5..9), At(0), at(2100)), []);
    }

    #[test]
    fn a_member_that_is_away_is_not_deaf() {
        let mut history = history(5..21);
        let lane = history.lanes.iter_mut().find(|lane| lane.receipts.len() == 4).expect("far");
        let receipts = lane.receipts.len();
        lane.marks.push(LaneMark { at: at(450), receipts, mark: Mark::Down });
        assert_eq!(deafness(&history, At(0), at(2100)), []);
    }
}
