//! One yard and its journal, a turn at a time, without threads and without a clock.

use crossbeam_channel::Receiver;
use trainyard_core::{Answer, Command, Fact, Rejection, Timestamp, Yard};
use trainyard_journal::{Journal, JournalError, Position, Reading};

use crate::DriveError;
use crate::sync::{Arc, RwLock};

/// Decides on a private yard, commits, and only then lets readers see.
///
/// After an error it must be dropped: its private yard may be ahead of the journal.
///
/// ```
/// use trainyard_core::{Abilities, Answer, Command, Epoch, NodeId, Timestamp};
/// use trainyard_journal::MemoryJournal;
/// use trainyard_runtime::Driver;
///
/// let mut driver = Driver::open(MemoryJournal::new())?;
/// let join = Command::JoinNode { node: NodeId::from_u128(1), abilities: Abilities::default() };
/// let turn = driver.turn(Timestamp::from_millis(0), &[join])?;
/// assert_eq!(turn.answers, [Ok(Answer::Joined { epoch: Epoch::new(1) })]);
/// # Ok::<(), trainyard_runtime::DriveError>(())
/// ```
pub struct Driver {
    journal: Box<dyn Journal>,
    /// Where decisions are taken. Ahead of the journal only within a turn.
    private: Yard,
    /// What readers see: never ahead of the journal.
    committed: Arc<RwLock<Yard>>,
    /// How many facts have led to the committed yard.
    revision: u64,
    /// How many of them came after the last snapshot.
    since_snapshot: usize,
    /// At how many of them it is time to look whether another one pays.
    look_at: usize,
    compact_min: usize,
}

/// What has come of a turn. All of it is durable.
#[derive(Debug)]
pub struct Turned {
    /// What time it was for this turn.
    pub now: Timestamp,
    /// What has happened, in order: what others wrote first.
    pub facts: Vec<Fact>,
    /// How many of the facts others wrote.
    pub news: usize,
    /// The revision of the first fact.
    pub first: u64,
    /// What time it was by the journal's own clock, if it has one.
    pub journal_now: Option<Timestamp>,
    /// When others have compacted what this driver had not seen, the yard was rebuilt from a snapshot of so many
    /// facts, and `facts` holds only what came after.
    pub rebuilt: Option<usize>,
    /// Whether the log was made shorter.
    pub compacted: bool,
    /// What to answer, in the order of the commands.
    pub answers: Vec<Result<Answer, Rejection>>,
}

impl Driver {
    /// A log of fewer facts than this since its last snapshot is not compacted, unless it is told otherwise.
    pub const COMPACT_MIN: usize = 100_000;

    /// Rebuilds the yard from its journal.
    ///
    /// # Errors
    /// [`DriveError`] when the journal cannot be read, or contradicts itself.
    pub fn open(journal: impl Journal + 'static) -> Result<Self, DriveError> {
        let mut journal: Box<dyn Journal> = Box::new(journal);
        let mut private = Yard::default();
        let mut news = News::default();
        take_in(journal.read(Position::START)?, &mut private, &mut news)?;
        let committed = Arc::new(RwLock::new(private.clone()));
        let (revision, since_snapshot) =
            ((news.rebuilt.unwrap_or(0) + news.facts.len()) as u64, news.facts.len());
        Ok(Self {
            journal,
            private,
            committed,
            revision,
            since_snapshot,
            look_at: 0,
            compact_min: Self::COMPACT_MIN,
        })
    }

    /// With another bound than [`Driver::COMPACT_MIN`].
    #[must_use]
    pub const fn with_compact_min(mut self, facts: usize) -> Self {
        self.compact_min = facts;
        self
    }

    /// Takes a turn: takes in what others wrote, decides the commands, commits, and shows the result to readers.
    ///
    /// Cancels are decided before everything but the renewals of nodes, the others in their order. What is due is done too, after them:
    /// whoever has finished in time is not punished for a driver that was busy.
    ///
    /// # Errors
    /// [`DriveError`] when the journal fails. The driver must be dropped; of the commands it is not known whether
    /// they were done.
    pub fn turn(&mut self, now: Timestamp, commands: &[Command]) -> Result<Turned, DriveError> {
        let mut turn = self.journal.begin()?;
        let mut news = News::default();
        take_in(turn.news()?, &mut self.private, &mut news)?;
        let journal_now = turn.now();
        let now = journal_now.unwrap_or(now).max(self.private.now());

        let mut facts = Vec::new();
        let mut answers = vec![Ok(Answer::Done); commands.len()];
        let mut order: Vec<usize> = (0..commands.len()).collect();
        order.sort_by_key(|place| urgency(&commands[*place]));
        for place in order {
            answers[place] = self.private.handle(now, &commands[place]).map(|handled| {
                facts.extend(handled.facts);
                handled.answer
            });
        }
        if self.private.next_deadline().is_some_and(|deadline| deadline <= now) {
            let tick = self.private.handle(now, &Command::Tick).map_err(DriveError::Refused)?;
            facts.extend(tick.facts);
        }

        turn.append(now, &facts)?;
        let since_snapshot =
            news.facts.len() + facts.len() + if news.rebuilt.is_some() { 0 } else { self.since_snapshot };
        let compacted = since_snapshot >= self.look_at.max(self.compact_min) && {
            // Counting costs as much as there is, so it is done seldom.
            self.look_at = since_snapshot + since_snapshot / 4;
            since_snapshot >= 4 * things(&self.private)
        };
        if compacted {
            turn.compact(&self.private.snapshot())?;
        }
        turn.commit()?;

        self.since_snapshot = if compacted { 0 } else { since_snapshot };
        self.look_at = if compacted { 0 } else { self.look_at };
        self.show(&news, &facts)?;
        let News { rebuilt, facts: mut all } = news;
        let first = self.revision + rebuilt.unwrap_or(0) as u64 + 1;
        let news = all.len();
        all.extend(facts);
        self.revision = first + all.len() as u64 - 1;
        Ok(Turned { now, journal_now, facts: all, news, first, rebuilt, compacted, answers })
    }

    /// When to take a turn at the latest, without any command.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.private.next_deadline()
    }

    /// The yard as the last turn has left it. Shared with readers; never ahead of the journal.
    #[must_use]
    pub fn yard(&self) -> Yard {
        self.committed.read().clone()
    }

    /// How many facts have led to this yard since it was rebuilt.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// Where notices arrive that others have written.
    pub(crate) fn notices(&self) -> Receiver<Position> {
        self.journal.watch()
    }

    pub(crate) fn committed(&self) -> &Arc<RwLock<Yard>> {
        &self.committed
    }

    /// Lets readers see what is durable.
    fn show(&self, news: &News, facts: &[Fact]) -> Result<(), DriveError> {
        let mut committed = self.committed.write();
        if news.rebuilt.is_some() {
            *committed = self.private.clone();
            return Ok(());
        }
        for fact in news.facts.iter().chain(facts) {
            committed.apply(fact)?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").field("revision", &self.revision).finish_non_exhaustive()
    }
}

/// What others wrote.
#[derive(Default)]
struct News {
    /// How many facts the snapshot had, if there was one.
    rebuilt: Option<usize>,
    facts: Vec<Fact>,
}

fn take_in(reading: Reading<'_>, yard: &mut Yard, news: &mut News) -> Result<(), DriveError> {
    let Reading { snapshot, records } = reading;
    if let Some(snapshot) = snapshot {
        *yard = Yard::default();
        for fact in &snapshot.facts {
            yard.apply(fact)?;
        }
        *news = News { rebuilt: Some(snapshot.facts.len()), facts: vec![] };
    }
    for record in records {
        let record = record.map_err(|error: JournalError| DriveError::Journal(error))?;
        for fact in record.facts {
            yard.apply(&fact)?;
            news.facts.push(fact);
        }
    }
    Ok(())
}

/// What is decided first. A node that shows that it is there is heard before anybody can find it missing, and
/// whoever takes something back before it can end otherwise.
fn urgency(command: &Command) -> u8 {
    match command {
        Command::RenewNode { .. } => 0,
        Command::Cancel { .. } => 1,
        Command::Tick
        | Command::Configure(_)
        | Command::JoinNode { .. }
        | Command::LeaveNode { .. }
        | Command::ConfigureQueue { .. }
        | Command::PauseQueue { .. }
        | Command::ResumeQueue { .. }
        | Command::Submit(_)
        | Command::Hold { .. }
        | Command::Unhold { .. }
        | Command::Report { .. }
        | Command::Checkpoint { .. }
        | Command::Finish { .. }
        | Command::Recover { .. }
        | Command::SetRule { .. }
        | Command::RemoveRule { .. }
        | Command::Observe { .. }
        | Command::Activate { .. }
        | Command::Retire { .. } => 2,
    }
}

/// How many things a snapshot would hold.
fn things(yard: &Yard) -> usize {
    let models: usize = yard.registries().map(|registry| yard.models(registry).count()).sum();
    yard.jobs().count() + models + yard.rules().count() + yard.queues().count() + yard.nodes().count()
}
