//! A door on the private network to something that listens on this machine's loopback only, such as the receiver of spans.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    runtime::Handle,
    task::JoinSet,
    time::sleep,
};

/// Lasts as long as the runtime. Returns where it listens.
pub(crate) fn forward(runtime: &Handle, at: IpAddr, to: SocketAddr) -> io::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind((at, 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let _inside = runtime.enter();
    let listener = TcpListener::from_std(listener)?;
    runtime.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! { biased;
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((near, _)) => drop(connections.spawn(connect(near, to))),
                    // Out of descriptors: the connection waits in the kernel meanwhile.
                    Err(_) => sleep(Duration::from_millis(10)).await,
                },
            }
        }
    });
    Ok(address)
}

async fn connect(mut near: TcpStream, to: SocketAddr) {
    if let Ok(mut far) = TcpStream::connect(to).await {
        let _ = copy_bidirectional(&mut near, &mut far).await;
    }
}
