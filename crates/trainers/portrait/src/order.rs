use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use trainyard_trainkit::Rhythm;

use crate::photo::BESIDE_BYTES as PHOTO_BESIDE_BYTES;
use crate::trainer::PHOTOS_MAX;
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
    /// drawn portraits come to 0.85 and more, pure noise of 64 pixels a side to 0.32, and noise of more pixels, or a bare
    /// wall, to 0.05 and less.
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

    /// How much memory a training on so many photos takes at most, in bytes, beside what the process has anyway: its
    /// weights, with their slopes and two means each, or with a checkpoint that it is read from; the views of one step;
    /// and the photos, of which more than 1,000 are refused. Or what one photo takes while it is read, where that is
    /// more. With the usual size and limits about 100 MiB.
    ///
    /// ```
    /// use trainyard_portrait::{Order, Size};
    ///
    /// let usual = Order::new();
    /// assert!(usual.with_size(Size::SMALL).training_bytes(10) < usual.training_bytes(10));
    /// ```
    #[must_use]
    pub fn training_bytes(&self, photos: usize) -> u64 {
        let weights = self.size.weights() * NUMBERS_PER_WEIGHT;
        let photos = photos.min(PHOTOS_MAX) as u64 * self.size.colours();
        let views = VIEWS * self.size.colours();
        let learning = (weights + views + photos) * NUMBER_BYTES;
        let Limits { file_bytes, memory_bytes, .. } = self.limits;
        let decoding = file_bytes.saturating_mul(2).saturating_add(memory_bytes);
        let reading = decoding.saturating_add(PHOTO_BESIDE_BYTES).saturating_add(photos * NUMBER_BYTES);
        learning.max(reading).saturating_add(BESIDE_BYTES)
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

const NUMBER_BYTES: u64 = 4;
/// A weight and its two means, and the same in a checkpoint while it is read; later a slope instead.
const NUMBERS_PER_WEIGHT: u64 = 3 + 3;
/// As many as are held together: a batch of pairs with all that comes of them.
const VIEWS: u64 = 320;
/// Codes, labels, and what else is small.
const BESIDE_BYTES: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::checkpoint;
    use crate::course::{Course, Desk, Lesson};
    use crate::made::Person;
    use crate::{Photo, Side};

    #[test]
    fn what_a_training_holds_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        for size in [Size::SMALL, Size::new(Side::new(40).unwrap(), 7, 5).unwrap()] {
            let photos = [0, 1].map(|number| Photo::of(&Person::new(1).photo(number, 40), size.side()));
            let lesson = Lesson { photos: &photos, size, total: 1, seed: 1, threads: NonZeroUsize::MIN };
            let mut course = Course::begun(&lesson);
            course.learn(&lesson, &mut Desk::new());
            let nets = [&course.auto.encoder, &course.auto.decoder];
            let weights: usize = nets.iter().map(|net| net.weights().len()).sum();
            assert_eq!(size.weights(), weights as u64);
            assert_eq!(size.colours(), course.auto.colours() as u64);
            let path = folder.path().join("state");
            checkpoint::write(&path, checkpoint::fingerprint(&lesson), &course).unwrap();
            let checkpoint = std::fs::metadata(&path).unwrap().len();
            let limits = Limits { file_bytes: 0, memory_bytes: 0, ..Limits::default() };
            let counted = Order::new().with_size(size).with_limits(limits).training_bytes(photos.len());
            let held = (16 * size.weights()).max(2 * checkpoint);
            assert!((held..held + (12 << 20)).contains(&counted), "{size:?}: {counted}, of it {held}");
        }
    }

    #[test]
    fn the_usual_training_takes_as_much_as_was_measured() {
        let mib = |order: Order, photos| order.training_bytes(photos) >> 20;
        assert!((90..110).contains(&mib(Order::new(), 10)), "{}", mib(Order::new(), 10));
        assert!(mib(Order::new(), 1_000) > mib(Order::new(), 10));
        let limits = Limits { memory_bytes: 1 << 30, ..Limits::default() };
        assert!(mib(Order::new().with_limits(limits), 10) > 1_024, "one photo may take more");
        let limits = Limits { memory_bytes: u64::MAX, ..Limits::default() };
        assert_eq!(Order::new().with_limits(limits).training_bytes(10), u64::MAX);
    }
}
