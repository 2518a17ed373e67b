//! What is kept, and for how long: finished jobs and models.
#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use support::desk::{Desk, class, on, queue, usual};
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

/// Says how much is kept of a queue.
fn keep(desk: &mut Desk, queue: &QueueName, finished_max: Option<u32>, models_max: Option<u32>) {
    let retention = Retention { finished_max, models_max };
    desk.ok(&Command::SetRetention { queue: queue.clone(), retention });
    assert_eq!(desk.yard.queue(queue).map(|queue| queue.retention), Some(retention));
}

/// Usual jobs of two queues.
fn two_queues() -> [Arc<Class>; 2] {
    ["long", "short"].map(|name| class(|class| class.queue = queue(name)))
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
fn what_is_over_is_listed_by_its_queue() {
    let mut desk = Desk::with_slots(2);
    let [long, short] = two_queues();
    let over =
        |desk: &Desk, name: &str| -> Vec<JobId> { desk.yard.over(&queue(name)).map(|job| job.id).collect() };
    let jobs = ["a", "b", "c"].map(|name| {
        let job = desk.submit(name, &long);
        desk.complete(job);
        job
    });
    let other = desk.submit("d", &short);
    desk.complete(other);
    let running = desk.submit("e", &long);
    assert_eq!((over(&desk, "long"), over(&desk, "short")), (jobs.to_vec(), vec![other]));
    desk.cancel(running);
    assert_eq!(over(&desk, "long"), jobs, "its trainer has yet to stop");
    desk.finish(running, RunEnd::Stopped);
    assert_eq!(desk.yard.over(&queue("long")).next_back().map(|job| job.id), Some(running));
    assert!(over(&desk, "nowhere").is_empty());
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
fn a_lower_bound_for_finished_jobs_holds_at_once() {
    let mut desk = Desk::with_slots(1);
    let [long, short] = two_queues();
    let mut jobs = Vec::new();
    for class in [&long, &short, &long, &short, &long] {
        let job = desk.submit("subject", class);
        desk.complete(job);
        jobs.push(job);
    }
    keep(&mut desk, &long.queue, Some(1), None);
    let events: Vec<&Event> = desk.last.iter().map(|fact| &fact.event).collect();
    let retention = Retention { finished_max: Some(1), models_max: None };
    let set = Event::RetentionSet { queue: long.queue.clone(), retention };
    assert_eq!(events, [&set, &Event::Forgotten { jobs: vec![jobs[0], jobs[2]] }]);
    keep(&mut desk, &long.queue, Some(1), None);
    assert!(desk.last.is_empty(), "that is so already");
    desk.settings(|settings| settings.finished_max = 0);
    let kept: Vec<JobId> = desk.yard.jobs().map(|job| job.id).collect();
    assert_eq!(kept, [jobs[4]], "what was said of a queue goes before what is said of all");
    keep(&mut desk, &long.queue, None, None);
    assert_eq!(desk.yard.jobs().count(), 0, "it is like the others again");
}

#[test]
fn a_lower_bound_for_models_waits_for_the_next_one_of_the_registry() {
    let mut desk = Desk::with_slots(1);
    let [long, short] = two_queues();
    keep(&mut desk, &long.queue, None, Some(1_000));
    let mut models = Vec::new();
    for _ in 0..30 {
        let job = desk.submit("a", &long);
        models.push(desk.train(job, Metrics::new()));
    }
    assert_eq!(kept(&desk, "a"), models, "more than the 16 and one that others keep");
    keep(&mut desk, &long.queue, None, Some(2));
    let job = desk.submit("b", &long);
    desk.train(job, Metrics::new());
    assert_eq!(kept(&desk, "a"), models, "nobody has come to its registry since");
    let job = desk.submit("a", &short);
    models.push(desk.train(job, Metrics::new()));
    assert_eq!(
        kept(&desk, "a"),
        models[models.len() - 17..],
        "it came from a queue of which nothing is said"
    );
    let job = desk.submit("a", &long);
    models.push(desk.train(job, Metrics::new()));
    assert_eq!(kept(&desk, "a"), models[models.len() - 3..]);
}

#[test]
fn there_are_only_so_many_queues() {
    let mut desk = Desk::new();
    for n in 0..Queue::QUEUES_MAX {
        keep(&mut desk, &queue(&format!("queue {n}")), Some(1), None);
    }
    let set = |name| Command::SetRetention { queue: queue(name), retention: Retention::default() };
    assert_eq!(desk.send(&set("one more")), Err(Rejection::TooManyQueues));
    desk.ok(&set("queue 0"));
}

#[test]
fn everything_in_the_books_is_listed() {
    let mut desk = Desk::new();
    for node in [2, 1] {
        desk.join(node, Resources::slots(1));
    }
    for (subject, class) in ["b", "a"].into_iter().zip(two_queues()) {
        let job = desk.submit(subject, &class);
        desk.train(job, Metrics::new());
        let template = Template { class, parameters: Parameters::default(), admission: Admission::Join };
        let (rule, template) = (RetrainRule::new(Trigger::Fresh { at_least: 1 }), Arc::new(template));
        desk.ok(&Command::SetRule { subject: on(subject), rule, template });
    }
    let yard = &desk.yard;
    assert_eq!(yard.nodes().map(|(id, _)| id).collect::<Vec<_>>(), [1, 2].map(NodeId::from_u128));
    assert_eq!(yard.queues().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["long", "short"]);
    assert_eq!(yard.rules().map(|(subject, _)| subject.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(yard.registries().map(Registry::as_str).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(yard.jobs().map(|job| job.subject.as_str()).collect::<Vec<_>>(), ["b", "a"]);
    for registry in yard.registries() {
        assert_eq!(
            yard.models(registry).map(|model| model.id).collect::<Vec<_>>(),
            [yard.active_model(registry).unwrap().id]
        );
    }
}

/// The form of a stored queue is older than that.
#[test]
fn how_much_a_queue_keeps_is_told_in_a_fact_of_its_own() {
    let mut desk = Desk::new();
    keep(&mut desk, &queue("line"), Some(7), Some(8));
    let events: Vec<Event> = desk.yard.snapshot().into_iter().map(|fact| fact.event).collect();
    let retention = Retention { finished_max: Some(7), models_max: Some(8) };
    assert!(events.contains(&Event::RetentionSet { queue: queue("line"), retention }));
    let stored = Restored::Queue { name: queue("line"), queue: Queue::default() };
    assert!(events.contains(&Event::Restored(Box::new(stored))), "{events:?}");
}

#[test]
fn a_node_has_only_so_many_kinds() {
    let mut desk = Desk::new();
    let mut join = |count: usize| {
        let kind = |n| (Kind::new(format!("kind {n}")).unwrap(), Placement::InProcess);
        let abilities = Abilities { kinds: (0..count).map(kind).collect(), capacity: Resources::slots(1) };
        desk.send(&Command::JoinNode { node: NodeId::from_u128(1), abilities })
    };
    join(Abilities::KINDS_MAX).unwrap();
    assert_eq!(join(Abilities::KINDS_MAX + 1), Err(Rejection::TooManyKinds));
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
fn a_model_that_passes_its_trainers_own_gate_is_active() {
    let mut desk = Desk::with_slots(1);
    let (metric, least) = recall(50).into_iter().next().unwrap();
    let gated = class(|class| class.promotion = Promotion::AtLeast(metric.clone(), least));
    let mut winners = Vec::new();
    for value in [40, 60, 50, 49] {
        let job = desk.submit("subject", &gated);
        desk.train(job, recall(value));
        winners.push(desk.yard.active_model(&registry("subject")).map(|model| model.metrics.clone()));
    }
    assert_eq!(winners, [None, Some(recall(60)), Some(recall(50)), Some(recall(50))]);
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

/// How many of so many finished jobs are forgotten now, the oldest first, when so many were.
fn forgotten(done: usize, before: usize, max: u32) -> usize {
    let max = max as usize;
    if done - before > max + max / 8 { done - max } else { before }
}

proptest! {
    #![proptest_config(cases(200))]

    /// The newest few besides the active one, and no more: as many as is said of the queue that the last one came from,
    /// or else of the yard.
    #[test]
    fn models_beyond_the_bound_are_forgotten(
        max in 0_u32..5,
        steps in prop::collection::vec(
            (0_u8..5, any::<prop::sample::Index>(), 0_u8..100, 0_usize..2, prop::option::of(0_u32..5)), 0..40,
        ),
    ) {
        let mut desk = Desk::with_slots(1);
        desk.settings(|settings| settings.models_max = max);
        let metric = Metric::new("recall").unwrap();
        let classes = [Promotion::Newest, Promotion::Manual, Promotion::Best(metric.clone())]
            .map(|promotion| two_queues().map(|class| Class { promotion: promotion.clone(), ..(*class).clone() }));
        let mut own: [Option<u32>; 2] = [None; 2];
        let mut naive: Vec<(ModelId, u8)> = Vec::new();
        let mut naive_active: Option<ModelId> = None;
        for (what, which, value, queue, bound) in steps {
            if let Some(classes) = classes.get(usize::from(what)) {
                let job = desk.submit("subject", &Arc::new(classes[queue].clone()));
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
                let max = own[queue].unwrap_or(max) as usize;
                while naive.iter().filter(|(id, _)| Some(*id) != naive_active).count() > max {
                    let oldest = naive.iter().position(|(id, _)| Some(*id) != naive_active && *id != model);
                    let Some(oldest) = oldest else { break };
                    naive.remove(oldest);
                }
            } else if what == 3 {
                keep(&mut desk, &two_queues()[queue].queue, None, bound);
                own[queue] = bound;
            } else if !naive.is_empty() {
                let (model, _) = naive[which.index(naive.len())];
                desk.ok(&Command::Activate { model });
                naive_active = Some(model);
            }
            prop_assert_eq!(kept(&desk, "subject"), naive.iter().map(|(id, _)| *id).collect::<Vec<_>>());
            prop_assert_eq!(active(&desk, "subject"), naive_active);
        }
    }

    /// What is kept of a queue is its newest, as many as is said of it or else of the yard, whatever happens in the
    /// others; and answers about it stay right.
    #[test]
    fn retention_keeps_the_newest_of_each_queue(
        max in 0_u32..20,
        work in prop::collection::vec(
            (0_usize..2, 0_u8..3, 0_u8..4, prop::option::weighted(0.1, prop::option::of(0_u32..20))), 0..60,
        ),
    ) {
        let mut desk = Desk::with_slots(4);
        desk.settings(|settings| settings.finished_max = max);
        let classes = two_queues();
        let mut own: [Option<u32>; 2] = [None; 2];
        let mut done: [Vec<JobId>; 2] = Default::default();
        let mut gone: [usize; 2] = [0; 2];
        let mut newest = BTreeMap::new();
        for (queue, subject, end, bound) in work {
            if let Some(bound) = bound {
                keep(&mut desk, &classes[queue].queue, bound, None);
                own[queue] = bound;
                gone[queue] = forgotten(done[queue].len(), gone[queue], bound.unwrap_or(max));
            }
            let subject = format!("subject {subject}");
            let job = desk.submit(&subject, &classes[queue]);
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
            gone[queue] = forgotten(done[queue].len(), gone[queue], own[queue].unwrap_or(max));
            for (done, gone) in done.iter().zip(gone) {
                let kept = done.iter().filter(|job| desk.yard.job(**job).is_some());
                prop_assert!(kept.eq(&done[gone..]), "{} of {} are forgotten", gone, done.len());
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
