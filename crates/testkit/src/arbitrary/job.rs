//! Submissions, jobs, contests and models.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use trainyard_core::{
    Attempt, Candidate, CandidatePhase, Checkpoint, Contact, Contest, ContestPlan, Draining, Entrant, Epoch,
    Extras, Finished, Job, Mark, MedianRule, Model, Order, Outcome, PerformanceWindow, Phase, Priority,
    Running, Standing, Submission, TimedOut, Trained, Waiting,
};

use super::class::{admission, class, placement};
use super::{
    candidate_id, duration, idempotency_key, job_id, label, lease, metrics, model_id, node_id, parameters,
    reason, registry, score, subject, timestamp,
};

pub(super) fn submission() -> BoxedStrategy<Arc<Submission>> {
    let what = (job_id(), subject(), class(), parameters(), priority(), admission());
    let how = (
        option::of(timestamp()),
        option::of(idempotency_key()),
        any::<Option<u64>>(),
        option::of(plan().prop_map(Arc::new)),
    );
    (what, how)
        .prop_map(
            |(
                (job, subject, class, parameters, priority, admission),
                (not_before, key, watermark, contest),
            )| {
                Arc::new(Submission {
                    job,
                    subject,
                    class,
                    parameters,
                    priority,
                    admission,
                    not_before,
                    key,
                    watermark,
                    contest,
                })
            },
        )
        .boxed()
}

fn priority() -> impl Strategy<Value = Priority> {
    (-100..=100_i8).prop_map(Priority::new)
}

fn median() -> impl Strategy<Value = Option<MedianRule>> {
    option::of(
        any::<(u32, u32)>().prop_map(|(reports_min, others_min)| MedianRule { reports_min, others_min }),
    )
}

fn plan() -> BoxedStrategy<ContestPlan> {
    let entrant = (candidate_id(), label(), parameters()).prop_map(|(id, label, parameters)| Entrant {
        id,
        label,
        parameters,
    });
    (score(), vec(entrant, 0..4), median())
        .prop_map(|(target, candidates, median)| ContestPlan { target, candidates, median })
        .boxed()
}

fn contest() -> BoxedStrategy<Contest> {
    let phase = prop_oneof![
        Just(CandidatePhase::Pending),
        lease().prop_map(|lease| CandidatePhase::Running { lease }),
        (lease(), model_id(), trained()).prop_map(|(lease, model, trained)| CandidatePhase::HandedOver {
            lease,
            model,
            trained
        }),
        (outcome(), timestamp()).prop_map(|(outcome, at)| CandidatePhase::Ended { outcome, at }),
    ];
    let candidate = (candidate_id(), label(), parameters(), phase, standing(), vec(score(), 0..4)).prop_map(
        |(id, label, parameters, phase, standing, means)| Candidate {
            id,
            label,
            parameters,
            phase,
            standing,
            means,
        },
    );
    (score(), median(), vec(candidate, 0..4))
        .prop_map(|(target, median, candidates)| {
            // A snapshot tells of whoever has reached the target in pieces of their own.
            Contest { target, median, candidates, holders: Vec::new() }
        })
        .boxed()
}

pub(super) fn trained() -> impl Strategy<Value = Trained> {
    (option::of(reason()), metrics()).prop_map(|(artifact, metrics)| Trained { artifact, metrics })
}

pub(super) fn checkpoint() -> impl Strategy<Value = Checkpoint> {
    (reason(), any::<u64>()).prop_map(|(reference, step)| Checkpoint { reference, step })
}

fn standing() -> BoxedStrategy<Standing> {
    let window = (vec(score(), 0..8), any::<u64>(), option::of(score()))
        .prop_map(|(recent, reports, best)| PerformanceWindow::restore(recent, reports, best));
    let mark = (timestamp(), option::of(score()), any::<Option<u64>>())
        .prop_map(|(since, performance, step)| Mark { since, performance, step });
    (any::<u64>(), window, option::of(mark), option::of(checkpoint()))
        .prop_map(|(step, window, mark, checkpoint)| {
            // A snapshot tells at which step something was shown in a piece of its own.
            Standing { step, window, shown: None, mark, checkpoint }
        })
        .boxed()
}

pub(super) fn outcome() -> BoxedStrategy<Outcome> {
    prop_oneof![
        option::of(model_id()).prop_map(|model| Outcome::Completed { model }),
        Just(Outcome::TimedOut(TimedOut::Running)),
        Just(Outcome::TimedOut(TimedOut::Waiting)),
        Just(Outcome::Stalled),
        reason().prop_map(|reason| Outcome::Cancelled { reason }),
        reason().prop_map(|reason| Outcome::Failed { reason }),
        Just(Outcome::Superseded),
    ]
    .boxed()
}

fn phase() -> BoxedStrategy<Phase> {
    let waiting = (timestamp(), option::of(reason()))
        .prop_map(|(not_before, held)| Phase::Waiting(Waiting { not_before, held }));
    let contact = prop::sample::select(vec![Contact::Held, Contact::Recovering]);
    let running = (timestamp(), lease(), node_id(), any::<u64>(), placement(), contact, vec(lease(), 0..4))
        .prop_map(|(started_at, lease, node, epoch, placement, contact, live)| {
            // A snapshot tells of whoever is leaving in facts of their own.
            let (epoch, leaving) = (Epoch::new(epoch), Vec::new());
            Phase::Running(Box::new(Running {
                started_at,
                lease,
                node,
                epoch,
                placement,
                contact,
                live,
                leaving,
            }))
        });
    let draining = (node_id(), any::<u64>(), vec(lease(), 0..4), timestamp()).prop_map(
        |(node, epoch, live, deadline)| Draining { node, epoch: Epoch::new(epoch), live, deadline },
    );
    let finished = (outcome(), timestamp(), option::of(draining))
        .prop_map(|(outcome, at, draining)| Phase::Finished(Box::new(Finished { outcome, at, draining })));
    prop_oneof![waiting, running, finished].boxed()
}

fn extras() -> BoxedStrategy<Extras> {
    (option::of(idempotency_key()), any::<Option<u64>>(), standing(), option::of(contest()))
        .prop_map(|(key, watermark, standing, contest)| Extras { key, watermark, standing, contest })
        .boxed()
}

pub(super) fn job() -> BoxedStrategy<Job> {
    let what = (job_id(), any::<u64>(), subject(), class(), parameters(), timestamp(), phase());
    let counts = (duration(), any::<u32>(), any::<u32>(), any::<u8>(), priority());
    (what, counts, option::of(extras()))
        .prop_map(|(what, counts, extras)| {
            let (id, order, subject, class, parameters, submitted_at, phase) = what;
            let (ran, attempts, retries, interruptions, priority) = counts;
            Job {
                id,
                order: Order::new(order),
                subject,
                class,
                parameters,
                submitted_at,
                phase,
                ran,
                attempts: Attempt::new(attempts),
                retries,
                interruptions,
                priority,
                extras: extras.map(Box::new),
            }
        })
        .boxed()
}

pub(super) fn model() -> BoxedStrategy<Arc<Model>> {
    let what = (model_id(), registry(), subject(), job_id(), option::of(model_id()));
    (what, reason(), metrics(), any::<Option<u64>>(), timestamp())
        .prop_map(|((id, registry, subject, job, parent), artifact, metrics, watermark, at)| {
            Arc::new(Model { id, registry, subject, job, parent, artifact, metrics, watermark, at })
        })
        .boxed()
}
