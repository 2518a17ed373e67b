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
            metrics: List(
                metrics.iter().map(|(metric, score)| (metric.as_str(), Number::of(*score))).collect(),
            ),
            watermark: *watermark,
            at: Moment::of(*at),
        }
    }

    pub(super) fn restore(self) -> Result<core::Model, Invalid> {
        let Self { id, registry, subject, job, parent, artifact, metrics: List(metrics), watermark, at } =
            self;
        let metrics =
            metrics.into_iter().map(|(metric, score)| Ok((core::Metric::new(metric)?, score.restore()?)));
        Ok(core::Model {
            id: core::ModelId::new(id.0),
            registry: core::Registry::new(registry)?,
            subject: core::Subject::new(subject)?,
            job: core::JobId::new(job.0),
            parent: parent.map(|parent| core::ModelId::new(parent.0)),
            artifact: reason(artifact)?,
            metrics: metrics.collect::<Result<_, Invalid>>()?,
            watermark,
            at: at.restore(),
        })
    }
}
