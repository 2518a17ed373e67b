//! Going downhill in small steps.

use serde::{Deserialize, Serialize};

use crate::narrow;

/// Adam: a step is as long as its slope is steady (Kingma and Ba, 2015; <https://arxiv.org/abs/1412.6980>), with the
/// decay of weights apart from it (Loshchilov and Hutter, 2019; <https://arxiv.org/abs/1711.05101>).
///
/// It remembers two numbers for each weight, so a training that goes on from a checkpoint keeps it there.
///
/// ```
/// use trainyard_trainkit::Adam;
///
/// let mut weights = [4.0_f32];
/// let mut adam = Adam::new(weights.len());
/// for _ in 0..2_000 {
///     let slopes = [2.0 * weights[0]]; // of the square
///     adam.descend(&mut weights, &slopes, 0.01, 0.0);
/// }
/// assert!(weights[0].abs() < 0.01);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adam {
    /// The running means of the slopes and of their squares, one for each weight.
    means: Vec<f32>,
    squares: Vec<f32>,
    /// What the means are short of, because they began at naught.
    short: [f64; 2],
}

impl Adam {
    /// For so many weights.
    #[must_use]
    pub fn new(weights: usize) -> Self {
        Self { means: vec![0.0; weights], squares: vec![0.0; weights], short: [1.0; 2] }
    }

    /// Whether it is for so many weights; what was read from a file may not be.
    #[must_use]
    pub fn fits(&self, weights: usize) -> bool {
        self.means.len() == weights && self.squares.len() == weights
    }

    /// Moves every weight downhill, by about `rate` where its slope is steady; and shrinks it by that times `decay`.
    ///
    /// # Panics
    /// When weights and slopes are not as many as it is for.
    pub fn descend(&mut self, weights: &mut [f32], slopes: &[f32], rate: f64, decay: f32) {
        const KEPT: (f32, f32) = (0.9, 0.999);
        assert!(self.fits(weights.len()) && slopes.len() == weights.len(), "a slope for every weight");
        self.short[0] *= f64::from(KEPT.0);
        self.short[1] *= f64::from(KEPT.1);
        let full = (1.0 - self.short[1]).sqrt();
        let (length, least) = (narrow(rate * full / (1.0 - self.short[0])), narrow(1e-8 * full));
        let lost = narrow(rate) * decay;
        let state = self.means.iter_mut().zip(self.squares.iter_mut()).zip(slopes);
        for (weight, ((mean, square), &slope)) in weights.iter_mut().zip(state) {
            *mean += (slope - *mean) * (1.0 - KEPT.0);
            *square += (slope * slope - *square) * (1.0 - KEPT.1);
            *weight -= *weight * lost + length * *mean / (square.sqrt() + least);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_is_as_long_as_the_rate_whatever_the_slope() {
        for slope in [1e-3_f32, 1.0, 1e4] {
            let mut weights = [1.0_f32, 1.0];
            Adam::new(2).descend(&mut weights, &[slope, -slope], 0.1, 0.0);
            assert!(
                (weights[0] - 0.9).abs() < 1e-4 && (weights[1] - 1.1).abs() < 1e-4,
                "{slope}: {weights:?}"
            );
        }
    }

    #[test]
    fn without_a_slope_a_weight_only_decays() {
        let mut weights = [2.0_f32];
        let mut adam = Adam::new(1);
        adam.descend(&mut weights, &[0.0], 0.1, 0.5);
        assert!((weights[0] - 1.9).abs() < 1e-6);
        assert!(adam.fits(1) && !adam.fits(2));
    }
}
