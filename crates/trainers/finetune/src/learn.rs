//! One step downhill: texts in groups that threads share, and slopes that are added up in the order of the groups.

use std::num::NonZeroUsize;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use trainyard_trainkit::{Adam, Chance, each, narrow, real};

use crate::model::{Batch, Errors, Lora, Model, Tape};
use crate::tokens::Text;

/// Which tokens of a text are to be foreseen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// All but the first.
    All,
    /// Those of the answer.
    Answer,
}

/// A model, with or without an adapter, and those who work on it.
#[derive(Debug)]
pub(crate) struct Desk<'a> {
    pub(crate) model: &'a Model,
    pub(crate) threads: NonZeroUsize,
    /// As many as worked at once; each pass writes over what the last has left.
    places: &'a Places,
}

/// Where passes leave what they need on the way back.
#[derive(Debug, Default)]
pub(crate) struct Places(Mutex<Vec<(Tape, Errors)>>);

#[cfg(test)]
impl Places {
    /// How many numbers there is room for.
    pub(crate) fn numbers(&self) -> usize {
        self.0.lock().iter().map(|(tape, errors)| tape.numbers() + errors.numbers()).sum()
    }
}

impl<'a> Desk<'a> {
    pub(crate) const fn new(model: &'a Model, threads: NonZeroUsize, places: &'a Places) -> Self {
        Self { model, threads, places }
    }

    /// The mean loss over all tokens that are asked for, and how it grows with each weight of what learns: of the adapter
    /// if there is one, else of the model.
    pub(crate) fn slopes(&self, lora: Option<&Lora>, texts: &[&Text], asked: Asked) -> (f64, Vec<f32>) {
        let batches: Vec<Batch> = texts.chunks(GROUP).map(|group| batch(group, asked)).collect();
        let count = real(batches.iter().map(Batch::asked).sum());
        let weights = lora.map_or(&self.model.weights, |lora| &lora.weights).len();
        let parts = each(self.threads, batches.len(), |number| {
            self.at_a_place(|tape, errors| {
                let batch = &batches[number];
                let loss = self.model.forward(lora, batch, 1.0 / count, tape);
                let mut slopes = vec![0.0; weights];
                self.model.backward(lora, batch, tape, errors, &mut slopes);
                (loss, slopes)
            })
        });
        let mut parts = parts.into_iter();
        let (mut loss, mut slopes) = parts.next().unwrap_or_else(|| (0.0, vec![0.0; weights]));
        for (more, others) in parts {
            loss += more;
            slopes.iter_mut().zip(others).for_each(|(slope, other)| *slope += other);
        }
        (loss / count.max(1.0), slopes)
    }

    /// The sum of the losses over all answers, and over how many tokens it is; of [`GROUP`] texts at most.
    pub(crate) fn loss(&self, lora: Option<&Lora>, texts: &[Text]) -> (f64, usize) {
        let batch = batch(&texts.iter().collect::<Vec<_>>(), Asked::Answer);
        self.at_a_place(|tape, _| (self.model.forward(lora, &batch, 1.0, tape), batch.asked()))
    }

    fn at_a_place<T>(&self, work: impl FnOnce(&mut Tape, &mut Errors) -> T) -> T {
        let place = self.places.0.lock().pop();
        let (mut tape, mut errors) = place.unwrap_or_default();
        let done = work(&mut tape, &mut errors);
        self.places.0.lock().push((tape, errors));
        done
    }
}

fn batch(texts: &[&Text], asked: Asked) -> Batch {
    let mut batch = Batch::default();
    for text in texts {
        let first = match asked {
            Asked::All => 1,
            Asked::Answer => text.answer,
        };
        batch.push(&text.tokens, first);
    }
    batch
}

/// The way downhill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Downhill(Adam);

impl Downhill {
    pub(crate) fn new(weights: usize) -> Self {
        Self(Adam::new(weights))
    }

    /// Whether it is for so many weights.
    pub(crate) fn fits(&self, weights: usize) -> bool {
        self.0.fits(weights)
    }

    /// One step; slopes that are steeper than one altogether are taken as if they were one.
    pub(crate) fn descend(&mut self, weights: &mut [f32], slopes: &mut [f32], rate: f64) {
        let steep = slopes.iter().map(|slope| f64::from(*slope).powi(2)).sum::<f64>().sqrt();
        if steep > STEEP_MAX {
            let part = narrow(STEEP_MAX / steep);
            slopes.iter_mut().for_each(|slope| *slope *= part);
        }
        self.0.descend(weights, slopes, rate, DECAY);
    }
}

/// How long a step is: over the first tenth ever longer, up to `most`, and then ever shorter, down to a tenth.
pub(crate) fn rate(step: u64, total: u64, most: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 steps")]
    let (step, total) = (step as f64, total.max(1) as f64);
    let warm = (total / 10.0).clamp(1.0, WARM_STEPS_MAX);
    if step < warm {
        most * (step + 1.0) / (warm + 1.0)
    } else {
        most * (1.0 - 0.9 * (step / total).min(1.0))
    }
}

/// Things in an order by chance, each once, and then again in another.
#[derive(Debug)]
pub(crate) struct Turns {
    seed: u64,
    using: u64,
    round: Option<u64>,
    order: Vec<usize>,
}

impl Turns {
    /// Of so many things, by the chance of one use of the seed.
    pub(crate) fn new(count: usize, seed: u64, using: u64) -> Self {
        Self { seed, using, round: None, order: (0..count).collect() }
    }

    /// The one whose turn is the n-th; of no things the first.
    pub(crate) fn nth(&mut self, n: u64) -> usize {
        let count = self.order.len().max(1) as u64;
        let round = n / count;
        if self.round != Some(round) {
            let count = self.order.len();
            self.order.clear();
            self.order.extend(0..count);
            Chance::new(self.seed, self.using + round).shuffle(&mut self.order);
            self.round = Some(round);
        }
        usize::try_from(n % count).ok().and_then(|place| self.order.get(place)).copied().unwrap_or(0)
    }
}

/// Texts that go through at once.
pub(crate) const GROUP: usize = 2;
const STEEP_MAX: f64 = 1.0;
/// What a weight loses in a step, beside the rate.
const DECAY: f32 = 0.01;
const WARM_STEPS_MAX: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Rank, Shape};

    fn texts(count: u16) -> Vec<Text> {
        let text = |n: u16| Text::new("be brief", &format!("{n} and one"), &format!("{}", n + 1), 64);
        (0..count).map(text).collect()
    }

    #[test]
    fn slopes_do_not_depend_on_threads() {
        let mut chance = Chance::new(1, 0);
        let model = Model::seeded(Shape::SMALL, &mut chance);
        let lora = Lora::seeded(&Shape::SMALL, Rank::default(), &mut chance);
        let texts = texts(11);
        let texts: Vec<&Text> = texts.iter().collect();
        for (lora, asked) in [(None, Asked::All), (Some(&lora), Asked::Answer)] {
            let of = |threads| {
                let places = Places::default();
                let desk = Desk::new(&model, NonZeroUsize::new(threads).unwrap(), &places);
                desk.slopes(lora, &texts, asked)
            };
            let alone = of(1);
            assert!((2..5).all(|threads| of(threads) == alone));
        }
    }

    #[test]
    fn every_tensor_that_learns_is_moved_and_the_loss_falls() {
        let mut chance = Chance::new(2, 0);
        let mut model = Model::seeded(Shape::SMALL, &mut chance);
        let texts = texts(8);
        let texts: Vec<&Text> = texts.iter().collect();
        let places = Places::default();
        let threads = NonZeroUsize::MIN;
        let begun = model.clone();
        let mut downhill = Downhill::new(model.weights.len());
        let mut losses = Vec::new();
        for _ in 0..80 {
            let (loss, mut slopes) = Desk::new(&model, threads, &places).slopes(None, &texts, Asked::All);
            downhill.descend(&mut model.weights, &mut slopes, 3e-3);
            losses.push(loss);
        }
        assert!(losses[79] < 0.5 * losses[0], "{losses:?}");
        for tensor in model.tensors() {
            let [before, after] = [&begun, &model].map(|model| &model.weights[tensor.span.range()]);
            let moved = before.iter().zip(after).filter(|(before, after)| before != after).count();
            assert!(moved * 2 > before.len() || tensor.span.from == 0, "{}: {moved}", tensor.name);
        }

        let mut lora = Lora::seeded(&Shape::SMALL, Rank::default(), &mut chance);
        let (begun, frozen) = (lora.clone(), model.clone());
        let mut downhill = Downhill::new(lora.weights.len());
        losses.clear();
        for _ in 0..12 {
            let desk = Desk::new(&model, threads, &places);
            let (loss, mut slopes) = desk.slopes(Some(&lora), &texts, Asked::Answer);
            downhill.descend(&mut lora.weights, &mut slopes, 1e-2);
            losses.push(loss);
        }
        assert!(losses[11] < 0.8 * losses[0], "{losses:?}");
        assert_eq!(model, frozen);
        for tensor in &lora.tensors {
            let [before, after] = [&begun, &lora].map(|lora| &lora.weights[tensor.span.range()]);
            let moved = before.iter().zip(after).filter(|(before, after)| before != after).count();
            assert!(moved * 2 > before.len(), "{}: {moved}", tensor.name);
        }
    }

    #[test]
    fn steps_grow_and_shrink_and_end_short() {
        let rates: Vec<f64> = (0..100).map(|step| rate(step, 100, 1.0)).collect();
        assert!(rates[0] < 0.1 && rates[..11].is_sorted());
        assert!(rates[10..].windows(2).all(|pair| pair[1] < pair[0]));
        assert!(rates[99] > 0.1 && rates[99] < 0.12);
        assert!(rates.iter().all(|rate| *rate <= 1.0));
        assert_eq!(rate(0, 1, 1.0), 0.5);
    }

    #[test]
    fn steep_slopes_are_taken_as_one() {
        let (mut steep, mut weights) = (vec![0.0, -4.0], vec![0.0; 2]);
        Downhill::new(2).descend(&mut weights, &mut steep, 0.1);
        assert_eq!(steep, [0.0, -1.0]);
        let mut gentle = vec![0.1, 0.2];
        Downhill::new(2).descend(&mut weights, &mut gentle, 0.1);
        assert_eq!(gentle, [0.1, 0.2]);
    }

    #[test]
    fn everything_has_its_turn_once_a_round() {
        let mut turns = Turns::new(5, 3, 1 << 60);
        let mut rounds = [0, 5, 10].map(|first| (first..first + 5).map(|n| turns.nth(n)).collect::<Vec<_>>());
        assert!(rounds[0] != rounds[1] || rounds[1] != rounds[2]);
        let again: Vec<usize> = (5..10).map(|n| turns.nth(n)).collect();
        assert_eq!(again, rounds[1], "whatever came between");
        for round in &mut rounds {
            round.sort_unstable();
            assert_eq!(*round, [0, 1, 2, 3, 4]);
        }
    }
}
