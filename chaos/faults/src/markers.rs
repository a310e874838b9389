//! Writes that nobody fenced, made right before a primary dies: what is missing of them on the promoted one shows that
//! acknowledged writes could be lost there, which is what fences are for.

use chaos_cluster::{RespValue, Server, slot_of_key};

use crate::{Evidence, FaultError, Scene, Sign, Struck};

const BATCHES: usize = 5;
const PER_BATCH: usize = 20;

#[derive(Debug)]
pub(crate) struct Markers {
    primary: Server,
    slot: u16,
    keys: Vec<String>,
}

impl Markers {
    /// Returns when the primary has acknowledged them all.
    pub(crate) async fn write(scene: &Scene<'_>, primary: &Struck) -> Result<Markers, FaultError> {
        let tag = tag(primary);
        let at = scene.clock.now().0;
        let keys: Vec<String> = (0..BATCHES * PER_BATCH).map(|nth| format!("{{{tag}}}:{at}:{nth}")).collect();
        for batch in keys.chunks(PER_BATCH) {
            let mut command = vec!["MSET"];
            command.extend(batch.iter().flat_map(|key| [key.as_str(), "1"]));
            let answer = scene.cluster.ask(primary.server, &command).await?;
            if let RespValue::Error(why) = answer {
                let target = primary.server.to_string();
                return Err(FaultError::Target { target, why: format!("does not take writes: {why}") });
            }
        }
        Ok(Markers { primary: primary.server, slot: slot_of_key(&keys[0]), keys })
    }

    /// `None` when another primary has all of them, or none can be asked.
    pub(crate) async fn lost(&self, scene: &Scene<'_>) -> Option<Evidence> {
        let successor = scene.cluster.primary_of_slot(self.slot).await.ok().filter(|server| *server != self.primary)?;
        let mut command = vec!["EXISTS"];
        command.extend(self.keys.iter().map(String::as_str));
        let RespValue::Integer(there) = scene.cluster.ask(successor, &command).await.ok()? else { return None };
        let lost = self.keys.len().checked_sub(usize::try_from(there).ok()?).filter(|lost| *lost > 0)?;
        let (of, primary) = (self.keys.len(), self.primary);
        let seen = format!("{lost} of {of} un-fenced writes that {primary} acknowledged are missing on {successor}");
        Some(Evidence { at: scene.clock.now(), of: Sign::WritesLost, seen })
    }
}

/// The first of its kind whose slot the primary owns; a third of all do.
pub(crate) fn tag(primary: &Struck) -> String {
    let owns = |tag: &String| primary.owned.as_ref().is_some_and(|owned| owned.has(slot_of_key(&format!("{{{tag}}}"))));
    (0..1_000_000)
        .map(|nth| format!("holdfast-{nth}"))
        .find(owns)
        .unwrap_or_else(|| unreachable!("a primary owns slots"))
}
