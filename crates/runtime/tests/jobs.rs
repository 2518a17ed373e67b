//! Jobs from submission to outcome.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test may panic and be brief")]

mod support;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use support::{Rig, SAFETY, class, job, kind, outcome, puppet, shut_down, subject, submit, until, wait};
use trainyard_core::port::{Handle, HandleError};
use trainyard_core::{
    Backoff, Class, Event, Kind, Outcome, Phase, Progress, QueueName, Reason, Rejection, RetryPolicy,
    Submission, Trained,
};
use trainyard_runtime::{Context, JobToTrain, TrainError};

#[test]
fn a_job_is_submitted_trained_and_over() {
    let rig = Rig::new();
    let yard = rig.start(|cx: &mut Context, _: &JobToTrain| {
        std::fs::write(cx.dir()?.join("model"), "weights")?;
        cx.measure("loss", 0.5)?;
        cx.trained("model")
    });
    let id = submit(&yard, "a", class());
    let Outcome::Completed { model: Some(model) } = outcome(&yard, id) else { panic!("it completes") };
    let model = yard.read(|yard| yard.model(model).cloned()).unwrap();
    assert_eq!(model.job, id);
    assert_eq!(std::fs::read_to_string(yard.artifact_path(&model).unwrap()).unwrap(), "weights");
    assert_eq!(model.metrics.len(), 1);
    shut_down(&yard);
}

#[test]
fn a_trainer_sees_what_it_has_said_and_which_model_there_is_to_beat() {
    let rig = Rig::new();
    let (tell, told) = bounded(2);
    let yard = rig.start(move |cx: &mut Context, job: &JobToTrain| {
        let in_use = cx.read(|yard| {
            let registry = yard.job(job.id).unwrap().registry();
            yard.active_model(&registry).map(|model| model.job)
        });
        let before = cx.progress();
        cx.report(Progress::step(1, 2))?;
        cx.report(Progress::step(2, 2).with_message("done"))?;
        tell.send((in_use, before, cx.progress())).unwrap();
        std::fs::write(cx.dir()?.join("model"), "weights")?;
        cx.trained("model")
    });
    let said = Some(Progress::step(2, 2).with_message("done"));
    let first = submit(&yard, "a", class());
    outcome(&yard, first);
    assert_eq!(told.recv_timeout(SAFETY).unwrap(), (None, None, said.clone()));
    let second = submit(&yard, "a", class());
    outcome(&yard, second);
    assert_eq!(told.recv_timeout(SAFETY).unwrap(), (Some(first), None, said));
    shut_down(&yard);
}

#[test]
fn a_panic_fails_the_attempt_and_nothing_else() {
    let rig = Rig::new();
    let yard = rig.start(|_: &mut Context, job: &JobToTrain| {
        assert_ne!(job.subject.as_str(), "bad", "it is bad");
        Ok(Trained::default())
    });
    let bad = submit(&yard, "bad", class());
    let good = submit(&yard, "good", class());
    let Outcome::Failed { reason } = outcome(&yard, bad) else { panic!("it fails") };
    assert!(reason.as_str().starts_with("panicked:") && reason.as_str().contains("it is bad"), "{reason}");
    assert_eq!(outcome(&yard, good), Outcome::Completed { model: None });
    assert_eq!(yard.counters().panics, 1);
}

#[test]
fn a_failure_is_tried_again_after_its_wait() {
    let rig = Rig::new();
    let (puppet, strings) = puppet();
    let yard = rig.start(puppet);
    let retry = RetryPolicy {
        retries_max: 1,
        backoff: Backoff::new(Duration::from_secs(60), Duration::from_secs(60)),
    };
    let mut changes = yard.subscribe();
    let id = submit(&yard, "a", Class { retry, ..class() });
    assert_eq!(strings.begun().attempt.get(), 1);
    strings.end(Err(TrainError::retry("no luck")));
    until(&mut changes, |event| matches!(event, Event::Retried { .. }));
    assert!(matches!(job(&yard, id).phase, Phase::Waiting(_)));

    rig.clock.advance(Duration::from_secs(60));
    assert_eq!(strings.begun().attempt.get(), 2);
    strings.end(Err(TrainError::retry("no luck again")));
    assert_eq!(outcome(&yard, id), Outcome::Failed { reason: Reason::new("no luck again") });
}

#[test]
fn what_makes_no_sense_is_rejected() {
    let rig = Rig::new();
    let yard = rig.start(|_: &mut Context, _: &JobToTrain| Ok(Trained::default()));
    let nobody = yard.job_id();
    let rejected = Err(HandleError::Rejected(Rejection::NoJob(nobody)));
    assert_eq!(wait(yard.cancel(nobody, Reason::new("x"))), rejected);
    assert_eq!(wait(yard.finished(nobody)), Err(HandleError::Rejected(Rejection::NoJob(nobody))));
    let other = Class::new(Kind::new("other").unwrap(), QueueName::new("default").unwrap());
    let submission = Submission::new(yard.job_id(), subject("a"), Arc::new(other));
    assert!(matches!(wait(yard.submit(submission)), Err(HandleError::Rejected(Rejection::UnknownKind(_)))));
    assert_eq!(yard.counters().rejections, 2);
}

#[test]
fn a_full_inbox_says_so() {
    let rig = Rig::new();
    let (yard, _) = rig
        .builder()
        .inbox_max(2)
        .trainer(kind(), |_: &mut Context, _: &JobToTrain| Ok(Trained::default()))
        .start()
        .unwrap();
    // While somebody reads, the driver cannot finish a turn.
    let asked = yard.read(|_| (0..1_030).map(|_| yard.activate(model())).collect::<Vec<_>>());
    let answers: Vec<_> = asked.into_iter().map(wait).collect();
    assert!(answers.contains(&Err(HandleError::Busy { max: 2 })));
}

fn model() -> trainyard_core::ModelId {
    trainyard_core::ModelId::from_u128(0)
}

#[test]
fn a_thousand_wait_without_a_thread() {
    let rig = Rig::new();
    let (puppet, strings) = puppet();
    let yard = rig.start(puppet);
    let jobs: Vec<_> = (0..20).map(|n| submit(&yard, &format!("s{n}"), class())).collect();
    let tickets: Vec<_> = jobs.iter().cycle().take(1_200).map(|job| yard.finished(*job)).collect();
    jobs.iter().for_each(|_| strings.end(Ok(Trained::default())));
    for ticket in tickets {
        assert_eq!(wait(ticket), Ok(Outcome::Completed { model: None }));
    }
}

struct Ring(Sender<()>);

impl Wake for Ring {
    fn wake(self: Arc<Self>) {
        let _ = self.0.try_send(());
    }
}

#[test]
fn a_ticket_is_a_future_that_the_driver_wakes() {
    let rig = Rig::new();
    let (puppet, strings) = puppet();
    let yard = rig.start(puppet);
    let id = submit(&yard, "a", class());
    strings.begun();
    let (ring, rings) = bounded(1);
    let waker = Waker::from(Arc::new(Ring(ring)));
    let mut cx = TaskContext::from_waker(&waker);
    let handle: &dyn Handle = &yard;
    let mut finished = pin!(handle.finished(id));
    assert!(finished.as_mut().poll(&mut cx).is_pending());
    strings.end(Ok(Trained::default()));
    rings.recv_timeout(SAFETY).expect("it is woken");
    assert_eq!(finished.poll(&mut cx), Poll::Ready(Ok(Outcome::Completed { model: None })));
}

#[test]
fn a_node_is_the_same_after_a_restart() {
    let rig = Rig::new();
    let train = |_: &mut Context, _: &JobToTrain| Ok(Trained::default());
    let first = rig.start(train);
    let node = first.node();
    shut_down(&first);
    let second = rig.start(train);
    assert_eq!(second.node(), node);
    assert_eq!(second.read(|yard| yard.node(node).unwrap().epoch.get()), 2);
}
