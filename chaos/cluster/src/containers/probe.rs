//! What containers will be made of, found out before the first is made: images, and the engine in one.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use bollard::{
    Docker,
    errors::Error,
    models::{ContainerCreateBody, HostConfig},
    query_parameters::{LogsOptionsBuilder, RemoveContainerOptionsBuilder},
};
use futures_util::StreamExt;

use super::{
    ContainerSettings, DockerSettings, LABEL, Reaper, connect, harness, labels, official_image, pull::present, sentence,
};
use crate::{ClusterError, Engine, EngineChoice, Progress, engine::announced};

const SERVERS: [&str; 2] = ["redis-server", "valkey-server"];

/// The images that containers will be made of, each pulled when it must be; every one that is nowhere is told at once.
/// Without a Redis image that was given, it is the official one, or `None` when no registry has that for us: an engine of
/// this machine is packed then. `live` is told how far it is, again and again.
pub async fn pull_images(
    choice: EngineChoice,
    given: &ContainerSettings,
    progress: Progress<'_>,
    live: Progress<'_>,
) -> Result<ContainerSettings, ClusterError> {
    let docker = connect(&given.docker).await?;
    let redis = given.redis.as_deref().unwrap_or_else(|| official_image(choice));
    let far = Mutex::new(BTreeMap::new());
    let told = |image: &str, text: &str| {
        let mut far = far.lock().unwrap_or_else(PoisonError::into_inner);
        far.insert(image.to_owned(), text.to_owned());
        live(&far.values().map(String::as_str).collect::<Vec<_>>().join("; "));
    };
    let pulled = async |image: &str| present(&docker, image, &|text| told(image, text)).await;
    let chat = async {
        match &given.chat {
            Some(chat) => pulled(chat).await,
            None => Ok(()),
        }
    };
    let (redis_there, chat_there) = tokio::join!(pulled(redis), chat);
    let packs = given.redis.is_none();
    let missing = redis_there.as_ref().err().filter(|_| !packs).into_iter().chain(chat_there.as_ref().err());
    let missing: Vec<_> = missing.map(ToString::to_string).collect();
    if !missing.is_empty() {
        return Err(ClusterError::Ground(missing.join("; ")));
    }
    if let Err(error) = &redis_there {
        progress(&format!("{error}; an image is made of an engine of this machine"));
    }
    Ok(ContainerSettings { redis: redis_there.is_ok().then(|| redis.to_owned()), ..given.clone() })
}

/// What containers would be made with and of. Nothing is pulled, and nothing made.
pub struct ContainersOutlook {
    /// The Docker engine.
    pub docker: String,
    pub redis: ImageOutlook,
    pub chat: Option<ImageOutlook>,
}

pub struct ImageOutlook {
    pub name: String,
    /// Or it must be pulled.
    pub is_here: bool,
}

pub async fn containers_outlook(
    choice: EngineChoice,
    given: &ContainerSettings,
) -> Result<ContainersOutlook, ClusterError> {
    let docker = connect(&given.docker).await?;
    Reaper::will_do(&docker).await?;
    let version = docker.version().await.map_err(|error| ClusterError::Ground(sentence(&error)))?;
    let place = given.docker.place().map_or_else(String::new, |place| format!(" ({place})"));
    let redis = given.redis.as_deref().unwrap_or_else(|| official_image(choice));
    let chat = async {
        match &given.chat {
            Some(chat) => outlook(&docker, chat).await.map(Some),
            None => Ok(None),
        }
    };
    match tokio::join!(outlook(&docker, redis), chat) {
        (Ok(redis), Ok(chat)) => {
            let docker = format!("Docker {}{place}", version.version.unwrap_or_default());
            Ok(ContainersOutlook { docker, redis, chat })
        }
        (Err(redis), Err(chat)) => Err(ClusterError::Ground(format!("{redis}; {chat}"))),
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
    }
}

async fn outlook(docker: &Docker, name: &str) -> Result<ImageOutlook, ClusterError> {
    let is_here = match docker.inspect_image(name).await {
        Ok(_) => true,
        Err(Error::DockerResponseServerError { status_code: 404, .. }) => false,
        Err(error) => return Err(ClusterError::Ground(format!("the image {name}: {}", sentence(&error)))),
    };
    Ok(ImageOutlook { name: name.to_owned(), is_here })
}

/// Which engine an image holds, by its own word.
pub async fn engine_in(image: &str, choice: EngineChoice, settings: &DockerSettings) -> Result<Engine, ClusterError> {
    let docker = connect(settings).await?;
    let engine = look(&docker, image).await?;
    if !choice.accepts(engine.kind, engine.version) {
        let (kind, version) = (engine.kind, engine.version);
        return Err(ClusterError::Ground(format!("the image {image} holds {kind} {version}; asked for is {choice}")));
    }
    Ok(engine)
}

/// That were begun by this process.
static PROBES: AtomicU32 = AtomicU32::new(0);

async fn look(docker: &Docker, image: &str) -> Result<Engine, ClusterError> {
    let mut said = Vec::new();
    // Its containers go with us, too, and nobody else's: others look into images at the same time.
    let run = format!("probe-{}-{}", harness::label(), PROBES.fetch_add(1, Ordering::Relaxed));
    let _reaper = Reaper::start(docker, &format!("{LABEL}={run}")).await?;
    for server in SERVERS {
        match version(docker, image, server, &run).await {
            Ok(text) => match announced(&text) {
                Some((kind, version)) => {
                    return Ok(Engine { program: server.into(), kind, version, library_path: None });
                }
                None => said.push(format!("`{server} --version` says {:?}", gist(&text))),
            },
            Err(error) => said.push(sentence(&error)),
        }
    }
    // What its entry point makes of a command is the image's own affair.
    Err(ClusterError::Ground(format!(
        "the image {image} holds no Redis or Valkey server that its command can name (one whose entry point is the server \
         itself is not taken): {}",
        said.join("; ")
    )))
}

/// Of what was said instead: the line that names an error, else the first. A stack trace has many more.
fn gist(text: &str) -> &str {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.clone().next().unwrap_or_default();
    lines.find(|line| line.to_lowercase().contains("error")).unwrap_or(first)
}

async fn version(docker: &Docker, image: &str, server: &str, run: &str) -> Result<String, bollard::errors::Error> {
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        cmd: Some(vec![server.to_owned(), "--version".to_owned()]),
        labels: Some(labels(run)),
        // None is needed, and an engine may have no bridge of its own.
        host_config: Some(HostConfig { network_mode: Some("none".to_owned()), ..Default::default() }),
        ..Default::default()
    };
    let id = docker.create_container(None, body).await?.id;
    let said = async {
        docker.start_container(&id, None).await?;
        let options = LogsOptionsBuilder::new().follow(true).stdout(true).stderr(true).build();
        let mut lines = docker.logs(&id, Some(options));
        let mut text = String::new();
        while let Some(line) = lines.next().await {
            text.push_str(&line?.to_string());
        }
        Ok(text)
    };
    let said = said.await;
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    docker.remove_container(&id, Some(options)).await?;
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_an_image_says_instead_one_line_is_told() {
        let trace =
            "node:internal/modules/cjs/loader:1148\n  throw err;\n  ^\n\nError: Cannot find module '/x'\n    at y\n";
        assert_eq!(gist(trace), "Error: Cannot find module '/x'");
        assert_eq!(gist("\n  usage: chat [flags]  \n  --listen\n"), "usage: chat [flags]");
        assert_eq!(gist(" \n"), "");
    }
}
