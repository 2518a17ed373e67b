//! Places at which a test may end the process: the boundaries between what is durable and what is not.
//!
//! They are there only with the feature `failpoints`, and with debug assertions. The second is what keeps them out of
//! releases: features unify over a workspace, so that a test's may reach the build of something else.

use std::sync::OnceLock;

/// Calls this whenever a failpoint is passed, on the thread that passes it, from now on. The first hook counts.
pub fn install(hook: impl Fn(Failpoint) + Send + Sync + 'static) {
    let _ = HOOK.set(Box::new(hook));
}

macro_rules! failpoints {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// A boundary that a process may die at, in the order in which a life passes them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Failpoint {
            $($(#[doc = $doc])* $name,)*
        }

        impl Failpoint {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// What it is called.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }
    };
}

failpoints! {
    /// The id of a new node is on disk under another name.
    NodeIdDrafted,
    /// The lock of a journal is taken.
    JournalLocked,
    /// The layout of a new journal is written, and not committed.
    JournalDrafted,
    /// A new journal is committed, and the name of its file is not yet durable.
    JournalCreated,
    /// The journal is connected to, and what the last holder left in the log is not yet in the file.
    JournalConnected,
    /// What the last holder left is in the file.
    JournalRecovered,
    /// The yard is rebuilt, and the node has not joined it.
    JoinAhead,
    /// The node has joined; nobody knows yet.
    Joined,
    /// What the last life left running is to be started again.
    OpeningSettles,
    /// A turn is about to begin.
    TurnAhead,
    /// A turn has begun.
    TurnBegun,
    /// What is decided is appended.
    TurnAppended,
    /// What is decided is appended, together with a snapshot.
    TurnCompacts,
    /// A commit is about to write.
    CommitAhead,
    /// Its record is inserted.
    RecordInserted,
    /// A compaction has deleted what was there.
    CompactionDeleted,
    /// A compaction has inserted one of its parts.
    CompactionPartInserted,
    /// A compaction has inserted all of them, and their seal.
    CompactionSealed,
    /// SQLite is about to be told to commit.
    SqlCommitAhead,
    /// SQLite has committed, and the journal does not know.
    SqlCommitted,
    /// A compaction is durable; the space is not given back.
    CompactionDurable,
    /// Free pages are given back; the next time, the log is cut back, too.
    CompactionTidies,
    /// A turn is committed, and no reader sees it.
    TurnCommitted,
    /// Readers see it, and nobody is answered.
    TurnShown,
    /// Those who asked are about to be answered.
    AnswersAhead,
    /// One of them was.
    Answered,
    /// Whoever has to start is about to.
    StartsAhead,
    /// A run is about to get a thread.
    StartAhead,
    /// It has one, and its trainer has not begun.
    Started,
    /// A checkpoint was written by its trainer, and is not made durable.
    CheckpointAhead,
    /// Its bytes are durable, and the yard has not heard of it.
    CheckpointSynced,
    /// The driver has heard of it.
    CheckpointPlanned,
    /// Its record is durable, and the trainer is about to be told.
    CheckpointAcknowledged,
    /// A trainer has returned.
    Returned,
    /// What it has made is durable, and the yard has not heard of it.
    ArtifactSynced,
    /// The driver is told that a run has ended.
    EndTold,
    /// The driver has heard of it.
    EndPlanned,
    /// A folder that nobody needs is about to be removed.
    SweepAhead,
    /// The folder of a run is removed, and that of its job is not.
    SweepHalfway,
    /// Both are.
    Swept,
    /// The driver has heard that it is to leave.
    ClosePlanned,
    /// The node is about to leave the yard.
    LeaveAhead,
    /// It has left; nobody knows yet.
    Left,
    /// The journal is about to be closed.
    JournalCloses,
    /// SQLite has closed it; the lock is still held.
    JournalClosed,
    /// Everything is closed, and whoever waits for that is not told.
    Closed,
}

impl Failpoint {
    #[doc(hidden)]
    pub fn hit(self) {
        if let Some(hook) = HOOK.get() {
            hook(self);
        }
    }
}

type Hook = Box<dyn Fn(Failpoint) + Send + Sync>;

static HOOK: OnceLock<Hook> = OnceLock::new();
