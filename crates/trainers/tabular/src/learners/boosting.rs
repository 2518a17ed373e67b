use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};
use trainyard_trainkit::{each, exp, narrow, softmax};

use super::ROWS_PER_LOOK;
use super::bins::Bins;
pub(super) use super::leafwise::NODES_MAX;
use super::leafwise::{Grown, Leaves, Pull, grow};
use super::maths::{Error, class_weights, highest};
use super::tree::Tree;
use crate::{LearnError, Learner, Lesson, Rows, Step};

/// Small trees, each of which mends what is left of the errors of those before (gradient boosting with histograms).
///
/// A step is a round: one tree for two classes, one for each class otherwise. A tree asks only whether a number is up
/// to the end of a bucket, and there are as many of these as the knob says; texts go left or right as they are. Rows
/// without a value go to the side where more is gained, and a text that no row here has goes with the many. It draws
/// nothing by chance.
///
/// After Friedman, "Greedy function approximation: a gradient boosting machine" (Annals of Statistics 29, 2001); with
/// the gain by slopes and bends of Chen and Guestrin, "XGBoost" (2016; <https://arxiv.org/abs/1603.02754>), and the
/// histograms and leaf-wise growth of Ke and others, "LightGBM" (NIPS 2017).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Boosting;

/// The trees, and how they do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rounds {
    classes: u16,
    /// Round by round; [`lanes`] of them in each.
    trees: Vec<Tree>,
    /// The lowest error for the validation rows so far, and how many rounds have not been below that since.
    lowest: f64,
    idle: u32,
}

/// What is worked out before the first step.
pub(crate) struct Notes {
    bins: Bins,
    weights: Vec<f64>,
    /// The sums of the trees for the rows to learn from and for those to be judged by.
    train: Vec<f32>,
    validation: Vec<f32>,
    /// The leaves of the last round, of which `added` trees' are in the sums for the rows to learn from.
    last: Vec<Leaves>,
    added: usize,
    /// For the error on the rows to be judged by.
    validation_weights: Vec<f64>,
}

impl Learner for Boosting {
    type Learned = Rounds;
    type Notes = Notes;

    fn begin(&self, lesson: &Lesson<'_>) -> Result<Rounds, LearnError> {
        super::look_at(lesson)?;
        let classes = u16::try_from(lesson.classes);
        let classes = classes.map_err(|_| super::too_many(lesson.classes))?;
        Ok(Rounds { classes, trees: Vec::new(), lowest: f64::MAX, idle: 0 })
    }

    fn prepare(&self, lesson: &Lesson<'_>, rounds: &Rounds) -> Result<Notes, LearnError> {
        super::look_at(lesson)?;
        if !rounds.fits(lesson.classes) {
            return Err(LearnError::Unfit("these rows have other classes than those learned from".into()));
        }
        let lanes = lanes(lesson.classes);
        let sums = |rows: &Rows| {
            let mut sums = vec![0.0; rows.len() * lanes];
            for (number, tree) in rounds.trees.iter().enumerate() {
                if !tree.add_to(&mut sums, rows.columns(), (number % lanes, lanes), lesson.over) {
                    return Err(LearnError::CutShort);
                }
            }
            Ok(sums)
        };
        Ok(Notes {
            bins: Bins::new(lesson)?,
            weights: class_weights(lesson.train_classes, lesson.classes),
            train: sums(lesson.train)?,
            validation: sums(lesson.validation)?,
            last: Vec::new(),
            added: 0,
            validation_weights: class_weights(lesson.validation_classes, lesson.classes),
        })
    }

    fn step(&self, lesson: &Lesson<'_>, notes: &mut Notes, rounds: &mut Rounds) -> Result<Step, LearnError> {
        let (classes, lanes) = (lesson.classes, lanes(lesson.classes));
        let rounds_max = trees_max(classes) / lanes;
        if rounds.trees.len() / lanes >= rounds_max || rounds.idle >= IDLE_MAX {
            return Ok(Step::Exhausted);
        }
        if !notes.catch_up(lesson, lanes) {
            return Ok(Step::CutShort);
        }
        let Some(said) = probabilities(lesson, &notes.train, classes) else {
            return Ok(Step::CutShort);
        };
        // Many trees share the threads one by one, a single one feature by feature.
        let within = if lanes == 1 { lesson.threads } else { NonZeroUsize::MIN };
        let grown: Option<Vec<Grown>> = each(lesson.threads, lanes, |lane| {
            if lesson.is_over() {
                return None;
            }
            // The only lane of two classes is that of the second.
            let class = if lanes == 1 { 1 } else { lane };
            let pull = pull(lesson, &said, &notes.weights, class);
            grow(lesson, &notes.bins, &pull, within)
        })
        .into_iter()
        .collect();
        drop(said);
        let Some(grown) = grown else {
            return Ok(Step::CutShort);
        };
        let mut validation = notes.validation.clone();
        for (lane, grown) in grown.iter().enumerate() {
            if !grown.tree.add_to(&mut validation, lesson.validation.columns(), (lane, lanes), lesson.over) {
                return Ok(Step::CutShort);
            }
        }
        let Some(error) = error(lesson, &validation, &notes.validation_weights) else {
            return Ok(Step::CutShort);
        };
        // From here on it is a round more.
        let (trees, leaves): (Vec<Tree>, Vec<Leaves>) =
            grown.into_iter().map(|grown| (grown.tree, grown.leaves)).unzip();
        rounds.trees.extend(trees);
        (notes.last, notes.added, notes.validation) = (leaves, 0, validation);
        if error < rounds.lowest {
            (rounds.lowest, rounds.idle) = (error, 0);
        } else {
            rounds.idle += 1;
        }
        let is_over = rounds.idle >= IDLE_MAX || rounds.trees.len() / lanes >= rounds_max;
        Ok(if is_over { Step::Exhausted } else { Step::Again })
    }

    fn validate(&self, lesson: &Lesson<'_>, notes: &mut Notes, _: &Rounds) -> Vec<u16> {
        let mut said = Vec::with_capacity(lesson.validation.len());
        for block in notes.validation.chunks(lanes(lesson.classes) * ROWS_PER_LOOK) {
            if lesson.is_over() {
                break;
            }
            said.extend(highest(&shares(block, lesson.classes), lesson.classes));
        }
        said.resize(lesson.validation.len(), 0);
        said
    }

    fn predict(&self, rounds: &Rounds, rows: &Rows) -> Vec<f32> {
        let classes = usize::from(rounds.classes);
        if !rounds.fits(classes) {
            return Vec::new();
        }
        let lanes = lanes(classes);
        let mut sums = vec![0.0; rows.len() * lanes];
        for (number, tree) in rounds.trees.iter().enumerate() {
            let _whole = tree.add_to(&mut sums, rows.columns(), (number % lanes, lanes), &|| false);
        }
        shares(&sums, classes)
    }
}

impl Rounds {
    fn fits(&self, classes: usize) -> bool {
        classes >= 2
            && usize::from(self.classes) == classes
            && self.trees.len().is_multiple_of(lanes(classes))
            && self.trees.iter().all(|tree| tree.width() == 1)
    }
}

impl Notes {
    /// Adds what the last round has grown to the sums; `false` when the lesson is over, and then it goes on from there
    /// the next time.
    fn catch_up(&mut self, lesson: &Lesson<'_>, lanes: usize) -> bool {
        while let Some(leaves) = self.last.get_mut(self.added) {
            if !leaves.drain_to(&mut self.train, self.added, lanes, lesson.over) {
                return false;
            }
            self.added += 1;
        }
        (self.last, self.added) = (Vec::new(), 0);
        true
    }
}

/// How many trees there are at the end.
pub(super) fn trees_max(classes: usize) -> usize {
    let lanes = lanes(classes);
    (TREES_MAX / lanes).clamp(ROUNDS.0, ROUNDS.1) * lanes
}

/// How many scores a row has: for two classes the first always has none.
const fn lanes(classes: usize) -> usize {
    if classes == 2 { 1 } else { classes }
}

/// Probabilities for scores; `None` when the lesson is over.
fn probabilities(lesson: &Lesson<'_>, scores: &[f32], classes: usize) -> Option<Vec<f32>> {
    let lanes = lanes(classes);
    let mut all = Vec::with_capacity(scores.len() / lanes * classes);
    for block in scores.chunks(lanes * ROWS_PER_LOOK) {
        if lesson.is_over() {
            return None;
        }
        all.extend(shares(block, classes));
    }
    Some(all)
}

/// The error on the rows to be judged by; `None` when the lesson is over.
fn error(lesson: &Lesson<'_>, scores: &[f32], weights: &[f64]) -> Option<f64> {
    let mut error = Error::default();
    let blocks = scores.chunks(lanes(lesson.classes) * ROWS_PER_LOOK);
    for (scores, of) in blocks.zip(lesson.validation_classes.chunks(ROWS_PER_LOOK)) {
        if lesson.is_over() {
            return None;
        }
        error.add(&shares(scores, lesson.classes), of, weights);
    }
    Some(error.mean())
}

/// Probabilities for scores, row by row.
fn shares(scores: &[f32], classes: usize) -> Vec<f32> {
    if lanes(classes) == 1 {
        // 1 / (1 + e^-s), with the smaller of the two worked out first: that keeps its digits.
        let both = scores.iter().map(|&score| {
            let small = exp(-score.abs());
            let (low, high) = (small / (1.0 + small), 1.0 / (1.0 + small));
            if score > 0.0 { [low, high] } else { [high, low] }
        });
        return both.flatten().collect();
    }
    let mut shares = scores.to_vec();
    softmax(&mut shares, classes);
    shares
}

/// What each row wants of the score of a class.
fn pull(lesson: &Lesson<'_>, said: &[f32], weights: &[f64], class: usize) -> Pull {
    let weights: Vec<f32> = weights.iter().map(|&weight| narrow(weight)).collect();
    let wanted = said.chunks_exact(lesson.classes).zip(lesson.train_classes).map(|(said, &of)| {
        let (of, said) = (usize::from(of), said[class]);
        let weight = weights[of];
        let is = if of == class { 1.0 } else { 0.0 };
        (weight * (said - is), weight * said * (1.0 - said))
    });
    let (slopes, bends) = wanted.unzip();
    Pull { slopes, bends }
}

/// Trees at the end, so that a model has a bound; and rounds, whatever the classes.
const TREES_MAX: usize = 10_000;
const ROUNDS: (usize, usize) = (50, 1_000);
/// After so many rounds that did not lower the error there is nothing more to gain.
const IDLE_MAX: u32 = 100;
