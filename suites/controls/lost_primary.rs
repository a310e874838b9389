//! A primary dies with replication under way: who acks without WAIT, or delivers what is not committed, is caught.
//!
//! The correct node in the same scenario: `primary_loss`.

use chaos_checkers::Rule;

use super::caught;
use crate::{primary_loss::lose_primary, warm::play};

#[test]
fn an_ack_without_wait_is_caught() {
    play(caught(Rule::R12, &["--fence", "none"], lose_primary));
}

/// Members saw entries that then vanished; the messages are stored at other offsets when their senders try again.
#[test]
fn delivery_without_the_committed_mark_is_caught() {
    play(caught(Rule::R5, &["--broken", "uncommitted"], lose_primary));
}
