//! A user's own line to a node, which can be cut: both ends see a reset, no goodbye, and what was under way is lost.
//!
//! The client cannot do that to itself (it always says goodbye), and should not learn it for a test's sake.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// Listens on loopback for one user and passes everything on to one node.
pub(crate) struct Line {
    scheme: String,
    address: SocketAddr,
    cuts: watch::Sender<u64>,
    _tasks: JoinSet<()>,
}

impl Line {
    /// `node` is `host:port`; what the scheme means is between the user and the node.
    pub(crate) async fn to(scheme: &str, node: &str) -> io::Result<Line> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let cuts = watch::Sender::new(0);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, node.to_owned(), cuts.clone()));
        Ok(Line { scheme: scheme.to_owned(), address, cuts, _tasks: tasks })
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

async fn serve(listener: TcpListener, node: String, cuts: watch::Sender<u64>) {
    let mut calls = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((user, _)) => drop(calls.spawn(carry(user, node.clone(), cuts.subscribe()))),
            // Out of descriptors: the next user may find one.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
        while calls.try_join_next().is_some() {}
    }
}

async fn carry(mut user: TcpStream, node: String, mut cut: watch::Receiver<u64>) {
    // A node that cannot be reached looks to the user like one: the connection ends.
    let Ok(mut node) = TcpStream::connect(node).await else { return };
    let _ = (user.set_nodelay(true), node.set_nodelay(true));
    tokio::select! {
        biased;
        _ = cut.changed() => {
            // With this, closing sends a reset and throws away what was not sent.
            let _ = (user.set_zero_linger(), node.set_zero_linger());
        }
        _ = copy_bidirectional(&mut user, &mut node) => {}
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_line_carries_until_it_is_cut_and_then_carries_again() {
        let node = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let line = Line::to("ws", &node.local_addr().unwrap().to_string()).await.unwrap();
        for _ in 0..2 {
            let mut user = TcpStream::connect(line.address).await.unwrap();
            let (mut there, _) = node.accept().await.unwrap();
            user.write_all(b"hello").await.unwrap();
            let mut heard = [0; 5];
            there.read_exact(&mut heard).await.unwrap();
            assert_eq!(&heard, b"hello");
            line.cut();
            let (at_user, at_node) = (user.read(&mut heard).await, there.read(&mut heard).await);
            assert_eq!(at_user.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
            assert_eq!(at_node.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        }
    }
}
