//! One process from where it is found to its end.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use trainyard_core::{Metric, Metrics, Progress, Run, Trained};
use trainyard_runtime::{Context, Stop, TrainError};

use crate::digest::Digest;
use crate::event::Place;
use crate::formats::Reader;
use crate::lines::{Lines, Piece};
use crate::observer::Began;
use crate::record::Record;
use crate::spool::{Read, Spool};
use crate::system::{Process, Signal};
use crate::told::Places;
use crate::trainer::AtShutdown;
use crate::verdict::verdict;
use crate::{Exit, ProcessTrainer, Processes, telemetry};

/// A run and its process.
pub(crate) struct Attempt<'a> {
    trainer: &'a ProcessTrainer,
    cx: &'a Context,
    run: Run,
    record: Record,
    places: Places,
    /// `None` once it has ended, or is left alone.
    process: Option<Process>,
    is_found: bool,
    output: Tail,
    events: Tail,
    digest: Digest,
    /// The step of the newest checkpoint that is durable.
    checkpoint: Option<u64>,
    /// Why it was told to stop.
    told: Option<Stop>,
    /// When it was started, if that was by this value.
    began: Option<Instant>,
    /// When it is sent SIGTERM once more.
    term_again_at: Option<Instant>,
    /// When it is killed.
    kill_at: Option<Instant>,
}

/// What there is to follow.
pub(crate) struct Start {
    pub(crate) record: Record,
    /// `None` when it has ended already.
    pub(crate) process: Option<Process>,
    /// Whether an earlier process of this service has started it.
    pub(crate) is_found: bool,
}

/// A file that is followed line by line.
struct Tail {
    spool: Spool,
    lines: Lines,
}

/// Why a process is not followed to its end.
enum Left {
    /// It goes on without this service.
    Alone,
    Broken(io::Error),
}

impl<'a> Attempt<'a> {
    pub(crate) fn new(
        trainer: &'a ProcessTrainer,
        cx: &'a Context,
        run: Run,
        start: Start,
    ) -> Result<Self, TrainError> {
        let Start { record, mut process, is_found } = start;
        let places = Places::within(&record.folder);
        let tail = |path| Tail::open(path, record.log_bytes_max);
        let tails = tail(&places.log).and_then(|output| Ok((output, tail(&places.events)?)));
        let (output, events) = match tails {
            Ok(tails) => tails,
            Err(error) => {
                process.as_mut().map_or(Ok(()), end)?;
                return Err(TrainError::retry(format!("could not read what it writes: {error}")));
            }
        };
        let digest = Digest::new(Reader::new(record.formats.iter().copied()));
        let checkpoint = if is_found { cx.resume().map(|known| known.step) } else { None };
        let began = (!is_found).then(Instant::now);
        Ok(Self {
            trainer,
            cx,
            run,
            record,
            places,
            process,
            is_found,
            output,
            events,
            digest,
            checkpoint,
            told: None,
            began,
            term_again_at: None,
            kill_at: None,
        })
    }

    /// Follows it, and says what came of it.
    pub(crate) fn follow(mut self) -> Result<Trained, TrainError> {
        let (pid, is_found) = (self.record.process.pid, self.is_found);
        telemetry::began(self.run, pid, is_found);
        let began = Began { pid, log: &self.places.log, is_found };
        self.trainer.observer().began(self.run, &began);
        let ended = match self.watch() {
            Ok(()) => self.judge(),
            Err(Left::Alone) => {
                self.process = None;
                return Err(TrainError::interrupted("it goes on without this service"));
            }
            Err(Left::Broken(error)) => {
                Err(TrainError::retry(format!("could not follow its process: {error}")))
            }
        };
        self.trainer.processes().has_ended(self.run);
        ended
    }

    /// Takes in what it says, until it has ended and all of it is taken in.
    fn watch(&mut self) -> Result<(), Left> {
        loop {
            // Looked at first: what it wrote before its end is there by now.
            let has_ended = self.wait(Duration::ZERO)?;
            let has_more = self.take_in()?;
            self.pass_on();
            if has_ended && !has_more {
                self.take_in_the_rest();
                return Ok(());
            }
            self.stop_if_told()?;
            if !has_more {
                self.wait(self.trainer.poll_every())?;
            }
        }
    }

    /// Whether it has ended, or does within this time.
    fn wait(&mut self, timeout: Duration) -> Result<bool, Left> {
        if let Some(process) = &mut self.process
            && process.wait(timeout)?
        {
            self.process = None;
        }
        Ok(self.process.is_none())
    }

    /// Reads a part of what is new. Whether there may be more.
    fn take_in(&mut self) -> Result<bool, Left> {
        let (digest, run) = (&mut self.digest, self.run);
        let observer = self.trainer.observer();
        let show = |line: Option<String>| {
            if let Some(line) = line {
                observer.line(run, &line);
            }
        };
        let was_over = self.output.spool.is_over();
        let more_output = self.output.pump(&mut |piece| match piece {
            Piece::Line { text, was_cut } => show(digest.printed(text, was_cut)),
            Piece::Redrawn(text) => digest.redrawn(text),
        })?;
        if !was_over && self.output.spool.is_over() {
            let bytes = self.record.log_bytes_max;
            show(Some(format!(
                "trainyard: it prints more than {bytes} bytes; the middle of its log is not kept"
            )));
        }
        let more_events = self.events.pump(&mut |piece| match piece {
            Piece::Line { text, was_cut } => show(digest.event(text, was_cut)),
            Piece::Redrawn(_) => {}
        })?;
        for tail in [&mut self.output, &mut self.events] {
            if let Err(error) = tail.spool.give_back() {
                telemetry::log_not_shortened(&self.places.log, &error);
            }
        }
        Ok(more_output || more_events)
    }

    /// What it printed last may have no end of line. Half an event is none.
    fn take_in_the_rest(&mut self) {
        let rest = self.output.lines.rest();
        if !rest.is_empty()
            && let Some(line) = self.digest.printed(rest, false)
        {
            self.trainer.observer().line(self.run, &line);
        }
        self.pass_on();
    }

    /// Tells host and yard what is new. Whether it is to stop is looked at elsewhere.
    fn pass_on(&mut self) {
        if let Some((step, performance)) = self.digest.peak() {
            let best = Progress { performance: self.cx.score(performance), ..Progress::step(step, 0) };
            let _ = self.cx.report(best);
        }
        if let Some(seen) = self.digest.news() {
            let step = seen.step.unwrap_or_else(|| self.cx.resume_from());
            let mut progress = Progress::step(step, seen.total.unwrap_or(0));
            progress.loss = seen.loss.and_then(|loss| self.cx.score(loss));
            progress.performance = seen.performance.and_then(|performance| self.cx.score(performance));
            if let Some(phase) = &seen.phase {
                progress = progress.with_phase(phase);
            }
            if let Some(message) = &seen.message {
                progress = progress.with_message(message);
            }
            let _ = self.cx.report(progress);
            self.trainer.observer().progress(self.run, seen);
        }
        let Some((step, place)) = self.digest.checkpoint() else {
            return;
        };
        // What a found process had said before is known.
        if self.is_found && self.checkpoint.is_some_and(|known| step <= known) {
            return;
        }
        match self.locate(&place).and_then(|path| self.cx.checkpoint(path, step)) {
            Ok(()) => self.checkpoint = Some(step),
            Err(error) => telemetry::checkpoint_refused(step, &error),
        }
    }

    /// SIGTERM at first, SIGKILL when its grace is over or it is told so once more.
    fn stop_if_told(&mut self) -> Result<(), Left> {
        let (Some(stop), Some(process)) = (self.cx.stop_reason(), &mut self.process) else {
            return Ok(());
        };
        if stop == Stop::ShuttingDown && self.trainer.at_shutdown() == AtShutdown::LeaveRunning {
            return Err(Left::Alone);
        }
        let was_told = self.told.replace(stop);
        let is_given_up = was_told.is_some_and(|told| told < stop) && stop == Stop::FencedOff;
        match self.kill_at {
            None => {
                process.signal(Signal::TERM)?;
                let now = Instant::now();
                self.kill_at = Some(now + self.record.grace);
                self.term_again_at =
                    self.began.filter(|began| now - *began < STARTING).map(|_| now + TERM_AGAIN);
            }
            Some(at) if is_given_up || at <= Instant::now() => {
                process.signal(Signal::KILL)?;
                telemetry::killed(self.run, self.record.process.pid);
                self.kill_at = Some(Instant::now() + KILL_AGAIN);
            }
            Some(_) => {
                if self.term_again_at.take_if(|at| *at <= Instant::now()).is_some() {
                    process.signal(Signal::TERM)?;
                }
            }
        }
        Ok(())
    }

    /// What its end means.
    fn judge(&self) -> Result<Trained, TrainError> {
        let exit = self.trainer.processes().records().exit(self.run);
        if exit == Exit::Lost {
            Processes::kill_the_rest(self.run);
        }
        telemetry::ended(self.run, &exit, self.digest.malformed());
        self.trainer.observer().ended(self.run, exit);
        verdict(exit, self.told.or(self.told_late(exit)), self.digest.heard(), &self.digest.tail())?;
        self.trained()
    }

    /// It may be told to stop when it has ended already and failed.
    fn told_late(&self, exit: Exit) -> Option<Stop> {
        let is_over = |stop: &Stop| !stop.may_write() && exit != Exit::Code(0);
        self.cx.stop_reason().filter(is_over)
    }

    fn trained(&self) -> Result<Trained, TrainError> {
        let mut metrics = Metrics::new();
        for (name, value) in self.digest.metrics() {
            match (Metric::new(&*name), self.cx.score(value)) {
                (Ok(name), Some(value)) => drop(metrics.insert(name, value)),
                (Err(error), _) => telemetry::metric_refused(&name, &error),
                (Ok(_), None) => {}
            }
        }
        let path = match (self.digest.artifact(), &self.record.result) {
            (Some(place), _) => Some(self.locate(place)?),
            (None, Some(result)) => {
                let path = self.inside(&self.places.folder.join(result))?;
                if !path.exists() {
                    return Err(TrainError::retry(format!("it has left nothing at {}", result.display())));
                }
                Some(path)
            }
            (None, None) => self.saved(),
        };
        let artifact = match path {
            Some(path) => self.cx.trained(path)?.artifact,
            None => None,
        };
        Ok(Trained { artifact, metrics })
    }

    /// What a known program says it has saved, if that is in the attempt's folder.
    fn saved(&self) -> Option<PathBuf> {
        let saved = self.digest.saved()?;
        self.inside(&self.record.working_dir.join(saved)).ok().filter(|path| path.exists())
    }

    /// The path of something that it has written, whose bytes are what it says.
    fn locate(&self, place: &Place) -> Result<PathBuf, TrainError> {
        let uri = place.uri.strip_prefix("file://").unwrap_or(&place.uri);
        if uri.contains("://") {
            // It is elsewhere, by name.
            return Ok(PathBuf::from(uri));
        }
        let path = self.inside(&self.places.folder.join(uri))?;
        if let Some(said) = &place.sha256 {
            let is =
                sha256(&path).map_err(|error| TrainError::retry(format!("could not read {uri}: {error}")))?;
            if is != *said {
                return Err(TrainError::retry(format!("{uri} has the SHA-256 {is}, and not {said}")));
            }
        }
        Ok(path)
    }

    fn inside(&self, path: &Path) -> Result<PathBuf, TrainError> {
        let folder = &self.places.folder;
        let steps_back = path.components().any(|part| part == Component::ParentDir);
        if steps_back || !path.starts_with(folder) || path == folder {
            return Err(TrainError::failed(format!("{} is not in the attempt's folder", path.display())));
        }
        // A name such as `./model` is another spelling.
        Ok(path.components().filter(|part| *part != Component::CurDir).collect())
    }
}

impl Drop for Attempt<'_> {
    /// A process that nobody follows any more, because its files cannot be read or an observer has panicked, is ended: its
    /// run is over.
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = end(process);
        }
    }
}

/// Kills a process that nobody is to follow.
fn end(process: &mut Process) -> io::Result<()> {
    process.signal(Signal::KILL)?;
    process.wait(KILL_AGAIN).map(drop)
}

impl Tail {
    fn open(path: &Path, bytes_max: u64) -> io::Result<Self> {
        Ok(Self { spool: Spool::open(path, bytes_max)?, lines: Lines::default() })
    }

    /// Reads a part of what is new. Whether there may be more.
    fn pump(&mut self, each: &mut dyn FnMut(Piece<'_>)) -> io::Result<bool> {
        let mut buffer = [0; PART];
        for _ in 0..PARTS {
            if self.spool.catch_up()? {
                // What was left out can be given back to the disk at once.
                return Ok(true);
            }
            let count = match self.spool.read(&mut buffer)? {
                Read::Bytes(count) => count,
                Read::AfterGap(count) => {
                    self.lines.clear();
                    count
                }
            };
            if count == 0 {
                return Ok(false);
            }
            self.lines.push(&buffer[..count], &mut *each);
        }
        Ok(true)
    }
}

impl From<io::Error> for Left {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

fn sha256(path: &Path) -> io::Result<String> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file, so it has no SHA-256"));
    }
    let (mut file, mut sum, mut buffer) = (File::open(path)?, Sha256::new(), vec![0; PART]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            count => sum.update(&buffer[..count]),
        }
    }
}

/// How many bytes are read at once.
const PART: usize = 16 << 10;
/// How many times, before it is looked whether the process is to stop.
const PARTS: usize = 64;
/// A process may miss a signal for so long after its start: a shell that is about to become it, or has yet to wait for
/// something, has heard it instead.
const STARTING: Duration = Duration::from_secs(5);
/// So it gets another after this.
const TERM_AGAIN: Duration = Duration::from_secs(1);
/// A process that is in the kernel's hands may take its time.
const KILL_AGAIN: Duration = Duration::from_secs(1);
