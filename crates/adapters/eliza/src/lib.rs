//! elizaOS's Training API over a trainyard.

mod host;
mod ollama;
mod parameters;

pub use crate::host::{
    Absence, AutoConfig, Backend, Benchmark, Build, Dataset, DatasetId, Host, HostError, Import, Imported,
    Ingested, LlmCall, ModelNotes, Page, ProviderAccess, Refused, RunNotes, Runtime, Scores, Shelf, Task,
    TaskConfig, Trajectory, TrajectoryRow, TrajectoryStatus,
};
pub use crate::ollama::OllamaUrl;
pub use crate::parameters::{Source, TrainParameters};
