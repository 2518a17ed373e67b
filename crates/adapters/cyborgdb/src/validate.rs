//! The checks of a body, in the manner of pydantic 2: every error of a body, in the order of its members.

use serde::{Serialize, Serializer};

use crate::wire::bounded::fits;
use crate::wire::json::{Json, Members};

/// What is wrong with a body: the `detail` of a 422.
///
/// At most [`Findings::KEPT_MAX`] are kept, and an `input` whose text is longer than
/// [`Findings::INPUT_BYTES_MAX`] is shown as null: an answer has a bound, whatever was sent. (The original has neither.)
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Findings {
    kept: Vec<Finding>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Finding {
    #[serde(rename = "type")]
    kind: &'static str,
    loc: Vec<Step>,
    msg: &'static str,
    input: Json,
    #[serde(skip_serializing_if = "Option::is_none")]
    ctx: Option<Context>,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Context {
    Expected(&'static str),
    Error(&'static str),
}

/// Where in a body something stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'p> {
    outer: Option<&'p Place<'p>>,
    step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
enum Step {
    Member(&'static str),
    Item(usize),
}

/// One word of a closed list.
#[derive(Debug)]
pub(crate) struct Literal<T: 'static> {
    /// What may be said, and what it means.
    pub(crate) words: &'static [(&'static str, T)],
    /// The list in prose.
    pub(crate) expected: &'static str,
    /// The message for everything else.
    pub(crate) message: &'static str,
}

/// Reads a value at a place; when it is wrong, says so in the findings and gives nothing.
pub(crate) trait Read<T>: Fn(&Json, &Place<'_>, &mut Findings) -> Option<T> {}

impl<T, F: Fn(&Json, &Place<'_>, &mut Findings) -> Option<T>> Read<T> for F {}

impl Findings {
    pub(crate) const KEPT_MAX: usize = 100;
    pub(crate) const INPUT_BYTES_MAX: usize = 64 << 10;

    /// A body that breaks the grammar of JSON.
    pub(crate) fn not_json(at: usize, error: &'static str) -> Self {
        let loc = vec![Step::Member("body"), Step::Item(at)];
        let input = Json::Object(Members::default());
        let ctx = Some(Context::Error(error));
        Self { kept: vec![Finding { kind: "json_invalid", loc, msg: "JSON decode error", input, ctx }] }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    pub(crate) fn extend(&mut self, others: Self) {
        self.kept.extend(others.kept);
        self.kept.truncate(Self::KEPT_MAX);
    }

    fn note(&mut self, kind: &'static str, at: &Place<'_>, msg: &'static str, input: &Json) {
        self.note_with(kind, at, msg, input, None);
    }

    fn note_with(
        &mut self,
        kind: &'static str,
        at: &Place<'_>,
        msg: &'static str,
        input: &Json,
        ctx: Option<Context>,
    ) {
        if self.kept.len() < Self::KEPT_MAX {
            let input = if fits(input, Self::INPUT_BYTES_MAX) { input.clone() } else { Json::Null };
            self.kept.push(Finding { kind, loc: at.steps(), msg, input, ctx });
        }
    }
}

impl Serialize for Findings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.kept.serialize(serializer)
    }
}

impl<'p> Place<'p> {
    /// The whole body.
    pub(crate) const BODY: Place<'static> = Place { outer: None, step: Step::Member("body") };

    /// A member of what stands here.
    pub(crate) fn member(&'p self, name: &'static str) -> Place<'p> {
        Place { outer: Some(self), step: Step::Member(name) }
    }

    fn item(&'p self, at: usize) -> Place<'p> {
        Place { outer: Some(self), step: Step::Item(at) }
    }

    fn steps(&self) -> Vec<Step> {
        let mut steps = self.outer.map(Place::steps).unwrap_or_default();
        steps.push(self.step);
        steps
    }
}

/// An object whose members are read one by one.
pub(crate) struct Fields<'a> {
    whole: &'a Json,
    members: &'a Members,
    at: Place<'a>,
}

impl<'a> Fields<'a> {
    /// Takes the value apart.
    pub(crate) fn of(json: &'a Json, at: &Place<'a>, findings: &mut Findings) -> Option<Self> {
        if let Json::Object(members) = json {
            return Some(Self { whole: json, members, at: *at });
        }
        let msg = "Input should be a valid dictionary or object to extract fields from";
        findings.note("model_attributes_type", at, msg, json);
        None
    }

    /// A member that has to be there.
    pub(crate) fn required<T>(
        &self,
        name: &'static str,
        findings: &mut Findings,
        read: impl Read<T>,
    ) -> Option<T> {
        let at = self.at.member(name);
        match self.member(name) {
            Some(value) => read(value, &at, findings),
            None => {
                missing(&at, self.whole, findings);
                None
            }
        }
    }

    /// A member that may be absent or null.
    pub(crate) fn optional<T>(
        &self,
        name: &'static str,
        findings: &mut Findings,
        read: impl Read<T>,
    ) -> Option<T> {
        let value = self.member(name).filter(|value| **value != Json::Null)?;
        read(value, &self.at.member(name), findings)
    }

    /// Of two members of one name the last counts.
    fn member(&self, name: &str) -> Option<&'a Json> {
        self.members.iter().rev().find(|(known, _)| **known == *name).map(|(_, value)| value)
    }
}

/// Notes that something is not there.
pub(crate) fn missing(at: &Place<'_>, whole: &Json, findings: &mut Findings) {
    findings.note("missing", at, "Field required", whole);
}

pub(crate) fn text(json: &Json, at: &Place<'_>, findings: &mut Findings) -> Option<String> {
    if let Json::Text(text) = json {
        return Some(text.to_string());
    }
    findings.note("string_type", at, "Input should be a valid string", json);
    None
}

/// An integer; one beyond the bounds of `i64` becomes the bound.
pub(crate) fn integer(json: &Json, at: &Place<'_>, findings: &mut Findings) -> Option<i64> {
    let (kind, msg) = match json {
        Json::Int(int) => return Some(*int),
        Json::Big(_) => return Some(i64::MAX),
        Json::Bool(flag) => return Some(i64::from(*flag)),
        Json::Float(float) if float.fract() == 0.0 => return Some(saturated(*float)),
        Json::Float(_) => {
            ("int_from_float", "Input should be a valid integer, got a number with a fractional part")
        }
        Json::Text(text) => match integer_in(text) {
            Some(int) => return Some(int),
            None => ("int_parsing", "Input should be a valid integer, unable to parse string as an integer"),
        },
        Json::Null | Json::Numbers { .. } | Json::List(_) | Json::Object(_) => {
            ("int_type", "Input should be a valid integer")
        }
    };
    findings.note(kind, at, msg, json);
    None
}

/// Digits, as Python reads them: spaces around, a sign, single underscores between, and a fraction of zeros.
fn integer_in(text: &str) -> Option<i64> {
    let text = text.trim();
    let (digits, zeros) = text.split_once('.').unwrap_or((text, "0"));
    let unsigned = digits.strip_prefix(['-', '+']).unwrap_or(digits);
    let well_formed = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !unsigned.split('_').all(well_formed) || zeros.is_empty() || zeros.bytes().any(|byte| byte != b'0') {
        return None;
    }
    let bound = if digits.starts_with('-') { i64::MIN } else { i64::MAX };
    Some(digits.replace('_', "").parse().unwrap_or(bound))
}

#[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates, which is what is wanted")]
fn saturated(float: f64) -> i64 {
    float as i64
}

/// A finite number.
pub(crate) fn number(json: &Json, at: &Place<'_>, findings: &mut Findings) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a number is what JSON has")]
    let found = match json {
        Json::Int(int) => Ok(*int as f64),
        Json::Big(int) => Ok(*int as f64),
        Json::Float(float) => Ok(*float),
        Json::Bool(flag) => Ok(f64::from(u8::from(*flag))),
        Json::Text(text) => number_in(text)
            .ok_or(("float_parsing", "Input should be a valid number, unable to parse string as a number")),
        Json::Null | Json::Numbers { .. } | Json::List(_) | Json::Object(_) => {
            Err(("float_type", "Input should be a valid number"))
        }
    };
    match found {
        Ok(number) if number.is_finite() => return Some(number),
        Ok(_) => findings.note("finite_number", at, "Input should be a finite number", json),
        Err((kind, msg)) => findings.note(kind, at, msg, json),
    }
    None
}

fn number_in(text: &str) -> Option<f64> {
    let text = text.trim();
    let lone = |at: usize| {
        let digit =
            |at: Option<usize>| at.and_then(|at| text.as_bytes().get(at)).is_some_and(u8::is_ascii_digit);
        !(digit(at.checked_sub(1)) && digit(at.checked_add(1)))
    };
    if text.match_indices('_').any(|(at, _)| lone(at)) {
        return None;
    }
    text.replace('_', "").parse().ok()
}

pub(crate) fn flag(json: &Json, at: &Place<'_>, findings: &mut Findings) -> Option<bool> {
    let unclear = ("bool_parsing", "Input should be a valid boolean, unable to interpret input");
    let (kind, msg) = match json {
        Json::Bool(flag) => return Some(*flag),
        Json::Int(0) => return Some(false),
        Json::Int(1) => return Some(true),
        Json::Float(float) if *float == 0.0 => return Some(false),
        Json::Float(float) if *float == 1.0 => return Some(true),
        Json::Text(text) => match text.to_lowercase().as_str() {
            "1" | "on" | "t" | "true" | "y" | "yes" => return Some(true),
            "0" | "off" | "f" | "false" | "n" | "no" => return Some(false),
            _ => unclear,
        },
        Json::Int(_) => unclear,
        Json::Float(float) if float.fract() == 0.0 => unclear,
        Json::Big(_)
        | Json::Float(_)
        | Json::Null
        | Json::Numbers { .. }
        | Json::List(_)
        | Json::Object(_) => ("bool_type", "Input should be a valid boolean"),
    };
    findings.note(kind, at, msg, json);
    None
}

/// An object of which every member is somebody else's business.
pub(crate) fn object(json: &Json, at: &Place<'_>, findings: &mut Findings) -> Option<Members> {
    if let Json::Object(members) = json {
        return Some(members.clone());
    }
    findings.note("dict_type", at, "Input should be a valid dictionary", json);
    None
}

/// A list of which each item is read in the same way.
pub(crate) fn list<T>(read: impl Read<T>) -> impl Read<Vec<T>> {
    move |json: &Json, at: &Place<'_>, findings: &mut Findings| match json {
        Json::List(items) => {
            let read = |(n, item)| read(item, &at.item(n), findings);
            let read: Vec<Option<T>> = items.iter().enumerate().map(read).collect();
            read.into_iter().collect()
        }
        Json::Numbers { values, floats } => {
            let items = values.iter().map(|value| Json::of_number(*value, *floats));
            let read: Vec<Option<T>> =
                items.enumerate().map(|(n, item)| read(&item, &at.item(n), findings)).collect();
            read.into_iter().collect()
        }
        Json::Null
        | Json::Bool(_)
        | Json::Int(_)
        | Json::Big(_)
        | Json::Float(_)
        | Json::Text(_)
        | Json::Object(_) => {
            findings.note("list_type", at, "Input should be a valid list", json);
            None
        }
    }
}

/// A list of finite numbers, in single precision. A number too large for it is not finite either.
pub(crate) fn vector(json: &Json, at: &Place<'_>, findings: &mut Findings) -> Option<Vec<f32>> {
    if let Json::Numbers { values, .. } = json {
        let narrow: Vec<f32> = values.iter().map(|value| narrowed(*value)).collect();
        if narrow.iter().all(|number| number.is_finite()) {
            return Some(narrow);
        }
    }
    let component = |json: &Json, at: &Place<'_>, findings: &mut Findings| {
        let narrow = narrowed(number(json, at, findings)?);
        if !narrow.is_finite() {
            findings.note("finite_number", at, "Input should be a finite number", json);
        }
        Some(narrow)
    };
    list(component)(json, at, findings)
}

#[expect(clippy::cast_possible_truncation, reason = "vectors are of single precision")]
fn narrowed(number: f64) -> f32 {
    number as f32
}

/// A value that may be null.
pub(crate) fn nullable<T>(read: impl Read<T>) -> impl Read<Option<T>> {
    move |json: &Json, at: &Place<'_>, findings: &mut Findings| {
        if *json == Json::Null { Some(None) } else { read(json, at, findings).map(Some) }
    }
}

/// One word of a closed list.
pub(crate) fn literal<T: Copy + 'static>(literal: &'static Literal<T>) -> impl Read<T> {
    move |json: &Json, at: &Place<'_>, findings: &mut Findings| {
        let said = |(word, _): &&(&str, T)| matches!(json, Json::Text(text) if **text == **word);
        let found = literal.words.iter().find(said).map(|(_, meaning)| *meaning);
        if found.is_none() {
            let ctx = Some(Context::Expected(literal.expected));
            findings.note_with("literal_error", at, literal.message, json, ctx);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told<T>(text: &str, read: impl Read<T>) -> Result<T, String> {
        let json = Json::parse(text.as_bytes(), 1_000).unwrap();
        let mut findings = Findings::default();
        let found = read(&json, &Place::BODY, &mut findings);
        assert!(found.is_some() || !findings.is_empty(), "{text}: nothing is found and nothing is said");
        match found {
            Some(found) if findings.is_empty() => Ok(found),
            Some(_) | None => Err(serde_json::to_string(&findings).unwrap()),
        }
    }

    #[test]
    fn integers_are_read_leniently() {
        for (text, expected) in [
            ("4", 4),
            ("4.0", 4),
            ("-4", -4),
            ("true", 1),
            ("\"4\"", 4),
            ("\" +1_000 \"", 1_000),
            ("\"4.00\"", 4),
            ("18446744073709551615", i64::MAX),
            ("1e30", i64::MAX),
            ("-1e30", i64::MIN),
            ("\"99999999999999999999\"", i64::MAX),
            ("\"-99999999999999999999\"", i64::MIN),
        ] {
            assert_eq!(told(text, integer), Ok(expected), "{text}");
        }
        for (text, kind) in [
            ("1.5", "int_from_float"),
            ("\"many\"", "int_parsing"),
            ("\"\"", "int_parsing"),
            ("\"1__0\"", "int_parsing"),
            ("\"1.5\"", "int_parsing"),
            ("\"4.\"", "int_parsing"),
            ("\"é\"", "int_parsing"),
            ("null", "int_type"),
            ("[1]", "int_type"),
            ("{}", "int_type"),
        ] {
            assert!(told(text, integer).unwrap_err().contains(kind), "{text}");
        }
    }

    #[test]
    fn numbers_are_finite() {
        for (text, expected) in
            [("1", 1.0), ("0.5", 0.5), ("\"1e-3\"", 0.001), ("false", 0.0), ("\" 1_0.5 \"", 10.5)]
        {
            assert_eq!(told(text, number), Ok(expected), "{text}");
        }
        for (text, kind) in [
            ("\"x\"", "float_parsing"),
            ("\"_1\"", "float_parsing"),
            ("\"nan\"", "finite_number"),
            ("\"-inf\"", "finite_number"),
            ("{}", "float_type"),
        ] {
            assert!(told(text, number).unwrap_err().contains(kind), "{text}");
        }
        assert_eq!(told("[1,0.5,true,\"2\"]", vector), Ok(vec![1.0, 0.5, 1.0, 2.0]));
        assert_eq!(told("[]", vector), Ok(vec![]));
        assert_eq!(
            told("[0.5,1e39]", vector).unwrap_err(),
            r#"[{"type":"finite_number","loc":["body",1],"msg":"Input should be a finite number","input":1e+39}]"#
        );
    }

    #[test]
    fn flags_are_read_leniently() {
        for text in ["true", "1", "1.0", "\"Yes\"", "\"on\""] {
            assert_eq!(told(text, flag), Ok(true), "{text}");
        }
        for text in ["false", "0", "0.0", "\"F\"", "\"off\""] {
            assert_eq!(told(text, flag), Ok(false), "{text}");
        }
        for (text, kind) in [
            ("2", "bool_parsing"),
            ("4.0", "bool_parsing"),
            ("\"maybe\"", "bool_parsing"),
            ("0.5", "bool_type"),
            ("[]", "bool_type"),
        ] {
            assert!(told(text, flag).unwrap_err().contains(kind), "{text}");
        }
    }

    #[test]
    fn every_item_is_looked_at_up_to_a_bound() {
        let wrong = format!("[{}]", vec!["null"; 500].join(","));
        let said = told(&wrong, list(text)).unwrap_err();
        assert_eq!(said.matches("string_type").count(), Findings::KEPT_MAX);
        assert!(said.contains(r#""loc":["body",99]"#));
        let large = format!("[\"{}\",1]", "x".repeat(Findings::INPUT_BYTES_MAX));
        let empties = format!("[{}[]]", "[],".repeat(Findings::INPUT_BYTES_MAX / 3));
        for large in [large, empties] {
            let json = Json::parse(large.as_bytes(), usize::MAX).unwrap();
            let mut findings = Findings::default();
            assert_eq!(number(&json, &Place::BODY, &mut findings), None);
            assert_eq!(
                serde_json::to_string(&findings).unwrap(),
                r#"[{"type":"float_type","loc":["body"],"msg":"Input should be a valid number","input":null}]"#
            );
        }
    }
}
