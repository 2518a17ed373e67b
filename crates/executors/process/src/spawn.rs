//! How a process is started so that it outlives this one.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};

use crate::Launch;
use crate::system::{Identity, Process, lead_a_group};

/// A process that waits to be let go.
pub(crate) struct Held {
    pub(crate) process: Process,
    gate: ChildStdin,
}

/// The shell around every trainer, with arguments: the file for the exit code, the program, its arguments.
///
/// It begins once it is told to, which is after its number is on disk; whoever has started it and died before that
/// leaves it an end of file instead. It hears of signals and goes on, so that it can write the code down, and at last
/// ends whatever is left of its group, itself included: as long as it is there, no other group can have its number.
/// `exec` runs programs only, and none of the shell's own commands that are called alike; and no variable of the trainer's has
/// a name like those here.
const SHELL: &str = r#"
trainyard_told=
trap 'trainyard_told=1' HUP INT TERM
read -r trainyard_go || exit 0
[ -z "$trainyard_told" ] || exit 0
exec </dev/null
trainyard_exit=$1
shift
(exec "$@")
trainyard_code=$?
trap '' HUP INT TERM
echo "$trainyard_code" 1<>"$trainyard_exit"
kill -KILL 0
"#;

/// Starts a process in a group of its own. Its output goes to the end of `log`.
pub(crate) fn spawn<'a>(
    launch: &Launch,
    attempt: &Path,
    protocol: impl IntoIterator<Item = (&'a str, &'a std::ffi::OsStr)>,
    log: &File,
    exit: &Path,
) -> io::Result<Held> {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", SHELL, "trainyard"]).arg(exit).arg(&launch.program).args(&launch.args);
    command.env_clear().envs(launch.environment()).envs(protocol);
    lead_a_group(&mut command).current_dir(launch.folder(attempt));
    command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log.try_clone()?);
    let mut child = command.spawn()?;
    let gate = child.stdin.take().expect("it was asked to be piped");
    Ok(Held { process: Process::of_child(child)?, gate })
}

impl Held {
    pub(crate) const fn identity(&self) -> &Identity {
        self.process.identity()
    }

    /// Lets it begin. If it is gone already, that shows soon enough.
    pub(crate) fn let_go(mut self) -> Process {
        let _ = self.gate.write_all(b"go\n");
        self.process
    }

    /// It never begins.
    pub(crate) fn call_off(self) {
        let Self { mut process, gate } = self;
        drop(gate);
        process.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_not_let_go_never_begins() {
        let folder = tempfile::tempdir().unwrap();
        let [made, exit] = ["made", "exit"].map(|name| folder.path().join(name));
        let log = File::create(folder.path().join("log")).unwrap();
        let launch = Launch::new("touch").with_arg(&made);
        let start = || {
            std::fs::write(&exit, "at work\n").unwrap();
            spawn(&launch, folder.path(), [], &log, &exit).unwrap()
        };
        // To the shell this looks as if whoever has started it had died.
        start().call_off();
        assert!(!made.exists());
        assert_eq!(std::fs::read_to_string(&exit).unwrap(), "at work\n");
        let mut process = start().let_go();
        assert!(process.wait(Duration::from_secs(60)).unwrap());
        assert!(made.exists());
        assert_eq!(std::fs::read_to_string(&exit).unwrap(), "0\n work\n");
    }
}
