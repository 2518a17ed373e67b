//! From trajectories to JSON.

use serde_json::{Map, Value, json};

use crate::parse::under_steps;
use crate::{Limits, LlmCall, ProviderAccess, Step, Trajectory};

impl Trajectory {
    /// The one way to write it: `camelCase` keys in alphabetical order, what is not known left out, and calls and
    /// accesses on their own only where the steps do not say the same.
    ///
    /// It takes hardly more than it took when it was read, but numbers may be spelled longer; whoever stores it should
    /// read it back with a higher [`Limits::bytes`].
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut object = Object::default();
        object.put("id", self.id.as_str());
        object.put_some("agentId", self.agent_id.as_deref());
        object.put_some("archetype", self.archetype.as_deref());
        object.put_some("source", self.source.as_deref());
        object.put("status", self.status.as_str());
        object.put_some("startTime", self.start_ms);
        object.put_some("endTime", self.end_ms);
        object.put_some("createdAt", self.created_ms);
        object.put_some("totalReward", self.total_reward);
        object.put_some("aiJudgeReward", self.ai_judge_reward);
        object.put_some("aiJudgeReasoning", self.ai_judge_reasoning.as_deref());
        object.put_some("episodeLength", self.episode_length);
        object.put_map("metadata", &self.metadata);
        object.put_list("steps", self.steps.iter().map(|step| Value::Object(step.fields().clone())));
        let (calls, accesses) = self.under_steps();
        if calls != self.calls {
            object.put_list("llmCalls", self.calls.iter().map(LlmCall::to_json));
        }
        if accesses != self.accesses {
            object.put_list("providerAccesses", self.accesses.iter().map(ProviderAccess::to_json));
        }
        Value::Object(object.0)
    }

    /// The steps as they are shown: as the agent sent them, and where they hold no calls, with the calls in them. Calls
    /// that belong to no step that is there get steps of their own.
    #[must_use]
    pub fn shown_steps(&self) -> Vec<Step> {
        let mut steps = self.steps.clone();
        let (calls, accesses) = self.under_steps();
        if calls.is_empty() {
            for call in &self.calls {
                put_under(&mut steps, call.step_id.as_deref(), "llmCalls", call.to_json());
            }
        }
        if accesses.is_empty() {
            for access in &self.accesses {
                put_under(&mut steps, access.step_id.as_deref(), "providerAccesses", access.to_json());
            }
        }
        steps
    }

    /// [`Trajectory::shown_steps`] as a JSON list.
    #[must_use]
    pub fn steps_json(&self) -> String {
        let steps = self.shown_steps().into_iter().map(|step| Value::Object(step.fields().clone()));
        Value::Array(steps.collect()).to_string()
    }

    /// Whether the steps hold the calls.
    pub(crate) fn has_calls_in_steps(&self) -> bool {
        !self.calls.is_empty() && self.under_steps().0 == self.calls
    }

    /// What a reader would find under the steps; nothing when it cannot be read.
    fn under_steps(&self) -> (Vec<LlmCall>, Vec<ProviderAccess>) {
        let all = usize::MAX;
        let limits =
            Limits { calls: all, accesses: all, text_bytes: all, name_bytes: all, ..Limits::default() };
        under_steps(&self.steps, &limits).unwrap_or_default()
    }
}

impl LlmCall {
    /// The one way to write it. See [`Trajectory::to_json`].
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut object = Object::default();
        object.put_some("callId", self.id.as_deref());
        object.put_some("stepId", self.step_id.as_deref());
        object.put_some("model", self.model.as_deref());
        object.put("systemPrompt", self.system_prompt.as_str());
        object.put("userPrompt", self.user_prompt.as_str());
        object.put("response", self.response.as_str());
        object.put_some("temperature", self.temperature);
        object.put_some("maxTokens", self.max_tokens);
        object.put_some("purpose", self.purpose.as_deref());
        object.put_some("actionType", self.action_type.as_deref());
        object.put_some("latencyMs", self.latency_ms);
        object.put_some("promptTokens", self.prompt_tokens);
        object.put_some("completionTokens", self.completion_tokens);
        object.put_some("timestamp", self.timestamp_ms);
        object.put_map("metadata", &self.metadata);
        Value::Object(object.0)
    }
}

impl ProviderAccess {
    /// The one way to write it. See [`Trajectory::to_json`].
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut object = Object::default();
        object.put_some("id", self.id.as_deref());
        object.put_some("stepId", self.step_id.as_deref());
        object.put_some("providerName", self.provider_name.as_deref());
        object.put_some("purpose", self.purpose.as_deref());
        object.put_some("data", Some(&self.data).filter(|data| !data.is_null()).cloned());
        object.put_some("query", Some(&self.query).filter(|query| !query.is_null()).cloned());
        object.put_some("timestamp", self.timestamp_ms);
        Value::Object(object.0)
    }
}

/// Adds an entry to a list of the step with that id; of a new step when there is none.
fn put_under(steps: &mut Vec<Step>, id: Option<&str>, list: &str, entry: Value) {
    let found = steps.iter().position(|step| step.id() == id);
    let nth = found.unwrap_or_else(|| {
        let fields = id.map(|id| ("stepId".to_owned(), json!(id)));
        steps.push(Step::new(fields.into_iter().collect()));
        steps.len() - 1
    });
    let fields = steps[nth].fields_mut();
    match fields.get_mut(list) {
        Some(Value::Array(entries)) => entries.push(entry),
        Some(_) | None => {
            fields.insert(list.to_owned(), json!([entry]));
        }
    }
}

#[derive(Default)]
struct Object(Map<String, Value>);

impl Object {
    fn put(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.to_owned(), value.into());
    }

    fn put_some(&mut self, key: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    fn put_map(&mut self, key: &str, map: &Map<String, Value>) {
        if !map.is_empty() {
            self.put(key, Value::Object(map.clone()));
        }
    }

    fn put_list(&mut self, key: &str, items: impl Iterator<Item = Value>) {
        let items: Vec<Value> = items.collect();
        if !items.is_empty() {
            self.put(key, items);
        }
    }
}
