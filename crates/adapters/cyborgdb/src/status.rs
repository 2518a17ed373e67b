//! The training status: one consistent look at the yard.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use trainyard_core::port::Handle;
use trainyard_core::{Class, Job, Parameters, Phase, Subject, Timestamp, Yard};
use trainyard_http::{Bytes, Response, StatusCode};

use crate::fault::Fault;
use crate::host::Host;
use crate::map::{self, Place};
use crate::parameters::TrainParameters;
use crate::service::Edge;
use crate::wire::answers::TrainingStatus;

/// How long the worker counts as running after its last job.
const IDLE_TAIL: Duration = Duration::from_secs(5);

/// Of so many of the newest jobs of its queue the last end is looked for. With one job at a time, first come first
/// served, the newest job is the last to end.
const ENDS_SEEN_MAX: usize = 256;

impl<H: Handle + ?Sized, S: Host + ?Sized> Edge<H, S> {
    pub(crate) fn training_status(&self) -> Result<Response, Fault> {
        self.is_going()?;
        let (class, threshold) = (self.settings.class(), self.settings.rule().shown());
        let shown = self.shown.of(&*self.handle, |yard| Arc::new(Seen::look(yard, class).tell(threshold)));
        Ok(Response::bytes(StatusCode::OK, "application/json", shown.at(self.handle.now())))
    }
}

/// What is told of one state of the yard. It has two forms: for some seconds after the last job the worker still runs.
#[derive(Debug)]
pub(crate) struct Shown {
    running: Bytes,
    idle: Bytes,
    is_busy: bool,
    last_end: Option<Timestamp>,
}

impl Shown {
    fn at(&self, now: Timestamp) -> Bytes {
        let is_running = self.is_busy || is_in_tail(now, self.last_end);
        if is_running { self.running.clone() } else { self.idle.clone() }
    }
}

/// What of a yard matters here, taken at one moment.
#[derive(Debug, Default)]
struct Seen {
    current: Vec<Listed>,
    queued: Vec<Listed>,
    last_end: Option<Timestamp>,
}

#[derive(Debug, PartialEq)]
struct Listed {
    subject: Subject,
    parameters: Parameters,
}

impl Seen {
    fn look(yard: &Yard, class: &Class) -> Self {
        let ours = |job: &&Job| job.class.kind == class.kind && job.class.queue == class.queue;
        let at = |place: Place| move |job: &&Job| map::place(&job.phase) == place;
        let mut current: Vec<&Job> = yard.occupying().filter(ours).filter(at(Place::Current)).collect();
        current.sort_by_key(|job| job.order);
        // One that is over may have a trainer that has yet to stop.
        let ends = yard.over(&class.queue).rev().take(ENDS_SEEN_MAX).chain(yard.occupying());
        let queued = yard.waiting(&class.queue).filter(ours).filter(at(Place::Queued));
        Self {
            current: current.into_iter().map(Listed::of).collect(),
            queued: queued.map(Listed::of).collect(),
            last_end: ends.filter(ours).filter_map(ended_at).max(),
        }
    }

    /// The one that runs is first, then those that wait, oldest first; a name is listed once per job. Should the
    /// queue let more than one run, the oldest is the current one and the others come next.
    fn tell(self, retrain_threshold: u64) -> Shown {
        let is_busy = !self.current.is_empty() || !self.queued.is_empty();
        let mut names = Names::default();
        let mut listed = self.current.iter().chain(&self.queued).map(|listed| names.of(listed));
        let currently_training = if self.current.is_empty() { None } else { listed.next() };
        let queued_indexes: Vec<String> = listed.collect();
        let mut status = TrainingStatus {
            training_indexes: currently_training.iter().chain(&queued_indexes).cloned().collect(),
            currently_training,
            queued_indexes,
            retrain_threshold,
            worker_running: true,
            worker_pid: 0,
            global_training: BTreeMap::new(),
        };
        let running = json(&status);
        status.worker_running = false;
        let idle = if is_busy { Bytes::new() } else { json(&status) };
        Shown { running, idle, is_busy, last_end: self.last_end }
    }
}

impl Listed {
    fn of(job: &Job) -> Self {
        Self { subject: job.subject.clone(), parameters: job.parameters.clone() }
    }

    /// The name travels with the job, so that a deleted index keeps its own until the job is over.
    fn name(&self) -> String {
        let name = TrainParameters::index_name_in(self.parameters.as_bytes());
        name.map_or_else(|| self.subject.to_string(), |name| name.into_owned())
    }
}

/// The names that jobs carry. Jobs that follow each other are often alike: a client that asks again and again.
#[derive(Default)]
struct Names<'a> {
    last: Option<(&'a Listed, String)>,
}

impl<'a> Names<'a> {
    fn of(&mut self, listed: &'a Listed) -> String {
        match &self.last {
            Some((last, name)) if *last == listed => name.clone(),
            Some(_) | None => {
                let name = listed.name();
                self.last = Some((listed, name.clone()));
                name
            }
        }
    }
}

fn json(status: &TrainingStatus) -> Bytes {
    serde_json::to_vec(status).expect("lists of texts have a JSON form").into()
}

/// Whether the worker still counts as running, having nothing to do since `last_end`.
fn is_in_tail(now: Timestamp, last_end: Option<Timestamp>) -> bool {
    last_end.is_some_and(|end| now.since(end) < IDLE_TAIL)
}

fn ended_at(job: &Job) -> Option<Timestamp> {
    match &job.phase {
        Phase::Finished(finished) => Some(finished.at),
        Phase::Waiting(_) | Phase::Running(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_five_seconds() {
        let end = Timestamp::from_millis(1_000);
        let check = |now, last_end| is_in_tail(Timestamp::from_millis(now), last_end);
        assert!(!check(1_000, None), "nothing was ever trained");
        assert!(check(1_000, Some(end)));
        assert!(check(5_999, Some(end)));
        assert!(!check(6_000, Some(end)));
        assert!(check(0, Some(end)), "a clock that lags is no reason to say no");
    }
}
