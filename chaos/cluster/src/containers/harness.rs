//! Who made a container or a network: written on each of them, so that another harness can tell for certain whether that
//! one is gone.
//!
//! A process id says nothing by itself. It comes back; it is another process's in another pid namespace, as in a container
//! that uses the engine of its host; and one engine may serve several machines. So it stands beside the id of the boot, the
//! namespaces in which it and its start are counted, and that start.

use std::{
    collections::HashMap,
    fmt, fs,
    path::Path,
    process,
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use nix::{errno::Errno, sys::signal::kill, unistd::Pid};

use super::LABEL;

/// [`Harness`], as text.
pub(super) const HARNESS: &str = "holdfast.harness";
/// In seconds since 1970: the engine tells it of containers only.
pub(super) const MADE: &str = "holdfast.made";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Harness {
    /// The boot, the pid namespace and the time namespace.
    place: String,
    pid: u32,
    /// In ticks since the boot, as the time namespace has it.
    began: u64,
}

/// For whatever is made for a run.
pub(super) fn labels(run: &str) -> HashMap<String, String> {
    let labels = [(LABEL, run.to_owned()), (HARNESS, label()), (MADE, now().as_secs().to_string())];
    labels.map(|(name, value)| (name.to_owned(), value)).into()
}

/// No other harness has the same, also where nobody will be able to tell whether this one is gone.
pub(super) fn label() -> String {
    static UNKNOWN: LazyLock<String> = LazyLock::new(|| format!("unknown.{}.{}", process::id(), now().as_nanos()));
    Harness::this().map_or_else(|| UNKNOWN.clone(), |harness| harness.to_string())
}

/// Since 1970.
pub(super) fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

impl Harness {
    pub(super) fn this() -> Option<Harness> {
        let pid = process::id();
        // That of another pid namespace, mounted here, shows others under our ids.
        let ours = fs::read_link("/proc/self").is_ok_and(|link| link == Path::new(&pid.to_string()));
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().filter(|_| ours)?;
        let place = [boot.trim().to_owned(), namespace("pid")?, namespace("time").unwrap_or_default()].join(".");
        Some(Harness { place, pid, began: life(pid)?.began })
    }

    pub(super) fn read(label: &str) -> Option<Harness> {
        let mut parts = label.rsplitn(3, '.');
        let (began, pid) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Harness { place: parts.next()?.to_owned(), pid, began })
    }

    /// Whether `here` can tell.
    pub(super) fn is_known_to(&self, here: &Harness) -> bool {
        self.place == here.place
    }

    /// For certain, and only where `here` can tell. The kernel's word counts, since `/proc` may hide the processes of other
    /// users.
    pub(super) fn is_gone(&self, here: &Harness) -> bool {
        let Some(pid) = i32::try_from(self.pid).ok().filter(|pid| *pid > 0) else { return false };
        let is_nobody = || kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH);
        let is_another = || life(self.pid).is_some_and(|life| life.has_ended || life.began != self.began);
        self.is_known_to(here) && (is_nobody() || is_another())
    }
}

impl fmt::Display for Harness {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}.{}", self.place, self.pid, self.began)
    }
}

/// Its number: `pid:[4026531836]`. Older kernels have none of time.
fn namespace(kind: &str) -> Option<String> {
    let link = fs::read_link(format!("/proc/self/ns/{kind}")).ok()?;
    Some(link.to_string_lossy().chars().filter(char::is_ascii_digit).collect())
}

struct Life {
    began: u64,
    /// One that only waits to be reaped.
    has_ended: bool,
}

/// The name before the last parenthesis may hold any character; behind it the first word is the state, the 20th the start.
fn life(pid: u32) -> Option<Life> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut words = stat.rsplit_once(')')?.1.split_whitespace();
    let has_ended = matches!(words.next()?, "Z" | "X");
    Some(Life { began: words.nth(18)?.parse().ok()?, has_ended })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_live_harness_is_not_gone_and_reads_as_it_was_written() {
        let this = Harness::this().expect("Linux");
        let read = Harness::read(&this.to_string()).expect("it reads");
        assert_eq!(read, this);
        assert!(!read.is_gone(&this));
        assert_eq!(labels("x").get(HARNESS), Some(&this.to_string()));
        assert_eq!(label(), this.to_string());
    }

    #[test]
    fn one_whose_id_is_nobodys_or_anothers_is_gone() {
        let this = Harness::this().expect("Linux");
        let mut child = Command::new("true").spawn().expect("a process");
        let ended = Harness { pid: child.id(), began: life(child.id()).expect("not reaped").began, ..this.clone() };
        while !life(child.id()).expect("not reaped").has_ended {
            std::thread::yield_now();
        }
        assert!(ended.is_gone(&this), "one that nobody reaps");
        child.wait().expect("ended");
        assert!(ended.is_gone(&this), "one that is nowhere");
        let before = Harness { began: this.began - 1, ..this.clone() };
        assert!(before.is_gone(&this), "its id came back");
    }

    #[test]
    fn what_cannot_be_known_from_here_is_never_gone() {
        let this = Harness::this().expect("Linux");
        let [boot, pids, times] = this.place.split('.').collect::<Vec<_>>()[..] else { panic!("{}", this.place) };
        for place in [
            format!("00000000-0000-0000-0000-000000000000.{pids}.{times}"),
            format!("{boot}.1.{times}"),
            format!("{boot}.{pids}.1"),
        ] {
            let stranger = Harness { place, pid: 0x3fff_ffff, began: 1 };
            assert!(!stranger.is_gone(&this), "{stranger}");
            let here = Harness { place: this.place.clone(), ..stranger };
            assert!(here.is_gone(&this), "nobody has that id");
        }
        for text in ["", "a.b", "a.b.c", "a.1.c", "a.-1.1", "a.99999999999.1"] {
            assert_eq!(Harness::read(text), None, "{text}");
        }
        for pid in [0, u32::MAX] {
            let nonsense = Harness { pid, ..this.clone() };
            assert!(!nonsense.is_gone(&this), "{nonsense}");
        }
    }
}
