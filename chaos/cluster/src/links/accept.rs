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
    // A container that is not running has no address either: the kernel would go on asking for it, and bring what was
    // said to the dead to who comes after.
    let mut callee = lives.of(passage.destination);
    if callee.is_over() {
        return;
    }
    let dialled = tokio::select! { biased;
        () = callee.ended() => return,
        dialled = dial(passage.upstream, passage.from) => dialled,
    };
    let Ok(far) = dialled else { return };
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

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    };

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        time::timeout,
    };

    use super::{super::Lives, *};

    const LOCAL: (IpAddr, u16) = (IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

    #[tokio::test]
    async fn a_successor_hears_nothing_that_was_said_to_the_dead() {
        let redis = TcpListener::bind(LOCAL).await.expect("a port");
        let dead = Arc::new(AtomicBool::new(true));
        let asked = dead.clone();
        let lives = Lives::new([1].into_iter(), Arc::new(move |_| asked.load(SeqCst)));
        let map = Map { lends_addresses: false, wires: Mutex::default(), addresses: [].into(), lives };
        let behind = Behind { node: 1, own: redis.local_addr().expect("its place"), announced: LOCAL.into() };
        let door = Door::open(&behind, 0, false, Arc::new(map)).expect("a port");
        let announced = door.listener.local_addr().expect("its place");
        let serving = tokio::spawn(door.serve());

        // Its address takes connections already, as that of a container does that is about to start.
        let mut early = TcpStream::connect(announced).await.expect("the proxy is there");
        let end = timeout(Duration::from_secs(5), early.read(&mut [0])).await;
        assert_eq!(end.expect("closed at once").expect("in order"), 0);

        dead.store(false, SeqCst);
        let mut late = TcpStream::connect(announced).await.expect("the proxy is there");
        late.write_all(b"late").await.expect("said");
        let (mut heard, _) = redis.accept().await.expect("it is alive");
        let mut said = [0; 4];
        heard.read_exact(&mut said).await.expect("heard");
        assert_eq!(&said, b"late");
        serving.abort();
    }
}
