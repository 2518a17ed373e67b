//! What trainers do, step by step.

use std::time::Duration;

use trainyard_core::{
    Advice, Checkpoint, Command, Failure, Kind, Metrics, ModelId, Parameters, Reason, Reference, Run, RunEnd,
    Score, Subject, Timestamp, Trained,
};

use super::chance::Chance;

/// What trainers do in a simulation: one value for all runs of all nodes. What it knows of one of them it is handed.
///
/// Closures are trainers too:
///
/// ```
/// use std::time::Duration;
/// use trainyard_testkit::simulator::{Act, Deed, Scene, Simulation};
///
/// // Ten steps of a minute each, then it is done.
/// let trainer = |scene: &mut Scene<'_>| match scene.step {
///     step @ 0..10 => Act::new(Duration::from_secs(60), Deed::Report { step: step.saturating_add(1), performance: None }),
///     _ => Act::new(Duration::ZERO, Deed::complete()),
/// };
/// let report = Simulation::new(1).with_trainer(trainer).with_events(2_000).run()?;
/// assert!(report.outcomes().completed > 0);
/// # Ok::<(), trainyard_testkit::simulator::Violation>(())
/// ```
pub trait TrainerModel {
    /// What a run does next, and how long it takes until it has. Asked when it begins, and after everything it does.
    fn next(&mut self, scene: &mut Scene<'_>) -> Act;

    /// What a run does when it is told to stop, in the place of what it was about to do; `None` to do that as if nothing
    /// had been said. Unless a model says otherwise it stops within a second.
    fn told_to_stop(&mut self, scene: &mut Scene<'_>) -> Option<Act> {
        let after = scene.chance.up_to(Duration::from_secs(1));
        Some(Act::new(after, Deed::Finish(End::Stopped)))
    }
}

impl<F: FnMut(&mut Scene<'_>) -> Act> TrainerModel for F {
    fn next(&mut self, scene: &mut Scene<'_>) -> Act {
        self(scene)
    }
}

/// What a run knows.
#[derive(Debug)]
pub struct Scene<'a> {
    /// What time it is.
    pub now: Timestamp,
    /// Which run it is.
    pub run: Run,
    /// What sort of training.
    pub kind: &'a Kind,
    /// What gets trained.
    pub subject: &'a Subject,
    /// What the trainer is told.
    pub parameters: &'a Parameters,
    /// How much there is to train on.
    pub watermark: Option<u64>,
    /// Which attempt of its job this is, from 1.
    pub attempt: u32,
    /// Which candidate it is and what its target is, if its job is a contest.
    pub candidate: Option<(usize, Score)>,
    /// The last step that it reported, or that of the checkpoint it goes on from.
    pub step: u64,
    /// How much it has done before this.
    pub acts: u32,
    /// Whether it was told to stop.
    pub is_told_to_stop: bool,
    /// What the model wants to remember of this run; 0 at first.
    pub memory: &'a mut u64,
    /// Some other run that there was or is.
    pub other: Option<Run>,
    /// What it may draw from: the same for a seed, whatever else happens to draw.
    pub chance: &'a mut Chance,
}

/// What a run does, and how long it takes until it has.
#[derive(Debug, Clone, PartialEq)]
pub struct Act {
    /// How long it takes.
    pub after: Duration,
    /// What is done then.
    pub deed: Deed,
}

impl Act {
    /// It does this, after a while.
    #[must_use]
    pub const fn new(after: Duration, deed: Deed) -> Self {
        Self { after, deed }
    }
}

/// What a run can do.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Deed {
    /// It shows how far it is. What is no number is refused where it is reported, and counted.
    Report {
        /// The step it is at.
        step: u64,
        /// How well it does.
        performance: Option<f64>,
    },
    /// It can go on from here.
    Checkpoint {
        /// From which step.
        step: u64,
    },
    /// It ends.
    Finish(End),
    /// It panics, which the runtime turns into a failure.
    Panic,
    /// It does nothing any more until it is told to stop, and then whatever its model says.
    Hang,
    /// It says anything at all.
    Say(Command),
    /// It takes its process with it.
    KillNode,
}

impl Deed {
    /// It ends well, with an artifact and without a last performance.
    #[must_use]
    pub const fn complete() -> Self {
        Self::Finish(End::Completed { artifact: true, last: None })
    }
}

/// How a run ends.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum End {
    /// It is done.
    Completed {
        /// Whether it hands over anything.
        artifact: bool,
        /// The step it ends at, and its last performance.
        last: Option<(u64, f64)>,
    },
    /// It breaks.
    Failed(Advice),
    /// It gives up by itself.
    Interrupted,
    /// It stops, as it was told to or not.
    Stopped,
}

impl End {
    /// The same for the yard, with the id of the model that there may be. A performance that is no number is left out.
    pub(super) fn told(self, model: ModelId) -> RunEnd {
        match self {
            Self::Completed { artifact, last } => RunEnd::Completed {
                trained: Trained {
                    artifact: artifact.then(|| Reference::new("model")),
                    metrics: Metrics::new(),
                },
                model,
                last: last.and_then(|(step, value)| Some((step, Score::new(value).ok()?))),
            },
            Self::Failed(advice) => RunEnd::Failed(Failure { reason: Reason::new("it broke"), advice }),
            Self::Interrupted => RunEnd::Interrupted { reason: Reason::new("it gave up") },
            Self::Stopped => RunEnd::Stopped,
        }
    }
}

/// A trainer that does as it should: steps of about this length, a checkpoint after each second one, and then it is
/// done. Its performance grows with every step, and reaches any target up to 1.
#[derive(Debug, Clone, Copy)]
pub struct Steady {
    /// How many steps. Default: 4.
    pub steps: u64,
    /// How long one takes, about. Default: 15 seconds.
    pub step: Duration,
}

impl Default for Steady {
    fn default() -> Self {
        Self { steps: 4, step: Duration::from_secs(15) }
    }
}

impl TrainerModel for Steady {
    fn next(&mut self, scene: &mut Scene<'_>) -> Act {
        let done = scene.step;
        if done >= self.steps {
            let last = scene.candidate.map(|_| (done, 1.0));
            return Act::new(Duration::from_millis(1), Deed::Finish(End::Completed { artifact: true, last }));
        }
        if *scene.memory < done && done.is_multiple_of(2) {
            *scene.memory = done;
            return Act::new(Duration::from_millis(1), Deed::Checkpoint { step: done });
        }
        #[expect(clippy::cast_precision_loss, reason = "a few steps")]
        let performance = (done as f64 + 1.0) / (self.steps.max(1) as f64) * 0.99;
        Act::new(
            scene.chance.around(self.step),
            Deed::Report { step: done.saturating_add(1), performance: Some(performance) },
        )
    }
}

/// A trainer that does whatever it likes: most steps are sound, and the rest is everything that goes wrong with
/// trainers. It hangs, panics, crashes, lies about its progress, ignores being told to stop, reports what is no number,
/// says that it is done when it is not, and writes under leases that are not its own.
#[derive(Debug, Clone, Copy)]
pub struct Unruly {
    /// How long a step takes, about. Default: 5 seconds.
    pub step: Duration,
}

impl Default for Unruly {
    fn default() -> Self {
        Self { step: Duration::from_secs(5) }
    }
}

impl TrainerModel for Unruly {
    fn next(&mut self, scene: &mut Scene<'_>) -> Act {
        let after = scene.chance.around(self.step);
        let step = scene.step;
        let score = scene.chance.unit();
        let deed = match scene.chance.below(1_000) {
            0..380 => Deed::Report {
                step: step.saturating_add(scene.chance.below(3)),
                performance: Some(score * 0.9),
            },
            380..430 => Deed::Report { step: step.saturating_add(1), performance: None },
            430..480 => {
                Deed::Report { step: step.saturating_sub(scene.chance.below(9)), performance: Some(score) }
            }
            480..500 => Deed::Report { step: step.saturating_add(1), performance: Some(1e9 * (score - 0.5)) },
            500..515 => Deed::Report { step: scene.chance.any(), performance: Some(score) },
            515..530 => Deed::Report { step: step.saturating_add(1), performance: Some(f64::NAN) },
            530..640 => Deed::Checkpoint { step },
            640..670 => Deed::Checkpoint { step: scene.chance.below(step.saturating_add(2)) },
            670..740 => Deed::Finish(End::Completed {
                artifact: true,
                last: Some((step.saturating_add(1), score + 0.5)),
            }),
            740..790 => Deed::Finish(End::Completed { artifact: score < 0.8, last: None }),
            790..830 => Deed::Finish(End::Failed(advice(scene.chance))),
            830..840 => Deed::Finish(End::Interrupted),
            840..850 => Deed::Finish(End::Stopped),
            850..865 => Deed::Panic,
            865..880 => Deed::Hang,
            880..882 => Deed::KillNode,
            _ => Deed::Say(lie(scene)),
        };
        Act { after, deed }
    }

    fn told_to_stop(&mut self, scene: &mut Scene<'_>) -> Option<Act> {
        let end = match scene.chance.below(10) {
            0..6 => End::Stopped,
            6 => End::Completed { artifact: true, last: Some((scene.step, 2.0)) },
            7 => End::Failed(Advice::Retry),
            _ => return None,
        };
        Some(Act::new(scene.chance.up_to(Duration::from_secs(60)), Deed::Finish(end)))
    }
}

fn advice(chance: &mut Chance) -> Advice {
    match chance.below(3) {
        0 => Advice::GiveUp,
        1 => Advice::RetryAfter(chance.up_to(Duration::from_secs(30))),
        _ => Advice::Retry,
    }
}

/// Something under a lease that is old, another's, or nobody's; or the truth once too often.
fn lie(scene: &mut Scene<'_>) -> Command {
    let own = scene.run;
    let run = match (scene.other, scene.chance.below(5)) {
        (Some(other), 0) => Run { job: other.job, ..own },
        (Some(other), 1) => Run { lease: other.lease, ..own },
        (_, 2) => Run { lease: trainyard_core::Lease::new(own.lease.get().saturating_sub(1)), ..own },
        (_, 3) => Run { lease: trainyard_core::Lease::new(u64::MAX), ..own },
        (_, _) => own,
    };
    let value = Score::new(scene.chance.unit() * 2.0).ok();
    match scene.chance.below(3) {
        0 => Command::Report { run, step: scene.step.saturating_add(1), performance: value },
        1 => Command::Checkpoint {
            run,
            checkpoint: Checkpoint { reference: Reference::new("elsewhere"), step: scene.step },
        },
        _ => {
            let model = ModelId::from_u128(u128::from(scene.chance.any()) | 1 << 100);
            Command::Finish { run, end: End::Completed { artifact: true, last: None }.told(model) }
        }
    }
}
