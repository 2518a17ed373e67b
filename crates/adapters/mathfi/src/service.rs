//! The edge: who may ask, what was sent, and who answers it.

use std::fmt;
use std::future::ready;
use std::sync::{Arc, OnceLock};

use trainyard_core::Timestamp;
use trainyard_core::port::Handle;
use trainyard_http::{
    Answer, HeaderValue, Mount, PublicUrl, Request, Response, Routes, Seats, Service, StatusCode, blocking,
    header,
};
use uuid::Uuid;

use crate::attempts::Gate;
use crate::fault::Fault;
use crate::host::{Dataset, DatasetId, Host, UserId};
use crate::map;
use crate::routes::{self, Asked, Endpoint, OPENAPI};
use crate::seats::UploadSeats;
use crate::settings::{Settings, bare};
use crate::signing::{Claims, Purpose, Signer};
use crate::told::Told;
use crate::uploads::DATASET;
use crate::wire::query::parameter;
use crate::wire::requests::Body;

/// MathFi's service over a yard and a [`Host`].
///
/// It is mounted by its [`mounts`](MathFi::mounts). Clones are one service.
pub struct MathFi<H: ?Sized, S: ?Sized> {
    pub(crate) edge: Arc<Edge<H, S>>,
}

pub(crate) struct Edge<H: ?Sized, S: ?Sized> {
    pub(crate) settings: Settings,
    pub(crate) signer: Option<Signer>,
    pub(crate) gate: Gate,
    /// Passwords are looked at from here.
    pub(crate) logins: Seats,
    /// Files come in from here.
    pub(crate) uploads: UploadSeats,
    /// Files that are whole are made durable from here.
    pub(crate) finishing: Seats,
    routes: Routes<Endpoint>,
    listens_at: OnceLock<String>,
    /// The progress of contests that are over.
    pub(crate) told: Told,
    pub(crate) host: Arc<S>,
    pub(crate) handle: Arc<H>,
}

impl<H: Handle + ?Sized, S: Host + ?Sized> MathFi<H, S> {
    /// Where clients log in.
    pub const LOGIN: &'static str = "/api/login";
    /// Where everything else is.
    pub const PREFIX: &'static str = "/api/v1";
    /// Where nothing is, which clients are told in the shape that they expect. Whatever is mounted below it takes what
    /// is its own.
    pub const AROUND: &'static str = "/api";

    /// A service that answers for this yard and this host.
    #[must_use]
    pub fn new(handle: Arc<H>, host: Arc<S>, settings: Settings) -> Self {
        if settings.key().is_none() {
            tracing::warn!("without a key nobody can log in");
        }
        let limits = *settings.limits();
        Self {
            edge: Arc::new(Edge {
                signer: settings.key().map(Signer::new),
                gate: Gate::new(&handle, &limits),
                logins: Seats::new(limits.logins),
                uploads: UploadSeats::new(&limits),
                finishing: Seats::new(limits.finishing),
                routes: routes::routes(),
                listens_at: OnceLock::new(),
                told: Told::default(),
                settings,
                host,
                handle,
            }),
        }
    }

    /// Says under which URL clients reach the listener, such as `http://127.0.0.1:8000`, when the settings have no
    /// [public URL](Settings::with_public_url). The first one counts. Until it is known, requests whose answer holds
    /// a URL are put off with a 503.
    pub fn listen_at(&self, url: &str) {
        // Told twice, it stays as it was.
        let _ = self.edge.listens_at.set(bare(url));
    }

    /// Where it is to be mounted, with the bounds of its [`Limits`](crate::Limits): at [`MathFi::LOGIN`], at
    /// [`MathFi::PREFIX`], which takes large bodies, and [around](MathFi::AROUND) both. The last may be left out.
    ///
    /// # Panics
    /// Never: these are path prefixes.
    #[must_use]
    pub fn mounts(&self) -> [Mount; 3] {
        let limits = self.edge.settings.limits();
        let mount = |prefix| Mount::new(prefix, Arc::new(self.clone())).expect("it is a path prefix");
        let small = |prefix| mount(prefix).with_body_limit(limits.json_bytes);
        let large = mount(Self::PREFIX).with_body_limit(limits.body_bytes());
        [small(Self::LOGIN), large.with_body_timeout(limits.upload_time), small(Self::AROUND)]
    }

    /// How it behaves.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.edge.settings
    }

    async fn answer(&self, endpoint: Endpoint, key: String, request: Request) -> Response {
        self.dispatch(endpoint, key, request).await.unwrap_or_else(Fault::into_response)
    }

    async fn dispatch(&self, endpoint: Endpoint, key: String, request: Request) -> Result<Response, Fault> {
        match endpoint {
            Endpoint::OpenApi => Ok(Response::bytes(StatusCode::OK, "application/json", OPENAPI)),
            Endpoint::LogIn => self.log_in(request).await,
            Endpoint::SignedUpload => self.signed_upload(&key, request).await,
            Endpoint::SignedResult => self.signed_result(&key, &request).await,
            Endpoint::ForUser(asked) => {
                // The token comes before the key in the path.
                let user = self.edge.user(&request)?;
                self.for_user(user, asked, &key, request).await
            }
        }
    }

    async fn for_user(
        &self,
        user: UserId,
        asked: Asked,
        key: &str,
        request: Request,
    ) -> Result<Response, Fault> {
        match asked {
            Asked::ListDatasets => self.list_datasets(user, &request).await,
            Asked::CreateDataset => self.create_dataset(user, request).await,
            Asked::ReadDataset => self.read_dataset(user, dataset_key(key)?).await,
            Asked::PutData => self.put_data(user, dataset_key(key)?, request).await,
            Asked::StartTraining => self.start_training(user, dataset_key(key)?, request).await,
            Asked::ReadTraining => self.read_training(user, uuid(key)?),
            Asked::TrainingProgress => self.training_progress(user, uuid(key)?),
            Asked::CancelTraining => self.cancel_training(user, uuid(key)?).await,
            Asked::CreatePrediction => self.create_prediction(user, uuid(key)?, request).await,
            Asked::ReadPrediction => self.read_prediction(user, uuid(key)?).await,
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

    /// Reads a JSON body.
    pub(crate) async fn json<B: Body>(&self, request: Request) -> Result<B, Fault> {
        plain(&request)?;
        if !request.header("content-type").is_none_or(is_json) {
            return Err(Fault::wrong_type("Send the request body as application/json"));
        }
        let bytes = request.into_body().collect(self.edge.settings.limits().json_bytes).await?;
        B::read(&bytes)
    }
}

impl<H: Handle + ?Sized, S: Host + ?Sized> Service for MathFi<H, S> {
    /// What waits for nothing takes no room for a future that could be any endpoint's.
    fn call(&self, request: Request) -> Answer<'_> {
        let answered = match routes::find(&self.edge.routes, request.method(), request.path()) {
            Ok((Endpoint::ForUser(Asked::TrainingProgress), key)) => {
                let user = self.edge.user(&request);
                user.and_then(|user| self.training_progress(user, uuid(&key)?))
            }
            Ok((endpoint, key)) => return Box::pin(self.answer(endpoint, key, request)),
            Err(fault) => Err(fault),
        };
        Box::pin(ready(answered.unwrap_or_else(Fault::into_response)))
    }

    fn fault(&self, status: StatusCode) -> Response {
        Fault::unanswered(status).into_response()
    }
}

impl<H: ?Sized, S: ?Sized> Clone for MathFi<H, S> {
    fn clone(&self) -> Self {
        Self { edge: Arc::clone(&self.edge) }
    }
}

impl<H: ?Sized, S: ?Sized> fmt::Debug for MathFi<H, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MathFi").field("settings", &self.edge.settings).finish_non_exhaustive()
    }
}

impl<H: Handle + ?Sized, S: Host + ?Sized> Edge<H, S> {
    /// Who asks, by the token they show.
    fn user(&self, request: &Request) -> Result<UserId, Fault> {
        let token = bearer(request).ok_or(Fault::Unauthorized("A bearer token is required"))?;
        let claims = self.verify(Purpose::Token, token);
        let user = claims.and_then(|claims| {
            let user = self.host.user(UserId::new(claims.id))?;
            (user.stamp.0 == claims.stamp).then_some(user.id)
        });
        user.ok_or(Fault::Unauthorized("The token is invalid or has expired"))
    }

    fn verify(&self, purpose: Purpose, signed: &str) -> Option<Claims> {
        self.signer.as_ref()?.verify(purpose, signed, self.handle.now())
    }

    pub(crate) fn sign(
        &self,
        purpose: Purpose,
        id: Uuid,
        stamp: u64,
        until: Timestamp,
    ) -> Result<String, Fault> {
        let signer = self.signer.as_ref().ok_or(Fault::Later("Nobody can log in yet"))?;
        Ok(signer.sign(&Claims { purpose, id, stamp, until, nonce: self.handle.job_id().as_uuid() }))
    }

    /// A URL of ours that carries its own authority.
    pub(crate) fn signed_url(
        &self,
        purpose: Purpose,
        place: &str,
        id: Uuid,
        until: Timestamp,
    ) -> Result<String, Fault> {
        let signed = self.sign(purpose, id, 0, until)?;
        self.url(&format!("{place}/{id}?{SIGNATURE}={signed}"))
    }

    /// What the signature of a URL is for. A URL that was put together of two, or altered, is good for nothing.
    pub(crate) fn signed_for(&self, purpose: Purpose, key: &str, request: &Request) -> Result<Uuid, Fault> {
        let signed = parameter(request.query().unwrap_or_default(), SIGNATURE);
        let claims = signed.and_then(|signed| self.verify(purpose, &signed));
        let id = claims.map(|claims| claims.id).filter(|id| uuid(key) == Ok(*id));
        // No token would help.
        id.ok_or_else(|| {
            Fault::Said(StatusCode::UNAUTHORIZED, "The URL is invalid or has expired".to_owned())
        })
    }

    /// An absolute URL, of a place under [`MathFi::PREFIX`].
    pub(crate) fn url(&self, place: &str) -> Result<String, Fault> {
        let public = self.settings.public_url().map(PublicUrl::as_str);
        let base = public.or_else(|| self.listens_at.get().map(String::as_str));
        let base = base.ok_or(Fault::Later("The service is starting, try again"))?;
        Ok(format!("{base}/api/v1/{place}"))
    }

    /// A dataset of this user.
    pub(crate) fn dataset(&self, user: UserId, id: DatasetId) -> Result<Dataset, Fault> {
        let found = self.host.dataset(id).map_err(|error| map::broken(&error))?;
        found.filter(|dataset| dataset.owner == user).ok_or_else(|| map::not_found(DATASET))
    }

    /// Whether it is this user's dataset that something belongs to; what is not theirs is not there. Blocks nothing.
    pub(crate) fn owned(&self, user: UserId, id: DatasetId, what: &'static str) -> Result<(), Fault> {
        if self.host.owner(id) == Some(user) { Ok(()) } else { Err(map::not_found(what)) }
    }

    /// What is read of a yard that has stopped stays as it is for ever, so it is not told.
    pub(crate) fn is_going(&self) -> Result<(), Fault> {
        match self.handle.stopped() {
            None => Ok(()),
            Some(_) => Err(map::stopped()),
        }
    }
}

/// The parameter of a URL that holds its signature. Not in the path: paths are logged.
const SIGNATURE: &str = "token";

/// An answer that holds a token, a signed URL or somebody's data: nobody between here and the client may keep it.
pub(crate) fn not_stored(response: Response) -> Response {
    response.with_header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
}

fn bearer(request: &Request) -> Option<&str> {
    let (scheme, token) = request.header("authorization")?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A key as the vendor writes them: with hyphens, and nothing around it.
fn uuid(key: &str) -> Result<Uuid, Fault> {
    let found = Uuid::try_parse(key).ok().filter(|_| key.len() == 36);
    found.ok_or_else(|| Fault::bad("The key in the path is not a UUID"))
}

fn dataset_key(key: &str) -> Result<DatasetId, Fault> {
    uuid(key).map(DatasetId::new)
}

/// Bodies are taken as they are.
pub(crate) fn plain(request: &Request) -> Result<(), Fault> {
    if request.has_plain_body() {
        return Ok(());
    }
    Err(Fault::wrong_type("Send the request body without a content encoding"))
}

/// The media type itself, without its parameters.
pub(crate) fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_json(content_type: &str) -> bool {
    essence(content_type)
        .strip_prefix("application/")
        .is_some_and(|kind| kind == "json" || kind.ends_with("+json"))
}
