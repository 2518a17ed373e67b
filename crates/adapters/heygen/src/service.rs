//! The edge: who may ask, what was sent, and who answers it.

use std::fmt;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use trainyard_core::port::Handle;
use trainyard_http::signed::Signer;
use trainyard_http::{
    Answer, Method, Mount, PublicUrl, Request, Response, Routes, Seats, Service, StatusCode, blocking,
};

use crate::fault::{Envelope, Fault};
use crate::host::{GroupId, Host};
use crate::routes::{self, Asked, Endpoint, OPENAPI, TRAIN_STATUS};
use crate::settings::{Limits, Settings, bare};
use crate::told::Told;
use crate::training::group_id;
use crate::wire::requests::Body;
use crate::{links, map};

/// HeyGen's photo-avatar service over a yard and a [`Host`].
///
/// It is mounted by its [`mounts`](HeyGen::mounts). Clones are one service.
pub struct HeyGen<H: ?Sized, S: ?Sized> {
    pub(crate) edge: Arc<Edge<H, S>>,
}

pub(crate) struct Edge<H: ?Sized, S: ?Sized> {
    pub(crate) settings: Settings,
    pub(crate) signer: Option<Signer>,
    /// Files come in from here.
    pub(crate) uploads: Seats,
    /// Files that are whole are made durable from here.
    pub(crate) finishing: Seats,
    routes: Routes<Endpoint>,
    listens_at: OnceLock<String>,
    /// Where trainings stand, in words.
    pub(crate) told: Told,
    turns: Mutex<()>,
    pub(crate) host: Arc<S>,
    pub(crate) handle: Arc<H>,
}

impl<H: Handle + ?Sized, S: Host + ?Sized> HeyGen<H, S> {
    /// Where files are uploaded.
    pub const ASSETS: &'static str = "/v1/asset";
    /// Where everything else is.
    pub const PREFIX: &'static str = "/v2";

    /// A service that answers for this yard and this host.
    #[must_use]
    pub fn new(handle: Arc<H>, host: Arc<S>, settings: Settings) -> Self {
        if settings.key().is_none() {
            tracing::warn!("without a key everybody is refused");
        }
        Self {
            edge: Arc::new(Edge {
                signer: settings.link_key().map(links::signer),
                uploads: Seats::new(settings.limits().uploads),
                finishing: Seats::new(settings.limits().finishing),
                routes: routes::routes(),
                listens_at: OnceLock::new(),
                told: Told::default(),
                turns: Mutex::default(),
                settings,
                host,
                handle,
            }),
        }
    }

    /// Says under which URL clients reach the listener, such as `http://127.0.0.1:8000`, when the settings have no
    /// [public URL](Settings::with_public_url). The first one counts. Until it is known, requests whose answer holds
    /// a link are put off with a 503.
    pub fn listen_at(&self, url: &str) {
        // Told twice, it stays as it was.
        let _ = self.edge.listens_at.set(bare(url));
    }

    /// Where it is to be mounted, with the bounds of its [`Limits`]: at [`HeyGen::ASSETS`], which takes large bodies, and
    /// at [`HeyGen::PREFIX`].
    ///
    /// # Panics
    /// Never: these are path prefixes.
    #[must_use]
    pub fn mounts(&self) -> [Mount; 2] {
        let limits = self.edge.limits();
        let mount = |prefix, service| Mount::new(prefix, service).expect("it is a path prefix");
        let assets = mount(Self::ASSETS, Arc::new(Assets(self.clone())));
        let assets = assets.with_body_limit(limits.upload_bytes).with_body_timeout(limits.upload_time);
        [assets, mount(Self::PREFIX, Arc::new(self.clone())).with_body_limit(limits.json_bytes)]
    }

    /// How it behaves.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.edge.settings
    }

    async fn answer(&self, found: Result<(Endpoint, String), Fault>, request: Request) -> Response {
        let envelope = if request.path().starts_with("/v1/") { Envelope::V1 } else { Envelope::V2 };
        let answered = match found {
            Ok((Endpoint::OpenApi, _)) => Ok(Response::bytes(StatusCode::OK, "application/json", OPENAPI)),
            Ok((Endpoint::Picture, id)) => self.picture(&id, &request).await,
            Ok((Endpoint::Placeholder, _)) => Ok(links::placeholder()),
            Ok((Endpoint::WithKey(asked), id)) => match self.edge.admit(&request) {
                Ok(()) => self.asked(asked, &id, request).await,
                Err(fault) => Err(fault),
            },
            // Whoever has no key is not told what there is.
            Err(fault) => Err(self.edge.admit(&request).err().unwrap_or(fault)),
        };
        answered.unwrap_or_else(|fault| fault.into_response(envelope))
    }

    async fn asked(&self, asked: Asked, id: &str, request: Request) -> Result<Response, Fault> {
        match asked {
            Asked::Upload => self.upload(request).await,
            Asked::CreateGroup => self.create_group(request).await,
            Asked::AddLooks => self.add_looks(request).await,
            Asked::ReadLook => self.read_look(id).await,
            Asked::DeleteLook => self.delete_look(id).await,
            Asked::ListLooks => self.list_looks(id).await,
            Asked::ListGroups => self.list_groups().await,
            Asked::DeleteGroup => self.delete_group(id).await,
            Asked::Train => self.train(request).await,
            Asked::TrainStatus => self.train_status(id).await,
            Asked::Generate => Err(Fault::forbidden("Photos and looks are not generated by this service")),
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

    /// Reads a JSON body, whatever its content type: clients are careless about it.
    pub(crate) async fn json<B: Body>(&self, request: Request) -> Result<B, Fault> {
        plain(&request)?;
        let limits = *self.edge.settings.limits();
        let bytes = request.into_body().collect(limits.json_bytes).await?;
        B::read(&bytes, &limits)
    }
}

impl<H: Handle + ?Sized, S: Host + ?Sized> Service for HeyGen<H, S> {
    /// What waits for nothing takes no room for a future that could be any endpoint's.
    fn call(&self, request: Request) -> Answer<'_> {
        let asked = request.path().strip_prefix(TRAIN_STATUS).filter(|_| request.method() == Method::GET);
        if let Some(group) = asked.and_then(|id| group_id(id).ok()) {
            let answered = match self.edge.admit(&request) {
                Ok(()) => self.train_status_at_once(group),
                Err(fault) => Some(Err(fault)),
            };
            if let Some(answered) = answered {
                return Box::pin(ready(answered.unwrap_or_else(|fault| fault.into_response(Envelope::V2))));
            }
        }
        let found = routes::find(&self.edge.routes, request.method(), request.path());
        Box::pin(self.answer(found, request))
    }

    /// In the shape of everything but uploads.
    fn fault(&self, status: StatusCode) -> Response {
        Fault::unanswered(status).into_response(Envelope::V2)
    }
}

/// The same service, where files are uploaded: what it has no answer for is told in the shape of uploads.
struct Assets<H: ?Sized, S: ?Sized>(HeyGen<H, S>);

impl<H: Handle + ?Sized, S: Host + ?Sized> Service for Assets<H, S> {
    fn call(&self, request: Request) -> Answer<'_> {
        self.0.call(request)
    }

    fn fault(&self, status: StatusCode) -> Response {
        Fault::unanswered(status).into_response(Envelope::V1)
    }
}

impl<H: ?Sized, S: ?Sized> Clone for HeyGen<H, S> {
    fn clone(&self) -> Self {
        Self { edge: Arc::clone(&self.edge) }
    }
}

impl<H: ?Sized, S: ?Sized> fmt::Debug for HeyGen<H, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeyGen").field("settings", &self.edge.settings).finish_non_exhaustive()
    }
}

impl<H: Handle + ?Sized, S: Host + ?Sized> Edge<H, S> {
    /// Lets in whoever shows the key.
    fn admit(&self, request: &Request) -> Result<(), Fault> {
        let shown = request.headers().get(KEY_HEADER).map(|value| value.as_bytes());
        let key = self.settings.key();
        let fits = shown.zip(key).is_some_and(|(shown, key)| key.matches(shown));
        if fits { Ok(()) } else { Err(Fault::Unauthorized) }
    }

    pub(crate) fn limits(&self) -> &Limits {
        self.settings.limits()
    }

    /// Where links begin.
    pub(crate) fn base(&self) -> Result<&str, Fault> {
        let said = self.settings.public_url().map(PublicUrl::as_str);
        let base = said.or_else(|| self.listens_at.get().map(String::as_str));
        base.ok_or(Fault::Later("The service is starting"))
    }

    /// What is read of a yard that has stopped stays as it is for ever, so it is not told.
    pub(crate) fn is_going(&self) -> Result<(), Fault> {
        match self.handle.stopped() {
            None => Ok(()),
            Some(_) => Err(map::stopped()),
        }
    }

    /// Whoever trains or deletes a group takes a turn, so that none is trained that has just been deleted.
    pub(crate) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is such a group.
    pub(crate) fn knows(&self, id: GroupId) -> Result<(), Fault> {
        let found = self.host.group(id).map_err(|error| map::broken(&error))?;
        found.map(|_| ()).ok_or_else(map::no_group)
    }
}

const KEY_HEADER: &str = "x-api-key";

/// A 200 in the shape of everything but uploads.
pub(crate) fn done(data: &(impl serde::Serialize + ?Sized)) -> Response {
    Response::json(StatusCode::OK, &crate::wire::answers::Done { error: (), data })
}

/// Bodies are taken as they are.
pub(crate) fn plain(request: &Request) -> Result<(), Fault> {
    if request.has_plain_body() {
        return Ok(());
    }
    Err(Fault::bad("Send the request body without a content encoding"))
}
