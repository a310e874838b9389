//! Sharded Pub/Sub: a message reaches the subscribers on every server of the shard that is in touch, once, or never.
//! Source: redis.io/docs/latest/develop/pubsub, "Sharded Pub/Sub".

use super::super::command::{Args, Done, Session, wrong_arguments};
use super::super::resp::Reply;
use super::super::state::State;

pub fn publish(state: &mut State, me: usize, args: Args) -> Done {
    let [channel, payload] = args else { return Err(wrong_arguments("spublish")) };
    let primary = state.servers[me].master().unwrap_or(me);
    let shard: Vec<_> = std::iter::once(primary).chain(state.replicas_of(primary)).collect();
    let mut here = 0;
    for server in shard {
        if server != me && !state.in_touch(me, server) {
            continue;
        }
        let message = || {
            let parts = [Reply::text("smessage"), Reply::Bulk(channel.clone()), Reply::Bulk(payload.clone())];
            Reply::Push(parts.into())
        };
        let listening = state.servers[server].clients.values().filter(|client| client.channels.contains(channel));
        let count = listening.inspect(|client| client.send(&message())).count();
        here += if server == me { count } else { 0 };
    }
    Ok(Reply::Int(here as i64))
}

pub fn subscribe(state: &mut State, me: usize, session: &Session, name: &str, channels: Args) {
    let subscribes = name == "SSUBSCRIBE";
    let Some(client) = state.servers[me].clients.get_mut(&session.id) else { return };
    let all: Vec<_> = client.channels.iter().cloned().collect();
    let channels = if channels.is_empty() { &all[..] } else { channels };
    for channel in channels {
        if subscribes {
            client.channels.insert(channel.clone());
        } else {
            client.channels.remove(channel);
        }
        let count = Reply::Int(client.channels.len() as i64);
        let word = Reply::text(name.to_ascii_lowercase());
        client.send(&Reply::Push(vec![word, Reply::Bulk(channel.clone()), count]));
    }
}
