//! What the embedding service implements: users, datasets and predictions, everything that is not training.

use std::fmt;
use std::io::Read;

use trainyard_core::{ModelId, Registry, Subject, Timestamp};
use uuid::Uuid;

/// Users, datasets and predictions.
///
/// Methods may block and compute, unless they say otherwise: they are called where that is allowed, several at once. What
/// has returned `Ok` is durable. Who may see what is the adapter's business: a host answers for every id it is asked about.
pub trait Host: Send + Sync + 'static {
    /// Who has this name and this password; `None` for a wrong one of either, and that takes as long.
    ///
    /// # Errors
    /// [`HostError`] when that cannot be found out.
    fn log_in(&self, name: &str, password: &str) -> Result<Option<User>, HostError>;

    /// A user as of now; `None` when they may not come in any more. Called with every request: quick.
    fn user(&self, id: UserId) -> Option<User>;

    /// Whose a dataset is; `None` when there is none of this id. Called with most requests, where nothing may block:
    /// quick, from memory.
    fn owner(&self, id: DatasetId) -> Option<UserId>;

    /// How much memory one training may have, in MiB; `u64::MAX` for no bound. Called where nothing may block: quick,
    /// from memory.
    fn training_memory_mib(&self) -> u64;

    /// Makes an empty dataset.
    ///
    /// # Errors
    /// [`Refused::Taken`] when this user has one of this name, [`Refused::TooMany`] when they have as many as may be,
    /// [`Refused::Full`].
    fn create_dataset(&self, dataset: NewDataset) -> Result<Dataset, Refused>;

    /// All datasets of a user, newest first.
    ///
    /// # Errors
    /// [`HostError`] when they cannot be listed.
    fn datasets(&self, owner: UserId) -> Result<Vec<Dataset>, HostError>;

    /// A dataset; `None` when there is none of this id.
    ///
    /// # Errors
    /// [`HostError`] when that cannot be found out.
    fn dataset(&self, id: DatasetId) -> Result<Option<Dataset>, HostError>;

    /// Begins to take the CSV of a dataset. Several may begin; the first to [finish](Upload::finish) wins.
    ///
    /// # Errors
    /// [`Refused::NotPending`] when it has its data already, [`Refused::Full`].
    fn receive_data(&self, id: DatasetId) -> Result<Box<dyn Upload<Dataset>>, Refused>;

    /// Begins to take a CSV to predict for by this model, for the owner of its dataset.
    ///
    /// # Errors
    /// [`Refused::Busy`] when too many wait already, [`Refused::Full`].
    fn receive_rows(&self, model: ModelId, owner: UserId) -> Result<Box<dyn Upload<Prediction>>, Refused>;

    /// A prediction; `None` when there is none of this id.
    ///
    /// # Errors
    /// [`HostError`] when that cannot be found out.
    fn prediction(&self, id: PredictionId) -> Result<Option<Prediction>, HostError>;

    /// The result of a prediction that is completed: its length in bytes, and the CSV; `None` when there is none.
    ///
    /// # Errors
    /// [`HostError`] when it cannot be read.
    fn result(&self, id: PredictionId) -> Result<Option<ResultFile>, HostError>;
}

/// A file on its way in. Dropped before it is finished, it leaves nothing behind. All of it, the drop too, is done where
/// it may block.
pub trait Upload<T>: Send {
    /// Takes more of it.
    ///
    /// # Errors
    /// [`Refused::Full`] when there is no room for it, [`Refused::Failed`] when it cannot be kept for another reason.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Refused>;

    /// It is whole: what is done with it begins by itself.
    ///
    /// # Errors
    /// [`Refused`].
    fn finish(self: Box<Self>) -> Result<T, Refused>;
}

/// A result to be read.
pub struct ResultFile {
    /// How long it is, in bytes.
    pub bytes: u64,
    /// What is in it.
    pub csv: Box<dyn Read + Send>,
}

/// Who may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// Which.
    pub id: UserId,
    /// Changes with the password, so that tokens that were given out before are refused.
    pub stamp: Stamp,
}

/// What changes with a user's password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp(pub u64);

/// A dataset to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDataset {
    /// Whose it is.
    pub owner: UserId,
    /// What it is called: 3 to 30 characters.
    pub name: String,
    /// What it is about: 3 to 150 characters.
    pub description: Option<String>,
    /// How finely numbers are told apart: 4 to 1000.
    pub buckets: u16,
    /// When it is made.
    pub at: Timestamp,
}

/// A dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// Which.
    pub id: DatasetId,
    /// Whose it is.
    pub owner: UserId,
    /// What it is called.
    pub name: String,
    /// What it is about.
    pub description: Option<String>,
    /// How finely numbers are told apart.
    pub buckets: u16,
    /// When it was made.
    pub created_at: Timestamp,
    /// How far it is.
    pub state: DatasetState,
}

/// How far a dataset is. Never goes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatasetState {
    /// It has no data yet.
    Pending,
    /// Its data is being made ready.
    Processing,
    /// It can be trained on.
    Completed(Shape),
    /// Its data cannot be used.
    Failed {
        /// Why, in words for its owner.
        reason: String,
    },
}

/// What a dataset that is ready is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// How many rows it has.
    pub rows: u64,
    /// How many classes its rows belong to, at least 2.
    pub classes: u32,
    /// How much memory a training on it takes, in MiB.
    pub memory_mib: u64,
}

/// A prediction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prediction {
    /// Which.
    pub id: PredictionId,
    /// Whose it is.
    pub owner: UserId,
    /// By which model.
    pub model: ModelId,
    /// How far it is.
    pub state: PredictionState,
}

/// How far a prediction is. Never goes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PredictionState {
    /// In line.
    Pending,
    /// At work.
    Running,
    /// There is a result.
    Completed,
    /// It broke, or the rows are not like those that the model was trained on.
    Failed {
        /// Why, in words for its owner.
        reason: String,
    },
    /// It took too long.
    TimedOut,
}

/// Why a host did not do as it was asked. Nothing has changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// There is one of this name.
    #[error("there is a dataset of this name already")]
    Taken,
    /// There are as many as may be.
    #[error("there are {max} {what} already, and there may be no more")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        max: u64,
    },
    /// The dataset has its data already.
    #[error("the dataset has its data already")]
    NotPending,
    /// There is no room for it: the disk is full, or the user's part of it.
    #[error("there is no room for this")]
    Full,
    /// There is none of this id, or no more.
    #[error("there is no such thing")]
    Gone,
    /// Something is wrong with what was sent; in words for the client.
    #[error("{0}")]
    Invalid(String),
    /// The host is being shut down, or too much is asked at once.
    #[error("the service cannot take this now")]
    Busy,
    /// It is not the request's fault.
    #[error(transparent)]
    Failed(#[from] HostError),
}

/// A failure of the host itself; its cause is for the log and never for a client.
#[derive(Debug, thiserror::Error)]
#[error("the host could not do its work")]
pub struct HostError {
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl HostError {
    /// Takes the cause in.
    pub fn new(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { source: cause.into() }
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Takes an id in. Make a new one for everything.
            #[must_use]
            pub const fn new(id: Uuid) -> Self {
                Self(id)
            }

            /// The id as a UUID.
            #[must_use]
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

id! {
    /// What a user is known by, whatever they are called.
    UserId
}
id! {
    /// What a dataset is known by; also its key on the wire.
    DatasetId
}
id! {
    /// What a prediction is known by; also its key on the wire.
    PredictionId
}

impl DatasetId {
    /// What the yard knows the dataset as: `dataset/<uuid>`.
    ///
    /// # Panics
    /// Never: an id is short.
    #[must_use]
    pub fn subject(self) -> Subject {
        Subject::new(format!("{PREFIX}{self}")).expect("an id is short and has no control characters")
    }

    /// The set of its models: that of the subject itself.
    #[must_use]
    pub fn registry(self) -> Registry {
        Registry::from(&self.subject())
    }

    /// The dataset that the yard knows as this subject; `None` when it is none.
    #[must_use]
    pub fn of(subject: &Subject) -> Option<Self> {
        let id = subject.as_str().strip_prefix(PREFIX)?;
        Uuid::try_parse(id).ok().map(Self)
    }
}

const PREFIX: &str = "dataset/";
