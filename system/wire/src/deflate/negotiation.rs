//! Which of a client's offers is accepted, and in which words (RFC 7692, sections 5 and 7.1).
//!
//! The first offer that can be honoured exactly is taken; the others stay unanswered, which declines them. Declined
//! are unknown, repeated and ill-valued parameters, and a window of 8 bits, which zlib can't write.

use std::fmt;
use std::ops::RangeInclusive;

use super::extension::{self, Extension, Malformed};

const NAME: &str = "permessage-deflate";
/// The windows that the compressor has.
pub(super) const WINDOW_BITS: RangeInclusive<u8> = 9..=15;

/// What was agreed on. Its `Display` is the response's `Sec-WebSocket-Extensions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreement {
    /// No back-reference from server to client reaches further than 2 to the power of this many bytes.
    pub(super) window_bits: u8,
    /// The client wanted to hear what its window is limited to.
    window_bits_asked: bool,
    /// The client keeps nothing from one message to the next.
    pub(super) without_context: bool,
}

impl Agreement {
    /// Each message from the server stands alone.
    pub fn server_no_context_takeover(&self) -> bool {
        self.without_context
    }
}

/// `client_no_context_takeover` is there whether asked for or not: so the server keeps no window per connection.
/// `client_max_window_bits` never is: any window is inflated.
impl fmt::Display for Agreement {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(NAME)?;
        if self.without_context {
            out.write_str("; server_no_context_takeover")?;
        }
        out.write_str("; client_no_context_takeover")?;
        if self.window_bits_asked {
            write!(out, "; server_max_window_bits={}", self.window_bits)?;
        }
        Ok(())
    }
}

/// `fields`: the values of the request's `Sec-WebSocket-Extensions` fields, in order. `largest`: the window that the
/// server wants at most. `None`: no compression.
pub(super) fn negotiate<'a>(
    fields: impl IntoIterator<Item = &'a str>,
    largest: u8,
) -> Result<Option<Agreement>, Malformed> {
    let mut accepted = None;
    for field in fields {
        for offer in extension::parse(field)? {
            accepted = accepted.or_else(|| accept(&offer, largest));
        }
    }
    Ok(accepted)
}

fn accept(offer: &Extension<'_>, largest: u8) -> Option<Agreement> {
    if offer.name != NAME {
        return None;
    }
    let (mut without_context, mut server_bits) = (false, None);
    for (nth, (name, value)) in offer.parameters.iter().enumerate() {
        if offer.parameters[..nth].iter().any(|(before, _)| before == name) {
            return None;
        }
        match (*name, value.as_deref()) {
            ("server_no_context_takeover", None) => without_context = true,
            ("client_no_context_takeover" | "client_max_window_bits", None) => {}
            ("client_max_window_bits", Some(bits)) => _ = window_bits(bits)?,
            ("server_max_window_bits", Some(bits)) => server_bits = Some(window_bits(bits)?),
            _ => return None,
        }
    }
    let window_bits = server_bits.unwrap_or(15).min(largest);
    let honoured = WINDOW_BITS.contains(&window_bits);
    honoured.then_some(Agreement { window_bits, window_bits_asked: server_bits.is_some(), without_context })
}

/// Decimal, 8 to 15, without leading zeroes (section 7.1.2).
fn window_bits(text: &str) -> Option<u8> {
    let plain = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok())?.filter(|bits| (8..=15).contains(bits))
}

#[cfg(test)]
#[path = "negotiation_tests.rs"]
mod tests;
