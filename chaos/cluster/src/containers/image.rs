//! Images: one that was named, or a program of this machine packed with the libraries that it needs and nothing else.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use bollard::Docker;
use sha2::{Digest, Sha256};
use testcontainers::{GenericBuildableImage, runners::AsyncBuilder};
use tokio::sync::Mutex;

use super::{DockerSettings, pull::present};
use crate::{ClusterError, EngineChoice, EngineName, Server, backend::Launch};

/// What containers are made with, and of which images instead of programs of this machine, packed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerSettings {
    pub docker: DockerSettings,
    /// Its command is a Redis or Valkey server.
    pub redis: Option<String>,
    /// Its entry point takes the chat node's arguments.
    pub chat: Option<String>,
}

/// What Redis and Valkey publish themselves.
pub(super) fn official_image(choice: EngineChoice) -> &'static str {
    match choice {
        EngineChoice::Named(EngineName::Redis70) => "redis:7.0",
        EngineChoice::Named(EngineName::Redis82) => "redis:8.2",
        EngineChoice::Named(EngineName::Valkey81) => "valkey/valkey:8.1",
        EngineChoice::Named(EngineName::Valkey91) => "valkey/valkey:9.1",
        EngineChoice::Named(EngineName::Redis72) | EngineChoice::Any | EngineChoice::AtLeast(_) => "redis:7.2",
    }
}

pub(super) struct Images {
    given: ContainerSettings,
    /// By program.
    packed: Mutex<BTreeMap<PathBuf, String>>,
}

impl Images {
    pub(super) fn new(given: ContainerSettings) -> Images {
        Images { given, packed: Mutex::default() }
    }

    /// The image of what is to be launched, there, and the command in it.
    pub(super) async fn of(
        &self,
        docker: &Docker,
        server: Server,
        launch: &Launch,
    ) -> Result<(String, Vec<String>), ClusterError> {
        let arguments = launch.arguments.iter().cloned();
        let name = match server {
            Server::Redis(_) => self.given.redis.as_deref(),
            Server::Chat(_) => self.given.chat.as_deref(),
        };
        let mut packed = self.packed.lock().await;
        let Some(name) = name else {
            if let Some(image) = packed.get(&launch.program) {
                return Ok((image.clone(), arguments.collect()));
            }
            let image = pack(&launch.program, &launch.environment).await?;
            packed.insert(launch.program.clone(), image.clone());
            return Ok((image, arguments.collect()));
        };
        if packed.insert(name.into(), name.to_owned()).is_none() {
            // It was pulled before anything was started, if it was to be.
            present(docker, name, &|_| ()).await?;
        }
        // A Redis image starts what its command names; a chat node's has an entry point.
        let program = server.is_redis().then(|| launch.program.display().to_string());
        Ok((name.to_owned(), program.into_iter().chain(arguments).collect()))
    }
}

/// Named by its contents, so that it is made once.
async fn pack(program: &Path, environment: &BTreeMap<String, String>) -> Result<String, ClusterError> {
    let failed = |why: String| ClusterError::Ground(format!("an image of {}: {why}", program.display()));
    let name = program.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let libraries = libraries(program, environment).map_err(failed)?;
    let tag = tag(program, &libraries).map_err(|error| failed(error.to_string()))?;
    let inside = format!("/usr/local/bin/{name}");
    let dockerfile = format!("FROM scratch\nCOPY root /\nENTRYPOINT [\"{inside}\"]\n");
    let image = GenericBuildableImage::new(format!("holdfast/{name}"), &tag).with_dockerfile_string(dockerfile);
    let image = libraries.into_iter().fold(image.with_file(program, format!("root{inside}")), |image, library| {
        let target = format!("root{}", library.display());
        // What a name points to, under the name that the program asks for.
        image.with_file(library.canonicalize().unwrap_or(library), target)
    });
    let options = testcontainers::core::BuildImageOptions::new().with_skip_if_exists(true);
    let _built = image.build_image_with(options).await.map_err(|error| failed(error.to_string()))?;
    Ok(format!("holdfast/{name}:{tag}"))
}

/// Sixteen digits of what is in it.
fn tag(program: &Path, libraries: &[PathBuf]) -> std::io::Result<String> {
    let mut contents = Sha256::new();
    for file in libraries.iter().map(PathBuf::as_path).chain([program]) {
        contents.update(std::fs::read(file)?);
    }
    let digest = contents.finalize();
    Ok(digest.iter().take(8).fold(String::new(), |text, byte| text + &format!("{byte:02x}")))
}

/// As `ldd` names them, the loader among them; none for a program that is linked statically.
fn libraries(program: &Path, environment: &BTreeMap<String, String>) -> Result<Vec<PathBuf>, String> {
    let said = Command::new("ldd").arg(program).envs(environment).output().map_err(|error| format!("ldd: {error}"))?;
    let (out, err) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    if out.contains("statically linked") || err.contains("not a dynamic executable") {
        return Ok(Vec::new());
    }
    let named = out.lines().filter_map(library);
    named.collect::<Result<Vec<PathBuf>, String>>()
}

/// `libc.so.6 => /lib/libc.so.6 (0x…)`, `/lib64/ld-linux-x86-64.so.2 (0x…)`; what the kernel itself brings is no file.
fn library(line: &str) -> Option<Result<PathBuf, String>> {
    let (name, path) = line.trim().split_once(" => ").unwrap_or(("", line.trim()));
    if path.starts_with("not found") {
        return Some(Err(format!("{name} is not found")));
    }
    let path = path.split(" (").next()?;
    path.starts_with('/').then(|| Ok(path.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_read_as_ldd_writes_them() {
        let read = |line: &str| library(line);
        assert_eq!(read("\tlinux-vdso.so.1 (0x7ffd)"), None);
        assert_eq!(read("\tlibc.so.6 => /lib/x/libc.so.6 (0x7f)"), Some(Ok("/lib/x/libc.so.6".into())));
        assert_eq!(read("\t/lib64/ld-linux-x86-64.so.2 (0x7f)"), Some(Ok("/lib64/ld-linux-x86-64.so.2".into())));
        assert_eq!(read("\tliblua5.1.so.0 => not found"), Some(Err("liblua5.1.so.0 is not found".to_owned())));
    }
}
