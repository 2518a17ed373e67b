//! Trajectories as agents send them, as the catalogue keeps them, and as the adapter shows them.

use std::collections::BTreeSet;
use std::io::BufRead;
use std::time::Duration;

use trainyard_core::Timestamp;
use trainyard_eliza::{LlmCall, ProviderAccess, Task, TrajectoryRow, TrajectoryStatus};
use trainyard_trajectories::{Limits, ReadError, Refusal, Status, Trajectories, Trajectory};

use super::catalog::NewTrajectory;

/// Reads what was sent: an object, an array of such, or JSON lines. All of it, or nothing.
pub(super) fn read_all(
    source: impl BufRead,
    limits: Limits,
    at: Timestamp,
) -> Result<Vec<NewTrajectory>, ReadError> {
    Trajectories::new(source, limits).map(|read| read.map(|read| taken_in(&read, at))).collect()
}

/// A trajectory that comes in now.
pub(super) fn taken_in(trajectory: &Trajectory, at: Timestamp) -> NewTrajectory {
    let tasks = trajectory.tasks().into_iter().filter_map(|task| Task::new(task.as_str()));
    let tasks: BTreeSet<Task> = tasks.collect();
    NewTrajectory { row: row(trajectory, at), document: trajectory.to_json().to_string(), tasks }
}

/// A trajectory from the catalogue's document of it.
pub(super) fn from_document(document: &str) -> Result<Trajectory, Refusal> {
    // What was taken in is within bounds; only written anew may it be longer.
    let all = usize::MAX;
    let limits = Limits {
        trajectories: 1,
        bytes: all,
        steps: all,
        calls: all,
        accesses: all,
        text_bytes: all,
        name_bytes: all,
        depth: all,
    };
    Trajectory::from_json(document.as_bytes(), &limits)
}

/// A trajectory as it is shown.
pub(super) fn shown(row: TrajectoryRow, trajectory: &Trajectory) -> trainyard_eliza::Trajectory {
    let calls = (1..).zip(&trajectory.calls).map(|(n, call)| shown_call(n, call, &row));
    let accesses = (1..).zip(&trajectory.accesses).map(|(n, access)| shown_access(n, access, &row));
    trainyard_eliza::Trajectory {
        llm_calls: calls.collect(),
        provider_accesses: accesses.collect(),
        steps_json: trajectory.steps_json(),
        judge_reasoning: trajectory.ai_judge_reasoning.clone(),
        row,
    }
}

fn row(trajectory: &Trajectory, at: Timestamp) -> TrajectoryRow {
    let status = match trajectory.status {
        Status::Active => TrajectoryStatus::Active,
        Status::Completed => TrajectoryStatus::Completed,
        Status::Error => TrajectoryStatus::Error,
        Status::Timeout => TrajectoryStatus::Timeout,
    };
    let ended_at = match status {
        TrajectoryStatus::Active => None,
        TrajectoryStatus::Completed | TrajectoryStatus::Error | TrajectoryStatus::Timeout => {
            Some(trajectory.end_ms.map_or(at, time))
        }
    };
    let sum = |tokens: fn(&trainyard_trajectories::LlmCall) -> Option<u64>| {
        trajectory.calls.iter().filter_map(tokens).fold(0, u64::saturating_add)
    };
    TrajectoryRow {
        id: trajectory.id.to_string(),
        agent_id: word(trajectory.agent_id.as_ref()),
        source: word(trajectory.source.as_ref()),
        status,
        archetype: trajectory.archetype.clone(),
        llm_calls: trajectory.usable_calls().count() as u64,
        provider_accesses: trajectory.accesses.len() as u64,
        prompt_tokens: sum(|call| call.prompt_tokens),
        completion_tokens: sum(|call| call.completion_tokens),
        total_reward: trajectory.total_reward,
        judge_reward: trajectory.ai_judge_reward,
        episode_length: trajectory.episode_length,
        started_at: trajectory.start_ms.map_or(at, time),
        ended_at,
        created_at: at,
    }
}

fn shown_call(n: u64, call: &trainyard_trajectories::LlmCall, row: &TrajectoryRow) -> LlmCall {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    LlmCall {
        id: call.id.clone().unwrap_or_else(|| format!("call-{n}")),
        step_id: text(&call.step_id),
        model: text(&call.model),
        system_prompt: call.system_prompt.clone(),
        user_prompt: call.user_prompt.clone(),
        response: call.response.clone(),
        temperature: call.temperature,
        max_tokens: call.max_tokens,
        purpose: text(&call.purpose),
        action_type: text(&call.action_type),
        latency: call.latency_ms.map(Duration::from_millis),
        prompt_tokens: call.prompt_tokens,
        completion_tokens: call.completion_tokens,
        at: call.timestamp_ms.map_or(row.started_at, time),
    }
}

fn shown_access(
    n: u64,
    access: &trainyard_trajectories::ProviderAccess,
    row: &TrajectoryRow,
) -> ProviderAccess {
    ProviderAccess {
        id: access.id.clone().unwrap_or_else(|| format!("access-{n}")),
        step_id: access.step_id.clone().unwrap_or_default(),
        provider: word(access.provider_name.as_ref()),
        purpose: access.purpose.clone().unwrap_or_default(),
        data: access.data.clone(),
        query: Some(&access.query).filter(|query| !query.is_null()).cloned(),
        at: access.timestamp_ms.map_or(row.started_at, time),
    }
}

/// What an agent says, or that it does not.
fn word(said: Option<&String>) -> String {
    said.cloned().unwrap_or_else(|| "unknown".to_owned())
}

fn time(millis: u64) -> Timestamp {
    Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn read(text: &str) -> NewTrajectory {
        let [one] = &read_all(text.as_bytes(), Limits::default(), AT).unwrap()[..] else { panic!("one") };
        one.clone()
    }

    #[test]
    fn what_came_in_is_shown_as_it_came() {
        let text = r#"{"id":"t/1","agentId":"a","source":"chat","status":"completed","startTime":1000,"endTime":2000,
            "totalReward":0.5,"steps":[{"stepId":"s1","llmCalls":[{"callId":"c1","purpose":"should_respond",
            "systemPrompt":"You are an agent.","userPrompt":"Is anybody there?","response":"RESPOND now",
            "promptTokens":7,"completionTokens":3,"latencyMs":12}],
            "providerAccesses":[{"providerName":"time","data":{"now":"noon"}}]}]}"#;
        let new = read(text);
        assert_eq!(new.tasks, [Task::new("should_respond").unwrap()].into());
        let TrajectoryRow { llm_calls, provider_accesses, prompt_tokens, completion_tokens, .. } = new.row;
        assert_eq!((llm_calls, provider_accesses, prompt_tokens, completion_tokens), (1, 1, 7, 3));
        assert_eq!((new.row.started_at, new.row.created_at), (Timestamp::from_millis(1_000), AT));
        assert_eq!(new.row.ended_at, Some(Timestamp::from_millis(2_000)));
        let shown = shown(new.row.clone(), &from_document(&new.document).unwrap());
        let [call] = &shown.llm_calls[..] else { panic!("one call") };
        assert_eq!((call.id.as_str(), call.step_id.as_str()), ("c1", "s1"));
        assert_eq!((call.latency, call.at), (Some(Duration::from_millis(12)), new.row.started_at));
        let [access] = &shown.provider_accesses[..] else { panic!("one access") };
        assert_eq!(
            (access.id.as_str(), access.provider.as_str(), &access.query),
            ("access-1", "time", &None)
        );
        assert!(shown.steps_json.contains("RESPOND now"), "{}", shown.steps_json);
        let again = from_document(&new.document).unwrap();
        assert_eq!(taken_in(&again, AT).document, new.document, "written anew it is the same");
    }

    #[test]
    fn what_is_not_said_is_not_made_up() {
        let new = read(r#"{"id":"t"}"#);
        assert_eq!((new.row.status, new.row.ended_at), (TrajectoryStatus::Active, None));
        assert_eq!((new.row.source.as_str(), new.row.agent_id.as_str()), ("unknown", "unknown"));
        assert!(new.tasks.is_empty());
        let over = read(r#"{"id":"t","status":"error"}"#);
        assert_eq!(over.row.ended_at, Some(AT));
    }

    #[test]
    fn one_that_is_wrong_is_named_and_none_is_read() {
        let text = "{\"id\":\"a\"}\n{\"id\":\"b\",\"startTime\":-1}\n";
        let error = read_all(text.as_bytes(), Limits::default(), AT).unwrap_err();
        assert!(error.to_string().contains("trajectory 2 (line 2)"), "{error}");
        let many = Limits { trajectories: 1, ..Limits::default() };
        assert!(read_all("{\"id\":\"a\"}{\"id\":\"b\"}".as_bytes(), many, AT).is_err());
    }
}
