//! What is done besides trainings: images of looks are looked at. Each is a job of the yard.

use std::sync::Arc;
use std::time::Duration;

use trainyard_core::{Class, JobId, Kind, Promotion, QueueName, RetryPolicy, Subject, Submission};
use trainyard_heygen::LookId;
use uuid::Uuid;

/// The image of a look is decoded, from its first byte to its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Check(pub(crate) LookId);

impl Check {
    /// What the yard knows it as.
    pub(crate) fn subject(self) -> Subject {
        Subject::new(format!("{LOOK}{}", self.0)).expect("an id is short and has no control characters")
    }

    /// The work that the yard knows as this subject; `None` when it is none.
    pub(crate) fn of(subject: &Subject) -> Option<Self> {
        let id = subject.as_str().strip_prefix(LOOK)?;
        let check = Self(LookId::new(Uuid::try_parse(id).ok()?));
        // An id can be written in more ways than one, and the yard tells them apart.
        (check.subject() == *subject).then_some(check)
    }

    /// What these jobs have in common. What fails for a reason that may pass is tried again.
    pub(crate) fn class(retry: RetryPolicy) -> Arc<Class> {
        let kind = Kind::new(NAME).expect("a short word is a kind");
        let queue = QueueName::new(NAME).expect("a short word is a queue name");
        let mut class = Class::new(kind, queue);
        class.limits.time = Some(TIME_MAX);
        class.promotion = Promotion::Manual;
        class.retry = retry;
        Arc::new(class)
    }

    /// A request for it, under the id that the catalogue has noted for it: made twice it is one job.
    pub(crate) fn submission(self, class: &Arc<Class>, job: JobId) -> Submission {
        Submission::new(job, self.subject(), Arc::clone(class))
    }
}

const NAME: &str = "heygen-look";
const LOOK: &str = "heygen-look/";
/// Far more than the largest photo takes that is read at all.
const TIME_MAX: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use trainyard_heygen::GroupId;

    use super::*;

    #[test]
    fn a_subject_names_its_work() {
        let id = Uuid::from_u128(0xABC);
        let check = Check(LookId::new(id));
        assert_eq!(Check::of(&check.subject()), Some(check));
        assert_eq!(GroupId::of(&check.subject()), None, "it is no training");
        assert_eq!(Check::of(&GroupId::new(id).subject()), None);
        for other in
            ["seven".to_owned(), id.to_string(), id.braced().to_string(), format!("{:X}", id.simple())]
        {
            assert_eq!(Check::of(&Subject::new(format!("{LOOK}{other}")).unwrap()), None, "{other}");
        }
    }
}
