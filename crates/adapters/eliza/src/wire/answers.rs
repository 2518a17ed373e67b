//! Answers. Each record holds what the documentation shows and what the real page and clients read besides; all members
//! are always there, null where there is nothing to say.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::host::{Backend, TrajectoryStatus};

/// `{"<name>": …}`, whatever the name is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum One<T> {
    Trajectory(T),
    Dataset(T),
    Datasets(T),
    Job(T),
    Jobs(T),
    Models(T),
    Backends(T),
    Decisions(T),
    Runs(T),
    Run(T),
}

/// Milliseconds since 1970.
pub(crate) type Millis = i64;

#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    pub(crate) running_jobs: usize,
    pub(crate) queued_jobs: usize,
    pub(crate) completed_jobs: usize,
    pub(crate) failed_jobs: usize,
    pub(crate) model_count: usize,
    pub(crate) dataset_count: usize,
    pub(crate) runtime_available: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TrajectoryList {
    pub(crate) available: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<&'static str>,
    pub(crate) total: u64,
    pub(crate) offset: u64,
    pub(crate) limit: u64,
    pub(crate) trajectories: Vec<TrajectoryRecord>,
}

#[derive(Debug, Serialize)]
pub(crate) struct TakenIn {
    pub(crate) count: usize,
    pub(crate) trajectories: Vec<TrajectoryRecord>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TrajectoryRecord {
    pub(crate) id: String,
    /// The id again: the page fetches the detail by it.
    pub(crate) trajectory_id: String,
    pub(crate) agent_id: String,
    pub(crate) source: String,
    pub(crate) status: TrajectoryWord,
    pub(crate) archetype: Option<String>,
    pub(crate) llm_call_count: u64,
    pub(crate) has_llm_calls: bool,
    pub(crate) provider_access_count: u64,
    pub(crate) total_prompt_tokens: u64,
    pub(crate) total_completion_tokens: u64,
    pub(crate) total_reward: Option<f64>,
    pub(crate) ai_judge_reward: Option<f64>,
    pub(crate) episode_length: Option<u64>,
    pub(crate) start_time: Millis,
    pub(crate) end_time: Option<Millis>,
    pub(crate) duration_ms: Option<u64>,
    pub(crate) created_at: Millis,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TrajectoryDetail {
    #[serde(flatten)]
    pub(crate) row: TrajectoryRecord,
    pub(crate) llm_calls: Vec<CallRecord>,
    pub(crate) provider_accesses: Vec<AccessRecord>,
    /// A JSON array, as text.
    pub(crate) steps_json: String,
    pub(crate) ai_judge_reasoning: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CallRecord {
    pub(crate) id: String,
    /// The id again.
    pub(crate) call_id: String,
    pub(crate) trajectory_id: String,
    pub(crate) step_id: String,
    pub(crate) model: String,
    pub(crate) system_prompt: String,
    pub(crate) user_prompt: String,
    pub(crate) response: String,
    pub(crate) temperature: Option<f64>,
    pub(crate) max_tokens: Option<u64>,
    pub(crate) purpose: String,
    pub(crate) action_type: String,
    pub(crate) latency_ms: Option<u64>,
    pub(crate) prompt_tokens: Option<u64>,
    pub(crate) completion_tokens: Option<u64>,
    pub(crate) timestamp: Millis,
    pub(crate) created_at: Millis,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccessRecord {
    pub(crate) id: String,
    pub(crate) trajectory_id: String,
    pub(crate) step_id: String,
    pub(crate) provider_name: String,
    pub(crate) purpose: String,
    pub(crate) data: Value,
    pub(crate) query: Option<Value>,
    pub(crate) timestamp: Millis,
    pub(crate) created_at: Millis,
}

/// How a trajectory stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TrajectoryWord {
    Active,
    Completed,
    Error,
    Timeout,
}

impl From<TrajectoryStatus> for TrajectoryWord {
    fn from(status: TrajectoryStatus) -> Self {
        match status {
            TrajectoryStatus::Active => Self::Active,
            TrajectoryStatus::Completed => Self::Completed,
            TrajectoryStatus::Error => Self::Error,
            TrajectoryStatus::Timeout => Self::Timeout,
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DatasetRecord {
    pub(crate) id: String,
    pub(crate) created_at: Millis,
    pub(crate) trajectory_count: u64,
    pub(crate) example_count: u64,
    /// The examples again: the page calls them so.
    pub(crate) sample_count: u64,
    pub(crate) jsonl_path: PathBuf,
    pub(crate) trajectory_dir: PathBuf,
    pub(crate) metadata_path: PathBuf,
}

/// The five states of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum JobWord {
    Queued,
    Running,
    Completed,
    Failed,
    Cancelled,
}

impl JobWord {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JobRecord {
    pub(crate) id: String,
    pub(crate) status: JobWord,
    pub(crate) phase: String,
    /// 0 to 1; it never falls.
    pub(crate) progress: f64,
    pub(crate) current_iteration: u64,
    pub(crate) total_iterations: Option<u64>,
    pub(crate) loss: Option<f64>,
    /// Of a training of a task `task:<task>`, which is no id of a dataset: clients insist on a text.
    pub(crate) dataset_id: String,
    pub(crate) task: Option<String>,
    pub(crate) backend: &'static str,
    pub(crate) model: Option<String>,
    pub(crate) options: JobOptions,
    pub(crate) created_at: Millis,
    pub(crate) started_at: Option<Millis>,
    pub(crate) completed_at: Option<Millis>,
    pub(crate) error: Option<String>,
    pub(crate) exit_code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) model_id: Option<String>,
    pub(crate) model_path: Option<PathBuf>,
    pub(crate) adapter_path: Option<PathBuf>,
    pub(crate) output_dir: Option<PathBuf>,
    pub(crate) log_path: Option<PathBuf>,
    pub(crate) script_path: Option<PathBuf>,
    /// Null: no such thing is known here.
    pub(crate) python_root: (),
    /// What holds it back while it waits; in a list, of the newest ones only.
    pub(crate) waiting_for: Vec<String>,
    /// The page joins them: they are always there.
    pub(crate) logs: Vec<String>,
}

/// What was asked for.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JobOptions {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dataset_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_trajectories: Option<u64>,
    pub(crate) backend: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) iterations: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) batch_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) learning_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) optimizer: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ModelRecord {
    pub(crate) id: String,
    pub(crate) job_id: String,
    pub(crate) name: String,
    pub(crate) created_at: Millis,
    pub(crate) active: bool,
    pub(crate) backend: &'static str,
    pub(crate) dataset_id: Option<String>,
    pub(crate) task: Option<String>,
    pub(crate) source_model: Option<String>,
    pub(crate) model_path: Option<PathBuf>,
    pub(crate) adapter_path: Option<PathBuf>,
    pub(crate) output_dir: Option<PathBuf>,
    pub(crate) ollama_model: Option<String>,
    /// The name again: the documentation calls it so.
    pub(crate) ollama_name: Option<String>,
    pub(crate) imported_at: Option<Millis>,
    pub(crate) provider_model: Option<String>,
    pub(crate) benchmark: BenchmarkRecord,
}

/// The page reads `status`: this is always there.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BenchmarkRecord {
    pub(crate) status: BenchmarkWord,
    pub(crate) last_run_at: Option<Millis>,
    pub(crate) output: Option<String>,
    pub(crate) scores: Option<ScoreRecord>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BenchmarkWord {
    NotRun,
    Passed,
    Failed,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct ScoreRecord {
    pub(crate) coherence: f64,
    pub(crate) consistency: f64,
    pub(crate) helpfulness: f64,
}

/// Whether the work behind an answer goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Done,
    GoesOn,
}

impl Work {
    pub(crate) const fn goes_on(&self) -> bool {
        matches!(self, Self::GoesOn)
    }

    fn is_done(&self) -> bool {
        !self.goes_on()
    }
}

impl Serialize for Work {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(self.goes_on())
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Importing {
    pub(crate) model: ModelRecord,
    #[serde(skip_serializing_if = "Work::is_done")]
    pub(crate) pending: Work,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Activated {
    pub(crate) ok: bool,
    pub(crate) active_model: String,
    pub(crate) model_id: String,
    pub(crate) provider_model: String,
    pub(crate) needs_restart: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Benchmarked {
    pub(crate) model_id: String,
    pub(crate) status: BenchmarkWord,
    pub(crate) scores: Option<ScoreRecord>,
    pub(crate) output: String,
    pub(crate) completed_at: Option<Millis>,
    #[serde(skip_serializing_if = "Work::is_done")]
    pub(crate) pending: Work,
}

/// What there is to run on, by name.
pub(crate) type BackendList = BTreeMap<&'static str, bool>;

pub(crate) fn backend_list(here: &[Backend]) -> BackendList {
    Backend::ALL.into_iter().map(|backend| (backend.as_str(), here.contains(&backend))).collect()
}

/// The configuration, flat, and once more with all names.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AutoRead {
    pub(crate) threshold: u64,
    pub(crate) cooldown_hours: Hours,
    pub(crate) enabled: bool,
    pub(crate) config: AutoRecord,
}

#[derive(Debug, Serialize)]
pub(crate) struct AutoChanged {
    pub(crate) ok: bool,
    pub(crate) config: AutoRecord,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AutoRecord {
    pub(crate) threshold: u64,
    pub(crate) cooldown_hours: Hours,
    pub(crate) enabled: bool,
    pub(crate) trigger_threshold: u64,
    pub(crate) trigger_cooldown_hours: Hours,
    pub(crate) auto_train: bool,
    pub(crate) backends: [&'static str; 1],
    pub(crate) per_task_overrides: BTreeMap<String, OverrideRecord>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OverrideRecord {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) threshold: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cooldown_hours: Option<Hours>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) backend: Option<&'static str>,
}

/// A time in hours: a whole number where it is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hours(pub(crate) Duration);

impl Serialize for Hours {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const HOUR_MILLIS: u128 = 3_600_000;
        let millis = self.0.as_millis();
        if millis.is_multiple_of(HOUR_MILLIS) {
            serializer.serialize_u64(u64::try_from(millis / HOUR_MILLIS).unwrap_or(u64::MAX))
        } else {
            serializer.serialize_f64(self.0.as_secs_f64() / 3_600.0)
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AutoStatus {
    pub(crate) service_registered: bool,
    pub(crate) runtime_available: bool,
    pub(crate) auto_train_enabled: bool,
    pub(crate) trigger_threshold: u64,
    pub(crate) trigger_cooldown_hours: Hours,
    /// Completed trajectories of each task since its last run.
    pub(crate) counters: BTreeMap<String, u64>,
    /// When each task was last trained without anybody asking.
    pub(crate) last_train: BTreeMap<String, Option<Millis>>,
    /// The unfinished job of each task that has one.
    pub(crate) in_flight: BTreeMap<String, String>,
}

/// Why a task was or was not trained.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TaskDecisions {
    pub(crate) task: String,
    pub(crate) threshold: u64,
    pub(crate) cooldown_hours: Hours,
    pub(crate) enabled: bool,
    /// The decision that is stored: the last one that fired, or that said something else than the one before.
    pub(crate) decision: Option<DecisionRecord>,
    /// What would be decided at this moment.
    pub(crate) now: DecisionRecord,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DecisionRecord {
    pub(crate) at: Millis,
    /// `train` or `wait`.
    pub(crate) verdict: &'static str,
    /// In one line, for people.
    pub(crate) explanation: String,
    /// Completed trajectories, all that were ever counted.
    pub(crate) total: u64,
    /// Those of them that a run has seen.
    pub(crate) seen: u64,
    pub(crate) failures: u32,
    pub(crate) missing: Vec<MissingRecord>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum MissingRecord {
    Disabled,
    Trajectories { more: Option<u64> },
    Cooldown { left_ms: u64 },
    Backoff { left_ms: u64, failures: u32 },
    Unfinished { job_id: String },
}

/// A run of a task.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RunRecord {
    /// Null when nothing was run.
    pub(crate) run_id: Option<String>,
    pub(crate) status: RunWord,
    pub(crate) reason: Option<String>,
    pub(crate) task: String,
    pub(crate) backend: &'static str,
    /// `threshold` or `manual`.
    pub(crate) source: &'static str,
    /// Completed trajectories of the task when it was asked for.
    pub(crate) dataset_size: Option<u64>,
    pub(crate) started_at: Option<Millis>,
    pub(crate) finished_at: Option<Millis>,
    pub(crate) artifact_path: Option<String>,
    pub(crate) model_id: Option<String>,
    pub(crate) dry_run: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RunWord {
    Queued,
    Running,
    Succeeded,
    Failed,
    Skipped,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Triggered {
    pub(crate) run_id: Option<String>,
    pub(crate) status: RunWord,
    pub(crate) run: RunRecord,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_whole_where_they_can_be() {
        let text = |millis| serde_json::to_string(&Hours(Duration::from_millis(millis))).unwrap();
        assert_eq!(text(43_200_000), "12");
        assert_eq!(text(0), "0");
        assert_eq!(text(5_400_000), "1.5");
        assert_eq!(text(360_000), "0.1");
    }
}
