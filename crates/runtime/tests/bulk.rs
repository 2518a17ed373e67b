//! Many submissions in one call.
#![allow(clippy::unwrap_used, reason = "a test may panic and be brief")]

mod support;

use std::sync::Arc;

use support::{Rig, class, outcome, shut_down, subject, wait};
use trainyard_core::port::HandleError;
use trainyard_core::{Admission, Admitted, Outcome, Parameters, Rejection, Submission, Trained};
use trainyard_runtime::{Context, JobToTrain, Trainyard};
use trainyard_testkit::failing_journal::{FailingJournal, When};

fn submissions(yard: &Trainyard, count: usize) -> Vec<Submission> {
    let class = Arc::new(class());
    (0..count)
        .map(|n| Submission::new(yard.job_id(), subject(&format!("s{n}")), Arc::clone(&class)))
        .collect()
}

#[test]
fn each_is_answered_for_itself_and_in_order() {
    let rig = Rig::new();
    let yard = rig.start(|_: &mut Context, _: &JobToTrain| Ok(Trained::default()));
    let mut all = submissions(&yard, 3);
    let again = all[0].clone();
    let busy = Submission { admission: Admission::Refuse, ..submissions(&yard, 1).remove(0) };
    all.extend([again.clone(), busy]);
    let receipts = wait(yard.submit_all(all.clone())).unwrap();
    for (receipt, submission) in receipts.iter().zip(&all).take(3) {
        let receipt = receipt.as_ref().unwrap();
        assert_eq!((receipt.job, receipt.how), (submission.job, Admitted::New));
        assert_eq!(outcome(&yard, receipt.job), Outcome::Completed { model: None });
    }
    assert_eq!(receipts[3], Err(Rejection::JobExists(again.job)));
    let busy = Rejection::SubjectBusy { subject: subject("s0"), job: again.job };
    assert_eq!(receipts[4], Err(busy), "it is decided after those before it");
    assert_eq!(receipts.len(), 5);
}

#[test]
fn ten_thousand_share_a_commit() {
    let rig = Rig::new();
    // Deaf, so that no end of a run is among the commands that are counted.
    let (puppet, strings) = support::puppet();
    let yard = rig.start(puppet);
    let before = yard.counters();
    // A subscriber's buffer is no bound on what is let in.
    let all = submissions(&yard, 10_000);
    let receipts = wait(yard.submit_all(all)).unwrap();
    let after = yard.counters();
    assert!(receipts.iter().all(Result::is_ok));
    assert_eq!(after.commands - before.commands, 10_000);
    assert!(after.commits - before.commits <= 2, "{} commits", after.commits - before.commits);
    drop(strings);
    for receipt in receipts.into_iter().step_by(1_000) {
        assert_eq!(outcome(&yard, receipt.unwrap().job), Outcome::Completed { model: None });
    }
}

#[test]
fn much_that_is_brought_along_takes_several_records_and_one_answer() {
    let rig = Rig::new();
    let yard = rig.start(|_: &mut Context, _: &JobToTrain| Ok(Trained::default()));
    let parameters = Parameters::new(vec![7; 1 << 20]).unwrap();
    let all: Vec<_> = submissions(&yard, 80)
        .into_iter()
        .map(|submission| Submission { parameters: parameters.clone(), ..submission })
        .collect();
    let ids: Vec<_> = all.iter().map(|submission| submission.job).collect();
    let receipts = wait(yard.submit_all(all)).unwrap();
    assert_eq!(receipts.iter().map(|receipt| receipt.as_ref().unwrap().job).collect::<Vec<_>>(), ids);
}

#[test]
fn none_and_too_many_are_answered_at_once() {
    let rig = Rig::new();
    let yard = rig.start(|_: &mut Context, _: &JobToTrain| Ok(Trained::default()));
    let before = yard.counters();
    assert_eq!(wait(yard.submit_all(vec![])), Ok(vec![]));
    let max = Trainyard::SUBMISSIONS_MAX;
    let one = submissions(&yard, 1).remove(0);
    assert_eq!(wait(yard.submit_all(vec![one; max + 1])), Err(HandleError::TooMany { max }));
    assert_eq!(yard.counters(), before);
}

#[test]
fn nobody_is_told_that_it_went_well_when_the_journal_fails() {
    let rig = Rig::new();
    let (journal, faults) = FailingJournal::new(rig.log.holder());
    let trainer = |_: &mut Context, _: &JobToTrain| Ok(Trained::default());
    let (yard, _) = rig.builder_on(journal).trainer(support::kind(), trainer).start().unwrap();
    let all = submissions(&yard, 10);
    faults.fail_next_commit(When::BeforeEffect);
    let answer = wait(yard.submit_all(all.clone()));
    assert!(matches!(answer, Err(HandleError::Stopped { .. })), "{answer:?}");
    let later = wait(yard.submit_all(all));
    assert!(matches!(later, Err(HandleError::Stopped { .. })), "{later:?}");
    assert_eq!(yard.read(|yard| yard.jobs().count()), 0, "and nobody sees them");
}

#[test]
fn a_yard_that_is_left_takes_nothing() {
    let rig = Rig::new();
    let yard = rig.start(|_: &mut Context, _: &JobToTrain| Ok(Trained::default()));
    let all = submissions(&yard, 10);
    shut_down(&yard);
    assert!(matches!(wait(yard.submit_all(all)), Err(HandleError::Stopped { .. })));
}

#[test]
fn there_is_a_bound_on_what_waits_in_all_calls() {
    let rig = Rig::new();
    let yard = rig.start(|_: &mut Context, _: &JobToTrain| Ok(Trained::default()));
    let max = Trainyard::SUBMISSIONS_MAX;
    let many = vec![submissions(&yard, 1).remove(0); max];
    // Nothing is committed while somebody looks: the driver has taken one call at most.
    let tickets = yard.read(|_| [(); 6].map(|()| yard.submit_all(many.clone())));
    let answers = tickets.map(wait);
    assert!(answers[..4].iter().all(|answer| answer.as_ref().is_ok_and(|all| all.len() == max)));
    assert_eq!(answers[5], Err(HandleError::Busy { max: 4 * max }));
    assert!(wait(yard.submit_all(many)).is_ok(), "there is room again");
}
