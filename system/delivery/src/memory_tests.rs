//! The log in memory keeps the contract of the one on Redis, but for durability.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use system_protocol::{Joined, MessageId, UserId};

use super::*;
use crate::outbox::{CloseReason, Closed, FanOut};
use crate::probe::Silent;

/// What one client got, in order: the positions of joins, and contents.
#[derive(Default)]
struct Client {
    got: Mutex<Vec<String>>,
    full: AtomicBool,
}

impl Client {
    fn got(&self) -> Vec<String> {
        self.got.lock().unwrap().clone()
    }
}

impl Outbox for Client {
    fn joined(&self, joined: &Joined) -> Result<(), Closed> {
        self.got.lock().unwrap().push(format!("joined {}", joined.recovered));
        Ok(())
    }

    fn message(&self, entry: &Arc<Entry>, fan_out: Option<&FanOut<'_>>) -> Result<(), Closed> {
        if self.full.load(Ordering::SeqCst) {
            return Err(Closed);
        }
        let how = if fan_out.is_none() { " again" } else { "" };
        self.got.lock().unwrap().push(format!("{}{how}", entry.content));
        Ok(())
    }

    fn close(&self, _: CloseReason) {}
}

struct Chat {
    memory: Memory,
    clock: Arc<AtomicU64>,
}

fn room() -> Room {
    Room::default()
}

impl Chat {
    fn new() -> Self {
        Self::with(Config { page: 2, ..Config::new(Vec::new()) })
    }

    fn with(config: Config) -> Self {
        let clock = Arc::new(AtomicU64::new(1_000_000_000));
        let now = clock.clone();
        Chat { memory: Memory::start(config, move || now.load(Ordering::SeqCst), Arc::new(Silent)), clock }
    }

    async fn say(&self, id: &str) -> Acked {
        let submission = Submission {
            room: room(),
            sender: UserId::parse("ann").unwrap(),
            id: MessageId::parse(id).unwrap(),
            content: id.to_owned(),
            traceparent: None,
        };
        match self.memory.submit(submission).await {
            Outcome::Acked(acked) => acked,
            other => panic!("not acked: {other:?}"),
        }
    }

    fn client(&self) -> (Arc<Client>, Session) {
        let client = Arc::new(Client::default());
        let session = self.memory.session(client.clone());
        (client, session)
    }

    fn pass(&self, time: Duration) {
        self.clock.fetch_add(time.as_millis() as u64, Ordering::SeqCst);
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn members_get_what_is_sent_after_they_joined_in_order() {
    let chat = Chat::new();
    chat.say("before").await;
    let (client, session) = chat.client();
    assert!(session.join(room(), None).await.unwrap().recovered);
    chat.say("1").await;
    chat.say("2").await;
    assert_eq!(client.got(), ["joined true", "1", "2"]);
}

#[tokio::test]
async fn the_same_id_is_the_same_message() {
    let chat = Chat::new();
    let (client, session) = chat.client();
    session.join(room(), None).await.unwrap();
    let (first, second) = (chat.say("1").await, chat.say("1").await);
    assert_eq!((first.offset, first.duplicate, second.duplicate), (second.offset, false, true));
    assert_eq!(client.got(), ["joined true", "1"]);
}

#[tokio::test]
async fn a_resume_replays_the_gap_page_by_page_and_goes_live() {
    let chat = Chat::new();
    let from = chat.say("0").await.offset;
    for id in ["1", "2", "3", "4", "5"] {
        chat.say(id).await;
    }
    let (_other, here) = chat.client();
    here.join(room(), None).await.unwrap();
    let (client, session) = chat.client();
    let joined = session.join(room(), Some(from)).await.unwrap();
    assert_eq!((joined.offset, joined.recovered), (Some(from), true));
    until("the gap is replayed", || client.got().len() == 6).await;
    chat.say("6").await;
    let expected = ["joined true", "1 again", "2 again", "3 again", "4 again", "5 again", "6"];
    assert_eq!(client.got(), expected);
}

#[tokio::test]
async fn history_older_than_the_window_is_gone_and_said_to_be() {
    let chat = Chat::new();
    let from = chat.say("old").await.offset;
    chat.say("anchor").await;
    chat.pass(Duration::from_mins(11));
    chat.say("new").await;
    let (client, session) = chat.client();
    let joined = session.join(room(), Some(from)).await.unwrap();
    assert_eq!((joined.offset == joined.head, joined.recovered), (true, false));
    assert_eq!(client.got(), ["joined false"]);
}

#[tokio::test]
async fn an_idle_rooms_members_miss_nothing_however_long_it_was_idle() {
    let chat = Chat::new();
    let from = chat.say("last-words").await.offset;
    chat.pass(Duration::from_hours(3));
    chat.say("hello").await;
    let (client, session) = chat.client();
    assert!(session.join(room(), Some(from)).await.unwrap().recovered);
    until("the gap is replayed", || client.got() == ["joined true", "hello again"]).await;
}

#[tokio::test]
async fn an_offset_that_never_was_is_not_recovered() {
    let chat = Chat::new();
    let head = chat.say("1").await.offset;
    let (_client, session) = chat.client();
    let joined = session.join(room(), Offset::new(head.ms(), 77)).await.unwrap();
    assert_eq!((joined.offset, joined.recovered), (Some(head), false));
}

#[tokio::test]
async fn after_a_leave_nothing_comes_and_a_dropped_session_has_left() {
    let chat = Chat::new();
    let (client, session) = chat.client();
    session.join(room(), None).await.unwrap();
    let last = chat.say("1").await.offset;
    assert_eq!(session.leave(&room()).unwrap().offset, Some(last));
    assert_eq!(session.leave(&room()), None);
    chat.say("2").await;
    assert_eq!(client.got(), ["joined true", "1"]);
    session.join(room(), None).await.unwrap();
    drop(session);
    assert_eq!(chat.memory.status().rooms, 0);
}

#[tokio::test]
async fn a_room_already_joined_answers_its_position() {
    let chat = Chat::new();
    let (client, session) = chat.client();
    session.join(room(), None).await.unwrap();
    let last = chat.say("1").await.offset;
    assert_eq!(session.join(room(), Some(Offset::ZERO)).await.unwrap().offset, Some(last));
    assert_eq!(client.got(), ["joined true", "1", "joined true"]);
}

#[tokio::test]
async fn a_join_is_known_of_before_it_is_polled_and_forgotten_when_dropped() {
    let chat = Chat::new();
    let (_client, session) = chat.client();
    let join = session.join(room(), None);
    assert!(session.knows(&room()));
    let member = session.is_member(&room());
    let (joined, member) = tokio::join!(join, member);
    assert!(joined.is_ok() && member);
    session.leave(&room());
    drop(session.join(room(), None));
    assert!(!session.knows(&room()) && !session.is_member(&room()).await);
}

#[tokio::test]
async fn a_client_that_takes_no_more_misses_nothing_when_it_comes_back() {
    let chat = Chat::new();
    let (client, session) = chat.client();
    session.join(room(), None).await.unwrap();
    let last = chat.say("1").await.offset;
    client.full.store(true, Ordering::SeqCst);
    chat.say("2").await;
    client.full.store(false, Ordering::SeqCst);
    chat.say("3").await;
    assert_eq!(client.got(), ["joined true", "1"], "nothing after the first that was not taken");
    let (again, session) = chat.client();
    session.join(room(), Some(last)).await.unwrap();
    until("the gap is replayed", || again.got() == ["joined true", "2 again", "3 again"]).await;
}

#[tokio::test]
async fn a_full_room_refuses_loudly_and_trims_nothing() {
    let chat = Chat::with(Config { room_length: 2, ..Config::new(Vec::new()) });
    let from = chat.say("1").await.offset;
    let submission = Submission {
        room: room(),
        sender: UserId::parse("ann").unwrap(),
        id: MessageId::parse("2").unwrap(),
        content: "2".into(),
        traceparent: None,
    };
    let Outcome::Refused(refusal) = chat.memory.submit(submission).await else { panic!("taken") };
    assert_eq!(refusal.code, Code::RoomFull);
    let (_client, session) = chat.client();
    assert!(session.join(room(), Some(from)).await.unwrap().recovered);
}

#[tokio::test]
async fn who_drains_refuses_what_is_new_and_repeats_what_is_old() {
    let chat = Chat::new();
    chat.say("1").await;
    chat.memory.drain();
    assert!(chat.say("1").await.duplicate);
    assert!(!chat.memory.status().ready);
}
