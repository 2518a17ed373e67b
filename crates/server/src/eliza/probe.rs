//! Which backends this machine has, found out beforehand and now and then.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use trainyard_eliza::Backend;

use super::bounded;
use super::command::Presence;

/// Which backends jobs can run on here.
#[derive(Debug)]
pub(super) struct Probes {
    /// Those that somebody trains for, and whether the machine has to be looked at.
    known: BTreeMap<Backend, Presence>,
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    backends: BTreeSet<Backend>,
    at: Option<Instant>,
}

impl Probes {
    /// Looks for the first time.
    pub(super) fn open(known: BTreeMap<Backend, Presence>) -> Self {
        let probes = Self { known, found: Mutex::default() };
        probes.refresh(&|| true);
        probes
    }

    /// Those that there are, in their order. Does not wait.
    pub(super) fn backends(&self) -> Vec<Backend> {
        self.found.lock().backends.iter().copied().collect()
    }

    /// Looks again, when the last look is long ago, as long as `goes_on` says so.
    pub(super) fn refresh(&self, goes_on: &(dyn Fn() -> bool + Sync)) {
        if self.found.lock().at.is_some_and(|at| at.elapsed() < EVERY) {
            return;
        }
        let is_there = |backend: &Backend, presence: &Presence| match presence {
            Presence::Assumed => true,
            Presence::Probed => has(*backend, goes_on),
        };
        let there = self.known.iter().filter(|(backend, presence)| is_there(backend, presence));
        let backends = there.map(|(backend, _)| *backend).collect();
        if goes_on() {
            *self.found.lock() = Found { backends, at: Some(Instant::now()) };
        }
    }
}

fn has(backend: Backend, goes_on: &(dyn Fn() -> bool + Sync)) -> bool {
    // A program that is not there does not go well.
    let goes_well = |program: &str, arguments: &[&str]| {
        let mut command = bounded::program(program);
        let answer = bounded::ask(command.args(arguments), TIME_MAX, OUTPUT_MAX, goes_on);
        answer.is_ok_and(|answer| answer.end.is_success())
    };
    match backend {
        Backend::Native | Backend::Cpu => true,
        // To import it each time would take seconds.
        Backend::Mlx => goes_well("python3", &["-c", HAS_MLX_LM]),
        Backend::Cuda => goes_well("nvidia-smi", &["-L"]),
    }
}

const HAS_MLX_LM: &str =
    "import sys, importlib.util as modules; sys.exit(modules.find_spec('mlx_lm') is None)";
const EVERY: Duration = Duration::from_secs(60);
const TIME_MAX: Duration = Duration::from_secs(20);
const OUTPUT_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_trains_for_what_is_not_known() {
        let of = |known: &[(Backend, Presence)]| Probes::open(known.iter().copied().collect()).backends();
        assert_eq!(of(&[]), []);
        let assumed = [(Backend::Cuda, Presence::Assumed), (Backend::Mlx, Presence::Assumed)];
        assert_eq!(of(&assumed), [Backend::Mlx, Backend::Cuda]);
        assert_eq!(of(&[(Backend::Cpu, Presence::Probed)]), [Backend::Cpu], "it is never probed");
    }

    #[test]
    #[cfg(unix)]
    fn a_module_is_looked_for_and_not_imported() {
        let folder = tempfile::tempdir().unwrap();
        if bounded::ask(bounded::program("python3").arg("--version"), TIME_MAX, OUTPUT_MAX, &|| true).is_err()
        {
            return;
        }
        let has = || {
            let mut python = bounded::program("python3");
            python.env("PYTHONPATH", folder.path()).args(["-S", "-c", HAS_MLX_LM]);
            bounded::ask(&mut python, TIME_MAX, OUTPUT_MAX, &|| true).unwrap().end.is_success()
        };
        assert!(!has());
        std::fs::write(folder.path().join("mlx_lm.py"), "raise SystemExit(1)").unwrap();
        assert!(has());
    }
}
