//! A Redis shard that wants a password, behind TLS: one primary and one replica, each with a terminator in front, as
//! many installations have it. The engines that are fetched know no TLS of their own.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use chaos_cluster::EngineChoice;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    process::{Process, free_ports},
    wait::eventually,
    warm,
};

pub(crate) const PASSWORD: &str = "s3cret-of-redis";
/// Of the servers themselves. Nothing on this machine connects from it, so that a port that is free stays free until a
/// server takes it.
const HOST: Ipv4Addr = Ipv4Addr::new(127, 83, 7, 1);
/// The first byte of whoever begins with TLS.
const HANDSHAKE: u8 = 0x16;

/// An authority, and what it signed for the addresses here.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Authority { issuer: CertifiedIssuer::self_signed(params, key).expect("a certificate") }
    }

    /// Its own certificate, in a file.
    pub(crate) fn file(&self, folder: &TempDir, name: &str) -> String {
        let path = folder.path().join(name);
        std::fs::write(&path, self.issuer.pem()).expect("a file");
        path.display().to_string()
    }

    /// What it signed for 127.0.0.1 and the key, in two files.
    pub(crate) fn pair(&self, folder: &TempDir) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address");
        let signed = params.signed_by(&key, &*self.issuer).expect("a certificate");
        let write = |name: &str, pem: String| {
            let path = folder.path().join(name);
            std::fs::write(&path, pem).expect("a file");
            path.display().to_string()
        };
        (write("node.pem", signed.pem()), write("node.key", key.serialize_pem()))
    }

    /// As a client that read its certificate from a file.
    pub(crate) fn trust(file: &str) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(file).expect("a certificate")).expect("an authority");
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().expect("protocols");
        Arc::new(config.with_root_certificates(roots).with_no_client_auth())
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned(), HOST.to_string()]).expect("an address");
        let signed = params.signed_by(&key, &*self.issuer).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().expect("protocols").with_no_client_auth();
        TlsAcceptor::from(Arc::new(config.with_single_cert(vec![signed.der().clone()], key).expect("a pair")))
    }
}

/// Takes TLS off and passes the rest on to `to`; ends when it is dropped.
pub(crate) struct Terminator {
    pub(crate) address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Terminator {
    /// `plain_too`: whoever begins without TLS is passed on as he is. Redis's nodes talk to each other that way.
    pub(crate) fn start(listener: TcpListener, to: SocketAddr, acceptor: TlsAcceptor, plain_too: bool) -> Self {
        let address = listener.local_addr().expect("an address");
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut peers = JoinSet::new();
            while let Ok((peer, _)) = listener.accept().await {
                peers.spawn(pass_on(peer, to, acceptor.clone(), plain_too));
            }
        });
        Terminator { address, _tasks: tasks }
    }
}

async fn pass_on(mut peer: TcpStream, to: SocketAddr, acceptor: TlsAcceptor, plain_too: bool) -> std::io::Result<()> {
    let mut first = [0];
    peer.peek(&mut first).await?;
    let mut server = TcpStream::connect(to).await?;
    if plain_too && first[0] != HANDSHAKE {
        copy_bidirectional(&mut peer, &mut server).await?;
    } else {
        copy_bidirectional(&mut acceptor.accept(peer).await?, &mut server).await?;
    }
    Ok(())
}

struct Redis {
    process: Process,
    port: u16,
    bus: u16,
    door: Terminator,
}

/// All slots on one primary with one replica.
pub(crate) struct Guarded {
    primary: Redis,
    replica: Redis,
    pub(crate) authority: Authority,
    /// Where certificates and the passwords lie.
    pub(crate) folder: TempDir,
}

impl Guarded {
    pub(crate) async fn start() -> Guarded {
        let authority = Authority::new();
        let folder = tempfile::tempdir_in(warm::ground()).expect("a folder");
        let primary = Redis::start(&folder, "primary", &authority).await;
        let replica = Redis::start(&folder, "replica", &authority).await;
        primary.ask("CLUSTER ADDSLOTSRANGE 0 16383").await;
        replica.ask(&format!("CLUSTER MEET {HOST} {} {}", primary.port, primary.bus)).await;
        let id = primary.ask("CLUSTER MYID").await.lines().nth(1).expect("an id").to_owned();
        let follows = async || {
            let answer = replica.ask(&format!("CLUSTER REPLICATE {id}")).await;
            answer.starts_with("+OK").then_some(())
        };
        eventually("that the two know each other", follows).await;
        let guarded = Guarded { primary, replica, authority, folder };
        let online = async || guarded.primary.ask("INFO replication").await.contains("state=online").then_some(());
        eventually("that the replica is online", online).await;
        guarded
    }

    /// The primary's TLS side.
    pub(crate) fn door(&self) -> SocketAddr {
        self.primary.door.address
    }

    /// Redis itself.
    pub(crate) fn plain(&self) -> SocketAddr {
        self.primary.address()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path: PathBuf = self.folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    }

    /// The primary refuses whatever writes, as one does whose disk or memory is full.
    pub(crate) async fn refuse_writes(&self, refuse: bool) {
        let wanted = if refuse { 2 } else { 0 };
        let answer = self.primary.ask(&format!("CONFIG SET min-replicas-to-write {wanted}")).await;
        assert!(answer.starts_with("+OK"), "{answer}");
    }

    /// The primary answers nothing that writes, for so long.
    pub(crate) async fn hold_writes(&self, time: Duration) {
        let answer = self.primary.ask(&format!("CLIENT PAUSE {} WRITE", time.as_millis())).await;
        assert!(answer.starts_with("+OK"), "{answer}");
    }

    pub(crate) fn end_replica(&mut self) {
        self.replica.process.end();
    }

    pub(crate) fn end_primary(&mut self) {
        self.primary.process.end();
    }
}

impl Redis {
    async fn start(folder: &TempDir, name: &str, authority: &Authority) -> Redis {
        let engine = warm::engine(EngineChoice::Any).await;
        let data = folder.path().join(name);
        std::fs::create_dir(&data).expect("a folder");
        let listener = TcpListener::bind((HOST, 0)).await.expect("a port");
        let door = listener.local_addr().expect("an address").port();
        let [port, bus] = free_ports(HOST);
        let mut command = Command::new(&engine.program);
        if let Some(libraries) = &engine.library_path {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        let settings = format!(
            "--port {port} --bind {HOST} --cluster-enabled yes --cluster-port {bus} --cluster-node-timeout 5000 \
             --cluster-announce-ip {HOST} --cluster-announce-port {door} --cluster-announce-bus-port {bus} \
             --replica-announce-ip {HOST} --replica-announce-port {door} --requirepass {PASSWORD} \
             --masterauth {PASSWORD} --appendonly no --repl-diskless-sync-delay 0"
        );
        command.args(settings.split_ascii_whitespace()).args(["--save", "", "--dir"]).arg(&data);
        let process = Process::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
        let to = SocketAddr::from((HOST, port));
        let door = Terminator::start(listener, to, authority.acceptor(), true);
        let redis = Redis { process, port, bus, door };
        let up = async || TcpStream::connect(to).await.ok().map(drop);
        eventually(&format!("that {name} listens"), up).await;
        redis
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from((HOST, self.port))
    }

    /// One command in plain, and all of its answer.
    async fn ask(&self, command: &str) -> String {
        let mut stream = TcpStream::connect(self.address()).await.expect("a server that listens");
        let text = format!("AUTH {PASSWORD}\r\n{command}\r\nQUIT\r\n");
        stream.write_all(text.as_bytes()).await.expect("a server that reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        answer.strip_prefix("+OK\r\n").unwrap_or_else(|| panic!("AUTH: {answer}")).to_owned()
    }
}
