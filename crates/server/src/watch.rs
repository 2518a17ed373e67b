//! Trainings as they go on, for people who watch.

use std::fmt;
use std::sync::Arc;

use trainyard_core::port::Change;
use trainyard_core::{Event, Fact, Job, JobId, Metric, ModelId, Outcome, Score};
use trainyard_cyborgdb::{N_LISTS, TrainParameters};
use trainyard_eliza::Task;
use trainyard_heygen::{GroupId, LookId};
use trainyard_mathfi::DatasetId;
use trainyard_runtime::{Subscription, Trainyard};

use crate::News;
use crate::heygen::{Album, Check};
use crate::mathfi::{Books, Work};
use crate::news::{Standing, What};

/// What happens to trainings, one piece of news after the other; each reads as a line.
///
/// Ends when the yard has stopped. Somebody who is too slow misses some.
pub struct Watch {
    yard: Trainyard,
    books: Arc<Books>,
    album: Arc<Album>,
    changes: Subscription,
}

/// What a job is about.
enum About {
    Index {
        name: String,
    },
    Contest(DatasetId),
    Work(Work),
    Portrait(GroupId),
    Look(LookId),
    /// A dataset of elizaOS's, or a task.
    Agent {
        name: String,
    },
}

impl Watch {
    pub(crate) fn new(yard: &Trainyard, books: &Arc<Books>, album: &Arc<Album>) -> Self {
        let (books, album) = (Arc::clone(books), Arc::clone(album));
        Self { yard: yard.clone(), books, album, changes: yard.subscribe() }
    }

    fn news(&self, fact: &Fact) -> Option<News> {
        if let Event::Finished { job, outcome, .. } = &fact.event {
            return Some(self.ended(*job, outcome));
        }
        if let Event::Interrupted { job, reason, .. } | Event::Retried { job, reason, .. } = &fact.event {
            let name = match self.about(*job) {
                About::Index { name } | About::Agent { name } => name,
                About::Contest(id) => self.dataset(id),
                About::Work(work) => self.name(work),
                About::Portrait(id) => self.group(id),
                About::Look(id) => self.look(id),
            };
            return Some(News::new(name, What::GoesOnLater(reason.to_string())));
        }
        if let Event::Reported { job, .. } | Event::CandidateEnded { job, .. } = &fact.event
            && let About::Contest(id) = self.about(*job)
        {
            return Some(News::new(self.dataset(id), What::Contest(self.standings(*job)?)));
        }
        None
    }

    fn ended(&self, job: JobId, outcome: &Outcome) -> News {
        match self.about(job) {
            About::Index { name } => {
                let what = match outcome {
                    Outcome::Completed { model: Some(model) } => What::Trained { lists: self.lists(*model) },
                    Outcome::Completed { model: None } => What::NothingToDo,
                    Outcome::TimedOut(_)
                    | Outcome::Stalled
                    | Outcome::Cancelled { .. }
                    | Outcome::Failed { .. }
                    | Outcome::Superseded => What::Ended(outcome.clone()),
                };
                News::new(name, what)
            }
            About::Contest(id) => {
                let standings = self.standings(job).unwrap_or_default();
                let is_winner = |one: &Standing| one.ended.as_ref().is_some_and(Outcome::is_completed);
                let what = match standings.into_iter().find(is_winner) {
                    Some(Standing { code, performance, ended: _ }) => What::Won { code, performance },
                    None => What::Unwon(outcome.clone()),
                };
                News::new(self.dataset(id), what)
            }
            About::Work(work @ Work::Prepare(_)) => News::new(self.name(work), What::Data(outcome.clone())),
            About::Work(work @ Work::Predict(_)) => {
                News::new(self.name(work), What::Prediction(outcome.clone()))
            }
            About::Portrait(id) => {
                let what = match outcome {
                    Outcome::Completed { model } => What::Portrait { quality: self.quality(*model) },
                    Outcome::TimedOut(_)
                    | Outcome::Stalled
                    | Outcome::Cancelled { .. }
                    | Outcome::Failed { .. }
                    | Outcome::Superseded => What::Ended(outcome.clone()),
                };
                News::new(self.group(id), what)
            }
            About::Look(id) => News::new(self.look(id), What::Look(outcome.clone())),
            About::Agent { name } => {
                let what = match outcome {
                    Outcome::Completed { model: Some(_) } => What::Agent,
                    Outcome::Completed { model: None } => What::NothingToDo,
                    Outcome::TimedOut(_)
                    | Outcome::Stalled
                    | Outcome::Cancelled { .. }
                    | Outcome::Failed { .. }
                    | Outcome::Superseded => What::Ended(outcome.clone()),
                };
                News::new(name, what)
            }
        }
    }

    fn about(&self, job: JobId) -> About {
        let found = |job: &Job| (job.parameters.clone(), job.subject.clone());
        let Some((parameters, subject)) = self.yard.read(|yard| yard.job(job).map(found)) else {
            return About::Index { name: job.to_string() };
        };
        if let Some(dataset) = DatasetId::of(&subject) {
            return About::Contest(dataset);
        }
        if let Some(work) = Work::of(&subject) {
            return About::Work(work);
        }
        if let Some(group) = GroupId::of(&subject) {
            return About::Portrait(group);
        }
        if let Some(Check(look)) = Check::of(&subject) {
            return About::Look(look);
        }
        if let Some(dataset) = trainyard_eliza::DatasetId::of(&subject) {
            return About::Agent { name: dataset.to_string() };
        }
        if let Some(task) = Task::of(&subject) {
            return About::Agent { name: task.to_string() };
        }
        let parameters = TrainParameters::from_bytes(parameters.as_bytes());
        let name = parameters.map_or_else(|_| subject.to_string(), |parameters| parameters.index_name);
        About::Index { name }
    }

    fn name(&self, work: Work) -> String {
        match work {
            Work::Prepare(id) => self.dataset(id),
            Work::Predict(id) => id.to_string(),
        }
    }

    fn dataset(&self, id: DatasetId) -> String {
        let found = self.books.catalog.dataset(id).ok().flatten();
        found.map_or_else(|| id.to_string(), |dataset| dataset.name)
    }

    fn group(&self, id: GroupId) -> String {
        let found = self.album.catalog.group(id).ok().flatten();
        found.map_or_else(|| id.to_string(), |group| group.name)
    }

    fn look(&self, id: LookId) -> String {
        let found = self.album.catalog.look(id).ok().flatten();
        found.map_or_else(|| id.to_string(), |look| look.name)
    }

    fn quality(&self, model: Option<ModelId>) -> Option<Score> {
        let name = Metric::new(QUALITY).ok()?;
        self.yard.read(|yard| yard.model(model?)?.metrics.get(&name).copied())
    }

    fn standings(&self, job: JobId) -> Option<Vec<Standing>> {
        self.yard.read(|yard| {
            let candidates = yard.job(job)?.contest()?.candidates.iter();
            let standing = |candidate: &trainyard_core::Candidate| Standing {
                code: candidate.label.to_string(),
                performance: candidate.standing.window.latest(),
                ended: candidate.outcome().cloned(),
            };
            Some(candidates.map(standing).collect())
        })
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
                Change::Progressed { job, progress } => match self.about(job) {
                    About::Index { name } | About::Agent { name } => {
                        Some(News::new(name, What::Stands(progress)))
                    }
                    // Of these, what is durable is told.
                    About::Contest(_) | About::Work(_) | About::Look(_) => None,
                    About::Portrait(id) => Some(News::new(self.group(id), What::Stands(progress))),
                },
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

/// As trainers of portraits call it.
const QUALITY: &str = "quality";
