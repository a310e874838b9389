//! RESP, the server's side: commands in (arrays of bulk strings), replies out in protocol 2 or 3.
//!
//! Source: redis.io/docs/latest/develop/reference/protocol-spec. Deliberately absent: inline commands, attributes,
//! streamed strings, what no client here sends.

use bytes::{BufMut as _, Bytes, BytesMut};

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
    let (mut digits, mut at, mut rest) = ([0; 20], 20, number.unsigned_abs());
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.put_u8(mark);
    if number < 0 {
        out.put_u8(b'-');
    }
    out.put_slice(&digits[at..]);
    out.put_slice(b"\r\n");
}

/// Takes bytes as they come and gives whole commands.
#[derive(Default)]
pub struct Commands {
    held: BytesMut,
}

impl Commands {
    pub fn feed(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The next whole command; `Err` when what comes is no command at all.
    pub fn take(&mut self) -> Result<Option<Vec<Bytes>>, String> {
        let Some((count, mut at)) = header(&self.held, 0, b'*')? else { return Ok(None) };
        let mut spans = Vec::with_capacity(count);
        for _ in 0..count {
            let Some((length, start)) = header(&self.held, at, b'$')? else { return Ok(None) };
            at = start + length + 2;
            if self.held.len() < at {
                return Ok(None);
            }
            spans.push(start..start + length);
        }
        let whole = self.held.split_to(at).freeze();
        Ok(Some(spans.into_iter().map(|span| whole.slice(span)).collect()))
    }
}

/// `<mark><number>\r\n` at `at`: the number and where the line ends.
fn header(held: &[u8], at: usize, mark: u8) -> Result<Option<(usize, usize)>, String> {
    let Some(first) = held.get(at) else { return Ok(None) };
    if *first != mark {
        return Err(format!("ERR Protocol error: expected '{}', got '{}'", mark as char, *first as char));
    }
    let Some(end) = held[at..].iter().position(|byte| *byte == b'\n') else { return Ok(None) };
    let digits = std::str::from_utf8(&held[at + 1..at + end]).unwrap_or("").trim_end_matches('\r');
    let number = digits.parse().map_err(|_| "ERR Protocol error: invalid length".to_owned())?;
    Ok(Some((number, at + end + 1)))
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
            commands.feed(&[*byte]);
            taken.extend(commands.take().unwrap());
        }
        assert_eq!(taken, [vec![Bytes::from("ECHO"), Bytes::from("hi")], vec![Bytes::from("PING")]]);
        commands.feed(b"hello");
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
