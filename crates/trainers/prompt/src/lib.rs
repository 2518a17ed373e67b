//! Prompt optimisation against a language model that is reached over HTTP.

mod answers;
mod artifact;
mod bench;
mod caller;
mod example;
mod gate;
mod model;
mod optimizer;
mod order;
mod prompt;
mod score;
mod tokens;
mod trainer;

pub use crate::artifact::{Ancestor, Artifact, ArtifactError};
pub use crate::bench::{Bench, Candidate};
pub use crate::caller::Ended;
pub use crate::example::Example;
pub use crate::gate::{Verdict, judge};
pub use crate::model::{
    Api, ApiKey, BadEndpoint, Completion, Endpoint, HttpModel, LanguageModel, Message, ModelError, Patience,
    Request, Role,
};
pub use crate::optimizer::{
    BootstrapFewShot, Crossover, Gepa, InstructionSearch, Mipro, Optimizer, UnknownOptimizer, optimizer,
};
pub use crate::order::Order;
pub use crate::prompt::{Demo, Prompt};
pub use crate::score::Compare;
pub use crate::tokens::tokens;
pub use crate::trainer::train_prompt;
