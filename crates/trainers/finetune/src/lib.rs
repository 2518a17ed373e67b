//! LoRA adapters for a small language model, trained on the processor, and a benchmark.
mod model;
mod tokens;

pub use crate::model::{Head, NoShape, Rank, Shape, Sizes};
