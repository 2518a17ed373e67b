//! The core's words and the host's as the vendor's: pure, and total. A new variant does not compile until it is
//! decided here what the wire shows for it.

use trainyard_core::port::HandleError;
use trainyard_core::{CandidatePhase, Outcome, Phase, Rejection};

use crate::fault::Fault;
use crate::host::{DatasetState, HostError, PredictionState, Refused};
use crate::wire::answers::{DatasetStatus, PredictionStatus, TrainingStatus};

/// The figure of a model that contests are about: balanced accuracy where the learner judges itself.
pub const PERFORMANCE: &str = "performance";
/// The figure of a model that says how well it does on the rows it was trained on.
pub const TRAINING_PERFORMANCE: &str = "training_performance";
/// The figure of a model that says how well it does on rows that took no part.
pub const TEST_PERFORMANCE: &str = "test_performance";

/// Whether a job was ever started. One that was interrupted waits again, but is not shown as if it had never begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begun {
    No,
    Yes,
}

/// Where a job stands.
pub(crate) fn job_status(phase: &Phase, begun: Begun) -> TrainingStatus {
    match phase {
        Phase::Waiting(_) => unfinished(begun),
        Phase::Running(_) => TrainingStatus::Running,
        Phase::Finished(finished) => ended(&finished.outcome),
    }
}

/// Where one algorithm's part stands, beside how the whole ended, if it has. Under a whole that has ended no part is
/// unfinished.
pub(crate) fn part_status(phase: &CandidatePhase, whole: Option<&Outcome>, begun: Begun) -> TrainingStatus {
    match (phase, whole) {
        (CandidatePhase::Ended { outcome, .. }, _) => ended(outcome),
        (
            CandidatePhase::Pending | CandidatePhase::Running { .. } | CandidatePhase::HandedOver { .. },
            Some(whole),
        ) => swept_along(whole),
        (CandidatePhase::Pending, None) => unfinished(begun),
        // It has not completed before the whole has, and does not if another wins.
        (CandidatePhase::Running { .. } | CandidatePhase::HandedOver { .. }, None) => TrainingStatus::Running,
    }
}

fn unfinished(begun: Begun) -> TrainingStatus {
    match begun {
        Begun::No => TrainingStatus::Pending,
        Begun::Yes => TrainingStatus::Running,
    }
}

/// A completed training without a model has no champion: nobody may be shown as one.
fn ended(outcome: &Outcome) -> TrainingStatus {
    match outcome {
        Outcome::Completed { model: Some(_) } => TrainingStatus::Completed,
        Outcome::Completed { model: None } | Outcome::Failed { .. } => TrainingStatus::Failed,
        Outcome::TimedOut(_) => TrainingStatus::TimedOut,
        Outcome::Stalled | Outcome::Superseded => TrainingStatus::NotCompleted,
        Outcome::Cancelled { .. } => TrainingStatus::Cancelled,
    }
}

/// What the end of the whole is to a part that had not ended.
fn swept_along(whole: &Outcome) -> TrainingStatus {
    match ended(whole) {
        TrainingStatus::Completed | TrainingStatus::Pending | TrainingStatus::Running => {
            TrainingStatus::NotCompleted
        }
        other @ (TrainingStatus::TimedOut
        | TrainingStatus::NotCompleted
        | TrainingStatus::Cancelled
        | TrainingStatus::Failed) => other,
    }
}

pub(crate) const fn dataset_status(state: &DatasetState) -> DatasetStatus {
    match state {
        DatasetState::Pending => DatasetStatus::Pending,
        DatasetState::Processing => DatasetStatus::Processing,
        DatasetState::Completed(_) => DatasetStatus::Completed,
        DatasetState::Failed { .. } => DatasetStatus::Failed,
    }
}

pub(crate) const fn prediction_status(state: &PredictionState) -> PredictionStatus {
    match state {
        PredictionState::Pending => PredictionStatus::Pending,
        PredictionState::Running => PredictionStatus::Running,
        PredictionState::Completed => PredictionStatus::Completed,
        PredictionState::Failed { .. } => PredictionStatus::Failed,
        PredictionState::TimedOut => PredictionStatus::Timeout,
    }
}

/// A host's refusal; `what` is not there when it is gone, as in `Dataset`.
pub(crate) fn refused(what: &'static str, refused: &Refused) -> Fault {
    match refused {
        Refused::Taken | Refused::NotPending | Refused::TooMany { .. } => Fault::conflict(capital(refused)),
        Refused::Full => Fault::Full("There is no room for this now, try again later"),
        Refused::Gone => not_found(what),
        Refused::Invalid(reason) => Fault::bad(shortened(reason)),
        Refused::Busy => Fault::Later("The service cannot take this now, try again"),
        Refused::Failed(error) => broken(error),
    }
}

/// A failure of the host; its cause goes into the log and nowhere else.
pub(crate) fn broken(error: &HostError) -> Fault {
    tracing::error!(error = error as &dyn std::error::Error, "the host failed");
    Fault::internal()
}

/// A yard that did not do as it was asked. Nothing that was acknowledged is lost: what waits or runs goes on.
pub(crate) fn unanswered(error: &HandleError) -> Fault {
    match error {
        HandleError::Rejected(rejection) => rejected(rejection),
        HandleError::Busy { .. } => Fault::Later("Too many requests at once, try again"),
        HandleError::Stopped { .. } => stopped(),
        HandleError::TooMany { .. } | _ => unexpected(error),
    }
}

fn rejected(rejection: &Rejection) -> Fault {
    if matches!(rejection, Rejection::Over { .. }) {
        Fault::conflict("The training job is over")
    } else if matches!(rejection, Rejection::NoJob(_)) {
        not_found("Training job")
    } else if matches!(rejection, Rejection::SubjectFull { .. } | Rejection::QueueFull { .. }) {
        Fault::Later("Too many training jobs wait already, try again")
    } else {
        unexpected(rejection)
    }
}

fn unexpected(error: &(dyn std::error::Error + 'static)) -> Fault {
    tracing::error!(error, "the yard said no");
    Fault::internal()
}

pub(crate) fn stopped() -> Fault {
    Fault::Later("The service is stopping, training jobs go on at its next start")
}

pub(crate) fn not_found(what: &str) -> Fault {
    Fault::not_found(format!("{what} not found"))
}

fn capital(words: &impl ToString) -> String {
    let words = words.to_string();
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A host's words to a client, cut to a bound.
pub(crate) fn shortened(words: &str) -> String {
    const BYTES_MAX: usize = 1_024;
    match words.floor_char_boundary(BYTES_MAX) {
        cut if cut < words.len() => format!("{}…", &words[..cut]),
        _ => words.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use trainyard_core::{Finished, Lease, ModelId, Reason, TimedOut, Timestamp, Trained, Waiting};

    use super::*;

    fn outcomes() -> Vec<(Outcome, TrainingStatus)> {
        let reason = Reason::new("because");
        vec![
            (Outcome::Completed { model: Some(ModelId::from_u128(1)) }, TrainingStatus::Completed),
            (Outcome::Completed { model: None }, TrainingStatus::Failed),
            (Outcome::TimedOut(TimedOut::Running), TrainingStatus::TimedOut),
            (Outcome::TimedOut(TimedOut::Waiting), TrainingStatus::TimedOut),
            (Outcome::Stalled, TrainingStatus::NotCompleted),
            (Outcome::Superseded, TrainingStatus::NotCompleted),
            (Outcome::Cancelled { reason: reason.clone() }, TrainingStatus::Cancelled),
            (Outcome::Failed { reason }, TrainingStatus::Failed),
        ]
    }

    #[test]
    fn every_outcome_has_its_word() {
        let at = Timestamp::from_millis(0);
        for (outcome, status) in outcomes() {
            let over = Finished { outcome: outcome.clone(), at, draining: None };
            assert_eq!(job_status(&Phase::Finished(over.into()), Begun::Yes), status, "{outcome}");
            let part = CandidatePhase::Ended { outcome: outcome.clone(), at };
            for whole in [None, Some(Outcome::Superseded)] {
                assert_eq!(part_status(&part, whole.as_ref(), Begun::Yes), status, "{outcome}");
            }
        }
    }

    #[test]
    fn a_whole_that_is_over_leaves_no_part_unfinished() {
        for (outcome, status) in outcomes() {
            let lost = TrainingStatus::NotCompleted;
            let expected = if status == TrainingStatus::Completed { lost } else { status };
            for part in
                [CandidatePhase::Pending, CandidatePhase::Running { lease: Lease::new(1) }, handed_over()]
            {
                assert_eq!(part_status(&part, Some(&outcome), Begun::Yes), expected, "{outcome}");
            }
        }
    }

    fn handed_over() -> CandidatePhase {
        let (model, trained) = (ModelId::from_u128(1), Trained::default());
        CandidatePhase::HandedOver { lease: Lease::new(1), model, trained }
    }

    #[test]
    fn who_has_handed_over_is_not_completed_before_the_whole_is() {
        assert_eq!(part_status(&handed_over(), None, Begun::Yes), TrainingStatus::Running);
    }

    #[test]
    fn what_was_interrupted_is_not_shown_as_never_begun() {
        let waiting = Phase::Waiting(Waiting { not_before: Timestamp::MIN, held: None });
        assert_eq!(job_status(&waiting, Begun::No), TrainingStatus::Pending);
        assert_eq!(job_status(&waiting, Begun::Yes), TrainingStatus::Running);
        assert_eq!(part_status(&CandidatePhase::Pending, None, Begun::No), TrainingStatus::Pending);
        assert_eq!(part_status(&CandidatePhase::Pending, None, Begun::Yes), TrainingStatus::Running);
    }

    #[test]
    fn a_long_word_is_cut_at_a_character() {
        let word = format!("{}é", "x".repeat(1_023));
        assert_eq!(shortened(&word), format!("{}…", "x".repeat(1_023)));
        assert_eq!(shortened("short"), "short");
        assert_eq!(capital(&Refused::Taken), "There is a dataset of this name already");
    }
}
