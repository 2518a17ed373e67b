//! Trainings that nobody asks for: each task has a retrain rule in the yard, which is told the task's totals.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use trainyard_core::port::{Handle, HandleError, Observed, Pending};
use trainyard_core::{Admission, Observation, RetrainRule, Switch, Template, Trigger};

use crate::fault::Fault;
use crate::host::{AutoConfig, Backend, Host, HostError, Ingested, Refused, Task, TaskConfig};
use crate::map;
use crate::parameters::{Source, TrainParameters};
use crate::service::{Edge, Eliza};

/// What a [`Eliza::resync`] found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resynced {
    /// How many tasks there are.
    pub tasks: usize,
    /// How many of them got a retrain rule, or another one.
    pub ruled: usize,
    /// How many trainings were due.
    pub triggered: usize,
}

/// Why a [`Eliza::resync`] broke off. It can be called again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResyncError {
    /// The host could not say how the tasks stand.
    #[error("the tasks could not be read")]
    Host(#[from] HostError),
    /// The yard did not take it in.
    #[error("the yard did not take the state of the tasks in")]
    Handle(#[from] HandleError),
}

/// What the yard was told, and has yet to answer. Dropped, it was told all the same.
#[derive(Default)]
pub(crate) struct Told {
    rules: Vec<(Task, Pending<()>)>,
    observed: Vec<(Task, Pending<Observed>)>,
}

impl<H: Handle + ?Sized, S: Host + ?Sized> Eliza<H, S> {
    /// Makes yard and host agree, after a start: every task has the rule that the stored configuration says, and is
    /// observed. What has not changed is not written again.
    ///
    /// Needs no async runtime, but asks the host where it is polled. Call it before the service is mounted.
    ///
    /// # Errors
    /// [`ResyncError`] when host or yard do not answer; what was done stays done.
    pub async fn resync(&self) -> Result<Resynced, ResyncError> {
        let (tasks, told) = {
            let _turn = self.edge.turn();
            let config = self.edge.host.auto_config()?;
            let totals = self.edge.host.task_totals()?;
            (totals.len(), self.edge.tell(&config, &totals))
        };
        let mut done = Resynced { tasks, ruled: told.rules.len(), ..Resynced::default() };
        for (_, set) in told.rules {
            set.await?;
        }
        for (_, observed) in told.observed {
            done.triggered += usize::from(observed.await?.job.is_some());
        }
        Ok(done)
    }

    /// Takes trajectories in, for an agent in the same process: does what `POST /api/training/trajectories` does. The yard
    /// was told when this returns, and trains what is due. Blocks.
    ///
    /// # Errors
    /// [`Refused`], as [`Host::ingest`] has it; nothing has changed.
    pub fn ingest(&self, json: &[u8]) -> Result<Ingested, Refused> {
        self.edge.ingest(json).map(|(ingested, _)| ingested)
    }

    /// Tells the yard how the tasks stand, for a host that takes trajectories in by another way. Blocks.
    ///
    /// # Errors
    /// [`HostError`] when the host cannot say.
    pub fn observe(&self) -> Result<(), HostError> {
        self.edge.observe()
    }
}

impl<H: Handle + ?Sized, S: Host + ?Sized> Edge<H, S> {
    /// Takes trajectories in and tells the yard. What the yard is told last is what is true last, so one does it at a
    /// time.
    pub(crate) fn ingest(&self, json: &[u8]) -> Result<(Ingested, Told), Refused> {
        let _turn = self.turn();
        let ingested = self.host.ingest(json, self.handle.now())?;
        // What was taken in is durable; the yard hears of it with the next one, or at the next start.
        let told = match self.host.auto_config() {
            Ok(config) if !ingested.totals.is_empty() => self.tell(&config, &ingested.totals),
            Ok(_) => Told::default(),
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::error!(error, "the yard was not told of trajectories");
                Told::default()
            }
        };
        Ok((ingested, told))
    }

    /// Tells the yard how the tasks stand.
    pub(crate) fn observe(&self) -> Result<(), HostError> {
        let _turn = self.turn();
        let config = self.host.auto_config()?;
        let totals = self.host.task_totals()?;
        self.tell(&config, &totals);
        Ok(())
    }

    /// Stores another configuration, and tells the yard.
    pub(crate) fn configure(
        &self,
        change: impl FnOnce(AutoConfig) -> AutoConfig,
    ) -> Result<(AutoConfig, Told), Fault> {
        let _turn = self.turn();
        let broken = |error: HostError| map::broken(&error);
        let old = self.host.auto_config().map_err(broken)?;
        let config = change(old.clone());
        for task in config.overrides.keys() {
            // What stands already may stay, though its backend is gone: it must not keep anybody from switching it off.
            let backend = overridden(&config, task).backend;
            if let Some(backend) = backend.filter(|_| backend != overridden(&old, task).backend) {
                self.knows_backend(backend)?;
            }
        }
        let totals = self.host.task_totals().map_err(broken)?;
        self.host.set_auto_config(&config).map_err(broken)?;
        let told = self.tell(&config, &totals);
        Ok((config, told))
    }

    /// Gives every task that has a rule, or needs one, the one it should have, and tells the yard these totals.
    fn tell(&self, config: &AutoConfig, totals: &BTreeMap<Task, u64>) -> Told {
        let mut told = Told::default();
        let mut tasks: BTreeSet<Task> = totals.keys().cloned().collect();
        tasks.extend(self.ruled());
        for task in tasks {
            let (rule, template) = (rule(config, &task), self.template(config, &task));
            if !self.has_rule(&task, rule, &template) {
                told.rules.push((task.clone(), self.handle.set_rule(task.subject(), rule, template)));
            }
            if let Some(total) = totals.get(&task) {
                let observation = Observation { total: *total, lists: None };
                let observed = self.handle.observe(task.subject(), observation);
                told.observed.push((task, observed));
            }
        }
        told
    }

    /// Tasks that have a rule in the yard.
    pub(crate) fn ruled(&self) -> BTreeSet<Task> {
        let mut tasks = BTreeSet::new();
        self.handle.read(&mut |yard| tasks.extend(yard.rules().filter_map(|(subject, _)| Task::of(subject))));
        tasks
    }

    fn has_rule(&self, task: &Task, wanted: RetrainRule, template: &Template) -> bool {
        let (subject, mut has) = (task.subject(), false);
        self.handle.read(&mut |yard| {
            has = yard.rule(&subject).is_some_and(|rule| rule.rule == wanted && *rule.template == *template);
        });
        has
    }

    /// What is trained when a task's rule fires. Beside an unfinished job of the task it never does.
    fn template(&self, config: &AutoConfig, task: &Task) -> Template {
        let backend = overridden(config, task).backend.unwrap_or(Backend::Native);
        Template {
            class: Arc::new(self.settings.task_class(backend)),
            parameters: TrainParameters::new(Source::Task(task.clone()), backend).to_parameters(),
            admission: Admission::Join,
        }
    }
}

impl Told {
    /// Waits for the answers, and says in the log what went wrong: the totals are absolute, so the next ones make up for it.
    pub(crate) async fn log(self) {
        for (task, set) in self.rules {
            if let Err(error) = set.await {
                tracing::warn!(%task, %error, "a retrain rule was not set");
            }
        }
        for (task, observed) in self.observed {
            match observed.await {
                Ok(observed) => {
                    if let Some(job) = observed.job {
                        tracing::info!(%task, %job, "enough is new: it is trained");
                    }
                }
                Err(error) => tracing::warn!(%task, %error, "a retrain rule could not be asked"),
            }
        }
    }
}

fn overridden(config: &AutoConfig, task: &Task) -> TaskConfig {
    config.overrides.get(task).copied().unwrap_or_default()
}

/// The rule of a task: so many new since its last run, and not too soon after it.
pub(crate) fn rule(config: &AutoConfig, task: &Task) -> RetrainRule {
    let own = overridden(config, task);
    let at_least = own.threshold.unwrap_or(config.threshold);
    RetrainRule::new(Trigger::Fresh { at_least })
        .with_cooldown(own.cooldown.unwrap_or(config.cooldown))
        .with_switch(if config.is_enabled { Switch::On } else { Switch::Off })
}
