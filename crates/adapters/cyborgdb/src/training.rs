//! Training: asked for, set off by growth, waited for; and what is put right at a start.

use std::collections::BTreeSet;
use std::sync::Arc;

use trainyard_core::port::{Handle, HandleError, Pending, Receipt};
use trainyard_core::{Admission, Observation, Rejection, Subject, Submission, Switch, Template};
use trainyard_http::{Request, Response, StatusCode, blocking};

use crate::fault::Fault;
use crate::host::{Batch, Host, HostError, IndexId, Refused};
use crate::map::{self, Doing};
use crate::parameters::TrainParameters;
use crate::service::{CyborgDb, Edge};
use crate::wire::answers::Said;
use crate::wire::requests::Train;

/// What a [`CyborgDb::resync`] found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resynced {
    /// How many indexes there are.
    pub indexes: usize,
    /// How many of them got a retrain rule, or another one.
    pub ruled: usize,
    /// How many trainings were due.
    pub triggered: usize,
    /// How many indexes are no more whose work was still in the yard.
    pub retired: usize,
}

/// Why a [`CyborgDb::resync`] broke off. It can be called again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResyncError {
    /// The host could not say what there is.
    #[error("the indexes could not be listed")]
    Host(#[from] HostError),
    /// The yard did not take it in.
    #[error("the yard did not take the state of the indexes in")]
    Handle(#[from] HandleError),
}

/// An index after an upsert.
pub(crate) struct Grown {
    pub(crate) upserted: usize,
    id: IndexId,
    name: String,
    observation: Observation,
    observed: Option<Pending<trainyard_core::port::Observed>>,
}

/// A training that was asked for.
enum Asked {
    /// It cannot be done.
    Refused,
    Queued(IndexId, Pending<Receipt>),
}

impl<H: Handle + ?Sized, S: Host + ?Sized> CyborgDb<H, S> {
    /// Makes yard and host agree, after a start: every index has its rule and is observed, and what is left of
    /// indexes that are no more is retired (a crash may have come between the two steps of a delete).
    ///
    /// Needs no async runtime. Call it before the service is mounted. What the host does not list is taken
    /// for deleted, so services that share a yard must share their indexes too.
    ///
    /// # Errors
    /// [`ResyncError`] when host or yard do not answer; what was done stays done.
    pub async fn resync(&self) -> Result<Resynced, ResyncError> {
        let edge = &self.edge;
        let listed = edge.host.list()?;
        let mut done = Resynced { indexes: listed.len(), ..Resynced::default() };
        for index in &listed {
            if !edge.has_rule(index.id, &index.name) {
                edge.set_rule(index.id, &index.name).await?;
                done.ruled += 1;
            }
            // An index that goes away meanwhile, or that cannot be read, is none of this one's business.
            let Ok(total) = edge.host.count(index.id) else {
                continue;
            };
            if edge.settings.auto_train() == Switch::On {
                let observed =
                    edge.handle.observe(index.id.subject(), edge.observation(index.id, total)).await?;
                done.triggered += usize::from(observed.job.is_some());
            }
        }
        let alive = listed.iter().map(|index| index.id.subject()).collect();
        for subject in edge.left_over(&alive) {
            edge.handle.retire(subject).await?;
            done.retired += 1;
        }
        Ok(done)
    }

    pub(crate) async fn train(&self, request: Request) -> Result<Response, Fault> {
        let (name, asked) = self.post(request, |edge, body: Train| edge.ask(body)).await?;
        let said = match asked {
            Asked::Refused => map::train_failed(&name),
            Asked::Queued(id, receipt) => self.wait_for(id, &name, receipt).await?,
        };
        Ok(Response::json(StatusCode::OK, &said))
    }

    /// Holds no thread while it waits. When the caller goes away the training goes on.
    async fn wait_for(&self, id: IndexId, name: &str, receipt: Pending<Receipt>) -> Result<Said, Fault> {
        let job = match receipt.await {
            Ok(receipt) => receipt.job,
            Err(HandleError::Rejected(rejection)) => {
                tracing::warn!(index = name, %rejection, "a training was not queued");
                return Ok(map::train_failed(name));
            }
            Err(HandleError::Stopped { .. }) => return Err(Fault::queue_stopped()),
            Err(error) => return Err(map::unanswered(Doing::Train, &error)),
        };
        let outcome = match self.edge.handle.finished(job).await {
            Ok(outcome) => outcome,
            Err(error) => return Err(map::unanswered(Doing::Train, &error)),
        };
        if !outcome.is_completed() {
            tracing::warn!(index = name, %job, %outcome, "a training did not complete");
            return Ok(map::trained(name, &outcome));
        }
        let edge = Arc::clone(&self.edge);
        let adopted = blocking(move || edge.adopt(id)).await;
        match adopted {
            Ok(_) => Ok(map::trained(name, &outcome)),
            Err(Refused::Stopping) => Err(Fault::ShuttingDown),
            Err(error) => {
                tracing::warn!(index = name, %error, "a training has given a model that cannot be served");
                Ok(map::train_failed(name))
            }
        }
    }

    /// What to announce, if this very upsert queued a training; an error when the check itself failed.
    pub(crate) async fn train_if_due(&self, grown: Grown) -> Result<Option<String>, ()> {
        let Grown { id, name, observation, observed, .. } = grown;
        let Some(observed) = observed else { return Ok(None) };
        let observed = match observed.await {
            Err(HandleError::Rejected(Rejection::NoRule(_))) => {
                self.rule_and_observe(id, &name, observation).await
            }
            observed => observed,
        };
        match observed {
            Ok(observed) => Ok(observed.job.map(|_| {
                map::training_message(self.edge.settings.rule(), observation.total, observation.lists)
            })),
            Err(error) => {
                tracing::warn!(index = name, %error, "the retrain rule could not be asked");
                Err(())
            }
        }
    }

    /// For an index whose creation was cut short between its two steps.
    async fn rule_and_observe(
        &self,
        id: IndexId,
        name: &str,
        observation: Observation,
    ) -> Result<trainyard_core::port::Observed, HandleError> {
        let edge = Arc::clone(&self.edge);
        if blocking(move || edge.host.count(id)).await.is_err() {
            // Deleted meanwhile: what is no more gets no rule.
            return Err(Rejection::NoRule(id.subject()).into());
        }
        self.edge.set_rule(id, name).await?;
        self.edge.handle.observe(id.subject(), observation).await
    }
}

impl<H: Handle + ?Sized, S: Host + ?Sized> Edge<H, S> {
    /// Puts a batch in, and asks the rule; the caller waits for what it says.
    pub(crate) fn put(&self, doing: Doing, id: IndexId, name: String, batch: Batch) -> Result<Grown, Fault> {
        let upserted = batch.items.len();
        let total = self.host.upsert(id, batch).map_err(|error| map::refused(doing, &name, &error))?;
        let observation = self.observation(id, total);
        let observed = match self.settings.auto_train() {
            Switch::On => Some(self.handle.observe(id.subject(), observation)),
            Switch::Off => None,
        };
        Ok(Grown { upserted, id, name, observation, observed })
    }

    fn observation(&self, id: IndexId, total: u64) -> Observation {
        // An index whose model cannot be served is searched as an untrained one, and is due like one.
        let model = self.handle.active_model(&id.registry());
        let model = model.filter(|model| !self.unfit.has(id, model.id));
        Observation { total, lists: model.map(|model| map::lists_of(&model)) }
    }

    fn ask(&self, body: Train) -> Result<(String, Asked), Fault> {
        let id = self.open(Doing::Train, &body.index)?;
        self.is_going()?;
        let name = body.index.name;
        if body.n_lists.is_some_and(i64::is_negative) {
            return Ok((name, Asked::Refused));
        }
        let positive =
            |given: Option<i64>| given.and_then(|given| u64::try_from(given).ok()).filter(|given| *given > 0);
        let parameters = TrainParameters {
            n_lists: positive(body.n_lists),
            batch_size: positive(body.batch_size),
            max_iters: positive(body.max_iters),
            tolerance: body.tolerance.filter(|tolerance| *tolerance > 0.0),
            max_memory: positive(body.max_memory),
            ..self.automatic(&name)
        };
        let total = self.host.count(id).map_err(|error| map::refused(Doing::Train, &name, &error))?;
        let class = Arc::clone(self.settings.class());
        let mut submission = Submission::new(self.handle.job_id(), id.subject(), class);
        submission.parameters = parameters.to_parameters();
        submission.admission = Admission::Queue;
        submission.watermark = Some(total);
        Ok((name, Asked::Queued(id, self.handle.submit(submission))))
    }

    fn automatic(&self, name: &str) -> TrainParameters {
        TrainParameters::automatic(map::shortened(name), self.settings.min_vectors())
    }

    /// What is queued when the rule fires. Beside an unfinished job of the index it never does.
    fn template(&self, name: &str) -> Template {
        let class = Arc::clone(self.settings.class());
        Template { class, parameters: self.automatic(name).to_parameters(), admission: Admission::Join }
    }

    pub(crate) fn set_rule(&self, id: IndexId, name: &str) -> Pending<()> {
        self.handle.set_rule(id.subject(), self.settings.retrain_rule(), self.template(name))
    }

    fn has_rule(&self, id: IndexId, name: &str) -> bool {
        let (subject, wanted, template) = (id.subject(), self.settings.retrain_rule(), self.template(name));
        let mut has = false;
        self.handle.read(&mut |yard| {
            has = yard.rule(&subject).is_some_and(|rule| rule.rule == wanted && *rule.template == template);
        });
        has
    }

    /// Indexes that the yard knows of and the host does not.
    fn left_over(&self, alive: &BTreeSet<Subject>) -> BTreeSet<Subject> {
        let mut left = BTreeSet::new();
        self.handle.read(&mut |yard| {
            let ruled = yard.rules().map(|(subject, _)| subject.clone());
            let at_work = yard.jobs().filter(|job| !job.is_finished()).map(|job| job.subject.clone());
            let modelled = yard.registries().filter_map(|registry| Subject::new(registry.as_str()).ok());
            let known = ruled.chain(at_work).chain(modelled);
            left.extend(known.filter(|subject| IndexId::of(subject).is_some() && !alive.contains(subject)));
        });
        left
    }
}
