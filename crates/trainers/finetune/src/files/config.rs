use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use trainyard_trainkit::bytes_of;

use super::ModelError;
use crate::model::{Head, Linear, Rank, Shape, Sizes};
use crate::tokens;

/// The `config.json` of a llama, as far as it matters.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ModelConfig {
    #[serde(default)]
    architectures: Vec<String>,
    model_type: String,
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    head_dim: Option<usize>,
    max_position_embeddings: usize,
    #[serde(default = "silu")]
    hidden_act: String,
    #[serde(default = "usual_wave_base")]
    rope_theta: f64,
    /// Where newer files say how waves are; `rope_theta` is for older ones.
    #[serde(default, skip_serializing)]
    rope_parameters: Option<WaveConfig>,
    #[serde(default, skip_serializing)]
    rope_scaling: Option<Value>,
    #[serde(default = "usual_norm_least")]
    rms_norm_eps: f64,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    #[serde(default)]
    bos_token_id: Value,
    #[serde(default)]
    eos_token_id: Value,
}

#[derive(Debug, Deserialize)]
struct WaveConfig {
    rope_theta: f64,
    #[serde(default = "plain")]
    rope_type: String,
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
}

impl ModelConfig {
    pub(crate) fn of(shape: &Shape) -> Self {
        let Sizes {
            layers,
            width,
            heads,
            key_heads,
            hidden,
            context,
            vocabulary,
            head,
            wave_base,
            norm_least,
        } = *shape.sizes();
        Self {
            architectures: vec!["LlamaForCausalLM".to_owned()],
            model_type: LLAMA.to_owned(),
            vocab_size: vocabulary,
            hidden_size: width,
            intermediate_size: hidden,
            num_hidden_layers: layers,
            num_attention_heads: heads,
            num_key_value_heads: Some(key_heads),
            head_dim: None,
            max_position_embeddings: context,
            hidden_act: silu(),
            rope_theta: wave_base,
            rope_parameters: None,
            rope_scaling: None,
            rms_norm_eps: norm_least,
            tie_word_embeddings: head == Head::Tied,
            attention_bias: false,
            mlp_bias: false,
            bos_token_id: tokens::BEGIN.into(),
            eos_token_id: tokens::END.into(),
        }
    }

    /// The shape that it says, when that is one of ours.
    pub(crate) fn shape(&self) -> Result<Shape, ModelError> {
        let unsupported = |what: String| Err(ModelError::Unsupported { file: MODEL_CONFIG, what });
        if self.model_type != LLAMA || self.hidden_act != silu() {
            return unsupported("it is no llama with gates of silu".to_owned());
        }
        let waves = self.rope_parameters.as_ref();
        let are_plain = waves.is_none_or(|waves| waves.rope_type == plain() && waves.more.is_empty());
        if self.attention_bias || self.mlp_bias || self.rope_scaling.is_some() || !are_plain {
            return unsupported("it has biases, or scaled waves".to_owned());
        }
        if self
            .head_dim
            .is_some_and(|width| width.checked_mul(self.num_attention_heads) != Some(self.hidden_size))
        {
            return unsupported("its heads are not as wide as the model altogether".to_owned());
        }
        if self.vocab_size != tokens::COUNT {
            let count = self.vocab_size;
            let what =
                format!("it has {count} tokens; here a token is a byte or a mark, {} of them", tokens::COUNT);
            return unsupported(what);
        }
        let sizes = Sizes {
            layers: self.num_hidden_layers,
            width: self.hidden_size,
            heads: self.num_attention_heads,
            key_heads: self.num_key_value_heads.unwrap_or(self.num_attention_heads),
            hidden: self.intermediate_size,
            context: self.max_position_embeddings.min(CONTEXT_MAX),
            vocabulary: self.vocab_size,
            head: if self.tie_word_embeddings { Head::Tied } else { Head::Own },
            wave_base: waves.map_or(self.rope_theta, |waves| waves.rope_theta),
            norm_least: self.rms_norm_eps,
        };
        Shape::new(sizes).map_err(|source| ModelError::Shape { file: MODEL_CONFIG, source })
    }
}

/// The `adapter_config.json` that PEFT knows, as far as it matters.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AdapterConfig {
    peft_type: String,
    task_type: Option<String>,
    base_model_name_or_path: Option<String>,
    r: u16,
    lora_alpha: f32,
    #[serde(default)]
    lora_dropout: f32,
    #[serde(default = "none")]
    bias: String,
    #[serde(default)]
    fan_in_fan_out: bool,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    use_dora: bool,
    target_modules: BTreeSet<String>,
    #[serde(default)]
    inference_mode: bool,
    #[serde(flatten, skip_serializing)]
    more: BTreeMap<String, Value>,
}

impl AdapterConfig {
    pub(crate) fn of(rank: Rank, base: &str) -> Self {
        Self {
            peft_type: LORA.to_owned(),
            task_type: Some("CAUSAL_LM".to_owned()),
            base_model_name_or_path: Some(base.to_owned()),
            r: rank.get(),
            lora_alpha: rank.alpha(),
            lora_dropout: 0.0,
            bias: none(),
            fan_in_fan_out: false,
            use_rslora: false,
            use_dora: false,
            target_modules: modules(),
            inference_mode: true,
            more: BTreeMap::new(),
        }
    }

    /// The rank that it says, when it is an adapter of ours.
    pub(crate) fn rank(&self) -> Result<Rank, ModelError> {
        let is_plain = self.peft_type == LORA
            && self.bias == none()
            && !(self.fan_in_fan_out || self.use_rslora || self.use_dora)
            && self.target_modules == modules()
            && CHANGES.iter().all(|name| self.more.get(*name).is_none_or(is_nothing));
        let rank = Rank::new(self.r, self.lora_alpha).filter(|_| is_plain);
        rank.ok_or_else(|| ModelError::Unsupported {
            file: ADAPTER_CONFIG,
            what: "it is no plain LoRA beside all matrices of each layer".to_owned(),
        })
    }
}

/// Reads a small JSON file.
pub(crate) fn read_json<T: DeserializeOwned>(folder: &Path, file: &'static str) -> Result<T, ModelError> {
    let bytes = bytes_of(&folder.join(file), CONFIG_BYTES_MAX + 1)
        .map_err(ModelError::io("read the configuration"))?;
    if bytes.len() as u64 > CONFIG_BYTES_MAX {
        return Err(ModelError::damaged(file, format!("it has more than {CONFIG_BYTES_MAX} bytes")));
    }
    serde_json::from_slice(&bytes).map_err(|error| ModelError::damaged(file, error.to_string()))
}

/// Whether it says that something is not used.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(values) => values.is_empty(),
        Value::Object(values) => values.is_empty(),
        Value::Bool(true) | Value::Number(_) | Value::String(_) => false,
    }
}

fn modules() -> BTreeSet<String> {
    let last = |linear: Linear| linear.name().rsplit('.').next().unwrap_or_default().to_owned();
    Linear::ALL.map(last).into_iter().collect()
}

fn silu() -> String {
    "silu".to_owned()
}

fn plain() -> String {
    "default".to_owned()
}

fn none() -> String {
    "none".to_owned()
}

const fn usual_wave_base() -> f64 {
    10_000.0
}

const fn usual_norm_least() -> f64 {
    1e-6
}

const LLAMA: &str = "llama";
const LORA: &str = "LORA";
/// What an adapter may have besides, and would then count otherwise, or elsewhere.
const CHANGES: [&str; 8] = [
    "alora_invocation_tokens",
    "alpha_pattern",
    "layer_replication",
    "layers_to_transform",
    "lora_bias",
    "modules_to_save",
    "rank_pattern",
    "use_qalora",
];
pub(crate) const MODEL_CONFIG: &str = "config.json";
pub(crate) const ADAPTER_CONFIG: &str = "adapter_config.json";
/// 64 KiB.
const CONFIG_BYTES_MAX: u64 = 64 << 10;
/// Of a longer context no more is used.
const CONTEXT_MAX: usize = 4_096;
