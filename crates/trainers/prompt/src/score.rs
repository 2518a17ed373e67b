//! How well an answer fits what was expected: 0 to 1.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// How an answer is compared with what was expected. All give 1 for the same text, and 0 to 1 for any two.
///
/// ```
/// use trainyard_prompt::Compare;
///
/// assert_eq!(Compare::Words.score("Yes, I will", "yes i might"), 0.5);
/// assert_eq!(Compare::Fields.score(r#"{"action":"REPLY","to":"Ann"}"#, r#"{"action":"REPLY","to":"Bob"}"#), 0.5);
/// assert_eq!(Compare::Exact.score("yes", "no"), 0.0);
/// assert_eq!(Compare::of_task("action_planner"), Compare::Action);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compare {
    /// Of all words that either has, the share that both have; upper case is lower case.
    Words,
    /// Of all fields that either has as a JSON object, those of objects within it among them, the share in which both
    /// have the same; an expected text that is no object is compared by [`Compare::Words`].
    Fields,
    /// 1 for the same action, 0.5 when it has another view as its target, 0 for another action.
    Action,
    /// 1 for the same text, but for space around it.
    Exact,
}

impl Compare {
    /// The usual one for a task of elizaOS: the action for `action_planner`, fields for `should_respond`,
    /// `context_routing` and `view_context`, which answer in JSON, and words for all others.
    #[must_use]
    pub fn of_task(task: &str) -> Self {
        match task {
            "action_planner" => Self::Action,
            "should_respond" | "context_routing" | "view_context" => Self::Fields,
            _ => Self::Words,
        }
    }

    /// How well it fits.
    #[must_use]
    pub fn score(self, actual: &str, expected: &str) -> f64 {
        let (actual, expected) = (actual.trim(), expected.trim());
        match self {
            Self::Words => words(actual, expected),
            Self::Fields => fields(actual, expected),
            Self::Action => action(actual, expected),
            Self::Exact => f64::from(u8::from(actual == expected)),
        }
    }
}

/// The mean; 0 of nothing.
pub(crate) fn mean(scores: &[f64]) -> f64 {
    if scores.is_empty() { 0.0 } else { scores.iter().sum::<f64>() / trainyard_trainkit::real(scores.len()) }
}

fn words(actual: &str, expected: &str) -> f64 {
    let set = |text: &str| -> BTreeSet<String> {
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        words.map(str::to_lowercase).collect()
    };
    let (actual_words, expected_words) = (set(actual), set(expected));
    let all = actual_words.union(&expected_words).count();
    if all == 0 {
        // Nothing but marks, or nothing at all.
        return f64::from(u8::from(actual == expected));
    }
    share(actual_words.intersection(&expected_words).count(), all)
}

fn fields(actual: &str, expected: &str) -> f64 {
    let Some(expected_fields) = object(expected) else {
        return words(actual, expected);
    };
    let Some(actual_fields) = object(actual) else {
        return 0.0;
    };
    let (same, all) = compared(&actual_fields, &expected_fields);
    if all == 0 { 1.0 } else { share(same, all) }
}

fn object(text: &str) -> Option<Map<String, Value>> {
    match json(text, Value::is_object)? {
        Value::Object(fields) => Some(fields),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
    }
}

/// How many fields are the same, of how many that either has. Those of objects within it count one by one, and lists are
/// one field each. It goes as deep as JSON is read, which is 128 levels.
fn compared(one: &Map<String, Value>, other: &Map<String, Value>) -> (usize, usize) {
    let empty = Map::new();
    let (mut same, mut all) = (0, 0);
    for name in one.keys().chain(other.keys().filter(|name| !one.contains_key(*name))) {
        let (one, other) = (one.get(name), other.get(name));
        let (one_within, other_within) = (within(one), within(other));
        if one_within.is_none() && other_within.is_none() {
            same += usize::from(is_same(one, other));
            all += 1;
            continue;
        }
        let inner = compared(one_within.unwrap_or(&empty), other_within.unwrap_or(&empty));
        // What is no object beside one that is.
        let beside = [(one, one_within), (other, other_within)];
        let beside = beside.iter().filter(|(value, within)| value.is_some() && within.is_none()).count();
        same += inner.0;
        all += inner.1 + beside;
    }
    (same, all)
}

/// The fields of an object that has any.
fn within(value: Option<&Value>) -> Option<&Map<String, Value>> {
    value?.as_object().filter(|fields| !fields.is_empty())
}

/// Of texts, space around them makes no difference.
fn is_same(one: Option<&Value>, other: Option<&Value>) -> bool {
    match (one, other) {
        (Some(Value::String(one)), Some(Value::String(other))) => one.trim() == other.trim(),
        (one, other) => one == other,
    }
}

fn action(actual: &str, expected: &str) -> f64 {
    match (Deed::of(actual), Deed::of(expected)) {
        (Some(one), Some(other)) if one == other => 1.0,
        (Some(one), Some(other)) if one.action == other.action => 0.5,
        (None, None) => words(actual, expected),
        _ => 0.0,
    }
}

/// What a planner wants done.
#[derive(Debug, PartialEq)]
struct Deed {
    /// In lower case.
    action: String,
    /// The view it is about, in lower case.
    view: Option<String>,
}

impl Deed {
    /// Reads the first JSON value in a text: an object, or a list of tool calls, of which the first counts. A text of one
    /// word is an action, too.
    fn of(text: &str) -> Option<Self> {
        let Some(value) = json(text, is_call) else {
            let is_word =
                !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
            return is_word.then(|| Self { action: text.to_lowercase(), view: None });
        };
        let call = first(&value);
        let action = ACTIONS.iter().find_map(|name| word(first(call.get(name)?)))?;
        let inner = ARGUMENTS.iter().find_map(|name| call.get(name));
        let view = |of: &Value| VIEWS.iter().find_map(|name| word(of.get(name)?));
        Some(Self { action, view: view(call).or_else(|| view(inner?)) })
    }
}

/// The first thing of a list, or the thing itself.
fn first(value: &Value) -> &Value {
    value.as_array().and_then(|list| list.first()).unwrap_or(value)
}

/// A text, or the name of an object, in lower case.
fn word(value: &Value) -> Option<String> {
    let text = value.as_str().or_else(|| value.get("name")?.as_str())?;
    Some(text.trim().to_lowercase())
}

/// The first JSON value of this kind in a text, which may stand in other words or between fences. One that is cut off is
/// none, and neither is what lies in it.
fn json(text: &str, is_wanted: fn(&Value) -> bool) -> Option<Value> {
    for (begin, _) in text.match_indices(['{', '[']).take(BEGINNINGS) {
        match serde_json::Deserializer::from_str(&text[begin..]).into_iter().next()? {
            Ok(value) if is_wanted(&value) => return Some(value),
            Err(error) if error.is_eof() => return None,
            Ok(_) | Err(_) => {}
        }
    }
    None
}

/// An object, or a list of such.
fn is_call(value: &Value) -> bool {
    first(value).is_object()
}

fn share(part: usize, of: usize) -> f64 {
    trainyard_trainkit::real(part) / trainyard_trainkit::real(of)
}

/// So many places of a text are looked at where JSON may begin.
const BEGINNINGS: usize = 16;
const ACTIONS: [&str; 7] = ["action", "actions", "actionName", "toolName", "tool", "function", "name"];
const ARGUMENTS: [&str; 5] = ["parameters", "params", "args", "arguments", "input"];
const VIEWS: [&str; 5] = ["targetView", "target_view", "view", "viewId", "target"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Compare; 4] = [Compare::Words, Compare::Fields, Compare::Action, Compare::Exact];

    fn check(compare: Compare, actual: &str, expected: &str, score: f64) {
        assert_eq!(compare.score(actual, expected), score, "{compare:?}: {actual} / {expected}");
    }

    #[test]
    fn words_are_compared_as_sets() {
        check(Compare::Words, "the cat sat", "The cat, the cat SAT!", 1.0);
        check(Compare::Words, "a b", "b c", 1.0 / 3.0);
        check(Compare::Words, "", "b c", 0.0);
        check(Compare::Words, "", " ", 1.0);
        check(Compare::Words, "?", "!", 0.0);
    }

    #[test]
    fn fields_count_wherever_the_object_stands() {
        let expected = r#"{"action": "IGNORE", "reason": "not for me"}"#;
        check(
            Compare::Fields,
            r#"Sure: ```json {"reason":" not for me","action":"IGNORE"}``` done"#,
            expected,
            1.0,
        );
        check(Compare::Fields, r#"{"action":"IGNORE"}"#, expected, 0.5);
        check(Compare::Fields, r#"{"action":"IGNORE","reason":"not for me","x":1,"y":2}"#, expected, 0.5);
        check(Compare::Fields, r#"[1] {so} {"action":"IGNORE"}"#, expected, 0.5);
        check(Compare::Fields, r#"{"action":"IGNORE","#, expected, 0.0);
        check(Compare::Fields, r#"{"x":{"action":"IGNORE"},"#, expected, 0.0);
        check(Compare::Fields, "IGNORE", expected, 0.0);
        check(Compare::Fields, "{}", "{}", 1.0);
        let nested = r#"{"context_routing":{"primary":"a","more":["b"]},"x":{}}"#;
        check(Compare::Fields, r#"{"x":{},"context_routing":{"primary":"a","more":[]}}"#, nested, 2.0 / 3.0);
        check(Compare::Fields, r#"{"context_routing":"a","x":{}}"#, nested, 0.25);
        check(Compare::Fields, r#"{"x":{"a":1,"b":2},"y":{}}"#, r#"{"x":{},"y":{"a":1}}"#, 0.0);
        check(Compare::Fields, "well, respond", "respond", 0.5);
    }

    /// A path to each of its fields would take 30 GB.
    #[test]
    fn many_fields_below_a_long_name_take_no_more_than_they_are() {
        let fields: Vec<String> = (0..60_000).map(|number| format!(r#""{number}":1"#)).collect();
        let answer = format!(r#"{{"{}":{{{}}}}}"#, "x".repeat(512 << 10), fields.join(","));
        check(Compare::Fields, &answer, &answer, 1.0);
        check(Compare::Fields, &answer, r#"{"action":"IGNORE"}"#, 0.0);
    }

    #[test]
    fn an_action_with_another_view_is_half_right() {
        let expected = r#"{"action":"OPEN_VIEW","parameters":{"view":"wallet"}}"#;
        check(Compare::Action, r#"{"actions":["open_view"],"view":"Wallet"}"#, expected, 1.0);
        check(Compare::Action, r#"[{"toolName":"OPEN_VIEW","args":{"view":"chat"}}]"#, expected, 0.5);
        check(Compare::Action, "OPEN_VIEW", expected, 0.5);
        check(Compare::Action, r#"{"action":"CLOSE"}"#, expected, 0.0);
        check(Compare::Action, "I would rather not", expected, 0.0);
        check(Compare::Action, r#"{"function":{"name":"reply"}}"#, "REPLY", 1.0);
    }

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(31), ..ProptestConfig::default() })]

        #[test]
        fn a_score_is_within_bounds_and_the_same_both_ways(one in text(), other in text()) {
            for compare in ALL {
                let score = compare.score(&one, &other);
                prop_assert!((0.0..=1.0).contains(&score), "{:?}: {}", compare, score);
                prop_assert_eq!(compare.score(&one, &one), 1.0);
                if compare != Compare::Fields {
                    prop_assert_eq!(compare.score(&other, &one), score);
                }
            }
        }
    }

    /// Words, JSON, and what looks like it.
    fn text() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "a",
            "B",
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            " ",
            "1",
            r#""action""#,
            r#""view""#,
            r#""a""#,
            r#"{"action":"a"}"#,
            r#"{"action":"a","view":"b"}"#,
            "é",
        ]);
        prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }
}
