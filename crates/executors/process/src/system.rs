//! Processes as Linux shows them.

use std::fs;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::Child;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, waitid,
};
use serde::{Deserialize, Serialize};

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
    /// A child that is at the head of its group.
    pub(crate) fn of_child(child: Child) -> io::Result<Self> {
        let (number, pid) = (child.id(), pid(child.id())?);
        let identity = Identity { pid: number, start: start_of(number)?, boot: boot()? };
        let handle = pidfd_open(pid, PidfdFlags::empty())?;
        Ok(Self { identity, pid, handle, child: Some(child) })
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
        let timeout = Timespec {
            tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        let mut ends = [PollFd::new(&self.handle, PollFlags::IN)];
        match poll(&mut ends, Some(&timeout)) {
            Ok(0) | Err(Errno::INTR) => Ok(false),
            Ok(_) => {
                self.reap();
                Ok(true)
            }
            Err(error) => Err(error.into()),
        }
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
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, Stdio};

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
        assert!(process.wait(Duration::from_secs(20)).unwrap());
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
        assert!(process.wait(Duration::from_secs(20)).unwrap());
    }

    #[test]
    fn a_name_with_brackets_does_not_hide_the_start() {
        let stat = b"7 (a) b) S 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 5555 1 2\n";
        assert_eq!(start_in(stat), Some(5_555));
        assert_eq!(start_in(b"7 (a"), None);
    }
}
