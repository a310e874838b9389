//! One client's connection to one server: commands in order, replies in order, WAIT holding up what is behind it.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::time::{Duration, Instant, sleep_until};

use super::Redis;
use super::command::{Outcome, Session};
use super::resp::{Commands, Reply};
use super::server::Client;
use super::state::State;
use crate::network::{Host, Sender, Stream};

/// Added to a server's number in the event of a reply; alone it is the event of a command that the server takes.
const ANSWERED: u64 = 0x4000;

impl State {
    /// For the storyboard: what a WAIT rests on.
    fn told_by_wait(&self, me: usize, session: &Session, need: usize) -> String {
        let server = &self.servers[me];
        let held = server.replicas.iter().filter(|(_, r)| r.online && r.acked >= session.write_offset);
        let held: Vec<_> = held.map(|(replica, _)| format!("redis-{}", replica + 1)).collect();
        let who = if held.is_empty() { "nobody".to_owned() } else { held.join(" and ") };
        format!("redis-{} answers WAIT {need} of {}: held by {who}", me + 1, session.name())
    }
}

impl Redis {
    /// Serve one connection until either end closes.
    pub(super) async fn serve(&self, me: usize, peer: Host, stream: Stream) {
        let (to, mut from) = stream.split();
        let to = Arc::new(to);
        let id = self.with(|state| {
            state.next_client += 1;
            let client = Client {
                to: to.clone(),
                resp3: false,
                channels: BTreeSet::new(),
                closed: false,
                trace: self.trace.clone(),
            };
            state.servers[me].clients.insert(state.next_client, client);
            state.next_client
        });
        let mut session = Session::new(id, peer);
        let mut commands = Commands::default();
        while let Some(chunk) = from.recv().await {
            commands.feed(chunk);
            if !self.answer(me, &mut session, &mut commands, &to).await {
                break;
            }
        }
        self.with(|state| state.servers[me].clients.remove(&id));
    }

    /// Every whole command that has come; false when the connection must close.
    async fn answer(&self, me: usize, session: &mut Session, commands: &mut Commands, to: &Sender<Bytes>) -> bool {
        let mut out = BytesMut::with_capacity(256);
        loop {
            self.running(me).await;
            let command = match commands.take() {
                Ok(Some(command)) => command,
                Ok(None) => break,
                Err(fault) => {
                    Reply::Error(fault).write(session.resp3, &mut out);
                    self.reply(me, to, out);
                    return false;
                }
            };
            let outcome = self.with(|state| state.execute(me, session, &command));
            match outcome {
                Outcome::Reply(reply) => reply.write(session.resp3, &mut out),
                Outcome::Silent => {}
                Outcome::Close => return false,
                Outcome::Wait { replicas, patience } => {
                    // What stands before a WAIT is answered at once.
                    self.reply(me, to, out.split());
                    match self.wait(me, session, replicas, patience).await {
                        Ok(count) => Reply::Int(count as i64).write(session.resp3, &mut out),
                        Err(fault) => {
                            fault.write(session.resp3, &mut out);
                            self.reply(me, to, out);
                            return false;
                        }
                    }
                }
            }
        }
        self.reply(me, to, out);
        !self.with(|state| state.servers[me].clients.get(&session.id).is_none_or(|client| client.closed))
    }

    fn reply(&self, me: usize, to: &Sender<Bytes>, out: BytesMut) {
        if !out.is_empty() {
            self.trace.event(ANSWERED + me as u64, [&out[..]]);
            to.send(out.freeze());
        }
    }

    /// Block until enough replicas acknowledged what this connection wrote, or patience ends (0: never).
    /// Source: redis.io/docs/latest/commands/wait; a demotion unblocks with an error and closes (blocked.c,
    /// disconnectAllBlockedClients), but not on every engine ([`super::Settings::demotion_unblocks`]).
    async fn wait(&self, me: usize, session: &Session, need: usize, patience: Duration) -> Result<usize, Reply> {
        let began = Instant::now();
        let deadline = (!patience.is_zero()).then(|| began + patience);
        let (acked, demotions) = self.with(|state| {
            if state.servers[me].acknowledged(session.write_offset) < need {
                state.ask_acks(me);
            }
            (state.servers[me].acked.clone(), state.servers[me].demotions)
        });
        loop {
            let changed = acked.notified();
            self.running(me).await;
            let (count, demoted) = self.with(|state| {
                let server = &state.servers[me];
                let demoted = state.settings.demotion_unblocks && server.demotions != demotions;
                (server.acknowledged(session.write_offset), demoted)
            });
            if demoted {
                let why =
                    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)";
                return Err(Reply::error(why));
            }
            if count >= need || deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                self.trace.say(|| self.with(|state| state.told_by_wait(me, session, need)));
                return Ok(count);
            }
            tokio::select! {
                biased;
                () = changed => {}
                () = sleep_until(deadline.unwrap_or(began + Duration::from_hours(24))) => {}
            }
        }
    }
}
