//! The law of the workspace, executed: which crate may name which, who may read the environment, and that every
//! dependency is pinned. ARCHITECTURE.md tells why; this fails with the line that broke it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// What each crate may depend on inside the workspace (in its normal dependencies). A new arrow is a decision: it is
/// made here and in ARCHITECTURE.md.
const ARROWS: &[(&str, &[&str])] = &[
    ("system-protocol", &[]),
    ("system-delivery", &["system-protocol"]),
    ("system-wire", &[]),
    ("system-client", &["system-protocol"]),
    ("system-server", &["system-delivery", "system-protocol", "system-wire"]),
    ("chaos-observe", &[]),
    ("chaos-checkers", &["chaos-observe"]),
    ("chaos-cluster", &["chaos-observe"]),
    ("chaos-faults", &["chaos-cluster", "chaos-observe"]),
    ("chaos-workload", &["chaos-observe", "system-client", "system-protocol"]),
    ("chaos-drill", &["chaos-checkers", "chaos-cluster", "chaos-faults", "chaos-observe", "chaos-workload"]),
    ("chaos-cli", &["chaos-checkers", "chaos-cluster", "chaos-drill", "chaos-faults", "chaos-observe"]),
];

/// The two places that may read the environment: the node's configuration and the command's arguments.
const READS_ENVIRONMENT: &[&str] = &["system/server/src/config/", "chaos/cli/src/"];

fn metadata() -> Metadata {
    MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().expect("cargo metadata")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("suites has a parent").to_path_buf()
}

/// Every Rust source under `folder`, with its path relative to the root and its text.
fn sources(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a readable folder") {
            let path = entry.expect("a folder entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).expect("below the root").display().to_string();
                found.push((name, fs::read_to_string(&path).expect("a readable source")));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no Rust source under {folder}: the test looks in the wrong place");
    found
}

/// Lines of `text` that hold `word`, comments apart, as `path:line: text`.
fn lines_with(sources: &[(String, String)], word: &str) -> Vec<String> {
    let code = |line: &str| !line.trim_start().starts_with("//");
    let hit = |(name, text): &(String, String)| {
        let lines = text.lines().enumerate().filter(|(_, line)| code(line) && line.contains(word));
        lines.map(|(at, line)| format!("{name}:{}: {}", at + 1, line.trim())).collect::<Vec<_>>()
    };
    sources.iter().flat_map(hit).collect()
}

#[test]
fn dependencies_point_the_way_architecture_says() {
    let allowed: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    let mut wrong = Vec::new();
    for package in metadata().packages {
        let Some(allowed) = allowed.get(package.name.as_str()) else { continue };
        for dependency in package.dependencies {
            let inside = dependency.path.is_some() && dependency.kind == DependencyKind::Normal;
            if inside && !allowed.contains(&dependency.name.as_str()) {
                wrong.push(format!("{} → {}", package.name, dependency.name));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that ARCHITECTURE.md does not know: {wrong:?}");
}

#[test]
fn every_crate_is_in_the_law() {
    let names: Vec<_> = metadata().packages.into_iter().map(|package| package.name.to_string()).collect();
    for (name, _) in ARROWS {
        assert!(names.iter().any(|known| known == name), "{name} is in the law but not in the workspace");
    }
    let outside = |name: &&String| name.starts_with("system-") || name.starts_with("chaos-");
    for name in names.iter().filter(outside) {
        assert!(ARROWS.iter().any(|(known, _)| known == name), "{name} is in the workspace but not in the law");
    }
}

#[test]
fn the_system_does_not_know_the_toolkit() {
    let hits = lines_with(&sources("system"), "chaos_");
    assert!(hits.is_empty(), "nothing in system/ names anything in chaos/:\n{}", hits.join("\n"));
}

#[test]
fn checkers_only_look() {
    let sources = sources("chaos/checkers/src");
    for word in ["std::fs", "std::net", "std::thread", "std::time::Instant", "SystemTime", "tokio::"] {
        let hits = lines_with(&sources, word);
        assert!(hits.is_empty(), "checkers do no I/O and never wait:\n{}", hits.join("\n"));
    }
}

#[test]
fn the_environment_is_read_in_two_places() {
    let mut hits = Vec::new();
    for folder in ["system", "chaos"] {
        for (name, text) in sources(folder) {
            let free = READS_ENVIRONMENT.iter().any(|place| name.starts_with(place)) || name.contains("/tests/");
            if !free {
                let one = [(name, text)];
                hits.extend(["env::var", "env::vars", "env::args"].iter().flat_map(|word| lines_with(&one, word)));
            }
        }
    }
    assert!(hits.is_empty(), "the environment belongs to {READS_ENVIRONMENT:?}:\n{}", hits.join("\n"));
}

#[test]
fn every_dependency_is_pinned_exactly() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("the root manifest");
    let manifest: toml::Table = manifest.parse().expect("valid TOML");
    let dependencies = manifest["workspace"]["dependencies"].as_table().expect("[workspace.dependencies]");
    let loose = dependencies.iter().filter(|(_, value)| {
        let version = value.as_str().or_else(|| value.get("version").and_then(toml::Value::as_str));
        value.get("path").is_none() && !version.is_some_and(|version| version.starts_with('='))
    });
    let loose: Vec<_> = loose.map(|(name, _)| name).collect();
    assert!(loose.is_empty(), "not pinned with `=`: {loose:?}");
    for package in metadata().packages {
        for dependency in package.dependencies.iter().filter(|dependency| dependency.path.is_none()) {
            let requirement = dependency.req.to_string();
            assert!(requirement.starts_with('='), "{} takes {} {requirement}", package.name, dependency.name);
        }
    }
}

#[test]
fn every_source_says_what_it_is_for() {
    let folders = ["system", "chaos", "suites", "benches"];
    let silent = folders.iter().flat_map(|folder| sources(folder)).filter(|(_, text)| !text.starts_with("//!"));
    let silent: Vec<_> = silent.map(|(name, _)| name).collect();
    assert!(silent.is_empty(), "sources that do not begin with `//!` and their purpose:\n{}", silent.join("\n"));
}

/// The last section of docs/contract.md says which test holds which line; a test that was renamed holds nothing.
#[test]
fn every_test_that_the_contract_names_exists() {
    let contract = fs::read_to_string(root().join("docs/contract.md")).expect("the contract");
    let (_, table) = contract.split_once("## Which test holds which line").expect("its table of tests");
    let rows: Vec<_> = table.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() > 25, "the table has shrunk to {} lines", rows.len());
    tests_exist(&rows, &["system", "suites"]);
}

#[test]
fn the_contract_tells_every_code_that_a_node_can_send() {
    let contract = fs::read_to_string(root().join("docs/contract.md")).expect("the contract");
    let (_, rest) = contract.split_once("## Codes of refusals").expect("its table of codes");
    let table = rest.split("\n## ").next().unwrap_or_default();
    for code in system_protocol::Code::ALL {
        assert!(table.contains(&format!("`{}`", code.as_str())), "{} is not told", code.as_str());
    }
}

/// In SECURITY.md each threat names its own, in the last column.
#[test]
fn every_test_that_the_threat_model_names_exists() {
    let model = fs::read_to_string(root().join("SECURITY.md")).expect("the threat model");
    let rows: Vec<_> = model.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() >= 20, "the table has shrunk to {} lines", rows.len());
    tests_exist(&rows, &["system", "suites"]);
}

/// docs/protocol.md names those that hold a rule which no world can show broken.
#[test]
fn every_test_that_the_protocol_names_exists() {
    let protocol = fs::read_to_string(root().join("docs/protocol.md")).expect("the protocol");
    let (_, rest) = protocol.split_once("| rule | test |").expect("its table of tests");
    let rows: Vec<_> = rest.lines().skip(2).take_while(|line| line.starts_with("| ")).collect();
    assert!(rows.len() >= 10, "the table has shrunk to {} lines", rows.len());
    tests_exist(&rows, &["system/delivery", "system/client"]);
}

/// All of what a world is made of, and what would make one seed two worlds there.
const SIMULATED: [&str; 3] = ["system/protocol", "system/delivery", "suites/simulation"];
const UNLIKE: [&str; 7] = [
    "std::collections::HashMap",
    "std::collections::HashSet",
    "std::hash::RandomState",
    "std::hash::DefaultHasher",
    "std::time::Instant",
    "std::time::SystemTime",
    "std::thread::spawn",
];

/// Clippy reads a package's own file and no other.
#[test]
fn what_is_simulated_disallows_what_differs_from_run_to_run() {
    for folder in SIMULATED {
        let told = fs::read_to_string(root().join(folder).join("clippy.toml")).expect("what clippy is told");
        let named = |path: &&&str| {
            !told.contains(&format!("path = \"{path}\"")) && !told.contains(&format!("path = \"{path}::"))
        };
        let missing: Vec<_> = UNLIKE.iter().filter(named).collect();
        assert!(missing.is_empty(), "{folder}/clippy.toml allows {missing:?}");
    }
}

/// Without `biased` a `select!` polls its branches in a random order, and one seed gives two worlds.
#[test]
fn what_is_simulated_selects_in_a_fixed_order() {
    let sources: Vec<_> = SIMULATED.iter().flat_map(|folder| sources(folder)).collect();
    let mut selects = 0;
    for (name, text) in &sources {
        let code: Vec<_> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        for (behind, body) in code.join("\n").split("select!").enumerate().skip(1) {
            let body = body.trim_start().strip_prefix('{').unwrap_or_default();
            assert!(body.trim_start().starts_with("biased;"), "{name}: select! number {behind} is not `biased`");
            selects += 1;
        }
    }
    assert!(selects >= 5, "only {selects} found: the test looks in the wrong place");
}

/// Every row names tests, in its last column, that are in these folders.
fn tests_exist(rows: &[&str], folders: &[&str]) {
    let sources: Vec<_> = folders.iter().flat_map(|folder| sources(folder)).collect();
    for row in rows {
        let (_, tests) = row.rsplit_once(" | ").unwrap_or_default();
        let tests: Vec<_> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "no test holds this line: {row}");
        let missing: Vec<_> = tests.iter().filter(|name| !is_test(&sources, name)).collect();
        assert!(missing.is_empty(), "no such tests: {missing:?}");
    }
}

/// Whether one of the sources has a test of that name.
fn is_test(sources: &[(String, String)], name: &str) -> bool {
    let declared = format!("fn {name}(");
    let marked = |text: &str| {
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        let at = lines.iter().position(|line| line.contains(&declared));
        at.is_some_and(|at| at > 0 && lines[..at].iter().rev().take(3).any(|line| line.contains("test")))
    };
    sources.iter().any(|(_, text)| marked(text))
}
