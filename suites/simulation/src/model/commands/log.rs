//! The functions of `system/delivery/src/append.lua`, line for line in Rust.
//!
//! Each sees its own effects so far, and hands all of them to the replicas in one piece at the end, as a script does. The
//! conformance script calls the originals on real servers and these on the model.

use std::sync::Arc;

use bytes::Bytes;

use super::super::command::{Args, Done, number, text};
use super::super::resp::Reply;
use super::super::server::Server;
use super::super::store::{Effect, Store};
use super::super::stream::{Fields, Id, Stream};

/// `block`: how many entries a trim takes at a time.
pub fn call(server: &mut Server, now: u64, block: usize, function: &str, keys: Args, args: Args) -> Done {
    let mut run = Run { store: &mut server.store, effects: Vec::new(), now, block };
    let answer = match (function, keys, args) {
        ("holdfast_append_v1", [stream, dedupe, rooms], [_, _, _, _, _, _, _, _]) => {
            run.append([stream, dedupe, rooms], args)
        }
        ("holdfast_enter_v1", [stream, rooms], [limit, held]) => run.enter(stream, rooms, limit, held),
        ("holdfast_trim_v1", [stream], [window]) => run.trim(stream, window).map(|count| Reply::Int(count as i64)),
        ("holdfast_heads_v1", streams, []) => Ok(run.heads(streams)),
        _ => Err(Reply::error(format!("ERR the model has no such function call: {function}"))),
    };
    let effects = run.effects;
    server.announce(effects);
    answer
}

struct Run<'a> {
    store: &'a mut Store,
    effects: Vec<Effect>,
    now: u64,
    block: usize,
}

impl Run<'_> {
    fn carry_out(&mut self, effect: Effect) {
        self.store.apply(&effect);
        self.effects.push(effect);
    }

    fn stream(&self, key: &Bytes) -> Option<&Stream> {
        self.store.stream(key)
    }

    fn add(&mut self, key: &Bytes, fields: Vec<Bytes>) -> Id {
        let id = self.stream(key).map_or(Id(self.now, 0), |stream| stream.next_id(self.now));
        let fields: Fields = Arc::from(fields);
        self.carry_out(Effect::Add { key: key.clone(), id, fields });
        id
    }

    fn born(&mut self, stream: &Bytes, rooms: &Bytes, limit: &Bytes) -> Result<bool, Reply> {
        if self.store.holds(stream) {
            return Ok(true);
        }
        let count = self.store.text(rooms).map_or(Ok(0), number)?;
        if count >= number(limit)? {
            return Ok(false);
        }
        let value = Bytes::from((count + 1).to_string());
        self.carry_out(Effect::Set { key: rooms.clone(), value, expires: None });
        self.add(stream, vec![Bytes::from_static(b"b"), Bytes::from_static(b"1")]);
        Ok(true)
    }

    fn append(&mut self, [stream, dedupe, rooms]: [&Bytes; 3], args: Args) -> Done {
        let [window, room_limit, length_limit, history, sender, id, content, trace] = args else {
            return Err(Reply::error("ERR append takes eight arguments"));
        };
        let expires = self.now + number(window)?;
        if let Some(known) = self.store.text(dedupe).cloned() {
            self.carry_out(Effect::Expire { key: dedupe.clone(), at: expires });
            return Ok(Reply::Array(vec![Reply::text("known"), Reply::Bulk(known)]));
        }
        if !self.born(stream, rooms, room_limit)? {
            return Ok(Reply::Array(vec![Reply::text("room_limit")]));
        }
        if self.stream(stream).map_or(0, Stream::len) as u64 >= number(length_limit)? {
            return Ok(Reply::Array(vec![Reply::text("room_full")]));
        }
        let mut fields = vec![name("s"), sender.clone(), name("i"), id.clone(), name("c"), content.clone()];
        if !trace.is_empty() {
            fields.extend([name("t"), trace.clone()]);
        }
        let at = self.add(stream, fields);
        let value = Bytes::from(at.to_string());
        self.carry_out(Effect::Set { key: dedupe.clone(), value: value.clone(), expires: Some(expires) });
        if history.as_ref() != b"0" {
            self.trim(stream, history)?;
        }
        Ok(Reply::Array(vec![Reply::text("new"), Reply::Bulk(value)]))
    }

    fn enter(&mut self, stream: &Bytes, rooms: &Bytes, limit: &Bytes, held: &Bytes) -> Done {
        if !self.born(stream, rooms, limit)? {
            return Ok(Reply::Array(vec![Reply::text("room_limit")]));
        }
        let Some(stream) = self.stream(stream) else { return Err(super::streams::wrong_type()) };
        let Some((head, _)) = stream.range(Id::default(), Id::MAX).next_back() else {
            return Ok(Reply::Array(vec![Reply::text("empty")]));
        };
        let held = if held.is_empty() {
            0
        } else {
            let id = Id::parse(held, 0).ok_or_else(super::streams::bad_id)?;
            stream.range(id, id).count()
        };
        Ok(Reply::Array(vec![Reply::text("head"), Reply::text(head.to_string()), Reply::Int(held as i64)]))
    }

    fn trim(&mut self, key: &Bytes, window: &Bytes) -> Result<usize, Reply> {
        let edge = self.now.saturating_sub(number(window)?);
        let Some(stream) = self.stream(key) else { return Ok(0) };
        let anchor = stream.range(Id::default(), Id(edge, u64::MAX)).next_back().map(|(id, _)| *id);
        let count = anchor.map_or(0, |anchor| stream.trimmable(anchor, self.block));
        if count > 0 {
            self.carry_out(Effect::DropFirst { key: key.clone(), count });
        }
        Ok(count)
    }

    fn heads(&self, streams: Args) -> Reply {
        let head = |key: &Bytes| {
            let last = self.stream(key).and_then(|stream| stream.range(Id::default(), Id::MAX).next_back());
            let Some((id, fields)) = last else { return Reply::Array(Vec::new()) };
            let field = |name: &str| fields.chunks(2).find(|pair| text(&pair[0]) == name).map(|pair| pair[1].clone());
            let mut head = vec![Reply::text(id.to_string())];
            if let (Some(sender), Some(id)) = (field("s"), field("i")) {
                head.extend([Reply::Bulk(sender), Reply::Bulk(id)]);
            }
            Reply::Array(head)
        };
        Reply::Array(streams.iter().map(head).collect())
    }
}

fn name(field: &'static str) -> Bytes {
    Bytes::from_static(field.as_bytes())
}
