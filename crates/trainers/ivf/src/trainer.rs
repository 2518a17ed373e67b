use std::fs;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use trainyard_core::{Progress, Trained};
use trainyard_runtime::{Context, Stop, TrainError};
use trainyard_trainkit::{cut_short, log_unkept, resume, told};

use crate::{
    Index, Iteration, KMeans, KMeansState, MIN_VECTORS, Model, Observer, Plan, StorageError, Tolerance,
    TrainingSet, plan,
};

/// How one job trains an index; what is not said is as in [`KMeans`].
///
/// ```
/// use trainyard_ivf::TrainOrder;
///
/// let order = TrainOrder::new().with_lists(64.try_into()?).with_memory_megabytes(500.try_into()?);
/// assert_ne!(order, TrainOrder::default());
/// # Ok::<(), std::num::TryFromIntError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct TrainOrder {
    lists: Option<NonZeroU32>,
    batch_size: Option<NonZeroU32>,
    max_iters: Option<NonZeroU32>,
    tolerance: Option<Tolerance>,
    min_vectors: u64,
    memory_megabytes: Option<NonZeroU64>,
}

impl TrainOrder {
    /// Everything by default: [`automatic_lists`](crate::automatic_lists), at least [`MIN_VECTORS`], no bound on
    /// memory.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            lists: None,
            batch_size: None,
            max_iters: None,
            tolerance: None,
            min_vectors: MIN_VECTORS,
            memory_megabytes: None,
        }
    }

    /// Into this many lists. Default: as many as suit the vectors that are there when the training begins.
    #[must_use]
    pub const fn with_lists(mut self, lists: NonZeroU32) -> Self {
        self.lists = Some(lists);
        self
    }

    /// [`KMeans::with_batch_size`].
    #[must_use]
    pub const fn with_batch_size(mut self, batch_size: NonZeroU32) -> Self {
        self.batch_size = Some(batch_size);
        self
    }

    /// [`KMeans::with_max_iters`].
    #[must_use]
    pub const fn with_max_iters(mut self, max_iters: NonZeroU32) -> Self {
        self.max_iters = Some(max_iters);
        self
    }

    /// [`KMeans::with_tolerance`].
    #[must_use]
    pub const fn with_tolerance(mut self, tolerance: Tolerance) -> Self {
        self.tolerance = Some(tolerance);
        self
    }

    /// With fewer vectors there is nothing to do. Default: [`MIN_VECTORS`]; 0 for no such bound.
    #[must_use]
    pub const fn with_min_vectors(mut self, vectors: u64) -> Self {
        self.min_vectors = vectors;
        self
    }

    /// With at most so much memory, in MB of 10⁶ bytes, for the training alone: fewer threads and fewer points are
    /// used where it is short, at the least two points per list; less than that fails. Default: no bound.
    #[must_use]
    pub const fn with_memory_megabytes(mut self, megabytes: NonZeroU64) -> Self {
        self.memory_megabytes = Some(megabytes);
        self
    }

    fn settings(&self, lists: NonZeroU32) -> KMeans {
        let mut params = KMeans::new(lists);
        if let Some(batch_size) = self.batch_size {
            params = params.with_batch_size(batch_size);
        }
        if let Some(max_iters) = self.max_iters {
            params = params.with_max_iters(max_iters);
        }
        if let Some(tolerance) = self.tolerance {
            params = params.with_tolerance(tolerance);
        }
        params
    }

    /// The settings within the bound on memory, by what [`KMeans`] says a training takes.
    fn within_memory(&self, params: KMeans, dimension: usize, vectors: u64) -> Result<KMeans, TooLittle> {
        let Some(megabytes) = self.memory_megabytes else {
            return Ok(params);
        };
        let bound = megabytes.get().saturating_mul(MEGABYTE);
        let (dimension, lists) = (dimension as u64, u64::from(params.n_lists().get()));
        let per_point = 4 * dimension + 50;
        let per_thread = params.batch() as u64 * (4 * dimension + 1024) * 4;
        let centroids = lists * dimension * 28; // 4 of them for the next checkpoint

        let threads = (bound / 4 / per_thread).clamp(1, params.threads().get() as u64);
        let left = bound.saturating_sub(centroids.saturating_add(threads * per_thread));
        let points = left / per_point;
        let threads = usize::try_from(threads).ok().and_then(NonZeroUsize::new).unwrap_or(NonZeroUsize::MIN);
        let params = params.with_threads(threads);
        if points >= vectors.min(params.points_max() as u64) {
            return Ok(params);
        }
        let per_list = u32::try_from(points / lists).unwrap_or(u32::MAX);
        match NonZeroU32::new(per_list) {
            Some(per_list) if per_list.get() >= POINTS_PER_LIST_MIN => {
                Ok(params.with_points_per_list(per_list))
            }
            Some(_) | None => {
                let least = centroids + per_thread + lists * u64::from(POINTS_PER_LIST_MIN) * per_point;
                Err(TooLittle { allowed: megabytes.get(), least: least.div_ceil(MEGABYTE) })
            }
        }
    }
}

impl Default for TrainOrder {
    fn default() -> Self {
        Self::new()
    }
}

/// Trains an index as a job of a yard.
///
/// Where [`plan`] finds nothing to do, it hands over no artifact and reports no progress. Otherwise it reports
/// every iteration (step, total, loss), keeps a checkpoint of every few seconds of work and one when the process
/// shuts down, goes on from the checkpoint of an earlier attempt if that fits, and hands over the [`Model`] with
/// the figures `n_lists`, `vectors` (that the index had), `iterations` and `loss`.
///
/// The index is used as it is when this begins; [`Index::install`] is left to whoever serves it.
///
/// # Errors
/// [`TrainError`] when it was told to stop (after at most one block of work), the memory does not suffice, or the
/// disk refuses.
pub fn train_index(cx: &mut Context, index: &Index, order: &TrainOrder) -> Result<Trained, TrainError> {
    let cx = &*cx;
    let vectors = index.len() as u64;
    let (Plan::Train { n_lists }, Some(dimension)) =
        (plan(vectors, order.lists, order.min_vectors), index.dimension())
    else {
        return Ok(Trained::default());
    };
    let params = order.settings(n_lists).with_seed(cx.seed()).with_threads(cx.threads());
    let params = order.within_memory(params, dimension, vectors);
    let params = params.map_err(|error| TrainError::failed(error.to_string()))?;
    let state = resumable(cx, dimension, n_lists);
    let done = state.as_ref().map_or(0, KMeansState::iteration);
    cx.report(Progress::step(done.into(), 0).with_phase(SEEDING))?;

    let set = index.training_set(&params).map_err(|error| TrainError::failed(error.to_string()))?;
    let watcher = Watcher { cx, kept: Mutex::new(Kept::new(done)) };
    match train(&params, &set, state, &watcher) {
        Ok(model) => hand_over(cx, &model, vectors),
        Err(crate::TrainError::Stopped { .. }) => Err(watcher.stopped()),
        Err(error) => Err(TrainError::failed(error.to_string())),
    }
}

fn train(
    params: &KMeans,
    set: &TrainingSet,
    state: Option<KMeansState>,
    watcher: &Watcher<'_>,
) -> Result<Model, crate::TrainError> {
    match state {
        Some(state) => params.resume(set, state, watcher),
        None => params.train(set, watcher),
    }
}

fn hand_over(cx: &Context, model: &Model, vectors: u64) -> Result<Trained, TrainError> {
    let path = cx.dir()?.join(MODEL);
    model.save(&path).map_err(|error| disk(&error))?;
    cx.measure("n_lists", figure(model.n_lists() as u64))?;
    cx.measure("vectors", figure(vectors))?;
    cx.measure("iterations", model.iterations().into())?;
    if model.loss().is_finite() {
        cx.measure("loss", model.loss())?;
    }
    cx.trained(MODEL)
}

/// The state that an earlier attempt has left, if it is one of this training.
fn resumable(cx: &Context, dimension: usize, n_lists: NonZeroU32) -> Option<KMeansState> {
    resume(cx, u64::MAX, |bytes| {
        let state = KMeansState::decode(bytes).map_err(|error| told(&error))?;
        let (got, expected) =
            ((state.dimension(), state.n_lists() as u64), (dimension, n_lists.get().into()));
        (got == expected).then_some(state).ok_or_else(|| {
            format!(
                "it is of dimension {} with {} lists, now it is {} with {}",
                got.0, got.1, expected.0, expected.1
            )
        })
    })
}

/// Tells the yard what the training says, and the training what the yard says.
struct Watcher<'a> {
    cx: &'a Context,
    kept: Mutex<Kept>,
}

/// What would be lost if the process died.
struct Kept {
    /// After the last iteration that is not in a checkpoint.
    newest: Option<KMeansState>,
    /// The iteration of the last checkpoint; the file of this attempt, if it wrote one.
    checkpoint: u32,
    file: Option<String>,
    /// When that was, and how long to wait with the next one.
    at: Instant,
    every: Duration,
}

impl Kept {
    fn new(checkpoint: u32) -> Self {
        Self { newest: None, checkpoint, file: None, at: Instant::now(), every: CHECKPOINT_EVERY }
    }
}

impl Observer for Watcher<'_> {
    fn should_stop(&self) -> bool {
        self.cx.should_stop()
    }

    fn on_iteration(&self, iteration: &Iteration<'_>) -> ControlFlow<()> {
        let mut kept = self.kept.lock();
        kept.newest = Some(iteration.state().clone());
        let progress = Progress::step(iteration.step().into(), iteration.total().into()).with_phase(TRAINING);
        let progress = progress.clone().with_loss(iteration.loss()).unwrap_or(progress);
        if self.cx.report(progress).is_err() {
            return ControlFlow::Break(());
        }
        if kept.at.elapsed() >= kept.every {
            log_unkept(self.keep(&mut kept));
        }
        ControlFlow::Continue(())
    }
}

impl Watcher<'_> {
    /// Makes the newest state the one to go on from.
    fn keep(&self, kept: &mut Kept) -> Result<(), TrainError> {
        let Some(state) = kept.newest.take().filter(|state| state.iteration() > kept.checkpoint) else {
            return Ok(());
        };
        let begun = Instant::now();
        let name = format!("state-{}", state.iteration());
        let dir = self.cx.dir()?;
        fs::write(dir.join(&name), state.encode())?;
        self.cx.checkpoint(&name, state.iteration().into())?;
        kept.checkpoint = state.iteration();
        kept.at = Instant::now();
        kept.every = CHECKPOINT_EVERY.max(CHECKPOINT_COST * begun.elapsed());
        if let Some(old) = kept.file.replace(name) {
            // No record names it any more; what is left of it goes with the folder.
            let _ = fs::remove_file(dir.join(old));
        }
        Ok(())
    }

    /// What to return now that the training was stopped.
    fn stopped(&self) -> TrainError {
        let stop = self.cx.stop_reason().unwrap_or(Stop::ShuttingDown);
        cut_short(stop, || self.keep(&mut self.kept.lock()))
    }
}

/// A bound on memory that no training keeps within.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("max_memory of {allowed} MB is too little, this training needs at least {least} MB")]
struct TooLittle {
    allowed: u64,
    least: u64,
}

fn disk(error: &StorageError) -> TrainError {
    TrainError::retry(told(error))
}

#[expect(clippy::cast_precision_loss, reason = "an index holds fewer than 2^52 vectors")]
fn figure(count: u64) -> f64 {
    count as f64
}

const MODEL: &str = "model.ivf";
const SEEDING: &str = "seeding";
const TRAINING: &str = "kmeans";
/// Work that a crash may cost, unless checkpoints take so long that they would slow the training down.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(5);
/// Of so many parts of the time one at most is spent on checkpoints.
const CHECKPOINT_COST: u32 = 20;
const MEGABYTE: u64 = 1_000_000;
const POINTS_PER_LIST_MIN: u32 = 2;

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::{Sender, channel};

    use trainyard_core::port::Change;
    use trainyard_core::{Class, Kind, Outcome, QueueName, Subject, Submission};
    use trainyard_journal::MemoryJournal;
    use trainyard_runtime::{JobToTrain, Trainyard};

    use super::*;
    use crate::{Item, Settings};

    const SECONDS: Duration = Duration::from_secs(300);

    fn index(folder: &Path, vectors: u16) -> Arc<Index> {
        let index = Index::create(&folder.join("index"), Settings::default()).unwrap();
        let vector = |i: u16| (0..8).map(|j| f32::from(i.wrapping_mul(40_503 + 2 * j) >> 4)).collect();
        let items: Vec<Item> = (0..vectors).map(|i| Item::new(i.to_string(), vector(i))).collect();
        index.upsert(&items).unwrap();
        Arc::new(index)
    }

    fn kind() -> Kind {
        Kind::new("ivf").unwrap()
    }

    fn open(folder: &Path, journal: MemoryJournal, index: &Arc<Index>, order: TrainOrder) -> Trainyard {
        let index = Arc::clone(index);
        let trainer = move |cx: &mut Context, _: &JobToTrain| train_index(cx, &index, &order);
        Trainyard::builder(folder).journal(journal).trainer(kind(), trainer).start().unwrap().0
    }

    fn submission(yard: &Trainyard) -> Submission {
        let class = Arc::new(Class::new(kind(), QueueName::new("default").unwrap()));
        Submission::new(yard.job_id(), Subject::new("index/1").unwrap(), class)
    }

    #[test]
    fn a_training_is_reported_and_hands_over_a_model() {
        let folder = tempfile::tempdir().unwrap();
        let index = index(folder.path(), 1_000);
        let order = TrainOrder::new().with_min_vectors(1_000).with_lists(16.try_into().unwrap());
        let yard = open(folder.path(), MemoryJournal::new(), &index, order);
        let changes = yard.subscribe();
        let job = yard.submit(submission(&yard)).wait().unwrap().job;
        let Outcome::Completed { model: Some(id) } = yard.finished(job).wait().unwrap() else { panic!() };
        let registered = yard.read(|yard| yard.model(id).cloned()).unwrap();
        let model = Model::load(&yard.artifact_path(&registered).unwrap()).unwrap();
        assert_eq!(model.n_lists(), 16);
        let figures: Vec<(&str, f64)> =
            registered.metrics.iter().map(|(name, score)| (name.as_str(), score.get())).collect();
        let iterations = f64::from(model.iterations());
        let expected =
            [("iterations", iterations), ("loss", model.loss()), ("n_lists", 16.0), ("vectors", 1_000.0)];
        assert_eq!(figures, expected);
        yard.shutdown(SECONDS).wait().unwrap();
        assert!(changes.into_iter().any(|change| matches!(change, Change::Progressed { .. })));
    }

    #[test]
    fn nothing_to_do_is_no_model_and_no_progress() {
        let folder = tempfile::tempdir().unwrap();
        let index = index(folder.path(), 999);
        let yard = open(folder.path(), MemoryJournal::new(), &index, TrainOrder::new());
        let changes = yard.subscribe();
        let job = yard.submit(submission(&yard)).wait().unwrap().job;
        assert_eq!(yard.finished(job).wait().unwrap(), Outcome::Completed { model: None });
        yard.shutdown(SECONDS).wait().unwrap();
        assert!(!changes.into_iter().any(|change| matches!(change, Change::Progressed { .. })));
    }

    /// Stopped after some iterations and gone on with, a training gives the model that it gives when left alone.
    #[test]
    fn a_shutdown_keeps_a_checkpoint_that_the_next_attempt_goes_on_from() {
        let folder = tempfile::tempdir().unwrap();
        let index = index(folder.path(), 4_000);
        let order = TrainOrder::new()
            .with_min_vectors(0)
            .with_lists(64.try_into().unwrap())
            .with_tolerance(Tolerance::ZERO)
            .with_max_iters(12.try_into().unwrap());
        let journal = MemoryJournal::new();
        let (told, is_told) = channel();
        let has_waited = Arc::new(AtomicBool::new(false));
        let trainer = {
            let (index, order) = (Arc::clone(&index), order.clone());
            move |cx: &mut Context, _: &JobToTrain| {
                let params = order.settings(64.try_into().expect("not zero")).with_seed(cx.seed());
                let set = index.training_set(&params).expect("there are vectors");
                let watcher = Watcher { cx, kept: Mutex::new(Kept::new(0)) };
                let waiting = WaitsAt { watcher: &watcher, told: &told, waited: &has_waited };
                params.train(&set, &waiting).expect_err("it is stopped");
                Err::<Trained, _>(watcher.stopped())
            }
        };
        let builder = Trainyard::builder(folder.path()).journal(journal.clone()).trainer(kind(), trainer);
        let (yard, _) = builder.start().unwrap();
        let submission = submission(&yard);
        let job = yard.submit(submission).wait().unwrap().job;
        let seed = is_told.recv_timeout(SECONDS).unwrap();
        yard.shutdown(SECONDS).wait().unwrap();

        let yard = open(folder.path(), journal, &index, order.clone());
        let Outcome::Completed { model: Some(id) } = yard.finished(job).wait().unwrap() else { panic!() };
        let registered = yard.read(|yard| yard.model(id).cloned()).unwrap();
        let model = Model::load(&yard.artifact_path(&registered).unwrap()).unwrap();
        let checkpoint = yard.read(|yard| yard.job(job).unwrap().standing().unwrap().checkpoint.clone());
        assert_eq!(checkpoint.map(|checkpoint| checkpoint.step), Some(5));
        let params = order.settings(64.try_into().unwrap()).with_seed(seed);
        let alone = params.train(&index.training_set(&params).unwrap(), &()).unwrap();
        assert_eq!((model.tag(), model.iterations()), (alone.tag(), 12));
        yard.shutdown(SECONDS).wait().unwrap();
    }

    /// Says when five iterations are done, then waits to be told to stop.
    struct WaitsAt<'a> {
        watcher: &'a Watcher<'a>,
        told: &'a Sender<u64>,
        waited: &'a AtomicBool,
    }

    impl Observer for WaitsAt<'_> {
        fn on_iteration(&self, iteration: &Iteration<'_>) -> ControlFlow<()> {
            let flow = self.watcher.on_iteration(iteration);
            if iteration.step() == 5 && !self.waited.swap(true, Ordering::AcqRel) {
                self.told.send(self.watcher.cx.seed()).expect("the test listens");
                while !self.watcher.should_stop() {
                    std::thread::yield_now();
                }
            }
            flow
        }

        fn should_stop(&self) -> bool {
            self.watcher.should_stop()
        }
    }

    #[test]
    fn short_memory_takes_threads_then_points_and_at_last_refuses() {
        let within = |megabytes: u64, vectors| {
            let order = TrainOrder::new().with_memory_megabytes(megabytes.try_into().unwrap());
            let params = KMeans::new(256.try_into().unwrap()).with_threads(8.try_into().unwrap());
            let params = order.within_memory(params, 128, vectors);
            params.map(|params| (params.threads().get(), params.points_max() / 256))
        };
        assert_eq!(within(1_000, 100_000), Ok((8, 256)));
        assert_eq!(within(60, 100_000), Ok((2, 256)));
        assert_eq!(within(20, 100_000), Ok((1, 88)));
        assert_eq!(within(20, 1_000), Ok((1, 256)), "fewer points need less");
        assert_eq!(within(5, 100_000), Err(TooLittle { allowed: 5, least: 8 }));
        assert!(within(8, 100_000).is_ok(), "what is said to be enough is");
        assert!(within(u64::MAX, u64::MAX).is_ok());
        let text = within(5, 100_000).unwrap_err().to_string();
        assert_eq!(text, "max_memory of 5 MB is too little, this training needs at least 8 MB");
    }
}
