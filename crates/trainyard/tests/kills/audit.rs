//! What must be true after every life, however it ended.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use trainyard::sqlite::{SqliteJournal, SqliteOptions, verify};
use trainyard::{Checkpoint, Driver, Job, Outcome, QueueName, Yard};

use crate::child::{self, FINISHED_MAX, SHELF, SHELVED, WORK};
use crate::dice::Dice;
use crate::life::{self, End, Life, Plan};

/// A data folder, and everything that was ever acknowledged about it.
pub(crate) struct World {
    folder: PathBuf,
    lives: u64,
    submitted: BTreeSet<String>,
    cancels: BTreeSet<String>,
    cancelled: BTreeSet<String>,
    /// The newest step, by job and candidate.
    checkpoints: BTreeMap<(String, String), u64>,
    /// What each job that is over became, and after which life that was known.
    finished: BTreeMap<String, (String, u64)>,
    /// How much of the file of runs was looked at, and what it said.
    runs: Runs,
}

#[derive(Default)]
struct Runs {
    bytes: usize,
    lease_max: u64,
    ended: BTreeSet<String>,
    begun: u64,
    resumed: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        let name = format!("trainyard-kills-{}", std::process::id());
        let folder = (0..)
            .map(|n| std::env::temp_dir().join(format!("{name}-{n}")))
            .find(|folder| fs::create_dir(folder).is_ok())
            .expect("one is free");
        Self {
            folder,
            lives: 0,
            submitted: BTreeSet::new(),
            cancels: BTreeSet::new(),
            cancelled: BTreeSet::new(),
            checkpoints: BTreeMap::new(),
            finished: BTreeMap::new(),
            runs: Runs::default(),
        }
    }

    /// One more life, and a look at what it has left.
    pub(crate) fn live(&mut self, dice: &mut Dice, plan: Plan) -> Life {
        self.lives += 1;
        let life = life::live(&self.folder, self.lives, dice.next(), plan);
        let what = format!("life {}, {plan:?}", self.lives);
        for words in &life.words {
            self.hear(words, &what);
        }
        self.look_at_runs(&what);
        self.look_at_yard(&what);
        life
    }

    /// The last life: everything that was asked for is done.
    pub(crate) fn drain(&mut self, dice: &mut Dice) {
        assert_eq!(self.live(dice, Plan::Drain).end, End::ByItself);
        let yard = self.reopen().expect("there is a journal");
        let left: Vec<&Job> =
            yard.jobs().filter(|job| !job.is_finished() && job.class.queue.as_str() == WORK).collect();
        assert!(left.is_empty(), "{left:#?}");
        assert_eq!(yard.queue(&QueueName::new(SHELF).unwrap()).unwrap().waiting as usize, SHELVED);
    }

    fn hear(&mut self, words: &str, what: &str) {
        let mut parts = words.split(' ');
        let (verb, job) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default().to_owned());
        match verb {
            "submitted" => drop(self.submitted.insert(job)),
            "cancels" => drop(self.cancels.insert(job)),
            "cancelled" => drop(self.cancelled.insert(job)),
            "checkpoint" => {
                let (label, step) =
                    (parts.next().unwrap().to_owned(), parts.next().unwrap().parse::<u64>().unwrap());
                let known = self.checkpoints.entry((job, label)).or_default();
                *known = step.max(*known);
            }
            "finished" => {
                let outcome = parts.collect::<Vec<_>>().join(" ");
                self.finish(job, outcome, what);
            }
            "born" | "unheld" | "closed" | "passed" => {}
            _ => panic!("{what}: it said {words:?}"),
        }
    }

    /// An outcome is written once.
    fn finish(&mut self, job: String, outcome: String, what: &str) {
        let (known, _) = self.finished.entry(job.clone()).or_insert((outcome.clone(), self.lives));
        assert_eq!(*known, outcome, "{what}: job {job} has another outcome");
    }

    /// Which runs began and ended, in order.
    fn look_at_runs(&mut self, what: &str) {
        let text = fs::read_to_string(self.folder.join("runs")).unwrap_or_default();
        let before = self.runs.lease_max;
        let mut at_work: BTreeSet<(String, String)> = BTreeSet::new();
        let mut leases = BTreeSet::new();
        for line in text[self.runs.bytes..].lines() {
            let [verb, life, job, subject, label, lease, rest @ ..] = &*line.split(' ').collect::<Vec<_>>()
            else {
                panic!("{what}: {line}")
            };
            assert_eq!(*life, self.lives.to_string(), "{what}: {line}");
            // A subject has one run, and in a contest one for each candidate.
            let place = ((*subject).to_owned(), (*label).to_owned());
            if *verb == "ends" {
                assert!(at_work.remove(&place), "{what}: it had not begun: {line}");
                self.runs.ended.insert((*job).to_owned());
                continue;
            }
            assert!(at_work.insert(place), "{what}: two runs at once: {line}");
            let lease: u64 = lease.parse().unwrap();
            assert!(lease > before, "{what}: a lease of an earlier life ({before}): {line}");
            assert!(leases.insert(lease), "{what}: a lease for two runs: {line}");
            if let Some((outcome, since)) = self.finished.get(*job) {
                assert!(*since >= self.lives, "{what}: it was over after life {since}, {outcome}: {line}");
            }
            let from: u64 = rest[0].parse().unwrap();
            self.runs.lease_max = lease.max(self.runs.lease_max);
            self.runs.begun += 1;
            self.runs.resumed += u64::from(from > 0);
        }
        self.runs.bytes = text.len();
    }

    /// What was acknowledged is in the journal, and what the journal names is on disk.
    fn look_at_yard(&mut self, what: &str) {
        let Some(yard) = self.reopen() else {
            assert!(self.submitted.is_empty(), "{what}: there is no journal");
            return;
        };
        let finished =
            yard.jobs().filter(|job| job.is_finished() && job.class.queue.as_str() == WORK).count();
        let jobs: BTreeMap<String, &Job> = yard.jobs().map(|job| (job.id.to_string(), job)).collect();
        for job in &self.submitted {
            let had_ended = self.runs.ended.contains(job) || self.cancels.contains(job);
            let may_be_forgotten = had_ended && finished >= FINISHED_MAX as usize;
            assert!(jobs.contains_key(job) || may_be_forgotten, "{what}: job {job} is lost");
        }
        for (id, job) in &jobs {
            match job.outcome() {
                Some(outcome) => self.finish(id.clone(), outcome.to_string(), what),
                None => assert!(!self.finished.contains_key(id), "{what}: job {id} was over"),
            }
            let is_cancelled = matches!(job.outcome(), Some(Outcome::Cancelled { .. }));
            assert!(is_cancelled || !self.cancelled.contains(id), "{what}: the cancel of {id} is lost");
            self.look_at_checkpoints(id, job, what);
        }
        for model in yard.registries().flat_map(|registry| yard.models(registry)) {
            let path = self.folder.join("data").join(model.artifact.as_str());
            let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{what}: {model:?}: {error}"));
            assert!(text.starts_with(&model.job.to_string()), "{what}: {text} in {model:?}");
        }
    }

    fn look_at_checkpoints(&self, id: &str, job: &Job, what: &str) {
        if job.is_finished() {
            return;
        }
        let check = |label: &str, found: Option<&Checkpoint>| {
            let known = self.checkpoints.get(&(id.to_owned(), label.to_owned())).copied().unwrap_or(0);
            let step = found.map_or(0, |found| found.step);
            assert!(step >= known, "{what}: job {id} {label} goes on from {step}, {known} was acknowledged");
            if let Some(found) = found {
                let text = fs::read_to_string(self.folder.join("data").join(found.reference.as_str()));
                assert_eq!(text.unwrap(), child::content(id, label, step), "{what}: {found:?}");
            }
        };
        match job.contest() {
            None => check("-", job.standing().and_then(|standing| standing.checkpoint.as_ref())),
            Some(contest) => {
                let candidates = contest.candidates.iter();
                candidates
                    .filter(|one| !one.is_out() && !one.has_handed_over())
                    .for_each(|one| check(one.label.as_str(), one.standing.checkpoint.as_ref()));
            }
        }
    }

    /// The yard of a copy of the journal, so that the next life finds all that this one has left.
    fn reopen(&self) -> Option<Yard> {
        let (from, to) = (self.folder.join("data"), self.folder.join("copy"));
        let _ = fs::remove_dir_all(&to);
        fs::create_dir(&to).unwrap();
        if !copy(&from, &to, "yard.sqlite") {
            return None;
        }
        copy(&from, &to, "yard.sqlite-wal");
        copy(&from, &to, "yard.sqlite.lock");
        let path = to.join("yard.sqlite");
        if !self.submitted.is_empty() {
            verify(&path).unwrap();
        }
        let (journal, _) = SqliteJournal::open(&path, &SqliteOptions::new()).unwrap();
        Some(Driver::open(journal).unwrap().yard())
    }
}

fn copy(from: &Path, to: &Path, name: &str) -> bool {
    from.join(name).exists() && fs::copy(from.join(name), to.join(name)).is_ok()
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lives, submitted, cancelled, checkpoints, finished, runs, .. } = self;
        write!(f, "{lives} lives, acknowledged: {} jobs, {} cancels, ", submitted.len(), cancelled.len())?;
        write!(f, "{} jobs with checkpoints; {} jobs over, ", checkpoints.len(), finished.len())?;
        write!(
            f,
            "{} runs, {} of them from a checkpoint, up to lease {}",
            runs.begun, runs.resumed, runs.lease_max
        )
    }
}

impl Drop for World {
    /// What a failed test has left is worth a look.
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("left in {}", self.folder.display());
        } else {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}
