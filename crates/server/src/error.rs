//! Why a service could not be opened.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use trainyard_core::port::HandleError;
use trainyard_cyborgdb::ResyncError;

/// Why a service could not be opened. What it had begun is undone or goes on at the next open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Everybody in the network could read and write: see [`OpenAccess`](crate::OpenAccess).
    #[error(
        "{listen} can be reached by others and no root key is set: set one, listen on a loopback address, or allow it \
         explicitly (--insecure)"
    )]
    Exposed {
        /// The address that was to be listened on.
        listen: SocketAddr,
    },
    /// It listens on all addresses, and nobody said under which URL clients reach it: what it builds of its own address
    /// would be of no use to them.
    #[error(
        "{listen} stands for all addresses, which is none that clients can be told: say under which URL they reach it \
         (--public-url), or listen on one address"
    )]
    NoUrl {
        /// The address that was to be listened on.
        listen: SocketAddr,
    },
    /// Another process has the data folder.
    #[error("the data folder {} is in use by {holder}", folder.display())]
    InUse {
        /// Which folder.
        folder: PathBuf,
        /// Who has it, with its process id.
        holder: String,
    },
    /// The data folder cannot be used.
    #[error("could not use the data folder {}", folder.display())]
    Folder {
        /// Which folder.
        folder: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The catalogue of indexes cannot be used.
    #[error("could not open the catalogue of indexes")]
    Catalog(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What is kept of MathFi's users, datasets and predictions cannot be used.
    #[error("could not open the datasets")]
    Datasets(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What is kept of HeyGen's assets, groups and looks cannot be used.
    #[error("could not open the photos")]
    Photos(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What is kept of elizaOS's trajectories and datasets cannot be used.
    #[error("could not open the trajectories")]
    Trajectories(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] trainyard_journal::JournalError),
    /// The yard could not be opened.
    #[error(transparent)]
    Yard(#[from] trainyard_runtime::OpenError),
    /// The yard stopped while it was set up.
    #[error("the yard could not be set up")]
    Setup(#[from] HandleError),
    /// Yard and indexes could not be made to agree.
    #[error(transparent)]
    Resync(#[from] ResyncError),
    /// The address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] trainyard_http::StartError),
    /// The operating system has no thread left.
    #[error("could not start a thread")]
    Thread(#[source] io::Error),
}

impl OpenError {
    pub(crate) fn books(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Datasets(Box::new(error))
    }

    pub(crate) fn album(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Photos(Box::new(error))
    }

    pub(crate) fn archive(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Trajectories(Box::new(error))
    }
}
