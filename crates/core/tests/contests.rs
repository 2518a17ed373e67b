//! Contests in a yard, beside a naive model of one.
#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod support;

use proptest::prelude::*;
use support::desk::{Desk, class, contest, secs};
use support::ring::{Ring, Step, plan, rejected_as};
use support::{cases, rebuilt, score};
use trainyard_core::*;

/// 0 for not ended, then what never changes.
fn frozen(candidate: &Candidate) -> Option<&Candidate> {
    candidate.is_out().then_some(candidate)
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn a_contest_goes_as_it_does_by_hand(plan in plan()) {
        let mut ring = Ring::new(&plan);
        ring.compare()?;
        for step in &plan.steps {
            let (expected, answer) = ring.step(step);
            prop_assert_eq!(rejected_as(&answer), expected, "{:?}: {:?}", step, answer);
            ring.compare()?;
        }
        prop_assert_eq!(&rebuilt(&ring.desk.log), &ring.desk.yard);
    }

    #[test]
    fn what_has_ended_never_changes_and_one_wins_at_most(plan in plan()) {
        let mut ring = Ring::new(&plan);
        let mut before = ring.desk.job(ring.job).clone();
        let (mut reached, mut seen): (Vec<CandidateId>, usize) = (vec![], ring.desk.log.len());
        for step in &plan.steps {
            let (_, answer) = ring.step(step);
            let after = ring.desk.job(ring.job).clone();
            let (old, new) = (&before.contest().unwrap().candidates, &after.contest().unwrap().candidates);
            for (old, new) in old.iter().zip(new) {
                prop_assert_eq!(old.id, new.id);
                if let Some(old) = frozen(old) {
                    prop_assert_eq!(old, new);
                }
                let (before, after) = (&old.standing, &new.standing);
                prop_assert!(after.step >= before.step, "standings do not step back");
                prop_assert!(after.window.reports() >= before.window.reports());
                prop_assert!(after.window.best() >= before.window.best());
            }
            if let Some(outcome) = before.outcome() {
                prop_assert_eq!(after.outcome(), Some(outcome));
                let is_refused = matches!(&answer, Err(Rejection::Over { outcome: told, .. }) if told == outcome);
                prop_assert!(!matches!(step, Step::Cancel) || is_refused, "{:?}", answer);
            }
            for fact in &ring.desk.log[seen..] {
                let Event::Reached { lease, .. } = fact.event else { continue };
                let candidate = before.contest().unwrap().by_lease(lease).unwrap().id;
                if !reached.contains(&candidate) {
                    reached.push(candidate);
                }
            }
            seen = ring.desk.log.len();
            if let Some(champion) = after.contest().unwrap().champion().filter(|_| !before.is_finished()) {
                // Whoever was there before it has ended, in the same step at the latest, or has used up its grace.
                let sooner = reached.iter().take_while(|one| **one != champion.id);
                let is_out_of_time = ring.arena.time.is_some_and(|limit| after.ran.as_millis() >= u128::from(limit.unsigned_abs()));
                for one in sooner.filter(|_| !is_out_of_time) {
                    let ended = new.iter().find(|candidate| candidate.id == *one).and_then(Candidate::outcome);
                    prop_assert!(ended != Some(&Outcome::Superseded), "{:?} was before {:?}", one, champion.id);
                }
            }
            let winners = new.iter().filter(|candidate| candidate.outcome().is_some_and(Outcome::is_completed)).count();
            prop_assert_eq!(winners, usize::from(after.outcome().is_some_and(Outcome::is_completed)));
            prop_assert!(!after.is_finished() || new.iter().all(Candidate::is_out));
            let models = ring.desk.yard.models(&after.registry()).count();
            prop_assert_eq!(models, winners, "a model for the champion and for nobody else");
            before = after;
        }
    }
}

/// A contest of three, running.
fn three(change: impl FnOnce(&mut Class)) -> (Desk, JobId, Vec<Run>) {
    let mut desk = Desk::with_slots(1);
    let mut submission = desk.submission("dataset", &class(change));
    submission.contest = Some(contest(3, None));
    let (job, _) = desk.admit(submission).unwrap();
    let runs = desk.runs(job);
    (desk, job, runs)
}

fn done(desk: &mut Desk, run: Run, value: u8) -> Result<Answer, Rejection> {
    let trained = Trained { artifact: Some(Reference::new("there")), metrics: Metrics::new() };
    let model = ModelId::from_u128(desk.id());
    let end = RunEnd::Completed { trained, model, last: Some((9, score(value))) };
    desk.send(&Command::Finish { run, end })
}

#[test]
fn a_cancel_that_comes_first_wins() {
    let (mut desk, job, runs) = three(|_| {});
    desk.cancel(job);
    let answer = done(&mut desk, runs[0], 95).unwrap();
    let cancelled = Outcome::Cancelled { reason: Reason::new("enough") };
    assert_eq!(answer, Answer::Ended { outcome: Some(cancelled.clone()) });
    assert!(desk.job(job).contest().unwrap().candidates.iter().all(|one| one.outcome() == Some(&cancelled)));
    assert_eq!(desk.yard.models(&desk.job(job).registry()).count(), 0, "no champion");
}

#[test]
fn a_cancel_that_comes_second_is_refused() {
    let (mut desk, job, runs) = three(|_| {});
    done(&mut desk, runs[1], 90).unwrap();
    let outcome = desk.job(job).outcome().unwrap().clone();
    assert!(outcome.is_completed(), "at the target is enough");
    let yard = desk.yard.clone();
    let refused = desk.send(&Command::Cancel { job, reason: Reason::new("enough") });
    assert_eq!(refused, Err(Rejection::Over { job, outcome }));
    assert_eq!(desk.yard, yard);
}

#[test]
fn the_first_to_reach_the_target_is_the_champion_even_if_another_does_better() {
    let (mut desk, job, runs) = three(|_| {});
    done(&mut desk, runs[2], 91).unwrap();
    done(&mut desk, runs[0], 99).unwrap();
    let contest = desk.job(job).contest().unwrap();
    assert_eq!(contest.champion().unwrap().id, contest.candidates[2].id);
    assert_eq!(contest.candidates[0].outcome(), Some(&Outcome::Superseded));
    assert_eq!(
        contest.candidates[0].standing.window.latest(),
        None,
        "and what it says after that is not kept"
    );
    let registry = desk.job(job).registry();
    assert_eq!(desk.yard.models(&registry).count(), 1);
    let champion = desk.yard.active_model(&registry).unwrap().id;
    assert_eq!(desk.job(job).outcome(), Some(&Outcome::Completed { model: Some(champion) }));
}

#[test]
fn one_failure_does_not_stop_the_others() {
    let (mut desk, job, runs) = three(|class| class.retry.retries_max = 5);
    let broke = || RunEnd::Failed(Failure { reason: Reason::new("broke"), advice: Advice::Retry });
    for run in &runs[..2] {
        assert_eq!(
            desk.ok(&Command::Finish { run: *run, end: broke() }),
            Answer::Ended { outcome: None },
            "contests do not retry"
        );
        assert!(desk.is_running(job));
    }
    assert_eq!(desk.runs(job), [runs[2]]);
    desk.ok(&Command::Finish { run: runs[2], end: broke() });
    let reason = "algorithm 1: failed: broke; algorithm 2: failed: broke; algorithm 3: failed: broke";
    assert_eq!(desk.job(job).outcome(), Some(&Outcome::Failed { reason: Reason::new(reason) }));
    assert_eq!(desk.job(job).draining(), None);
}

#[test]
fn a_stalled_candidate_whose_thread_goes_on_is_fenced_and_still_counted() {
    let stall = StallRule { gain: Gain::Performance(score(2)), within: secs(300) };
    let (mut desk, job, runs) = three(|class| class.limits.stall = Some(stall));
    desk.pass(secs(200));
    for run in &runs[1..] {
        for value in [50, 60] {
            desk.ok(&Command::Report { run: *run, step: 1, performance: Some(score(value)) });
        }
    }
    desk.pass(secs(100));
    let contest = desk.job(job).contest().unwrap();
    assert_eq!(contest.candidates[0].outcome(), Some(&Outcome::Stalled), "it never measured anything");
    assert!(contest.candidates[1..].iter().all(|candidate| !candidate.is_out()));
    let late = Command::Report { run: runs[0], step: 2, performance: Some(score(80)) };
    assert_eq!(desk.send(&late), Err(Rejection::Fenced { job, lease: runs[0].lease }));
    assert_eq!(desk.runs(job), runs, "its thread may be at work");
    assert_eq!(done(&mut desk, runs[0], 99), Ok(Answer::Ended { outcome: None }), "too late to win");
    assert_eq!(desk.runs(job), runs[1..]);
}

#[test]
fn the_median_rule_puts_out_whoever_falls_behind() {
    let mut desk = Desk::with_slots(1);
    let mut submission = desk.submission("dataset", &support::desk::usual());
    submission.contest = Some(contest(3, Some(MedianRule { reports_min: 2, others_min: 2 })));
    let (job, _) = desk.admit(submission).unwrap();
    let runs = desk.runs(job);
    for (n, values) in [(0, [60, 70]), (1, [50, 60])] {
        for value in values {
            desk.ok(&Command::Report { run: runs[n], step: 1, performance: Some(score(value)) });
        }
    }
    desk.ok(&Command::Report { run: runs[2], step: 1, performance: Some(score(10)) });
    assert!(!desk.job(job).contest().unwrap().candidates[2].is_out(), "one report is too few");
    desk.ok(&Command::Report { run: runs[2], step: 2, performance: Some(score(20)) });
    assert_eq!(desk.job(job).contest().unwrap().candidates[2].outcome(), Some(&Outcome::Stalled));
    assert!(desk.is_running(job));
    assert_eq!(desk.job(job).contest().unwrap().candidates[2].standing.window.reports(), 2);
}
