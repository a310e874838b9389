//! The task: one connection after another, until the client is closed.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep_until;

use crate::Why;
use crate::client::Shared;
use crate::link::Link;
use crate::session::{Mood, Target};
use crate::wire::socket;

pub(crate) async fn run(shared: Arc<Shared>) {
    while wanted(&shared).await {
        let why = connection(&shared).await;
        let delay = shared.session().lost(why, Instant::now());
        rest(&shared, delay).await;
    }
    shared.session().finish(Instant::now());
}

/// Waits for a reason to connect. False: the client is closed.
async fn wanted(shared: &Shared) -> bool {
    loop {
        match shared.session().mood() {
            Mood::Eager => return true,
            Mood::Closing => return false,
            Mood::Idle => {}
        }
        idle(shared, None).await;
    }
}

async fn rest(shared: &Shared, delay: Duration) {
    let until = Instant::now() + delay;
    while Instant::now() < until && shared.session().mood() != Mood::Closing {
        idle(shared, Some(until)).await;
    }
}

/// Without a connection time still passes: messages get too old to be sent again.
async fn idle(shared: &Shared, until: Option<Instant>) {
    let due = shared.session().advance(Instant::now()).ok().and_then(|step| step.wake_at);
    tokio::select! {
        biased;
        () = shared.wake.notified() => {}
        () = at([due, until].into_iter().flatten().min()) => {}
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time.into()).await,
        None => pending().await,
    }
}

/// From dialling to the end of the connection; says why it ended.
async fn connection(shared: &Shared) -> Why {
    let started = Instant::now();
    let mut link = match dial(shared).await {
        Ok(link) => link,
        Err(why) => return why,
    };
    shared.session().dialed(started, Instant::now());
    let Err(why) = converse(shared, &mut link).await;
    if matches!(why, Why::Closed | Why::Draining) {
        link.goodbye(socket::DISCONNECT).await;
    }
    why
}

async fn dial(shared: &Shared) -> Result<Link, Why> {
    let Target { node, tls, dialect, timeout } = shared.session().target();
    let closed = async {
        while shared.session().mood() != Mood::Closing {
            idle(shared, None).await;
        }
    };
    tokio::select! {
        biased;
        () = closed => Err(Why::Closed),
        dialed = tokio::time::timeout(timeout, Link::dial(&node, tls, dialect)) => {
            dialed.unwrap_or(Err(Why::Unanswered("dial", timeout)))
        }
    }
}

/// Reading comes before the timer: after a stall of this process, what the node said meanwhile counts first.
async fn converse(shared: &Shared, link: &mut Link) -> Result<std::convert::Infallible, Why> {
    let timer = sleep_until(Instant::now().into());
    tokio::pin!(timer);
    loop {
        let (step, patience) = {
            let mut session = shared.session();
            (session.advance(Instant::now())?, session.patience())
        };
        if !step.frames.is_empty() || link.has_unsaid() {
            link.write(step.frames, patience).await?;
        }
        if let Some(wake_at) = step.wake_at
            && (timer.is_elapsed() || wake_at < timer.deadline().into_std())
        {
            timer.as_mut().reset(wake_at.into());
        }
        tokio::select! {
            biased;
            frame = link.read() => shared.session().receive(&frame?, Instant::now())?,
            () = shared.wake.notified() => {}
            () = &mut timer, if step.wake_at.is_some() => {}
        }
    }
}
