//! What becomes of looks and trainings that break, are cut short, or are not wanted any more.

use std::sync::atomic::{AtomicU32, Ordering};

use trainyard_heygen::CUT_SHORT;

use super::*;
use crate::heygen::trainers::{BROKE_OFF, Discreet};

#[cfg(unix)]
#[test]
fn a_fault_that_passes_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(HeyGenConfig::new().retry.retries_max, 5);
    let album = album(folder.path());
    let (looking, tries) = (Arc::clone(&album), Arc::new(AtomicU32::new(0)));
    let counted = Arc::clone(&tries);
    let away = folder.path().join("away");
    let trainer = move |cx: &mut Context, job: &JobToTrain| {
        let Some(Check(look)) = Check::of(&job.subject) else { panic!("{job:?}") };
        let file = looking.file(looking.catalog.pending_image(look).unwrap().unwrap());
        let is_first = counted.fetch_add(1, Ordering::Relaxed) == 0;
        if is_first {
            // A link that leads to itself cannot be opened, which is not as if nothing were there.
            fs::rename(&file, &away).unwrap();
            std::os::unix::fs::symlink(&file, &file).unwrap();
        }
        let ended = CheckTrainer(Arc::clone(&looking)).train(cx, job);
        if is_first {
            fs::remove_file(&file).unwrap();
            fs::rename(&away, &file).unwrap();
        }
        ended
    };
    let yard = yard(folder.path(), &album, trainer);
    let (keeping, _) = keep(&album, &yard);
    let host = PhotoHost::new(Arc::clone(&album), yard.clone());
    let look = host.create_group(named(upload(&host, &photo()))).unwrap();
    let job = yard.read(|yard| yard.newest(&Check(look.id).subject()).unwrap().id);
    yard.finished(job).wait().unwrap();
    assert_eq!((state(&album, look.id), tries.load(Ordering::Relaxed)), (LookState::Completed, 2));
    end(&yard, keeping);
}

#[test]
fn a_look_that_is_deleted_while_it_is_looked_at_leaves_nothing_at_work() {
    let folder = tempfile::tempdir().unwrap();
    let album = album(folder.path());
    let looking = Arc::clone(&album);
    let trainer = move |cx: &mut Context, job: &JobToTrain| {
        let Some(Check(look)) = Check::of(&job.subject) else { panic!("{job:?}") };
        assert!(looking.catalog.remove_look(look).unwrap());
        CheckTrainer(Arc::clone(&looking)).train(cx, job)
    };
    let yard = yard(folder.path(), &album, trainer);
    let (keeping, _) = keep(&album, &yard);
    let host = PhotoHost::new(Arc::clone(&album), yard.clone());
    let look = host.create_group(named(upload(&host, &photo()))).unwrap();
    let job = yard.read(|yard| yard.newest(&Check(look.id).subject()).unwrap().id);
    assert!(matches!(yard.finished(job).wait().unwrap(), Outcome::Completed { model: None }));
    assert_eq!(host.look(look.id).unwrap(), None);
    assert_eq!(album.catalog.looks_at_work().unwrap(), []);
    assert_eq!(host.group(look.group).unwrap().unwrap().looks, 0);
    end(&yard, keeping);
}

/// A yard that looks at images and trains groups so.
fn studio(folder: &Path, album: &Arc<Album>, trainer: impl Trainer) -> Trainyard {
    let kind = trainyard_heygen::Settings::new().class().kind.clone();
    let builder = Trainyard::builder(folder.join("yard")).journal(MemoryJournal::new());
    let builder = builder.trainer(album.check.kind.clone(), CheckTrainer(Arc::clone(album)));
    builder.trainer(kind, Discreet(trainer)).start().unwrap().0
}

fn train(yard: &Trainyard, group: GroupId) -> JobId {
    let class = Arc::new(trainyard_heygen::Settings::new().class().clone());
    let submission = Submission::new(yard.job_id(), group.subject(), class);
    yard.submit(submission).wait().unwrap().job
}

#[test]
fn a_training_that_is_cut_short_too_often_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let album = album(folder.path());
    let cut_short = |_: &mut Context, _: &JobToTrain| Err(TrainError::interrupted("no power"));
    let yard = studio(folder.path(), &album, cut_short);
    let host = PhotoHost::new(Arc::clone(&album), yard.clone());
    let group = host.create_group(named(upload(&host, &photo()))).unwrap().group;
    let early = train(&yard, group);
    let mut changes = yard.subscribe();
    let is_held = |job| {
        let job = yard.job(job).unwrap();
        matches!(job.phase, trainyard_core::Phase::Waiting(waiting) if waiting.held.is_some())
    };
    while !is_held(early) {
        assert!(changes.next_timeout(Duration::from_secs(60)).is_some(), "it is not held");
    }
    // It was held before anybody listened.
    let (keeping, _) = keep(&album, &yard);
    let cancelled = Outcome::Cancelled { reason: Reason::new(CUT_SHORT) };
    assert_eq!(yard.finished(early).wait().unwrap(), cancelled);
    // It is held while somebody does.
    assert_eq!(yard.finished(train(&yard, group)).wait().unwrap(), cancelled);

    let queue = trainyard_heygen::Settings::new().class().queue.clone();
    yard.pause_queue(queue, Reason::new("so that it waits")).wait().unwrap();
    let mine = train(&yard, group);
    yard.hold(mine, Reason::new("somebody wants it so")).wait().unwrap();
    tending::take_back_held(&album, &yard);
    assert!(is_held(mine), "of somebody else");
    end(&yard, keeping);
}

#[test]
fn a_group_that_is_deleted_is_retired_also_when_the_yard_did_not_hear_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let album = album(folder.path());
    let trains = |cx: &mut Context, _: &JobToTrain| -> Result<Trained, TrainError> {
        fs::write(cx.dir()?.join("model"), "x")?;
        cx.trained("model")
    };
    let yard = studio(folder.path(), &album, trains);
    let (keeping, _) = keep(&album, &yard);
    let host = PhotoHost::new(Arc::clone(&album), yard.clone());
    let group = host.create_group(named(upload(&host, &photo()))).unwrap().group;
    yard.finished(train(&yard, group)).wait().unwrap();
    let models = || yard.read(|yard| yard.models(&group.registry()).count());
    assert_eq!(models(), 1);
    let mut changes = yard.subscribe();
    // As the adapter does, whose word the yard was too busy for.
    assert!(host.delete_group(group).unwrap());
    let until = Instant::now() + Duration::from_secs(60);
    while models() > 0 {
        let left = until.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "it is not retired");
        changes.next_timeout(left);
    }
    end(&yard, keeping);
}

#[test]
fn what_is_for_the_log_is_not_for_owners() {
    let folder = tempfile::tempdir().unwrap();
    let album = album(folder.path());
    let secret = folder.path().join("secret");
    let trainer = move |_: &mut Context, job: &JobToTrain| -> Result<Trained, TrainError> {
        match job.parameters.as_bytes() {
            b"panic" => panic!("{} is no number", secret.display()),
            b"disk" => Err(std::io::Error::other(format!("{}: broken", secret.display())).into()),
            b"later" => Err(TrainError::retry_after(Duration::ZERO, format!("{}: busy", secret.display()))),
            _ => Err(TrainError::failed("the photos show nobody")),
        }
    };
    let yard = studio(folder.path(), &album, trainer);
    let host = PhotoHost::new(Arc::clone(&album), yard.clone());
    let group = host.create_group(named(upload(&host, &photo()))).unwrap().group;
    for (how, words) in [
        ("panic", BROKE_OFF),
        ("disk", BROKE_OFF),
        ("later", BROKE_OFF),
        ("photos", "the photos show nobody"),
    ] {
        let class = Arc::new(trainyard_heygen::Settings::new().class().clone());
        let mut submission = Submission::new(yard.job_id(), group.subject(), class);
        submission.parameters = trainyard_core::Parameters::new(how.as_bytes().to_vec()).unwrap();
        let job = yard.submit(submission).wait().unwrap().job;
        let failed = Outcome::Failed { reason: Reason::new(words) };
        assert_eq!(yard.finished(job).wait().unwrap(), failed, "{how}");
    }
    assert!(BROKE_OFF.contains("try again"));
    yard.shutdown(Duration::from_secs(60)).wait().unwrap();
}
