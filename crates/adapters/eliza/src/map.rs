//! The core's words and the host's as the vendor's: pure, and total. A new variant does not compile until it is
//! decided here what the wire shows for it.

use std::time::Duration;

use trainyard_core::port::HandleError;
use trainyard_core::{Decision, Outcome, Phase, Rejection, Subject, TimedOut, Timestamp, Unmet, Verdict};

use crate::fault::Fault;
use crate::host::{
    Absence, AutoConfig, Backend, Benchmark, DATASET, Dataset, HostError, LlmCall, ProviderAccess, Refused,
    TASK, TaskConfig, Trajectory, TrajectoryRow,
};
use crate::wire::answers::{
    AccessRecord, AutoRead, AutoRecord, BenchmarkRecord, BenchmarkWord, CallRecord, DatasetRecord,
    DecisionRecord, Hours, JobWord, Millis, MissingRecord, OverrideRecord, RunWord, ScoreRecord,
    TrajectoryDetail, TrajectoryRecord,
};

/// Whether trainings of a subject are this adapter's.
pub(crate) fn is_ours(subject: &Subject) -> bool {
    is_name_of_ours(subject.as_str())
}

/// The same of a name that a subject and its registry have in common.
pub(crate) fn is_name_of_ours(name: &str) -> bool {
    name.starts_with(DATASET) || name.starts_with(TASK)
}

pub(crate) fn job_word(phase: &Phase) -> JobWord {
    match phase {
        Phase::Waiting(_) => JobWord::Queued,
        Phase::Running(_) => JobWord::Running,
        Phase::Finished(finished) => outcome_word(&finished.outcome),
    }
}

pub(crate) const fn outcome_word(outcome: &Outcome) -> JobWord {
    match outcome {
        Outcome::Completed { .. } => JobWord::Completed,
        Outcome::Cancelled { .. } => JobWord::Cancelled,
        Outcome::TimedOut(_) | Outcome::Stalled | Outcome::Failed { .. } | Outcome::Superseded => {
            JobWord::Failed
        }
    }
}

/// Why a job failed, in words for whoever started it; `None` when it did not.
pub(crate) fn error(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Completed { .. } | Outcome::Cancelled { .. } => None,
        Outcome::Failed { reason } if reason.as_str().trim().is_empty() => {
            Some("The training failed".to_owned())
        }
        Outcome::Failed { reason } => Some(reason.as_str().to_owned()),
        Outcome::TimedOut(TimedOut::Running) => Some("The training took too long".to_owned()),
        Outcome::TimedOut(TimedOut::Waiting) => Some("The training waited too long for its turn".to_owned()),
        Outcome::Stalled => Some("The training made too little progress".to_owned()),
        Outcome::Superseded => Some("Another training took its place".to_owned()),
    }
}

/// A run of a task that handed nothing over found nothing to do, or nothing better.
pub(crate) fn run_word(phase: &Phase) -> RunWord {
    match phase {
        Phase::Waiting(_) => RunWord::Queued,
        Phase::Running(_) => RunWord::Running,
        Phase::Finished(finished) => match &finished.outcome {
            Outcome::Completed { model: Some(_) } => RunWord::Succeeded,
            Outcome::Completed { model: None } => RunWord::Skipped,
            Outcome::Cancelled { .. }
            | Outcome::TimedOut(_)
            | Outcome::Stalled
            | Outcome::Failed { .. }
            | Outcome::Superseded => RunWord::Failed,
        },
    }
}

pub(crate) const fn absence(absence: Absence) -> &'static str {
    match absence {
        Absence::RuntimeNotStarted => "runtime_not_started",
        Absence::TableMissing => "trajectories_table_missing",
        Absence::StoreUnavailable => "trajectory_store_unavailable",
    }
}

pub(crate) fn trajectory_row(row: TrajectoryRow) -> TrajectoryRecord {
    TrajectoryRecord {
        trajectory_id: row.id.clone(),
        id: row.id,
        agent_id: row.agent_id,
        source: row.source,
        status: row.status.into(),
        archetype: row.archetype,
        llm_call_count: row.llm_calls,
        has_llm_calls: row.llm_calls > 0,
        provider_access_count: row.provider_accesses,
        total_prompt_tokens: row.prompt_tokens,
        total_completion_tokens: row.completion_tokens,
        total_reward: row.total_reward,
        ai_judge_reward: row.judge_reward,
        episode_length: row.episode_length,
        start_time: row.started_at.as_millis(),
        end_time: row.ended_at.map(Timestamp::as_millis),
        duration_ms: row.ended_at.map(|end| millis(end.since(row.started_at))),
        created_at: row.created_at.as_millis(),
    }
}

pub(crate) fn trajectory(whole: Trajectory) -> TrajectoryDetail {
    let id = whole.row.id.clone();
    TrajectoryDetail {
        row: trajectory_row(whole.row),
        llm_calls: whole.llm_calls.into_iter().map(|call| call_record(&id, call)).collect(),
        provider_accesses: whole.provider_accesses.into_iter().map(|one| access_record(&id, one)).collect(),
        steps_json: whole.steps_json,
        ai_judge_reasoning: whole.judge_reasoning,
    }
}

fn call_record(trajectory: &str, call: LlmCall) -> CallRecord {
    CallRecord {
        call_id: call.id.clone(),
        id: call.id,
        trajectory_id: trajectory.to_owned(),
        step_id: call.step_id,
        model: call.model,
        system_prompt: call.system_prompt,
        user_prompt: call.user_prompt,
        response: call.response,
        temperature: call.temperature,
        max_tokens: call.max_tokens,
        purpose: call.purpose,
        action_type: call.action_type,
        latency_ms: call.latency.map(millis),
        prompt_tokens: call.prompt_tokens,
        completion_tokens: call.completion_tokens,
        timestamp: call.at.as_millis(),
        created_at: call.at.as_millis(),
    }
}

fn access_record(trajectory: &str, access: ProviderAccess) -> AccessRecord {
    AccessRecord {
        id: access.id,
        trajectory_id: trajectory.to_owned(),
        step_id: access.step_id,
        provider_name: access.provider,
        purpose: access.purpose,
        data: access.data,
        query: access.query,
        timestamp: access.at.as_millis(),
        created_at: access.at.as_millis(),
    }
}

pub(crate) fn dataset(dataset: Dataset) -> DatasetRecord {
    DatasetRecord {
        id: dataset.id.to_string(),
        created_at: dataset.created_at.as_millis(),
        trajectory_count: dataset.trajectories,
        example_count: dataset.examples,
        sample_count: dataset.examples,
        jsonl_path: dataset.jsonl,
        trajectory_dir: dataset.trajectory_dir,
        metadata_path: dataset.metadata,
    }
}

pub(crate) fn benchmark(benchmark: Option<Benchmark>) -> BenchmarkRecord {
    let Some(benchmark) = benchmark else {
        return BenchmarkRecord {
            status: BenchmarkWord::NotRun,
            last_run_at: None,
            output: None,
            scores: None,
        };
    };
    BenchmarkRecord {
        status: if benchmark.is_passed { BenchmarkWord::Passed } else { BenchmarkWord::Failed },
        last_run_at: Some(benchmark.at.as_millis()),
        output: Some(benchmark.output),
        scores: benchmark.scores.map(|scores| ScoreRecord {
            coherence: scores.coherence.get(),
            consistency: scores.consistency.get(),
            helpfulness: scores.helpfulness.get(),
        }),
    }
}

pub(crate) fn auto(config: &AutoConfig) -> AutoRead {
    let record = auto_record(config);
    let AutoRecord { threshold, cooldown_hours, enabled, .. } = record;
    AutoRead { threshold, cooldown_hours, enabled, config: record }
}

pub(crate) fn auto_record(config: &AutoConfig) -> AutoRecord {
    let overridden = |config: &TaskConfig| OverrideRecord {
        threshold: config.threshold,
        cooldown_hours: config.cooldown.map(Hours),
        backend: config.backend.map(Backend::as_str),
    };
    let overrides = config.overrides.iter();
    AutoRecord {
        threshold: config.threshold,
        cooldown_hours: Hours(config.cooldown),
        enabled: config.is_enabled,
        trigger_threshold: config.threshold,
        trigger_cooldown_hours: Hours(config.cooldown),
        auto_train: config.is_enabled,
        backends: [Backend::Native.as_str()],
        per_task_overrides: overrides.map(|(task, config)| (task.to_string(), overridden(config))).collect(),
    }
}

pub(crate) fn decision(decision: &Decision) -> DecisionRecord {
    let (verdict, missing) = match &decision.verdict {
        Verdict::Train(_) => ("train", Vec::new()),
        Verdict::Wait(unmet) => ("wait", unmet.iter().map(missing).collect()),
    };
    DecisionRecord {
        at: decision.at.as_millis(),
        verdict,
        explanation: decision.to_string(),
        total: decision.observation.total,
        seen: decision.history.watermark.unwrap_or(0),
        failures: decision.history.failures,
        missing,
    }
}

fn missing(unmet: &Unmet) -> MissingRecord {
    match unmet {
        Unmet::Off => MissingRecord::Disabled,
        Unmet::Count { more } => {
            MissingRecord::Trajectories { more: more.map(|more| u64::try_from(more).unwrap_or(u64::MAX)) }
        }
        Unmet::Cooldown { left } => MissingRecord::Cooldown { left_ms: millis(*left) },
        Unmet::Backoff { left, failures } => {
            MissingRecord::Backoff { left_ms: millis(*left), failures: *failures }
        }
        Unmet::Unfinished { job } => MissingRecord::Unfinished { job_id: job.to_string() },
    }
}

/// When the running of a job began that ended at a moment, having run so long.
pub(crate) fn began(ended_at: Timestamp, ran: Duration) -> Millis {
    ended_at.as_millis().saturating_sub(i64::try_from(ran.as_millis()).unwrap_or(i64::MAX))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A host's refusal.
pub(crate) fn refused(refused: &Refused) -> Fault {
    match refused {
        Refused::Unfit(words) => Fault::bad(words.clone()),
        Refused::TooMany { what, max } => Fault::bad(format!("There are {max} {what} already")),
        Refused::Full => Fault::upstream("The disk is full"),
        Refused::NoAdapter => Fault::bad("This model has no adapter"),
        Refused::Upstream(words) => Fault::upstream(words.clone()),
        Refused::Failed(error) => broken(error),
    }
}

/// A failure of the host; its cause goes into the log and nowhere else.
pub(crate) fn broken(error: &HostError) -> Fault {
    tracing::error!(error = error as &dyn std::error::Error, "the host failed");
    Fault::internal()
}

/// A yard that did not start a training.
pub(crate) fn not_started(error: &HandleError) -> Fault {
    match error {
        HandleError::Rejected(rejection) => rejected(rejection),
        HandleError::Busy { .. } => busy(),
        HandleError::Stopped { .. } => stopped(),
        HandleError::TooMany { .. } | _ => unexpected(error),
    }
}

/// A yard that did not do as it was asked about something that is there.
pub(crate) fn unanswered(error: &HandleError) -> Fault {
    match error {
        HandleError::Busy { .. } => busy(),
        HandleError::Stopped { .. } => stopped(),
        HandleError::Rejected(Rejection::NoJob(_)) => no_job(),
        HandleError::Rejected(Rejection::NoModel(_)) => no_model(),
        HandleError::Rejected(rejection) => unexpected(rejection),
        HandleError::TooMany { .. } | _ => unexpected(error),
    }
}

fn rejected(rejection: &Rejection) -> Fault {
    if let Rejection::UnknownKind(kind) = rejection {
        return Fault::training_failed(format!("Nothing here trains {kind}"));
    }
    if matches!(rejection, Rejection::SubjectFull { .. } | Rejection::QueueFull { .. }) {
        return Fault::later("Too many trainings wait already");
    }
    tracing::error!(%rejection, "the yard did not start a training");
    Fault::training_failed("The training could not be started")
}

fn unexpected(error: &(dyn std::error::Error + 'static)) -> Fault {
    tracing::error!(error, "the yard said no");
    Fault::internal()
}

fn busy() -> Fault {
    Fault::later("Too many requests at once")
}

pub(crate) fn stopped() -> Fault {
    Fault::later("The service is stopping, trainings go on at its next start")
}

pub(crate) fn no_job() -> Fault {
    Fault::not_found("Training job not found")
}

pub(crate) fn no_model() -> Fault {
    Fault::not_found("Model not found")
}

pub(crate) fn no_dataset() -> Fault {
    Fault::not_found("Dataset not found")
}

#[cfg(test)]
mod tests {
    use trainyard_core::{ModelId, Reason};

    use super::*;

    #[test]
    fn every_end_has_its_word() {
        let reason = |words: &str| Reason::new(words);
        for (outcome, word, words) in [
            (Outcome::Completed { model: Some(ModelId::from_u128(1)) }, JobWord::Completed, None),
            (Outcome::Completed { model: None }, JobWord::Completed, None),
            (Outcome::Cancelled { reason: reason("x") }, JobWord::Cancelled, None),
            (Outcome::Failed { reason: reason("exit code 2") }, JobWord::Failed, Some("exit code 2")),
            (Outcome::Failed { reason: reason(" ") }, JobWord::Failed, Some("The training failed")),
            (Outcome::TimedOut(TimedOut::Running), JobWord::Failed, Some("The training took too long")),
            (
                Outcome::TimedOut(TimedOut::Waiting),
                JobWord::Failed,
                Some("The training waited too long for its turn"),
            ),
            (Outcome::Stalled, JobWord::Failed, Some("The training made too little progress")),
            (Outcome::Superseded, JobWord::Failed, Some("Another training took its place")),
        ] {
            assert_eq!(outcome_word(&outcome), word, "{outcome}");
            assert_eq!(error(&outcome).as_deref(), words, "{outcome}");
        }
    }

    #[test]
    fn only_subjects_of_datasets_and_tasks_are_ours() {
        let subject = |text: &str| Subject::new(text).unwrap();
        assert!(is_ours(&subject("eliza/dataset/dataset-1")));
        assert!(is_ours(&subject("eliza/task/response")));
        assert!(!is_ours(&subject("group/1")) && !is_ours(&subject("eliza")));
    }
}
