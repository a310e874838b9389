//! The simulated network: hosts, directed links between them, and connections that feel what happens to both.
//!
//! In the flow: chat nodes, clients and the model's servers connect through [`Net::connect`] (bytes) or
//! [`Net::connect_typed`] (a replication link, whose frames need no encoding); faults turn the knobs of a link or take
//! a host away.
//! - A cut link holds what is sent on it, as TCP does by sending again, and lets it through after the cut.
//! - What a cut or lagging link holds when its source dies is dropped: a fault proxy drops it, and a dead machine
//!   cannot send again. What is under way on a plain link still arrives: the kernel sends a dead process's buffers
//!   (ARCHITECTURE.md, "Invariants"; `cargo test -p suites an_ack_without_wait_is_caught` has to delay links to see a
//!   loss).
//! - A paused process is not the network's business: its kernel goes on receiving (`model::Redis::pause`).
//!
//! One clock wakes the reader of whatever arrives, once per connection and instant: a timer of its own for each would be
//! half of the network's cost.
//!
//! Deliberately absent: back-pressure, packet sizes, bandwidth, name resolution.

mod clock;
mod pipe;
mod stream;

pub use pipe::{Receiver, Sender, pipe};
pub use stream::Stream;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep};

use crate::chance::Chance;
use clock::Arrivals;

/// A machine with one process on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host(pub u16);

/// How a host goes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// The process: its kernel sends what it holds, then resets the connections.
    Process,
    /// The machine: nothing more comes, no reset either.
    Machine,
}

/// One direction between two hosts.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Link {
    cut: bool,
    lag: Duration,
}

/// What the network does to a connection that exists.
trait Control: Send + Sync {
    fn ends(&self) -> (Host, Host);
    /// What a cut held comes no sooner than `earliest`.
    fn cut(&self, cut: bool, earliest: Instant);
    fn source_died(&self, death: Death, drop_held: bool);
    fn reset(&self);
    /// Something may have arrived.
    fn wake(&self);
}

struct State {
    links: BTreeMap<(Host, Host), Link>,
    up: BTreeMap<Host, bool>,
    machine_off: BTreeMap<Host, bool>,
    listeners: BTreeMap<Host, mpsc::UnboundedSender<(Host, Stream)>>,
    pipes: Vec<Weak<dyn Control>>,
    chance: Chance,
    /// Percent of chunks that are delayed at all, and by how many milliseconds at most: chosen, a plan's to say.
    jitter: (u64, u64),
    arrivals: Arrivals,
}

#[derive(Clone)]
pub struct Net {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
}

impl Net {
    /// Must be made inside the runtime, whose clock it follows for as long as that lasts.
    pub fn new(chance: Chance) -> Net {
        let state = State {
            links: BTreeMap::new(),
            up: BTreeMap::new(),
            machine_off: BTreeMap::new(),
            listeners: BTreeMap::new(),
            pipes: Vec::new(),
            chance,
            jitter: (40, 3),
            arrivals: Arrivals::new(),
        };
        let net = Net { state: Arc::new(Mutex::new(state)), changed: Arc::new(Notify::new()) };
        tokio::spawn(net.clone().run_clock());
        net
    }

    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.state.lock().expect("no panic inside the network"))
    }

    /// How often, and by how much, a chunk is late on a healthy link.
    pub fn set_jitter(&self, percent: u64, most_ms: u64) {
        self.with(|state| state.jitter = (percent, most_ms));
    }

    pub fn set_up(&self, host: Host, up: bool) {
        let stale = self.with(|state| {
            state.up.insert(host, up);
            let was_off = up && state.machine_off.remove(&host).is_some();
            if was_off { state.pipes_of(|ends| ends.0 == host) } else { Vec::new() }
        });
        // A machine that is back resets what it doesn't know.
        for pipe in stale {
            pipe.reset();
        }
        self.changed.notify_waiters();
    }

    /// Accept connections to `host` from now on; a second call replaces the first.
    pub fn listen(&self, host: Host) -> mpsc::UnboundedReceiver<(Host, Stream)> {
        let (to, from) = mpsc::unbounded_channel();
        self.with(|state| state.listeners.insert(host, to));
        from
    }

    pub fn set_cut(&self, from: Host, to: Host, cut: bool) {
        let (pipes, late) = self.with(|state| {
            state.change(from, to, |link| link.cut = cut);
            // TCP sends again at growing intervals, of which the first is 200 ms (Linux, TCP_RTO_MIN): what was held comes
            // some time after the cut ends.
            let late = Duration::from_millis(state.chance.between(0, 200));
            (state.pipes_of(|ends| ends == (from, to)), late)
        });
        let earliest = Instant::now() + late;
        for pipe in pipes {
            pipe.cut(cut, earliest);
            if !cut {
                self.with(|state| state.arrivals.expect(earliest, pipe));
            }
        }
        self.changed.notify_waiters();
    }

    pub fn set_lag(&self, from: Host, to: Host, lag: Duration) {
        self.with(|state| state.change(from, to, |link| link.lag = lag));
    }

    pub fn is_cut(&self, from: Host, to: Host) -> bool {
        self.with(|state| state.link(from, to).cut)
    }

    /// Bytes can go and come.
    pub fn open(&self, a: Host, b: Host) -> bool {
        self.with(|state| state.open(a, b))
    }

    /// Take a host away. Its tasks are the caller's to end, after this.
    pub fn kill(&self, host: Host, death: Death) {
        let pipes = self.with(|state| {
            state.up.insert(host, false);
            state.listeners.remove(&host);
            if death == Death::Machine {
                state.machine_off.insert(host, true);
            }
            let pipes = state.pipes_of(|ends| ends.0 == host);
            pipes
                .into_iter()
                .map(|pipe| {
                    let (from, to) = pipe.ends();
                    let link = state.link(from, to);
                    (pipe, link.cut || !link.lag.is_zero() || death == Death::Machine)
                })
                .collect::<Vec<_>>()
        });
        for (pipe, drop_held) in pipes {
            pipe.source_died(death, drop_held);
        }
        self.changed.notify_waiters();
    }

    /// Break every connection between two hosts, both ways (a fault: CLIENT KILL, a middlebox that forgot).
    pub fn reset(&self, a: Host, b: Host) {
        let pipes = self.with(|state| state.pipes_of(|ends| ends == (a, b) || ends == (b, a)));
        for pipe in pipes {
            pipe.reset();
        }
    }

    /// A connection in bytes. It hangs while either direction is cut or the machine is off, and is refused when no
    /// process listens.
    pub async fn connect(&self, from: Host, to: Host) -> io::Result<Stream> {
        self.reach(from, to).await?;
        let (ours, theirs) = self.duplex(from, to);
        let listener = self.with(|state| state.listeners.get(&to).cloned());
        let refused = || io::Error::new(io::ErrorKind::ConnectionRefused, "connection refused");
        listener.ok_or_else(refused)?.send((from, theirs)).map_err(|_| refused())?;
        Ok(ours)
    }

    fn duplex(&self, from: Host, to: Host) -> (Stream, Stream) {
        let (there_tx, there_rx) = pipe(self, from, to);
        let (back_tx, back_rx) = pipe(self, to, from);
        (Stream::new(there_tx, back_rx), Stream::new(back_tx, there_rx))
    }

    /// Both directions of a connection whose frames are values: what `from` sends and receives, and what `to` does.
    pub async fn connect_typed<A: Send + 'static, B: Send + 'static>(
        &self,
        from: Host,
        to: Host,
    ) -> io::Result<((Sender<A>, Receiver<B>), (Sender<B>, Receiver<A>))> {
        self.reach(from, to).await?;
        let (there_tx, there_rx) = pipe(self, from, to);
        let (back_tx, back_rx) = pipe(self, to, from);
        Ok(((there_tx, back_rx), (back_tx, there_rx)))
    }

    /// The handshake: one way there and one back.
    async fn reach(&self, from: Host, to: Host) -> io::Result<()> {
        loop {
            let changed = self.changed.notified();
            let delay = self.with(|state| {
                let off = state.machine_off.contains_key(&to);
                let open = state.open(from, to) && !off;
                open.then(|| state.delay(from, to) + state.delay(to, from))
            });
            let Some(delay) = delay else {
                changed.await;
                continue;
            };
            if !delay.is_zero() {
                sleep(delay).await;
            }
            let (up, open) = self.with(|state| (state.is_up(to), state.open(from, to)));
            if open && up {
                return Ok(());
            }
            if open {
                return Err(io::Error::new(io::ErrorKind::ConnectionRefused, "connection refused"));
            }
        }
    }

    /// How long a chunk that is sent now is under way.
    fn delay(&self, from: Host, to: Host) -> Duration {
        self.with(|state| state.delay(from, to))
    }

    fn register(&self, pipe: Weak<dyn Control>) {
        self.with(|state| {
            if state.pipes.len() % 64 == 63 {
                state.pipes.retain(|pipe| pipe.strong_count() > 0);
            }
            state.pipes.push(pipe);
        });
    }
}

impl State {
    /// A healthy link has no entry: links are looked up for every chunk.
    fn change(&mut self, from: Host, to: Host, change: impl FnOnce(&mut Link)) {
        let mut link = self.link(from, to);
        change(&mut link);
        if link == Link::default() {
            self.links.remove(&(from, to));
        } else {
            self.links.insert((from, to), link);
        }
    }

    fn link(&self, from: Host, to: Host) -> Link {
        self.links.get(&(from, to)).copied().unwrap_or_default()
    }

    fn open(&self, a: Host, b: Host) -> bool {
        !self.link(a, b).cut && !self.link(b, a).cut
    }

    fn is_up(&self, host: Host) -> bool {
        self.up.get(&host).copied().unwrap_or(false)
    }

    fn delay(&mut self, from: Host, to: Host) -> Duration {
        let (percent, most) = self.jitter;
        let jitter = if self.chance.percent(percent) { self.chance.between(1, most.max(1)) } else { 0 };
        self.link(from, to).lag + Duration::from_millis(jitter)
    }

    fn pipes_of(&self, which: impl Fn((Host, Host)) -> bool) -> Vec<Arc<dyn Control>> {
        self.pipes.iter().filter_map(Weak::upgrade).filter(|pipe| which(pipe.ends())).collect()
    }
}
