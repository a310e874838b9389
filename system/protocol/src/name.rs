//! Names that are valid by their type: 1 to 64 of `A-Z a-z 0-9 . _ : -`.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Refusal, limits};

/// What is wrong with a name, as the end of a sentence that begins with the field.
fn fault_of(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some("must not be empty".to_owned());
    }
    if let Some(strange) =
        text.chars().find(|c| !matches!(c, 'A'..='Z' | 'a'..='z' | '0'..='9' | '.' | '_' | ':' | '-'))
    {
        return Some(format!("may hold only A-Z a-z 0-9 . _ : - and not {strange:?}"));
    }
    (text.len() > limits::NAME_LENGTH).then(|| format!("must be at most {} characters long", limits::NAME_LENGTH))
}

/// Cheap to clone: names are shared by every message, session and record that mentions them.
macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $field:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(Arc<str>);

        impl $type {
            pub fn parse(text: &str) -> Result<Self, Refusal> {
                match fault_of(text) {
                    None => Ok($type(text.into())),
                    Some(fault) => Err(Refusal::invalid($field, fault)),
                }
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, out)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $type {
            type Err = Refusal;

            fn from_str(text: &str) -> Result<Self, Refusal> {
                $type::parse(text)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct Text;

                impl de::Visitor<'_> for Text {
                    type Value = $type;

                    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                        out.write_str("a string")
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$type, E> {
                        $type::parse(text).map_err(E::custom)
                    }
                }

                from.deserialize_str(Text)
            }
        }
    };
}

name!(
    /// A room's name.
    Room,
    "room"
);
name!(
    /// A message's id, chosen by its sender before the first send; unique per sender and room only.
    MessageId,
    "id"
);
name!(
    /// A user: the `sub` of a token.
    UserId,
    "sub"
);

impl Default for Room {
    fn default() -> Self {
        Room(limits::DEFAULT_ROOM.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_whole_alphabet_and_both_ends_of_the_length_are_taken() {
        assert!(Room::parse("AZaz09._:-").is_ok());
        assert!(Room::parse("x").is_ok());
        assert!(Room::parse(&"x".repeat(64)).is_ok());
        assert_eq!(Room::default(), Room::parse("global").unwrap());
    }

    #[test]
    fn anything_else_is_refused_by_name() {
        for bad in ["", "a b", "ä", "a/b", "{p1}", "a\0", "a\n", &"x".repeat(65)] {
            let refusal = MessageId::parse(bad).unwrap_err();
            assert_eq!(refusal.code, crate::Code::InvalidPayload);
            assert!(refusal.message.starts_with("Invalid message payload: id "), "{}", refusal.message);
        }
    }

    proptest! {
        #[test]
        fn a_name_that_parses_comes_back_the_same(text in "[A-Za-z0-9._:-]{1,64}") {
            let room = Room::parse(&text).unwrap();
            prop_assert_eq!(room.as_str(), &text);
            let wire = serde_json::to_string(&room).unwrap();
            prop_assert_eq!(serde_json::from_str::<Room>(&wire).unwrap(), room);
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let valid = (1..=64).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b));
            prop_assert_eq!(UserId::parse(&text).is_ok(), valid);
        }
    }
}
