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
    /// One that has learned nothing, so that all it shows is the mean of these pictures.
    pub(crate) fn new(size: Size, pictures: &[Vec<f32>], chance: &mut Chance) -> Self {
        let colours = size.side().pixels() * size.side().pixels() * 3;
        Self::with(size.side().get(), colours, [size.hidden(), size.code()], pictures, chance)
    }

    /// One for pictures of 8 pixels a side, with codes of 2 numbers.
    #[cfg(test)]
    pub(crate) fn tiny(pictures: &[Vec<f32>], chance: &mut Chance) -> Self {
        Self::with(8, 192, [3, 2], pictures, chance)
    }

    fn with(side: u16, colours: usize, units: [u16; 2], pictures: &[Vec<f32>], chance: &mut Chance) -> Self {
        let [hidden, code] = units.map(usize::from);
        let count = real(pictures.len().max(1));
        let mut mean = vec![0.0_f32; colours];
        for picture in pictures {
            mean.iter_mut().zip(picture).for_each(|(sum, colour)| *sum += colour);
        }
        mean.iter_mut().for_each(|sum| *sum /= narrow(count));
        let apart: f64 = pictures.iter().map(|picture| apart(picture, &mean)).sum();
        let scale = narrow((apart / count / real(colours)).sqrt()).max(SCALE_LEAST);
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

/// How far a picture is off another, squared.
pub(crate) fn apart(picture: &[f32], other: &[f32]) -> f64 {
    picture.iter().zip(other).map(|(one, other)| f64::from(one - other) * f64::from(one - other)).sum()
}

/// Half a step of 8 bits: pictures that differ by less are alike.
const SCALE_LEAST: f32 = 1.0 / 512.0;
