//! The environment, read here and nowhere else in the toolkit.
//!
//! | variable | meaning |
//! |---|---|
//! | `HOLDFAST_REDIS_SERVER` | the Redis or Valkey server to use |
//! | `HOLDFAST_CACHE` | where fetched engines are kept; else `holdfast` below `XDG_CACHE_HOME` or `~/.cache` |
//! | `CHAT_NODE` | the chat node to use |
//! | `HOLDFAST_REDIS_IMAGE`, `HOLDFAST_CHAT_IMAGE` | what containers are made of; else the official Redis image, or the engine and the node of this machine, packed |
//! | `DOCKER_HOST`, `DOCKER_TLS_VERIFY`, `DOCKER_CERT_PATH` | where the Docker engine is: read by testcontainers, and here to say what is wrong with them |
//! | `OTEL_EXPORTER_OTLP_ENDPOINT` | spans of a run are forwarded there as well |
//! | `PATH` | where engines are looked for, and programs of an operator's commands and of `--system` |

use std::{
    env,
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use chaos_cluster::{
    BinaryError, Build, ClusterError, ContainerSettings, ContainersOutlook, DockerSettings, Engine, EngineChoice,
    EngineError, NodeOutlook, Places, Progress, USUAL_PATH, cache_folder, chat_node, chat_node_outlook,
    containers_outlook, engine_in, find_or_fetch, pull_images,
};

use chaos_drill::System;

use crate::{progress::Pulling, terminal};

pub(crate) struct Environment {
    places: Places,
    chat_node: Option<PathBuf>,
    containers: ContainerSettings,
    pub(crate) otlp_endpoint: Option<String>,
}

impl Environment {
    pub(crate) fn read() -> Environment {
        let cache = path("HOLDFAST_CACHE");
        let places = Places {
            given: path("HOLDFAST_REDIS_SERVER"),
            path: set("PATH"),
            cache: cache.or_else(|| cache_folder(set("XDG_CACHE_HOME"), set("HOME"))),
            fetch: true,
        };
        Environment {
            places,
            chat_node: path("CHAT_NODE"),
            containers: ContainerSettings {
                docker: DockerSettings {
                    host: env::var("DOCKER_HOST").ok(),
                    tls_verify: text("DOCKER_TLS_VERIFY").is_some_and(|value| value == "1"),
                    cert_path: env::var_os("DOCKER_CERT_PATH").map(PathBuf::from),
                },
                redis: text("HOLDFAST_REDIS_IMAGE"),
                chat: text("HOLDFAST_CHAT_IMAGE"),
            },
            otlp_endpoint: text("OTEL_EXPORTER_OTLP_ENDPOINT"),
        }
    }

    /// An engine that is already here, if any; nothing is fetched. One that was named and is none is an error.
    pub(crate) fn engine_here(&self, choice: EngineChoice) -> Result<Option<Engine>, EngineError> {
        let places = Places { fetch: false, ..self.places.clone() };
        match find_or_fetch(choice, &places, &|_| {}) {
            Ok(engine) => Ok(Some(engine)),
            Err(EngineError::None { .. }) => Ok(None),
            Err(error @ EngineError::Given { .. }) => Err(error),
        }
    }

    /// Blocks for seconds when an engine must be fetched.
    pub(crate) fn engine(&self, choice: EngineChoice) -> Result<Engine, EngineError> {
        find_or_fetch(choice, &self.places, &terminal::remark)
    }

    /// What containers of this system are made with and of. Blocks as long as images are pulled.
    pub(crate) async fn images(
        &self,
        choice: EngineChoice,
        system: &System,
    ) -> Result<ContainerSettings, ClusterError> {
        let pulling = Pulling::new();
        let remark = |line: &str| pulling.aside(|| terminal::remark(line));
        pull_images(choice, &system.in_containers(&self.containers), &remark, &|far| pulling.show(far)).await
    }

    /// Whether the official image is here, or can be pulled; `progress` is told why not.
    pub(crate) async fn has_official_image(
        &self,
        choice: EngineChoice,
        progress: Progress<'_>,
    ) -> Result<bool, ClusterError> {
        let official = ContainerSettings { redis: None, chat: None, ..self.containers.clone() };
        let pulling = Pulling::new();
        let told = |line: &str| pulling.aside(|| progress(line));
        Ok(pull_images(choice, &official, &told, &|far| pulling.show(far)).await?.redis.is_some())
    }

    /// The engine that containers will run: that of the image, or one of this machine to be packed.
    pub(crate) async fn engine_of(
        &self,
        choice: EngineChoice,
        containers: &ContainerSettings,
    ) -> Result<Engine, String> {
        match &containers.redis {
            Some(image) => engine_in(image, choice, &containers.docker).await.map_err(|error| error.to_string()),
            None => self.engine(choice).map_err(|error| error.to_string()),
        }
    }

    /// The same as far as it can be told without pulling or making anything.
    pub(crate) async fn outlook(
        &self,
        choice: EngineChoice,
        system: &System,
    ) -> Result<ContainersOutlook, ClusterError> {
        containers_outlook(choice, &system.in_containers(&self.containers)).await
    }

    /// Whether a Redis image was named: no other will do then.
    pub(crate) fn names_redis_image(&self) -> bool {
        self.containers.redis.is_some()
    }

    /// Where programs are looked for when they are run.
    pub(crate) fn search_path(&self) -> &OsStr {
        self.places.path.as_deref().unwrap_or(OsStr::new(USUAL_PATH))
    }

    /// `$CHAT_NODE`, beside this program, or built with cargo in the workspace.
    pub(crate) fn chat_node(&self) -> Result<PathBuf, BinaryError> {
        let here = env::current_exe().unwrap_or_default();
        chat_node(self.chat_node.as_deref(), &here, Build::WhenNeeded(&terminal::remark))
    }

    /// The same before anything is built.
    pub(crate) fn chat_node_outlook(&self) -> Result<NodeOutlook, BinaryError> {
        let here = env::current_exe().unwrap_or_default();
        chat_node_outlook(self.chat_node.as_deref(), &here)
    }
}

fn text(name: &str) -> Option<String> {
    set(name).and_then(|value| value.into_string().ok())
}

/// From here, whole: what is started is started in folders of its own.
fn path(name: &str) -> Option<PathBuf> {
    set(name).map(|value| std::path::absolute(&value).unwrap_or_else(|_| PathBuf::from(value)))
}

/// An empty variable is an absent one.
fn set(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}
