//! LoRA adapters for a small language model, trained on the processor, and a benchmark.
mod adapter;
mod base;
mod benchmark;
mod checkpoint;
mod files;
mod learn;
mod lesson;
pub mod made;
mod model;
mod order;
mod speak;
mod tokens;
mod trainer;

pub use crate::adapter::Adapter;
pub use crate::base::{Base, Recipe};
pub use crate::benchmark::{Benchmark, NoScores, Scores, similarity};
pub use crate::files::ModelError;
pub use crate::model::{Head, NoShape, Rank, Shape, Sizes};
pub use crate::order::{BadOrder, Order, Source};
pub use crate::speak::Speech;
pub use crate::trainer::train_adapter;
