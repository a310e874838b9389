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
