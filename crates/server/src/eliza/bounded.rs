//! Programs that are run to be asked something: for a bounded time, with a bounded answer.

use std::io::{self, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// What a program has said, and how it ended.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) end: End,
    /// The end of what it wrote to either stream, as it came.
    pub(super) output: String,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// With this exit code; `None` when by a signal.
    Exited(Option<i32>),
    /// It had not when its time was over.
    TooLong,
}

impl End {
    /// Whether it ended well.
    pub(super) fn is_success(self) -> bool {
        self == Self::Exited(Some(0))
    }
}

/// Runs a program without any input. After `time` it is killed, with all that it has started. Of its output the last
/// `output_max` bytes are kept.
pub(super) fn ask(command: &mut Command, time: Duration, output_max: usize) -> io::Result<Answer> {
    let (reader, writer) = io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    let spawned = command.spawn();
    // Or its end of the pipe would be held open here.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = spawned?;
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        // Nobody may wait for it any more.
        let _ = tell.send(tail(reader, output_max));
    });
    // It has closed its streams when it has ended, unless it has left somebody behind who has not.
    let output = told.recv_timeout(time);
    let is_over = output.is_ok();
    if !is_over {
        kill(&mut child);
    }
    let status = child.wait()?;
    let end = if is_over { End::Exited(status.code()) } else { End::TooLong };
    let output = output.or_else(|_| told.recv_timeout(AFTER_KILL)).unwrap_or_default();
    Ok(Answer { end, output })
}

/// Nobody is left to hold the pipe then, but it has to be read to its end.
const AFTER_KILL: Duration = Duration::from_secs(5);

#[cfg(unix)]
fn kill(child: &mut Child) {
    use rustix::process::{Pid, Signal, kill_process_group};
    // It is a group of its own, and its number is not given away before it is waited for.
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(group) = group
        && let Err(error) = kill_process_group(group, Signal::KILL)
    {
        tracing::warn!(%error, "a program cannot be killed");
    }
}

#[cfg(not(unix))]
fn kill(child: &mut Child) {
    if let Err(error) = child.kill() {
        tracing::warn!(%error, "a program cannot be killed");
    }
}

/// The last so many bytes of what there is to read, as text.
fn tail(mut reader: impl Read, max: usize) -> String {
    let mut kept = Vec::new();
    let mut buffer = [0; 4_096];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => kept.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
        if kept.len() > 2 * max {
            kept.drain(..kept.len() - max);
        }
    }
    let from = kept.len().saturating_sub(max);
    String::from_utf8_lossy(&kept[from..]).into_owned()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(300);

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_program_answers_on_either_stream() {
        let answer = ask(&mut sh("echo one; echo two >&2; exit 3"), LONG, 100).unwrap();
        assert_eq!((answer.output.as_str(), answer.end), ("one\ntwo\n", End::Exited(Some(3))));
        assert!(ask(&mut sh("cat"), LONG, 100).unwrap().end.is_success(), "there is no input");
        assert!(ask(&mut Command::new("no-such-program-anywhere"), LONG, 100).is_err());
    }

    #[test]
    fn of_a_long_answer_the_end_is_kept() {
        let answer = ask(&mut sh("seq 1 100000; printf end"), LONG, 9).unwrap();
        assert_eq!(answer.output, "00000\nend");
    }

    #[test]
    fn one_that_takes_too_long_is_killed_with_its_children() {
        let answer =
            ask(&mut sh("echo begun; sleep 1000 & sleep 1000"), Duration::from_millis(500), 100).unwrap();
        assert_eq!(answer.end, End::TooLong);
    }
}
