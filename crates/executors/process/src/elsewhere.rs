//! What stands in for `system` where there is no Linux: nothing can be started there, which
//! [`Processes::open`](crate::Processes::open) says first of all.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One process and no other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) pid: u32,
    pub(crate) start: u64,
    pub(crate) boot: String,
}

/// There is none.
#[derive(Debug)]
pub(crate) struct Process(Identity);

/// What a process is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signal;

/// Says that this is not Linux.
pub(crate) fn check() -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "processes need Linux: elsewhere they cannot be found again without a risk to others",
    ))
}

impl Identity {
    pub(crate) fn is_of_this_boot(&self) -> io::Result<bool> {
        check().map(|()| false)
    }
}

impl Process {
    pub(crate) fn of_child(mut child: Child) -> io::Result<Self> {
        child.kill()?;
        child.wait()?;
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn find(_: &Identity) -> io::Result<Option<Self>> {
        check().map(|()| None)
    }

    pub(crate) const fn identity(&self) -> &Identity {
        &self.0
    }

    pub(crate) fn wait(&mut self, _: Duration) -> io::Result<bool> {
        check().map(|()| true)
    }

    pub(crate) fn signal(&mut self, _: Signal) -> io::Result<()> {
        check()
    }

    pub(crate) fn finish(&mut self) {}
}

impl Signal {
    pub(crate) const TERM: Self = Self;
    pub(crate) const KILL: Self = Self;
}

pub(crate) fn lead_a_group(command: &mut Command) -> &mut Command {
    command
}

pub(crate) fn open_file(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).open(path)
}

pub(crate) fn next_bytes(_: &File, at: u64) -> io::Result<u64> {
    Ok(at)
}

pub(crate) fn give_back(_: &File, _: u64, _: u64) -> io::Result<()> {
    Ok(())
}

pub(crate) fn kill_all_with(_: &str, _: &str) -> io::Result<usize> {
    check().map(|()| 0)
}
