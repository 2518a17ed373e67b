//! Going downhill in small steps (Adam), for everything that is made of layers.

use serde::{Deserialize, Serialize};

use trainyard_trainkit::{Adam, Chance, Net, Scratch, narrow, real, softmax};

use super::maths::{class_weights, highest};
use crate::{Knobs, LearnError, Lesson, Rows, Step};

/// How a sort of net is taught.
pub(super) struct Descent {
    /// What it is called when it fails.
    pub(super) what: &'static str,
    /// How far a weight moves per batch at most, about, at the usual scaling factor.
    pub(super) rate: f64,
    /// How much of itself a weight loses per step of that length.
    pub(super) decay: f32,
    /// How often it may see all rows.
    pub(super) epochs: u32,
}

/// What is learned: the net, and where its descent stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Taught {
    net: Net,
    adam: Adam,
    steps: u32,
    /// The lowest error of an epoch, that of this one so far, and how many have come nowhere below that since.
    lowest: f64,
    error: f64,
    idle: u32,
}

/// What is worked out before the first step.
pub(crate) struct Notes {
    weights: Vec<f32>,
    /// The rows in the order of one epoch.
    epoch: u32,
    order: Vec<u32>,
}

impl Descent {
    pub(super) fn begin(&self, lesson: &Lesson<'_>, net: Net) -> Result<Taught, LearnError> {
        super::look_at(lesson)?;
        Ok(Taught {
            adam: Adam::new(net.weights().len()),
            net,
            steps: 0,
            lowest: f64::MAX,
            error: 0.0,
            idle: 0,
        })
    }

    pub(super) fn prepare(&self, lesson: &Lesson<'_>, taught: &Taught) -> Result<Notes, LearnError> {
        let rows = super::look_at(lesson)?;
        if !taught.fits(lesson) {
            return Err(LearnError::Unfit(format!(
                "these rows are not those that {} learned from",
                self.what
            )));
        }
        let weights = class_weights(lesson.train_classes, lesson.classes).into_iter().map(narrow).collect();
        // No epoch has this number.
        Ok(Notes { weights, epoch: u32::MAX, order: (0..rows).collect() })
    }

    /// One epoch; on big data a part of one.
    pub(super) fn step(
        &self,
        lesson: &Lesson<'_>,
        notes: &mut Notes,
        taught: &mut Taught,
    ) -> Result<Step, LearnError> {
        let (width, rows) = (lesson.train.encoding().width().max(1), lesson.train.len());
        let part = (CELLS_PER_STEP / width).clamp(ROWS_PER_STEP_MIN, rows.max(ROWS_PER_STEP_MIN));
        let parts = u32::try_from(rows.div_ceil(part)).unwrap_or(u32::MAX);
        let (epoch, place) = (taught.steps / parts, taught.steps % parts);
        if epoch >= self.epochs {
            return Ok(Step::Exhausted);
        }
        if notes.epoch != epoch {
            (0..).zip(notes.order.iter_mut()).for_each(|(row, place)| *place = row);
            Chance::new(lesson.seed, u64::from(epoch) + 1).shuffle(&mut notes.order);
            notes.epoch = epoch;
        }
        let first = usize::try_from(place).map_or(rows, |place| place * part);
        let order = &notes.order[first..rows.min(first + part)];
        let mut next = taught.clone();
        let batch = (rows / 100).clamp(BATCH_MIN, BATCH_MAX);
        let mut pass = Pass::default();
        let rate = self.rate_of(lesson.knobs, epoch);
        for batch in order.chunks(batch) {
            if lesson.is_over() {
                return Ok(Step::CutShort);
            }
            next.error += pass.run(&next.net, lesson, &notes.weights, batch);
            next.adam.descend(next.net.weights_mut(), &pass.slopes, rate, self.decay);
        }
        if !next.net.weights().iter().all(|weight| weight.is_finite()) || !next.error.is_finite() {
            return Err(LearnError::Diverged { what: self.what });
        }
        next.steps += 1;
        if place + 1 == parts {
            next.end_epoch();
        }
        *taught = next;
        let is_over = taught.idle >= IDLE_MAX || taught.steps / parts >= self.epochs;
        Ok(if is_over { Step::Exhausted } else { Step::Again })
    }

    /// Proportional to the scaling factor plus one, and less and less over the epochs.
    fn rate_of(&self, knobs: Knobs, epoch: u32) -> f64 {
        let factor = knobs.scaling_factor.min(Knobs::SCALING_FACTOR_MAX);
        let usual = f64::from(Knobs::USUAL.scaling_factor) + 1.0;
        let left = 1.0 / (1.0 + f64::from(epoch) / EPOCHS_TO_HALF);
        self.rate * (f64::from(factor) + 1.0) / usual * left
    }
}

impl Taught {
    pub(super) fn validate(&self, lesson: &Lesson<'_>) -> Vec<u16> {
        highest(&self.predict(lesson.validation), lesson.classes)
    }

    pub(super) fn predict(&self, rows: &Rows) -> Vec<f32> {
        let mut probabilities = self.net.outputs(rows.vectors(), rows.len());
        softmax(&mut probabilities, self.net.ends().1);
        probabilities
    }

    fn fits(&self, lesson: &Lesson<'_>) -> bool {
        self.net.ends() == (lesson.train.encoding().width(), lesson.classes)
            && self.adam.fits(self.net.weights().len())
    }

    fn end_epoch(&mut self) {
        if self.error < self.lowest * (1.0 - GAIN_MIN) {
            (self.lowest, self.idle) = (self.error, 0);
        } else {
            self.idle += 1;
        }
        self.error = 0.0;
    }
}

/// One batch: forwards and backwards.
#[derive(Default)]
struct Pass {
    vectors: Vec<f32>,
    probabilities: Vec<f32>,
    scratch: Scratch,
    slopes: Vec<f32>,
}

impl Pass {
    /// Leaves the slopes; gives the summed squared error of what the net said.
    fn run(&mut self, net: &Net, lesson: &Lesson<'_>, weights: &[f32], rows: &[u32]) -> f64 {
        let (width, classes) = net.ends();
        let all = lesson.train.vectors();
        self.vectors.clear();
        for &row in rows {
            self.vectors.extend_from_slice(&all[row as usize * width..][..width]);
        }
        net.forward(&self.vectors, rows.len(), &mut self.scratch);
        self.probabilities.clear();
        self.probabilities.extend_from_slice(self.scratch.outputs());
        softmax(&mut self.probabilities, classes);
        let mut sum = 0.0;
        for (said, &row) in self.probabilities.chunks_exact_mut(classes).zip(rows) {
            let class = usize::from(lesson.train_classes[row as usize]);
            let weight = weights[class];
            said[class] -= 1.0;
            let squares: f32 = said.iter().map(|apart| apart * apart).sum();
            sum += f64::from(weight * squares);
            let counted = weight / narrow(real(rows.len()));
            said.iter_mut().for_each(|apart| *apart *= counted);
        }
        self.slopes.resize(net.weights().len(), 0.0);
        net.backward(&self.vectors, &self.probabilities, &mut self.scratch, &mut self.slopes);
        sum
    }
}

/// So many numbers go through a net in one step at most, but always a few rows.
const CELLS_PER_STEP: usize = 1 << 22;
const ROWS_PER_STEP_MIN: usize = 1_024;
/// A hundredth of the rows is a batch, within these bounds.
const BATCH_MIN: usize = 16;
const BATCH_MAX: usize = 128;
/// After so many epochs steps are half as long.
const EPOCHS_TO_HALF: f64 = 30.0;
/// An epoch that lowers the error by less than this part of it, several times over, is no gain.
const GAIN_MIN: f64 = 1e-4;
const IDLE_MAX: u32 = 20;
