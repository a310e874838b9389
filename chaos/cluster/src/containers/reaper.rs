//! A child that outlives us: once our end of its pipe closes, by a drop or by a SIGKILL, it removes every container and
//! network of the run.

use std::{
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
};

use crate::ClusterError;

/// The engine may still be making what we asked for when we were killed, so it looks until nothing is left.
const SCRIPT: &str = r#"
cat > /dev/null
for look in 1 2 3 4 5 6 7 8; do
  containers=$(docker ps -aq --filter "label=$1")
  networks=$(docker network ls -q --filter "label=$1")
  [ -n "$containers$networks" ] || exit 0
  [ -z "$containers" ] || echo "$containers" | xargs -P 4 -n 3 docker rm -f -v
  [ -z "$networks" ] || echo "$networks" | xargs docker network rm
done
"#;

pub(crate) struct Reaper(Child);

impl Reaper {
    pub(super) fn start(label: &str) -> Result<Reaper, ClusterError> {
        let ground = |why: String| ClusterError::Ground(format!("who removes containers when we are killed: {why}"));
        let command = Command::new("docker").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        command.map_err(|error| ground(format!("the command `docker` is needed for it: {error}")))?;
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
