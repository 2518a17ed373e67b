//! Layers in which everything is connected with everything, forwards and backwards.

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};
use serde::{Deserialize, Serialize};

use crate::{Chance, at_most, narrow, real};

/// Layers one after the other: sums between them pass when they are positive (ReLU), those of the last come out as they
/// are.
///
/// ```
/// use trainyard_trainkit::{Chance, Net, Scratch};
///
/// let net = Net::seeded(&[2, 8, 1], &mut Chance::new(1, 0));
/// let mut scratch = Scratch::default();
/// net.forward(&[0.5, -0.5, 1.0, 2.0], 2, &mut scratch);
/// assert_eq!(scratch.outputs().len(), 2, "one for each of two vectors");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Net {
    /// How wide it is, from the vectors that go in to those that come out.
    widths: Vec<usize>,
    /// Layer by layer: what each input counts for each output, input by input; then what each output starts from.
    weights: Vec<f32>,
}

impl Net {
    /// All zeros. The widths are those of the vectors that go in, of each layer between, and of what comes out.
    ///
    /// # Panics
    /// When there are fewer than two widths or more than eight, or one beside the first is zero.
    #[must_use]
    pub fn flat(widths: &[usize]) -> Self {
        assert!(are_sound(widths), "two to eight widths, and something comes out of each layer");
        let layers = widths.windows(2).map(|ends| (ends[0] + 1) * ends[1]);
        Self { widths: widths.to_vec(), weights: vec![0.0; layers.sum()] }
    }

    /// Weights by chance, uniform and as wide as keeps sums as wide as their inputs; all start from zero.
    ///
    /// # Panics
    /// As [`Net::flat`].
    #[must_use]
    pub fn seeded(widths: &[usize], chance: &mut Chance) -> Self {
        let mut net = Self::flat(widths);
        let mut from = 0;
        for ends in widths.windows(2) {
            let count = ends[0] * ends[1];
            let width = (6.0 / real(ends[0].max(1))).sqrt();
            net.weights[from..][..count]
                .iter_mut()
                .for_each(|weight| *weight = narrow(width * (2.0 * chance.unit() - 1.0)));
            from += count + ends[1];
        }
        net
    }

    /// Layer by layer: what each input counts for each output, input by input; then what each output starts from.
    #[must_use]
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// The same, to be changed.
    pub fn weights_mut(&mut self) -> &mut [f32] {
        &mut self.weights
    }

    /// How wide it is, from the vectors that go in to those that come out.
    #[must_use]
    pub fn widths(&self) -> &[usize] {
        &self.widths
    }

    /// How long a vector is that goes in, and how long one is that comes out.
    #[must_use]
    pub fn ends(&self) -> (usize, usize) {
        (self.widths[0], self.widths[self.widths.len() - 1])
    }

    /// What comes out for so many vectors of [`Net::ends`]; nothing for vectors of another length.
    #[must_use]
    pub fn outputs(&self, vectors: &[f32], rows: usize) -> Vec<f32> {
        let (width, out) = self.ends();
        if vectors.len() != rows * width {
            return Vec::new();
        }
        let mut all = Vec::with_capacity(rows * out);
        let mut scratch = Scratch::default();
        for first in (0..rows).step_by(BLOCK) {
            let count = BLOCK.min(rows - first);
            self.forward(&vectors[first * width..][..count * width], count, &mut scratch);
            all.extend_from_slice(scratch.outputs());
        }
        all
    }

    /// Leaves every layer's sums for so many vectors; [`Scratch::outputs`] has the last of them.
    ///
    /// # Panics
    /// When the vectors are not as many and as long as that.
    pub fn forward(&self, vectors: &[f32], rows: usize, scratch: &mut Scratch) {
        let layers = self.widths.len() - 1;
        scratch.sums.resize_with(layers, Vec::new);
        let mut from = 0;
        for layer in 0..layers {
            let (wide, out) = (self.widths[layer], self.widths[layer + 1]);
            let (weights, starts) = self.weights[from..][..(wide + 1) * out].split_at(wide * out);
            let (before, after) = scratch.sums.split_at_mut(layer);
            let sums = &mut after[0];
            sums.clear();
            (0..rows).for_each(|_| sums.extend_from_slice(starts));
            let input = before.last().map_or(vectors, Vec::as_slice);
            let input = view(input, rows, wide);
            general_mat_mul(1.0, &input, &view(weights, wide, out), 1.0, &mut view_mut(sums, rows, out));
            if layer + 1 < layers {
                sums.iter_mut().for_each(|sum| *sum = sum.max(0.0));
            }
            from += (wide + 1) * out;
        }
    }

    /// How the error grows with each weight, after [`Net::forward`] of the same vectors; `error` says how it grows
    /// with each output. Leaves in [`Scratch::below`] how it grows with each input when that is [asked
    /// for](Scratch::with_below).
    ///
    /// # Panics
    /// When the lengths are not those of the vectors, the outputs and the weights.
    pub fn backward(&self, vectors: &[f32], error: &[f32], scratch: &mut Scratch, slopes: &mut [f32]) {
        let Scratch { sums, error: errors, next, below } = scratch;
        assert_eq!(slopes.len(), self.weights.len(), "a slope for every weight");
        errors.clear();
        errors.extend_from_slice(error);
        let rows = error.len() / self.ends().1;
        let mut until = self.weights.len();
        for layer in (0..self.widths.len() - 1).rev() {
            let (wide, out) = (self.widths[layer], self.widths[layer + 1]);
            let from = until - (wide + 1) * out;
            let (by_weight, by_start) = slopes[from..until].split_at_mut(wide * out);
            let input = if layer == 0 { vectors } else { sums[layer - 1].as_slice() };
            let above = view(errors, rows, out);
            general_mat_mul(
                1.0,
                &view(input, rows, wide).reversed_axes(),
                &above,
                0.0,
                &mut view_mut(by_weight, wide, out),
            );
            by_start.fill(0.0);
            for row in errors.chunks_exact(out) {
                by_start.iter_mut().zip(row).for_each(|(sum, error)| *sum += error);
            }
            if layer > 0 || *below {
                let weights = view(&self.weights[from..][..wide * out], wide, out);
                next.clear();
                next.resize(rows * wide, 0.0);
                let mut inputs = view_mut(next, rows, wide);
                general_mat_mul(1.0, &above, &weights.reversed_axes(), 0.0, &mut inputs);
                if layer > 0 {
                    let shut = next.iter_mut().zip(input).filter(|(_, sum)| **sum <= 0.0);
                    shut.for_each(|(error, _)| *error = 0.0);
                }
                std::mem::swap(errors, next);
            }
            until = from;
        }
    }
}

/// What one pass leaves for the next.
#[derive(Debug, Default)]
pub struct Scratch {
    sums: Vec<Vec<f32>>,
    error: Vec<f32>,
    next: Vec<f32>,
    below: bool,
}

impl Scratch {
    /// One in which [`Net::backward`] also leaves how the error grows with each input.
    #[must_use]
    pub fn with_below() -> Self {
        Self { below: true, ..Self::default() }
    }

    /// What came out last.
    #[must_use]
    pub fn outputs(&self) -> &[f32] {
        self.sums.last().map_or(&[], Vec::as_slice)
    }

    /// How the error grows with each input, since the last [`Net::backward`]; empty unless it was asked for.
    #[must_use]
    pub fn below(&self) -> &[f32] {
        if self.below { &self.error } else { &[] }
    }
}

/// As it is stored.
#[derive(Deserialize)]
struct Raw {
    #[serde(deserialize_with = "at_most::<WIDTHS_MAX, _, _>")]
    widths: Vec<usize>,
    weights: Vec<f32>,
}

impl TryFrom<Raw> for Net {
    type Error = &'static str;

    fn try_from(raw: Raw) -> Result<Self, Self::Error> {
        let Raw { widths, weights } = raw;
        let layer = |ends: &[usize]| ends[0].checked_add(1)?.checked_mul(ends[1]);
        let needed = widths.windows(2).try_fold(0_usize, |sum, ends| sum.checked_add(layer(ends)?));
        let fits = are_sound(&widths) && needed == Some(weights.len());
        fits.then_some(Self { widths, weights }).ok_or("layers and weights do not fit together")
    }
}

fn are_sound(widths: &[usize]) -> bool {
    (2..=WIDTHS_MAX).contains(&widths.len()) && widths[1..].iter().all(|&width| width > 0)
}

fn view(numbers: &[f32], rows: usize, columns: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((rows, columns), numbers).expect("as many numbers as a matrix of this shape has")
}

fn view_mut(numbers: &mut [f32], rows: usize, columns: usize) -> ArrayViewMut2<'_, f32> {
    ArrayViewMut2::from_shape((rows, columns), numbers)
        .expect("as many numbers as a matrix of this shape has")
}

/// More layers than any model here has.
const WIDTHS_MAX: usize = 8;
/// Vectors that go through at once.
const BLOCK: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    /// Half of the summed squared outputs: its slope by each output is the output.
    fn loss(net: &Net, vectors: &[f32], rows: usize) -> f64 {
        let mut scratch = Scratch::default();
        net.forward(vectors, rows, &mut scratch);
        scratch.outputs().iter().map(|&output| f64::from(output).powi(2) / 2.0).sum()
    }

    #[test]
    fn slopes_are_those_of_finite_differences() {
        for (seed, widths) in [(1, vec![5, 3]), (2, vec![4, 7, 3]), (3, vec![6, 8, 5, 2]), (4, vec![1, 3, 2])]
        {
            let mut chance = Chance::new(seed, 0);
            let mut net = Net::seeded(&widths, &mut chance);
            // no kink within reach of a difference: sums start well above naught, or the test would ask for the
            // slope of a corner
            let mut until = 0;
            for ends in widths.windows(2) {
                until += (ends[0] + 1) * ends[1];
                net.weights_mut()[until - ends[1]..until].fill(4.0);
            }
            let rows = 3;
            let vectors: Vec<f32> =
                (0..rows * widths[0]).map(|_| narrow(2.0 * chance.unit() - 1.0)).collect();
            let mut scratch = Scratch::with_below();
            net.forward(&vectors, rows, &mut scratch);
            let error = scratch.outputs().to_vec();
            let mut slopes = vec![0.0; net.weights().len()];
            net.backward(&vectors, &error, &mut scratch, &mut slopes);
            assert!(slopes.iter().any(|&slope| slope != 0.0));
            assert_eq!(scratch.below().len(), vectors.len());
            for (place, &slope) in scratch.below().iter().enumerate() {
                let moved = |by: f32| {
                    let mut vectors = vectors.clone();
                    vectors[place] += by;
                    loss(&net, &vectors, rows)
                };
                let measured = (moved(1.0 / 64.0) - moved(-1.0 / 64.0)) * 32.0;
                let apart = (measured - f64::from(slope)).abs();
                assert!(
                    apart <= 1e-2 + 2e-3 * measured.abs(),
                    "seed {seed}, input {place}: {measured} {slope}"
                );
            }
            for (place, &slope) in slopes.iter().enumerate() {
                const STEP: f32 = 1.0 / 64.0;
                let moved = |by: f32| {
                    let mut net = net.clone();
                    net.weights_mut()[place] += by;
                    loss(&net, &vectors, rows)
                };
                let measured = (moved(STEP) - moved(-STEP)) / f64::from(2.0 * STEP);
                let apart = (measured - f64::from(slope)).abs();
                assert!(apart <= 1e-2 + 2e-3 * measured.abs(), "seed {seed}, {place}: {measured} {slope}");
            }
        }
    }

    #[test]
    fn sums_that_are_not_positive_pass_nothing_on() {
        let mut net = Net::flat(&[1, 1, 2]);
        net.weights_mut().copy_from_slice(&[1.0, 0.0, 2.0, 3.0, 0.0, 0.0]);
        let mut scratch = Scratch::default();
        net.forward(&[-1.0, 1.0], 2, &mut scratch);
        assert_eq!(scratch.outputs(), [0.0, 0.0, 2.0, 3.0]);
        let mut slopes = [9.0; 6];
        net.backward(&[-1.0, 1.0], &[1.0, 1.0, 0.0, 0.0], &mut scratch, &mut slopes);
        assert_eq!(slopes, [0.0, 0.0, 0.0, 0.0, 1.0, 1.0]);
    }

    #[test]
    fn blocks_do_not_matter() {
        let net = Net::seeded(&[3, 4, 2], &mut Chance::new(5, 0));
        let vectors: Vec<f32> = (0..9_000_u16).map(|n| f32::from(n % 37) / 10.0 - 1.5).collect();
        let all = net.outputs(&vectors, 3_000);
        let one = net.outputs(&vectors[6_000..6_003], 1);
        assert_eq!(all.len(), 6_000);
        assert!(all[4_000..4_002].iter().zip(&one).all(|(all, one)| (all - one).abs() < 1e-6));
        assert!(net.outputs(&vectors, 2_999).is_empty());
    }

    #[test]
    fn what_does_not_fit_together_is_not_read() {
        let net = Net::flat(&[2, 2]);
        let bytes = postcard::to_allocvec(&net).unwrap();
        assert_eq!(postcard::from_bytes(&bytes), Ok(net));
        for (widths, weights) in [
            (vec![2, 2], 5),
            (vec![2], 0),
            (vec![], 0),
            (vec![usize::MAX, usize::MAX], 4),
            (vec![0, 0], 0),
            (vec![1, 0, 1], 1),
            (vec![1; 9], 16),
        ] {
            let bytes = postcard::to_allocvec(&(&widths, vec![0.0_f32; weights])).unwrap();
            assert!(postcard::from_bytes::<Net>(&bytes).is_err(), "{widths:?}");
        }
        let deep = Net::flat(&[1; 8]);
        assert_eq!(postcard::from_bytes(&postcard::to_allocvec(&deep).unwrap()), Ok(deep));
    }
}
