//! Retrain rules in a yard.

mod support;

use std::sync::Arc;

use proptest::prelude::*;
use support::cases;
use support::desk::{Desk, NODE_LEASE, at, class, on, queue, secs, usual};
use trainyard_core::*;

const GROWTH: u64 = 10;

fn set(desk: &mut Desk, rule: RetrainRule, admission: Admission) {
    let template = Arc::new(Template { class: usual(), parameters: Parameters::default(), admission });
    desk.ok(&Command::SetRule { subject: on("index"), rule, template });
}

fn fresh() -> RetrainRule {
    RetrainRule::new(Trigger::Fresh { at_least: GROWTH })
}

fn observe(desk: &mut Desk, total: u64) -> (Arc<Decision>, Option<JobId>) {
    let job = JobId::from_u128(desk.id());
    let observation = Observation { total, lists: None };
    let answer = desk.ok(&Command::Observe { subject: on("index"), observation, job, repeats: 0 });
    let Answer::Decided { decision, job } = answer else {
        panic!("an observation was answered with {answer:?}")
    };
    (decision, job)
}

fn waits(desk: &mut Desk, total: u64) -> Vec<Unmet> {
    match observe(desk, total) {
        (decision, None) => match &decision.verdict {
            Verdict::Wait(unmet) => unmet.clone(),
            Verdict::Train(because) => panic!("it fires without a job: {because}"),
        },
        (decision, Some(_)) => panic!("it fires: {decision}"),
    }
}

fn fires(desk: &mut Desk, total: u64) -> JobId {
    let (decision, job) = observe(desk, total);
    job.unwrap_or_else(|| panic!("it does not fire: {decision}"))
}

fn decisions(desk: &Desk) -> usize {
    let is_decided = |fact: &&Fact| matches!(fact.event, Event::Decided { .. });
    desk.log.iter().filter(is_decided).count()
}

#[test]
fn a_rule_fires_once() {
    let mut desk = Desk::with_slots(1);
    set(&mut desk, fresh(), Admission::Join);
    assert_eq!(waits(&mut desk, 9), [Unmet::Count { more: Some(1) }]);
    let job = fires(&mut desk, 10);
    assert_eq!(desk.job(job).watermark(), Some(10));
    assert_eq!(waits(&mut desk, 50), [Unmet::Unfinished { job }]);
    desk.complete(job);
    assert_eq!(waits(&mut desk, 10), [Unmet::Count { more: Some(10) }], "never again at the same total");
    assert_eq!(waits(&mut desk, 19), [Unmet::Count { more: Some(1) }]);
    fires(&mut desk, 20);
}

#[test]
fn a_rule_submits_what_its_template_says() {
    let mut desk = Desk::with_slots(1);
    let class = class(|class| class.retry.retries_max = 3);
    let parameters = Parameters::new(*b"lists=auto").unwrap();
    let mut total = 0;
    for admission in [Admission::Join, Admission::Trail] {
        let template = Template { class: Arc::clone(&class), parameters: parameters.clone(), admission };
        let (rule, template) = (fresh(), Arc::new(template));
        desk.ok(&Command::SetRule { subject: on("index"), rule, template });
        total += 10;
        let job = fires(&mut desk, total);
        let submitted = desk.log.iter().find_map(|fact| {
            let Event::Submitted { submission } = &fact.event else { return None };
            (submission.job == job).then(|| Arc::clone(submission))
        });
        let expected = Submission {
            parameters: parameters.clone(),
            admission,
            watermark: Some(total),
            ..Submission::new(job, on("index"), Arc::clone(&class))
        };
        assert_eq!(*submitted.unwrap(), expected);
        assert_eq!(desk.job(job).parameters, parameters);
        desk.complete(job);
    }
}

#[test]
fn a_decision_is_stored_when_it_says_something_else() {
    let mut desk = Desk::with_slots(1);
    set(&mut desk, fresh(), Admission::Join);
    waits(&mut desk, 3);
    assert_eq!(decisions(&desk), 1);
    for total in 4..9 {
        waits(&mut desk, total);
        assert!(desk.last.is_empty(), "another number is no other verdict");
    }
    let job = fires(&mut desk, 10);
    waits(&mut desk, 20);
    assert_eq!(decisions(&desk), 3);
    desk.complete(job);
    fires(&mut desk, 20);
    assert_eq!(decisions(&desk), 4, "that it fires is always stored");
    let rule = desk.yard.rule(&on("index")).unwrap();
    assert_eq!(rule.decision.as_ref().unwrap().verdict, Verdict::Train(Because::First));
}

#[test]
fn the_end_of_a_cooldown_fires_by_itself() {
    let mut desk = Desk::with_slots(1);
    set(&mut desk, fresh().with_cooldown(secs(3_600)), Admission::Join);
    let first = fires(&mut desk, 10);
    desk.pass(secs(60));
    desk.complete(first);
    assert_eq!(waits(&mut desk, 25), [Unmet::Cooldown { left: secs(3_540) }]);
    assert_eq!(desk.yard.next_deadline(), Some(at(3_600)));
    desk.pass(secs(3_539));
    assert_eq!(desk.yard.unfinished(&on("index")).count(), 0);
    desk.pass(secs(1));
    let job = desk.yard.unfinished(&on("index")).next().expect("nobody had to ask").clone();
    assert_eq!((job.watermark(), job.submitted_at), (Some(25), at(3_600)));
    desk.complete(job.id);
    desk.pass(secs(100_000));
    assert_eq!(desk.yard.unfinished(&on("index")).count(), 0, "once");
}

#[test]
fn age_makes_up_for_growth_by_itself() {
    let mut desk = Desk::with_slots(1);
    set(&mut desk, fresh().with_max_interval(secs(1_000)), Admission::Join);
    let first = fires(&mut desk, 10);
    desk.complete(first);
    assert_eq!(waits(&mut desk, 10), [Unmet::Count { more: Some(10) }]);
    desk.pass(secs(2_000));
    assert_eq!(desk.yard.unfinished(&on("index")).count(), 0, "age alone is nothing");
    let (decision, job) = observe(&mut desk, 11);
    assert_eq!(decision.verdict, Verdict::Train(Because::Age));
    desk.complete(job.unwrap());
    set(&mut desk, fresh().with_max_interval(secs(500)), Admission::Join);
    assert_eq!(waits(&mut desk, 12), [Unmet::Count { more: Some(9) }]);
    desk.pass(secs(500));
    assert_eq!(desk.yard.unfinished(&on("index")).count(), 1);
}

#[test]
fn a_failure_backs_off_and_comes_back_by_itself() {
    let mut desk = Desk::with_slots(1);
    let backoff = Backoff::new(secs(60), secs(3_600));
    set(&mut desk, fresh().with_backoff(backoff), Admission::Join);
    let job = fires(&mut desk, 10);
    desk.fail(job, Advice::Retry);
    assert_eq!(waits(&mut desk, 10), [Unmet::Backoff { left: secs(60), failures: 1 }]);
    desk.pass(secs(60));
    let job = desk.yard.unfinished(&on("index")).next().expect("it is tried again").id;
    desk.fail(job, Advice::Retry);
    assert_eq!(waits(&mut desk, 10), [Unmet::Backoff { left: secs(120), failures: 2 }]);
    desk.pass(secs(120));
    let job = desk.yard.unfinished(&on("index")).next().unwrap().id;
    desk.complete(job);
    assert_eq!(waits(&mut desk, 10), [Unmet::Count { more: Some(10) }]);
    assert_eq!(desk.yard.rule(&on("index")).unwrap().history.failures, 0);
}

#[test]
fn one_run_trails_the_present_one() {
    let mut desk = Desk::with_slots(1);
    set(&mut desk, fresh(), Admission::Trail);
    let first = fires(&mut desk, 10);
    assert_eq!(waits(&mut desk, 10), [Unmet::Count { more: Some(10) }], "it is being trained on");
    let second = fires(&mut desk, 20);
    assert!(desk.is_running(first) && !desk.is_running(second));
    let in_the_way = waits(&mut desk, 50);
    assert_eq!(in_the_way, [Unmet::Unfinished { job: second }]);
    desk.complete(first);
    assert!(desk.is_running(second));
    assert_eq!(waits(&mut desk, 20), [Unmet::Count { more: Some(10) }]);
    desk.fail(second, Advice::Retry);
    desk.pass(secs(60));
    fires(&mut desk, 20);
}

#[test]
fn what_fires_but_cannot_be_let_in_waits_for_the_next_observation() {
    let mut desk = Desk::with_slots(1);
    set(&mut desk, fresh().with_cooldown(secs(100)), Admission::Join);
    let first = fires(&mut desk, 10);
    desk.complete(first);
    waits(&mut desk, 20);
    let settings = QueueSettings { waiting_max: 0, ..QueueSettings::default() };
    desk.ok(&Command::ConfigureQueue { queue: queue("line"), settings });
    desk.pass(secs(200));
    assert_eq!(desk.yard.unfinished(&on("index")).count(), 0);
    let decision = desk.yard.rule(&on("index")).unwrap().decision.clone().unwrap();
    assert_eq!(
        (decision.at, &decision.verdict),
        (at(100), &Verdict::Wait(vec![])),
        "told when the cooldown ended"
    );
    let observation = Observation { total: 20, lists: None };
    let job = JobId::from_u128(desk.id());
    let refused = desk.send(&Command::Observe { subject: on("index"), observation, job, repeats: 0 });
    assert_eq!(refused, Err(Rejection::QueueFull { queue: queue("line"), max: 0 }));
    desk.ok(&Command::ConfigureQueue { queue: queue("line"), settings: QueueSettings::default() });
    fires(&mut desk, 20);
}

#[test]
fn a_rule_can_be_switched_off_changed_and_removed() {
    let mut desk = Desk::with_slots(1);
    set(&mut desk, fresh().with_switch(Switch::Off), Admission::Join);
    assert_eq!(waits(&mut desk, 10), [Unmet::Off]);
    assert_eq!(desk.yard.next_deadline(), Some(at(0).after(NODE_LEASE)), "only that of its node");
    set(&mut desk, fresh(), Admission::Join);
    let job = fires(&mut desk, 10);
    desk.complete(job);
    set(&mut desk, RetrainRule::new(Trigger::Fresh { at_least: 1 }), Admission::Join);
    assert_eq!(waits(&mut desk, 10), [Unmet::Count { more: Some(1) }], "what it remembers is kept");
    let before = desk.log.len();
    set(&mut desk, RetrainRule::new(Trigger::Fresh { at_least: 1 }), Admission::Join);
    assert_eq!(desk.log.len(), before, "the same rule again is no news");
    desk.ok(&Command::RemoveRule { subject: on("index") });
    assert_eq!(desk.send(&Command::RemoveRule { subject: on("index") }), Err(Rejection::NoRule(on("index"))));
}

#[test]
fn an_explicit_training_counts_as_seen() {
    let mut desk = Desk::with_slots(1);
    set(&mut desk, fresh(), Admission::Join);
    let mut explicit = desk.submission("index", &class(|_| {}));
    explicit.watermark = Some(15);
    let (job, _) = desk.admit(explicit).unwrap();
    assert_eq!(waits(&mut desk, 15), [Unmet::Unfinished { job }]);
    desk.complete(job);
    assert_eq!(waits(&mut desk, 15), [Unmet::Count { more: Some(10) }]);
}

proptest! {
    #![proptest_config(cases(300))]

    /// Whatever is observed, told twice or in any order, the totals that were trained on successfully only grow, by at
    /// least what the rule asks for, and nothing is trained on twice.
    #[test]
    fn the_watermark_law(
        steps in prop::collection::vec((0_u64..60, 0_u8..8, 0_u64..200), 0..60),
        cooldown in 0_u64..100,
        trail in any::<bool>(),
    ) {
        let mut desk = Desk::with_slots(1);
        let admission = if trail { Admission::Trail } else { Admission::Join };
        set(&mut desk, fresh().with_cooldown(secs(cooldown)), admission);
        let mut trained: Vec<u64> = Vec::new();
        for (total, what, wait) in steps {
            desk.pass(secs(wait));
            observe(&mut desk, total);
            let known = desk.yard.jobs().count();
            observe(&mut desk, total);
            prop_assert_eq!(desk.yard.jobs().count(), known, "told twice");
            let running = desk.yard.unfinished(&on("index")).find(|job| job.running().is_some()).cloned();
            if let Some(job) = running {
                match what {
                    0 => drop(desk.fail(job.id, Advice::Retry)),
                    1..4 => {
                        desk.complete(job.id);
                        trained.extend(job.watermark());
                    }
                    _ => {}
                }
            }
        }
        prop_assert!(trained.first().is_none_or(|first| *first >= GROWTH));
        prop_assert!(trained.is_sorted_by(|a, b| a + GROWTH <= *b), "{:?}", trained);
    }
}
