//! A user: one connection at a time, one message in flight per room, the same id until it is acked, positions from
//! what was received only (docs/delivery.md, "The client's part").

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chaos_observe::{At, Op};
use system_protocol::{MessageId, Offset, Room, UserId};
use tokio::time::{Duration, Instant, sleep, sleep_until, timeout};

use super::manners::Manners;
use super::node::Node;
use super::phase::{Phase, Phases};
use super::record::{Ledger, content, offset};
use super::wire::{ToClient, ToNode};
use crate::chance::Chance;
use crate::network::{Host, Net, Receiver, Sender};

struct Message {
    id: MessageId,
    intended: At,
    text: String,
    attempts: u32,
}

/// One room of this user.
#[derive(Default)]
struct Place {
    position: Option<Offset>,
    entered: bool,
    leaving: bool,
    queue: VecDeque<Message>,
    /// When the message at the front is sent again; `None`: not on the wire.
    resend: Option<Instant>,
    /// The last attempt was refused: nothing is open about it.
    refused: bool,
    /// When the next message is due.
    next: Option<Instant>,
}

pub struct Client {
    pub name: String,
    pub user: UserId,
    pub host: Host,
    pub net: Net,
    pub nodes: Vec<Node>,
    pub ledger: Ledger,
    pub chance: Chance,
    pub manners: Manners,
    pub phases: Phases,
    places: BTreeMap<Room, Place>,
    sent: u64,
    at_node: usize,
}

/// Silence after which a connection counts as dead, and how long until the next ping: chosen, shorter than the 4 s of drills
/// (`ping_interval` and `ping_timeout`, chaos/drill/src/load.rs), so that a world sees more of it.
const SILENCE: Duration = Duration::from_millis(2500);
const PING: Duration = Duration::from_millis(800);

struct Link {
    to: Sender<ToNode>,
    from: Receiver<ToClient>,
    heard: Instant,
    pinged: Instant,
}

impl Client {
    #[expect(clippy::too_many_arguments, reason = "a user is all of these")]
    pub fn new(
        name: String,
        host: Host,
        net: Net,
        nodes: Vec<Node>,
        ledger: Ledger,
        chance: Chance,
        manners: Manners,
        phases: Phases,
        rooms: BTreeSet<Room>,
        at_node: usize,
    ) -> Client {
        let user = UserId::parse(&name).expect("a valid name");
        let places = rooms.into_iter().map(|room| (room, Place::default())).collect();
        Client { name, user, host, net, nodes, ledger, chance, manners, phases, places, sent: 0, at_node }
    }

    /// Until the world stops it. True when everything was acked.
    pub async fn run(mut self) -> bool {
        while self.phases.now() != Phase::Stop {
            let Some(mut link) = self.connect().await else { continue };
            self.note(Op::Up { node: self.nodes[self.at_node].name.clone() });
            let rooms: Vec<_> = self.places.keys().cloned().collect();
            for room in rooms {
                self.join(&link, &room);
            }
            let why = self.live(&mut link).await;
            drop(link);
            self.lose(&why);
            if why == "moves" {
                let (low, high) = self.manners.away;
                let wait = self.chance.between(low, high);
                sleep(Duration::from_millis(wait)).await;
                self.at_node = (self.at_node + 1 + self.chance.index(self.nodes.len())) % self.nodes.len();
            }
        }
        self.places.values().all(|place| place.queue.is_empty())
    }

    fn note(&self, op: Op) {
        self.ledger.note(&self.name, op);
    }

    async fn connect(&mut self) -> Option<Link> {
        let node = self.nodes[self.at_node].clone();
        let connecting = self.net.connect_typed::<ToNode, ToClient>(self.host, node.host);
        if let Ok(Ok(((to, from), (back, received)))) = timeout(Duration::from_secs(1), connecting).await {
            let room_for = if self.chance.percent(self.manners.slow) { self.chance.between(3, 60) } else { u64::MAX };
            if node.accept(self.user.clone(), back, received, room_for) {
                return Some(Link { to, from, heard: Instant::now(), pinged: Instant::now() });
            }
        }
        self.at_node = (self.at_node + 1) % self.nodes.len();
        let (low, high) = self.manners.backoff;
        let wait = self.chance.between(low, high);
        sleep(Duration::from_millis(wait)).await;
        None
    }

    fn join(&mut self, link: &Link, room: &Room) {
        let position = self.places[room].position;
        self.note(Op::Join { room: room.as_str().to_owned(), offset: position.map(offset) });
        link.to.send(ToNode::Join { room: room.clone(), offset: position });
    }

    /// Everything on the wire is unanswered now.
    fn lose(&mut self, why: &str) {
        let unanswered: Vec<_> = self
            .places
            .values_mut()
            .filter_map(|place| {
                (place.entered, place.leaving) = (false, false);
                let open = place.resend.take().filter(|_| !place.refused);
                open.and_then(|_| place.queue.front()).map(|message| message.id.as_str().to_owned())
            })
            .collect();
        for message in unanswered {
            self.note(Op::SendInfo { message, why: why.to_owned() });
        }
        // Whoever is there at the end owes the room's end: no loss of connection excuses a missing tail.
        if why != "stops" {
            self.note(Op::Down { why: why.to_owned() });
        }
    }

    /// Until the connection is over; the answer says why.
    async fn live(&mut self, link: &mut Link) -> String {
        let changed = self.phases.changed();
        let alarm = sleep_until(Instant::now());
        tokio::pin!(alarm);
        loop {
            let wake = self.next_moment().min(link.pinged + PING).min(link.heard + SILENCE);
            // Mostly the alarm can stay as it was set.
            if alarm.is_elapsed() || alarm.deadline() != wake {
                alarm.as_mut().reset(wake);
            }
            tokio::select! {
                biased;
                frame = link.from.recv() => match frame {
                    None => return "closed".to_owned(),
                    Some(frame) => {
                        link.heard = Instant::now();
                        if let Some(why) = self.take(link, frame) {
                            return why;
                        }
                    }
                },
                () = changed.notified() => {}
                () = &mut alarm => {}
            }
            if self.phases.now() == Phase::Stop {
                return "stops".to_owned();
            }
            if link.heard.elapsed() >= SILENCE {
                return "silence".to_owned();
            }
            if link.pinged.elapsed() >= PING {
                link.to.send(ToNode::Ping);
                link.pinged = Instant::now();
            }
            if let Some(why) = self.act(link) {
                return why;
            }
        }
    }

    fn next_moment(&self) -> Instant {
        let chat = self.phases.now() == Phase::Chat;
        let moment = |place: &Place| {
            // A moment that nothing comes of would stop the clock.
            let next = place.next.filter(|_| chat && place.resend.is_none());
            [place.resend, next].into_iter().flatten().min().filter(|_| place.entered && !place.leaving)
        };
        let far = Instant::now() + Duration::from_hours(1);
        self.places.values().filter_map(moment).min().unwrap_or(far)
    }

    /// What is due by the clock.
    fn act(&mut self, link: &Link) -> Option<String> {
        let now = Instant::now();
        let chat = self.phases.now() == Phase::Chat;
        let again = |place: &Place| place.resend.is_some_and(|at| at <= now);
        let speaks = |place: &Place| chat && place.resend.is_none() && place.next.is_none_or(|next| next <= now);
        let due = |place: &Place| place.entered && !place.leaving && (again(place) || speaks(place));
        let rooms: Vec<_> = self.places.iter().filter(|(_, place)| due(place)).map(|(room, _)| room.clone()).collect();
        for room in rooms {
            let place = &self.places[&room];
            if again(place) {
                self.unanswered(&room, "no ack in time");
                self.send(link, &room);
                continue;
            }
            if place.next.is_some() {
                if self.chance.percent(self.manners.moves) {
                    self.rest(&room);
                    return Some("moves".to_owned());
                }
                if self.chance.percent(self.manners.leaves) {
                    self.rest(&room);
                    self.leave(link, &room);
                    continue;
                }
                self.say(link, &room);
            }
            self.rest(&room);
        }
        None
    }

    /// The attempt on the wire has no answer, and will have none that counts.
    fn unanswered(&self, room: &Room, why: &str) {
        let place = &self.places[room];
        if let Some(message) = place.queue.front().filter(|_| !place.refused) {
            self.note(Op::SendInfo { message: message.id.as_str().to_owned(), why: why.to_owned() });
        }
    }

    fn rest(&mut self, room: &Room) {
        let (low, high) = self.manners.pace;
        let wait = self.chance.between(low, high);
        self.places.get_mut(room).expect("a room of this user").next =
            Some(Instant::now() + Duration::from_millis(wait));
    }

    fn leave(&mut self, link: &Link, room: &Room) {
        self.places.get_mut(room).expect("a room of this user").leaving = true;
        self.note(Op::Leave { room: room.as_str().to_owned() });
        link.to.send(ToNode::Leave { room: room.clone() });
    }

    /// A new message.
    fn say(&mut self, link: &Link, room: &Room) {
        self.sent += 1;
        let id = MessageId::parse(&format!("{}-{:05}", self.name, self.sent)).expect("a valid id");
        let text = format!("{} says {}", self.name, self.sent);
        let message = Message { id, intended: self.ledger.now(), text, attempts: 0 };
        let place = self.places.get_mut(room).expect("a room of this user");
        place.queue.push_back(message);
        if place.queue.len() == 1 {
            self.send(link, room);
        }
    }

    /// The message at the front goes on the wire, again or for the first time.
    fn send(&mut self, link: &Link, room: &Room) {
        let ack_timeout = Duration::from_millis(self.manners.ack_timeout);
        let place = self.places.get_mut(room).expect("a room of this user");
        let Some(message) = place.queue.front_mut() else { return };
        message.attempts += 1;
        (place.resend, place.refused) = (Some(Instant::now() + ack_timeout), false);
        let op = Op::Send {
            message: message.id.as_str().to_owned(),
            room: room.as_str().to_owned(),
            attempt: message.attempts,
            intended: message.intended,
            content: content(&message.text),
            canary: false,
        };
        link.to.send(ToNode::Submit { room: room.clone(), id: message.id.clone(), content: message.text.clone() });
        self.note(op);
    }

    fn take(&mut self, link: &Link, frame: ToClient) -> Option<String> {
        match frame {
            ToClient::Pong => {}
            ToClient::Joined(joined) => {
                let room = joined.room.clone();
                self.note(Op::JoinOk {
                    room: room.as_str().to_owned(),
                    offset: joined.offset.map(offset),
                    head: joined.head.map(offset),
                    recovered: joined.recovered,
                });
                let place = self.places.get_mut(&room)?;
                (place.position, place.entered) = (joined.offset, true);
                if place.queue.front().is_some() {
                    self.send(link, &room);
                } else {
                    self.rest(&room);
                }
            }
            // It is tried again on the next connection.
            ToClient::JoinRefused { room, code } => return Some(format!("join of {room} refused: {code}")),
            ToClient::Message { message, replay } => self.receive(&message, replay),
            ToClient::Acked { id, offset: at } => {
                let room = self.room_of(&id)?;
                self.note(Op::SendOk { message: id.as_str().to_owned(), offset: Some(offset(at)) });
                self.done(link, &room);
            }
            ToClient::Refused { id, code } => {
                let room = self.room_of(&id)?;
                self.note(Op::SendFail { message: id.as_str().to_owned(), code });
                // Not stored by this attempt; an earlier one may have been, so the same id is sent again.
                let place = self.places.get_mut(&room)?;
                (place.resend, place.refused) = (Some(Instant::now() + Duration::from_millis(300)), true);
            }
            ToClient::Left(left) => {
                self.note(Op::LeaveOk { room: left.room.as_str().to_owned(), offset: left.offset.map(offset) });
                let place = self.places.get_mut(&left.room)?;
                // It comes back without an offset, or with the one that it left at.
                (place.entered, place.leaving) = (false, false);
                place.position = left.offset.filter(|_| self.chance.percent(50));
                if place.resend.is_some() {
                    self.unanswered(&left.room, "left the room");
                    self.places.get_mut(&left.room)?.resend = None;
                }
                self.join(link, &left.room.clone());
            }
        }
        None
    }

    /// The room in which this id is the one in flight.
    fn room_of(&self, id: &MessageId) -> Option<Room> {
        let front = |place: &Place| place.queue.front().is_some_and(|message| message.id == *id);
        self.places.iter().find(|(_, place)| front(place)).map(|(room, _)| room.clone())
    }

    fn done(&mut self, link: &Link, room: &Room) {
        let place = self.places.get_mut(room).expect("a room of this user");
        place.queue.pop_front();
        place.resend = None;
        if !place.queue.is_empty() {
            self.send(link, room);
        }
    }

    fn receive(&mut self, message: &system_protocol::ChatMessage, replay: bool) {
        let known = self.places.get(&message.room).and_then(|place| place.position);
        let hidden = message.offset.is_none_or(|at| known.is_some_and(|known| at <= known));
        self.note(Op::Recv {
            room: message.room.as_str().to_owned(),
            message: message.id.as_str().to_owned(),
            sender: message.sender.as_str().to_owned(),
            offset: message.offset.map(offset),
            content: content(&message.content),
            replay,
            hidden,
        });
        if let Some(place) = self.places.get_mut(&message.room).filter(|_| !hidden) {
            place.position = message.offset;
        }
    }
}
