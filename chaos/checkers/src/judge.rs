//! From a history and a question to a verdict.

use chaos_observe::History;

use crate::{
    Question, Rule, Verdict,
    facts::Facts,
    merge, numbers,
    rules::{self, RULES},
};

/// Linear in deliveries. The same history and question always give the same verdict.
pub fn judge(history: &History, question: &Question) -> Verdict {
    let facts = Facts::of(history, question);
    let mut numbers = numbers::of(&facts);
    let mut results = Vec::with_capacity(RULES.len());
    for (rule, check) in rules::RULES {
        if rule == Rule::R14 {
            numbers.deliveries = numbers::deliveries(&facts, numbers.missing);
        }
        results.push((rule, check(&facts, &mut numbers)));
    }
    merge::merge(question, results, numbers)
}
