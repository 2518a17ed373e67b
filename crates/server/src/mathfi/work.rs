//! What is done besides contests: data is made ready, and predictions are made. Each is a job of the yard.

use std::sync::Arc;
use std::time::Duration;

use trainyard_core::{
    Class, JobId, Kind, Parameters, Promotion, QueueName, RetryPolicy, Subject, Submission,
};
use trainyard_mathfi::{DatasetId, PredictionId};
use uuid::Uuid;

/// One piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Makes the data of a dataset ready.
    Prepare(DatasetId),
    /// Makes a prediction.
    Predict(PredictionId),
}

impl Work {
    /// What the yard knows it as.
    pub(crate) fn subject(self) -> Subject {
        let text = match self {
            Self::Prepare(id) => format!("{DATA}{id}"),
            Self::Predict(id) => format!("{PREDICTION}{id}"),
        };
        Subject::new(text).expect("an id is short and has no control characters")
    }

    /// The work that the yard knows as this subject; `None` when it is none.
    pub(crate) fn of(subject: &Subject) -> Option<Self> {
        let id = |prefix| Uuid::try_parse(subject.as_str().strip_prefix(prefix)?).ok();
        let prepare = id(DATA).map(|id| Self::Prepare(DatasetId::new(id)));
        prepare.or_else(|| id(PREDICTION).map(|id| Self::Predict(PredictionId::new(id))))
    }
}

const DATA: &str = "mathfi-data/";
const PREDICTION: &str = "mathfi-prediction/";

/// What jobs of each sort have in common.
#[derive(Debug, Clone)]
pub(crate) struct Classes {
    pub(crate) prepare: Arc<Class>,
    pub(crate) predict: Arc<Class>,
}

impl Classes {
    /// With these limits of time. What fails for a reason that may pass is tried again.
    pub(crate) fn new(prepare: Duration, predict: Duration, retry: RetryPolicy) -> Self {
        let class = |name, time| {
            let kind = Kind::new(name).expect("a short word is a kind");
            let queue = QueueName::new(name).expect("a short word is a queue name");
            let mut class = Class::new(kind, queue);
            class.limits.time = Some(time);
            class.promotion = Promotion::Manual;
            class.retry = retry;
            Arc::new(class)
        };
        Self { prepare: class("mathfi-prepare", prepare), predict: class("mathfi-predict", predict) }
    }

    /// What jobs for this sort of work have in common.
    pub(crate) fn of(&self, work: Work) -> &Arc<Class> {
        match work {
            Work::Prepare(_) => &self.prepare,
            Work::Predict(_) => &self.predict,
        }
    }

    /// A request for a piece of work, under the id that the catalogue has noted for it: made twice it is one job.
    pub(crate) fn submission(&self, work: Work, job: JobId, parameters: Parameters) -> Submission {
        let mut submission = Submission::new(job, work.subject(), Arc::clone(self.of(work)));
        submission.parameters = parameters;
        submission
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_names_its_work() {
        let id = Uuid::from_u128(7);
        for work in [Work::Prepare(DatasetId::new(id)), Work::Predict(PredictionId::new(id))] {
            assert_eq!(Work::of(&work.subject()), Some(work));
            assert_eq!(DatasetId::of(&work.subject()), None, "it is no contest");
        }
        assert_eq!(Work::of(&DatasetId::new(id).subject()), None);
        assert_eq!(Work::of(&Subject::new("mathfi-data/7").unwrap()), None);
    }
}
