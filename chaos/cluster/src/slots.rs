//! Where a room lives. The naming is the documented one of docs/delivery.md; this crate does not link the server.

/// Rooms are spread over so many partitions, each in one slot: key tag `{pN}`.
const PARTITIONS: u16 = 256;
const SLOTS: u16 = 16384;

/// CRC16-XMODEM, as Redis Cluster hashes keys (its specification, appendix A).
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc: u16, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            let carried = crc & 0x8000 != 0;
            (crc << 1) ^ if carried { 0x1021 } else { 0 }
        })
    })
}

/// The slot of a key, its `{tag}` respected.
pub fn slot_of_key(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    crc16(tag.filter(|tag| !tag.is_empty()).unwrap_or(key).as_bytes()) % SLOTS
}

/// The slot of a room's log in the reference system.
pub fn slot_of_room(room: &str) -> u16 {
    slot_of_key(&format!("{{p{}}}", crc16(room.as_bytes()) % PARTITIONS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_hash_as_the_cluster_specification_says() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(slot_of_key("foo"), 12182);
        assert_eq!(slot_of_key("{foo}r:general"), 12182);
        assert_eq!(slot_of_key("foo{}"), crc16(b"foo{}") % SLOTS);
    }

    #[test]
    fn a_room_lives_in_the_slot_of_its_partition() {
        assert_eq!(slot_of_room("123456789"), slot_of_key("{p195}"));
    }
}
