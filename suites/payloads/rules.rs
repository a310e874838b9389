//! The contract of payloads, written down by hand: which field of a payload is wrong, if any.

use serde_json::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    ChatMessage,
    Join,
    Leave,
}

impl Event {
    pub(super) const ALL: [Event; 3] = [Event::ChatMessage, Event::Join, Event::Leave];

    pub(super) fn name(self) -> &'static str {
        match self {
            Event::ChatMessage => "chat-message",
            Event::Join => "join",
            Event::Leave => "leave",
        }
    }
}

/// Fields that are wrong; empty when the payload must be taken.
pub(super) fn wrong(event: Event, payload: &Value) -> Vec<&'static str> {
    if !payload.is_object() {
        return vec!["payload"];
    }
    let optional =
        |field: &str, good: fn(&str) -> bool| payload.get(field).is_none_or(|value| value.as_str().is_some_and(good));
    let required = |field: &str, good: fn(&str) -> bool| payload[field].as_str().is_some_and(good);
    let checked = match event {
        Event::ChatMessage => {
            vec![
                ("content", required("content", content)),
                ("id", optional("id", name)),
                ("room", optional("room", name)),
            ]
        }
        Event::Join => vec![("room", required("room", name)), ("offset", optional("offset", offset))],
        Event::Leave => vec![("room", required("room", name))],
    };
    checked.into_iter().filter(|(_, good)| !good).map(|(field, _)| field).collect()
}

/// 1 to 1000 UTF-16 code units, not only white space.
fn content(text: &str) -> bool {
    let units: usize = text.chars().map(|c| if u32::from(c) > 0xffff { 2 } else { 1 }).sum();
    (1..=1000).contains(&units) && text.chars().any(|c| !BLANK.contains(&c) && !('\u{2000}'..='\u{200a}').contains(&c))
}

/// Unicode's White_Space but for U+2000 to U+200A, and the byte order mark.
const BLANK: [char; 15] = [
    '\t', '\n', '\u{b}', '\u{c}', '\r', ' ', '\u{85}', '\u{a0}', '\u{1680}', '\u{2028}', '\u{2029}', '\u{202f}',
    '\u{205f}', '\u{3000}', '\u{feff}',
];

pub(super) fn name(text: &str) -> bool {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-";
    (1..=64).contains(&text.chars().count()) && text.chars().all(|c| alphabet.contains(c))
}

fn offset(text: &str) -> bool {
    text.chars().count() == 20 && text.chars().all(|c| "0123456789abcdef".contains(c))
}
