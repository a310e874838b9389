//! Where the chat node's binary is: given, beside this one, or built by cargo in the workspace.
//!
//! A binary that is older than what it was made of would be tested in the place of the sources that one reads. Cargo
//! writes beside each binary what it was made of (`chat-node.d`), so that can be seen. Inside `cargo test` no cargo is
//! run: another choice of packages unifies features differently and rebuilds half the graph.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::SystemTime,
};

use crate::engine::Progress;

const NAME: &str = "chat-node";
/// What `cargo run` tells this program of its own package. A build script that watches it, such as ring's, would run
/// again, and half the graph after it.
const TOLD_BY_CARGO: [&str; 7] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_LINKS",
    "CARGO_PKG_NAME",
    "CARGO_PKG_VERSION_MAJOR",
    "CARGO_PKG_VERSION_MINOR",
    "CARGO_PKG_VERSION_PATCH",
    "CARGO_PKG_VERSION_PRE",
];

#[derive(Debug, thiserror::Error)]
pub enum BinaryError {
    #[error("the chat node that was given, {path}: there is no such file", path = path.display())]
    Given { path: PathBuf },
    #[error("there is no {NAME} at {path}: run `{command}`, or set CHAT_NODE to its path", path = path.display())]
    Missing { path: PathBuf, command: String },
    #[error("{path} is older than {source_file}: run `{command}`", path = path.display(), source_file = source_file.display())]
    Old { path: PathBuf, source_file: PathBuf, command: String },
    #[error("`{command}` failed: {why}")]
    Build { command: String, why: String },
}

/// Whether cargo may be run.
#[derive(Clone, Copy)]
pub enum Build<'a> {
    /// In tests.
    Never,
    /// When the binary is missing or old, and this executable lies in the target folder of the workspace.
    WhenNeeded(Progress<'a>),
}

/// `given` is `$CHAT_NODE`; `executable` the running one. One that was given is taken as it is.
pub fn chat_node(given: Option<&Path>, executable: &Path, build: Build<'_>) -> Result<PathBuf, BinaryError> {
    if let Some(path) = given {
        let found = path.is_file().then(|| path.to_owned());
        return found.ok_or_else(|| BinaryError::Given { path: path.to_owned() });
    }
    let path = folder_of(executable).join(NAME);
    let Err(wrong) = check(&path) else { return Ok(path) };
    match (build, workspace(&path)) {
        (Build::WhenNeeded(progress), Some(workspace)) => {
            progress(&format!("building {NAME}"));
            make(&workspace, &path)?;
            check(&path).map(|()| path)
        }
        _ => Err(wrong),
    }
}

/// What [`chat_node`] would give where it may build.
#[derive(Debug, PartialEq, Eq)]
pub enum NodeOutlook {
    Here(PathBuf),
    /// Cargo makes it there first.
    ToBuild(PathBuf),
}

/// Nothing is built.
pub fn chat_node_outlook(given: Option<&Path>, executable: &Path) -> Result<NodeOutlook, BinaryError> {
    match chat_node(given, executable, Build::Never) {
        Ok(path) => Ok(NodeOutlook::Here(path)),
        Err(BinaryError::Missing { path, .. } | BinaryError::Old { path, .. }) if workspace(&path).is_some() => {
            Ok(NodeOutlook::ToBuild(path))
        }
        Err(error) => Err(error),
    }
}

/// Tests run in `deps` below the folder that binaries are in.
fn folder_of(executable: &Path) -> PathBuf {
    let folder = executable.parent().unwrap_or(Path::new("."));
    let above = folder.parent().filter(|_| folder.ends_with("deps"));
    above.unwrap_or(folder).to_owned()
}

fn check(path: &Path) -> Result<(), BinaryError> {
    let command = cargo_command(path);
    let Ok(made) = modified(path) else {
        return Err(BinaryError::Missing { path: path.to_owned(), command });
    };
    match sources(path).into_iter().find(|source| modified(source).is_ok_and(|changed| changed > made)) {
        Some(source_file) => Err(BinaryError::Old { path: path.to_owned(), source_file, command }),
        None => Ok(()),
    }
}

fn modified(path: &Path) -> std::io::Result<SystemTime> {
    path.metadata()?.modified()
}

/// What cargo says the binary was made of: `binary: source source …`, spaces in names escaped. Empty when it does not say.
fn sources(binary: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(binary.with_extension("d")).unwrap_or_default();
    let list = text.lines().next().and_then(|line| line.split_once(": ")).map_or("", |(_, list)| list);
    let escaped = list.replace("\\ ", "\0");
    escaped.split_whitespace().map(|source| source.replace('\0', " ").into()).collect()
}

fn arguments(path: &Path) -> Vec<&'static str> {
    let mut arguments = vec!["build", "--bin", NAME];
    if path.parent().is_some_and(|folder| folder.ends_with("release")) {
        arguments.push("--release");
    }
    arguments
}

fn cargo_command(path: &Path) -> String {
    format!("cargo {}", arguments(path).join(" "))
}

/// The folder whose `target` the binary's folder is, if it has the package.
fn workspace(path: &Path) -> Option<PathBuf> {
    let is_ours = |folder: &&Path| folder.join("Cargo.toml").is_file() && folder.join("system/server").is_dir();
    path.ancestors().skip(1).find(is_ours).map(Path::to_owned)
}

/// Cargo shows its own progress.
fn make(workspace: &Path, path: &Path) -> Result<(), BinaryError> {
    let failed = |why: String| BinaryError::Build { command: cargo_command(path), why };
    let mut cargo = Command::new("cargo");
    cargo.args(arguments(path)).current_dir(workspace).stdin(Stdio::null());
    if let Some(target) = path.ancestors().nth(2) {
        cargo.arg("--target-dir").arg(target);
    }
    for name in TOLD_BY_CARGO {
        cargo.env_remove(name);
    }
    let status = cargo.status().map_err(|error| failed(error.to_string()))?;
    if status.success() { Ok(()) } else { Err(failed(status.to_string())) }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, time::Duration};

    use super::*;

    fn write(path: &Path, text: &str, age: Duration) {
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
        let file = File::options().write(true).open(path).expect("a file");
        file.set_modified(SystemTime::now() - age).expect("dated");
    }

    const OLD: Duration = Duration::from_mins(1);

    #[test]
    fn what_was_given_must_be_there_and_is_taken_as_it_is() {
        let place = tempfile::NamedTempFile::new().expect("a file");
        let found = chat_node(Some(place.path()), Path::new("/x/chaos"), Build::Never).expect("given");
        assert_eq!(found, place.path());
        let error = chat_node(Some(Path::new("/nowhere")), Path::new("/x/chaos"), Build::Never).expect_err("nothing");
        assert!(error.to_string().contains("/nowhere: there is no such file"), "{error}");
    }

    #[test]
    fn a_test_looks_where_cargo_puts_binaries_and_names_the_command() {
        let place = tempfile::tempdir().expect("a folder");
        let test = place.path().join("debug/deps/suites-0123");
        let error = chat_node(None, &test, Build::Never).expect_err("nothing is there").to_string();
        let command = "run `cargo build --bin chat-node`";
        assert!(error.contains(command) && error.contains("debug/chat-node"), "{error}");
        write(&place.path().join("debug/chat-node"), "", OLD);
        assert_eq!(chat_node(None, &test, Build::Never).expect("there"), place.path().join("debug/chat-node"));
    }

    #[test]
    fn a_binary_older_than_its_sources_is_refused() {
        let place = tempfile::tempdir().expect("a folder");
        let [binary, same, changed] =
            ["release/chat-node", "src/same.rs", "src/the changed.rs"].map(|name| place.path().join(name));
        write(&binary, "", OLD);
        write(&same, "", OLD * 2);
        write(&changed, "", Duration::ZERO);
        let escaped = changed.display().to_string().replace(' ', "\\ ");
        write(&binary.with_extension("d"), &format!("{}: {} {escaped}\n", binary.display(), same.display()), OLD);
        let error = chat_node(None, &place.path().join("release/chaos"), Build::Never).expect_err("it is old");
        let error = error.to_string();
        assert!(error.contains("the changed.rs") && error.contains("--release"), "{error}");
    }

    #[test]
    fn what_is_not_there_and_what_is_old_is_to_be_built_in_a_workspace_only() {
        let place = tempfile::tempdir().expect("a folder");
        let (chaos, node) = (place.path().join("target/debug/chaos"), place.path().join("target/debug/chat-node"));
        let outlook = || chat_node_outlook(None, &chaos).map_err(|error| error.to_string());
        assert!(outlook().expect_err("nobody builds it here").contains("there is no chat-node"));
        write(&place.path().join("Cargo.toml"), "", OLD);
        fs::create_dir_all(place.path().join("system/server")).expect("made");
        assert_eq!(outlook(), Ok(NodeOutlook::ToBuild(node.clone())));
        write(&node, "", OLD);
        assert_eq!(outlook(), Ok(NodeOutlook::Here(node.clone())));
        let changed = place.path().join("src/changed.rs");
        write(&changed, "", Duration::ZERO);
        write(&node.with_extension("d"), &format!("{}: {}\n", node.display(), changed.display()), OLD);
        assert_eq!(outlook(), Ok(NodeOutlook::ToBuild(node)));
    }
}
