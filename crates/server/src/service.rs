//! The whole thing: journal, yard, indexes, adapter and listener, opened and closed in order.

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use trainyard_core::port::Change;
use trainyard_core::{Event, QueueSettings, Reason};
use trainyard_cyborgdb::{CyborgDb, IndexId, Resynced, Settings};
use trainyard_http::{Mount, Mounts, RunningServer, Server, ServerConfig, block_on};
use trainyard_journal::MemoryJournal;
use trainyard_runtime::{OpenReport, ShutdownReport, Subscription, Trainyard};
use trainyard_sqlite::{SqliteJournal, SqliteOptions};

use crate::cyborgdb::{IndexTrainer, Shelf, ShelfError, VectorHost};
use crate::lock::{FolderLock, NotLocked};
use crate::watch::Watch;
use crate::{Greeting, JournalChoice, OpenError, ServiceConfig};

/// A running service. Use [`Service::shutdown`] to stop it in good order; dropped, it stops abruptly.
pub struct Service {
    // In the order in which they end.
    door: Door,
    house: House,
    adopting: JoinHandle<()>,
    local_addr: SocketAddr,
    url: String,
    data: PathBuf,
    asks_for_key: bool,
    lock: FolderLock,
}

/// The listener. Dropped, it stops abruptly; nobody is served any more when that returns.
struct Door(Option<RunningServer>);

/// The yard and the indexes. Dropped, it stops both and waits for nothing.
struct House {
    yard: Trainyard,
    shelf: Arc<Shelf>,
}

/// The end of a service's yard, to be waited for on a thread of its own: see [`Service::ending`].
#[must_use = "it is to be waited for"]
pub struct Ending {
    yard: Trainyard,
    changes: Subscription,
}

/// So many trainings may wait; each is durable, also when whoever asked for it has hung up.
const WAITING_MAX: u32 = 4_096;

/// What was found when a service was opened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Opened {
    /// By the journal; `None` for one in memory.
    pub journal: Option<trainyard_sqlite::Opened>,
    /// By the yard.
    pub yard: OpenReport,
    /// When yard and indexes were made to agree.
    pub indexes: Resynced,
    /// Removed indexes, and half-made ones, that were cleared away.
    pub cleared: usize,
}

/// What was left behind when a service was shut down.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Closed {
    /// By the listener.
    pub http: trainyard_http::Shutdown,
    /// By the yard; `None` when it had stopped by itself.
    pub yard: Option<ShutdownReport>,
}

impl Service {
    /// Opens the data folder, goes on with what the last process left undone, and listens.
    ///
    /// # Errors
    /// [`OpenError`]; then nothing is listened on, and the folder can be opened again.
    pub fn open(config: ServiceConfig) -> Result<(Self, Opened), OpenError> {
        if config.is_exposed() {
            return Err(OpenError::Exposed { listen: config.listen() });
        }
        let data = config.data();
        let lock = lock(data)?;
        let (shelf, cleared) = Shelf::open(&data.join("cyborgdb"), config.indexes_max()).map_err(catalog)?;
        let shelf = Arc::new(shelf);
        let settings = config.cyborgdb();
        let class = settings.class();

        let builder =
            Trainyard::builder(data).trainer(class.kind.clone(), IndexTrainer::new(Arc::clone(&shelf)));
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
        yard.configure_queue(class.queue.clone(), one_at_a_time).wait()?;

        let house = House { yard, shelf };
        let (server, adopting, indexes) = match house.serve(&config) {
            Ok(serving) => serving,
            Err(error) => {
                // So that the folder can be opened again when this returns.
                house.stop(Duration::ZERO);
                return Err(error);
            }
        };
        let local_addr = server.local_addr();
        let service = Self {
            url: config.public_url().map_or_else(|| format!("http://{local_addr}"), str::to_owned),
            data: data.to_owned(),
            asks_for_key: settings.root_key().is_some(),
            door: Door(Some(server)),
            house,
            adopting,
            local_addr,
            lock,
        };
        Ok((service, Opened { journal, yard: report, indexes, cleared }))
    }

    /// Stops: new connections are refused, running trainings write a checkpoint and go on at the next start, callers
    /// who wait for one are told so, and what has not ended by the deadline is cut off. Then everything is closed.
    ///
    /// # Panics
    /// When the listener does, which would be a bug.
    pub fn shutdown(self, deadline: Duration) -> Closed {
        let Self { door, house, adopting, lock, .. } = self;
        // Together: a train call that waits is answered when the yard has stopped.
        let closed = thread::scope(|scope| {
            let http = scope.spawn(|| door.shutdown(deadline));
            let yard = house.stop(deadline);
            Closed { http: http.join().expect("a listener stops without a panic"), yard }
        });
        // It ends with the yard; a panic in it was told on standard error.
        let _ = adopting.join();
        drop(house);
        drop(lock);
        closed
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
        Greeting { url: self.url.clone(), data: self.data.clone(), placeholder }
    }

    /// Tells when the yard has stopped: because its journal failed, or because the service was shut down. The service
    /// still answers then, but trains nothing any more; shut it down, and start it again.
    pub fn ending(&self) -> Ending {
        Ending::new(&self.house.yard)
    }

    /// Every training from now on, to be shown. It ends when the service does.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch::new(&self.house.yard)
    }
}

impl Ending {
    fn new(yard: &Trainyard) -> Self {
        // What happens meanwhile is of no interest.
        Self { yard: yard.clone(), changes: yard.subscribe_with(1) }
    }

    /// Waits until the yard has stopped, and says why.
    #[must_use]
    pub fn wait(mut self) -> Reason {
        while self.changes.next_blocking().is_some() {}
        self.yard.stopped().unwrap_or_else(|| Reason::new("nobody said why"))
    }
}

impl fmt::Debug for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ending").finish_non_exhaustive()
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
    /// Makes yard and indexes agree, and lets callers in.
    fn serve(&self, config: &ServiceConfig) -> Result<(RunningServer, JoinHandle<()>, Resynced), OpenError> {
        let host = Arc::new(VectorHost::new(Arc::clone(&self.shelf), self.yard.clone()));
        let settings = config.cyborgdb();
        let adapter = CyborgDb::new(Arc::new(self.yard.clone()), Arc::clone(&host), settings.clone());
        self.shelf.open_all();
        let indexes = block_on(adapter.resync())?;
        let changes = self.yard.subscribe();
        let thread = thread::Builder::new().name("trainyard-adopt".to_owned());
        let adopting = thread.spawn(move || adopt_all(&host, changes)).map_err(OpenError::Thread)?;
        let server = Server::start(ServerConfig::new(config.listen()), mounts(adapter, settings))?;
        Ok((server, adopting, indexes))
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

impl fmt::Display for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Resynced { indexes, ruled, triggered, retired } = self.indexes;
        if let Some(journal) = &self.journal {
            writeln!(f, "{journal}")?;
        }
        writeln!(f, "{}", self.yard)?;
        write!(f, "{indexes} indexes, {ruled} with a new retrain rule, {triggered} trainings due")?;
        if retired + self.cleared > 0 {
            write!(f, "; {} removed ones cleared away", retired.max(self.cleared))?;
        }
        Ok(())
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.yard {
            Some(report) if report.attempts_interrupted > 0 => {
                write!(f, "{report}, to go on at the next start")?;
            }
            Some(report) => write!(f, "{report}")?,
            None => write!(f, "the yard had stopped by itself")?,
        }
        match self.http.connections_cut() {
            0 => Ok(()),
            cut => write!(f, ", {cut} connections cut"),
        }
    }
}

fn lock(data: &Path) -> Result<FolderLock, OpenError> {
    let folder = || PathBuf::from(data);
    make_private(data).map_err(|source| OpenError::Folder { folder: folder(), source })?;
    FolderLock::take(data).map_err(|error| match error {
        NotLocked::HeldBy(holder) => OpenError::InUse { folder: folder(), holder },
        NotLocked::Failed(source) => OpenError::Folder { folder: folder(), source },
    })
}

/// A folder that is made here is nobody else's to read: nothing in it is encrypted.
fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn catalog(error: ShelfError) -> OpenError {
    OpenError::Catalog(Box::new(error))
}

fn mounts(adapter: CyborgDb<Trainyard, VectorHost>, settings: &Settings) -> Mounts {
    let mount = Mount::new("/v1", Arc::new(adapter)).expect("it is a path prefix");
    let mount = mount.with_body_limit(settings.limits().body_bytes);
    Mounts::new().with(mount).expect("it is the first mount")
}

/// So that no query is the first to wait for a model: at the start, and after every training.
fn adopt_all(host: &VectorHost, changes: Subscription) {
    host.ids().into_iter().for_each(|id| host.adopt_active(id));
    for change in changes {
        match change {
            Change::Happened { fact, .. } => {
                if let Event::ModelRegistered { model } = &fact.event
                    && let Some(id) = IndexId::of(&model.subject)
                {
                    host.adopt_active(id);
                }
            }
            // Whoever asks such an index next makes it adopt.
            Change::Progressed { .. } | Change::Missed { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use trainyard_core::QueueName;
    use trainyard_testkit::failing_journal::{FailingJournal, When};

    use super::*;

    #[test]
    fn the_end_of_a_yard_whose_journal_fails_is_told_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, faults) = FailingJournal::new(MemoryJournal::new());
        let (yard, _) = Trainyard::builder(folder.path()).journal(journal).start().unwrap();
        let ending = thread::spawn({
            let ending = Ending::new(&yard);
            move || ending.wait()
        });
        let queue = || QueueName::new("queue").unwrap();
        yard.configure_queue(queue(), QueueSettings::default()).wait().unwrap();
        assert!(!ending.is_finished());
        faults.fail_next_commit(When::BeforeEffect);
        let paused = QueueSettings { running_max: Some(1), ..QueueSettings::default() };
        yard.configure_queue(queue(), paused).wait().unwrap_err();
        let reason = ending.join().unwrap();
        assert!(reason.to_string().contains("as it was told to"), "{reason}");
        assert_eq!(yard.stopped(), Some(reason));
        assert!(!Ending::new(&yard).wait().to_string().is_empty(), "also when it is asked for too late");
    }
}
