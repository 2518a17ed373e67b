//! How a yard is opened.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use trainyard_core::{Abilities, Answer, Command, Epoch, Kind, NodeId, Placement, Resources, Settings};
use trainyard_journal::{Journal, failpoint};

use crate::board::Board;
use crate::bulk::Bulk;
use crate::context::Wiring;
use crate::engine::{Agenda, Engine};
use crate::floor::{Floor, Registered};
use crate::folder::DataFolder;
use crate::house::{House, SharedTime};
use crate::hub::Hub;
use crate::inbox::inbox;
use crate::pool::Pool;
use crate::sweep::{Broom, Folders};
use crate::sync::{Arc, AtomicBool, OnceLock, bounded, thread};
use crate::telemetry::{self, Meters};
use crate::waiters::Waiters;
use crate::{
    Alarm, Clock, DriveError, Driver, OpenError, OpenReport, SystemClock, Trainer, Trainyard, Turned,
};

type OpenJournal = Box<dyn FnOnce() -> Result<Box<dyn Journal>, DriveError> + Send>;

/// What a yard needs before it can be opened, and what it may be told.
#[must_use = "a builder does nothing until it is started"]
pub struct Builder {
    data_dir: PathBuf,
    journal: Option<OpenJournal>,
    trainers: BTreeMap<Kind, Registered>,
    capacity: Resources,
    settings: Option<Settings>,
    node: Option<NodeId>,
    clock: Option<Arc<dyn Clock>>,
    threads: NonZeroUsize,
    inbox_max: usize,
    report_every: Duration,
    compact_min: usize,
}

impl Builder {
    /// A yard that keeps its files in this folder; it is made when it is not there.
    pub(crate) fn new(data_dir: PathBuf) -> Self {
        Self {
            data_dir,
            journal: None,
            trainers: BTreeMap::new(),
            capacity: Resources::slots(1),
            settings: None,
            node: None,
            clock: None,
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            inbox_max: 4_096,
            report_every: Duration::from_millis(100),
            compact_min: Driver::COMPACT_MIN,
        }
    }

    /// Where facts are written. There is no default here; `trainyard::open` has one.
    pub fn journal(self, journal: impl Journal + 'static) -> Self {
        self.journal_with(|| Ok(journal))
    }

    /// The same, opened by [`Builder::start`].
    pub fn journal_with<J: Journal + 'static>(
        mut self,
        open: impl FnOnce() -> Result<J, trainyard_journal::JournalError> + Send + 'static,
    ) -> Self {
        self.journal = Some(Box::new(|| Ok(Box::new(open()?))));
        self
    }

    /// The same for a journal that has something to say of how it was found, which is logged: a text, and whether
    /// anything had to be mended, which makes it a warning.
    pub fn journal_found<J: Journal + 'static>(
        self,
        open: impl FnOnce() -> Result<(J, String, bool), trainyard_journal::JournalError> + Send + 'static,
    ) -> Self {
        self.journal_with(|| {
            let (journal, found, was_mended) = open()?;
            telemetry::journal_opened(&found, was_mended);
            Ok(journal)
        })
    }

    /// What trains a kind. Of two for one kind the last counts. At most [`Abilities::KINDS_MAX`] kinds.
    pub fn trainer(mut self, kind: Kind, trainer: impl Trainer) -> Self {
        self.trainers
            .insert(kind, Registered { placement: Placement::InProcess, trainer: Arc::new(trainer) });
        self
    }

    /// The same for a trainer whose work is done outside of this process and may outlive it: in a process of its own, or
    /// on a cluster.
    ///
    /// Such a run is not interrupted when this process ends. It keeps its lease and its folder, and at the next open its
    /// trainer is started again for it, with [`Context::is_recovering`](crate::Context::is_recovering), to find it, or to
    /// say that it is lost. So on [`Stop::ShuttingDown`](crate::Stop::ShuttingDown) it returns and leaves its work alone.
    pub fn external_trainer(mut self, kind: Kind, trainer: impl Trainer) -> Self {
        self.trainers.insert(kind, Registered { placement: Placement::External, trainer: Arc::new(trainer) });
        self
    }

    /// How many jobs run here at once. Default: 1.
    pub fn slots(mut self, slots: u64) -> Self {
        let others = self.capacity.minus(&Resources::slots(u64::MAX));
        self.capacity = others.plus(&Resources::slots(slots));
        self
    }

    /// What jobs share here. Default: one slot.
    pub fn capacity(mut self, capacity: Resources) -> Self {
        self.capacity = capacity;
        self
    }

    /// Bounds and habits of the whole yard. They are durable: without a word, those that it was last told.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = Some(settings);
        self
    }

    /// Which node this is. Default: an id that is kept in the data folder, so that it is the same after a restart.
    pub fn node(mut self, node: NodeId) -> Self {
        self.node = Some(node);
        self
    }

    /// Where time comes from. Default: [`SystemClock`].
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// How many threads the trainers share, see [`Context::threads`](crate::Context::threads). Default: as many as
    /// the machine has for this process.
    pub fn threads(mut self, threads: NonZeroUsize) -> Self {
        self.threads = threads;
        self
    }

    /// How many calls may wait; who asks for more is told [`HandleError::Busy`](trainyard_core::port::HandleError).
    /// Those of [`Trainyard::submit_all`] have a bound of their own besides. Default: 4,096; at least 1.
    pub fn inbox_max(mut self, commands: usize) -> Self {
        self.inbox_max = commands.max(1);
        self
    }

    /// How often one run's performance is made durable at most; in between the newest counts. Zero for always.
    /// Default: 100 milliseconds.
    pub fn report_every(mut self, interval: Duration) -> Self {
        self.report_every = interval;
        self
    }

    /// How many facts there must be since the last snapshot before the journal is compacted; it also takes four times as
    /// many as there are things in the yard. Fewer make it shorter, and quicker to open, at the cost of writing the
    /// whole yard more often. Default: [`Driver::COMPACT_MIN`].
    pub fn compact_min(mut self, facts: usize) -> Self {
        self.compact_min = facts;
        self
    }

    /// Opens the yard: rebuilds it, interrupts what died with the last process, and starts what can be started.
    ///
    /// # Errors
    /// [`OpenError`] when the folder or the journal cannot be used. A failure in between leaves a yard that can be
    /// opened again.
    pub fn start(self) -> Result<(Trainyard, OpenReport), OpenError> {
        let folder = DataFolder::open(self.data_dir.clone())?;
        let node = self.node.map_or_else(|| folder.node_id(), Ok)?;
        let journal = self.journal.ok_or(OpenError::NoJournal)?()?;
        let mut driver = Driver::open(journal)?.with_compact_min(self.compact_min);
        let is_known = driver.committed().read().node(node).is_some();

        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        let (ring, alarm) = bounded(1);
        clock.start_from(driver.committed().read().now());
        clock.set_alarm(Alarm::new(ring.clone()));

        let placed = |(kind, known): (&Kind, &Registered)| (kind.clone(), known.placement);
        let kinds = self.trainers.iter().map(placed).collect();
        let abilities = Abilities { kinds, capacity: self.capacity.clone() };
        let now = clock.now();
        let join = Command::JoinNode { node, abilities: abilities.clone() };
        let commands: Vec<Command> =
            self.settings.map(Command::Configure).into_iter().chain([join]).collect();
        failpoint!(JoinAhead);
        let opened = driver.turn(now, &commands)?;
        failpoint!(Joined);
        let epoch = epoch_of(&opened)?;
        let yard = Arc::clone(driver.committed());
        let report = OpenReport::new(&yard.read(), &opened.facts[opened.news..]);
        telemetry::opened(&report);

        let (inbox, calls) = inbox(self.inbox_max);
        let hub = Arc::new(Hub::default());
        let board = Board::new(Arc::clone(&hub));
        let wiring = Arc::new(Wiring {
            inbox,
            board,
            committed: Arc::clone(&yard),
            folder,
            meters: Meters::default(),
        });
        let house = Arc::new(House {
            committed: Arc::clone(&yard),
            edition: Arc::clone(driver.edition()),
            wiring: Arc::clone(&wiring),
            hub,
            waiters: Waiters::default(),
            clock,
            inbox_max: self.inbox_max,
            bulk: Bulk::new(Trainyard::BULK_MAX),
            time: SharedTime::default(),
            stopped: OnceLock::new(),
            is_deserted: AtomicBool::new(false),
        });
        house.set_time(now, opened.journal_now, opened.now);
        let looked = |source| {
            let path = self.data_dir.clone();
            OpenError::Folder { verb: "look into the data folder", path, source }
        };
        if !is_known {
            // Another journal than this one may name what is here.
            let kept = wiring.folder.keep_all().map_err(looked)?;
            if kept > 0 {
                telemetry::folders_kept(kept);
            }
        }
        let mut folders = Folders::open(&wiring.folder, &yard.read()).map_err(looked)?;
        let floor = Floor {
            node,
            epoch,
            trainers: self.trainers,
            threads: self.threads,
            capacity: self.capacity,
            pool: Arc::new(Pool::new()),
            wiring,
            is_closing: false,
            runs: BTreeMap::new(),
        };
        let broom = Broom::default();
        let left_behind = folders.all_orphans(&yard.read(), &std::collections::BTreeSet::new());
        broom.sweep(&floor.pool, &floor.wiring, left_behind);
        let notices = driver.notices();
        let agenda = Agenda::default();
        let report_every = self.report_every;
        let inbox = calls;
        let handles = Arc::clone(&house);
        let mut engine = Engine {
            driver,
            floor,
            house,
            inbox,
            alarm,
            notices,
            abilities,
            report_every,
            folders,
            broom,
            agenda,
        };
        failpoint!(OpeningSettles);
        engine.settle(opened)?;
        let driver = thread::Builder::new().name("trainyard-driver".into());
        driver.spawn(move || engine.run()).map_err(OpenError::Thread)?;
        Ok((Trainyard::new(handles, node, Alarm::new(ring)), report))
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("data_dir", &self.data_dir).finish_non_exhaustive()
    }
}

fn epoch_of(opened: &Turned) -> Result<Epoch, DriveError> {
    let mut epoch = Epoch::default();
    for answer in &opened.answers {
        match answer {
            Ok(Answer::Joined { epoch: joined }) => epoch = *joined,
            Ok(_) => {}
            Err(rejection) => return Err(DriveError::Refused(rejection.clone())),
        }
    }
    Ok(epoch)
}
