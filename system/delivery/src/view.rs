//! What one Redis node says of the cluster and of itself: its `CLUSTER NODES` and `INFO replication`, read.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::edge::RedisAddress;

/// The 40 hexadecimal digits that name a node.
pub(crate) type NodeId = Arc<str>;
pub(crate) type Slots = Vec<RangeInclusive<u16>>;

/// One answer of one node.
#[derive(Debug, Clone)]
pub(crate) struct View {
    /// When it was asked: an answer proves nothing about later.
    pub(crate) asked: Instant,
    pub(crate) me: NodeId,
    pub(crate) nodes: Arc<BTreeMap<NodeId, NodeLine>>,
    pub(crate) replication: Replication,
    /// Addresses under which a primary may list this node in INFO replication.
    pub(crate) aliases: Vec<(String, u16)>,
    /// What `nodes` was read from.
    listing: Listing,
}

impl View {
    /// `asked_at` stands in where the node does not know its own address.
    pub(crate) fn read(asked: Instant, asked_at: &RedisAddress, nodes: &str, info: &str) -> Option<View> {
        let mut me = None;
        let mut lines = BTreeMap::new();
        for line in nodes.lines().filter_map(|line| NodeLine::read(line, asked_at)) {
            if line.1.myself {
                me = Some(line.0.clone());
            }
            lines.insert(line.0, line.1);
        }
        let (replication, listing) = (Replication::read(info), Listing::of(nodes));
        Some(View { asked, me: me?, nodes: Arc::new(lines), replication, aliases: Vec::new(), listing })
    }

    /// The next answer of the same node. It is asked several times a second, and rarely lists anything else.
    pub(crate) fn read_again(&self, asked: Instant, asked_at: &RedisAddress, nodes: &str, info: &str) -> Option<View> {
        if !self.listing.is(nodes) {
            return View::read(asked, asked_at, nodes, info);
        }
        let (me, nodes, listing) = (self.me.clone(), self.nodes.clone(), self.listing.clone());
        let (replication, aliases) = (Replication::read(info), self.aliases.clone());
        Some(View { asked, me, nodes, replication, aliases, listing })
    }

    pub(crate) fn is_primary(&self) -> bool {
        self.nodes.get(&self.me).is_some_and(|me| me.primary)
    }
}

/// A `CLUSTER NODES` but for when each node was last pinged and heard, which differs in every answer: what stands before,
/// between and behind those words.
#[derive(Debug, Clone)]
struct Listing(Arc<[Box<str>]>);

impl Listing {
    fn of(nodes: &str) -> Listing {
        let mut pieces = vec![String::new()];
        for line in nodes.split_inclusive('\n') {
            let mut spaces = line.match_indices(' ').map(|(at, _)| at);
            let (times, behind) = (spaces.nth(3).unwrap_or(line.len()), spaces.nth(1).unwrap_or(line.len()));
            if let Some(piece) = pieces.last_mut() {
                piece.push_str(&line[..times]);
            }
            pieces.push(line[behind..].to_owned());
        }
        Listing(pieces.into_iter().map(String::into_boxed_str).collect())
    }

    fn is(&self, nodes: &str) -> bool {
        // ` <pinged> <heard>`
        let behind_times = |text: &'_ str| {
            let mut spaces = text.bytes().enumerate().filter(|(_, byte)| *byte == b' ');
            spaces.nth(2).map(|(at, _)| at)
        };
        let mut rest = nodes;
        for (nth, piece) in self.0.iter().enumerate() {
            let times = if nth == 0 { Some(0) } else { behind_times(rest) };
            match times.and_then(|times| rest[times..].strip_prefix(&**piece)) {
                Some(behind) => rest = behind,
                None => return false,
            }
        }
        rest.is_empty()
    }
}

/// One line of `CLUSTER NODES` (<https://redis.io/docs/latest/commands/cluster-nodes/>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeLine {
    /// `None` where the node has no address.
    pub(crate) address: Option<RedisAddress>,
    pub(crate) myself: bool,
    pub(crate) primary: bool,
    /// Flagged `fail` (agreed by a majority, not merely suspected) or `noaddr`.
    pub(crate) failed: bool,
    /// Of a replica.
    pub(crate) follows: Option<NodeId>,
    pub(crate) epoch: u64,
    pub(crate) slots: Slots,
}

impl NodeLine {
    fn read(line: &str, asked_at: &RedisAddress) -> Option<(NodeId, NodeLine)> {
        let mut words = line.split_ascii_whitespace();
        let (id, address, flags, follows) = (words.next()?, words.next()?, words.next()?, words.next()?);
        let epoch = words.nth(2)?.parse().ok()?;
        let slots = words.skip(1).filter_map(slots).collect();
        let flag = |wanted: &str| flags.split(',').any(|flag| flag == wanted);
        let address = if flag("noaddr") { None } else { read_address(address, asked_at, flag("myself")) };
        let line = NodeLine {
            address,
            myself: flag("myself"),
            primary: flag("master") || flag("primary"),
            failed: flag("fail") || flag("noaddr"),
            follows: (follows != "-").then(|| follows.into()),
            epoch,
            slots,
        };
        (!flag("handshake")).then(|| (id.into(), line))
    }
}

/// `ip:port@bus[,hostname]`; a node that was never met names itself without an ip.
fn read_address(text: &str, asked_at: &RedisAddress, myself: bool) -> Option<RedisAddress> {
    let (host, port) = text.split(['@', ',']).next()?.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    let host = match host {
        "" if myself => asked_at.host.clone(),
        "" => return None,
        host => host.into(),
    };
    Some(RedisAddress { host, port, tls: asked_at.tls })
}

/// `5`, `0-5460`; slots on their way (`[93->-…]`) belong to whoever lists them plainly.
fn slots(word: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    Some(first.parse().ok()?..=last.parse().ok()?)
}

/// `INFO replication` of one node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Replication {
    pub(crate) is_primary: bool,
    /// Of a primary: the replicas that it calls `online`, as it sees them.
    pub(crate) online: Vec<(String, u16)>,
    pub(crate) link: Option<ReplicaLink>,
}

/// How a replica's link to its primary does, by its own word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReplicaLink {
    /// Up, and silent for so long.
    Up(Duration),
    /// Down for so long.
    Down(Duration),
    /// Never synchronised since it was started.
    Never,
}

impl Replication {
    pub(crate) fn read(info: &str) -> Replication {
        let mut read = Replication::default();
        let (mut up, mut silent, mut down) = (None, 0, None);
        for line in info.lines() {
            if let Some(role) = line.strip_prefix("role:") {
                read.is_primary = role == "master";
            } else if let Some(status) = line.strip_prefix("master_link_status:") {
                up = Some(status == "up");
            } else if let Some(seconds) = line.strip_prefix("master_last_io_seconds_ago:") {
                silent = seconds.parse::<i64>().unwrap_or(0);
            } else if let Some(seconds) = line.strip_prefix("master_link_down_since_seconds:") {
                down = seconds.parse::<i64>().ok();
            } else if let Some(replica) = of_replica(line) {
                read.online.extend(online(replica));
            }
        }
        let seconds = |number: i64| Duration::from_secs(u64::try_from(number).unwrap_or(0));
        read.link = up.map(|up| match down {
            _ if up => ReplicaLink::Up(seconds(silent)),
            Some(-1) | None => ReplicaLink::Never,
            Some(since) => ReplicaLink::Down(seconds(since)),
        });
        read
    }
}

/// Behind `slave0:`, `slave1:`, …
fn of_replica(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("slave").or_else(|| line.strip_prefix("replica"))?;
    let text = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    (text.len() < rest.len()).then(|| text.strip_prefix(':'))?
}

/// `ip=127.0.0.1,port=7001,state=online,offset=1,lag=0`
fn online(text: &str) -> Option<(String, u16)> {
    let (mut ip, mut port, mut online) = (None, None, false);
    for field in text.split(',') {
        match field.split_once('=')? {
            ("ip", text) => ip = Some(text),
            ("port", text) => port = text.parse().ok(),
            ("state", text) => online = text == "online",
            _ => {}
        }
    }
    Some((ip?.to_owned(), port?)).filter(|_| online)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODES: &str = "\
aa :7001@17001,,tls-port=0,shard-id=5 myself,master - 0 0 7 connected 0-5460 5462 [93->-bb]
bb 127.1.1.2:7002@17002 slave,fail aa 1 1 3 connected
cc 127.1.1.3:7003@17003,host master,fail? - 1 1 2 connected 5461 5463-16383
dd :0@0 slave,fail,noaddr aa 1 1 3 disconnected
ee 127.1.1.9:7009@17009 handshake - 0 0 0 disconnected
";

    fn view(info: &str) -> View {
        View::read(Instant::now(), &RedisAddress::new("127.1.1.1", 7001), NODES, info).unwrap()
    }

    #[test]
    fn a_nodes_word_on_the_cluster_is_read() {
        let view = view("");
        assert_eq!(&*view.me, "aa");
        let own = &view.nodes["aa"];
        assert_eq!(own.address, Some(RedisAddress::new("127.1.1.1", 7001)), "it does not know its own address");
        assert_eq!((own.epoch, own.slots.clone()), (7, vec![0..=5460, 5462..=5462]));
        assert!(view.is_primary());
        assert_eq!(view.nodes.len(), 4, "one in handshake is nobody yet");
    }

    #[test]
    fn a_node_that_lists_the_same_is_not_read_again_and_any_other_is() {
        let (now, at, before) = (Instant::now(), RedisAddress::new("127.1.1.1", 7001), view(""));
        let again = |nodes: &str| before.read_again(now, &at, nodes, "role:master\r\n").unwrap();
        let heard_since = again(&NODES.replace(" 1 1 3 ", " 1 99 3 "));
        assert!(Arc::ptr_eq(&before.nodes, &heard_since.nodes) && heard_since.replication.is_primary);
        for (change, to) in [("slave,fail aa", "slave aa"), ("5461 5463", "5461 5464"), (" 1 1 3 ", " 1 1 4 ")] {
            assert!(!Arc::ptr_eq(&before.nodes, &again(&NODES.replace(change, to)).nodes), "{change} → {to}");
        }
    }

    #[test]
    fn agreed_failure_is_told_from_suspicion() {
        let nodes = view("").nodes;
        assert!(nodes["bb"].failed && nodes["dd"].failed);
        assert!(!nodes["cc"].failed, "fail? is one node's suspicion");
        assert_eq!((nodes["dd"].address.clone(), nodes["bb"].follows.as_deref()), (None, Some("aa")));
    }

    #[test]
    fn a_primary_names_its_attached_replicas() {
        let info = "# Replication\r\nrole:master\r\nconnected_slaves:2\r\n\
            slave0:ip=127.1.1.2,port=7002,state=online,offset=9,lag=0,type=replica\r\n\
            slave1:ip=127.1.1.4,port=7004,state=wait_bgsave,offset=0,lag=0\r\n";
        let replication = Replication::read(info);
        assert_eq!((replication.is_primary, replication.online), (true, vec![("127.1.1.2".to_owned(), 7002)]));
    }

    #[test]
    fn a_replica_tells_how_its_link_does() {
        let link = |lines: &str| Replication::read(&format!("role:slave\r\n{lines}")).link;
        let seconds = Duration::from_secs;
        assert_eq!(
            link("master_link_status:up\r\nmaster_last_io_seconds_ago:3\r\n"),
            Some(ReplicaLink::Up(seconds(3)))
        );
        let down = "master_link_status:down\r\nmaster_last_io_seconds_ago:-1\r\nmaster_link_down_since_seconds:";
        assert_eq!(link(&format!("{down}13\r\n")), Some(ReplicaLink::Down(seconds(13))));
        assert_eq!(link(&format!("{down}-1\r\n")), Some(ReplicaLink::Never));
        assert_eq!(link(""), None);
    }
}
