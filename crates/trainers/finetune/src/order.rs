use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use trainyard_trainkit::Rhythm;
use trainyard_trajectories::HELD_OUT_SHARE;

use crate::Recipe;
use crate::base::BATCH as MAKING_BATCH;
use crate::learn::GROUP;
use crate::model::{Lora, Rank, Shape, Sizes};

/// Where the base model comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// The folder of a llama; see [`Base`](crate::Base).
    Folder(PathBuf),
    /// Nowhere: it is made from scratch where `cache` does not have it yet, which takes seconds.
    Made {
        /// How.
        recipe: Recipe,
        /// A folder for models that were made; it may not be there yet.
        cache: PathBuf,
    },
}

impl Source {
    /// The folder of the model; one that is to be made may not be there yet.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        match self {
            Self::Folder(folder) => folder.clone(),
            Self::Made { recipe, cache } => cache.join(recipe.name()),
        }
    }
}

/// How an adapter is trained, and how often it makes sure of what it has learned.
///
/// ```
/// use trainyard_finetune::{Order, Recipe, Source};
///
/// let base = Source::Made { recipe: Recipe::new(1), cache: "bases".into() };
/// let order = Order::new(base).with_iterations(50)?.with_batch_size(4)?.with_learning_rate(0.01)?;
/// assert!(order.with_learning_rate(f64::NAN).is_err());
/// # Ok::<(), trainyard_finetune::BadOrder>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    pub(crate) base: Source,
    pub(crate) iterations: u64,
    pub(crate) batch_size: u64,
    pub(crate) learning_rate: f64,
    pub(crate) rank: Rank,
    pub(crate) held_out_share: f64,
    pub(crate) memory_bytes: u64,
    pub(crate) rhythm: Rhythm,
}

impl Order {
    /// 100 iterations of 4 rows each, a learning rate of 0.005, rank 8, a fifth of the rows held out, 1 GiB of memory at
    /// most, and a checkpoint every 20 iterations or 5 seconds.
    #[must_use]
    pub fn new(base: Source) -> Self {
        Self {
            base,
            iterations: ITERATIONS,
            batch_size: BATCH_SIZE,
            learning_rate: LEARNING_RATE,
            rank: Rank::default(),
            held_out_share: HELD_OUT_SHARE,
            memory_bytes: MEMORY_BYTES,
            rhythm: Rhythm { steps: NonZeroU64::new(CHECKPOINT_STEPS), every: Duration::from_secs(5) },
        }
    }

    /// With so many steps downhill, 1 to 100,000. Default: 100.
    ///
    /// # Errors
    /// [`BadOrder`] when it is out of bounds.
    pub fn with_iterations(mut self, iterations: u64) -> Result<Self, BadOrder> {
        self.iterations = within("iterations", iterations, ITERATIONS_MAX)?;
        Ok(self)
    }

    /// With so many rows in each step, 1 to 256. Default: 4.
    ///
    /// # Errors
    /// [`BadOrder`] when it is out of bounds.
    pub fn with_batch_size(mut self, rows: u64) -> Result<Self, BadOrder> {
        self.batch_size = within("batch size", rows, BATCH_SIZE_MAX)?;
        Ok(self)
    }

    /// With steps about as long as this, above 0 and 1 at most, once they are warm. Default: 0.005, which suits small
    /// models.
    ///
    /// # Errors
    /// [`BadOrder`] when it is out of bounds.
    pub fn with_learning_rate(mut self, rate: f64) -> Result<Self, BadOrder> {
        if !(rate > 0.0 && rate <= 1.0) {
            return Err(BadOrder::LearningRate);
        }
        self.learning_rate = rate;
        Ok(self)
    }

    /// With an adapter of this rank. Default: 8, which counts twice.
    #[must_use]
    pub const fn with_rank(mut self, rank: Rank) -> Self {
        self.rank = rank;
        self
    }

    /// With about this share of the rows kept from learning, half of the questions at most; see
    /// [`held_out_rows`](trainyard_trajectories::held_out_rows). Default: a fifth.
    #[must_use]
    pub const fn with_held_out_share(mut self, share: f64) -> Self {
        self.held_out_share = share;
        self
    }

    /// A training that may take more memory than this is refused before it takes any. Default: 1 GiB.
    #[must_use]
    pub const fn with_memory_bytes(mut self, bytes: u64) -> Self {
        self.memory_bytes = bytes;
        self
    }

    /// With a checkpoint after so many iterations. Default: 20.
    #[must_use]
    pub const fn with_checkpoint_steps(mut self, steps: NonZeroU64) -> Self {
        self.rhythm.steps = Some(steps);
        self
    }

    /// With a checkpoint after so long, too, at the first step that ends then; less often where writing it takes longer
    /// than a twentieth of that. Default: 5 seconds; zero for after every step.
    #[must_use]
    pub const fn with_checkpoint_every(mut self, every: Duration) -> Self {
        self.rhythm.every = every;
        self
    }

    /// How much memory a training on so many rows takes at most, in bytes, beside what the process has anyway: the base,
    /// the adapter with its slopes and two means for each weight, and what the texts of a step leave for the way back.
    /// Where the base is made, that if it is more.
    ///
    /// ```
    /// use std::num::NonZeroUsize;
    /// use trainyard_finetune::{Order, Shape, Source};
    ///
    /// let order = Order::new(Source::Folder("base".into()));
    /// let bytes = |rows| order.training_bytes(&Shape::SMALL, rows, NonZeroUsize::MIN);
    /// assert!(bytes(500) < 64 << 20 && bytes(501) > bytes(500) && bytes(usize::MAX) == u64::MAX);
    /// ```
    #[must_use]
    pub fn training_bytes(&self, shape: &Shape, rows: usize, threads: NonZeroUsize) -> u64 {
        let Sizes { layers, width, heads, hidden, context, vocabulary, .. } = *shape.sizes();
        let (keys, rank) = (shape.key_width(), usize::from(self.rank.get()));
        let adapter = Lora::count(shape, self.rank);
        let layer = 6 * width + 2 * keys + 3 * hidden + heads * context + 7 * rank + 2;
        let token = layers * layer + 8 * width + 2 * keys + hidden + 2 * vocabulary + 2 * context;
        let making = matches!(self.base, Source::Made { .. });
        let (learning, batch) = if making { (shape.weights(), MAKING_BATCH) } else { (adapter, 0) };
        let groups = self.batch_size.max(batch).div_ceil(GROUP as u64);
        let at_work = groups.min(threads.get() as u64);
        let slopes = (groups + 1) * learning.max(adapter);
        let numbers = 3 * learning.max(2 * adapter) + slopes;
        let passes = at_work * (GROUP * context * token) as u64;
        let texts = (rows as u64).saturating_mul((2 * (context + 1) + TEXT_BYTES) as u64);
        (shape.bytes() + NUMBER_BYTES * (numbers + passes) + BESIDE_BYTES).saturating_add(texts)
    }
}

fn within(what: &'static str, value: u64, most: u64) -> Result<u64, BadOrder> {
    if (1..=most).contains(&value) { Ok(value) } else { Err(BadOrder::OutOfBounds { what, value, most }) }
}

/// Why an order makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadOrder {
    /// A count is too small or too large.
    #[error("{what}: {value} is not within 1 to {most}")]
    OutOfBounds {
        /// Which.
        what: &'static str,
        /// What it is.
        value: u64,
        /// The most it may be.
        most: u64,
    },
    /// The learning rate is no number, or too small or too large.
    #[error("the learning rate is not above 0 and at most 1")]
    LearningRate,
}

const ITERATIONS: u64 = 100;
const ITERATIONS_MAX: u64 = 100_000;
const BATCH_SIZE: u64 = 4;
const BATCH_SIZE_MAX: u64 = 256;
const LEARNING_RATE: f64 = 5e-3;
const MEMORY_BYTES: u64 = 1 << 30;
const CHECKPOINT_STEPS: u64 = 20;

const NUMBER_BYTES: u64 = 4;
/// What a text takes beside its tokens, and its row while it is being sorted out.
const TEXT_BYTES: usize = 160;
/// Buffers, plans, the losses, and what else is small.
const BESIDE_BYTES: u64 = 8 << 20;

#[cfg(test)]
mod tests {
    use trainyard_trainkit::Chance;

    use super::*;
    use crate::learn::{Asked, Desk, Places};
    use crate::model::Model;
    use crate::tokens::Text;

    #[test]
    fn what_a_training_holds_is_counted() {
        let shape = Shape::SMALL;
        let order = Order::new(Source::Folder("base".into())).with_batch_size(2).unwrap();
        let mut chance = Chance::new(1, 0);
        let model = Model::seeded(shape, &mut chance);
        let lora = Lora::seeded(&shape, order.rank, &mut chance);
        // as long as texts can be, and answers too
        let text = Text::new("", "", &"x".repeat(1_000), shape.sizes().context);
        let places = Places::default();
        let desk = Desk::new(&model, NonZeroUsize::MIN, &places);
        desk.slopes(Some(&lora), &[&text, &text], Asked::All);
        let held = places.numbers() + model.weights.len() + 4 * lora.weights.len();
        let counted = order.training_bytes(&shape, 0, NonZeroUsize::MIN) - BESIDE_BYTES;
        let held = NUMBER_BYTES * held as u64;
        assert!((held..2 * held).contains(&counted), "{counted}, of it {held}");
    }

    #[test]
    fn what_is_out_of_bounds_is_no_order() {
        let order = || Order::new(Source::Folder("base".into()));
        assert_eq!(
            order().with_iterations(0).unwrap_err().to_string(),
            "iterations: 0 is not within 1 to 100000"
        );
        assert_eq!(
            order().with_batch_size(257).unwrap_err().to_string(),
            "batch size: 257 is not within 1 to 256"
        );
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 1.1] {
            assert_eq!(order().with_learning_rate(rate), Err(BadOrder::LearningRate));
        }
        assert!(order().with_iterations(100_000).is_ok() && order().with_batch_size(256).is_ok());
    }
}
