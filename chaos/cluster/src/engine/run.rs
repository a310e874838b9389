//! Runs the programs that find and fetch servers, and says in one line what went wrong.

use std::{
    path::Path,
    process::{Command, Stdio},
};

/// What it printed. The error is its last line of complaint.
pub(super) fn output(command: &mut Command) -> Result<String, String> {
    let name = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let done = command.stdin(Stdio::null()).output();
    let done = done.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("there is no {name}"),
        _ => format!("{name} cannot be run: {error}"),
    })?;
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    if done.status.success() {
        return Ok(text);
    }
    let complaint = String::from_utf8_lossy(&done.stderr).into_owned();
    let last = complaint.lines().chain(text.lines()).map(str::trim).rfind(|line| !line.is_empty());
    Err(format!("{name} failed ({}): {}", done.status, last.unwrap_or("it said nothing")))
}
