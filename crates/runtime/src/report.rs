//! What an operator reads when a yard is opened and when it is shut down.

use std::fmt;

use trainyard_core::{Event, Fact, Yard};

/// What was found when a yard was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct OpenReport {
    /// Attempts whose process had ended without a word; their jobs are in line again, or running already.
    pub attempts_interrupted: usize,
    /// Contests among them that go on.
    pub contests_resumed: usize,
    /// Jobs that were interrupted too often and wait for an operator.
    pub held: usize,
    /// Attempts outside of the process that have yet to be found again.
    pub recovering: usize,
    /// Jobs in line.
    pub waiting: usize,
}

impl OpenReport {
    /// Reads it off what joining the yard has led to.
    pub(crate) fn new(yard: &Yard, facts: &[Fact]) -> Self {
        let mut report = Self::default();
        for fact in facts {
            if let Event::Interrupted { job, .. } = &fact.event {
                let is_contest = yard.job(*job).is_some_and(|job| job.contest().is_some());
                report.contests_resumed += usize::from(is_contest);
                report.attempts_interrupted += usize::from(!is_contest);
            }
            report.held += usize::from(matches!(fact.event, Event::Held { .. }));
            report.recovering += usize::from(matches!(fact.event, Event::Recovering { .. }));
        }
        report.waiting = yard.queues().map(|(_, queue)| queue.waiting as usize).sum();
        report
    }
}

impl fmt::Display for OpenReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attempts_interrupted, contests_resumed, held, recovering, waiting } = *self;
        write!(f, "{} interrupted and requeued", count(attempts_interrupted, "attempt"))?;
        write!(f, ", {} resumed", count(contests_resumed, "contest"))?;
        if held > 0 {
            write!(f, ", {} held after too many interruptions", count(held, "job"))?;
        }
        if recovering > 0 {
            write!(f, ", {} to be found again", count(recovering, "attempt"))?;
        }
        write!(f, ", {} in line", count(waiting, "job"))
    }
}

/// What was left behind when a yard was shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Attempts that were cut short; they go on at the next open.
    pub attempts_interrupted: usize,
    /// Attempts outside of the process that are still at work; they are looked for at the next open.
    pub attempts_left: usize,
    /// Trainers that had not returned by the deadline; their threads are still there.
    pub stuck_threads: usize,
}

impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} interrupted", count(self.attempts_interrupted, "attempt"))?;
        if self.attempts_left > 0 {
            write!(f, ", {} left at work", count(self.attempts_left, "attempt"))?;
        }
        match self.stuck_threads {
            0 => Ok(()),
            stuck => write!(f, ", {} still at work", count(stuck, "trainer")),
        }
    }
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_like_a_sentence() {
        let report =
            OpenReport { attempts_interrupted: 3, contests_resumed: 1, waiting: 2, ..OpenReport::default() };
        assert_eq!(
            report.to_string(),
            "3 attempts interrupted and requeued, 1 contest resumed, 2 jobs in line"
        );
        let report = ShutdownReport { attempts_interrupted: 1, attempts_left: 2, stuck_threads: 2 };
        assert_eq!(
            report.to_string(),
            "1 attempt interrupted, 2 attempts left at work, 2 trainers still at work"
        );
    }
}
