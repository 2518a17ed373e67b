//! Users, datasets and predictions in memory.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use trainyard_core::ModelId;
use trainyard_mathfi::{
    Dataset, DatasetId, DatasetState, Host, HostError, NewDataset, Prediction, PredictionId, PredictionState,
    Refused, ResultFile, Shape, Stamp, Upload, User, UserId,
};
use uuid::Uuid;

#[derive(Default)]
pub struct MemoryHost {
    state: Arc<Mutex<State>>,
    /// Told whenever an upload begins or is over.
    changed: Arc<Condvar>,
    /// Everything fails from now on.
    pub broken: Arc<AtomicBool>,
    /// There is no room for another byte from now on.
    pub full: Arc<AtomicBool>,
    /// Who asks for an owner finds a bug.
    pub panics: AtomicBool,
    /// Whoever finishes an upload has to wait, or drops one.
    workshop: Arc<Workshop>,
    /// How often a password was looked at.
    pub logins: AtomicUsize,
    /// How many are being looked at, and whether they are to take their time.
    desk: Mutex<Desk>,
    at_desk: Condvar,
}

/// Where uploads are finished and given up.
#[derive(Default)]
struct Workshop {
    state: Mutex<Desk>,
    changed: Condvar,
}

#[derive(Default)]
struct Desk {
    looking: usize,
    held: bool,
}

#[derive(Default)]
struct State {
    users: Vec<(String, String, User)>,
    datasets: BTreeMap<DatasetId, Dataset>,
    predictions: BTreeMap<PredictionId, Prediction>,
    files: BTreeMap<Uuid, Vec<u8>>,
    order: Vec<DatasetId>,
    /// Uploads under way, and their largest write.
    open: usize,
    largest_write: usize,
}

pub const READY: Shape = Shape { rows: 500, classes: 2, memory_mib: 64 };

impl MemoryHost {
    pub fn with_users(names: &[&str]) -> Self {
        let host = Self::default();
        for (number, name) in (1..).zip(names) {
            let user = User { id: UserId::new(Uuid::from_u128(number << 64)), stamp: Stamp(1) };
            host.state.lock().unwrap().users.push(((*name).to_owned(), format!("{name}'s word"), user));
        }
        host
    }

    /// Whoever logs in from now on has to wait, or nobody any more.
    pub fn hold_logins(&self, held: bool) {
        self.desk.lock().unwrap().held = held;
        self.at_desk.notify_all();
    }

    /// Whether so many passwords are looked at together within this time.
    pub fn looks_at(&self, passwords: usize, time: Duration) -> bool {
        let desk = self.desk.lock().unwrap();
        let waited = self.at_desk.wait_timeout_while(desk, time, |desk| desk.looking < passwords);
        !waited.unwrap().1.timed_out()
    }

    /// Whoever finishes an upload or gives one up from now on has to wait, or nobody any more.
    pub fn hold_workshop(&self, held: bool) {
        self.workshop.state.lock().unwrap().held = held;
        self.workshop.changed.notify_all();
    }

    /// Whether so many uploads are finished or given up together within this time.
    pub fn works_on(&self, uploads: usize, time: Duration) -> bool {
        let state = self.workshop.state.lock().unwrap();
        let waited = self.workshop.changed.wait_timeout_while(state, time, |state| state.looking < uploads);
        !waited.unwrap().1.timed_out()
    }

    /// Changes a user's password.
    pub fn change_password(&self, name: &str, password: &str) {
        let mut state = self.state.lock().unwrap();
        let found = state.users.iter_mut().find(|(known, ..)| known == name).unwrap();
        found.1 = password.to_owned();
        found.2.stamp.0 += 1;
    }

    pub fn remove_user(&self, name: &str) {
        self.state.lock().unwrap().users.retain(|(known, ..)| known != name);
    }

    pub fn set(&self, id: DatasetId, state: DatasetState) {
        self.state.lock().unwrap().datasets.get_mut(&id).unwrap().state = state;
    }

    pub fn dataset_state(&self, id: DatasetId) -> DatasetState {
        self.state.lock().unwrap().datasets[&id].state.clone()
    }

    pub fn set_prediction(&self, id: PredictionId, to: PredictionState, result: Option<&[u8]>) {
        let mut state = self.state.lock().unwrap();
        state.predictions.get_mut(&id).unwrap().state = to;
        if let Some(result) = result {
            state.files.insert(id.as_uuid(), result.to_vec());
        }
    }

    pub fn file(&self, id: Uuid) -> Option<Vec<u8>> {
        self.state.lock().unwrap().files.get(&id).cloned()
    }

    /// How many uploads are under way.
    pub fn open(&self) -> usize {
        self.state.lock().unwrap().open
    }

    /// Blocks the test until so many uploads are under way.
    pub fn wait_for_open(&self, uploads: usize) {
        let state = self.state.lock().unwrap();
        let patience = Duration::from_secs(60);
        let (state, timeout) =
            self.changed.wait_timeout_while(state, patience, |state| state.open != uploads).unwrap();
        assert!(!timeout.timed_out(), "{} uploads are under way", state.open);
    }

    pub fn largest_write(&self) -> usize {
        self.state.lock().unwrap().largest_write
    }

    fn check(&self) -> Result<(), HostError> {
        match self.broken.load(Ordering::SeqCst) {
            true => Err(HostError::new("a secret cause")),
            false => Ok(()),
        }
    }

    fn incoming<T>(
        &self,
        keep: impl FnOnce(&mut State, Vec<u8>) -> Result<T, Refused> + Send + 'static,
    ) -> Box<dyn Upload<T>>
    where
        T: 'static,
    {
        self.state.lock().unwrap().open += 1;
        self.changed.notify_all();
        Box::new(Incoming {
            state: Arc::clone(&self.state),
            changed: Arc::clone(&self.changed),
            broken: Arc::clone(&self.broken),
            full: Arc::clone(&self.full),
            workshop: Arc::clone(&self.workshop),
            bytes: Vec::new(),
            keep: Some(Box::new(keep)),
        })
    }
}

type Keep<T> = Box<dyn FnOnce(&mut State, Vec<u8>) -> Result<T, Refused> + Send>;

struct Incoming<T> {
    state: Arc<Mutex<State>>,
    changed: Arc<Condvar>,
    broken: Arc<AtomicBool>,
    full: Arc<AtomicBool>,
    workshop: Arc<Workshop>,
    bytes: Vec<u8>,
    keep: Option<Keep<T>>,
}

impl<T> Upload<T> for Incoming<T> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(HostError::new("a secret cause").into());
        }
        if self.full.load(Ordering::SeqCst) {
            return Err(Refused::Full);
        }
        let mut state = self.state.lock().unwrap();
        state.largest_write = state.largest_write.max(bytes.len());
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<T, Refused> {
        self.workshop.pass();
        let keep = self.keep.take().unwrap();
        let bytes = std::mem::take(&mut self.bytes);
        keep(&mut self.state.lock().unwrap(), bytes)
    }
}

impl<T> Drop for Incoming<T> {
    fn drop(&mut self) {
        if self.keep.is_some() {
            self.workshop.pass();
        }
        self.state.lock().unwrap().open -= 1;
        self.changed.notify_all();
    }
}

impl Workshop {
    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.looking += 1;
        self.changed.notify_all();
        state = self.changed.wait_while(state, |state| state.held).unwrap();
        state.looking -= 1;
    }
}

impl Host for MemoryHost {
    fn log_in(&self, name: &str, password: &str) -> Result<Option<User>, HostError> {
        self.check()?;
        self.logins.fetch_add(1, Ordering::SeqCst);
        let mut desk = self.desk.lock().unwrap();
        desk.looking += 1;
        self.at_desk.notify_all();
        desk = self.at_desk.wait_while(desk, |desk| desk.held).unwrap();
        desk.looking -= 1;
        drop(desk);
        let state = self.state.lock().unwrap();
        let found = state.users.iter().find(|(known, word, _)| known == name && word == password);
        Ok(found.map(|(.., user)| *user))
    }

    fn user(&self, id: UserId) -> Option<User> {
        self.state.lock().unwrap().users.iter().map(|(.., user)| *user).find(|user| user.id == id)
    }

    fn owner(&self, id: DatasetId) -> Option<UserId> {
        assert!(!self.panics.load(Ordering::SeqCst), "a bug of the host's");
        self.state.lock().unwrap().datasets.get(&id).map(|dataset| dataset.owner)
    }

    fn training_memory_mib(&self) -> u64 {
        super::MEMORY_MIB
    }

    fn create_dataset(&self, new: NewDataset) -> Result<Dataset, Refused> {
        self.check()?;
        let mut state = self.state.lock().unwrap();
        let theirs = state.datasets.values().filter(|dataset| dataset.owner == new.owner);
        if theirs.clone().any(|dataset| dataset.name == new.name) {
            return Err(Refused::Taken);
        }
        if theirs.count() >= 40 {
            return Err(Refused::TooMany { what: "datasets", max: 40 });
        }
        let id = DatasetId::new(Uuid::from_u128((state.order.len() as u128 + 1) << 32));
        let NewDataset { owner, name, description, buckets, at: created_at } = new;
        let dataset =
            Dataset { id, owner, name, description, buckets, created_at, state: DatasetState::Pending };
        state.datasets.insert(id, dataset.clone());
        state.order.insert(0, id);
        Ok(dataset)
    }

    fn datasets(&self, owner: UserId) -> Result<Vec<Dataset>, HostError> {
        self.check()?;
        let state = self.state.lock().unwrap();
        let newest_first = state.order.iter().map(|id| state.datasets[id].clone());
        Ok(newest_first.filter(|dataset| dataset.owner == owner).collect())
    }

    fn dataset(&self, id: DatasetId) -> Result<Option<Dataset>, HostError> {
        self.check()?;
        Ok(self.state.lock().unwrap().datasets.get(&id).cloned())
    }

    fn receive_data(&self, id: DatasetId) -> Result<Box<dyn Upload<Dataset>>, Refused> {
        self.check()?;
        match self.dataset(id)? {
            None => return Err(Refused::Gone),
            Some(dataset) if dataset.state != DatasetState::Pending => return Err(Refused::NotPending),
            Some(_) => {}
        }
        Ok(self.incoming(move |state, bytes| {
            let dataset = state.datasets.get_mut(&id).ok_or(Refused::Gone)?;
            if dataset.state != DatasetState::Pending {
                return Err(Refused::NotPending);
            }
            if bytes.starts_with(b"unusable") {
                return Err(Refused::Invalid("the first line is unusable".to_owned()));
            }
            dataset.state = DatasetState::Processing;
            let dataset = dataset.clone();
            state.files.insert(id.as_uuid(), bytes);
            Ok(dataset)
        }))
    }

    fn receive_rows(&self, model: ModelId, owner: UserId) -> Result<Box<dyn Upload<Prediction>>, Refused> {
        self.check()?;
        Ok(self.incoming(move |state, bytes| {
            let id = PredictionId::new(Uuid::from_u128((state.predictions.len() as u128 + 1) << 48));
            let prediction = Prediction { id, owner, model, state: PredictionState::Pending };
            state.predictions.insert(id, prediction.clone());
            state.files.insert(id.as_uuid(), bytes);
            Ok(prediction)
        }))
    }

    fn prediction(&self, id: PredictionId) -> Result<Option<Prediction>, HostError> {
        self.check()?;
        Ok(self.state.lock().unwrap().predictions.get(&id).cloned())
    }

    fn result(&self, id: PredictionId) -> Result<Option<ResultFile>, HostError> {
        self.check()?;
        let state = self.state.lock().unwrap();
        let completed =
            state.predictions.get(&id).is_some_and(|found| found.state == PredictionState::Completed);
        let file = state.files.get(&id.as_uuid()).filter(|_| completed).cloned();
        Ok(file.map(|csv| ResultFile { bytes: csv.len() as u64, csv: Box::new(Cursor::new(csv)) }))
    }
}
