//! One of the operator's commands: run where its file lies, with a deadline, its output kept.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{process::Command, time::timeout};

use super::deployment::quoted;
use crate::backend::tail;

/// Lines of its output that a failure shows.
const SHOWN: usize = 6;

/// `log` gets the command, what it wrote and how it ended. The error is the second half of a sentence.
pub(super) async fn run(words: &[String], folder: &Path, within: Duration, log: &Path) -> Result<(), String> {
    let line = words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
    let ended = ended(words, folder, within, log, &line).await;
    let how = match ended {
        Ok(Some(status)) if status.success() => return Ok(()),
        Ok(Some(status)) => format!("ended with {status}"),
        Ok(None) => format!("did not end within {within:?} and was killed"),
        Err(error) => format!("could not be run: {error}"),
    };
    let _ = note(log, &format!("# {how}"));
    let output = tail(log, SHOWN);
    Err(format!("`{line}` {how}; the end of {}:\n{output}", log.display()))
}

/// `None`: not in time.
async fn ended(
    words: &[String],
    folder: &Path,
    within: Duration,
    log: &Path,
    line: &str,
) -> io::Result<Option<ExitStatus>> {
    note(log, &format!("$ {line}"))?;
    let output = OpenOptions::new().append(true).open(log)?;
    let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).process_group(0);
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    let mut child = command.spawn()?;
    let group = child.id().map(|id| Pid::from_raw(id.cast_signed()));
    if let Ok(status) = timeout(within, child.wait()).await {
        return status.map(Some);
    }
    if let Some(group) = group {
        let _ = killpg(group, Signal::SIGKILL);
    }
    child.wait().await?;
    Ok(None)
}

fn note(log: &Path, line: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(log)?;
    writeln!(file, "{line}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        ["sh", "-c", line].map(ToOwned::to_owned).to_vec()
    }

    #[tokio::test]
    async fn what_a_command_wrote_is_kept_and_its_failure_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("commands.log");
        run(&words("pwd"), folder.path(), Duration::from_secs(9), &log).await.expect("it works");
        let why = run(&words("echo no such host >&2; exit 3"), folder.path(), Duration::from_secs(9), &log).await;
        let why = why.expect_err("it fails");
        assert!(why.contains("ended with exit status: 3") && why.contains("no such host"), "{why}");
        let text = std::fs::read_to_string(&log).expect("a log");
        assert!(text.contains(&folder.path().display().to_string()) && text.contains("$ sh -c pwd"), "{text}");
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_killed_with_all_that_it_started() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("commands.log");
        let began = std::time::Instant::now();
        let hangs = words("sleep 77 & sleep 77");
        let why = run(&hangs, folder.path(), Duration::from_millis(200), &log).await.expect_err("it hangs");
        assert!(why.contains("did not end within 200ms"), "{why}");
        assert!(began.elapsed() < Duration::from_secs(20));
        let missing = run(&["no-such-program".to_owned()], folder.path(), Duration::from_secs(9), &log).await;
        assert!(missing.expect_err("no program").contains("could not be run"));
    }
}
