//! A real nginx on loopback with the configuration of `fixtures/nginx`, as it would run in production, in front of any
//! nodes. It needs no root and ends with the test.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::{
    process::{Process, free_ports},
    wait::{PATIENCE, not_tested, within},
    warm,
};

/// Nothing on this machine connects from it, so that a port that is free stays free until nginx takes it.
const HOST: Ipv4Addr = Ipv4Addr::new(127, 83, 7, 2);
/// Debian has it where only root looks.
const PLACES: [&str; 3] = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/local/nginx/sbin/nginx"];

pub(crate) struct Nginx {
    pub(crate) address: SocketAddr,
    _process: Process,
    folder: TempDir,
}

impl Nginx {
    /// `None`, and a loud word, when there is none on this machine; in CI that is a failure.
    pub(crate) async fn before(nodes: &[SocketAddr]) -> Option<Nginx> {
        let Some(program) = program() else {
            not_tested("chat behind nginx, for want of one (Debian: apt-get install nginx)");
            return None;
        };
        let folder = tempfile::tempdir_in(warm::ground()).expect("a folder");
        let [port] = free_ports(HOST);
        let address = SocketAddr::from((HOST, port));
        write(folder.path(), address, nodes);
        let mut command = Command::new(program);
        command.arg("-p").arg(folder.path()).arg("-c").arg(folder.path().join("nginx.conf"));
        let log = fs::File::create(folder.path().join("stderr")).expect("a file");
        let process = Process::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log));
        let nginx = Nginx { address, _process: process, folder };
        let up = async || TcpStream::connect(address).await.ok().map(drop);
        match within(PATIENCE, up).await {
            Some(()) => Some(nginx),
            None => panic!("nginx does not listen:\n{}", nginx.log()),
        }
    }

    pub(crate) fn log(&self) -> String {
        let read = |name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        read("stderr") + &read("error.log")
    }
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let named = std::env::split_paths(&path).map(|folder| folder.join("nginx"));
    named.chain(PLACES.map(PathBuf::from)).find(|program| program.is_file())
}

/// What an installation has beside `chat.conf`. One process, so that its end is the end of all of it.
fn write(folder: &Path, address: SocketAddr, nodes: &[SocketAddr]) {
    let chat = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/nginx/chat.conf");
    let (own, chat) = (folder.display(), chat.display());
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = temporary.map(|name| format!("    {name}_temp_path {own}/{name};\n")).concat();
    let main = format!(
        "daemon off;\nmaster_process off;\npid {own}/nginx.pid;\nerror_log {own}/error.log info;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n    access_log off;\n{temporary}    include {chat};\n}}\n"
    );
    let nodes: Vec<_> = nodes.iter().map(|node| format!("server {node} max_fails=1 fail_timeout=1s;\n")).collect();
    let listen = format!("listen {address};\n");
    for (name, text) in [("nginx.conf", main), ("chat-nodes.conf", nodes.concat()), ("chat-listen.conf", listen)] {
        fs::write(folder.join(name), text).expect("a file");
    }
}
