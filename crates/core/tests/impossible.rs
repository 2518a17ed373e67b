//! A log that contradicts itself is refused, and says where.
#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use support::desk::{Desk, class, contest, on, usual};
use support::score;
use trainyard_core::*;

/// A desk with a job at work, one in line, one that is over, and a contest.
struct Place {
    desk: Desk,
    running: JobId,
    waiting: JobId,
    over: JobId,
    contest: JobId,
}

impl Place {
    fn new() -> Self {
        let mut desk = Desk::with_slots(2);
        let over = desk.submit("over", &usual());
        desk.complete(over);
        let running = desk.submit("running", &usual());
        let mut submission = desk.submission("contest", &usual());
        submission.contest = Some(contest(2, None));
        let (contest, _) = desk.admit(submission).unwrap();
        let waiting = desk.submit("waiting", &usual());
        assert!(desk.is_running(running) && desk.is_running(contest) && !desk.is_running(waiting));
        Self { desk, running, waiting, over, contest }
    }

    /// What is said about a fact that comes next.
    fn after(&self, event: Event) -> Result<(), String> {
        let mut yard = self.desk.yard.clone();
        yard.apply(&Fact { at: self.desk.now, event }).map_err(|impossible| impossible.to_string())
    }

    #[track_caller]
    fn refused(&self, event: Event, what: &str) {
        let expected = format!("the log contradicts itself: {what}");
        assert_eq!(self.after(event.clone()), Err(expected), "{event:?}");
    }
}

fn restored(restored: Restored) -> Event {
    Event::Restored(Box::new(restored))
}

#[test]
fn a_job_comes_once_and_ends_once() {
    let place = Place::new();
    let Place { running, waiting, over, .. } = place;
    let submission = Submission::new(running, on("running"), usual());
    place.refused(
        Event::Submitted { submission: Arc::new(submission) },
        &format!("job {running} is submitted twice"),
    );
    let known = place.desk.job(running).clone();
    place.refused(restored(Restored::Job(known)), &format!("job {running} is restored twice"));
    let finished = |job| Event::Finished {
        job,
        outcome: Outcome::Stalled,
        released: None,
        deadline: Timestamp::default(),
    };
    place.refused(finished(over), &format!("job {over} ends twice"));
    assert_eq!(place.after(finished(running)), Ok(()));
    for job in [running, waiting] {
        place.refused(
            Event::Forgotten { jobs: vec![job] },
            &format!("job {job} is forgotten before it is over"),
        );
    }
    assert_eq!(place.after(Event::Forgotten { jobs: vec![over] }), Ok(()));
    place.refused(Event::Forgotten { jobs: vec![over, over] }, &format!("there is no job {over}"));
}

#[test]
fn who_is_not_there_does_nothing() {
    let place = Place::new();
    let (job, node) = (JobId::from_u128(99), NodeId::from_u128(99));
    let (lease, step, reason) = (Lease::new(1), 1, Reason::new("because"));
    let checkpoint = Checkpoint { reference: Reference::new("there"), step };
    let no_job = format!("there is no job {job}");
    for event in [
        Event::Updated { job, parameters: Parameters::default(), watermark: None },
        Event::Started { job, lease, node: NodeId::from_u128(1) },
        Event::Reported { job, lease, step, performance: None },
        Event::Reached { job, lease, step, performance: score(90) },
        Event::Checkpointed { job, lease, checkpoint },
        Event::CandidateEnded { job, lease, outcome: Outcome::Stalled },
        Event::Held { job, reason: reason.clone() },
        Event::Unheld { job },
        Event::Finished { job, outcome: Outcome::Stalled, released: None, deadline: Timestamp::default() },
        Event::Released { job, lease, how: Release::Stopped },
        Event::Forgotten { jobs: vec![job] },
    ] {
        place.refused(event, &no_job);
    }
    let no_node = format!("there is no node {node}");
    place.refused(Event::NodeAlive { node, until: Timestamp::default() }, &no_node);
    place.refused(Event::NodeLost { node }, &no_node);
    place.refused(Event::Started { job: place.waiting, lease, node }, &no_node);
    let stranger = class(|class| class.kind = Kind::new("stranger").unwrap());
    let mut strange = Place::new();
    let submission = Submission::new(job, on("strange"), stranger);
    let event = Event::Submitted { submission: Arc::new(submission) };
    strange.desk.yard.apply(&Fact { at: strange.desk.now, event }).unwrap();
    strange.refused(Event::Started { job, lease, node: NodeId::from_u128(1) }, "no stranger there");
    let rule = RetrainRule::new(Trigger::Fresh { at_least: 1 });
    let seen = Observation { total: 1, lists: None };
    let decision = Arc::new(rule.decide(Timestamp::default(), &History::default(), seen, None));
    place.refused(Event::Decided { subject: on("nobody"), decision, next_job: job }, "nobody has no rule");
}

#[test]
fn who_is_not_at_work_is_neither_interrupted_nor_found() {
    let place = Place::new();
    let (ran, reason, cause) = (Duration::ZERO, Reason::new("because"), Interruption::Abrupt);
    for job in [place.waiting, place.over] {
        let not_before = Timestamp::default();
        for event in [
            Event::Interrupted { job, cause, reason: reason.clone(), ran },
            Event::Retried { job, reason: reason.clone(), not_before, ran },
            Event::Recovering { job },
            Event::Recovered { job },
        ] {
            place.refused(event, &format!("job {job} does not run"));
        }
    }
    for job in [place.running, place.over] {
        place.refused(Event::Held { job, reason: reason.clone() }, &format!("job {job} is not in line"));
        place.refused(Event::Unheld { job }, &format!("job {job} is not in line"));
    }
    let (job, lease) = (place.waiting, Lease::new(1));
    place
        .refused(Event::Released { job, lease, how: Release::GivenUp }, &format!("job {job} is not at work"));
}

#[test]
fn a_contest_is_about_candidates_that_it_has() {
    let place = Place::new();
    let (job, nobody, step) = (place.contest, Lease::new(1_000), 1);
    let model = ModelId::from_u128(1);
    let checkpoint = Checkpoint { reference: Reference::new("there"), step };
    let reached = |job, lease| Event::Reached { job, lease, step, performance: score(90) };
    let handed = |job, lease| Event::HandedOver { job, lease, model, trained: Trained::default() };
    let somebody = place.desk.run(job).lease;
    assert_eq!(place.after(reached(job, somebody)), Ok(()));
    assert_eq!(place.after(handed(job, somebody)), Ok(()));
    place.refused(reached(job, nobody), "nobody reaches the target");
    place.refused(handed(job, nobody), "nobody hands over");
    place.refused(Event::Checkpointed { job, lease: nobody, checkpoint }, "a checkpoint of nobody");
    let candidate = Some(CandidateId::from_u128(1));
    place.refused(
        restored(Restored::Shown { job, candidate, shown: Shown::Now(1) }),
        "nobody has shown something",
    );

    let (job, lease) = (place.running, place.desk.run(place.running).lease);
    let holder = Holder { candidate: CandidateId::from_u128(1), lease };
    for event in [
        reached(job, lease),
        handed(job, lease),
        Event::CandidateEnded { job, lease, outcome: Outcome::Stalled },
        restored(Restored::Reached { job, holder }),
        restored(Restored::Shown { job, candidate, shown: Shown::Now(1) }),
    ] {
        place.refused(event, &format!("job {job} is no contest"));
    }
}
