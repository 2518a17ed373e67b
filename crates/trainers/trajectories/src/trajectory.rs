//! What an agent did from a request to its answer.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value};

use crate::Id;

/// What an agent did from a request to its answer: its steps, and what it asked models on the way.
///
/// [`Trajectory::from_json`] reads it as agents send it, [`Trajectory::to_json`] writes it so that the same is read of
/// it. Its `Debug` output shows none of the conversation.
///
/// ```
/// use trainyard_trajectories::{Limits, Status, Trajectory};
///
/// let text = br#"{
///     "trajectory_id": "t1", "source": "chat", "endTime": "2026-01-31T12:00:00Z",
///     "steps": [{"stepId": "s1", "llm_calls": [{"purpose": "reply", "userPrompt": "Hi", "response": "Hello!"}]}]
/// }"#;
/// let trajectory = Trajectory::from_json(text, &Limits::default())?;
/// assert_eq!((trajectory.id.as_str(), trajectory.status), ("t1", Status::Completed));
/// assert_eq!(trajectory.end_ms, Some(1_769_860_800_000));
/// assert_eq!(trajectory.calls[0].step_id.as_deref(), Some("s1"));
/// let again = trajectory.to_json().to_string();
/// assert_eq!(Trajectory::from_json(again.as_bytes(), &Limits::default())?, trajectory);
/// # Ok::<(), trainyard_trajectories::Refusal>(())
/// ```
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Trajectory {
    /// Who it is.
    pub id: Id,
    /// Whose it is.
    pub agent_id: Option<String>,
    /// What kind of agent that is.
    pub archetype: Option<String>,
    /// Where the request came from, such as `chat`, `telegram` or `discord`.
    pub source: Option<String>,
    /// Whether it is over, and how.
    pub status: Status,
    /// When it began, in milliseconds since 1970.
    pub start_ms: Option<u64>,
    /// When it ended, in milliseconds since 1970.
    pub end_ms: Option<u64>,
    /// When it was stored, in milliseconds since 1970.
    pub created_ms: Option<u64>,
    /// What it was worth in sum.
    pub total_reward: Option<f64>,
    /// What a judging model gave it.
    pub ai_judge_reward: Option<f64>,
    /// Why.
    pub ai_judge_reasoning: Option<String>,
    /// How many steps it took, as the agent counts.
    pub episode_length: Option<u64>,
    /// What else the agent says of it.
    pub metadata: Map<String, Value>,
    /// Its steps, as the agent sent them.
    pub steps: Vec<Step>,
    /// What it asked models, in order. Where the agent gave no list of its own, they are those under the steps.
    pub calls: Vec<LlmCall>,
    /// What it looked up, in order; with the same rule.
    pub accesses: Vec<ProviderAccess>,
}

impl Trajectory {
    /// An active trajectory with nothing in it.
    #[must_use]
    pub fn new(id: Id) -> Self {
        Self {
            id,
            agent_id: None,
            archetype: None,
            source: None,
            status: Status::Active,
            start_ms: None,
            end_ms: None,
            created_ms: None,
            total_reward: None,
            ai_judge_reward: None,
            ai_judge_reasoning: None,
            episode_length: None,
            metadata: Map::new(),
            steps: Vec::new(),
            calls: Vec::new(),
            accesses: Vec::new(),
        }
    }

    /// Whom it is about: the agent, and whoever is named as `entityId` or `userId` anywhere in it, in either spelling.
    #[must_use]
    pub fn entities(&self) -> BTreeSet<String> {
        let mut found: BTreeSet<String> = self.agent_id.iter().cloned().collect();
        let mut look = |map: &Map<String, Value>| look_for_entities(map, &mut found);
        look(&self.metadata);
        self.steps.iter().for_each(|step| look(step.fields()));
        self.calls.iter().for_each(|call| look(&call.metadata));
        for access in &self.accesses {
            [&access.data, &access.query].into_iter().filter_map(Value::as_object).for_each(&mut look);
        }
        found
    }
}

impl fmt::Debug for Trajectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trajectory")
            .field("id", &self.id)
            .field("source", &self.source)
            .field("status", &self.status)
            .field("steps", &self.steps.len())
            .field("calls", &self.calls)
            .field("accesses", &self.accesses.len())
            .finish_non_exhaustive()
    }
}

fn look_for_entities(map: &Map<String, Value>, found: &mut BTreeSet<String>) {
    for (key, value) in map {
        match value {
            Value::String(text) if ENTITY_KEYS.contains(&key.as_str()) => {
                found.insert(text.clone());
            }
            Value::Object(inner) => look_for_entities(inner, found),
            Value::Array(items) => {
                items.iter().filter_map(Value::as_object).for_each(|inner| look_for_entities(inner, found));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

const ENTITY_KEYS: [&str; 4] = ["entityId", "entity_id", "userId", "user_id"];

/// Whether a trajectory is over, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// It goes on.
    Active,
    /// It came to its end.
    Completed,
    /// It failed.
    Error,
    /// It took too long.
    Timeout,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Active, Self::Completed, Self::Error, Self::Timeout];

    /// How agents call it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Completed => "completed",
            Self::Error => "error",
            Self::Timeout => "timeout",
        }
    }
}

/// A step of a trajectory, an object of whatever fields its agent gave it.
#[derive(Clone, PartialEq, Eq)]
pub struct Step(Map<String, Value>);

impl Step {
    /// A step with those fields.
    #[must_use]
    pub const fn new(fields: Map<String, Value>) -> Self {
        Self(fields)
    }

    /// Who it is: its `stepId`, `step_id` or `id`.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        ["stepId", "step_id", "id"].into_iter().find_map(|key| self.0.get(key)?.as_str())
    }

    /// All of its fields.
    #[must_use]
    pub const fn fields(&self) -> &Map<String, Value> {
        &self.0
    }

    pub(crate) const fn fields_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.0
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step").field("fields", &self.0.len()).finish_non_exhaustive()
    }
}

/// A question to a model, and its answer.
#[derive(Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct LlmCall {
    /// Who it is.
    pub id: Option<String>,
    /// In which step it was.
    pub step_id: Option<String>,
    /// Which model was asked.
    pub model: Option<String>,
    /// How the model was instructed.
    pub system_prompt: String,
    /// What it was asked.
    pub user_prompt: String,
    /// What it answered.
    pub response: String,
    /// How freely it might answer.
    pub temperature: Option<f64>,
    /// How long the answer might be, in tokens.
    pub max_tokens: Option<u64>,
    /// What it was asked for, such as `should_respond`.
    pub purpose: Option<String>,
    /// Which action of the agent asked.
    pub action_type: Option<String>,
    /// How long the answer took, in milliseconds.
    pub latency_ms: Option<u64>,
    /// How long the question was, in tokens.
    pub prompt_tokens: Option<u64>,
    /// How long the answer was, in tokens.
    pub completion_tokens: Option<u64>,
    /// When it was, in milliseconds since 1970.
    pub timestamp_ms: Option<u64>,
    /// What else the agent says of it.
    pub metadata: Map<String, Value>,
}

impl LlmCall {
    /// A call with those texts, and nothing else known of it.
    #[must_use]
    pub fn new(system: impl Into<String>, user: impl Into<String>, response: impl Into<String>) -> Self {
        Self {
            system_prompt: system.into(),
            user_prompt: user.into(),
            response: response.into(),
            ..Self::default()
        }
    }

    /// What kind of call its agent says it is.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        ["callKind", "call_kind"].into_iter().find_map(|key| self.metadata.get(key)?.as_str())
    }
}

impl fmt::Debug for LlmCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LlmCall")
            .field("id", &self.id)
            .field("model", &self.model)
            .field("purpose", &self.purpose)
            .field("response_bytes", &self.response.len())
            .finish_non_exhaustive()
    }
}

/// Something an agent looked up.
#[derive(Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct ProviderAccess {
    /// Who it is.
    pub id: Option<String>,
    /// In which step it was.
    pub step_id: Option<String>,
    /// Where it looked.
    pub provider_name: Option<String>,
    /// What for.
    pub purpose: Option<String>,
    /// What it found.
    pub data: Value,
    /// What it looked for.
    pub query: Value,
    /// When it was, in milliseconds since 1970.
    pub timestamp_ms: Option<u64>,
}

impl fmt::Debug for ProviderAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderAccess")
            .field("id", &self.id)
            .field("provider_name", &self.provider_name)
            .finish_non_exhaustive()
    }
}
