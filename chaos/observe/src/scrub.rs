//! Takes secrets out of what is written down: known ones wherever they stand, and what looks like one by its place.

/// What replaces a secret.
const MASK: &str = "***";
/// Shorter texts are not secrets, and would be found everywhere.
const SHORTEST: usize = 4;
/// Names whose values are secrets, as `name=value`, `name: value`, `"name":"value"` or `name value`.
const NAMES: &[&str] =
    &["password", "passwd", "secret", "token", "authorization", "requirepass", "masterauth", "--pass"];

#[derive(Clone, Debug, Default)]
pub struct Scrubber {
    secrets: Vec<String>,
}

impl Scrubber {
    /// Tokens and passwords of this run. Of one secret inside another the longer is taken first.
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Scrubber {
        let mut secrets: Vec<_> = secrets.into_iter().filter(|secret| secret.len() >= SHORTEST).collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Scrubber { secrets }
    }

    pub fn scrub(&self, text: &str) -> String {
        let known = self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), MASK));
        NAMES.iter().fold(web_tokens(&credentials(&known)), |text, name| named(&text, name))
    }
}

/// `scheme://user:password@host` → `scheme://***@host`
fn credentials(text: &str) -> String {
    let mut scrubbed = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        scrubbed.push_str(before);
        let end = after.find(|c: char| c.is_whitespace() || "/\"'<>,".contains(c)).unwrap_or(after.len());
        rest = match after[..end].rfind('@') {
            Some(host) => {
                scrubbed.push_str(MASK);
                &after[host..]
            }
            None => after,
        };
    }
    scrubbed + rest
}

/// JSON web tokens begin with the encoding of `{"`.
fn web_tokens(text: &str) -> String {
    let mut scrubbed = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("eyJ") {
        let (before, token) = rest.split_at(at);
        let end = token.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).unwrap_or(token.len());
        scrubbed.push_str(before);
        scrubbed.push_str(if token[..end].contains('.') { MASK } else { &token[..end] });
        rest = &token[end..];
    }
    scrubbed + rest
}

/// The value after each `name`, when a separator stands between.
fn named(text: &str, name: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut scrubbed = String::with_capacity(text.len());
    let mut done = 0;
    while let Some(found) = lower[done..].find(name) {
        let after = done + found + name.len();
        let value = separated(&text[after..]).map(|(skip, length)| (after + skip, after + skip + length));
        let (upto, from) = value.unwrap_or((after, after));
        scrubbed.push_str(&text[done..upto]);
        if value.is_some() {
            scrubbed.push_str(MASK);
        }
        done = from;
    }
    scrubbed + &text[done..]
}

/// How far the value is, and how long; `None` when no value follows.
fn separated(text: &str) -> Option<(usize, usize)> {
    let value = text.trim_start_matches(['"', '\'', '=', ':', ' ', '\\']);
    let skip = text.len() - value.len();
    let value = value.strip_prefix("Bearer ").map_or(value, |bearer| bearer);
    let skip = skip + (text.len() - skip - value.len());
    let length = value.find(|c: char| c.is_whitespace() || "\"',;&}\\".contains(c)).unwrap_or(value.len());
    let separator = text[..skip].contains(['=', ':']) || text.starts_with(' ') && length >= SHORTEST;
    (separator && length > 0 && !value.starts_with(MASK)).then_some((skip, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_secrets_go_wherever_they_stand() {
        let scrubber = Scrubber::new(["hunter2".to_owned(), "hunter2-and-more".to_owned(), "a".to_owned()]);
        assert_eq!(scrubber.scrub("say hunter2-and-more, hunter2!"), "say ***, ***!");
    }

    #[test]
    fn what_looks_like_a_secret_goes() {
        let scrubber = Scrubber::default();
        for (text, expected) in [
            ("redis://user:pa@ss@127.0.0.1:7000/0 and", "redis://***@127.0.0.1:7000/0 and"),
            ("ws://127.0.0.1:1/?a=b@c", "ws://127.0.0.1:1/?a=b@c"),
            (r#"{"token":"abc","room":"r"}"#, r#"{"token":"***","room":"r"}"#),
            ("requirepass s3cret99\nport 1", "requirepass ***\nport 1"),
            ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
            ("a eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1In0.sig b", "a *** b"),
            ("REDIS_PASSWORD=x y", "REDIS_PASSWORD=*** y"),
            ("the token expired", "the token ***"),
            ("no secrets here", "no secrets here"),
        ] {
            assert_eq!(scrubber.scrub(text), expected, "{text}");
        }
    }
}
