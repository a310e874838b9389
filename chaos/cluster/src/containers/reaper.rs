//! A child that outlives us: once our end of its pipe closes, by a drop or by a SIGKILL, it removes every container and
//! network of the run.

use std::{
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
};

use bollard::Docker;

use super::docker::sentence;
use crate::ClusterError;

/// The engine may still be making what we asked for when we were killed, so it looks until nothing is left.
const SCRIPT: &str = r#"
cat > /dev/null
for look in $(seq 40); do
  containers=$(docker ps -aq --filter "label=$1")
  networks=$(docker network ls -q --filter "label=$1")
  [ -n "$containers$networks" ] || exit 0
  [ -z "$containers" ] || echo "$containers" | xargs -P 4 -n 3 docker rm -f -v
  [ -z "$networks" ] || echo "$networks" | xargs docker network rm
  sleep 0.2
done
"#;

pub(crate) struct Reaper(Child);

impl Reaper {
    /// It uses the command `docker`, which must reach the engine that containers are made with.
    pub(super) async fn start(engine: &Docker, label: &str) -> Result<Reaper, ClusterError> {
        let ground = |why: String| ClusterError::Ground(format!("who removes containers when we are killed: {why}"));
        let ours = engine.info().await.map_err(|error| ground(sentence(&error)))?.id.unwrap_or_default();
        let asked = Command::new("docker").args(["info", "--format", "{{.ID}}"]).stdin(Stdio::null()).output();
        let asked = asked.map_err(|error| ground(format!("the command `docker` is needed for it: {error}")))?;
        let (theirs, said) = (String::from_utf8_lossy(&asked.stdout), String::from_utf8_lossy(&asked.stderr));
        if theirs.trim() != ours {
            let said = said.lines().next().unwrap_or("it asks another one");
            let why =
                format!("the command `docker` does not reach the engine that was found ({said}); set DOCKER_HOST");
            return Err(ground(why));
        }
        let mut shell = Command::new("sh");
        shell.args(["-c", SCRIPT, "reaper", label]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // A Ctrl-C in the terminal is for us.
        shell.process_group(0);
        shell.spawn().map(Reaper).map_err(|error| ground(error.to_string()))
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
