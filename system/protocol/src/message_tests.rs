//! What is taken as a message, what is refused and in which words, and how messages look on the wire.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::Code;

fn refused(payload: &Value) -> String {
    let refusal = Submit::parse(payload).unwrap_err();
    assert_eq!(refusal.code, Code::InvalidPayload);
    refusal.message
}

#[test]
fn content_alone_is_enough_and_unknown_fields_are_ignored() {
    let submit = Submit::parse(&json!({ "content": " hi\n", "colour": { "deep": [1] } })).unwrap();
    assert_eq!(submit, Submit { content: " hi\n".into(), id: None, room: None, traceparent: None });
}

#[test]
fn length_is_counted_as_a_browser_counts_it() {
    let outside_the_basic_plane = "\u{1f600}"; // two code units each
    assert!(Submit::parse(&json!({ "content": outside_the_basic_plane.repeat(500) })).is_ok());
    assert!(Submit::parse(&json!({ "content": "ä".repeat(1000) })).is_ok());
    let message = "Invalid message payload: content must be at most 1000 UTF-16 code units long";
    assert_eq!(refused(&json!({ "content": outside_the_basic_plane.repeat(501) })), message);
    assert_eq!(refused(&json!({ "content": "a".repeat(1001) })), message);
    assert_eq!(refused(&json!({ "content": " ".repeat(900_000) })), message);
}

#[test]
fn white_space_alone_says_nothing() {
    for blank in [" ", "\t\r\n", "\u{a0}\u{2003}", "\u{3000}", "\u{feff}"] {
        assert_eq!(
            refused(&json!({ "content": blank })),
            "Invalid message payload: content must not be only white space"
        );
    }
    assert!(Submit::parse(&json!({ "content": " . " })).is_ok());
    assert!(Submit::parse(&json!({ "content": "\u{200b}" })).is_ok(), "zero width is not white space in Unicode");
}

#[test]
fn the_field_that_is_wrong_is_named() {
    for (payload, named) in [
        (json!([]), "payload must be an object"),
        (json!({}), "content is missing"),
        (json!({ "content": null }), "content must be a string"),
        (json!({ "content": "" }), "content must not be empty"),
        (json!({ "content": "x", "id": 7 }), "id must be a string"),
        (json!({ "content": "x", "id": "" }), "id must not be empty"),
        (json!({ "content": "x", "room": null }), "room must be a string"),
        (json!({ "content": "x", "room": "r".repeat(65) }), "room must be at most 64 characters long"),
    ] {
        assert_eq!(refused(&payload), format!("Invalid message payload: {named}"));
    }
}

#[test]
fn a_malformed_traceparent_is_ignored() {
    for bad in [json!("nonsense"), json!(7), json!(null), json!({})] {
        assert_eq!(Submit::parse(&json!({ "content": "x", "traceparent": bad })).unwrap().traceparent, None);
        let message =
            json!({ "id": "i", "room": "r", "sender": "u", "content": "x", "timestamp": 1, "traceparent": bad });
        assert_eq!(serde_json::from_value::<ChatMessage>(message).unwrap().traceparent, None);
    }
    let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let submit = Submit::parse(&json!({ "content": "x", "traceparent": good })).unwrap();
    assert_eq!(submit.traceparent.unwrap().to_string(), good);
}

#[test]
fn a_message_looks_as_the_contract_says() {
    let message = ChatMessage {
        id: MessageId::parse("i").unwrap(),
        room: Room::parse("r").unwrap(),
        sender: UserId::parse("u").unwrap(),
        content: "x".into(),
        timestamp: 1,
        offset: Offset::new(1, 0),
        traceparent: None,
    };
    let wire = json!({ "id": "i", "room": "r", "sender": "u", "content": "x", "timestamp": 1,
                       "offset": "00000000000100000000" });
    assert_eq!(serde_json::to_value(&message).unwrap(), wire);
    assert_eq!(serde_json::from_value::<ChatMessage>(wire).unwrap(), message);
}

#[test]
fn contents_are_never_printed() {
    let submit = Submit::parse(&json!({ "content": "s3cret" })).unwrap();
    assert!(!format!("{submit:?}").contains("s3cret"));
}

proptest! {
    #[test]
    fn what_is_taken_obeys_the_rules_and_is_kept_byte_for_byte(text in "\\PC{0,40}|[ \t\u{feff}]{0,5}") {
        let units = text.encode_utf16().count();
        let valid = (1..=1000).contains(&units) && !text.chars().all(is_white_space);
        match Submit::parse(&json!({ "content": text })) {
            Ok(submit) => { prop_assert!(valid); prop_assert_eq!(submit.content, text); }
            Err(_) => prop_assert!(!valid),
        }
    }

    #[test]
    fn what_a_client_writes_is_what_a_node_reads(
        content in "[a-z\u{1f600}]{1,30}", id in proptest::option::of("[a-zA-Z0-9._:-]{1,64}"), span in 1..=u64::MAX,
    ) {
        let id = id.map(|id| MessageId::parse(&id).unwrap());
        let submit = Submit { content, id, room: Some(Room::default()), traceparent: TraceParent::new(9, span, true) };
        prop_assert_eq!(Submit::parse(&serde_json::to_value(&submit).unwrap()).unwrap(), submit);
    }

    #[test]
    fn no_json_makes_it_panic(text in "[\\[\\]{}\":,a-z0-9\\\\u]{0,60}") {
        if let Ok(value) = serde_json::from_str::<Value>(&text) {
            let _ = Submit::parse(&value);
            let _ = crate::Join::parse(&value);
            let _ = crate::Auth::parse(Some(&value));
        }
    }
}
