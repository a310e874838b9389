//! A key that its table has already: which one, and where it stands first.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::mistake::place;

/// What the parser says of one; not its name, and not where the first one is.
const DUPLICATE: &str = "duplicate key";

/// The same with both, if that is what the parser says of `span`. Which table the key is in, it does not tell: it is asked
/// once more, of a text where the key has a name there that no table has.
pub(super) fn told(text: &str, message: &str, span: &Range<usize>) -> Option<String> {
    let key = text.get(span.clone()).filter(|key| message == DUPLICATE && !key.is_empty())?;
    let renamed = [&text[..span.start], &"_".repeat(span.len()), &text[span.end..]].concat();
    let (top, _) = DeTable::parse_recoverable(&renamed);
    let first = first(top.get_ref(), key.trim_matches(['"', '\'']), span)?;
    Some(format!("`{key}` is given twice: first in line {}", place(text, first).line))
}

/// Where `name` stands in the table that has a key at `at`.
fn first(table: &DeTable<'_>, name: &str, at: &Range<usize>) -> Option<usize> {
    if table.keys().any(|key| key.span() == *at) {
        return table.keys().find(|key| key.get_ref() == name).map(|key| key.span().start);
    }
    table.values().find_map(|value| inside(value.get_ref(), name, at))
}

fn inside(value: &DeValue<'_>, name: &str, at: &Range<usize>) -> Option<usize> {
    match value {
        DeValue::Table(table) => first(table, name, at),
        DeValue::Array(values) => values.iter().find_map(|value| inside(value.get_ref(), name, at)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Source;

    fn told(text: &str) -> Vec<(usize, String)> {
        let (source, _) = Source::open(text);
        let line = |mistake: crate::mistake::Mistake| (mistake.place.map_or(0, |place| place.line), mistake.message);
        source.close().0.into_iter().map(line).collect()
    }

    #[test]
    fn a_key_that_stands_twice_is_named_with_both_its_lines() {
        for (text, key, first, second) in [
            ("rooms = 1\nseed = 2\nrooms = 3\n", "rooms", 1, 3),
            // One of the same name in another table is none.
            ("at = 1\n[a]\nat = 1\n[b]\nat = 2\n[c]\nat = 3\nto = 1\nat = 4\n", "at", 7, 9),
            ("[[step]]\nat = 1\n[[step]]\nat = 2\n\nat = 3\n", "at", 4, 6),
            ("[expect]\na = 1\n[a]\n[expect]\nb = 2\n", "expect", 1, 4),
            ("a = { at = 1, b = [\n{ to = 1, to = 2 }] }\n", "to", 2, 2),
            ("a.at = 1\na.to = 1\na.at = 2\n", "at", 1, 3),
            ("a = 1\n\"a\" = 2\n", "\"a\"", 1, 2),
        ] {
            let message = format!("`{key}` is given twice: first in line {first}");
            assert_eq!(told(text), [(second, message)], "{text}");
        }
    }
}
