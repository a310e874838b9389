//! EVAL: the one script that a planted bug of `system-delivery` runs (`drop_after_append`), carried out natively.
//!
//! Any other script stops the world: a bug that does nothing would look like a protocol that survives it.

use super::super::command::{Args, Done};
use super::super::resp::Reply;
use super::super::state::State;
use super::super::store::Effect;
use super::super::stream::{Id, Stream};

/// As `system/delivery/src/writer/broken.rs` has it.
const TAKE_OUT: &str = "local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if last and last[2][4] == ARGV[1] then return redis.call('XDEL', KEYS[1], last[1]) end
return 0";

pub fn run(state: &mut State, me: usize, args: Args) -> Done {
    let [script, count, key, id] = args else { return unknown(state) };
    if script.as_ref() != TAKE_OUT.as_bytes() || count.as_ref() != b"1" {
        return unknown(state);
    }
    let server = &mut state.servers[me];
    let last = |stream: &Stream| stream.range(Id::default(), Id::MAX).next_back().cloned();
    match server.store.stream(key).and_then(last) {
        Some((at, fields)) if fields.get(3) == Some(id) => {
            server.propagate(vec![Effect::DeleteEntry { key: key.clone(), id: at }]);
            Ok(Reply::Int(1))
        }
        _ => Ok(Reply::Int(0)),
    }
}

fn unknown(state: &mut State) -> Done {
    state.tally.unmodelled += 1;
    Err(Reply::error("ERR the model has no such script"))
}
