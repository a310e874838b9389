//! `chaos drill <name|file>`: the whole experiment.

use std::path::PathBuf;

use chaos_cluster::EngineChoice;
use chaos_drill::{
    Backend, CONTRACTS, Delivery, Deployed, Drill, Exit, Expectation, Fence, Gathered, Judged, Overrides, Plan,
    Planted, RunError, Settings, Stop, load,
};
use clap::builder::PossibleValuesParser;

use crate::{containers, deployment, environment::Environment, progress, stop, system, terminal};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A shipped drill (see `chaos drills`), or a drill file
    #[arg(value_name = "NAME|FILE")]
    drill: String,
    /// Your own server: a file that says how it is started and spoken to (docs/your-own-server.md)
    #[arg(long, value_name = "FILE")]
    system: Option<String>,
    /// Judge by this contract instead of the one that the system claims
    #[arg(long, value_parser = PossibleValuesParser::new(["acked_is_durable", "at_most_once"]))]
    contract: Option<String>,
    /// Print the plan and stop
    #[arg(long)]
    dry_run: bool,
    /// Another seed than the file's
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Keep the servers' data in the run directory
    #[arg(long)]
    keep: bool,
    /// `declared`, or `fail:R12[,R1]`: succeed when these rules failed
    #[arg(long, value_name = "WHAT", default_value = "", value_parser = expectation, hide_default_value = true)]
    expect: Expectation,
    /// What stands between the append and the ack
    #[arg(long, value_parser = PossibleValuesParser::new(["full", "none"]))]
    fence: Option<String>,
    /// How the nodes deliver
    #[arg(long, value_parser = PossibleValuesParser::new(["log", "pubsub"]))]
    delivery: Option<String>,
    /// Which server to run the cluster on: `any`, `>=7.2`, `redis-7.0`, `redis-7.2`, `redis-8.2`, `valkey-8.1` or `valkey-9.1`
    #[arg(long)]
    engine: Option<EngineChoice>,
    /// How many chat nodes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=16))]
    nodes: Option<u8>,
    /// Where the system under test runs
    #[arg(long, value_parser = PossibleValuesParser::new(["processes", "containers", "external"]))]
    backend: Option<String>,
    /// For `external`: a file that says where your deployment runs and what may be done to it (docs/game-day.md)
    #[arg(long, value_name = "FILE")]
    deployment: Option<String>,
    /// Really do it, to the deployment of this name; without, it is only looked at
    #[arg(long, value_name = "NAME", requires = "deployment")]
    yes_this_is: Option<String>,
    /// Where run directories go
    #[arg(long, value_name = "FOLDER", default_value = "target/drills")]
    runs: PathBuf,
    /// Bugs to plant (debug builds only), as `drop_fanout=50`; `drop_received=50` plants one in the clients
    #[cfg(debug_assertions)]
    #[arg(long, value_name = "SPEC", default_value = "")]
    plant: String,
}

fn expectation(text: &str) -> Result<Expectation, String> {
    match text {
        "" => Ok(Expectation::None),
        text => text.parse().map_err(|error| format!("{error}")),
    }
}

impl Arguments {
    /// The command that does the same again; on a deployment it must be confirmed again.
    fn again(&self) -> String {
        let mut command = vec![format!("chaos drill {}", self.drill)];
        command.extend(self.system.as_ref().map(|file| format!("--system {file}")));
        command.extend(self.deployment.as_ref().map(|file| format!("--deployment {file}")));
        command.extend(self.settings().as_arguments());
        command.join(" ")
    }

    /// Or every mistake of all files.
    async fn drill(&self, environment: &Environment) -> Result<Drill, Gathered> {
        let mut wrong = Gathered::default();
        let system = self.system.as_deref().and_then(|file| wrong.note(system::load(file)));
        let mut settings = Overrides { system, ..self.settings() };
        if let Some(file) = &self.deployment {
            settings.deployment = wrong.note(deployment::look(file, environment).await);
            // What its file says is wrong already.
            settings.backend =
                settings.backend.filter(|backend| settings.deployment.is_some() || *backend != Backend::External);
        }
        match wrong.note(load(&self.drill, &settings)) {
            Some(drill) if wrong.is_empty() => Ok(drill),
            _ => Err(wrong),
        }
    }

    /// All but the system.
    fn settings(&self) -> Overrides {
        Overrides {
            seed: self.seed,
            engine: self.engine.map(|engine| engine.to_string()),
            chat_nodes: self.nodes,
            backend: choose(Backend::NAMES, self.backend.as_deref()),
            fence: choose(Fence::NAMES, self.fence.as_deref()),
            delivery: choose(Delivery::NAMES, self.delivery.as_deref()),
            system: None,
            contract: choose(CONTRACTS, self.contract.as_deref()),
            deployment: None,
        }
    }
}

pub(crate) fn choose<T: Copy>(known: &[(&str, T)], given: Option<&str>) -> Option<T> {
    known.iter().find(|(name, _)| Some(*name) == given).map(|(_, value)| *value)
}

pub(crate) fn run(arguments: &Arguments) -> Exit {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(load_and_run(arguments)),
        Err(error) => terminal::refuse(&format!("cannot start the runtime: {error}"), Exit::Harness),
    }
}

async fn load_and_run(arguments: &Arguments) -> Exit {
    let environment = Environment::read();
    let drill = match arguments.drill(&environment).await {
        Ok(drill) => drill,
        Err(mistakes) => return terminal::refuse(&mistakes, Exit::Usage),
    };
    if arguments.dry_run {
        return dry_run(arguments, drill, &environment).await;
    }
    if let Some(Err(why)) = drill.deployment.as_ref().map(|there| there.confirmed(arguments.yes_this_is.as_deref())) {
        let shown = dry_run(arguments, drill, &environment).await;
        return if shown == Exit::Pass { terminal::refuse(&why, Exit::Usage) } else { shown };
    }
    live(arguments, drill, &environment).await
}

/// The plan with the engine that is here, or the images; what would have to be fetched or pulled is not.
async fn dry_run(arguments: &Arguments, drill: Drill, environment: &Environment) -> Exit {
    let in_containers = drill.cluster.backend == Backend::Containers;
    let (system, choice) = (drill.system.clone(), drill.engine());
    let here = match drill.deployment.as_ref().and_then(Deployed::engine) {
        Some(engine) => Ok(Some(engine)),
        // That of an image, which must run to tell.
        None if in_containers => Ok(None),
        None => environment.engine_here(choice),
    };
    let engine = match here {
        Ok(engine) => engine,
        Err(error) => return terminal::refuse(&error, Exit::Harness),
    };
    let nowhere = drill.missing_program(environment.search_path());
    let plan = Plan::of(drill, engine.as_ref(), arguments.again());
    let (lines, missing) = if in_containers {
        containers::outlook(choice, &system, environment).await
    } else {
        (String::new(), Vec::from_iter(nowhere))
    };
    terminal::out(&format!("{plan}{lines}"));
    if missing.is_empty() { Exit::Pass } else { terminal::refuse(&missing.join("\n"), Exit::Harness) }
}

async fn live(arguments: &Arguments, drill: Drill, environment: &Environment) -> Exit {
    let stop = Stop::default();
    if let Err(error) = stop::on_signals(stop.clone()) {
        return terminal::refuse(&format!("cannot listen for Ctrl-C: {error}"), Exit::Harness);
    }
    let how = How {
        command: arguments.again(),
        runs: arguments.runs.clone(),
        keep: arguments.keep,
        confirmed: arguments.yes_this_is.clone(),
        #[cfg(debug_assertions)]
        planted: Planted::parse(&arguments.plant),
        #[cfg(not(debug_assertions))]
        planted: Planted::default(),
    };
    match Box::pin(perform(drill, how, environment, stop)).await {
        Ok(judged) => report(&arguments.expect, &judged),
        Err(error) => terminal::refuse(&error, error.exit()),
    }
}

/// What the command line says of a run beside the drill.
pub(crate) struct How {
    /// That does the same again.
    pub(crate) command: String,
    pub(crate) runs: PathBuf,
    pub(crate) keep: bool,
    pub(crate) planted: Planted,
    /// The deployment that may be touched.
    pub(crate) confirmed: Option<String>,
}

/// Finds the servers, tells the plan, and runs it before whoever watches.
pub(crate) async fn perform(drill: Drill, how: How, environment: &Environment, stop: Stop) -> Result<Judged, RunError> {
    // Before an engine is fetched, an image pulled or a cluster formed for it.
    if let Some(why) = drill.missing_program(environment.search_path()) {
        return Err(RunError::Harness(why));
    }
    let there = drill.deployment.as_ref().and_then(Deployed::engine);
    let (engine, containers) = match (there, drill.cluster.backend) {
        (Some(engine), _) => (engine, None),
        (None, Backend::Containers) => {
            let (choice, system) = (drill.engine(), &drill.system);
            let containers = tokio::select! {
                biased;
                why = stop.asked() => return Err(RunError::NotBegun { why }),
                pulled = environment.images(choice, system) => {
                    pulled.map_err(|error| RunError::Harness(error.to_string()))?
                }
            };
            let engine = environment.engine_of(choice, &containers).await.map_err(RunError::Harness)?;
            (engine, Some(containers))
        }
        (None, Backend::Processes | Backend::External) => {
            let engine = environment.engine(drill.engine());
            (engine.map_err(|error| RunError::Harness(error.to_string()))?, None)
        }
    };
    let packs = containers.as_ref().is_none_or(|containers| containers.chat.is_none());
    let node = if packs && drill.system.is_reference() && drill.deployment.is_none() {
        environment.chat_node().map_err(|error| RunError::Harness(error.to_string()))?
    } else {
        PathBuf::new()
    };
    let plan = Plan::of(drill, Some(&engine), how.command);
    terminal::remark(&plan.to_string());
    let audience = progress::audience(&plan.drill.name, plan.estimate.get());
    let settings = Settings {
        plan,
        engine,
        containers,
        node,
        runs: how.runs,
        keep: how.keep,
        forward: environment.otlp_endpoint.clone(),
        planted: how.planted,
        confirmed: how.confirmed,
    };
    chaos_drill::run(settings, audience.as_ref(), stop).await
}

fn report(expectation: &Expectation, judged: &Judged) -> Exit {
    terminal::out(&judged.report);
    let (exit, sentence) = expectation.settle(&judged.plan.drill, &judged.verdict);
    if let Some(sentence) = sentence {
        terminal::out(&sentence);
    }
    exit
}
