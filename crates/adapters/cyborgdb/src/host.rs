//! What the embedding service implements: indexes and vectors, everything that is not training.

use std::fmt;

use serde_json::{Map, Value};
use trainyard_core::{Model, Registry, Subject};
use trainyard_http::secret::Digest;
use uuid::Uuid;

/// What an index is known by: made when it is created, and never used for another one. A deleted and re-created
/// index has another id under the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IndexId(Uuid);

/// Indexes and the vectors in them.
///
/// Methods may block and compute: they are called where that is allowed, several at once. What has returned `Ok`
/// is durable. An id that is no more answers [`Refused::Gone`].
pub trait Host: Send + Sync + 'static {
    /// Makes an index under an id that was never used before.
    ///
    /// # Errors
    /// [`Refused::Taken`] when there is one of this name.
    fn create(&self, index: NewIndex) -> Result<IndexId, Refused>;

    /// All indexes, in any order.
    ///
    /// # Errors
    /// [`HostError`] when they cannot be listed.
    fn list(&self) -> Result<Vec<Listed>, HostError>;

    /// The index of this name; `None` when there is none.
    ///
    /// # Errors
    /// [`HostError`] when that cannot be found out.
    fn resolve(&self, name: &str) -> Result<Option<Resolved>, HostError>;

    /// What an index is like.
    ///
    /// # Errors
    /// [`Refused`].
    fn describe(&self, index: IndexId) -> Result<Description, Refused>;

    /// Takes an index away. It is gone from [`Host::list`] and [`Host::resolve`] when this returns, and its name
    /// is free; the vectors may be cleared away later, when no trainer reads them.
    ///
    /// # Errors
    /// [`Refused`].
    fn remove(&self, index: IndexId) -> Result<(), Refused>;

    /// Serves queries by this model from now on, the active one of the index's registry. Called often: does
    /// nothing when it already does.
    ///
    /// # Errors
    /// [`Refused`]; queries are then served as before.
    fn adopt(&self, index: IndexId, model: &Model) -> Result<(), Refused>;

    /// Puts items in, each replacing the item of its id as a whole; within a batch the last one of an id wins. An
    /// index without a dimension takes that of the batch. Returns how many items the index has afterwards.
    ///
    /// # Errors
    /// [`Refused`]; then nothing of the batch is in.
    fn upsert(&self, index: IndexId, batch: Batch) -> Result<u64, Refused>;

    /// The items of these ids, no two alike, in their order; those that are not there are left out.
    ///
    /// # Errors
    /// [`Refused`].
    fn get(&self, index: IndexId, ids: &[String], parts: Parts) -> Result<Vec<Item>, Refused>;

    /// Takes items out; ids that are not there do not matter.
    ///
    /// # Errors
    /// [`Refused`].
    fn delete(&self, index: IndexId, ids: &[String]) -> Result<(), Refused>;

    /// The ids of all items, in any order.
    ///
    /// # Errors
    /// [`Refused`].
    fn list_ids(&self, index: IndexId) -> Result<Vec<String>, Refused>;

    /// How many items there are.
    ///
    /// # Errors
    /// [`Refused`].
    fn count(&self, index: IndexId) -> Result<u64, Refused>;

    /// The nearest items of each vector, nearest first, by the adopted model, or exactly while there is none.
    ///
    /// # Errors
    /// [`Refused`].
    fn query(&self, index: IndexId, query: &Query) -> Result<Vec<Vec<Hit>>, Refused>;
}

/// An index to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewIndex {
    /// What it is called: not empty, without control characters, within [`Limits::name_bytes`](crate::Limits).
    pub name: String,
    /// The digest of its key; the key itself is kept by nobody.
    pub key: Digest,
    /// How many numbers a vector has, 1 to 65,535; `None` for as many as the first one.
    pub dimension: Option<usize>,
    /// How distance is measured.
    pub metric: Metric,
    /// How vectors are stored. A host may store them more precisely.
    pub precision: Precision,
}

/// How distance is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Metric {
    /// The root of the sum of squares.
    #[default]
    Euclidean,
    /// The sum of squares.
    SquaredEuclidean,
    /// One minus the cosine of the angle.
    Cosine,
}

/// How vectors are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// 32 bits a number.
    #[default]
    Float32,
    /// 16 bits a number.
    Float16,
    /// 12 bits a number.
    Tq12,
    /// 8 bits a number.
    Tq8,
    /// 6 bits a number.
    Tq6,
    /// 4 bits a number.
    Tq4,
}

/// An index in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Which.
    pub id: IndexId,
    /// What it is called.
    pub name: String,
}

/// The index behind a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Which.
    pub id: IndexId,
    /// The digest of its key; `None` when it asks for none, which no index made over the wire does.
    pub key: Option<Digest>,
}

/// What an index is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Description {
    /// How many numbers a vector has; `None` before the first one.
    pub dimension: Option<usize>,
    /// How distance is measured.
    pub metric: Metric,
}

/// Items to be put in: never empty, all numbers finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// How many numbers each vector has, at least 1.
    pub dimension: usize,
    /// The vectors, one after the other; `items.len() * dimension` numbers.
    pub vectors: Vec<f32>,
    /// What belongs to them, in the same order.
    pub items: Vec<Entry>,
}

/// What belongs to a vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its id, never empty.
    pub id: String,
    /// The text that was given with it.
    pub contents: Option<String>,
    /// The object that was given with it.
    pub metadata: Option<Map<String, Value>>,
}

/// Which parts of an item are wanted besides its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// The numbers.
    pub vector: bool,
    /// The text.
    pub contents: bool,
    /// The object.
    pub metadata: bool,
}

/// An item; parts that were not wanted, or are not there, are `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Its id.
    pub id: String,
    /// The numbers.
    pub vector: Option<Vec<f32>>,
    /// The text.
    pub contents: Option<String>,
    /// The object.
    pub metadata: Option<Map<String, Value>>,
}

/// A search.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// How many numbers each vector has, at least 1.
    pub dimension: usize,
    /// The vectors to look near, one after the other; all numbers finite, at least one vector.
    pub vectors: Vec<f32>,
    /// How many items each is to find, at least 1.
    pub top_k: usize,
    /// How many lists to look into; `None` for the host's choice.
    pub n_probes: Option<usize>,
    /// Which items count: a Mongo-like filter on their metadata. One that makes no sense is
    /// [`Refused::Invalid`], and so is one that costs more than the host has a bound for.
    pub filters: Option<Map<String, Value>>,
    /// Whether hits carry the metadata.
    pub metadata: bool,
}

/// A found item.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// Its id.
    pub id: String,
    /// How far it is, in the measure of its index.
    pub distance: f32,
    /// The object that was given with it; `None` when not wanted, or when it has none.
    pub metadata: Option<Map<String, Value>>,
}

/// Why a host did not do as it was asked. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// There is an index of this name.
    #[error("there is an index of this name already")]
    Taken,
    /// There is no index of this id, or no more.
    #[error("there is no such index")]
    Gone,
    /// The index has no dimension yet.
    #[error("the index has no dimension before its first vectors")]
    DimensionUnset,
    /// Vectors of another length.
    #[error("a vector has {got} numbers where {expected} are expected")]
    WrongDimension {
        /// That of the index.
        expected: usize,
        /// That of the vectors.
        got: usize,
    },
    /// Something else is wrong with the request: a bound of the host, a filter without meaning. In words for the
    /// client.
    #[error("{0}")]
    Invalid(String),
    /// The host is being shut down.
    #[error("the host is being shut down")]
    Stopping,
    /// It is not the request's fault.
    #[error(transparent)]
    Failed(#[from] HostError),
}

/// A failure of the host itself; its cause is for the log and never for a client. One made of [`Refused::Stopping`]
/// is answered as that.
#[derive(Debug, thiserror::Error)]
#[error("the indexes could not be reached")]
pub struct HostError {
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl HostError {
    /// Takes the cause in.
    pub fn new(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { source: cause.into() }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        matches!(self.source.downcast_ref(), Some(Refused::Stopping))
    }
}

impl IndexId {
    /// Takes an id in. Make a new one for every index.
    #[must_use]
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// The id as a UUID.
    #[must_use]
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }

    /// What the yard knows the index as: `index/<uuid>`.
    ///
    /// # Panics
    /// Never: an id is short.
    #[must_use]
    pub fn subject(self) -> Subject {
        Subject::new(format!("{PREFIX}{self}")).expect("an id is short and has no control characters")
    }

    /// The set of its models: that of the subject itself.
    ///
    /// # Panics
    /// Never: an id is short.
    #[must_use]
    pub fn registry(self) -> Registry {
        Registry::from(&self.subject())
    }

    /// The index that the yard knows as this subject; `None` when it is none.
    ///
    /// ```
    /// use trainyard_cyborgdb::IndexId;
    /// use uuid::Uuid;
    ///
    /// let id = IndexId::new(Uuid::from_u128(7));
    /// assert_eq!(IndexId::of(&id.subject()), Some(id));
    /// ```
    #[must_use]
    pub fn of(subject: &Subject) -> Option<Self> {
        let id = subject.as_str().strip_prefix(PREFIX)?;
        Uuid::try_parse(id).ok().map(Self)
    }
}

const PREFIX: &str = "index/";

impl fmt::Display for IndexId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
