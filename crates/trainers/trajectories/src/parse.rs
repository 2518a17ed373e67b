//! From the JSON of agents to trajectories.

use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::{Problem, Refusal};
use crate::{Id, Limits, LlmCall, ProviderAccess, Status, Step, Trajectory};

impl Trajectory {
    /// Reads one trajectory, or one within `{"trajectory": …}`.
    ///
    /// Keys may be in `camelCase` or `snake_case`; what is null is as if it were missing, an empty name too. Calls and
    /// accesses may be at the top or under the steps; where both are, those at the top count. Steps may be a list, or
    /// a list in a text (`stepsJson`). Times are milliseconds since 1970 or RFC 3339. Without a status, it is completed
    /// if it has an end.
    ///
    /// # Errors
    /// [`Refusal`] says what is wrong and where.
    pub fn from_json(text: &[u8], limits: &Limits) -> Result<Self, Refusal> {
        if text.len() > limits.bytes {
            return Err(Refusal::new("", Problem::TooLong { bytes: text.len(), max: limits.bytes }));
        }
        let value: Value = serde_json::from_slice(text)
            .map_err(|error| Refusal::new("", Problem::NotJson { what: error.to_string() }))?;
        check_depth(&value, limits, "")?;
        let mut map = object(value, "")?;
        if let Some(inner) = map.remove("trajectory").filter(Value::is_object) {
            map = object(inner, "trajectory")?;
        }
        read(&map, limits)
    }
}

fn read(map: &Map<String, Value>, limits: &Limits) -> Result<Trajectory, Refusal> {
    let fields = Fields { map, path: String::new(), limits };
    let id = fields.id(&["trajectoryId", "trajectory_id", "id"])?;
    let steps = fields.steps()?;
    let (mut calls, mut accesses) =
        (fields.calls(None, limits.calls)?, fields.accesses(None, limits.accesses)?);
    if calls.is_empty() || accesses.is_empty() {
        let under = under_steps(&steps, limits)?;
        calls = if calls.is_empty() { under.0 } else { calls };
        accesses = if accesses.is_empty() { under.1 } else { accesses };
    }
    let end_ms = fields.time(&["endTime", "end_time"])?;
    Ok(Trajectory {
        id,
        agent_id: fields.name(&["agentId", "agent_id"])?,
        archetype: fields.name(&["archetype"])?,
        source: fields.name(&["source"])?,
        status: fields.status(end_ms.is_some())?,
        start_ms: fields.time(&["startTime", "start_time"])?,
        end_ms,
        created_ms: fields.time(&["createdAt", "created_at"])?,
        total_reward: fields.number(&["totalReward", "total_reward"])?,
        ai_judge_reward: fields.number(&["aiJudgeReward", "ai_judge_reward"])?,
        ai_judge_reasoning: Some(fields.text(&["aiJudgeReasoning", "ai_judge_reasoning"])?)
            .filter(|text| !text.is_empty()),
        episode_length: fields.amount(&["episodeLength", "episode_length"])?,
        metadata: fields.object(&["metadata"])?,
        steps,
        calls,
        accesses,
    })
}

/// The calls and the accesses that stand under steps.
pub(crate) fn under_steps(
    steps: &[Step],
    limits: &Limits,
) -> Result<(Vec<LlmCall>, Vec<ProviderAccess>), Refusal> {
    let (mut calls, mut accesses) = (Vec::new(), Vec::new());
    for (nth, step) in steps.iter().enumerate() {
        let fields = Fields { map: step.fields(), path: format!("steps[{nth}]"), limits };
        calls.extend(fields.calls(step.id(), limits.calls - calls.len())?);
        accesses.extend(fields.accesses(step.id(), limits.accesses - accesses.len())?);
    }
    Ok((calls, accesses))
}

/// The fields of one object, and where it is.
struct Fields<'v> {
    map: &'v Map<String, Value>,
    path: String,
    limits: &'v Limits,
}

impl<'v> Fields<'v> {
    /// The first of those that is there.
    fn get(&self, names: &[&'static str]) -> Option<(&'static str, &'v Value)> {
        let is_there = |name: &&'static str| self.map.get(*name).filter(|value| !value.is_null());
        names.iter().find_map(|name| is_there(name).map(|value| (*name, value)))
    }

    fn refuse(&self, name: &str, problem: Problem) -> Refusal {
        Refusal::new(join(&self.path, name), problem)
    }

    fn str(&self, names: &[&'static str]) -> Result<Option<(&'static str, &'v str)>, Refusal> {
        match self.get(names) {
            None => Ok(None),
            Some((name, Value::String(text))) => Ok(Some((name, text))),
            Some((name, other)) => Err(self.refuse(name, kind(other, "a text"))),
        }
    }

    fn text(&self, names: &[&'static str]) -> Result<String, Refusal> {
        let Some((name, text)) = self.str(names)? else { return Ok(String::new()) };
        let (bytes, max) = (text.len(), self.limits.text_bytes);
        if bytes > max {
            return Err(self.refuse(name, Problem::TooLong { bytes, max }));
        }
        Ok(text.to_owned())
    }

    fn name(&self, names: &[&'static str]) -> Result<Option<String>, Refusal> {
        let Some((name, text)) = self.str(names)? else { return Ok(None) };
        let (bytes, max) = (text.len(), self.limits.name_bytes);
        if bytes > max {
            return Err(self.refuse(name, Problem::TooLong { bytes, max }));
        }
        if text.chars().any(char::is_control) {
            return Err(self.refuse(name, Problem::ControlCharacter));
        }
        Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
    }

    fn id(&self, names: &[&'static str]) -> Result<Id, Refusal> {
        let Some((name, text)) = self.str(names)? else {
            return Err(self.refuse("id", Problem::Missing));
        };
        text.parse().map_err(|problem| self.refuse(name, problem))
    }

    fn status(&self, has_ended: bool) -> Result<Status, Refusal> {
        let Some((name, text)) = self.str(&["status"])? else {
            return Ok(if has_ended { Status::Completed } else { Status::Active });
        };
        let known = Status::ALL.into_iter().find(|status| status.as_str().eq_ignore_ascii_case(text));
        known.ok_or_else(|| self.refuse(name, Problem::UnknownStatus))
    }

    fn number(&self, names: &[&'static str]) -> Result<Option<f64>, Refusal> {
        let Some((name, value)) = self.get(names) else { return Ok(None) };
        value.as_f64().map(Some).ok_or_else(|| self.refuse(name, kind(value, "a number")))
    }

    /// Something counted; fractions are cut off.
    fn amount(&self, names: &[&'static str]) -> Result<Option<u64>, Refusal> {
        let Some((name, value)) = self.get(names) else { return Ok(None) };
        let Some(number) = value.as_f64() else { return Err(self.refuse(name, kind(value, "a number"))) };
        whole(number).map(Some).ok_or_else(|| self.refuse(name, Problem::BadAmount))
    }

    fn time(&self, names: &[&'static str]) -> Result<Option<u64>, Refusal> {
        let Some((name, value)) = self.get(names) else { return Ok(None) };
        let ms = match value {
            Value::Number(number) => number.as_f64().and_then(whole).filter(|ms| *ms <= TIME_MS_MAX),
            Value::String(text) => OffsetDateTime::parse(text, &Rfc3339)
                .ok()
                .and_then(|time| u64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                return Err(self.refuse(name, kind(value, "a time")));
            }
        };
        ms.map(Some).ok_or_else(|| self.refuse(name, Problem::BadTime))
    }

    fn object(&self, names: &[&'static str]) -> Result<Map<String, Value>, Refusal> {
        match self.get(names) {
            None => Ok(Map::new()),
            Some((_, Value::Object(map))) => Ok(map.clone()),
            Some((name, other)) => Err(self.refuse(name, kind(other, "an object"))),
        }
    }

    /// The objects of a list, each with the place it has.
    fn objects(&self, names: &[&'static str], max: usize) -> Result<Vec<Fields<'v>>, Refusal> {
        let Some((name, value)) = self.get(names) else { return Ok(Vec::new()) };
        let Value::Array(items) = value else { return Err(self.refuse(name, kind(value, "a list"))) };
        if items.len() > max {
            return Err(self.refuse(name, Problem::TooMany { count: items.len(), max }));
        }
        let fields = |(nth, item): (usize, &'v Value)| {
            let path = join(&self.path, &format!("{name}[{nth}]"));
            let Value::Object(map) = item else { return Err(Refusal::new(path, kind(item, "an object"))) };
            Ok(Fields { map, path, limits: self.limits })
        };
        items.iter().enumerate().map(fields).collect()
    }

    fn steps(&self) -> Result<Vec<Step>, Refusal> {
        const IN_A_TEXT: &str = "stepsJson";
        let text = match self.get(&[IN_A_TEXT, "steps_json"]) {
            Some((_, Value::String(text))) if self.get(&["steps"]).is_none() => text,
            Some(_) | None => {
                let steps = self.objects(&["steps", IN_A_TEXT, "steps_json"], self.limits.steps)?;
                return Ok(steps.iter().map(|step| Step::new(step.map.clone())).collect());
            }
        };
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let value: Value = serde_json::from_str(text)
            .map_err(|error| self.refuse(IN_A_TEXT, Problem::NotJson { what: error.to_string() }))?;
        check_depth(&value, self.limits, IN_A_TEXT)?;
        let map = Map::from_iter([(IN_A_TEXT.to_owned(), value)]);
        Fields { map: &map, path: String::new(), limits: self.limits }.steps()
    }

    fn calls(&self, step: Option<&str>, max: usize) -> Result<Vec<LlmCall>, Refusal> {
        let calls = self.objects(&["llmCalls", "llm_calls"], max)?;
        calls.iter().map(|fields| fields.call(step)).collect()
    }

    fn call(&self, step: Option<&str>) -> Result<LlmCall, Refusal> {
        Ok(LlmCall {
            id: self.name(&["callId", "call_id", "id"])?,
            step_id: self.step(step)?,
            model: self.name(&["model"])?,
            system_prompt: self.text(&["systemPrompt", "system_prompt"])?,
            user_prompt: self.text(&["userPrompt", "user_prompt"])?,
            response: self.text(&["response"])?,
            temperature: self.number(&["temperature"])?,
            max_tokens: self.amount(&["maxTokens", "max_tokens"])?,
            purpose: self.name(&["purpose"])?,
            action_type: self.name(&["actionType", "action_type"])?,
            latency_ms: self.amount(&["latencyMs", "latency_ms"])?,
            prompt_tokens: self.amount(&["promptTokens", "prompt_tokens"])?,
            completion_tokens: self.amount(&["completionTokens", "completion_tokens"])?,
            timestamp_ms: self.time(&["timestamp"])?,
            metadata: self.object(&["metadata"])?,
        })
    }

    fn accesses(&self, step: Option<&str>, max: usize) -> Result<Vec<ProviderAccess>, Refusal> {
        let accesses = self.objects(&["providerAccesses", "provider_accesses"], max)?;
        accesses.iter().map(|fields| fields.access(step)).collect()
    }

    fn access(&self, step: Option<&str>) -> Result<ProviderAccess, Refusal> {
        let any = |name| self.map.get(name).cloned().unwrap_or(Value::Null);
        Ok(ProviderAccess {
            id: self.name(&["id", "accessId", "access_id"])?,
            step_id: self.step(step)?,
            provider_name: self.name(&["providerName", "provider_name"])?,
            purpose: self.name(&["purpose"])?,
            data: any("data"),
            query: any("query"),
            timestamp_ms: self.time(&["timestamp"])?,
        })
    }

    /// The step that is named here, or else the one this stands under.
    fn step(&self, under: Option<&str>) -> Result<Option<String>, Refusal> {
        let named = self.name(&["stepId", "step_id"])?;
        Ok(named.or_else(|| under.filter(|id| !id.is_empty()).map(str::to_owned)))
    }
}

fn object(value: Value, path: &str) -> Result<Map<String, Value>, Refusal> {
    if let Value::Object(map) = value { Ok(map) } else { Err(Refusal::new(path, kind(&value, "an object"))) }
}

fn kind(value: &Value, wanted: &'static str) -> Problem {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    Problem::Kind { wanted, found }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// A number without its fraction, if it can be told from its neighbours.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in range")]
fn whole(number: f64) -> Option<u64> {
    (0.0..=AMOUNT_MAX).contains(&number).then_some(number as u64)
}

fn check_depth(value: &Value, limits: &Limits, path: &str) -> Result<(), Refusal> {
    let max = limits.depth.min(DEPTH_MAX);
    if is_deeper(value, max) { Err(Refusal::new(path, Problem::TooDeep { max })) } else { Ok(()) }
}

fn is_deeper(value: &Value, max: usize) -> bool {
    let mut inner: Box<dyn Iterator<Item = &Value>> = match value {
        Value::Array(items) => Box::new(items.iter()),
        Value::Object(map) => Box::new(map.values()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return false,
    };
    max == 0 || inner.any(|value| is_deeper(value, max - 1))
}

/// 2⁵³ − 1: above, numbers of JSON may not mean what they say.
const AMOUNT_MAX: f64 = 9_007_199_254_740_991.0;
/// The last moment that a page can show as a date.
const TIME_MS_MAX: u64 = 8_640_000_000_000_000;
/// Steps are read on their own and written within a trajectory, and the parser allows 127.
const DEPTH_MAX: usize = 100;
