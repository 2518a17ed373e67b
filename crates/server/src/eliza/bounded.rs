//! Programs that are run to be asked something: for a bounded time, with a bounded answer.

use std::env;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use trainyard_process::Launch;

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
    /// It had not when nobody wanted it any more.
    Unwanted,
}

impl End {
    /// Whether it ended well.
    pub(super) fn is_success(self) -> bool {
        self == Self::Exited(Some(0))
    }
}

/// A program that sees no more of this process's environment than those that train do.
pub(super) fn program(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    let passed = Launch::PASSED.iter().filter_map(|name| Some((name, env::var_os(name)?)));
    command.env_clear().envs(passed);
    command
}

/// Runs a program without any input. After `time`, or when `goes_on` says no, it is killed, with all that it has started.
/// Of its output the last `output_max` bytes are kept.
pub(super) fn ask(
    command: &mut Command,
    time: Duration,
    output_max: usize,
    goes_on: &(dyn Fn() -> bool + Sync),
) -> io::Result<Answer> {
    let until = Instant::now() + time;
    let (reader, writer) = io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    let spawned = command.spawn();
    // Or its end of the pipe would be held open here.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = spawned?;
    let (tell, told) = mpsc::channel();
    let number = child.id();
    thread::spawn(move || {
        let output = tail(reader, output_max);
        // Who closes both streams may go on for long.
        wait(number);
        // Nobody may wait for it any more.
        let _ = tell.send(output);
    });
    let waited = loop {
        let left = until.saturating_duration_since(Instant::now());
        match told.recv_timeout(left.min(LOOK_EVERY)) {
            Err(RecvTimeoutError::Timeout) if left.is_zero() => break Err(End::TooLong),
            Err(RecvTimeoutError::Timeout) if !goes_on() => break Err(End::Unwanted),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break Ok(String::new()),
            Ok(output) => break Ok(output),
        }
    };
    if waited.is_err() {
        kill(&mut child);
    }
    let status = child.wait()?;
    Ok(match waited {
        Ok(output) => Answer { end: End::Exited(status.code()), output },
        Err(end) => Answer { end, output: told.recv_timeout(AFTER_KILL).unwrap_or_default() },
    })
}

/// How often it is looked whether it is still wanted.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Nobody is left to hold the pipe then, but it has to be read to its end.
const AFTER_KILL: Duration = Duration::from_secs(5);

/// Waits until a child has ended, and leaves it to whoever waits for it next.
#[cfg(unix)]
fn wait(number: u32) {
    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
    let Some(child) = i32::try_from(number).ok().and_then(Pid::from_raw) else { return };
    // When it has been waited for meanwhile, that is an error, and as well.
    let how = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while matches!(waitid(WaitId::Pid(child), how), Err(rustix::io::Errno::INTR)) {}
}

#[cfg(not(unix))]
fn wait(_: u32) {}

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

    fn wanted(command: &mut Command, time: Duration, output_max: usize) -> io::Result<Answer> {
        ask(command, time, output_max, &|| true)
    }

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_program_answers_on_either_stream() {
        let answer = wanted(&mut sh("echo one; echo two >&2; exit 3"), LONG, 100).unwrap();
        assert_eq!((answer.output.as_str(), answer.end), ("one\ntwo\n", End::Exited(Some(3))));
        assert!(wanted(&mut sh("cat"), LONG, 100).unwrap().end.is_success(), "there is no input");
        assert!(wanted(&mut Command::new("no-such-program-anywhere"), LONG, 100).is_err());
    }

    #[test]
    fn of_a_long_answer_the_end_is_kept() {
        let answer = wanted(&mut sh("seq 1 100000; printf end"), LONG, 9).unwrap();
        assert_eq!(answer.output, "00000\nend");
    }

    #[test]
    fn one_that_takes_too_long_is_killed_with_its_children() {
        let time = Duration::from_millis(500);
        let answer = wanted(&mut sh("echo begun; sleep 1000 & sleep 1000"), time, 100).unwrap();
        assert_eq!(answer.end, End::TooLong);
        let answer = wanted(&mut sh("exec >/dev/null 2>&1; sleep 1000"), time, 100).unwrap();
        assert_eq!(answer.end, End::TooLong, "though it has closed its streams");
    }

    #[test]
    fn one_that_nobody_wants_any_more_is_killed() {
        let answer = ask(&mut sh("echo begun; sleep 1000"), LONG, 100, &|| false).unwrap();
        assert_eq!(answer.end, End::Unwanted);
        let quick = ask(&mut sh("exit 4"), LONG, 100, &|| true).unwrap();
        assert_eq!(quick.end, End::Exited(Some(4)));
    }

    #[test]
    fn it_sees_no_secrets() {
        let mut command = program("env");
        let seen = wanted(&mut command, LONG, 10_000).unwrap().output;
        let names = seen.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name);
        let strange: Vec<&str> = names.filter(|name| !Launch::PASSED.contains(name)).collect();
        assert!(seen.contains("PATH=") && strange.is_empty(), "{strange:?}");
    }
}
