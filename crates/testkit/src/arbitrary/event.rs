//! Events and facts.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use trainyard_core::{Epoch, Event, Fact, Holder, Interruption, Order, Release, Restored, Shown};

use super::class::{
    abilities, decision, node, queue, queue_settings, retention, retrain_rule, rule, settings, template,
};
use super::job::{checkpoint, job, model, outcome, submission, trained};
use super::{
    candidate_id, duration, job_id, lease, model_id, node_id, parameters, queue_name, reason, registry,
    score, subject, timestamp,
};

/// Up to so many facts.
pub fn facts(max: usize) -> impl Strategy<Value = Vec<Fact>> {
    vec(fact(), 0..=max)
}

/// Any fact at all.
pub fn fact() -> BoxedStrategy<Fact> {
    (timestamp(), event()).prop_map(|(at, event)| Fact { at, event }).boxed()
}

/// Any event at all.
pub fn event() -> BoxedStrategy<Event> {
    prop_oneof![yard(), line(), run(), end(), rules_and_models(), restored()].boxed()
}

fn yard() -> BoxedStrategy<Event> {
    prop_oneof![
        Just(Event::Ticked),
        settings().prop_map(Event::Configured),
        (node_id(), any::<u64>(), abilities(), timestamp()).prop_map(|(node, epoch, abilities, until)| {
            Event::NodeJoined { node, epoch: Epoch::new(epoch), abilities, until }
        }),
        (node_id(), timestamp()).prop_map(|(node, until)| Event::NodeAlive { node, until }),
        node_id().prop_map(|node| Event::NodeLost { node }),
        (queue_name(), queue_settings())
            .prop_map(|(queue, settings)| Event::QueueConfigured { queue, settings }),
        (queue_name(), retention()).prop_map(|(queue, retention)| Event::RetentionSet { queue, retention }),
        (queue_name(), reason()).prop_map(|(queue, reason)| Event::QueuePaused { queue, reason }),
        queue_name().prop_map(|queue| Event::QueueResumed { queue }),
    ]
    .boxed()
}

fn line() -> BoxedStrategy<Event> {
    prop_oneof![
        submission().prop_map(|submission| Event::Submitted { submission }),
        (job_id(), parameters(), any::<Option<u64>>())
            .prop_map(|(job, parameters, watermark)| { Event::Updated { job, parameters, watermark } }),
        (job_id(), reason()).prop_map(|(job, reason)| Event::Held { job, reason }),
        job_id().prop_map(|job| Event::Unheld { job }),
        vec(job_id(), 0..5).prop_map(|jobs| Event::Forgotten { jobs }),
    ]
    .boxed()
}

fn run() -> BoxedStrategy<Event> {
    prop_oneof![
        (job_id(), lease(), node_id()).prop_map(|(job, lease, node)| Event::Started { job, lease, node }),
        (job_id(), lease(), any::<u64>(), option::of(score())).prop_map(|(job, lease, step, performance)| {
            Event::Reported { job, lease, step, performance }
        }),
        (job_id(), lease(), any::<u64>(), score())
            .prop_map(|(job, lease, step, performance)| Event::Reached { job, lease, step, performance }),
        (job_id(), lease(), model_id(), trained())
            .prop_map(|(job, lease, model, trained)| Event::HandedOver { job, lease, model, trained }),
        (job_id(), lease(), checkpoint()).prop_map(|(job, lease, checkpoint)| Event::Checkpointed {
            job,
            lease,
            checkpoint
        }),
        job_id().prop_map(|job| Event::Recovering { job }),
        job_id().prop_map(|job| Event::Recovered { job }),
    ]
    .boxed()
}

fn end() -> BoxedStrategy<Event> {
    let cause = prop::sample::select(vec![Interruption::Abrupt, Interruption::Orderly]);
    let how = prop::sample::select(vec![Release::Stopped, Release::GivenUp]);
    prop_oneof![
        (job_id(), lease(), outcome()).prop_map(|(job, lease, outcome)| Event::CandidateEnded {
            job,
            lease,
            outcome
        }),
        (job_id(), cause, reason(), duration()).prop_map(|(job, cause, reason, ran)| Event::Interrupted {
            job,
            cause,
            reason,
            ran
        }),
        (job_id(), reason(), timestamp(), duration())
            .prop_map(|(job, reason, not_before, ran)| { Event::Retried { job, reason, not_before, ran } }),
        (job_id(), outcome(), option::of(lease()), timestamp()).prop_map(
            |(job, outcome, released, deadline)| Event::Finished { job, outcome, released, deadline }
        ),
        (job_id(), lease(), how).prop_map(|(job, lease, how)| Event::Released { job, lease, how }),
    ]
    .boxed()
}

fn rules_and_models() -> BoxedStrategy<Event> {
    prop_oneof![
        (subject(), retrain_rule(), template()).prop_map(|(subject, rule, template)| Event::RuleSet {
            subject,
            rule,
            template
        }),
        subject().prop_map(|subject| Event::RuleRemoved { subject }),
        (subject(), decision(), job_id()).prop_map(|(subject, decision, next_job)| Event::Decided {
            subject,
            decision,
            next_job
        }),
        model().prop_map(|model| Event::ModelRegistered { model }),
        (registry(), model_id()).prop_map(|(registry, model)| Event::ModelActivated { registry, model }),
        vec(model_id(), 0..5).prop_map(|models| Event::ModelsForgotten { models }),
        subject().prop_map(|subject| Event::Retired { subject }),
    ]
    .boxed()
}

fn restored() -> BoxedStrategy<Event> {
    let shown = prop_oneof![any::<u64>().prop_map(Shown::Now), any::<u64>().prop_map(Shown::Before)];
    let restored =
        prop_oneof![
            (any::<u64>(), lease())
                .prop_map(|(order, lease)| Restored::Counters { order: Order::new(order), lease }),
            (queue_name(), queue()).prop_map(|(name, queue)| Restored::Queue { name, queue }),
            (node_id(), node()).prop_map(|(id, node)| Restored::Node { id, node }),
            job().prop_map(Restored::Job),
            (subject(), rule()).prop_map(|(subject, rule)| Restored::Rule { subject, rule }),
            (model(), any::<bool>()).prop_map(|(model, active)| Restored::Model { model, active }),
            (job_id(), candidate_id(), lease()).prop_map(|(job, candidate, lease)| Restored::Reached {
                job,
                holder: Holder { candidate, lease }
            }),
            (job_id(), option::of(candidate_id()), shown)
                .prop_map(|(job, candidate, shown)| Restored::Shown { job, candidate, shown }),
        ];
    restored.prop_map(|restored| Event::Restored(Box::new(restored))).boxed()
}
