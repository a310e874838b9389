//! The verdict for CI: JUnit, one test case a rule.
//!
//! A violated rule is a failure, one that cannot be judged or was promised and never exercised an error, one outside
//! the contract or simply not exercised is skipped.

use std::fmt::Write as _;

use chaos_checkers::{State, Verdict};

use crate::plan::Plan;

pub(crate) fn junit(plan: &Plan, verdict: &Verdict, seconds: f64) -> String {
    let mut cases = String::new();
    let (mut failures, mut errors, mut skipped) = (0, 0, 0);
    for (rule, result) in &verdict.rules {
        let promised = plan.drill.expect.exercises.contains(rule);
        let inner = match &result.state {
            State::Pass => String::new(),
            State::Fail => {
                failures += 1;
                let examples: Vec<_> = result.examples.iter().map(|anomaly| anomaly.detail.as_str()).collect();
                element("failure", &format!("{} violations", result.count), &examples.join("\n"))
            }
            State::Unknown(why) => {
                errors += 1;
                element("error", why, &verdict.standing().unwrap_or_default())
            }
            State::NotExercised if promised => {
                errors += 1;
                element("error", "the drill promised to exercise this rule and did not", "")
            }
            State::NotExercised => {
                skipped += 1;
                element("skipped", "not exercised", "")
            }
            State::NotApplicable => {
                skipped += 1;
                element("skipped", "outside the contract", "")
            }
        };
        let name = escaped(&format!("{rule} {}", rule.promise()));
        let _ = writeln!(
            cases,
            r#"    <testcase classname="{}" name="{name}">{inner}</testcase>"#,
            escaped(&plan.drill.name)
        );
    }
    let name = escaped(&plan.drill.name);
    let tests = verdict.rules.len();
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="{name}" tests="{tests}" failures="{failures}" errors="{errors}" skipped="{skipped}" time="{seconds:.3}">
{cases}  </testsuite>
</testsuites>
"#
    )
}

/// Of a run without a verdict: one test case, which is an error.
pub(crate) fn junit_unjudged(plan: &Plan, outcome: &str, why: &str, seconds: f64) -> String {
    let name = escaped(&plan.drill.name);
    let error = element("error", &format!("{outcome}: {why}"), "");
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="{name}" tests="1" failures="0" errors="1" skipped="0" time="{seconds:.3}">
    <testcase classname="{name}" name="the run comes to its end">{error}</testcase>
  </testsuite>
</testsuites>
"#
    )
}

fn element(name: &str, message: &str, text: &str) -> String {
    format!(r#"<{name} message="{}">{}</{name}>"#, escaped(message), escaped(text))
}

/// For text and attributes alike; control characters, which XML cannot hold, are shown as their symbols.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
