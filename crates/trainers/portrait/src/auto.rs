//! The model itself: from a picture to a code and back.

use serde::{Deserialize, Serialize};
use trainyard_trainkit::{Chance, Net, narrow, real};

use crate::{Side, Size};

/// A denoising autoencoder (Vincent and others, 2008; <https://doi.org/10.1145/1390156.1390294>) of what sets pictures
/// apart from their mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Auto {
    side: u16,
    mean: Vec<f32>,
    /// How far colours are off the mean; what goes in and comes out is in units of it.
    scale: f32,
    pub(crate) encoder: Net,
    pub(crate) decoder: Net,
}

impl Auto {
    /// One that has learned nothing, so that all it shows is the mean of the pictures that were seen.
    pub(crate) fn new(size: Size, seen: &Seen, chance: &mut Chance) -> Self {
        Self::with(size.side().get(), [size.hidden(), size.code()], seen, chance)
    }

    /// One for pictures of 8 pixels a side, with codes of 2 numbers.
    #[cfg(test)]
    pub(crate) fn tiny(pictures: &[Vec<f32>], chance: &mut Chance) -> Self {
        let mut seen = Seen::new(192);
        pictures.iter().for_each(|picture| seen.see(picture));
        Self::with(8, [3, 2], &seen, chance)
    }

    fn with(side: u16, units: [u16; 2], seen: &Seen, chance: &mut Chance) -> Self {
        let [hidden, code] = units.map(usize::from);
        let (mean, scale) = seen.mean_and_scale();
        let colours = mean.len();
        let encoder = Net::seeded(&[colours, hidden, code], chance);
        let mut decoder = Net::seeded(&[code, hidden, colours], chance);
        let last = (hidden + 1) * colours;
        let from = decoder.weights().len() - last;
        decoder.weights_mut()[from..].fill(0.0);
        Self { side, mean, scale, encoder, decoder }
    }

    /// Whether it can be used: its parts fit together, and all its numbers are some.
    pub(crate) fn is_sound(&self) -> bool {
        let Some(side) = Side::stored(self.side) else { return false };
        let colours = side.pixels() * side.pixels() * 3;
        let ((wide, code), (narrow, out)) = (self.encoder.ends(), self.decoder.ends());
        let numbers = self.mean.iter().chain(self.encoder.weights()).chain(self.decoder.weights());
        self.mean.len() == colours
            && (wide, out) == (colours, colours)
            && code == narrow
            && (1..=256).contains(&code)
            && self.scale.is_finite()
            && self.scale >= SCALE_LEAST
            && numbers.copied().all(f32::is_finite)
    }

    pub(crate) fn side(&self) -> usize {
        self.side.into()
    }

    pub(crate) fn colours(&self) -> usize {
        self.mean.len()
    }

    /// How many numbers a code has.
    pub(crate) fn code_len(&self) -> usize {
        self.encoder.ends().1
    }

    /// How far a picture is off the mean picture at best, squared: that in the light and the contrast that come nearest
    /// to it.
    pub(crate) fn apart_in_any_light(&self, picture: &[f32]) -> f64 {
        let middle =
            |colours: &[f32]| colours.iter().copied().map(f64::from).sum::<f64>() / real(colours.len());
        let (of_picture, of_mean) = (middle(picture), middle(&self.mean));
        let (mut own, mut both, mut mean) = (0.0, 0.0, 0.0);
        for (&colour, &usual) in picture.iter().zip(&self.mean) {
            let (colour, usual) = (f64::from(colour) - of_picture, f64::from(usual) - of_mean);
            own += colour * colour;
            both += colour * usual;
            mean += usual * usual;
        }
        let shared = if mean > 0.0 { both * both / mean } else { 0.0 };
        (own - shared).max(0.0)
    }

    /// What a square of these units is in colours.
    pub(crate) fn unit_squared(&self) -> f64 {
        f64::from(self.scale) * f64::from(self.scale)
    }

    /// Puts a picture, noise and all, into the units of the nets.
    pub(crate) fn take(&self, picture: &[f32], units: &mut Vec<f32>) {
        units.extend(picture.iter().zip(&self.mean).map(|(colour, mean)| (colour - mean) / self.scale));
    }

    /// The codes of so many pictures in units.
    pub(crate) fn codes(&self, units: &[f32]) -> Vec<f32> {
        self.encoder.outputs(units, units.len() / self.colours())
    }

    /// The code of a picture.
    pub(crate) fn code(&self, picture: &[f32]) -> Vec<f32> {
        let mut units = Vec::with_capacity(self.colours());
        self.take(picture, &mut units);
        self.codes(&units)
    }

    /// The pictures of codes, in units.
    pub(crate) fn units(&self, codes: &[f32]) -> Vec<f32> {
        self.decoder.outputs(codes, codes.len() / self.code_len())
    }

    /// The picture of a code.
    pub(crate) fn picture(&self, code: &[f32]) -> Vec<f32> {
        let units = self.units(code);
        units.iter().zip(&self.mean).map(|(unit, mean)| unit * self.scale + mean).collect()
    }
}

/// Pictures, as far as their mean and how far they are off it.
#[derive(Debug)]
pub(crate) struct Seen {
    count: usize,
    sums: Vec<f64>,
    squares: f64,
}

impl Seen {
    /// None yet, of so many colours each.
    pub(crate) fn new(colours: usize) -> Self {
        Self { count: 0, sums: vec![0.0; colours], squares: 0.0 }
    }

    pub(crate) fn see(&mut self, picture: &[f32]) {
        self.count += 1;
        for (sum, &colour) in self.sums.iter_mut().zip(picture) {
            *sum += f64::from(colour);
            self.squares += f64::from(colour) * f64::from(colour);
        }
    }

    fn mean_and_scale(&self) -> (Vec<f32>, f32) {
        let count = real(self.count.max(1));
        let mean: Vec<f64> = self.sums.iter().map(|sum| sum / count).collect();
        let apart = self.squares / count - mean.iter().map(|mean| mean * mean).sum::<f64>();
        let scale = (apart.max(0.0) / real(mean.len().max(1))).sqrt();
        (mean.into_iter().map(narrow).collect(), narrow(scale).max(SCALE_LEAST))
    }
}

/// How far a picture is off another, squared.
pub(crate) fn apart(picture: &[f32], other: &[f32]) -> f64 {
    picture.iter().zip(other).map(|(one, other)| f64::from(one - other) * f64::from(one - other)).sum()
}

/// Half a step of 8 bits: pictures that differ by less are alike.
const SCALE_LEAST: f32 = 1.0 / 512.0;
