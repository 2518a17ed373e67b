//! Competing classifiers for tables: CSV in, a champion out.
//!
//! [`prepare`] turns a CSV into a table file, [`Dataset::open`] splits that into rows to learn from, rows to be judged
//! by and rows for the test, and [`train_candidate`] teaches one [`Algorithm`] as a run of a yard, with a report after
//! each step, checkpoints, and a [`Model`] at the end. A contest is several of them on one [`Dataset`].
//!
//! The algorithms of [`Lineup::standard`], for two classes and for more; each lets all classes count alike, however
//! rare they are:
//!
//! | name | what it is | a step | which knob it heeds |
//! |---|---|---|---|
//! | `extra-trees` | 256 trees that ask by chance, and vote | four trees | none |
//! | `linear` | weighs features and adds up (logistic regression) | an epoch | [`Knobs::scaling_factor`] |
//! | `network` | 64, then 32 units between features and classes | an epoch | [`Knobs::scaling_factor`] |
//! | `boosting` | small trees that mend the errors of those before | a tree per class | [`Knobs::buckets`] |
//!
//! The steps of `linear` and `network` are as long as `(scaling_factor + 1) / 20` says, so 0 is a twentieth of the
//! usual 19 and 499 is 25 times that. On big data an epoch is several steps.
//!
//! ```
//! use trainyard_tabular::{Dataset, Knobs, Lesson, Limits, Lineup, Shares, Step, balanced_accuracy, made, prepare};
//!
//! let folder = tempfile::tempdir()?;
//! let (csv, table) = (folder.path().join("trees.csv"), folder.path().join("trees.table"));
//! made::mixed(1, 600).write_csv(&mut std::fs::File::create(&csv)?)?;
//! prepare(&csv, &table, &Limits::default(), &|| false)?;
//! let data = Dataset::open(&table, &Shares::default(), 7, &|| false)?;
//!
//! let lesson = Lesson {
//!     train: data.train(),
//!     train_classes: data.train_classes(),
//!     validation: data.validation(),
//!     validation_classes: data.validation_classes(),
//!     classes: data.classes(),
//!     knobs: Knobs::default(),
//!     seed: 1,
//!     threads: 1.try_into()?,
//!     over: &|| false,
//! };
//! let lineup = Lineup::standard();
//! let mut course = lineup.find("boosting").expect("it is one of the four").begin(&lesson)?;
//! let mut performance = 0.0;
//! while performance < 0.8 && course.step(&lesson)? == Step::Again {
//!     performance = balanced_accuracy(data.validation_classes(), &course.validate(&lesson), data.classes());
//! }
//! assert!(performance >= 0.8);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What it keeps to:
//!
//! - A seed means the same figures for any number of threads, and for a run that was cut short and resumed as for one
//!   that was not. `linear` and `network` multiply by a kernel chosen by the vector instructions of the machine; between
//!   machines with different ones their last bits differ.
//! - What is learned is bounded, whatever the data: 256 trees of 8,191 nodes at most, fewer with many classes; 1,000
//!   rounds of trees of 61 nodes, fewer with many classes; and the weights of as many components as vectors have, which
//!   are 4,096 or, where that is more, three for each column. [`Prepared::training_bytes`] counts all of it.
//! - Who is told to stop does so within some tens of milliseconds, also in the middle of a step, or while a table is
//!   read or a champion is measured.
//! - A text that none of the rows learned from has says nothing of its row. In questions about it `boosting` sends it
//!   with the many, `extra-trees` by chance.
//! - Whether there is more to gain is judged by the validation rows, as who is best is.

mod checkpoint;
mod data;
mod learner;
mod learners;
mod lineup;
mod model;
mod trainer;

pub use crate::data::{
    Dataset, Encoding, Feature, Fields, Limits, Place, Prepared, Refusal, Rows, Schema, Shares, TableError,
    balanced_accuracy, made, prepare,
};
pub use crate::learner::{Knobs, LearnError, Learner, Lesson, Step};
pub use crate::lineup::{Algorithm, Course, Lineup, Predictor, RecallError, ResumeError};
pub use crate::model::{Model, ModelError, PredictError};
pub use crate::trainer::{Order, train_candidate};
