//! What an adapter learns from, and how far it has come.

use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use trainyard_trainkit::Chance;
use trainyard_trajectories::{Row, held_out_rows};

use crate::learn::{Asked, Desk, Downhill, Places, Turns, rate};
use crate::model::Lora;
use crate::tokens::Text;
use crate::{Base, Order};

/// What an adapter learns from.
#[derive(Debug)]
pub(crate) struct Lesson<'a> {
    pub(crate) base: &'a Base,
    pub(crate) order: &'a Order,
    pub(crate) seed: u64,
    pub(crate) threads: NonZeroUsize,
    pub(crate) texts: Vec<Text>,
    pub(crate) held_out: Vec<Text>,
}

impl<'a> Lesson<'a> {
    /// Rows as texts, and some of them held out: no question is both learned and held out.
    pub(crate) fn new(
        base: &'a Base,
        order: &'a Order,
        rows: &[Row],
        seed: u64,
        threads: NonZeroUsize,
    ) -> Self {
        let (mut texts, mut kept) = (Vec::new(), Vec::new());
        for (row, is_held_out) in rows.iter().zip(held_out_rows(rows, order.held_out_share)) {
            let text = Text::new(&row.system, &row.user, &row.expected, base.shape().sizes().context);
            if is_held_out { kept.push(text) } else { texts.push(text) }
        }
        Self { base, order, seed, threads, texts, held_out: kept }
    }

    /// A digest of all that decides what is learned.
    pub(crate) fn fingerprint(&self) -> [u8; 32] {
        let Order { iterations, batch_size, learning_rate, rank, .. } = self.order;
        let mut digest = Sha256::new();
        digest.update(self.base.digest);
        let numbers = [
            *iterations,
            *batch_size,
            learning_rate.to_bits(),
            rank.get().into(),
            rank.alpha().to_bits().into(),
            self.seed,
            self.texts.len() as u64,
        ];
        numbers.iter().for_each(|number| digest.update(number.to_le_bytes()));
        for text in &self.texts {
            digest.update((text.tokens.len() as u64).to_le_bytes());
            digest.update((text.answer as u64).to_le_bytes());
            let bytes: Vec<u8> = text.tokens.iter().flat_map(|token| token.to_le_bytes()).collect();
            digest.update(bytes);
        }
        digest.finalize().into()
    }
}

/// All that was learned, and is needed to go on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Course {
    pub(crate) step: u64,
    /// The loss of each step.
    pub(crate) losses: Vec<f32>,
    weights: Vec<f32>,
    downhill: Downhill,
}

impl Course {
    /// One that has learned nothing.
    pub(crate) fn begin(lesson: &Lesson<'_>) -> Self {
        let mut chance = Chance::new(lesson.seed, WEIGHTS);
        let lora = Lora::seeded(lesson.base.shape(), lesson.order.rank, &mut chance);
        let downhill = Downhill::new(lora.weights.len());
        Self { step: 0, losses: Vec::new(), weights: lora.weights, downhill }
    }

    /// Whether it can go on with the lesson.
    pub(crate) fn fits(&self, lesson: &Lesson<'_>) -> bool {
        let count = Lora::count(lesson.base.shape(), lesson.order.rank);
        self.weights.len() as u64 == count
            && self.downhill.fits(self.weights.len())
            && self.step <= lesson.order.iterations
            && self.losses.len() as u64 == self.step
            && self.losses.iter().chain(&self.weights).all(|number| number.is_finite())
    }

    /// The mean of the last of the losses; naught when there are none.
    pub(crate) fn mean(losses: &[f32]) -> f64 {
        let last = &losses[losses.len().saturating_sub(LOSSES)..];
        let sum: f64 = last.iter().map(|loss| f64::from(*loss)).sum();
        sum / trainyard_trainkit::real(last.len().max(1))
    }
}

/// A course at work.
#[derive(Debug)]
pub(crate) struct Learner<'a> {
    lesson: &'a Lesson<'a>,
    lora: Lora,
    turns: Turns,
    places: Places,
}

impl<'a> Learner<'a> {
    pub(crate) fn new(lesson: &'a Lesson<'a>) -> Self {
        Self {
            lesson,
            lora: Lora::flat(lesson.base.shape(), lesson.order.rank),
            turns: Turns::new(lesson.texts.len(), lesson.seed, ORDER),
            places: Places::default(),
        }
    }

    /// One step downhill. Says the loss before it.
    pub(crate) fn learn(&mut self, course: &mut Course) -> f64 {
        let Self { lesson, lora, turns, places } = self;
        let Order { iterations, batch_size, learning_rate, .. } = lesson.order;
        let first = course.step * batch_size;
        let texts: Vec<&Text> = (first..first + batch_size).map(|n| &lesson.texts[turns.nth(n)]).collect();
        std::mem::swap(&mut lora.weights, &mut course.weights);
        let desk = Desk::new(&lesson.base.model, lesson.threads, places);
        let (loss, mut slopes) = desk.slopes(Some(lora), &texts, Asked::Answer);
        let rate = rate(course.step, *iterations, *learning_rate);
        course.downhill.descend(&mut lora.weights, &mut slopes, rate);
        std::mem::swap(&mut lora.weights, &mut course.weights);
        course.losses.push(trainyard_trainkit::narrow(loss));
        course.step += 1;
        loss
    }

    /// The sum of the losses of some texts, and over how many tokens it is.
    pub(crate) fn loss(&mut self, course: &mut Course, texts: &[Text]) -> (f64, usize) {
        std::mem::swap(&mut self.lora.weights, &mut course.weights);
        let desk = Desk::new(&self.lesson.base.model, self.lesson.threads, &self.places);
        let loss = desk.loss(Some(&self.lora), texts);
        std::mem::swap(&mut self.lora.weights, &mut course.weights);
        loss
    }

    /// The adapter that was learned, if all of it are numbers.
    pub(crate) fn finish(mut self, course: &mut Course) -> Option<Lora> {
        std::mem::swap(&mut self.lora.weights, &mut course.weights);
        self.lora.weights.iter().all(|weight| weight.is_finite()).then_some(self.lora)
    }
}

/// Steps whose mean loss is told at the end.
const LOSSES: usize = 10;

// Uses of the seed. Each has room for 2^60 numbers, so none meets another.
const WEIGHTS: u64 = 0;
const ORDER: u64 = 1 << 60;
