//! Whatever happens between the catalogue and a yard: no look is left pending, no state goes back, and no file is left
//! that nobody knows.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use proptest::prelude::*;
use trainyard_core::port::HandleError;
use trainyard_core::{
    Backoff, JobId, Outcome, QueueSettings, Reason, RetryPolicy, Submission, Timestamp, Trained,
};
use trainyard_heygen::{
    AssetId, GroupId, Host, LookId, LookState, Media, NewAsset, NewGroup, NewLooks, Refused, TrainParameters,
};
use trainyard_journal::MemoryJournal;
use trainyard_portrait::made::Person;
use trainyard_runtime::{Context, JobToTrain, TrainError, Trainer, Trainyard};
use trainyard_sqlite::{SqliteJournal, SqliteOptions};
use uuid::Uuid;

use super::album::Album;
use super::catalog::LookToAdd;
use super::host::PhotoHost;
use super::trainers::CheckTrainer;
use super::work::Check;
use super::{GroupPhotos, HeyGenConfig, serve, tending};
use crate::disk::Disk;
use crate::keeping::{Healed, Keeper, Ledger, submit};

const MEMORY_MIB: u64 = 1_000;

mod room;
mod work;

fn album(folder: &Path) -> Arc<Album> {
    let retry = RetryPolicy { retries_max: 2, backoff: Backoff::new(Duration::ZERO, Duration::ZERO) };
    album_with(folder, &HeyGenConfig { retry, ..HeyGenConfig::new() })
}

fn album_with(folder: &Path, config: &HeyGenConfig) -> Arc<Album> {
    Arc::new(Album::open(&folder.join("heygen"), config, MEMORY_MIB, Disk::new(folder, 0)).unwrap().0)
}

fn yard(folder: &Path, album: &Album, trainer: impl Trainer) -> Trainyard {
    let builder = Trainyard::builder(folder.join("yard")).journal(MemoryJournal::new());
    builder.trainer(album.check.kind.clone(), trainer).start().unwrap().0
}

fn keep(album: &Arc<Album>, yard: &Trainyard) -> (JoinHandle<()>, Healed) {
    let (keeper, healed) = Keeper::open(Arc::clone(album), yard.clone()).unwrap();
    (thread::spawn(move || keeper.run()), healed)
}

fn end(yard: &Trainyard, keeping: JoinHandle<()>) {
    yard.shutdown(Duration::from_secs(60)).wait().unwrap();
    keeping.join().unwrap();
}

/// Later than any of this runs: nothing is as old as links may be.
fn at() -> Timestamp {
    Timestamp::from_millis(4_102_444_800_000)
}

fn hours_later(hours: u64) -> Timestamp {
    at().after(Duration::from_secs(hours * 3_600))
}

fn upload(host: &PhotoHost, bytes: &[u8]) -> AssetId {
    upload_at(host, bytes, at())
}

fn upload_at(host: &PhotoHost, bytes: &[u8], at: Timestamp) -> AssetId {
    let mut upload = host.receive(NewAsset { media: Media::Png, at }).unwrap();
    upload.write(bytes).unwrap();
    upload.finish().unwrap().id
}

fn photo() -> Vec<u8> {
    Person::new(7).photo(0, 48).to_png()
}

fn named(image: AssetId) -> NewGroup {
    NewGroup { name: "Ada".to_owned(), image, at: at() }
}

fn files(folder: &Path, of: &str) -> Vec<PathBuf> {
    fs::read_dir(folder.join("heygen").join(of)).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn state(album: &Album, look: LookId) -> LookState {
    album.catalog.look(look).unwrap().unwrap().state
}

/// A look whose job nobody has heard of.
fn orphan(album: &Album, image: AssetId) -> (LookId, JobId) {
    let (id, job) = (GroupId::new(Uuid::new_v4()), JobId::new(Uuid::new_v4()));
    let first = LookToAdd { id: id.first_look(), image, job };
    album.catalog.add_group(id, &named(image), first, 1_000).unwrap();
    (first.id, job)
}

#[test]
fn a_real_photo_completes_and_anything_else_fails_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let album = album(folder.path());
    let yard = yard(folder.path(), &album, CheckTrainer(Arc::clone(&album)));
    let host = PhotoHost::new(Arc::clone(&album), yard.clone());
    let (good, bad) = (upload(&host, &photo()), upload(&host, &photo()[..500]));
    let (lost, lost_job) = orphan(&album, good);
    let (keeping, healed) = keep(&album, &yard);
    assert_eq!(healed, Healed { submitted: 1, ended: 0 });
    let first = host.create_group(named(good)).unwrap();
    assert_eq!(first.state, LookState::Pending);
    let more = NewLooks { group: first.group, name: "b".to_owned(), images: vec![bad, good, good], at: at() };
    let looks = host.add_looks(more).unwrap();
    yard.finished(lost_job).wait().unwrap();
    for look in looks.iter().chain([&first]) {
        let job = yard.read(|yard| yard.newest(&Check(look.id).subject()).unwrap().id);
        yard.finished(job).wait().unwrap();
    }
    for look in [lost, first.id, looks[1].id, looks[2].id] {
        assert_eq!(state(&album, look), LookState::Completed);
    }
    let LookState::Failed { reason } = state(&album, looks[0].id) else { panic!("it is no picture") };
    assert!(reason.contains("cut off") || reason.contains("damaged"), "{reason}");

    let asked = TrainParameters::new([looks[0].id, looks[2].id, first.id]);
    let job = JobToTrainOf { group: first.group, asked: &asked };
    let named: Vec<LookId> = job.photos(&album).unwrap().iter().map(|photo| photo.look).collect();
    assert_eq!(named, [first.id, looks[2].id], "those that were asked for and can be used, oldest first");
    assert!(host.delete_group(first.group).unwrap());
    let gone = job.photos(&album).unwrap_err().to_string();
    assert!(gone.contains("no photo of the group is left"), "{gone}");
    end(&yard, keeping);
}

/// A training as a trainer sees it, which only a yard can make.
struct JobToTrainOf<'a> {
    group: GroupId,
    asked: &'a TrainParameters,
}

impl JobToTrainOf<'_> {
    fn photos(&self, album: &Arc<Album>) -> Result<Vec<super::GroupPhoto>, TrainError> {
        let folder = tempfile::tempdir().unwrap();
        let photos = GroupPhotos::new(Arc::clone(album));
        let found = Arc::new(Mutex::new(None));
        let told = Arc::clone(&found);
        let trainer = move |_: &mut Context, job: &JobToTrain| {
            *told.lock() = Some(photos.of(job));
            Ok(Trained::default())
        };
        let class = trainyard_heygen::Settings::new().class().clone();
        let builder = Trainyard::builder(folder.path()).journal(MemoryJournal::new());
        let (yard, _) = builder.trainer(class.kind.clone(), trainer).start().unwrap();
        let mut submission = Submission::new(yard.job_id(), self.group.subject(), Arc::new(class));
        submission.parameters = self.asked.to_parameters();
        let job = yard.submit(submission).wait().unwrap().job;
        yard.finished(job).wait().unwrap();
        yard.shutdown(Duration::ZERO).wait().unwrap();
        found.lock().take().unwrap()
    }
}

#[test]
fn what_breaks_fails() {
    let folder = tempfile::tempdir().unwrap();
    let album = album(folder.path());
    let breaks = |_: &mut Context, _: &JobToTrain| -> Result<Trained, TrainError> { panic!("on purpose") };
    let yard = yard(folder.path(), &album, breaks);
    let host = PhotoHost::new(Arc::clone(&album), yard.clone());
    let image = upload(&host, &photo());
    let (look, job) = orphan(&album, image);
    let (keeping, _) = keep(&album, &yard);
    yard.finished(job).wait().unwrap();
    end(&yard, keeping);
    let LookState::Failed { reason } = state(&album, look) else { panic!("it broke") };
    assert!(reason.contains("not in it"), "{reason}");
}

#[test]
fn what_was_over_before_anybody_listened_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let album = album(folder.path());
    let fails = |_: &mut Context, _: &JobToTrain| Err(TrainError::failed("no"));
    let yard = yard(folder.path(), &album, fails);
    let host = PhotoHost::new(Arc::clone(&album), yard.clone());
    let (look, job) = orphan(&album, upload(&host, &photo()));
    submit(&*album, &yard, Check(look), job);
    submit(&*album, &yard, Check(look), job);
    yard.finished(job).wait().unwrap();
    assert_eq!(state(&album, look), LookState::Pending);
    let (keeping, healed) = keep(&album, &yard);
    assert_eq!(healed, Healed { submitted: 0, ended: 1 });
    assert!(matches!(state(&album, look), LookState::Failed { .. }));
    end(&yard, keeping);
    assert_eq!(yard.read(|yard| yard.jobs().count()), 1, "asked for twice it is one job");
}

#[test]
fn what_the_yard_does_not_take_now_is_asked_for_again() {
    let folder = tempfile::tempdir().unwrap();
    let album = album(folder.path());
    let yard = yard(folder.path(), &album, CheckTrainer(Arc::clone(&album)));
    let queue = || album.check.queue.clone();
    let settings = |waiting_max| QueueSettings { waiting_max, ..QueueSettings::default() };
    yard.configure_queue(queue(), settings(0)).wait().unwrap();
    let (keeping, _) = keep(&album, &yard);
    yard.pause_queue(queue(), Reason::new("so that it must wait")).wait().unwrap();
    let host = PhotoHost::new(Arc::clone(&album), yard.clone());
    let look = host.create_group(named(upload(&host, &photo()))).unwrap();
    let newest = || yard.read(|yard| yard.newest(&Check(look.id).subject()).map(|job| job.id));
    assert_eq!(newest(), None, "there is no room");
    let mut changes = yard.subscribe();
    yard.configure_queue(queue(), settings(1)).wait().unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while newest().is_none() {
        let left = until.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "it is not asked for again");
        changes.next_timeout(left);
    }
    end(&yard, keeping);
}

#[test]
fn a_dropped_upload_and_a_refused_one_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let config = HeyGenConfig { assets_max: 2, ..HeyGenConfig::new() };
    let album = album_with(folder.path(), &config);
    let yard = yard(folder.path(), &album, CheckTrainer(Arc::clone(&album)));
    let host = PhotoHost::new(Arc::clone(&album), yard.clone());
    let mut half = host.receive(NewAsset { media: Media::Png, at: at() }).unwrap();
    half.write(b"half").unwrap();
    assert_eq!(files(folder.path(), "incoming").len(), 1);
    drop(half);
    let images: Vec<AssetId> =
        (0..3).map(|n| upload_at(&host, &[n], hours_later(2 * u64::from(n)))).collect();
    assert_eq!(files(folder.path(), "assets").len(), 2);
    assert!(host.picture(images[0]).unwrap().is_none(), "it has made room");
    let gone = host.create_group(named(images[0])).unwrap_err();
    assert!(matches!(gone, Refused::NoImage(id) if id == images[0]));
    let first = host.create_group(named(images[1])).unwrap();
    let more = NewLooks { group: first.group, name: "b".to_owned(), images: vec![images[2]], at: at() };
    host.add_looks(more).unwrap();
    let mut refused = host.receive(NewAsset { media: Media::Jpeg, at: at() }).unwrap();
    refused.write(b"x").unwrap();
    assert!(matches!(refused.finish(), Err(Refused::TooMany { max: 2, .. })));
    assert_eq!(files(folder.path(), "assets").len(), 2);
    assert!(files(folder.path(), "incoming").is_empty());
    let mut picture = host.picture(images[2]).unwrap().unwrap();
    let mut content = Vec::new();
    picture.content.read_to_end(&mut content).unwrap();
    assert_eq!((picture.bytes, content), (1, vec![2]));
    assert!(host.delete_group(first.group).unwrap());
    upload_at(&host, b"y", hours_later(6));
    yard.shutdown(Duration::ZERO).wait().unwrap();
}

#[test]
fn a_start_clears_what_no_record_names() {
    let folder = tempfile::tempdir().unwrap();
    let first = album(folder.path());
    let yard = yard(folder.path(), &first, CheckTrainer(Arc::clone(&first)));
    let kept = upload(&PhotoHost::new(Arc::clone(&first), yard.clone()), &photo());
    yard.shutdown(Duration::ZERO).wait().unwrap();
    drop(first);
    for stray in
        ["assets/00000000-0000-0000-0000-000000000007.png", "incoming/00000000-0000-0000-0000-000000000008"]
    {
        fs::write(folder.path().join("heygen").join(stray), "x").unwrap();
    }
    let again = album(folder.path());
    let [file] = &files(folder.path(), "assets")[..] else { panic!("one is known") };
    assert_eq!(file.file_name().unwrap().to_str().unwrap(), format!("{}.png", kept.as_uuid()));
    assert!(files(folder.path(), "incoming").is_empty());
    assert_eq!(again.catalog.assets().unwrap().len(), 1);
}

#[test]
fn a_key_is_made_once_and_told_until_it_was_heard() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("heygen");
    let disk = || Disk::new(folder.path(), 0);
    let open = || Album::open(&path, &HeyGenConfig::new(), MEMORY_MIB, disk()).unwrap();
    let (_, first) = open();
    let (album, second) = open();
    let (first, second) = (first.unwrap(), second.expect("nobody was told"));
    assert_eq!(first.expose(), second.expose());
    album.catalog.tell_key(true).unwrap();
    let (album, third) = open();
    assert!(third.is_none() && album.made_key.as_ref().unwrap().expose() == first.expose());
    assert_ne!(album.link_key.expose(), first.expose());
    drop(album);
    fs::remove_file(path.join("api.key")).unwrap();
    let (_, renewed) = open();
    assert_ne!(renewed.expect("another one must be told").expose(), first.expose());

    let key = trainyard_http::secret::Secret::new("mine").unwrap();
    let settings = trainyard_heygen::Settings::new().with_key(key);
    let (album, told) =
        Album::open(&path, &HeyGenConfig { settings, ..HeyGenConfig::new() }, MEMORY_MIB, disk()).unwrap();
    assert!(told.is_none() && album.made_key.is_none());
}

#[test]
fn groups_that_are_gone_are_retired() {
    let folder = tempfile::tempdir().unwrap();
    let album = album(folder.path());
    let class = Arc::new(trainyard_heygen::Settings::new().class().clone());
    let trains = |cx: &mut Context, _: &JobToTrain| -> Result<Trained, TrainError> {
        fs::write(cx.dir()?.join("model"), "x")?;
        cx.trained("model")
    };
    let builder = Trainyard::builder(folder.path().join("yard")).journal(MemoryJournal::new());
    let builder = builder.trainer(class.kind.clone(), trains);
    let builder = builder.trainer(album.check.kind.clone(), CheckTrainer(Arc::clone(&album)));
    let (yard, _) = builder.start().unwrap();
    let host = PhotoHost::new(Arc::clone(&album), yard.clone());
    let there = host.create_group(named(upload(&host, &photo()))).unwrap().group;
    let gone = GroupId::new(Uuid::from_u128(9));
    let train = |group: GroupId| {
        let submission = Submission::new(yard.job_id(), group.subject(), Arc::clone(&class));
        yard.submit(submission).wait().unwrap().job
    };
    for group in [there, gone] {
        yard.finished(train(group)).wait().unwrap();
    }
    yard.pause_queue(class.queue.clone(), Reason::new("so that they wait")).wait().unwrap();
    let waiting = [there, gone].map(train);
    tending::retire_gone(&album, &yard).unwrap();
    let models = |group: GroupId| yard.read(|yard| yard.models(&group.registry()).count());
    assert_eq!((models(there), models(gone)), (1, 0));
    let outcome = |job| yard.job(job).unwrap().outcome().cloned();
    assert_eq!(outcome(waiting[0]), None);
    assert!(matches!(outcome(waiting[1]), Some(Outcome::Cancelled { .. })));
    yard.shutdown(Duration::from_secs(60)).wait().unwrap();
    let retired = yard.retire(gone.subject()).wait();
    assert!(matches!(retired, Err(HandleError::Stopped { .. })));
}

#[test]
fn trainings_ask_for_the_memory_that_they_take() {
    let asked = |memory_mib: u64, config: &HeyGenConfig| {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(folder.path(), 0);
        let (album, _) = Album::open(folder.path(), config, memory_mib, disk).unwrap();
        crate::memory::memory_mib(serve::settings(&album, config, None).class())
    };
    let usual = asked(1_000, &HeyGenConfig::new());
    assert!((100..300).contains(&usual), "{usual}");
    let more = HeyGenConfig { looks_max: 1_000, ..HeyGenConfig::new() };
    assert!(asked(1_000, &more) > usual);
    assert_eq!(asked(9, &more), 9, "one alone, and never more than there is");
    let mut class = trainyard_heygen::Settings::new().class().clone();
    class.resources = crate::memory::with_memory(class.resources, 7);
    let settings = trainyard_heygen::Settings::new().with_class(class);
    assert_eq!(asked(1_000, &HeyGenConfig { settings, ..HeyGenConfig::new() }), 7, "as it was said");
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// A look is added, and looked at so.
    Look(Ending),
    /// The same, and the process dies before there is a job.
    Orphan(Ending),
    /// The oldest group is deleted.
    Delete,
    /// The process ends and begins again.
    Restart,
    /// The same, and the yard has lost all its jobs.
    Forget,
}

/// What a trainer does.
#[derive(Debug, Clone, Copy)]
enum Ending {
    Completes,
    Refuses,
    Panics,
    /// Cut short once, then it completes.
    IsCutShort,
    /// Says that it is done, and has noted nothing.
    Forgets,
}

fn ending() -> impl Strategy<Value = Ending> {
    prop_oneof![
        Just(Ending::Completes),
        Just(Ending::Refuses),
        Just(Ending::Panics),
        Just(Ending::IsCutShort),
        Just(Ending::Forgets),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => ending().prop_map(Step::Look),
        2 => ending().prop_map(Step::Orphan),
        1 => Just(Step::Delete),
        1 => Just(Step::Restart),
        1 => Just(Step::Forget),
    ]
}

/// One life of a process.
struct Life {
    album: Arc<Album>,
    yard: Trainyard,
    keeping: JoinHandle<()>,
}

type Endings = Arc<Mutex<BTreeMap<AssetId, Ending>>>;

impl Life {
    fn begin(folder: &Path, journal: u32, endings: &Endings) -> Self {
        let album = album(folder);
        let path = folder.join(format!("yard-{journal}.sqlite"));
        let (journal, _) = SqliteJournal::open(path, &SqliteOptions::new()).unwrap();
        let (noting, endings) = (Arc::clone(&album), Arc::clone(endings));
        let trainer = move |_: &mut Context, job: &JobToTrain| {
            let Some(Check(look)) = noting.work_of(&job.subject) else { panic!("{job:?}") };
            let Some(image) = noting.catalog.pending_image(look).unwrap() else {
                return Ok(Trained::default());
            };
            let ending = endings.lock().get(&image.id).copied().unwrap();
            match ending {
                Ending::Completes => {
                    noting.catalog.complete_look(look).unwrap();
                }
                Ending::Refuses => {
                    noting.catalog.fail_look(look, "refused").unwrap();
                    return Err(TrainError::failed("refused"));
                }
                Ending::Panics => panic!("on purpose"),
                Ending::IsCutShort => {
                    endings.lock().insert(image.id, Ending::Completes);
                    return Err(TrainError::interrupted("once"));
                }
                Ending::Forgets => {}
            }
            Ok(Trained::default())
        };
        let builder = Trainyard::builder(folder.join("yard")).journal(journal);
        let (yard, _) = builder.trainer(album.check.kind.clone(), trainer).start().unwrap();
        let (keeping, _) = keep(&album, &yard);
        Self { album, yard, keeping }
    }

    fn end(self) {
        end(&self.yard, self.keeping);
    }
}

fn is_over(state: &LookState) -> bool {
    match state {
        LookState::Pending => false,
        LookState::Completed | LookState::Failed { .. } => true,
    }
}

fn play(steps: &[Step]) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    let endings = Endings::default();
    let (mut journal, mut seen) = (0, BTreeMap::<LookId, LookState>::new());
    let mut wanted = BTreeMap::new();
    let mut life = Life::begin(folder.path(), journal, &endings);
    for step in steps {
        let host = PhotoHost::new(Arc::clone(&life.album), life.yard.clone());
        match *step {
            Step::Look(ending) | Step::Orphan(ending) => {
                let image = upload(&host, b"x");
                endings.lock().insert(image, ending);
                wanted.insert(image, ending);
                if matches!(step, Step::Orphan(_)) {
                    orphan(&life.album, image);
                } else {
                    host.create_group(named(image)).unwrap();
                }
            }
            Step::Delete => {
                if let Some(group) = host.groups().unwrap().last() {
                    prop_assert!(host.delete_group(group.id).unwrap());
                }
            }
            Step::Restart | Step::Forget => {
                life.end();
                journal += u32::from(matches!(step, Step::Forget));
                life = Life::begin(folder.path(), journal, &endings);
            }
        }
        for group in life.album.catalog.groups().unwrap() {
            let look = life.album.catalog.look(group.id.first_look()).unwrap().unwrap();
            if let Some(before) = seen.insert(look.id, look.state.clone()) {
                prop_assert!(!is_over(&before) || before == look.state);
            }
        }
    }
    life.end();
    let life = Life::begin(folder.path(), journal, &endings);
    for (_, job) in life.album.catalog.looks_at_work().unwrap() {
        life.yard.finished(job).wait().unwrap();
    }
    let album = Arc::clone(&life.album);
    life.end();
    prop_assert_eq!(album.catalog.looks_at_work().unwrap(), []);
    for group in album.catalog.groups().unwrap() {
        let look = album.catalog.look(group.id.first_look()).unwrap().unwrap();
        let should_be = matches!(wanted[&look.image], Ending::Completes | Ending::IsCutShort);
        prop_assert_eq!(look.state == LookState::Completed, should_be, "{:?}", look);
    }
    let known = album.catalog.assets().unwrap().into_iter().map(|stored| album.file(stored));
    let mut there = files(folder.path(), "assets");
    there.sort();
    let mut known: Vec<PathBuf> = known.collect();
    known.sort();
    prop_assert_eq!(there, known);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_left_pending_and_nothing_goes_back(steps in prop::collection::vec(step(), 0..12)) {
        play(&steps)?;
    }
}
