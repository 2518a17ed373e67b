//! The port that adapters hold, kept by the running yard.

use trainyard_core::port::{Changes, Handle, Observed, Pending, Receipt};
use trainyard_core::{
    JobId, ModelId, Observation, Outcome, Progress, Reason, RetrainRule, Subject, Submission, Template,
    Timestamp, Yard,
};

use crate::Trainyard;

impl Handle for Trainyard {
    fn now(&self) -> Timestamp {
        Self::now(self)
    }

    fn job_id(&self) -> JobId {
        Self::job_id(self)
    }

    fn submit(&self, submission: Submission) -> Pending<Receipt> {
        Box::pin(Self::submit(self, submission))
    }

    fn cancel(&self, job: JobId, reason: Reason) -> Pending<()> {
        Box::pin(Self::cancel(self, job, reason))
    }

    fn set_rule(&self, subject: Subject, rule: RetrainRule, template: Template) -> Pending<()> {
        Box::pin(Self::set_rule(self, subject, rule, template))
    }

    fn observe(&self, subject: Subject, observation: Observation) -> Pending<Observed> {
        Box::pin(Self::observe(self, subject, observation))
    }

    fn activate(&self, model: ModelId) -> Pending<()> {
        Box::pin(Self::activate(self, model))
    }

    fn retire(&self, subject: Subject) -> Pending<()> {
        Box::pin(Self::retire(self, subject))
    }

    fn finished(&self, job: JobId) -> Pending<Outcome> {
        Box::pin(Self::finished(self, job))
    }

    fn read(&self, look: &mut dyn FnMut(&Yard)) {
        Self::read(self, |yard| look(yard));
    }

    fn edition(&self) -> Option<u64> {
        Some(Self::edition(self))
    }

    fn progress(&self, job: JobId) -> Option<Progress> {
        Self::progress(self, job)
    }

    fn stopped(&self) -> Option<Reason> {
        Self::stopped(self)
    }

    fn subscribe(&self) -> Box<dyn Changes> {
        Box::new(Self::subscribe(self))
    }
}
