//! A child that outlives us: once our end of its pipe closes, by a drop or by a SIGKILL, it removes every container and
//! network of the run.

use std::{
    io::Write,
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
};

use bollard::Docker;

use super::docker::sentence;
use crate::ClusterError;

/// Whoever says that it is over has waited for all that it asked for. After a kill the engine may still be making
/// something, of which nothing is seen yet: then it looks until there was nothing for some seconds. And it may still be
/// starting what was made: removed at that moment, a container leaves its network with an endpoint that nobody has, and
/// nothing but the engine's restart removes that. So what was only made is spared in the first looks.
const SCRIPT: &str = r#"
if read -r over; then enough=1 spare=0; else enough=15 spare=6; fi
empty=0
for look in $(seq 60); do
  containers=$(docker ps -aq --filter "label=$1")
  networks=$(docker network ls -q --filter "label=$1")
  if [ -n "$containers$networks" ]; then empty=0; else empty=$((empty + 1)); fi
  [ "$empty" -lt "$enough" ] || exit 0
  [ -n "$containers" ] || [ -z "$networks" ] || echo "$networks" | xargs docker network rm
  if [ -n "$containers" ] && [ "$look" -le "$spare" ]; then
    containers=$(docker ps -aq --filter "label=$1" --filter status=running --filter status=paused \
      --filter status=exited --filter status=dead)
  fi
  [ -z "$containers" ] || echo "$containers" | xargs -P 4 -n 3 docker rm -f -v
  sleep 0.2
done
"#;

pub(crate) struct Reaper(Child);

impl Reaper {
    pub(super) async fn start(engine: &Docker, label: &str) -> Result<Reaper, ClusterError> {
        Reaper::will_do(engine).await?;
        shell(label).spawn().map(Reaper).map_err(|error| ground(&error.to_string()))
    }

    /// It uses the command `docker`, which must reach the engine that containers are made with.
    pub(super) async fn will_do(engine: &Docker) -> Result<(), ClusterError> {
        let ours = engine.info().await.map_err(|error| ground(&sentence(&error)))?.id.unwrap_or_default();
        let asked = Command::new("docker").args(["info", "--format", "{{.ID}}"]).stdin(Stdio::null()).output();
        let asked = asked.map_err(|error| ground(&format!("the command `docker` is needed for it: {error}")))?;
        let (theirs, said) = (String::from_utf8_lossy(&asked.stdout), String::from_utf8_lossy(&asked.stderr));
        if theirs.trim() == ours {
            return Ok(());
        }
        let said = said.lines().next().unwrap_or("it asks another one");
        let why = format!("the command `docker` does not reach the engine that was found ({said}); set DOCKER_HOST");
        Err(ground(&why))
    }
}

fn ground(why: &str) -> ClusterError {
    ClusterError::Ground(format!("who removes containers when we are killed: {why}"))
}

fn shell(label: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", SCRIPT, "reaper", label]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // A Ctrl-C in the terminal is for us.
    shell.process_group(0);
    shell
}

impl Drop for Reaper {
    fn drop(&mut self) {
        if let Some(mut over) = self.0.stdin.take() {
            // One that has ended hears nothing.
            let _ = over.write_all(b"over\n");
        }
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    /// An engine that shows its one container from the third question on, and as `status` says when it is asked for that.
    const ENGINE: &str = r#"#!/bin/sh
cd "$(dirname "$0")" && echo "$*" >>asked
case "$*" in
  *status=*) [ -e starting ] || [ -e removed ] || echo c0ffee ;;
  ps*) [ "$(grep -c ^ps asked)" -lt 3 ] || [ -e removed ] || echo c0ffee ;;
  rm*) touch removed ;;
esac
"#;

    /// Its end as `end` brings it about, and what the engine was asked. `starting`: what it was told last is under way.
    fn asked(starting: bool, end: impl FnOnce(Reaper)) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        if starting {
            fs::write(folder.path().join("starting"), "").expect("written");
        }
        let engine = folder.path().join("docker");
        fs::write(&engine, ENGINE).expect("written");
        fs::set_permissions(&engine, fs::Permissions::from_mode(0o755)).expect("made a program");
        let path = format!("{}:{}", folder.path().display(), env!("PATH"));
        end(Reaper(shell("holdfast.run=x").env("PATH", path).spawn().expect("a shell")));
        fs::read_to_string(folder.path().join("asked")).expect("it asked")
    }

    fn killed(mut reaper: Reaper) {
        drop(reaper.0.stdin.take());
        reaper.0.wait().expect("it ends by itself");
    }

    #[test]
    fn what_the_engine_makes_after_a_kill_is_removed_too() {
        let killed = asked(false, killed);
        assert!(killed.contains("rm -f -v c0ffee"), "{killed}");
        let over = asked(false, drop);
        assert_eq!(over.lines().count(), 2, "whoever ends in an orderly way waits for nothing:\n{over}");
    }

    #[test]
    fn what_was_made_and_may_be_starting_is_spared_at_first() {
        let asked = asked(true, killed);
        let removed = asked.lines().position(|line| line == "rm -f -v c0ffee");
        let looks = |lines: usize| asked.lines().take(lines).filter(|line| line.starts_with("network ls")).count();
        assert_eq!(removed.map(looks), Some(7), "{asked}");
    }
}
