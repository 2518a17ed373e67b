//! How much facts add to a record of the journal.

use trainyard_core::{Event, Fact, Parameters, Submission};

/// What is in a record, or may be.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Load {
    pub(crate) bytes: usize,
    pub(crate) facts: usize,
}

impl Load {
    pub(crate) fn add(&mut self, facts: &[Fact]) {
        self.facts += facts.len();
        self.bytes += facts.iter().map(|fact| weight(&fact.event)).sum::<usize>();
    }

    pub(crate) const fn reaches(self, max: Self) -> bool {
        self.bytes >= max.bytes || self.facts >= max.facts
    }
}

/// Roughly how many bytes an event takes: names and numbers are few, parameters and lists may be long.
fn weight(event: &Event) -> usize {
    let long = match event {
        Event::Submitted { submission } => told(submission),
        Event::Updated { parameters, .. } => length(parameters),
        Event::RuleSet { template, .. } => SMALL + length(&template.parameters),
        Event::NodeJoined { abilities, .. } => SMALL * abilities.kinds.len(),
        Event::ModelRegistered { model } => SMALL * (2 + model.metrics.len()),
        Event::HandedOver { trained, .. } => SMALL * (2 + trained.metrics.len()),
        Event::ModelsForgotten { models } => ID * models.len(),
        Event::Forgotten { jobs } => ID * jobs.len(),
        Event::Decided { .. }
        | Event::CandidateEnded { .. }
        | Event::Checkpointed { .. }
        | Event::Finished { .. }
        | Event::Held { .. }
        | Event::Interrupted { .. }
        | Event::QueuePaused { .. }
        | Event::Retried { .. } => SMALL,
        Event::Ticked
        | Event::Configured(_)
        | Event::NodeAlive { .. }
        | Event::NodeLost { .. }
        | Event::QueueConfigured { .. }
        | Event::RetentionSet { .. }
        | Event::QueueResumed { .. }
        | Event::Started { .. }
        | Event::Reported { .. }
        | Event::Reached { .. }
        | Event::Unheld { .. }
        | Event::Recovering { .. }
        | Event::Recovered { .. }
        | Event::Released { .. }
        | Event::RuleRemoved { .. }
        | Event::ModelActivated { .. }
        | Event::Retired { .. }
        // Parts of snapshots are not decided by anybody.
        | Event::Restored(_) => 0,
    };
    SMALL + long
}

fn told(submission: &Submission) -> usize {
    let candidates = submission.contest.iter().flat_map(|plan| &plan.candidates);
    let candidates: usize = candidates.map(|entrant| SMALL + length(&entrant.parameters)).sum();
    4 * SMALL + length(&submission.parameters) + candidates
}

fn length(parameters: &Parameters) -> usize {
    parameters.as_bytes().len()
}

const SMALL: usize = 256;
const ID: usize = 16;
