//! Keeps spans: in the file as they come, and in memory by trace and by message.

use std::{
    collections::{BTreeSet, HashMap},
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Serialize, Serializer};

use super::{
    hop::{self, Killed, LastHop, Towards},
    span::{Span, TraceId, Value},
    tree,
};
use crate::lines::{Lines, LinesError};

/// The attribute that names a message.
pub(crate) const MESSAGE: &str = "message.id";

/// Cheap to clone; all clones are the same store. Recording does not wait for the file.
#[derive(Clone, Debug)]
pub struct SpanStore {
    lines: Option<Lines<Line>>,
    kept: Arc<Mutex<Kept>>,
}

/// The file and the memory share the span.
#[derive(Debug)]
struct Line(Arc<Span>);

impl Serialize for Line {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

/// Why stored spans cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SpansError {
    #[error("spans {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("spans {}:{line}: {}", path.display(), crate::lines::wrong(source))]
    Line { path: PathBuf, line: usize, source: serde_json::Error },
}

#[derive(Debug, Default)]
struct Kept {
    spans: Vec<Arc<Span>>,
    by_trace: HashMap<TraceId, Vec<usize>>,
    /// Spans of other traces that link to this one.
    by_link: HashMap<TraceId, Vec<usize>>,
    by_message: HashMap<String, Vec<usize>>,
}

impl SpanStore {
    pub fn create(path: &Path) -> Result<SpanStore, LinesError> {
        Ok(SpanStore { lines: Some(Lines::create(path)?), kept: Arc::default() })
    }

    /// A store without a file.
    pub fn in_memory() -> SpanStore {
        SpanStore { lines: None, kept: Arc::default() }
    }

    pub fn load(path: &Path) -> Result<SpanStore, SpansError> {
        let failed = |source| SpansError::Read { path: path.to_owned(), source };
        let store = SpanStore::in_memory();
        for (nth, line) in BufReader::new(File::open(path).map_err(failed)?).lines().enumerate() {
            let span = serde_json::from_str(&line.map_err(failed)?);
            let path = path.to_owned();
            store.record(span.map_err(|source| SpansError::Line { path, line: nth + 1, source })?);
        }
        Ok(store)
    }

    pub fn record(&self, span: Span) {
        let span = Arc::new(span);
        if let Some(lines) = &self.lines {
            lines.write(Line(Arc::clone(&span)));
        }
        self.kept().add(span);
    }

    pub fn len(&self) -> usize {
        self.kept().spans.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All spans, in the order in which they came.
    pub fn all(&self) -> Vec<Arc<Span>> {
        self.kept().spans.clone()
    }

    pub fn named(&self, name: &str) -> Vec<Arc<Span>> {
        self.kept().spans.iter().filter(|span| span.name == name).cloned().collect()
    }

    pub fn of_trace(&self, trace: TraceId) -> Vec<Arc<Span>> {
        let kept = self.kept();
        kept.get(kept.by_trace.get(&trace).into_iter().flatten().copied().collect())
    }

    /// The trace that the message belongs to, when any span names it.
    pub fn trace_of(&self, message: &str) -> Option<TraceId> {
        self.kept().trace_of(message)
    }

    /// Everything about one message, by start: its trace, and the spans that link to it.
    pub fn of_message(&self, message: &str) -> Vec<Arc<Span>> {
        self.kept().of_message(message)
    }

    /// The message's spans as an indented tree, one line a span; empty when there are none. Times are milliseconds
    /// after its first span.
    pub fn tree(&self, message: &str) -> String {
        tree::render(&self.of_message(message))
    }

    /// How far a message came on its way to someone. `killed` says which nodes died, and so may have taken spans along.
    pub fn last_hop(&self, message: &str, towards: Towards<'_>, killed: &[Killed]) -> Option<LastHop> {
        hop::last(&self.of_message(message), towards, killed)
    }

    /// Waits until all spans are in the file; later ones are kept in memory only.
    pub fn finish(&self) -> Result<u64, LinesError> {
        self.lines.as_ref().map_or(Ok(self.len() as u64), Lines::finish)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn add(&mut self, span: Arc<Span>) {
        let nth = self.spans.len();
        self.by_trace.entry(span.trace).or_default().push(nth);
        let linked: BTreeSet<_> =
            span.links.iter().map(|link| link.trace).filter(|trace| *trace != span.trace).collect();
        for trace in linked {
            self.by_link.entry(trace).or_default().push(nth);
        }
        if let Some(Value::Text(message)) = span.attributes.get(MESSAGE) {
            self.by_message.entry(message.clone()).or_default().push(nth);
        }
        self.spans.push(span);
    }

    fn trace_of(&self, message: &str) -> Option<TraceId> {
        let first = *self.by_message.get(message)?.first()?;
        Some(self.spans[first].trace)
    }

    fn of_message(&self, message: &str) -> Vec<Arc<Span>> {
        let named = self.by_message.get(message).map_or(&[][..], Vec::as_slice);
        let traces: BTreeSet<_> = named.iter().map(|nth| self.spans[*nth].trace).collect();
        let indexed = |index: &HashMap<TraceId, Vec<usize>>, trace| index.get(trace).cloned().unwrap_or_default();
        let mut found: BTreeSet<usize> = named.iter().copied().collect();
        for trace in &traces {
            found.extend(indexed(&self.by_trace, trace));
            found.extend(indexed(&self.by_link, trace));
        }
        let mut spans = self.get(found);
        spans.sort_by_key(|span| (span.start_ns, span.id));
        spans
    }

    fn get(&self, which: BTreeSet<usize>) -> Vec<Arc<Span>> {
        which.into_iter().map(|nth| Arc::clone(&self.spans[nth])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_comes_back_from_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spans.jsonl");
        let store = SpanStore::create(&path).unwrap();
        let span = Span { trace: TraceId(0xabc), name: "chat.send".to_owned(), ..Span::default() };
        store.record(span.with(MESSAGE, "m").with("attempt", 2u32).with("late", true));
        assert_eq!(store.finish().unwrap(), 1);
        let stored = SpanStore::load(&path).unwrap();
        assert_eq!(stored.all(), store.all());
        assert_eq!(stored.trace_of("m"), Some(TraceId(0xabc)));
        assert_eq!(stored.of_message("m"), store.of_trace(TraceId(0xabc)));
    }
}
