//! The core's words and the host's as the vendor's: pure, and total. A new variant does not compile until it is
//! decided here what the wire shows for it.

use trainyard_core::port::HandleError;
use trainyard_core::{Metric as Figure, Model, Outcome, Phase};

use crate::fault::Fault;
use crate::host::{Metric, Refused};
use crate::settings::Rule;
use crate::wire::answers::Said;

/// The figure of a model that says into how many lists it divides the vectors.
pub const N_LISTS: &str = "n_lists";

/// What was being done when something went wrong: the first part of an error's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doing {
    Create,
    Describe,
    Remove,
    List,
    Train,
    Upsert,
    UpsertBinary,
    Query,
    QueryBinary,
    Get,
    Delete,
    ListIds,
    Count,
    QueryMetadata,
}

impl Doing {
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Create => "Failed to create index",
            Self::Describe => "Failed to describe index",
            Self::Remove => "Failed to delete index",
            Self::List => "Failed to list indexes",
            Self::Train => "Failed to train index",
            Self::Upsert => "Failed to upsert vectors",
            Self::UpsertBinary => "Failed to upsert vectors (binary)",
            Self::Query => "Failed to query",
            Self::QueryBinary => "Failed to query (binary)",
            Self::Get => "Failed to retrieve items",
            Self::Delete => "Failed to delete items",
            Self::ListIds => "Failed to list IDs from index",
            Self::Count => "Failed to get size of index",
            Self::QueryMetadata => "Failed to query metadata",
        }
    }

    /// A 400 in the original's form.
    pub(crate) fn invalid(self, reason: impl std::fmt::Display) -> Fault {
        Fault::bad(format!("{}: Invalid input: {reason}", self.words()))
    }

    /// A 500 in the original's form; the cause is in the log.
    pub(crate) fn broken(self) -> Fault {
        Fault::internal(format!("{}: Internal error: the cause is in the log of the server", self.words()))
    }
}

/// A host's refusal, about the index of this name.
pub(crate) fn refused(doing: Doing, name: &str, refused: &Refused) -> Fault {
    match refused {
        Refused::Taken => Fault::bad(format!("KMS blob already exists for index '{name}'.")),
        Refused::Gone => unknown_index(name),
        Refused::DimensionUnset => {
            doing.invalid("Index dimension is not set. Please upsert vectors first to auto-detect dimension.")
        }
        Refused::WrongDimension { expected, got } => doing.invalid(wrong_dimension(doing, *expected, *got)),
        Refused::Invalid(reason) => doing.invalid(reason),
        Refused::Stopping => Fault::ShuttingDown,
        Refused::Failed(error) if error.is_stopping() => Fault::ShuttingDown,
        Refused::Failed(error) => {
            tracing::error!(
                doing = doing.words(),
                error = error as &dyn std::error::Error,
                "the host failed"
            );
            doing.broken()
        }
    }
}

pub(crate) fn unknown_index(name: &str) -> Fault {
    Fault::not_found(format!("No KMS envelope for index '{}'", shortened(name)))
}

fn wrong_dimension(doing: Doing, expected: usize, got: usize) -> String {
    match doing {
        Doing::Query | Doing::QueryBinary => format!(
            "The dimension of the vectors provided ({got}) doesn't match the index configuration ({expected})."
        ),
        Doing::Create
        | Doing::Describe
        | Doing::Remove
        | Doing::List
        | Doing::Train
        | Doing::Upsert
        | Doing::UpsertBinary
        | Doing::Get
        | Doing::Delete
        | Doing::ListIds
        | Doing::Count
        | Doing::QueryMetadata => format!("vector has wrong dimension: expected {expected}, got {got}"),
    }
}

/// A yard that did not answer. Nothing that was acknowledged is lost: what waits or runs goes on.
pub(crate) fn unanswered(doing: Doing, error: &HandleError) -> Fault {
    tracing::warn!(doing = doing.words(), error = error as &dyn std::error::Error, "the yard said no");
    match error {
        HandleError::Rejected(_) => doing.broken(),
        HandleError::Busy { .. } => {
            Fault::Later(format!("{}: too many requests at once, try again", doing.words()))
        }
        HandleError::Stopped { .. } => Fault::Later(format!(
            "{}: the service is stopping; trainings go on at its next start",
            doing.words()
        )),
        HandleError::TooMany { .. } | _ => doing.broken(),
    }
}

/// The answer to a blocked train when its job is over.
pub(crate) fn trained(name: &str, outcome: &Outcome) -> Said {
    match outcome {
        Outcome::Completed { model: Some(_) | None } => {
            Said::success(format!("Index '{name}' trained successfully"))
        }
        Outcome::TimedOut(_)
        | Outcome::Stalled
        | Outcome::Cancelled { .. }
        | Outcome::Failed { .. }
        | Outcome::Superseded => train_failed(name),
    }
}

pub(crate) fn train_failed(name: &str) -> Said {
    Said::error(format!("Training failed for '{name}': internal error during training"))
}

/// Where a job stands in training-status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Current,
    Queued,
    Absent,
}

/// A job that is over is still listed while its trainer has yet to stop.
pub(crate) fn place(phase: &Phase) -> Place {
    match phase {
        Phase::Waiting(_) => Place::Queued,
        Phase::Running(_) => Place::Current,
        Phase::Finished(finished) if finished.draining.is_some() => Place::Current,
        Phase::Finished(_) => Place::Absent,
    }
}

/// Into how many lists a model divides its index; 1 when it does not say.
pub(crate) fn lists_of(model: &Model) -> u64 {
    let lists = Figure::new(N_LISTS).ok().and_then(|name| model.metrics.get(&name).copied());
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a cast of a float saturates, which is what is wanted"
    )]
    lists.map_or(1, |lists| lists.get() as u64).max(1)
}

/// What an upsert that queued a training says about it. `lists` are those the index had.
pub(crate) fn training_message(rule: Rule, total: u64, lists: Option<u64>) -> String {
    let told = match rule {
        Rule::Documented { threshold, .. } => {
            let limit = u128::from(lists.unwrap_or(1)) * u128::from(threshold);
            format!("vectors: {total}, threshold: {limit}")
        }
        Rule::Service { .. } => format!("vectors: {total}"),
    };
    format!("Index training has been triggered ({told})")
}

pub(crate) const fn metric_word(metric: Metric) -> &'static str {
    match metric {
        Metric::Euclidean => "euclidean",
        Metric::SquaredEuclidean => "squared_euclidean",
        Metric::Cosine => "cosine",
    }
}

pub(crate) fn metric(word: Option<&str>) -> Result<Metric, Fault> {
    match word {
        None | Some("euclidean") => Ok(Metric::Euclidean),
        Some("squared_euclidean") => Ok(Metric::SquaredEuclidean),
        Some("cosine") => Ok(Metric::Cosine),
        Some(other) => Err(Doing::Create.invalid(format!("Invalid distance metric: {}", shortened(other)))),
    }
}

/// A word of the caller's that goes into an answer, cut to a bound.
pub(crate) fn shortened(word: &str) -> String {
    const BYTES_MAX: usize = 1_024;
    match word.floor_char_boundary(BYTES_MAX) {
        cut if cut < word.len() => format!("{}…", &word[..cut]),
        _ => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use trainyard_core::{ModelId, Reason, TimedOut};

    use super::*;

    #[test]
    fn whatever_is_not_completed_is_an_error() {
        let reason = Reason::new("because");
        let model = Some(ModelId::from_u128(1));
        for (outcome, status) in [
            (Outcome::Completed { model }, "success"),
            (Outcome::Completed { model: None }, "success"),
            (Outcome::TimedOut(TimedOut::Running), "error"),
            (Outcome::TimedOut(TimedOut::Waiting), "error"),
            (Outcome::Stalled, "error"),
            (Outcome::Cancelled { reason: reason.clone() }, "error"),
            (Outcome::Failed { reason }, "error"),
            (Outcome::Superseded, "error"),
        ] {
            assert_eq!(trained("i", &outcome).status, status, "{outcome}");
        }
    }

    #[test]
    fn the_message_names_what_the_rule_compares() {
        let documented = Rule::Documented { threshold: 10_000, first: 10_000 };
        assert_eq!(
            training_message(documented, 80_001, Some(8)),
            "Index training has been triggered (vectors: 80001, threshold: 80000)"
        );
        assert_eq!(
            training_message(documented, 10_000, None),
            "Index training has been triggered (vectors: 10000, threshold: 10000)"
        );
        let huge = Rule::Documented { threshold: u64::MAX, first: 0 };
        assert!(
            training_message(huge, 0, Some(u64::MAX)).ends_with("340282366920938463426481119284349108225)")
        );
        assert_eq!(
            training_message(Rule::Service { floor: 1 }, 10_001, None),
            "Index training has been triggered (vectors: 10001)"
        );
    }

    #[test]
    fn a_long_word_is_cut_at_a_character() {
        let word = format!("{}é", "x".repeat(1_023));
        assert_eq!(shortened(&word), format!("{}…", "x".repeat(1_023)));
        assert_eq!(shortened("short"), "short");
    }
}
