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
        let ended = match std::mem::replace(&mut *writer, Writer::Ended(Ok(0))) {
            Writer::Ended(ended) => ended,
            Writer::Running(thread, path) => {
                let _ = self.orders.send(Order::Finish);
                let written = thread.join().unwrap_or_else(|_| Err(io::Error::other("the writing thread panicked")));
                written.map_err(|error| (path, error.kind(), error.to_string()))
            }
        };
        *writer = Writer::Ended(ended.clone());
        ended.map_err(|(path, kind, text)| LinesError { path, source: io::Error::new(kind, text) })
    }
}

/// What is wrong with one line of such a file. To the parser each line is its first; the place in the file is told by
/// whoever counts lines.
pub(crate) fn wrong(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let cut = text.rfind(" at line ").unwrap_or(text.len());
    format!("{} (column {})", &text[..cut], error.column())
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
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Ok(Order::Finish) | Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
        if flushed.elapsed() >= FLUSH_EVERY {
            file.flush()?;
            flushed = Instant::now();
        }
    }
    file.flush()?;
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use std::{fs, thread};

    use super::*;

    #[test]
    fn whatever_many_writers_hand_over_is_there_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        let lines = Lines::create(&path).unwrap();
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let lines = lines.clone();
                thread::spawn(move || (0..5000).for_each(|nth| lines.write((writer, nth))))
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        assert_eq!(lines.finish().unwrap(), 40_000);
        let text = fs::read_to_string(&path).unwrap();
        let read: Vec<(u32, u32)> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        // Each writer's lines are in its order.
        for writer in 0..8 {
            let of_writer = read.iter().filter(|line| line.0 == writer).map(|line| line.1);
            assert!(of_writer.eq(0..5000));
        }
        assert_eq!(lines.finish().unwrap(), 40_000, "it can be asked again");
    }

    #[test]
    fn lines_are_in_the_file_soon_also_without_an_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        let lines = Lines::create(&path).unwrap();
        lines.write("one");
        let deadline = Instant::now() + Duration::from_secs(5);
        while fs::read_to_string(&path).unwrap().is_empty() {
            assert!(Instant::now() < deadline, "nothing was flushed");
            thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn a_steady_stream_is_flushed_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        let lines = Lines::create(&path).unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        while fs::read_to_string(&path).unwrap().is_empty() {
            assert!(Instant::now() < deadline, "nothing was flushed");
            lines.write(1);
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_full_disk_is_an_error_at_the_end() {
        let lines = Lines::create(Path::new("/dev/full")).unwrap();
        (0..100).for_each(|nth| lines.write(nth));
        for _ in 0..2 {
            let error = lines.finish().unwrap_err().to_string();
            assert!(error.starts_with("/dev/full: ") && error.contains("No space left"), "{error}");
        }
    }
}
