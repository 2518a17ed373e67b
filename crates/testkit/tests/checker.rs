//! Every invariant can fail: histories that are doctored, and worlds with a bug in them. All but that nothing fails by
//! itself, for which no bug is at hand.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::time::Duration;

use trainyard_core::*;
use trainyard_testkit::simulator::{
    Act, Checker, Deed, Faults, Invariant, Odds, Scene, Simulation, UserScene, Wish, Workload, inside,
    plain_class, subject,
};

/// A real yard, and a checker that has seen what has happened in it.
struct History {
    yard: Yard,
    checker: Checker,
    log: Vec<Fact>,
    now: Timestamp,
}

fn job(n: u128) -> JobId {
    JobId::from_u128(n)
}

fn node() -> NodeId {
    NodeId::from_u128(1)
}

fn plain(n: u128) -> Submission {
    Submission::new(job(n), subject(u64::try_from(n).unwrap()), plain_class("line"))
}

fn with_class(n: u128, change: impl FnOnce(&mut Class)) -> Submission {
    let mut class = (*plain_class("line")).clone();
    change(&mut class);
    Submission { class: Arc::new(class), ..plain(n) }
}

fn score(value: f64) -> Score {
    Score::new(value).unwrap()
}

impl History {
    fn new(slots: u64) -> Self {
        let now = Timestamp::from_millis(1_000_000);
        let mut history = Self { yard: Yard::default(), checker: Checker::new(), log: vec![], now };
        let kinds = [(inside(), Placement::InProcess)].into();
        let abilities = Abilities { kinds, capacity: Resources::slots(slots) };
        history.send(Command::JoinNode { node: node(), abilities });
        history
    }

    fn send(&mut self, command: Command) -> Answer {
        let before = self.checker.before(&command);
        let Ruling { facts, answer } = self.yard.handle(self.now, &command).unwrap();
        for fact in &facts {
            self.checker.take(fact).unwrap();
        }
        self.log.extend(facts);
        self.checker.told(&command, before, &Ok(answer.clone())).unwrap();
        self.checker.audit(&self.yard).unwrap();
        Checker::settled(&self.yard).unwrap();
        answer
    }

    fn submit(&mut self, submission: Submission) {
        self.send(Command::Submit(Arc::new(submission)));
    }

    fn lease(&self, n: u128) -> Lease {
        self.yard.job(job(n)).unwrap().running().unwrap().live[0]
    }

    fn fact(&self, event: Event) -> Fact {
        Fact { at: self.now, event }
    }

    /// What the checker says when this is said to have happened.
    #[track_caller]
    fn refuses(&mut self, event: Event, invariant: Invariant) {
        let fact = self.fact(event);
        let breach = self.checker.take(&fact).expect_err("it cannot have happened");
        assert_eq!(breach.invariant, invariant, "{breach}");
    }

    fn started(&self, n: u128) -> Event {
        let last = self.log.iter().filter_map(|fact| {
            let Event::Started { lease, .. } = &fact.event else { return None };
            Some(*lease)
        });
        let lease = Lease::new(last.max().map_or(0, Lease::get) + 100);
        Event::Started { job: job(n), lease, node: node() }
    }
}

fn completed() -> RunEnd {
    RunEnd::Completed { trained: Trained::default(), model: ModelId::from_u128(1), last: None }
}

fn over(n: u128, outcome: Outcome) -> Event {
    Event::Finished { job: job(n), outcome, released: None, deadline: Timestamp::from_millis(0) }
}

fn cancelled() -> Outcome {
    Outcome::Cancelled { reason: Reason::new("x") }
}

#[test]
fn a_job_that_is_forgotten_too_early_is_missed() {
    let mut history = History::new(1);
    history.submit(plain(1));
    history.refuses(Event::Forgotten { jobs: vec![job(1)] }, Invariant::NoJobIsLost);
}

#[test]
fn a_job_that_is_left_on_a_node_that_is_gone_is_missed() {
    let mut history = History::new(1);
    history.submit(plain(1));
    history.refuses(Event::NodeLost { node: node() }, Invariant::NoJobIsLost);
}

#[test]
fn a_job_that_a_yard_has_lost_is_missed() {
    let mut history = History::new(1);
    history.submit(plain(1));
    let breach = history.checker.audit(&Yard::default()).unwrap_err();
    assert_eq!(breach.invariant, Invariant::NoJobIsLost);
    let told = Command::Cancel { job: job(1), reason: Reason::new("x") };
    let before = history.checker.before(&told);
    let breach = history.checker.told(&told, before, &Err(Rejection::NoJob(job(1)))).unwrap_err();
    assert_eq!(breach.invariant, Invariant::NoJobIsLost);
}

#[test]
fn two_attempts_of_a_job_are_noticed() {
    let mut history = History::new(5);
    history.submit(plain(1));
    history.refuses(history.started(1), Invariant::OneAtATime);
}

#[test]
fn two_jobs_of_a_subject_at_work_are_noticed() {
    let mut history = History::new(5);
    history.submit(plain(1));
    history.submit(Submission { subject: subject(1), ..plain(2) });
    history.refuses(history.started(2), Invariant::OneAtATime);
}

#[test]
fn a_lease_that_was_given_before_is_noticed() {
    let mut history = History::new(5);
    history.submit(plain(1));
    let again = history.lease(1);
    history.submit(Submission { not_before: Some(history.now.after(Duration::from_secs(1))), ..plain(2) });
    history.now = history.now.after(Duration::from_secs(2));
    history.refuses(Event::Started { job: job(2), lease: again, node: node() }, Invariant::LeasesGrow);
}

#[test]
fn a_second_outcome_is_noticed() {
    let mut history = History::new(5);
    history.submit(plain(1));
    let run = Run { job: job(1), lease: history.lease(1) };
    history.send(Command::Finish { run, end: completed() });
    history.refuses(over(1, cancelled()), Invariant::OutcomesAreFinal);
}

#[test]
fn an_outcome_that_is_told_otherwise_is_noticed() {
    let mut history = History::new(5);
    history.submit(plain(1));
    let run = Run { job: job(1), lease: history.lease(1) };
    history.send(Command::Finish { run, end: completed() });
    let command = Command::Cancel { job: job(1), reason: Reason::new("x") };
    let before = history.checker.before(&command);
    let answer = Err(Rejection::Over { job: job(1), outcome: cancelled() });
    let breach = history.checker.told(&command, before, &answer).unwrap_err();
    assert_eq!(breach.invariant, Invariant::OutcomesAreFinal);
}

#[test]
fn a_rule_that_fires_in_its_cooldown_is_noticed() {
    let mut history = History::new(5);
    let rule = RetrainRule::new(Trigger::Fresh { at_least: 10 }).with_cooldown(Duration::from_secs(100));
    let template = Template {
        class: plain_class("line"),
        parameters: Parameters::default(),
        admission: Admission::Queue,
    };
    history.send(Command::SetRule { subject: subject(1), rule, template: Arc::new(template) });
    let observation = Observation { total: 10, lists: None };
    history.send(Command::Observe { subject: subject(1), observation, job: job(1), repeats: 0 });
    let run = Run { job: job(1), lease: history.lease(1) };
    history.send(Command::Finish { run, end: completed() });
    history.now = history.now.after(Duration::from_secs(99));
    let fired = |total: u64, history: &History| {
        let observation = Observation { total, lists: None };
        let verdict = Verdict::Train(Because::Grown);
        let decision = Decision {
            at: history.now,
            rule,
            observation,
            history: trainyard_core::History::default(),
            verdict,
            repeats: 0,
        };
        Event::Decided { subject: subject(1), decision: Arc::new(decision), next_job: job(2) }
    };
    history.refuses(fired(20, &history), Invariant::RulesKeepTheirTerms);
    // Later it may, but not at a total that was seen.
    history.now = history.now.after(Duration::from_secs(1));
    history.refuses(fired(10, &history), Invariant::RulesKeepTheirTerms);
    history.refuses(fired(19, &history), Invariant::RulesKeepTheirTerms);
    let fact = history.fact(fired(20, &history));
    history.checker.take(&fact).unwrap();
    // And then its job follows.
    history.refuses(Event::Ticked, Invariant::RulesKeepTheirTerms);
}

#[test]
fn a_node_that_gets_too_much_is_noticed() {
    let mut history = History::new(1);
    history.submit(plain(1));
    history.submit(plain(2));
    history.refuses(history.started(2), Invariant::NodesAreNotOversubscribed);
}

#[test]
fn a_queue_that_lets_too_many_through_is_noticed() {
    let mut history = History::new(5);
    let queue = QueueName::new("line").unwrap();
    let settings = QueueSettings { running_max: Some(1), ..QueueSettings::default() };
    history.send(Command::ConfigureQueue { queue, settings });
    history.submit(plain(1));
    history.submit(plain(2));
    history.refuses(history.started(2), Invariant::QueuesKeepTheirLimits);
}

#[test]
fn a_paused_queue_that_lets_somebody_through_is_noticed() {
    let mut history = History::new(5);
    history.send(Command::PauseQueue { queue: QueueName::new("line").unwrap(), reason: Reason::new("x") });
    history.submit(plain(1));
    history.refuses(history.started(1), Invariant::QueuesKeepTheirLimits);
}

#[test]
fn a_start_before_its_time_is_noticed() {
    let mut history = History::new(5);
    history.submit(Submission { not_before: Some(history.now.after(Duration::from_secs(1))), ..plain(1) });
    history.refuses(history.started(1), Invariant::StartsAreDue);
}

#[test]
fn a_start_of_a_held_job_is_noticed() {
    let mut history = History::new(5);
    history.send(Command::PauseQueue { queue: QueueName::new("line").unwrap(), reason: Reason::new("x") });
    history.submit(plain(1));
    history.send(Command::Hold { job: job(1), reason: Reason::new("x") });
    history.refuses(history.started(1), Invariant::StartsAreDue);
}

#[test]
fn a_write_under_an_old_lease_is_noticed() {
    let mut history = History::new(5);
    history.submit(plain(1));
    let lease = history.lease(1);
    let run = Run { job: job(1), lease };
    history.send(Command::Finish { run, end: RunEnd::Interrupted { reason: Reason::new("x") } });
    assert_ne!(history.lease(1), lease);
    let report = Command::Report { run, step: 1, performance: None };
    let before = history.checker.before(&report);
    let breach = history.checker.told(&report, before, &Ok(Answer::Done)).unwrap_err();
    assert_eq!(breach.invariant, Invariant::OldLeasesNeverWrite);
    history.refuses(
        Event::Reported { job: job(1), lease, step: 1, performance: None },
        Invariant::OldLeasesNeverWrite,
    );
}

#[test]
fn a_lease_in_force_that_is_refused_is_noticed() {
    let mut history = History::new(5);
    history.submit(plain(1));
    let run = Run { job: job(1), lease: history.lease(1) };
    let report = Command::Report { run, step: 1, performance: None };
    let before = history.checker.before(&report);
    let answer = Err(Rejection::Fenced { job: job(1), lease: run.lease });
    let breach = history.checker.told(&report, before, &answer).unwrap_err();
    assert_eq!(breach.invariant, Invariant::OldLeasesNeverWrite);
}

/// A contest of two, of which the second has reached the target first.
fn contest() -> (History, [Lease; 2]) {
    let mut history = History::new(5);
    let entrant = |n: u128| Entrant {
        id: CandidateId::from_u128(n),
        label: Label::new(format!("{n}")).unwrap(),
        parameters: Parameters::default(),
    };
    let plan = ContestPlan { target: score(0.9), candidates: vec![entrant(1), entrant(2)], median: None };
    history.submit(Submission { contest: Some(Arc::new(plan)), ..plain(1) });
    let live = history.yard.job(job(1)).unwrap().running().unwrap().live.clone();
    let [first, second] = [live[0], live[1]];
    for (lease, value) in [(second, 0.95), (first, 0.99)] {
        let run = Run { job: job(1), lease };
        history.send(Command::Report { run, step: 1, performance: Some(score(value)) });
    }
    (history, [first, second])
}

#[test]
fn a_champion_who_was_not_the_first_is_noticed() {
    let (mut history, [first, _]) = contest();
    let outcome = Outcome::Completed { model: None };
    history.refuses(
        Event::CandidateEnded { job: job(1), lease: first, outcome },
        Invariant::TheFirstToReachWins,
    );
}

#[test]
fn a_contest_that_is_won_by_nobody_is_noticed() {
    let (mut history, _) = contest();
    history.refuses(over(1, Outcome::Completed { model: None }), Invariant::TheFirstToReachWins);
}

#[test]
fn a_value_below_the_target_that_reaches_it_is_noticed() {
    let (mut history, [first, _]) = contest();
    let reached = Event::Reached { job: job(1), lease: first, step: 2, performance: score(0.8) };
    history.refuses(reached, Invariant::TheFirstToReachWins);
}

#[test]
fn a_target_that_was_reached_and_not_heard_is_noticed() {
    let mut history = History::new(5);
    let plan = ContestPlan {
        target: score(0.9),
        candidates: vec![Entrant {
            id: CandidateId::from_u128(1),
            label: Label::new("a").unwrap(),
            parameters: Parameters::default(),
        }],
        median: None,
    };
    history.submit(Submission { contest: Some(Arc::new(plan)), ..plain(1) });
    let run = Run { job: job(1), lease: history.lease(1) };
    let report = Command::Report { run, step: 1, performance: Some(score(0.9)) };
    let before = history.checker.before(&report);
    let breach = history.checker.told(&report, before, &Ok(Answer::Done)).unwrap_err();
    assert_eq!(breach.invariant, Invariant::TheFirstToReachWins);
}

#[test]
fn a_job_that_waits_for_no_reason_is_noticed() {
    let mut history = History::new(5);
    // What could start was not started.
    let submitted = history.fact(Event::Submitted { submission: Arc::new(plain(1)) });
    history.yard.apply(&submitted).unwrap();
    assert_eq!(Checker::settled(&history.yard).unwrap_err().invariant, Invariant::WaitingIsExplained);
}

#[test]
fn an_answer_that_is_not_durable_is_noticed() {
    let history = History::new(5);
    let submit = Command::Submit(Arc::new(plain(1)));
    let before = history.checker.before(&submit);
    let answer = Ok(Answer::Admitted { job: job(1), how: Admitted::New });
    assert_eq!(
        history.checker.told(&submit, before, &answer).unwrap_err().invariant,
        Invariant::OnlyDurableIsShown
    );
}

#[test]
fn a_trainer_that_begins_before_its_start_is_durable_is_noticed() {
    let mut history = History::new(1);
    history.submit(plain(1));
    history.submit(plain(2));
    history.checker.began(node(), Run { job: job(1), lease: history.lease(1) }).unwrap();
    let early = Run { job: job(2), lease: Lease::new(2) };
    assert_eq!(history.checker.began(node(), early).unwrap_err().invariant, Invariant::OnlyDurableIsShown);
}

#[test]
fn a_key_that_makes_two_jobs_is_noticed() {
    let mut history = History::new(5);
    let key = || Some(IdempotencyKey::new("key").unwrap());
    history.submit(Submission { key: key(), ..plain(1) });
    let submission = Submission { key: key(), subject: subject(1), ..plain(2) };
    let submit = Command::Submit(Arc::new(submission.clone()));
    let before = history.checker.before(&submit);
    let answer = Ok(Answer::Admitted { job: job(1), how: Admitted::Joined });
    assert_eq!(
        history.checker.told(&submit, before, &answer).unwrap_err().invariant,
        Invariant::KeysAreUnique
    );
    history.refuses(Event::Submitted { submission: Arc::new(submission) }, Invariant::KeysAreUnique);
}

#[test]
fn time_that_goes_back_is_noticed() {
    let mut history = History::new(5);
    history.now = Timestamp::from_millis(999_999);
    history.refuses(Event::Ticked, Invariant::TimeGoesOn);
}

#[test]
fn a_limit_that_is_enforced_too_early_is_noticed() {
    let mut history = History::new(5);
    history.submit(with_class(1, |class| class.limits.time = Some(Duration::from_secs(10))));
    history.now = history.now.after(Duration::from_millis(9_999));
    history.refuses(over(1, Outcome::TimedOut(TimedOut::Running)), Invariant::LimitsAreKept);
}

#[test]
fn a_limit_that_is_overstepped_is_noticed() {
    let mut history = History::new(5);
    history.submit(with_class(1, |class| class.limits.time = Some(Duration::from_secs(10))));
    let late = Fact { at: history.now.after(Duration::from_secs(10)), event: Event::Ticked };
    history.yard.apply(&late).unwrap();
    assert_eq!(Checker::settled(&history.yard).unwrap_err().invariant, Invariant::LimitsAreKept);
}

#[test]
fn a_retry_too_many_is_noticed() {
    let mut history = History::new(5);
    history.submit(plain(1));
    let (reason, ran) = (Reason::new("x"), Duration::ZERO);
    let not_before = history.now.after(Duration::from_secs(60));
    history.refuses(Event::Retried { job: job(1), reason, not_before, ran }, Invariant::LimitsAreKept);
}

#[test]
fn a_journal_that_contradicts_itself_is_noticed() {
    let mut history = History::new(5);
    history.submit(plain(1));
    assert_eq!(Checker::replay(&history.log).unwrap(), history.yard);
    assert_eq!(Checker::replay(&history.log[1..]).unwrap_err().invariant, Invariant::ReplayIsTheSame);
}

#[test]
fn a_snapshot_that_leads_elsewhere_is_noticed() {
    let mut history = History::new(5);
    history.submit(plain(1));
    let mut snapshot = history.yard.snapshot();
    Checker::leads_back(&history.yard, &snapshot).unwrap();
    snapshot.pop();
    let breach = Checker::leads_back(&history.yard, &snapshot).unwrap_err();
    assert_eq!(breach.invariant, Invariant::SnapshotsAreTheSame);
}

#[test]
fn replicas_that_differ_are_noticed() {
    let mut history = History::new(1);
    history.submit(plain(1));
    history.submit(plain(2));
    let before = history.yard.clone();
    history.send(Command::Hold { job: job(2), reason: Reason::new("x") });
    let breach = Checker::same(Invariant::ReplicasAgree, &before, &history.yard).unwrap_err();
    assert_eq!(breach.invariant, Invariant::ReplicasAgree);
    assert!(breach.what.contains("held"), "{breach}");
    assert_eq!(history.checker.audit(&before).unwrap_err().invariant, Invariant::TheBooksAgree);
}

#[test]
fn a_yard_that_miscounts_is_noticed() {
    let mut history = History::new(5);
    history.submit(plain(1));
    let paused = history.fact(Event::Interrupted {
        job: job(1),
        cause: Interruption::Abrupt,
        reason: Reason::new("x"),
        ran: Duration::ZERO,
    });
    history.yard.apply(&paused).unwrap();
    assert_eq!(history.checker.audit(&history.yard).unwrap_err().invariant, Invariant::TheBooksAgree);
}

#[test]
fn a_yard_that_has_forgotten_what_is_taken_of_a_resource_is_noticed() {
    let mut history = History::new(5);
    let gpu = Resource::new("gpu").unwrap();
    let needy = with_class(1, |class| class.resources = Resources::slots(1).with(gpu.clone(), 1));
    let kinds = [(inside(), Placement::InProcess)].into();
    let abilities = Abilities { kinds, capacity: Resources::slots(5).with(gpu, 1) };
    history.send(Command::JoinNode { node: node(), abilities });
    let before = history.log.len();
    history.submit(needy);
    // The same again, in a yard in which the job needs no such thing.
    let mut other = Yard::default();
    for fact in &history.log[..before] {
        other.apply(fact).unwrap();
    }
    for fact in &history.log[before..] {
        let mut fact = fact.clone();
        if let Event::Submitted { submission } = &mut fact.event {
            *submission = Arc::new(plain(1));
        }
        other.apply(&fact).unwrap();
    }
    history.checker.audit(&history.yard).unwrap();
    let breach = history.checker.audit(&other).unwrap_err();
    assert_eq!(breach.invariant, Invariant::NodesAreNotOversubscribed, "{breach}");
}

#[test]
fn a_disk_that_loses_what_it_has_synced_is_noticed() {
    for seed in 1..=20 {
        let faults = Faults { betrays: Odds::ALWAYS, crash: Odds::one_in(100), ..Faults::none() };
        let faults = Faults { away_max: Duration::from_secs(10), ..faults };
        let violation =
            Simulation::new(seed).with_nodes(1).with_faults(faults).with_events(2_000).run().unwrap_err();
        assert_eq!(violation.breach.invariant, Invariant::TheDiskIsRead, "{violation}");
        let told = violation.to_string();
        assert!(told.starts_with(&format!("seed {seed}, event ")), "{told}");
        assert!(told.ends_with(&format!("TRAINYARD_SEED={seed})")), "{told}");
    }
}

#[test]
fn a_disk_that_betrays_one_node_is_noticed_by_another() {
    for seed in 1..=10 {
        let faults = Faults { betrays: Odds::ALWAYS, crash: Odds::one_in(100), ..Faults::none() };
        let faults = Faults { away_max: Duration::from_secs(10), ..faults };
        let world = Simulation::new(seed).with_nodes(3).with_faults(faults).with_events(2_000);
        let violation = world.run().unwrap_err();
        assert_eq!(violation.breach.invariant, Invariant::TheDiskIsRead, "{violation}");
    }
}

/// One job that no node can ever run.
struct Huge(bool);

impl Workload for Huge {
    fn next(&mut self, scene: &mut UserScene<'_>) -> Option<Wish> {
        let is_first = std::mem::replace(&mut self.0, false);
        let mut submission = scene.submission("line", 1);
        let mut class = (*submission.class).clone();
        class.resources = Resources::slots(99);
        submission.class = Arc::new(class);
        is_first.then(|| Wish::after(Duration::from_secs(1), submission))
    }
}

#[test]
fn what_never_ends_is_noticed() {
    let violation = Simulation::new(1)
        .with_workload(Huge(true))
        .with_faults(Faults::none())
        .with_drain_max(Duration::from_secs(3_600))
        .with_events(50)
        .run()
        .unwrap_err();
    assert_eq!(violation.breach.invariant, Invariant::EverythingEnds);
    assert!(violation.breach.what.contains("NoCapacity"), "it says why: {violation}");
}

/// Trainers that do as they should, and hang for ever once they have begun.
#[test]
fn whoever_hangs_is_healed_in_the_end() {
    let hang = |_: &mut Scene<'_>| Act::new(Duration::from_secs(1), Deed::Hang);
    let report = Simulation::new(2).with_trainer(hang).with_events(2_000).run().unwrap();
    assert!(report.outcomes().total() > 0);
}
