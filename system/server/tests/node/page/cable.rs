//! The line between a page and its node, which a test may cut: a TCP proxy.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

#[derive(Clone, Copy, PartialEq)]
enum State {
    Open,
    /// What the page says arrives; it hears nothing.
    Deaf,
    Cut,
}

pub(super) struct Cable {
    address: SocketAddr,
    state: watch::Sender<State>,
    node: watch::Sender<SocketAddr>,
    accepting: JoinHandle<()>,
}

impl Cable {
    pub(super) async fn to(node: SocketAddr) -> Cable {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (state, node) = (watch::Sender::new(State::Open), watch::Sender::new(node));
        let accepting = tokio::spawn(accept(listener, state.subscribe(), node.subscribe()));
        Cable { address, state, node, accepting }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub(super) fn deafen(&self) {
        self.state.send_replace(State::Deaf);
    }

    /// Ends every connection, and every new one.
    pub(super) fn cut(&self) {
        self.state.send_replace(State::Cut);
    }

    pub(super) fn mend(&self) {
        self.state.send_replace(State::Open);
    }

    /// Where new connections end.
    pub(super) fn lead_to(&self, node: SocketAddr) {
        self.node.send_replace(node);
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, state: watch::Receiver<State>, node: watch::Receiver<SocketAddr>) {
    while let Ok((page, _)) = listener.accept().await {
        let (state, node) = (state.clone(), *node.borrow());
        tokio::spawn(carry(page, node, state));
    }
}

async fn carry(page: TcpStream, node: SocketAddr, state: watch::Receiver<State>) {
    if *state.borrow() == State::Cut {
        return;
    }
    let Ok(node) = TcpStream::connect(node).await else { return };
    let ((page_reads, page_writes), (node_reads, node_writes)) = (page.into_split(), node.into_split());
    let mut watched = state.clone();
    tokio::select! {
        () = copy(page_reads, node_writes, None) => {}
        () = copy(node_reads, page_writes, Some(state)) => {}
        _ = watched.wait_for(|state| *state == State::Cut) => {}
    }
}

/// With a state: holds back what comes while the page is deaf. The cut loses it.
async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut state: Option<watch::Receiver<State>>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if let Some(state) = &mut state {
            let _ = state.wait_for(|state| *state == State::Open).await;
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
