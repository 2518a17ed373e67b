//! From calls to lines.

use serde::Serialize;

use super::NATIVE;
use crate::{LlmCall, Task, Trajectory};

/// A call as a line for training: who, three messages, and what is known of it. Without a line end.
///
/// ```
/// use trainyard_trajectories::{LlmCall, Trajectory, training_line};
///
/// let call = LlmCall::new("Be brief.", "Name a sieve.", "Eratosthenes");
/// let line = training_line(&Trajectory::new("t".parse()?), &call);
/// assert!(line.starts_with(r#"{"trajectory_id":"t","agent_id":null,"archetype":"default","messages":[{"role":"system""#));
/// # Ok::<(), trainyard_trajectories::Problem>(())
/// ```
#[must_use]
pub fn training_line(trajectory: &Trajectory, call: &LlmCall) -> String {
    to_json(&TrainingLine {
        trajectory_id: trajectory.id.as_str(),
        agent_id: trajectory.agent_id.as_deref(),
        archetype: trajectory.archetype.as_deref().unwrap_or("default"),
        messages: [
            Message { role: "system", content: &call.system_prompt },
            Message { role: "user", content: &call.user_prompt },
            Message { role: "assistant", content: &call.response },
        ],
        metadata: TrainingMetadata {
            source: "milaidy",
            model: call.model.as_deref(),
            purpose: call.purpose.as_deref(),
            ai_judge_reward: trajectory.ai_judge_reward,
            total_reward: trajectory.total_reward,
            created_at: trajectory.created_ms.or(trajectory.start_ms),
        },
    })
}

/// A call as a line of `eliza_native_v1`, an example of that task. Without a line end.
///
/// `nth` is its number among the calls of the trajectory, from 0, which names it when it has no id.
#[must_use]
pub fn native_line(trajectory: &Trajectory, call: &LlmCall, nth: usize, task: Task, dataset: &str) -> String {
    let numbered;
    let call_id = match &call.id {
        Some(id) => id,
        None => {
            numbered = format!("call-{nth}");
            &numbered
        }
    };
    to_json(&NativeLine {
        format: NATIVE,
        boundary: "vercel_ai_sdk.generateText",
        request: NativeRequest {
            system: &call.system_prompt,
            messages: [Message { role: "user", content: &call.user_prompt }],
        },
        response: NativeResponse { text: &call.response },
        metadata: NativeMetadata {
            task_type: task.as_str(),
            source_dataset: dataset,
            trajectory_id: trajectory.id.as_str(),
            call_id,
            agent_id: trajectory.agent_id.as_deref(),
            trajectory_source: trajectory.source.as_deref(),
            ai_judge_reward: trajectory.ai_judge_reward,
            total_reward: trajectory.total_reward,
        },
    })
}

fn to_json(line: &impl Serialize) -> String {
    serde_json::to_string(line).expect("texts and numbers under plain keys are json")
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

#[derive(Serialize)]
struct TrainingLine<'a> {
    trajectory_id: &'a str,
    agent_id: Option<&'a str>,
    archetype: &'a str,
    messages: [Message<'a>; 3],
    metadata: TrainingMetadata<'a>,
}

#[derive(Serialize)]
struct TrainingMetadata<'a> {
    source: &'static str,
    model: Option<&'a str>,
    purpose: Option<&'a str>,
    ai_judge_reward: Option<f64>,
    total_reward: Option<f64>,
    created_at: Option<u64>,
}

#[derive(Serialize)]
struct NativeLine<'a> {
    format: &'static str,
    boundary: &'static str,
    request: NativeRequest<'a>,
    response: NativeResponse<'a>,
    metadata: NativeMetadata<'a>,
}

#[derive(Serialize)]
struct NativeRequest<'a> {
    system: &'a str,
    messages: [Message<'a>; 1],
}

#[derive(Serialize)]
struct NativeResponse<'a> {
    text: &'a str,
}

/// The rewards are ours: nobody else reads them, and without them a reader cannot tell good examples from others.
#[derive(Serialize)]
struct NativeMetadata<'a> {
    task_type: &'static str,
    source_dataset: &'a str,
    trajectory_id: &'a str,
    call_id: &'a str,
    agent_id: Option<&'a str>,
    trajectory_source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ai_judge_reward: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_reward: Option<f64>,
}
