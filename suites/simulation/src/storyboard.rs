//! What a reader needs of a failing world's story: faults and elections; what the messages and users in question met;
//! and the WAITs that an ack of such a message rests on.

use std::collections::{BTreeMap, BTreeSet};

use chaos_checkers::Anomaly;

/// What the anomalies are about.
#[derive(Default)]
struct Question<'a> {
    messages: BTreeSet<&'a str>,
    /// Users, and in which room; without one, in all.
    users: BTreeSet<(&'a str, Option<&'a str>)>,
}

impl<'a> Question<'a> {
    fn of(anomalies: impl IntoIterator<Item = &'a Anomaly>) -> Question<'a> {
        let mut question = Question::default();
        for anomaly in anomalies {
            question.messages.extend(anomaly.message.as_deref());
            let users = [&anomaly.sender, &anomaly.member].into_iter().flatten();
            question.users.extend(users.map(|user| (user.as_str(), anomaly.room.as_deref())));
        }
        question
    }

    fn message(&self, line: &str) -> Option<&'a str> {
        self.messages.iter().copied().find(|message| line.contains(*message))
    }

    /// Whether a line without one of the messages belongs to the story.
    fn concerns(&self, words: &[&str]) -> bool {
        let Some((first, rest)) = words.split_first() else { return false };
        let user = first.strip_suffix(':').filter(|user| is_user(user));
        match (user, rest) {
            (None, ["takes", "from", ..] | ["answers" | "writes", ..]) => false,
            (None, _) => EVENTS.iter().any(|event| words.iter().any(|word| word.starts_with(event))),
            (Some(user), ["up" | "down:", ..]) => self.users.iter().any(|(named, _)| *named == user),
            (Some(user), ["joins" | "leaves", room, ..] | ["is", "in", room, ..] | ["has", "left", room, ..]) => {
                self.users.contains(&(user, Some(room))) || self.users.contains(&(user, None))
            }
            _ => false,
        }
    }
}

const EVENTS: [&str; 7] = ["fault", "redis-", "chat-", "healed", "slot", "clock", "trimmed"];

fn is_user(name: &str) -> bool {
    name == "reader" || name.strip_prefix('u').is_some_and(|number| number.bytes().all(|digit| digit.is_ascii_digit()))
}

/// The lines of the story that concern the anomalies; where none names a message or a user, what happened to servers.
pub fn concerning<'a>(story: &[String], anomalies: impl IntoIterator<Item = &'a Anomaly>) -> Vec<String> {
    let question = Question::of(anomalies);
    // By server and connection: where its WAITs were answered. By message: where it was appended last, and on what.
    let mut waits = BTreeMap::<_, Vec<_>>::new();
    let mut appends = BTreeMap::new();
    let mut kept = BTreeMap::new();
    for (at, line) in story.iter().enumerate() {
        let words: Vec<_> = line.split_whitespace().skip(2).collect();
        let message = question.message(line);
        match (&words[..], message) {
            ([server, "answers", "WAIT", _, "of", connection, ..], _) => {
                waits.entry((*server, *connection)).or_default().push(at);
                continue;
            }
            ([server, "takes", "from", connection, "FCALL", ..], Some(message)) => {
                appends.insert(message, (at, (*server, *connection)));
            }
            ([_, _, "acked", ..], Some(message)) => {
                let (appended, connection) = appends.get(message).copied().unwrap_or((at, ("", "")));
                let behind = waits.get(&connection).into_iter().flatten().filter(|wait| **wait > appended);
                let behind: Vec<_> = behind.copied().collect();
                kept.extend(behind.iter().map(|wait| (*wait, story[*wait].clone())));
                let bare = if behind.is_empty() { " (no WAIT stands behind this ack)" } else { "" };
                kept.insert(at, format!("{line}{bare}"));
                continue;
            }
            _ => {}
        }
        if message.is_some() || question.concerns(&words) {
            kept.insert(at, line.clone());
        }
    }
    kept.into_values().collect()
}

/// The story of stray writes: of each connection with one its first command and its first stray write; and what befell
/// servers and nodes.
pub fn astray(story: &[String]) -> Vec<String> {
    let mut kept = BTreeSet::new();
    // By connection: the lines of its first and its last command. They go when a stray write of it is told.
    let mut commands = BTreeMap::new();
    for (at, line) in story.iter().enumerate() {
        let words: Vec<_> = line.split_whitespace().skip(2).collect();
        match words[..] {
            [_, "takes", "from", connection, ..] => {
                commands
                    .entry(connection.trim_end_matches(':'))
                    .or_insert(Some((at, at)))
                    .iter_mut()
                    .for_each(|c| c.1 = at);
            }
            [_, "writes", "astray", "for", connection, ..] => {
                let told = commands.get_mut(connection.trim_end_matches(',')).and_then(Option::take);
                kept.extend(told.into_iter().flat_map(|(first, last)| [first, last, at]));
            }
            _ if Question::default().concerns(&words) => {
                kept.insert(at);
            }
            _ => {}
        }
    }
    kept.into_iter().map(|at| story[at].clone()).collect()
}

#[cfg(test)]
mod tests {
    use chaos_checkers::Rule;

    use super::*;

    fn told(lines: &[&str]) -> Vec<String> {
        let anomaly = Anomaly {
            rule: Rule::R12,
            kind: String::new(),
            message: Some("u1-00001".to_owned()),
            room: Some("room1".to_owned()),
            sender: Some("u1".to_owned()),
            member: None,
            node: None,
            offset: None,
            at: None,
            detail: String::new(),
        };
        let story: Vec<_> = lines.iter().map(|line| format!("    1.000 s  {line}")).collect();
        let kept = concerning(&story, [&anomaly]);
        kept.into_iter().map(|line| line.trim_start_matches("    1.000 s  ").to_owned()).collect()
    }

    const APPEND: &str = "redis-1 takes from chat-1#4: FCALL holdfast_append_v1 3 u1 u1-00001";
    const ACK: &str = "u1: u1-00001 acked at 1-0";

    #[test]
    fn a_wait_behind_the_append_on_its_connection_is_shown() {
        let wait = "redis-1 answers WAIT 2 of chat-1#4: held by redis-2 and redis-3";
        assert_eq!(told(&[APPEND, wait, ACK]), [APPEND, wait, ACK]);
    }

    #[test]
    fn an_ack_without_a_wait_says_so() {
        let bare = format!("{ACK} (no WAIT stands behind this ack)");
        let before = "redis-1 answers WAIT 2 of chat-1#4: held by redis-2";
        let other = "redis-1 answers WAIT 2 of chat-1#5: held by redis-2";
        assert_eq!(told(&[before, APPEND, other, ACK]), [APPEND, &bare]);
        assert_eq!(told(&[ACK]), [bare]);
    }

    /// As of a room whose history is said to be gone.
    #[test]
    fn without_a_message_it_is_about_events_and_the_user_in_the_room() {
        let kept =
            ["fault: chat-1 dies", "u2: joins room2 from 1-0", "u2: is in room2 from 1-0, head 2-0, recovered false"];
        let others =
            ["redis-1 takes from chat-1#4: HELLO 3", "u2: joins room1 from none", "u1: joins room2 from none", ACK];
        let story: Vec<_> = kept.iter().chain(&others).map(|line| format!("    1.000 s  {line}")).collect();
        let about = |member: Option<&str>| Anomaly {
            rule: Rule::R10,
            kind: String::new(),
            message: None,
            room: Some("room2".to_owned()),
            sender: None,
            member: member.map(str::to_owned),
            node: None,
            offset: None,
            at: None,
            detail: String::new(),
        };
        assert_eq!(concerning(&story, [&about(Some("u2"))]), story[..3]);
        assert_eq!(concerning(&story, [&about(None)]), story[..1]);
        assert_eq!(concerning(&story, []), story[..1]);
    }

    #[test]
    fn a_stray_write_is_told_once_with_what_its_connection_began_with() {
        let shown = [
            "fault: the primary of shard 1 hangs",
            "redis-4 takes the slots of redis-1, epoch 4",
            "redis-1 takes from chat-2#9: HELLO 3",
            "redis-1 takes from chat-2#9: FCALL holdfast_append_v1 3 u1 u1-00001",
            "redis-1 writes astray for chat-2#9, a connection of 7.000 s: redis-4 has the slots since 6.000 s",
            "everything is healed",
        ];
        let [fault, replaced, hello, append, stray, healed] = shown;
        let (other, wait) = ("redis-1 takes from chat-1#4: PING", "redis-1 takes from chat-2#9: WAIT 2 500");
        let story =
            [fault, other, replaced, hello, other, append, stray, wait, append, stray, "u1: up at chat-2", healed];
        let story: Vec<_> = story.iter().map(|line| format!("    1.000 s  {line}")).collect();
        assert_eq!(astray(&story), shown.map(|line| format!("    1.000 s  {line}")));
    }

    #[test]
    fn users_in_question_come_and_go_and_the_others_do_not() {
        let kept = ["u1: down: closed", "u1: is in room1 from 1-0, head 2-0, recovered false", "fault: chat-1 dies"];
        let lines =
            [&kept[..], &["u2: up at chat-2", "u1: joins room2 from none", "redis-1 takes from chat-1#4: PING"]];
        assert_eq!(told(&lines.concat()), kept);
    }
}
