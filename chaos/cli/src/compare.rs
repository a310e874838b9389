//! `chaos compare [system …]`: the same drill on several systems, one after the other, and one table.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fmt::Display,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    str::FromStr,
};

use chaos_cluster::EngineChoice;
use chaos_drill::{
    Backend, Compared, Drill, Exit, Gathered, Mistakes, Overrides, Planted, RunError, Stop, System, as_html, as_text,
    load,
};
use clap::builder::PossibleValuesParser;

use crate::{
    drill::{How, choose, perform},
    environment::Environment,
    stop, system, terminal,
};

/// Where the workspace keeps systems to compare with.
const SHIPPED: &str = "fixtures/systems";
const PAGE: &str = "compare.html";
const NODES: RangeInclusive<u8> = 1..=16;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// System files (docs/your-own-server.md), and `holdfast` for the reference system; without any: that and those of
    /// fixtures/systems
    #[arg(value_name = "SYSTEM")]
    systems: Vec<String>,
    /// The drill
    #[arg(long, value_name = "NAME|FILE", default_value = "primary-kill")]
    drill: String,
    /// Another seed than the drill's
    #[arg(long, value_name = "N", value_parser = |text: &str| Ok::<_, Infallible>(given::<u64>(text)))]
    seed: Option<Given<u64>>,
    /// Which server to run the clusters on: `any`, `>=7.2`, `redis-7.0`, `redis-7.2`, `redis-8.2`, `valkey-8.1` or `valkey-9.1`
    #[arg(long, value_parser = |text: &str| Ok::<_, Infallible>(given::<EngineChoice>(text)))]
    engine: Option<Given<EngineChoice>>,
    /// How many chat nodes
    #[arg(long, value_name = "N", value_parser = |text: &str| Ok::<_, Infallible>(nodes(text)))]
    nodes: Option<Given<u8>>,
    /// Where the systems run; one that is an image and no command needs `containers`
    #[arg(long, value_parser = PossibleValuesParser::new([Backend::Processes, Backend::Containers].map(Backend::as_str)))]
    backend: Option<String>,
    /// Where run directories and compare.html go
    #[arg(long, value_name = "FOLDER", default_value = "target/drills")]
    runs: PathBuf,
    /// As JSON: one object a system
    #[arg(long)]
    json: bool,
}

/// An option's value, or what is wrong with it: that is told with the mistakes of the files, not before them.
type Given<T> = Result<T, String>;

fn given<T: FromStr<Err: Display>>(text: &str) -> Given<T> {
    text.parse().map_err(|error| format!("{text:?}: {error}"))
}

fn nodes(text: &str) -> Given<u8> {
    let nodes = given(text)?;
    if NODES.contains(&nodes) { Ok(nodes) } else { Err(format!("{nodes} is outside {NODES:?}")) }
}

fn value<T: Clone>(given: Option<&Given<T>>) -> Option<T> {
    given.and_then(|given| given.clone().ok())
}

pub(crate) fn run(arguments: &Arguments) -> Exit {
    let drills = match arguments.drills() {
        Ok(drills) => drills,
        Err(mistakes) => return terminal::refuse(&mistakes, Exit::Usage),
    };
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(arguments.live(drills)),
        Err(error) => terminal::refuse(&format!("cannot start the runtime: {error}"), Exit::Harness),
    }
}

impl Arguments {
    /// The drill on each system; every mistake of the options and of all files, the drill's own too.
    fn drills(&self) -> Result<Vec<(String, Drill)>, Gathered> {
        let named = if self.systems.is_empty() { shipped() } else { self.systems.clone() };
        let (mut wrong, mut drills) = (self.wrong_options(), Vec::new());
        let mut files: BTreeMap<String, String> = BTreeMap::new();
        for file in named {
            let system = wrong.note(system::load(&file));
            // Its runs and its row would stand in for each other's.
            if let Some(System { name, .. }) = &system
                && let Some(before) = files.insert(name.clone(), file.clone())
            {
                let why = format!("the system {name} is given twice: as {before} and as {file}");
                wrong.note::<()>(Err(Mistakes::unfit(&file, vec![why])));
            }
            let drill = wrong.note(load(&self.drill, &Overrides { system, ..self.settings() }));
            drills.extend(drill.map(|drill| (file, drill)));
        }
        if wrong.is_empty() { Ok(drills) } else { Err(wrong) }
    }

    fn wrong_options(&self) -> Gathered {
        let runs = (self.runs.exists() && !self.runs.is_dir()).then(|| format!("{} is no folder", self.runs.display()));
        let options = [
            ("--seed", self.seed.as_ref().and_then(|given| given.clone().err())),
            ("--engine", self.engine.as_ref().and_then(|given| given.clone().err())),
            ("--nodes", self.nodes.as_ref().and_then(|given| given.clone().err())),
            ("--runs", runs),
        ];
        let mut wrong = Gathered::default();
        for (option, why) in options {
            wrong.note(why.map_or(Ok(()), |why| Err(Mistakes::unfit(option, vec![why]))));
        }
        wrong
    }

    fn settings(&self) -> Overrides {
        let engine = value(self.engine.as_ref()).map(|engine| engine.to_string());
        let (seed, chat_nodes) = (value(self.seed.as_ref()), value(self.nodes.as_ref()));
        let backend = choose(Backend::NAMES, self.backend.as_deref());
        Overrides { seed, engine, chat_nodes, backend, ..Overrides::default() }
    }

    /// The command that does the same again.
    fn again(&self, files: &[String]) -> String {
        let seed = value(self.seed.as_ref()).map(|seed| format!("--seed {seed}"));
        let files = seed.into_iter().chain(files.iter().cloned());
        with(format!("chaos compare --drill {}", self.drill), &self.settings(), files)
    }

    /// That of one system's run; its report adds the seed.
    fn again_alone(&self, file: &str) -> String {
        with(format!("chaos drill {}", self.drill), &self.settings(), [format!("--system {file}")])
    }

    async fn live(&self, drills: Vec<(String, Drill)>) -> Exit {
        let stop = Stop::default();
        if let Err(error) = stop::on_signals(stop.clone()) {
            return terminal::refuse(&format!("cannot listen for Ctrl-C: {error}"), Exit::Harness);
        }
        let environment = Environment::read();
        let files: Vec<_> = drills.iter().map(|(file, _)| file.clone()).collect();
        let (mut compared, mut of, mut exit) = (Vec::new(), String::new(), Exit::Pass);
        let mut given_up = None;
        let all = drills.len();
        for (nth, (file, drill)) in drills.into_iter().enumerate() {
            terminal::remark(&format!("\n[{}/{all}] {}: {}", nth + 1, drill.system.name, drill.system.title));
            let (system, title) = (drill.system.name.clone(), drill.system.title.clone());
            let command = self.again_alone(&file);
            // A folder each: of one, the newest few runs are kept.
            let runs = self.runs.join(&system);
            let how = How { command, runs, keep: false, planted: Planted::default(), confirmed: None };
            let row = match Box::pin(perform(drill, how, &environment, stop.clone())).await {
                Ok(judged) => {
                    of = described(&judged.plan);
                    let run = Some(judged.run.display().to_string());
                    Compared { system, title, found: Some(judged.found), failed: None, run }
                }
                Err(error @ (RunError::Aborted { .. } | RunError::NotBegun { .. })) => {
                    given_up = Some(error);
                    break;
                }
                Err(error) => {
                    exit = error.exit();
                    Compared { system, title, found: None, failed: Some(error.to_string()), run: None }
                }
            };
            terminal::remark(&as_text(std::slice::from_ref(&row)));
            compared.push(row);
        }
        let Some(error) = given_up else { return self.tell(&compared, &of, &self.again(&files)).unwrap_or(exit) };
        if !compared.is_empty() {
            of = format!("{of}; given up after {} of {all} systems", compared.len());
            self.tell(&compared, &of, &self.again(&files));
        }
        terminal::refuse(&error, error.exit())
    }

    /// Both ways; an exit code when one of them fails.
    fn tell(&self, compared: &[Compared], of: &str, again: &str) -> Option<Exit> {
        if self.json {
            for row in compared {
                terminal::out(&serde_json::to_string(row).expect("a row is JSON"));
            }
        } else {
            terminal::out(&format!("{of}\n{}", as_text(compared)));
        }
        let page = self.runs.join(PAGE);
        // Where no run began there is no folder yet.
        let written =
            std::fs::create_dir_all(&self.runs).and_then(|()| std::fs::write(&page, as_html(compared, of, again)));
        match written {
            Ok(()) => terminal::remark(&format!("the same as a page: {}", page.display())),
            Err(error) => return Some(terminal::refuse(&format!("{}: {error}", page.display()), Exit::Harness)),
        }
        None
    }
}

fn with(command: String, settings: &Overrides, more: impl IntoIterator<Item = String>) -> String {
    let words = [command].into_iter().chain(settings.as_arguments()).chain(more);
    words.collect::<Vec<_>>().join(" ")
}

/// The drill, its load and what it ran on.
fn described(plan: &chaos_drill::Plan) -> String {
    let (drill, load) = (&plan.drill, &plan.drill.workload);
    let engine =
        plan.engine.as_ref().map_or_else(String::new, |engine| format!("{} {}, ", engine.kind, engine.version));
    format!(
        "{}: {}{} × (1 + {}) Redis, {} chat nodes, {} users in {} rooms, {} sends/s, seed {}",
        drill.name,
        engine,
        drill.cluster.redis.shards,
        drill.cluster.redis.replicas_per_shard,
        drill.cluster.chat_nodes,
        load.users(),
        load.rooms,
        load.sends_per_second,
        drill.seed
    )
}

/// The reference system, and the files that lie below `fixtures/systems` of this folder.
fn shipped() -> Vec<String> {
    let folders = std::fs::read_dir(SHIPPED).into_iter().flatten().flatten().map(|entry| entry.path());
    let files = folders.filter(|folder| folder.is_dir()).flat_map(|folder| files_in(&folder));
    let mut files: Vec<_> = files.collect();
    files.sort();
    [System::REFERENCE.to_owned()].into_iter().chain(files).collect()
}

fn files_in(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.map(|path| path.display().to_string()).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        arguments: super::Arguments,
    }

    #[test]
    fn what_does_the_same_again_has_every_setting() {
        let Command { arguments } =
            Command::parse_from("compare x.toml --engine redis-7.0 --nodes 4 --backend containers --seed 9".split(' '));
        let settings = "primary-kill --engine redis-7.0 --nodes 4 --backend containers";
        let again = arguments.again(&["x.toml".to_owned()]);
        assert_eq!(again, format!("chaos compare --drill {settings} --seed 9 x.toml"));
        let alone = arguments.again_alone("x.toml");
        assert_eq!(alone, format!("chaos drill {settings} --system x.toml"));
    }
}
