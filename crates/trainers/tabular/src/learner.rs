//! What an algorithm is: the one trait that a user implements to add one.

use std::num::NonZeroUsize;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Rows;

/// An algorithm that learns to tell classes apart, step by step.
///
/// What it has learned is a value: it goes into checkpoints and models as it is, and a run that goes on from one
/// shows the same figures as a run that was never cut short. Chance comes from [`Lesson::seed`] and the number of the
/// step alone, and no figure depends on [`Lesson::threads`].
///
/// ```
/// use trainyard_tabular::{LearnError, Learner, Lesson, Lineup, Rows, Step};
///
/// /// Says how often each class was there to learn from.
/// struct Shares;
///
/// impl Learner for Shares {
///     type Learned = Vec<f32>;
///     type Notes = ();
///
///     fn begin(&self, lesson: &Lesson<'_>) -> Result<Vec<f32>, LearnError> {
///         Ok(vec![0.0; lesson.classes])
///     }
///
///     fn prepare(&self, _: &Lesson<'_>, _: &Vec<f32>) -> Result<(), LearnError> {
///         Ok(())
///     }
///
///     fn step(&self, lesson: &Lesson<'_>, _: &mut (), learned: &mut Vec<f32>) -> Result<Step, LearnError> {
///         let one = 1.0 / lesson.train.len() as f32;
///         learned.fill(0.0);
///         lesson.train_classes.iter().for_each(|&class| learned[usize::from(class)] += one);
///         Ok(Step::Exhausted)
///     }
///
///     fn validate(&self, lesson: &Lesson<'_>, _: &mut (), learned: &Vec<f32>) -> Vec<u16> {
///         let often = (0..).zip(learned).max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(class, _)| class);
///         vec![often; lesson.validation.len()]
///     }
///
///     fn predict(&self, learned: &Vec<f32>, rows: &Rows) -> Vec<f32> {
///         learned.repeat(rows.len())
///     }
/// }
///
/// let lineup = Lineup::standard().with("shares", Shares);
/// assert!(lineup.find("shares").is_some());
/// ```
pub trait Learner: Send + Sync + 'static {
    /// What is learned so far: all that is needed to go on, and to predict. It is stored in a format that does not
    /// name its fields, so a field more or less makes another algorithm of it: give that another name.
    type Learned: Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What is worked out from the rows before the first step, and again after a restart: bins, sums. Never stored.
    type Notes: Send;

    /// Nothing learned yet.
    ///
    /// # Errors
    /// [`LearnError`] when these rows cannot be learned from.
    fn begin(&self, lesson: &Lesson<'_>) -> Result<Self::Learned, LearnError>;

    /// Works out what the next steps need, for something learned that may have come from a checkpoint.
    ///
    /// # Errors
    /// [`LearnError`]; where this takes long, [`LearnError::CutShort`] when the lesson is over.
    fn prepare(&self, lesson: &Lesson<'_>, learned: &Self::Learned) -> Result<Self::Notes, LearnError>;

    /// Learns a little more: a round, an epoch, a tree. Looks at [`Lesson::is_over`] every few milliseconds, and
    /// then returns [`Step::CutShort`] with `learned` as it was before.
    ///
    /// # Errors
    /// [`LearnError`]; nothing more will be learned.
    fn step(
        &self,
        lesson: &Lesson<'_>,
        notes: &mut Self::Notes,
        learned: &mut Self::Learned,
    ) -> Result<Step, LearnError>;

    /// The classes of the validation rows, by what is learned; one for each row. Ensembles keep sums in their notes,
    /// so that a step does not ask every tree again. Looks at [`Lesson::is_over`] every few milliseconds; once it is
    /// over, any classes will do, for nobody looks at them.
    fn validate(&self, lesson: &Lesson<'_>, notes: &mut Self::Notes, learned: &Self::Learned) -> Vec<u16>;

    /// The probability of each class for each row, row after row: `rows.len() * classes` numbers from 0 to 1 that
    /// add up to 1 per row.
    fn predict(&self, learned: &Self::Learned, rows: &Rows) -> Vec<f32>;

    /// What is left of what is learned when it is handed over, to predict by and never to go on from; `None` when that
    /// is all of it. It predicts the same.
    fn lasting(&self, learned: &Self::Learned) -> Option<Self::Learned> {
        let _ = learned;
        None
    }
}

/// What a learner learns from.
pub struct Lesson<'a> {
    /// The rows to learn from.
    pub train: &'a Rows,
    /// Their classes, from 0.
    pub train_classes: &'a [u16],
    /// The rows to be judged by.
    pub validation: &'a Rows,
    /// Their classes; to see when learning more does not help any more, and for nothing else.
    pub validation_classes: &'a [u16],
    /// How many classes there are, at least 2.
    pub classes: usize,
    /// What the caller has turned.
    pub knobs: Knobs,
    /// Where chance comes from.
    pub seed: u64,
    /// How many threads it may use.
    pub threads: NonZeroUsize,
    /// Whether the run is to end. Once it is, it stays so.
    pub over: &'a (dyn Fn() -> bool + Sync),
}

impl Lesson<'_> {
    /// Whether the run is to end; cheap.
    #[must_use]
    pub fn is_over(&self) -> bool {
        (self.over)()
    }
}

impl std::fmt::Debug for Lesson<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lesson")
            .field("train", &self.train.len())
            .field("validation", &self.validation.len())
            .field("classes", &self.classes)
            .field("knobs", &self.knobs)
            .field("seed", &self.seed)
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

/// What the caller of a training may turn. Each algorithm says which it heeds.
///
/// ```
/// use trainyard_tabular::Knobs;
///
/// assert_eq!(Knobs::default(), Knobs { scaling_factor: 19, buckets: 20 });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Knobs {
    /// How big the steps of `linear` and `network` are; 0 to [`Knobs::SCALING_FACTOR_MAX`], a higher one counts as
    /// that. Default: 19.
    pub scaling_factor: u16,
    /// How finely `boosting` tells numbers apart; [`Knobs::BUCKETS_MIN`] to [`Knobs::BUCKETS_MAX`], another one counts
    /// as the nearest of these. Default: 20.
    pub buckets: u16,
}

impl Knobs {
    /// The highest scaling factor.
    pub const SCALING_FACTOR_MAX: u16 = 499;
    /// The fewest buckets.
    pub const BUCKETS_MIN: u16 = 4;
    /// The most buckets.
    pub const BUCKETS_MAX: u16 = 1_000;
    pub(crate) const USUAL: Self = Self { scaling_factor: 19, buckets: 20 };
}

impl Default for Knobs {
    fn default() -> Self {
        Self::USUAL
    }
}

/// What a step has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// There may be more to gain.
    Again,
    /// Nothing more will be gained.
    Exhausted,
    /// It was cut short, because [`Lesson::is_over`]; what is learned is as it was before.
    CutShort,
}

/// Why nothing can be learned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LearnError {
    /// There is nothing to learn from, or nothing to be judged by.
    #[error("there are no {what} rows")]
    NoRows {
        /// Which.
        what: &'static str,
    },
    /// It was cut short, because [`Lesson::is_over`].
    #[error("it was cut short")]
    CutShort,
    /// The figures went out of bounds.
    #[error("the figures of {what} are no longer finite")]
    Diverged {
        /// What of.
        what: &'static str,
    },
    /// It needs more memory than it may have.
    #[error("it needs {needed} bytes of memory, and may have {max}")]
    Memory {
        /// So much.
        needed: u64,
        /// Its bound.
        max: u64,
    },
    /// What is learned has no binary form.
    #[error("what is learned cannot be stored: {0}")]
    Unstorable(String),
    /// It needs something that these rows, or these knobs, do not have.
    #[error("{0}")]
    Unfit(String),
}
