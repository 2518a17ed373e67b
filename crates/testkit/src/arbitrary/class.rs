//! Classes, settings, nodes and rules.

use std::sync::Arc;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use trainyard_core::{
    Abilities, Admission, Backoff, Because, Class, Decision, Epoch, Gain, History, Limits, Node, Observation,
    Placement, Promotion, Queue, QueueSettings, Resources, Retention, RetrainRule, RetryPolicy, Rule,
    Settings, StallRule, Switch, Template, Trigger, Unmet, Verdict,
};

use super::{
    duration, job_id, kind, metric, parameters, queue_name, reason, registry, resource, score, timestamp,
};

pub(super) fn resources() -> BoxedStrategy<Resources> {
    (any::<u64>(), vec((resource(), any::<u64>()), 0..4))
        .prop_map(|(slots, others)| {
            others.into_iter().fold(Resources::slots(slots), |all, (name, amount)| all.with(name, amount))
        })
        .boxed()
}

fn limits() -> BoxedStrategy<Limits> {
    let gain = prop_oneof![score().prop_map(Gain::Performance), any::<u64>().prop_map(Gain::Steps)];
    let stall = (gain, duration()).prop_map(|(gain, within)| StallRule { gain, within });
    (option::of(duration()), option::of(duration()), option::of(stall), duration())
        .prop_map(|(time, queue_time, stall, grace)| Limits { time, queue_time, stall, grace })
        .boxed()
}

fn backoff() -> impl Strategy<Value = Backoff> {
    (duration(), duration()).prop_map(|(first, cap)| Backoff::new(first, cap))
}

fn promotion() -> impl Strategy<Value = Promotion> {
    let at_least = (metric(), score()).prop_map(|(metric, least)| Promotion::AtLeast(metric, least));
    prop_oneof![
        Just(Promotion::Newest),
        Just(Promotion::Manual),
        metric().prop_map(Promotion::Best),
        at_least
    ]
}

/// From a few kinds, so that classes meet their equals.
pub(super) fn class() -> BoxedStrategy<Arc<Class>> {
    let plain = prop::sample::select(vec!["ivf", "tabular"]).prop_map(|kind| {
        Class::new(kind.try_into().expect("a kind"), "default".try_into().expect("a queue name"))
    });
    let any_retry =
        (any::<u32>(), backoff()).prop_map(|(retries_max, backoff)| RetryPolicy { retries_max, backoff });
    let other = (kind(), queue_name(), resources(), limits(), any_retry, option::of(registry()), promotion())
        .prop_map(|(kind, queue, resources, limits, retry, registry, promotion)| Class {
            kind,
            queue,
            resources,
            limits,
            retry,
            registry,
            promotion,
        });
    prop_oneof![plain, other].prop_map(Arc::new).boxed()
}

pub(super) fn admission() -> impl Strategy<Value = Admission> {
    prop::sample::select(vec![Admission::Queue, Admission::Join, Admission::Trail, Admission::Refuse])
}

pub(super) fn settings() -> impl Strategy<Value = Settings> {
    (any::<u32>(), any::<u32>(), any::<u32>(), duration(), duration()).prop_map(
        |(finished_max, models_max, unfinished_max, reserve_after, node_lease)| Settings {
            finished_max,
            models_max,
            unfinished_max,
            reserve_after,
            node_lease,
        },
    )
}

pub(super) fn queue_settings() -> impl Strategy<Value = QueueSettings> {
    (any::<Option<u32>>(), any::<u32>(), duration()).prop_map(|(running_max, waiting_max, priority_step)| {
        QueueSettings { running_max, waiting_max, priority_step }
    })
}

pub(super) fn retention() -> impl Strategy<Value = Retention> {
    any::<(Option<u32>, Option<u32>)>()
        .prop_map(|(finished_max, models_max)| Retention { finished_max, models_max })
}

/// With the default retention: another one is told by an event of its own.
pub(super) fn queue() -> impl Strategy<Value = Queue> {
    (queue_settings(), option::of(reason()), any::<u32>(), any::<u32>()).prop_map(
        |(settings, paused, running, waiting)| {
            let retention = Retention::default();
            Queue { settings, retention, paused, running, waiting }
        },
    )
}

pub(super) fn placement() -> impl Strategy<Value = Placement> {
    prop::sample::select(vec![Placement::InProcess, Placement::External])
}

pub(super) fn abilities() -> BoxedStrategy<Abilities> {
    (btree_map(kind(), placement(), 0..4), resources())
        .prop_map(|(kinds, capacity)| Abilities { kinds, capacity })
        .boxed()
}

pub(super) fn node() -> BoxedStrategy<Node> {
    (any::<u64>(), abilities(), resources(), option::of(timestamp()), timestamp())
        .prop_map(|(epoch, abilities, used, alive_until, seen_at)| Node {
            epoch: Epoch::new(epoch),
            abilities,
            used,
            alive_until,
            seen_at,
        })
        .boxed()
}

pub(super) fn retrain_rule() -> BoxedStrategy<RetrainRule> {
    let trigger = prop_oneof![
        any::<(u64, u64)>().prop_map(|(threshold, first)| Trigger::PerList { threshold, first }),
        any::<u64>().prop_map(|above| Trigger::OptimalLists { above }),
        any::<u64>().prop_map(|above| Trigger::Floor { above }),
        any::<u64>().prop_map(|at_least| Trigger::Fresh { at_least }),
    ];
    let switch = prop::sample::select(vec![Switch::On, Switch::Off]);
    (trigger, duration(), option::of(duration()), backoff(), switch)
        .prop_map(|(trigger, cooldown, max_interval, backoff, switch)| RetrainRule {
            trigger,
            cooldown,
            max_interval,
            backoff,
            switch,
        })
        .boxed()
}

fn history() -> impl Strategy<Value = History> {
    (any::<Option<u64>>(), option::of(timestamp()), any::<u32>(), option::of(timestamp())).prop_map(
        |(watermark, fired_at, failures, failed_at)| History { watermark, fired_at, failures, failed_at },
    )
}

pub(super) fn decision() -> BoxedStrategy<Arc<Decision>> {
    let unmet = prop_oneof![
        Just(Unmet::Off),
        any::<Option<u128>>().prop_map(|more| Unmet::Count { more }),
        duration().prop_map(|left| Unmet::Cooldown { left }),
        (duration(), any::<u32>()).prop_map(|(left, failures)| Unmet::Backoff { left, failures }),
        job_id().prop_map(|job| Unmet::Unfinished { job }),
    ];
    let because = prop::sample::select(vec![Because::First, Because::Grown, Because::Age]);
    let verdict = prop_oneof![because.prop_map(Verdict::Train), vec(unmet, 0..6).prop_map(Verdict::Wait)];
    let observation = any::<(u64, Option<u64>)>().prop_map(|(total, lists)| Observation { total, lists });
    (timestamp(), retrain_rule(), observation, history(), verdict, any::<u64>())
        .prop_map(|(at, rule, observation, history, verdict, repeats)| {
            Arc::new(Decision { at, rule, observation, history, verdict, repeats })
        })
        .boxed()
}

pub(super) fn template() -> BoxedStrategy<Arc<Template>> {
    (class(), parameters(), admission())
        .prop_map(|(class, parameters, admission)| Arc::new(Template { class, parameters, admission }))
        .boxed()
}

pub(super) fn rule() -> BoxedStrategy<Rule> {
    (retrain_rule(), template(), history(), option::of(decision()), option::of(job_id()))
        .prop_map(|(rule, template, history, decision, next_job)| Rule {
            rule,
            template,
            history,
            decision,
            next_job,
        })
        .boxed()
}
