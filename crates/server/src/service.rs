//! The whole thing: journal, yard, indexes, datasets, photos, adapters and listener, opened and closed in order.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use trainyard_core::{Class, QueueSettings, Resources};
use trainyard_cyborgdb::Resynced;
use trainyard_eliza::Backend;
use trainyard_http::{Mounts, RunningServer, Server};
use trainyard_journal::MemoryJournal;
use trainyard_runtime::{Builder, Clock, ShutdownReport, Trainyard};
use trainyard_sqlite::{SqliteJournal, SqliteOptions};

use crate::cyborgdb::{self, IndexTrainer, Shelf, ShelfError};
use crate::eliza::{self, Archive, MADE_TOKEN};
use crate::heygen::{self, Album, MADE_KEY};
use crate::lock::FolderLock;
use crate::mathfi::{self, Books};
use crate::memory::with_memory;
use crate::watch::Watch;
use crate::{Closed, Ending, Greeting, JournalChoice, OpenError, Opened, ServiceConfig};

/// A running service. Use [`Service::shutdown`] to stop it in good order; dropped, it stops abruptly.
pub struct Service {
    // In the order in which they end.
    door: Door,
    house: House,
    helpers: Vec<JoinHandle<()>>,
    local_addr: SocketAddr,
    url: String,
    data: PathBuf,
    asks_for_key: bool,
    users: Vec<String>,
    heygen_placeholder: String,
    eliza_placeholder: Option<String>,
    lock: FolderLock,
}

/// The listener. Dropped, it stops abruptly; nobody is served any more when that returns.
struct Door(Option<RunningServer>);

/// The yard, the indexes, the datasets, the photos and the trajectories. Dropped, it stops them and waits for nothing.
struct House {
    yard: Trainyard,
    shelf: Arc<Shelf>,
    books: Arc<Books>,
    album: Arc<Album>,
    archive: Arc<Archive>,
}

/// What the house has let callers into.
struct Serves {
    server: RunningServer,
    helpers: Vec<JoinHandle<()>>,
    indexes: Resynced,
    resumed: usize,
    looks_resumed: usize,
    orphans: usize,
}

/// So many trainings may wait; each is durable, also when whoever asked for it has hung up.
const WAITING_MAX: u32 = 4_096;

impl Service {
    /// Opens the data folder, goes on with what the last process left undone, and listens.
    ///
    /// # Errors
    /// [`OpenError`]; then nothing is listened on, and the folder can be opened again.
    pub fn open(config: ServiceConfig) -> Result<(Self, Opened), OpenError> {
        if config.is_exposed() {
            return Err(OpenError::Exposed { listen: config.listen() });
        }
        if config.is_nowhere() {
            return Err(OpenError::NoUrl { listen: config.listen() });
        }
        let data = config.data();
        let lock = FolderLock::open(data)?;
        let (shelf, cleared) = Shelf::open(&data.join("cyborgdb"), config.indexes_max()).map_err(catalog)?;
        let shelf = Arc::new(shelf);
        let (memory_mib, disk) = (config.memory_mib(), config.disk());
        let opened = Books::open(&data.join("mathfi"), config.mathfi_config(), memory_mib, disk.clone());
        let (books, first_user) = opened.map_err(OpenError::books)?;
        let books = Arc::new(books);
        let opened = Album::open(&data.join("heygen"), config.heygen_config(), memory_mib, disk.clone());
        let (album, heygen_key) = opened.map_err(OpenError::album)?;
        let album = Arc::new(album);
        let clock = config.clock();
        let opened = Archive::open(
            &data.join("eliza"),
            config.eliza_config(),
            memory_mib,
            config.needs_eliza_token(),
            disk,
            clock.now(),
        );
        let (archive, eliza_token) = opened.map_err(OpenError::archive)?;
        let archive = Arc::new(archive);
        let settings = config.cyborgdb();
        let class = settings.class();

        let builder = config
            .own_trainers()
            .register(Trainyard::builder(data).clock(clock))
            .trainer(class.kind.clone(), IndexTrainer::new(Arc::clone(&shelf)));
        let builder = mathfi::trainers(builder, &books, config.mathfi_config());
        let builder = heygen::trainers(builder, &album, config.heygen_config());
        let builder = eliza::trainers(builder, &archive, config.eliza_config())?;
        let builder = capacity(builder, &config);
        let (builder, journal) = match config.journal() {
            JournalChoice::Sqlite => {
                let (journal, opened) = SqliteJournal::open(data.join("yard.sqlite"), &SqliteOptions::new())?;
                (builder.journal(journal), Some(opened))
            }
            JournalChoice::Memory => (builder.journal(MemoryJournal::new()), None),
        };
        let (yard, report) = builder.start()?;
        let one_at_a_time =
            QueueSettings { running_max: Some(1), waiting_max: WAITING_MAX, ..QueueSettings::default() };
        let queues = mathfi::queues(&books, config.mathfi_config(), WAITING_MAX);
        let portraits = heygen::queues(&album, config.heygen_config(), WAITING_MAX);
        let indexes = [(class.queue.clone(), one_at_a_time)];
        let agents = eliza::queues(config.eliza_config(), WAITING_MAX);
        for (queue, settings) in queues.into_iter().chain(portraits).chain(agents).chain(indexes) {
            yard.configure_queue(queue, settings).wait()?;
        }
        let retentions = mathfi::retentions(&books, config.mathfi_config()).into_iter();
        let agents = eliza::retentions(config.eliza_config());
        for (queue, retention) in retentions.chain([heygen::retention(&album)]).chain(agents) {
            yard.set_retention(queue, retention).wait()?;
        }

        let house = House { yard, shelf, books, album, archive };
        let Serves { server, helpers, indexes, resumed, looks_resumed, orphans } = match house.serve(&config)
        {
            Ok(serves) => serves,
            Err(error) => {
                // So that the folder can be opened again when this returns.
                house.stop(Duration::ZERO);
                return Err(error);
            }
        };
        let local_addr = server.local_addr();
        let service = Self {
            url: config.url_at(local_addr),
            data: data.to_owned(),
            asks_for_key: settings.root_key().is_some(),
            users: house.books.users.names().map(str::to_owned).collect(),
            heygen_placeholder: match house.album.made_key {
                Some(_) => format!("$(cat '{}')", data.join("heygen").join(MADE_KEY).display()),
                None => "$HEYGEN_KEY".to_owned(),
            },
            eliza_placeholder: match house.archive.made_token {
                Some(_) => Some(format!("$(cat '{}')", data.join("eliza").join(MADE_TOKEN).display())),
                None => config.eliza().token().map(|_| "$ELIZA_TOKEN".to_owned()),
            },
            door: Door(Some(server)),
            house,
            helpers,
            local_addr,
            lock,
        };
        let opened = Opened {
            journal,
            yard: report,
            indexes,
            cleared,
            resumed,
            looks_resumed,
            first_user,
            heygen_key,
            eliza_token,
            orphans,
        };
        Ok((service, opened))
    }

    /// Stops: new connections are refused, running trainings write a checkpoint and go on at the next start, callers
    /// who wait for one are told so, and what has not ended by the deadline is cut off. Then everything is closed.
    ///
    /// # Panics
    /// When the listener does, which would be a bug.
    pub fn shutdown(self, deadline: Duration) -> Closed {
        let Self { door, house, helpers, lock, .. } = self;
        // Together: a train call that waits is answered when the yard has stopped.
        let closed = thread::scope(|scope| {
            let http = scope.spawn(|| door.shutdown(deadline));
            let yard = house.stop(deadline);
            Closed { http: http.join().expect("a listener stops without a panic"), yard }
        });
        // They end with the yard; a panic in one was told on standard error.
        helpers.into_iter().for_each(|helper| drop(helper.join()));
        house.archive.rest();
        drop(house);
        drop(lock);
        closed
    }

    /// Says that [`Opened::first_user`] was shown to whoever may log in. Until then each open makes another password, for
    /// nobody may have seen the one before.
    ///
    /// # Errors
    /// [`OpenError::Datasets`] when that cannot be noted: then the next open makes another one.
    pub fn first_user_told(&self) -> Result<(), OpenError> {
        self.house.books.catalog.tell_users().map_err(OpenError::books)
    }

    /// Says that [`Opened::heygen_key`] was shown to whoever may come in. Until then each open hands it out.
    ///
    /// # Errors
    /// [`OpenError::Photos`] when that cannot be noted: then the next open hands it out again.
    pub fn heygen_key_told(&self) -> Result<(), OpenError> {
        self.house.album.catalog.tell_key(true).map_err(OpenError::album)
    }

    /// Says that [`Opened::eliza_token`] was shown to whoever may come in. Until then each open hands it out.
    ///
    /// # Errors
    /// [`OpenError::Trajectories`] when that cannot be noted: then the next open hands it out again.
    pub fn eliza_token_told(&self) -> Result<(), OpenError> {
        self.house.archive.catalog.tell_token(true).map_err(OpenError::archive)
    }

    /// The address that is listened on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The URL that clients use, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The yard, to look at it or to ask it for more.
    #[must_use]
    pub fn yard(&self) -> &Trainyard {
        &self.house.yard
    }

    /// What to tell who has just started it. `placeholder` stands for the root key in the lines to copy, such as
    /// the name of the environment variable it is in.
    #[must_use]
    pub fn greeting(&self, placeholder: &str) -> Greeting {
        let placeholder = self.asks_for_key.then(|| placeholder.to_owned());
        Greeting {
            url: self.url.clone(),
            data: self.data.clone(),
            placeholder,
            users: self.users.clone(),
            heygen_placeholder: self.heygen_placeholder.clone(),
            eliza_placeholder: self.eliza_placeholder.clone(),
        }
    }

    /// Tells when the yard has stopped: because its journal failed, or because the service was shut down. The service
    /// still answers then, but trains nothing any more; shut it down, and start it again.
    pub fn ending(&self) -> Ending {
        Ending::new(&self.house.yard)
    }

    /// Every training from now on, to be shown. It ends when the service does.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch::new(&self.house.yard, &self.house.books, &self.house.album)
    }
}

impl Door {
    fn shutdown(mut self, deadline: Duration) -> trainyard_http::Shutdown {
        self.0.take().expect("it is there until it is shut down").shutdown(deadline)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Some(server) = self.0.take() {
            server.shutdown(Duration::ZERO);
        }
    }
}

impl House {
    /// Makes the yard agree with what there is, and lets callers in.
    fn serve(&self, config: &ServiceConfig) -> Result<Serves, OpenError> {
        let Self { yard, shelf, books, album, archive } = self;
        let (indexes_mount, adopting, indexes) = cyborgdb::serve(shelf, yard, config.cyborgdb())?;
        let contests: mathfi::Serving =
            mathfi::serve(books, yard, config.mathfi_config(), config.public_url())?;
        let portraits: heygen::Serving =
            heygen::serve(album, yard, config.heygen_config(), config.public_url())?;
        let agents: eliza::Serving = eliza::serve(archive, yard, config.eliza_config(), config.public_url())?;
        let mounts = contests.mounts.into_iter().chain(portraits.mounts).chain(agents.mounts);
        let mut mounts = mounts.chain([indexes_mount]);
        let mounts = mounts.try_fold(Mounts::new(), Mounts::with);
        let mounts = mounts.expect("each prefix is there once");
        let server = Server::start(config.http(), mounts)?;
        let url = config.url_at(server.local_addr());
        contests.adapter.listen_at(&url);
        portraits.adapter.listen_at(&url);
        let mut helpers = vec![adopting, contests.keeping, portraits.keeping];
        helpers.extend(agents.helpers);
        let (resumed, looks_resumed) = (contests.resumed, portraits.resumed);
        Ok(Serves { server, helpers, indexes, resumed, looks_resumed, orphans: agents.orphans })
    }

    /// Tells everybody to stop, and waits until the journal is closed; `None` when it was already.
    fn stop(&self, deadline: Duration) -> Option<ShutdownReport> {
        self.shelf.leave();
        self.yard.shutdown(deadline).wait().ok()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        drop(self.yard.shutdown(Duration::ZERO));
        self.shelf.close();
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("url", &self.url).finish_non_exhaustive()
    }
}

fn catalog(error: ShelfError) -> OpenError {
    OpenError::Catalog(Box::new(error))
}

/// Slots for everything that the queues let through at once, so that no training waits for one of another sort. Each
/// may use every core: whoever is alone is quick, and those who are not share them as the operating system does.
fn capacity(builder: Builder, config: &ServiceConfig) -> Builder {
    let slots = |class: &Class| class.resources.amount(Resources::SLOT).max(1);
    let mathfi = config.mathfi_config();
    let contests = slots(mathfi.settings.class()).saturating_mul(u64::from(mathfi.running_max));
    let heygen = config.heygen_config();
    let portraits = slots(heygen.settings.class()).saturating_mul(u64::from(heygen.running_max));
    let eliza = config.eliza_config();
    let agents = slots(eliza.settings.class(Backend::Native)).saturating_mul(u64::from(eliza.running_max));
    let beside = u64::from(mathfi::BESIDE_MAX) + u64::from(heygen::BESIDE_MAX);
    let slots = slots(config.cyborgdb().class()) + contests + portraits + agents + beside;
    let slots = slots.saturating_add(config.own_trainers().slots());
    let cores = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let all = usize::try_from(slots).ok().and_then(NonZeroUsize::new).unwrap_or(NonZeroUsize::MIN);
    builder
        .capacity(with_memory(Resources::slots(slots), config.memory_mib()))
        .threads(cores.saturating_mul(all))
}
