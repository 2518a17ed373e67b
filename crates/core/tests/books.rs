//! What is kept, and for how long: finished jobs and models.
#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use support::desk::{Desk, class, on, usual};
use support::{cases, score};
use trainyard_core::*;

fn recall(value: u8) -> Metrics {
    Metrics::from([(Metric::new("recall").unwrap(), score(value))])
}

fn registry(name: &str) -> Registry {
    Registry::new(name).unwrap()
}

fn kept(desk: &Desk, name: &str) -> Vec<ModelId> {
    desk.yard.models(&registry(name)).map(|model| model.id).collect()
}

fn active(desk: &Desk, name: &str) -> Option<ModelId> {
    desk.yard.active_model(&registry(name)).map(|model| model.id)
}

#[test]
fn the_oldest_finished_jobs_are_forgotten_in_batches() {
    let mut desk = Desk::with_slots(1);
    desk.settings(|settings| settings.finished_max = 8);
    let mut jobs = Vec::new();
    for n in 0..9 {
        let job = desk.submit(&format!("subject {n}"), &usual());
        desk.complete(job);
        jobs.push(job);
    }
    assert_eq!(desk.yard.jobs().count(), 9, "an eighth more, so that it is done in batches");
    let more = desk.submit("one more", &usual());
    desk.complete(more);
    assert_eq!(
        desk.last.last().map(|fact| &fact.event),
        Some(&Event::Forgotten { jobs: jobs[..2].to_vec() })
    );
    assert_eq!(desk.yard.jobs().count(), 8);
    let gone = desk.send(&Command::Cancel { job: jobs[0], reason: Reason::new("late") });
    assert_eq!(gone, Err(Rejection::NoJob(jobs[0])));
}

#[test]
fn what_still_occupies_is_not_forgotten() {
    let mut desk = Desk::with_slots(2);
    desk.settings(|settings| settings.finished_max = 0);
    let draining = desk.submit("draining", &usual());
    desk.cancel(draining);
    let done = desk.submit("done", &usual());
    desk.complete(done);
    assert!(desk.yard.job(done).is_none());
    assert!(desk.yard.job(draining).is_some());
    desk.finish(draining, RunEnd::Stopped);
    assert!(desk.yard.job(draining).is_none());
}

#[test]
fn the_newest_model_is_active_unless_somebody_else_decides() {
    let mut desk = Desk::with_slots(1);
    let first = {
        let job = desk.submit("subject", &usual());
        desk.train(job, Metrics::new())
    };
    assert_eq!(active(&desk, "subject"), Some(first));
    let manual = class(|class| class.promotion = Promotion::Manual);
    let job = desk.submit("subject", &manual);
    let second = desk.train(job, Metrics::new());
    assert_eq!((active(&desk, "subject"), kept(&desk, "subject")), (Some(first), vec![first, second]));
    assert_eq!(desk.yard.model(second).unwrap().parent, Some(first));
    desk.ok(&Command::Activate { model: second });
    assert_eq!(active(&desk, "subject"), Some(second));
    desk.ok(&Command::Activate { model: second });
    assert!(desk.last.is_empty(), "it is already");
    let nobody = ModelId::from_u128(999);
    assert_eq!(desk.send(&Command::Activate { model: nobody }), Err(Rejection::NoModel(nobody)));
}

#[test]
fn the_best_model_is_active() {
    let mut desk = Desk::with_slots(1);
    let best = class(|class| class.promotion = Promotion::Best(Metric::new("recall").unwrap()));
    let mut winners = Vec::new();
    for value in [50, 40, 50, 60] {
        let job = desk.submit("subject", &best);
        desk.train(job, recall(value));
        winners.push(desk.yard.active_model(&registry("subject")).unwrap().metrics.clone());
    }
    assert_eq!(winners, [recall(50), recall(50), recall(50), recall(60)]);
}

#[test]
fn a_training_that_found_nothing_to_do_makes_no_model() {
    let mut desk = Desk::with_slots(1);
    let job = desk.submit("subject", &usual());
    desk.complete(job);
    assert_eq!(desk.job(job).outcome(), Some(&Outcome::Completed { model: None }));
    assert_eq!(desk.yard.registries().count(), 0);
}

#[test]
fn a_subject_that_is_no_more_leaves_nothing_behind() {
    let mut desk = Desk::with_slots(1);
    let shared = class(|class| class.registry = Some(registry("shared")));
    let mut models = Vec::new();
    for subject in ["a", "b"] {
        let job = desk.submit(subject, &shared);
        models.push(desk.train(job, Metrics::new()));
    }
    let running = desk.submit("b", &shared);
    let waiting = desk.submit("b", &shared);
    let rule = RetrainRule::new(Trigger::Fresh { at_least: 1 });
    let template = Template { class: usual(), parameters: Parameters::default(), admission: Admission::Join };
    desk.ok(&Command::SetRule { subject: on("b"), rule, template: template.into() });
    desk.ok(&Command::Retire { subject: on("b") });
    for job in [running, waiting] {
        assert!(matches!(desk.job(job).outcome(), Some(Outcome::Cancelled { .. })));
    }
    assert!(desk.yard.rule(&on("b")).is_none());
    assert_eq!(
        (kept(&desk, "shared"), active(&desk, "shared")),
        (vec![models[0]], None),
        "of a shared set only its own"
    );
    desk.finish(running, RunEnd::Stopped);
    assert_eq!(desk.yard.occupying().count(), 0);
    desk.ok(&Command::Retire { subject: on("b") });
    assert!(desk.last.is_empty(), "there is nothing left of it");
}

proptest! {
    #![proptest_config(cases(200))]

    /// The newest few besides the active one, and no more.
    #[test]
    fn models_beyond_the_bound_are_forgotten(
        max in 0_u32..5, steps in prop::collection::vec((0_u8..4, any::<prop::sample::Index>(), 0_u8..100), 0..30),
    ) {
        let mut desk = Desk::with_slots(1);
        desk.settings(|settings| settings.models_max = max);
        let metric = Metric::new("recall").unwrap();
        let classes = [Promotion::Newest, Promotion::Manual, Promotion::Best(metric.clone())]
            .map(|promotion| class(|class| class.promotion = promotion));
        let mut naive: Vec<(ModelId, u8)> = Vec::new();
        let mut naive_active: Option<ModelId> = None;
        for (what, which, value) in steps {
            if let Some(class) = classes.get(usize::from(what)) {
                let job = desk.submit("subject", class);
                let model = desk.train(job, recall(value));
                let best = naive.iter().find(|(id, _)| Some(*id) == naive_active).map(|(_, value)| *value);
                naive.push((model, value));
                let promoted = match what {
                    0 => true,
                    1 => false,
                    _ => best.is_none_or(|best| value > best),
                };
                if promoted {
                    naive_active = Some(model);
                }
                while naive.iter().filter(|(id, _)| Some(*id) != naive_active).count() > max as usize {
                    let oldest = naive.iter().position(|(id, _)| Some(*id) != naive_active && *id != model);
                    let Some(oldest) = oldest else { break };
                    naive.remove(oldest);
                }
            } else if !naive.is_empty() {
                let (model, _) = naive[which.index(naive.len())];
                desk.ok(&Command::Activate { model });
                naive_active = Some(model);
            }
            prop_assert_eq!(kept(&desk, "subject"), naive.iter().map(|(id, _)| *id).collect::<Vec<_>>());
            prop_assert_eq!(active(&desk, "subject"), naive_active);
        }
    }

    /// Whatever is kept of a queue is its newest, whatever happens in the others, and answers about it stay right.
    #[test]
    fn retention_keeps_the_newest_of_each_queue(
        max in 0_u32..20,
        work in prop::collection::vec((0_usize..2, 0_u8..3, 0_u8..4), 0..60),
    ) {
        let mut desk = Desk::with_slots(4);
        desk.settings(|settings| settings.finished_max = max);
        let mut done: [Vec<JobId>; 2] = Default::default();
        let mut newest = BTreeMap::new();
        for (queue, subject, end) in work {
            let class = Class { queue: QueueName::new(["long", "short"][queue]).unwrap(), ..(*usual()).clone() };
            let subject = format!("subject {subject}");
            let job = desk.submit(&subject, &Arc::new(class));
            newest.insert(subject.clone(), job);
            let found = |desk: &Desk| desk.yard.newest(&Subject::new(&*subject).unwrap()).map(|job| job.id);
            prop_assert_eq!(found(&desk), Some(job), "in line or at work");
            if end == 0 {
                desk.cancel(job);
                prop_assert_eq!(found(&desk), Some(job), "over, while its trainer has yet to stop");
                desk.finish(job, RunEnd::Stopped);
            } else {
                desk.complete(job);
            }
            done[queue].push(job);
            for done in &done {
                let kept = done.iter().filter(|job| desk.yard.job(**job).is_some()).count();
                prop_assert!(done[done.len() - kept..].iter().all(|job| desk.yard.job(*job).is_some()));
                prop_assert!(kept <= (max + max / 8) as usize);
                prop_assert!(kept >= done.len().min(max as usize));
            }
            for (subject, job) in &newest {
                let kept = desk.yard.job(*job).map(|job| job.id);
                let found = desk.yard.newest(&Subject::new(&**subject).unwrap()).map(|job| job.id);
                prop_assert!(found == kept || kept.is_none(), "{} {:?} {:?}", subject, found, kept);
            }
        }
        let mut forgotten = done.iter().flatten().filter(|job| desk.yard.job(**job).is_none());
        prop_assert!(forgotten.all(|job| desk.yard.explain(desk.now, *job).is_none()));
    }
}
