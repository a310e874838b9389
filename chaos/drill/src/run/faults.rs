//! Faults of a run: when each bites, what it proves, when it heals.

use std::collections::VecDeque;
use std::time::Duration;

use chaos_cluster::ClusterError;
use chaos_faults::{FaultError, Inject, Injected, RedisTarget, ReplicationDelay, Scene, Sign};
use chaos_observe::{
    Length,
    journal::What,
    spans::{Span, SpanId, TraceId, Value},
};
use tokio::time::{Instant, sleep, sleep_until};

use super::{
    Ended,
    agenda::{Before, Due},
    stage::{Open, Stage, failed},
    watch::Lost,
};
use crate::{drill::Step, inject::Foreseen, schedule::FaultSeen};

const PROVE_EVERY: Duration = Duration::from_millis(250);
/// A killed primary is started again only when a survivor names another; a failed election or two may come first.
const HEAL_WITHIN: Duration = Duration::from_secs(30);

impl Stage<'_> {
    fn scene(&self) -> Scene<'_> {
        let busiest_slot = self.busiest_slot;
        Scene { cluster: &self.cluster, clock: &self.clock, heal_list: &self.heal_list, busiest_slot }
    }

    /// On the links out of the primary that will be hit, and on no others; it stays until all else is healed.
    pub(crate) async fn delay_replication(&mut self) -> Result<(), Ended> {
        let delay = self.drill.cluster.redis.replication_delay;
        if delay == Length::default() {
            return Ok(());
        }
        let inject =
            Inject::ReplicationDelay(ReplicationDelay { redis: RedisTarget::PrimaryOfBusiestRoom, delay: delay.get() });
        self.inject("delay", &inject, None).await
    }

    /// Steps in their order, heals when they are due, evidence as it shows.
    pub(crate) async fn faults(&mut self) -> Result<(), Ended> {
        let mut steps: VecDeque<(usize, Step)> = self.drill.steps.iter().cloned().enumerate().collect();
        let (mut before, mut happened) = (self.before(), None);
        while !steps.is_empty() || self.next_heal().is_some() {
            let heal = self.next_heal();
            let step = steps.front().map(|(_, step)| step.when);
            let heals = self.healed();
            let due = async {
                match step {
                    Some(when) => {
                        let (began, clock, watch, happened) = (self.began, self.clock, &self.watch, &mut happened);
                        Due { when, began, clock, watch, before, happened }.wait(&self.load, || heals).await;
                    }
                    None => std::future::pending().await,
                }
            };
            let next = self.shown(async {
                tokio::select! {
                    biased;
                    () = until(heal) => Next::Heal,
                    () = due => Next::Step,
                    () = sleep(PROVE_EVERY) => Next::Look,
                }
            });
            match next.await {
                Next::Heal => self.heal_due().await?,
                Next::Look => self.look().await,
                Next::Step => {
                    if let Some((nth, step)) = steps.pop_front() {
                        let id = format!("fault-{}", nth + 1);
                        self.inject(&id, &step.inject, Some(step.heal_after.get())).await?;
                        (before, happened) = (self.before(), None);
                    }
                }
            }
        }
        self.heal_rest().await
    }

    /// Listed, journalled and told before it bites: an interrupt may come while it does, and must find it to heal.
    async fn inject(&mut self, id: &str, inject: &Inject, heal_after: Option<Duration>) -> Result<(), Ended> {
        let aimed = self.shown(inject.aim(id, &self.scene())).await.map_err(failed)?;
        let (kind, target) = (aimed.kind().to_owned(), aimed.target.clone());
        self.note(&format!("{kind} {target} ({})", inject.target()));
        self.journal.mark_at(aimed.on, What::FaultOn { fault: id.to_owned(), kind, target });
        let open = self.open.get_mut();
        open.push(Open { injected: aimed, heal_at: None });
        let nth = open.len() - 1;
        {
            let mut open = self.open.lock().await;
            let fault = &mut open[nth];
            // Before it bites: a promotion may be told before this task runs again.
            self.primaries_lost(&fault.injected);
            self.shown(fault.injected.bite(&self.scene())).await.map_err(|error| match error {
                FaultError::Cluster(ClusterError::NotTouched { .. }) => Ended::Aborted(error.to_string()),
                error => failed(error),
            })?;
            self.still_served(&fault.injected);
            fault.heal_at = heal_after.map(|after| Instant::now() + after);
            self.shown(self.prove(&mut fault.injected)).await;
        }
        self.write_down();
        Ok(())
    }

    /// Whoever was primary and is gone now must be replaced: that is watched, and has a budget.
    fn primaries_lost(&self, injected: &Injected) {
        if !injected.inject.takes_a_primary() {
            return;
        }
        for struck in &injected.aim.struck {
            let Some((slot, _)) = struck.owned.as_ref().and_then(|owned| owned.slots.first().copied()) else {
                continue;
            };
            self.watch.lost(Lost { fault: injected.id.clone(), server: struck.server, slot, at: injected.on });
        }
    }

    /// Until when: whoever is asked to go takes leave first, and a command of somebody else's takes its time.
    fn still_served(&self, injected: &Injected) {
        for server in injected.servers() {
            let goes = || matches!(injected.inject, Inject::Terminate(_)).then(|| self.clock.now());
            let served = match self.cluster.last_served(server) {
                Some(served) => Some(self.clock.at(served)),
                None => goes(),
            };
            if let Some(served) = served {
                self.watch.served(&injected.id, server, served);
            }
        }
    }

    /// Asks every fault that still lacks a sign, or took a primary whose successor has not been told yet.
    async fn look(&mut self) {
        let lacks = |fault: &Injected| {
            let replaced = !fault.inject.takes_a_primary() || fault.has(Sign::ReplicaPromoted);
            fault.off.is_none() && !(replaced && fault.missing().is_empty())
        };
        for fault in self.open.lock().await.iter_mut().filter(|fault| lacks(&fault.injected)) {
            self.prove(&mut fault.injected).await;
        }
        self.write_down();
    }

    async fn prove(&self, injected: &mut Injected) {
        let new = injected.prove(&self.scene()).await;
        if !new.is_empty() {
            let seen: Vec<_> = new.iter().map(ToString::to_string).collect();
            self.note(&format!("{}: {}", injected.target, seen.join("; ")));
            self.journal.mark(What::Evidence { fault: injected.id.clone(), seen });
        }
    }

    fn next_heal(&mut self) -> Option<Instant> {
        let on = self.open.get_mut().iter().filter(|fault| fault.injected.off.is_none());
        on.filter_map(|fault| fault.heal_at).min()
    }

    fn healed(&mut self) -> usize {
        self.open.get_mut().iter().filter(|fault| fault.injected.off.is_some()).count()
    }

    fn before(&mut self) -> Before {
        Before { epoch: self.watch.epoch(), promotions: self.watch.promoted(), heals: self.healed() }
    }

    async fn heal_due(&mut self) -> Result<(), Ended> {
        let now = Instant::now();
        self.heal(|fault| fault.heal_at.is_some_and(|at| at <= now)).await
    }

    /// What stays on until all else is healed.
    async fn heal_rest(&mut self) -> Result<(), Ended> {
        self.heal(|_| true).await
    }

    /// On every way out. What cannot be healed stays in the heal list on disk, dies with the cluster, and is named.
    pub(crate) async fn heal_everything(&mut self) -> Result<(), String> {
        let on = self.open.get_mut().iter().map(|fault| &fault.injected).filter(|fault| fault.off.is_none());
        let names: Vec<_> = on.map(|fault| format!("{} of {}", fault.kind(), fault.target)).collect();
        if !names.is_empty() {
            self.note(&format!("healing {}", names.join(", ")));
        }
        match self.heal(|_| true).await {
            Err(Ended::Failed(why)) => {
                self.note(&format!("not healed: {why}"));
                Err(why)
            }
            _ => Ok(()),
        }
    }

    async fn heal(&mut self, which: impl Fn(&Open) -> bool) -> Result<(), Ended> {
        let mut failure = None;
        let mut open = self.open.lock().await;
        for fault in open.iter_mut().filter(|fault| fault.injected.off.is_none() && which(fault)) {
            self.prove(&mut fault.injected).await;
            let healed = tokio::time::timeout(HEAL_WITHIN, fault.injected.heal(&self.scene())).await;
            let (id, target) = (fault.injected.id.clone(), fault.injected.target.clone());
            match healed {
                Ok(Ok(())) => {
                    self.note(&format!("healed: {} of {target}", fault.injected.kind()));
                    self.journal.mark(What::FaultOff { fault: id });
                }
                Ok(Err(error)) => drop(failure.get_or_insert(error.to_string())),
                Err(_) => drop(failure.get_or_insert(format!("{id} on {target} was not healed in {HEAL_WITHIN:?}"))),
            }
            self.record_span(&fault.injected);
        }
        drop(open);
        self.write_down();
        failure.map_or(Ok(()), |why| Err(Ended::Failed(why)))
    }

    /// A fault is a span of its own, so that any trace viewer shows it beside what it hurt.
    fn record_span(&self, injected: &Injected) {
        let text = |value: &str| Value::Text(value.to_owned());
        let evidence: Vec<_> = injected.evidence.iter().map(ToString::to_string).collect();
        let id =
            self.clock.unix_ns(injected.on) ^ injected.id.bytes().fold(0, |hash, byte| hash * 31 + u64::from(byte));
        let attributes = [
            ("fault.kind".to_owned(), text(injected.kind())),
            ("fault.target".to_owned(), text(&injected.target)),
            ("fault.evidence".to_owned(), text(&evidence.join("; "))),
        ];
        self.spans.record(Span {
            trace: TraceId(u128::from(id)),
            id: SpanId(id),
            name: "fault".to_owned(),
            service: "chaos".to_owned(),
            start_ns: self.clock.unix_ns(injected.on),
            end_ns: self.clock.unix_ns(injected.off.unwrap_or(self.clock.now())),
            attributes: attributes.into(),
            ..Span::default()
        });
    }

    /// The schedule on disk, as of now.
    pub(crate) fn write_down(&mut self) {
        self.schedule.faults = self.open.get_mut().iter().map(|fault| seen(&fault.injected)).collect();
        self.schedule.promotions = self.watch.promotions();
        self.schedule.roles = self.watch.roles();
        self.store();
    }
}

enum Next {
    Heal,
    Step,
    Look,
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn seen(injected: &Injected) -> FaultSeen {
    FaultSeen {
        id: injected.id.clone(),
        kind: injected.kind().to_owned(),
        role: injected.inject.target(),
        target: injected.target.clone(),
        on: injected.on,
        off: injected.off,
        evidence: injected.evidence.iter().map(ToString::to_string).collect(),
        missing: injected.missing().iter().map(ToString::to_string).collect(),
    }
}
