//! The edge: who may ask, what was sent, and who answers it.

use std::fmt;
use std::future::ready;
use std::sync::Arc;

use serde::Serialize;
use trainyard_core::Glance;
use trainyard_core::port::Handle;
use trainyard_http::secret::Digest;
use trainyard_http::{Answer, BodyError, Request, Response, Routes, Service, StatusCode, blocking};

use crate::fault::Fault;
use crate::host::{Host, IndexId};
use crate::map::{self, Doing};
use crate::routes::{self, Endpoint, OPENAPI};
use crate::settings::Settings;
use crate::status::Shown;
use crate::unfit::Unfit;
use crate::wire::answers::Health;
use crate::wire::bounded::to_json;
use crate::wire::json::{Json, NotJson};
use crate::wire::requests::{Body, OfIndex};

/// CyborgDB's service over a yard and a [`Host`].
///
/// Clones are one service. A blocked `train` is a future that waits for its job, and holds no thread.
pub struct CyborgDb<H: ?Sized, S: ?Sized> {
    pub(crate) edge: Arc<Edge<H, S>>,
}

pub(crate) struct Edge<H: ?Sized, S: ?Sized> {
    pub(crate) settings: Settings,
    pub(crate) routes: Routes<Endpoint>,
    pub(crate) host: Arc<S>,
    pub(crate) handle: Arc<H>,
    pub(crate) unfit: Unfit,
    /// The training status of the newest state.
    pub(crate) shown: Glance<Arc<Shown>>,
}

impl<H: Handle + ?Sized, S: Host + ?Sized> CyborgDb<H, S> {
    /// A service that answers for this yard and this host. Call [`CyborgDb::resync`] before it is mounted.
    #[must_use]
    pub fn new(handle: Arc<H>, host: Arc<S>, settings: Settings) -> Self {
        Self {
            edge: Arc::new(Edge {
                settings,
                routes: routes::routes(),
                host,
                handle,
                unfit: Unfit::default(),
                shown: Glance::new(),
            }),
        }
    }

    /// How it behaves.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.edge.settings
    }

    async fn answer(&self, endpoint: Endpoint, request: Request) -> Response {
        self.dispatch(endpoint, request).await.unwrap_or_else(Fault::into_response)
    }

    fn training_status(&self, request: &Request) -> Result<Response, Fault> {
        self.edge.admit(request)?;
        self.edge.training_status()
    }

    async fn dispatch(&self, endpoint: Endpoint, request: Request) -> Result<Response, Fault> {
        match endpoint {
            Endpoint::OpenApi => Ok(Response::bytes(StatusCode::OK, "application/json", OPENAPI)),
            Endpoint::Health => Ok(Response::json(StatusCode::OK, &Health::OK)),
            Endpoint::ListIndexes => {
                self.edge.admit(&request)?;
                self.list_indexes().await
            }
            Endpoint::TrainingStatus => self.training_status(&request),
            Endpoint::Users => {
                self.edge.admit(&request)?;
                Err(Fault::forbidden("Per-user API keys are not offered by this server"))
            }
            Endpoint::Create => self.create(request).await,
            Endpoint::Describe => self.describe(request).await,
            Endpoint::Remove => self.remove(request).await,
            Endpoint::Train => self.train(request).await,
            Endpoint::Upsert => self.upsert(request).await,
            Endpoint::UpsertBinary => self.upsert_binary(request).await,
            Endpoint::Query => self.query(request).await,
            Endpoint::QueryBinary => self.query_binary(request).await,
            Endpoint::Get => self.get(request).await,
            Endpoint::Delete => self.delete(request).await,
            Endpoint::ListIds => self.list_ids(request).await,
            Endpoint::Count => self.count(request).await,
            Endpoint::QueryMetadata => self.query_metadata(request).await,
        }
    }

    /// Reads a body and does the work, where it may block and compute.
    ///
    /// The order of checks is the original's: what is not JSON, then the caller's key, then the members, then
    /// (in the work) the index and what is asked of it.
    pub(crate) async fn post<B: Body, R: Send + 'static>(
        &self,
        request: Request,
        work: impl FnOnce(&Edge<H, S>, B) -> Result<R, Fault> + Send + 'static,
    ) -> Result<R, Fault> {
        let admitted = self.edge.admit(&request);
        let is_json = request.header("content-type").is_some_and(is_json);
        let limits = *self.edge.settings.limits();
        // A stranger's body is looked at, but not one that takes of the room there is for bodies.
        let limit =
            if admitted.is_ok() { limits.body_bytes } else { limits.body_bytes.min(STRANGER_BYTES_MAX) };
        let (bytes, share) = match request.into_body().collect_for(limit, BODY_TIMES).await {
            Ok(collected) => collected,
            Err(error) => return Err(admitted.err().unwrap_or_else(|| unread(error))),
        };
        let edge = Arc::clone(&self.edge);
        let work = move || {
            let sent = sent(&bytes, is_json, limits.body_values)?;
            drop(bytes);
            admitted?;
            let body = B::of(sent.as_ref()).map_err(Fault::Invalid)?;
            drop(sent);
            let done = work(&edge, body);
            drop(share);
            done
        };
        blocking(work).await
    }
}

/// What is not counted among [all bodies](trainyard_http::ServerConfig::with_bodies_bytes).
const STRANGER_BYTES_MAX: usize = 64 << 10;
/// How many times its size a body takes in memory while it is worked on: measured, up to seven.
const BODY_TIMES: u32 = 8;

impl<H: Handle + ?Sized, S: Host + ?Sized> Service for CyborgDb<H, S> {
    /// What waits for nothing takes no room for a future that could be any endpoint's.
    fn call(&self, request: Request) -> Answer<'_> {
        let found = routes::find(&self.edge.routes, request.method(), request.path(), request.query());
        let answered = match found {
            Ok(Endpoint::TrainingStatus) => self.training_status(&request),
            Ok(endpoint) => return Box::pin(self.answer(endpoint, request)),
            Err(fault) => Err(fault),
        };
        Box::pin(ready(answered.unwrap_or_else(Fault::into_response)))
    }

    fn fault(&self, status: StatusCode) -> Response {
        Fault::unanswered(status).into_response()
    }
}

impl<H: ?Sized, S: ?Sized> Clone for CyborgDb<H, S> {
    fn clone(&self) -> Self {
        Self { edge: Arc::clone(&self.edge) }
    }
}

impl<H: ?Sized, S: ?Sized> fmt::Debug for CyborgDb<H, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CyborgDb").field("settings", &self.edge.settings).finish_non_exhaustive()
    }
}

impl<H: Handle + ?Sized, S: Host + ?Sized> Edge<H, S> {
    /// Whether the caller has shown the root key, if there is one.
    fn admit(&self, request: &Request) -> Result<(), Fault> {
        let Some(root_key) = self.settings.root_key() else {
            return Ok(());
        };
        let shown = request.headers().get("x-api-key").map_or(&b""[..], |value| value.as_bytes());
        if shown.is_empty() {
            return Err(Fault::unauthorized("API Key is required"));
        }
        match root_key.matches(shown) {
            true => Ok(()),
            false if shown.starts_with(b"cdbk_") => Err(Fault::unauthorized("Invalid user API key")),
            false => Err(Fault::unauthorized("Invalid API Key")),
        }
    }

    /// What is read of a yard that has stopped stays as it is for ever, so it is not told.
    pub(crate) fn is_going(&self) -> Result<(), Fault> {
        match self.handle.stopped() {
            None => Ok(()),
            Some(_) => Err(Fault::queue_stopped()),
        }
    }

    /// An answer whose length depends on what the host found.
    pub(crate) fn bounded_answer(&self, doing: Doing, answer: &impl Serialize) -> Result<Response, Fault> {
        match to_json(answer, self.settings.limits().answer_bytes) {
            Ok(Some(text)) => Ok(Response::bytes(StatusCode::OK, "application/json", text)),
            Ok(None) => Err(self.too_long(doing)),
            Err(error) => {
                tracing::error!(%error, doing = doing.words(), "an answer has no JSON form");
                Err(doing.broken())
            }
        }
    }

    pub(crate) fn too_long(&self, doing: Doing) -> Fault {
        let max = self.settings.limits().answer_bytes;
        doing.invalid(format!("the answer would be longer than {max} bytes, ask for less at once"))
    }

    /// The index that a request names, if it brings the key to it.
    pub(crate) fn open(&self, doing: Doing, index: &OfIndex) -> Result<IndexId, Fault> {
        let name = &index.name;
        let resolved = self.host.resolve(name).map_err(|error| map::refused(doing, name, &error.into()))?;
        let resolved = resolved.ok_or_else(|| map::unknown_index(name))?;
        let Some(expected) = resolved.key else {
            return Ok(resolved.id);
        };
        let hex = index.key.as_deref().unwrap_or_default();
        if hex.is_empty() {
            return Err(Fault::unauthorized(format!("index '{name}' is provider=none; client_kek required")));
        }
        let key = IndexKey::read(hex)?;
        if key.0.len() != IndexKey::BYTES {
            return Err(Fault::not_found("Index not found: index_key must be exactly 32 bytes"));
        }
        if key.digest() != expected {
            return Err(Fault::unauthorized(format!("Wrong encryption key for index '{name}'")));
        }
        Ok(resolved.id)
    }
}

/// A key as bytes, of whatever length.
pub(crate) struct IndexKey(Vec<u8>);

impl IndexKey {
    pub(crate) const BYTES: usize = 32;

    pub(crate) fn read(hex: &str) -> Result<Self, Fault> {
        let pair = |pair: &[u8]| {
            let digit = |at: usize| pair.get(at).and_then(|digit| char::from(*digit).to_digit(16));
            u8::try_from(digit(0)? << 4 | digit(1)?).ok()
        };
        let bytes: Option<Vec<u8>> = hex.as_bytes().chunks(2).map(pair).collect();
        bytes.map(Self).ok_or_else(|| Fault::bad("Invalid hex string for encryption key"))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }
}

/// What a body is before its members are looked at; `None` for no body at all.
fn sent(bytes: &[u8], is_json: bool, values_max: usize) -> Result<Option<Json>, Fault> {
    if bytes.is_empty() {
        return Ok(None);
    }
    if !is_json {
        return Ok(Some(Json::Text(String::from_utf8_lossy(bytes).into())));
    }
    Json::parse(bytes, values_max).map(Some).map_err(|error| match error {
        NotJson::Malformed { at, error } => Fault::Invalid(crate::validate::Findings::not_json(at, error)),
        NotJson::Unreadable => Fault::bad("There was an error parsing the body"),
        NotJson::TooMany => Fault::too_large(format!("Request body holds more than {values_max} values")),
    })
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.strip_prefix("application/").is_some_and(|kind| kind == "json" || kind.ends_with("+json"))
}

fn unread(error: BodyError) -> Fault {
    match error {
        BodyError::TooLarge { limit_bytes } => {
            Fault::too_large(format!("Request body is larger than {limit_bytes} bytes"))
        }
        BodyError::TimedOut => {
            Fault::Said(StatusCode::REQUEST_TIMEOUT, "Request body did not arrive in time".to_owned())
        }
        BodyError::Broken => Fault::bad("There was an error parsing the body"),
        BodyError::NoRoom => Fault::Later("Too much is being sent at present, try again later".to_owned()),
        _ => Fault::bad("There was an error parsing the body"),
    }
}
