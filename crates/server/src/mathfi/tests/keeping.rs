//! Whatever is at work has a job, and ends with it.

use std::time::Instant;

use trainyard_core::{Parameters, Reason};

use super::*;
use crate::mathfi::trainers::PrepareTrainer;

#[test]
fn what_has_no_job_gets_one() {
    let folder = tempfile::tempdir().unwrap();
    let (books, owner) = books(folder.path());
    let (id, job) = processing(&books, owner);
    let trainer = Arc::new(PrepareTrainer(Arc::clone(&books)));
    let yard = yard(folder.path(), &books, move |cx: &mut Context, job: &JobToTrain| trainer.train(cx, job));
    let (lost, _) = pending(&books, owner);
    let (keeping, healed) = keep(&books, &yard);
    assert_eq!(healed, Healed { submitted: 2, ended: 0 });
    yard.finished(job).wait().unwrap();
    let DatasetState::Completed(shape) = dataset(&books, id) else { panic!("{:?}", dataset(&books, id)) };
    assert_eq!((shape.rows, shape.classes), (8, 2));
    assert!(!books.files.data(id).exists() && books.files.table(id).exists());
    let gone = PredictionState::Failed { reason: "its model is not there any more".to_owned() };
    assert_eq!(prediction(&books, lost), gone);
    assert!(!books.files.rows(lost).exists());
    end(&yard, keeping);
}

#[test]
fn what_breaks_fails() {
    let folder = tempfile::tempdir().unwrap();
    let (books, owner) = books(folder.path());
    let breaks = |_: &mut Context, _: &JobToTrain| -> Result<Trained, TrainError> { panic!("on purpose") };
    let yard = yard(folder.path(), &books, breaks);
    let (id, job) = processing(&books, owner);
    let (keeping, _) = keep(&books, &yard);
    yard.finished(job).wait().unwrap();
    end(&yard, keeping);
    assert!(matches!(dataset(&books, id), DatasetState::Failed { .. }));
    assert!(!books.files.data(id).exists());
}

#[test]
fn what_takes_too_long_ends() {
    let folder = tempfile::tempdir().unwrap();
    let short = Duration::from_millis(20);
    let hurried = MathFiConfig { prepare_time: short, predict_time: short, ..MathFiConfig::new() };
    let (books, owner) = books_with(folder.path(), hurried);
    let waits = |cx: &mut Context, _: &JobToTrain| -> Result<Trained, TrainError> {
        while !cx.should_stop() {
            thread::yield_now();
        }
        Err(cx.stop_reason().map_or_else(|| TrainError::failed("nobody said why"), TrainError::stopped))
    };
    let yard = yard(folder.path(), &books, waits);
    let (id, job) = processing(&books, owner);
    let (keeping, _) = keep(&books, &yard);
    let (asked, asked_job) = pending(&books, owner);
    let submission = books.classes.submission(Work::Predict(asked), asked_job, Parameters::default());
    yard.submit(submission).wait().unwrap();
    for job in [job, asked_job] {
        assert!(matches!(yard.finished(job).wait().unwrap(), trainyard_core::Outcome::TimedOut(_)));
    }
    end(&yard, keeping);
    let DatasetState::Failed { reason } = dataset(&books, id) else { panic!("it took too long") };
    assert!(reason.contains("too long"), "{reason}");
    assert_eq!(prediction(&books, asked), PredictionState::TimedOut);
}

#[test]
fn what_is_cut_short_again_and_again_fails() {
    let folder = tempfile::tempdir().unwrap();
    let (books, owner) = books(folder.path());
    let cut = |_: &mut Context, _: &JobToTrain| Err(TrainError::interrupted("again"));
    let yard = yard(folder.path(), &books, cut);
    let (id, job) = processing(&books, owner);
    let (keeping, _) = keep(&books, &yard);
    yard.finished(job).wait().unwrap();
    end(&yard, keeping);
    assert!(matches!(dataset(&books, id), DatasetState::Failed { .. }));
}

#[test]
fn what_was_over_before_anybody_listened_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let (books, owner) = books(folder.path());
    let fails = |_: &mut Context, _: &JobToTrain| Err(TrainError::failed("no"));
    let yard = yard(folder.path(), &books, fails);
    let (id, job) = processing(&books, owner);
    submit(&*books, &yard, Work::Prepare(id), job);
    submit(&*books, &yard, Work::Prepare(id), job);
    yard.finished(job).wait().unwrap();
    assert_eq!(dataset(&books, id), DatasetState::Processing);
    let (keeping, healed) = keep(&books, &yard);
    assert_eq!(healed, Healed { submitted: 0, ended: 1 });
    assert!(matches!(dataset(&books, id), DatasetState::Failed { .. }));
    end(&yard, keeping);
    assert_eq!(yard.read(|yard| yard.jobs().count()), 1, "asked for twice it is one job");
}

#[test]
fn what_the_yard_does_not_take_now_is_asked_for_again() {
    let folder = tempfile::tempdir().unwrap();
    let (books, owner) = books(folder.path());
    let yard = yard(folder.path(), &books, |_: &mut Context, _: &JobToTrain| Ok(Trained::default()));
    let queue = || books.classes.prepare.queue.clone();
    let settings = |waiting_max| trainyard_core::QueueSettings { waiting_max, ..Default::default() };
    yard.configure_queue(queue(), settings(0)).wait().unwrap();
    let (keeping, _) = keep(&books, &yard);
    yard.pause_queue(queue(), Reason::new("so that it must wait")).wait().unwrap();
    let (id, job) = processing(&books, owner);
    submit(&*books, &yard, Work::Prepare(id), job);
    assert_eq!(yard.job(job), None, "there is no room");
    let mut changes = yard.subscribe();
    yard.configure_queue(queue(), settings(1)).wait().unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while yard.job(job).is_none() {
        let left = until.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "it is not asked for again");
        changes.next_timeout(left);
    }
    end(&yard, keeping);
}

#[test]
fn a_full_line_takes_no_more_and_is_asked_once() {
    let folder = tempfile::tempdir().unwrap();
    let (books, owner) = books(folder.path());
    let yard = yard(folder.path(), &books, |_: &mut Context, _: &JobToTrain| Ok(Trained::default()));
    let queue = books.classes.prepare.queue.clone();
    let settings = trainyard_core::QueueSettings { waiting_max: 2, ..Default::default() };
    yard.configure_queue(queue.clone(), settings).wait().unwrap();
    yard.pause_queue(queue, Reason::new("so that it must wait")).wait().unwrap();
    let jobs: Vec<JobId> = (0..5).map(|_| processing(&books, owner).1).collect();
    let (keeper, healed) = Keeper::open(Arc::clone(&books), yard.clone()).unwrap();
    assert_eq!(healed, Healed { submitted: 2, ended: 0 });
    assert!(books.behind.was(), "the others are asked for again");
    assert_eq!(jobs.iter().filter(|job| yard.job(**job).is_some()).count(), 2);
    assert_eq!(keeper.heal().unwrap(), Healed::default());
    let host = TableHost::new(Arc::clone(&books), yard.clone());
    let (at, name) = (Timestamp::from_millis(0), "a".to_owned());
    let new = NewDataset { owner, name, description: None, buckets: 20, at };
    let id = host.create_dataset(new).unwrap().id;
    assert!(matches!(host.receive_data(id), Err(Refused::Busy)), "before its data comes");
    yard.shutdown(Duration::ZERO).wait().unwrap();
}
