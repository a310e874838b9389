//! The system under test as a value: how one of its nodes is started, how it shows that it serves, what it speaks, and
//! what it promises. The reference system is one such value among others (`fixtures/systems/holdfast.toml`).

mod load;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, ffi::OsStr, path::PathBuf};

pub(crate) use load::known_marks;

use chaos_checkers::Contract;
use chaos_cluster::{ContainerSettings, Program, Ready, USUAL_PATH, missing_program};
use chaos_workload::Dialect;
use serde::{Deserialize, Serialize};

use crate::drill::{Backend, Drill};

const REFERENCE: &str = include_str!("../../../fixtures/systems/holdfast.toml");
/// Stands for the program of the reference node.
const CHAT_NODE: &str = "{chat_node}";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct System {
    /// The file's stem.
    pub name: String,
    /// One sentence: what it is.
    pub title: String,
    /// What it claims to promise.
    pub contract: Contract,
    /// Where its file lies; commands run there.
    pub folder: PathBuf,
    pub start: Start,
    pub ready: Ready,
    /// `None`: it speaks docs/contract.md, gives offsets and exports spans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialect: Option<Dialect>,
}

/// A node of it: a command, an image, or either. What is written `{so}` in texts is replaced: [`Start::MARKS`] and
/// [`Program::MARKS`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// The program and what comes before `arguments`; for the backend `processes`.
    pub command: Vec<String>,
    /// Its entry point takes `arguments`; for the backend `containers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    pub arguments: Vec<String>,
    pub env: BTreeMap<String, String>,
    /// Whether it finds the harness's environment in its own.
    pub inherit: bool,
}

impl Start {
    /// Settings of the drill, without their braces; those in `_ms` are whole milliseconds.
    pub(crate) const MARKS: [&'static str; 8] = [
        "chat_node",
        "ping_interval",
        "ping_interval_ms",
        "ping_timeout",
        "ping_timeout_ms",
        "history_window",
        "delivery",
        "fence",
    ];

    /// Whether a node finds this mark's value in anything that it is started with.
    pub(crate) fn tells(&self, mark: &str) -> bool {
        let mark = format!("{{{mark}}}");
        let texts = self.command.iter().chain(&self.arguments).chain(self.env.values());
        texts.into_iter().any(|text| text.contains(&mark))
    }
}

impl System {
    /// Names the reference system, which is no file.
    pub const REFERENCE: &str = "holdfast";

    pub fn reference() -> System {
        let read = System::from_text("holdfast.toml", System::REFERENCE, PathBuf::new(), REFERENCE);
        read.unwrap_or_else(|mistakes| unreachable!("a test loads it: {mistakes}"))
    }

    /// Whether its program is the node of this workspace.
    pub fn is_reference(&self) -> bool {
        self.start.command.first().is_some_and(|program| program == CHAT_NODE)
    }

    /// What containers of it are made of: its own image goes first.
    pub fn in_containers(&self, given: &ContainerSettings) -> ContainerSettings {
        ContainerSettings { chat: self.start.image.clone().or_else(|| given.chat.clone()), ..given.clone() }
    }

    /// Why it cannot run there.
    pub(crate) fn unfit_for(&self, backend: Backend) -> Option<String> {
        let System { name, start, .. } = self;
        match backend {
            Backend::Processes if start.command.is_empty() => {
                Some(format!("{name} is an image and no command: it needs `--backend containers`"))
            }
            Backend::Containers if start.image.is_none() && !self.is_reference() => {
                Some(format!("{name} names no `start.image`, which the backend `containers` needs"))
            }
            _ => None,
        }
    }

    /// Why its command cannot be run. A program that is named by no path is looked for in `path`, as `$PATH` is written,
    /// unless its own environment says otherwise.
    pub fn missing_program(&self, path: &OsStr) -> Option<String> {
        let program = self.start.command.first().filter(|program| !program.contains('{'))?;
        let own = self.start.env.get("PATH").map(OsStr::new);
        let usual = if self.start.inherit { path } else { OsStr::new(USUAL_PATH) };
        let why = missing_program(&self.folder, program, Some(own.unwrap_or(usual)))?;
        Some(format!("{}: `start.command`: {program} {why}", self.name))
    }

    /// How to start a node in this drill, and with which variables. `chat_node` is the program of the reference node.
    pub(crate) fn program(&self, drill: &Drill, chat_node: &str) -> (Program, BTreeMap<String, String>) {
        let cluster = &drill.cluster;
        let millis = |length: chaos_observe::Length| length.get().as_millis().to_string();
        let told = [
            chat_node.to_owned(),
            cluster.ping_interval.to_string(),
            millis(cluster.ping_interval),
            cluster.ping_timeout.to_string(),
            millis(cluster.ping_timeout),
            cluster.history_window.to_string(),
            cluster.delivery.to_string(),
            cluster.fence.to_string(),
        ];
        let fill = |text: &String| {
            let marks = Start::MARKS.iter().zip(&told);
            marks.fold(text.clone(), |text, (mark, value)| text.replace(&format!("{{{mark}}}"), value))
        };
        let mut command: Vec<_> = self.start.command.iter().map(fill).collect();
        if cluster.backend == Backend::Containers && self.start.image.is_some() {
            command.clear();
        }
        let mut words = command.into_iter();
        let named = PathBuf::from(words.next().unwrap_or_default());
        // A bare name is for the search path.
        let here = named.components().count() > 1;
        let program = Program {
            command: if here { self.folder.join(named) } else { named },
            arguments: words.chain(self.start.arguments.iter().map(fill)).collect(),
            folder: (!self.is_reference()).then(|| self.folder.clone()),
            ready: self.ready.clone(),
            inherits: self.start.inherit,
        };
        (program, self.start.env.iter().map(|(name, value)| (name.clone(), fill(value))).collect())
    }
}
