//! Trainings as they go on, for people who watch.

use std::fmt;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use trainyard_core::port::Change;
use trainyard_core::{Event, Fact, JobId, Metric, ModelId, Outcome, Progress};
use trainyard_cyborgdb::{N_LISTS, TrainParameters};
use trainyard_runtime::{Subscription, Trainyard};

/// What happens to trainings, one piece of news after the other; each reads as a line.
///
/// Ends when the yard has stopped. Somebody who is too slow misses some.
pub struct Watch {
    yard: Trainyard,
    changes: Subscription,
}

/// Something that happened to a training.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    name: String,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Stands(Progress),
    Trained { lists: String },
    NothingToDo,
    Ended(Outcome),
    GoesOnLater(String),
}

impl Watch {
    pub(crate) fn new(yard: &Trainyard) -> Self {
        Self { yard: yard.clone(), changes: yard.subscribe() }
    }

    fn news(&self, fact: &Fact) -> Option<News> {
        if let Event::Finished { job, outcome, .. } = &fact.event {
            return Some(News { name: self.name(*job), what: self.ended(outcome) });
        }
        if let Event::Interrupted { job, reason, .. } | Event::Retried { job, reason, .. } = &fact.event {
            return Some(News { name: self.name(*job), what: What::GoesOnLater(reason.to_string()) });
        }
        None
    }

    fn ended(&self, outcome: &Outcome) -> What {
        if let Outcome::Completed { model } = outcome {
            return model.map_or(What::NothingToDo, |model| What::Trained { lists: self.lists(model) });
        }
        What::Ended(outcome.clone())
    }

    /// What the index is called; of another training its subject.
    fn name(&self, job: JobId) -> String {
        let found =
            self.yard.read(|yard| yard.job(job).map(|job| (job.parameters.clone(), job.subject.clone())));
        let Some((parameters, subject)) = found else { return job.to_string() };
        let parameters = TrainParameters::from_bytes(parameters.as_bytes());
        parameters.map_or_else(|_| subject.to_string(), |parameters| parameters.index_name)
    }

    fn lists(&self, model: ModelId) -> String {
        let name = Metric::new(N_LISTS).ok();
        let lists = self.yard.read(|yard| yard.model(model)?.metrics.get(&name?).copied());
        lists.map_or_else(|| "?".to_owned(), |lists| lists.get().to_string())
    }
}

impl Iterator for Watch {
    type Item = News;

    fn next(&mut self) -> Option<News> {
        loop {
            let news = match self.changes.next_blocking()? {
                Change::Happened { fact, .. } => self.news(&fact),
                Change::Progressed { job, progress } => {
                    Some(News { name: self.name(job), what: What::Stands(progress) })
                }
                Change::Missed { .. } => None,
            };
            if news.is_some() {
                return news;
            }
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl News {
    /// Whether there will be more of it soon.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self.what, What::Stands(_))
    }

    /// Whether both are about the same phase of the same training.
    fn is_about_same(&self, other: &Self) -> bool {
        match (&self.what, &other.what) {
            (What::Stands(one), What::Stands(two)) => self.name == other.name && one.phase == two.phase,
            _ => false,
        }
    }
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match &self.what {
            What::Stands(progress) => {
                write!(f, "training {name:?}")?;
                if let Some(phase) = &progress.phase {
                    write!(f, ": {phase}")?;
                }
                if progress.total > 0 {
                    write!(f, " {} of at most {}", progress.step, progress.total)?;
                }
                progress.loss.map_or(Ok(()), |loss| write!(f, ", loss {:.6e}", loss.get()))
            }
            What::Trained { lists } => write!(f, "trained {name:?}: {lists} lists"),
            What::NothingToDo => write!(f, "nothing to train in {name:?}"),
            What::Ended(outcome) => write!(f, "training {name:?} ended: {outcome}"),
            What::GoesOnLater(reason) => write!(f, "training {name:?} goes on later: {reason}"),
        }
    }
}

/// Where news are written.
///
/// On a terminal the line of a training that goes on is written over and over; elsewhere it is a line now and then.
#[derive(Debug)]
pub struct Terminal<W> {
    out: W,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Whether the line that the cursor is in may be written over.
    Screen { is_open: bool },
    /// The last line about something passing, and when it was written.
    Log { passing: Option<(News, Instant)> },
}

impl<W: Write> Terminal<W> {
    /// A terminal, with a cursor that can go back.
    pub fn screen(out: W) -> Self {
        Self { out, kind: Kind::Screen { is_open: false } }
    }

    /// A file or a pipe.
    pub fn log(out: W) -> Self {
        Self { out, kind: Kind::Log { passing: None } }
    }

    /// Writes all news until there are none any more.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn show(&mut self, watch: Watch) -> io::Result<()> {
        for news in watch {
            self.tell(&news)?;
        }
        match self.kind {
            Kind::Screen { is_open: true } => writeln!(self.out),
            Kind::Screen { is_open: false } | Kind::Log { .. } => Ok(()),
        }
    }

    fn tell(&mut self, news: &News) -> io::Result<()> {
        match &mut self.kind {
            Kind::Screen { is_open } => {
                write!(self.out, "\r\x1b[K{news}")?;
                *is_open = news.is_passing();
                if !*is_open {
                    writeln!(self.out)?;
                }
            }
            Kind::Log { passing } => {
                let now = Instant::now();
                let is_told = |(last, at): &(News, Instant)| {
                    last.is_about_same(news) && now.duration_since(*at) < PASSING_EVERY
                };
                if passing.as_ref().is_some_and(is_told) {
                    return Ok(());
                }
                *passing = news.is_passing().then(|| (news.clone(), now));
                writeln!(self.out, "{news}")?;
            }
        }
        self.out.flush()
    }
}

const PASSING_EVERY: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn news() -> [News; 4] {
        let news = |what| News { name: "a".to_owned(), what };
        let step =
            |step| What::Stands(Progress::step(step, 100).with_phase("kmeans").with_loss(12.5).unwrap());
        [
            news(What::Stands(Progress::default().with_phase("seeding"))),
            news(step(1)),
            news(step(2)),
            news(What::Trained { lists: "128".to_owned() }),
        ]
    }

    fn written(mut terminal: Terminal<Vec<u8>>) -> String {
        news().iter().for_each(|news| terminal.tell(news).unwrap());
        String::from_utf8(terminal.out).unwrap()
    }

    #[test]
    fn a_screen_shows_one_line_that_changes() {
        assert_eq!(
            written(Terminal::screen(Vec::new())),
            "\r\x1b[Ktraining \"a\": seeding\
             \r\x1b[Ktraining \"a\": kmeans 1 of at most 100, loss 1.250000e1\
             \r\x1b[Ktraining \"a\": kmeans 2 of at most 100, loss 1.250000e1\
             \r\x1b[Ktrained \"a\": 128 lists\n"
        );
    }

    #[test]
    fn a_log_has_the_first_line_of_every_phase_and_the_last() {
        let log = written(Terminal::log(Vec::new()));
        assert_eq!(
            log,
            "training \"a\": seeding\n\
             training \"a\": kmeans 1 of at most 100, loss 1.250000e1\n\
             trained \"a\": 128 lists\n"
        );
    }
}
