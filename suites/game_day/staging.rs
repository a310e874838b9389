//! The deployment is the warm cluster; its operator is a task of the test that does to those very processes what a
//! command asks for, by a file, or that a command does itself by a process's id.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use chaos_cluster::{Act, Cluster, LinkEnd, LinkKind, LinkState, Server};
use chaos_drill::{
    Deployed, Drill, Judged, Mistakes, Nobody, Overrides, Plan, Planted, RunError, Settings, Stop, from_text,
    load_deployment, run,
};
use tempfile::TempDir;

use crate::{
    stage::Stage,
    warm::{Set, ground, in_containers},
};

/// Asks the operator, and waits until it is done.
const ASK: &str = "#!/bin/sh\ntouch \"$1.$2\" && while [ -e \"$1.$2\" ]; do sleep 0.02; done\n";
/// For `put-back.sh`, which nobody is there to answer.
pub(super) const ASK_AND_GO: &str = "#!/bin/sh\ntouch \"$1.$2\"\n";
/// Does it itself.
const SIGNAL: &str = "#!/bin/sh\nkill -s \"$1\" \"$(cat \"$2.pid\")\"\n";

pub(super) const KILL: &str = "\"./ask\", \"kill\", \"{name}\"";
pub(super) const EVERYTHING: &str = "\"redis\", \"chat\"";

pub(super) struct Staging {
    pub(super) stage: Stage,
    pub(super) folder: TempDir,
    pids: BTreeMap<Server, Option<u32>>,
}

impl Staging {
    pub(super) async fn set() -> Staging {
        Staging::of(Set::usual()).await
    }

    pub(super) async fn of(set: Set) -> Staging {
        let stage = Stage::set(set).await;
        let folder = tempfile::tempdir_in(ground()).expect("a folder");
        let pids = pids(stage.cluster());
        let staging = Staging { stage, folder, pids };
        staging.write_program("ask", ASK);
        staging.write_program("signal", SIGNAL);
        pids_for_commands(staging.folder.path(), &staging.pids);
        staging
    }

    pub(super) fn write_program(&self, name: &str, text: &str) {
        let program = self.folder.path().join(name);
        fs::write(&program, text).expect("written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("made a program");
    }

    /// Where Redis and the chat nodes listen themselves: what an operator of theirs would name.
    pub(super) fn file(&self, kill: &str, servers: &str) -> PathBuf {
        let acts = format!("kill = [{kill}], start = [\"./ask\", \"start\", \"{{name}}\"]");
        self.file_with(&acts, servers)
    }

    /// `acts`: of Redis and of chat nodes alike.
    pub(super) fn file_with(&self, acts: &str, servers: &str) -> PathBuf {
        let cluster = self.stage.cluster();
        let at = |scheme: &str, redis: bool| {
            let servers = cluster.servers().into_iter().filter(|server| server.is_redis() == redis);
            let urls = servers.map(|server| format!("\"{scheme}{}\"", cluster.direct_address(server)));
            urls.collect::<Vec<_>>().join(", ")
        };
        let text = format!(
            "format = 1\nname = \"staging\"\ntitle = \"the warm cluster\"\n[redis]\nnodes = [{}]\n[chat]\nnodes = [{}]\n\
             [commands]\nredis = {{ {acts} }}\nchat = {{ {acts} }}\n\
             [blast_radius]\nservers = [{servers}]\nat_once = 1\nlongest = \"40s\"\nstop_file = \"stop\"\n",
            at("redis://", true),
            at("http://", false),
        );
        let file = self.folder.path().join("staging.toml");
        fs::write(&file, text).expect("written");
        file
    }

    pub(super) async fn drill(&self, file: &Path, text: &str) -> Result<Drill, Mistakes> {
        let path = file.to_str().expect("a path in UTF-8");
        let deployment = load_deployment(path)?;
        let found = deployment.look(None).await.map_err(|wrong| Mistakes::unfit(path, wrong))?;
        let overrides = Overrides { deployment: Some((deployment, found)), ..Overrides::default() };
        from_text("drill", "game-day", text, &overrides)
    }

    pub(super) async fn run(&self, drill: Drill, confirmed: Option<&str>, stop: Stop) -> Result<Judged, RunError> {
        let engine = drill.deployment.as_ref().and_then(Deployed::engine).expect("it says what it is");
        let settings = Settings {
            plan: Plan::of(drill, Some(&engine), "cargo test game_day".to_owned()),
            engine,
            containers: None,
            node: PathBuf::new(),
            runs: self.folder.path().join("runs"),
            keep: false,
            forward: None,
            planted: Planted::default(),
            confirmed: confirmed.map(ToOwned::to_owned),
        };
        run(settings, &Nobody, stop).await
    }

    /// The drill with its operator there.
    pub(super) async fn play(&self, drill: Drill, stop: Stop) -> Result<Judged, RunError> {
        tokio::select! {
            judged = self.run(drill, Some("staging"), stop) => judged,
            () = self.operate() => unreachable!("an operator goes on for ever"),
        }
    }

    async fn operate(&self) {
        loop {
            self.operate_once().await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Does what was asked for, and says so by taking the question away.
    pub(super) async fn operate_once(&self) {
        for entry in fs::read_dir(self.folder.path()).expect("a folder").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some((act, server)) = name.split_once('.') else { continue };
            let Ok(server) = server.parse::<Server>() else { continue };
            let Some(act) = Act::ALL.into_iter().find(|known| known.name() == act) else { continue };
            self.perform(act, server).await;
            fs::remove_file(entry.path()).expect("answered");
        }
    }

    async fn perform(&self, act: Act, server: Server) {
        let cluster = self.stage.cluster();
        let done = match act {
            Act::Kill => cluster.kill(server).await,
            Act::Start => cluster.start_again(server).await,
            Act::Cut => return self.link(server, LinkState::CUT),
            Act::Heal => return self.link(server, LinkState::CLEAR),
            Act::Stop | Act::Pause | Act::Wake => panic!("`signal` does that, not the operator"),
        };
        done.unwrap_or_else(|error| panic!("{act} {server}: {error}"));
        pids_for_commands(self.folder.path(), &self.pids());
    }

    /// All that one Redis node and all others, chat nodes among them, say to each other. The drill, like an operator's
    /// own machine, asks it at its own address, where no link is.
    fn link(&self, server: Server, state: LinkState) {
        let links = self.stage.cluster().links();
        let one = LinkEnd::Redis(server.number());
        let others = self.stage.redis_but(&[server]).into_iter().map(|other| LinkEnd::Redis(other.number()));
        for other in others.chain([LinkEnd::Clients]) {
            for kind in [LinkKind::Bus, LinkKind::Replication, LinkKind::Client] {
                links.set(one, other, kind, state);
                links.set(other, one, kind, state);
            }
        }
    }

    pub(super) fn latest(&self) -> PathBuf {
        self.folder.path().join("runs/game-day/latest")
    }

    pub(super) fn commands(&self) -> String {
        fs::read_to_string(self.latest().join("logs/commands.log")).expect("the operator's commands are kept")
    }

    /// Who is another process than at first; nobody may be gone.
    pub(super) fn restarted(&self) -> Vec<Server> {
        let now = self.pids();
        assert!(now.values().all(Option::is_some), "not all are running: {now:?}");
        now.into_iter().filter(|(server, pid)| self.pids[server] != *pid).map(|(server, _)| server).collect()
    }

    pub(super) fn pids(&self) -> BTreeMap<Server, Option<u32>> {
        pids(self.stage.cluster())
    }
}

/// Whether a report says that a server was found gone: nobody listens where it was, or, when a container took its address
/// with it, nobody is there to refuse a connection.
pub(super) fn seen_gone(report: &str, server: Server) -> bool {
    let without_address = ["no connection within", "No route to host"].into_iter().filter(|_| in_containers());
    let mut signs = without_address.chain(["Connection refused"]);
    signs.any(|sign| report.contains(&format!("seen: {server} ({sign}")))
}

fn pids(cluster: &Cluster) -> BTreeMap<Server, Option<u32>> {
    cluster.servers().into_iter().map(|server| (server, cluster.pid(server))).collect()
}

/// Where `signal` reads them.
fn pids_for_commands(folder: &Path, pids: &BTreeMap<Server, Option<u32>>) {
    for (server, pid) in pids.iter().filter_map(|(server, pid)| Some((server, (*pid)?))) {
        // In one piece: a command may be reading it.
        let new = folder.join(format!("{server}.new"));
        fs::write(&new, pid.to_string()).expect("written");
        fs::rename(new, folder.join(format!("{server}.pid"))).expect("renamed");
    }
}
