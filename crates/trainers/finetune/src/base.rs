//! Models that adapters are learned beside: from a folder, or made from scratch.

use std::fmt::Write;
use std::fs;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::Path;

use sha2::{Digest, Sha256};
use trainyard_trainkit::Chance;

use crate::files::{ModelConfig, ModelError, Stored, read_json, write};
use crate::learn::{Asked, Desk, Downhill, Places, rate};
use crate::made::talk;
use crate::model::{Model, Shape};
use crate::tokens::Text;

/// A language model to learn an adapter beside. It stays as it is.
///
/// Its folder is one of a llama: `config.json`, and `model.safetensors` with numbers of 32 or 16 bits under llama's
/// names. Its tokens are bytes and marks, 264 of them, so it needs no vocabulary.
#[derive(Debug, Clone, PartialEq)]
pub struct Base {
    pub(crate) model: Model,
    pub(crate) digest: [u8; 32],
}

impl Base {
    /// The model in a folder, if it and its weights take no more memory than this.
    ///
    /// # Errors
    /// [`ModelError`] when there is none, or it is damaged, too large, or of a sort that is not known. Sizes and lengths
    /// are looked at before memory is taken.
    pub fn open(folder: &Path, bytes_max: u64) -> Result<Self, ModelError> {
        let shape = Self::shape_in(folder)?;
        let bytes = shape.bytes();
        if bytes > bytes_max {
            return Err(ModelError::TooLarge { bytes, bytes_max });
        }
        let tensors = Model::tensors_of(&shape);
        let stored = Stored::open(&folder.join(WEIGHTS), WEIGHTS, &tensors)?;
        let mut model = Model::flat(shape);
        stored.read(&mut model.weights)?;
        Ok(Self::of(model))
    }

    /// The shape of the model in a folder, of which nothing but its configuration is read.
    pub(crate) fn shape_in(folder: &Path) -> Result<Shape, ModelError> {
        read_json::<ModelConfig>(folder, crate::files::MODEL_CONFIG)?.shape()
    }

    /// Makes a model from scratch: weights by chance, which then learn to foresee [small talk](crate::made) byte by byte.
    /// `goes_on` is told the loss of each step, and says whether to take the next; `None` when it does not.
    ///
    /// A recipe means the same model, bit by bit, for any number of threads.
    ///
    /// ```
    /// use trainyard_finetune::{Base, Recipe, Shape};
    ///
    /// let recipe = Recipe::new(7).with_steps(3.try_into()?);
    /// let mut losses = Vec::new();
    /// let base = Base::make(&recipe, 1.try_into()?, &mut |loss| {
    ///     losses.push(loss);
    ///     true
    /// });
    /// let base = base.expect("it went on");
    /// assert_eq!(losses.len(), 3);
    /// let folder = tempfile::tempdir()?;
    /// base.save(&folder.path().join("base"))?;
    /// assert_eq!(Base::open(&folder.path().join("base"), 1 << 20)?, base);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn make(
        recipe: &Recipe,
        threads: NonZeroUsize,
        goes_on: &mut dyn FnMut(f64) -> bool,
    ) -> Option<Self> {
        let Recipe { shape, steps, seed } = *recipe;
        let mut model = Model::seeded(shape, &mut Chance::new(seed, WEIGHTS_STREAM));
        let mut downhill = Downhill::new(model.weights.len());
        let places = Places::default();
        for step in 0..steps.get() {
            let texts: Vec<Text> = (step * BATCH..(step + 1) * BATCH)
                .map(|n| {
                    let talk = talk(seed, n);
                    Text::new(&talk.system, &talk.user, &talk.answer, shape.sizes().context)
                })
                .collect();
            let texts: Vec<&Text> = texts.iter().collect();
            let (loss, mut slopes) = Desk::new(&model, threads, &places).slopes(None, &texts, Asked::All);
            downhill.descend(&mut model.weights, &mut slopes, rate(step, steps.get(), RATE));
            if !goes_on(loss) {
                return None;
            }
        }
        Some(Self::of(model))
    }

    /// Writes the folder: all of it, or nothing.
    ///
    /// # Errors
    /// [`ModelError::Io`] when the disk refuses, or there is a folder of that name with something in it.
    pub fn save(&self, folder: &Path) -> Result<(), ModelError> {
        let beside = crate::files::beside(folder);
        let written = (|| {
            fs::create_dir_all(&beside)?;
            write(&beside.join(WEIGHTS), self.model.tensors(), &self.model.weights, ("format", "pt"))?;
            crate::files::write_json(
                &beside.join(crate::files::MODEL_CONFIG),
                &ModelConfig::of(self.shape()),
            )?;
            fs::rename(&beside, folder)
        })();
        written.map_err(|source| {
            let _ = fs::remove_dir_all(&beside); // what is half there helps nobody
            ModelError::Io { operation: "write the model", source }
        })
    }

    /// Its sizes.
    #[must_use]
    pub const fn shape(&self) -> &Shape {
        self.model.shape()
    }

    /// A digest of its sizes and weights, in hexadecimal digits; an adapter names the base it was learned beside by it.
    #[must_use]
    pub fn digest(&self) -> String {
        hex(&self.digest)
    }

    pub(crate) fn of(model: Model) -> Self {
        let mut digest = Sha256::new();
        for number in model.shape().digits() {
            digest.update(number.to_le_bytes());
        }
        let mut bytes = Vec::with_capacity(4 * SLICE);
        for numbers in model.weights.chunks(SLICE) {
            bytes.clear();
            bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
            digest.update(&bytes);
        }
        Self { digest: digest.finalize().into(), model }
    }
}

/// How a base model is made from scratch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recipe {
    pub(crate) shape: Shape,
    pub(crate) steps: NonZeroU64,
    pub(crate) seed: u64,
}

impl Recipe {
    /// [`Shape::SMALL`], in 300 steps of 16 talks each, from this seed: some ten seconds on one core.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { shape: Shape::SMALL, steps: STEPS, seed }
    }

    /// Of this shape. Default: [`Shape::SMALL`].
    ///
    /// # Errors
    /// [`ModelError::Unsupported`] for one of other tokens than bytes and marks.
    pub fn with_shape(mut self, shape: Shape) -> Result<Self, ModelError> {
        ModelConfig::of(&shape).shape()?;
        self.shape = shape;
        Ok(self)
    }

    /// In so many steps. Default: 300.
    #[must_use]
    pub const fn with_steps(mut self, steps: NonZeroU64) -> Self {
        self.steps = steps;
        self
    }

    /// A name that no other recipe has.
    pub(crate) fn name(&self) -> String {
        let mut digest = Sha256::new();
        for number in self.shape.digits().into_iter().chain([self.steps.get(), self.seed]) {
            digest.update(number.to_le_bytes());
        }
        format!("base-{}", &hex(&digest.finalize())[..32])
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a text takes everything");
        text
    })
}

const STEPS: NonZeroU64 = NonZeroU64::MIN.saturating_add(299);
const WEIGHTS: &str = "model.safetensors";
/// Talks of a step.
pub(crate) const BATCH: u64 = 16;
const RATE: f64 = 4e-3;
/// Talks take the streams from 0.
const WEIGHTS_STREAM: u64 = 1 << 60;
/// Numbers that are digested at once.
const SLICE: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_that_cannot_be_used_is_refused_before_it_takes_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("base");
        Base::of(Model::seeded(Shape::SMALL, &mut Chance::new(1, 0))).save(&path).unwrap();
        let config = path.join("config.json");
        let whole = fs::read_to_string(&config).unwrap();
        let told = |from: &str, to: &str| {
            assert!(whole.contains(from), "{from} in {whole}");
            fs::write(&config, whole.replacen(from, to, 1)).unwrap();
            Base::open(&path, 1 << 30).unwrap_err().to_string()
        };
        // Sizes whose weights would take more than the machine has; no more is read than the head of the file.
        let huge = "\"num_hidden_layers\": 64, \"head_dim\": null, \"x\": 0";
        assert!(told("\"num_hidden_layers\": 2", huge).contains("there is no model.layers.2."));
        let wide = told("\"intermediate_size\": 172", "\"intermediate_size\": 16384");
        assert!(wide.contains("should be [16384, 64], not [172, 64]"), "{wide}");
        assert!(
            told("\"intermediate_size\": 172", "\"intermediate_size\": 16385").ends_with("make no model")
        );
        assert!(told("\"hidden_size\": 64", "\"hidden_size\": -1").contains("config.json is damaged"));
        assert!(told("264", "32000").ends_with("here a token is a byte or a mark, 264 of them"));
        assert!(told("\"llama\"", "\"gpt2\"").ends_with("it is no llama with gates of silu"));
        assert!(
            told("\"mlp_bias\": false", "\"mlp_bias\": true").ends_with("it has biases, or scaled waves")
        );
        let waves =
            "\"rope_parameters\": {\"rope_theta\": 500.0, \"rope_type\": \"linear\", \"factor\": 2.0}";
        assert!(told("\"rope_theta\": 10000.0", waves).ends_with("it has biases, or scaled waves"));
        let waves = "\"rope_parameters\": {\"rope_theta\": 500.0, \"rope_type\": \"default\"}";
        fs::write(&config, whole.replacen("\"rope_theta\": 10000.0", waves, 1)).unwrap();
        assert_eq!(Base::open(&path, 1 << 30).unwrap().shape().sizes().wave_base, 500.0);
        fs::write(&config, &whole).unwrap();
        let told = Base::open(&path, 100_000).unwrap_err().to_string();
        let needed = Shape::SMALL.bytes();
        assert_eq!(told, format!("the model takes {needed} bytes of memory, at most 100000 are allowed"));
        assert!(Base::open(&folder.path().join("none"), 1 << 30).unwrap_err().is_io());
    }

    #[test]
    fn a_recipe_means_the_same_model_for_any_number_of_threads() {
        let recipe = Recipe::new(3).with_steps(NonZeroU64::new(2).unwrap());
        let make = |threads| Base::make(&recipe, NonZeroUsize::new(threads).unwrap(), &mut |_| true).unwrap();
        let alone = make(1);
        assert_eq!(make(3), alone);
        let other = Base::make(&Recipe { seed: 4, ..recipe }, NonZeroUsize::MIN, &mut |_| true).unwrap();
        assert_ne!(other.digest(), alone.digest());
        assert_ne!(Recipe { seed: 4, ..recipe }.name(), recipe.name());
        let mut left = 1;
        let stopped = Base::make(&recipe, NonZeroUsize::MIN, &mut |_| {
            left -= 1;
            left > 0
        });
        assert_eq!((stopped, left), (None, 0));
        let mut sizes = *Shape::SMALL.sizes();
        sizes.vocabulary = 300;
        assert!(recipe.with_shape(Shape::new(sizes).unwrap()).is_err());
    }
}
