//! `system-protocol` takes exactly what the rules take, names a field that is wrong, and keeps what it takes.

use proptest::prelude::*;
use serde_json::Value;
use system_protocol::{Code, Join, Leave, Refusal, Submit};

use super::{
    rules::{self, Event},
    runner, strategies,
};

fn read(event: Event, payload: &Value) -> Result<Option<Submit>, Refusal> {
    match event {
        Event::ChatMessage => Submit::parse(payload).map(Some),
        Event::Join => Join::parse(payload).map(|_| None),
        Event::Leave => Leave::parse(payload).map(|_| None),
    }
}

#[test]
fn a_payload_is_taken_or_the_wrong_field_is_named() {
    let test = |(event, payload): (Event, Value)| {
        let wrong = rules::wrong(event, &payload);
        match read(event, &payload) {
            Ok(submit) => {
                prop_assert!(wrong.is_empty(), "taken in spite of {:?}", wrong);
                if let Some(submit) = submit {
                    prop_assert_eq!(Some(submit.content.as_str()), payload["content"].as_str());
                    prop_assert_eq!(submit.id.as_ref().map(AsRef::as_ref), payload["id"].as_str());
                    prop_assert_eq!(submit.room.as_ref().map(AsRef::as_ref), payload["room"].as_str());
                }
            }
            Err(refusal) => {
                prop_assert_eq!(refusal.code, Code::InvalidPayload);
                let words = refusal.message.strip_prefix("Invalid message payload: ").unwrap_or_default();
                prop_assert!(
                    wrong.iter().any(|field| words.starts_with(&format!("{field} "))),
                    "{} of {:?}",
                    words,
                    wrong
                );
            }
        }
        Ok(())
    };
    let strategy = (strategies::event(), strategies::payload());
    runner(3000).run(&strategy, test).unwrap_or_else(|error| panic!("{error}"));
}

/// Every character at both ends of a name, and in its middle.
#[test]
fn the_alphabet_of_names_holds_for_every_character() {
    for c in (0..=0x3000).chain([0xfeff, 0xff21, 0x1f600]).filter_map(char::from_u32) {
        for name in [format!("{c}"), format!("{c}a"), format!("a{c}"), format!("a{c}a")] {
            let taken = Leave::parse(&serde_json::json!({ "room": name })).is_ok();
            assert_eq!(taken, rules::name(&name), "{name:?}");
        }
    }
}
