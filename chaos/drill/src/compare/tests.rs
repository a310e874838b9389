//! The table and the page tell the same, and escape what they are given.

use super::*;

fn ours() -> Compared {
    Compared {
        system: "holdfast".to_owned(),
        title: "The reference system".to_owned(),
        found: Some(Found {
            claims: "acked_is_durable",
            verdict: Outcome::Pass,
            broke: Vec::new(),
            doubted: vec![Rule::R14],
            acked: 7000,
            lost: 0,
            owed: 140_000,
            missing: 0,
            duplicated: 0,
            deaf_seconds: 0.0,
            deaf_to_the_end: false,
            deaf_pairs: 0,
            ack_stall_seconds: 1.4,
        }),
        failed: None,
        run: Some("target/drills/x".to_owned()),
    }
}

fn deaf() -> Compared {
    let found = Found {
        claims: "at_most_once",
        verdict: Outcome::Fail,
        broke: vec![Rule::R13],
        lost: 3000,
        missing: 35_000,
        deaf_seconds: 12.34,
        deaf_to_the_end: true,
        deaf_pairs: 6,
        ..ours().found.expect("found")
    };
    Compared { system: "<theirs>".to_owned(), found: Some(found), ..ours() }
}

fn broken() -> Compared {
    Compared { system: "broken".to_owned(), found: None, failed: Some("never steady".to_owned()), ..ours() }
}

#[test]
fn a_row_tells_what_a_system_lost_and_how_long_it_was_deaf() {
    let text = as_text(&[ours(), deaf(), broken()]);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 5, "{text}");
    for part in ["acked_is_durable", "pass", "7 000", "0 of 140 000 (0.0 %)", "never", "1.40 s"] {
        assert!(lines[1].contains(part), "{part} in {}", lines[1]);
    }
    for part in ["at_most_once", "fail (R13)", "3 000", "35 000 of 140 000 (25.0 %)", "12.3 s, to the end"] {
        assert!(lines[2].contains(part), "{part} in {}", lines[2]);
    }
    assert_eq!(lines[3].split_whitespace().collect::<Vec<_>>(), ["broken", "no", "verdict"]);
    assert_eq!(lines[4], "broken: never steady");
}

#[test]
fn the_page_tells_the_same_and_escapes_what_it_is_given() {
    let page = as_html(&[ours(), deaf(), broken()], "primary-kill <x>", "chaos compare");
    assert!(!page.contains("<theirs>") && !page.contains("<x>"), "{page}");
    for part in [
        "1 of 2 systems lost acknowledged messages; holdfast lost none",
        "&lt;theirs&gt;",
        "12.3 s, to the end",
        "<td class=\"fail\">fail (R13)</td>",
        "no verdict: never steady",
        "width:100.0%",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    assert!(!page.contains("http://") && !page.contains("https://"), "it needs no network");
}
