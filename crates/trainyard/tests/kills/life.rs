//! One life of the process: how it is started and ended, and what it said.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use trainyard::journal::failpoints::Failpoint;

use crate::child;

/// How a life is to end.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Plan {
    /// By itself, in good order.
    Survey,
    /// By itself, once everything that was ever asked for is done.
    Drain,
    /// It kills itself when it passes a boundary for the n-th time.
    At { point: Failpoint, nth: u64 },
    /// It is killed this long after so many words.
    After { words: u64, wait: Duration },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Killed,
    ByItself,
}

/// What is known of a life that is over.
pub(crate) struct Life {
    pub(crate) end: End,
    /// What it said, line by line, in order.
    pub(crate) words: Vec<String>,
    /// How often it passed each failpoint, when it lived to say so.
    pub(crate) passed: BTreeMap<String, u64>,
}

/// Lives.
pub(crate) fn live(folder: &Path, number: u64, seed: u64, plan: Plan) -> Life {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--nocapture", "--test-threads=1"]);
    child::Orders { folder: folder.to_owned(), life: number, seed, plan: child::Plan::of(plan) }
        .write(&mut command);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut words = Vec::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    for line in lines.by_ref() {
        words.extend(line.strip_prefix(child::MARK).map(str::to_owned));
        if let Plan::After { words: after, wait } = plan
            && words.len() as u64 == after + 1
        {
            std::thread::sleep(wait); // somewhere in what it does next
            child.kill().unwrap();
            break;
        }
    }
    words.extend(lines.filter_map(|line| line.strip_prefix(child::MARK).map(str::to_owned)));
    let status = child.wait().unwrap();
    let end = match (status.signal(), status.code()) {
        (Some(9), _) => End::Killed,
        (None, Some(0)) => End::ByItself,
        _ => panic!("life {number}, {plan:?}: {status}; it said {words:#?}"),
    };
    let passed = words.iter().filter_map(|line| {
        let (name, times) = line.strip_prefix("passed ")?.split_once(' ')?;
        Some((name.to_owned(), times.parse().unwrap()))
    });
    Life { end, passed: passed.collect(), words }
}
