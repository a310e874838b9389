//! RESP, the server's side: commands in (arrays of bulk strings), replies out in protocol 2 or 3.
//!
//! Source: redis.io/docs/latest/develop/reference/protocol-spec. Deliberately absent: inline commands, attributes,
//! streamed strings, what no client here sends.

use bytes::{Bytes, BytesMut};

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
            Reply::Status(text) => line(out, '+', text),
            Reply::Error(text) => line(out, '-', text),
            Reply::Int(number) => line(out, ':', &number.to_string()),
            Reply::Bulk(bytes) => {
                line(out, '$', &bytes.len().to_string());
                out.extend_from_slice(bytes);
                out.extend_from_slice(b"\r\n");
            }
            Reply::Null if resp3 => line(out, '_', ""),
            Reply::Null => line(out, '$', "-1"),
            Reply::Array(items) => many(out, '*', items, resp3),
            Reply::Push(items) => many(out, if resp3 { '>' } else { '*' }, items, resp3),
            Reply::Map(pairs) => {
                let (mark, length) = if resp3 { ('%', pairs.len()) } else { ('*', pairs.len() * 2) };
                line(out, mark, &length.to_string());
                for (key, value) in pairs {
                    key.write(resp3, out);
                    value.write(resp3, out);
                }
            }
        }
    }
}

fn many(out: &mut BytesMut, mark: char, items: &[Reply], resp3: bool) {
    line(out, mark, &items.len().to_string());
    for item in items {
        item.write(resp3, out);
    }
}

fn line(out: &mut BytesMut, mark: char, text: &str) {
    out.extend_from_slice(mark.to_string().as_bytes());
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\r\n");
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
    let Some(end) = held[at..].windows(2).position(|pair| pair == b"\r\n") else { return Ok(None) };
    let digits = std::str::from_utf8(&held[at + 1..at + end]).unwrap_or("");
    let number = digits.parse().map_err(|_| "ERR Protocol error: invalid length".to_owned())?;
    Ok(Some((number, at + end + 2)))
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
