//! Which engine an image holds.

use std::{collections::HashMap, time::Duration};

use bollard::{
    Docker,
    models::ContainerCreateBody,
    query_parameters::{LogsOptionsBuilder, RemoveContainerOptionsBuilder},
};
use futures_util::StreamExt;
use tokio::time::timeout;

use super::{LABEL, Reaper, connect, image::present, official_image, sentence};
use crate::{ClusterError, Engine, EngineChoice, Progress, engine::announced};

/// A registry that does not answer by then is none.
const PULL: Duration = Duration::from_mins(2);
const SERVERS: [&str; 2] = ["redis-server", "valkey-server"];

/// The image to run Redis from, and the engine in it: `given`, or the official one, pulled when it must be. `None` when
/// no registry has one for us: an engine of this machine is packed then.
pub async fn redis_image(
    choice: EngineChoice,
    given: Option<&str>,
    progress: Progress<'_>,
) -> Result<Option<(String, Engine)>, ClusterError> {
    let docker = connect().await?;
    let name = given.unwrap_or_else(|| official_image(choice));
    let there = timeout(PULL, present(&docker, name)).await;
    let there =
        there.unwrap_or_else(|_| Err(ClusterError::Ground(format!("the image {name}: nothing within {PULL:?}"))));
    match there {
        Ok(()) => {}
        Err(error) if given.is_some() => return Err(error),
        Err(error) => {
            progress(&format!("{error}; an image is made of an engine of this machine"));
            return Ok(None);
        }
    }
    let engine = look(&docker, name).await?;
    if !choice.accepts(engine.kind, engine.version) {
        let (kind, version) = (engine.kind, engine.version);
        return Err(ClusterError::Ground(format!("the image {name} holds {kind} {version}; asked for is {choice}")));
    }
    Ok(Some((name.to_owned(), engine)))
}

async fn look(docker: &Docker, image: &str) -> Result<Engine, ClusterError> {
    let mut said = Vec::new();
    // Its containers go with us, too.
    let run = format!("probe-{}", std::process::id());
    let _reaper = Reaper::start(docker, &format!("{LABEL}={run}")).await?;
    for server in SERVERS {
        match version(docker, image, server, &run).await {
            Ok(text) => match announced(&text) {
                Some((kind, version)) => {
                    return Ok(Engine { program: server.into(), kind, version, library_path: None });
                }
                None => said.push(format!("`{server} --version` says {:?}", text.trim())),
            },
            Err(error) => said.push(sentence(&error)),
        }
    }
    Err(ClusterError::Ground(format!("the image {image} holds no Redis or Valkey server: {}", said.join("; "))))
}

async fn version(docker: &Docker, image: &str, server: &str, run: &str) -> Result<String, bollard::errors::Error> {
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        cmd: Some(vec![server.to_owned(), "--version".to_owned()]),
        labels: Some(HashMap::from([(LABEL.to_owned(), run.to_owned())])),
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
