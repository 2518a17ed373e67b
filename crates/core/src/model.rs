//! What trainings leave behind.

use crate::{JobId, Metric, Metrics, ModelId, Reason, Registry, Score, Subject, Timestamp};

/// Where a trainer has put something: a path or a URL, at most [`Reason::BYTES_MAX`] bytes. The core never
/// opens it.
pub type Reference = Reason;

/// What a trainer hands over when it is done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trained {
    /// Where the artifact is; `None` for a training that found nothing to do, which makes no model.
    pub artifact: Option<Reference>,
    /// Figures measured at the end.
    pub metrics: Metrics,
}

impl Trained {
    /// An artifact that is somewhere.
    ///
    /// ```
    /// use trainyard_core::{Metric, Reference, Score, Trained};
    ///
    /// let trained = Trained::artifact(Reference::new("model.bin")).with_metric(Metric::new("loss")?, Score::new(0.1)?);
    /// assert_eq!(trained.metrics.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn artifact(reference: Reference) -> Self {
        Self { artifact: Some(reference), metrics: Metrics::new() }
    }

    /// With a figure in addition to those that are there.
    #[must_use]
    pub fn with_metric(mut self, metric: Metric, value: Score) -> Self {
        self.metrics.insert(metric, value);
        self
    }
}

/// A model in its registry.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Model {
    /// Its id.
    pub id: ModelId,
    /// The set it belongs to; of each set one model is active.
    pub registry: Registry,
    /// The subject it was trained on.
    pub subject: Subject,
    /// The job that made it.
    pub job: JobId,
    /// The model that was active when it was made.
    pub parent: Option<ModelId>,
    /// Where the artifact is.
    pub artifact: Reference,
    /// Figures measured at the end of its training.
    pub metrics: Metrics,
    /// How much there was to train on when its training was asked for.
    pub watermark: Option<u64>,
    /// When it was registered.
    pub at: Timestamp,
}

/// Which model of a registry becomes the active one when another arrives.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub enum Promotion {
    /// The newest, always.
    #[default]
    Newest,
    /// None by itself; somebody activates one.
    Manual,
    /// The newest, if its metric is higher than the active model's, or the active one has none.
    Best(Metric),
    /// The newest, if it has this metric, and it is at least so much: for trainers that hold the newcomer against the
    /// active model themselves, and say as a figure whether it is to take its place.
    AtLeast(Metric, Score),
}

impl Promotion {
    /// Whether `newcomer` is to replace `active`.
    #[must_use]
    pub fn promotes(&self, newcomer: &Metrics, active: Option<&Metrics>) -> bool {
        match self {
            Self::Newest => true,
            Self::Manual => false,
            Self::Best(metric) => match (newcomer.get(metric), active) {
                (None, Some(_)) => false,
                (_, None) => true,
                (Some(new), Some(active)) => active.get(metric).is_none_or(|old| new > old),
            },
            Self::AtLeast(metric, least) => newcomer.get(metric).is_some_and(|figure| figure >= least),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_is_measured() {
        let metric = Metric::new("recall").unwrap();
        let best = Promotion::Best(metric.clone());
        let with = |value| Metrics::from([(metric.clone(), Score::new(value).unwrap())]);
        assert!(best.promotes(&with(0.5), None));
        assert!(best.promotes(&with(0.5), Some(&with(0.4))));
        assert!(!best.promotes(&with(0.5), Some(&with(0.5))));
        assert!(!best.promotes(&Metrics::new(), Some(&with(0.1))));
        assert!(best.promotes(&with(0.1), Some(&Metrics::new())));
        let at_least = Promotion::AtLeast(metric.clone(), Score::new(0.5).unwrap());
        for active in [None, Some(with(0.9))] {
            assert!(at_least.promotes(&with(0.5), active.as_ref()));
            assert!(!at_least.promotes(&with(0.4), active.as_ref()));
            assert!(
                !at_least.promotes(&Metrics::new(), active.as_ref()),
                "what was not measured is not enough"
            );
        }
        assert!(Promotion::Newest.promotes(&Metrics::new(), Some(&with(0.9))));
        assert!(!Promotion::Manual.promotes(&with(0.9), None));
    }
}
