//! Prompt optimisation against a language model that is reached over HTTP.
//!
//! [`train_prompt`] optimises the prompt of a task, as a run of a yard. It is given
//! [rows](trainyard_trajectories::Row), a [`LanguageModel`]
//! such as [`HttpModel`], and an [`Order`] that says with which [`Optimizer`], and within which bounds. What comes of it
//! is an [`Artifact`], with the verdict of the gate ([`judge`]) on whether it should take the place of the prompt in use.
//!
//! ```
//! use std::sync::Arc;
//! use trainyard_core::{Class, Kind, Outcome, QueueName, Subject, Submission};
//! use trainyard_journal::MemoryJournal;
//! use trainyard_prompt::{
//!     Artifact, Completion, InstructionSearch, LanguageModel, ModelError, Order, Request, train_prompt,
//! };
//! use trainyard_runtime::{Context, JobToTrain, Trainyard};
//! use trainyard_trajectories::Row;
//!
//! /// Shouts only when it is told to, and as a writer of prompts thinks of that.
//! struct Parrot;
//!
//! impl LanguageModel for Parrot {
//!     fn name(&self) -> &str {
//!         "parrot"
//!     }
//!
//!     fn complete(&self, request: &Request, _: &dyn Fn() -> bool) -> Result<Completion, ModelError> {
//!         let said = &request.messages[0].text;
//!         let text = if said.contains("<prompt>") {
//!             "<prompt>Repeat it, and shout.</prompt>".to_owned()
//!         } else if request.system.contains("shout") {
//!             format!("{said} indeed")
//!         } else {
//!             said.clone()
//!         };
//!         Ok(Completion { text, prompt_tokens: 9, completion_tokens: 3 })
//!     }
//! }
//!
//! let example = |number: usize| {
//!     let (user, expected) = (format!("polly {number}"), format!("polly {number} indeed"));
//!     Row::new(number.to_string(), "response", "Repeat it.", user, expected)
//! };
//! let examples: Vec<Row> = (0..10).map(example).collect();
//! let order = Order::new("response").with_optimizer(Arc::new(InstructionSearch::default()));
//! let trainer =
//!     move |cx: &mut Context, job: &JobToTrain| train_prompt(cx, job, &examples, &Parrot, &order);
//!
//! let folder = tempfile::tempdir()?;
//! let kind = Kind::new("prompt")?;
//! let builder = Trainyard::builder(folder.path()).journal(MemoryJournal::new());
//! let (yard, _) = builder.trainer(kind.clone(), trainer).start()?;
//! let class = Arc::new(Class::new(kind, QueueName::new("default")?));
//! let submission = Submission::new(yard.job_id(), Subject::new("eliza/task/response")?, class);
//! let job = yard.submit(submission).wait()?.job;
//! let Outcome::Completed { model: Some(model) } = yard.finished(job).wait()? else { panic!("it failed") };
//!
//! let model = yard.model(model).expect("it was just made");
//! let artifact = Artifact::open(&yard.artifact_path(&model)?)?;
//! assert_eq!((artifact.baseline.as_str(), artifact.prompt.as_str()), ("Repeat it.", "Repeat it, and shout."));
//! assert!(artifact.score > artifact.baseline_score && artifact.gate.promoted);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! There are four optimisers, [chosen by name](optimizer()) or given as values, and more can be written: [`Gepa`],
//! [`Mipro`], [`InstructionSearch`] and [`BootstrapFewShot`].
//!
//! What it keeps to:
//!
//! - A part of the examples is held back. Optimisers see the score on the others only; which prompt is the best, what is
//!   reported and what the gate judges is measured on those that were held back.
//! - No answer is paid for twice. Each is written down as soon as it is there, in a file that the checkpoint names, and a
//!   run that is resumed does its steps again with those answers: so it comes to the same result, and only what was in
//!   flight when the process was killed is asked again. A power cut may cost what the last wave of questions brought, four
//!   for each that is asked at once.
//! - A seed, the same examples and a model that answers the same mean the same result, for any number of calls at once.
//! - Everything has a bound: calls at once, the time and the bytes of each, tries and the waits between them, tokens,
//!   candidates, the length of prompts, and the file of answers, which has 256 MiB at most.
//! - Who is told to stop makes no further call, and [`HttpModel`] cuts off those that are in flight.
//! - A key is never shown. There is no TLS: a model that is not on this machine or its network belongs behind a proxy.

mod answers;
mod artifact;
mod bench;
mod caller;
mod gate;
mod model;
mod optimizer;
mod order;
mod prompt;
mod score;
mod shown;
mod tokens;
mod trainer;

pub use crate::artifact::{Ancestor, Artifact, ArtifactError};
pub use crate::bench::{Bench, Candidate};
pub use crate::caller::Ended;
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
