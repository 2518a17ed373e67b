//! Candidates that have reached the target and have yet to hand over what they have trained.
#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod support;

use support::desk::{Desk, at, class, contest, secs};
use support::{rebuilt, score};
use trainyard_core::*;

/// A contest of so many, running; its grace is 30 s.
fn racing(
    candidates: u128,
    median: Option<MedianRule>,
    change: impl FnOnce(&mut Class),
) -> (Desk, JobId, Vec<Run>) {
    let mut desk = Desk::with_slots(1);
    let mut submission = desk.submission("dataset", &class(change));
    submission.contest = Some(contest(candidates, median));
    let (job, _) = desk.admit(submission).unwrap();
    let runs = desk.runs(job);
    (desk, job, runs)
}

fn report(desk: &mut Desk, run: Run, step: u64, value: u8) {
    desk.ok(&Command::Report { run, step, performance: Some(score(value)) });
}

/// It hands over, and nothing is said beside it.
fn hand_over(desk: &mut Desk, run: Run) -> Option<Outcome> {
    let trained = Trained { artifact: Some(Reference::new(run.lease.to_string())), metrics: Metrics::new() };
    let model = ModelId::from_u128(desk.id());
    let end = RunEnd::Completed { trained, model, last: None };
    let Answer::Ended { outcome } = desk.ok(&Command::Finish { run, end }) else { panic!("it has ended") };
    outcome
}

fn fail(desk: &mut Desk, run: Run) {
    let end = RunEnd::Failed(Failure { reason: Reason::new("panicked"), advice: Advice::Retry });
    desk.ok(&Command::Finish { run, end });
}

fn candidate(desk: &Desk, job: JobId, n: usize) -> &Candidate {
    &desk.job(job).contest().unwrap().candidates[n]
}

/// Who has won, and where the model of its contest is.
fn champion(desk: &Desk, job: JobId) -> Option<(Label, Reference)> {
    let contest = desk.job(job).contest().unwrap();
    let registry = desk.job(job).registry();
    assert!(desk.yard.models(&registry).count() <= 1, "a model for the champion and for nobody else");
    let model = desk.yard.active_model(&registry)?;
    assert_eq!(desk.job(job).outcome(), Some(&Outcome::Completed { model: Some(model.id) }));
    Some((contest.champion()?.label.clone(), model.artifact.clone()))
}

fn won_by(n: usize, run: Run) -> Option<(Label, Reference)> {
    Some((Label::new(format!("algorithm {}", n + 1)).unwrap(), Reference::new(run.lease.to_string())))
}

#[test]
fn the_first_to_reach_wins_though_another_hands_over_sooner_and_does_better() {
    let (mut desk, job, runs) = racing(3, None, |_| {});
    report(&mut desk, runs[0], 5, 91);
    report(&mut desk, runs[1], 3, 99);
    assert_eq!(hand_over(&mut desk, runs[1]), None, "it waits");
    assert!(candidate(&desk, job, 1).has_handed_over());
    assert_eq!(desk.runs(job), [runs[0], runs[2]], "its thread is gone");
    report(&mut desk, runs[2], 9, 80);
    assert!(hand_over(&mut desk, runs[0]).unwrap().is_completed());
    assert_eq!(champion(&desk, job), won_by(0, runs[0]));
    for n in 1..3 {
        assert_eq!(candidate(&desk, job, n).outcome(), Some(&Outcome::Superseded));
    }
    assert_eq!(rebuilt(&desk.log), desk.yard);
}

#[test]
fn what_a_candidate_has_reached_with_is_shown_once() {
    for last in [None, Some((5, score(91))), Some((4, score(91)))] {
        let (mut desk, job, runs) = racing(2, None, |_| {});
        report(&mut desk, runs[0], 4, 80);
        report(&mut desk, runs[0], 5, 91);
        let again = Command::Report { run: runs[0], step: 6, performance: Some(score(92)) };
        assert_eq!(desk.send(&again), Err(Rejection::TargetReached(job)));
        let (trained, model) = (Trained::default(), ModelId::from_u128(desk.id()));
        desk.ok(&Command::Finish { run: runs[0], end: RunEnd::Completed { trained, model, last } });
        let standing = &candidate(&desk, job, 0).standing;
        assert_eq!(standing.window.recent(), [80, 91].map(score), "{last:?}");
        assert_eq!((standing.step, standing.window.reports()), (5, 2));
    }
}

#[test]
fn who_has_reached_does_not_stall_and_the_others_do() {
    let stall = StallRule { gain: Gain::Performance(score(2)), within: secs(100) };
    let (mut desk, job, runs) = racing(3, None, |class| class.limits.stall = Some(stall));
    report(&mut desk, runs[0], 1, 90);
    report(&mut desk, runs[1], 1, 95);
    desk.pass(secs(10_000));
    let outcomes: Vec<_> = (0..3).map(|n| candidate(&desk, job, n).outcome().cloned()).collect();
    assert_eq!(outcomes, [None, None, Some(Outcome::Stalled)]);
    assert!(hand_over(&mut desk, runs[0]).unwrap().is_completed());
    assert_eq!(champion(&desk, job), won_by(0, runs[0]));
}

#[test]
fn who_has_reached_does_not_fall_behind() {
    let (mut desk, job, runs) = racing(2, Some(MedianRule { reports_min: 1, others_min: 1 }), |_| {});
    // The target is 0.9, and the other one has reached it by far.
    report(&mut desk, runs[1], 1, 95);
    desk.ok(&Command::Report { run: runs[1], step: 2, performance: Some(score(89)) });
    report(&mut desk, runs[0], 1, 90);
    report(&mut desk, runs[0], 2, 10);
    assert!(!candidate(&desk, job, 0).is_out(), "its best of 0.9 is below the mean of 0.92");
    fail(&mut desk, runs[1]);
    hand_over(&mut desk, runs[0]);
    assert_eq!(champion(&desk, job), won_by(0, runs[0]));
}

#[test]
fn the_time_limit_ends_the_others_and_leaves_whoever_has_reached_its_grace() {
    let (mut desk, job, runs) = racing(3, None, |class| class.limits.time = Some(secs(60)));
    report(&mut desk, runs[1], 1, 90);
    desk.pass(secs(60));
    for n in [0, 2] {
        assert_eq!(candidate(&desk, job, n).outcome(), Some(&Outcome::TimedOut(TimedOut::Running)));
    }
    desk.pass(secs(29));
    assert!(desk.is_running(job));
    assert!(hand_over(&mut desk, runs[1]).unwrap().is_completed());
    assert_eq!(champion(&desk, job), won_by(1, runs[1]));
}

#[test]
fn who_never_hands_over_is_out_when_the_grace_after_the_time_limit_is() {
    let (mut desk, job, runs) = racing(2, None, |class| class.limits.time = Some(secs(60)));
    report(&mut desk, runs[1], 1, 90);
    assert_eq!(desk.yard.next_deadline(), Some(at(60)));
    desk.pass(secs(60));
    assert_eq!(desk.yard.next_deadline(), Some(at(90)), "for both: one to stop, one to hand over");
    desk.pass(secs(30));
    assert_eq!(desk.job(job).outcome(), Some(&Outcome::TimedOut(TimedOut::Running)));
    assert_eq!(candidate(&desk, job, 1).outcome(), Some(&Outcome::TimedOut(TimedOut::Running)));
    assert_eq!(desk.runs(job), runs, "they have a grace to stop, as at any end");
}

#[test]
fn who_has_handed_over_wins_when_the_holder_does_not_in_time() {
    let (mut desk, job, runs) = racing(3, None, |class| class.limits.time = Some(secs(60)));
    for n in [2, 1, 0] {
        report(&mut desk, runs[n], 1, 90);
    }
    hand_over(&mut desk, runs[0]);
    desk.pass(secs(89));
    assert!(desk.is_running(job));
    desk.pass(secs(1));
    assert_eq!(champion(&desk, job), won_by(0, runs[0]));
}

#[test]
fn of_those_who_have_handed_over_in_time_the_first_to_reach_wins() {
    for (handed, winner) in [(vec![2], 2), (vec![2, 1], 1)] {
        let (mut desk, job, runs) = racing(3, None, |class| class.limits.time = Some(secs(60)));
        for run in &runs {
            report(&mut desk, *run, 1, 90);
        }
        for n in handed {
            hand_over(&mut desk, runs[n]);
        }
        desk.pass(secs(90));
        assert_eq!(champion(&desk, job), won_by(winner, runs[winner]));
    }
}

#[test]
fn who_hands_over_with_the_target_itself_is_next_in_the_order() {
    let (mut desk, job, runs) = racing(3, None, |_| {});
    report(&mut desk, runs[0], 1, 90);
    let trained =
        Trained { artifact: Some(Reference::new(runs[1].lease.to_string())), metrics: Metrics::new() };
    let end = RunEnd::Completed { trained, model: ModelId::from_u128(7), last: Some((1, score(90))) };
    assert_eq!(desk.ok(&Command::Finish { run: runs[1], end }), Answer::Ended { outcome: None });
    assert!(desk.job(job).contest().unwrap().holds(candidate(&desk, job, 1).id));
    fail(&mut desk, runs[0]);
    assert_eq!(champion(&desk, job), won_by(1, runs[1]));
    assert_eq!(rebuilt(&desk.log), desk.yard);
}

#[test]
fn when_the_holder_fails_whoever_has_handed_over_wins_in_the_same_step() {
    let (mut desk, job, runs) = racing(4, None, |_| {});
    for run in &runs[..3] {
        report(&mut desk, *run, 1, 90);
    }
    hand_over(&mut desk, runs[2]);
    hand_over(&mut desk, runs[1]);
    fail(&mut desk, runs[0]);
    assert_eq!(champion(&desk, job), won_by(1, runs[1]));
    assert!(matches!(candidate(&desk, job, 0).outcome(), Some(Outcome::Failed { .. })));
    assert_eq!(candidate(&desk, job, 2).outcome(), Some(&Outcome::Superseded));
    assert_eq!(desk.runs(job), [runs[3]], "only the one that has not stopped is left");
    assert_eq!(rebuilt(&desk.log), desk.yard);
}

#[test]
fn when_the_holder_fails_the_next_one_holds_the_win_or_the_contest_goes_on() {
    let (mut desk, job, runs) = racing(3, None, |_| {});
    report(&mut desk, runs[0], 1, 90);
    fail(&mut desk, runs[0]);
    assert_eq!(desk.job(job).contest().unwrap().holder(), None);
    report(&mut desk, runs[1], 1, 90);
    report(&mut desk, runs[2], 1, 90);
    fail(&mut desk, runs[1]);
    hand_over(&mut desk, runs[2]);
    assert_eq!(champion(&desk, job), won_by(2, runs[2]));
}

#[test]
fn a_cancel_before_the_holder_completes_wins() {
    let (mut desk, job, runs) = racing(2, None, |_| {});
    report(&mut desk, runs[0], 1, 90);
    report(&mut desk, runs[1], 1, 90);
    hand_over(&mut desk, runs[1]);
    desk.cancel(job);
    let cancelled = Outcome::Cancelled { reason: Reason::new("enough") };
    assert_eq!(hand_over(&mut desk, runs[0]), Some(cancelled.clone()));
    assert!((0..2).all(|n| candidate(&desk, job, n).outcome() == Some(&cancelled)));
    assert_eq!(champion(&desk, job), None);
}

/// Crashed after the second had reached the target and then the first, and had a checkpoint from before.
fn crashed(change: impl FnOnce(&mut Class)) -> (Desk, JobId, Vec<Run>) {
    let (mut desk, job, runs) = racing(2, None, change);
    for run in &runs {
        report(&mut desk, *run, 4, 80);
        let checkpoint = Checkpoint { reference: Reference::new("there"), step: 4 };
        desk.ok(&Command::Checkpoint { run: *run, checkpoint });
    }
    report(&mut desk, runs[1], 5, 91);
    report(&mut desk, runs[0], 5, 95);
    hand_over(&mut desk, runs[0]);
    desk.join(1, Resources::slots(1));
    let runs = desk.runs(job);
    (desk, job, runs)
}

#[test]
fn a_crash_takes_nothing_from_whoever_holds_the_win() {
    let (mut desk, job, again) = crashed(|_| {});
    assert_eq!(again.len(), 1, "who has handed over is not run again");
    assert_eq!(candidate(&desk, job, 1).lease(), Some(again[0].lease));
    let before = candidate(&desk, job, 1).standing.clone();
    report(&mut desk, again[0], 5, 91);
    assert_eq!(candidate(&desk, job, 1).standing.window, before.window, "it repeats what it has shown");
    assert_eq!(desk.yard, rebuilt(&desk.yard.snapshot()));
    hand_over(&mut desk, again[0]);
    assert_eq!(champion(&desk, job), won_by(1, again[0]));
    assert_eq!(candidate(&desk, job, 1).standing.window.recent(), [80, 91].map(score));
}

#[test]
fn a_run_that_does_not_reach_the_target_again_does_not_win() {
    let (mut desk, job, again) = crashed(|_| {});
    report(&mut desk, again[0], 6, 85);
    hand_over(&mut desk, again[0]);
    assert_eq!(
        candidate(&desk, job, 1).outcome(),
        Some(&Outcome::Stalled),
        "what it has trained is not at the target"
    );
    let contest = desk.job(job).contest().unwrap();
    assert_eq!(contest.champion().map(|champion| champion.id), Some(contest.candidates[0].id));
}

#[test]
fn a_snapshot_tells_who_has_reached_and_in_which_order() {
    let (mut desk, job, runs) = racing(4, None, |class| class.limits.time = Some(secs(60)));
    for n in [2, 0, 3] {
        report(&mut desk, runs[n], 1, 90);
    }
    hand_over(&mut desk, runs[3]);
    desk.ok(&Command::Finish { run: runs[0], end: RunEnd::Stopped });
    let ids = [2, 0, 3].map(|n| candidate(&desk, job, n).id);
    let restored = rebuilt(&desk.yard.snapshot());
    assert_eq!(restored, desk.yard);
    assert_eq!(restored.next_deadline(), desk.yard.next_deadline());
    let holders = &restored.job(job).unwrap().contest().unwrap().holders;
    assert_eq!(holders.iter().map(|holder| holder.candidate).collect::<Vec<_>>(), ids);
}
