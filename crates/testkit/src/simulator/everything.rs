//! Users who do everything that can be done.

use std::sync::Arc;
use std::time::Duration;

use trainyard_core::{
    Admission, Backoff, Class, Command, Gain, IdempotencyKey, JobId, Limits, MedianRule, Observation,
    Parameters, Priority, QueueName, QueueSettings, Reason, Resource, Resources, Retention, RetrainRule,
    RetryPolicy, Score, StallRule, Subject, Submission, Template, Trigger,
};

use super::chance::Chance;
use super::workload::{UserScene, Wish, Workload, inside, outside, plain_class, subject};

/// Users who do everything: submit in all ways, cancel, hold, pause, set rules, observe, retire, and so on, in a few
/// queues and about a few subjects, so that they get in each other's way.
#[derive(Debug)]
pub struct Everything {
    /// How long after one wish the next one comes, about. Default: 5 seconds.
    pub every: Duration,
    /// Of how many subjects. Default: 24, at least 1.
    pub subjects: u64,
    classes: Vec<Arc<Class>>,
    /// What was observed last: it may be told twice.
    observed: Option<(Subject, Observation)>,
}

impl Default for Everything {
    fn default() -> Self {
        Self { every: Duration::from_secs(5), subjects: 24, classes: classes(), observed: None }
    }
}

impl Workload for Everything {
    fn next(&mut self, scene: &mut UserScene<'_>) -> Option<Wish> {
        let after = scene.chance.around(self.every);
        Some(Wish::new(after, self.command(scene)))
    }
}

impl Everything {
    fn command(&mut self, scene: &mut UserScene<'_>) -> Command {
        let about = scene.chance.below(self.subjects.max(1));
        let reason = Reason::new("because");
        match scene.chance.below(100) {
            0..52 => Command::Submit(Arc::new(self.submission(scene, about))),
            52..60 => Command::Cancel { job: any_job(scene), reason },
            60..63 => Command::Hold { job: any_job(scene), reason },
            63..67 => Command::Unhold { job: any_job(scene) },
            67 => Command::PauseQueue { queue: queue(scene.chance), reason },
            68..71 => Command::ResumeQueue { queue: queue(scene.chance) },
            71 => {
                let running_max = scene.chance.pick(&[None, Some(0), Some(1), Some(3)]).copied().flatten();
                let priority_step = Duration::from_secs(scene.chance.below(120));
                let settings = QueueSettings { running_max, waiting_max: 200, priority_step };
                Command::ConfigureQueue { queue: queue(scene.chance), settings }
            }
            72 => {
                let retention = Retention { finished_max: Some(8), models_max: Some(2) };
                Command::SetRetention { queue: queue(scene.chance), retention }
            }
            73..76 => Self::rule(scene, about % RULED),
            76 => Command::RemoveRule { subject: subject(about % RULED) },
            77..94 => {
                // Mostly more than before, now and then less, and now and then the same again.
                let total = scene.number + scene.chance.below(40);
                let about = about % RULED;
                let lists = (scene.chance.below(3) == 0).then(|| 1 << scene.chance.below(6));
                let job = scene.job_id();
                let again = self.observed.take().filter(|_| scene.chance.below(4) == 0);
                let (subject, observation) =
                    again.unwrap_or_else(|| (subject(about), Observation { total, lists }));
                self.observed = Some((subject.clone(), observation));
                Command::Observe { subject, observation, job, repeats: 0 }
            }
            94..97 => {
                let model = scene.chance.pick(scene.models).copied();
                Command::Activate { model: model.unwrap_or(trainyard_core::ModelId::from_u128(0)) }
            }
            97 => Command::Retire { subject: subject(about) },
            _ => Command::Tick,
        }
    }

    fn submission(&self, scene: &mut UserScene<'_>, about: u64) -> Submission {
        let class = scene.chance.pick(&self.classes).cloned().unwrap_or_else(|| Arc::clone(&self.classes[0]));
        let mut submission = Submission::new(scene.job_id(), subject(about), class);
        submission.priority = Priority::new(scene.chance.pick(&[0, 0, 0, 1, 10, -5]).copied().unwrap_or(0));
        submission.admission = admission(scene.chance);
        if scene.chance.below(8) == 0 {
            submission.not_before = Some(scene.now.after(scene.chance.up_to(Duration::from_secs(120))));
        }
        if scene.chance.below(4) == 0 {
            let key = format!("{about}/{}", scene.chance.below(8));
            submission.key = IdempotencyKey::new(key).ok();
        }
        if scene.chance.below(3) == 0 {
            submission.watermark = Some(scene.number / 4);
        }
        if scene.chance.below(4) == 0 {
            let count = 1 + scene.chance.below(4);
            let mut plan = (*scene.contest(usize::try_from(count).unwrap_or(1), 0.9)).clone();
            plan.median =
                (scene.chance.below(3) == 0).then_some(MedianRule { reports_min: 2, others_min: 1 });
            submission.contest = Some(Arc::new(plan));
        }
        let length = usize::try_from(scene.chance.below(24)).unwrap_or(0);
        submission.parameters = Parameters::new(vec![7; length]).unwrap_or_default();
        submission
    }

    fn rule(scene: &mut UserScene<'_>, about: u64) -> Command {
        let some = 1 + scene.chance.below(30);
        let trigger = match scene.chance.below(4) {
            0 => Trigger::PerList { threshold: some, first: some },
            1 => Trigger::OptimalLists { above: some },
            2 => Trigger::Floor { above: some },
            _ => Trigger::Fresh { at_least: some },
        };
        let mut rule = RetrainRule::new(trigger)
            .with_cooldown(scene.chance.up_to(Duration::from_secs(300)))
            .with_backoff(Backoff::new(Duration::from_secs(10), Duration::from_secs(120)));
        if scene.chance.below(3) == 0 {
            rule = rule.with_max_interval(scene.chance.up_to(Duration::from_secs(900)));
        }
        let class = plain_class("default");
        let template =
            Template { class, parameters: Parameters::default(), admission: admission(scene.chance) };
        Command::SetRule { subject: subject(about), rule, template: Arc::new(template) }
    }
}

/// A few classes: inside and outside, with limits and without, some that need more than one thing.
fn classes() -> Vec<Arc<Class>> {
    let seconds = Duration::from_secs;
    let gpu = Resource::new("gpu").expect("a short word");
    let mut classes = Vec::new();
    for n in 0..10_u64 {
        let kind = if n % 3 == 2 { outside() } else { inside() };
        let mut class = Class::new(kind, named(n % 3));
        class.resources = Resources::slots(1 + u64::from(n == 4)).with(gpu.clone(), n % 2);
        let gain =
            if n == 3 { Gain::Steps(2) } else { Gain::Performance(Score::new(0.05).unwrap_or_default()) };
        class.limits = Limits {
            time: (n % 2 == 0).then(|| seconds(40 + n * 20)),
            queue_time: (n % 5 == 1).then(|| seconds(120)),
            stall: (n % 3 == 0).then(|| StallRule { gain, within: seconds(30 + n) }),
            grace: seconds(3 * n),
        };
        class.retry = RetryPolicy {
            retries_max: u32::try_from(n % 3).unwrap_or(0),
            backoff: Backoff::new(seconds(2), seconds(30)),
        };
        classes.push(Arc::new(class));
    }
    classes
}

fn named(number: u64) -> QueueName {
    let name = match number % 3 {
        0 => "default",
        1 => "large",
        _ => "late",
    };
    QueueName::new(name).expect("a short word")
}

fn queue(chance: &mut Chance) -> QueueName {
    named(chance.below(3))
}

fn admission(chance: &mut Chance) -> Admission {
    match chance.below(8) {
        0 => Admission::Join,
        1 => Admission::Trail,
        2 => Admission::Refuse,
        _ => Admission::Queue,
    }
}

fn any_job(scene: &mut UserScene<'_>) -> JobId {
    // The newest ones mostly, since of the others most are over.
    let newest = scene.jobs.len().saturating_sub(12);
    let among = if scene.chance.below(4) > 0 { &scene.jobs[newest..] } else { scene.jobs };
    scene.chance.pick(among).copied().unwrap_or(JobId::from_u128(0))
}

/// So many of the subjects have rules.
const RULED: u64 = 4;
