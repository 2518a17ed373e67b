//! What fails for a reason that may pass is tried again.

use std::sync::atomic::{AtomicUsize, Ordering};

use trainyard_core::Parameters;

use super::*;
use crate::mathfi::trainers::{PredictTrainer, PrepareTrainer};

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
    submit(&*books, &yard, Work::Prepare(refused), job);
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
