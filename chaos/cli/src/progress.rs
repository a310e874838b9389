//! What a run looks like while it runs: a progress bar for a person, a heartbeat line every 5 s for a log.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use chaos_drill::{Audience, Counters, Phase, words};
use indicatif::{ProgressBar, ProgressStyle};

use crate::terminal;

const HEARTBEAT: Duration = Duration::from_secs(5);

/// The audience that fits where stderr goes.
pub(crate) fn audience(name: &str, about: Duration) -> Box<dyn Audience> {
    if terminal::is_watched() { Box::new(Watched::new(name, about)) } else { Box::new(Heartbeat::new(name)) }
}

/// A bar over the estimated time, with the phase and live counts behind it.
struct Watched {
    bar: ProgressBar,
    began: Instant,
    phase: Mutex<Phase>,
}

impl Watched {
    fn new(name: &str, about: Duration) -> Watched {
        let bar = ProgressBar::new(about.as_millis() as u64);
        let style = ProgressStyle::with_template("{spinner} {prefix} [{bar:24}] {elapsed} {wide_msg}");
        bar.set_style(style.expect("a valid template").progress_chars("━╸─"));
        bar.set_prefix(name.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        Watched { bar, began: Instant::now(), phase: Mutex::new(Phase::Boot) }
    }

    fn forward(&self) {
        let elapsed = self.began.elapsed().as_millis() as u64;
        self.bar.set_position(elapsed.min(self.bar.length().unwrap_or(0)));
    }
}

impl Audience for Watched {
    fn phase(&self, phase: Phase, _: Duration) {
        *self.phase.lock().expect("no panic while held") = phase;
        self.bar.set_message(words(phase));
        self.forward();
    }

    fn note(&self, since_load: Option<Duration>, line: &str) {
        self.bar.println(noted(since_load, line));
    }

    fn counters(&self, counters: &Counters) {
        let phase = *self.phase.lock().expect("no panic while held");
        self.bar.set_message(format!("{} · {counters}", words(phase)));
        self.forward();
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Lines that say where the run is, at least one every 5 s.
struct Heartbeat {
    name: String,
    began: Instant,
    state: Mutex<(Phase, Instant)>,
}

impl Heartbeat {
    fn new(name: &str) -> Heartbeat {
        let now = Instant::now();
        Heartbeat { name: name.to_owned(), began: now, state: Mutex::new((Phase::Boot, now)) }
    }

    fn line(&self, text: &str) {
        terminal::remark(&format!("{} {:5.1}s {text}", self.name, self.began.elapsed().as_secs_f64()));
    }
}

impl Audience for Heartbeat {
    fn phase(&self, phase: Phase, about: Duration) {
        *self.state.lock().expect("no panic while held") = (phase, Instant::now());
        self.line(&format!("{} (about {:.0} s)", words(phase), about.as_secs_f64().ceil()));
    }

    fn note(&self, since_load: Option<Duration>, line: &str) {
        self.line(&noted(since_load, line));
    }

    fn counters(&self, counters: &Counters) {
        let mut state = self.state.lock().expect("no panic while held");
        if state.1.elapsed() >= HEARTBEAT {
            state.1 = Instant::now();
            let phase = state.0;
            drop(state);
            self.line(&format!("{} · {counters}", words(phase)));
        }
    }
}

/// How far images are: a line of its own for a person, a heartbeat for a log; nothing of what takes a moment.
pub(crate) struct Pulling {
    bar: Option<ProgressBar>,
    told: Mutex<Instant>,
}

impl Pulling {
    pub(crate) fn new() -> Pulling {
        let bar = || {
            let style = ProgressStyle::with_template("{spinner} {wide_msg}").expect("a template");
            ProgressBar::new_spinner().with_style(style)
        };
        Pulling { bar: terminal::is_watched().then(bar), told: Mutex::new(Instant::now()) }
    }

    /// Whatever it writes has a line of its own.
    pub(crate) fn aside(&self, write: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// May be called as often as one likes.
    pub(crate) fn show(&self, far: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(far.to_owned());
            return bar.tick();
        }
        let mut told = self.told.lock().expect("no panic while held");
        if told.elapsed() >= HEARTBEAT {
            *told = Instant::now();
            terminal::remark(far);
        }
    }
}

impl Drop for Pulling {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn noted(since_load: Option<Duration>, line: &str) -> String {
    match since_load {
        Some(since) => format!("  {:6.2}s  {line}", since.as_secs_f64()),
        None => format!("           {line}"),
    }
}
