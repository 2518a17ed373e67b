//! A candidate's part in a contest.

use std::num::NonZeroU64;
use std::time::Duration;

use trainyard_core::{Progress, Trained};
use trainyard_runtime::{Context, JobToTrain, Stop, TrainError};

use trainyard_trainkit::{Kept, Rhythm, cut_short, each, log_unkept, resume, told};

use crate::checkpoint::{BYTES_MAX, Best, Saved, fingerprint};
use crate::learners::highest;
use crate::lineup::{Course, Predictor};
use crate::{
    Algorithm, Dataset, Knobs, LearnError, Lesson, Model, ResumeError, Rows, Step, balanced_accuracy,
};

/// How a candidate learns, and how often it makes sure of what it has learned.
///
/// ```
/// use std::time::Duration;
/// use trainyard_tabular::{Knobs, Order};
///
/// let order = Order::new()
///     .with_knobs(Knobs { scaling_factor: 30, ..Knobs::default() })
///     .with_checkpoint_every(Duration::from_secs(60));
/// assert_ne!(order, Order::default());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    knobs: Knobs,
    rhythm: Rhythm,
}

impl Order {
    /// The usual knobs; a checkpoint every 5 seconds.
    #[must_use]
    pub const fn new() -> Self {
        Self { knobs: Knobs::USUAL, rhythm: Rhythm { steps: None, every: Duration::from_secs(5) } }
    }

    /// With these knobs. Default: those of [`Knobs`].
    #[must_use]
    pub const fn with_knobs(mut self, knobs: Knobs) -> Self {
        self.knobs = knobs;
        self
    }

    /// With a checkpoint after so long, at the first step that ends then: what a crash costs. It is written less
    /// often where it takes longer than a twentieth of that. Default: 5 seconds; zero for after every step, whatever
    /// that takes.
    #[must_use]
    pub const fn with_checkpoint_every(mut self, every: Duration) -> Self {
        self.rhythm.every = every;
        self
    }

    /// With a checkpoint after so many steps, however long they take, beside those of
    /// [`Order::with_checkpoint_every`]. Default: none.
    #[must_use]
    pub const fn with_checkpoint_steps(mut self, steps: NonZeroU64) -> Self {
        self.rhythm.steps = Some(steps);
        self
    }
}

impl Default for Order {
    fn default() -> Self {
        Self::new()
    }
}

/// Teaches one algorithm, as a run of a yard.
///
/// After every step it reports the balanced accuracy on the validation rows. At the target of its contest it hands
/// over a [`Model`] with the figures `performance` (that of the report), `training_performance` and
/// `test_performance`, the same measured on the training and on the test rows; the last is left out when there are no
/// test rows. With nothing more to learn below the target it hands nothing over, which a contest counts as stalled.
/// A run outside of a contest learns all it can, and hands over what did best on the validation rows; of equals the
/// last.
///
/// It goes on from the checkpoint of an earlier attempt, if that fits: then every figure is as if it had never been
/// cut short. One that does not fit is logged, and it begins anew, from step 0. All candidates of a contest can share
/// one [`Dataset`].
///
/// # Errors
/// [`TrainError`] when it was told to stop, nothing can be learned, or the disk refuses.
pub fn train_candidate(
    cx: &mut Context,
    job: &JobToTrain,
    data: &Dataset,
    algorithm: &Algorithm,
    order: &Order,
) -> Result<Trained, TrainError> {
    let cx = &*cx;
    let over = || cx.should_stop();
    let lesson = Lesson {
        train: data.train(),
        train_classes: data.train_classes(),
        validation: data.validation(),
        validation_classes: data.validation_classes(),
        classes: data.classes(),
        knobs: order.knobs,
        seed: cx.seed(),
        threads: cx.threads(),
        over: &over,
    };
    let mut candidate = Candidate::start(cx, data, algorithm, order.rhythm, lesson)?;
    let target = job.candidate.as_ref().map(|candidate| candidate.target.get());
    if candidate.step > 0 {
        // It may have got there, or have run out, in the moment in which it was cut short.
        let performance = candidate.performance(target)?;
        let is_there = target.is_some_and(|target| performance >= target);
        if is_there || candidate.exhausted {
            return match candidate.report(performance) {
                Ok(()) | Err(Stop::TargetReached) if is_there => candidate.win(performance),
                Ok(()) => candidate.run_out(),
                Err(_) => Err(candidate.stopped()),
            };
        }
    }
    loop {
        let step = match candidate.course.step(&candidate.lesson) {
            Ok(Step::CutShort) | Err(LearnError::CutShort) => return Err(candidate.stopped()),
            Ok(step) => step,
            Err(error) => return Err(TrainError::failed(error.to_string())),
        };
        candidate.step += 1;
        candidate.exhausted = step == Step::Exhausted;
        let performance = candidate.performance(target)?;
        match candidate.report(performance) {
            Ok(()) => {}
            Err(Stop::TargetReached) => return candidate.win(performance),
            Err(_) => return Err(candidate.stopped()),
        }
        if candidate.exhausted {
            return candidate.run_out();
        }
        candidate.keep_if_due();
    }
}

/// One algorithm at work.
struct Candidate<'a> {
    cx: &'a Context,
    data: &'a Dataset,
    algorithm: &'a Algorithm,
    lesson: Lesson<'a>,
    fingerprint: [u8; 32],
    course: Course,
    step: u64,
    exhausted: bool,
    /// The best of all steps; never in a contest, where the first that is good enough counts.
    best: Option<Best<Vec<u8>>>,
    kept: Kept,
}

impl<'a> Candidate<'a> {
    fn start(
        cx: &'a Context,
        data: &'a Dataset,
        algorithm: &'a Algorithm,
        rhythm: Rhythm,
        lesson: Lesson<'a>,
    ) -> Result<Self, TrainError> {
        let fingerprint = fingerprint(data, &lesson);
        let resumed = resumed(cx, algorithm, &lesson, &fingerprint).or_else(|| {
            let course = algorithm.begin(&lesson).map_err(|error| broken(cx, &error));
            Some(course.map(|course| Resumed { course, step: 0, exhausted: false, best: None }))
        });
        let Resumed { course, step, exhausted, best } = resumed.expect("it was begun, or failed to begin")?;
        let kept = Kept::new(rhythm, step);
        Ok(Self { cx, data, algorithm, lesson, fingerprint, course, step, exhausted, best, kept })
    }

    /// The balanced accuracy on the validation rows. Without a target, the best is kept.
    fn performance(&mut self, target: Option<f64>) -> Result<f64, TrainError> {
        let said = self.course.validate(&self.lesson);
        if self.lesson.is_over() {
            return Err(self.stopped());
        }
        let expected = self.lesson.validation_classes;
        if said.len() != expected.len() {
            return Err(odd(format!("said {} classes for {} rows", said.len(), expected.len())));
        }
        let performance = balanced_accuracy(expected, &said, self.lesson.classes);
        if target.is_none() && self.best.as_ref().is_none_or(|best| performance >= best.performance) {
            self.best = Some(Best { performance, lasting: self.course.lasting().map_err(unstorable)? });
        }
        Ok(performance)
    }

    fn report(&self, performance: f64) -> Result<(), Stop> {
        let progress = Progress::step(self.step, 0).with_phase(self.algorithm.name());
        let progress = progress.clone().with_performance(performance).unwrap_or(progress);
        self.cx.report(progress)
    }

    /// What to return now that the target is reached.
    fn win(&self, performance: f64) -> Result<Trained, TrainError> {
        let lasting = self.course.lasting().map_err(unstorable)?;
        self.hand_over(&Best { performance, lasting })
    }

    /// What to return now that nothing more will be gained: the best, or in a contest nothing.
    fn run_out(&self) -> Result<Trained, TrainError> {
        self.best.as_ref().map_or_else(|| Ok(Trained::default()), |best| self.hand_over(best))
    }

    fn hand_over(&self, Best { performance, lasting }: &Best<Vec<u8>>) -> Result<Trained, TrainError> {
        let path = self.cx.dir()?.join(MODEL);
        Model::save(&path, self.algorithm.name(), self.data, lasting)
            .map_err(|error| TrainError::retry(told(&error)))?;
        let recalled = self.algorithm.recall(lasting);
        let recalled = recalled.map_err(|error| odd(format!("cannot read what it has learned: {error}")))?;
        self.cx.measure("performance", *performance)?;
        self.measure("training_performance", &recalled, self.data.train(), self.data.train_classes())?;
        if !self.data.test().is_empty() {
            self.measure("test_performance", &recalled, self.data.test(), self.data.test_classes())?;
        }
        self.cx.trained(MODEL)
    }

    /// Measures in blocks, which the threads share, and gives up between two of them when nothing may be written any
    /// more.
    fn measure(
        &self,
        name: &str,
        recalled: &Predictor,
        rows: &Rows,
        expected: &[u16],
    ) -> Result<(), TrainError> {
        let (cx, classes) = (self.cx, self.lesson.classes);
        let block = Rows::block(rows.encoding(), rows.columns().len());
        let said = each(self.lesson.threads, rows.len().div_ceil(block), |nth| {
            if let Some(stop) = cx.stop_reason().filter(|stop| !stop.may_write()) {
                return Err(stop.into());
            }
            let rows = rows.slice(nth * block..rows.len().min((nth + 1) * block));
            let probabilities = recalled.predict(&rows);
            if probabilities.len() != rows.len() * classes {
                return Err(odd(format!(
                    "gave {} probabilities for {} rows",
                    probabilities.len(),
                    rows.len()
                )));
            }
            Ok(highest(&probabilities, classes))
        });
        let said: Vec<Vec<u16>> = said.into_iter().collect::<Result<_, TrainError>>()?;
        self.cx.measure(name, balanced_accuracy(expected, &said.concat(), classes))
    }

    /// What to return now that it was told to stop.
    fn stopped(&mut self) -> TrainError {
        let Some(stop) = self.cx.stop_reason() else {
            return odd("stopped though nobody had told it to".into());
        };
        cut_short(stop, || self.keep())
    }

    fn keep_if_due(&mut self) {
        if self.kept.is_due(self.step) {
            log_unkept(self.keep());
        }
    }

    /// Makes what is learned the state to go on from, if it is news.
    fn keep(&mut self) -> Result<(), TrainError> {
        let Self { cx, algorithm, fingerprint, course, step, exhausted, best, kept, .. } = self;
        kept.keep(cx, *step, |path| {
            let learned = course.save().map_err(unstorable)?;
            let best = best.as_ref();
            let best = best.map(|best| Best { performance: best.performance, lasting: &*best.lasting });
            let (algorithm, lesson, step, exhausted) = (algorithm.name(), *fingerprint, *step, *exhausted);
            let saved = Saved { algorithm, lesson, step, exhausted, learned: &learned, best };
            saved.write(path).map_err(TrainError::from)
        })
    }
}

/// Where an earlier attempt stood.
struct Resumed {
    course: Course,
    step: u64,
    exhausted: bool,
    best: Option<Best<Vec<u8>>>,
}

/// Where an earlier attempt stood; `None` to begin anew.
fn resumed(
    cx: &Context,
    algorithm: &Algorithm,
    lesson: &Lesson<'_>,
    fingerprint: &[u8; 32],
) -> Option<Result<Resumed, TrainError>> {
    resume(cx, BYTES_MAX, |bytes| {
        let saved = Saved::read(bytes, algorithm.name(), fingerprint).map_err(|error| error.to_string())?;
        match algorithm.resume(lesson, saved.learned) {
            Ok(course) => {
                let Saved { step, exhausted, best, .. } = saved;
                let owned = |best: Best<&[u8]>| Best {
                    performance: best.performance,
                    lasting: best.lasting.to_vec(),
                };
                Ok(Ok(Resumed { course, step, exhausted, best: best.map(owned) }))
            }
            Err(ResumeError::Learn(error @ LearnError::CutShort)) => Ok(Err(broken(cx, &error))),
            Err(error) => Err(told(&error)),
        }
    })
}

/// What to return when nothing was learned yet.
fn broken(cx: &Context, error: &LearnError) -> TrainError {
    match (error, cx.stop_reason()) {
        (LearnError::CutShort, Some(stop)) => cut_short(stop, || Ok(())),
        (error, _) => TrainError::failed(error.to_string()),
    }
}

fn unstorable(error: LearnError) -> TrainError {
    TrainError::failed(error.to_string())
}

/// The learner does not keep to what it promises.
fn odd(what: String) -> TrainError {
    TrainError::failed(format!("the learner {what}"))
}

const MODEL: &str = "model.tabular";

#[cfg(test)]
mod tests;
