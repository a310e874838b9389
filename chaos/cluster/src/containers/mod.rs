//! The containers backend: every server a container on a private network of a Docker engine, with a fixed address.
//!
//! Programs of this machine are packed into images ([`image`]); data directories are mounted at the paths that they have
//! here, so that what a program is told is true on both sides. Links between nodes go through the same fault proxy as
//! those of processes: it listens on this machine's address of the network. A child process removes everything by label,
//! also after a SIGKILL of ours ([`reaper`]); where that was killed too, the next run does ([`sweep`]).
//!
//! Linux only, with an engine on this machine. testcontainers finds the engine and builds images; containers are made
//! through its client, because its own start can neither give a fixed address nor send a signal.

mod docker;
mod forward;
mod harness;
mod image;
mod network;
mod probe;
mod pull;
mod reaper;
mod seen;
mod sweep;

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, OpenOptions},
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use bollard::{
    Docker,
    models::{
        ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HostConfig, Mount, MountType, NetworkingConfig,
        PortBinding,
    },
    query_parameters::{
        CreateContainerOptionsBuilder, KillContainerOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
    },
};
use futures_util::StreamExt;

pub use docker::DockerSettings;
use docker::{connect, is_gone, sentence};
use forward::forward;
use harness::labels;
pub use image::ContainerSettings;
use image::{Images, official_image};
use network::Network;
pub use probe::{ContainersOutlook, ImageOutlook, containers_outlook, engine_in, pull_images};
use reaper::Reaper;
use seen::{UNSEEN, is_elsewhere, is_here};

use crate::{
    ClusterError, Server,
    backend::{Backend, Launch, Place, Process, Signal, Verb, effect, evidence},
    cluster::Work,
    ground::{Bridge, Ground},
    tree,
};

const LABEL: &str = "holdfast.run";

/// What a run has of an engine before its first container.
pub(crate) struct Land {
    docker: Docker,
    network: Network,
    swept: Vec<String>,
    /// Dropped at last: it removes everything.
    _reaper: Reaper,
}

impl Land {
    pub(crate) async fn take(run: &str, settings: &DockerSettings) -> Result<Land, ClusterError> {
        let docker = connect(settings).await?;
        let reaper = Reaper::start(&docker, &format!("{LABEL}={run}")).await?;
        // First: it frees subnets.
        let swept = sweep::sweep(&docker).await;
        let network = Network::create(&docker, run).await?;
        Ok(Land { docker, network, swept, _reaper: reaper })
    }

    /// This machine's address on the private network.
    pub(crate) fn gateway(&self) -> Ipv4Addr {
        self.network.gateway
    }
}

pub(crate) struct Containers {
    run: Arc<Run>,
    /// The engine is asked from here: a request that was begun ends, also when nobody waits for it any more, and no
    /// connection dies with a test's own runtime.
    background: Work,
    /// What listens on this machine's loopback, and the door to it.
    doors: Mutex<BTreeMap<SocketAddr, SocketAddr>>,
}

struct Run {
    ground: Arc<Ground>,
    images: Images,
    root: PathBuf,
    logs: PathBuf,
    known: Arc<Mutex<BTreeMap<Server, Container>>>,
    land: Land,
}

struct Container {
    id: String,
    /// Once it was started; 0 when it had ended again before anybody looked.
    pid: Option<u32>,
    /// Once it has ended: how.
    ended: Option<String>,
}

impl Containers {
    pub(crate) fn new(
        land: Land,
        given: ContainerSettings,
        ground: Arc<Ground>,
        root: PathBuf,
        logs: PathBuf,
        background: Work,
    ) -> Containers {
        let (images, known) = (Images::new(given), Arc::default());
        let run = Arc::new(Run { ground, images, root, logs, known, land });
        Containers { run, background, doors: Mutex::default() }
    }

    async fn background<W>(&self, server: Server, work: W) -> Result<(), ClusterError>
    where
        W: Future<Output = Result<(), ClusterError>> + Send + 'static,
    {
        let lost = |error| ClusterError::Process { server, why: format!("was lost: {error}"), log: String::new() };
        self.background.spawn(work).await.map_err(lost)?
    }
}

impl Run {
    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<Server, Container>) -> T) -> T {
        work(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn start(&self, server: Server, launch: &Launch) -> Result<(), ClusterError> {
        if let Some(pid) = self.process(server).pid() {
            let why = format!("cannot be started: it runs already (pid {pid})");
            return Err(ClusterError::Process { server, why, log: String::new() });
        }
        let failed = |doing: &str, error: &bollard::errors::Error| ClusterError::Process {
            server,
            why: format!("cannot be {doing}: {}", sentence(error)),
            log: evidence(&self.place(server).log),
        };
        if let Some(old) = self.with(|known| known.remove(&server)) {
            let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
            let removed = self.land.docker.remove_container(&old.id, Some(options)).await;
            removed
                .or_else(|error| if is_gone(&error) { Ok(()) } else { Err(error) })
                .map_err(|error| failed("removed", &error))?;
        }
        let body = self.body(server, launch).await?;
        let options =
            CreateContainerOptionsBuilder::new().name(&format!("{}-{server}", self.land.network.name)).build();
        let id =
            self.land.docker.create_container(Some(options), body).await.map_err(|error| failed("made", &error))?.id;
        // Known before it runs: whoever drops this future leaves nothing that is not.
        self.with(|known| known.insert(server, Container { id: id.clone(), pid: None, ended: None }));
        self.land.docker.start_container(&id, None).await.map_err(|error| failed("started", &error))?;
        let pid = self.runs_as(&id).await.map_err(|error| failed("looked at", &error))?;
        if is_elsewhere(pid, || async { self.runs_as(&id).await.unwrap_or(0) }).await {
            return Err(ClusterError::Ground(format!("{server} runs, but {UNSEEN}")));
        }
        self.with(|known| {
            if let Some(container) = known.get_mut(&server) {
                container.pid = Some(pid);
            }
        });
        tokio::spawn(follow(self.land.docker.clone(), id.clone(), self.place(server).log));
        tokio::spawn(wait(self.land.docker.clone(), id, server, self.known.clone()));
        Ok(())
    }

    /// By the engine's word; 0 when it has ended.
    async fn runs_as(&self, id: &str) -> Result<u32, bollard::errors::Error> {
        let seen = self.land.docker.inspect_container(id, None).await?;
        Ok(seen.state.and_then(|state| state.pid).and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0))
    }

    async fn body(&self, server: Server, launch: &Launch) -> Result<ContainerCreateBody, ClusterError> {
        let place = self.place(server);
        let unwritable = |error| ClusterError::Process {
            server,
            why: format!("{} cannot be made: {error}", place.data.display()),
            log: String::new(),
        };
        fs::create_dir_all(&place.data).and_then(|()| fs::create_dir_all(&self.logs)).map_err(unwritable)?;
        let (image, command) = self.images.of(&self.land.docker, server, launch).await?;
        let data = place.data.display().to_string();
        let mount = |path: String| Mount {
            typ: Some(MountType::BIND),
            source: Some(path.clone()),
            target: Some(path),
            ..Mount::default()
        };
        let port = format!("{}/tcp", place.address.port());
        let (mut exposed, mut bindings) = (Vec::new(), HashMap::new());
        if let (Server::Chat(_), Ground::Bridge(ground)) = (server, &*self.ground) {
            exposed.push(port.clone());
            bindings.insert(port, Some(vec![published(ground, server)]));
        }
        let address = EndpointIpamConfig { ipv4_address: Some(place.address.ip().to_string()), ..Default::default() };
        let endpoint = EndpointSettings { ipam_config: Some(address), ..Default::default() };
        Ok(ContainerCreateBody {
            image: Some(image),
            cmd: Some(command),
            // Not the image's own user: ours may stop what a shell there started, and remove what is written.
            user: Some(format!("{}:{}", nix::unistd::getuid(), nix::unistd::getgid())),
            // A program of somebody else's finds its files where its image puts it.
            working_dir: launch.folder.is_none().then(|| data.clone()),
            env: Some(launch.environment.iter().map(|(name, value)| format!("{name}={value}")).collect()),
            labels: Some(labels(&self.land.network.name)),
            exposed_ports: Some(exposed),
            host_config: Some(HostConfig {
                mounts: Some(vec![mount(data)]),
                network_mode: Some(self.land.network.name.clone()),
                port_bindings: Some(bindings),
                security_opt: Some(vec!["no-new-privileges".to_owned()]),
                ..Default::default()
            }),
            networking_config: Some(NetworkingConfig {
                endpoints_config: Some(HashMap::from([(self.land.network.name.clone(), endpoint)])),
            }),
            ..Default::default()
        })
    }

    async fn send(&self, server: Server, signal: Signal) -> Result<(), ClusterError> {
        let failed = |why: String| ClusterError::Process { server, why, log: String::new() };
        let Some(id) = self.with(|known| known.get(&server).map(|container| container.id.clone())) else {
            return Err(failed("was never started".to_owned()));
        };
        let Some(pid) = self.process(server).pid() else { return Ok(()) };
        let refused = |why: String| failed(format!("cannot be sent {signal}: {why}"));
        // The engine knows the first process only.
        let options = KillContainerOptionsBuilder::new().signal(signal.number().as_str()).build();
        match self.land.docker.kill_container(&id, Some(options)).await {
            Ok(()) => {}
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(refused(sentence(&error))),
        }
        match signal {
            Signal::Pause | Signal::Resume => {
                tree::send(tree::descendants(pid), signal.number()).map_err(|error| refused(error.to_string()))?;
            }
            // The kernel ends what is left of a container with its first process; that one is asked to go as `docker stop`
            // asks it, and what it passes on is part of what is tried.
            Signal::Kill | Signal::Terminate => {}
        }
        let again = || tree::send(tree::descendants(pid), signal.number());
        effect(signal, || self.process(server), again).await.map_err(failed)
    }

    fn process(&self, server: Server) -> Process {
        self.with(|known| match known.get(&server) {
            None => Process::Ended("was never started".to_owned()),
            Some(Container { ended: Some(how), .. }) => Process::Ended(how.clone()),
            Some(Container { pid: None, .. }) => Process::Ended("did not start".to_owned()),
            // The engine tells of an end later than the kernel.
            Some(Container { pid: Some(pid), .. }) if !is_here(*pid) => Process::Gone,
            Some(Container { pid: Some(pid), .. }) if tree::is_stopped(*pid) => Process::Paused(*pid),
            Some(Container { pid: Some(pid), .. }) => Process::Running(*pid),
        })
    }

    fn place(&self, server: Server) -> Place {
        Place {
            address: self.ground.own(server),
            data: self.root.join(server.to_string()),
            log: self.logs.join(format!("{server}.log")),
        }
    }
}

fn published(ground: &Bridge, server: Server) -> PortBinding {
    let address = ground.published(server);
    PortBinding { host_ip: Some(address.ip().to_string()), host_port: Some(address.port().to_string()) }
}

/// Appends what it writes to its log, until it ends.
async fn follow(docker: Docker, id: String, log: PathBuf) {
    let Ok(mut file) = OpenOptions::new().create(true).append(true).open(log) else { return };
    let options = LogsOptionsBuilder::new().follow(true).stdout(true).stderr(true).build();
    let mut lines = docker.logs(&id, Some(options));
    while let Some(Ok(line)) = lines.next().await {
        let _ = file.write_all(&line.into_bytes());
    }
}

/// Writes down how it ends.
async fn wait(docker: Docker, id: String, server: Server, known: Arc<Mutex<BTreeMap<Server, Container>>>) {
    let how = match docker.wait_container(&id, None).next().await {
        Some(Ok(ended)) => format!("ended with exit code {}", ended.status_code),
        Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) if code > 128 => {
            format!("ended by signal {}", code - 128)
        }
        Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => {
            format!("ended with exit code {code}")
        }
        Some(Err(error)) => format!("cannot be waited for: {}", sentence(&error)),
        None => "ended".to_owned(),
    };
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(container) = known.get_mut(&server).filter(|container| container.id == id) {
        container.ended = Some(how);
    }
}

impl Backend for Containers {
    fn start<'a>(&'a self, server: Server, launch: &'a Launch) -> Verb<'a> {
        let (run, launch) = (self.run.clone(), launch.clone());
        Box::pin(self.background(server, async move { run.start(server, &launch).await }))
    }

    fn signal(&self, server: Server, signal: Signal) -> Verb<'_> {
        let run = self.run.clone();
        Box::pin(self.background(server, async move { run.send(server, signal).await }))
    }

    fn process(&self, server: Server) -> Process {
        self.run.process(server)
    }

    /// The first process of a container ignores what it has no handler for, and a shell passes nothing on.
    fn why_it_stays(&self, server: Server) -> String {
        let pid = self.process(server).pid();
        let Some(name) = pid.and_then(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).ok()) else {
            return String::new();
        };
        format!(
            "; SIGTERM goes to the first process of its container (`{}`), as with `docker stop`: it has to handle it \
             or to pass it on, or the image needs an init",
            name.trim()
        )
    }

    fn place(&self, server: Server) -> Place {
        self.run.place(server)
    }

    fn swept(&self) -> &[String] {
        &self.run.land.swept
    }

    fn url_for_servers(&self, url: &str) -> io::Result<String> {
        let authority = url.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
        let Some(local) = authority.parse::<SocketAddr>().ok().filter(|address| address.ip().is_loopback()) else {
            return Ok(url.to_owned());
        };
        let mut doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        let door = match doors.get(&local) {
            Some(door) => *door,
            None => forward(self.background.handle(), self.run.land.gateway().into(), local)?,
        };
        doors.insert(local, door);
        Ok(url.replace(authority, &door.to_string()))
    }
}
