//! A process that a test starts by itself, beside the cluster. It ends with the test, however that ends.

use std::{
    net::Ipv4Addr,
    os::unix::process::CommandExt,
    process::{Child, Command},
};

use nix::sys::{prctl::set_pdeathsig, signal::Signal};
use tokio::net::TcpSocket;

/// For programs that have to be told their ports. They are bound and never made to listen: of a listener, what another
/// thread forks would hold a copy until it has become another program, and the port with it.
pub(crate) fn free_ports<const N: usize>(host: Ipv4Addr) -> [u16; N] {
    let bound = [(); N].map(|()| {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("a socket's option");
        socket.bind((host, 0).into()).expect("a free port");
        socket
    });
    bound.map(|socket| socket.local_addr().expect("an address").port())
}

pub(crate) struct Process(Child);

impl Process {
    /// To be called on the test's own thread: the process dies with the thread that started it.
    pub(crate) fn start(command: &mut Command) -> Process {
        // SAFETY: between fork and exec, one system call that allocates nothing.
        unsafe { command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGKILL)?)) };
        let program = command.get_program().to_owned();
        Process(command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program.display())))
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    pub(crate) fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}
