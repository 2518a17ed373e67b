use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use trainyard_core::{ModelId, Timestamp, Trained};
use trainyard_http::secret::Secret;
use trainyard_journal::MemoryJournal;
use trainyard_mathfi::{DatasetId, DatasetState, Host, NewDataset, PredictionState, Refused, UserId};
use trainyard_runtime::{Context, JobToTrain, TrainError, Trainer};
use uuid::Uuid;

use super::*;
use crate::mathfi::MathFiConfig;
use crate::mathfi::catalog::{NewPrediction, Places};
use crate::mathfi::host::TableHost;
use crate::mathfi::trainers::{PredictTrainer, PrepareTrainer};

const CSV: &str = "id,a,class\n1,0,x\n2,1,y\n3,0,x\n4,1,y\n5,0,x\n6,1,y\n7,0,x\n8,1,y\n";

fn books(folder: &Path) -> (Arc<Books>, UserId) {
    books_with(folder, tries_at_once())
}

fn books_with(folder: &Path, config: MathFiConfig) -> (Arc<Books>, UserId) {
    let users = [("a".to_owned(), Secret::new("s3cret").unwrap())].into();
    let config = MathFiConfig { users, ..config };
    let (books, _) = Books::open(&folder.join("mathfi"), &config, 1_000).unwrap();
    let user = books.users.log_in("a", "s3cret").unwrap();
    (Arc::new(books), user.id)
}

/// Both kinds are done by this one.
fn yard(folder: &Path, books: &Books, trainer: impl Trainer + Clone) -> Trainyard {
    let builder = Trainyard::builder(folder.join("yard"))
        .journal(MemoryJournal::new())
        .trainer(books.classes.prepare.kind.clone(), trainer.clone())
        .trainer(books.classes.predict.kind.clone(), trainer);
    builder.start().unwrap().0
}

fn keep(books: &Arc<Books>, yard: &Trainyard) -> (JoinHandle<()>, Healed) {
    let (keeper, healed) = Keeper::open(Arc::clone(books), yard.clone()).unwrap();
    (thread::spawn(move || keeper.run()), healed)
}

/// A dataset whose data came in, and whose job nobody has heard of.
fn processing(books: &Books, owner: UserId) -> (DatasetId, JobId) {
    let (id, job) = (DatasetId::new(Uuid::new_v4()), JobId::new(Uuid::new_v4()));
    let (at, name) = (Timestamp::from_millis(0), id.to_string());
    let new = NewDataset { owner, name, description: None, buckets: 20, at };
    let places = Places { max: 9, stale_before: at, is_receiving: &|_| false };
    books.catalog.add_dataset(id, &new, &places).unwrap();
    fs::write(books.files.data(id), CSV).unwrap();
    assert!(books.catalog.begin_dataset(id, job).unwrap());
    (id, job)
}

fn pending(books: &Books, owner: UserId) -> (PredictionId, JobId) {
    let (id, job) = (PredictionId::new(Uuid::new_v4()), JobId::new(Uuid::new_v4()));
    let model = ModelId::new(Uuid::new_v4());
    books.catalog.add_prediction(NewPrediction { id, owner, model, job }, 9).unwrap();
    fs::write(books.files.rows(id), CSV).unwrap();
    (id, job)
}

fn dataset(books: &Books, id: DatasetId) -> DatasetState {
    books.catalog.dataset(id).unwrap().unwrap().state
}

fn prediction(books: &Books, id: PredictionId) -> PredictionState {
    books.catalog.prediction(id).unwrap().unwrap().state
}

fn end(yard: &Trainyard, keeping: JoinHandle<()>) {
    yard.shutdown(Duration::from_secs(5)).wait().unwrap();
    keeping.join().unwrap();
}

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
    submit(&books, &yard, Work::Prepare(id), job);
    submit(&books, &yard, Work::Prepare(id), job);
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
    submit(&books, &yard, Work::Prepare(id), job);
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

/// What fails is tried again at once.
fn tries_at_once() -> MathFiConfig {
    let backoff = trainyard_core::Backoff::new(Duration::ZERO, Duration::ZERO);
    MathFiConfig { retry: trainyard_core::RetryPolicy { retries_max: 5, backoff }, ..MathFiConfig::new() }
}

#[test]
fn what_the_disk_fails_at_once_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let (books, owner) = books_with(folder.path(), tries_at_once());
    let (id, job) = processing(&books, owner);
    let in_the_way = books.files.table(id);
    let (trainer, tries) = (Arc::new(PrepareTrainer(Arc::clone(&books))), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&tries);
    let yard = yard(folder.path(), &books, move |cx: &mut Context, job: &JobToTrain| {
        let is_first = counted.fetch_add(1, Ordering::SeqCst) == 0;
        if is_first {
            fs::create_dir(&in_the_way).unwrap();
        }
        let trained = trainer.train(cx, job);
        if is_first {
            fs::remove_dir(&in_the_way).unwrap();
        }
        trained
    });
    let (keeping, _) = keep(&books, &yard);
    yard.finished(job).wait().unwrap();
    assert!(matches!(dataset(&books, id), DatasetState::Completed(_)), "{:?}", dataset(&books, id));
    assert_eq!(tries.load(Ordering::SeqCst), 2);

    let (refused, job) = processing(&books, owner);
    fs::write(books.files.data(refused), "id,a,class\n").unwrap();
    submit(&books, &yard, Work::Prepare(refused), job);
    yard.finished(job).wait().unwrap();
    assert_eq!(tries.load(Ordering::SeqCst), 3, "what is wrong with the data is final");
    assert!(matches!(dataset(&books, refused), DatasetState::Failed { .. }));
    end(&yard, keeping);
}

#[test]
fn what_the_catalogue_fails_at_once_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let (books, owner) = books_with(folder.path(), tries_at_once());
    let (id, job) = pending(&books, owner);
    let (trainer, tries) = (Arc::new(PredictTrainer(Arc::clone(&books))), Arc::new(AtomicUsize::new(0)));
    let (counted, lost) = (Arc::clone(&tries), Arc::clone(&books));
    let yard = yard(folder.path(), &books, move |cx: &mut Context, job: &JobToTrain| {
        let is_first = counted.fetch_add(1, Ordering::SeqCst) == 0;
        if is_first { lost.catalog.break_for(|| trainer.train(cx, job)) } else { trainer.train(cx, job) }
    });
    let model = Parameters::new(b"work/none".to_vec()).unwrap();
    yard.submit(books.classes.submission(Work::Predict(id), job, model)).wait().unwrap();
    yard.finished(job).wait().unwrap();
    let PredictionState::Failed { reason } = prediction(&books, id) else {
        panic!("{:?}", prediction(&books, id))
    };
    assert_eq!(reason, "its model is of no use any more: train again", "that is final");
    assert_eq!(tries.load(Ordering::SeqCst), 2);
    yard.shutdown(Duration::from_secs(5)).wait().unwrap();
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
    assert!(books.was_behind(), "the others are asked for again");
    assert_eq!(jobs.iter().filter(|job| yard.job(**job).is_some()).count(), 2);
    assert_eq!(keeper.heal().unwrap(), Healed::default());
    let host = TableHost::new(Arc::clone(&books), yard.clone());
    let (at, name) = (Timestamp::from_millis(0), "a".to_owned());
    let new = NewDataset { owner, name, description: None, buckets: 20, at };
    let id = host.create_dataset(new).unwrap().id;
    assert!(matches!(host.receive_data(id), Err(Refused::Busy)), "before its data comes");
    yard.shutdown(Duration::ZERO).wait().unwrap();
}

#[test]
fn what_can_never_run_any_more_is_turned_away() {
    let folder = tempfile::tempdir().unwrap();
    let (books, _) = books(folder.path());
    let yard = yard(folder.path(), &books, |_: &mut Context, _: &JobToTrain| Ok(Trained::default()));
    let kind = books.classes.prepare.kind.clone();
    let wait = |kind: &Kind, memory_mib| {
        let mut class = trainyard_core::Class::new(kind.clone(), books.classes.prepare.queue.clone());
        let memory = trainyard_core::Resource::new(MEMORY_MIB).unwrap();
        class.resources = class.resources.with(memory, memory_mib);
        let subject = DatasetId::new(Uuid::new_v4()).subject();
        let job = JobId::new(Uuid::new_v4());
        yard.submit(trainyard_core::Submission::new(job, subject, Arc::new(class))).wait().unwrap();
        job
    };
    let other = books.classes.predict.kind.clone();
    let [fits, too_large, of_others] = [wait(&kind, 1_000), wait(&kind, 1_001), wait(&other, 9_999)];
    let (keeper, _) = Keeper::open(Arc::clone(&books), yard.clone()).unwrap();
    assert_eq!(keeper.turn_away(&kind), 1);
    let outcome = |job| yard.job(job).unwrap().outcome().cloned();
    assert_eq!((outcome(fits), outcome(of_others)), (None, None));
    let Some(trainyard_core::Outcome::Cancelled { reason }) = outcome(too_large) else { panic!("it waits") };
    assert_eq!(reason.to_string(), "it needs 1001 MiB of memory, and the service has 1000 MiB for it now");
    assert_eq!(keeper.turn_away(&kind), 0);
    yard.shutdown(Duration::ZERO).wait().unwrap();
}

#[test]
fn another_catalogue_clears_nothing_away() {
    let folder = tempfile::tempdir().unwrap();
    let (books, owner) = books(folder.path());
    let (id, _) = processing(&books, owner);
    let (data, table) = (books.files.data(id), books.files.table(id));
    fs::write(&table, "a table").unwrap();
    let root = folder.path().join("mathfi");
    fs::create_dir(root.join("datasets/lost+found")).unwrap();
    fs::write(root.join("predictions/note.txt"), "mine").unwrap();
    drop(books);
    for name in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"] {
        incoming::remove(&root.join(name));
    }
    // At the first start without it, and at every later one.
    for _ in 0..2 {
        let (books, _) = self::books(folder.path());
        assert!(data.exists() && table.exists());
        let orphan = DatasetId::new(Uuid::new_v4());
        fs::write(books.files.table(orphan), "half").unwrap();
        fs::write(books.files.table(orphan).with_extension("table.new"), "half").unwrap();
        drop(books);
        let (books, _) = self::books(folder.path());
        assert!(!books.files.table(orphan).exists(), "what this catalogue has never known goes");
        assert!(!books.files.table(orphan).with_extension("table.new").exists());
    }
    assert!(root.join("predictions/note.txt").exists() && root.join("datasets/lost+found").exists());
}

#[test]
fn what_made_room_is_gone_and_what_comes_in_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let bounds = MathFiConfig { datasets_max: 2, bytes_max: 100, ..MathFiConfig::new() };
    let (books, owner) = books_with(folder.path(), bounds);
    let yard = yard(folder.path(), &books, |_: &mut Context, _: &JobToTrain| Ok(Trained::default()));
    yard.pause_queue(books.classes.prepare.queue.clone(), Reason::new("so that it must wait"))
        .wait()
        .unwrap();
    let host = TableHost::new(Arc::clone(&books), yard.clone());
    let create = |name: &str, hours: i64| {
        let at = Timestamp::from_millis(hours * 3_600_000);
        host.create_dataset(NewDataset { owner, name: name.to_owned(), description: None, buckets: 20, at })
    };
    let first = create("first", 0).unwrap().id;
    let second = create("second", 0).unwrap().id;
    assert!(matches!(create("third", 1), Err(Refused::TooMany { max: 2, .. })), "its URL is good until now");
    let mut upload = host.receive_data(first).unwrap();
    let third = create("third", 2).unwrap().id;
    assert_eq!((host.owner(first), host.owner(second), host.owner(third)), (Some(owner), None, Some(owner)));

    upload.write(&[b'x'; 60]).unwrap();
    let mut other = host.receive_data(third).unwrap();
    other.write(&[b'x'; 30]).unwrap();
    assert!(matches!(other.write(&[b'x'; 11]), Err(Refused::Full)));
    upload.finish().unwrap();
    drop(other);
    let mut other = host.receive_data(third).unwrap();
    assert!(matches!(other.write(&[b'x'; 41]), Err(Refused::Full)), "what has come in counts");
    other.write(&[b'x'; 40]).unwrap();
    other.finish().unwrap();
    assert_eq!(books.stored(owner).unwrap(), 100);
    let fourth = create("fourth", 9);
    assert!(matches!(fourth, Err(Refused::TooMany { .. })), "those at work stay");
    assert_eq!(fs::read_dir(folder.path().join("mathfi/incoming")).unwrap().count(), 0);
    yard.shutdown(Duration::ZERO).wait().unwrap();
}

#[test]
fn of_two_uploads_one_wins_and_the_other_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (books, owner) = books(folder.path());
    let yard = yard(folder.path(), &books, |_: &mut Context, _: &JobToTrain| Ok(Trained::default()));
    let host = TableHost::new(Arc::clone(&books), yard.clone());
    let at = Timestamp::from_millis(0);
    let new = NewDataset { owner, name: "a".to_owned(), description: None, buckets: 20, at };
    let id = host.create_dataset(new.clone()).unwrap().id;
    assert!(matches!(host.create_dataset(new), Err(Refused::Taken)));
    let mut uploads = [host.receive_data(id).unwrap(), host.receive_data(id).unwrap()];
    uploads.iter_mut().for_each(|upload| upload.write(CSV.as_bytes()).unwrap());
    let (one, other) = thread::scope(|scope| {
        let [one, other] = uploads.map(|upload| scope.spawn(|| upload.finish()));
        (one.join().unwrap(), other.join().unwrap())
    });
    let (won, lost) = if one.is_ok() { (one, other) } else { (other, one) };
    assert_eq!(won.unwrap().state, DatasetState::Processing);
    assert!(matches!(lost, Err(Refused::NotPending)), "{lost:?}");
    assert!(matches!(host.receive_data(id), Err(Refused::NotPending)));
    let gone = DatasetId::new(Uuid::from_u128(9));
    assert!(matches!(host.receive_data(gone), Err(Refused::Gone)));
    assert_eq!(fs::read_dir(folder.path().join("mathfi/incoming")).unwrap().count(), 0);
    assert_eq!(fs::read(books.files.data(id)).unwrap(), CSV.as_bytes());
    yard.shutdown(Duration::ZERO).wait().unwrap();
}
