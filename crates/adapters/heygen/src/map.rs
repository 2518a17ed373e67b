//! The core's words and the host's as the vendor's: pure, and total. A new variant does not compile until it is
//! decided here what the wire shows for it.

use trainyard_core::port::HandleError;
use trainyard_core::{Finished, Job, Model, Outcome, Phase, Rejection, TimedOut, Timestamp};
use trainyard_http::StatusCode;

use crate::fault::{Code, Fault};
use crate::host::{AssetId, GroupId, HostError, LookState, Refused};
use crate::parameters::TrainParameters;
use crate::wire::answers::{LookStatus, TrainStatus, Upscale};

/// Where the training of a group stands: by its newest job, else by its newest model, for jobs are forgotten earlier
/// than models.
pub(crate) fn training(newest: Option<&Job>, model: Option<&Model>) -> TrainStatus {
    match (newest, model) {
        (Some(job), _) => match &job.phase {
            Phase::Waiting(_) | Phase::Running(_) => TrainStatus::pending(seconds(job.submitted_at)),
            Phase::Finished(finished) => ended(job.submitted_at, finished),
        },
        (None, Some(model)) => TrainStatus::ended(seconds(model.at), seconds(model.at), None),
        (None, None) => TrainStatus::EMPTY,
    }
}

fn ended(submitted_at: Timestamp, finished: &Finished) -> TrainStatus {
    let error = reason(&finished.outcome);
    TrainStatus::ended(seconds(submitted_at), seconds(finished.at.max(submitted_at)), error)
}

/// Why there is no new model, in words for the group's owner; `None` when there is nothing to complain about.
///
/// A client sends a training again when it reads "try again", so that stands only where it helps.
fn reason(outcome: &Outcome) -> Option<String> {
    let words = match outcome {
        Outcome::Completed { model: Some(_) | None } => return None,
        Outcome::Failed { reason } => said(reason.as_str(), "The training failed"),
        Outcome::Cancelled { reason } if reason.as_str() == CUT_SHORT => {
            "The training was cut short too often".to_owned()
        }
        Outcome::Cancelled { .. } => "The training was cancelled".to_owned(),
        Outcome::TimedOut(TimedOut::Running) => "The training took too long".to_owned(),
        Outcome::TimedOut(TimedOut::Waiting) => {
            "The training waited too long for its turn, try again".to_owned()
        }
        Outcome::Stalled => "The training made too little progress".to_owned(),
        Outcome::Superseded => "Another training took its place".to_owned(),
    };
    Some(words)
}

/// The reason to cancel a training with that was cut short so often that the yard holds it: it is told to the group's
/// owner. Other reasons are not.
pub const CUT_SHORT: &str = "it was cut short too often";

pub(crate) const fn look_status(state: &LookState) -> LookStatus {
    match state {
        LookState::Pending => LookStatus::Pending,
        LookState::Completed => LookStatus::Completed,
        LookState::Failed { .. } => LookStatus::Failed,
    }
}

/// Nothing is ever made larger here. Clients read the reason for another purpose: to see how far the look is.
pub(crate) fn upscale(state: &LookState) -> Upscale {
    let reason = match state {
        LookState::Pending => Some("Photo avatar look upload not completed".to_owned()),
        LookState::Completed => None,
        LookState::Failed { reason } => Some(said(reason, "The image cannot be used")),
    };
    Upscale { available: false, reason }
}

/// Whole seconds since 1970, rounded down.
pub(crate) const fn seconds(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(1_000)
}

/// Seconds since 1970 as a number with a fraction.
#[expect(clippy::cast_precision_loss, reason = "milliseconds are exact for a quarter of a million years")]
pub(crate) fn fractional(at: Timestamp) -> f64 {
    at.as_millis() as f64 / 1_000.0
}

/// A host's refusal; `member` names the part of the request that an image stands in.
pub(crate) fn refused(refused: &Refused, member: impl FnOnce(AssetId) -> String) -> Fault {
    match refused {
        Refused::NoImage(id) => Fault::invalid(&member(*id), "there is no such image"),
        Refused::TooMany { what, max } => too_many(*max, what),
        Refused::Full => Fault::Full("There is no room for this now, try again later"),
        Refused::Gone => no_group(),
        Refused::Busy => Fault::TooMuch("Too many requests at once"),
        Refused::Failed(error) => broken(error),
    }
}

/// There are as many as may be.
pub(crate) fn too_many(max: u64, what: &str) -> Fault {
    Fault::bad(format!("You have exceeded your limit of {max} {what}"))
}

/// A failure of the host; its cause goes into the log and nowhere else.
pub(crate) fn broken(error: &HostError) -> Fault {
    tracing::error!(error = error as &dyn std::error::Error, "the host failed");
    Fault::internal()
}

/// A yard that did not do as it was asked about a group. What waits or runs goes on.
pub(crate) fn unanswered(group: GroupId, error: &HandleError) -> Fault {
    match error {
        HandleError::Rejected(rejection) => rejected(group, rejection),
        HandleError::Busy { .. } => Fault::TooMuch("Too many requests at once"),
        HandleError::Stopped { .. } => stopped(),
        HandleError::TooMany { .. } | _ => unexpected(error),
    }
}

fn rejected(group: GroupId, rejection: &Rejection) -> Fault {
    if matches!(rejection, Rejection::SubjectBusy { .. }) {
        nothing_to_train(group)
    } else if matches!(rejection, Rejection::SubjectFull { .. } | Rejection::QueueFull { .. }) {
        Fault::TooMuch("Too many trainings wait already")
    } else {
        unexpected(rejection)
    }
}

fn unexpected(error: &(dyn std::error::Error + 'static)) -> Fault {
    tracing::error!(error, "the yard said no");
    Fault::internal()
}

/// The vendor has one answer for a group without a completed look and for one that is being trained. Clients look for
/// its words.
pub(crate) fn nothing_to_train(group: GroupId) -> Fault {
    Fault::bad(format!("No valid image for training found in group {group}"))
}

/// No look is left out without a word.
pub(crate) fn too_many_to_train(looks: usize) -> Fault {
    Fault::bad(format!(
        "The group has {looks} completed looks, and one training takes at most {}",
        TrainParameters::LOOKS_MAX
    ))
}

pub(crate) fn stopped() -> Fault {
    Fault::Later("The service is stopping, trainings go on at its next start")
}

pub(crate) fn no_group() -> Fault {
    Fault::not_found("Avatar group not found")
}

pub(crate) fn no_look() -> Fault {
    Fault::not_found("Photo avatar not found")
}

pub(crate) fn no_data() -> Fault {
    Fault::Said(StatusCode::BAD_REQUEST, Code::InvalidParameter, "asset data must be provided".to_owned())
}

/// Somebody's words for a client, cut to a bound; others when there are none.
fn said(words: &str, otherwise: &str) -> String {
    const BYTES_MAX: usize = 1_024;
    match words.floor_char_boundary(BYTES_MAX) {
        _ if words.trim().is_empty() => otherwise.to_owned(),
        cut if cut < words.len() => format!("{}…", &words[..cut]),
        _ => words.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use trainyard_core::{ModelId, Reason};
    use uuid::Uuid;

    use super::*;
    use crate::wire::answers::TrainWord;

    fn outcomes() -> Vec<(Outcome, Option<&'static str>)> {
        let reason = |words: &str| Reason::new(words);
        vec![
            (Outcome::Completed { model: Some(ModelId::from_u128(1)) }, None),
            (Outcome::Completed { model: None }, None),
            (Outcome::Failed { reason: reason("too dark") }, Some("too dark")),
            (Outcome::Failed { reason: reason(" ") }, Some("The training failed")),
            (
                Outcome::Cancelled { reason: reason("its subject is no more") },
                Some("The training was cancelled"),
            ),
            (Outcome::Cancelled { reason: reason(CUT_SHORT) }, Some("The training was cut short too often")),
            (Outcome::TimedOut(TimedOut::Running), Some("The training took too long")),
            (
                Outcome::TimedOut(TimedOut::Waiting),
                Some("The training waited too long for its turn, try again"),
            ),
            (Outcome::Stalled, Some("The training made too little progress")),
            (Outcome::Superseded, Some("Another training took its place")),
        ]
    }

    #[test]
    fn every_end_has_its_word() {
        let at = Timestamp::from_millis;
        for (outcome, error) in outcomes() {
            let over = Finished { outcome, at: at(152_999), draining: None };
            let told = ended(at(1_000), &over);
            assert_eq!(told.status, if error.is_some() { TrainWord::Failed } else { TrainWord::Ready });
            assert_eq!(told.error_msg.as_deref(), error);
            assert_eq!((told.created_at, told.updated_at), (1, Some(152)));
            assert_eq!(ended(at(200_000), &over).updated_at, Some(200), "never before it began");
        }
    }

    #[test]
    fn only_what_may_go_better_next_time_says_so() {
        for (outcome, _) in outcomes() {
            let words = reason(&outcome).unwrap_or_default().to_lowercase();
            let again = words.contains("try again") || words.contains("transient");
            assert_eq!(again, outcome == Outcome::TimedOut(TimedOut::Waiting), "{words}");
        }
    }

    #[test]
    fn never_trained_is_empty() {
        assert_eq!(training(None, None), TrainStatus::EMPTY);
    }

    #[test]
    fn a_look_that_waits_says_the_words_and_one_that_is_done_does_not() {
        let pending = upscale(&LookState::Pending);
        assert_eq!(pending.reason.as_deref(), Some("Photo avatar look upload not completed"));
        assert_eq!(upscale(&LookState::Completed).reason, None);
        let failed = upscale(&LookState::Failed { reason: "no face".to_owned() });
        assert_eq!(failed.reason.as_deref(), Some("no face"));
    }

    #[test]
    fn times_are_whole_or_not() {
        assert_eq!(seconds(Timestamp::from_millis(1_770_000_000_999)), 1_770_000_000);
        assert_eq!(seconds(Timestamp::from_millis(-1)), -1);
        let text = |millis| serde_json::to_string(&fractional(Timestamp::from_millis(millis))).unwrap();
        assert_eq!(text(1_770_000_000_123), "1770000000.123");
        assert_eq!(text(1_770_000_000_000), "1770000000.0");
        assert_eq!(text(0), "0.0");
    }

    #[test]
    fn a_refusal_names_what_it_is_about() {
        let id = AssetId::new(Uuid::from_u128(7));
        let told = refused(&Refused::NoImage(id), |_| "image_keys[2]".to_owned());
        assert_eq!(told, Fault::bad("image_keys[2] is invalid: there is no such image"));
        let many = Refused::TooMany { what: "photo avatars", max: 3 };
        let told = refused(&many, |_| String::new());
        assert_eq!(told, Fault::bad("You have exceeded your limit of 3 photo avatars"));
    }

    #[test]
    fn long_words_are_cut_at_a_character() {
        let words = format!("{}é", "x".repeat(1_023));
        assert_eq!(said(&words, ""), format!("{}…", "x".repeat(1_023)));
        assert_eq!(said("short", ""), "short");
        assert_eq!(said("\n", "none"), "none");
    }
}
