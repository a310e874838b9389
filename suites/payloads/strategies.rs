//! Payloads: any JSON at all, and what is almost right or just right.

use proptest::{collection, prelude::*, sample::select};
use serde_json::{Map, Value, json};

use super::rules::Event;

/// Hard to count, to print or to keep.
const HARD: [&str; 33] = [
    "\u{0}",
    "\u{1f}",
    "\"",
    "\\",
    "\\u0041",
    "\u{7f}",
    "\u{85}",
    "\u{ad}",
    "e\u{301}",
    "\u{5d0}\u{5d1}",
    "\u{202e}",
    "\u{200b}",
    "\u{200d}",
    "\u{2028}",
    "\u{d7ff}",
    "\u{e000}",
    "\u{feff}",
    "\u{fffd}",
    "\u{ffff}",
    "\u{10000}",
    "\u{10ffff}",
    "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
    "\u{1f1e9}\u{1f1ea}",
    "\u{1f3f4}\u{e0067}",
    "a",
    " ",
    "\t",
    "\n",
    "\r\n",
    "\u{a0}",
    "\u{2003}",
    "\u{3000}",
    "\u{1680}",
];

/// Any text, and what is hard to count, to print or to keep.
pub(super) fn text() -> BoxedStrategy<String> {
    let piece = prop_oneof![select(&HARD[..]).prop_map(str::to_owned), any::<char>().prop_map(String::from)];
    prop_oneof![
        4 => collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat()),
        1 => any::<String>(),
        1 => "[ \t\n\u{a0}\u{2000}-\u{200b}\u{3000}\u{feff}]{1,6}",
    ]
    .boxed()
}

/// As long as a content may be, give or take a little, in units of one or two.
fn long_text() -> BoxedStrategy<String> {
    let filling = select(&["x", "\u{e4}", "\u{20ac}", "\u{1f600}", " "][..]);
    (filling, 996_usize..1005, text())
        .prop_map(|(filling, units, tail)| {
            let (each, tail_units) = (filling.encode_utf16().count(), tail.encode_utf16().count());
            format!("{}{tail}", filling.repeat(units.saturating_sub(tail_units) / each))
        })
        .boxed()
}

/// Names, and what is almost one.
fn name() -> BoxedStrategy<String> {
    let strange = select(&["", " ", "/", "\u{e4}", "\u{0}", "{", "}", "\n", "\u{ff41}", "\u{661}", "@", "[", "`"][..]);
    prop_oneof![
        8 => "[A-Za-z0-9._:-]{1,3}",
        1 => "[A-Za-z0-9._:-]{62,66}",
        1 => ("[A-Za-z0-9._:-]{0,3}", strange, "[A-Za-z0-9._:-]{0,3}").prop_map(|(a, b, c)| format!("{a}{b}{c}")),
        1 => text(),
    ]
    .boxed()
}

fn offset() -> BoxedStrategy<String> {
    prop_oneof![3 => "[1-9a-f][0-9a-f]{19}", 1 => "[0-9a-fA-F]{19,21}", 1 => text()].boxed()
}

pub(super) fn any_json() -> BoxedStrategy<Value> {
    let number = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number,
        text().prop_map(Value::from),
        name().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        let key = prop_oneof![text(), select(&FIELDS[..]).prop_map(str::to_owned)];
        prop_oneof![
            collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            collection::vec((key, inner), 0..6).prop_map(|pairs| Value::Object(Map::from_iter(pairs))),
        ]
    })
    .boxed()
}

const FIELDS: [&str; 9] =
    ["content", "id", "room", "offset", "traceparent", "token", "error", "_placeholder", "__proto__"];

pub(super) fn event() -> BoxedStrategy<Event> {
    prop_oneof![16 => Just(Event::ChatMessage), 6 => Just(Event::Join), 1 => Just(Event::Leave)].boxed()
}

/// Anything, or the fields that the contract knows, each most often well-formed.
pub(super) fn payload() -> BoxedStrategy<Value> {
    let field = |good: BoxedStrategy<String>| prop_oneof![9 => good.prop_map(Value::from), 1 => any_json()];
    let content = prop_oneof![3 => text(), 1 => long_text()].boxed();
    // Rooms that somebody is in, most often.
    let room = prop_oneof![9 => select(&["global", "r-1"][..]).prop_map(str::to_owned), 1 => name()].boxed();
    let known = (
        proptest::option::weighted(0.95, field(content)),
        proptest::option::of(field(name())),
        proptest::option::weighted(0.7, field(room)),
        proptest::option::weighted(0.2, field(offset())),
        proptest::option::weighted(0.2, any_json()),
        collection::vec((text(), any_json()), 0..2),
    );
    let known = known.prop_map(|(content, id, room, offset, traceparent, more)| {
        let mut payload = Map::from_iter(more);
        let fields =
            [("content", content), ("id", id), ("room", room), ("offset", offset), ("traceparent", traceparent)];
        payload.extend(fields.into_iter().filter_map(|(field, value)| Some((field.to_owned(), value?))));
        Value::Object(payload)
    });
    prop_oneof![1 => any_json(), 5 => known].boxed()
}

/// What a client may say of itself.
pub(super) fn auth() -> BoxedStrategy<Value> {
    let known = (name(), name(), proptest::option::weighted(0.3, offset()));
    let known = known.prop_map(|(token, room, offset)| match offset {
        Some(offset) => json!({ "token": token, "room": room, "offset": offset }),
        None => json!({ "token": token, "room": room }),
    });
    prop_oneof![1 => any_json(), 2 => known, 1 => payload()].boxed()
}

/// A JSON string as it stands on the wire: plain, escaped where it need not be, and with escapes that are no character.
pub(super) fn written_string() -> BoxedStrategy<String> {
    let escaped = |text: String| text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect::<Vec<_>>().concat();
    let plain = |text: String| {
        let quoted = Value::from(text).to_string();
        quoted[1..quoted.len() - 1].to_owned()
    };
    let half = select(&["\\ud800", "\\uDBFF", "\\udc00", "\\uDFFF", "\\ud83d\\u0041", "\\udc00\\ud800"][..]);
    let wrong = select(&["\\x", "\\u12", "\\", "\u{1}", "\\ud8"][..]);
    let piece = prop_oneof![
        8 => text().prop_map(plain),
        5 => text().prop_map(escaped),
        1 => half.prop_map(str::to_owned),
        1 => wrong.prop_map(str::to_owned),
    ];
    collection::vec(piece, 0..4).prop_map(|pieces| format!("\"{}\"", pieces.concat())).boxed()
}
