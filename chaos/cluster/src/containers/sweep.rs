//! What was left by harnesses that are gone with their reapers, as when a job's whole control group is killed: the next one
//! on that engine removes it.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use bollard::{
    Docker,
    errors::Error,
    models::{ContainerSummary, ContainerSummaryStateEnum, Network},
    query_parameters::{ListContainersOptionsBuilder, ListNetworksOptionsBuilder, RemoveContainerOptionsBuilder},
};
use futures_util::{StreamExt, future::join_all, stream};
use tokio::time::{Instant, sleep};

use super::{
    LABEL,
    harness::{HARNESS, Harness, MADE, now},
    is_gone, sentence,
};

/// The engine may still be starting what was only made: removed at that moment, it would leave its network with an
/// endpoint that nobody has. That is left to the next.
const STARTING: u64 = 10;
/// What cannot be told gone may be somebody's work, for a day.
const OLD: u64 = 24 * 60 * 60;
const AT_ONCE: usize = 4;
/// A network is free a moment after its containers, which others may be removing, too.
const FREE_WITHIN: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What was made for one run.
#[derive(Debug, Default, PartialEq, Eq)]
struct Run {
    name: String,
    /// As its label says.
    harness: Option<Harness>,
    /// The latest of it.
    made: u64,
    containers: Vec<String>,
    networks: Vec<String>,
    /// A container of it may be.
    is_starting: bool,
}

/// Lines about it, for people. Nothing that it meets keeps a run from starting.
pub(super) async fn sweep(docker: &Docker) -> Vec<String> {
    let runs = match list(docker).await {
        Ok((containers, networks)) => runs(containers, networks, now().as_secs()),
        Err(error) => return vec![format!("what killed harnesses left cannot be looked for: {}", sentence(&error))],
    };
    let (gone, strange) = sorted(runs, Harness::this().as_ref(), now().as_secs());
    let (removed, failed): (Vec<_>, Vec<_>) =
        join_all(gone.into_iter().map(|run| remove(docker, run))).await.into_iter().unzip();
    // A reaper that is at the same may have been faster.
    let removed: Vec<_> = removed.into_iter().filter(Run::holds_something).collect();
    let failed: Vec<_> = failed.into_iter().flatten().collect();
    let swept = (!removed.is_empty()).then(|| swept(&removed));
    let stuck = (!failed.is_empty()).then(|| stuck(&failed));
    let strange = (!strange.is_empty()).then(|| left_alone(&strange));
    swept.into_iter().chain(stuck).chain(strange).collect()
}

async fn list(docker: &Docker) -> Result<(Vec<ContainerSummary>, Vec<Network>), Error> {
    let ours = HashMap::from([("label", vec![LABEL])]);
    let containers = ListContainersOptionsBuilder::new().all(true).filters(&ours).build();
    let networks = ListNetworksOptionsBuilder::new().filters(&ours).build();
    Ok((docker.list_containers(Some(containers)).await?, docker.list_networks(Some(networks)).await?))
}

fn runs(containers: Vec<ContainerSummary>, networks: Vec<Network>, now: u64) -> Vec<Run> {
    let mut runs = BTreeMap::<(String, String), Run>::new();
    let mut made = |labels: Option<HashMap<String, String>>, created: Option<i64>, put: &dyn Fn(&mut Run, u64)| {
        let labels = labels.unwrap_or_default();
        let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
        let (name, harness) = (label(LABEL), label(HARNESS));
        let run = runs.entry((name.clone(), harness.clone())).or_default();
        (run.name, run.harness) = (name, Harness::read(&harness));
        // Of what says nothing of its age it is taken for new.
        let created = created.and_then(|created| u64::try_from(created).ok());
        let at = created.or_else(|| label(MADE).parse().ok()).unwrap_or(now);
        run.made = run.made.max(at);
        put(run, at);
    };
    for ContainerSummary { id, labels, created, state, .. } in containers {
        let unstarted = state == Some(ContainerSummaryStateEnum::CREATED);
        made(labels, created, &|run, at| {
            run.containers.extend(id.clone());
            run.is_starting |= unstarted && now.saturating_sub(at) < STARTING;
        });
    }
    for Network { id, labels, .. } in networks {
        made(labels, None, &|run, _| run.networks.extend(id.clone()));
    }
    runs.into_values().collect()
}

impl Run {
    fn holds_something(&self) -> bool {
        !self.containers.is_empty() || !self.networks.is_empty()
    }
}

/// Those of harnesses that are gone, and those of which nobody here can tell, for long. `here`: where it is known.
fn sorted(runs: Vec<Run>, here: Option<&Harness>, now: u64) -> (Vec<Run>, Vec<Run>) {
    let both = |run: &Run| run.harness.clone().zip(here);
    let known = |run: &Run| both(run).is_some_and(|(harness, here)| harness.is_known_to(here));
    let (known, strange): (Vec<Run>, Vec<Run>) = runs.into_iter().partition(known);
    let is_gone = |run: &Run| both(run).is_some_and(|(harness, here)| harness.is_gone(here)) && !run.is_starting;
    let is_old = |run: &Run| now.saturating_sub(run.made) > OLD;
    (known.into_iter().filter(is_gone).collect(), strange.into_iter().filter(is_old).collect())
}

/// What of it we removed, and why the rest is there.
async fn remove(docker: &Docker, run: Run) -> (Run, Option<String>) {
    let Run { name, harness, made, containers, networks, is_starting } = run;
    let mut done = Run { name, harness, made, is_starting, ..Run::default() };
    let had_containers = !containers.is_empty();
    let mut why = None;
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    let removals = containers.into_iter().map(|id| {
        let options = options.clone();
        async move { (docker.remove_container(&id, Some(options)).await, id) }
    });
    let mut removals = stream::iter(removals).buffer_unordered(AT_ONCE);
    while let Some((removed, id)) = removals.next().await {
        match removed {
            Ok(()) => done.containers.push(id),
            // Somebody else is at the same.
            Err(error) if is_gone(&error) => {}
            Err(error) => why = Some(format!("{}: {}", done.name, sentence(&error))),
        }
    }
    // Where there was no container any more, nobody is at work.
    let until = if had_containers { Instant::now() + FREE_WITHIN } else { Instant::now() };
    for id in networks {
        loop {
            match docker.remove_network(&id).await {
                Ok(()) => done.networks.push(id),
                Err(error) if is_gone(&error) => {}
                Err(_) if Instant::now() < until => {
                    sleep(LOOK_AGAIN).await;
                    continue;
                }
                Err(error) => why = Some(format!("{}: {}", done.name, sentence(&error))),
            }
            break;
        }
    }
    (done, why)
}

fn swept(removed: &[Run]) -> String {
    format!("removed what harnesses left that are gone: {}", counted(removed))
}

fn stuck(failed: &[String]) -> String {
    format!("what harnesses left that are gone cannot be removed: {}", failed.join("; "))
}

fn left_alone(strange: &[Run]) -> String {
    format!(
        "left alone, since its harness ran elsewhere, before a boot or in an earlier version, and cannot be told to be gone: \
         {}, a day old or older; when nobody needs it: `docker rm -f -v` and `docker network rm` what \
         `--filter label={LABEL}=NAME` finds",
        counted(strange)
    )
}

/// `2 containers and 1 network of holdfast-a, holdfast-b`.
fn counted(runs: &[Run]) -> String {
    let all = |of: fn(&Run) -> &Vec<String>| runs.iter().map(|run| of(run).len()).sum::<usize>();
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let names = runs.iter().map(|run| run.name.as_str()).collect::<Vec<_>>().join(", ");
    let containers = count(all(|run| &run.containers), "container");
    format!("{containers} and {} of {names}", count(all(|run| &run.networks), "network"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 2_000_000_000;

    fn labels(run: &str, harness: &str, age: u64) -> HashMap<String, String> {
        let labels = [(LABEL, run.to_owned()), (HARNESS, harness.to_owned()), (MADE, (NOW - age).to_string())];
        labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn container(run: &str, harness: &str, age: u64, state: ContainerSummaryStateEnum) -> ContainerSummary {
        ContainerSummary {
            id: Some(format!("{run}-1")),
            labels: Some(labels(run, harness, age)),
            created: Some((NOW - age).cast_signed()),
            state: Some(state),
            ..ContainerSummary::default()
        }
    }

    fn network(run: &str, harness: &str, age: u64) -> Network {
        Network { id: Some(format!("{run}-network")), labels: Some(labels(run, harness, age)), ..Network::default() }
    }

    fn names(runs: &[Run]) -> Vec<&str> {
        runs.iter().map(|run| run.name.as_str()).collect()
    }

    #[test]
    fn only_what_belongs_to_a_harness_that_is_gone_for_certain_is_removed() {
        use ContainerSummaryStateEnum::{CREATED, EXITED, RUNNING};
        let here = Harness::this().expect("Linux");
        let live = here.to_string();
        // It has our id, and began at another time.
        let gone = format!("{live}0");
        let elsewhere = format!("another-boot.{}", live.split_once('.').expect("a boot").1);
        let (young, old) = (60, OLD + 60);
        let containers = vec![
            container("live", &live, old, RUNNING),
            container("gone", &gone, young, RUNNING),
            container("starting", &gone, 1, CREATED),
            container("unstarted", &gone, young, CREATED),
            container("elsewhere", &elsewhere, old, EXITED),
            container("lately-elsewhere", &elsewhere, young, RUNNING),
            container("earlier-version", "", old, EXITED),
        ];
        let networks = vec![
            network("live", &live, old),
            network("gone", &gone, young),
            network("alone", &gone, young),
            network("alone-elsewhere", &elsewhere, old),
            network("lately-alone-elsewhere", &elsewhere, young),
            Network { labels: Some(HashMap::from([(LABEL.to_owned(), "ageless".to_owned())])), ..Network::default() },
        ];
        let made = || runs(containers.clone(), networks.clone(), NOW);
        let (gone, strange) = sorted(made(), Some(&here), NOW);
        assert_eq!(names(&gone), ["alone", "gone", "unstarted"]);
        assert_eq!(names(&strange), ["alone-elsewhere", "earlier-version", "elsewhere"]);
        assert_eq!(gone[1].containers, ["gone-1"]);
        assert_eq!(gone[1].networks, ["gone-network"]);
        let both = "2 containers and 2 networks of alone, gone, unstarted";
        assert_eq!(swept(&gone), format!("removed what harnesses left that are gone: {both}"));
        let told = left_alone(&strange[..1]);
        assert!(told.contains(": 0 containers and 1 network of alone-elsewhere, a day old or older; when"), "{told}");

        // Where nobody knows who we are, nobody is known to be gone.
        let (gone, strange) = sorted(made(), None, NOW);
        assert_eq!(names(&gone), [""; 0]);
        assert_eq!(names(&strange), ["alone-elsewhere", "earlier-version", "elsewhere", "live"]);
    }
}
