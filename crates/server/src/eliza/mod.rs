//! elizaOS's trajectories and datasets: which there are, where their files lie, and how agents are trained on them.

mod archive;
mod benchmark;
mod bounded;
mod built_in;
mod catalog;
mod command;
mod config;
mod cpu;
mod datasets;
mod host;
mod judged;
mod lessons;
mod native;
mod ollama;
mod probe;
mod rows;
mod runs;
mod serve;
mod tending;
mod trainers;
mod translate;

pub(crate) use self::archive::{Archive, MADE_TOKEN};
pub(crate) use self::config::{ElizaConfig, MakeLearner, Measure, Way};
pub(crate) use self::serve::{Serving, queues, retentions, serve, trainers};

pub use self::benchmark::{ElizaBenchmark, ElizaFigures, ElizaModel, ValidateCommand};
pub use self::command::{BadElizaCommand, ElizaCommand, Presence};
pub use self::lessons::{ElizaLesson, ElizaLessons};
