//! The doors of the proxy: one per node and port. Whoever knocks is told by the address it comes from.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinSet,
    time::sleep,
};

use super::{Behind, Kind, Map, Node, relay::Relay};

pub(super) struct Door {
    listener: TcpListener,
    destination: Node,
    upstream: SocketAddr,
    bus: bool,
    map: Arc<Map>,
}

impl Door {
    /// Needs a runtime's context.
    pub(super) fn open(behind: &Behind, offset: u16, bus: bool, map: Arc<Map>) -> io::Result<Door> {
        let at = |address: SocketAddr| SocketAddr::new(address.ip(), address.port() + offset);
        let listener = std::net::TcpListener::bind(at(behind.announced))?;
        listener.set_nonblocking(true)?;
        Ok(Door {
            listener: TcpListener::from_std(listener)?,
            destination: Node::Redis(behind.node),
            upstream: at(behind.own),
            bus,
            map,
        })
    }

    /// Until it is aborted, and with it every connection.
    pub(super) async fn serve(self) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! { biased;
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        let source = self.map.node_at(peer.ip());
                        connections.spawn(connect(self.passage(source, peer.ip()), stream));
                    }
                    // Out of descriptors: the connection waits in the kernel meanwhile.
                    Err(_) => sleep(Duration::from_millis(10)).await,
                },
            }
        }
    }

    fn passage(&self, source: Node, source_address: IpAddr) -> Passage {
        let kind = match (self.bus, source) {
            (true, _) => Kind::Bus,
            (false, Node::Redis(_)) => Kind::Replication,
            (false, Node::Clients) => Kind::Client,
        };
        Passage {
            source,
            destination: self.destination,
            kind,
            upstream: self.upstream,
            // The destination then sees the source's address, not the proxy's.
            from: (self.map.lends_addresses && matches!(source, Node::Redis(_))).then_some(source_address),
            map: self.map.clone(),
        }
    }
}

struct Passage {
    source: Node,
    destination: Node,
    kind: Kind,
    upstream: SocketAddr,
    from: Option<IpAddr>,
    map: Arc<Map>,
}

/// A refused connection shows as one that closes at once.
async fn connect(passage: Passage, near: TcpStream) {
    let there = passage.map.wire(passage.source, passage.destination, passage.kind);
    let back = passage.map.wire(passage.destination, passage.source, passage.kind);
    for wire in [&there, &back] {
        wire.refused.fetch_add(u64::from(wire.state().cut), Relaxed);
    }
    let lives = &passage.map.lives;
    let (outward, homeward) =
        (Relay::new(there, lives.of(passage.source)), Relay::new(back, lives.of(passage.destination)));
    let Ok(far) = dial(passage.upstream, passage.from).await else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
    tokio::join!(outward.run(near_read, far_write), homeward.run(far_read, near_write));
}

async fn dial(upstream: SocketAddr, from: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if let Some(from) = from {
        socket.bind(SocketAddr::new(from, 0))?;
    }
    socket.connect(upstream).await
}
