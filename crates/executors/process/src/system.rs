//! Processes as Linux shows them.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FallocateFlags, OFlags, SeekFrom, fallocate, seek};
use rustix::io::Errno;
pub(crate) use rustix::process::Signal;
use rustix::process::{
    Pid, PidfdFlags, WaitId, WaitIdOptions, kill_process_group, pidfd_open, pidfd_send_signal, waitid,
};
use serde::{Deserialize, Serialize};

/// Says whether this system has what is needed, which Linux does.
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it is an error")]
pub(crate) const fn check() -> io::Result<()> {
    Ok(())
}

/// One process and no other: its number may be given to another once it is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// Its number, and that of its group.
    pub(crate) pid: u32,
    /// When it was started, in clock ticks since the machine was.
    pub(crate) start: u64,
    /// Since when the machine is up, so to speak.
    pub(crate) boot: String,
}

impl Identity {
    /// Whether the machine was not restarted since.
    pub(crate) fn is_of_this_boot(&self) -> io::Result<bool> {
        Ok(boot()? == self.boot)
    }
}

/// A process at the head of its group.
#[derive(Debug)]
pub(crate) struct Process {
    identity: Identity,
    pid: Pid,
    handle: OwnedFd,
    /// When it is a child of this process.
    child: Option<Child>,
}

impl Process {
    /// A child that is at the head of its group. When it fails, the child is killed.
    pub(crate) fn of_child(mut child: Child) -> io::Result<Self> {
        let number = child.id();
        let known = || {
            let pid = pid(number)?;
            let identity = Identity { pid: number, start: start_of(number)?, boot: boot()? };
            Ok((identity, pid, pidfd_open(pid, PidfdFlags::empty())?))
        };
        match known() {
            Ok((identity, pid, handle)) => Ok(Self { identity, pid, handle, child: Some(child) }),
            Err(error) => {
                let _ = child.kill().and_then(|()| child.wait());
                Err(error)
            }
        }
    }

    /// Finds a process again; `None` when it is gone.
    pub(crate) fn find(identity: &Identity) -> io::Result<Option<Self>> {
        if !identity.is_of_this_boot()? {
            return Ok(None);
        }
        let pid = pid(identity.pid)?;
        let handle = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(handle) => handle,
            Err(Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // Looked at after it was opened: what has this start now is what was opened.
        let process = Self { identity: identity.clone(), pid, handle, child: None };
        Ok(process.is_itself().then_some(process))
    }

    pub(crate) const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Waits until it has ended, but not longer than this. Whether it has.
    pub(crate) fn wait(&mut self, timeout: Duration) -> io::Result<bool> {
        let has_ended = ends_within(&self.handle, timeout)?;
        if has_ended {
            self.reap();
        }
        Ok(has_ended)
    }

    /// Sends a signal to all of its group, if it is still there.
    pub(crate) fn signal(&mut self, signal: Signal) -> io::Result<()> {
        if self.wait(Duration::ZERO)? || !self.is_itself() {
            return Ok(());
        }
        match kill_process_group(self.pid, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until it has ended, which it is about to.
    pub(crate) fn finish(&mut self) {
        self.reap();
    }

    fn is_itself(&self) -> bool {
        start_of(self.identity.pid).is_ok_and(|start| start == self.identity.start)
    }

    /// Takes its end in, if it is a child: of this value, or of one that was dropped while it ran.
    fn reap(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.wait();
        } else {
            let _ = waitid(WaitId::PidFd(self.handle.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
        }
    }
}

/// Has a command start at the head of a group of its own.
pub(crate) fn lead_a_group(command: &mut Command) -> &mut Command {
    command.process_group(0)
}

/// Opens a file to read and write that another process may have put anything in place of: a link is not followed, and
/// what is no file is refused.
pub(crate) fn open_file(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no file")) }
}

/// From where on there are bytes and no hole, at this place or behind it; at the end the place itself.
pub(crate) fn next_bytes(file: &File, at: u64) -> io::Result<u64> {
    match seek(file, SeekFrom::Data(at)) {
        Ok(data) => Ok(data),
        Err(Errno::NXIO | Errno::INVAL) => Ok(at),
        Err(error) => Err(error.into()),
    }
}

/// Gives a part of a file back to the disk. Some file systems cannot, which is no harm but to the disk.
pub(crate) fn give_back(file: &File, from: u64, to: u64) -> io::Result<()> {
    let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    match fallocate(file, mode, from, to - from) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Kills every process that was started with this variable, and waits until they are gone. How many there were.
///
/// It is for what has outlived the shell around it, whose number says nothing any more. Whoever becomes another
/// program at this very moment has no variables to be seen, and is missed.
pub(crate) fn kill_all_with(name: &str, value: &str) -> io::Result<usize> {
    let variable = format!("{name}={value}");
    let mut count = 0;
    // Whoever is killed may have started another in the meantime.
    for _ in 0..ROUNDS {
        let found = all_with(variable.as_bytes())?;
        if found.is_empty() {
            return Ok(count);
        }
        count += found.len();
        for handle in &found {
            match pidfd_send_signal(handle, Signal::KILL) {
                Ok(()) | Err(Errno::SRCH) => {}
                Err(error) => return Err(error.into()),
            }
        }
        for handle in &found {
            ends_within(handle, DEATH)?;
        }
    }
    Err(io::Error::other("new ones are started all the time"))
}

fn all_with(variable: &[u8]) -> io::Result<Vec<OwnedFd>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(number) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let has_it = || {
            let all = fs::read(format!("/proc/{number}/environ")).unwrap_or_default();
            all.split(|byte| *byte == 0).any(|one| one == variable)
        };
        if number == std::process::id() || !has_it() {
            continue;
        }
        // Looked at again after it was opened: what has the variable now is what was opened.
        match pid(number).map(|pid| pidfd_open(pid, PidfdFlags::empty())) {
            Ok(Ok(handle)) if has_it() => found.push(handle),
            Ok(Ok(_) | Err(Errno::SRCH)) | Err(_) => {}
            Ok(Err(error)) => return Err(error.into()),
        }
    }
    Ok(found)
}

/// Whether a process ends within this time.
fn ends_within(handle: &OwnedFd, timeout: Duration) -> io::Result<bool> {
    let timeout = Timespec {
        tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    };
    match poll(&mut [PollFd::new(handle, PollFlags::IN)], Some(&timeout)) {
        Ok(0) | Err(Errno::INTR) => Ok(false),
        Ok(_) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// How often it is looked for more to kill.
const ROUNDS: usize = 16;
/// How long one that was killed may take to be gone, before the others are looked at.
const DEATH: Duration = Duration::from_secs(1);

fn pid(number: u32) -> io::Result<Pid> {
    let number = i32::try_from(number).ok().filter(|number| *number > 1);
    number.and_then(Pid::from_raw).ok_or_else(|| io::Error::other("no number of a process"))
}

/// When a process was started, in clock ticks since the machine was.
fn start_of(pid: u32) -> io::Result<u64> {
    let text = fs::read(format!("/proc/{pid}/stat"))?;
    start_in(&text).ok_or_else(|| io::Error::other("/proc says nothing of its start"))
}

/// The 22nd field; the second is a name in brackets that may hold anything.
fn start_in(stat: &[u8]) -> Option<u64> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    std::str::from_utf8(&stat[end + 1..]).ok()?.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// Another text after each start of the machine.
fn boot() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::process::Stdio;

    /// A group that waits for a word.
    fn cat() -> Process {
        let child =
            Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).process_group(0).spawn().unwrap();
        Process::of_child(child).unwrap()
    }

    #[test]
    fn a_process_is_found_again_until_it_ends() {
        let mut process = cat();
        let mut again = Process::find(process.identity()).unwrap().expect("it is there");
        assert!(!again.wait(Duration::ZERO).unwrap());
        again.signal(Signal::TERM).unwrap();
        assert!(process.wait(Duration::from_secs(300)).unwrap());
        assert!(Process::find(process.identity()).unwrap().is_none());
        process.signal(Signal::KILL).unwrap();
    }

    #[test]
    fn another_process_of_the_same_number_is_left_alone() {
        let mut process = cat();
        let mut taken = process.identity().clone();
        taken.start += 1;
        assert!(Process::find(&taken).unwrap().is_none());
        let other_boot = Identity { boot: "x".into(), ..process.identity().clone() };
        assert!(Process::find(&other_boot).unwrap().is_none());
        for pid in [0, 1, u32::MAX] {
            assert!(Process::find(&Identity { pid, ..process.identity().clone() }).is_err());
        }
        assert!(!process.wait(Duration::ZERO).unwrap());
        process.signal(Signal::KILL).unwrap();
        assert!(process.wait(Duration::from_secs(300)).unwrap());
    }

    #[test]
    fn whoever_has_a_variable_is_killed_and_nobody_else() {
        // It has its variables once it says something: right after its start it may have yet to get them.
        let group = |value: &str| {
            let mut command = Command::new("sh");
            let command = lead_a_group(&mut command).env("TRAINYARD_TEST_RUN", value);
            let command = command.args(["-c", "echo up; read -r word"]);
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            child.stdout.take().unwrap().read_exact(&mut [0; 3]).unwrap();
            Process::of_child(child).unwrap()
        };
        let value = format!("{}.1", std::process::id());
        let [mut mine, mut others] = [group(&value), group(&format!("{value}0"))];
        assert_eq!(kill_all_with("TRAINYARD_TEST_RUN", &value).unwrap(), 1);
        assert!(mine.wait(Duration::from_secs(300)).unwrap());
        assert!(!others.wait(Duration::ZERO).unwrap());
        others.signal(Signal::KILL).unwrap();
        assert!(others.wait(Duration::from_secs(300)).unwrap());
        assert_eq!(kill_all_with("TRAINYARD_TEST_RUN", &value).unwrap(), 0);
    }

    #[test]
    fn only_a_file_itself_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link, pipe] = ["file", "link", "pipe"].map(|name| folder.path().join(name));
        fs::write(&file, "x").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        assert!(open_file(&file).is_ok());
        for other in [&link, &pipe, folder.path()] {
            assert!(open_file(other).is_err(), "{other:?}");
        }
    }

    #[test]
    fn a_name_with_brackets_does_not_hide_the_start() {
        let stat = b"7 (a) b) S 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 5555 1 2\n";
        assert_eq!(start_in(stat), Some(5_555));
        assert_eq!(start_in(b"7 (a"), None);
    }
}
