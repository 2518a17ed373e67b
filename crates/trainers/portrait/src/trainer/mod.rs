//! A portrait's training as a run of a yard.

use trainyard_core::{Progress, Trained};
use trainyard_runtime::{Context, JobToTrain, Stop, TrainError};
use trainyard_trainkit::{Kept, Rhythm, cut_short, log_unkept, real, resume, told};

use crate::checkpoint;
use crate::course::{BATCH, Course, Desk, Lesson};
use crate::model::{Look, Portrait};
use crate::quality::Measured;
use crate::{Order, Photo, Quality, Source};

/// Trains the model of a group of photos, as a run of a yard.
///
/// It decodes the photos one by one; one that cannot be read fails the run, with the label of its look. After every step
/// it reports the loss, which is the share of what sets the step's views apart from the mean picture that was not given
/// back; and eight times in all, the last at the end, the [`Quality`] so far as performance. It hands over a
/// [`Portrait`] with the figures `quality`, `loss` (the mean of the last steps) and `photos`. One of less quality than
/// ordered fails the run, with words for the owner of the photos. In a contest it ends at the target; short of that it
/// hands nothing over, which a contest counts as stalled.
///
/// It goes on from the checkpoint of an earlier attempt, if that is of the same photos and the same order: then the
/// model is as if it had never been cut short, bit by bit. One that does not fit is logged, and it begins anew.
///
/// # Errors
/// [`TrainError`] when it was told to stop, which it heeds after at most one block of work: one photo, one batch of 32
/// views, or one checkpoint that is read or written; when there are no photos, or more than 1,000; when one of them is unfit; when the quality is too low; or
/// when the disk refuses.
pub fn train_portrait(
    cx: &mut Context,
    job: &JobToTrain,
    photos: &[Source],
    order: &Order,
) -> Result<Trained, TrainError> {
    run(cx, job, photos, order, &())
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
fn run(
    cx: &Context,
    job: &JobToTrain,
    sources: &[Source],
    order: &Order,
    watch: &dyn Watch,
) -> Result<Trained, TrainError> {
    let photos = open(cx, sources, order, watch)?;
    let lesson = Lesson {
        photos: &photos,
        size: order.size,
        total: order.total(photos.len()),
        seed: cx.seed(),
        threads: cx.threads(),
    };
    let mut run = Run::start(cx, lesson, order.rhythm, watch)?;
    run.go_on()?;
    run.learn()?;
    let quality = run.measure(held_back_blocks(photos.len()))?;
    run.report(Some(quality))?;
    if quality < order.quality_min {
        return Err(TrainError::failed(too_low(quality, order.quality_min, photos.len())));
    }
    let is_short = cx.stop_reason() != Some(Stop::TargetReached);
    if job.candidate.is_some() && is_short {
        return Ok(Trained::default());
    }
    run.hand_over(sources, quality)
}

/// All photos, decoded.
fn open(
    cx: &Context,
    sources: &[Source],
    order: &Order,
    watch: &dyn Watch,
) -> Result<Vec<Photo>, TrainError> {
    if sources.is_empty() {
        return Err(TrainError::failed("there are no photos to learn from"));
    }
    if sources.len() > PHOTOS_MAX {
        let count = sources.len();
        return Err(TrainError::failed(format!(
            "there are {count} photos, at most {PHOTOS_MAX} can be learned from"
        )));
    }
    let mut photos = Vec::with_capacity(sources.len());
    for source in sources {
        watch.before_block(cx);
        let photo = Photo::open(&source.path, order.size.side(), &order.limits).map_err(|unfit| {
            let reason = format!("the photo of look {:?} cannot be used: {}", source.label(), told(&unfit));
            if unfit.is_io() { TrainError::retry(reason) } else { TrainError::failed(reason) }
        });
        if let Some(stop) = cx.stop_reason() {
            return Err(cut_short(stop, || Ok(())));
        }
        photos.push(photo?);
    }
    Ok(photos)
}

/// A training at work.
struct Run<'a> {
    cx: &'a Context,
    lesson: Lesson<'a>,
    fingerprint: [u8; 32],
    course: Course,
    kept: Kept,
    watch: &'a dyn Watch,
}

impl<'a> Run<'a> {
    fn start(
        cx: &'a Context,
        lesson: Lesson<'a>,
        rhythm: Rhythm,
        watch: &'a dyn Watch,
    ) -> Result<Self, TrainError> {
        watch.before_block(cx);
        let fingerprint = checkpoint::fingerprint(&lesson);
        let between = || match cx.stop_reason() {
            None | Some(Stop::TargetReached) => {
                watch.before_block(cx);
                Ok(())
            }
            Some(stop) => Err(cut_short(stop, || Ok(()))),
        };
        let read = |bytes: &[u8]| checkpoint::read(bytes, &lesson, fingerprint);
        let course = match resume(cx, checkpoint::BYTES_MAX, read) {
            Some(course) => course,
            None => Course::begin(&lesson, between)?,
        };
        let kept = Kept::new(rhythm, course.step);
        Ok(Self { cx, lesson, fingerprint, course, kept, watch })
    }

    /// All steps that are left.
    fn learn(&mut self) -> Result<(), TrainError> {
        let mut desk = Desk::new();
        let total = self.lesson.total;
        while self.course.step < total {
            self.watch.before_block(self.cx);
            self.course.learn(&self.lesson, &mut desk);
            if !self.course.loss.is_finite() {
                return Err(TrainError::failed("the training diverged"));
            }
            self.go_on()?;
            let is_probed =
                self.course.step.is_multiple_of(total.div_ceil(PROBES)) && self.course.step < total;
            let quality = if is_probed { Some(self.measure(1)?) } else { None };
            self.report(quality)?;
            if self.cx.stop_reason() == Some(Stop::TargetReached) {
                return Ok(());
            }
            self.keep_if_due();
        }
        Ok(())
    }

    /// The quality, by so many blocks of held-back views.
    fn measure(&mut self, blocks: u64) -> Result<Quality, TrainError> {
        let mut measured = Measured::default();
        for number in 0..blocks {
            self.watch.before_block(self.cx);
            self.course.measure(&self.lesson, number, &mut measured);
            self.go_on()?;
        }
        Ok(measured.quality())
    }

    fn report(&mut self, quality: Option<Quality>) -> Result<(), TrainError> {
        let phase = if self.course.step < self.lesson.total { "learning" } else { "done" };
        let mut progress = Progress::step(self.course.step, self.lesson.total).with_phase(phase);
        progress = progress.with_loss(self.course.loss)?;
        if let Some(quality) = quality {
            progress = progress.with_performance(quality.get())?;
        }
        self.watch.told(&progress);
        let _ = self.cx.report(progress); // what it answers is asked for next
        self.go_on()
    }
}

impl Run<'_> {
    /// Whether to; and what to return when not.
    fn go_on(&mut self) -> Result<(), TrainError> {
        match self.cx.stop_reason() {
            None | Some(Stop::TargetReached) => Ok(()),
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
        let Self { cx, course, fingerprint, kept, .. } = self;
        kept.keep(cx, course.step, |path| checkpoint::write(path, *fingerprint, course))
    }

    /// The model, once it is good enough.
    fn hand_over(mut self, sources: &[Source], quality: Quality) -> Result<Trained, TrainError> {
        let mut looks = Vec::with_capacity(sources.len());
        for (number, source) in sources.iter().enumerate() {
            self.watch.before_block(self.cx);
            let codes = self.course.codes(&self.lesson, number, NEARBY);
            looks.push(Look { label: source.label().to_owned(), codes });
            self.go_on()?;
        }
        let path = self.cx.dir()?.join(MODEL);
        let Self { cx, course, .. } = self;
        cx.measure("quality", quality.get())?;
        cx.measure("loss", course.loss_mean)?;
        cx.measure("photos", real(sources.len()))?;
        let portrait = Portrait::new(quality, course.auto, looks);
        portrait.save(&path).map_err(|error| TrainError::retry(told(&error)))?;
        cx.trained(MODEL)
    }
}

/// Blocks of held-back views that the quality at the end is measured by: at least one view of each photo.
fn held_back_blocks(photos: usize) -> u64 {
    HELD_BACK_BLOCKS.max(photos.div_ceil(BATCH) as u64)
}

/// For the owner of the photos.
fn too_low(quality: Quality, least: Quality, photos: usize) -> String {
    let what = if photos == 1 { "the photo was" } else { "the photos were" };
    // So that it never looks as if it were enough.
    let shown = (quality.get() * 100.0).floor() / 100.0;
    let needed = (least.get() * 100.0 - 1e-9).ceil() / 100.0;
    format!(
        "{what} learned with a quality of {shown:.2}, at least {needed:.2} is needed; clear photos of one person in \
         even light work best"
    )
}

const MODEL: &str = "model.portrait";
pub(crate) const PHOTOS_MAX: usize = 1_000;
/// Blocks of held-back views that the quality at the end is measured by, where there are few photos.
const HELD_BACK_BLOCKS: u64 = 4;
/// How often the quality is measured, on one block, while it learns; and once at the end.
const PROBES: u64 = 8;
/// Views near each photo whose codes are kept.
const NEARBY: usize = 16;

#[cfg(test)]
mod tests;
