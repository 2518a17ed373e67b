//! The algorithms of this crate.

mod bins;
mod boosting;
mod extra_trees;
mod gradient;
mod leafwise;
mod linear;
mod maths;
mod memory;
mod network;
mod tree;

pub(crate) use boosting::Boosting;
pub(crate) use extra_trees::ExtraTrees;
pub(crate) use linear::Linear;
pub(crate) use maths::highest;
pub(crate) use memory::{Needs, Shape};
pub(crate) use network::Network;

use crate::{LearnError, Lesson};

/// How many rows there are to learn from, if they are some, and there are some to be judged by.
fn look_at(lesson: &Lesson<'_>) -> Result<u32, LearnError> {
    if lesson.validation.is_empty() {
        return Err(LearnError::NoRows { what: "validation" });
    }
    match u32::try_from(lesson.train.len()) {
        Ok(0) => Err(LearnError::NoRows { what: "training" }),
        Ok(rows) => Ok(rows),
        Err(_) => Err(LearnError::Unfit(format!("there are more than {} rows", u32::MAX))),
    }
}

fn too_many(classes: usize) -> LearnError {
    LearnError::Unfit(format!("there are {classes} classes, more than {}", u16::MAX))
}

#[cfg(test)]
mod tests;

/// Rows between two looks at whether the lesson is over.
const ROWS_PER_LOOK: usize = 1 << 14;
