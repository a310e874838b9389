//! A file of JSON lines that many tasks write to without waiting: a thread of its own serialises and writes.
//!
//! Whatever was handed over is in the file when [`Lines::finish`] returns without an error. Between, it is flushed at
//! least twice a second, so that a killed harness leaves all but the last moment.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serde::Serialize;

const FLUSH_EVERY: Duration = Duration::from_millis(500);

/// Why a file of lines is not complete.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct LinesError {
    pub path: PathBuf,
    pub source: io::Error,
}

enum Order<T> {
    Line(T),
    Finish,
}

/// Cheap to clone; all clones write to the same file.
#[derive(Debug)]
pub(crate) struct Lines<T> {
    orders: mpsc::Sender<Order<T>>,
    writer: Arc<Mutex<Writer>>,
}

impl<T> Clone for Lines<T> {
    fn clone(&self) -> Lines<T> {
        Lines { orders: self.orders.clone(), writer: Arc::clone(&self.writer) }
    }
}

#[derive(Debug)]
enum Writer {
    Running(JoinHandle<io::Result<u64>>, PathBuf),
    Ended(Result<u64, (PathBuf, io::ErrorKind, String)>),
}

impl<T: Serialize + Send + 'static> Lines<T> {
    pub(crate) fn create(path: &Path) -> Result<Lines<T>, LinesError> {
        let failed = |source| LinesError { path: path.to_owned(), source };
        let file = File::create(path).map_err(failed)?;
        let (orders, taken) = mpsc::channel();
        let thread = std::thread::Builder::new().name("lines".to_owned());
        let thread = thread.spawn(move || write(&taken, file)).map_err(failed)?;
        Ok(Lines { orders, writer: Arc::new(Mutex::new(Writer::Running(thread, path.to_owned()))) })
    }

    /// Never waits. After the end, or when the disk is full, the line is dropped; [`finish`](Lines::finish) says so.
    pub(crate) fn write(&self, line: T) {
        let _ = self.orders.send(Order::Line(line));
    }

    /// Waits until all that was handed over is in the file; returns how many lines it has. Later lines are dropped.
    /// Blocks for moments: what is queued is written by then.
    pub(crate) fn finish(&self) -> Result<u64, LinesError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = Writer::Ended(Ok(0));
        if let Writer::Running(thread, path) = std::mem::replace(&mut *writer, ended) {
            let _ = self.orders.send(Order::Finish);
            let died = || Err(io::Error::other("the writing thread panicked"));
            let written = thread.join().unwrap_or_else(|_| died());
            *writer = Writer::Ended(written.map_err(|error| (path, error.kind(), error.to_string())));
        }
        match &*writer {
            Writer::Ended(Ok(lines)) => Ok(*lines),
            Writer::Ended(Err((path, kind, text))) => {
                Err(LinesError { path: path.clone(), source: io::Error::new(*kind, text.clone()) })
            }
            Writer::Running(..) => unreachable!("it was just ended"),
        }
    }
}

fn write<T: Serialize>(taken: &mpsc::Receiver<Order<T>>, file: File) -> io::Result<u64> {
    let mut file = BufWriter::with_capacity(1 << 16, file);
    let (mut lines, mut flushed) = (0, Instant::now());
    loop {
        match taken.recv_timeout(FLUSH_EVERY.saturating_sub(flushed.elapsed())) {
            Ok(Order::Line(line)) => {
                serde_json::to_writer(&mut file, &line)?;
                file.write_all(b"\n")?;
                lines += 1;
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                file.flush()?;
                flushed = Instant::now();
            }
            Ok(Order::Finish) | Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    file.flush()?;
    Ok(lines)
}
