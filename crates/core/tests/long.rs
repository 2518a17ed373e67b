//! Long lives: everything that must hold, all at once, over many steps. A few of them usually, many with
//! `TRAINYARD_LONG=1`, as `.ci/run --full` has it.

mod support;

use std::collections::BTreeMap;

use proptest::prelude::*;
use support::{KEPT_MAX, Step, World, census, is_long, live_runs, rebuilt, step};
use trainyard_core::*;

fn lives() -> ProptestConfig {
    ProptestConfig { cases: if is_long() { 500 } else { 12 }, ..ProptestConfig::default() }
}

fn life() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 0..if is_long() { 2_000 } else { 500 })
}

/// What can be seen at any moment.
fn inspect(world: &World) -> Result<(), TestCaseError> {
    let yard = &world.yard;
    let (nodes, queues) = census(yard);
    for (id, node) in yard.nodes() {
        prop_assert_eq!(node.used.amount(Resources::SLOT), nodes.get(&id).copied().unwrap_or(0));
    }
    for (name, queue) in yard.queues() {
        prop_assert_eq!((queue.running, queue.waiting), queues.get(name).copied().unwrap_or_default());
    }
    for job in yard.jobs() {
        if let Some(contest) = job.contest() {
            let winners =
                contest.candidates.iter().filter_map(Candidate::outcome).filter(|one| one.is_completed());
            let has_won = job.outcome().is_some_and(Outcome::is_completed);
            prop_assert_eq!(winners.count(), usize::from(has_won));
            prop_assert!(!job.is_finished() || contest.candidates.iter().all(Candidate::is_out));
        }
        if let Some(limit) = job.time_limit_at() {
            let holds = job.contest().is_some_and(|contest| contest.holder().is_some());
            let limit = if holds { limit.after(job.class.limits.grace) } else { limit };
            prop_assert!(world.now <= limit, "whoever has reached the target has its grace more");
        }
    }
    for name in yard.registries() {
        let active = usize::from(yard.active_model(name).is_some());
        prop_assert!(yard.models(name).count() >= active);
    }
    Ok(())
}

/// How many models a registry may keep besides the active one, now that this one has come: it is kept itself.
fn models_max(yard: &Yard, model: &Model) -> u32 {
    let Some(job) = yard.job(model.job) else { return KEPT_MAX };
    let own = yard.queue(&job.class.queue).and_then(|queue| queue.retention.models_max);
    own.unwrap_or(yard.settings().models_max).max(1)
}

proptest! {
    #![proptest_config(lives())]

    #[test]
    fn a_long_life_is_a_sound_one(steps in life()) {
        let mut world = World::new();
        let mut leases: BTreeMap<JobId, Lease> = BTreeMap::new();
        let mut may_keep: BTreeMap<Registry, u32> = BTreeMap::new();
        let mut seen = 0;
        for (n, step) in steps.iter().enumerate() {
            let before = world.yard.now();
            world.step(step);
            prop_assert!(world.yard.now() >= before, "time never goes back");
            inspect(&world)?;
            for fact in &world.log[seen..] {
                if let Event::Started { job, lease, .. } = &fact.event {
                    let last = leases.insert(*job, *lease);
                    prop_assert!(last.is_none_or(|last| last < *lease));
                } else if let Event::ModelRegistered { model } = &fact.event {
                    may_keep.insert(model.registry.clone(), models_max(&world.yard, model));
                }
            }
            for (registry, max) in &may_keep {
                let kept = world.yard.models(registry).count();
                prop_assert!(kept <= *max as usize + 1, "{} models of {}", kept, registry);
            }
            seen = world.log.len();
            if n % 97 == 0 {
                // A restart: whatever was only in memory is gone.
                world.yard = rebuilt(&world.log);
                prop_assert_eq!(&rebuilt(&world.yard.snapshot()), &world.yard);
            }
            let live = live_runs(&world.yard);
            let mut unique = live.clone();
            unique.sort_unstable();
            unique.dedup();
            prop_assert_eq!(live.len(), unique.len(), "a lease is one run's");
        }
        prop_assert_eq!(&rebuilt(&world.log), &world.yard);
    }
}
