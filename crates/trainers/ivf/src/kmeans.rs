use std::num::{NonZeroU32, NonZeroUsize};

use crate::codebook::{Codebook, GivenUp};
use crate::lloyd::Lloyd;
use crate::{Iteration, KMeansState, Model, Observer, TrainError, TrainingSet, seeding};

/// The settings of a k-means training.
///
/// | setting | default | meaning |
/// |---|---|---|
/// | `n_lists` | none | how many centroids; at most the vectors of the set for a useful result |
/// | `batch_size` | 1024 | points per block of work; bounds what is still done after a stop, and the memory per thread |
/// | `max_iters` | 100 | iterations at most |
/// | `tolerance` | 1e-6 | stop when the loss falls by less than this fraction; 0 goes on until no point moves |
/// | `points_per_list` | 256 | a larger set is sampled down to `n_lists` times this |
/// | `seed` | 0 | where chance begins |
/// | `threads` | 1 | how many threads work |
///
/// The result depends on the points, `n_lists`, `max_iters`, `tolerance`, `points_per_list` and `seed`. It
/// does not depend on `threads` or `batch_size`, bit for bit, on machines with the same vector instructions.
///
/// Memory while training, beside the set: per point about 50 bytes, per thread at most
/// `batch_size × (4 × dimension + 1024) × 4` bytes, and `n_lists × dimension × 24` bytes.
///
/// ```
/// use std::num::NonZeroU32;
/// use trainyard_ivf::{KMeans, Metric, TrainingSet};
///
/// let points = vec![0.0, 0.1, 0.2, 10.0, 10.1, 10.2];
/// let set = TrainingSet::new(1, Metric::Euclidean, points)?;
/// let model = KMeans::new(NonZeroU32::new(2).expect("not zero")).with_seed(7).train(&set, &())?;
/// assert_eq!(model.n_lists(), 2);
/// assert!(model.loss() < 0.05);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct KMeans {
    n_lists: NonZeroU32,
    batch_size: NonZeroU32,
    max_iters: NonZeroU32,
    tolerance: Tolerance,
    points_per_list: NonZeroU32,
    seed: u64,
    threads: NonZeroUsize,
}

impl KMeans {
    /// The defaults, for this many lists.
    #[must_use]
    pub fn new(n_lists: NonZeroU32) -> Self {
        Self {
            n_lists,
            batch_size: const { NonZeroU32::new(1024).expect("not zero") },
            max_iters: const { NonZeroU32::new(100).expect("not zero") },
            tolerance: Tolerance(1e-6),
            points_per_list: const { NonZeroU32::new(256).expect("not zero") },
            seed: 0,
            threads: NonZeroUsize::MIN,
        }
    }

    /// Points per block of work. Taken as given up to 65,536 and as 65,536 above that; small blocks are slow.
    #[must_use]
    pub fn with_batch_size(mut self, batch_size: NonZeroU32) -> Self {
        self.batch_size = batch_size.min(const { NonZeroU32::new(65_536).expect("not zero") });
        self
    }

    /// Iterations at most.
    #[must_use]
    pub fn with_max_iters(mut self, max_iters: NonZeroU32) -> Self {
        self.max_iters = max_iters;
        self
    }

    /// When the loss is good enough.
    #[must_use]
    pub fn with_tolerance(mut self, tolerance: Tolerance) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// How many points per list a larger set is sampled down to.
    #[must_use]
    pub fn with_points_per_list(mut self, points: NonZeroU32) -> Self {
        self.points_per_list = points;
        self
    }

    /// Where chance begins: the same seed over the same points gives the same model.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How many threads work. They share the memory of the set.
    #[must_use]
    pub fn with_threads(mut self, threads: NonZeroUsize) -> Self {
        self.threads = threads;
        self
    }

    /// How many lists there will be.
    #[must_use]
    pub fn n_lists(&self) -> NonZeroU32 {
        self.n_lists
    }

    /// The seed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// How many points a set is sampled down to: `n_lists × points_per_list`.
    #[must_use]
    pub fn points_max(&self) -> usize {
        usize::try_from(u64::from(self.n_lists.get()) * u64::from(self.points_per_list.get()))
            .unwrap_or(usize::MAX)
    }

    pub(crate) fn list_count(&self) -> usize {
        usize::try_from(self.n_lists.get()).unwrap_or(usize::MAX)
    }

    pub(crate) fn batch(&self) -> usize {
        usize::try_from(self.batch_size.get()).unwrap_or(usize::MAX)
    }

    pub(crate) fn threads(&self) -> NonZeroUsize {
        self.threads
    }

    /// Trains from the start: k-means++ over a sample of the set, then Lloyd's iterations over all of it.
    ///
    /// # Errors
    /// [`TrainError::Stopped`] when the observer ended it, [`TrainError::NoPoints`] for an empty set.
    pub fn train(&self, set: &TrainingSet, observer: &dyn Observer) -> Result<Model, TrainError> {
        if set.is_empty() {
            return Err(TrainError::NoPoints);
        }
        let centroids = seeding::plus_plus(set, self, &|| observer.should_stop())
            .map_err(|GivenUp| TrainError::Stopped { iterations: 0 })?;
        self.resume(set, KMeansState::seeded(set.dimension(), centroids), observer)
    }

    /// Goes on from where an earlier training with the same set and settings was; the model is then the same
    /// as without the interruption, bit for bit.
    ///
    /// # Errors
    /// [`TrainError::StateMismatch`] when the state has another dimension or number of lists; else as
    /// [`train`](Self::train).
    pub fn resume(
        &self,
        set: &TrainingSet,
        mut state: KMeansState,
        observer: &dyn Observer,
    ) -> Result<Model, TrainError> {
        if set.is_empty() {
            return Err(TrainError::NoPoints);
        }
        let got = (state.dimension(), state.n_lists());
        let expected = (set.dimension(), self.list_count());
        if got != expected {
            return Err(TrainError::StateMismatch { expected, got });
        }
        let stop = || observer.should_stop();
        let mut lloyd = Lloyd::new(set, self, &stop)
            .map_err(|GivenUp| TrainError::Stopped { iterations: state.iteration })?;
        while !state.finished && state.iteration < self.max_iters.get() {
            let stopped = TrainError::Stopped { iterations: state.iteration };
            let book = Codebook::new(set.dimension(), std::mem::take(&mut state.centroids));
            let Ok(step) = lloyd.step(&book, &stop) else {
                return Err(stopped);
            };
            state.finished = step.settled
                || self.tolerance.reached(state.losses.last().copied(), step.loss, step.repaired);
            state.iteration += 1;
            state.losses.push(step.loss);
            state.centroids = step.centroids;
            let report = Iteration {
                total: self.max_iters.get(),
                moved: step.moved,
                repaired: step.repaired,
                state: &state,
            };
            if observer.on_iteration(&report).is_break() {
                return Err(TrainError::Stopped { iterations: state.iteration });
            }
        }
        Ok(Model::new(set.metric(), set.len(), state))
    }
}

/// By which fraction the loss must fall for another iteration to be worth it: finite, not negative.
///
/// ```
/// use trainyard_ivf::Tolerance;
///
/// assert_eq!(Tolerance::new(1e-4).map(Tolerance::get), Some(1e-4));
/// assert_eq!(Tolerance::new(f64::NAN), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Tolerance(f64);

impl Tolerance {
    /// Never satisfied: iterates until no point moves, or `max_iters`.
    pub const ZERO: Self = Self(0.0);

    /// `None` for what is negative or not finite.
    #[must_use]
    pub fn new(fraction: f64) -> Option<Self> {
        (fraction.is_finite() && fraction >= 0.0).then_some(Self(fraction))
    }

    /// The fraction.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }

    fn reached(self, before: Option<f64>, now: f64, repaired: usize) -> bool {
        let gain = |before: f64| before - now;
        self.0 > 0.0 && repaired == 0 && before.is_some_and(|before| gain(before) <= self.0 * before)
    }
}
