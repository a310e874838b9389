//! A fault that is on, or about to be: its evidence, and the way back.

use chaos_cluster::Server;
use chaos_observe::At;

use crate::{Aim, Evidence, Fault, FaultError, HealStep, Inject, Scene, Sign, ToHeal, heal};

/// One fault from its aim to its heal. Not healed by dropping, since that takes time: the heal list on disk has it
/// until it is. Every step may be given up half way (a bite may last minutes): healing afterwards undoes what was done.
#[derive(Debug)]
pub struct Injected {
    pub id: String,
    pub inject: Inject,
    /// The processes that were hit, by name.
    pub target: String,
    pub aim: Aim,
    /// Right before the bite.
    pub on: At,
    /// When all of it was undone.
    pub off: Option<At>,
    /// What was seen so far, each sign once.
    pub evidence: Vec<Evidence>,
    steps: Vec<HealStep>,
}

pub(crate) async fn aim<F: Fault>(
    fault: &F,
    inject: Inject,
    id: &str,
    scene: &Scene<'_>,
) -> Result<Injected, FaultError> {
    let aim = fault.aim(scene).await?;
    let (target, steps) = (aim.names(), fault.undo(&aim));
    let entry = ToHeal { id: id.to_owned(), kind: F::KIND.to_owned(), target: target.clone(), steps: steps.clone() };
    scene.heal_list.before(entry).map_err(FaultError::HealList)?;
    let (id, on) = (id.to_owned(), scene.clock.now());
    Ok(Injected { id, inject, target, aim, on, off: None, evidence: Vec::new(), steps })
}

impl Inject {
    /// Aims, bites and looks once. A bite that fails is undone; why it failed is the news.
    pub async fn inject(&self, id: &str, scene: &Scene<'_>) -> Result<Injected, FaultError> {
        let mut injected = self.aim(id, scene).await?;
        if let Err(error) = injected.bite(scene).await {
            let _ = injected.heal(scene).await;
            return Err(error);
        }
        injected.prove(scene).await;
        Ok(injected)
    }
}

impl Injected {
    pub fn kind(&self) -> &'static str {
        self.inject.kind()
    }

    pub fn servers(&self) -> impl Iterator<Item = Server> {
        self.aim.struck.iter().map(|struck| struck.server)
    }

    /// Lets it happen. After an error, or when this is dropped before it returns, part of it may be on.
    pub async fn bite(&mut self, scene: &Scene<'_>) -> Result<(), FaultError> {
        self.inject.bite(scene, &mut self.aim).await
    }

    /// Looks again, and keeps the first evidence of each sign. Returns what is new.
    pub async fn prove(&mut self, scene: &Scene<'_>) -> Vec<Evidence> {
        let mut new = self.inject.prove(scene, &self.aim).await;
        new.retain(|evidence| !self.has(evidence.of));
        self.evidence.extend(new.iter().cloned());
        new
    }

    pub fn has(&self, sign: Sign) -> bool {
        self.evidence.iter().any(|evidence| evidence.of == sign)
    }

    /// Signs that it needs and has not shown. Not empty at the end of its window: the verdict is unknown.
    pub fn missing(&self) -> Vec<Sign> {
        let mut required = self.inject.required(&self.aim);
        required.retain(|sign| !self.has(*sign));
        required
    }

    /// Undoes everything, as far as it can. The first thing that could not be undone is the error; the fault is then not
    /// off, and stays in the heal list. May be called again, and when nothing is left to do.
    pub async fn heal(&mut self, scene: &Scene<'_>) -> Result<(), FaultError> {
        let mut failed = None;
        for step in &self.steps {
            if let Err(error) = heal::undo(scene, step).await {
                failed.get_or_insert(error);
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        self.off.get_or_insert(scene.clock.now());
        scene.heal_list.healed(&self.id).map_err(FaultError::HealList)
    }
}
