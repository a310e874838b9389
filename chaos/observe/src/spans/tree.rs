//! The spans of one message as a tree for people.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    sync::Arc,
};

use super::span::{Span, SpanId};

/// Attributes that every span of the message repeats say nothing in its tree.
const REPEATED: &[&str] = &["message.id", "room"];

pub(crate) fn render(spans: &[Arc<Span>]) -> String {
    let Some(zero) = spans.iter().map(|span| span.start_ns).min() else { return String::new() };
    let mut tree = Tree { children: BTreeMap::new(), zero, text: String::new(), shown: BTreeSet::new() };
    let ids: BTreeSet<SpanId> = spans.iter().map(|span| span.id).collect();
    let traces: BTreeSet<_> = spans.iter().filter(|span| span.text("message.id").is_some()).map(|s| s.trace).collect();
    let above = |span: &Span| {
        let parent = span.parent.filter(|parent| ids.contains(parent) && *parent != span.id);
        let linked = || span.links.iter().find(|link| traces.contains(&link.trace) && ids.contains(&link.span));
        parent.or_else(|| linked().map(|link| link.span)).filter(|above| *above != span.id)
    };
    let mut roots = Vec::new();
    for span in spans {
        match above(span) {
            Some(parent) => tree.children.entry(parent).or_default().push(span),
            None => roots.push(span),
        }
    }
    for root in roots {
        tree.add(root, 0);
    }
    // A circle of parents has no root; show it all the same.
    for span in spans {
        tree.add(span, 0);
    }
    tree.text
}

struct Tree<'s> {
    children: BTreeMap<SpanId, Vec<&'s Arc<Span>>>,
    zero: u64,
    text: String,
    shown: BTreeSet<SpanId>,
}

impl Tree<'_> {
    fn add(&mut self, span: &Arc<Span>, depth: usize) {
        if !self.shown.insert(span.id) {
            return;
        }
        self.line(span, depth);
        for child in self.children.get(&span.id).cloned().unwrap_or_default() {
            self.add(child, depth + 1);
        }
    }

    fn line(&mut self, span: &Span, depth: usize) {
        let indent = "  ".repeat(depth);
        let (from, took) =
            (millis(span.start_ns.saturating_sub(self.zero)), millis(span.end_ns.saturating_sub(span.start_ns)));
        let linked = if span.parent.is_none() && !span.links.is_empty() { " (linked)" } else { "" };
        let _ = write!(self.text, "{from:>9.1} ms {indent}{}{linked} on {}, {took:.1} ms", span.name, span.service);
        for (key, value) in span.attributes.iter().filter(|(key, _)| !REPEATED.contains(&key.as_str())) {
            let _ = write!(self.text, ", {key}={value}");
        }
        if let Some(error) = &span.error {
            let _ = write!(self.text, ", error: {error}");
        }
        self.text.push('\n');
        for event in &span.events {
            let at = millis(event.at_ns.saturating_sub(self.zero));
            let _ = write!(self.text, "{at:>9.1} ms {indent}  · {}", event.name);
            for (key, value) in &event.attributes {
                let _ = write!(self.text, ", {key}={value}");
            }
            self.text.push('\n');
        }
    }
}

fn millis(ns: u64) -> f64 {
    ns as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use crate::spans::{Link, Span, SpanEvent, SpanId, SpanStore, TraceId};

    fn span(trace: u128, id: u64, parent: u64, name: &str, ms: (u64, u64)) -> Span {
        Span {
            trace: TraceId(trace),
            id: SpanId(id),
            parent: Some(SpanId(parent)).filter(|parent| parent.0 > 0),
            name: name.to_owned(),
            service: "chat-1".to_owned(),
            start_ns: ms.0 * 1_000_000,
            end_ns: ms.1 * 1_000_000,
            ..Span::default()
        }
    }

    #[test]
    fn a_message_is_a_tree_with_what_is_shared_linked_in() {
        let store = SpanStore::in_memory();
        let link = |trace, span| Link { trace: TraceId(trace), span: SpanId(span) };
        store.record(span(1, 3, 2, "log.append", (1002, 1004)).with("message.id", "m").with("offset", "0a"));
        store.record(span(1, 1, 0, "chat.send", (1000, 1010)).with("message.id", "m").with("room", "r"));
        let mut accept = span(1, 2, 1, "chat.accept", (1001, 1005)).with("message.id", "m");
        accept.error = Some("late".to_owned());
        let attributes = [("members".to_owned(), 2u32.into())].into();
        accept.events.push(SpanEvent { at_ns: 1_003_000_000, name: "slow member".to_owned(), attributes });
        store.record(accept);
        // A batch of its own trace covers this message and another.
        let mut batch = span(9, 4, 0, "log.batch", (1004, 1006));
        batch.links = vec![link(2, 77), link(1, 3)];
        store.record(batch);
        store.record(span(2, 77, 0, "log.append", (1, 2)).with("message.id", "other"));
        let expected = "      0.0 ms chat.send on chat-1, 10.0 ms
      1.0 ms   chat.accept on chat-1, 4.0 ms, error: late
      3.0 ms     · slow member, members=2
      2.0 ms     log.append on chat-1, 2.0 ms, offset=0a
      4.0 ms       log.batch (linked) on chat-1, 2.0 ms
";
        assert_eq!(store.tree("m"), expected);
        assert_eq!(store.tree("nothing"), "");
    }

    #[test]
    fn a_missing_parent_or_a_circle_of_parents_hides_nothing() {
        let store = SpanStore::in_memory();
        store.record(span(1, 5, 4, "chat.fanout", (3, 4)).with("message.id", "m"));
        store.record(span(1, 7, 8, "log.read", (1, 2)).with("message.id", "m"));
        store.record(span(1, 8, 7, "log.fence", (2, 2)).with("message.id", "m"));
        let tree = store.tree("m");
        for name in ["chat.fanout", "log.read", "log.fence"] {
            assert!(tree.contains(name), "{tree}");
        }
    }
}
