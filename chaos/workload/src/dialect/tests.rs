//! Frames of the contract in, frames of another server out, and back.

use serde_json::json;
use system_client::{Dialect as _, Translator};

use super::*;

/// A server with its own names that carries nothing of ours back, in a namespace.
fn plain() -> Dialect {
    let ask = |event: &str, arguments: Vec<Value>| Ask { event: event.to_owned(), arguments, ok: None, error: None };
    Dialect {
        connect: Connect {
            path: "/ws/".to_owned(),
            namespace: "/chat".to_owned(),
            auth: Some(json!({ "name": "{user}" })),
        },
        join: Some(Join { ask: ask("enter", vec![json!("{room}")]), joined: None }),
        leave: Some(ask("exit", vec![json!("{room}")])),
        send: Say { ask: ask("say", vec![json!("{room}"), json!({ "text": "{text}" })]), retry: false },
        received: Received { event: "said".to_owned(), text: "/0/text".to_owned(), id: None, room: None, sender: None },
    }
}

/// One that carries everything, and answers `[error, result]`.
fn callbacks() -> Dialect {
    let mut dialect = plain();
    dialect.connect.namespace = "/".to_owned();
    dialect.send.ask.arguments = vec![json!({ "room": "{room}", "text": "{text}", "id": "{id}" })];
    dialect.send.ask.error = Some("/0".to_owned());
    dialect.send.ask.ok = Some("/1/done".to_owned());
    dialect.received.id = Some("/0/id".to_owned());
    dialect.received.room = Some("/0/room".to_owned());
    dialect.received.sender = Some("/0/from".to_owned());
    dialect
}

fn to_node(translator: &mut dyn Translator, frame: &str) -> Vec<String> {
    translator.outgoing(frame).to_node
}

fn to_client(translator: &mut dyn Translator, frame: &str) -> Vec<String> {
    translator.incoming(frame).to_client
}

const SEND: &str = r#"425["chat-message",{"content":"hi {id}","id":"ann-000001","room":"r"}]"#;

#[test]
fn whoever_connects_joins_the_room_of_connect_before_anything_else() {
    let mut it = plain().open();
    assert_eq!(to_node(&mut *it, r#"40{"token":"ann","room":"r"}"#), [r#"40/chat,{"name":"ann"}"#]);
    let up = it.incoming(r#"40/chat,{"sid":"s"}"#);
    assert_eq!((up.to_client, up.to_node), (Vec::new(), vec![r#"42/chat,4294967295["enter","r"]"#.to_owned()]));
    assert_eq!(to_client(&mut *it, r#"42/chat,["welcome"]"#), Vec::<String>::new());
    let joined = to_client(&mut *it, "43/chat,4294967295[]");
    assert_eq!(joined, ["40", r#"42["joined",{"recovered":true,"room":"r"}]"#, &notice()]);
}

#[test]
fn a_join_that_an_event_answers_is_over_when_it_comes() {
    let mut dialect = plain();
    dialect.join.as_mut().expect("a join").joined = Some("entered".to_owned());
    let mut it = dialect.open();
    to_node(&mut *it, r#"40{"token":"ann","room":"r"}"#);
    it.incoming("40/chat,{}");
    let joined = to_client(&mut *it, r#"42/chat,["entered"]"#);
    assert_eq!(joined, ["40", r#"42["joined",{"recovered":true,"room":"r"}]"#]);
    assert_eq!(to_node(&mut *it, r#"420["join",{"room":"s"}]"#), [r#"42/chat,0["enter","s"]"#]);
    assert_eq!(to_client(&mut *it, r#"42/chat,["news"]"#), [notice()]);
    assert_eq!(to_client(&mut *it, r#"42/chat,["entered"]"#), [r#"430[{"recovered":true,"room":"s"}]"#]);
    assert_eq!(to_client(&mut *it, "43/chat,0[]"), Vec::<String>::new());
}

#[test]
fn an_event_that_comes_after_the_ack_of_its_join_answers_no_other_join() {
    let mut dialect = plain();
    let join = dialect.join.as_mut().expect("a join");
    (join.joined, join.ask.error) = (Some("entered".to_owned()), Some("/0".to_owned()));
    let mut it = dialect.open();
    to_node(&mut *it, r#"40{"token":"ann","room":"r"}"#);
    it.incoming("40/chat,{}");
    to_client(&mut *it, r#"42/chat,["entered"]"#);
    for (ack, room) in [(0, "s"), (1, "full"), (2, "t")] {
        to_node(&mut *it, &format!(r#"42{ack}["join",{{"room":"{room}"}}]"#));
    }
    assert_eq!(to_client(&mut *it, "43/chat,0[]"), Vec::<String>::new());
    let refused = to_client(&mut *it, r#"43/chat,1["full"]"#);
    assert!(refused[0].starts_with(r#"431[{"error""#), "{refused:?}");
    assert_eq!(to_client(&mut *it, r#"42/chat,["entered"]"#), [r#"430[{"recovered":true,"room":"s"}]"#]);
    assert_eq!(to_client(&mut *it, r#"42/chat,["entered"]"#), [r#"432[{"recovered":true,"room":"t"}]"#]);
    assert_eq!(to_client(&mut *it, "43/chat,2[]"), Vec::<String>::new());
}

#[test]
fn a_room_that_is_refused_is_refused_in_the_answer_to_connect() {
    let mut dialect = plain();
    dialect.join.as_mut().expect("a join").ask.error = Some("/0".to_owned());
    let mut it = dialect.open();
    to_node(&mut *it, r#"40{"token":"ann","room":"r"}"#);
    it.incoming("40/chat,{}");
    let refused = to_client(&mut *it, r#"43/chat,4294967295["full"]"#);
    assert_eq!(refused, [r#"44{"data":{"code":"room_forbidden"},"message":"full"}"#]);
}

fn notice() -> String {
    r#"42["notice"]"#.to_owned()
}

#[test]
fn without_a_join_the_connection_is_the_membership() {
    let mut dialect = plain();
    (dialect.join, dialect.connect.auth) = (None, Some(json!({ "room": "{room}" })));
    let mut it = dialect.open();
    assert_eq!(to_node(&mut *it, r#"40{"token":"ann","room":"r"}"#), [r#"40/chat,{"room":"r"}"#]);
    assert_eq!(to_client(&mut *it, "40/chat,{}"), ["40", r#"42["joined",{"recovered":true,"room":"r"}]"#]);
}

#[test]
fn a_message_of_which_the_server_carries_only_the_text_is_known_by_it() {
    let mut it = plain().open();
    let said = to_node(&mut *it, SEND);
    assert_eq!(said, [r#"42/chat,5["say","r",{"text":"r ann-000001 hi {id}"}]"#]);
    assert_eq!(to_client(&mut *it, "43/chat,5[]"), [r#"435[{"id":"ann-000001","timestamp":0}]"#]);
    let heard = to_client(&mut *it, r#"42/chat,["said",{"text":"r ann-000001 hi {id}"}]"#);
    let (_, json) = heard[0].split_at(2);
    let heard: Value = serde_json::from_str(json).expect("JSON");
    let message = json!({ "id": "ann-000001", "room": "r", "sender": "ann", "content": "hi {id}", "timestamp": 0 });
    assert_eq!(heard, json!(["chat-message", message]));
    for stranger in [r#"["said",{"text":"welcome"}]"#, r#"["said",{"text":"we come in peace"}]"#, r#"["said"]"#] {
        let frames = to_client(&mut *it, &format!("42/chat,{stranger}"));
        assert!(frames == [notice()] || frames[0].contains(r#""id":"come""#), "{frames:?}");
    }
}

#[test]
fn a_message_that_the_server_carries_whole_comes_back_whole() {
    let mut it = callbacks().open();
    assert_eq!(to_node(&mut *it, SEND), [r#"425["say",{"id":"ann-000001","room":"r","text":"hi {id}"}]"#]);
    let heard = to_client(&mut *it, r#"42["said",{"id":"ann-000001","room":"s","text":"hi","from":"bob"}]"#);
    for part in [r#""room":"s""#, r#""sender":"bob""#, r#""content":"hi""#] {
        assert!(heard[0].contains(part), "{part} in {heard:?}");
    }
}

#[test]
fn an_ack_that_says_no_is_a_refusal() {
    let mut it = callbacks().open();
    for (ack, why) in [
        (r#"["too fast",null]"#, Some("too fast")),
        (r#"[{"code":7},null]"#, Some(r#"{\"code\":7}"#)),
        (r#"[null,{"done":false}]"#, Some("the ack was")),
        ("[null]", Some("the ack was")),
        (r#"[null,{"done":1}]"#, None),
    ] {
        to_node(&mut *it, SEND);
        let answer = to_client(&mut *it, &format!("435{ack}"));
        match why {
            Some(why) => assert!(answer[0].starts_with(r#"435[{"error""#) && answer[0].contains(why), "{answer:?}"),
            None => assert_eq!(answer, [r#"435[{"id":"ann-000001","timestamp":0}]"#]),
        }
    }
}

#[test]
fn what_is_engine_io_passes() {
    let mut it = plain().open();
    for frame in ["2", r#"0{"pingInterval":1,"pingTimeout":1}"#, "1", "6", ""] {
        assert_eq!(to_client(&mut *it, frame), [frame]);
    }
    assert_eq!(to_node(&mut *it, "3"), ["3"]);
    assert_eq!(to_node(&mut *it, "41"), ["41/chat,"]);
    assert_eq!(to_client(&mut *it, "41/chat,"), ["41"]);
    assert_eq!(to_client(&mut *it, r#"44/chat,{"message":"no"}"#), [r#"44{"message":"no"}"#]);
}

#[test]
fn what_makes_no_sense_is_named_by_its_setting() {
    assert_eq!((plain().mistakes(), callbacks().mistakes()), (Vec::new(), Vec::new()));
    let mut dialect = plain();
    dialect.send.ask.arguments = vec![json!("{room}")];
    dialect.send.retry = true;
    dialect.received.id = Some("/0/id".to_owned());
    dialect.received.text = "text".to_owned();
    dialect.join = None;
    let named: Vec<_> = dialect.mistakes().into_iter().map(|(path, _)| path).collect();
    assert_eq!(named, ["send.arguments", "received.id", "send.retry", "join", "received.text"]);
    let mut dialect = plain();
    let [join, leave] = [&mut dialect.join.as_mut().expect("a join").ask, dialect.leave.as_mut().expect("a leave")];
    for ask in [join, leave] {
        (ask.ok, ask.error) = (Some("ok".to_owned()), Some("/error".to_owned()));
    }
    let named: Vec<_> = dialect.mistakes().into_iter().map(|(path, _)| path).collect();
    assert_eq!(named, ["join.ok", "join.error", "leave.ok", "leave.error"]);
}
