//! What holds in every yard, whatever happens to it.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use support::{Step, World, cases, census, live_runs, rebuilt, steps};
use trainyard_core::*;

proptest! {
    #![proptest_config(cases(120))]

    #[test]
    fn replaying_the_facts_rebuilds_the_yard(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        prop_assert_eq!(&rebuilt(&world.log), &world.yard);
        prop_assert_eq!(&rebuilt(&world.yard.snapshot()), &world.yard, "from the snapshot");
    }

    #[test]
    fn deciding_changes_nothing_and_the_deadline_lies_ahead(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            let (command, _) = world.try_step(step);
            let before = world.yard.clone();
            let facts = world.log.len();
            let first = world.yard.decide(world.now, &command);
            let second = world.yard.decide(world.now, &command);
            prop_assert_eq!(first, second);
            prop_assert_eq!(&before, &world.yard);
            world.send(&Command::Tick).unwrap();
            if let Step::Pass(_) = step {
                prop_assert_eq!(facts, world.log.len(), "a second tick at one moment does nothing");
            }
            prop_assert!(world.yard.next_deadline().is_none_or(|deadline| deadline > world.now));
        }
    }

    #[test]
    fn a_rejection_leaves_no_fact(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            let (yard, facts) = (world.yard.clone(), world.log.len());
            if let (_, Err(_)) = world.try_step(step) {
                prop_assert_eq!(facts, world.log.len());
                prop_assert_eq!(&yard, &world.yard);
            }
        }
    }

    #[test]
    fn slots_queues_and_subjects_are_never_oversubscribed(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
            let (nodes, queues) = census(&world.yard);
            for (id, node) in world.yard.nodes() {
                let used = nodes.get(&id).copied().unwrap_or(0);
                prop_assert_eq!(node.used.amount(Resources::SLOT), used, "slots of {:?}", id);
            }
            for (name, queue) in world.yard.queues() {
                let (running, waiting) = queues.get(name).copied().unwrap_or_default();
                prop_assert_eq!((queue.running, queue.waiting), (running, waiting), "counts of {:?}", name);
                prop_assert_eq!(u64::from(waiting), world.yard.waiting(name).count() as u64);
            }
            let mut subjects = BTreeSet::new();
            for job in world.yard.occupying() {
                prop_assert!(subjects.insert(job.subject.clone()), "two runs of {}", job.subject);
            }
        }
    }

    #[test]
    fn starts_respect_every_limit(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        let mut yard = Yard::default();
        for fact in &world.log {
            yard.apply(fact).unwrap();
            if let Event::Started { job, node, .. } = &fact.event {
                let job = yard.job(*job).unwrap();
                let node = yard.node(*node).unwrap();
                prop_assert!(node.is_alive() && node.abilities.kinds.contains_key(&job.class.kind));
                prop_assert!(node.abilities.capacity.covers(&job.class.resources));
                let queue = yard.queue(&job.class.queue).unwrap();
                prop_assert!(queue.paused.is_none());
                prop_assert!(queue.settings.running_max.is_none_or(|max| queue.running <= max));
            }
        }
    }

    #[test]
    fn leases_grow_outcomes_are_final_and_nothing_is_lost(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        let (mut last, mut outcomes, mut submitted) = (Lease::default(), BTreeMap::new(), BTreeSet::new());
        let mut forgotten = BTreeSet::new();
        for fact in &world.log {
            if let Event::Submitted { submission } = &fact.event {
                prop_assert!(submitted.insert(submission.job));
            } else if let Event::Started { lease, .. } = &fact.event {
                prop_assert!(*lease > last, "{:?} after {:?}", lease, last);
                last = *lease;
            } else if let Event::Finished { job, outcome, .. } = &fact.event {
                prop_assert!(outcomes.insert(*job, outcome.clone()).is_none(), "job {} ended twice", job);
            } else if let Event::Forgotten { jobs } = &fact.event {
                forgotten.extend(jobs.iter().copied());
            }
        }
        for job in submitted {
            match world.yard.job(job) {
                Some(job) => prop_assert_eq!(job.outcome(), outcomes.get(&job.id)),
                None => prop_assert!(forgotten.contains(&job) && outcomes.contains_key(&job), "job {} is lost", job),
            }
        }
    }

    /// A reader follows some steps behind, and holds its jobs together with the yard it follows.
    #[test]
    fn yards_that_share_their_jobs_change_each_for_itself(steps in steps(), behind in 1..5_usize) {
        let mut world = World::new();
        let (mut reader, mut apart, mut seen) = (Yard::default(), Yard::default(), 0);
        for (n, step) in steps.iter().enumerate() {
            world.step(step);
            prop_assert_eq!(&reader, &apart, "what the other does changes nothing here");
            if n % behind != 0 {
                continue;
            }
            for fact in &world.log[seen..] {
                reader.apply(fact).unwrap();
                apart.apply(fact).unwrap();
            }
            reader.share_jobs(&world.yard, world.log[seen..].iter().filter_map(|fact| fact.event.job()));
            seen = world.log.len();
            prop_assert_eq!(&reader, &apart);
            prop_assert_eq!(&reader, &world.yard);
        }
    }

    #[test]
    fn an_old_lease_never_writes(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
            let live = live_runs(&world.yard);
            for run in world.runs.clone().into_iter().filter(|run| !live.contains(run)) {
                let end = RunEnd::Stopped;
                for command in [Command::Finish { run, end }, Command::Report { run, step: 1, performance: None }] {
                    let refused = world.yard.decide(world.now, &command);
                    let fenced = matches!(refused, Err(Rejection::Fenced { .. } | Rejection::NoJob(_)));
                    prop_assert!(fenced, "not fenced: {:?}", refused);
                }
            }
        }
    }

    #[test]
    fn a_waiting_job_is_explained_and_only_then(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
            for job in world.yard.jobs() {
                let blockers = world.yard.explain(world.now, job.id).unwrap();
                let waits = matches!(job.phase, Phase::Waiting(_));
                prop_assert_eq!(waits, !blockers.is_empty(), "{:?}: {:?}", job, blockers);
            }
        }
    }

    #[test]
    fn once_the_world_behaves_everything_ends(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        for queue in 0..2 {
            world.step(&Step::Resume { queue });
            world.step(&Step::Queue { queue, running_max: None });
        }
        for node in 0..2 {
            world.step(&Step::Join { node, slots: 3, gpus: 2 });
        }
        let held: Vec<JobId> = world.yard.jobs().map(|job| job.id).collect();
        for job in held {
            let _ = world.send(&Command::Unhold { job });
        }
        for _ in 0..2_000 {
            let live = live_runs(&world.yard);
            for run in &live {
                let model = ModelId::from_u128(world.id());
                let last = Some((9, support::score(100)));
                let _ = world.send(&Command::Finish { run: *run, end: RunEnd::Completed { trained: Trained::default(), model, last } });
            }
            world.step(&Step::Renew { node: 0 });
            world.step(&Step::Renew { node: 1 });
            if live.is_empty() {
                world.now = world.now.after(Duration::from_secs(3));
                world.send(&Command::Tick).unwrap();
            }
            if world.yard.jobs().all(Job::is_finished) {
                break;
            }
        }
        for job in world.yard.jobs() {
            prop_assert!(job.is_finished(), "{:?} {:?}", job, world.yard.explain(world.now, job.id));
        }
    }
}
