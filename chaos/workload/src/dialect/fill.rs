//! Templates: JSON whose texts hold marks such as `{room}`. Pure.

use serde_json::Value;

/// A mark without its braces, and what stands there instead. In this order: what a user says is put in last, so that a
/// mark in it stays what was said.
pub(super) type Marks<'m> = [(&'static str, &'m str)];

pub(super) fn fill(template: &Value, marks: &Marks<'_>) -> Value {
    match template {
        Value::String(text) => {
            let put = |text: String, (mark, value): &(&str, &str)| text.replace(&format!("{{{mark}}}"), value);
            Value::String(marks.iter().fold(text.clone(), put))
        }
        Value::Array(items) => items.iter().map(|item| fill(item, marks)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), fill(value, marks)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

pub(super) fn has(template: &Value, mark: &str) -> bool {
    match template {
        Value::String(text) => text.contains(&format!("{{{mark}}}")),
        Value::Array(items) => items.iter().any(|item| has(item, mark)),
        Value::Object(fields) => fields.values().any(|value| has(value, mark)),
        _ => false,
    }
}
