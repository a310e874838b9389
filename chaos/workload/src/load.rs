//! The handle on a running load, with the verbs that a drill and a scenario test call.
//!
//! start → `steady` → (faults happen) → `canaries` → `pause_sends` → `drain` → `final_read` → `finish`.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use chaos_observe::{At, Clock, Recorder, SpanStore};
use system_protocol::{Refusal, Room};
use tokio::{sync::watch, task::JoinSet};

use crate::{
    Counts, FanOut, Sampling, Targets,
    crowd::{Crowd, Place},
    dispatch::{self, Rhythm},
    schedule::Schedule,
    spread::{Habit, Seat, seats},
    traces::Traces,
    user::{self, User},
};

/// Why a load does not start.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("workload {0}")]
    Settings(String),
    #[error("room {0:?}: {1}")]
    Room(String, Refusal),
    #[error("chat {0}")]
    Client(#[from] system_client::ConfigError),
    #[error("cannot listen for a user whose connection is to be cut: {0}")]
    Line(std::io::Error),
}

/// Everyone who chats. Dropping it ends all of them at once; [`finish`](Load::finish) says goodbye first.
pub struct Load {
    pub(crate) crowd: Arc<Crowd>,
    pub(crate) users: Vec<User>,
    pub(crate) visitors: Vec<User>,
    pub(crate) tasks: JoinSet<()>,
    pub(crate) errands: JoinSet<()>,
    pub(crate) sampling: Sampling,
    seed: u64,
    seeds: AtomicU64,
    began: watch::Receiver<Option<At>>,
    paused: watch::Sender<bool>,
}

impl FanOut {
    /// Starts all users. They join at once; the first send is due when all have, at the latest after 15 s.
    pub async fn start(
        &self,
        targets: Targets,
        seed: u64,
        clock: Clock,
        recorder: Recorder,
        spans: SpanStore,
    ) -> Result<Load, LoadError> {
        if let Some(mistake) = self.mistakes(targets.nodes.len() as u32).into_iter().next() {
            return Err(LoadError::Settings(mistake));
        }
        let sampling = Sampling::of(self);
        let traces = Traces::new(clock, spans, sampling);
        let rooms = self.room_names().map(|name| place(&name)).collect::<Result<_, _>>()?;
        let crowd = Arc::new(Crowd {
            targets,
            clock,
            recorder,
            traces,
            rooms,
            content: self.content,
            ack_timeout: self.ack_timeout,
            trouble: Mutex::default(),
        });
        let (began_tx, began) = watch::channel(None);
        let mut load = Load {
            crowd,
            users: Vec::new(),
            visitors: Vec::new(),
            tasks: JoinSet::new(),
            errands: JoinSet::new(),
            sampling,
            seed,
            seeds: AtomicU64::new(0),
            began,
            paused: watch::Sender::new(false),
        };
        let seats = seats(self, load.crowd.targets.nodes.len());
        for seat in &seats {
            let user = user::start(&load.crowd, load.seat(seat), &mut load.tasks).await?;
            load.users.push(user);
        }
        let schedule = Schedule::new(self, &seats, seed);
        let (crowd, users, paused) = (Arc::clone(&load.crowd), load.users.clone(), load.paused.subscribe());
        load.errands.spawn(dispatch::sends(crowd, schedule, users, began_tx, paused));
        load.start_churn(self, &seats);
        Ok(load)
    }
}

fn place(name: &str) -> Result<Place, LoadError> {
    let room = Room::parse(name).map_err(|refusal| LoadError::Room(name.to_owned(), refusal))?;
    Ok(Place::new(room))
}

impl Load {
    fn seat(&self, seat: &Seat) -> user::Start {
        let nodes = self.crowd.targets.nodes.len();
        user::Start {
            name: seat.user.clone(),
            nodes: (0..nodes).map(|nth| (seat.node + nth) % nodes).collect(),
            rooms: seat.rooms.iter().map(|room| *room as usize).collect(),
            stays: seat.habit == Habit::Stays,
            cuttable: seat.habit == Habit::Cuts,
            seed: self.next_seed(),
        }
    }

    /// Different for every user, the same for the same run.
    pub(crate) fn next_seed(&self) -> u64 {
        let nth = self.seeds.fetch_add(1, Ordering::Relaxed) + 1;
        self.seed ^ nth.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    /// Each begins at its own time within the first period, so that they don't move as one.
    fn start_churn(&mut self, settings: &FanOut, seats: &[Seat]) {
        let churn = &settings.churn;
        let restless = seats.iter().filter(|seat| seat.habit != Habit::Stays).count().max(1) as u32;
        let mut nth = 0;
        for (seat, user) in seats.iter().zip(&self.users).filter(|(seat, _)| seat.habit != Habit::Stays) {
            let every = if seat.habit == Habit::Leaves { churn.leave_every } else { churn.cut_every };
            nth += 1;
            let rhythm = Rhythm { first: every * nth / restless, every };
            let (user, began, paused) = (user.clone(), self.began.clone(), self.paused.subscribe());
            if seat.habit == Habit::Leaves {
                self.errands.spawn(dispatch::leaver(user, rhythm, churn.away, began, paused));
            } else {
                self.errands.spawn(dispatch::cutter(user, rhythm, began, paused));
            }
        }
    }

    /// When the first send could be due; `None` while users still gather.
    pub fn began(&self) -> Option<At> {
        *self.began.borrow()
    }

    pub fn counts(&self) -> Counts {
        self.crowd.counts()
    }

    /// Of which messages `chat.send` and `chat.receive` spans are kept.
    pub fn sampling(&self) -> Sampling {
        self.sampling
    }

    pub fn rooms(&self) -> Vec<String> {
        self.crowd.rooms.iter().map(|place| place.name.as_str().to_owned()).collect()
    }

    /// The room with the most sends so far.
    pub fn busiest_room(&self) -> String {
        let busiest = self.crowd.rooms.iter().max_by_key(|place| place.ledger().counts.due);
        busiest.map(|place| place.name.as_str().to_owned()).unwrap_or_default()
    }

    /// Rooms in which nothing that was due at `at` or later has been acked yet.
    pub fn rooms_without_ack_since(&self, at: At) -> Vec<String> {
        self.crowd.rooms_unless(|ledger| ledger.acked_due() >= Some(at.0))
    }

    /// No new sends, and whoever had left comes back; for good.
    pub fn pause_sends(&self) {
        self.paused.send_replace(true);
    }
}
