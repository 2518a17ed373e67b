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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use trainyard_trainkit::Chance;

    use super::*;
    use crate::Shape;
    use crate::model::Model;

    fn base(seed: u64) -> Base {
        Base::of(Model::seeded(Shape::SMALL, &mut Chance::new(seed, 0)))
    }

    fn saved(folder: &Path, base: &Base) -> (PathBuf, Lora) {
        let lora = Lora::seeded(base.shape(), Rank::new(3, 6.0).unwrap(), &mut Chance::new(5, 0));
        let story = Story {
            format: 1,
            base: "a base",
            base_sha256: base.digest(),
            seed: 1,
            rows: 2,
            held_out_rows: 1,
            iterations: 2,
            batch_size: 1,
            learning_rate: 0.1,
            held_out_loss: None,
            losses: &[2.0, 1.0],
        };
        let path = folder.join("adapter");
        save(&path, &lora, base, &story).unwrap();
        (path, lora)
    }

    #[test]
    fn an_adapter_is_read_as_it_was_written_and_beside_its_base_only() {
        let folder = tempfile::tempdir().unwrap();
        let (path, lora) = saved(folder.path(), &base(1));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        assert_eq!(Adapter::open(&path, &base(1)).unwrap(), Adapter { lora });
        let told = Adapter::open(&path, &base(2)).unwrap_err().to_string();
        assert_eq!(told, "the adapter was learned beside another base model");
        let config: serde_json::Value =
            serde_json::from_slice(&fs::read(path.join("adapter_config.json")).unwrap()).unwrap();
        assert_eq!(config["peft_type"], "LORA");
        assert_eq!(config["r"], 3);
        assert_eq!(config["target_modules"].as_array().unwrap().len(), 7);
        assert_eq!(lora_names(&path)[0], "base_model.model.model.layers.0.mlp.down_proj.lora_A.weight");
        let story: serde_json::Value =
            serde_json::from_slice(&fs::read(path.join("training.json")).unwrap()).unwrap();
        assert_eq!(story["losses"], serde_json::json!([2.0, 1.0]));
    }

    /// The names in the file, by another reader than ours.
    fn lora_names(path: &Path) -> Vec<String> {
        let bytes = fs::read(path.join(WEIGHTS)).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let mut names: Vec<String> = tensors.names().into_iter().map(str::to_owned).collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_no_adapter_of_ours_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (path, _) = saved(folder.path(), &base(1));
        let config = path.join("adapter_config.json");
        let whole = fs::read_to_string(&config).unwrap();
        for (from, to) in [
            ("\"r\": 3", "\"r\": 4"),
            ("\"r\": 3", "\"r\": 0"),
            ("\"r\": 3", "\"r\": 70000"),
            ("6.0", "-6.0"),
            ("\"use_dora\": false", "\"use_dora\": true"),
            ("\"r\": 3", "\"r\": 3, \"alpha_pattern\": {\"q_proj\": 32}"),
            ("\"r\": 3", "\"r\": 3, \"layers_to_transform\": 0"),
            ("\"r\": 3", "\"r\": 3, \"alora_invocation_tokens\": [259]"),
            ("\"q_proj\"", "\"lm_head\""),
            ("LORA", "IA3"),
            ("{", "["),
        ] {
            assert!(whole.contains(from), "{from} in {whole}");
            fs::write(&config, whole.replacen(from, to, 1)).unwrap();
            Adapter::open(&path, &base(1)).expect_err(to);
        }
        // What PEFT says besides, when it is not used, does no harm.
        let more = "\"r\": 3, \"alpha_pattern\": {}, \"modules_to_save\": null, \"lora_bias\": false, \"revision\": null";
        fs::write(&config, whole.replacen("\"r\": 3", more, 1)).unwrap();
        Adapter::open(&path, &base(1)).unwrap();
        fs::write(&config, vec![b' '; 1 << 20]).unwrap();
        let told = Adapter::open(&path, &base(1)).unwrap_err().to_string();
        assert!(told.ends_with("it has more than 65536 bytes"), "{told}");
        // Whatever cannot be written leaves nothing.
        fs::write(folder.path().join("file"), "").unwrap();
        base(1).save(&folder.path().join("file")).unwrap_err();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
