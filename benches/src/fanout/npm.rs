//! The server on Socket.IO for Node in `fixtures/systems`: whether it can run here, and how it is started.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

const FOLDER: &str = "systems/socket.io";

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(FOLDER)
}

/// Where `just systems` installs.
fn installed() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target")).join(FOLDER)
}

/// Why it cannot run.
pub(super) fn missing() -> Option<String> {
    let node = Command::new("node").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !node.is_ok_and(|status| status.success()) {
        return Some("there is no Node.js (Debian: apt-get install nodejs npm)".to_owned());
    }
    let lock = |folder: PathBuf| std::fs::read(folder.join("package-lock.json")).ok();
    let there = installed().join("node_modules").exists() && lock(installed()) == lock(source());
    (!there).then(|| "what it needs is not installed (just systems)".to_owned())
}

/// Its name with the version that is pinned.
pub(super) fn version() -> String {
    let package = std::fs::read_to_string(source().join("package.json")).expect("fixtures/systems/socket.io");
    let package: Value = serde_json::from_str(&package).expect("package.json is JSON");
    format!("socket.io {}", package["dependencies"]["socket.io"].as_str().unwrap_or_default())
}

pub(super) fn server() -> Command {
    let mut command = Command::new("node");
    command.arg(source().join("server.js")).env("NODE_PATH", installed().join("node_modules"));
    command
}
