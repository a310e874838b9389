//! RESP, the server's side: commands in (arrays of bulk strings), replies out in protocol 2 or 3.
//!
//! Source: redis.io/docs/latest/develop/reference/protocol-spec. Deliberately absent: inline commands, attributes,
//! streamed strings, what no client here sends.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    Status(&'static str),
    Error(String),
    Int(i64),
    Bulk(Bytes),
    Null,
    Array(Vec<Reply>),
    Map(Vec<(Reply, Reply)>),
    /// Out of band: a subscription's message. An array in protocol 2.
    Push(Vec<Reply>),
}

impl Reply {
    pub const OK: Reply = Reply::Status("OK");

    pub fn text(text: impl Into<String>) -> Reply {
        Reply::Bulk(Bytes::from(text.into()))
    }

    pub fn error(text: impl Into<String>) -> Reply {
        Reply::Error(text.into())
    }

    pub fn write(&self, resp3: bool, out: &mut BytesMut) {
        match self {
            Reply::Status(text) => line(out, b'+', text),
            Reply::Error(text) => line(out, b'-', text),
            Reply::Int(value) => number(out, b':', *value),
            Reply::Bulk(bytes) => {
                out.reserve(bytes.len() + 16);
                number(out, b'$', bytes.len() as i64);
                out.put_slice(bytes);
                out.put_slice(b"\r\n");
            }
            Reply::Null if resp3 => line(out, b'_', ""),
            Reply::Null => number(out, b'$', -1),
            Reply::Array(items) => many(out, b'*', items, resp3),
            Reply::Push(items) => many(out, if resp3 { b'>' } else { b'*' }, items, resp3),
            Reply::Map(pairs) => {
                let (mark, length) = if resp3 { (b'%', pairs.len()) } else { (b'*', pairs.len() * 2) };
                number(out, mark, length as i64);
                for (key, value) in pairs {
                    key.write(resp3, out);
                    value.write(resp3, out);
                }
            }
        }
    }
}

fn many(out: &mut BytesMut, mark: u8, items: &[Reply], resp3: bool) {
    number(out, mark, items.len() as i64);
    for item in items {
        item.write(resp3, out);
    }
}

fn line(out: &mut BytesMut, mark: u8, text: &str) {
    out.put_u8(mark);
    out.put_slice(text.as_bytes());
    out.put_slice(b"\r\n");
}

/// A length or a number: most lines are one.
fn number(out: &mut BytesMut, mark: u8, number: i64) {
    out.put_u8(mark);
    if number < 0 {
        out.put_u8(b'-');
    }
    out.put_slice(digits(number.unsigned_abs(), &mut [0; 20]));
    out.put_slice(b"\r\n");
}

fn digits(mut number: u64, space: &mut [u8; 20]) -> &[u8] {
    let mut at = space.len();
    loop {
        at -= 1;
        space[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &space[at..];
        }
    }
}

/// Into a text that servers are asked for all the time: the formatter would cost more than all the rest.
pub fn push_number(out: &mut String, number: u64) {
    out.extend(digits(number, &mut [0; 20]).iter().map(|digit| char::from(*digit)));
}

/// Takes bytes as they come and gives whole commands. They mostly come whole, and are not copied then.
#[derive(Default)]
pub struct Commands {
    held: Bytes,
}

impl Commands {
    pub fn feed(&mut self, bytes: Bytes) {
        self.held = if self.held.is_empty() { bytes } else { [&self.held[..], &bytes[..]].concat().into() };
    }

    /// The next whole command; `Err` when what comes is no command at all.
    pub fn take(&mut self) -> Result<Option<Vec<Bytes>>, String> {
        let Some((count, mut at)) = header(&self.held, 0, b'*')? else { return Ok(None) };
        let mut words = Vec::with_capacity(count);
        for _ in 0..count {
            let Some((length, start)) = header(&self.held, at, b'$')? else { return Ok(None) };
            at = start + length + 2;
            if self.held.len() < at {
                return Ok(None);
            }
            words.push(self.held.slice(start..start + length));
        }
        self.held.advance(at);
        Ok(Some(words))
    }
}

/// `<mark><number>\r\n` at `at`: the number and where the line ends.
fn header(held: &[u8], at: usize, mark: u8) -> Result<Option<(usize, usize)>, String> {
    let Some(first) = held.get(at) else { return Ok(None) };
    if *first != mark {
        return Err(format!("ERR Protocol error: expected '{}', got '{}'", mark as char, *first as char));
    }
    let mut number: usize = 0;
    for (place, byte) in held[at + 1..].iter().enumerate() {
        match byte {
            b'0'..=b'9' if place < 9 => number = number * 10 + usize::from(byte - b'0'),
            b'\r' => {}
            b'\n' => return Ok(Some((number, at + place + 2))),
            _ => return Err("ERR Protocol error: invalid length".to_owned()),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_in_pieces_comes_out_whole() {
        let wire = b"*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n*1\r\n$4\r\nPING\r\n";
        let mut commands = Commands::default();
        let mut taken = Vec::new();
        for byte in wire {
            commands.feed(Bytes::copy_from_slice(&[*byte]));
            taken.extend(commands.take().unwrap());
        }
        assert_eq!(taken, [vec![Bytes::from("ECHO"), Bytes::from("hi")], vec![Bytes::from("PING")]]);
        commands.feed(Bytes::from("hello"));
        assert!(commands.take().is_err());
    }

    #[test]
    fn a_map_is_flat_in_protocol_2() {
        let reply = Reply::Map(vec![(Reply::text("a"), Reply::Int(1)), (Reply::text("b"), Reply::Null)]);
        let written = |resp3| {
            let mut out = BytesMut::new();
            reply.write(resp3, &mut out);
            String::from_utf8(out.to_vec()).unwrap()
        };
        assert_eq!(written(true), "%2\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n_\r\n");
        assert_eq!(written(false), "*4\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n$-1\r\n");
    }
}
