//! Whatever happens between a catalogue and a yard: nothing is left at work, and no state goes back.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;
use proptest::prelude::*;
use trainyard_core::{Timestamp, Trained};
use trainyard_http::secret::Secret;
use trainyard_mathfi::{DatasetId, DatasetState, Host, NewDataset, Shape, UserId};
use trainyard_runtime::{Context, JobToTrain, TrainError};
use trainyard_sqlite::{SqliteJournal, SqliteOptions};
use uuid::Uuid;

use super::*;
use crate::incoming;
use crate::mathfi::MathFiConfig;
use crate::mathfi::host::TableHost;

#[derive(Debug, Clone)]
enum Step {
    /// Data comes in, and its job does so.
    Upload(Ending),
    /// Data comes in, and the process dies before there is a job.
    Orphan(Ending),
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
        4 => ending().prop_map(Step::Upload),
        2 => ending().prop_map(Step::Orphan),
        1 => Just(Step::Restart),
        1 => Just(Step::Forget),
    ]
}

const SHAPE: Shape = Shape { rows: 8, classes: 2, memory_mib: 1 };

/// One life of a process.
struct Life {
    books: Arc<Books>,
    yard: Trainyard,
    keeping: JoinHandle<()>,
}

type Endings = Arc<Mutex<BTreeMap<DatasetId, Ending>>>;

impl Life {
    fn begin(folder: &Path, journal: u32, endings: &Endings) -> Self {
        let users = [("a".to_owned(), Secret::new("s3cret").unwrap())].into();
        let backoff = trainyard_core::Backoff::new(Duration::ZERO, Duration::ZERO);
        let retry = trainyard_core::RetryPolicy { retries_max: 5, backoff };
        let config = MathFiConfig { users, retry, ..MathFiConfig::new() };
        let books =
            Arc::new(Books::open(&folder.join("mathfi"), &config, 1_000, Disk::new(folder, 0)).unwrap().0);
        let path = folder.join(format!("yard-{journal}.sqlite"));
        let (journal, _) = SqliteJournal::open(path, &SqliteOptions::new()).unwrap();
        let (noting, endings) = (Arc::clone(&books), Arc::clone(endings));
        let trainer = move |_: &mut Context, job: &JobToTrain| {
            let Some(Work::Prepare(id)) = Work::of(&job.subject) else { panic!("{job:?}") };
            let ending = endings.lock().get(&id).copied().unwrap();
            match ending {
                Ending::Completes => {
                    noting.catalog.complete_dataset(id, SHAPE).unwrap();
                    incoming::remove(&noting.files.data(id));
                }
                Ending::Refuses => {
                    noting.catalog.fail_dataset(id, "refused").unwrap();
                    incoming::remove(&noting.files.data(id));
                    return Err(TrainError::failed("refused"));
                }
                Ending::Panics => panic!("on purpose"),
                Ending::IsCutShort => {
                    endings.lock().insert(id, Ending::Completes);
                    return Err(TrainError::interrupted("once"));
                }
                Ending::Forgets => {}
            }
            Ok(Trained::default())
        };
        let builder = Trainyard::builder(folder.join("yard")).journal(journal);
        let (yard, _) = builder.trainer(books.classes.prepare.kind.clone(), trainer).start().unwrap();
        let (keeper, _) = Keeper::open(Arc::clone(&books), yard.clone()).unwrap();
        Self { books, yard, keeping: thread::spawn(move || keeper.run()) }
    }

    fn end(self) {
        self.yard.shutdown(Duration::from_secs(60)).wait().unwrap();
        self.keeping.join().unwrap();
    }

    fn owner(&self) -> UserId {
        self.books.users.log_in("a", "s3cret").unwrap().id
    }
}

/// How far a dataset is: ends are for ever.
fn rank(state: &DatasetState) -> u8 {
    match state {
        DatasetState::Pending => 0,
        DatasetState::Processing => 1,
        DatasetState::Completed(_) | DatasetState::Failed { .. } => 2,
    }
}

fn play(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    let endings = Endings::default();
    let (mut journal, mut seen) = (0, BTreeMap::<DatasetId, DatasetState>::new());
    let mut wanted = BTreeMap::new();
    let mut life = Life::begin(folder.path(), journal, &endings);
    let owner = life.owner();
    for step in steps {
        match step {
            Step::Upload(ending) | Step::Orphan(ending) => {
                let host = TableHost::new(Arc::clone(&life.books), life.yard.clone());
                let (name, at) = (Uuid::new_v4().to_string(), Timestamp::from_millis(0));
                let new = NewDataset { owner, name, description: None, buckets: 20, at };
                let id = host.create_dataset(new).unwrap().id;
                endings.lock().insert(id, ending);
                wanted.insert(id, ending);
                if matches!(step, Step::Orphan(_)) {
                    let job = JobId::new(Uuid::new_v4());
                    prop_assert!(life.books.catalog.begin_dataset(id, job).unwrap());
                } else {
                    let mut upload = host.receive_data(id).unwrap();
                    upload.write(b"id,a,class\n").unwrap();
                    upload.finish().unwrap();
                }
            }
            Step::Restart | Step::Forget => {
                life.end();
                journal += u32::from(matches!(step, Step::Forget));
                life = Life::begin(folder.path(), journal, &endings);
            }
        }
        for dataset in life.books.catalog.datasets(owner).unwrap() {
            if let Some(before) = seen.insert(dataset.id, dataset.state.clone()) {
                prop_assert!(rank(&before) < rank(&dataset.state) || before == dataset.state);
            }
        }
    }
    life.end();
    let life = Life::begin(folder.path(), journal, &endings);
    for (_, job) in life.books.catalog.datasets_at_work().unwrap() {
        life.yard.finished(job).wait().unwrap();
    }
    let books = Arc::clone(&life.books);
    life.end();
    prop_assert_eq!(books.catalog.datasets_at_work().unwrap(), []);
    for dataset in books.catalog.datasets(owner).unwrap() {
        let is_ready = matches!(dataset.state, DatasetState::Completed(SHAPE));
        let should_be = matches!(wanted[&dataset.id], Ending::Completes | Ending::IsCutShort);
        prop_assert_eq!(is_ready, should_be, "{:?}", dataset);
        prop_assert!(!books.files.data(dataset.id).exists(), "what it was made of is gone");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_left_at_work_and_nothing_goes_back(steps in prop::collection::vec(step(), 0..12)) {
        play(steps)?;
    }
}
