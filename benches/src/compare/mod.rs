//! Whether something became slower between two builds: both run in turns, so that a machine whose speed wanders treats
//! them alike, and what is told is the ratio with an interval.

mod results;
mod statistics;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::table::Table;
use results::Results;
pub use statistics::{Interval, Verdict};

/// What is compared; the checkers' cases take long, and are not the system's.
const SYSTEM: &str = "^system/";
const ROUNDS: usize = 8;
/// A short look at each case; rounds do the rest.
const LOOK: [&str; 8] =
    ["--warm-up-time", "0.1", "--measurement-time", "0.3", "--sample-size", "10", "--nresamples", "1000"];

pub struct Wish {
    pub reference: String,
    /// A regular expression; cases whose names match.
    pub filter: String,
    pub rounds: usize,
}

impl Wish {
    /// `REF [FILTER] [--rounds N]`
    pub fn of(arguments: impl IntoIterator<Item = String>) -> Result<Wish, String> {
        let mut wish = Wish { reference: String::new(), filter: SYSTEM.to_owned(), rounds: ROUNDS };
        let (mut arguments, mut words) = (arguments.into_iter(), Vec::new());
        while let Some(argument) = arguments.next() {
            if argument == "--rounds" {
                let rounds = arguments.next().unwrap_or_default();
                wish.rounds = rounds.parse().map_err(|_| format!("--rounds {rounds:?} is no number"))?;
                if wish.rounds < 3 {
                    return Err(format!("--rounds {rounds}: at least 3, or there is no interval"));
                }
            } else if argument.starts_with('-') {
                return Err(format!("{argument} is no option here; --rounds N is"));
            } else {
                words.push(argument);
            }
        }
        let mut words = words.into_iter();
        wish.reference = words.next().ok_or("which commit, branch or tag is it to be compared with?")?;
        wish.filter = words.next().unwrap_or(wish.filter);
        words.next().map_or(Ok(wish), |word| Err(format!("{word:?} is one word too many")))
    }
}

/// Builds, measures and tells; whether nothing became slower.
pub fn compare(wish: &Wish, out: &mut impl Write) -> io::Result<bool> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("below the root").to_path_buf();
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |given| root.join(given));
    let place = target.join("compare");
    let tree = check_out(&root, &place.join("tree"), &wish.reference)?;
    let (old, new) = (build(&tree, &target)?, build(&root, &target)?);
    let _ = std::fs::remove_dir_all(place.join("results"));
    let folders = [place.join("results/old"), place.join("results/new")];
    for round in 0..wish.rounds {
        writeln!(out, "round {} of {}", round + 1, wish.rounds)?;
        let mut turns = [(&old, &folders[0]), (&new, &folders[1])];
        if round % 2 == 1 {
            turns.reverse();
        }
        for (program, folder) in turns {
            measure(program, folder, round, &wish.filter)?;
        }
    }
    let (old, new) = (Results::read(&folders[0], wish.rounds)?, Results::read(&folders[1], wish.rounds)?);
    report(&old, &new, &wish.reference, out)
}

fn report(old: &Results, new: &Results, reference: &str, out: &mut impl Write) -> io::Result<bool> {
    let mut table = Table::new(["case", reference, "now", "now / then", "99 % interval", ""]);
    let (mut compared, mut slower) = (0, 0);
    for (case, then) in old.cases() {
        let Some(now) = new.of(case) else {
            table.row([case, "", "", "", "", "gone"]);
            continue;
        };
        let interval = Interval::of_ratio(then, now);
        let verdict = interval.verdict();
        compared += 1;
        slower += usize::from(verdict == Verdict::Slower);
        table.row([
            case,
            &time(statistics::median(then)),
            &time(statistics::median(now)),
            &format!("{:.3}", interval.middle),
            &format!("{:.3} to {:.3}", interval.low, interval.high),
            verdict.as_str(),
        ]);
    }
    for (case, _) in new.cases().filter(|(case, _)| old.of(case).is_none()) {
        table.row([case, "", "", "", "", "new"]);
    }
    writeln!(out, "{table}")?;
    if compared == 0 {
        return Err(io::Error::other("no case is in both, so nothing was compared"));
    }
    writeln!(out, "{compared} cases compared with {reference}: {slower} slower by more than 5 %")?;
    Ok(slower == 0)
}

/// The commit in a work tree of its own, always the same, so that what did not change is not built again.
fn check_out(root: &Path, tree: &Path, reference: &str) -> io::Result<PathBuf> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(root).args(arguments).output()?;
        let text = |bytes| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(io::Error::other(text(&output.stderr))) }
    };
    let commit = git(&["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{reference}^{{commit}}")])
        .map_err(|_| io::Error::other(format!("{reference:?} is no commit, branch or tag here")))?;
    git(&["worktree", "prune"])?;
    let path = tree.to_string_lossy();
    if tree.join(".git").exists() {
        git(&["-C", &path, "checkout", "--quiet", "--force", "--detach", &commit])?;
    } else {
        git(&["worktree", "add", "--quiet", "--force", "--detach", &path, &commit])?;
    }
    Ok(tree.to_path_buf())
}

/// The benchmark program of a tree; both trees share what they depend on.
fn build(tree: &Path, target: &Path) -> io::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(tree)
        .args([
            "bench",
            "--package",
            "benches",
            "--bench",
            "costs",
            "--no-run",
            "--message-format",
            "json-render-diagnostics",
        ])
        .env("CARGO_TARGET_DIR", target)
        .stderr(Stdio::inherit())
        .output()?;
    let built = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        let ours = message["target"]["name"] == "costs";
        ours.then(|| message["executable"].as_str().map(PathBuf::from)).flatten()
    };
    let program = String::from_utf8_lossy(&output.stdout).lines().find_map(built);
    let missing = || io::Error::other(format!("{} has no benchmark program `costs` that builds", tree.display()));
    program.filter(|_| output.status.success()).ok_or_else(missing)
}

fn measure(program: &Path, folder: &Path, round: usize, filter: &str) -> io::Result<()> {
    let output = Command::new(program)
        .args(["--bench", "--noplot", "--save-baseline", &results::name(round)])
        .args(LOOK)
        .arg(filter)
        .env("CRITERION_HOME", folder)
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{}: {}: {}", program.display(), output.status, said.trim())))
}

fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        short if short < 1e3 => format!("{short:.1} ns"),
        middle if middle < 1e6 => format!("{:.2} µs", middle / 1e3),
        long => format!("{:.2} ms", long / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(words: &str) -> Result<Wish, String> {
        Wish::of(words.split_whitespace().map(ToOwned::to_owned))
    }

    #[test]
    fn a_wish_is_read_and_a_wrong_one_is_told() {
        let good = wish("main codec --rounds 5").unwrap();
        assert_eq!((&*good.reference, &*good.filter, good.rounds), ("main", "codec", 5));
        assert_eq!(wish("main").unwrap().filter, SYSTEM);
        for wrong in ["", "main a b", "main --rounds", "main --rounds x", "main --rounds 2", "main --nope"] {
            assert!(wish(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_slower_case_fails_and_nothing_compared_is_no_success() {
        let steady = Results::from_iter([("system/a", vec![100.0, 101.0, 99.0, 100.5]), ("system/b", vec![50.0; 4])]);
        let slower = Results::from_iter([("system/a", vec![110.0, 112.0, 109.0, 110.5]), ("system/b", vec![50.0; 4])]);
        let other = Results::from_iter([("system/c", vec![1.0; 4])]);
        let mut out = Vec::new();
        assert!(report(&steady, &steady, "main", &mut out).unwrap());
        assert!(!report(&steady, &slower, "main", &mut out).unwrap());
        assert!(report(&slower, &steady, "main", &mut out).unwrap(), "faster is no failure");
        assert!(report(&steady, &other, "main", &mut out).is_err());
        let said = String::from_utf8(out).unwrap();
        for word in ["SLOWER", "faster", "gone", "new", "1 slower by more than 5 %"] {
            assert!(said.contains(word), "{word} in {said}");
        }
    }
}
