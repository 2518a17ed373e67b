//! An adapter's training as a run of a yard.

use std::fs;
use std::path::Path;

use trainyard_core::{Progress, Trained};
use trainyard_runtime::{Context, JobToTrain, Stop, TrainError};
use trainyard_trainkit::{Kept, cut_short, log_unkept, real, resume, told};
use trainyard_trajectories::Row;

use crate::adapter::{Story, save};
use crate::checkpoint;
use crate::learn::GROUP;
use crate::lesson::{Course, Learner, Lesson};
use crate::model::Shape;
use crate::{Base, ModelError, Order, Recipe, Source};

/// Trains an adapter on rows, as a run of a yard.
///
/// It opens the base, or makes it. It learns to foresee what rows expect, byte by byte, after what they ask; about a fifth
/// of the rows is held out, as [`split`](trainyard_trajectories::split) has it. After every step downhill it reports step, total and loss: the mean surprise, in nats, over
/// the bytes of the answers of that step. It hands over a folder, which [`Adapter::open`](crate::Adapter::open) reads,
/// with the figures `loss` (the mean of the last 10 steps), `rows`, `held_out_rows` and, where there are such,
/// `held_out_loss`.
///
/// It goes on from the checkpoint of an earlier attempt, if that is of the same rows, the same base and the same order:
/// then the adapter is as if it had never been cut short, bit by bit. One that does not fit is logged, and it begins anew.
/// A base that is being made is made again after a crash; meanwhile it reports step 0, with the loss of the base.
///
/// # Errors
/// [`TrainError`] when it was told to stop, which it heeds after at most one step, or one checkpoint that is read or
/// written; when there are no rows to learn from, or more than 100,000; when the base cannot be used; when it may take more
/// memory than allowed, which is said before it takes any; when it diverges; or when the disk refuses.
pub fn train_adapter(
    cx: &mut Context,
    job: &JobToTrain,
    rows: &[Row],
    order: &Order,
) -> Result<Trained, TrainError> {
    let _ = job; // all it says is in the rows and the order
    run(cx, rows, order, &())
}

/// Who watches a run; in tests only there is somebody.
trait Watch {
    /// Before every block of work.
    fn before_block(&self, _cx: &Context) {}

    /// With every report.
    fn told(&self, _progress: &Progress) {}
}

impl Watch for () {}

/// The same, watched.
fn run(cx: &Context, rows: &[Row], order: &Order, watch: &dyn Watch) -> Result<Trained, TrainError> {
    if rows.len() > ROWS_MAX {
        let count = rows.len();
        return Err(TrainError::failed(format!(
            "there are {count} rows, at most {ROWS_MAX} can be learned from"
        )));
    }
    let teller = Teller { cx, watch, total: order.iterations };
    let base = match &order.base {
        Source::Folder(folder) => {
            afford(cx, order, &Base::shape_in(folder).map_err(no_base)?, rows)?;
            Base::open(folder, order.memory_bytes).map_err(no_base)?
        }
        Source::Made { recipe, cache } => {
            afford(cx, order, &recipe.shape, rows)?;
            made(&teller, recipe, cache, order.memory_bytes)?
        }
    };
    let lesson = Lesson::new(&base, order, rows, cx.seed(), cx.threads());
    if lesson.texts.is_empty() {
        return Err(TrainError::failed("there are no rows to learn from"));
    }
    let mut run = Run::start(teller, &lesson)?;
    run.go_on()?;
    run.learn()?;
    let held_out_loss = run.held_out_loss()?;
    run.hand_over(held_out_loss)
}

/// What to return when a base cannot be had.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn no_base(error: ModelError) -> TrainError {
    let reason = format!("the base model cannot be used: {}", told(&error));
    if error.is_io() { TrainError::retry(reason) } else { TrainError::failed(reason) }
}

/// A base that was made, now or before.
fn made(teller: &Teller<'_>, recipe: &Recipe, cache: &Path, bytes_max: u64) -> Result<Base, TrainError> {
    let folder = cache.join(recipe.name());
    match Base::open(&folder, bytes_max) {
        Ok(base) => return Ok(base),
        Err(ModelError::Io { .. }) if !folder.exists() => {}
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a base model is of no use; it is made anew"
            );
            fs::remove_dir_all(&folder)?;
        }
    }
    let mut stopped = None;
    teller.watch.before_block(teller.cx);
    let base = Base::make(recipe, teller.cx.threads(), &mut |loss| {
        stopped = teller.tell(0, "making the base model", loss).err();
        if stopped.is_none() {
            teller.watch.before_block(teller.cx);
        }
        stopped.is_none()
    });
    let Some(base) = base else {
        return Err(stopped.unwrap_or_else(|| cut_short(Stop::ShuttingDown, || Ok(()))));
    };
    fs::create_dir_all(cache)?;
    if let Err(error) = base.save(&folder) {
        // Another run may have been first; a base that is not kept is made again.
        tracing::warn!(error = &error as &dyn std::error::Error, "a base model was not kept");
    }
    Ok(base)
}

/// Whether there is memory enough.
fn afford(cx: &Context, order: &Order, shape: &Shape, rows: &[Row]) -> Result<(), TrainError> {
    let bytes = order.training_bytes(shape, rows.len(), cx.threads());
    if bytes <= order.memory_bytes {
        return Ok(());
    }
    let most = order.memory_bytes;
    Err(TrainError::failed(format!(
        "the training may take {bytes} bytes of memory, at most {most} are allowed"
    )))
}

/// Who tells how far it is.
#[derive(Clone, Copy)]
struct Teller<'a> {
    cx: &'a Context,
    watch: &'a dyn Watch,
    total: u64,
}

impl Teller<'_> {
    fn tell(&self, step: u64, phase: &str, loss: f64) -> Result<(), TrainError> {
        let progress = Progress::step(step, self.total).with_phase(phase).with_loss(loss)?;
        self.watch.told(&progress);
        self.cx.report(progress).map_err(|stop| cut_short(stop, || Ok(())))
    }
}

/// A training at work.
struct Run<'a> {
    teller: Teller<'a>,
    lesson: &'a Lesson<'a>,
    fingerprint: [u8; 32],
    course: Course,
    learner: Learner<'a>,
    kept: Kept,
}

impl<'a> Run<'a> {
    fn start(teller: Teller<'a>, lesson: &'a Lesson<'a>) -> Result<Self, TrainError> {
        teller.watch.before_block(teller.cx);
        let fingerprint = lesson.fingerprint();
        let read = |bytes: &[u8]| checkpoint::read(bytes, lesson, fingerprint);
        let course = resume(teller.cx, checkpoint::bytes_max(lesson), read);
        let course = course.unwrap_or_else(|| Course::begin(lesson));
        let kept = Kept::new(lesson.order.rhythm, course.step);
        Ok(Self { teller, lesson, fingerprint, course, learner: Learner::new(lesson), kept })
    }

    /// All steps that are left.
    fn learn(&mut self) -> Result<(), TrainError> {
        while self.course.step < self.teller.total {
            self.teller.watch.before_block(self.teller.cx);
            let loss = self.learner.learn(&mut self.course);
            if !loss.is_finite() {
                return Err(diverged());
            }
            self.go_on()?;
            let told = self.teller.tell(self.course.step, "training", loss);
            self.go_on()?; // keeps what was learned, where that is still allowed
            told?;
            self.keep_if_due();
        }
        Ok(())
    }

    /// The mean loss over held-out rows, if there are such.
    fn held_out_loss(&mut self) -> Result<Option<f64>, TrainError> {
        let (mut loss, mut count) = (0.0, 0);
        let texts = &self.lesson.held_out;
        for texts in texts[..texts.len().min(HELD_OUT_MAX)].chunks(GROUP) {
            self.teller.watch.before_block(self.teller.cx);
            let (more, tokens) = self.learner.loss(&mut self.course, texts);
            loss += more;
            count += tokens;
            self.go_on()?;
        }
        Ok((count > 0).then(|| loss / real(count)))
    }

    /// Whether to; and what to return when not.
    fn go_on(&mut self) -> Result<(), TrainError> {
        match self.teller.cx.stop_reason() {
            None => Ok(()),
            Some(stop) => Err(cut_short(stop, || self.keep())),
        }
    }

    fn keep_if_due(&mut self) {
        if self.kept.is_due(self.course.step) {
            log_unkept(self.keep());
        }
    }

    /// Makes what is learned the state to go on from, if it is news.
    fn keep(&mut self) -> Result<(), TrainError> {
        let Self { teller: Teller { cx, .. }, course, fingerprint, kept, .. } = self;
        kept.keep(cx, course.step, |path| checkpoint::write(path, *fingerprint, course))
    }

    fn hand_over(mut self, held_out_loss: Option<f64>) -> Result<Trained, TrainError> {
        let Self { teller: Teller { cx, .. }, lesson, .. } = self;
        let Order { iterations, batch_size, learning_rate, ref base, .. } = *lesson.order;
        let name = match base {
            Source::Folder(folder) => folder.to_string_lossy().into_owned(),
            Source::Made { recipe, .. } => recipe.name(),
        };
        let story = Story {
            format: 1,
            base: &name,
            base_sha256: lesson.base.digest(),
            seed: lesson.seed,
            rows: lesson.texts.len(),
            held_out_rows: lesson.held_out.len(),
            iterations,
            batch_size,
            learning_rate,
            held_out_loss,
            losses: &std::mem::take(&mut self.course.losses),
        };
        cx.measure("loss", Course::mean(story.losses))?;
        cx.measure("rows", real(story.rows))?;
        cx.measure("held_out_rows", real(story.held_out_rows))?;
        if let Some(loss) = held_out_loss {
            cx.measure("held_out_loss", loss)?;
        }
        let lora = self.learner.finish(&mut self.course).ok_or_else(diverged)?;
        save(&cx.dir()?.join(ADAPTER), &lora, lesson.base, &story)?;
        cx.trained(ADAPTER)
    }
}

fn diverged() -> TrainError {
    TrainError::failed("the training diverged; a lower learning rate may help")
}

const ADAPTER: &str = "adapter";
pub(crate) const ROWS_MAX: usize = 100_000;
/// Held-out rows whose loss is measured at the end.
const HELD_OUT_MAX: usize = 64;

#[cfg(test)]
mod tests;
