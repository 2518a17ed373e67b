//! The pure model of trainyard: jobs, queues, contests and retrain rules as one state machine.
//!
//! Nothing in here reads a clock, draws a random number, does I/O or starts a thread: time, ids and chance are
//! arguments. A [`Yard`] is driven in three steps:
//!
//! 1. [`Yard::decide`] says what a [`Command`] would lead to, as a list of [`Fact`]s, and changes nothing;
//! 2. the caller makes the facts durable;
//! 3. [`Yard::apply`] takes them in. Live running and replay after a crash both come through here.
//!
//! [`Yard::handle`] does the first and third step for a command and for everything that follows from it, such as
//! the start of a job whose slot became free. [`Yard::next_deadline`] says when to come back with
//! [`Command::Tick`] at the latest.
//!
//! ```
//! use std::sync::Arc;
//! use trainyard_core::{
//!     Abilities, Class, Command, JobId, Kind, NodeId, Phase, Placement, QueueName, Resources, Subject, Submission,
//!     Timestamp, Yard,
//! };
//!
//! let mut yard = Yard::default();
//! let now = Timestamp::from_millis(0);
//! let kind = Kind::new("demo")?;
//! let abilities =
//!     Abilities { kinds: [(kind.clone(), Placement::InProcess)].into(), capacity: Resources::slots(1) };
//! yard.handle(now, &Command::JoinNode { node: NodeId::from_u128(1), abilities })?;
//!
//! let class = Arc::new(Class::new(kind, QueueName::new("default")?));
//! let job = JobId::from_u128(7);
//! yard.handle(now, &Command::Submit(Arc::new(Submission::new(job, Subject::new("index/1")?, class))))?;
//! assert!(matches!(yard.job(job).unwrap().phase, Phase::Running(_)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//!
//! `serde`: `Serialize` for what a user reads (progress, outcomes, decisions, explanations). What is stored or goes
//! over a wire has types of its own elsewhere.

mod command;
mod contest;
mod explain;
mod fact;
mod glance;
mod id;
mod job;
mod model;
mod name;
mod node;
pub mod port;
mod progress;
mod queue;
mod resources;
mod retrain;
mod retry;
mod score;
mod settings;
mod time;
mod yard;

pub use crate::command::{Answer, Command, Rejection, Run, RunEnd};
pub use crate::contest::{Candidate, CandidatePhase, Contest, ContestPlan, Entrant, Holder, MedianRule};
pub use crate::explain::Blocker;
pub use crate::fact::{Event, Fact, Interruption, Release, Restored, Template};
pub use crate::glance::Glance;
pub use crate::id::{Attempt, CandidateId, Epoch, JobId, Lease, ModelId, NodeId, Order};
pub use crate::job::{
    Admission, Admitted, Checkpoint, Class, Contact, Draining, Extras, Finished, Job, Leaving, Limits,
    Outcome, Parameters, ParametersTooLong, Phase, Running, Shown, Standing, Submission, TimedOut, Waiting,
};
pub use crate::model::{Model, Promotion, Reference, Trained};
pub use crate::name::{
    IdempotencyKey, Kind, Label, Metric, NameError, QueueName, Reason, Registry, Resource, Subject,
};
pub use crate::node::{Abilities, Node, Placement};
pub use crate::progress::{Gain, Mark, Metrics, PerformanceWindow, Progress, StallRule};
pub use crate::queue::{Priority, Queue, QueueSettings, Retention};
pub use crate::resources::Resources;
pub use crate::retrain::{
    Because, Decision, History, LISTS_MAX, Observation, RetrainRule, Switch, Trigger, Unmet, Verdict,
    optimal_lists,
};
pub use crate::retry::{Advice, Backoff, Failure, RetryPolicy};
pub use crate::score::{NotFinite, Score};
pub use crate::settings::Settings;
pub use crate::time::Timestamp;
pub use crate::yard::{Handled, Impossible, Rule, Ruling, Yard};
