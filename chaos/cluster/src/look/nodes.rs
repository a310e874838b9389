//! Reads CLUSTER NODES (<https://redis.io/docs/latest/commands/cluster-nodes/>).

use std::collections::BTreeMap;

use super::{Directory, PeerView, Role};
use crate::Server;

/// All nodes of one answer, and which of them gave it. Handshakes and nodes of strangers are left out.
pub(super) struct Nodes {
    pub(super) myself: Server,
    pub(super) peers: BTreeMap<Server, PeerView>,
}

struct Line<'a> {
    id: &'a str,
    server: Server,
    flags: Vec<&'a str>,
    primary: &'a str,
    config_epoch: u64,
    slots: Vec<(u16, u16)>,
}

pub(super) fn read(text: &str, directory: &Directory) -> Result<Nodes, String> {
    let lines: Vec<Line<'_>> = text.lines().filter_map(|line| read_line(line, directory)).collect();
    let myself = lines.iter().find(|line| line.flags.contains(&"myself")).map(|line| line.server);
    let by_id: BTreeMap<&str, Server> = lines.iter().map(|line| (line.id, line.server)).collect();
    let peers = lines.iter().map(|line| (line.server, line.peer(&by_id))).collect();
    let myself = myself.ok_or_else(|| format!("its CLUSTER NODES does not name itself: {text:?}"))?;
    Ok(Nodes { myself, peers })
}

/// `<id> <ip:port@bus> <flags> <primary> <ping> <pong> <config epoch> <link> <slot> <slot> …`
fn read_line<'a>(line: &'a str, directory: &Directory) -> Option<Line<'a>> {
    let words: Vec<&str> = line.split(' ').collect();
    let [id, address, flags, primary, _, _, epoch, _, slots @ ..] = words.as_slice() else { return None };
    let flags: Vec<&str> = flags.split(',').collect();
    if flags.contains(&"handshake") {
        return None;
    }
    let server = directory.named(address)?;
    let slots = slots.iter().filter_map(|word| range(word)).collect();
    Some(Line { id, server, flags, primary, config_epoch: epoch.parse().ok()?, slots })
}

/// `0-5460` or `7`; a slot that migrates (`[7->-…]`) is none.
fn range(word: &str) -> Option<(u16, u16)> {
    let (low, high) = word.split_once('-').unwrap_or((word, word));
    Some((low.parse().ok()?, high.parse().ok()?))
}

impl Line<'_> {
    fn peer(&self, by_id: &BTreeMap<&str, Server>) -> PeerView {
        let primary = self.flags.contains(&"master");
        PeerView {
            id: self.id.to_owned(),
            role: if primary { Role::Primary } else { Role::Replica { of: by_id.get(self.primary).copied() } },
            suspected: self.flags.contains(&"fail?"),
            failed: self.flags.contains(&"fail"),
            config_epoch: self.config_epoch,
            slots: self.slots.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "\
aa 127.64.0.101:10001@20001 myself,master - 0 0 1 connected 0-5460 7000 [93->-bb]
bb 127.64.0.102:10002@20002,host,shard-id=x master,fail? - 17 16 2 connected 5461-6999 7001-16383
cc 127.64.0.103:10003@20003 slave,fail aa 0 0 1 disconnected
dd 127.64.0.104:10004@20004 handshake - 0 0 0 connected
";

    fn directory() -> Directory {
        let at = |number: u8| ([127, 64, 0, 100 + number], 10_000 + u16::from(number)).into();
        let announced = (1..=4).map(|number: u8| (at(number), Server::Redis(number)));
        Directory { announced: announced.collect(), ..Directory::default() }
    }

    #[test]
    fn roles_flags_and_slots_are_read() {
        let nodes = read(ANSWER, &directory()).expect("an answer");
        assert_eq!(nodes.myself, Server::Redis(1));
        assert_eq!(nodes.peers.len(), 3, "a handshake is no peer yet");
        let [one, two, three] = [1, 2, 3].map(|number| &nodes.peers[&Server::Redis(number)]);
        assert_eq!((one.role, &*one.slots), (Role::Primary, &[(0, 5460), (7000, 7000)][..]));
        assert!(two.suspected && !two.failed && two.config_epoch == 2);
        assert!(three.failed && three.role == Role::Replica { of: Some(Server::Redis(1)) });
    }

    #[test]
    fn an_answer_without_its_author_is_refused() {
        assert!(read("", &directory()).is_err());
    }
}
