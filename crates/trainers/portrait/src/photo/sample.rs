//! From the pixels of a file to a small square.

use image::metadata::Orientation;
use image::{DynamicImage, EncodableLayout};

use trainyard_trainkit::narrow;

/// The middle square of a picture as so many pixels a side: each the mean of what lies under it, over white where it
/// lets light through. Red, green and blue, 0 to 1, row by row.
pub(super) fn square(image: &DynamicImage, side: usize) -> Vec<f32> {
    let pixels = Pixels::of(image);
    let [width, height] = [image.width(), image.height()].map(f64::from);
    let across = width.min(height);
    let columns = spans((width - across) / 2.0, across, side);
    let rows = spans((height - across) / 2.0, across, side);
    let mut square = Vec::with_capacity(side * side * 3);
    for (top, weights) in &rows {
        let mut sums = vec![0.0_f32; side * 3];
        for (row, &weight) in (*top..).zip(weights) {
            for (sum, (left, weights)) in sums.chunks_exact_mut(3).zip(&columns) {
                for (column, &beside) in (*left..).zip(weights) {
                    let [red, green, blue] = pixels.at(column, row);
                    sum[0] += weight * beside * red;
                    sum[1] += weight * beside * green;
                    sum[2] += weight * beside * blue;
                }
            }
        }
        square.extend(sums.iter().map(|sum| sum.clamp(0.0, 1.0)));
    }
    square
}

/// Turns a square as its file says that it is to be seen.
pub(super) fn upright(square: &[f32], side: usize, orientation: Orientation) -> Vec<f32> {
    let last = side - 1;
    // Where each pixel of the upright square comes from.
    let source = |x: usize, y: usize| match orientation {
        Orientation::NoTransforms => (x, y),
        Orientation::FlipHorizontal => (last - x, y),
        Orientation::Rotate180 => (last - x, last - y),
        Orientation::FlipVertical => (x, last - y),
        Orientation::Rotate90FlipH => (y, x),
        Orientation::Rotate90 => (y, last - x),
        Orientation::Rotate270FlipH => (last - y, last - x),
        Orientation::Rotate270 => (last - y, x),
    };
    let places = (0..side).flat_map(|y| (0..side).map(move |x| (x, y)));
    places
        .flat_map(|(x, y)| {
            let (x, y) = source(x, y);
            square[(y * side + x) * 3..][..3].iter().copied()
        })
        .collect()
}

/// For each of so many equal parts of a length: the first pixel under it, and the share that each from there has in it.
fn spans(from: f64, length: f64, parts: usize) -> Vec<(usize, Vec<f32>)> {
    let part = length / trainyard_trainkit::real(parts);
    (0..parts)
        .map(|number| {
            let begin = from + part * trainyard_trainkit::real(number);
            let end = begin + part;
            let first = whole(begin);
            // The last may lie on the edge by rounding; then nothing of it counts.
            let pixels = first..whole(end).max(first + 1) + 1;
            let share = |pixel: usize| {
                let pixel = trainyard_trainkit::real(pixel);
                ((end.min(pixel + 1.0) - begin.max(pixel)) / part).max(0.0)
            };
            let mut shares: Vec<f32> = pixels.map(|pixel| narrow(share(pixel))).collect();
            while shares.last().is_some_and(|&share| share < 1e-6) {
                shares.pop();
            }
            (first, shares)
        })
        .collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place in a picture, of 65,535 pixels a side at most"
)]
fn whole(place: f64) -> usize {
    place as usize
}

/// Pixels of any depth, with or without colour.
struct Pixels<'a> {
    bytes: &'a [u8],
    width: usize,
    channels: usize,
    is_wide: bool,
    has_alpha: bool,
}

impl<'a> Pixels<'a> {
    fn of(image: &'a DynamicImage) -> Self {
        let colour = image.color();
        let channels = usize::from(colour.channel_count());
        Self {
            bytes: image.as_bytes().as_bytes(),
            width: usize::try_from(image.width()).unwrap_or(usize::MAX),
            channels,
            is_wide: usize::from(colour.bytes_per_pixel()) == 2 * channels,
            has_alpha: colour.has_alpha(),
        }
    }

    fn at(&self, column: usize, row: usize) -> [f32; 3] {
        let first = (row * self.width + column) * self.channels;
        let value = |channel: usize| {
            let at = first + channel;
            if self.is_wide {
                f32::from(u16::from_ne_bytes([self.bytes[2 * at], self.bytes[2 * at + 1]])) / 65_535.0
            } else {
                f32::from(self.bytes[at]) / 255.0
            }
        };
        let is_grey = self.channels < 3;
        let colours = if is_grey { [value(0); 3] } else { [value(0), value(1), value(2)] };
        if !self.has_alpha {
            return colours;
        }
        let cover = value(self.channels - 1);
        colours.map(|colour| colour * cover + (1.0 - cover))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pixel_counts_as_much_as_lies_under_it() {
        for (from, length, parts) in
            [(0.0, 40.0, 64), (12.5, 100.0, 64), (0.0, 8_192.0, 128), (0.5, 33.0, 32)]
        {
            let spans = spans(from, length, parts);
            assert_eq!(spans.len(), parts);
            for (first, shares) in &spans {
                let sum: f32 = shares.iter().sum();
                assert!((sum - 1.0).abs() < 1e-4, "{from} {length} {parts}: {shares:?}");
                let end = trainyard_trainkit::real(first + shares.len());
                assert!(end <= (from + length).ceil(), "{from} {length} {parts}: up to {end}");
            }
        }
    }
}
