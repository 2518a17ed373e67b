//! What has happened, for whoever watches.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::SystemTime;

use serde::Serialize;
use trainyard_core::{JobId, ModelId, Timestamp};

use crate::host::DatasetId;

/// The events of one training service. The embedding service makes one, and shares it with the adapter and its
/// trainers. Clones are one.
///
/// The newest [`Events::KEPT_MAX`] are kept, and the newest [`Events::REPLAYED_MAX`] of those are told to whoever begins
/// to watch. They are gone after a restart. Needs no async runtime.
///
/// ```
/// use trainyard_eliza::{Event, EventKind, Events, Watched};
///
/// let events = Events::new();
/// let mut watch = events.watch();
/// events.publish(Event::new(EventKind::JobLog, "Iter 10: Train loss 2.345"));
/// let Some(Watched::Event(text)) = watch.try_next() else { panic!("there is one") };
/// assert!(text.starts_with(r#"{"type":"training_event","version":1,"eventId":"evt-1","#));
/// ```
#[derive(Clone)]
pub struct Events(Arc<Shared>);

/// One thing that has happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Of what sort it is.
    pub kind: EventKind,
    /// In words; at most [`Event::MESSAGE_BYTES_MAX`] bytes are told.
    pub message: String,
    /// The job it is about.
    pub job: Option<JobId>,
    /// The model it is about.
    pub model: Option<ModelId>,
    /// The dataset it is about.
    pub dataset: Option<DatasetId>,
    /// How much of the job is done, 0 to 1.
    pub progress: Option<f64>,
    /// What the job does.
    pub phase: Option<String>,
}

/// Of what sort an event is. Clients look for all of it anew after each but a [log](EventKind::JobLog).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// A job runs.
    JobStarted,
    /// A job has come further.
    JobProgress,
    /// A job has written a line. Published by the host.
    JobLog,
    /// A job is over, and has done what it was asked to.
    JobCompleted,
    /// A job is over, and has not.
    JobFailed,
    /// A job was taken back.
    JobCancelled,
    /// There is another dataset.
    DatasetBuilt,
    /// Another model is the active one.
    ModelActivated,
    /// A model was imported to Ollama.
    ModelImported,
    /// A model could not be imported. Ours: an import may end after its request was answered.
    ModelImportFailed,
    /// A model was measured. Ours, for the same reason.
    ModelBenchmarked,
}

impl Event {
    /// The longest message, in bytes; what is longer is cut.
    pub const MESSAGE_BYTES_MAX: usize = 4_096;

    /// An event that is about nothing in particular yet.
    #[must_use]
    pub fn new(kind: EventKind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { kind, message, job: None, model: None, dataset: None, progress: None, phase: None }
    }

    /// About a job.
    #[must_use]
    pub fn with_job(self, job: JobId) -> Self {
        Self { job: Some(job), ..self }
    }

    /// About a model.
    #[must_use]
    pub fn with_model(self, model: ModelId) -> Self {
        Self { model: Some(model), ..self }
    }

    /// About a dataset.
    #[must_use]
    pub fn with_dataset(self, dataset: DatasetId) -> Self {
        Self { dataset: Some(dataset), ..self }
    }
}

/// What somebody who watches is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watched {
    /// An event, as JSON.
    Event(Arc<str>),
    /// So many were not told, because they were not taken in time.
    Missed(u64),
}

/// Somebody who watches. Dropped, it watches no more.
pub struct Watch {
    shared: Arc<Shared>,
    id: u64,
}

struct Shared {
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    published: u64,
    /// The newest moment that was told.
    now: Timestamp,
    kept: VecDeque<Arc<str>>,
    watches: BTreeMap<u64, Waiting>,
    ids: u64,
}

/// What somebody has yet to take.
#[derive(Default)]
struct Waiting {
    queue: VecDeque<Arc<str>>,
    missed: u64,
    waker: Option<Waker>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    r#type: &'a str,
    version: u32,
    event_id: String,
    ts: i64,
    payload: Payload<'a>,
}

/// The page drops one without a number `ts` and a text `message`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    kind: EventKind,
    ts: i64,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dataset_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<&'a str>,
}

impl Events {
    /// How many are kept.
    pub const KEPT_MAX: usize = 1_500;
    /// How many of those are told to whoever begins to watch.
    pub const REPLAYED_MAX: usize = 120;
    /// How many may wait for one who watches, besides those. Of more, the oldest are not told, and that is said.
    pub const WAITING_MAX: usize = 1_000;

    /// No events yet, on the clock of the system.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(|| {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            Timestamp::from_millis(0).after(since)
        })
    }

    /// No events yet, on another clock. A clock that goes back is taken for one that stands still.
    #[must_use]
    pub fn with_clock(clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared { clock: Box::new(clock), state: Mutex::default() }))
    }

    /// Tells everybody. Never waits for them.
    pub fn publish(&self, event: Event) {
        let now = (self.0.clock)();
        let mut state = self.0.lock();
        state.published += 1;
        state.now = state.now.max(now);
        let text: Arc<str> = written(&event, state.published, state.now).into();
        if state.kept.len() == Self::KEPT_MAX {
            state.kept.pop_front();
        }
        state.kept.push_back(Arc::clone(&text));
        let mut wakers = Vec::new();
        for waiting in state.watches.values_mut() {
            waiting.push(Arc::clone(&text));
            wakers.extend(waiting.waker.take());
        }
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Begins to watch: first comes the newest of what was, then what comes.
    #[must_use]
    pub fn watch(&self) -> Watch {
        let mut state = self.0.lock();
        state.ids += 1;
        let id = state.ids;
        let skipped = state.kept.len().saturating_sub(Self::REPLAYED_MAX);
        let queue = state.kept.iter().skip(skipped).cloned().collect();
        state.watches.insert(id, Waiting { queue, ..Waiting::default() });
        drop(state);
        Watch { shared: Arc::clone(&self.0), id }
    }

    /// The newest events that are kept, as JSON, oldest first.
    #[must_use]
    pub fn kept(&self) -> Vec<Arc<str>> {
        self.0.lock().kept.iter().cloned().collect()
    }
}

impl Default for Events {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.lock();
        f.debug_struct("Events")
            .field("published", &state.published)
            .field("watches", &state.watches.len())
            .finish_non_exhaustive()
    }
}

impl Watch {
    /// What comes next; waits for it, and holds no thread.
    pub async fn next(&mut self) -> Watched {
        poll_fn(|cx| {
            let mut state = self.shared.lock();
            let Some(waiting) = state.watches.get_mut(&self.id) else {
                return Poll::Pending;
            };
            match waiting.take() {
                Some(watched) => Poll::Ready(watched),
                None => {
                    waiting.waker = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// What comes next, if it is there.
    pub fn try_next(&mut self) -> Option<Watched> {
        self.shared.lock().watches.get_mut(&self.id).and_then(Waiting::take)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.lock().watches.remove(&self.id);
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn push(&mut self, text: Arc<str>) {
        if self.queue.len() >= Events::REPLAYED_MAX + Events::WAITING_MAX {
            self.queue.pop_front();
            self.missed = self.missed.saturating_add(1);
        }
        self.queue.push_back(text);
    }

    fn take(&mut self) -> Option<Watched> {
        match std::mem::take(&mut self.missed) {
            0 => self.queue.pop_front().map(Watched::Event),
            missed => Some(Watched::Missed(missed)),
        }
    }
}

fn written(event: &Event, number: u64, now: Timestamp) -> String {
    let cut = |text: &'_ str| text.floor_char_boundary(Event::MESSAGE_BYTES_MAX);
    let ts = now.as_millis();
    let progress = event.progress.filter(|progress| progress.is_finite());
    let payload = Payload {
        kind: event.kind,
        ts,
        message: &event.message[..cut(&event.message)],
        job_id: event.job.map(|job| job.to_string()),
        model_id: event.model.map(|model| model.to_string()),
        dataset_id: event.dataset.as_ref().map(DatasetId::as_str),
        progress: progress.map(|progress| progress.clamp(0.0, 1.0)),
        phase: event.phase.as_deref().map(|phase| &phase[..cut(phase)]),
    };
    let event_id = format!("evt-{number}");
    let envelope = Envelope { r#type: "training_event", version: 1, event_id, ts, payload };
    serde_json::to_string(&envelope).expect("words and numbers have a JSON form")
}
