//! What is done with a submission.
#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use support::cases;
use support::desk::{Desk, class, contest, on, outside, secs, usual};
use trainyard_core::*;

fn submit(desk: &mut Desk, admission: Admission, told: u8) -> Result<(JobId, Admitted), Rejection> {
    let submission = desk.submission("subject", &usual());
    let parameters = Parameters::new([told]).unwrap();
    let watermark = Some(u64::from(told));
    desk.admit(Submission { admission, parameters, watermark, ..submission })
}

#[test]
fn queue_runs_again_as_often_as_asked() {
    let mut desk = Desk::with_slots(2);
    let jobs: Vec<_> = (0..3).map(|n| submit(&mut desk, Admission::Queue, n).unwrap()).collect();
    assert!(jobs.iter().all(|(_, how)| *how == Admitted::New));
    assert_eq!(desk.yard.unfinished(&on("subject")).count(), 3);
}

#[test]
fn join_hands_back_the_job_that_is_there() {
    let mut desk = Desk::with_slots(1);
    let (first, how) = submit(&mut desk, Admission::Join, 1).unwrap();
    assert_eq!(how, Admitted::New);
    assert_eq!(submit(&mut desk, Admission::Join, 2), Ok((first, Admitted::Joined)));
    assert!(desk.last.is_empty(), "nothing has happened");
    assert_eq!(desk.job(first).parameters.as_bytes(), [1]);
    let (second, _) = submit(&mut desk, Admission::Queue, 3).unwrap();
    assert_eq!(submit(&mut desk, Admission::Join, 4), Ok((second, Admitted::Joined)), "the newest");
    desk.complete(first);
    desk.complete(second);
    assert!(matches!(submit(&mut desk, Admission::Join, 5), Ok((_, Admitted::New))));
}

#[test]
fn trail_runs_once_more_with_the_newest_parameters() {
    let mut desk = Desk::with_slots(1);
    let (first, how) = submit(&mut desk, Admission::Trail, 1).unwrap();
    assert_eq!(how, Admitted::New);
    let (second, how) = submit(&mut desk, Admission::Trail, 2).unwrap();
    assert_eq!((first == second, how), (false, Admitted::Trailing));
    for told in 3..6 {
        assert_eq!(submit(&mut desk, Admission::Trail, told), Ok((second, Admitted::Trailing)));
    }
    assert_eq!((desk.job(second).parameters.as_bytes(), desk.job(second).watermark()), (&[5][..], Some(5)));
    assert_eq!(desk.job(first).parameters.as_bytes(), [1], "what runs is left alone");
    desk.complete(first);
    assert!(desk.is_running(second));
    let (third, how) = submit(&mut desk, Admission::Trail, 6).unwrap();
    assert_eq!((third == second, how), (false, Admitted::Trailing), "the next one");
}

#[test]
fn trail_finds_the_run_that_waits_even_if_a_newer_one_overtook_it() {
    let mut desk = Desk::with_slots(1);
    let (first, _) = submit(&mut desk, Admission::Trail, 1).unwrap();
    let (trailing, _) = submit(&mut desk, Admission::Trail, 2).unwrap();
    let urgent = desk.submission("subject", &usual());
    let (urgent, _) = desk.admit(Submission { priority: Priority::MAX, ..urgent }).unwrap();
    desk.complete(first);
    assert!(desk.is_running(urgent) && !desk.is_running(trailing));
    assert_eq!(submit(&mut desk, Admission::Trail, 3), Ok((trailing, Admitted::Trailing)));
    assert_eq!(desk.yard.unfinished(&on("subject")).count(), 2, "at most one more run");
}

#[test]
fn refuse_says_no_while_there_is_unfinished_work() {
    let mut desk = Desk::with_slots(1);
    let (first, _) = submit(&mut desk, Admission::Refuse, 1).unwrap();
    let refused = Rejection::SubjectBusy { subject: on("subject"), job: first };
    assert_eq!(submit(&mut desk, Admission::Refuse, 2), Err(refused));
    desk.cancel(first);
    let (second, how) = submit(&mut desk, Admission::Refuse, 3).unwrap();
    assert_eq!(how, Admitted::New, "what is only being stopped is not unfinished");
    assert!(!desk.is_running(second));
    desk.finish(first, RunEnd::Stopped);
    assert!(desk.is_running(second));
}

#[test]
fn a_subject_has_a_bound() {
    let mut desk = Desk::with_slots(1);
    desk.settings(|settings| settings.unfinished_max = 2);
    submit(&mut desk, Admission::Queue, 1).unwrap();
    submit(&mut desk, Admission::Queue, 2).unwrap();
    let full = Rejection::SubjectFull { subject: on("subject"), max: 2 };
    assert_eq!(submit(&mut desk, Admission::Queue, 3), Err(full));
}

fn keyed(desk: &mut Desk, subject: &str, class: &Arc<Class>) -> Result<(JobId, Admitted), Rejection> {
    let submission = desk.submission(subject, class);
    desk.admit(Submission { key: Some(IdempotencyKey::new("key").unwrap()), ..submission })
}

#[test]
fn a_request_sent_twice_is_one_job() {
    let mut desk = Desk::with_slots(1);
    desk.settings(|settings| settings.finished_max = 0);
    let (job, how) = keyed(&mut desk, "subject", &usual()).unwrap();
    assert_eq!(how, Admitted::New);
    assert_eq!(keyed(&mut desk, "subject", &usual()), Ok((job, Admitted::Repeated)));
    let reused = Err(Rejection::KeyReused(job));
    assert_eq!(keyed(&mut desk, "another", &usual()), reused);
    assert_eq!(keyed(&mut desk, "subject", &class(|class| class.kind = outside())), reused);
    desk.cancel(job);
    assert_eq!(keyed(&mut desk, "subject", &usual()), Ok((job, Admitted::Repeated)), "over, but known");
    desk.finish(job, RunEnd::Stopped);
    assert!(desk.yard.job(job).is_none());
    assert!(
        matches!(keyed(&mut desk, "subject", &usual()), Ok((_, Admitted::New))),
        "forgotten with its job"
    );
}

#[test]
fn bad_submissions_are_refused_and_change_nothing() {
    let mut desk = Desk::with_slots(1);
    let job = desk.submit("subject", &usual());
    let yard = desk.yard.clone();
    let again = desk.submission("elsewhere", &usual());
    assert_eq!(desk.admit(Submission { job, ..again }), Err(Rejection::JobExists(job)));
    for candidates in [0, ContestPlan::CANDIDATES_MAX as u128 + 1] {
        let submission = desk.submission("elsewhere", &usual());
        let contest = Some(contest(candidates, None));
        assert_eq!(desk.admit(Submission { contest, ..submission }), Err(Rejection::BadCandidates));
    }
    let mut twins = (*contest(2, None)).clone();
    twins.candidates[1].id = twins.candidates[0].id;
    let submission = desk.submission("elsewhere", &usual());
    let twins = desk.admit(Submission { contest: Some(Arc::new(twins)), ..submission });
    assert_eq!(twins, Err(Rejection::BadCandidates));
    assert_eq!(desk.yard, yard);
    let submission = desk.submission("elsewhere", &usual());
    let most = Some(contest(ContestPlan::CANDIDATES_MAX as u128, None));
    assert!(desk.admit(Submission { contest: most, ..submission }).is_ok());
}

fn admission() -> impl Strategy<Value = Admission> {
    prop_oneof![
        Just(Admission::Queue),
        Just(Admission::Join),
        Just(Admission::Trail),
        Just(Admission::Refuse)
    ]
}

proptest! {
    #![proptest_config(cases(200))]

    /// A list of unfinished jobs with whether each has been tried is all one needs to answer.
    #[test]
    fn admission_is_that_of_a_list(
        steps in prop::collection::vec((0_u8..4, any::<prop::sample::Index>(), admission(), -9_i8..9), 0..40),
    ) {
        let mut desk = Desk::with_slots(1);
        let class = class(|class| class.retry = RetryPolicy { retries_max: 1_000, backoff: Backoff::new(secs(0), secs(0)) });
        let mut naive: BTreeMap<JobId, bool> = BTreeMap::new(); // ids grow; true when tried
        for (what, which, admission, priority) in steps {
            if what > 0 {
                let submission = desk.submission("subject", &class);
                let job = submission.job;
                let priority = Priority::new(priority);
                let answer = desk.admit(Submission { admission, priority, ..submission });
                let newest = naive.last_key_value().map(|(job, _)| *job);
                let untried = naive.iter().rev().find(|(_, tried)| !**tried).map(|(job, _)| *job);
                let expected = match (admission, newest) {
                    (_, None) | (Admission::Queue, Some(_)) => Ok((job, Admitted::New)),
                    (Admission::Join, Some(newest)) => Ok((newest, Admitted::Joined)),
                    (Admission::Trail, Some(_)) => Ok((untried.unwrap_or(job), Admitted::Trailing)),
                    (Admission::Refuse, Some(newest)) => {
                        Err(Rejection::SubjectBusy { subject: on("subject"), job: newest })
                    }
                };
                prop_assert_eq!(&answer, &expected);
                if let Ok((admitted, _)) = answer {
                    naive.entry(admitted).or_default();
                }
            } else if !naive.is_empty() {
                let running = naive.keys().copied().find(|job| desk.is_running(*job)).unwrap();
                match which.index(3) {
                    0 => {
                        desk.fail(running, Advice::Retry);
                    }
                    1 => {
                        desk.complete(running);
                        naive.remove(&running);
                    }
                    _ => {
                        let job = *naive.keys().nth(which.index(naive.len())).unwrap();
                        desk.cancel(job);
                        if job == running {
                            desk.finish(job, RunEnd::Stopped);
                        }
                        naive.remove(&job);
                    }
                }
            }
            for (job, tried) in &mut naive {
                *tried = desk.job(*job).attempts.get() > 0;
            }
            let unfinished: Vec<JobId> = desk.yard.unfinished(&on("subject")).map(|job| job.id).collect();
            prop_assert_eq!(unfinished, naive.keys().copied().collect::<Vec<_>>());
        }
    }
}

#[test]
fn only_work_of_the_same_sort_is_joined_or_trailed() {
    let mut desk = Desk::with_slots(1);
    let (plain, _) = submit(&mut desk, Admission::Queue, 1).unwrap();
    let (waiting, _) = submit(&mut desk, Admission::Queue, 2).unwrap();
    let other = class(|class| class.kind = outside());
    for admission in [Admission::Join, Admission::Trail] {
        let submission = desk.submission("subject", &other);
        let (job, how) = desk.admit(Submission { admission, ..submission }).unwrap();
        assert!(![plain, waiting].contains(&job) && how != Admitted::Joined, "{admission:?}: {how:?}");
    }
    assert_eq!(desk.job(waiting).parameters.as_bytes(), [2], "nobody else's parameters");
}
