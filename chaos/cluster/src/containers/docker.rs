//! The Docker engine: found as testcontainers finds it, and asked whether it will do before anything is made.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use bollard::{Docker, errors::Error};
use testcontainers::core::client::docker_client_instance;

use super::seen::{UNSEEN, is_engine_elsewhere};
use crate::ClusterError;

/// The oldest API that this was run on.
const OLDEST: (u32, u32) = (1, 41);
/// Where an engine listens that was installed as it comes.
const USUAL: &str = "/var/run/docker.sock";
/// What the libraries below say of their own insides; the cause behind it is what matters.
const PLAIN: [(&str, &str); 4] = [
    ("failed to initialize a docker client: ", ""),
    ("Error in the hyper legacy client: ", ""),
    ("client error (Connect)", "no connection"),
    ("client error (SendRequest)", "a request got no answer"),
];
/// What a folder of certificates holds.
const CERTIFICATES: [&str; 3] = ["ca.pem", "cert.pem", "key.pem"];

/// What Docker's own variables say of the engine. testcontainers reads them by itself; what makes no sense in them must be
/// told before, because some of it makes testcontainers panic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DockerSettings {
    /// `DOCKER_HOST`.
    pub host: Option<String>,
    /// Whether `DOCKER_TLS_VERIFY` is 1.
    pub tls_verify: bool,
    /// `DOCKER_CERT_PATH`.
    pub cert_path: Option<PathBuf>,
}

impl DockerSettings {
    /// Every one.
    fn mistakes(&self) -> Vec<String> {
        let Some(host) = &self.host else { return Vec::new() };
        let wrong = |why: &str| vec![format!("DOCKER_HOST is {host:?}, {why}")];
        let (scheme, rest) = host.split_once("://").unwrap_or(("", host));
        match scheme {
            "unix" if !rest.starts_with('/') => wrong("which names no socket (unix:///var/run/docker.sock)"),
            "tcp" | "http" | "https" if rest.is_empty() || rest.starts_with([':', '/']) => {
                wrong("which names no host (tcp://host:2376)")
            }
            "https" => self.certificates("a DOCKER_HOST that begins with https://"),
            "tcp" | "http" if self.tls_verify => self.certificates("DOCKER_TLS_VERIFY=1"),
            "unix" | "tcp" | "http" => Vec::new(),
            _ => wrong("which begins with none of unix://, tcp://, http:// and https://"),
        }
    }

    fn certificates(&self, who: &str) -> Vec<String> {
        let Some(folder) = &self.cert_path else {
            return vec![format!("{who} needs DOCKER_CERT_PATH, the folder of {}", CERTIFICATES.join(", "))];
        };
        if !folder.is_dir() {
            return vec![format!("DOCKER_CERT_PATH is {}, which is no folder", folder.display())];
        }
        let unreadable = |file: PathBuf| Some(format!("{}: {}", file.display(), File::open(&file).err()?));
        CERTIFICATES.iter().filter_map(|name| unreadable(folder.join(name))).collect()
    }

    /// Where the engine is, if that is known.
    pub(super) fn place(&self) -> Option<&str> {
        let usual = Path::new(USUAL).exists().then_some(USUAL);
        self.host.as_deref().map(|host| host.strip_prefix("unix://").unwrap_or(host)).or(usual)
    }
}

pub(crate) async fn connect(settings: &DockerSettings) -> Result<Docker, ClusterError> {
    let ground = |why: String| ClusterError::Ground(format!("no Docker engine for the containers backend: {why}"));
    let mistakes = settings.mistakes();
    if !mistakes.is_empty() {
        return Err(ground(mistakes.join("; ")));
    }
    let unreached = |error: &dyn std::error::Error| ground(unreached(error, settings.place()));
    let docker = docker_client_instance().await.map_err(|error| unreached(&error))?;
    let version = docker.version().await.map_err(|error| unreached(&error))?;
    let api = version.api_version.unwrap_or_default();
    if is_old(&api) {
        let (major, minor) = OLDEST;
        return Err(ground(format!("it speaks API {api:?}; {major}.{minor} (Docker 20.10) or later is needed")));
    }
    if is_engine_elsewhere(settings.place()).await {
        return Err(ground(UNSEEN.to_owned()));
    }
    Ok(docker)
}

fn is_old(api: &str) -> bool {
    let parts = api.split_once('.').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    parts.is_none_or(|parts: (u32, u32)| parts < OLDEST)
}

fn unreached(error: &dyn std::error::Error, place: Option<&str>) -> String {
    let mut text = chain(error);
    if let Some(place) = place.filter(|place| !text.contains(*place)) {
        text = format!("{place}: {text}");
    }
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
        Error::DockerStreamError { error } => error.trim().to_owned(),
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
    PLAIN.iter().fold(text, |text, (said, plain)| text.replace(said, plain))
}

/// It does not run, or is not there any more.
pub(super) fn is_gone(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 404 | 409, .. })
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    fn told(host: &str, cert_path: Option<&Path>) -> String {
        let cert_path = cert_path.map(Path::to_owned);
        DockerSettings { host: Some(host.to_owned()), tls_verify: true, cert_path }.mistakes().join("; ")
    }

    #[test]
    fn a_host_that_makes_no_sense_is_named_with_what_would() {
        assert_eq!(DockerSettings { tls_verify: true, ..DockerSettings::default() }.mistakes(), Vec::<String>::new());
        assert_eq!(told("unix:///var/run/docker.sock", None), "");
        for (host, why) in [
            ("foo", "begins with none of unix://, tcp://, http:// and https://"),
            ("", "begins with none of"),
            ("ssh://me@there", "begins with none of"),
            ("unix://", "names no socket"),
            ("unix://docker.sock", "names no socket"),
            ("tcp://", "names no host"),
            ("tcp://:2376", "names no host"),
        ] {
            let told = told(host, None);
            assert!(told.starts_with(&format!("DOCKER_HOST is {host:?}, which ")) && told.contains(why), "{told}");
        }
    }

    #[test]
    fn certificates_that_are_not_there_are_all_named() {
        let needed = "needs DOCKER_CERT_PATH, the folder of ca.pem, cert.pem, key.pem";
        assert_eq!(told("tcp://there:2376", None), format!("DOCKER_TLS_VERIFY=1 {needed}"));
        assert!(told("https://there", None).ends_with(needed));
        let folder = tempfile::tempdir().expect("a folder");
        let nowhere = folder.path().join("nowhere");
        let no_folder = format!("DOCKER_CERT_PATH is {}, which is no folder", nowhere.display());
        assert_eq!(told("tcp://there:2376", Some(&nowhere)), no_folder);
        std::fs::write(folder.path().join("cert.pem"), "").expect("written");
        let told = told("tcp://there:2376", Some(folder.path()));
        assert!(told.contains("/ca.pem: No such file") && told.contains("/key.pem: No such file"), "{told}");
        assert!(!told.contains("/cert.pem"), "{told}");
    }

    #[tokio::test]
    async fn an_engine_that_is_not_there_or_says_nothing_is_told_in_plain_words() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("docker.sock");
        let listener = tokio::net::UnixListener::bind(&socket).expect("a socket");
        let asked = async || {
            let place = socket.to_str().expect("in UTF-8");
            let docker = Docker::connect_with_unix(place, 5, bollard::API_DEFAULT_VERSION).expect("a client");
            sentence(&docker.version().await.expect_err("there is no engine"))
        };
        let hears = async {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            stream.read_u8().await.expect("a request");
        };
        let (broken_off, ()) = tokio::join!(asked(), hears);
        assert!(broken_off.starts_with("a request got no answer: "), "{broken_off}");
        drop(listener);
        let refused = asked().await;
        assert!(refused.starts_with("no connection: ") && refused.contains("refused"), "{refused}");
    }

    #[test]
    fn what_is_too_old_or_says_nothing_is_refused() {
        assert!(is_old("1.40") && is_old("") && is_old("0.99"));
        assert!(!is_old("1.41") && !is_old("1.53") && !is_old("2.0"));
    }
}
