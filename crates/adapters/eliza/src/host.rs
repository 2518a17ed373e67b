//! What the embedding service implements: trajectories, datasets and what is known of runs and models beside the yard.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use trainyard_core::{JobId, Model, ModelId, Score, Subject, Timestamp};

use crate::ollama::OllamaUrl;
use crate::parameters::TrainParameters;

/// Trajectories, datasets, and what is known of runs and models beside what the yard knows.
///
/// Methods may block and compute: they are called where that is allowed, several at once. What has returned `Ok` is
/// durable. Who may ask is the adapter's business, and so is everything that the yard knows.
pub trait Host: Send + Sync + 'static {
    /// Whether an agent runtime is attached; it is asked each time.
    fn runtime(&self) -> Runtime;

    /// The backends that jobs can run on here, in a fixed order. Probed beforehand; this does not wait.
    fn backends(&self) -> Vec<Backend>;

    /// A page of trajectories, newest first, with the count of all of them.
    ///
    /// # Errors
    /// [`HostError`] when they cannot be read.
    fn trajectories(&self, page: Page) -> Result<Shelf, HostError>;

    /// One trajectory, with its calls; `None` when there is none of this id.
    ///
    /// # Errors
    /// [`HostError`] when it cannot be read.
    fn trajectory(&self, id: &str) -> Result<Option<Trajectory>, HostError>;

    /// Takes trajectories in: a JSON object, an array of such, or JSON lines. All of them, or none. One that is there
    /// already is replaced, unless it is over; then it stays as it is. Sent twice, they are there once.
    ///
    /// # Errors
    /// [`Refused::Unfit`] with the place and the reason, [`Refused::Full`], [`Refused::Failed`].
    fn ingest(&self, json: &[u8], at: Timestamp) -> Result<Ingested, Refused>;

    /// How many completed trajectories each task has had while auto-training was enabled: absolute totals.
    ///
    /// # Errors
    /// [`HostError`] when they cannot be read.
    fn task_totals(&self) -> Result<BTreeMap<Task, u64>, HostError>;

    /// The configuration of auto-training; the default when none was stored.
    ///
    /// # Errors
    /// [`HostError`] when it cannot be read.
    fn auto_config(&self) -> Result<AutoConfig, HostError>;

    /// Stores the configuration of auto-training, as a whole.
    ///
    /// # Errors
    /// [`HostError`] when it cannot be stored.
    fn set_auto_config(&self, config: &AutoConfig) -> Result<(), HostError>;

    /// Builds a dataset of the newest trajectories, and lists it once it is whole. None that fits is no error: the
    /// dataset is empty.
    ///
    /// # Errors
    /// [`Refused::Full`], [`Refused::TooMany`], [`Refused::Failed`].
    fn build_dataset(&self, build: Build) -> Result<Dataset, Refused>;

    /// All datasets, newest first.
    ///
    /// # Errors
    /// [`HostError`] when they cannot be listed.
    fn datasets(&self) -> Result<Vec<Dataset>, HostError>;

    /// How many datasets there are, where that can be said without waiting for anything; `None` where
    /// [they](Host::datasets) have to be listed. Default: `None`.
    fn dataset_count(&self) -> Option<usize> {
        None
    }

    /// A dataset; `None` when there is none of this id.
    ///
    /// # Errors
    /// [`HostError`] when that cannot be found out.
    fn dataset(&self, id: &DatasetId) -> Result<Option<Dataset>, HostError>;

    /// Whether a training can be as it is asked for, which is looked at before it is begun: such as whether there is an
    /// optimiser of that name. Default: any can.
    ///
    /// # Errors
    /// [`Refused::Unfit`] with what is wrong, for whoever asks.
    fn fits(&self, parameters: &TrainParameters) -> Result<(), Refused> {
        let _ = parameters;
        Ok(())
    }

    /// What is known of a job's run beside what the yard knows; [`RunNotes::default`] when nothing is. Of its log the
    /// last so many lines are wanted; with 0, as most of a list is read, it need not be opened.
    ///
    /// # Errors
    /// [`HostError`] when it cannot be read.
    fn run(&self, job: JobId, log_lines_max: usize) -> Result<RunNotes, HostError>;

    /// What is known of a model beside what the yard knows.
    ///
    /// # Errors
    /// [`HostError`] when it cannot be read.
    fn model(&self, model: &Model) -> Result<ModelNotes, HostError>;

    /// Which edition there is of all that is known of [runs](Host::run) and [models](Host::model) here: a number that no
    /// other edition has had since the host was opened, and that is another one as soon as any of it is changed. Whoever
    /// finds the same one before and after they have read, has read that edition. It is said without waiting for anything;
    /// `None` while something is being changed, and where nobody counts them. Default: `None`.
    fn notes_edition(&self) -> Option<u64> {
        None
    }

    /// Imports a model to Ollama, and notes it.
    ///
    /// # Errors
    /// [`Refused::NoAdapter`] when the model has none, [`Refused::Unfit`] when a value cannot be used,
    /// [`Refused::Upstream`] with what Ollama said, [`Refused::Failed`].
    fn import(&self, model: &Model, import: &Import) -> Result<Imported, Refused>;

    /// Notes under which name the agent is to use a model, before the yard activates it.
    ///
    /// # Errors
    /// [`HostError`] when it cannot be noted.
    fn note_provider_model(&self, model: ModelId, name: &str) -> Result<(), HostError>;

    /// Measures a model, and notes what came of it.
    ///
    /// # Errors
    /// [`Refused::NoAdapter`] when there is nothing to measure, [`Refused::Failed`].
    fn benchmark(&self, model: &Model) -> Result<Benchmark, Refused>;
}

/// Whether an agent runtime is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// It is.
    Attached,
    /// It is not, so there are no trajectories to read.
    Absent(Absence),
}

/// Why there are no trajectories to read. The words on the wire are `runtime_not_started`,
/// `trajectories_table_missing` and `trajectory_store_unavailable`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// No agent runs.
    RuntimeNotStarted,
    /// The agent keeps none.
    TableMissing,
    /// They cannot be reached.
    StoreUnavailable,
}

/// Where a job can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Backend {
    /// Prompt optimisation: `native`.
    Native,
    /// Apple's MLX: `mlx`.
    Mlx,
    /// A CUDA device: `cuda`.
    Cuda,
    /// This machine's processor: `cpu`.
    Cpu,
}

impl Backend {
    /// All of them, in the order in which they are named.
    pub const ALL: [Self; 4] = [Self::Native, Self::Mlx, Self::Cuda, Self::Cpu];

    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Mlx => "mlx",
            Self::Cuda => "cuda",
            Self::Cpu => "cpu",
        }
    }

    /// The backend of a word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|backend| backend.as_str() == word)
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which rows of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// So many are left out.
    pub offset: u64,
    /// So many at most.
    pub limit: u64,
}

/// A page of trajectories.
#[derive(Debug, Clone, PartialEq)]
pub struct Shelf {
    /// How many there are.
    pub total: u64,
    /// Those of the page, newest first.
    pub rows: Vec<TrajectoryRow>,
}

/// A trajectory as lists show it.
#[derive(Debug, Clone, PartialEq)]
pub struct TrajectoryRow {
    /// Its id, as the agent gave it.
    pub id: String,
    /// Whose it is.
    pub agent_id: String,
    /// Where it came from: `chat`, `autonomy`, `telegram`, `discord`, `api`, or another word.
    pub source: String,
    /// How it stands.
    pub status: TrajectoryStatus,
    /// What it shows, if the agent says.
    pub archetype: Option<String>,
    /// How many calls of a language model can be learned from.
    pub llm_calls: u64,
    /// How often a provider was asked.
    pub provider_accesses: u64,
    /// Tokens of all prompts.
    pub prompt_tokens: u64,
    /// Tokens of all responses.
    pub completion_tokens: u64,
    /// The reward of the whole, if there is one.
    pub total_reward: Option<f64>,
    /// The reward a judge gave, if one did.
    pub judge_reward: Option<f64>,
    /// How many steps it has, if that is said.
    pub episode_length: Option<u64>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it was over; `None` while it is active.
    pub ended_at: Option<Timestamp>,
    /// When it was first taken in.
    pub created_at: Timestamp,
}

/// How a trajectory stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrajectoryStatus {
    /// It goes on: `active`.
    Active,
    /// It is over, well: `completed`.
    Completed,
    /// It broke off: `error`.
    Error,
    /// It took too long: `timeout`.
    Timeout,
}

/// A trajectory with everything in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Trajectory {
    /// As lists show it.
    pub row: TrajectoryRow,
    /// The calls of language models, in order.
    pub llm_calls: Vec<LlmCall>,
    /// What providers were asked, in order.
    pub provider_accesses: Vec<ProviderAccess>,
    /// The steps as the agent sent them: a JSON array, as text.
    pub steps_json: String,
    /// Why the judge said so, if it did.
    pub judge_reasoning: Option<String>,
}

/// One call of a language model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LlmCall {
    /// Its id.
    pub id: String,
    /// The step it belongs to.
    pub step_id: String,
    /// Which model.
    pub model: String,
    /// The system prompt.
    pub system_prompt: String,
    /// What was asked.
    pub user_prompt: String,
    /// What was answered.
    pub response: String,
    /// The temperature, if it is known.
    pub temperature: Option<f64>,
    /// The bound on the response, if it is known.
    pub max_tokens: Option<u64>,
    /// What it was for.
    pub purpose: String,
    /// What sort of action it chose.
    pub action_type: String,
    /// How long it took, if it is known.
    pub latency: Option<Duration>,
    /// Tokens of the prompt.
    pub prompt_tokens: Option<u64>,
    /// Tokens of the response.
    pub completion_tokens: Option<u64>,
    /// When.
    pub at: Timestamp,
}

/// One question to a provider.
#[derive(Debug, Clone, PartialEq)]
pub struct ProviderAccess {
    /// Its id.
    pub id: String,
    /// The step it belongs to.
    pub step_id: String,
    /// Which provider.
    pub provider: String,
    /// What it was for.
    pub purpose: String,
    /// What came back.
    pub data: serde_json::Value,
    /// What was asked, if it is known.
    pub query: Option<serde_json::Value>,
    /// When.
    pub at: Timestamp,
}

/// What was taken in.
#[derive(Debug, Clone, PartialEq)]
pub struct Ingested {
    /// Each trajectory, as it stands now, in the order in which they were sent.
    pub rows: Vec<TrajectoryRow>,
    /// The totals of the tasks that have got more by it.
    pub totals: BTreeMap<Task, u64>,
}

/// A task that prompts are optimised for, such as `should_respond`: 1 to 64 of `a`–`z`, `0`–`9` and `_`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Task(String);

impl Task {
    /// Takes a word in; `None` when it is none.
    #[must_use]
    pub fn new(word: impl Into<String>) -> Option<Self> {
        let word = word.into();
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        ((1..=64).contains(&word.len()) && word.bytes().all(fits)).then_some(Self(word))
    }

    /// The word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The subject that the yard knows its automatic trainings by.
    ///
    /// # Panics
    /// Never: it is a short word.
    #[must_use]
    pub fn subject(&self) -> Subject {
        Subject::new(format!("{TASK}{}", self.0)).expect("a short word is a name")
    }

    /// The task of a subject; `None` when it is another one.
    #[must_use]
    pub fn of(subject: &Subject) -> Option<Self> {
        subject.as_str().strip_prefix(TASK).and_then(Self::new)
    }
}

/// Subjects of tasks begin with it.
pub(crate) const TASK: &str = "eliza/task/";

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// When prompts of a task are optimised without anybody asking.
#[derive(Debug, Clone, PartialEq)]
pub struct AutoConfig {
    /// Whether any are. Default: yes.
    pub is_enabled: bool,
    /// After so many completed trajectories of the task; at least 1. Default: 100.
    pub threshold: u64,
    /// Not sooner than so long after the last time. Default: 12 hours.
    pub cooldown: Duration,
    /// What holds for single tasks instead.
    pub overrides: BTreeMap<Task, TaskConfig>,
}

impl Default for AutoConfig {
    fn default() -> Self {
        let cooldown = Duration::from_secs(12 * 3_600);
        Self { is_enabled: true, threshold: 100, cooldown, overrides: BTreeMap::new() }
    }
}

/// What holds for one task instead of what holds for all.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct TaskConfig {
    /// Another threshold.
    pub threshold: Option<u64>,
    /// Another cooldown.
    pub cooldown: Option<Duration>,
    /// Another backend than [`Backend::Native`].
    pub backend: Option<Backend>,
}

/// Which trajectories a dataset is built of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Build {
    /// Of the newest so many, 1 to 5,000.
    pub limit: u64,
    /// Those with so many calls that can be learned from.
    pub llm_calls_min: u64,
    /// When it was asked for.
    pub at: Timestamp,
}

/// The id of a dataset: 1 to 128 of letters, digits, `-`, `_` and `.`, the first no `.`, so that it is a file's name too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatasetId(String);

impl DatasetId {
    /// Takes an id in; `None` when it is none.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Option<Self> {
        let id = id.into();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let is_fit = (1..=128).contains(&id.len()) && !id.starts_with('.') && id.bytes().all(fits);
        is_fit.then_some(Self(id))
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The subject that the yard knows trainings on it by.
    ///
    /// # Panics
    /// Never: it is a short word.
    #[must_use]
    pub fn subject(&self) -> Subject {
        Subject::new(format!("{DATASET}{}", self.0)).expect("a short word is a name")
    }

    /// The dataset of a subject; `None` when it is another one.
    #[must_use]
    pub fn of(subject: &Subject) -> Option<Self> {
        subject.as_str().strip_prefix(DATASET).and_then(Self::new)
    }
}

/// Subjects of datasets begin with it.
pub(crate) const DATASET: &str = "eliza/dataset/";

impl fmt::Display for DatasetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A dataset that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// Its id.
    pub id: DatasetId,
    /// When it was built.
    pub created_at: Timestamp,
    /// Of how many trajectories.
    pub trajectories: u64,
    /// How many examples there are: calls of language models.
    pub examples: u64,
    /// Its examples, one JSON object a line.
    pub jsonl: PathBuf,
    /// Its trajectories, a file each.
    pub trajectory_dir: PathBuf,
    /// What is said here, as JSON.
    pub metadata: PathBuf,
}

/// What is known of a run beside what the yard knows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunNotes {
    /// The last lines of its log, oldest first. What is beyond those that were wanted is not shown.
    pub log: Vec<String>,
    /// What it did last.
    pub phase: Option<String>,
    /// How much is done, 0 to 1; never falls.
    pub fraction: Option<f64>,
    /// The iteration it has come to.
    pub iteration: Option<u64>,
    /// How many there will be.
    pub iterations: Option<u64>,
    /// The last loss it said.
    pub loss: Option<f64>,
    /// With which code its process ended.
    pub exit_code: Option<i32>,
    /// By which signal its process ended.
    pub signal: Option<i32>,
    /// Where its files are.
    pub output_dir: Option<PathBuf>,
    /// Where its whole log is.
    pub log_path: Option<PathBuf>,
    /// The program that trains.
    pub script_path: Option<PathBuf>,
}

/// What is known of a model beside what the yard knows.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelNotes {
    /// What it is called.
    pub name: String,
    /// What trained it.
    pub backend: Backend,
    /// The model it started from, if there was one.
    pub source_model: Option<String>,
    /// Where it is.
    pub path: Option<PathBuf>,
    /// Where its adapter is, if it has one.
    pub adapter: Option<PathBuf>,
    /// As what Ollama knows it.
    pub imported: Option<Imported>,
    /// Under which name the agent was told to use it.
    pub provider_model: Option<String>,
    /// What measuring it has given last.
    pub benchmark: Option<Benchmark>,
}

/// How a model is to be imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Where Ollama is; checked: a loopback address.
    pub ollama: OllamaUrl,
    /// What it is to be called there; no line breaks.
    pub name: String,
    /// The model it is based on there, if the caller says; no line breaks.
    pub base: Option<String>,
    /// When it was asked for.
    pub at: Timestamp,
}

/// What Ollama knows a model as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The name there.
    pub name: String,
    /// When it was imported.
    pub at: Timestamp,
}

/// What measuring a model has given.
#[derive(Debug, Clone, PartialEq)]
pub struct Benchmark {
    /// Whether it is good enough.
    pub is_passed: bool,
    /// The figures, each 0 to 1; `None` when it was only tried whether it works.
    pub scores: Option<Scores>,
    /// What is worth reading about it.
    pub output: String,
    /// When it was over.
    pub at: Timestamp,
}

/// The figures of a benchmark, each 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scores {
    /// Whether what it says hangs together.
    pub coherence: Score,
    /// Whether it says the same when asked the same.
    pub consistency: Score,
    /// Whether it says what was wanted.
    pub helpfulness: Score,
}

/// Why something was not done. Nothing has changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// What was sent cannot be used; in words for whoever sent it.
    #[error("{0}")]
    Unfit(String),
    /// There are as many as there may be.
    #[error("there are {max} {what} already")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The bound.
        max: u64,
    },
    /// The disk is full.
    #[error("the disk is full")]
    Full,
    /// The model has no adapter.
    #[error("the model has no adapter")]
    NoAdapter,
    /// Another service did not do its part; in words for whoever asked.
    #[error("{0}")]
    Upstream(String),
    /// It failed for a reason that is only for the log.
    #[error(transparent)]
    Failed(#[from] HostError),
}

/// Why a host cannot answer. For the log; whoever asked is told only that it broke.
#[derive(Debug, thiserror::Error)]
#[error("the host could not answer")]
pub struct HostError {
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl HostError {
    /// Something broke.
    #[must_use]
    pub fn new(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { source: source.into() }
    }
}
