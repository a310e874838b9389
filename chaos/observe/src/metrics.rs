//! One reading of a node's `/metrics` (Prometheus text), as typed samples with their time.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{At, Clock};

const TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    pub name: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// What one node said at one time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    pub at: At,
    pub node: String,
    pub samples: Vec<Sample>,
}

#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    #[error("metrics of {node}: {source}")]
    Unreachable { node: String, source: reqwest::Error },
    #[error("metrics of {node}: line {line}: {text:?} is no sample")]
    Malformed { node: String, line: usize, text: String },
}

/// Reads the metrics of many nodes over kept connections.
#[derive(Clone, Debug)]
pub struct Scraper {
    client: reqwest::Client,
    clock: Clock,
}

impl Scraper {
    pub fn new(clock: Clock) -> Scraper {
        let client = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build().unwrap_or_default();
        Scraper { client, clock }
    }

    /// `url` is the whole of it: `http://127.0.0.1:8080/metrics`.
    pub async fn scrape(&self, node: &str, url: &str) -> Result<Reading, MetricsError> {
        let failed = |source| MetricsError::Unreachable { node: node.to_owned(), source };
        let answer = self.client.get(url).send().await.and_then(reqwest::Response::error_for_status).map_err(failed)?;
        let text = answer.text().await.map_err(failed)?;
        Reading::parse(self.clock.now(), node, &text)
    }
}

impl Reading {
    pub fn parse(at: At, node: &str, text: &str) -> Result<Reading, MetricsError> {
        let mut samples = Vec::new();
        for (nth, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let malformed = || MetricsError::Malformed { node: node.to_owned(), line: nth + 1, text: line.to_owned() };
            samples.push(sample(line).ok_or_else(malformed)?);
        }
        Ok(Reading { at, node: node.to_owned(), samples })
    }

    /// The sum over all label sets; `None` when the node has no such metric.
    pub fn sum(&self, name: &str) -> Option<f64> {
        let mut of_name = self.samples.iter().filter(|sample| sample.name == name).peekable();
        of_name.peek()?;
        Some(of_name.map(|sample| sample.value).sum())
    }

    /// With each of these labels.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has =
            |sample: &&Sample| labels.iter().all(|(key, value)| sample.labels.get(*key).is_some_and(|v| v == value));
        self.samples.iter().filter(|sample| sample.name == name).find(has).map(|sample| sample.value)
    }
}

/// `name{key="value",…} number [timestamp]`
fn sample(line: &str) -> Option<Sample> {
    let end = line.find(|c: char| c == '{' || c.is_whitespace())?;
    let (name, rest) = line.split_at(end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (BTreeMap::new(), rest),
    };
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample { name: name.to_owned(), labels, value })
}

/// What stands before `}`, and what is left after it. Values may hold `}` and escaped quotes.
fn labels(mut text: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        text = text.trim_start_matches([',', ' ']);
        if let Some(rest) = text.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (key, rest) = text.split_once("=\"")?;
        let (value, rest) = quoted(rest)?;
        labels.insert(key.trim().to_owned(), value);
        text = rest;
    }
}

fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                escaped => value.push(escaped),
            },
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_with_their_labels() {
        let text = "# HELP x y\n# TYPE chat_acks counter\nchat_acks{shard=\"0\",why=\"a\\\"}b\"} 3\nchat_acks{shard=\"1\"} 4 1700\n\nup 1e3\n";
        let reading = Reading::parse(At(7), "chat-1", text).unwrap();
        assert_eq!(reading.sum("chat_acks"), Some(7.0));
        assert_eq!(reading.value("chat_acks", &[("why", "a\"}b")]), Some(3.0));
        assert_eq!(reading.sum("up"), Some(1000.0));
        assert_eq!(reading.sum("down"), None);
    }

    #[test]
    fn what_is_no_sample_is_named() {
        let error = Reading::parse(At(0), "chat-1", "up 1\nup{ 1\n").unwrap_err();
        assert_eq!(error.to_string(), "metrics of chat-1: line 2: \"up{ 1\" is no sample");
    }
}
