//! What is shown must be in the books.

use trainyard_core::{Admitted, Answer, Command, JobId, NodeId, Outcome, Rejection, Run, Timestamp};

use super::books::Stage;
use super::{Breach, Checker, Invariant, breach};

/// What the books say about a command before it is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before {
    right: Right,
    /// The job that the key of a submission has made.
    key: Option<JobId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Right {
    /// It writes under no lease.
    None,
    /// It may write.
    Writes,
    /// It may only say that it has stopped.
    Leaves,
    /// It may do nothing.
    Old,
    /// Nobody has such a lease yet, as far as the books go.
    Future,
}

impl Checker {
    /// What the books say about a command that is to be decided next. All of the journal must have been taken in.
    #[must_use]
    pub fn before(&self, command: &Command) -> Before {
        let right = |run: &Run| match self.jobs.get(&run.job) {
            _ if run.lease > self.last_lease => Right::Future,
            Some(book) if book.may_write(run.lease) => Right::Writes,
            Some(book) if book.is_live(run.lease) => Right::Leaves,
            Some(_) | None => Right::Old,
        };
        let run = if let Command::Report { run, .. }
        | Command::Checkpoint { run, .. }
        | Command::Finish { run, .. } = command
        {
            Some(run)
        } else {
            None
        };
        let key = if let Command::Submit(submission) = command { submission.key.as_ref() } else { None };
        Before { right: run.map_or(Right::None, right), key: key.and_then(|key| self.keys.get(key)).copied() }
    }

    /// A command was answered. All of the journal that there was must have been taken in.
    ///
    /// # Errors
    /// [`Breach`] when the answer is not what the books say.
    pub fn told(
        &self,
        command: &Command,
        before: Before,
        answer: &Result<Answer, Rejection>,
    ) -> Result<(), Breach> {
        match answer {
            Ok(answer) => self.agreed(command, before, answer),
            Err(rejection) => self.refused(command, before, rejection),
        }
    }

    fn agreed(&self, command: &Command, before: Before, answer: &Answer) -> Result<(), Breach> {
        let not_there = |what: String| breach(Invariant::OnlyDurableIsShown, what);
        match (before.right, command) {
            (Right::Old, _) | (Right::Leaves, Command::Report { .. } | Command::Checkpoint { .. }) => {
                return breach(Invariant::OldLeasesNeverWrite, format!("{command:?} is taken"));
            }
            (Right::None | Right::Writes | Right::Leaves | Right::Future, _) => {}
        }
        match (answer, command) {
            (Answer::Admitted { job, how }, Command::Submit(submission)) => {
                if !self.knows(*job) {
                    return not_there(format!("job {job} is acknowledged and not in the journal"));
                }
                if *how == Admitted::New && *job != submission.job {
                    return not_there(format!("job {} is acknowledged as {job}", submission.job));
                }
                match before.key {
                    Some(first) if *how != Admitted::Repeated || *job != first => {
                        breach(Invariant::KeysAreUnique, format!("job {first} has the key, {how:?} is {job}"))
                    }
                    Some(_) | None => Ok(()),
                }
            }
            (Answer::Decided { job: Some(job), .. }, _) if !self.knows(*job) => {
                not_there(format!("a rule has made job {job}, which is not in the journal"))
            }
            (Answer::Ended { outcome: Some(outcome) }, Command::Finish { run, .. }) => {
                self.ended(run.job, outcome)
            }
            (Answer::Joined { epoch }, Command::JoinNode { node, .. }) => {
                match self.nodes.get(node).is_some_and(|book| book.epoch >= *epoch) {
                    true => Ok(()),
                    false => not_there(format!("node {node} has joined in epoch {epoch}")),
                }
            }
            (_, Command::Cancel { job, .. }) => match self.outcome(*job) {
                Some(Outcome::Cancelled { .. }) => Ok(()),
                other => not_there(format!("job {job} was cancelled and is {other:?}")),
            },
            (_, Command::Report { run, performance: Some(value), .. }) => self.has_heard(*run, *value),
            (_, _) => Ok(()),
        }
    }

    fn refused(&self, command: &Command, before: Before, rejection: &Rejection) -> Result<(), Breach> {
        match (rejection, command) {
            (Rejection::Over { job, outcome }, _) => self.ended(*job, outcome),
            (
                Rejection::Fenced { .. } | Rejection::NoJob(_),
                Command::Report { run, .. } | Command::Checkpoint { run, .. } | Command::Finish { run, .. },
            ) => {
                let writes = before.right == Right::Writes
                    && self.jobs.get(&run.job).is_some_and(|book| book.may_write(run.lease));
                match writes {
                    true => {
                        breach(Invariant::OldLeasesNeverWrite, format!("{command:?} is refused: {rejection}"))
                    }
                    false => Ok(()),
                }
            }
            (Rejection::NoJob(job), _) if self.jobs.contains_key(job) => {
                breach(Invariant::NoJobIsLost, format!("job {job} is said not to be there"))
            }
            (_, _) => Ok(()),
        }
    }

    /// A value at the target that was taken makes its candidate a holder, for as long as it is in.
    fn has_heard(&self, run: Run, value: trainyard_core::Score) -> Result<(), Breach> {
        let Some(book) = self.jobs.get(&run.job) else { return Ok(()) };
        let Some(contest) = book.contest.as_ref().filter(|contest| value >= contest.target()) else {
            return Ok(());
        };
        if contest.runs_under(run.lease) && !contest.has_reached(run.lease) {
            let what = format!(
                "lease {} of job {} has reached the target, which nobody noticed",
                run.lease, run.job
            );
            return breach(Invariant::TheFirstToReachWins, what);
        }
        Ok(())
    }

    fn ended(&self, job: JobId, told: &Outcome) -> Result<(), Breach> {
        match self.outcome(job) {
            Some(outcome) if outcome == told => Ok(()),
            Some(outcome) => {
                breach(Invariant::OutcomesAreFinal, format!("job {job} is {outcome}, told is {told}"))
            }
            None => breach(
                Invariant::OnlyDurableIsShown,
                format!("job {job} is told to be {told}, and is not over"),
            ),
        }
    }

    /// A trainer begins to work on a node.
    ///
    /// # Errors
    /// [`Breach`] when the books know nothing of it.
    pub fn began(&self, node: NodeId, run: Run) -> Result<(), Breach> {
        let stint = self.jobs.get(&run.job).and_then(|book| book.stint());
        let here = self.nodes.get(&node).map(|node| node.epoch);
        match stint {
            Some(stint)
                if stint.node == node && Some(stint.epoch) == here && stint.live.contains(&run.lease) =>
            {
                Ok(())
            }
            stint => breach(
                Invariant::OnlyDurableIsShown,
                format!("{run:?} begins on {node}, and there is {stint:?}"),
            ),
        }
    }

    /// What time it is by the books.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// How many jobs are not over.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.jobs.values().filter(|book| !book.is_over()).count()
    }

    /// The jobs that are not over, or that somebody still works on.
    pub(crate) fn left(&self) -> impl Iterator<Item = JobId> {
        self.jobs.iter().filter(|(_, book)| !book.is_over() || book.stint().is_some()).map(|(id, _)| *id)
    }

    /// Forgets what was forgotten: nobody is told of it any more.
    pub(crate) fn clear_forgotten(&mut self) {
        while self.forgotten.len() > FORGOTTEN_MAX {
            self.forgotten.pop_first();
        }
    }

    fn knows(&self, job: JobId) -> bool {
        self.jobs.contains_key(&job) || self.forgotten.contains_key(&job)
    }

    fn outcome(&self, job: JobId) -> Option<&Outcome> {
        match self.jobs.get(&job).map(|book| &book.stage) {
            Some(Stage::Over { outcome, .. }) => Some(outcome),
            Some(Stage::Waiting { .. } | Stage::Running(_)) => None,
            None => self.forgotten.get(&job),
        }
    }
}

/// Of so many jobs that were forgotten it is still known how they had ended.
const FORGOTTEN_MAX: usize = 10_000;
