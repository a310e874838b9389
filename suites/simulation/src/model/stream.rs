//! One stream: entries by id, the last id ever given, and trimming by whole blocks.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// `<ms>-<seq>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Id(pub u64, pub u64);

impl Id {
    pub const MAX: Id = Id(u64::MAX, u64::MAX);

    /// `-`, `+`, `ms` (with the sequence that the end of a range implies) or `ms-seq`.
    pub fn parse(text: &[u8], implied_seq: u64) -> Option<Id> {
        let text = std::str::from_utf8(text).ok()?;
        match (text, text.split_once('-')) {
            ("-", _) => Some(Id::default()),
            ("+", _) => Some(Id::MAX),
            (_, Some((ms, seq))) => Some(Id(ms.parse().ok()?, seq.parse().ok()?)),
            (_, None) => Some(Id(text.parse().ok()?, implied_seq)),
        }
    }

    pub fn next(self) -> Id {
        if self.1 == u64::MAX { Id(self.0 + 1, 0) } else { Id(self.0, self.1 + 1) }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}", self.0, self.1)
    }
}

pub type Fields = Arc<[Bytes]>;

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stream {
    entries: VecDeque<(Id, Fields)>,
    last: Id,
    /// What was trimmed, for whoever reads a world's whole history in the end; a server knows nothing of it.
    trimmed: Vec<(Id, Fields)>,
}

impl Stream {
    /// The id that `*` gives at `now_ms`: never at or below the last one, also when the clock is behind.
    /// Source: redis.io/docs/latest/commands/xadd, "Specifying a Stream ID".
    pub fn next_id(&self, now_ms: u64) -> Id {
        Id(now_ms, 0).max(if self.last.0 < now_ms { Id(now_ms, 0) } else { self.last.next() })
    }

    pub fn add(&mut self, id: Id, fields: Fields) {
        self.last = self.last.max(id);
        self.entries.push_back((id, fields));
    }

    pub fn last(&self) -> Id {
        self.last
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn first(&self) -> Option<Id> {
        self.entries.front().map(|(id, _)| *id)
    }

    fn at(&self, id: Id) -> usize {
        self.entries.partition_point(|(entry, _)| *entry < id)
    }

    /// Entries from `low` to `high`, both included.
    pub fn range(&self, low: Id, high: Id) -> impl DoubleEndedIterator<Item = &(Id, Fields)> {
        let (from, to) = (self.at(low), self.at(high));
        let to = if self.entries.get(to).is_some_and(|(id, _)| *id == high) { to + 1 } else { to };
        self.entries.range(from..to.max(from))
    }

    /// How many entries `XTRIM MINID id` removes, in whole blocks: of one entry, or with `~` of a node of the stream's radix
    /// tree ([`super::Settings::stream_block`]), of which an exact trim may have taken a part.
    /// Source: redis.io/docs/latest/commands/xtrim.
    pub fn trimmable(&self, below: Id, block: usize) -> usize {
        let gone = self.trimmed.len();
        ((gone + self.at(below)) / block * block).saturating_sub(gone)
    }

    pub fn drop_first(&mut self, count: usize) {
        self.trimmed.extend(self.entries.drain(..count.min(self.entries.len())));
    }

    pub fn trimmed(&self) -> &[(Id, Fields)] {
        &self.trimmed
    }

    pub fn delete(&mut self, id: Id) -> bool {
        let at = self.at(id);
        let there = self.entries.get(at).is_some_and(|(entry, _)| *entry == id);
        if there {
            self.entries.remove(at);
        }
        there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(ids: &[u64]) -> Stream {
        let mut stream = Stream::default();
        for ms in ids {
            stream.add(Id(*ms, 0), Arc::from([]));
        }
        stream
    }

    #[test]
    fn ids_never_go_back_with_the_clock() {
        let stream = stream(&[5]);
        assert_eq!(stream.next_id(6), Id(6, 0));
        assert_eq!(stream.next_id(5), Id(5, 1));
        assert_eq!(stream.next_id(1), Id(5, 1));
        assert_eq!(Stream::default().next_id(3), Id(3, 0));
    }

    #[test]
    fn a_range_takes_both_ends() {
        let stream = stream(&[1, 3, 5]);
        let got = |low, high| stream.range(Id(low, 0), Id(high, 0)).map(|(id, _)| id.0).collect::<Vec<_>>();
        assert_eq!(got(1, 3), [1, 3]);
        assert_eq!(got(2, 4), [3]);
        assert_eq!(got(4, 2), [0; 0]);
        assert_eq!(stream.range(Id(3, 0), Id::MAX).count(), 2);
    }

    #[test]
    fn about_trims_whole_blocks_only() {
        let stream = stream(&(0..250).collect::<Vec<_>>());
        assert_eq!((stream.trimmable(Id(199, 0), 1), stream.trimmable(Id(199, 0), 100)), (199, 100));
        assert_eq!(stream.trimmable(Id(99, 0), 100), 0);
        let mut stream = stream;
        stream.drop_first(30);
        assert_eq!((stream.trimmable(Id(199, 0), 100), stream.trimmable(Id(99, 0), 100)), (70, 0));
    }
}
