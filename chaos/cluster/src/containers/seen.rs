//! Whether the processes of an engine's containers are seen from here: servers are looked at and paused through them. They
//! are not in a CI job's container that has only the engine's socket, nor where the engine is in a VM or on another machine.

use std::{fs, time::Duration};

use tokio::{
    net::UnixStream,
    time::{Instant, sleep},
};

pub(super) const UNSEEN: &str = "the engine's processes are not seen from here (another machine, a VM or another pid \
                                 namespace): run on the engine's host, or with `--pid host`";
/// An engine that has not told by then that a container ended does not.
const TOLD: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Who listens on its socket is in no pid namespace of ours: the kernel tells it so. Of a VM's engine that is a process of
/// this machine all the same, and of TCP nothing is known: those are found out with the first container.
pub(super) async fn is_engine_elsewhere(place: Option<&str>) -> bool {
    let Some(socket) = place.filter(|place| place.starts_with('/')) else { return false };
    let Ok(stream) = UnixStream::connect(socket).await else { return false };
    stream.peer_cred().is_ok_and(|peer| peer.pid() == Some(0))
}

/// The first process of a container runs by the engine's word, which `asked` gives again (0: it has ended), and not here.
/// The engine tells of an end later than the kernel, so it is asked until it must have told.
pub(super) async fn is_elsewhere<A: Future<Output = u32>>(pid: u32, asked: impl Fn() -> A) -> bool {
    let until = Instant::now() + TOLD;
    while pid != 0 && !is_here(pid) {
        if asked().await != pid {
            return false;
        }
        if Instant::now() > until {
            return true;
        }
        sleep(LOOK_AGAIN).await;
    }
    false
}

pub(super) fn is_here(pid: u32) -> bool {
    fs::exists(format!("/proc/{pid}")).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use std::{
        env,
        path::{self, Path},
        process::{self, Command, Output},
        sync::atomic::{AtomicU32, Ordering},
    };

    use tokio::net::UnixListener;

    use super::*;

    /// Where this lies, the test runs again, in a pid namespace of its own: it must not see who listens.
    const SOCKET: &str = "engine-of-another-pid-namespace.sock";
    /// More than any kernel gives.
    const NOBODY: u32 = 0x3fff_ffff;

    /// As root, or how others come by it: in a user namespace, which not every kernel gives, or by sudo.
    const APART: [&str; 3] = [
        "unshare --pid --fork --mount-proc",
        "unshare --user --map-root-user --pid --fork --mount-proc",
        "sudo -n unshare --pid --fork --mount-proc",
    ];

    fn run(with: &str, program: &Path, arguments: &[&str], folder: &Path) -> Option<Output> {
        let (first, rest) = with.split_once(' ')?;
        Command::new(first).args(rest.split(' ')).arg(program).args(arguments).current_dir(folder).output().ok()
    }

    #[tokio::test]
    async fn an_engine_of_another_pid_namespace_is_known_by_its_socket() {
        let given = path::absolute(SOCKET).expect("a path");
        if given.exists() {
            assert!(is_engine_elsewhere(given.to_str()).await);
            return;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join(SOCKET);
        let _listener = UnixListener::bind(&socket).expect("a socket");
        assert!(!is_engine_elsewhere(socket.to_str()).await, "it is ours");
        assert!(!is_engine_elsewhere(Some("tcp://there:2376")).await, "nothing is known of it");
        let gives =
            |with: &&str| run(with, Path::new("true"), &[], folder.path()).is_some_and(|said| said.status.success());
        let Some(apart) = APART.into_iter().find(gives) else {
            assert!(option_env!("CI") != Some("true"), "no other pid namespace: none of {APART:?} works");
            eprintln!("NOT TESTED: an engine of another pid namespace, which this machine does not give");
            return;
        };
        let this = env::current_exe().expect("a program");
        let said = run(apart, &this, &["is_known_by_its_socket"], folder.path()).expect("it runs");
        let out = String::from_utf8_lossy(&said.stdout);
        assert!(said.status.success() && out.contains("1 passed"), "{out}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_container_that_goes_on_and_is_not_here_is_elsewhere() {
        assert!(is_elsewhere(NOBODY, || async { NOBODY }).await);
        assert!(!is_elsewhere(process::id(), || async { unreachable!("it is here") }).await);
        assert!(!is_elsewhere(0, || async { unreachable!("it has ended") }).await);
    }

    #[tokio::test(start_paused = true)]
    async fn one_whose_end_the_engine_tells_late_has_only_ended() {
        let asked = AtomicU32::new(0);
        let late = || async { if asked.fetch_add(1, Ordering::Relaxed) < 20 { NOBODY } else { 0 } };
        assert!(!is_elsewhere(NOBODY, late).await);
        assert_eq!(asked.load(Ordering::Relaxed), 21);
    }
}
