//! The grammar of `Sec-WebSocket-Extensions` (RFC 6455, section 9.1): names with parameters, in order.

/// One element of the list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Extension<'a> {
    pub(super) name: &'a str,
    /// In their order, repetitions included.
    pub(super) parameters: Vec<(&'a str, Option<String>)>,
}

/// The header does not follow the grammar. The handshake must fail (RFC 6455, section 9.1): answer 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sec-websocket-extensions is malformed at byte {at}")]
pub struct Malformed {
    /// Where in the field's value.
    pub at: usize,
}

/// The extensions of one header field, in order. Empty elements are allowed, as in every HTTP list; so is an empty
/// field.
pub(super) fn parse(field: &str) -> Result<Vec<Extension<'_>>, Malformed> {
    let mut cursor = Cursor { field, at: 0 };
    let mut found = Vec::new();
    loop {
        if !matches!(cursor.peek(), None | Some(b',')) {
            found.push(cursor.extension()?);
        }
        if cursor.is_at_end() {
            return Ok(found);
        }
        cursor.expect(b',')?;
    }
}

struct Cursor<'a> {
    field: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn extension(&mut self) -> Result<Extension<'a>, Malformed> {
        let name = self.token()?;
        let mut parameters = Vec::new();
        while self.take(b';') {
            let name = self.token()?;
            let value = if self.take(b'=') { Some(self.value()?) } else { None };
            parameters.push((name, value));
        }
        Ok(Extension { name, parameters })
    }

    /// A token, or a quoted string whose content is one.
    fn value(&mut self) -> Result<String, Malformed> {
        if self.peek() != Some(b'"') {
            return self.token().map(str::to_owned);
        }
        let malformed = Malformed { at: self.at };
        self.at += 1;
        let mut value = String::new();
        loop {
            let byte = match self.next().ok_or(malformed)? {
                b'"' => break,
                b'\\' => self.next().ok_or(malformed)?,
                byte => byte,
            };
            if !is_token(byte) {
                return Err(malformed);
            }
            value.push(char::from(byte));
        }
        if value.is_empty() { Err(malformed) } else { Ok(value) }
    }

    fn token(&mut self) -> Result<&'a str, Malformed> {
        self.skip_blanks();
        let length = self.rest().bytes().take_while(|byte| is_token(*byte)).count();
        if length == 0 {
            return Err(Malformed { at: self.at });
        }
        let token = &self.rest()[..length];
        self.at += length;
        Ok(token)
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.take(byte) { Ok(()) } else { Err(Malformed { at: self.at }) }
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.field.as_bytes().get(self.at).copied();
        self.at += 1;
        byte
    }

    /// The next byte that is no blank, which it stands at then.
    fn peek(&mut self) -> Option<u8> {
        self.skip_blanks();
        self.field.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        self.at += self.rest().bytes().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    }

    fn is_at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    /// Only bytes of the ASCII range are ever stepped over, so that this is a boundary.
    fn rest(&self) -> &'a str {
        &self.field[self.at..]
    }
}

/// RFC 2616, section 2.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &'static str, parameters: &[(&'static str, Option<&str>)]) -> Extension<'static> {
        let parameters = parameters.iter().map(|(name, value)| (*name, value.map(str::to_owned))).collect();
        Extension { name, parameters }
    }

    #[test]
    fn lists_parameters_and_quotes_are_read() {
        let deflate = one("permessage-deflate", &[("a", None), ("b", Some("10")), ("a", Some("x"))]);
        assert_eq!(parse("permessage-deflate;a ; b=10;\ta = \"x\""), Ok(vec![deflate]));
        assert_eq!(parse("foo, bar;b=\"1\\0\""), Ok(vec![one("foo", &[]), one("bar", &[("b", Some("10"))])]));
        assert_eq!(parse(" , foo,, bar ,"), Ok(vec![one("foo", &[]), one("bar", &[])]));
        assert_eq!(parse(""), Ok(vec![]));
    }

    #[test]
    fn what_breaks_the_grammar_is_told_with_its_place() {
        let wrong = [
            (";a", 0),
            ("foo;", 4),
            ("foo;;a", 4),
            ("foo;a=", 6),
            ("foo;a=\"", 6),
            ("foo;a=\"1", 6),
            ("foo;a=\"\"", 6),
            ("foo;a=\"1 2\"", 6),
            ("foo;a=\"1\\", 6),
            ("foo bar", 4),
            ("foo;a=1 2", 8),
            ("foo=1", 3),
            ("fo/o", 2),
            ("foo;=1", 4),
            ("foo;a=é", 6),
            ("foo;a=\"é\"", 6),
            ("é", 0),
            ("foo;a=\"1\"2", 9),
        ];
        for (field, at) in wrong {
            assert_eq!(parse(field), Err(Malformed { at }), "{field}");
        }
    }
}
