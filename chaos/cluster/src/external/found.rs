//! What a running deployment is, asked from outside before anything is done: reads only.
//!
//! Whatever makes it unfit for a drill is told at once, a sentence each: a node that does not answer, one that the file
//! does not name, a cluster that is not level.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    ffi::OsStr,
    fs, io,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::lookup_host,
    time::{Instant, sleep, timeout},
};

use super::deployment::{Act, Deployment, Endpoint};
use crate::{
    Engine, EngineKind, RedisTopology, Server, Shard, View, http,
    look::{self, Directory, answers},
    resp::{self, Login, RespValue},
};

/// Where programs are looked for when there is no `$PATH`: the C library's.
pub const USUAL_PATH: &str = "/bin:/usr/bin";
/// Each server has so long to answer.
const ANSWER: Duration = Duration::from_secs(3);
/// A cluster that is not level by then is not about to be.
const SETTLED: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
const QUESTIONS: &[&[&str]] = &[
    &["CLUSTER", "MYID"],
    &["CLUSTER", "NODES"],
    &["INFO", "server"],
    &["CONFIG", "GET", "cluster-node-timeout"],
    &["CONFIG", "GET", "appendonly"],
];

/// A deployment as it is now.
#[derive(Clone)]
pub struct Found {
    pub engine: Engine,
    pub redis: RedisTopology,
    pub shards: Vec<Shard>,
    pub(crate) directory: Directory,
    pub(crate) chat: BTreeMap<Server, SocketAddr>,
}

/// One node by its own word.
struct Answer {
    id: String,
    /// CLUSTER NODES.
    nodes: String,
    engine: Engine,
    node_timeout: Duration,
    appendonly: bool,
}

impl Deployment {
    /// Looks at every server of it, and for the programs of its commands: in `path`, as `$PATH` is written, those that are
    /// named by no path. `None`: not for those.
    pub async fn look(&self, path: Option<&OsStr>) -> Result<Found, Vec<String>> {
        let mut wrong = self.missing_files(path);
        // Without it Redis is not asked: each of its nodes would only say that.
        let login = self.login().ok();
        let (mut direct, mut chat, mut nodes) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for server in self.servers() {
            let Some(endpoint) = self.endpoint(server) else { continue };
            let mut told = |why: String| wrong.push(format!("{server} at {endpoint} {why}"));
            let address = match resolve(endpoint).await {
                Ok(address) => address,
                Err(error) => {
                    told(format!("has no address: {error}"));
                    continue;
                }
            };
            if server.is_redis() {
                direct.insert(server, address);
                let Some(login) = &login else { continue };
                match node(address, login.as_ref()).await {
                    Ok(node) => drop(nodes.insert(server, node)),
                    Err(why) => told(why),
                }
            } else {
                chat.insert(server, address);
                match timeout(ANSWER, http::get(address, "/ready")).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => told(format!("does not answer: {error}")),
                    Err(_) => told(format!("does not answer within {ANSWER:?}")),
                }
            }
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        wrong.extend(twice(&nodes));
        wrong.extend(strangers(&nodes));
        let directory = Directory { direct, announced: announced(&nodes), login: login.flatten() };
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let view = settled(&Arc::new(directory.clone())).await;
        let shards = view.shards();
        wrong.extend(view.unlevel().map(|why| format!("the Redis Cluster is not level: {why}")));
        wrong.extend(uneven(&shards));
        let first = nodes.into_values().next().ok_or_else(|| vec!["it has no Redis node".to_owned()])?;
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let replicas = shards.first().map_or(0, |shard| shard.replicas.len()) as u8;
        let redis = RedisTopology {
            node_timeout: first.node_timeout,
            appendonly: first.appendonly,
            ..RedisTopology::new(shards.len() as u8, replicas)
        };
        Ok(Found { engine: first.engine, redis, shards, directory, chat })
    }

    /// What is wrong with the files that its file names, each by its key; no server is asked. `path` as for
    /// [`Deployment::look`].
    pub fn missing_files(&self, path: Option<&OsStr>) -> Vec<String> {
        let mut wrong = self.missing_programs(path);
        wrong.extend(self.login().err().map(|why| format!("`redis.password_file`: {why}")));
        wrong
    }

    /// Programs of commands for servers that may be touched: a way back that is not there is found before the way there is
    /// taken.
    fn missing_programs(&self, path: Option<&OsStr>) -> Vec<String> {
        let mut missing: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let acts = || Act::ALL.into_iter();
        for (server, act) in self.radius.servers.iter().flat_map(|server| acts().map(|act| (*server, act))) {
            let Some(program) = self.command(server, act).and_then(|words| words.into_iter().next()) else { continue };
            if let Some(why) = missing_program(&self.folder, &program, path) {
                missing.entry(format!("{program} {why}")).or_default().extend(self.key(server, act));
            }
        }
        let told = |(why, keys): (String, BTreeSet<String>)| {
            let keys: Vec<_> = keys.into_iter().map(|key| format!("`{key}`")).collect();
            format!("{}: {why}", keys.join(", "))
        };
        missing.into_iter().map(told).collect()
    }

    fn login(&self) -> Result<Option<Login>, String> {
        let Some(file) = &self.redis.password_file else { return Ok(None) };
        let file = self.folder.join(file);
        let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let password = text.lines().next().unwrap_or_default().to_owned();
        if password.is_empty() {
            return Err(format!("{}: its first line is empty; the password is expected there", file.display()));
        }
        Ok(Some(Login { user: self.redis.user.clone(), password }))
    }
}

/// Why a command's program cannot be run in `folder`. One that is named by no path is looked for in `path`, as `$PATH` is
/// written; `None`: it is not looked for.
pub fn missing_program(folder: &Path, program: &str, path: Option<&OsStr>) -> Option<String> {
    match path {
        _ if program.contains('/') => cannot_be_run(&folder.join(program)),
        Some(path) => is_nowhere(folder, program, path),
        None => None,
    }
}

fn cannot_be_run(program: &Path) -> Option<String> {
    match fs::metadata(program) {
        Err(error) => Some(format!("cannot be run: {error}")),
        Ok(found) if !found.is_file() => Some("is no file".to_owned()),
        Ok(found) => {
            (found.permissions().mode() & 0o111 == 0).then(|| "is no program: nobody may execute it".to_owned())
        }
    }
}

/// Looked for as it will be when it is run: in `folder`, where folders begin that `path` does not name whole.
fn is_nowhere(folder: &Path, program: &str, path: &OsStr) -> Option<String> {
    let is_there = env::split_paths(path).any(|place| cannot_be_run(&folder.join(place).join(program)).is_none());
    (!is_there).then(|| "cannot be run: no folder of $PATH holds such a program".to_owned())
}

async fn resolve(endpoint: &Endpoint) -> io::Result<SocketAddr> {
    let mut addresses = lookup_host((endpoint.host.as_str(), endpoint.port)).await?;
    addresses.next().ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Gossip of what has just happened may be under way.
async fn settled(directory: &Arc<Directory>) -> View {
    let until = Instant::now() + SETTLED;
    loop {
        let view = look::at_all(directory).await;
        if view.unlevel().is_none() || Instant::now() >= until {
            return view;
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// The error is the second half of a sentence.
async fn node(address: SocketAddr, login: Option<&Login>) -> Result<Answer, String> {
    let asked = timeout(ANSWER, resp::ask_once(address, login, QUESTIONS)).await;
    let answers = match asked {
        Err(_) => return Err(format!("does not answer within {ANSWER:?}")),
        Ok(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error.to_string()),
        Ok(Err(error)) => return Err(format!("does not answer: {error}")),
        Ok(Ok(answers)) => answers,
    };
    let said = |nth: usize| match answers.get(nth) {
        Some(RespValue::Error(error)) => Err(format!("answers {error:?} to {}", QUESTIONS[nth].join(" "))),
        Some(answer) => Ok(answer),
        None => Err("gave too few answers".to_owned()),
    };
    let text = |nth: usize| said(nth)?.text().ok_or_else(|| format!("answers no text to {}", QUESTIONS[nth].join(" ")));
    let timeout = setting(said(3)?).and_then(|ms| ms.parse().ok()).map(Duration::from_millis);
    Ok(Answer {
        id: text(0)?.to_owned(),
        nodes: text(1)?.to_owned(),
        engine: engine(text(2)?, address).ok_or("tells no version in INFO server")?,
        node_timeout: timeout.ok_or("tells no cluster-node-timeout")?,
        appendonly: setting(said(4)?) == Some("yes"),
    })
}

fn setting(answer: &RespValue) -> Option<&str> {
    match answer {
        RespValue::List(pair) => pair.get(1)?.text(),
        _ => None,
    }
}

/// Valkey calls itself Redis 7.2.4 for those who know no better.
fn engine(info: &str, address: SocketAddr) -> Option<Engine> {
    let fields = answers::fields(info);
    let valkey = fields.get("valkey_version");
    let kind = if valkey.is_some() { EngineKind::Valkey } else { EngineKind::Redis };
    let version = valkey.or(fields.get("redis_version"))?.parse().ok()?;
    let program = format!("as {address} says").into();
    Some(Engine { program, kind, version, library_path: None })
}

/// Where others reach each node, by all that any of them says: a node may not know its own address.
fn announced(nodes: &BTreeMap<Server, Answer>) -> BTreeMap<SocketAddr, Server> {
    let by_id: BTreeMap<&str, Server> = nodes.iter().map(|(server, node)| (node.id.as_str(), *server)).collect();
    let lines = nodes.values().flat_map(|node| node.nodes.lines());
    let placed = lines.filter_map(|line| {
        let mut words = line.split(' ');
        let server = by_id.get(words.next()?)?;
        let address = words.next()?.split(['@', ',']).next()?.parse().ok()?;
        Some((address, *server))
    });
    placed.collect()
}

/// Two places that are one node.
fn twice(nodes: &BTreeMap<Server, Answer>) -> Vec<String> {
    let mut seen: BTreeMap<&str, Server> = BTreeMap::new();
    let again = |(server, node): (&Server, _)| {
        let node: &Answer = node;
        let before = seen.insert(&node.id, *server)?;
        Some(format!("{before} and {server} are the same node, {}", node.id))
    };
    nodes.iter().filter_map(again).collect()
}

/// Nodes of the cluster that the file does not name: whom they follow, or who follows them, is not seen then.
fn strangers(nodes: &BTreeMap<Server, Answer>) -> BTreeSet<String> {
    let known: BTreeSet<&str> = nodes.values().map(|node| node.id.as_str()).collect();
    let lines = nodes.values().flat_map(|node| node.nodes.lines());
    let others = lines.filter(|line| !line.contains("noaddr") && !line.contains("handshake"));
    let strange = others.filter_map(|line| {
        let mut words = line.split(' ');
        let (id, address) = (words.next()?, words.next()?);
        (!known.contains(id)).then(|| format!("the cluster has a node at {address} that the file does not name"))
    });
    strange.collect()
}

/// Budgets are of a shard's replicas, and one number is given for all.
fn uneven(shards: &[Shard]) -> Option<String> {
    let counts: BTreeSet<usize> = shards.iter().map(|shard| shard.replicas.len()).collect();
    let each: Vec<_> = shards.iter().map(|shard| format!("{} has {}", shard.primary, shard.replicas.len())).collect();
    (counts.len() > 1).then(|| format!("shards have different numbers of replicas ({})", each.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_without_a_path_is_looked_for_where_it_will_be() {
        let place = tempfile::tempdir().expect("a folder");
        let tools = place.path().join("tools");
        fs::create_dir(&tools).expect("a folder");
        fs::write(tools.join("stop-it"), "").expect("a file");
        let looked_for = |path: &str| is_nowhere(place.path(), "stop-it", OsStr::new(path));
        let whole = format!("/nowhere:{}", tools.display());
        assert!(looked_for(&whole).expect("nobody may execute it").contains("no folder of $PATH"));
        fs::set_permissions(tools.join("stop-it"), fs::Permissions::from_mode(0o755)).expect("our own");
        assert_eq!((looked_for(&whole), looked_for("/nowhere:tools")), (None, None));
        assert!(looked_for("/nowhere").is_some() && looked_for("").is_some());
    }
}
