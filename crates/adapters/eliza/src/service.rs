//! The edge: who may ask, what was sent, and who answers it.

use std::fmt;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::{Map, Value};
use trainyard_core::port::Handle;
use trainyard_core::{Glance, JobId, ModelId};
use trainyard_http::{
    Answer, Method, Mount, Request, Response, Routes, Seats, Service, StatusCode, blocking,
};

use crate::door::{self, Caller};
use crate::events::Events;
use crate::fault::Fault;
use crate::host::Host;
use crate::jobs::id_of;
use crate::map;
use crate::marks::Marks;
use crate::once::Errands;
use crate::roll::Roll;
use crate::routes::{self, Endpoint, JOB, OPENAPI, STATUS};
use crate::settings::{Limits, Settings};
use crate::stream::{Stream, StreamSeats};
use crate::told::Told;
use crate::wire::answers::Status;
use crate::wire::requests;

/// elizaOS's training service over a yard and a [`Host`].
///
/// It is mounted by its [`mounts`](Eliza::mounts). Clones are one service.
pub struct Eliza<H: ?Sized, S: ?Sized> {
    pub(crate) edge: Arc<Edge<H, S>>,
}

pub(crate) struct Edge<H: ?Sized, S: ?Sized> {
    pub(crate) settings: Settings,
    routes: Routes<Endpoint>,
    pub(crate) events: Events,
    pub(crate) marks: Marks,
    pub(crate) imports: Errands<ModelId>,
    pub(crate) benchmarks: Errands<ModelId>,
    pub(crate) streams: StreamSeats,
    /// Bodies with trajectories that are here, or on their way.
    pub(crate) ingests: Seats,
    /// Whose trajectories are taken in: the others wait without a thread.
    pub(crate) ingesting: Seats,
    /// Whose dataset is built: in the same way.
    pub(crate) building: Seats,
    /// What there is of jobs and models in the newest state.
    pub(crate) counted: Glance<Status>,
    pub(crate) roll: Roll,
    /// Jobs, in words.
    pub(crate) told: Told,
    turns: Mutex<()>,
    builds: Mutex<()>,
    pub(crate) host: Arc<S>,
    pub(crate) handle: Arc<H>,
}

impl<H: Handle + ?Sized, S: Host + ?Sized> Eliza<H, S> {
    /// Where everything but the event stream is.
    pub const PREFIX: &'static str = "/api/training";
    /// Where trajectories are read and taken in.
    pub const TRAJECTORIES: &'static str = "/api/training/trajectories";

    /// Where the event stream is.
    pub const EVENTS: &'static str = "/ws";

    /// A service that answers for this yard and this host, and tells what happens to `events`, which the host's trainers
    /// share. Call [`Eliza::resync`] before it is mounted.
    #[must_use]
    pub fn new(handle: Arc<H>, host: Arc<S>, events: Events, settings: Settings) -> Self {
        let errands = Seats::new(settings.limits().errands);
        Self {
            edge: Arc::new(Edge {
                routes: routes::routes(),
                marks: Marks::default(),
                imports: Errands::new(&errands),
                benchmarks: Errands::new(&errands),
                streams: StreamSeats::new(&settings),
                ingests: Seats::new(settings.limits().ingests),
                ingesting: Seats::new(1),
                building: Seats::new(1),
                counted: Glance::new(),
                roll: Roll::default(),
                told: Told::default(),
                turns: Mutex::default(),
                builds: Mutex::default(),
                settings,
                events,
                host,
                handle,
            }),
        }
    }

    /// Where it is to be mounted, with the bounds of its [`Limits`]: at [`Eliza::PREFIX`], at [`Eliza::TRAJECTORIES`],
    /// which takes larger bodies, and at [`Eliza::EVENTS`], which takes none.
    ///
    /// # Panics
    /// Never: these are path prefixes.
    #[must_use]
    pub fn mounts(&self) -> [Mount; 3] {
        let limits = self.edge.limits();
        let mount = |prefix, service| Mount::new(prefix, service).expect("it is a path prefix");
        let calls = |prefix| mount(prefix, Arc::new(self.clone()));
        [
            calls(Self::PREFIX).with_body_limit(limits.json_bytes),
            calls(Self::TRAJECTORIES).with_body_limit(limits.ingest_bytes),
            mount(Self::EVENTS, Arc::new(Stream(self.clone()))).with_body_limit(0),
        ]
    }

    /// How it behaves.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.edge.settings
    }

    /// What it tells to whoever watches.
    #[must_use]
    pub fn events(&self) -> &Events {
        &self.edge.events
    }

    /// The order is the original's: whose page it is, then the token, then the path. So a 401 comes before a 404. What
    /// this wire is may be known without a token.
    async fn answer(&self, request: Request) -> Response {
        let caller = match Caller::of(&request, &self.edge.settings) {
            Ok(caller) => caller,
            Err(fault) => return fault.into_response(),
        };
        let response = match caller.preflight(request.method()) {
            Some(response) => response,
            None => self.let_in(request).await.unwrap_or_else(Fault::into_response),
        };
        caller.stamp(response)
    }

    /// The status or a job, when that is asked for and nothing of it blocks.
    fn at_once(&self, request: &Request) -> Option<Response> {
        if request.method() != Method::GET {
            return None;
        }
        let job = match request.path() {
            STATUS => None,
            path => Some(id_of(path.strip_prefix(JOB)?).map(JobId::new)?),
        };
        let caller = match Caller::of(request, &self.edge.settings) {
            Ok(caller) => caller,
            Err(fault) => return Some(fault.into_response()),
        };
        let answered = match door::admit(request, &self.edge.settings) {
            Ok(()) => job.map_or_else(|| self.status_at_once(), |job| self.read_job_at_once(job))?,
            Err(fault) => Err(fault),
        };
        Some(caller.stamp(answered.unwrap_or_else(Fault::into_response)))
    }

    async fn let_in(&self, request: Request) -> Result<Response, Fault> {
        let found = routes::find(&self.edge.routes, request.method(), request.path());
        let is_public = matches!(found, Ok((Endpoint::OpenApi, _)));
        if !is_public {
            door::admit(&request, &self.edge.settings)?;
        }
        let (endpoint, id) = found?;
        match endpoint {
            Endpoint::OpenApi => Ok(Response::bytes(StatusCode::OK, "application/json", OPENAPI)),
            Endpoint::Status => self.status().await,
            Endpoint::Trajectories => self.list_trajectories(request.query()).await,
            Endpoint::Ingest => self.take_in(request).await,
            Endpoint::Trajectory => self.read_trajectory(id).await,
            Endpoint::Datasets => self.list_datasets().await,
            Endpoint::BuildDataset => self.build_dataset(request).await,
            Endpoint::Jobs => self.list_jobs().await,
            Endpoint::StartJob => self.start_job(request).await,
            Endpoint::Job => self.read_job(&id).await,
            Endpoint::CancelJob => self.cancel_job(&id).await,
            Endpoint::Models => self.list_models().await,
            Endpoint::ImportModel => self.import_model(&id, request).await,
            Endpoint::ActivateModel => self.activate_model(&id, request).await,
            Endpoint::BenchmarkModel => self.benchmark_model(&id).await,
            Endpoint::Backends => self.list_backends().await,
            Endpoint::AutoConfig => self.read_auto().await,
            Endpoint::PutAutoConfig => self.change_auto(request, requests::Names::Documented).await,
            Endpoint::PostAutoConfig => self.change_auto(request, requests::Names::Original).await,
            Endpoint::AutoStatus => self.auto_status().await,
            Endpoint::AutoDecisions => self.auto_decisions().await,
            Endpoint::AutoTrigger => self.trigger(request).await,
            Endpoint::AutoRuns => self.list_runs(request.query()).await,
            Endpoint::AutoRun => self.read_run(&id).await,
        }
    }

    /// Does work where it may block.
    pub(crate) async fn work<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Edge<H, S>) -> Result<R, Fault> + Send + 'static,
    ) -> Result<R, Fault> {
        let edge = Arc::clone(&self.edge);
        blocking(move || work(&edge)).await
    }

    /// Reads a JSON body, whatever its content type: clients name one where there is no body, and none where there is.
    pub(crate) async fn members(&self, request: Request) -> Result<Map<String, Value>, Fault> {
        plain(&request)?;
        let bytes = request.into_body().collect(self.edge.limits().json_bytes).await?;
        requests::members(&bytes)
    }
}

impl<H: Handle + ?Sized, S: Host + ?Sized> Service for Eliza<H, S> {
    /// What waits for nothing takes no room for a future that could be any endpoint's.
    fn call(&self, request: Request) -> Answer<'_> {
        match self.at_once(&request) {
            Some(response) => Box::pin(ready(response)),
            None => Box::pin(self.answer(request)),
        }
    }

    fn fault(&self, status: StatusCode) -> Response {
        Fault::unanswered(status).into_response()
    }
}

impl<H: ?Sized, S: ?Sized> Clone for Eliza<H, S> {
    fn clone(&self) -> Self {
        Self { edge: Arc::clone(&self.edge) }
    }
}

impl<H: ?Sized, S: ?Sized> fmt::Debug for Eliza<H, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Eliza").field("settings", &self.edge.settings).finish_non_exhaustive()
    }
}

impl<H: Handle + ?Sized, S: Host + ?Sized> Edge<H, S> {
    pub(crate) fn limits(&self) -> &Limits {
        self.settings.limits()
    }

    /// What is read of a yard that has stopped stays as it is for ever, so it is not told.
    pub(crate) fn is_going(&self) -> Result<(), Fault> {
        match self.handle.stopped() {
            None => Ok(()),
            Some(_) => Err(map::stopped()),
        }
    }

    /// Whoever brings something in that the yard is told about takes a turn, so that the yard hears of it in order.
    pub(crate) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Of several who find no dataset, one builds; it may take its time, and keeps nobody else waiting.
    pub(crate) fn build_turn(&self) -> MutexGuard<'_, ()> {
        self.builds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For a service that no training is built into: whatever is asked under the prefix is answered with 503, once the
/// caller may ask at all.
#[derive(Debug, Clone)]
pub struct Absent {
    settings: Settings,
}

impl Absent {
    /// Nobody trains here. Of the settings the token, the origins and the hosts count.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// Where it is to be mounted.
    ///
    /// # Panics
    /// Never: it is a path prefix.
    #[must_use]
    pub fn mounts(&self) -> [Mount; 1] {
        let mount = Mount::new("/api/training", Arc::new(self.clone())).expect("it is a path prefix");
        [mount.with_body_limit(self.settings.limits().json_bytes)]
    }

    fn answer(&self, request: &Request) -> Response {
        let caller = match Caller::of(request, &self.settings) {
            Ok(caller) => caller,
            Err(fault) => return fault.into_response(),
        };
        let response = caller.preflight(request.method()).unwrap_or_else(|| {
            door::admit(request, &self.settings).err().unwrap_or_else(Fault::absent).into_response()
        });
        caller.stamp(response)
    }
}

impl Service for Absent {
    fn call(&self, request: Request) -> Answer<'_> {
        Box::pin(async move { self.answer(&request) })
    }

    fn fault(&self, status: StatusCode) -> Response {
        Fault::unanswered(status).into_response()
    }
}

pub(crate) fn ok(value: &impl Serialize) -> Response {
    Response::json(StatusCode::OK, value)
}

pub(crate) fn created(value: &impl Serialize) -> Response {
    Response::json(StatusCode::CREATED, value)
}

/// Bodies are taken as they are.
pub(crate) fn plain(request: &Request) -> Result<(), Fault> {
    if request.has_plain_body() {
        return Ok(());
    }
    Err(Fault::bad("Send the request body without a content encoding"))
}
