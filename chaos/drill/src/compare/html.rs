//! The comparison as one page: readable in print, by keyboard and by a screen reader, dark or light, without a network.

use std::fmt::Write as _;

use chaos_checkers::Outcome;

use super::{COLUMNS, Compared, Found, cells};

const STYLE: &str = "
:root { --ground: #ffffff; --card: #f4f6f8; --ink: #1c2430; --soft: #5a6675; --line: #d5dbe2; --good: #1a7f37;
  --bad: #cf222e; --doubt: #9a6700; --bar: #cf222e; }
@media (prefers-color-scheme: dark) { :root { --ground: #10151c; --card: #171e27; --ink: #c9d3de; --soft: #8b96a3;
  --line: #2b3542; --good: #7ee787; --bad: #ff7b72; --doubt: #ffa657; --bar: #ff7b72; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 82rem; padding: 2rem 1.5rem; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, 'DejaVu Sans', sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0; } .soft { color: var(--soft); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin-top: 1rem; font-variant-numeric: tabular-nums; }
th, td { padding: .5rem .75rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { font-weight: 600; color: var(--soft); white-space: nowrap; }
tbody th { color: var(--ink); }
td.number, th.number { text-align: right; white-space: nowrap; }
.pass { color: var(--good); } .fail { color: var(--bad); } .unknown { color: var(--doubt); }
.bars { display: grid; grid-template-columns: max-content 1fr max-content; gap: .4rem 1rem; align-items: center; }
.bar { height: .9rem; background: var(--card); border-radius: 3px; overflow: hidden; }
.bar > span { display: block; height: 100%; background: var(--bar); }
code, pre { font: 13px/1.5 'DejaVu Sans Mono', Menlo, Consolas, monospace; }
pre { background: var(--card); padding: .75rem 1rem; border-radius: 6px; white-space: pre-wrap; }
@media print { body { max-width: none; padding: 0; } }
";

pub(super) fn page(systems: &[Compared], of: &str, again: &str) -> String {
    let mut body = String::new();
    let _ = write!(body, "<h1>{}</h1><p class=soft>{}</p>", escaped(&headline(systems)), escaped(of));
    body.push_str(&table(systems));
    body.push_str(&bars("Deaf: how long nobody on one node heard anything from another", systems, |found| {
        (found.deaf_seconds, found.deaf())
    }));
    body.push_str(&bars("Missing: deliveries of acknowledged messages that never came", systems, |found| {
        (found.share(), format!("{:.1} %", found.share()))
    }));
    body.push_str(&bars("Stalled: how long nothing in a room was acknowledged", systems, |found| {
        (found.ack_stall_seconds, format!("{:.2} s", found.ack_stall_seconds))
    }));
    body.push_str(&systems_told(systems));
    let _ = write!(body, "<h2>Again</h2><pre>{}</pre>", escaped(again));
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>Systems side by side</title><style>{STYLE}</style><body><main>{body}</main></body></html>\n"
    )
}

/// Who lost what, in a sentence.
fn headline(systems: &[Compared]) -> String {
    let found: Vec<_> = systems.iter().filter_map(|system| Some((system, system.found.as_ref()?))).collect();
    let lost = found.iter().filter(|(_, found)| found.lost > 0).count();
    let kept: Vec<_> =
        found.iter().filter(|(_, found)| found.lost == 0).map(|(system, _)| system.system.as_str()).collect();
    match (lost, kept.as_slice()) {
        (0, _) => format!("None of {} systems lost an acknowledged message", found.len()),
        (lost, []) => format!("{lost} of {} systems lost acknowledged messages", found.len()),
        (lost, kept) => {
            format!("{lost} of {} systems lost acknowledged messages; {} lost none", found.len(), kept.join(", "))
        }
    }
}

/// From this column on, numbers.
const NUMBERS: usize = 3;

fn table(systems: &[Compared]) -> String {
    let mut text =
        "<div class=scroll tabindex=0 role=region aria-label=\"The comparison\"><table><thead><tr>".to_owned();
    for (at, column) in COLUMNS.iter().enumerate() {
        let _ = write!(text, "<th scope=col{}>{column}</th>", if at >= NUMBERS { " class=number" } else { "" });
    }
    text.push_str("</tr></thead><tbody>");
    for system in systems {
        let mut cells = cells(system).into_iter();
        let _ = write!(text, "<tr><th scope=row>{}</th>", escaped(&cells.next().unwrap_or_default()));
        let Some(found) = &system.found else {
            let why = escaped(system.failed.as_deref().unwrap_or_default());
            let _ = write!(text, "<td colspan={} class=unknown>no verdict: {why}</td></tr>", COLUMNS.len() - 1);
            continue;
        };
        for (at, cell) in cells.enumerate() {
            let class = match at + 1 {
                2 => outcome(found.verdict),
                NUMBERS.. => "number",
                _ => "",
            };
            let _ = write!(text, "<td class=\"{class}\">{}</td>", escaped(&cell));
        }
        text.push_str("</tr>");
    }
    text + "</tbody></table></div>"
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Fail => "fail",
        Outcome::Unknown => "unknown",
    }
}

/// One bar a system, as long as its share of the longest; the number stands beside it.
fn bars(title: &str, systems: &[Compared], of: impl Fn(&Found) -> (f64, String)) -> String {
    let values: Vec<_> =
        systems.iter().filter_map(|system| Some((&system.system, of(system.found.as_ref()?)))).collect();
    let longest = values.iter().map(|(_, (value, _))| *value).fold(f64::MIN_POSITIVE, f64::max);
    let mut text = format!("<h2>{}</h2><div class=bars>", escaped(title));
    for (name, (value, told)) in values {
        let width = value * 100.0 / longest;
        let _ = write!(
            text,
            "<span>{}</span><span class=bar aria-hidden=true><span style=\"width:{width:.1}%\"></span></span>\
             <span>{}</span>",
            escaped(name),
            escaped(&told)
        );
    }
    text + "</div>"
}

fn systems_told(systems: &[Compared]) -> String {
    let mut text = "<h2>Systems</h2><dl>".to_owned();
    for system in systems {
        let run =
            system.run.as_deref().map(|run| format!(" <span class=soft>Record: <code>{}</code></span>", escaped(run)));
        let (name, title) = (escaped(&system.system), escaped(&system.title));
        let _ = write!(text, "<dt><b>{name}</b></dt><dd>{title}{}</dd>", run.unwrap_or_default());
    }
    text + "</dl>"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
