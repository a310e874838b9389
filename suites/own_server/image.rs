//! A server of somebody else's as an image, as its owner would build one: Node.js, the packages, the script. What is in it
//! is this machine's, so that no registry is needed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use chaos_drill::System;

use super::modules;
use crate::{official_client::node, wait::not_tested, warm::ground};

/// Debian's Node.js reads some of its own modules from here.
const OWN_MODULES: [&str; 4] = ["acorn", "acorn-walk", "cjs-module-lexer", "undici"];
const DOCKERFILE: &str = "FROM scratch\nCOPY root /\nWORKDIR /server\nENTRYPOINT [\"/usr/bin/node\", \"server.js\"]\n";

/// The system of this file, whose script lies beside it, as an image and not as a command. `None` where it cannot be
/// built: loudly, and in CI a failure.
pub(super) fn packed(file: &Path) -> Option<System> {
    if !engine_answers() {
        not_tested("a server of somebody else's as an image, for want of a Docker engine");
        return None;
    }
    let modules = modules()?;
    let node = told(node()?.args(["-p", "process.execPath"]));
    let folder = tempfile::tempdir_in(ground()).expect("a folder");
    let root = folder.path().join("root");
    copy(Path::new(&node), &root.join("usr/bin/node"));
    for library in libraries(&node) {
        copy(&library, &root.join(library.strip_prefix("/").expect("a whole path")));
    }
    let own = OWN_MODULES.map(|name| Path::new("/usr/share/nodejs").join(name));
    for module in own.iter().filter(|module| module.is_dir()) {
        copy(module, &root.join(module.strip_prefix("/").expect("a whole path")));
    }
    copy(&modules, &root.join("server/node_modules"));
    copy(&file.with_file_name("server.js"), &root.join("server/server.js"));
    fs::write(folder.path().join("Dockerfile"), DOCKERFILE).expect("written");
    // The builder that every engine has; it makes the same contents once.
    let name = format!("holdfast/own-server-{}", file.file_stem().expect("a name").display());
    let mut build = Command::new("docker");
    told(build.env("DOCKER_BUILDKIT", "0").args(["build", "--quiet", "--tag", &name]).arg(folder.path()));
    Some(load(file, &name))
}

/// The file with an image in the place of its command.
fn load(file: &Path, image: &str) -> System {
    let text = fs::read_to_string(file).expect("a system file");
    let line = |line: &str| match line {
        command if command.starts_with("command") => Some(format!("image = \"{image}\"")),
        // The packages lie beside the script.
        modules if modules.starts_with("env = { NODE_PATH") => None,
        other => Some(other.to_owned()),
    };
    let text = text.lines().filter_map(line).collect::<Vec<_>>().join("\n");
    let (path, folder) = (file.display().to_string(), file.parent().expect("a folder").to_owned());
    let name = file.file_stem().expect("a name").to_string_lossy();
    System::from_text(&path, &name, folder, &text).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn engine_answers() -> bool {
    Command::new("docker").arg("version").output().is_ok_and(|answer| answer.status.success())
}

/// As `ldd` names them, the loader among them.
fn libraries(program: &str) -> Vec<PathBuf> {
    let said = told(Command::new("ldd").arg(program));
    let paths = said.split_whitespace().filter(|word| word.starts_with('/'));
    paths.map(PathBuf::from).collect()
}

/// What a name points to, under that name.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().expect("a folder")).expect("made");
    told(Command::new("cp").args(["--recursive", "--dereference"]).arg(from).arg(to));
}

/// What a command says that must work.
fn told(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8_lossy(&stdout).trim().to_owned()
}
