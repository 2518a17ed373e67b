//! What runs have shown, over interruptions and failures.
#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod support;

use proptest::prelude::*;
use support::desk::{Desk, class, contest, secs, usual};
use support::{cases, rebuilt, score};
use trainyard_core::*;

/// What happens to a job, or to the one candidate of a contest. Values are hundredths.
#[derive(Debug, Clone)]
enum Step {
    Report(u64, Option<u8>),
    Checkpoint(u64),
    Crash,
    Leave,
    Fail,
    Pass(u64),
    Rebuild,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0_u64..12, prop::option::weighted(0.8, 0_u8..90)).prop_map(|(step, value)| Step::Report(step, value)),
        2 => (0_u64..12).prop_map(Step::Checkpoint),
        1 => Just(Step::Crash),
        1 => Just(Step::Leave),
        1 => Just(Step::Fail),
        2 => (1_u64..9).prop_map(Step::Pass),
        1 => Just(Step::Rebuild),
    ]
}

/// A gain, and the number behind it.
fn gain() -> impl Strategy<Value = (Gain, u64)> {
    prop_oneof![
        (1_u8..20).prop_map(|gain| (Gain::Performance(score(gain)), gain.into())),
        (0_u64..6).prop_map(|gain| (Gain::Steps(gain), gain.max(1))),
    ]
}

/// The same by hand.
#[derive(Debug, Default)]
struct Naive {
    newest: u64,
    values: Vec<u8>,
    /// The step of the newest value, and whether the present run has shown it.
    shown: Option<(u64, bool)>,
    checkpoint: Option<u64>,
    /// What has to be outdone, and since when.
    mark: (i64, Option<u64>),
    crashes: u8,
}

impl Naive {
    fn report(&mut self, now: i64, (gain, least): (Gain, u64), step: u64, value: Option<u8>) {
        if step < self.newest || (value.is_some() && self.shown == Some((step, false))) {
            self.mark.0 = now; // it catches up
            return;
        }
        self.newest = step;
        self.values.extend(value);
        self.shown = value.map(|_| (step, true)).or(self.shown);
        let shown = match gain {
            Gain::Performance(_) => value.map(u64::from),
            Gain::Steps(_) => Some(step),
        };
        match (shown, self.mark.1) {
            (Some(shown), None) => self.mark.1 = Some(shown),
            (Some(shown), Some(old)) if shown >= old + least => self.mark = (now, Some(shown)),
            _ => {}
        }
    }

    /// Another run goes on.
    fn interrupted(&mut self, now: i64) {
        self.mark.0 = now;
        self.shown = self.shown.map(|(step, _)| (step, false));
    }
}

fn standing(desk: &Desk, job: JobId) -> Standing {
    let job = desk.job(job);
    let candidate = job.contest().map(|contest| contest.candidates[0].standing.clone());
    candidate.or(job.standing().cloned()).unwrap_or_default()
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn a_standing_goes_as_it_does_by_hand(
        steps in prop::collection::vec(step(), 0..50), gain in gain(), competes in any::<bool>(),
    ) {
        let mut desk = Desk::with_slots(1);
        let class = class(|class| {
            class.limits.stall = Some(StallRule { gain: gain.0, within: secs(1_000_000) });
            class.retry = RetryPolicy { retries_max: 99, backoff: Backoff::new(secs(0), secs(0)) };
        });
        let mut submission = desk.submission("subject", &class);
        submission.contest = competes.then(|| contest(1, None));
        let (job, _) = desk.admit(submission).unwrap();
        let mut naive = Naive::default();
        for step in steps {
            let now = desk.now.as_millis();
            match step {
                Step::Report(step, value) => {
                    desk.report(job, step, value);
                    naive.report(now, gain, step, value);
                }
                Step::Checkpoint(step) => {
                    desk.checkpoint(job, step);
                    if naive.checkpoint.replace(step).is_none_or(|last| step > last) {
                        naive.crashes = 0;
                    }
                }
                Step::Crash if naive.crashes == 2 => continue, // once more, and it is held
                Step::Crash => {
                    desk.join(1, Resources::slots(1));
                    naive.interrupted(now);
                    naive.crashes += 1;
                }
                Step::Leave => {
                    let epoch = desk.yard.node(NodeId::from_u128(1)).unwrap().epoch;
                    desk.ok(&Command::LeaveNode { node: NodeId::from_u128(1), epoch });
                    desk.join(1, Resources::slots(1));
                    naive.interrupted(now);
                }
                Step::Fail if competes => continue, // a candidate that fails is out
                Step::Fail => {
                    desk.fail(job, Advice::Retry);
                    naive.newest = naive.newest.min(naive.checkpoint.unwrap_or(0));
                    naive.mark = (now, None);
                    naive.shown = None;
                }
                Step::Pass(seconds) => desk.pass(secs(seconds)),
                Step::Rebuild => desk.yard = rebuilt(&desk.yard.snapshot()),
            }
            prop_assert!(desk.is_running(job));
            let standing = standing(&desk, job);
            prop_assert_eq!(standing.step, naive.newest);
            prop_assert_eq!(standing.window.reports(), naive.values.len() as u64);
            prop_assert_eq!(standing.window.latest(), naive.values.last().copied().map(score));
            prop_assert_eq!(standing.window.best(), naive.values.iter().max().copied().map(score));
            prop_assert_eq!(standing.checkpoint.map(|checkpoint| checkpoint.step), naive.checkpoint);
            let mark = standing.mark.unwrap();
            prop_assert_eq!(mark.since.as_millis(), naive.mark.0);
            let hundredths = |value: u64| score(u8::try_from(value).unwrap());
            match gain.0 {
                Gain::Performance(_) => prop_assert_eq!(mark.performance, naive.mark.1.map(hundredths)),
                Gain::Steps(_) => prop_assert_eq!(mark.step, naive.mark.1),
            }
        }
        prop_assert_eq!(&rebuilt(&desk.log), &desk.yard);
    }

    /// Former releases took every report. Their logs are read still, whatever the order of steps in them.
    #[test]
    fn a_log_whose_steps_go_back_is_read(
        reports in prop::collection::vec((0_u64..9, prop::option::of(0_u8..90)), 0..30), competes in any::<bool>(),
    ) {
        let mut desk = Desk::with_slots(1);
        let mut submission = desk.submission("subject", &usual());
        submission.contest = competes.then(|| contest(2, Some(MedianRule { reports_min: 1, others_min: 1 })));
        let (job, _) = desk.admit(submission).unwrap();
        let run = desk.run(job);
        let mut log = desk.log.clone();
        log.extend(reports.iter().map(|(step, value)| {
            let performance = value.map(score);
            let event = Event::Reported { job, lease: run.lease, step: *step, performance };
            Fact { at: desk.now, event }
        }));
        desk.yard = rebuilt(&log);
        prop_assert_eq!(standing(&desk, job).step, reports.iter().map(|(step, _)| *step).max().unwrap_or(0));
        // And it goes on from there.
        desk.ok(&Command::Report { run, step: 99, performance: Some(score(50)) });
        prop_assert_eq!(standing(&desk, job).window.latest(), Some(score(50)));
        desk.cancel(job);
    }
}

/// A contest of two, interrupted at step 50 with a checkpoint of step 40.
fn resumed() -> (Desk, JobId, Vec<Run>) {
    let mut desk = Desk::with_slots(1);
    let mut submission = desk.submission("dataset", &usual());
    submission.contest = Some(contest(2, None));
    let (job, _) = desk.admit(submission).unwrap();
    for (step, value) in [(10, 30), (20, 45), (30, 50), (40, 52), (50, 60)] {
        desk.report(job, step, Some(value));
        if step == 40 {
            desk.checkpoint(job, step);
        }
    }
    desk.join(1, Resources::slots(1));
    let runs = desk.runs(job);
    (desk, job, runs)
}

#[test]
fn what_is_shown_again_after_a_crash_is_heard_and_not_counted_twice() {
    let (mut desk, job, _) = resumed();
    let before = standing(&desk, job);
    desk.pass(secs(5));
    for step in 41..50 {
        desk.report(job, step, Some(55));
    }
    assert_eq!(standing(&desk, job), before);
    let heard = desk.yard.node(NodeId::from_u128(1)).unwrap().seen_at;
    assert_eq!(heard, desk.now, "but it was heard");
    desk.report(job, 50, Some(60));
    desk.report(job, 60, Some(70));
    let after = standing(&desk, job);
    assert_eq!((after.step, after.window.reports()), (60, 6), "what was shown at 50 is not shown twice");
    assert_eq!(after.window.recent(), [45, 50, 52, 60, 70].map(score));
    desk.report(job, 60, Some(71));
    assert_eq!(standing(&desk, job).window.latest(), Some(score(71)), "one run may show more at one step");
}

#[test]
fn a_champion_shows_what_it_has_won_with_whatever_its_step() {
    let (mut desk, job, runs) = resumed();
    let trained = Trained { artifact: Some(Reference::new("there")), metrics: Metrics::new() };
    let end = RunEnd::Completed { trained, model: ModelId::from_u128(9), last: Some((45, score(91))) };
    desk.ok(&Command::Finish { run: runs[0], end });
    assert!(desk.job(job).outcome().unwrap().is_completed());
    let champion = standing(&desk, job);
    assert_eq!((champion.window.latest(), champion.step), (Some(score(91)), 50));
}

#[test]
fn who_is_shown_to_fall_behind_is_not_put_out_by_what_it_repeats() {
    let mut desk = Desk::with_slots(1);
    let mut submission = desk.submission("dataset", &usual());
    submission.contest = Some(contest(2, Some(MedianRule { reports_min: 1, others_min: 1 })));
    let (job, _) = desk.admit(submission).unwrap();
    let report = |desk: &mut Desk, n: usize, step, value| {
        let run = desk.runs(job)[n];
        desk.ok(&Command::Report { run, step, performance: Some(score(value)) });
    };
    report(&mut desk, 0, 5, 10);
    // Only now there is somebody to compare with.
    report(&mut desk, 1, 1, 50);
    report(&mut desk, 1, 2, 60);
    report(&mut desk, 0, 4, 10);
    let contest = desk.job(job).contest().unwrap();
    assert_eq!(contest.candidates[0].means, [score(10)]);
    assert!(!contest.candidates[0].is_out());
    report(&mut desk, 0, 5, 10);
    assert!(desk.job(job).contest().unwrap().candidates[0].is_out(), "what is new counts");
}

/// A candidate has come to step 50 and then has no checkpoint that it can use. Stalls after 100 s without a gain.
fn anew() -> (Desk, JobId) {
    let mut desk = Desk::with_slots(1);
    let stall = StallRule { gain: Gain::Performance(score(2)), within: secs(100) };
    let mut submission = desk.submission("dataset", &class(|class| class.limits.stall = Some(stall)));
    submission.contest = Some(contest(1, None));
    let (job, _) = desk.admit(submission).unwrap();
    for (step, value) in [(10, 30), (50, 60)] {
        desk.report(job, step, Some(value));
    }
    desk.join(1, Resources::slots(1));
    (desk, job)
}

#[test]
fn who_begins_anew_and_catches_up_does_not_stall() {
    let (mut desk, job) = anew();
    let before = standing(&desk, job);
    for step in 1..=10_u8 {
        desk.pass(secs(99));
        desk.report(job, u64::from(step) * 5, Some(step * 6));
    }
    assert!(desk.is_running(job), "it has taken 990 s to be where it was");
    let after = standing(&desk, job);
    assert_eq!((after.step, after.window), (before.step, before.window), "and has shown nothing new");
    desk.pass(secs(99));
    desk.report(job, 55, Some(61));
    assert!(desk.is_running(job));
    desk.pass(secs(1));
    assert_eq!(
        desk.job(job).outcome(),
        Some(&Outcome::Stalled),
        "0.01 in 100 s is too little once it has caught up"
    );
}

#[test]
fn who_begins_anew_and_is_not_heard_of_stalls() {
    let (mut desk, job) = anew();
    desk.pass(secs(60));
    desk.report(job, 5, Some(10));
    desk.pass(secs(99));
    assert!(desk.is_running(job));
    desk.pass(secs(1));
    assert_eq!(desk.job(job).outcome(), Some(&Outcome::Stalled));
}

#[test]
fn what_was_not_shown_at_the_newest_step_is_news() {
    let mut desk = Desk::with_slots(1);
    let job = desk.submit("subject", &usual());
    desk.report(job, 48, Some(60));
    desk.report(job, 50, None);
    desk.join(1, Resources::slots(1));
    desk.report(job, 49, Some(65));
    desk.report(job, 50, Some(70));
    assert_eq!(standing(&desk, job).window.recent(), [60, 70].map(score));
}

#[test]
fn another_try_from_nothing_is_measured_from_nothing() {
    let mut desk = Desk::with_slots(1);
    let stall = StallRule { gain: Gain::Performance(score(2)), within: secs(100) };
    let class = class(|class| {
        class.limits.stall = Some(stall);
        class.retry = RetryPolicy { retries_max: 1, backoff: Backoff::new(secs(10), secs(10)) };
    });
    let job = desk.submit("subject", &class);
    desk.report(job, 50, Some(80));
    desk.fail(job, Advice::Retry);
    assert_eq!(standing(&desk, job).step, 0);
    desk.pass(secs(10));
    for value in 1..=20 {
        desk.pass(secs(10));
        desk.report(job, value.into(), Some(value));
    }
    assert!(desk.is_running(job), "it gains, though it is far below what the failed one has shown");
    let after = standing(&desk, job);
    assert_eq!((after.step, after.window.reports()), (20, 21));
    assert_eq!(after.window.best(), Some(score(80)), "which stays");
}

#[test]
fn another_try_from_a_checkpoint_is_measured_from_there() {
    let mut desk = Desk::with_slots(1);
    let class = class(|class| {
        class.retry = RetryPolicy { retries_max: 1, backoff: Backoff::new(secs(0), secs(0)) };
    });
    let job = desk.submit("subject", &class);
    desk.report(job, 50, Some(60));
    desk.checkpoint(job, 40);
    desk.report(job, 55, Some(61));
    desk.fail(job, Advice::Retry);
    assert_eq!(standing(&desk, job).step, 40);
    desk.report(job, 39, Some(10));
    desk.report(job, 41, Some(58));
    assert_eq!(standing(&desk, job).window.recent(), [60, 61, 58].map(score));
}

/// What was shown last matters only to who may show it again.
#[test]
fn a_snapshot_tells_nothing_of_what_was_shown_last_once_it_is_over() {
    let shown = |desk: &Desk| {
        let is_shown = |fact: &&Fact| matches!(&fact.event, Event::Restored(one) if matches!(**one, Restored::Shown { .. }));
        desk.yard.snapshot().iter().filter(is_shown).count()
    };
    let mut desk = Desk::with_slots(2);
    let job = desk.submit("alone", &usual());
    let mut submission = desk.submission("dataset", &usual());
    submission.contest = Some(contest(2, None));
    let (race, _) = desk.admit(submission).unwrap();
    desk.report(job, 1, Some(50));
    let runs = desk.runs(race);
    for run in &runs {
        desk.ok(&Command::Report { run: *run, step: 1, performance: Some(score(50)) });
    }
    assert_eq!(shown(&desk), 3);
    let end = RunEnd::Failed(Failure { reason: Reason::new("broke"), advice: Advice::GiveUp });
    desk.ok(&Command::Finish { run: runs[0], end });
    assert_eq!(shown(&desk), 2);
    desk.complete(job);
    desk.cancel(race);
    assert_eq!(shown(&desk), 0);
}
