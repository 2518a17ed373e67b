//! Looking at all there is at once.

use std::collections::BTreeMap;

use trainyard_core::{Fact, Job, NodeId, Phase, Yard};

use super::books::{JobBook, Stage};
use super::{Breach, Checker, Invariant, breach};

impl Checker {
    /// Compares a yard that has taken in all of the journal with the books. Costs as much as there is.
    ///
    /// # Errors
    /// [`Breach`] when they do not agree.
    pub fn audit(&self, yard: &Yard) -> Result<(), Breach> {
        for id in self.jobs.keys() {
            if yard.job(*id).is_none() {
                return breach(
                    Invariant::NoJobIsLost,
                    format!("job {id} is in the journal, and the yard has not got it"),
                );
            }
        }
        let mut used: BTreeMap<(NodeId, &str), u64> = BTreeMap::new();
        for job in yard.jobs() {
            let Some(book) = self.jobs.get(&job.id) else {
                return breach(Invariant::TheBooksAgree, format!("job {} came from nowhere", job.id));
            };
            check_job(job, book)?;
            if let Some(stint) = book.stint()
                && self.nodes.get(&stint.node).is_some_and(|node| node.epoch == stint.epoch)
            {
                for (name, amount) in book.class.resources.iter() {
                    *used.entry((stint.node, name)).or_default() += amount;
                }
            }
        }
        self.check_nodes(yard, &used)?;
        for (name, queue) in yard.queues() {
            let (running, waiting) =
                self.queues.get(name).map_or((0, 0), |book| (book.running, book.waiting));
            if (queue.running, queue.waiting) != (running, waiting) {
                let what = format!("in {name} run {running} and wait {waiting}; the yard says {queue:?}");
                return breach(Invariant::TheBooksAgree, what);
            }
        }
        Ok(())
    }

    fn check_nodes(&self, yard: &Yard, used: &BTreeMap<(NodeId, &str), u64>) -> Result<(), Breach> {
        for (id, node) in yard.nodes() {
            let Some(book) = self.nodes.get(&id) else {
                return breach(Invariant::TheBooksAgree, format!("node {id} came from nowhere"));
            };
            if (node.epoch, node.is_alive()) != (book.epoch, book.is_alive) {
                return breach(Invariant::TheBooksAgree, format!("node {id} is {node:?}, and {book:?}"));
            }
            for (name, amount) in node.used.iter() {
                let counted = used.get(&(id, name)).copied().unwrap_or(0);
                if amount != counted {
                    let what = format!("of {name} on {id} {counted} are taken, the yard says {amount}");
                    return breach(Invariant::NodesAreNotOversubscribed, what);
                }
            }
        }
        for ((id, name), counted) in used {
            let amount = yard.node(*id).map_or(0, |node| node.used.amount(name));
            if amount != *counted {
                let what = format!("of {name} on {id} {counted} are taken, the yard says {amount}");
                return breach(Invariant::NodesAreNotOversubscribed, what);
            }
        }
        Ok(())
    }
}

impl Checker {
    /// In a yard that is settled everything that was due is done, and whatever waits has a reason to.
    ///
    /// # Errors
    /// [`Breach`] when that is not so.
    pub fn settled(yard: &Yard) -> Result<(), Breach> {
        yard.jobs().try_for_each(|job| Self::explained(yard, job))?;
        match yard.next_deadline() {
            Some(deadline) if deadline <= yard.now() => {
                breach(Invariant::LimitsAreKept, format!("{deadline:?} was due, and it is {:?}", yard.now()))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// In a yard that is settled a job that waits has a reason to, and no other has one.
    ///
    /// # Errors
    /// [`Breach`] when that is not so.
    pub fn explained(yard: &Yard, job: &Job) -> Result<(), Breach> {
        let waits = matches!(job.phase, Phase::Waiting(_));
        let blockers = yard.explain(yard.now(), job.id).unwrap_or_default();
        if waits != blockers.is_empty() {
            return Ok(());
        }
        breach(
            Invariant::WaitingIsExplained,
            format!("job {} is {:?}, kept by {blockers:?}", job.id, job.phase),
        )
    }

    /// The yard that facts lead to, to which a snapshot of it must lead as well.
    ///
    /// # Errors
    /// [`Breach`] when they contradict each other, or the snapshot leads elsewhere.
    pub fn replay(facts: &[Fact]) -> Result<Yard, Breach> {
        let yard = rebuilt(facts, Invariant::ReplayIsTheSame)?;
        Self::leads_back(&yard, &yard.snapshot())?;
        Ok(yard)
    }

    /// Whether a snapshot leads back to its yard.
    ///
    /// # Errors
    /// [`Breach`] when it leads elsewhere.
    pub fn leads_back(yard: &Yard, snapshot: &[Fact]) -> Result<(), Breach> {
        let again = rebuilt(snapshot, Invariant::SnapshotsAreTheSame)?;
        Self::same(Invariant::SnapshotsAreTheSame, yard, &again)
    }

    /// Whether two yards behave alike for ever.
    ///
    /// # Errors
    /// [`Breach`] of this invariant, with the first job or node by which they differ.
    pub fn same(invariant: Invariant, one: &Yard, other: &Yard) -> Result<(), Breach> {
        if one == other {
            return Ok(());
        }
        let job = one.jobs().find(|job| other.job(job.id) != Some(*job));
        let what = match job {
            Some(job) => format!("{job:?} and {:?}", other.job(job.id)),
            None => match one.nodes().find(|(id, node)| other.node(*id) != Some(*node)) {
                Some((id, node)) => format!("{node:?} and {:?}", other.node(id)),
                None => "they have the same jobs and nodes".into(),
            },
        };
        breach(invariant, what)
    }
}

fn rebuilt(facts: &[Fact], invariant: Invariant) -> Result<Yard, Breach> {
    let mut yard = Yard::default();
    for fact in facts {
        yard.apply(fact).map_err(|impossible| Breach::new(invariant, impossible.to_string()))?;
    }
    Ok(yard)
}

fn check_job(job: &Job, book: &JobBook) -> Result<(), Breach> {
    let agrees = match (&job.phase, &book.stage) {
        (Phase::Waiting(waiting), Stage::Waiting { held, .. }) => waiting.held.is_some() == *held,
        (Phase::Running(running), Stage::Running(stint)) => {
            running.live == stint.live && (running.node, running.epoch) == (stint.node, stint.epoch)
        }
        (Phase::Finished(finished), Stage::Over { outcome, draining }) => {
            let live = finished.draining.as_ref().map(|draining| &draining.live);
            if finished.outcome != *outcome {
                return breach(
                    Invariant::OutcomesAreFinal,
                    format!("job {} was {outcome}, and is {:?}", job.id, job.phase),
                );
            }
            live == draining.as_ref().map(|stint| &stint.live)
        }
        (Phase::Waiting(_) | Phase::Running(_) | Phase::Finished(_), _) => false,
    };
    let counts = job.attempts.get() == book.attempts && job.retries == book.retries && job.ran >= book.ran;
    if agrees && counts {
        return Ok(());
    }
    breach(
        Invariant::TheBooksAgree,
        format!("job {} is {:?}, and by the books {:?}", job.id, job.phase, book.stage),
    )
}
