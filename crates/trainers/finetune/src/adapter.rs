//! What was learned beside a base model.

use std::fs;
use std::io;
use std::path::Path;

use serde::Serialize;

use crate::Base;
use crate::base::hex;
use crate::files::{ADAPTER_CONFIG, AdapterConfig, ModelError, Stored, beside, read_json, write, write_json};
use crate::model::{Lora, Rank};

/// What was learned beside a base model: a LoRA adapter.
///
/// Its folder is one that PEFT knows: `adapter_config.json` and `adapter_model.safetensors`; and `training.json`, which
/// says how it was learned.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapter {
    pub(crate) lora: Lora,
}

impl Adapter {
    /// The adapter in a folder, for this base.
    ///
    /// # Errors
    /// [`ModelError`] when there is none, or it is damaged, of another base, or of a sort that is not known. Sizes and
    /// lengths are looked at before memory is taken.
    pub fn open(folder: &Path, base: &Base) -> Result<Self, ModelError> {
        let config: AdapterConfig = read_json(folder, ADAPTER_CONFIG)?;
        let rank = config.rank()?;
        let tensors = Lora::tensors_of(base.shape(), rank);
        let stored = Stored::open(&folder.join(WEIGHTS), WEIGHTS, &tensors)?;
        if stored.note(BASE).is_some_and(|digest| digest != base.digest()) {
            return Err(ModelError::OtherBase);
        }
        let mut lora = Lora::flat(base.shape(), rank);
        stored.read(&mut lora.weights)?;
        Ok(Self { lora })
    }

    /// Its rank.
    #[must_use]
    pub const fn rank(&self) -> Rank {
        self.lora.rank()
    }
}

/// How an adapter was learned.
#[derive(Debug, Serialize)]
pub(crate) struct Story<'a> {
    pub(crate) format: u32,
    pub(crate) base_sha256: String,
    pub(crate) base: &'a str,
    pub(crate) seed: u64,
    pub(crate) rows: usize,
    pub(crate) held_out_rows: usize,
    pub(crate) iterations: u64,
    pub(crate) batch_size: u64,
    pub(crate) learning_rate: f64,
    pub(crate) held_out_loss: Option<f64>,
    pub(crate) losses: &'a [f32],
}

/// Writes an adapter's folder: all of it, or nothing.
pub(crate) fn save(folder: &Path, lora: &Lora, base: &Base, story: &Story<'_>) -> io::Result<()> {
    let beside = beside(folder);
    let written = (|| {
        fs::create_dir_all(&beside)?;
        let digest = hex(&base.digest);
        write(&beside.join(WEIGHTS), &lora.tensors, &lora.weights, (BASE, &digest))?;
        write_json(&beside.join(ADAPTER_CONFIG), &AdapterConfig::of(lora.rank(), story.base))?;
        write_json(&beside.join(STORY), story)?;
        fs::rename(&beside, folder)
    })();
    written.inspect_err(|_| {
        let _ = fs::remove_dir_all(&beside); // what is half there helps nobody
    })
}

const WEIGHTS: &str = "adapter_model.safetensors";
const STORY: &str = "training.json";
/// Which base it was learned beside.
const BASE: &str = "base_sha256";
