//! What there is to know of trainings that nobody asks for, and how to set one off.

use std::sync::Arc;

use trainyard_core::port::Handle;
use trainyard_core::{
    Admission, Decision, IdempotencyKey, Job, JobId, Observation, RetrainRule, Rule, Submission, Switch,
    Timestamp, Trigger, Yard,
};
use trainyard_http::{Request, Response};

use crate::fault::Fault;
use crate::host::{Backend, Host, Runtime, Task};
use crate::jobs::{Sight, id_of};
use crate::parameters::{Source, TrainParameters};
use crate::service::{Edge, Eliza, created, ok};
use crate::wire::answers::{
    AutoChanged, AutoStatus, Hours, Millis, One, RunRecord, RunWord, TaskDecisions, Triggered,
};
use crate::wire::requests::{self, AutoChange, Names, NewRun};
use crate::{auto, map};

impl<H: Handle + ?Sized, S: Host + ?Sized> Eliza<H, S> {
    pub(crate) async fn read_auto(&self) -> Result<Response, Fault> {
        self.work(|edge| {
            let config = edge.host.auto_config().map_err(|error| map::broken(&error))?;
            Ok(ok(&map::auto(&config)))
        })
        .await
    }

    pub(crate) async fn change_auto(&self, request: Request, names: Names) -> Result<Response, Fault> {
        let change = AutoChange::of(&self.members(request).await?, names)?;
        let changed = self.work(move |edge| {
            edge.is_going()?;
            edge.configure(|config| change.apply(config))
        });
        let (config, told) = changed.await?;
        told.log().await;
        Ok(ok(&AutoChanged { ok: true, config: map::auto_record(&config) }))
    }

    pub(crate) async fn auto_status(&self) -> Result<Response, Fault> {
        self.work(|edge| {
            edge.is_going()?;
            let config = edge.host.auto_config().map_err(|error| map::broken(&error))?;
            let views = edge.views()?;
            let of = |view: &View| view.task.to_string();
            Ok(ok(&AutoStatus {
                service_registered: true,
                runtime_available: edge.host.runtime() == Runtime::Attached,
                auto_train_enabled: config.is_enabled,
                trigger_threshold: config.threshold,
                trigger_cooldown_hours: Hours(config.cooldown),
                counters: views.iter().map(|view| (of(view), view.fresh())).collect(),
                last_train: views.iter().map(|view| (of(view), view.fired_at())).collect(),
                in_flight: views
                    .iter()
                    .filter_map(|view| Some((of(view), view.unfinished?.to_string())))
                    .collect(),
            }))
        })
        .await
    }

    pub(crate) async fn auto_decisions(&self) -> Result<Response, Fault> {
        self.work(|edge| {
            edge.is_going()?;
            let config = edge.host.auto_config().map_err(|error| map::broken(&error))?;
            let views = edge.views()?;
            let told = views.iter().map(|view| view.explained(auto::rule(&config, &view.task)));
            Ok(ok(&One::Decisions(told.collect::<Vec<_>>())))
        })
        .await
    }

    /// A manual run: it asks neither whether auto-training is enabled nor for the cooldown.
    pub(crate) async fn trigger(&self, request: Request) -> Result<Response, Fault> {
        let wanted = NewRun::of(&self.members(request).await?)?;
        let submitted = self.work(move |edge| {
            edge.is_going()?;
            match edge.prepare_run(wanted)? {
                Prepared::Run(submission) => Ok(Ok(edge.handle.submit(*submission))),
                Prepared::Skipped(run) => Ok(Err(run)),
            }
        });
        let submitted = match submitted.await? {
            Ok(submitted) => submitted,
            Err(run) => return Ok(created(&Triggered { run_id: None, status: run.status, run: *run })),
        };
        let receipt = submitted.await.map_err(|error| map::not_started(&error))?;
        self.work(move |edge| {
            let run = run_record(&edge.run_sight(receipt.job)?);
            Ok(created(&Triggered { run_id: run.run_id.clone(), status: run.status, run }))
        })
        .await
    }

    pub(crate) async fn list_runs(&self, query: Option<&str>) -> Result<Response, Fault> {
        let rows = requests::rows(query, 20, self.edge.limits().jobs_listed);
        self.work(move |edge| {
            edge.is_going()?;
            let runs = edge.sights(rows, |job| Task::of(&job.subject).is_some());
            Ok(ok(&One::Runs(runs.iter().map(run_record).collect::<Vec<_>>())))
        })
        .await
    }

    pub(crate) async fn read_run(&self, id: &str) -> Result<Response, Fault> {
        let id = id_of(id).map(JobId::new).ok_or_else(no_run)?;
        self.work(move |edge| {
            edge.is_going()?;
            Ok(ok(&One::Run(run_record(&edge.run_sight(id)?))))
        })
        .await
    }
}

/// How a task stands.
struct View {
    task: Task,
    total: u64,
    rule: Option<Rule>,
    unfinished: Option<JobId>,
    now: Timestamp,
}

impl View {
    fn look(yard: &Yard, now: Timestamp, task: Task, total: Option<u64>) -> Self {
        let subject = task.subject();
        let rule = yard.rule(&subject).cloned();
        let stored = rule.as_ref().and_then(|rule| rule.decision.as_ref());
        let total = total.or(stored.map(|decision| decision.observation.total)).unwrap_or(0);
        let unfinished = yard.unfinished(&subject).next_back().map(|job| job.id);
        Self { task, total, rule, unfinished, now }
    }

    fn fresh(&self) -> u64 {
        let seen = self.rule.as_ref().and_then(|rule| rule.history.watermark);
        self.total.saturating_sub(seen.unwrap_or(0))
    }

    fn fired_at(&self) -> Option<Millis> {
        Some(self.rule.as_ref()?.history.fired_at?.as_millis())
    }

    fn explained(&self, configured: RetrainRule) -> TaskDecisions {
        let history = self.rule.as_ref().map(|rule| rule.history).unwrap_or_default();
        let rule = self.rule.as_ref().map_or(configured, |rule| rule.rule);
        let stored = self.rule.as_ref().and_then(|rule| rule.decision.as_deref());
        let observation = Observation { total: self.total, lists: None };
        let now: Decision = rule.decide(self.now, &history, observation, self.unfinished);
        TaskDecisions {
            task: self.task.to_string(),
            threshold: threshold(&rule),
            cooldown_hours: Hours(rule.cooldown),
            enabled: rule.switch == Switch::On,
            decision: stored.map(map::decision),
            now: map::decision(&now),
        }
    }
}

/// A run that is to be, or why none is.
enum Prepared {
    Run(Box<Submission>),
    Skipped(Box<RunRecord>),
}

impl<H: Handle + ?Sized, S: Host + ?Sized> Edge<H, S> {
    /// All tasks that have been heard of.
    fn views(&self) -> Result<Vec<View>, Fault> {
        let totals = self.host.task_totals().map_err(|error| map::broken(&error))?;
        let mut tasks = self.ruled();
        tasks.extend(totals.keys().cloned());
        let (now, mut views) = (self.handle.now(), Vec::new());
        self.handle.read(&mut |yard| {
            let view = |task: &Task| View::look(yard, now, task.clone(), totals.get(task).copied());
            views = tasks.iter().map(view).collect();
        });
        Ok(views)
    }

    fn prepare_run(&self, wanted: NewRun) -> Result<Prepared, Fault> {
        let config = self.host.auto_config().map_err(|error| map::broken(&error))?;
        let views = self.views()?;
        let full = |view: &&View| view.fresh() >= threshold(&auto::rule(&config, &view.task));
        let fullest =
            || views.iter().filter(full).max_by_key(|view| view.fresh()).map(|view| view.task.clone());
        let own = |task: &Task| config.overrides.get(task).and_then(|own| own.backend);
        let task = wanted.task.or_else(fullest);
        let backend = wanted.backend.or_else(|| own(task.as_ref()?)).unwrap_or(Backend::Native);
        self.knows_backend(backend)?;
        let Some(task) = task else {
            return Ok(skipped(None, backend, wanted.is_dry, "no task has enough new trajectories"));
        };
        if wanted.is_dry {
            return Ok(skipped(Some(&task), backend, true, "it was only asked what would be trained"));
        }
        let total = views.iter().find(|view| view.task == task).map(|view| view.total);
        let id = self.handle.job_id();
        let class = Arc::new(self.settings.task_class(backend));
        let mut submission = Submission::new(id, task.subject(), class);
        submission.parameters = TrainParameters::new(Source::Task(task), backend).to_parameters();
        submission.watermark = total;
        submission.admission = Admission::Queue;
        submission.key = Some(manual(id));
        Ok(Prepared::Run(Box::new(submission)))
    }

    fn run_sight(&self, id: JobId) -> Result<Sight, Fault> {
        let sight = self.sight(id).map_err(|_| no_run())?;
        if Task::of(&sight.job.subject).is_some() { Ok(sight) } else { Err(no_run()) }
    }
}

/// Only what somebody asked for has a key.
fn manual(id: JobId) -> IdempotencyKey {
    IdempotencyKey::new(format!("eliza/manual/{id}")).expect("an id is short")
}

fn no_run() -> Fault {
    Fault::not_found("Run not found")
}

fn threshold(rule: &RetrainRule) -> u64 {
    match rule.trigger {
        Trigger::Fresh { at_least } => at_least.max(1),
        Trigger::PerList { threshold, .. } => threshold,
        Trigger::OptimalLists { above } | Trigger::Floor { above } => above,
    }
}

fn skipped(task: Option<&Task>, backend: Backend, is_dry: bool, reason: &str) -> Prepared {
    Prepared::Skipped(Box::new(RunRecord {
        run_id: None,
        status: RunWord::Skipped,
        reason: Some(reason.to_owned()),
        task: task.map(ToString::to_string).unwrap_or_default(),
        backend: backend.as_str(),
        source: "manual",
        dataset_size: None,
        started_at: None,
        finished_at: None,
        artifact_path: None,
        model_id: None,
        dry_run: is_dry,
    }))
}

fn run_record(sight: &Sight) -> RunRecord {
    let job: &Job = &sight.job;
    let status = map::run_word(&job.phase);
    let (started_at, finished_at) = sight.times();
    let nothing = || "it found nothing to do, or nothing better".to_owned();
    RunRecord {
        run_id: Some(job.id.to_string()),
        status,
        reason: job.outcome().and_then(|outcome| match status {
            RunWord::Skipped => Some(nothing()),
            RunWord::Queued | RunWord::Running | RunWord::Succeeded | RunWord::Failed => {
                map::error(outcome).or_else(|| (!outcome.is_completed()).then(|| outcome.to_string()))
            }
        }),
        task: Task::of(&job.subject).map(|task| task.to_string()).unwrap_or_default(),
        backend: sight.parameters().backend.as_str(),
        source: if job.key().is_some() { "manual" } else { "threshold" },
        dataset_size: job.watermark(),
        started_at,
        finished_at,
        artifact_path: sight.model.as_ref().map(|model| model.artifact.as_str().to_owned()),
        model_id: sight.model.as_ref().map(|model| model.id.to_string()),
        dry_run: false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::host::{AutoConfig, TaskConfig};

    #[test]
    fn a_task_may_have_a_rule_of_its_own() {
        let task = Task::new("response").unwrap();
        let own = TaskConfig { threshold: Some(7), cooldown: Some(Duration::ZERO), backend: None };
        let overrides = BTreeMap::from([(task.clone(), own)]);
        let config = AutoConfig { overrides, ..AutoConfig::default() };
        let rule = auto::rule(&config, &task);
        assert_eq!((threshold(&rule), rule.cooldown), (7, Duration::ZERO));
        let rule = auto::rule(&config, &Task::new("other").unwrap());
        assert_eq!((threshold(&rule), rule.cooldown), (100, Duration::from_secs(12 * 3_600)));
    }
}
