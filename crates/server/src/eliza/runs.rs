//! Runs as they go on: what is shown of them beside what the yard knows.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use trainyard_core::{JobId, Progress, Reason, Run, Score};
use trainyard_eliza::{Backend, Event, EventKind, Events, RunNotes};
use trainyard_process::{Began, Exit, Observer, Seen};
use trainyard_trainkit::write_beside;

use super::catalog::{Catalog, RunRecord};
use super::datasets::LESSON;
use crate::incoming;
use crate::records::RecordsError;

/// What is known of runs: of those at work in memory and, every now and then, in the catalogue; of others there.
///
/// Of a log the last lines are kept, in memory while the run is at work, in a file of its own afterwards: the run's own
/// folder goes when it has failed.
pub(crate) struct Runs {
    catalog: Arc<Catalog>,
    events: Events,
    /// Of the logs of runs that are over.
    folder: PathBuf,
    live: Mutex<BTreeMap<JobId, Live>>,
}

/// A run at work.
struct Live {
    record: RunRecord,
    log: VecDeque<String>,
    /// So many lines come again that were told before this process was.
    known: u64,
    /// The last words of a trainer in this process that are in the log.
    words: Option<Reason>,
    stored_at: Option<Instant>,
}

impl Runs {
    pub(super) fn open(catalog: Arc<Catalog>, events: Events, folder: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        Ok(Self { catalog, events, folder, live: Mutex::default() })
    }

    /// A run is about to begin, of an attempt with this folder.
    pub(super) fn begin(&self, job: JobId, what: Beginning<'_>) -> Result<(), RecordsError> {
        let Beginning { backend, model, folder, program } = what;
        let _changing = self.catalog.noted.change();
        let before = self.catalog.run(job)?.unwrap_or_default();
        let record = RunRecord {
            phase: Some("starting".to_owned()),
            fraction: Some(before.fraction.unwrap_or(STARTED).max(STARTED)),
            folder: Some(folder.to_owned()),
            program,
            backend: Some(backend),
            model,
            exit_code: None,
            signal: None,
            ..before
        };
        self.catalog.put_run(job, &record)?;
        // Of an earlier attempt, which may have ended before this process was.
        let kept = VecDeque::from(lines(&self.log_of(job)));
        let mut live = self.live.lock();
        let log = live.remove(&job).map_or(kept, |live| live.log);
        live.insert(job, Live { record, log, known: 0, words: None, stored_at: Some(Instant::now()) });
        Ok(())
    }

    /// How a run stands, with the last so many lines of its log.
    pub(super) fn notes(&self, job: JobId, lines_max: usize) -> Result<RunNotes, RecordsError> {
        if let Some(live) = self.live.lock().get(&job) {
            let skipped = live.log.len().saturating_sub(lines_max);
            return Ok(notes(live.record.clone(), live.log.iter().skip(skipped).cloned().collect()));
        }
        let Some(record) = self.catalog.run(job)? else { return Ok(RunNotes::default()) };
        let mut log = if lines_max == 0 { Vec::new() } else { lines(&self.log_of(job)) };
        log.drain(..log.len().saturating_sub(lines_max));
        Ok(notes(record, log))
    }

    /// The jobs of whose runs something is known, or kept.
    pub(super) fn noted(&self) -> Result<BTreeSet<JobId>, RecordsError> {
        let mut noted = self.catalog.noted_runs()?;
        noted.extend(self.live.lock().keys());
        match incoming::files(&self.folder) {
            Ok(logs) => noted.extend(logs.iter().filter_map(|(_, name)| job_of(name))),
            Err(error) => tracing::warn!(%error, "logs of runs are cleared away later"),
        }
        Ok(noted)
    }

    /// Forgets the runs of these jobs.
    pub(super) fn forget(&self, gone: &BTreeSet<JobId>) -> Result<(), RecordsError> {
        if gone.is_empty() {
            return Ok(());
        }
        tracing::debug!(count = gone.len(), "runs are forgotten with their jobs");
        let _changing = self.catalog.noted.change();
        self.catalog.forget_runs(gone)?;
        // One that has never begun has not ended either.
        self.live.lock().retain(|job, _| !gone.contains(job));
        gone.iter().for_each(|job| incoming::remove(&self.log_of(*job)));
        Ok(())
    }

    fn log_of(&self, job: JobId) -> PathBuf {
        self.folder.join(format!("{job}{ENDING}"))
    }

    /// Changes what is known of a run at work, and stores it when that is due.
    fn change(&self, job: JobId, change: impl FnOnce(&mut Live) -> Due) {
        let mut runs = self.live.lock();
        let Some(live) = runs.get_mut(&job) else { return };
        let _changing = self.catalog.noted.change();
        let is_due = match change(live) {
            Due::Now => true,
            Due::Sometime => live.stored_at.is_none_or(|at| at.elapsed() >= STORED_EVERY),
            Due::Never => false,
        };
        if !is_due {
            return;
        }
        live.stored_at = Some(Instant::now());
        let record = live.record.clone();
        drop(runs);
        self.store(job, &record);
    }

    fn store(&self, job: JobId, record: &RunRecord) {
        if let Err(error) = self.catalog.put_run(job, record) {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(%job, error, "what a run has come to could not be noted");
        }
    }
}

impl Live {
    fn log(&mut self, line: &str) {
        if self.log.len() == LINES_MAX {
            self.log.pop_front();
        }
        self.log.push_back(line.to_owned());
    }

    /// Takes in how far it is.
    fn see(&mut self, seen: &Seen) -> Due {
        let record = &mut self.record;
        let share = seen.step.zip(seen.total).filter(|(_, total)| *total > 0);
        #[expect(clippy::cast_precision_loss, reason = "of numbers that large the end does not matter")]
        let share = share.map(|(step, total)| (step as f64 / total as f64).min(1.0));
        let fraction = seen.fraction.into_iter().chain(share).chain(record.fraction);
        record.fraction = fraction.reduce(f64::max);
        let is_other = seen.phase.is_some() && seen.phase != record.phase;
        record.phase = seen.phase.clone().or_else(|| Some("running".to_owned()));
        record.iteration = seen.step.or(record.iteration);
        record.iterations = seen.total.or(record.iterations);
        record.loss = seen.loss.or(record.loss);
        if is_other { Due::Now } else { Due::Sometime }
    }

    /// Takes the words of a report into the log, unless they are there; gives the line that is new.
    fn take(&mut self, progress: &Progress) -> Option<String> {
        let words = progress.message.as_ref().filter(|words| self.words.as_ref() != Some(words))?;
        self.words = Some(words.clone());
        let words = words.as_str();
        let line = words[..words.floor_char_boundary(LINE_BYTES_MAX)].to_owned();
        self.log(&line);
        Some(line)
    }
}

/// A report, in the form in which programs are seen.
fn seen(progress: &Progress) -> Seen {
    let mut seen = Seen::default();
    seen.step = Some(progress.step);
    seen.total = Some(progress.total).filter(|total| *total > 0);
    seen.phase = progress.phase.as_ref().map(|phase| phase.as_str().to_owned());
    seen.loss = progress.loss.map(Score::get);
    seen
}

/// What a run begins with.
pub(super) struct Beginning<'a> {
    pub(super) backend: Backend,
    /// The model it starts from.
    pub(super) model: Option<String>,
    pub(super) folder: &'a Path,
    pub(super) program: Option<PathBuf>,
}

/// When a change is to be stored.
enum Due {
    Now,
    /// Not sooner than a while after the last.
    Sometime,
    Never,
}

/// Tells what processes do.
pub(super) struct Watcher(Arc<Runs>);

impl Watcher {
    pub(super) const fn new(runs: Arc<Runs>) -> Self {
        Self(runs)
    }
}

impl Observer for Watcher {
    fn began(&self, run: Run, process: &Began<'_>) {
        self.0.began(run.job, process);
    }

    fn line(&self, run: Run, line: &str) {
        self.0.line(run.job, line);
    }

    fn progress(&self, run: Run, seen: &Seen) {
        self.0.progress(run.job, seen);
    }

    fn ended(&self, run: Run, exit: Exit) {
        self.0.ended(run.job, exit);
    }
}

/// What a process does.
impl Runs {
    fn began(&self, job: JobId, process: &Began<'_>) {
        let known = if process.is_found { count_lines(process.log) } else { 0 };
        let found = || match self.catalog.run(job) {
            Ok(record) => record.unwrap_or_default(),
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(%job, error, "what a run had come to could not be read");
                RunRecord::default()
            }
        };
        let _changing = self.catalog.noted.change();
        let mut live = self.live.lock();
        let live = live.entry(job).or_insert_with(|| Live {
            record: found(),
            log: VecDeque::new(),
            known: 0,
            words: None,
            stored_at: None,
        });
        live.record.log = Some(process.log.to_owned());
        live.known = known;
        if process.is_found {
            live.log.clear();
        }
        let record = live.record.clone();
        self.store(job, &record);
    }

    pub(super) fn line(&self, job: JobId, line: &str) {
        let line = &line[..line.floor_char_boundary(LINE_BYTES_MAX)];
        let mut is_new = true;
        self.change(job, |live| {
            live.log(line);
            is_new = live.known == 0;
            live.known = live.known.saturating_sub(1);
            Due::Never
        });
        if is_new {
            self.events.publish(Event::new(EventKind::JobLog, line).with_job(job));
        }
    }

    pub(super) fn progress(&self, job: JobId, seen: &Seen) {
        self.change(job, |live| live.see(seen));
    }

    /// Notes what a trainer in this process has reported. What programs do is told by whoever watches them.
    pub(super) fn reported(&self, job: JobId, progress: &Progress) {
        let mut line = None;
        self.change(job, |live| {
            if live.record.program.is_some() {
                return Due::Never;
            }
            line = live.take(progress);
            live.see(&seen(progress))
        });
        if let Some(line) = line {
            self.events.publish(Event::new(EventKind::JobLog, line).with_job(job));
        }
    }

    fn ended(&self, job: JobId, exit: Exit) {
        let is_trained = exit == Exit::Code(0);
        self.change(job, |live| {
            live.record.exit_code = exit.code();
            live.record.signal = exit.signal();
            Due::Never
        });
        self.end(job, is_trained, None);
    }

    /// A run is over, after these last words of its trainer. When it has trained something, that gets its number now.
    pub(super) fn end(&self, job: JobId, is_trained: bool, last: Option<&Progress>) {
        let _changing = self.catalog.noted.change();
        if is_trained && let Err(error) = self.catalog.make_version(job) {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(%job, error, "a model gets no number");
        }
        let Some(mut live) = self.live.lock().remove(&job) else { return };
        if let Some(last) = last {
            let line = live.take(last);
            live.see(&seen(last));
            if let Some(line) = line {
                self.events.publish(Event::new(EventKind::JobLog, line).with_job(job));
            }
        }
        // Nobody learns from it any more, and the folder stays as long as the model does.
        if let Some(Err(error)) = live.record.folder.as_ref().map(|of| fs::remove_dir_all(of.join(LESSON)))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%job, %error, "what a run has learned from could not be removed");
        }
        if !live.log.is_empty() {
            let path = self.log_of(job);
            match write_beside(&path, |to| live.log.iter().try_for_each(|line| writeln!(to, "{line}"))) {
                Ok(()) => live.record.log = Some(path),
                Err(error) => tracing::warn!(%job, %error, "the end of a log could not be kept"),
            }
        }
        self.store(job, &live.record);
    }
}

fn notes(record: RunRecord, log: Vec<String>) -> RunNotes {
    RunNotes {
        log,
        phase: record.phase,
        fraction: record.fraction,
        iteration: record.iteration,
        iterations: record.iterations,
        loss: record.loss,
        exit_code: record.exit_code,
        signal: record.signal,
        output_dir: record.folder,
        log_path: record.log,
        script_path: record.program,
    }
}

/// The lines of a log that was kept; none when there is none.
fn lines(path: &Path) -> Vec<String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(LOG_BYTES_MAX).read_to_string(&mut text));
    match read {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(log = %path.display(), %error, "a log cannot be read");
        }
        Ok(_) | Err(_) => {}
    }
    text.lines().map(str::to_owned).collect()
}

/// How many lines there are in a log so far.
pub(super) fn count_lines(path: &Path) -> u64 {
    let Ok(file) = File::open(path) else { return 0 };
    let mut reader = BufReader::new(file);
    let mut count = 0;
    while let Ok(bytes) = reader.fill_buf()
        && !bytes.is_empty()
    {
        count += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        let length = bytes.len();
        reader.consume(length);
    }
    count
}

/// The job whose log has this name.
fn job_of(name: &str) -> Option<JobId> {
    let id = name.strip_suffix(ENDING).map(uuid::Uuid::try_parse)?;
    id.ok().map(JobId::new)
}

const ENDING: &str = ".log";
/// As many as the adapter shows.
const LINES_MAX: usize = 600;
const LINE_BYTES_MAX: usize = 2_048;
/// More than the lines that are kept may take.
const LOG_BYTES_MAX: u64 = 2 << 20;
/// A step may be made many times a second.
const STORED_EVERY: Duration = Duration::from_secs(1);
/// What is shown done as soon as there is somebody to do it.
const STARTED: f64 = 0.02;

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use trainyard_core::Timestamp;
    use trainyard_eliza::{Benchmark, Imported};

    use super::*;

    const JOB: JobId = JobId::from_u128(7);

    fn open(folder: &TempDir) -> Runs {
        let catalog = Arc::new(Catalog::open(&folder.path().join("catalog.sqlite")).unwrap());
        Runs::open(catalog, Events::new(), folder.path().join("logs")).unwrap()
    }

    fn begin(runs: &Runs, folder: &TempDir) {
        let model = Some("small".to_owned());
        let program = Some("train.py".into());
        let beginning = Beginning { backend: Backend::Cuda, model, folder: folder.path(), program };
        runs.begin(JOB, beginning).unwrap();
    }

    fn notes_of(runs: &Runs) -> Result<RunNotes, RecordsError> {
        runs.notes(JOB, usize::MAX)
    }

    fn line_of(step: u64, phase: &str) -> Seen {
        let mut seen = Seen::default();
        (seen.step, seen.total, seen.loss) = (Some(step), Some(10), Some(0.5));
        seen.phase = Some(phase.to_owned());
        seen
    }

    #[test]
    fn what_a_run_shows_stays_after_its_end_and_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let runs = open(&folder);
        assert_eq!(notes_of(&runs).unwrap(), RunNotes::default());
        begin(&runs, &folder);
        let notes = notes_of(&runs).unwrap();
        assert_eq!((notes.phase.as_deref(), notes.fraction), (Some("starting"), Some(STARTED)));
        runs.progress(JOB, &line_of(8, "training"));
        runs.line(JOB, "Iter 8");
        runs.progress(JOB, &line_of(3, "training"));
        let notes = notes_of(&runs).unwrap();
        assert_eq!((notes.fraction, notes.iteration), (Some(0.8), Some(3)), "a fraction never falls");
        assert_eq!((notes.log.as_slice(), notes.loss), (&["Iter 8".to_owned()][..], Some(0.5)));
        assert_eq!(runs.events.kept().len(), 1);
        runs.end(JOB, true, None);
        let after = notes_of(&runs).unwrap();
        assert_eq!(after, RunNotes { log_path: after.log_path.clone(), ..notes });
        assert_eq!(runs.catalog.version(JOB).unwrap(), Some(1));
        drop(runs);
        assert_eq!(notes_of(&open(&folder)).unwrap(), after);
    }

    #[test]
    fn what_a_trainer_in_this_process_says_stays_too() {
        let folder = tempfile::tempdir().unwrap();
        let runs = open(&folder);
        let beginning =
            Beginning { backend: Backend::Cpu, model: None, folder: folder.path(), program: None };
        runs.begin(JOB, beginning).unwrap();
        let said = |step, words: &str| {
            Progress::step(step, 4).with_phase("training").with_loss(0.5).unwrap().with_message(words)
        };
        runs.reported(JOB, &said(1, "one"));
        runs.reported(JOB, &said(2, "two"));
        runs.reported(JOB, &said(2, "two"));
        runs.end(JOB, false, Some(&said(3, "three")));
        runs.reported(JOB, &said(2, "two")); // it was told of late
        let notes = notes_of(&runs).unwrap();
        assert_eq!(notes.log, ["one", "two", "three"]);
        assert_eq!((notes.iteration, notes.iterations, notes.loss), (Some(3), Some(4), Some(0.5)));
        assert_eq!((notes.fraction, notes.phase.as_deref()), (Some(0.75), Some("training")));
        assert_eq!(runs.events.kept().len(), 3);
        begin(&runs, &folder);
        runs.reported(JOB, &said(4, "four"));
        assert_eq!(notes_of(&runs).unwrap().iteration, Some(3), "a program is watched otherwise");
    }

    #[test]
    fn another_try_goes_on_with_the_log_and_forgets_how_the_last_one_ended() {
        let folder = tempfile::tempdir().unwrap();
        let runs = open(&folder);
        begin(&runs, &folder);
        runs.progress(JOB, &line_of(5, "training"));
        runs.ended(JOB, Exit::Code(7));
        let failed = notes_of(&runs).unwrap();
        assert_eq!((failed.exit_code, failed.signal, failed.fraction), (Some(7), None, Some(0.5)));
        assert_eq!(runs.catalog.version(JOB).unwrap(), None, "it has made nothing");
        begin(&runs, &folder);
        let again = notes_of(&runs).unwrap();
        assert_eq!(
            (again.exit_code, again.fraction, again.phase.as_deref()),
            (None, Some(0.5), Some("starting"))
        );
        runs.ended(JOB, Exit::Code(128 + 9));
        assert_eq!(notes_of(&runs).unwrap().signal, Some(9));
    }

    #[test]
    fn whatever_is_noted_is_another_edition_and_a_look_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let runs = open(&folder);
        let model = trainyard_core::ModelId::from_u128(8);
        let mut last = runs.catalog.noted.now();
        let mut check = |what: &str, is_change: bool, act: &dyn Fn()| {
            act();
            let now = runs.catalog.noted.now();
            assert_eq!((now.is_some(), now != last), (true, is_change), "{what}");
            last = now;
        };
        let step = |number| Progress::step(number, 4).with_message("said");
        let imported = Imported { name: "m".to_owned(), at: Timestamp::from_millis(1) };
        let benchmark = Benchmark { is_passed: true, scores: None, output: String::new(), at: imported.at };
        let native =
            || Beginning { backend: Backend::Native, model: None, folder: folder.path(), program: None };
        check("nothing", false, &|| drop(notes_of(&runs).unwrap()));
        check("it begins", true, &|| begin(&runs, &folder));
        check("a line", true, &|| runs.line(JOB, "Iter 8"));
        check("how far it is", true, &|| runs.progress(JOB, &line_of(8, "training")));
        check("a look", false, &|| drop((notes_of(&runs).unwrap(), runs.noted().unwrap())));
        check("a line of another run", false, &|| runs.line(JobId::from_u128(9), "Iter 8"));
        check("its process ends", true, &|| runs.ended(JOB, Exit::Code(0)));
        check("late words", false, &|| runs.reported(JOB, &step(3)));
        check("it begins in this process", true, &|| runs.begin(JOB, native()).unwrap());
        check("it says something", true, &|| runs.reported(JOB, &step(3)));
        check("it is over", true, &|| runs.end(JOB, true, None));
        check("a model is imported", true, &|| runs.catalog.note_import(model, &imported).unwrap());
        check("it has a name", true, &|| runs.catalog.note_provider_model(model, "m").unwrap());
        check("it is measured", true, &|| runs.catalog.note_benchmark(model, &benchmark).unwrap());
        check("it is forgotten", true, &|| runs.catalog.forget_models(&[model].into()).unwrap());
        check("nobody is forgotten", false, &|| runs.catalog.forget_models(&[].into()).unwrap());
        check("nobody is forgotten", false, &|| runs.forget(&[].into()).unwrap());
        check("the run is forgotten", true, &|| runs.forget(&[JOB].into()).unwrap());
    }

    #[test]
    fn logs_are_bounded_and_go_with_their_jobs() {
        let folder = tempfile::tempdir().unwrap();
        let runs = open(&folder);
        begin(&runs, &folder);
        let long = "ä".repeat(LINE_BYTES_MAX);
        (0..LINES_MAX + 5).for_each(|n| runs.line(JOB, &format!("{n} {long}")));
        runs.end(JOB, false, None);
        let log = notes_of(&runs).unwrap().log;
        assert_eq!(
            (log.len(), log[0].starts_with("5 "), log[0].len() <= LINE_BYTES_MAX),
            (LINES_MAX, true, true)
        );
        let last = |max| runs.notes(JOB, max).unwrap().log;
        assert_eq!((last(0), last(2)), (vec![], log[LINES_MAX - 2..].to_vec()));
        fs::write(folder.path().join("logs/mine.txt"), "").unwrap();
        assert_eq!(runs.noted().unwrap(), [JOB].into());
        runs.forget(&[].into()).unwrap();
        assert_eq!(notes_of(&runs).unwrap().log.len(), LINES_MAX);
        runs.forget(&[JOB].into()).unwrap();
        assert_eq!((notes_of(&runs).unwrap(), runs.noted().unwrap()), (RunNotes::default(), [].into()));
        begin(&runs, &folder); // and its program cannot be started
        runs.forget(&runs.noted().unwrap()).unwrap();
        assert!(runs.live.lock().is_empty());
        assert_eq!(fs::read_dir(folder.path().join("logs")).unwrap().count(), 1, "what is not ours stays");
    }
}
