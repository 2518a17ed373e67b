use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use trainyard_trainkit::Rhythm;

use crate::{Limits, Quality, Size};

/// One photo to train on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// What the look is called, in the model and when something is wrong with it; an id will do. At most 256 bytes
    /// count.
    pub label: String,
}

impl Source {
    /// A photo and what it is called.
    pub fn new(path: impl Into<PathBuf>, label: impl Into<String>) -> Self {
        Self { path: path.into(), label: label.into() }
    }

    /// What counts of the label.
    pub(crate) fn label(&self) -> &str {
        &self.label[..self.label.floor_char_boundary(LABEL_BYTES_MAX)]
    }
}

/// How a portrait is trained, what must come of it, and how often it makes sure of what it has learned.
///
/// ```
/// use trainyard_portrait::{Order, Quality, Size};
///
/// let order = Order::new().with_size(Size::SMALL).with_quality_min(Quality::new(0.8)?);
/// assert_ne!(order, Order::default());
/// # Ok::<(), trainyard_portrait::NoQuality>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Order {
    pub(crate) size: Size,
    steps: Option<NonZeroU64>,
    pub(crate) quality_min: Quality,
    pub(crate) limits: Limits,
    pub(crate) rhythm: Rhythm,
}

impl Order {
    /// [`Size::USUAL`], 180 steps and 4 more for each photo, a quality of at least 0.65, the usual [`Limits`], and a
    /// checkpoint every 5 seconds.
    #[must_use]
    pub fn new() -> Self {
        Self {
            size: Size::USUAL,
            steps: None,
            quality_min: Quality::known(QUALITY_MIN),
            limits: Limits::default(),
            rhythm: Rhythm { steps: None, every: Duration::from_secs(5) },
        }
    }

    /// With a model of this size. Default: [`Size::USUAL`].
    #[must_use]
    pub const fn with_size(mut self, size: Size) -> Self {
        self.size = size;
        self
    }

    /// With so many steps, each on 32 views of the photos. Default: 180, and 4 more for each photo, 600 at most.
    #[must_use]
    pub const fn with_steps(mut self, steps: NonZeroU64) -> Self {
        self.steps = Some(steps);
        self
    }

    /// A model below this quality is not handed over; the run fails. Default: 0.65. With the usual size and steps,
    /// drawn portraits come to 0.86 and more, and pure noise to 0.6 and less.
    #[must_use]
    pub const fn with_quality_min(mut self, quality: Quality) -> Self {
        self.quality_min = quality;
        self
    }

    /// Photos beyond these limits fail the run.
    #[must_use]
    pub const fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// With a checkpoint after so long, at the first step that ends then: what a crash costs. It is written less
    /// often where it takes longer than a twentieth of that. Default: 5 seconds; zero for after every step.
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

    /// How many steps it takes for so many photos.
    pub(crate) fn total(&self, photos: usize) -> u64 {
        let usual = STEPS + STEPS_PER_PHOTO.saturating_mul(photos as u64);
        self.steps.map_or(usual.min(STEPS_MAX), NonZeroU64::get)
    }
}

impl Default for Order {
    fn default() -> Self {
        Self::new()
    }
}

const QUALITY_MIN: f64 = 0.65;
const STEPS: u64 = 180;
const STEPS_PER_PHOTO: u64 = 4;
const STEPS_MAX: u64 = 600;
const LABEL_BYTES_MAX: usize = 256;
