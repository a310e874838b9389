//! The floor: a ready frame and `write(2)`, nothing else.

use std::io::{self, BufRead, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::time::{Duration, Instant};

/// Reads the load, then orders: a frame's length begins a turn, an empty line ends it.
pub(super) fn play() -> io::Result<()> {
    let mut lines = io::stdin().lock().lines();
    let load = lines.next().ok_or(io::ErrorKind::UnexpectedEof)??;
    let numbers: Vec<usize> = load.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let &[connections, audience, per_second] = &numbers[..] else { return Err(io::ErrorKind::InvalidInput.into()) };
    let listener = TcpListener::bind("127.0.0.1:0")?;
    writeln!(io::stdout(), "{}", listener.local_addr()?)?;
    let (orders, ordered) = mpsc::channel();
    std::thread::spawn(move || {
        let sockets = accept(&listener, connections)?;
        write_bursts(&sockets, audience, Duration::from_secs(1) / per_second as u32, &ordered)
    });
    drop(std::io::stdout());
    for line in lines {
        let _ = orders.send(line?.trim().parse::<usize>().ok());
    }
    Ok(())
}

fn accept(listener: &TcpListener, connections: usize) -> io::Result<Vec<TcpStream>> {
    let accepted = listener.incoming().take(connections).map(|socket| {
        let socket = socket?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    });
    accepted.collect()
}

/// Each to those who come after the last one's.
fn write_bursts(
    sockets: &[TcpStream],
    audience: usize,
    pause: Duration,
    ordered: &Receiver<Option<usize>>,
) -> io::Result<()> {
    let mut sockets = sockets.iter().cycle();
    while let Ok(order) = ordered.recv() {
        let Some(length) = order else { continue };
        let frame = super::clients::message_of(length);
        let mut next = Instant::now();
        while let Err(TryRecvError::Empty) = ordered.try_recv() {
            for mut socket in sockets.by_ref().take(audience) {
                // A peer that is behind gets less; its clients count what came.
                let _ = socket.write(&frame)?;
            }
            next += pause;
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }
    Ok(())
}
