//! A child that outlives us: once our end of its pipe closes, however we end, it kills what our servers started and is
//! still there.
//!
//! The kernel ends our own children with us, and not theirs (`npm start` is a shell and a server below it). They are known
//! by a variable in their environment, wherever they went since.

use std::{
    io,
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
};

const VARIABLE: &str = "HOLDFAST_STARTED_BY";

/// Until nothing is found, three times: what is found may just be starting something, and whoever is becoming another
/// program has no environment for a moment.
const SCRIPT: &str = r#"
cat > /dev/null
empty=0
for look in $(seq 50); do
  left=$(grep -lz "^$1/" /proc/[0-9]*/environ 2> /dev/null | cut -d / -f 3)
  if [ -n "$left" ]; then empty=0; kill -KILL $left 2> /dev/null; else empty=$((empty + 1)); fi
  [ "$empty" -lt 3 ] || exit 0
  sleep 0.1
done
"#;

pub(super) struct Reaper {
    mark: String,
    started: usize,
    /// It waits for the end of its input, which is ours.
    _shell: Child,
}

impl Reaper {
    pub(super) fn start() -> io::Result<Reaper> {
        // A process id comes back; together with the time it does not.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let mark = format!("{}-{}", std::process::id(), now.as_nanos());
        let mut shell = Command::new("sh");
        shell.args(["-c", SCRIPT, "reaper", &format!("{VARIABLE}={mark}")]);
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // A Ctrl-C in the terminal is for us.
        shell.process_group(0);
        Ok(Reaper { mark, started: 0, _shell: shell.spawn()? })
    }

    /// Puts a mark into its environment that no other has, before it is started.
    pub(super) fn mark(&mut self, command: &mut Command) -> String {
        self.started += 1;
        let mark = format!("{}/{}", self.mark, self.started);
        command.env(VARIABLE, &mark);
        format!("{VARIABLE}={mark}")
    }
}
