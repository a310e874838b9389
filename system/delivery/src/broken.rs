//! The rules switched off one by one (negative controls) and the messages dropped on purpose (planted bugs).
//!
//! Only in builds with debug assertions: a release build has none of this. Each switch names the rule of the protocol
//! that it leaves out; a test or a drill must catch it.

use std::str::FromStr;

/// What this node does wrong; nothing by default. Parsed from a list such as `no_sweep,drop_fanout=50`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each switch leaves out one rule; they combine freely")]
pub struct Broken {
    /// Every attempt of a message is a new message.
    pub no_dedupe: bool,
    /// A repeat only reads the dedupe key, and so moves no replication offset for WAIT to wait for.
    pub read_only_hit: bool,
    /// The bell rings before the fence, and readers believe whatever they read.
    pub uncommitted: bool,
    /// Reads need no proof: neither bell's entry nor WAIT.
    pub believe_stale: bool,
    /// k counts the attached replicas only.
    pub attached_only: bool,
    /// k leaves the attached out.
    pub unattached_only: bool,
    /// One primary's flag excuses a replica from k; it takes no majority.
    pub any_flag: bool,
    /// What primaries said long ago excuses a replica from k too.
    pub old_flags: bool,
    /// A replica that does not answer us does not count in k.
    pub silent_excused: bool,
    /// What a fence asked for stays enough, also when k has grown while it waited.
    pub k_as_asked: bool,
    /// A fence behind reads writes nothing, so that its WAIT has nothing to wait for.
    pub unwritten_fence: bool,
    /// After an error on a node, its own claim to be the primary is enough.
    pub own_claim: bool,
    /// Of several claims to a slot the one with the lowest config epoch wins.
    pub lowest_epoch: bool,
    /// A server is believed by an offset alone, whatever message it holds there.
    pub no_mark: bool,
    /// A read takes what comes, whether or not it begins with the last entry handed out.
    pub exclusive_read: bool,
    /// A resume does not look whether the client's entry is still there.
    pub no_existence_check: bool,
    /// Bells alone wake the readers.
    pub no_sweep: bool,
    /// Fan-out to all members by the node's cursor, whatever a session has been sent.
    pub node_cursor: bool,
    /// Trims take whatever is behind the last entry, however young it is.
    pub trim_young: bool,
    /// Every nth message is acked though its entry was taken out right after the append.
    pub drop_after_append: Option<u64>,
    /// Every nth message is passed over by every live reader.
    pub drop_bell: Option<u64>,
    /// Every nth message is read and handed to no session.
    pub drop_fanout: Option<u64>,
}

/// A switch that does not exist, or lacks its number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("broken switch {switch:?} is unknown; one of {}", NAMES.join(", "))]
pub struct BrokenError {
    switch: String,
}

const NAMES: [&str; 22] = [
    "no_dedupe",
    "read_only_hit",
    "uncommitted",
    "believe_stale",
    "attached_only",
    "unattached_only",
    "any_flag",
    "old_flags",
    "silent_excused",
    "k_as_asked",
    "unwritten_fence",
    "own_claim",
    "lowest_epoch",
    "no_mark",
    "exclusive_read",
    "no_existence_check",
    "no_sweep",
    "node_cursor",
    "trim_young",
    "drop_after_append=n",
    "drop_bell=n",
    "drop_fanout=n",
];

impl FromStr for Broken {
    type Err = BrokenError;

    fn from_str(text: &str) -> Result<Self, BrokenError> {
        let mut broken = Broken::default();
        for switch in text.split(',').map(str::trim).filter(|s| !s.is_empty()) {
            broken.set(switch).ok_or_else(|| BrokenError { switch: switch.to_owned() })?;
        }
        Ok(broken)
    }
}

impl Broken {
    fn set(&mut self, switch: &str) -> Option<()> {
        if let Some((name, every)) = switch.split_once('=') {
            let every = every.parse().ok().filter(|n| *n > 0);
            match name {
                "drop_after_append" => self.drop_after_append = Some(every?),
                "drop_bell" => self.drop_bell = Some(every?),
                "drop_fanout" => self.drop_fanout = Some(every?),
                _ => return None,
            }
            return Some(());
        }
        *match switch {
            "no_dedupe" => &mut self.no_dedupe,
            "read_only_hit" => &mut self.read_only_hit,
            "uncommitted" => &mut self.uncommitted,
            "believe_stale" => &mut self.believe_stale,
            "attached_only" => &mut self.attached_only,
            "unattached_only" => &mut self.unattached_only,
            "any_flag" => &mut self.any_flag,
            "old_flags" => &mut self.old_flags,
            "silent_excused" => &mut self.silent_excused,
            "k_as_asked" => &mut self.k_as_asked,
            "unwritten_fence" => &mut self.unwritten_fence,
            "own_claim" => &mut self.own_claim,
            "lowest_epoch" => &mut self.lowest_epoch,
            "no_mark" => &mut self.no_mark,
            "exclusive_read" => &mut self.exclusive_read,
            "no_existence_check" => &mut self.no_existence_check,
            "no_sweep" => &mut self.no_sweep,
            "node_cursor" => &mut self.node_cursor,
            "trim_young" => &mut self.trim_young,
            _ => return None,
        } = true;
        Some(())
    }

    /// The same messages on every node and in every attempt, so that "every reader" means it.
    pub(crate) fn picks(every: Option<u64>, mark: [u8; 8]) -> bool {
        every.is_some_and(|n| u64::from_be_bytes(mark).is_multiple_of(n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_are_read_from_a_list() {
        let broken: Broken = "no_sweep, drop_fanout=50".parse().unwrap();
        assert_eq!(broken, Broken { no_sweep: true, drop_fanout: Some(50), ..Broken::default() });
        assert_eq!("".parse(), Ok(Broken::default()));
    }

    #[test]
    fn a_switch_that_does_not_exist_is_named() {
        for bad in ["no_swep", "drop_bell", "drop_bell=0", "drop_bell=x", "no_sweep=1"] {
            assert!(bad.parse::<Broken>().unwrap_err().to_string().contains(bad), "{bad}");
        }
    }
}
