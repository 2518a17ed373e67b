use std::fmt;
use std::path::Path;

use crate::artifact::{self, Kind, Reader};
use crate::codebook::Codebook;
use crate::{Metric, StorageError};

/// What a training produced: the centroids of the lists.
///
/// [`save`](Self::save)d it is a file of its own, with a version, little-endian numbers and a checksum; the
/// checksum is also its [`tag`](Self::tag). `4 × n_lists × dimension` bytes, on disk and in memory.
#[derive(Debug, Clone)]
pub struct Model {
    metric: Metric,
    points: u64,
    iterations: u32,
    losses: Vec<f64>,
    book: Codebook,
    tag: ModelTag,
}

/// Which model it is: the SHA-256 of its file. Equal tags mean equal models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelTag([u8; 32]);

impl ModelTag {
    /// The digest.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ModelTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Model {
    pub(crate) fn new(metric: Metric, points: usize, state: KMeansState) -> Self {
        let mut model = Self {
            metric,
            points: points as u64,
            iterations: state.iteration,
            losses: state.losses,
            book: Codebook::new(state.dim, state.centroids),
            tag: ModelTag([0; 32]),
        };
        model.tag = ModelTag(artifact::digest(&model.encode()));
        model
    }

    /// Writes the model, so that after a crash there is the whole file or none: into a file beside it, synced,
    /// then renamed over whatever was there.
    ///
    /// # Errors
    /// [`StorageError`] when the file could not be written.
    pub fn save(&self, path: &Path) -> Result<(), StorageError> {
        artifact::write(path, &self.encode())
    }

    /// Reads a model and verifies it.
    ///
    /// # Errors
    /// [`StorageError`], with [`is_damaged`](StorageError::is_damaged) for anything that `save` did not write
    /// like this and [`is_unknown_format`](StorageError::is_unknown_format) for what a later version wrote.
    pub fn load(path: &Path) -> Result<Self, StorageError> {
        let bytes = std::fs::read(path).map_err(|error| StorageError::new(READ, error))?;
        let mut reader = Reader::open(Kind::Model, &bytes)?;
        let metric = Metric::from_name(&reader.text()?).ok_or_else(|| reader.damaged("unknown metric"))?;
        let (points, iterations, losses) = (reader.u64()?, reader.u32()?, reader.f64s()?);
        let (dim, centroids) = reader.rows()?;
        reader.end()?;
        let tag = ModelTag(artifact::digest(&bytes));
        Ok(Self { metric, points, iterations, losses, book: Codebook::new(dim, centroids), tag })
    }

    /// Which model it is.
    #[must_use]
    pub fn tag(&self) -> ModelTag {
        self.tag
    }

    /// The metric of the set it was trained on.
    #[must_use]
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// The numbers of one centroid.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.book.dim()
    }

    /// How many lists.
    #[must_use]
    pub fn n_lists(&self) -> usize {
        self.book.len()
    }

    /// The centroids, one row of `dimension` numbers after the other.
    #[must_use]
    pub fn centroids(&self) -> &[f32] {
        self.book.flat()
    }

    /// How many points it was trained on.
    #[must_use]
    pub fn points(&self) -> u64 {
        self.points
    }

    /// How many iterations it took.
    #[must_use]
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    /// The loss of every iteration; see [`Iteration::loss`](crate::Iteration::loss).
    #[must_use]
    pub fn losses(&self) -> &[f64] {
        &self.losses
    }

    /// The loss of the last iteration.
    #[must_use]
    pub fn loss(&self) -> f64 {
        self.losses.last().copied().unwrap_or(f64::INFINITY)
    }

    pub(crate) fn book(&self) -> &Codebook {
        &self.book
    }

    fn encode(&self) -> Vec<u8> {
        let mut writer = artifact::Writer::new(Kind::Model);
        writer.text(self.metric.name());
        writer.u64(self.points);
        writer.u32(self.iterations);
        writer.f64s(&self.losses);
        writer.rows(self.dimension(), self.centroids());
        writer.finish()
    }
}

/// Where a training is after an iteration: all that is needed to go on with the same set and settings.
///
/// ```
/// use std::ops::ControlFlow;
/// use std::sync::Mutex;
/// use trainyard_ivf::{Iteration, KMeans, KMeansState, Metric, Observer, TrainingSet};
///
/// #[derive(Default)]
/// struct StopAfterOne(Mutex<Vec<u8>>);
/// impl Observer for StopAfterOne {
///     fn on_iteration(&self, iteration: &Iteration<'_>) -> ControlFlow<()> {
///         *self.0.lock().expect("not poisoned") = iteration.state().encode();
///         ControlFlow::Break(())
///     }
/// }
/// let points = (0..100_u8).map(f32::from).collect();
/// let set = TrainingSet::new(1, Metric::Euclidean, points)?;
/// let params = KMeans::new(4.try_into()?);
/// let observer = StopAfterOne::default();
/// assert!(params.train(&set, &observer).is_err());
///
/// let state = KMeansState::decode(&observer.0.into_inner()?)?;
/// let resumed = params.resume(&set, state, &())?;
/// assert_eq!(resumed.tag(), params.train(&set, &())?.tag());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct KMeansState {
    pub(crate) dim: usize,
    pub(crate) iteration: u32,
    pub(crate) losses: Vec<f64>,
    pub(crate) finished: bool,
    pub(crate) centroids: Vec<f32>,
}

impl KMeansState {
    pub(crate) fn seeded(dim: usize, centroids: Vec<f32>) -> Self {
        Self { dim, iteration: 0, losses: Vec::new(), finished: false, centroids }
    }

    /// How many iterations are done.
    #[must_use]
    pub fn iteration(&self) -> u32 {
        self.iteration
    }

    /// The loss of the last of them.
    #[must_use]
    pub fn loss(&self) -> f64 {
        self.losses.last().copied().unwrap_or(f64::INFINITY)
    }

    /// The numbers of one centroid.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dim
    }

    /// How many lists.
    #[must_use]
    pub fn n_lists(&self) -> usize {
        self.centroids.len() / self.dim
    }

    /// The centroids so far.
    #[must_use]
    pub fn centroids(&self) -> &[f32] {
        &self.centroids
    }

    /// As bytes, with a version and a checksum.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = artifact::Writer::new(Kind::State);
        writer.u32(self.iteration);
        writer.u32(u32::from(self.finished));
        writer.f64s(&self.losses);
        writer.rows(self.dim, &self.centroids);
        writer.finish()
    }

    /// Reads what [`encode`](Self::encode) gave.
    ///
    /// # Errors
    /// [`StorageError`], as [`Model::load`].
    pub fn decode(bytes: &[u8]) -> Result<Self, StorageError> {
        let mut reader = Reader::open(Kind::State, bytes)?;
        let (iteration, finished, losses) = (reader.u32()?, reader.u32()? == 1, reader.f64s()?);
        let (dim, centroids) = reader.rows()?;
        reader.end()?;
        Ok(Self { dim, iteration, losses, finished, centroids })
    }
}

const READ: &str = "read a model";
