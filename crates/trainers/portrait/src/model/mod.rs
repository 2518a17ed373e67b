//! What a training hands over: the model of a group, with what it knows of each look.

mod error;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};
use trainyard_trainkit::{Chance, at_most, narrow, real, unseal, write_sealed};

pub use self::error::ModelError;
use crate::auto::Auto;
use crate::trainer::PHOTOS_MAX;
use crate::{Photo, Quality, Rendered};

/// The model of a group of photos, ready to render: also in another process, and after a restart.
///
/// A look is one of the photos that it was trained on; looks count from 0, in the order in which they were given.
#[derive(PartialEq)]
pub struct Portrait {
    quality: f64,
    auto: Auto,
    looks: Vec<Look>,
}

/// What it knows of one photo.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Look {
    pub(crate) label: String,
    /// The code of the photo, and then those of views near it.
    pub(crate) codes: Vec<f32>,
}

/// How a rendering is to differ from its look.
///
/// ```
/// use trainyard_portrait::Variation;
///
/// let variation = Variation::new(7).with_strength(0.5);
/// assert_ne!(variation, Variation::new(8));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Variation {
    seed: u64,
    strength: f32,
}

impl Variation {
    /// The one of a seed: another pose and another light, about as far from the look as views of it were that the model
    /// was trained on.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, strength: 1.0 }
    }

    /// So much further or nearer, 0 to 2; what is beyond counts as that, and NaN as 0. Default: 1; 0 is the look
    /// itself.
    #[must_use]
    pub const fn with_strength(mut self, strength: f32) -> Self {
        self.strength = if strength > 0.0 { strength.min(STRENGTH_MAX) } else { 0.0 };
        self
    }
}

/// What is in the file.
#[derive(Debug, Serialize, Deserialize)]
struct Stored<A, L> {
    quality: f64,
    auto: A,
    looks: L,
}

/// As many as a training takes, and none more: an empty one takes far more memory than bytes.
#[derive(Debug, Deserialize)]
struct Looks(#[serde(deserialize_with = "at_most::<PHOTOS_MAX, _, _>")] Vec<Look>);

impl Portrait {
    pub(crate) const fn new(quality: Quality, auto: Auto, looks: Vec<Look>) -> Self {
        Self { quality: quality.get(), auto, looks }
    }

    /// Writes a model file: all of it, durable at return, or nothing.
    pub(crate) fn save(&self, path: &Path) -> Result<(), ModelError> {
        let Self { quality, auto, looks } = self;
        let stored = Stored { quality: *quality, auto, looks };
        let written = write_sealed(path, MAGIC, FORMAT, |to| {
            postcard::to_io(&stored, to).map(|_| ()).map_err(io::Error::other)
        });
        written.map_err(ModelError::io("write the portrait model"))
    }

    /// Reads a model that a training has handed over.
    ///
    /// Something else, or something far too long, is told by its first bytes and its length. Models of every earlier
    /// format are read for ever.
    ///
    /// # Errors
    /// [`ModelError`] when it cannot be read, or is not as it was written.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let damaged = |what| ModelError::Damaged { what };
        let mut file = File::open(path).map_err(ModelError::io("open the portrait model"))?;
        let read = ModelError::io("read the portrait model");
        let mut bytes = Vec::new();
        let filled = (|| {
            let length = file.metadata()?.len();
            Read::by_ref(&mut file).take(MAGIC.len() as u64).read_to_end(&mut bytes)?;
            let is_read = bytes == *MAGIC && length <= BYTES_MAX;
            if is_read {
                file.take(BYTES_MAX).read_to_end(&mut bytes)?;
            }
            Ok(is_read)
        })();
        if !filled.map_err(read)? {
            return Err(damaged("its first bytes, or its length"));
        }
        let content = match unseal(MAGIC, FORMAT, &bytes) {
            Some(Ok(content)) => content,
            Some(Err(format)) => return Err(ModelError::UnknownFormat { format }),
            None => return Err(damaged("its checksum")),
        };
        let Ok((Stored { quality, auto, looks: Looks(looks) }, [])) =
            postcard::take_from_bytes::<Stored<Auto, Looks>>(content)
        else {
            return Err(damaged("its content"));
        };
        let portrait = Self { quality, auto, looks };
        if portrait.is_sound() { Ok(portrait) } else { Err(damaged("its numbers")) }
    }

    fn is_sound(&self) -> bool {
        let code = self.auto.code_len();
        let knows = |look: &Look| {
            !look.codes.is_empty()
                && look.codes.len().is_multiple_of(code)
                && look.codes.iter().copied().all(f32::is_finite)
        };
        self.auto.is_sound() && Quality::new(self.quality).is_ok() && self.looks.iter().all(knows)
    }
}

impl Portrait {
    /// What the looks are called, in the order in which they were given.
    #[must_use]
    pub fn looks(&self) -> Vec<&str> {
        self.looks.iter().map(|look| look.label.as_str()).collect()
    }

    /// How many pixels a side its pictures have.
    #[must_use]
    pub fn side(&self) -> usize {
        self.auto.side()
    }

    /// How well it was learned.
    #[must_use]
    pub const fn quality(&self) -> Quality {
        Quality::known(self.quality)
    }

    /// A look as the model knows it; `None` when there is no such look.
    #[must_use]
    pub fn render(&self, look: usize) -> Option<Rendered> {
        Some(self.show(self.code(look)?))
    }

    /// A look, slightly different; `None` when there is no such look.
    ///
    /// It moves in the space of codes, along the ways in which the codes of views near the photo differ among
    /// themselves, so it stays with what the model has seen.
    #[must_use]
    pub fn variation(&self, look: usize, variation: &Variation) -> Option<Rendered> {
        let mut code = self.code(look)?.to_vec();
        let nearby = &self.looks[look].codes[code.len()..];
        let count = real((nearby.len() / code.len()).max(1));
        let mut mean = vec![0.0; code.len()];
        for near in nearby.chunks_exact(code.len()) {
            mean.iter_mut().zip(near).for_each(|(sum, near)| *sum += f64::from(*near) / count);
        }
        let mut chance = Chance::new(variation.seed, 0);
        let step = f64::from(variation.strength) / count.sqrt();
        for near in nearby.chunks_exact(code.len()) {
            let far = step * normal(&mut chance);
            let ways = near.iter().zip(&mean).map(|(near, mean)| f64::from(*near) - mean);
            code.iter_mut().zip(ways).for_each(|(number, way)| *number += narrow(far * way));
        }
        Some(self.show(&code))
    }

    /// What lies so far on the way from one look to another, 0 to 1; what is beyond counts as that; `None` when there
    /// is no such look.
    #[must_use]
    pub fn between(&self, from: usize, to: usize, far: f32) -> Option<Rendered> {
        let far = if far > 0.0 { far.min(1.0) } else { 0.0 };
        let pairs = self.code(from)?.iter().zip(self.code(to)?);
        let code: Vec<f32> = pairs.map(|(from, to)| from + (to - from) * far).collect();
        Some(self.show(&code))
    }

    /// What the model makes of any photo; `None` when that has another side than [`Portrait::side`].
    #[must_use]
    pub fn reconstruct(&self, photo: &Photo) -> Option<Rendered> {
        let fits = photo.side().pixels() == self.side();
        fits.then(|| self.show(&self.auto.code(photo.pixels())))
    }

    /// The code of a look's photo.
    fn code(&self, look: usize) -> Option<&[f32]> {
        self.looks.get(look)?.codes.get(..self.auto.code_len())
    }

    fn show(&self, code: &[f32]) -> Rendered {
        Rendered::of(self.side(), &self.auto.picture(code))
    }
}

impl fmt::Debug for Portrait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let looks = self.looks();
        f.debug_struct("Portrait")
            .field("looks", &looks)
            .field("quality", &self.quality)
            .finish_non_exhaustive()
    }
}

/// About normal: of mean 0 and variance 1, and never beyond 3.5.
fn normal(chance: &mut Chance) -> f64 {
    let sum = chance.unit() + chance.unit() + chance.unit() + chance.unit();
    (sum - 2.0) * 1.732_050_807_568_877_2
}

const MAGIC: &[u8; 8] = b"TYARDPOR";
const FORMAT: u32 = 1;
/// The longest model file that is read: 256 MiB. One of the largest size has 202 MB, and looks come to that.
const BYTES_MAX: u64 = 256 << 20;
const STRENGTH_MAX: f32 = 2.0;

#[cfg(test)]
mod tests;
