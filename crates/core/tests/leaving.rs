//! Candidates that are out while their contest goes on, and do not stop.
#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod support;

use proptest::prelude::*;
use support::desk::{Desk, at, class, contest, secs};
use support::ring::{Ring, Step, plan};
use support::{cases, rebuilt, score};
use trainyard_core::*;

/// A contest whose candidates stall after 100 s without a gain of 0.02, and have 30 s to stop.
fn stalling(candidates: u128) -> (Desk, JobId, Vec<Run>) {
    let mut desk = Desk::with_slots(1);
    let stall = StallRule { gain: Gain::Performance(score(2)), within: secs(100) };
    let class = class(|class| class.limits.stall = Some(stall));
    let mut submission = desk.submission("dataset", &class);
    submission.contest = Some(contest(candidates, None));
    let (job, _) = desk.admit(submission).unwrap();
    let runs = desk.runs(job);
    (desk, job, runs)
}

/// It shows something, and that is better than before.
fn gain(desk: &mut Desk, run: Run, value: u8) {
    desk.ok(&Command::Report { run, step: value.into(), performance: Some(score(value)) });
}

/// Which runs were given up, and when.
fn given_up(desk: &Desk) -> Vec<(Timestamp, Lease)> {
    let released = desk.log.iter().filter_map(|fact| {
        let Event::Released { lease, how: Release::GivenUp, .. } = fact.event else { return None };
        Some((fact.at, lease))
    });
    released.collect()
}

#[test]
fn whoever_is_put_out_has_its_grace_and_is_then_given_up() {
    let (mut desk, job, runs) = stalling(4);
    gain(&mut desk, runs[1], 10);
    desk.pass(secs(10));
    gain(&mut desk, runs[1], 20);
    for value in [10, 20, 30] {
        desk.pass(secs(if value == 10 { 40 } else { 20 }));
        gain(&mut desk, runs[2], value);
        gain(&mut desk, runs[3], value);
    }
    // Now it is 90 s. The first never measured anything, the second gained at 10 s.
    desk.pass(secs(39));
    assert_eq!(desk.runs(job), runs, "both are out, and their threads may be at work");
    desk.pass(secs(1));
    assert_eq!(given_up(&desk), [(at(130), runs[0].lease)]);
    let end = RunEnd::Failed(Failure { reason: Reason::new("broke"), advice: Advice::GiveUp });
    desk.ok(&Command::Finish { run: runs[3], end });
    desk.pass(secs(10));
    assert_eq!(given_up(&desk), [(at(130), runs[0].lease), (at(140), runs[1].lease)], "each after its own");
    assert_eq!(desk.runs(job), [runs[2]], "and the contest goes on");
    assert!(desk.is_running(job));
    let late = desk.send(&Command::Finish { run: runs[0], end: RunEnd::Stopped });
    assert_eq!(late, Err(Rejection::Fenced { job, lease: runs[0].lease }));
}

#[test]
fn whoever_stops_in_its_grace_is_not_given_up() {
    let (mut desk, job, runs) = stalling(2);
    desk.pass(secs(50));
    gain(&mut desk, runs[1], 10);
    gain(&mut desk, runs[1], 20);
    desk.pass(secs(60));
    desk.ok(&Command::Finish { run: runs[0], end: RunEnd::Stopped });
    assert_eq!(desk.runs(job), [runs[1]]);
    desk.pass(secs(39));
    assert_eq!(given_up(&desk), []);
    assert!(desk.is_running(job));
}

/// One is out and hangs, one was interrupted, one has failed: when the first is given up, nobody is at work.
fn hung() -> (Desk, JobId, Vec<Run>) {
    let (mut desk, job, runs) = stalling(3);
    desk.pass(secs(50));
    for run in &runs[1..] {
        gain(&mut desk, *run, 10);
        gain(&mut desk, *run, 20);
    }
    desk.pass(secs(60));
    desk.ok(&Command::Finish { run: runs[1], end: RunEnd::Interrupted { reason: Reason::new("preempted") } });
    let end = RunEnd::Failed(Failure { reason: Reason::new("broke"), advice: Advice::GiveUp });
    desk.ok(&Command::Finish { run: runs[2], end });
    assert_eq!(desk.runs(job), [runs[0]], "only one that may not write any more");
    (desk, job, runs)
}

#[test]
fn when_the_last_thread_hangs_whoever_is_still_in_starts_again() {
    let (mut desk, job, runs) = hung();
    assert_eq!(desk.yard.next_deadline(), Some(at(130)), "there is a moment at which it goes on");
    desk.pass(secs(20));
    let led_to: Vec<&Event> =
        desk.log.iter().filter(|fact| fact.at == at(130)).map(|fact| &fact.event).collect();
    assert!(
        matches!(
            led_to[..],
            [
                Event::Released { how: Release::GivenUp, .. },
                Event::Interrupted { cause: Interruption::Abrupt, .. },
                Event::Started { .. },
            ]
        ),
        "{led_to:?}"
    );
    let contest = desk.job(job).contest().unwrap();
    let outcomes: Vec<bool> = contest.candidates.iter().map(Candidate::is_out).collect();
    assert_eq!(outcomes, [true, false, true]);
    assert_eq!(desk.runs(job), [Run { job, lease: contest.candidates[1].lease().unwrap() }]);
    assert!(desk.runs(job)[0].lease > runs[2].lease);
}

#[test]
fn a_snapshot_tells_of_whoever_is_leaving() {
    let (desk, job, runs) = hung();
    let candidate = desk.job(job).contest().unwrap().candidates[0].id;
    let leaving = Leaving { lease: runs[0].lease, candidate, since: at(100) };
    assert_eq!(desk.job(job).running().unwrap().leaving, [leaving]);
    assert_eq!(rebuilt(&desk.yard.snapshot()), desk.yard);
}

/// Snapshots were taken that did not tell of them: nobody has less than its grace, and nobody stays for ever.
#[test]
fn an_older_snapshot_does_not_let_anybody_hang_for_ever() {
    let (mut desk, job, runs) = hung();
    let mut snapshot = desk.yard.snapshot();
    snapshot.retain(|fact| !matches!(&fact.event, Event::CandidateEnded { .. }));
    for fact in &mut snapshot {
        if let Event::Restored(restored) = &mut fact.event
            && let Restored::Job(restored) = &mut **restored
        {
            *restored = desk.job(job).clone();
            let Phase::Running(running) = &mut restored.phase else { panic!("it runs") };
            running.leaving.clear();
        }
    }
    desk.yard = rebuilt(&snapshot);
    assert_eq!(desk.runs(job), [runs[0]]);
    assert_eq!(desk.yard.next_deadline(), Some(at(140)), "the last was put out at 110 s");
    desk.pass(secs(30));
    assert_eq!(given_up(&desk), [(at(140), runs[0].lease)]);
    assert_eq!(desk.runs(job).len(), 1);
    assert_ne!(desk.run(job).lease, runs[0].lease);
}

proptest! {
    #![proptest_config(cases(300))]

    /// Whatever has happened: when nobody says anything any more, time alone leads out of a contest in which nobody
    /// may act. With a limit it leads to the end, or to a wait that says why.
    #[test]
    fn time_alone_leads_out_of_a_contest_in_which_nobody_can_act(
        mut plan in plan(),
        skipped in 0..60_usize,
        spared in prop::collection::vec(0..5_usize, 0..4),
        last_words in prop::collection::vec((0..5_usize, any::<bool>()), 0..8),
    ) {
        plan.steps = plan.steps.split_off(skipped.min(plan.steps.len()));
        let mut ring = Ring::new(&plan);
        for step in &plan.steps {
            let _ = ring.step(step);
        }
        // Some gain, somebody else stalls, and some of the others leave: so it often comes to what is meant here.
        let _ = ring.step(&Step::Pass(1));
        for who in spared {
            let _ = ring.step(&Step::Report(who, 90, Some(1)));
            let _ = ring.step(&Step::Report(who, 90, Some(89)));
        }
        if plan.stall.is_some() && let Some(due) = ring.next_deadline() {
            let _ = ring.step(&Step::Pass((due - ring.arena.now).max(0)));
        }
        for (who, fails) in last_words {
            let _ = ring.step(&if fails { Step::Fail(who) } else { Step::Stop(who) });
        }
        // Three attempts at most, and in each of them everybody stalls and is given up.
        let ticks_max = 3 * (2 * plan.count + 2);
        let mut ticks = 0;
        while let Some(due) = ring.next_deadline() {
            prop_assert!(ticks < ticks_max, "{} ticks", ticks);
            ticks += 1;
            ring.arena.tick(due.max(ring.arena.now));
            ring.desk.now = Timestamp::from_millis(ring.arena.now);
            ring.desk.ok(&Command::Tick);
            ring.compare()?;
        }
        let job = ring.desk.job(ring.job);
        match &job.phase {
            Phase::Running(running) => {
                let contest = job.contest().unwrap();
                // Whoever has reached the target does not stall: only a time limit bounds how long it hands over.
                let is_unbounded = plan.time.is_none() && (plan.stall.is_none() || contest.holder().is_some());
                prop_assert!(is_unbounded, "nothing ends it but its runs");
                prop_assert!(running.live.iter().all(|lease| contest.by_lease(*lease).is_some()));
                prop_assert!(!running.live.is_empty(), "somebody can act");
            }
            Phase::Waiting(waiting) => {
                prop_assert!(waiting.held.is_some());
                let blockers = ring.desk.explain(ring.job);
                let says_why = blockers.iter().any(|blocker| matches!(blocker, Blocker::Held { .. }));
                prop_assert!(says_why, "{:?}", blockers);
            }
            Phase::Finished(finished) => prop_assert_eq!(&finished.draining, &None),
        }
    }
}
