//! A training, batch by batch.

use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};
use trainyard_trainkit::{Adam, Chance, Scratch, each, narrow, real};

use crate::augment::View;
use crate::auto::{Auto, Seen};
use crate::quality::Measured;
use crate::{Photo, Size};

/// All that a training has learned and needs to go on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Course {
    pub(crate) step: u64,
    /// The loss of the last step, and its running mean.
    pub(crate) loss: f64,
    pub(crate) loss_mean: f64,
    pub(crate) auto: Auto,
    downhill: [Adam; 2],
}

/// What it learns from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lesson<'a> {
    pub(crate) photos: &'a [Photo],
    pub(crate) size: Size,
    pub(crate) total: u64,
    pub(crate) seed: u64,
    pub(crate) threads: NonZeroUsize,
}

impl Course {
    /// One that has learned nothing but the mean picture, of at least one view of each photo. Before each block of work
    /// it asks `between` whether to go on.
    pub(crate) fn begin<E>(
        lesson: &Lesson<'_>,
        mut between: impl FnMut() -> Result<(), E>,
    ) -> Result<Self, E> {
        let photos = lesson.photos.len();
        let count = (photos * 4).clamp(FIRST_LEAST, FIRST_MOST).max(photos);
        let mut seen = Seen::new(3 * lesson.size.side().pixels().pow(2));
        for first in (0..count).step_by(BATCH) {
            between()?;
            let views = lesson.views(FIRST, first as u64, BATCH.min(count - first), View::drawn);
            views.iter().for_each(|view| seen.see(view));
        }
        let auto = Auto::new(lesson.size, &seen, &mut Chance::new(lesson.seed, WEIGHTS));
        let downhill = [&auto.encoder, &auto.decoder].map(|net| Adam::new(net.weights().len()));
        Ok(Self { step: 0, loss: 1.0, loss_mean: 1.0, auto, downhill })
    }

    /// The same without a break.
    #[cfg(test)]
    pub(crate) fn begun(lesson: &Lesson<'_>) -> Self {
        Self::begin(lesson, || Ok::<(), std::convert::Infallible>(())).unwrap()
    }

    /// Whether it can go on with the lesson.
    pub(crate) fn fits(&self, lesson: &Lesson<'_>) -> bool {
        let nets = [&self.auto.encoder, &self.auto.decoder];
        let size = lesson.size;
        let [colours, hidden, code] =
            [3 * size.side().pixels().pow(2), size.hidden().into(), size.code().into()];
        self.auto.is_sound()
            && self.loss.is_finite()
            && self.loss_mean.is_finite()
            && self.auto.encoder.widths() == [colours, hidden, code]
            && self.auto.decoder.widths() == [code, hidden, colours]
            && self.auto.side() == size.side().pixels()
            && self.step <= lesson.total
            && nets.iter().zip(&self.downhill).all(|(net, adam)| adam.fits(net.weights().len()))
    }

    /// Learns from one batch. The loss is the share of what sets it apart from the mean picture that was not given
    /// back.
    pub(crate) fn learn(&mut self, lesson: &Lesson<'_>, desk: &mut Desk) {
        let Desk { inputs, targets, error, encoding, decoding, slopes } = desk;
        let first = self.step * BATCH as u64;
        let noisy = lesson.views(TRAINING, first, BATCH, |chance| {
            let view = View::drawn(chance);
            Noisy { view, noise: Chance::new(chance.any(), 0) }
        });
        inputs.clear();
        targets.clear();
        for pair in &noisy {
            let (view, noise) = pair.split_at(self.auto.colours());
            self.auto.take(view, targets);
            self.auto.take(noise, inputs);
        }

        self.auto.encoder.forward(inputs, BATCH, encoding);
        self.auto.decoder.forward(encoding.outputs(), BATCH, decoding);
        error.clear();
        error.extend(decoding.outputs().iter().zip(targets.iter()).map(|(out, target)| out - target));
        let off: f64 = error.iter().map(|error| f64::from(*error) * f64::from(*error)).sum();
        self.loss = off / real(error.len());
        self.loss_mean += (self.loss - self.loss_mean) * if self.step == 0 { 1.0 } else { LOSS_PART };
        error.iter_mut().for_each(|error| *error /= narrow(real(BATCH)));

        let rate = rate(self.step, lesson.total);
        let (by_encoder, by_decoder) = slopes;
        by_encoder.resize(self.auto.encoder.weights().len(), 0.0);
        by_decoder.resize(self.auto.decoder.weights().len(), 0.0);
        self.auto.decoder.backward(encoding.outputs(), error, decoding, by_decoder);
        self.auto.encoder.backward(inputs, decoding.below(), encoding, by_encoder);
        let [encoder, decoder] = &mut self.downhill;
        encoder.descend(self.auto.encoder.weights_mut(), by_encoder, rate, 0.0);
        decoder.descend(self.auto.decoder.weights_mut(), by_decoder, rate, 0.0);
        self.step += 1;
    }

    /// Adds what one block of held-back views says of the quality.
    pub(crate) fn measure(&self, lesson: &Lesson<'_>, block: u64, measured: &mut Measured) {
        let views = lesson.views(HELD_BACK, block * BATCH as u64, BATCH, View::drawn);
        let mut units = Vec::with_capacity(BATCH * self.auto.colours());
        views.iter().for_each(|view| self.auto.take(view, &mut units));
        let given_back = self.auto.units(&self.auto.codes(&units));
        measured.off += crate::auto::apart(&units, &given_back) * self.auto.unit_squared();
        measured.apart += views.iter().map(|view| self.auto.apart_in_any_light(view)).sum::<f64>();
    }

    /// The code of a photo, and then those of so many views near it.
    pub(crate) fn codes(&self, lesson: &Lesson<'_>, photo: usize, nearby: usize) -> Vec<f32> {
        let pixels = lesson.photos[photo].pixels();
        let mut units = Vec::with_capacity((1 + nearby) * self.auto.colours());
        self.auto.take(pixels, &mut units);
        let mut view = Vec::with_capacity(pixels.len());
        for number in 0..nearby {
            let stream = NEARBY + (photo * nearby + number) as u64;
            view.clear();
            let near = View::near(&mut Chance::new(lesson.seed, stream));
            near.of(pixels, self.auto.side(), &mut view);
            self.auto.take(&view, &mut units);
        }
        self.auto.codes(&units)
    }
}

impl Lesson<'_> {
    /// Views of the photos, each photo in turn, from the chance of one use of the seed.
    fn views<L: Look>(
        &self,
        using: u64,
        first: u64,
        count: usize,
        draw: impl Fn(&mut Chance) -> L + Sync,
    ) -> Vec<Vec<f32>> {
        let side = self.size.side().pixels();
        each(self.threads, count, |number| {
            let number = first + number as u64;
            let photo = usize::try_from(number % self.photos.len() as u64).unwrap_or(0);
            let look = draw(&mut Chance::new(self.seed, using + number));
            look.at(self.photos[photo].pixels(), side)
        })
    }
}

/// A way to look at a photo.
trait Look {
    fn at(self, photo: &[f32], side: usize) -> Vec<f32>;
}

impl Look for View {
    fn at(self, photo: &[f32], side: usize) -> Vec<f32> {
        let mut seen = Vec::with_capacity(photo.len());
        self.of(photo, side, &mut seen);
        seen
    }
}

/// A view, and the same with noise after it.
struct Noisy {
    view: View,
    noise: Chance,
}

impl Look for Noisy {
    fn at(mut self, photo: &[f32], side: usize) -> Vec<f32> {
        let mut seen = Vec::with_capacity(2 * photo.len());
        self.view.of(photo, side, &mut seen);
        let count = seen.len();
        let mut bits = 0;
        for at in 0..count {
            if at % 4 == 0 {
                bits = self.noise.any();
            }
            let [low, high, ..] = bits.to_le_bytes();
            bits >>= 16;
            let unit = f32::from(u16::from_le_bytes([low, high])) / 65_536.0;
            let value = seen[at] + NOISE * (2.0 * unit - 1.0);
            seen.push(value);
        }
        seen
    }
}

/// What one step leaves for the next to write over.
#[derive(Debug)]
pub(crate) struct Desk {
    inputs: Vec<f32>,
    targets: Vec<f32>,
    error: Vec<f32>,
    encoding: Scratch,
    decoding: Scratch,
    slopes: (Vec<f32>, Vec<f32>),
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self {
            inputs: Vec::new(),
            targets: Vec::new(),
            error: Vec::new(),
            encoding: Scratch::default(),
            decoding: Scratch::with_below(),
            slopes: (Vec::new(), Vec::new()),
        }
    }
}

/// How long a step is: short at first, then long, and ever shorter to the end.
fn rate(step: u64, total: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 steps")]
    let (step, total) = (step as f64, total.max(1) as f64);
    let warm = ((step + 1.0) / WARM_STEPS).min(1.0);
    let left = 1.0 - step / total;
    RATE * warm * (0.05 + 0.95 * left * left)
}

/// Views that are learned from at once: one block of work.
pub(crate) const BATCH: usize = 32;
/// Views of all photos that the mean picture is of.
const FIRST_LEAST: usize = 64;
const FIRST_MOST: usize = 256;
const RATE: f64 = 2e-3;
/// What the newest loss counts in the mean.
const LOSS_PART: f64 = 0.1;
const WARM_STEPS: f64 = 10.0;
/// The most that noise adds or takes.
const NOISE: f32 = 0.06;

// Uses of the seed. Each has room for 2^60 numbers, so none meets another.
const WEIGHTS: u64 = 0;
const FIRST: u64 = 1 << 60;
const TRAINING: u64 = 2 << 60;
const HELD_BACK: u64 = 3 << 60;
const NEARBY: u64 = 4 << 60;

#[cfg(test)]
mod tests;
