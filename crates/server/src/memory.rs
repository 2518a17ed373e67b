//! Memory that trainings ask for.

use trainyard_core::{Class, Job, JobId, Kind, Phase, Reason, Resource, Resources};
use trainyard_runtime::Trainyard;

/// So much memory, in MiB, as a part of what a node has.
pub(crate) fn with_memory(resources: Resources, mib: u64) -> Resources {
    resources.with(Resource::new(MEMORY_MIB).expect("a short word is a resource"), mib)
}

/// What a class asks for, in MiB.
pub(crate) fn memory_mib(class: &Class) -> u64 {
    class.resources.amount(MEMORY_MIB)
}

/// Trainings of this kind that wait for more memory than they may ever have, `max` MiB, since there was more of it once:
/// each is cancelled. Says how many those are.
pub(crate) fn turn_away(yard: &Trainyard, kind: &Kind, max: u64) -> usize {
    let waits = |job: &Job| job.class.kind == *kind && matches!(job.phase, Phase::Waiting(_));
    let too_large: Vec<(JobId, u64)> = yard.read(|yard| {
        let waiting = yard.jobs().filter(|job| waits(job));
        let needed = waiting.map(|job| (job.id, memory_mib(&job.class)));
        needed.filter(|(_, needed)| *needed > max).collect()
    });
    for (job, needed) in &too_large {
        let reason = format!("it needs {needed} MiB of memory, and the service has {max} MiB for it now");
        tracing::warn!(%job, needed, max, "a training is cancelled: it does not fit into the memory any more");
        // When the yard has stopped, that is for the next start.
        drop(yard.cancel(*job, Reason::new(&reason)).wait());
    }
    too_large.len()
}

/// As contests call it.
const MEMORY_MIB: &str = "memory_mib";

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use trainyard_core::{Outcome, QueueName, Subject, Submission, Trained};
    use trainyard_journal::MemoryJournal;
    use trainyard_runtime::{Context, JobToTrain};

    use super::*;

    #[test]
    fn what_can_never_run_any_more_is_turned_away() {
        let folder = tempfile::tempdir().unwrap();
        let [kind, other] = ["tabular", "other"].map(|name| Kind::new(name).unwrap());
        let trainer = |_: &mut Context, _: &JobToTrain| Ok(Trained::default());
        let builder = Trainyard::builder(folder.path()).journal(MemoryJournal::new());
        let builder = builder.trainer(kind.clone(), trainer).trainer(other.clone(), trainer);
        let (yard, _) = builder.start().unwrap();
        let wait = |kind: &Kind, memory: u64| {
            let mut class = Class::new(kind.clone(), QueueName::new("line").unwrap());
            class.resources = with_memory(class.resources, memory);
            assert_eq!(memory_mib(&class), memory);
            let (job, subject) = (yard.job_id(), Subject::new(format!("{kind}/{memory}")).unwrap());
            yard.submit(Submission::new(job, subject, Arc::new(class))).wait().unwrap();
            job
        };
        let [fits, too_large, of_others] = [wait(&kind, 1_000), wait(&kind, 1_001), wait(&other, 9_999)];
        assert_eq!(turn_away(&yard, &kind, 1_000), 1);
        let outcome = |job| yard.job(job).unwrap().outcome().cloned();
        assert_eq!((outcome(fits), outcome(of_others)), (None, None));
        let Some(Outcome::Cancelled { reason }) = outcome(too_large) else { panic!("it waits") };
        assert_eq!(
            reason.to_string(),
            "it needs 1001 MiB of memory, and the service has 1000 MiB for it now"
        );
        assert_eq!(turn_away(&yard, &kind, 1_000), 0);
        yard.shutdown(Duration::ZERO).wait().unwrap();
    }
}
