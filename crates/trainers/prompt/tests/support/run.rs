//! Optimisations as runs of a yard: a model that can be held, and what came of it.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use trainyard_core::{Class, JobId, Kind, Outcome, QueueName, Subject, Submission, Timestamp};
use trainyard_journal::MemoryJournal;
use trainyard_prompt::{
    Api, Artifact, Completion, Endpoint, HttpModel, LanguageModel, ModelError, Order, Patience, Request,
    optimizer, train_prompt,
};
use trainyard_runtime::{Context, JobToTrain, Trainyard};
use trainyard_trajectories::Row;

use super::{BASELINE, Fake, examples};

pub(crate) const SECONDS: Duration = Duration::from_secs(300);
pub(crate) const ROWS: usize = 24;

/// A model that is held before one of its calls until it is time to stop.
pub(crate) struct Held {
    pub(crate) model: HttpModel,
    /// From 1; 0 for never.
    pub(crate) at: usize,
    pub(crate) calls: AtomicUsize,
    pub(crate) told: Mutex<Sender<()>>,
}

impl Held {
    pub(crate) fn new(fake: &Fake, at: usize) -> (Arc<Self>, Receiver<()>) {
        let (told, is_told) = channel();
        let patience = Patience::default().with_first_wait(Duration::ZERO).with_tries(2.try_into().unwrap());
        let endpoint = Endpoint::new(Api::Ollama, &fake.url(), "tiny").unwrap().with_patience(patience);
        let held =
            Self { model: HttpModel::new(endpoint), at, calls: AtomicUsize::new(0), told: Mutex::new(told) };
        (Arc::new(held), is_told)
    }
}

impl LanguageModel for Held {
    fn name(&self) -> &str {
        self.model.name()
    }

    fn complete(&self, request: &Request, stop: &dyn Fn() -> bool) -> Result<Completion, ModelError> {
        if self.calls.fetch_add(1, Ordering::AcqRel) + 1 == self.at {
            self.told.lock().unwrap().send(()).expect("the test listens");
            while !stop() {
                std::thread::yield_now();
            }
        }
        // The call that is in flight when it is told to stop.
        self.model.complete(request, &|| false)
    }
}

pub(crate) fn order(name: &str) -> Order {
    let order = Order::new("should_respond").with_optimizer(Arc::from(optimizer(name).unwrap()));
    let order = order.with_baseline(BASELINE).with_dataset("dataset-1").with_calls_at_once(NonZeroUsize::MIN);
    order.with_generated_at(Timestamp::from_millis(1_718_000_000_000))
}

pub(crate) fn open(
    folder: &Path,
    journal: MemoryJournal,
    model: &Arc<Held>,
    examples: Vec<Row>,
    order: Order,
) -> Trainyard {
    let model = Arc::clone(model);
    let trainer = move |cx: &mut Context, job: &JobToTrain| train_prompt(cx, job, &examples, &*model, &order);
    let builder = Trainyard::builder(folder).journal(journal).report_every(Duration::ZERO);
    builder.trainer(Kind::new("prompt").unwrap(), trainer).start().unwrap().0
}

/// A job whose id is the same in every yard, so that the seed is.
pub(crate) fn submission() -> Submission {
    let class = Class::new(Kind::new("prompt").unwrap(), QueueName::new("default").unwrap());
    Submission::new(JobId::from_u128(7), Subject::new("eliza/task/should_respond").unwrap(), Arc::new(class))
}

/// What came of it: the file, what is in it, and the figures.
#[derive(Debug, PartialEq)]
pub(crate) struct Made {
    pub(crate) bytes: Vec<u8>,
    pub(crate) artifact: Artifact,
    pub(crate) figures: Vec<(String, f64)>,
}

impl Made {
    pub(crate) fn of(yard: &Trainyard, outcome: &Outcome) -> Self {
        let Outcome::Completed { model: Some(id) } = outcome else { panic!("{outcome}") };
        let registered = yard.model(*id).unwrap();
        let path = yard.artifact_path(&registered).unwrap();
        let figures = registered.metrics.iter().map(|(name, score)| (name.as_str().to_owned(), score.get()));
        let artifact = Artifact::open(&path).unwrap();
        Self { bytes: std::fs::read(path).unwrap(), artifact, figures: figures.collect() }
    }

    pub(crate) fn figure(&self, name: &str) -> f64 {
        self.figures.iter().find(|(known, _)| known == name).unwrap().1
    }
}

/// What comes of an optimisation that is left alone.
pub(crate) fn outcome(fake: &Fake, examples: Vec<Row>, order: Order) -> Result<Made, String> {
    let folder = tempfile::tempdir().unwrap();
    let (held, _is_told) = Held::new(fake, 0);
    let yard = open(folder.path(), MemoryJournal::new(), &held, examples, order);
    let job = yard.submit(submission()).wait().unwrap().job;
    let outcome = yard.finished(job).wait().unwrap();
    let made = if let Outcome::Failed { reason } = outcome {
        Err(reason.to_string())
    } else {
        Ok(Made::of(&yard, &outcome))
    };
    yard.shutdown(SECONDS).wait().unwrap();
    made
}

pub(crate) fn alone(fake: &Fake, order: Order) -> Made {
    outcome(fake, examples(ROWS), order).unwrap()
}
