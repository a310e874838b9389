//! The Docker engine: found as testcontainers finds it, and asked whether it will do before anything is made.

use bollard::{Docker, errors::Error};
use testcontainers::core::client::docker_client_instance;

use crate::ClusterError;

/// The oldest API that this was run on.
const OLDEST: (u32, u32) = (1, 41);

pub(crate) async fn connect() -> Result<Docker, ClusterError> {
    let ground = |why: String| ClusterError::Ground(format!("no Docker engine for the containers backend: {why}"));
    let docker = docker_client_instance().await.map_err(|error| ground(unreached(&error)))?;
    let version = docker.version().await.map_err(|error| ground(unreached(&error)))?;
    let api = version.api_version.unwrap_or_default();
    if is_old(&api) {
        let (major, minor) = OLDEST;
        return Err(ground(format!("it speaks API {api:?}; {major}.{minor} (Docker 20.10) or later is needed")));
    }
    Ok(docker)
}

fn is_old(api: &str) -> bool {
    let parts = api.split_once('.').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    parts.is_none_or(|parts: (u32, u32)| parts < OLDEST)
}

fn unreached(error: &dyn std::error::Error) -> String {
    let text = chain(error);
    let hint = if text.contains("ermission denied") {
        "; join the group that owns its socket, or set DOCKER_HOST"
    } else {
        "; start one (`dockerd`, `systemctl start docker`), or set DOCKER_HOST"
    };
    text + hint
}

/// What the engine itself says, or the whole chain of causes.
pub(super) fn sentence(error: &Error) -> String {
    match error {
        Error::DockerResponseServerError { message, .. } => message.trim().to_owned(),
        other => chain(other),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let further = error.to_string();
        if !text.contains(&further) {
            text = format!("{text}: {further}");
        }
        cause = error.source();
    }
    text
}

/// It does not run, or is not there any more.
pub(super) fn is_gone(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 404 | 409, .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_old_or_says_nothing_is_refused() {
        assert!(is_old("1.40") && is_old("") && is_old("0.99"));
        assert!(!is_old("1.41") && !is_old("1.53") && !is_old("2.0"));
    }
}
