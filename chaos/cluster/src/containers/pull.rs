//! An image is here, or is pulled: how far it is is shown, and one that gets no further is given up.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    fmt,
    pin::pin,
    time::Duration,
};

use bollard::{
    Docker,
    errors::Error,
    models::{CreateImageInfo, ProgressDetail},
    query_parameters::CreateImageOptionsBuilder,
};
use futures_util::{Stream, StreamExt};
use tokio::time::{Instant, timeout, timeout_at};

use super::sentence;
use crate::{ClusterError, Progress};

/// Without any progress for so long it is given up.
const STUCK: Duration = Duration::from_mins(2);
/// How often is shown where it is, also when nothing happens.
const SHOWN_EVERY: Duration = Duration::from_secs(1);

/// Here already, or pulled. `live` is told how far it is, again and again.
pub(super) async fn present(docker: &Docker, name: &str, live: Progress<'_>) -> Result<(), ClusterError> {
    let missing = |why: String| ClusterError::Ground(format!("the image {name}: {why}"));
    match timeout(STUCK, docker.inspect_image(name)).await {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(Error::DockerResponseServerError { status_code: 404, .. })) => {}
        Ok(Err(error)) => return Err(missing(sentence(&error))),
        Err(_) => return Err(missing(format!("the engine says nothing of it within {STUCK:?}"))),
    }
    let options = CreateImageOptionsBuilder::new().from_image(&tagged(name)).build();
    let steps = docker.create_image(Some(options), None, None);
    followed(steps, STUCK, |pull| live(&format!("pulling {name}: {pull}"))).await.map_err(missing)
}

/// The latest one, where neither a tag nor a digest is named: the engine would pull every tag there is. What comes before
/// the last slash may have a port, which is no tag.
fn tagged(name: &str) -> Cow<'_, str> {
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.contains([':', '@']) { name.into() } else { format!("{name}:latest").into() }
}

/// To its end, or until there was no progress for as long as `stuck`.
async fn followed(
    steps: impl Stream<Item = Result<CreateImageInfo, Error>>,
    stuck: Duration,
    show: impl Fn(&Pull),
) -> Result<(), String> {
    let (mut steps, mut pull) = (pin!(steps), Pull::default());
    let mut until = Instant::now() + stuck;
    loop {
        show(&pull);
        match timeout_at(until.min(Instant::now() + SHOWN_EVERY), steps.next()).await {
            Ok(Some(step)) => {
                if pull.advance(step.map_err(|error| sentence(&error))?) {
                    until = Instant::now() + stuck;
                }
            }
            Ok(None) => return Ok(()),
            Err(_) => {}
        }
        if Instant::now() >= until {
            return Err(format!("no progress within {stuck:?} ({pull})"));
        }
    }
}

/// How far it is, by what the engine says of each layer.
#[derive(Default)]
struct Pull {
    layers: BTreeMap<String, Layer>,
    /// The most bytes that were seen of a layer in each state.
    best: HashMap<(String, String), i64>,
}

#[derive(Default)]
struct Layer {
    bytes: i64,
    of: i64,
    done: bool,
}

impl Pull {
    /// Whether that is progress: a state that was not seen before, or more bytes. What is only tried again is none.
    fn advance(&mut self, CreateImageInfo { id, status, progress_detail, .. }: CreateImageInfo) -> bool {
        let (id, status) = (id.unwrap_or_default(), status.unwrap_or_default());
        let ProgressDetail { current, total } = progress_detail.unwrap_or_default();
        let bytes = current.unwrap_or(0);
        // What names no layer names the image.
        if !id.is_empty() && !status.starts_with("Pulling from") {
            let layer = self.layers.entry(id.clone()).or_default();
            match status.as_str() {
                "Downloading" => (layer.bytes, layer.of) = (bytes, total.unwrap_or(0)),
                "Download complete" => layer.bytes = layer.of,
                "Pull complete" | "Already exists" => (layer.bytes, layer.done) = (layer.of, true),
                _ => {}
            }
        }
        if status.starts_with("Retrying") {
            // It may begin from nothing; the engine tries a layer a few times only.
            self.best.retain(|(of, _), _| *of != id);
            return false;
        }
        let best = self.best.insert((id.clone(), status.clone()), bytes);
        if let Some(best) = best.filter(|best| *best > bytes) {
            self.best.insert((id, status), best);
        }
        best.is_none_or(|best| bytes > best)
    }
}

impl fmt::Display for Pull {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.layers.is_empty() {
            return out.write_str("its registry is asked");
        }
        let all = || self.layers.values();
        let [bytes, of] = [all().map(|layer| layer.bytes).sum::<i64>(), all().map(|layer| layer.of).sum()];
        write!(out, "{} of {} layers", all().filter(|layer| layer.done).count(), all().count())?;
        let megabytes = |bytes: i64| bytes as f64 / 1e6;
        if of > 0 { write!(out, ", {:.1} of {:.1} MB", megabytes(bytes), megabytes(of)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use tokio::time::sleep;

    use super::*;

    fn step(id: &str, status: &str, bytes: Option<(i64, i64)>) -> CreateImageInfo {
        let detail = bytes.map(|(current, total)| ProgressDetail { current: Some(current), total: Some(total) });
        let id = Some(id.to_owned()).filter(|id| !id.is_empty());
        CreateImageInfo { id, status: Some(status.to_owned()), progress_detail: detail, ..CreateImageInfo::default() }
    }

    #[test]
    fn layers_and_bytes_are_told_and_what_is_only_tried_again_is_no_progress() {
        let mut pull = Pull::default();
        let mut advance = |id: &str, status: &str, bytes| (pull.advance(step(id, status, bytes)), pull.to_string());
        let told = |is_progress: bool, text: &str| (is_progress, text.to_owned());
        assert_eq!(advance("7.2", "Pulling from library/redis", None), told(true, "its registry is asked"));
        assert_eq!(advance("a", "Pulling fs layer", None), told(true, "0 of 1 layers"));
        assert_eq!(advance("b", "Already exists", None), told(true, "1 of 2 layers"));
        let half = Some((1_000_000, 2_000_000));
        assert_eq!(advance("a", "Downloading", half), told(true, "1 of 2 layers, 1.0 of 2.0 MB"));
        assert_eq!(advance("a", "Downloading", half), told(false, "1 of 2 layers, 1.0 of 2.0 MB"));
        assert!(!advance("a", "Retrying in 5 seconds", None).0);
        assert!(!advance("a", "Retrying in 4 seconds", None).0);
        assert_eq!(advance("a", "Downloading", Some((1, 2_000_000))), told(true, "1 of 2 layers, 0.0 of 2.0 MB"));
        assert!(advance("a", "Downloading", half).0, "it began again");
        assert!(!advance("a", "Downloading", Some((9, 2_000_000))).0, "it is no further than it was");
        assert!(!advance("a", "Downloading", half).0, "it is no further than it was");
        assert!(advance("a", "Downloading", Some((1_000_001, 2_000_000))).0);
        assert_eq!(advance("a", "Download complete", None), told(true, "1 of 2 layers, 2.0 of 2.0 MB"));
        assert_eq!(advance("a", "Pull complete", None), told(true, "2 of 2 layers, 2.0 of 2.0 MB"));
        assert_eq!(advance("", "Status: Downloaded newer image", None), told(true, "2 of 2 layers, 2.0 of 2.0 MB"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pull_may_take_long_as_long_as_it_gets_further() {
        const STUCK: Duration = Duration::from_secs(2);
        let began = Instant::now();
        let steps = |more: i64| {
            stream::iter(0..6).then(move |nth: i64| async move {
                sleep(STUCK / 4).await;
                Ok(step("a", "Downloading", Some((1 + nth * more, 10))))
            })
        };
        followed(steps(1), STUCK, |_| ()).await.expect("it gets further");
        assert!(began.elapsed() > STUCK, "that proves nothing");
        let stuck = followed(steps(0), STUCK, |_| ()).await.expect_err("it gets no further");
        assert!(stuck.contains("no progress within 2s (0 of 1 layers"), "{stuck}");
        let silent = followed(stream::pending(), Duration::ZERO, |_| ()).await.expect_err("nothing comes");
        assert!(silent.contains("(its registry is asked)"), "{silent}");
    }

    #[test]
    fn a_name_without_a_tag_means_the_latest() {
        for (name, pulled) in [
            ("redis", "redis:latest"),
            ("valkey/valkey", "valkey/valkey:latest"),
            ("host:5000/name", "host:5000/name:latest"),
            ("host:5000/name:1", "host:5000/name:1"),
            ("redis:7.2", "redis:7.2"),
            ("redis@sha256:00ff", "redis@sha256:00ff"),
        ] {
            assert_eq!(tagged(name), pulled);
        }
    }
}
