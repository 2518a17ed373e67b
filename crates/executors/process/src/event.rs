//! The lines by which a trainer reports.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use crate::lines::plain;

/// What a line of standard output begins with when it is an event.
pub(crate) const MARK: &[u8] = b"::trainyard:: ";

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) seq: Option<u64>,
    pub(crate) what: What,
}

/// What it says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum What {
    Started,
    Progress(Told),
    Log(String),
    Checkpoint {
        step: u64,
        file: Place,
    },
    Artifact {
        name: String,
        file: Place,
    },
    Finished {
        outcome: String,
        metrics: BTreeMap<String, f64>,
        message: Option<String>,
    },
    /// A kind of a later version. It stays in its file.
    Unknown,
}

/// Where a training stands.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Told {
    pub(crate) step: Option<u64>,
    pub(crate) total: Option<u64>,
    pub(crate) phase: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) metrics: BTreeMap<String, f64>,
}

/// A file or folder that the trainer has written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) uri: String,
    /// In lower case.
    pub(crate) sha256: Option<String>,
}

/// Why a line is no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoEvent {
    #[error("it is no JSON object of an event: {0}")]
    Json(String),
    #[error("it is of version {0}, and only version 1 is known")]
    Version(u64),
    #[error("{0} has no {1}")]
    Missing(&'static str, &'static str),
    #[error("{0:?} is no SHA-256: 64 hexadecimal digits")]
    Sha256(String),
}

#[derive(Deserialize)]
struct Wire {
    v: Option<u64>,
    seq: Option<u64>,
    kind: String,
    step: Option<Value>,
    total: Option<Value>,
    phase: Option<String>,
    message: Option<String>,
    #[serde(default)]
    metrics: BTreeMap<String, Value>,
    name: Option<String>,
    uri: Option<String>,
    sha256: Option<String>,
    outcome: Option<String>,
}

impl Event {
    /// Reads a line.
    pub(crate) fn parse(line: &[u8]) -> Result<Self, NoEvent> {
        let wire: Wire = serde_json::from_slice(line).map_err(|error| NoEvent::Json(error.to_string()))?;
        match wire.v {
            None | Some(1) => {}
            Some(version) => return Err(NoEvent::Version(version)),
        }
        Ok(Self { seq: wire.seq, what: wire.what()? })
    }
}

impl Wire {
    fn what(self) -> Result<What, NoEvent> {
        let step = self.step.as_ref().and_then(whole);
        Ok(match self.kind.as_str() {
            "started" => What::Started,
            "progress" => What::Progress(Told {
                step,
                total: self.total.as_ref().and_then(whole),
                phase: self.phase.map(shown),
                message: self.message.map(shown),
                metrics: numbers(self.metrics),
            }),
            "log" => What::Log(shown(self.message.ok_or(NoEvent::Missing("log", "message"))?)),
            "checkpoint" => What::Checkpoint {
                step: step.ok_or(NoEvent::Missing("checkpoint", "step"))?,
                file: place("checkpoint", self.uri, self.sha256)?,
            },
            "artifact" => What::Artifact {
                name: shown(self.name.unwrap_or_else(|| MODEL.to_owned())),
                file: place("artifact", self.uri, self.sha256)?,
            },
            "finished" => What::Finished {
                outcome: shown(self.outcome.ok_or(NoEvent::Missing("finished", "outcome"))?),
                metrics: numbers(self.metrics),
                message: self.message.map(shown),
            },
            _ => What::Unknown,
        })
    }
}

/// The name of the artifact that becomes the model.
pub(crate) const MODEL: &str = "model";

fn place(kind: &'static str, uri: Option<String>, sha256: Option<String>) -> Result<Place, NoEvent> {
    let uri = uri.ok_or(NoEvent::Missing(kind, "uri"))?;
    let sha256 = sha256.map(|text| text.to_ascii_lowercase());
    match sha256 {
        Some(text) if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Err(NoEvent::Sha256(text))
        }
        sha256 => Ok(Place { uri, sha256 }),
    }
}

/// A step may come as a number with a point, as some languages have no other.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is checked to be whole and small"
)]
fn whole(value: &Value) -> Option<u64> {
    let exact = |number: f64| (0.0..9e15).contains(&number).then_some(number as u64);
    value.as_u64().or_else(|| value.as_f64().and_then(exact))
}

/// What is no number says nothing.
fn numbers(metrics: BTreeMap<String, Value>) -> BTreeMap<String, f64> {
    let number = |(name, value): (String, Value)| Some((name, value.as_f64().filter(|n| n.is_finite())?));
    metrics.into_iter().filter_map(number).take(METRICS_MAX).collect()
}

fn shown(text: String) -> String {
    plain(text.as_bytes())
}

/// How many metrics of an event count.
const METRICS_MAX: usize = 64;

/// Which events were taken already: they may come by two ways, and come again after a restart.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// All below this.
    below: u64,
    /// Those from there on.
    above: BTreeSet<u64>,
}

impl Taken {
    /// Whether this one is new. One without a number always is.
    pub(crate) fn take(&mut self, seq: Option<u64>) -> bool {
        let Some(seq) = seq else { return true };
        if seq < self.below || !self.above.insert(seq) {
            return false;
        }
        while self.above.first() == Some(&self.below) || self.above.len() > AHEAD_MAX {
            if let Some(first) = self.above.pop_first() {
                self.below = first.saturating_add(1);
            }
        }
        true
    }
}

/// How many events may be ahead of one that has not come.
const AHEAD_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_line_of_the_protocol_is_read() {
        let line = br#"{"v":1,"seq":12,"t":1.5,"kind":"progress","step":5,"total":20,"metrics":{"loss":0.3,"x":"y"}}"#;
        let event = Event::parse(line).unwrap();
        assert_eq!(event.seq, Some(12));
        let What::Progress(told) = event.what else { panic!("{event:?}") };
        assert_eq!((told.step, told.total), (Some(5), Some(20)));
        assert_eq!(told.metrics, BTreeMap::from([("loss".to_owned(), 0.3)]));
    }

    #[test]
    fn unknown_kinds_and_fields_do_no_harm() {
        let event = Event::parse(br#"{"kind":"heartbeat","new":[1,2]}"#).unwrap();
        assert_eq!(event, Event { seq: None, what: What::Unknown });
    }

    #[test]
    fn a_refusal_says_why() {
        let refused = |line: &str| Event::parse(line.as_bytes()).unwrap_err().to_string();
        assert_eq!(refused(r#"{"kind":"checkpoint","uri":"c"}"#), "checkpoint has no step");
        assert_eq!(refused(r#"{"kind":"artifact"}"#), "artifact has no uri");
        assert_eq!(refused(r#"{"v":2,"kind":"log"}"#), "it is of version 2, and only version 1 is known");
        assert!(refused(r#"{"kind":"artifact","uri":"m","sha256":"abc"}"#).contains("64 hexadecimal digits"));
        for line in ["", "{", "[]", "7", r#"{"kind":7}"#, r#"{"kind":"progress","metrics":{"loss":NaN}}"#] {
            assert!(refused(line).starts_with("it is no JSON object"), "{line}");
        }
    }

    proptest! {
        #[test]
        fn every_event_is_taken_once(seqs in prop::collection::vec(0_u64..40, 0..120)) {
            let (mut taken, mut naive) = (Taken::default(), BTreeSet::new());
            for seq in seqs {
                prop_assert_eq!(taken.take(Some(seq)), naive.insert(seq));
            }
        }

        #[test]
        fn any_bytes_are_an_event_or_none(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = Event::parse(&bytes);
        }
    }

    #[test]
    fn what_was_taken_is_bounded() {
        let mut taken = Taken::default();
        (1..20_000).for_each(|n| assert!(taken.take(Some(2 * n))));
        assert!(taken.above.len() <= AHEAD_MAX);
        assert!(!taken.take(Some(2)), "too late to be told from one that was taken");
    }
}
