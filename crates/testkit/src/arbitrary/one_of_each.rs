//! A fixed list in which every event appears.

use std::sync::Arc;
use std::time::Duration;

use trainyard_core::{
    Abilities, Admission, Attempt, Because, Candidate, CandidateId, CandidatePhase, Checkpoint, Class,
    Contact, Contest, ContestPlan, Decision, Draining, Entrant, Epoch, Event, Extras, Fact, Finished, Gain,
    History, Holder, IdempotencyKey, Interruption, Job, JobId, Kind, Label, Lease, Limits, Mark, MedianRule,
    Metric, Metrics, Model, ModelId, Node, NodeId, Observation, Order, Outcome, Parameters,
    PerformanceWindow, Phase, Placement, Priority, Promotion, Queue, QueueName, QueueSettings, Reason,
    Registry, Release, Resource, Resources, Restored, Retention, RetrainRule, RetryPolicy, Rule, Running,
    Score, Settings, Shown, StallRule, Standing, Subject, Submission, Switch, Template, TimedOut, Timestamp,
    Trained, Trigger, Unmet, Verdict, Waiting,
};

/// How many events there are.
pub const EVENTS: usize = 34;

/// The number of an event, from 0. An event that is new has no number until someone gives it one, and a place in
/// [`one_of_each`].
#[must_use]
pub const fn event_number(event: &Event) -> usize {
    match event {
        Event::Ticked => 0,
        Event::Configured(_) => 1,
        Event::NodeJoined { .. } => 2,
        Event::NodeAlive { .. } => 3,
        Event::NodeLost { .. } => 4,
        Event::QueueConfigured { .. } => 5,
        Event::QueuePaused { .. } => 6,
        Event::QueueResumed { .. } => 7,
        Event::Submitted { .. } => 8,
        Event::Updated { .. } => 9,
        Event::Started { .. } => 10,
        Event::Reported { .. } => 11,
        Event::Checkpointed { .. } => 12,
        Event::CandidateEnded { .. } => 13,
        Event::Interrupted { .. } => 14,
        Event::Retried { .. } => 15,
        Event::Held { .. } => 16,
        Event::Unheld { .. } => 17,
        Event::Recovering { .. } => 18,
        Event::Recovered { .. } => 19,
        Event::Finished { .. } => 20,
        Event::Released { .. } => 21,
        Event::RuleSet { .. } => 22,
        Event::RuleRemoved { .. } => 23,
        Event::Decided { .. } => 24,
        Event::ModelRegistered { .. } => 25,
        Event::ModelActivated { .. } => 26,
        Event::ModelsForgotten { .. } => 27,
        Event::Retired { .. } => 28,
        Event::Forgotten { .. } => 29,
        Event::Restored(_) => 30,
        Event::Reached { .. } => 31,
        Event::HandedOver { .. } => 32,
        Event::RetentionSet { .. } => 33,
    }
}

/// Every event at least once, and every variant of what is in them; always the same. New ones are appended, so that older lists are the beginning of
/// newer ones.
#[must_use]
pub fn one_of_each() -> Vec<Fact> {
    let first = yard().into_iter().chain(jobs()).chain(rules_and_models()).chain(restored()).chain(parts());
    let events = first.chain(reached()).chain(retentions()).chain(gated());
    (1_800_000_000_000..)
        .zip(events)
        .map(|(at, event)| Fact { at: Timestamp::from_millis(at), event })
        .collect()
}

fn yard() -> Vec<Event> {
    let (node, queue) = (NodeId::from_u128(1), queue());
    vec![
        Event::Ticked,
        Event::Configured(Settings { finished_max: 7, ..Settings::default() }),
        Event::NodeJoined { node, epoch: Epoch::new(3), abilities: abilities(), until: at(60) },
        Event::NodeAlive { node, until: at(120) },
        Event::NodeLost { node },
        Event::QueueConfigured {
            queue: queue.clone(),
            settings: QueueSettings { running_max: Some(2), ..QueueSettings::default() },
        },
        Event::QueuePaused { queue: queue.clone(), reason: Reason::new("maintenance") },
        Event::QueueResumed { queue },
    ]
}

fn jobs() -> Vec<Event> {
    let (job, lease) = (JobId::from_u128(7), Lease::new(300));
    vec![
        Event::Submitted { submission: Arc::new(submission()) },
        Event::Updated { job, parameters: parameters(b"{\"lists\":8}"), watermark: Some(10_001) },
        Event::Started { job, lease, node: NodeId::from_u128(1) },
        Event::Reported { job, lease, step: 12, performance: Some(score(0.875)) },
        Event::Checkpointed { job, lease, checkpoint: checkpoint() },
        Event::CandidateEnded { job, lease: lease.next(), outcome: Outcome::Stalled },
        Event::Interrupted {
            job,
            cause: Interruption::Abrupt,
            reason: Reason::new("lost"),
            ran: Duration::from_millis(1_500),
        },
        Event::Retried {
            job,
            reason: Reason::new("no memory"),
            not_before: at(10),
            ran: Duration::from_secs(2),
        },
        Event::Held { job, reason: Reason::new("three interruptions") },
        Event::Unheld { job },
        Event::Recovering { job },
        Event::Recovered { job },
        Event::Finished {
            job,
            outcome: Outcome::Completed { model: Some(ModelId::from_u128(5)) },
            released: Some(lease),
            deadline: at(30),
        },
        Event::Released { job, lease, how: Release::GivenUp },
    ]
}

fn rules_and_models() -> Vec<Event> {
    let model = Arc::new(model());
    vec![
        Event::RuleSet { subject: subject(), rule: retrain_rule(), template: Arc::new(template()) },
        Event::RuleRemoved { subject: subject() },
        Event::Decided { subject: subject(), decision: Arc::new(decision()), next_job: JobId::from_u128(8) },
        Event::ModelRegistered { model: Arc::clone(&model) },
        Event::ModelActivated { registry: model.registry.clone(), model: model.id },
        Event::ModelsForgotten { models: vec![ModelId::from_u128(3), ModelId::from_u128(4)] },
        Event::Retired { subject: subject() },
        Event::Forgotten { jobs: vec![JobId::from_u128(1), JobId::from_u128(2)] },
    ]
}

fn restored() -> Vec<Event> {
    let node = Node {
        epoch: Epoch::new(3),
        abilities: abilities(),
        used: Resources::slots(1),
        alive_until: None,
        seen_at: at(5),
    };
    let rule = Rule {
        rule: retrain_rule(),
        template: Arc::new(template()),
        history: History { watermark: Some(9), fired_at: Some(at(1)), failures: 2, failed_at: Some(at(2)) },
        decision: Some(Arc::new(decision())),
        next_job: None,
    };
    let queue = Queue { paused: Some(Reason::new("why not")), running: 1, waiting: 2, ..Queue::default() };
    [
        Restored::Counters { order: Order::new(12), lease: Lease::new(301) },
        Restored::Queue { name: self::queue(), queue },
        Restored::Node { id: NodeId::from_u128(1), node },
        Restored::Job(job_restored()),
        Restored::Rule { subject: subject(), rule },
        Restored::Model { model: Arc::new(model()), active: true },
    ]
    .into_iter()
    .map(|restored| Event::Restored(Box::new(restored)))
    .collect()
}

/// The variants that the events above do not show.
fn parts() -> Vec<Event> {
    let (job, node) = (JobId::from_u128(7), NodeId::from_u128(1));
    let outcomes = [
        Outcome::Completed { model: None },
        Outcome::TimedOut(TimedOut::Running),
        Outcome::TimedOut(TimedOut::Waiting),
        Outcome::Stalled,
        Outcome::Cancelled { reason: Reason::new("not needed") },
        Outcome::Failed { reason: Reason::new("no data") },
        Outcome::Superseded,
    ];
    let outcomes = outcomes.map(|outcome| Event::Finished { job, outcome, released: None, deadline: at(30) });

    let live = vec![Lease::new(300), Lease::new(301)];
    let running = |placement, contact| {
        let (lease, epoch, live) = (Lease::new(300), Epoch::new(3), live.clone());
        let leaving = Vec::new();
        Phase::Running(Box::new(Running {
            started_at: at(2),
            lease,
            node,
            epoch,
            placement,
            contact,
            live,
            leaving,
        }))
    };
    let draining = Some(Draining { node, epoch: Epoch::new(3), live: live.clone(), deadline: at(9) });
    let phases = [
        Phase::Waiting(Waiting { not_before: at(1), held: Some(Reason::new("three interruptions")) }),
        running(Placement::InProcess, Contact::Held),
        running(Placement::External, Contact::Recovering),
        Phase::Finished(Box::new(Finished { outcome: Outcome::Stalled, at: at(8), draining })),
    ];
    let phases = phases.map(|phase| Restored::Job(Job { phase, extras: None, ..job_restored() }));
    let candidates = [CandidatePhase::Pending, CandidatePhase::Running { lease: Lease::new(301) }];
    let candidates = candidates.map(|phase| {
        let (id, label) = (CandidateId::from_u128(1), Label::new("knn").expect("a label"));
        let (parameters, standing) = (Parameters::default(), Standing::default());
        let candidate = Candidate { id, label, parameters, phase, standing, means: Vec::new() };
        let (target, candidates, holders) = (score(0.5), vec![candidate], Vec::new());
        let contest = Contest { target, median: None, candidates, holders };
        let extras = Extras { contest: Some(contest), ..Extras::default() };
        Restored::Job(Job { extras: Some(Box::new(extras)), ..job_restored() })
    });
    let jobs = phases.into_iter().chain(candidates).map(|job| Event::Restored(Box::new(job)));

    let plain = Class::new(kind(), queue());
    let stall = Some(StallRule { gain: Gain::Steps(10), within: Duration::from_secs(60) });
    let stalling = Class { limits: Limits { stall, ..Limits::default() }, ..plain.clone() };
    let manual = Class { promotion: Promotion::Manual, ..plain.clone() };
    let rule = |trigger, switch, class, admission| Event::RuleSet {
        subject: subject(),
        rule: RetrainRule::new(trigger).with_switch(switch),
        template: Arc::new(Template { class: Arc::new(class), parameters: Parameters::default(), admission }),
    };
    let rules = [
        rule(Trigger::OptimalLists { above: 1 }, Switch::On, plain, Admission::Queue),
        rule(Trigger::Floor { above: 2 }, Switch::Off, stalling, Admission::Refuse),
        rule(Trigger::Fresh { at_least: 3 }, Switch::On, manual, Admission::Trail),
    ];

    let verdicts = [
        Verdict::Train(Because::First),
        Verdict::Train(Because::Grown),
        Verdict::Train(Because::Age),
        Verdict::Wait(vec![
            Unmet::Off,
            Unmet::Count { more: None },
            Unmet::Cooldown { left: Duration::from_secs(5) },
            Unmet::Unfinished { job },
        ]),
    ];
    let verdicts = verdicts.map(|verdict| Event::Decided {
        subject: subject(),
        decision: Arc::new(Decision { verdict, ..decision() }),
        next_job: JobId::from_u128(8),
    });

    let (cause, reason, ran) = (Interruption::Orderly, Reason::new("shutdown"), Duration::from_secs(1));
    let rest = [
        Event::Interrupted { job, cause, reason, ran },
        Event::Released { job, lease: Lease::new(300), how: Release::Stopped },
    ];
    outcomes.into_iter().chain(jobs).chain(rules).chain(verdicts).chain(rest).collect()
}

/// What came with the order of reaching.
fn reached() -> Vec<Event> {
    let (job, lease, candidate) = (JobId::from_u128(7), Lease::new(301), CandidateId::from_u128(1));
    let model = ModelId::from_u128(6);
    let metrics = model_metrics();
    let trained = Trained { artifact: Some(Reason::new("models/6.bin")), metrics };
    let phase =
        CandidatePhase::HandedOver { lease, model, trained: Trained { artifact: None, ..trained.clone() } };
    let (label, parameters) = (Label::new("knn").expect("a label"), Parameters::default());
    let standing = Standing::default();
    let waits = Candidate { id: candidate, label, parameters, phase, standing, means: Vec::new() };
    let contest = Contest { target: score(0.5), median: None, candidates: vec![waits], holders: Vec::new() };
    let extras = Extras { contest: Some(contest), ..Extras::default() };
    let restored = [
        Restored::Job(Job { extras: Some(Box::new(extras)), ..job_restored() }),
        Restored::Reached { job, holder: Holder { candidate, lease } },
        Restored::Shown { job, candidate: Some(candidate), shown: Shown::Now(12) },
        Restored::Shown { job, candidate: None, shown: Shown::Before(11) },
    ];
    let events = [
        Event::Reached { job, lease, step: 13, performance: score(0.9375) },
        Event::HandedOver { job, lease, model, trained },
    ];
    events.into_iter().chain(restored.map(|piece| Event::Restored(Box::new(piece)))).collect()
}

/// What came with queues of which other numbers are kept.
fn retentions() -> Vec<Event> {
    let said = Retention { finished_max: Some(300), models_max: Some(1_024) };
    [said, Retention::default()].map(|retention| Event::RetentionSet { queue: queue(), retention }).into()
}

/// What came with models that are promoted by a figure of their own.
fn gated() -> Vec<Event> {
    let metric = Metric::new("promoted").expect("a metric");
    let class = Class { promotion: Promotion::AtLeast(metric, score(1.0)), ..Class::new(kind(), queue()) };
    vec![Event::Submitted { submission: Arc::new(Submission { class: Arc::new(class), ..submission() }) }]
}

fn submission() -> Submission {
    let entrant = |id, label: &str| Entrant {
        id: CandidateId::from_u128(id),
        label: Label::new(label).expect("a label"),
        parameters: parameters(label.as_bytes()),
    };
    Submission {
        job: JobId::from_u128(7),
        subject: subject(),
        class: Arc::new(class()),
        parameters: parameters(b"{}"),
        priority: Priority::new(-3),
        admission: Admission::Trail,
        not_before: Some(at(1)),
        key: Some(key()),
        watermark: Some(10_000),
        contest: Some(Arc::new(ContestPlan {
            target: score(0.9),
            candidates: vec![entrant(1, "knn"), entrant(2, "forest")],
            median: Some(MedianRule { reports_min: 3, others_min: 2 }),
        })),
    }
}

fn job_restored() -> Job {
    let standing = Standing {
        step: 12,
        window: PerformanceWindow::restore(vec![score(0.5), score(0.25)], 9, Some(score(0.75))),
        shown: None,
        mark: Some(Mark { since: at(4), performance: Some(score(0.5)), step: None }),
        checkpoint: Some(checkpoint()),
    };
    let candidate = Candidate {
        id: CandidateId::from_u128(1),
        label: Label::new("knn").expect("a label"),
        parameters: parameters(b"knn"),
        phase: CandidatePhase::Ended { outcome: Outcome::Superseded, at: at(9) },
        standing: standing.clone(),
        means: vec![score(0.5), score(0.375)],
    };
    let contest =
        Contest { target: score(0.9), median: None, candidates: vec![candidate], holders: Vec::new() };
    Job {
        id: JobId::from_u128(7),
        order: Order::new(11),
        subject: subject(),
        class: Arc::new(class()),
        parameters: parameters(b"{}"),
        submitted_at: at(0),
        phase: Phase::Finished(Box::new(Finished {
            outcome: Outcome::Failed { reason: Reason::new("out of memory") },
            at: at(9),
            draining: None,
        })),
        ran: Duration::from_millis(8_500),
        attempts: Attempt::new(2),
        retries: 1,
        interruptions: 0,
        priority: Priority::new(-3),
        extras: Some(Box::new(Extras {
            key: Some(key()),
            watermark: Some(10_000),
            standing,
            contest: Some(contest),
        })),
    }
}

fn model() -> Model {
    Model {
        id: ModelId::from_u128(5),
        registry: Registry::new("index/1").expect("a registry"),
        subject: subject(),
        job: JobId::from_u128(7),
        parent: Some(ModelId::from_u128(4)),
        artifact: Reason::new("models/5.bin"),
        metrics: model_metrics(),
        watermark: Some(10_000),
        at: at(9),
    }
}

fn model_metrics() -> Metrics {
    [(Metric::new("recall").expect("a metric"), score(0.96875))].into()
}

fn class() -> Class {
    Class {
        resources: Resources::slots(1).with(Resource::new("gpu").expect("a resource"), 1),
        limits: Limits {
            time: Some(Duration::from_secs(3_600)),
            queue_time: None,
            stall: Some(StallRule { gain: Gain::Performance(score(0.02)), within: Duration::from_secs(300) }),
            grace: Duration::from_secs(30),
        },
        retry: RetryPolicy { retries_max: 2, ..RetryPolicy::default() },
        registry: Some(Registry::new("shared").expect("a registry")),
        promotion: Promotion::Best(Metric::new("recall").expect("a metric")),
        ..Class::new(kind(), queue())
    }
}

fn abilities() -> Abilities {
    Abilities { kinds: [(kind(), Placement::External)].into(), capacity: Resources::slots(4) }
}

fn template() -> Template {
    Template { class: Arc::new(class()), parameters: parameters(b"{}"), admission: Admission::Join }
}

fn retrain_rule() -> RetrainRule {
    RetrainRule::new(Trigger::PerList { threshold: 10_000, first: 10_000 })
        .with_cooldown(Duration::from_secs(60))
}

fn decision() -> Decision {
    Decision {
        at: at(3),
        rule: retrain_rule(),
        observation: Observation { total: 9_000, lists: Some(1) },
        history: History::default(),
        verdict: Verdict::Wait(vec![
            Unmet::Count { more: Some(1_001) },
            Unmet::Backoff { left: Duration::from_secs(9), failures: 1 },
        ]),
        repeats: 4,
    }
}

fn checkpoint() -> Checkpoint {
    Checkpoint { reference: Reason::new("attempts/7-300/12.ckpt"), step: 12 }
}

fn subject() -> Subject {
    Subject::new("index/1").expect("a subject")
}

fn kind() -> Kind {
    Kind::new("ivf").expect("a kind")
}

fn queue() -> QueueName {
    QueueName::new("default").expect("a queue name")
}

fn key() -> IdempotencyKey {
    IdempotencyKey::new("request-1").expect("a key")
}

fn parameters(bytes: &[u8]) -> Parameters {
    Parameters::new(bytes).expect("short")
}

fn score(value: f64) -> Score {
    Score::new(value).expect("finite")
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + seconds * 1_000)
}
