//! The open loop: at its intended time each send is handed to its user, whatever became of the one before; and users
//! that come and go are told to.

use std::{sync::Arc, time::Duration};

use chaos_observe::At;
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    crowd::Crowd,
    schedule::Schedule,
    user::{User, Wish},
};

/// The load begins when everyone is in, at the latest after this.
const GATHER: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_millis(20);

/// True once sends are paused, for good.
pub(crate) type Paused = watch::Receiver<bool>;
/// When the load began, once it has.
pub(crate) type Began = watch::Receiver<Option<At>>;

pub(crate) async fn sends(
    crowd: Arc<Crowd>,
    schedule: Schedule,
    users: Vec<User>,
    began: watch::Sender<Option<At>>,
    mut paused: Paused,
) {
    gather(&crowd).await;
    let (start, at) = (Instant::now(), crowd.clock.now());
    began.send_replace(Some(at));
    for due in schedule {
        if !pass(start + due.at, &mut paused).await {
            return;
        }
        let due_at = At(at.0 + due.at.as_micros() as u64);
        users[due.user].wish(Wish::Say { room: due.room as usize, due: due_at, canary: false });
    }
}

async fn gather(crowd: &Crowd) {
    let deadline = Instant::now() + GATHER;
    while !crowd.settled() && Instant::now() < deadline {
        sleep(LOOK).await;
    }
}

/// When a user that comes and goes does so: first, and then every so often. Counted from when the load began, so that
/// everyone was in once.
#[derive(Clone, Copy)]
pub(crate) struct Rhythm {
    pub(crate) first: Duration,
    pub(crate) every: Duration,
}

/// Leaves and returns until sends are paused; then it is in.
pub(crate) async fn leaver(user: User, rhythm: Rhythm, away: Duration, began: Began, mut paused: Paused) {
    let Some(mut next) = first(rhythm, began).await else { return };
    let mut resume = false;
    while pass(next, &mut paused).await {
        user.wish(Wish::Leave);
        pass(next + away, &mut paused).await;
        user.wish(Wish::Return { resume });
        resume = !resume;
        next += rhythm.every;
    }
}

pub(crate) async fn cutter(user: User, rhythm: Rhythm, began: Began, mut paused: Paused) {
    let Some(mut next) = first(rhythm, began).await else { return };
    while pass(next, &mut paused).await {
        user.wish(Wish::Cut);
        next += rhythm.every;
    }
}

async fn first(rhythm: Rhythm, mut began: Began) -> Option<Instant> {
    began.wait_for(Option::is_some).await.ok()?;
    Some(Instant::now() + rhythm.first)
}

/// Waits for the time; false when sends were paused before.
async fn pass(until: Instant, paused: &mut Paused) -> bool {
    tokio::select! {
        biased;
        _ = paused.wait_for(|paused| *paused) => false,
        () = sleep_until(until) => true,
    }
}
