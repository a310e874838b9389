//! A node behind a real socket: any payload is answered by an ack or a named refusal, the connection stays, what was
//! refused is delivered to nobody, and what was taken to everybody, byte for byte.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use proptest::{strategy::Strategy, test_runner::TestCaseError};
use serde_json::{Value, json};

use super::{
    rules::{self, Event},
    runner, strategies,
};
use crate::{chat_node::ChatNode, plain_socket::PlainSocket, wait::PATIENCE, warm::play};

const FLAGS: [&str; 6] = ["--auth", "none", "--rate-limit", "1000000", "--join-rate-limit", "1000000"];
/// As the contract has it.
const ROOMS_PER_SOCKET: usize = 50;

/// Somebody connected, and how much of what came has been looked at.
struct Person {
    socket: PlainSocket,
    asked: u64,
}

/// What came, as events; the answers apart.
struct Heard {
    answer: Value,
    events: Vec<(String, Value)>,
}

impl Person {
    async fn join(address: &str, name: &str) -> Person {
        let auth = json!({ "token": name }).to_string();
        let mut person = Person { socket: PlainSocket::connected(address, &auth).await.expect("is let in"), asked: 0 };
        person.event("joined").await.expect("is in the room");
        person
    }

    /// Asks, with the payload as it is written here, and reads up to the answer.
    async fn ask(&mut self, event: &str, payload: &str) -> Result<Heard, String> {
        self.asked += 1;
        let id = self.asked;
        self.socket.write(format!("42{id}[\"{event}\",{payload}]")).await?;
        let mut events = Vec::new();
        loop {
            let packet = self.next().await?;
            if let Some(answer) = packet.strip_prefix(&format!("43{id}[")).and_then(|rest| rest.strip_suffix(']')) {
                let answer = serde_json::from_str(answer).map_err(|error| format!("{packet}: {error}"))?;
                return Ok(Heard { answer, events });
            }
            events.push(read_event(&packet)?);
        }
    }

    /// The next event, which must be of this name.
    async fn event(&mut self, name: &str) -> Result<Value, String> {
        let packet = self.next().await?;
        let (event, payload) = read_event(&packet)?;
        if event == name { Ok(payload) } else { Err(format!("{packet} instead of {name}")) }
    }

    async fn next(&mut self) -> Result<String, String> {
        let packet = tokio::time::timeout(PATIENCE, self.socket.packet()).await;
        packet.map_err(|_| "nothing came".to_owned())?
    }
}

fn read_event(packet: &str) -> Result<(String, Value), String> {
    let arguments = packet.strip_prefix("42").ok_or_else(|| format!("{packet} is no event"))?;
    let mut arguments: Vec<Value> = serde_json::from_str(arguments).map_err(|error| format!("{packet}: {error}"))?;
    match (arguments.len(), arguments[0].as_str().map(ToOwned::to_owned)) {
        (2, Some(event)) => Ok((event, arguments.remove(1))),
        _ => Err(format!("{packet} is no event with one argument")),
    }
}

/// Ann, who says what comes, Bob, who only listens, and what must be true of them.
struct Scene {
    _node: ChatNode,
    ann: Person,
    bob: Person,
    rooms: BTreeSet<String>,
    /// By room and id: what the ack said.
    taken: BTreeMap<(String, String), Value>,
    refused: usize,
}

impl Scene {
    async fn set() -> Scene {
        let node = ChatNode::start(&FLAGS);
        let address = node.address().await.to_string();
        let (ann, bob) = (Person::join(&address, "ann").await, Person::join(&address, "bob").await);
        let rooms = BTreeSet::from(["global".to_owned()]);
        Scene { _node: node, ann, bob, rooms, taken: BTreeMap::new(), refused: 0 }
    }

    async fn say(&mut self, event: Event, payload: &Value) -> Result<(), String> {
        let heard = self.ann.ask(event.name(), &payload.to_string()).await?;
        let room = payload["room"].as_str().unwrap_or("global").to_owned();
        match self.expected(event, payload, &room) {
            Some(code) => self.must_be_refused(event, payload, code, heard).await,
            None => self.must_be_taken(event, payload, room, heard).await,
        }
    }

    /// The code of the refusal that is due, if any.
    fn expected(&self, event: Event, payload: &Value, room: &str) -> Option<&'static str> {
        if !rules::wrong(event, payload).is_empty() {
            return Some("invalid_payload");
        }
        let inside = self.rooms.contains(room);
        match event {
            Event::ChatMessage | Event::Leave => (!inside).then_some("not_in_room"),
            Event::Join => (!inside && self.rooms.len() == ROOMS_PER_SOCKET).then_some("too_many_rooms"),
        }
    }

    async fn must_be_refused(
        &mut self,
        event: Event,
        payload: &Value,
        code: &str,
        Heard { answer, events }: Heard,
    ) -> Result<(), String> {
        self.refused += 1;
        let error = &answer["error"];
        if error["code"] != code {
            return Err(format!("{code} is due, and the answer is {answer}"));
        }
        if code == "invalid_payload" {
            let words = error["message"].as_str().unwrap_or_default();
            let words = words.strip_prefix("Invalid message payload: ").unwrap_or_default();
            let wrong = rules::wrong(event, payload);
            if !wrong.iter().any(|field| words.starts_with(&format!("{field} "))) {
                return Err(format!("{wrong:?} are wrong, and the answer is {answer}"));
            }
        }
        // The ack comes first, then the event; neither the message nor anything else.
        if !events.is_empty() {
            return Err(format!("heard before the refusal: {events:?}"));
        }
        let told = self.ann.event("error").await?;
        if told != json!({ "message": error["message"], "code": code }) {
            return Err(format!("{told} is not {error}"));
        }
        Ok(())
    }

    async fn must_be_taken(
        &mut self,
        event: Event,
        payload: &Value,
        room: String,
        Heard { answer, mut events }: Heard,
    ) -> Result<(), String> {
        if answer.get("error").is_some() {
            return Err(format!("refused: {answer}"));
        }
        match event {
            Event::Join => {
                if answer["room"] != *room || !answer["offset"].is_string() || !answer["recovered"].is_boolean() {
                    return Err(format!("the answer to a join is {answer}"));
                }
                self.rooms.insert(room);
            }
            Event::Leave => {
                if answer["room"] != *room || !answer["offset"].is_string() {
                    return Err(format!("the answer to a leave is {answer}"));
                }
                self.rooms.remove(&room);
            }
            Event::ChatMessage => {
                let id = answer["id"].as_str().unwrap_or_default().to_owned();
                if payload["id"].as_str().is_some_and(|given| given != id) || !rules::name(&id) {
                    return Err(format!("{id:?} is not the id"));
                }
                if let Some(first) = self.taken.get(&(room.clone(), id.clone())) {
                    let same = *first == answer && events.is_empty();
                    return if same { Ok(()) } else { Err(format!("{answer} is not {first}; {events:?}")) };
                }
                let expected = json!({ "id": id, "room": room, "sender": "ann", "content": payload["content"],
                    "timestamp": answer["timestamp"], "offset": answer["offset"] });
                self.must_hear(&room, &expected, &mut events).await?;
                self.taken.insert((room, id), answer);
            }
        }
        if events.is_empty() { Ok(()) } else { Err(format!("heard besides: {events:?}")) }
    }

    /// Bob is in `global` only. Whatever he hears that was not due fails the next that is.
    async fn must_hear(&mut self, room: &str, due: &Value, heard: &mut Vec<(String, Value)>) -> Result<(), String> {
        let mut ann = match heard.pop() {
            Some((_, said)) => said,
            None => self.ann.event("chat-message").await?,
        };
        let mut all = vec![("ann", &mut ann)];
        let mut bob = if room == "global" { Some(self.bob.event("chat-message").await?) } else { None };
        all.extend(bob.as_mut().map(|said| ("bob", said)));
        for (who, said) in all {
            // A trace that the message continues or begins may go on with it.
            said.as_object_mut().and_then(|said| said.remove("traceparent"));
            if said != due {
                return Err(format!("{who} heard {said} instead of {due}"));
            }
        }
        Ok(())
    }
}

#[test]
fn any_payload_is_answered_and_only_what_is_taken_is_delivered() {
    let mut scene = RefCell::new(play(Scene::set()));
    let strategy = (strategies::event(), strategies::payload());
    // After a failure the two no longer know where they are: what is shrunk must begin anew.
    let test = |(event, payload): (Event, Value)| {
        let mut scene = scene.borrow_mut();
        play(scene.say(event, &payload)).map_err(|error| {
            *scene = play(Scene::set());
            TestCaseError::fail(error)
        })
    };
    runner(1500).run(&strategy, test).unwrap_or_else(|error| panic!("{error}"));
    let scene = scene.get_mut();
    eprintln!("{} taken, {} refused, in {} rooms at the end", scene.taken.len(), scene.refused, scene.rooms.len());
    assert!(scene.taken.len() > 100 && scene.refused > 100, "too few of one kind");
}

/// What cannot be a `Value` here: escapes that are no character, numbers that are none, a depth without end, a field
/// given twice.
#[test]
fn what_is_hardly_json_is_answered_too() {
    play(async {
        let mut scene = Scene::set().await;
        let (deep, shallow) = ("[".repeat(200) + &"]".repeat(200), "[".repeat(100) + &"]".repeat(100));
        for (payload, named) in [
            (r#"{"content":"half a pair \ud83d"}"#.to_owned(), "payload cannot be read"),
            (r#"{"content":"\ude00 the other half"}"#.to_owned(), "payload cannot be read"),
            (r#"{"content":"ok","unknown":"\ud83d\ud83d"}"#.to_owned(), "payload cannot be read"),
            (r#"{"content":"ok","number":1e999}"#.to_owned(), "payload cannot be read"),
            (format!(r#"{{"content":"ok","deep":{deep}}}"#), "payload cannot be read"),
            (format!(r#"{{"content":"","deep":{shallow}}}"#), "content must not be empty"),
            (r#"{"content":"ok","content":7}"#.to_owned(), "content must be a string"),
        ] {
            for event in Event::ALL {
                let heard =
                    scene.ann.ask(event.name(), &payload).await.unwrap_or_else(|why| panic!("{payload}: {why}"));
                let error = &heard.answer["error"];
                assert_eq!(error["code"], "invalid_payload", "{payload}: {}", heard.answer);
                let words = error["message"].as_str().expect("words");
                assert!(event != Event::ChatMessage || words.contains(named), "{payload}: {words}");
                assert!(heard.events.is_empty(), "{payload}: {:?}", heard.events);
                scene.ann.event("error").await.expect("also as an event");
            }
        }
        // The last of two counts, as in JSON.parse, and a pair that is written by escapes is whole.
        let twice = r#"{"content":7,"content":"\ud83d\ude00 \u0000 \u2028"}"#;
        let heard = scene.ann.ask("chat-message", twice).await.expect("an answer");
        assert!(heard.answer["offset"].is_string(), "{}", heard.answer);
        let said = scene.bob.event("chat-message").await.expect("the first that bob hears");
        assert_eq!(said["content"], "\u{1f600} \u{0} \u{2028}");
    });
}

#[test]
fn any_word_of_a_client_about_itself_is_answered() {
    let node = ChatNode::start(&FLAGS);
    let address = play(node.address()).to_string();
    let test = |auth: Value| {
        let answered = play(async {
            let mut socket = PlainSocket::open(&address).await?;
            socket.write(format!("40{auth}")).await?;
            let mut packet = String::new();
            while !packet.starts_with("40{") && !packet.starts_with("44{") {
                let next = tokio::time::timeout(PATIENCE, socket.packet()).await;
                packet = next.map_err(|_| "nothing came".to_owned())??;
            }
            if let Some(refused) = packet.strip_prefix("44") {
                let refused: Value = serde_json::from_str(refused).map_err(|error| error.to_string())?;
                let named = refused["data"]["code"].is_string() && refused["message"].is_string();
                // The transport stays for another try.
                socket.write("40/nowhere").await?;
                let again = tokio::time::timeout(PATIENCE, socket.packet()).await;
                let again = again.map_err(|_| "nothing came after a refusal".to_owned())??;
                let whole = named && again.starts_with("44/nowhere");
                return if whole { Ok(()) } else { Err(format!("{refused}, then {again}")) };
            }
            Ok(())
        });
        answered.map_err(TestCaseError::fail)
    };
    runner(200).run(&strategies::auth().no_shrink(), test).unwrap_or_else(|error| panic!("{error}"));
}
