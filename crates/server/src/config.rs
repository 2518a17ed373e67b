//! What a service is told.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use trainyard_cyborgdb::Settings;

/// What a service is told; everything but the folder has a default.
///
/// ```
/// use trainyard_server::{JournalChoice, ServiceConfig};
///
/// let config = ServiceConfig::new("data").with_journal(JournalChoice::Memory);
/// assert_eq!(config.listen().to_string(), "127.0.0.1:8000");
/// ```
#[derive(Debug, Clone)]
pub struct ServiceConfig {
    data: PathBuf,
    listen: SocketAddr,
    public_url: Option<String>,
    journal: JournalChoice,
    open_access: OpenAccess,
    indexes_max: usize,
    cyborgdb: Settings,
}

/// Where the yard keeps its jobs, rules and models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum JournalChoice {
    /// In `yard.sqlite` in the data folder.
    #[default]
    Sqlite,
    /// Nowhere: gone when the process ends. Indexes keep their vectors, and are trained anew.
    Memory,
}

/// Where nobody is asked for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OpenAccess {
    /// On a loopback address only; on another one a root key must be set.
    #[default]
    Loopback,
    /// Anywhere: whoever reaches the address may read, write and delete everything.
    Anywhere,
}

impl ServiceConfig {
    /// A service that keeps everything in this folder; it is made when it is not there.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8000)),
            public_url: None,
            journal: JournalChoice::default(),
            open_access: OpenAccess::default(),
            indexes_max: 1_000,
            cyborgdb: Settings::new(),
        }
    }

    /// Listens here; port 0 lets the system choose. Default: 127.0.0.1:8000.
    #[must_use]
    pub fn with_listen(mut self, listen: SocketAddr) -> Self {
        self.listen = listen;
        self
    }

    /// Is reached by clients under this URL. Default: `http://` and the address that is listened on.
    #[must_use]
    pub fn with_public_url(mut self, url: impl Into<String>) -> Self {
        let url: String = url.into();
        self.public_url = Some(url.trim_end_matches('/').to_owned());
        self
    }

    /// Keeps its jobs there. Default: [`JournalChoice::Sqlite`].
    #[must_use]
    pub fn with_journal(mut self, journal: JournalChoice) -> Self {
        self.journal = journal;
        self
    }

    /// Where it may go without a root key. Default: [`OpenAccess::Loopback`].
    #[must_use]
    pub fn with_open_access(mut self, open_access: OpenAccess) -> Self {
        self.open_access = open_access;
        self
    }

    /// Has at most so many indexes: each is in memory as a whole, and takes three open files. Beyond, none is made;
    /// those that there are stay. Default: 1,000.
    #[must_use]
    pub fn with_indexes_max(mut self, indexes_max: usize) -> Self {
        self.indexes_max = indexes_max;
        self
    }

    /// How CyborgDB's wire behaves, with the root key.
    #[must_use]
    pub fn with_cyborgdb(mut self, settings: Settings) -> Self {
        self.cyborgdb = settings;
        self
    }

    /// The data folder.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The address to listen on.
    #[must_use]
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// The URL clients use, if it was said.
    #[must_use]
    pub fn public_url(&self) -> Option<&str> {
        self.public_url.as_deref()
    }

    /// Where jobs are kept.
    #[must_use]
    pub fn journal(&self) -> JournalChoice {
        self.journal
    }

    /// How many indexes there may be.
    #[must_use]
    pub fn indexes_max(&self) -> usize {
        self.indexes_max
    }

    /// How CyborgDB's wire behaves.
    #[must_use]
    pub fn cyborgdb(&self) -> &Settings {
        &self.cyborgdb
    }

    /// Whether anybody could come in whom nobody meant to let in.
    pub(crate) fn is_exposed(&self) -> bool {
        let is_asked = self.cyborgdb.root_key().is_some();
        !is_asked && self.open_access == OpenAccess::Loopback && !self.listen.ip().is_loopback()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_access_is_for_loopback_unless_said_otherwise() {
        let exposed =
            |listen: &str, config: ServiceConfig| config.with_listen(listen.parse().unwrap()).is_exposed();
        let open = || ServiceConfig::new("data");
        let key = trainyard_http::secret::Secret::new("key").unwrap();
        let keyed = || open().with_cyborgdb(Settings::new().with_root_key(key.clone()));
        assert!(!exposed("127.0.0.1:1", open()));
        assert!(!exposed("[::1]:1", open()));
        assert!(exposed("0.0.0.0:1", open()));
        assert!(exposed("[::]:1", open()));
        assert!(exposed("10.0.0.1:1", open()));
        assert!(!exposed("0.0.0.0:1", keyed()));
        assert!(!exposed("0.0.0.0:1", open().with_open_access(OpenAccess::Anywhere)));
    }
}
