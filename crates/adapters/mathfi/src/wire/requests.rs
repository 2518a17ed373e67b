//! JSON bodies. What is wrong with one is told by the member's name, and nothing that was sent is echoed.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};
use trainyard_core::Score;

use crate::fault::Fault;

/// Who wants to log in. Holds a password: no `Debug`.
pub(crate) struct Login {
    pub(crate) username: String,
    pub(crate) password: String,
}

/// A dataset to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewDataset {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) buckets: u16,
}

/// A training to be started.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct NewTraining {
    pub(crate) scaling_factor: u16,
    pub(crate) target: Score,
}

const NAME_CHARS: RangeInclusive<usize> = 3..=30;
const DESCRIPTION_CHARS: RangeInclusive<usize> = 3..=150;
const BUCKETS: RangeInclusive<u16> = 4..=1_000;
const BUCKETS_DEFAULT: u16 = 20;
const SCALING_FACTOR: RangeInclusive<u16> = 0..=499;

/// Something that is read from the members of an object.
pub(crate) trait Body: Sized + Send + 'static {
    fn of(members: &Map<String, Value>) -> Result<Self, Fault>;

    /// Reads a body.
    fn read(bytes: &[u8]) -> Result<Self, Fault> {
        // The parser's own words may quote what was sent.
        let Ok(value) = serde_json::from_slice::<Value>(bytes) else {
            return Err(Fault::bad("The request body is not valid JSON"));
        };
        let Value::Object(members) = value else {
            return Err(Fault::bad("The request body must be a JSON object"));
        };
        Self::of(&members)
    }
}

impl Body for Login {
    fn of(members: &Map<String, Value>) -> Result<Self, Fault> {
        Ok(Self { username: text(members, "username")?, password: text(members, "password")? })
    }
}

impl Body for NewDataset {
    fn of(members: &Map<String, Value>) -> Result<Self, Fault> {
        let name = text(members, "datasetName")?;
        bounded("datasetName", &name, &NAME_CHARS)?;
        let description = match members.get("description") {
            None | Some(Value::Null) => None,
            Some(_) => Some(text(members, "description")?),
        };
        if let Some(description) = &description {
            bounded("description", description, &DESCRIPTION_CHARS)?;
        }
        let buckets = match members.get("numberOfBuckets") {
            None => BUCKETS_DEFAULT,
            Some(_) => whole(members, "numberOfBuckets", &BUCKETS)?,
        };
        Ok(Self { name, description, buckets })
    }
}

impl Body for NewTraining {
    fn of(members: &Map<String, Value>) -> Result<Self, Fault> {
        let scaling_factor = whole(members, "scalingFactor", &SCALING_FACTOR)?;
        let threshold = required(members, "performanceThreshold")?.as_f64();
        let threshold = threshold.filter(|threshold| (0.0..=1.0).contains(threshold));
        let target = threshold
            .and_then(|threshold| Score::new(threshold).ok())
            .ok_or_else(|| Fault::bad("performanceThreshold must be a number from 0 to 1"))?;
        Ok(Self { scaling_factor, target })
    }
}

fn required<'a>(members: &'a Map<String, Value>, name: &str) -> Result<&'a Value, Fault> {
    members.get(name).ok_or_else(|| Fault::bad(format!("{name} is required")))
}

fn text(members: &Map<String, Value>, name: &str) -> Result<String, Fault> {
    let text = required(members, name)?.as_str();
    text.map(str::to_owned).ok_or_else(|| Fault::bad(format!("{name} must be a string")))
}

fn bounded(name: &str, text: &str, chars: &RangeInclusive<usize>) -> Result<(), Fault> {
    if chars.contains(&text.chars().count()) {
        return Ok(());
    }
    Err(Fault::bad(format!("{name} must have {} to {} characters", chars.start(), chars.end())))
}

/// A whole number, written as one: `19.0` is a fraction.
fn whole(members: &Map<String, Value>, name: &str, range: &RangeInclusive<u16>) -> Result<u16, Fault> {
    let number = required(members, name)?.as_u64().and_then(|number| u16::try_from(number).ok());
    number.filter(|number| range.contains(number)).ok_or_else(|| {
        Fault::bad(format!("{name} must be a whole number from {} to {}", range.start(), range.end()))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn refused<B: Body>(body: &str, words: &str) {
        assert_eq!(B::read(body.as_bytes()).err(), Some(Fault::bad(words)), "{body}");
    }

    #[test]
    fn a_dataset_is_bounded_on_both_sides() {
        let read = |body: &str| NewDataset::read(body.as_bytes());
        let plain = NewDataset { name: "abc".to_owned(), description: None, buckets: 20 };
        assert_eq!(read(r#"{"datasetName":"abc"}"#), Ok(plain.clone()));
        assert_eq!(read(r#"{"datasetName":"abc","description":null,"more":[1]}"#), Ok(plain.clone()));
        let thirty = "ä".repeat(30);
        let full = format!(
            r#"{{"datasetName":"{thirty}","description":"{}","numberOfBuckets":1000}}"#,
            "é".repeat(150)
        );
        assert_eq!(read(&full).unwrap().name, thirty);
        assert_eq!(read(r#"{"datasetName":"abc","numberOfBuckets":4}"#).unwrap().buckets, 4);

        let name = "datasetName must have 3 to 30 characters";
        refused::<NewDataset>(r#"{"datasetName":"ab"}"#, name);
        refused::<NewDataset>(&format!(r#"{{"datasetName":"{}"}}"#, "a".repeat(31)), name);
        refused::<NewDataset>(r"{}", "datasetName is required");
        refused::<NewDataset>(r#"{"datasetName":null}"#, "datasetName must be a string");
        let description = "description must have 3 to 150 characters";
        refused::<NewDataset>(r#"{"datasetName":"abc","description":"ab"}"#, description);
        let long = format!(r#"{{"datasetName":"abc","description":"{}"}}"#, "a".repeat(151));
        refused::<NewDataset>(&long, description);
        refused::<NewDataset>(r#"{"datasetName":"abc","description":1}"#, "description must be a string");
        for buckets in ["3", "1001", "20.0", "20.5", "\"20\"", "null", "-4", "true", "1e30"] {
            let body = format!(r#"{{"datasetName":"abc","numberOfBuckets":{buckets}}}"#);
            refused::<NewDataset>(&body, "numberOfBuckets must be a whole number from 4 to 1000");
        }
    }

    #[test]
    fn a_training_is_bounded_on_both_sides() {
        let read = |factor: &str, threshold: &str| {
            let body = format!(r#"{{"scalingFactor":{factor},"performanceThreshold":{threshold}}}"#);
            NewTraining::read(body.as_bytes())
        };
        for (factor, threshold) in [("0", "0"), ("499", "1"), ("19", "0.8"), ("19", "1.0"), ("0", "0.0")] {
            assert!(read(factor, threshold).is_ok(), "{factor} {threshold}");
        }
        for factor in ["500", "-1", "19.5", "\"19\"", "null", "[]"] {
            let words = "scalingFactor must be a whole number from 0 to 499";
            assert_eq!(read(factor, "0.8"), Err(Fault::bad(words)), "{factor}");
        }
        for threshold in ["1.0001", "-0.1", "\"0.8\"", "null", "{}", "1e300"] {
            let words = "performanceThreshold must be a number from 0 to 1";
            assert_eq!(read("19", threshold), Err(Fault::bad(words)), "{threshold}");
        }
        refused::<NewTraining>(r#"{"scalingFactor":19}"#, "performanceThreshold is required");
        refused::<NewTraining>(r#"{"performanceThreshold":0.8}"#, "scalingFactor is required");
    }

    #[test]
    fn a_login_needs_two_strings_and_echoes_nothing() {
        refused::<Login>(r#"{"username":"a"}"#, "password is required");
        refused::<Login>(r#"{"password":"a"}"#, "username is required");
        refused::<Login>(r#"{"username":"a","password":12345}"#, "password must be a string");
        refused::<Login>(r#"["a"]"#, "The request body must be a JSON object");
        for body in ["", "{", "nope", "\u{feff}{}"] {
            refused::<Login>(body, "The request body is not valid JSON");
        }
        assert_eq!(
            Login::read(b"{\"a\":\"\xff\"}").err(),
            Some(Fault::bad("The request body is not valid JSON"))
        );
        let deep = "[".repeat(30_000);
        refused::<Login>(&deep, "The request body is not valid JSON");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            drop(NewDataset::read(&bytes));
            drop(NewTraining::read(&bytes));
            drop(Login::read(&bytes));
        }
    }
}
