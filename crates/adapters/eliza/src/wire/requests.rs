//! JSON bodies and queries. What is wrong with a body is told by the member's name, and nothing that was sent is echoed.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};
use url::form_urlencoded;

use crate::fault::Fault;
use crate::host::{AutoConfig, Backend, DatasetId, Page, Task, TaskConfig};
use crate::ollama::OllamaUrl;

/// A dataset to be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NewDataset {
    /// 1 to 5,000.
    pub(crate) limit: u64,
    /// At least 1.
    pub(crate) llm_calls_min: u64,
}

/// A training to be started.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewJob {
    pub(crate) dataset: Chosen,
    pub(crate) backend: Backend,
    pub(crate) model: Option<String>,
    pub(crate) trajectories_max: Option<u64>,
    pub(crate) iterations: Option<u64>,
    pub(crate) batch_size: Option<u64>,
    pub(crate) learning_rate: Option<f64>,
    pub(crate) optimizer: Option<String>,
}

/// Which dataset a training is to be about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Chosen {
    Newest,
    This(DatasetId),
    /// What was named is no id, so there is none.
    None,
}

/// A model to be imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewImport {
    pub(crate) name: Option<String>,
    pub(crate) base: Option<String>,
    /// `None` for the default.
    pub(crate) ollama: Option<OllamaUrl>,
}

/// A model to be used from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Activation {
    pub(crate) provider_model: Option<String>,
}

/// A task to be trained now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewRun {
    pub(crate) task: Option<Task>,
    pub(crate) backend: Option<Backend>,
    pub(crate) is_dry: bool,
}

/// What is to change in the configuration of auto-training.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct AutoChange {
    is_enabled: Option<bool>,
    threshold: Option<u64>,
    cooldown: Option<Duration>,
    overrides: Option<BTreeMap<Task, TaskConfig>>,
}

/// Which of the two sets of names counts when a body has both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// `threshold`, `cooldownHours`, `enabled`: those of `PUT`.
    Documented,
    /// `triggerThreshold`, `triggerCooldownHours`, `autoTrain`: those of `POST`. The settings page posts back what it has
    /// read, with `autoTrain` turned over; what it has read holds the other names too.
    Original,
}

/// The members of a body; an empty body has none.
pub(crate) fn members(bytes: &[u8]) -> Result<Map<String, Value>, Fault> {
    if bytes.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    // The parser's own words may quote what was sent.
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            Err(Fault::bad("Request body must be a JSON object"))
        }
        Err(_) => Err(Fault::bad("Request body is not valid JSON")),
    }
}

impl NewDataset {
    const LIMIT_DEFAULT: u64 = 250;
    const LIMIT_MAX: u64 = 5_000;

    /// What a training without any dataset builds.
    pub(crate) fn of_newest(trajectories_max: Option<u64>) -> Self {
        let limit = trajectories_max.unwrap_or(Self::LIMIT_DEFAULT).clamp(1, Self::LIMIT_MAX);
        Self { limit, llm_calls_min: 1 }
    }

    pub(crate) fn of(members: &Map<String, Value>) -> Result<Self, Fault> {
        let limit = counted(members, "limit")?;
        let calls = whole(members, "minLlmCallsPerTrajectory", 0)?;
        Ok(Self { llm_calls_min: calls.unwrap_or(1).max(1), ..Self::of_newest(limit) })
    }
}

impl NewJob {
    pub(crate) fn of(members: &Map<String, Value>) -> Result<Self, Fault> {
        let dataset = match text(members, "datasetId")? {
            None => Chosen::Newest,
            Some(id) => DatasetId::new(id).map_or(Chosen::None, Chosen::This),
        };
        let rate = number(members, "learningRate")?;
        if rate.is_some_and(|rate| rate <= 0.0) {
            return Err(Fault::invalid("learningRate", "must be above 0"));
        }
        Ok(Self {
            dataset,
            backend: backend(members)?.unwrap_or(Backend::Native),
            model: word(members, "model")?,
            trajectories_max: counted(members, "maxTrajectories")?,
            iterations: counted(members, "iterations")?,
            batch_size: counted(members, "batchSize")?,
            learning_rate: rate,
            optimizer: word(members, "optimizer")?,
        })
    }
}

impl NewImport {
    pub(crate) fn of(members: &Map<String, Value>) -> Result<Self, Fault> {
        let ollama = match text(members, "ollamaUrl")? {
            None => None,
            Some(url) => {
                let parsed = OllamaUrl::parse(url);
                Some(parsed.map_err(|error| Fault::bad(format!("ollamaUrl cannot be used: {error}")))?)
            }
        };
        Ok(Self { name: name(members, "modelName")?, base: name(members, "baseModel")?, ollama })
    }
}

impl Activation {
    pub(crate) fn of(members: &Map<String, Value>) -> Result<Self, Fault> {
        Ok(Self { provider_model: word(members, "providerModel")? })
    }
}

impl NewRun {
    pub(crate) fn of(members: &Map<String, Value>) -> Result<Self, Fault> {
        let task = match text(members, "task")? {
            None => None,
            Some(word) => Some(Task::new(word).ok_or_else(|| Fault::invalid("task", NO_TASK))?),
        };
        Ok(Self { task, backend: backend(members)?, is_dry: switch(members, "dryRun")?.unwrap_or(false) })
    }
}

impl AutoChange {
    /// What stands inside of `config` counts where nothing else says so: a client may send back all of what it has read,
    /// with a member changed outside.
    pub(crate) fn of(members: &Map<String, Value>, names: Names) -> Result<Self, Fault> {
        let outer = Self::of_one(members, names)?;
        let inner = match members.get("config") {
            None | Some(Value::Null) => Self::default(),
            Some(Value::Object(inner)) => Self::of_one(inner, names)?,
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                return Err(Fault::invalid("config", "must be an object"));
            }
        };
        Ok(Self {
            is_enabled: outer.is_enabled.or(inner.is_enabled),
            threshold: outer.threshold.or(inner.threshold),
            cooldown: outer.cooldown.or(inner.cooldown),
            overrides: outer.overrides.or(inner.overrides),
        })
    }

    fn of_one(members: &Map<String, Value>, names: Names) -> Result<Self, Fault> {
        let pick = |documented, original| match names {
            Names::Documented => [documented, original],
            Names::Original => [original, documented],
        };
        backends(members)?;
        Ok(Self {
            is_enabled: first(pick("enabled", "autoTrain"), |name| switch(members, name))?,
            threshold: first(pick("threshold", "triggerThreshold"), |name| counted(members, name))?,
            cooldown: first(pick("cooldownHours", "triggerCooldownHours"), |name| hours(members, name))?,
            overrides: overrides(members)?,
        })
    }

    pub(crate) fn apply(self, config: AutoConfig) -> AutoConfig {
        AutoConfig {
            is_enabled: self.is_enabled.unwrap_or(config.is_enabled),
            threshold: self.threshold.unwrap_or(config.threshold),
            cooldown: self.cooldown.unwrap_or(config.cooldown),
            overrides: self.overrides.unwrap_or(config.overrides),
        }
    }
}

/// Both are looked at, so that what is wrong with either is told; the first that is there counts.
fn first<T>(names: [&str; 2], read: impl Fn(&str) -> Result<Option<T>, Fault>) -> Result<Option<T>, Fault> {
    let [preferred, other] = names;
    let (preferred, other) = (read(preferred)?, read(other)?);
    Ok(preferred.or(other))
}

/// There is one backend for all tasks, and others for single ones.
fn backends(members: &Map<String, Value>) -> Result<(), Fault> {
    match members.get("backends") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Array(words)) if words.iter().all(|word| *word == Backend::Native.as_str()) => Ok(()),
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_)) => {
            Err(Fault::invalid("backends", r#"must be ["native"]; perTaskOverrides can name others"#))
        }
    }
}

fn overrides(members: &Map<String, Value>) -> Result<Option<BTreeMap<Task, TaskConfig>>, Fault> {
    const TASKS_MAX: usize = 64;
    let tasks = match members.get("perTaskOverrides") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(tasks)) => tasks,
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            return Err(Fault::invalid("perTaskOverrides", "must be an object"));
        }
    };
    if tasks.len() > TASKS_MAX {
        return Err(Fault::invalid("perTaskOverrides", &format!("must name at most {TASKS_MAX} tasks")));
    }
    let read = |(task, config): (&String, &Value)| {
        let task = Task::new(&**task).ok_or_else(|| Fault::invalid("a task of perTaskOverrides", NO_TASK))?;
        let config = config.as_object();
        let config =
            config.ok_or_else(|| Fault::invalid("perTaskOverrides", "must hold an object per task"))?;
        let config = TaskConfig {
            threshold: counted(config, "threshold")?,
            cooldown: hours(config, "cooldownHours")?,
            backend: backend(config)?,
        };
        Ok((task, config))
    };
    tasks.iter().map(read).collect::<Result<_, _>>().map(Some)
}

const NO_TASK: &str = "must be 1 to 64 of a-z, 0-9 and _";

fn backend(members: &Map<String, Value>) -> Result<Option<Backend>, Fault> {
    let wrong = || Fault::invalid("backend", "must be one of native, mlx, cuda, cpu");
    match members.get("backend") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(word)) => Backend::of(word).map(Some).ok_or_else(wrong),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => Err(wrong()),
    }
}

/// A text without the blanks around it, `None` when it is not there, null or blank. A line break is no blank.
fn text<'a>(members: &'a Map<String, Value>, member: &str) -> Result<Option<&'a str>, Fault> {
    match members.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.trim_matches(' ')).filter(|text| !text.is_empty())),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Err(Fault::invalid(member, "must be a string"))
        }
    }
}

/// A text that may become an argument of a program.
fn word(members: &Map<String, Value>, member: &str) -> Result<Option<String>, Fault> {
    const CHARS_MAX: usize = 256;
    let Some(word) = text(members, member)? else {
        return Ok(None);
    };
    if word.chars().count() > CHARS_MAX {
        return Err(Fault::invalid(member, &format!("must have at most {CHARS_MAX} characters")));
    }
    if word.chars().any(char::is_control) || word.starts_with('-') {
        return Err(Fault::invalid(
            member,
            "must have no control characters, and no hyphen at its beginning",
        ));
    }
    Ok(Some(word.to_owned()))
}

/// A text that may stand in a Modelfile.
fn name(members: &Map<String, Value>, member: &str) -> Result<Option<String>, Fault> {
    let Some(name) = word(members, member)? else {
        return Ok(None);
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':' | '/');
    if !name.chars().all(fits)
        || !name.starts_with(|c: char| c.is_ascii_alphanumeric())
        || name.contains("..")
    {
        return Err(Fault::invalid(member, "must be letters, digits and ._-:/ as Ollama names models"));
    }
    Ok(Some(name))
}

fn switch(members: &Map<String, Value>, member: &str) -> Result<Option<bool>, Fault> {
    match members.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(switch)) => Ok(Some(*switch)),
        Some(Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_)) => {
            Err(Fault::invalid(member, "must be true or false"))
        }
    }
}

fn number(members: &Map<String, Value>, member: &str) -> Result<Option<f64>, Fault> {
    match members.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => Ok(number.as_f64()),
        Some(Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_)) => {
            Err(Fault::invalid(member, "must be a number"))
        }
    }
}

/// A whole number of at least 1.
fn counted(members: &Map<String, Value>, member: &str) -> Result<Option<u64>, Fault> {
    whole(members, member, 1)
}

/// A whole number from a bound on, with or without a point behind it.
fn whole(members: &Map<String, Value>, member: &str, least: u64) -> Result<Option<u64>, Fault> {
    let Some(number) = number(members, member)? else {
        return Ok(None);
    };
    let wrong = || Fault::invalid(member, &format!("must be a whole number from {least} to {WHOLE_MAX}"));
    to_whole(number).filter(|whole| (least..=WHOLE_MAX).contains(whole)).map(Some).ok_or_else(wrong)
}

/// Far more than anybody means, and exact as a double.
const WHOLE_MAX: u64 = 1_000_000_000;

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was looked at before")]
fn to_whole(number: f64) -> Option<u64> {
    let fits = number.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&number);
    fits.then_some(number as u64)
}

fn hours(members: &Map<String, Value>, member: &str) -> Result<Option<Duration>, Fault> {
    /// Some 114 years.
    const HOURS_MAX: f64 = 1_000_000.0;
    const MILLIS: f64 = 3_600_000.0;
    let Some(hours) = number(members, member)? else {
        return Ok(None);
    };
    let millis = (0.0..=HOURS_MAX).contains(&hours).then(|| to_whole((hours * MILLIS).round())).flatten();
    let millis = millis.ok_or_else(|| Fault::invalid(member, "must be a number from 0 to 1000000"))?;
    Ok(Some(Duration::from_millis(millis)))
}

/// Which rows of a list; what makes no sense counts as not said.
pub(crate) fn page(query: Option<&str>) -> Page {
    const LIMIT_DEFAULT: u64 = 100;
    const LIMIT_MAX: u64 = 500;
    let said = |name: &str| numeric(query, name);
    let limit = said("limit").filter(|limit| *limit > 0).unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX);
    Page { offset: said("offset").unwrap_or(0), limit }
}

/// How many rows of a list without pages.
pub(crate) fn rows(query: Option<&str>, default: usize, max: usize) -> usize {
    let said = numeric(query, "limit").filter(|limit| *limit > 0);
    said.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(default).min(max)
}

/// A number of the query, rounded down.
fn numeric(query: Option<&str>, name: &str) -> Option<u64> {
    let number: f64 = pair(query, name)?.trim().parse().ok()?;
    to_whole(number.floor())
}

/// The first value of this name in a query.
pub(crate) fn pair(query: Option<&str>, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    pairs.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: &Value) -> Map<String, Value> {
        members(value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn an_empty_body_has_no_members() {
        for body in ["", " \r\n", "{}"] {
            assert!(members(body.as_bytes()).unwrap().is_empty());
        }
        let check = |body: &str, words: &str| assert_eq!(members(body.as_bytes()), Err(Fault::bad(words)));
        for body in ["null", "[]", "7", "\"x\"", "true"] {
            check(body, "Request body must be a JSON object");
        }
        for body in ["{", "{}x", "\u{feff}{}", "{'a':1}", "{\"a\":NaN}"] {
            check(body, "Request body is not valid JSON");
        }
    }

    #[test]
    fn pages_are_made_of_anything() {
        let check = |query: &str, offset: u64, limit: u64| {
            assert_eq!(page(Some(query)), Page { offset, limit }, "{query}");
        };
        assert_eq!(page(None), Page { offset: 0, limit: 100 });
        check("limit=25&offset=50", 50, 25);
        check("limit=0&offset=-1", 0, 100);
        check("limit=-5", 0, 100);
        check("limit=abc&offset=abc", 0, 100);
        check("limit=2.9&offset=1.9", 1, 2);
        check("limit=501", 0, 500);
        check("limit=1e300&offset=1e300", 0, 100);
        check("limit=NaN&offset=inf", 0, 100);
        check("limit=%32%35", 0, 25);
        check("limit=1&limit=2", 0, 1);
        check("&&=&limit", 0, 100);
    }

    #[test]
    fn a_dataset_is_bounded() {
        let read = |body: Value| NewDataset::of(&object(&body));
        assert_eq!(read(json!({})), Ok(NewDataset { limit: 250, llm_calls_min: 1 }));
        let body = json!({ "limit": 100.0, "minLlmCallsPerTrajectory": 0, "else": [] });
        assert_eq!(read(body), Ok(NewDataset { limit: 100, llm_calls_min: 1 }));
        assert_eq!(read(json!({ "limit": 5_001 })).unwrap().limit, 5_000);
        for limit in [json!(0), json!(-1), json!(1.5), json!(1e10)] {
            let words = "limit must be a whole number from 1 to 1000000000";
            assert_eq!(read(json!({ "limit": limit })), Err(Fault::bad(words)));
        }
        assert_eq!(read(json!({ "limit": "9" })), Err(Fault::bad("limit must be a number")));
    }

    #[test]
    fn the_page_posts_back_what_it_has_read_with_one_member_turned_over() {
        let body = json!({
            "threshold": 100, "cooldownHours": 12, "enabled": true,
            "triggerThreshold": 100, "triggerCooldownHours": 12, "autoTrain": false,
            "backends": ["native"], "perTaskOverrides": {},
        });
        let change = AutoChange::of(&object(&body), Names::Original).unwrap();
        assert!(!change.apply(AutoConfig::default()).is_enabled);
        let change = AutoChange::of(&object(&body), Names::Documented).unwrap();
        assert!(change.apply(AutoConfig::default()).is_enabled);
        let nested = AutoChange::of(&object(&json!({ "config": body })), Names::Original).unwrap();
        assert!(!nested.apply(AutoConfig::default()).is_enabled);
        // All of what a GET tells, with a member changed outside.
        let read = json!({ "threshold": 7, "cooldownHours": 12, "enabled": true, "config": body });
        let change = AutoChange::of(&object(&read), Names::Documented).unwrap();
        let config = change.apply(AutoConfig::default());
        assert_eq!((config.threshold, config.is_enabled), (7, true));
    }

    #[test]
    fn hours_are_exact_to_the_millisecond() {
        let read = |hours: Value| {
            let change = AutoChange::of(&object(&json!({ "cooldownHours": hours })), Names::Documented);
            change.map(|change| change.cooldown.unwrap().as_millis())
        };
        assert_eq!(read(json!(12)), Ok(43_200_000));
        assert_eq!(read(json!(0)), Ok(0));
        assert_eq!(read(json!(0.1)), Ok(360_000));
        for wrong in [json!(-0.1), json!(1e7), json!(1e300)] {
            let words = "cooldownHours must be a number from 0 to 1000000";
            assert_eq!(read(wrong), Err(Fault::bad(words)));
        }
    }
}
