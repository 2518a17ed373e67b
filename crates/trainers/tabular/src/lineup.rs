//! Algorithms by name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::learners::{Boosting, ExtraTrees, Linear, Network};
use crate::{LearnError, Learner, Lesson, Rows, Step};

/// The algorithms there are, by name.
///
/// ```
/// use trainyard_tabular::Lineup;
///
/// let lineup = Lineup::standard();
/// let names: Vec<&str> = lineup.names().collect();
/// assert_eq!(names, ["boosting", "extra-trees", "linear", "network"]);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Lineup {
    algorithms: BTreeMap<Arc<str>, Algorithm>,
}

impl Lineup {
    /// Nobody yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The four of this crate: `extra-trees`, `linear`, `network` and `boosting`; the crate's page tells what they
    /// are.
    #[must_use]
    pub fn standard() -> Self {
        Self::new()
            .with("extra-trees", ExtraTrees)
            .with("linear", Linear)
            .with("network", Network)
            .with("boosting", Boosting)
    }

    /// One more. Of two under one name the last counts.
    #[must_use]
    pub fn with(mut self, name: &str, learner: impl Learner) -> Self {
        let algorithm = Algorithm::new(name, learner);
        self.algorithms.insert(Arc::clone(&algorithm.name), algorithm);
        self
    }

    /// The one of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Algorithm> {
        self.algorithms.get(name)
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.algorithms.keys().map(|name| &**name)
    }
}

/// A [`Learner`] with a name. Cheap to clone.
#[derive(Clone)]
pub struct Algorithm {
    name: Arc<str>,
    learner: Arc<dyn Teachable>,
}

impl Algorithm {
    /// A learner under a name.
    #[must_use]
    pub fn new(name: &str, learner: impl Learner) -> Self {
        Self { name: name.into(), learner: Arc::new(Shelf(Arc::new(learner))) }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Begins to learn.
    ///
    /// # Errors
    /// [`LearnError`] when these rows cannot be learned from.
    pub fn begin(&self, lesson: &Lesson<'_>) -> Result<Course, LearnError> {
        self.learner.begin(lesson).map(Course)
    }

    /// Goes on from what [`Course::save`] gave for the same lesson. For another lesson it may give nonsense.
    ///
    /// # Errors
    /// [`ResumeError`] when that is not what was saved, or these rows cannot be learned from.
    pub fn resume(&self, lesson: &Lesson<'_>, learned: &[u8]) -> Result<Course, ResumeError> {
        self.learner.resume(lesson, learned).map(Course)
    }

    /// What [`Course::save`] or [`Course::lasting`] gave, ready to predict.
    ///
    /// # Errors
    /// [`RecallError`] when it is not from this algorithm.
    pub fn recall(&self, learned: &[u8]) -> Result<Predictor, RecallError> {
        self.learner.recall(learned).map(Predictor)
    }

    /// The probability of each class for each row, row after row, by what [`Course::save`] or [`Course::lasting`] gave.
    ///
    /// Who predicts more than once asks [`Algorithm::recall`].
    ///
    /// # Errors
    /// [`RecallError`] when it is not from this algorithm.
    pub fn predict(&self, learned: &[u8], rows: &Rows) -> Result<Vec<f32>, RecallError> {
        Ok(self.recall(learned)?.predict(rows))
    }
}

impl fmt::Debug for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Algorithm").field(&self.name).finish()
    }
}

/// One learner at work on one lesson: what it has learned, and its notes.
pub struct Course(Box<dyn Attended>);

impl Course {
    /// Learns a little more. After [`Step::CutShort`] everything is as before.
    ///
    /// # Errors
    /// [`LearnError`]; nothing more will be learned.
    pub fn step(&mut self, lesson: &Lesson<'_>) -> Result<Step, LearnError> {
        self.0.step(lesson)
    }

    /// The classes of the validation rows, by what is learned; of no worth once the lesson is over.
    pub fn validate(&mut self, lesson: &Lesson<'_>) -> Vec<u16> {
        self.0.validate(lesson)
    }

    /// The probability of each class for each row, row after row.
    #[must_use]
    pub fn predict(&self, rows: &Rows) -> Vec<f32> {
        self.0.predict(rows)
    }

    /// What is learned, to go on from and to predict with.
    ///
    /// # Errors
    /// [`LearnError::Unstorable`] when its type has no binary form.
    pub fn save(&self) -> Result<Vec<u8>, LearnError> {
        self.0.save()
    }

    /// What is learned, to predict with and never to go on from: [`Course::save`] without what only the way there
    /// needs.
    ///
    /// # Errors
    /// As [`Course::save`].
    pub fn lasting(&self) -> Result<Vec<u8>, LearnError> {
        self.0.lasting()
    }
}

impl fmt::Debug for Course {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Course").finish_non_exhaustive()
    }
}

/// Something learned, ready to predict.
pub struct Predictor(Box<dyn Recalled>);

impl Predictor {
    /// The probability of each class for each row, row after row.
    #[must_use]
    pub fn predict(&self, rows: &Rows) -> Vec<f32> {
        self.0.predict(rows)
    }
}

impl fmt::Debug for Predictor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Predictor").finish_non_exhaustive()
    }
}

/// Bytes that are not what an algorithm has learned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is not what the algorithm has learned")]
#[non_exhaustive]
pub struct RecallError {
    source: postcard::Error,
}

/// Why a course cannot be resumed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResumeError {
    /// These bytes are not from this algorithm.
    #[error(transparent)]
    Recall(#[from] RecallError),
    /// These rows cannot be learned from.
    #[error(transparent)]
    Learn(#[from] LearnError),
}

/// A learner, whatever its types.
trait Teachable: Send + Sync {
    fn begin(&self, lesson: &Lesson<'_>) -> Result<Box<dyn Attended>, LearnError>;
    fn resume(&self, lesson: &Lesson<'_>, learned: &[u8]) -> Result<Box<dyn Attended>, ResumeError>;
    fn recall(&self, learned: &[u8]) -> Result<Box<dyn Recalled>, RecallError>;
}

/// A course, whatever its types.
trait Attended: Send {
    fn step(&mut self, lesson: &Lesson<'_>) -> Result<Step, LearnError>;
    fn validate(&mut self, lesson: &Lesson<'_>) -> Vec<u16>;
    fn predict(&self, rows: &Rows) -> Vec<f32>;
    fn save(&self) -> Result<Vec<u8>, LearnError>;
    fn lasting(&self) -> Result<Vec<u8>, LearnError>;
}

/// Something learned, whatever its type.
trait Recalled: Send + Sync {
    fn predict(&self, rows: &Rows) -> Vec<f32>;
}

struct Shelf<L>(Arc<L>);

struct Desk<L: Learner> {
    learner: Arc<L>,
    learned: L::Learned,
    notes: L::Notes,
}

struct Memory<L: Learner> {
    learner: Arc<L>,
    learned: L::Learned,
}

impl<L: Learner> Teachable for Shelf<L> {
    fn begin(&self, lesson: &Lesson<'_>) -> Result<Box<dyn Attended>, LearnError> {
        let learned = self.0.begin(lesson)?;
        let notes = self.0.prepare(lesson, &learned)?;
        Ok(Box::new(Desk { learner: Arc::clone(&self.0), learned, notes }))
    }

    fn resume(&self, lesson: &Lesson<'_>, learned: &[u8]) -> Result<Box<dyn Attended>, ResumeError> {
        let learned: L::Learned = decode(learned)?;
        let notes = self.0.prepare(lesson, &learned)?;
        Ok(Box::new(Desk { learner: Arc::clone(&self.0), learned, notes }))
    }

    fn recall(&self, learned: &[u8]) -> Result<Box<dyn Recalled>, RecallError> {
        Ok(Box::new(Memory { learner: Arc::clone(&self.0), learned: decode(learned)? }))
    }
}

impl<L: Learner> Attended for Desk<L> {
    fn step(&mut self, lesson: &Lesson<'_>) -> Result<Step, LearnError> {
        self.learner.step(lesson, &mut self.notes, &mut self.learned)
    }

    fn validate(&mut self, lesson: &Lesson<'_>) -> Vec<u16> {
        self.learner.validate(lesson, &mut self.notes, &self.learned)
    }

    fn predict(&self, rows: &Rows) -> Vec<f32> {
        self.learner.predict(&self.learned, rows)
    }

    fn save(&self) -> Result<Vec<u8>, LearnError> {
        encode(&self.learned)
    }

    fn lasting(&self) -> Result<Vec<u8>, LearnError> {
        match self.learner.lasting(&self.learned) {
            Some(lasting) => encode(&lasting),
            None => encode(&self.learned),
        }
    }
}

impl<L: Learner> Recalled for Memory<L> {
    fn predict(&self, rows: &Rows) -> Vec<f32> {
        self.learner.predict(&self.learned, rows)
    }
}

fn encode<T: serde::Serialize>(learned: &T) -> Result<Vec<u8>, LearnError> {
    postcard::to_allocvec(learned).map_err(|error| LearnError::Unstorable(error.to_string()))
}

fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, RecallError> {
    match postcard::take_from_bytes(bytes) {
        Ok((learned, [])) => Ok(learned),
        Ok((_, _)) => Err(RecallError { source: postcard::Error::SerdeDeCustom }),
        Err(source) => Err(RecallError { source }),
    }
}
