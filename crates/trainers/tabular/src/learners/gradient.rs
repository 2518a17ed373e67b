//! Going downhill in small steps (Adam), for everything that is made of layers.

use serde::{Deserialize, Serialize};

use trainyard_trainkit::{Adam, Chance, Net, Scratch, narrow, real, softmax};

use super::maths::{Error, class_weights, highest};
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
    /// How much of an epoch is a step.
    pub(super) part: Part,
}

/// How much of an epoch is a step, so that one step never takes long.
pub(super) struct Part {
    /// So many numbers go through the net at most.
    pub(super) cells: usize,
    /// But always so many rows, if there are as many.
    pub(super) rows_min: usize,
}

impl Part {
    pub(super) const USUAL: Self = Self { cells: 1 << 22, rows_min: 1_024 };
}

/// What is learned: the net, and where its descent stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Taught {
    net: Net,
    adam: Adam,
    steps: u32,
    /// The error of this epoch so far, on the rows to learn from; only to see that it is finite.
    error: f64,
    /// The lowest error after an epoch, on the rows to be judged by, and how many epochs have come nowhere below that
    /// since.
    lowest: f64,
    idle: u32,
}

/// What is worked out before the first step.
pub(crate) struct Notes {
    weights: Vec<f32>,
    /// The rows in the order of one epoch.
    epoch: u32,
    order: Vec<u32>,
    /// For the error on the rows to be judged by.
    validation_weights: Vec<f64>,
    /// What was said of these, and after how many steps.
    said: Option<(u32, Vec<u16>)>,
}

impl Descent {
    pub(super) fn begin(&self, lesson: &Lesson<'_>, net: Net) -> Result<Taught, LearnError> {
        super::look_at(lesson)?;
        Ok(Taught {
            adam: Adam::new(net.weights().len()),
            net,
            steps: 0,
            error: 0.0,
            lowest: f64::MAX,
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
        for rows in [lesson.train, lesson.validation] {
            rows.vectors_unless(lesson.over).ok_or(LearnError::CutShort)?;
        }
        let weights = class_weights(lesson.train_classes, lesson.classes).into_iter().map(narrow).collect();
        let validation_weights = class_weights(lesson.validation_classes, lesson.classes);
        // No epoch has this number.
        Ok(Notes { weights, epoch: u32::MAX, order: (0..rows).collect(), validation_weights, said: None })
    }

    /// One epoch; on big data a part of one.
    pub(super) fn step(
        &self,
        lesson: &Lesson<'_>,
        notes: &mut Notes,
        taught: &mut Taught,
    ) -> Result<Step, LearnError> {
        let (width, rows) = (lesson.train.encoding().width().max(1), lesson.train.len());
        let Part { cells, rows_min } = self.part;
        let part = (cells / width).clamp(rows_min, rows.max(rows_min));
        let parts = u32::try_from(rows.div_ceil(part)).unwrap_or(u32::MAX);
        let (epoch, place) = (taught.steps / parts, taught.steps % parts);
        if epoch >= self.epochs || taught.idle >= IDLE_MAX {
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
        let quick = (WORK_PER_LOOK / next.net.weights().len().max(1)).max(BATCH_MIN);
        let batch = (rows / 100).clamp(BATCH_MIN, BATCH_MAX).min(quick);
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
            let Some((error, said)) = next.judge(lesson, &notes.validation_weights) else {
                return Ok(Step::CutShort);
            };
            next.end_epoch(error);
            notes.said = Some((next.steps, said));
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
    pub(super) fn validate(&self, lesson: &Lesson<'_>, notes: &mut Notes) -> Vec<u16> {
        if let Some((steps, said)) = &notes.said
            && *steps == self.steps
        {
            return said.clone();
        }
        match self.judge(lesson, &notes.validation_weights) {
            Some((_, said)) => {
                notes.said = Some((self.steps, said.clone()));
                said
            }
            None => vec![0; lesson.validation.len()],
        }
    }

    /// What predicts, without what only goes on.
    pub(super) fn lasting(&self) -> Self {
        Self { net: self.net.clone(), adam: Adam::new(0), ..*self }
    }

    /// The error on the rows to be judged by, and what is said of them; `None` when the lesson is over.
    fn judge(&self, lesson: &Lesson<'_>, weights: &[f64]) -> Option<(f64, Vec<u16>)> {
        let (width, classes) = self.net.ends();
        let vectors = lesson.validation.vectors_unless(lesson.over)?;
        let block = (WORK_PER_LOOK / self.net.weights().len().max(1)).clamp(1, ROWS_PER_BLOCK);
        let (mut error, mut all) = (Error::default(), Vec::with_capacity(lesson.validation.len()));
        let (mut scratch, mut said) = (Scratch::default(), Vec::new());
        for (nth, of) in lesson.validation_classes.chunks(block).enumerate() {
            if lesson.is_over() {
                return None;
            }
            let vectors = &vectors[nth * block * width..][..of.len() * width];
            self.net.forward(vectors, of.len(), &mut scratch);
            said.clear();
            said.extend_from_slice(scratch.outputs());
            softmax(&mut said, classes);
            error.add(&said, of, weights);
            all.extend(highest(&said, classes));
        }
        Some((error.mean(), all))
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

    /// Ends an epoch with this error on the rows to be judged by.
    fn end_epoch(&mut self, error: f64) {
        if error < self.lowest * (1.0 - GAIN_MIN) {
            (self.lowest, self.idle) = (error, 0);
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

/// Weights times rows between two looks at whether the lesson is over, where rows are not fewer than a batch has.
const WORK_PER_LOOK: usize = 1 << 26;
/// Rows to be judged by that go through at once.
const ROWS_PER_BLOCK: usize = 1_024;
/// A hundredth of the rows is a batch, within these bounds.
const BATCH_MIN: usize = 16;
const BATCH_MAX: usize = 128;
/// After so many epochs steps are half as long.
const EPOCHS_TO_HALF: f64 = 30.0;
/// An epoch that lowers the error by less than this part of it, several times over, is no gain.
const GAIN_MIN: f64 = 1e-4;
const IDLE_MAX: u32 = 20;

#[cfg(test)]
mod tests;
