//! Models.

use serde::{Deserialize, Serialize};
use trainyard_core as core;

use super::value::{Id, Invalid, List, Moment, Number, reason};

/// Far more than anybody measures.
const METRICS_MAX: usize = 65_536;

#[derive(Serialize, Deserialize)]
pub(super) struct Model<'a> {
    id: Id,
    registry: &'a str,
    subject: &'a str,
    job: Id,
    parent: Option<Id>,
    artifact: &'a str,
    #[serde(borrow)]
    metrics: List<(&'a str, Number), METRICS_MAX>,
    watermark: Option<u64>,
    at: Moment,
}

/// What a run hands over.
#[derive(Serialize, Deserialize)]
pub(super) struct Trained<'a> {
    #[serde(borrow)]
    artifact: Option<&'a str>,
    #[serde(borrow)]
    metrics: List<(&'a str, Number), METRICS_MAX>,
}

impl<'a> Trained<'a> {
    pub(super) fn of(trained: &'a core::Trained) -> Self {
        let core::Trained { artifact, metrics } = trained;
        Self { artifact: artifact.as_ref().map(core::Reference::as_str), metrics: figures(metrics) }
    }

    pub(super) fn restore(self) -> Result<core::Trained, Invalid> {
        let Self { artifact, metrics } = self;
        Ok(core::Trained { artifact: artifact.map(reason).transpose()?, metrics: restore_figures(metrics)? })
    }
}

fn figures(metrics: &core::Metrics) -> List<(&str, Number), METRICS_MAX> {
    List(metrics.iter().map(|(metric, score)| (metric.as_str(), Number::of(*score))).collect())
}

fn restore_figures(List(metrics): List<(&str, Number), METRICS_MAX>) -> Result<core::Metrics, Invalid> {
    metrics.into_iter().map(|(metric, score)| Ok((core::Metric::new(metric)?, score.restore()?))).collect()
}

impl<'a> Model<'a> {
    pub(super) fn of(model: &'a core::Model) -> Self {
        let core::Model { id, registry, subject, job, parent, artifact, metrics, watermark, at } = model;
        Self {
            id: Id(id.as_uuid()),
            registry: registry.as_str(),
            subject: subject.as_str(),
            job: Id(job.as_uuid()),
            parent: parent.map(|parent| Id(parent.as_uuid())),
            artifact: artifact.as_str(),
            metrics: figures(metrics),
            watermark: *watermark,
            at: Moment::of(*at),
        }
    }

    pub(super) fn restore(self) -> Result<core::Model, Invalid> {
        let Self { id, registry, subject, job, parent, artifact, metrics, watermark, at } = self;
        Ok(core::Model {
            id: core::ModelId::new(id.0),
            registry: core::Registry::new(registry)?,
            subject: core::Subject::new(subject)?,
            job: core::JobId::new(job.0),
            parent: parent.map(|parent| core::ModelId::new(parent.0)),
            artifact: reason(artifact)?,
            metrics: restore_figures(metrics)?,
            watermark,
            at: at.restore(),
        })
    }
}
