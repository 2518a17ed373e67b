//! What users ask for.

use std::sync::Arc;
use std::time::Duration;

use trainyard_core::{
    Answer, CandidateId, Class, Command, ContestPlan, Entrant, JobId, Kind, Label, ModelId, Parameters,
    QueueName, Rejection, Resources, Score, Subject, Submission, Timestamp,
};

use super::chance::Chance;

/// What users ask for in a simulation, one thing after the other.
///
/// ```
/// use std::time::Duration;
/// use trainyard_core::Priority;
/// use trainyard_testkit::simulator::{Faults, Simulation, Steady, UserScene, Wish, Workload};
///
/// /// A job every twenty seconds, one of ten urgent.
/// struct Uploads;
///
/// impl Workload for Uploads {
///     fn next(&mut self, scene: &mut UserScene<'_>) -> Option<Wish> {
///         let mut submission = scene.submission("uploads", scene.number);
///         submission.priority = Priority::new(if scene.chance.below(10) == 0 { 10 } else { 0 });
///         Some(Wish::after(scene.chance.around(Duration::from_secs(20)), submission))
///     }
/// }
///
/// // How long do jobs of priority 0 wait under this load, with two slots that take about a minute each?
/// let report = Simulation::new(42)
///     .with_slots(2)
///     .with_faults(Faults::none())
///     .with_workload(Uploads)
///     .with_trainer(Steady::default())
///     .with_events(20_000)
///     .run()?;
/// let (plain, urgent) = (report.waits_of(Priority::new(0)), report.waits_of(Priority::new(10)));
/// assert!(plain.count() > 500);
/// assert!(urgent.p50() <= plain.p50(), "{:?} and {:?}", urgent.p50(), plain.p50());
/// # Ok::<(), trainyard_testkit::simulator::Violation>(())
/// ```
pub trait Workload {
    /// The next thing that is asked for, and how long after the one before; `None` when nothing is any more.
    fn next(&mut self, scene: &mut UserScene<'_>) -> Option<Wish>;

    /// What was answered. Not called for what never was, because a node died.
    fn hear(&mut self, command: &Command, answer: &Result<Answer, Rejection>) {
        let _ = (command, answer);
    }
}

/// Something that is asked for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// How long after the wish before.
    pub after: Duration,
    /// What.
    pub command: Command,
}

impl Wish {
    /// Wants something.
    #[must_use]
    pub const fn new(after: Duration, command: Command) -> Self {
        Self { after, command }
    }

    /// Wants a training.
    #[must_use]
    pub fn after(after: Duration, submission: Submission) -> Self {
        Self { after, command: Command::Submit(Arc::new(submission)) }
    }
}

/// What users know.
#[derive(Debug)]
pub struct UserScene<'a> {
    /// What time it is.
    pub now: Timestamp,
    /// How many wishes there were before this one.
    pub number: u64,
    /// Jobs that were acknowledged, newest last; at most the newest [`UserScene::KNOWN_MAX`].
    pub jobs: &'a [JobId],
    /// Models that were registered, newest last; as many at most.
    pub models: &'a [ModelId],
    /// What it may draw from.
    pub chance: &'a mut Chance,
    pub(super) ids: &'a mut u128,
}

impl UserScene<'_> {
    /// So many jobs and models are known at most.
    pub const KNOWN_MAX: usize = 256;

    /// An id that nobody has.
    pub fn id(&mut self) -> u128 {
        *self.ids += 1;
        *self.ids
    }

    /// An id for a job.
    pub fn job_id(&mut self) -> JobId {
        JobId::from_u128(self.id())
    }

    /// A plain request to train a subject of this number, of [`plain_class`] in this queue.
    pub fn submission(&mut self, queue: &str, subject: u64) -> Submission {
        Submission::new(self.job_id(), self::subject(subject), plain_class(queue))
    }

    /// A contest of so many, with this target; 0 when that is no number.
    ///
    /// # Panics
    /// Never: what it names are names.
    pub fn contest(&mut self, candidates: usize, target: f64) -> Arc<ContestPlan> {
        let candidates = (0..candidates)
            .map(|n| Entrant {
                id: CandidateId::from_u128(self.id()),
                label: Label::new(format!("candidate {n}")).expect("a short word"),
                parameters: Parameters::default(),
            })
            .collect();
        let target = Score::new(target).unwrap_or_default();
        Arc::new(ContestPlan { target, candidates, median: None })
    }
}

/// The subject of this number.
///
/// # Panics
/// Never: what it names are names.
#[must_use]
pub fn subject(number: u64) -> Subject {
    Subject::new(format!("subject/{number}")).expect("a short word")
}

/// The kind that is trained inside of the nodes' processes.
///
/// # Panics
/// Never: what it names are names.
#[must_use]
pub fn inside() -> Kind {
    Kind::new("inside").expect("a short word")
}

/// The kind whose trainers outlive the process that has started them.
///
/// # Panics
/// Never: what it names are names.
#[must_use]
pub fn outside() -> Kind {
    Kind::new("outside").expect("a short word")
}

/// A class of kind [`inside`] that needs one slot, with the defaults for everything else.
///
/// # Panics
/// When this cannot be the name of a queue.
#[must_use]
pub fn plain_class(queue: &str) -> Arc<Class> {
    let queue = QueueName::new(queue).expect("the name of a queue");
    let mut class = Class::new(inside(), queue);
    class.resources = Resources::slots(1);
    Arc::new(class)
}
