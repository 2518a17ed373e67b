//! Contests on real threads and a real journal: crashes, fair shares, and who is heard first.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test may panic and be brief")]

mod support;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use proptest::prelude::*;
use support::{Rig, SAFETY, class, job, kind, limited, obedient, outcome, shut_down, subject, until, wait};
use trainyard_core::port::HandleError;
use trainyard_core::{
    CandidateId, Class, Contest, ContestPlan, Entrant, Event, Fact, Gain, JobId, Label, Lease, Limits,
    Outcome, Parameters, Progress, Reason, Rejection, Release, Score, StallRule, Standing, Submission,
    TimedOut, Trained, Yard,
};
use trainyard_journal::{Journal, MemoryJournal, Position};
use trainyard_runtime::{Context, JobToTrain, Stop, TrainError, Trainyard};
use trainyard_testkit::failing_journal::{FailingJournal, When};

const CANDIDATES: usize = 4;
/// A candidate at step `n` shows `n` twentieths, so this is where the target of 0.9 is.
const STEP_OF_TARGET: u64 = 18;
const CHECKPOINT_EVERY: u64 = 3;

fn score(value: f64) -> Score {
    Score::new(value).unwrap()
}

fn start_contest(yard: &Trainyard, candidates: usize, class: Class) -> JobId {
    let entrant = |n: usize| Entrant {
        id: CandidateId::from_u128(n as u128),
        label: Label::new(n.to_string()).unwrap(),
        parameters: Parameters::default(),
    };
    let candidates = (0..candidates).map(entrant).collect();
    let plan = ContestPlan { target: score(0.9), candidates, median: None };
    let submission = Submission::new(yard.job_id(), subject("a"), Arc::new(class));
    wait(yard.submit(Submission { contest: Some(Arc::new(plan)), ..submission })).unwrap().job
}

/// Which of the candidates this is.
fn number(job: &JobToTrain) -> usize {
    job.candidate.as_ref().expect("it is a contest").label.as_str().parse().unwrap()
}

/// How far each candidate may go.
type Allowed = Arc<[AtomicU64; CANDIDATES]>;

/// Goes as far as it may, step by step, and says where it has gone on from.
fn racer(
    allowed: Allowed,
    begun: Sender<(usize, u64)>,
) -> impl Fn(&mut Context, &JobToTrain) -> Result<Trained, TrainError> + Clone {
    move |cx, job| {
        let me = number(job);
        if let Some(path) = cx.resume_path() {
            assert_eq!(std::fs::read_to_string(path)?, format!("{me} at {}", cx.resume_from()));
        }
        begun.send((me, cx.resume_from())).unwrap();
        for step in cx.resume_from() + 1..=STEP_OF_TARGET {
            while allowed[me].load(Ordering::Acquire) < step {
                if let Some(stop) = cx.stop_reason() {
                    return Err(stop.into());
                }
                std::thread::yield_now();
            }
            let twentieths = u32::try_from(step).unwrap();
            let progress = Progress::step(step, STEP_OF_TARGET);
            match cx.report(progress.with_performance(f64::from(twentieths) / 20.0)?) {
                Err(Stop::TargetReached) => {
                    std::fs::write(cx.dir()?.join("model"), me.to_string())?;
                    return cx.trained("model");
                }
                told => told?,
            }
            if step.is_multiple_of(CHECKPOINT_EVERY) {
                let state = format!("state-{step}");
                std::fs::write(cx.dir()?.join(&state), format!("{me} at {step}"))?;
                cx.checkpoint(&state, step)?;
            }
        }
        Err(obedient(cx))
    }
}

fn standings(contest: &Contest) -> Vec<Standing> {
    contest.candidates.iter().map(|candidate| candidate.standing.clone()).collect()
}

/// Lets the candidates go so far, and waits until all of it is durable.
fn race_to(yard: &Trainyard, id: JobId, allowed: &Allowed, steps: [u64; CANDIDATES]) {
    let mut changes = yard.subscribe();
    for (allowed, step) in allowed.iter().zip(steps) {
        allowed.store(step, Ordering::Release);
    }
    let is_there = |standing: &Standing, step: u64| {
        let checkpoint = standing.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.step);
        standing.step >= step && checkpoint >= step - step % CHECKPOINT_EVERY
    };
    while !standings(job(yard, id).contest().unwrap())
        .iter()
        .zip(steps)
        .all(|(one, step)| is_there(one, step))
    {
        changes.next_timeout(SAFETY).expect("they come there");
    }
}

fn records(log: &MemoryJournal) -> Vec<Vec<Fact>> {
    let mut holder = log.holder();
    let reading = holder.read(Position::START).unwrap();
    reading.records.map(|record| record.unwrap().facts.clone()).collect()
}

/// Reads the log as a crash at any point would have left it: nobody's standing ever loses a value or goes back.
fn check_standings(log: &MemoryJournal, id: JobId) -> Result<(), TestCaseError> {
    let mut yard = Yard::default();
    let mut before: Vec<Standing> = vec![];
    for fact in records(log).into_iter().flatten() {
        yard.apply(&fact).unwrap();
        let Some(contest) = yard.job(id).and_then(|job| job.contest()) else { continue };
        let after = standings(contest);
        for (old, new) in before.iter().zip(&after) {
            prop_assert!(new.step >= old.step && new.window.reports() >= old.window.reports());
            prop_assert!(new.window.best() >= old.window.best());
            let added = usize::try_from(new.window.reports() - old.window.reports()).unwrap();
            let kept = new.window.recent().len() - added.min(new.window.recent().len());
            prop_assert!(old.window.recent().ends_with(&new.window.recent()[..kept]), "what was shown stays");
            // More steps show more here, so nothing was taken out of turn.
            prop_assert!(new.window.recent().is_sorted(), "{:?}", new.window);
            let checkpoint = |standing: &Standing| standing.checkpoint.as_ref().map(|there| there.step);
            prop_assert!(checkpoint(new) >= checkpoint(old));
        }
        before = after;
    }
    prop_assert_eq!(before.len(), CANDIDATES);
    Ok(())
}

fn begun_all(begun: &Receiver<(usize, u64)>) -> [u64; CANDIDATES] {
    let mut from = [u64::MAX; CANDIDATES];
    for _ in 0..CANDIDATES {
        let (who, step) = begun.recv_timeout(SAFETY).expect("everybody begins");
        from[who] = step;
    }
    from
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Once or twice the process dies in the middle; each time everybody goes on from its own checkpoint.
    #[test]
    fn a_contest_survives_crashes(
        rounds in prop::collection::vec(prop::array::uniform4(CHECKPOINT_EVERY..7), 1..3), winner in 0..CANDIDATES,
    ) {
        let rig = Rig::new();
        let allowed: Allowed = Arc::default();
        let (begin, begun) = unbounded();
        let train = racer(Arc::clone(&allowed), begin);
        let (mut at, mut from, mut id) = ([0; CANDIDATES], [0; CANDIDATES], None);
        for round in &rounds {
            let (journal, faults) = FailingJournal::new(rig.log.holder());
            let builder = rig.builder_on(journal).report_every(Duration::ZERO);
            let (yard, _) = builder.trainer(kind(), train.clone()).start().unwrap();
            let id = *id.get_or_insert_with(|| start_contest(&yard, CANDIDATES, class()));
            prop_assert_eq!(begun_all(&begun), from);
            at = std::array::from_fn(|n| at[n] + round[n]);
            race_to(&yard, id, &allowed, at);
            from = at.map(|step| step - step % CHECKPOINT_EVERY);
            prop_assert!(from.iter().all(|step| *step > 0));
            // From here on nothing reaches the log: for whoever opens it next, the process died here.
            faults.fail_next_commit(When::BeforeEffect);
            let lost = wait(yard.cancel(id, Reason::new("never heard")));
            prop_assert!(matches!(lost, Err(HandleError::Stopped { .. })), "{:?}", lost);
        }
        let id = id.unwrap();

        let builder = rig.builder().report_every(Duration::ZERO);
        let (yard, report) = builder.trainer(kind(), train.clone()).start().unwrap();
        prop_assert_eq!((report.contests_resumed, report.attempts_interrupted), (1, 0));
        prop_assert_eq!(begun_all(&begun), from, "everybody goes on from its own checkpoint");
        let shown = standings(job(&yard, id).contest().unwrap());
        prop_assert!(shown.iter().zip(at).all(|(standing, step)| standing.step == step), "nothing is lost");
        allowed[winner].store(STEP_OF_TARGET, Ordering::Release);
        let Outcome::Completed { model: Some(model) } = outcome(&yard, id) else { panic!("somebody wins") };
        let over = job(&yard, id);
        for (n, candidate) in over.contest().unwrap().candidates.iter().enumerate() {
            let won = Outcome::Completed { model: Some(model) };
            let expected = if n == winner { won } else { Outcome::Superseded };
            prop_assert_eq!(candidate.outcome(), Some(&expected));
        }
        prop_assert_eq!(yard.read(|yard| yard.models(&over.registry()).count()), 1, "one champion");
        let model = yard.model(model).unwrap();
        prop_assert_eq!(std::fs::read_to_string(yard.artifact_path(&model).unwrap()).unwrap(), winner.to_string());
        shut_down(&yard);
        check_standings(&rig.log, id)?;

        let (again, report) = rig.builder().trainer(kind(), train).start().unwrap();
        prop_assert_eq!(report.contests_resumed, 0, "it is over");
        let still = job(&again, id);
        prop_assert_eq!((still.contest(), still.outcome()), (over.contest(), over.outcome()));
        shut_down(&again);
    }
}

/// What a crash has left: from where everybody goes on, by the log alone.
fn checkpoints(log: &MemoryJournal, id: JobId) -> [u64; CANDIDATES] {
    let mut yard = Yard::default();
    records(log).into_iter().flatten().for_each(|fact| yard.apply(&fact).unwrap());
    let standings = standings(yard.job(id).unwrap().contest().unwrap());
    std::array::from_fn(|n| standings[n].checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.step))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// The process dies while everybody runs as fast as it can, at any commit: before it has taken effect, or after.
    #[test]
    fn a_crash_at_any_commit_takes_nothing_back(commit in 4_u64..40, is_durable in any::<bool>(), winner in 0..CANDIDATES) {
        let rig = Rig::new();
        let allowed: Allowed = Arc::default();
        let (begin, begun) = unbounded();
        let train = racer(Arc::clone(&allowed), begin);
        let (journal, faults) = FailingJournal::new(rig.log.holder());
        faults.fail_commit(commit, if is_durable { When::AfterEffect } else { When::BeforeEffect });
        let builder = rig.builder_on(journal).report_every(Duration::ZERO);
        let (yard, _) = builder.trainer(kind(), train.clone()).start().unwrap();
        let mut changes = yard.subscribe();
        let id = start_contest(&yard, CANDIDATES, class());
        begun_all(&begun);
        allowed.iter().for_each(|allowed| allowed.store(STEP_OF_TARGET - 1, Ordering::Release));
        let is_there = || {
            let standings = standings(job(&yard, id).contest().unwrap());
            standings.iter().all(|standing| standing.step == STEP_OF_TARGET - 1)
        };
        while yard.stopped().is_none() && !is_there() {
            let _next = changes.next_timeout(SAFETY);
        }
        // When they have shared their commits so well that there were too few, it dies now.
        faults.fail_next_commit(When::BeforeEffect);
        let lost = wait(yard.cancel(id, Reason::new("never heard")));
        prop_assert!(matches!(lost, Err(HandleError::Stopped { .. })), "{:?}", lost);

        let from = checkpoints(&rig.log, id);
        let (yard, _) = rig.builder().report_every(Duration::ZERO).trainer(kind(), train).start().unwrap();
        prop_assert_eq!(begun_all(&begun), from, "everybody goes on from its own checkpoint");
        allowed[winner].store(STEP_OF_TARGET, Ordering::Release);
        prop_assert!(outcome(&yard, id).is_completed());
        prop_assert_eq!(job(&yard, id).contest().unwrap().champion().unwrap().id, CandidateId::from_u128(winner as u128));
        shut_down(&yard);
        check_standings(&rig.log, id)?;
    }
}

#[test]
fn candidates_start_together_and_share_the_threads() {
    for threads in 1..=9 {
        let rig = Rig::new();
        let (told, tells) = unbounded();
        let train = move |cx: &mut Context, _: &JobToTrain| {
            told.send(cx.threads().get()).unwrap();
            Err(obedient(cx))
        };
        let threads_all = NonZeroUsize::new(threads).unwrap();
        let (yard, _) = rig.builder().threads(threads_all).trainer(kind(), train).start().unwrap();
        let id = start_contest(&yard, CANDIDATES, class());
        let shares: Vec<usize> = (0..CANDIDATES).map(|_| tells.recv_timeout(SAFETY).unwrap()).collect();
        assert!(shares.iter().all(|share| *share == shares[0] && *share > 0), "alike: {shares:?}");
        assert!(shares.iter().sum::<usize>() <= threads.max(CANDIDATES), "{shares:?} of {threads}");
        assert!(
            shares.iter().sum::<usize>() + CANDIDATES > threads,
            "{shares:?} of {threads}: none lies idle"
        );
        wait(yard.cancel(id, Reason::new("enough"))).unwrap();
        shut_down(&yard);

        let starts: Vec<Vec<Fact>> = records(&rig.log)
            .into_iter()
            .filter(|record| record.iter().any(|fact| matches!(fact.event, Event::Started { .. })))
            .collect();
        assert_eq!(starts.len(), 1, "one commit");
        let mut yard = Yard::default();
        let before = records(&rig.log).into_iter().take_while(|record| *record != starts[0]);
        before.chain(starts.clone()).flatten().for_each(|fact| yard.apply(&fact).unwrap());
        let contest = yard.job(id).unwrap().contest().unwrap();
        let leases: Vec<Lease> =
            contest.candidates.iter().filter_map(|candidate| candidate.lease()).collect();
        assert_eq!(leases.len(), CANDIDATES, "all of them in it");
    }
}

#[test]
fn a_candidate_that_hangs_is_given_up_and_the_others_go_on() {
    let rig = Rig::new();
    let (begin, begun) = unbounded();
    let (show, shown) = bounded::<Progress>(0);
    let (free, freed) = bounded::<()>(0);
    let yard = rig.start(move |cx: &mut Context, job: &JobToTrain| {
        begin.send((number(job), job.attempt.get())).unwrap();
        if number(job) == 0 {
            let _ = freed.recv(); // deaf to everything
            return Err(TrainError::failed("too late"));
        }
        for progress in &shown {
            match cx.report(progress) {
                Err(Stop::TargetReached) => {
                    std::fs::write(cx.dir()?.join("model"), "x")?;
                    return cx.trained("model");
                }
                told => told?,
            }
        }
        Err(TrainError::interrupted("for the test"))
    });
    let mut changes = yard.subscribe();
    let stall = StallRule { gain: Gain::Performance(score(0.02)), within: Duration::from_secs(60) };
    let grace = Duration::from_secs(30);
    let limits = Limits { stall: Some(stall), grace, ..Limits::default() };
    let id = start_contest(&yard, 2, limited(limits));
    let mut both = [begun.recv_timeout(SAFETY).unwrap(), begun.recv_timeout(SAFETY).unwrap()];
    both.sort_unstable();
    assert_eq!(both, [(0, 1), (1, 1)]);

    rig.clock.advance(Duration::from_secs(50));
    for step in 1..=2_u32 {
        let progress = Progress::step(step.into(), 9).with_performance(f64::from(step) / 10.0).unwrap();
        show.send_timeout(progress, SAFETY).unwrap();
        until(&mut changes, |event| matches!(event, Event::Reported { .. }));
        rig.clock.advance(Duration::from_secs(1));
    }
    rig.clock.advance(Duration::from_secs(8));
    let ended = until(&mut changes, |event| matches!(event, Event::CandidateEnded { .. }));
    let Event::CandidateEnded { lease, .. } = ended else { panic!("{ended:?}") };
    assert_eq!(yard.stuck_threads(), 0, "it has its grace");
    rig.clock.advance(grace);
    let released = until(&mut changes, |event| matches!(event, Event::Released { .. }));
    assert_eq!(released, Event::Released { job: id, lease, how: Release::GivenUp });
    assert!(!job(&yard, id).is_finished(), "the other one is at work");
    let progress = Progress::step(9, 9).with_performance(0.95).unwrap();
    show.send_timeout(progress, SAFETY).unwrap();
    assert!(outcome(&yard, id).is_completed());
    assert_eq!(yard.stuck_threads(), 1);
    drop(free);
    shut_down(&yard);
    assert_eq!(yard.stuck_threads(), 0, "it came back after all");
    assert_eq!(job(&yard, id).contest().unwrap().candidates[0].outcome(), Some(&Outcome::Stalled));
}

#[test]
fn a_cancel_after_the_victory_is_refused() {
    let rig = Rig::new();
    let yard = rig.start(|cx: &mut Context, job: &JobToTrain| {
        if number(job) == 1 {
            let _reached = cx.report(Progress::step(1, 1).with_performance(1.0)?);
            std::fs::write(cx.dir()?.join("model"), "x")?;
            return cx.trained("model");
        }
        Err(obedient(cx))
    });
    let id = start_contest(&yard, CANDIDATES, class());
    let over = outcome(&yard, id);
    assert!(over.is_completed());
    let refused = wait(yard.cancel(id, Reason::new("too late")));
    assert_eq!(refused, Err(HandleError::Rejected(Rejection::Over { job: id, outcome: over.clone() })));
    assert_eq!(job(&yard, id).outcome(), Some(&over));
}

/// What a candidate is told to do.
enum Act {
    Show(u64, f64),
    HandOver,
    Panic,
}

/// A candidate that has begun, and its strings.
struct Begun {
    who: usize,
    acts: Sender<Act>,
}

impl Begun {
    fn show(&self, step: u64, value: f64) {
        self.acts.send(Act::Show(step, value)).unwrap();
    }

    fn act(&self, act: Act) {
        self.acts.send(act).unwrap();
    }
}

/// Does as it is told; who has reached the target takes its time to hand over.
fn actor(begin: Sender<Begun>) -> impl Fn(&mut Context, &JobToTrain) -> Result<Trained, TrainError> + Clone {
    move |cx, job| {
        let (acts, told) = unbounded();
        let _nobody_waits = begin.send(Begun { who: number(job), acts });
        for act in told {
            match act {
                Act::Show(step, value) => match cx.report(Progress::step(step, 0).with_performance(value)?) {
                    Ok(()) | Err(Stop::TargetReached) => {}
                    Err(stop) => return Err(stop.into()),
                },
                Act::HandOver => {
                    std::fs::write(cx.dir()?.join("model"), number(job).to_string())?;
                    return cx.trained("model");
                }
                Act::Panic => panic!("for the test"),
            }
        }
        Err(obedient(cx))
    }
}

fn all_begun(begun: &Receiver<Begun>, count: usize) -> Vec<Begun> {
    let mut all: Vec<Begun> =
        (0..count).map(|_| begun.recv_timeout(SAFETY).expect("everybody begins")).collect();
    all.sort_by_key(|one| one.who);
    all
}

/// The first has reached the target and has nothing handed over, the second has reached it later and has.
fn reach_both(yard: &Trainyard, all: &[Begun]) {
    let mut changes = yard.subscribe();
    for (one, value) in all.iter().zip([0.91, 0.95]) {
        one.show(1, value);
        until(&mut changes, |event| matches!(event, Event::Reached { .. }));
    }
    all[1].act(Act::HandOver);
    until(&mut changes, |event| matches!(event, Event::HandedOver { .. }));
}

/// Whose model the contest has made, and whose part is completed.
fn won_by(yard: &Trainyard, id: JobId) -> (String, usize) {
    let Outcome::Completed { model: Some(model) } = outcome(yard, id) else { panic!("somebody wins") };
    let over = job(yard, id);
    let contest = over.contest().unwrap();
    let champion = contest.candidates.iter().position(|one| one.outcome().is_some_and(Outcome::is_completed));
    let model = yard.model(model).unwrap();
    (std::fs::read_to_string(yard.artifact_path(&model).unwrap()).unwrap(), champion.unwrap())
}

#[test]
fn the_first_to_reach_the_target_wins_however_long_it_takes_to_hand_over() {
    let rig = Rig::new();
    let (begin, begun) = unbounded();
    let yard = rig.start(actor(begin));
    let stall = StallRule { gain: Gain::Performance(score(0.02)), within: Duration::from_secs(20) };
    let limits = Limits {
        time: Some(Duration::from_secs(60)),
        stall: Some(stall),
        grace: Duration::from_secs(30),
        ..Limits::default()
    };
    let id = start_contest(&yard, CANDIDATES, limited(limits));
    let all = all_begun(&begun, CANDIDATES);
    reach_both(&yard, &all);
    // The third shows nothing and stalls, the fourth gains until the time is over.
    let mut changes = yard.subscribe();
    for step in 1..=4_u32 {
        all[3].show(step.into(), f64::from(step) / 10.0);
        until(&mut changes, |event| matches!(event, Event::Reported { .. }));
        rig.clock.advance(Duration::from_secs(15));
    }
    let out_of_time = Outcome::TimedOut(TimedOut::Running);
    until(
        &mut changes,
        |event| matches!(event, Event::CandidateEnded { outcome, .. } if *outcome == out_of_time),
    );
    rig.clock.advance(Duration::from_secs(29));
    assert!(!job(&yard, id).is_finished());
    all[0].act(Act::HandOver);
    assert_eq!(won_by(&yard, id), ("0".to_owned(), 0));
    let over = job(&yard, id);
    let candidates = &over.contest().unwrap().candidates;
    let rest: Vec<_> = candidates[1..].iter().map(|one| one.outcome().cloned().unwrap()).collect();
    assert_eq!(rest, [Outcome::Superseded, Outcome::Stalled, out_of_time]);
    assert_eq!(candidates[0].standing.window.recent(), [score(0.91)], "what it has won with is shown once");
    drop(all);
    shut_down(&yard);
    assert_eq!(rig.dir.attempts(), 1, "what did not win is not kept");
}

#[test]
fn when_the_first_to_reach_the_target_panics_the_next_one_wins() {
    let rig = Rig::new();
    let (begin, begun) = unbounded();
    let yard = rig.start(actor(begin));
    let id = start_contest(&yard, 3, class());
    let all = all_begun(&begun, 3);
    reach_both(&yard, &all);
    assert!(!job(&yard, id).is_finished());
    all[0].act(Act::Panic);
    assert_eq!(won_by(&yard, id), ("1".to_owned(), 1));
    let over = job(&yard, id);
    let first = over.contest().unwrap().candidates[0].outcome();
    assert!(matches!(first, Some(Outcome::Failed { .. })), "{first:?}");
    drop(all);
    shut_down(&yard);
}

/// Who holds the win does so after a crash; what another had handed over before it is there still.
#[test]
fn the_order_of_reaching_survives_a_crash() {
    for first_completes in [true, false] {
        let rig = Rig::new();
        let (begin, begun) = unbounded();
        let train = actor(begin);
        let (journal, faults) = FailingJournal::new(rig.log.holder());
        let (yard, _) = rig.builder_on(journal).trainer(kind(), train.clone()).start().unwrap();
        let id = start_contest(&yard, 3, class());
        let all = all_begun(&begun, 3);
        reach_both(&yard, &all);
        faults.fail_next_commit(When::BeforeEffect);
        let lost = wait(yard.cancel(id, Reason::new("never heard")));
        assert!(matches!(lost, Err(HandleError::Stopped { .. })), "{lost:?}");
        drop(all);

        let (yard, report) = rig.builder().trainer(kind(), train).start().unwrap();
        assert_eq!(report.contests_resumed, 1);
        let again = all_begun(&begun, 2);
        assert_eq!([again[0].who, again[1].who], [0, 2], "who has handed over is done");
        if first_completes {
            let mut changes = yard.subscribe();
            again[0].show(1, 0.91);
            until(&mut changes, |event| matches!(event, Event::Reached { .. }));
            again[0].act(Act::HandOver);
            assert_eq!(won_by(&yard, id), ("0".to_owned(), 0));
        } else {
            again[0].act(Act::Panic);
            assert_eq!(won_by(&yard, id), ("1".to_owned(), 1));
        }
        drop(again);
        shut_down(&yard);
    }
}
