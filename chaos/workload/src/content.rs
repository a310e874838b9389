//! What people say: text of a chosen length that says by itself whether it arrived as it left. Pure.
//!
//! The last 17 characters are a blank and the hash of what is before, so that a receipt can be checked even when its
//! message is not in the history.

use chaos_observe::Content;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::ContentSize;

/// Plain words, and what breaks careless escaping, counting and cutting.
const WORDS: &[&str] = &[
    "hello",
    "is",
    "anyone",
    "there",
    "the",
    "train",
    "was",
    "late",
    "again",
    "see",
    "you",
    "at",
    "noon",
    "lunch",
    "naïve",
    "straße",
    "日本",
    "🦀",
    "👩‍🚒",
    "<b>",
    "\"so\"",
    "a\\b",
    "&amp;",
    "مرحبا",
    "ok",
    "no",
    "yes",
    "maybe",
    "tomorrow",
    "why",
];
const HASH_UNITS: usize = 17;

pub(crate) fn compose(rng: &mut ChaCha8Rng, size: ContentSize) -> String {
    let units = rng.random_range(size.least..=size.most) as usize - HASH_UNITS;
    let mut text = String::with_capacity(units * 2);
    let mut length = 0;
    loop {
        let word = WORDS[rng.random_range(0..WORDS.len())];
        let more = word.encode_utf16().count() + 1;
        if length + more > units {
            break;
        }
        text.push_str(word);
        text.push(' ');
        length += more;
    }
    text.extend(std::iter::repeat_n('.', units - length));
    let hash = Content::of(&text);
    format!("{text} {hash}")
}

/// Whether `content` is, byte for byte, something that `compose` made.
pub fn intact(content: &str) -> bool {
    let Some(cut) = content.len().checked_sub(HASH_UNITS).filter(|cut| content.is_char_boundary(*cut)) else {
        return false;
    };
    let (text, end) = content.split_at(cut);
    end == format!(" {}", Content::of(text))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn a_message_has_a_length_within_the_setting_and_is_intact() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for size in
            [ContentSize { least: 24, most: 24 }, ContentSize::default(), ContentSize { least: 900, most: 1000 }]
        {
            for _ in 0..300 {
                let content = compose(&mut rng, size);
                let units = content.encode_utf16().count() as u32;
                assert!((size.least..=size.most).contains(&units), "{units} units: {content:?}");
                assert!(intact(&content));
            }
        }
    }

    #[test]
    fn a_change_anywhere_is_noticed() {
        let content = compose(&mut ChaCha8Rng::seed_from_u64(2), ContentSize::default());
        for at in 0..content.chars().count() {
            let spoilt: String = content.chars().enumerate().map(|(nth, c)| if nth == at { '?' } else { c }).collect();
            assert!(!intact(&spoilt), "a change at {at} of {content:?}");
        }
        assert!(!intact(&content[..content.len() - 1]));
        assert!(!intact(&format!("{content} ")));
        assert!(!intact(""));
        assert!(!intact("🦀🦀🦀🦀🦀"));
    }
}
