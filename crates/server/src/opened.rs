//! What was found when a service was opened, and what was left when it was shut down.

use std::fmt;

use trainyard_cyborgdb::Resynced;
use trainyard_http::secret::Secret;
use trainyard_runtime::{OpenReport, ShutdownReport};

use crate::FirstUser;

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
    /// Datasets and predictions of MathFi's that had no job any more, and have got one again.
    pub resumed: usize,
    /// Looks of HeyGen's that had no job any more, and have got one again.
    pub looks_resumed: usize,
    /// The user that was made for MathFi's wire, since none is configured and there was none. Not in the text that
    /// this makes: show it to whoever may log in, and say so to [`Service::first_user_told`](crate::Service::first_user_told).
    pub first_user: Option<FirstUser>,
    /// The key that was made for HeyGen's wire, since none is configured, until it was
    /// [told](crate::Service::heygen_key_told). Not in the text that this makes: show it to whoever may come in. It
    /// lies in `heygen/api.key` in the data folder.
    pub heygen_key: Option<Secret>,
    /// The token that was made for elizaOS's wire, since others can reach it and none is configured, until it was
    /// [told](crate::Service::eliza_token_told). Not in the text that this makes: show it to whoever may come in. It lies
    /// in `eliza/api.token` in the data folder.
    pub eliza_token: Option<Secret>,
    /// Programs that were left running for trainings that nobody knows any more, and were ended.
    pub orphans: usize,
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
        if self.resumed > 0 {
            write!(f, "\n{} datasets and predictions are put in line again", self.resumed)?;
        }
        if self.looks_resumed > 0 {
            write!(f, "\n{} photos are put in line again", self.looks_resumed)?;
        }
        if self.orphans > 0 {
            write!(f, "\n{} programs of forgotten trainings were ended", self.orphans)?;
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
