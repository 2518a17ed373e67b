//! What arrives in the driver's inbox.

use trainyard_core::port::{HandleError, Observed, Receipt};
use trainyard_core::{Answer, Checkpoint, Command, Reason, Rejection, Run, RunEnd, Subject, Timestamp};

use crate::ShutdownReport;
use crate::bulk::Room;
use crate::telemetry;
use crate::ticket::Promise;

/// One message to the driver.
pub(crate) enum Call {
    /// Somebody asks for something.
    Ask(Command, Reply),
    /// Somebody asks for much of the same at once.
    AskAll(Vec<Command>, Promise<Vec<Result<Receipt, Rejection>>>, Room),
    /// A run has put something down.
    Shown(Run),
    /// A candidate has reached the target, and has put that down.
    Reached(Run),
    /// A run can go on from here.
    Checkpoint(Run, Checkpoint, Promise<()>),
    /// A run that was at work outside of an earlier process was found.
    Recovered(Run, Promise<()>),
    /// A trainer has returned.
    Ended(Run, RunEnd),
    /// It is time to leave, at this moment at the latest.
    Close(Timestamp, Promise<ShutdownReport>),
}

/// Whom to answer, and in which words.
pub(crate) enum Reply {
    Done(Promise<()>),
    Submitted(Promise<Receipt>),
    /// So many submissions, which were asked for as one.
    AllSubmitted(usize, Promise<Vec<Result<Receipt, Rejection>>>),
    Observed(Subject, Promise<Observed>),
    /// This driver itself, which is (still) part of the yard.
    Joined,
    /// Nobody waits; a refusal is worth a line in the log, under this name.
    Nobody(&'static str),
}

impl Call {
    /// The yard has stopped.
    pub(crate) fn refuse(self, reason: &Reason) {
        match self {
            Self::Ask(_, reply) => reply.refuse(reason),
            Self::AskAll(_, promise, _) => promise.answer(Err(stopped(reason))),
            Self::Checkpoint(_, _, promise) | Self::Recovered(_, promise) => {
                promise.answer(Err(stopped(reason)));
            }
            Self::Close(_, promise) => promise.answer(Err(stopped(reason))),
            Self::Shown(_) | Self::Reached(_) | Self::Ended(..) => {}
        }
    }
}

impl Reply {
    /// How many commands it is about.
    pub(crate) const fn commands(&self) -> usize {
        match self {
            Self::AllSubmitted(commands, _) => *commands,
            Self::Done(_) | Self::Submitted(_) | Self::Observed(..) | Self::Joined | Self::Nobody(_) => 1,
        }
    }

    /// Passes durable answers on: as many as there were commands.
    pub(crate) fn answer(self, answers: &mut impl Iterator<Item = Result<Answer, Rejection>>) {
        if let Self::AllSubmitted(commands, promise) = self {
            let receipts = answers.take(commands).map(|answer| answer.map(receipt)).collect();
            return promise.answer(Ok(receipts));
        }
        let answer = answers.next().expect("every command has an answer");
        match self {
            Self::AllSubmitted(..) => unreachable!("it was answered above"),
            Self::Done(promise) => promise.answer(answer.map(drop).map_err(HandleError::Rejected)),
            Self::Submitted(promise) => {
                promise.answer(answer.map(receipt).map_err(HandleError::Rejected));
            }
            Self::Observed(_, promise) => promise.answer(match answer {
                Ok(Answer::Decided { decision, job }) => Ok(Observed { decision, job }),
                Ok(other) => unreachable!("an observation was answered with {other:?}"),
                Err(rejection) => Err(HandleError::Rejected(rejection)),
            }),
            Self::Joined => {}
            Self::Nobody(what) => {
                if let Err(rejection) = answer {
                    telemetry::write_refused(what, &rejection);
                }
            }
        }
    }

    pub(crate) fn refuse(self, reason: &Reason) {
        match self {
            Self::Done(promise) => promise.answer(Err(stopped(reason))),
            Self::Submitted(promise) => promise.answer(Err(stopped(reason))),
            Self::AllSubmitted(_, promise) => promise.answer(Err(stopped(reason))),
            Self::Observed(_, promise) => promise.answer(Err(stopped(reason))),
            Self::Joined | Self::Nobody(_) => {}
        }
    }
}

fn receipt(answer: Answer) -> Receipt {
    match answer {
        Answer::Admitted { job, how } => Receipt { job, how },
        Answer::Done | Answer::Joined { .. } | Answer::Decided { .. } | Answer::Ended { .. } => {
            unreachable!("a submission was answered with {answer:?}")
        }
    }
}

pub(crate) fn stopped(reason: &Reason) -> HandleError {
    HandleError::Stopped { reason: reason.clone() }
}

/// Roughly how many bytes a command adds to its commit.
pub(crate) fn weight(command: &Command) -> usize {
    const SMALL: usize = 256;
    match command {
        Command::Submit(submission) => {
            let candidates = submission.contest.iter().flat_map(|plan| &plan.candidates);
            let told: usize = candidates.map(|entrant| SMALL + entrant.parameters.as_bytes().len()).sum();
            SMALL + submission.parameters.as_bytes().len() + told
        }
        Command::SetRule { template, .. } => SMALL + template.parameters.as_bytes().len(),
        Command::Observe { .. }
        | Command::Tick
        | Command::Configure(_)
        | Command::JoinNode { .. }
        | Command::RenewNode { .. }
        | Command::LeaveNode { .. }
        | Command::ConfigureQueue { .. }
        | Command::SetRetention { .. }
        | Command::PauseQueue { .. }
        | Command::ResumeQueue { .. }
        | Command::Cancel { .. }
        | Command::Hold { .. }
        | Command::Unhold { .. }
        | Command::Report { .. }
        | Command::Checkpoint { .. }
        | Command::Finish { .. }
        | Command::Recover { .. }
        | Command::RemoveRule { .. }
        | Command::Activate { .. }
        | Command::Retire { .. } => SMALL,
    }
}
