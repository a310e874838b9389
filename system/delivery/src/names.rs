//! Names in Redis: which partition a room lives in, which slot that is, what the keys and channels are called.
//!
//! CRC16 and SHA-256, never a hash that may change between builds: a rolling upgrade would split rooms.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};
use system_protocol::{MessageId, Room, UserId};

/// Into so many parts the rooms are spread; each lives in one slot.
pub const PARTITIONS: u16 = 256;
pub(crate) const SLOTS: u16 = 16_384;

pub(crate) type Partition = u16;

/// CRC16-XMODEM, as Redis Cluster hashes keys
/// (<https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>, appendix A).
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0_u16, |mut crc, byte| {
        crc ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
        }
        crc
    })
}

/// Which partition a room lives in.
pub fn partition_of(room: &Room) -> u16 {
    crc16(room.as_str().as_bytes()) % PARTITIONS
}

/// The slot of the tag `{pN}`, which all keys of partition N share.
pub fn slot_of_partition(partition: u16) -> u16 {
    static SLOT: LazyLock<Vec<u16>> =
        LazyLock::new(|| (0..PARTITIONS).map(|nth| crc16(format!("p{nth}").as_bytes()) % SLOTS).collect());
    SLOT[usize::from(partition)]
}

/// The room's stream.
pub(crate) fn stream(room: &Room) -> String {
    format!("{{p{}}}r:{room}", partition_of(room))
}

/// The id of a message that was seen; its value is the stream id.
pub(crate) fn dedupe(partition: Partition, hash: &[u8; 32]) -> String {
    let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half)]);
    let mut key = format!("{{p{partition}}}d:");
    key.extend(hash.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
    key
}

/// How many rooms were born in the partition.
pub(crate) fn rooms(partition: Partition) -> String {
    format!("{{p{partition}}}n")
}

/// Written to have something to wait for.
pub(crate) fn fence(partition: Partition) -> String {
    format!("{{p{partition}}}f")
}

/// The channel that tells of committed entries.
pub(crate) fn bell(partition: Partition) -> String {
    format!("{{p{partition}}}b")
}

pub(crate) fn partition_of_bell(channel: &[u8]) -> Option<Partition> {
    std::str::from_utf8(channel).ok()?.strip_prefix("{p")?.strip_suffix("}b")?.parse().ok()
}

/// Who a message is: its room, sender and id, each with its length before it. Ids are visible to everybody: without the
/// sender, anyone could occupy the next id of a victim, whose message would be acked and never stored.
pub(crate) fn message_hash(room: &Room, sender: &UserId, id: &MessageId) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [room.as_str(), sender.as_str(), id.as_str()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

/// The first eight bytes of the hash: enough to tell two messages under one offset apart.
pub(crate) fn mark(hash: &[u8; 32]) -> [u8; 8] {
    let mut mark = [0; 8];
    mark.copy_from_slice(&hash[..8]);
    mark
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn room(name: &str) -> Room {
        Room::parse(name).unwrap()
    }

    #[test]
    fn crc16_is_the_one_that_redis_documents() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(crc16(b"foo") % SLOTS, 12_182); // CLUSTER KEYSLOT foo
    }

    #[test]
    fn the_slot_of_a_partition_is_the_slot_of_its_keys_tag() {
        // CLUSTER KEYSLOT {p0}f, {p1}f, {p255}f on a real server.
        assert_eq!([0, 1, 255].map(slot_of_partition), [15_882, 11_819, 13_606]);
    }

    #[test]
    fn partitions_fall_into_slots_of_their_own() {
        let slots: BTreeSet<_> = (0..PARTITIONS).map(slot_of_partition).collect();
        assert_eq!(slots.len(), usize::from(PARTITIONS));
    }

    #[test]
    fn keys_of_a_room_share_its_partitions_tag() {
        let room = room("global");
        let partition = partition_of(&room);
        assert_eq!(stream(&room), format!("{{p{partition}}}r:global"));
        assert!(dedupe(partition, &[7; 32]).starts_with(&format!("{{p{partition}}}d:0707")));
        assert_eq!(partition_of_bell(bell(partition).as_bytes()), Some(partition));
        assert_eq!(partition_of_bell(b"{p1}f"), None);
    }

    #[test]
    fn nobody_can_occupy_anothers_id_by_shifting_where_names_end() {
        let hash = |r: &str, s: &str, i: &str| {
            message_hash(&room(r), &UserId::parse(s).unwrap(), &MessageId::parse(i).unwrap())
        };
        let all = [hash("ab", "c", "d"), hash("a", "bc", "d"), hash("a", "b", "cd"), hash("ab", "cd", "d")];
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }
}
