//! The training orchestrator you embed: a durable queue of training jobs, a scheduler, automatic retraining,
//! contests between algorithms, live progress and a model registry, in your own process and one folder.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use trainyard::{Class, Context, JobToTrain, Kind, Outcome, Progress, QueueName, Subject, Submission};
//!
//! # let dir = std::env::temp_dir().join(format!("trainyard-tour-{}", std::process::id()));
//! let kind = Kind::new("count")?;
//! let trainer = |cx: &mut Context, _job: &JobToTrain| {
//!     for step in cx.resume_from()..10 {
//!         cx.report(Progress::step(step, 10))?; // says when to stop
//!     }
//!     std::fs::write(cx.dir()?.join("model"), "ten")?;
//!     cx.trained("model")
//! };
//! let (yard, report) = trainyard::open(&dir).trainer(kind.clone(), trainer).start()?;
//! println!("{report}"); // 0 attempts interrupted and requeued, ..
//!
//! let class = Arc::new(Class::new(kind, QueueName::new("default")?));
//! let asked = yard.submit(Submission::new(yard.job_id(), Subject::new("index/1")?, class)).wait()?;
//! let Outcome::Completed { model: Some(model) } = yard.finished(asked.job).wait()? else { panic!() };
//! let model = yard.model(model).expect("it is in the registry");
//! assert_eq!(std::fs::read_to_string(yard.artifact_path(&model)?)?, "ten");
//! yard.shutdown(Duration::from_secs(5)).wait()?;
//! # std::fs::remove_dir_all(dir)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The tour
//!
//! **Opening.** [`open`] gives a [`Builder`]: tell it which [`Trainer`] trains which [`Kind`], and how many jobs run
//! at once ([`Builder::slots`], or [`Builder::capacity`] for other resources). [`Builder::start`] rebuilds the yard
//! from its journal and returns an [`OpenReport`]: what the last process left running is in line again, at once.
//!
//! **Submitting.** A [`Submission`] names a [`Subject`], the thing that gets trained, and a [`Class`]: kind, queue,
//! resources, [`Limits`], [`RetryPolicy`], [`Promotion`]. One subject is never trained twice at a time; what happens
//! to a second request is its [`Admission`].
//!
//! **Asking.** Every command returns a [`Ticket`], which is answered when its effect is on disk, and not before. Wait
//! for it on a thread, or await it; no async runtime is needed. [`Trainyard::finished`] waits for an outcome,
//! [`Trainyard::subscribe`] tells every change, [`Trainyard::read`] looks at the whole committed [`Yard`], and
//! [`Yard::explain`] says why a job waits.
//!
//! **Training.** A trainer has a [`Context`]. A [report](Context::report) shows progress and says when to
//! [`Stop`]; a [checkpoint](Context::checkpoint) is where the job goes on after a crash or a shutdown. Files go into
//! [`Context::dir`], which is removed when no record needs it any more.
//!
//! **Stopping.** Each job may have a time limit, a queue time limit and a [`StallRule`]. A trainer that does not stop
//! when it is told to is fenced off after [`Limits::grace`]: whatever it still says is refused.
//!
//! **Contests.** A submission with a [`ContestPlan`] trains several candidates at once; the first that reports the
//! target wins, the others are superseded.
//!
//! **Retraining.** [`Trainyard::set_rule`] gives a subject a [`RetrainRule`]; [`Trainyard::observe`] asks it. Its
//! [`Decision`] says why it fired, or exactly what is missing.
//!
//! **Models.** A completed job registers a [`Model`]; of each [`Registry`] one is active.
//!
//! **Simulating.** The [`Yard`] itself is pure: time, ids and chance are arguments, so months of it run in
//! milliseconds. Start there to test a policy.
//!
//! # Features
//!
//! `serde`: `Serialize` for what a user reads (progress, outcomes, decisions, explanations).

use std::path::PathBuf;

pub use trainyard_core::*;
pub use trainyard_runtime::*;

/// The log that a yard is written to: the trait, its turns, and a journal in memory.
pub mod journal {
    pub use trainyard_journal::*;
}

/// The embedded journal: one SQLite file.
pub mod sqlite {
    pub use trainyard_sqlite::*;
}

/// A yard that keeps everything in this folder: its journal in `yard.sqlite`, the files of attempts in `work`.
///
/// The folder is made when it is not there. One process at a time has it; another one is refused and told who.
pub fn open(data_dir: impl Into<PathBuf>) -> Builder {
    let data_dir = data_dir.into();
    let file = data_dir.join("yard.sqlite");
    let open = move || {
        let (journal, found) = sqlite::SqliteJournal::open(file, &sqlite::SqliteOptions::new())?;
        let was_mended = found.recovered.is_some() || found.stale_holder.is_some();
        Ok((journal, found.to_string(), was_mended))
    };
    Trainyard::builder(data_dir).journal_found(open)
}

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
