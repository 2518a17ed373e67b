//! One yard and its journal, a turn at a time, without threads and without a clock.

use std::iter::Peekable;

use trainyard_core::{Answer, Command, Event, Fact, Rejection, Timestamp, Yard};
use trainyard_journal::{Journal, JournalError, Position, Reading, failpoint};

use crate::DriveError;
use crate::load::Load;
use crate::sync::{Arc, AtomicU64, Notices, Ordering, RwLock};

/// Decides on a private yard, commits, and only then lets readers see: the two yards change places, which is all of its
/// work that a reader waits for.
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
    /// Grows with every change of it, while it is locked.
    edition: Arc<AtomicU64>,
    /// How many facts have led to the committed yard.
    revision: u64,
    /// How many of them came after the last snapshot.
    since_snapshot: usize,
    /// At how many of them it is time to look whether another one pays.
    look_at: usize,
    compact_min: usize,
    record_max: Load,
    /// Whether something may be due, or able to start, that the last turn has not done.
    is_unsettled: bool,
    has_begun: bool,
}

/// What has come of a turn. All of it is durable.
#[derive(Debug)]
pub struct Turned {
    /// What time it was for this turn.
    pub now: Timestamp,
    /// What has happened, in order: what others wrote first.
    pub facts: Vec<Fact>,
    /// How many of the first facts others wrote. When the turn was committed in several records, what others wrote
    /// between them is among the facts after.
    pub news: usize,
    /// How many facts this driver wrote.
    pub own: usize,
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

impl Turned {
    /// This and the next part of the same turn as one.
    fn then(mut self, next: Self) -> Self {
        let own = self.own + next.own;
        let (journal_now, compacted) = (self.journal_now, self.compacted || next.compacted);
        if next.rebuilt.is_some() {
            // What came before is in the snapshot that others took.
            return Self { journal_now, compacted, own, ..next };
        }
        self.facts.extend(next.facts);
        Self { now: next.now, own, compacted, ..self }
    }
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
            edition: Arc::default(),
            revision,
            since_snapshot,
            look_at: 0,
            compact_min: Self::COMPACT_MIN,
            record_max: Load { bytes: RECORD_BYTES, facts: RECORD_FACTS },
            // Whoever wrote the log may have died between two turns.
            is_unsettled: revision > 0,
            has_begun: false,
        })
    }

    /// With another bound than [`Driver::COMPACT_MIN`].
    #[must_use]
    pub const fn with_compact_min(mut self, facts: usize) -> Self {
        self.compact_min = facts;
        self
    }

    /// With other bounds on what one record of the journal holds than 32 MiB and 100,000 facts. What a single command
    /// leads to is never divided.
    #[must_use]
    pub const fn with_record_max(mut self, bytes: usize, facts: usize) -> Self {
        // At least one, so that every record takes something.
        self.record_max =
            Load { bytes: if bytes == 0 { 1 } else { bytes }, facts: if facts == 0 { 1 } else { facts } };
        self
    }

    /// Takes a turn: takes in what others wrote, decides the commands, commits, and shows the result to readers.
    ///
    /// Renewals of nodes are decided first and what runs say last, so that whoever takes something back does so before
    /// it can end; within these three sorts the order is that of the commands. What is due is done after all of them:
    /// whoever has finished in time is not punished for a driver that was busy.
    ///
    /// When the commands lead to more than fits into a record of the journal, they are committed in several. When
    /// what is due does, the rest is left: [`Driver::next_deadline`] is then not later than now.
    ///
    /// # Errors
    /// [`DriveError`] when the journal fails. The driver must be dropped; of the commands it is not known whether
    /// they were done.
    pub fn turn(&mut self, now: Timestamp, commands: &[Command]) -> Result<Turned, DriveError> {
        let mut order: Vec<usize> = (0..commands.len()).collect();
        order.sort_by_key(|place| urgency(&commands[*place]));
        let mut order = order.into_iter().peekable();
        let mut answers = vec![Ok(Answer::Done); commands.len()];
        self.has_begun = false;

        let mut turned: Option<Turned> = None;
        loop {
            // All of a turn happens at one moment, unless the journal's own clock says otherwise.
            let now = turned.as_ref().map_or(now, |before| before.now);
            let part = self.part(now, commands, &mut order, &mut answers)?;
            turned = Some(match turned {
                None => part,
                Some(before) => before.then(part),
            });
            if order.peek().is_none()
                && let Some(turned) = turned
            {
                return Ok(Turned { answers, ..turned });
            }
        }
    }

    /// Takes as much of a turn as fits into one record.
    fn part(
        &mut self,
        now: Timestamp,
        commands: &[Command],
        order: &mut Peekable<impl Iterator<Item = usize>>,
        answers: &mut [Result<Answer, Rejection>],
    ) -> Result<Turned, DriveError> {
        failpoint!(TurnAhead);
        let mut turn = self.journal.begin()?;
        failpoint!(TurnBegun);
        self.has_begun = true;
        let mut news = News::default();
        take_in(turn.news()?, &mut self.private, &mut news)?;
        let journal_now = turn.now();
        let now = journal_now.unwrap_or(now).max(self.private.now());

        let mut facts = Vec::new();
        let mut load = Load::default();
        while !load.reaches(self.record_max)
            && let Some(place) = order.next()
        {
            answers[place] = self.private.take(now, &commands[place]).map(|ruling| {
                load.add(&ruling.facts);
                facts.extend(ruling.facts);
                ruling.answer
            });
        }
        self.is_unsettled = true;
        while order.peek().is_none() && !load.reaches(self.record_max) {
            let Some(due) = self.private.settle_step(now) else {
                self.is_unsettled = false;
                break;
            };
            load.add(&due);
            facts.extend(due);
        }

        turn.append(now, &facts)?;
        failpoint!(TurnAppended);
        let since_snapshot =
            news.facts.len() + facts.len() + if news.rebuilt.is_some() { 0 } else { self.since_snapshot };
        let compacted = since_snapshot >= self.look_at.max(self.compact_min) && {
            // Counting costs as much as there is, so it is done seldom.
            self.look_at = since_snapshot + since_snapshot / 4;
            since_snapshot >= 4 * things(&self.private)
        };
        if compacted {
            turn.compact(&self.private.snapshot())?;
            failpoint!(TurnCompacts);
        }
        turn.commit()?;
        failpoint!(TurnCommitted);

        self.since_snapshot = if compacted { 0 } else { since_snapshot };
        self.look_at = if compacted { 0 } else { self.look_at };
        self.show(&news, &facts)?;
        failpoint!(TurnShown);
        let News { rebuilt, facts: mut all } = news;
        let first = self.revision + rebuilt.unwrap_or(0) as u64 + 1;
        let (news, own) = (all.len(), facts.len());
        all.extend(facts);
        self.revision = first + all.len() as u64 - 1;
        Ok(Turned { now, journal_now, facts: all, news, own, first, rebuilt, compacted, answers: vec![] })
    }

    /// When to take a turn at the latest, without any command; not later than now when the last one has left something.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        if self.is_unsettled { Some(self.private.now()) } else { self.private.next_deadline() }
    }

    /// The yard as the last turn has left it. Shared with readers; never ahead of the journal.
    #[must_use]
    pub fn yard(&self) -> Yard {
        self.committed.read().clone()
    }

    /// Looks at the yard as the last turn has left it, without a copy. Whoever takes the next turn waits meanwhile.
    pub fn look<T>(&self, at: impl FnOnce(&Yard) -> T) -> T {
        at(&self.committed.read())
    }

    /// How many facts have led to this yard since it was rebuilt.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// Whether the last turn has got past its beginning. If not, it has changed nothing.
    pub(crate) const fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Where notices arrive that others have written.
    pub(crate) fn notices(&self) -> Notices<Position> {
        self.journal.watch()
    }

    pub(crate) fn committed(&self) -> &Arc<RwLock<Yard>> {
        &self.committed
    }

    pub(crate) fn edition(&self) -> &Arc<AtomicU64> {
        &self.edition
    }

    /// Lets readers see what is durable: the private yard, which is what was committed. What they saw so far becomes the
    /// private one, and goes the same way while no reader waits for it.
    fn show(&mut self, news: &News, facts: &[Fact]) -> Result<(), DriveError> {
        {
            let mut committed = self.committed.write();
            std::mem::swap(&mut *committed, &mut self.private);
            // Whoever gets in after this sees both, and nobody sees only one.
            self.edition.fetch_add(1, Ordering::Release);
        }
        // Only this driver changes it, so this keeps no reader waiting.
        let committed = self.committed.read();
        if news.rebuilt.is_some() {
            self.private = committed.clone();
            return Ok(());
        }
        let mut submitted = Vec::new();
        for fact in news.facts.iter().chain(facts) {
            self.private.apply(fact)?;
            if let Event::Submitted { submission } = &fact.event {
                submitted.push(submission.job);
            }
        }
        // Both hold the same now; a million jobs in line need not be there twice.
        self.private.share_waiting(&committed, submitted);
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

/// What is decided first. A node that shows that it is there is heard before anybody can find it missing; what runs
/// say is heard after everybody else, so that whoever takes something back does so before it can end otherwise.
fn urgency(command: &Command) -> u8 {
    match command {
        Command::RenewNode { .. } => 0,
        Command::Configure(_)
        | Command::JoinNode { .. }
        | Command::LeaveNode { .. }
        | Command::ConfigureQueue { .. }
        | Command::SetRetention { .. }
        | Command::PauseQueue { .. }
        | Command::ResumeQueue { .. }
        | Command::Submit(_)
        | Command::Cancel { .. }
        | Command::Hold { .. }
        | Command::Unhold { .. }
        | Command::Recover { .. }
        | Command::SetRule { .. }
        | Command::RemoveRule { .. }
        | Command::Observe { .. }
        | Command::Activate { .. }
        | Command::Retire { .. } => 1,
        Command::Report { .. } | Command::Checkpoint { .. } | Command::Finish { .. } => 2,
        Command::Tick => 3,
    }
}

/// How many things a snapshot would hold.
fn things(yard: &Yard) -> usize {
    let models: usize = yard.registries().map(|registry| yard.models(registry).count()).sum();
    yard.jobs().count() + models + yard.rules().count() + yard.queues().count() + yard.nodes().count()
}

/// About how many bytes of facts share a record: an eighth of what a record can hold, since a single command may add
/// some more.
const RECORD_BYTES: usize = 32 << 20;

/// How many facts share a record.
const RECORD_FACTS: usize = 100_000;
