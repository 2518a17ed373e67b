//! The small parts of a layer, forwards and backwards.

use trainyard_trainkit::{exp, narrow, real, softmax};

use super::Shape;

/// Scales rows to a mean square of one, and by `gain`. Leaves in `roots` what each row was scaled by.
pub(crate) fn norm(rows: &[f32], gain: &[f32], least: f64, roots: &mut Vec<f32>, out: &mut Vec<f32>) {
    roots.clear();
    out.clear();
    let least = narrow(least);
    for row in rows.chunks_exact(gain.len()) {
        let squares: f32 = row.iter().map(|number| number * number).sum();
        let root = 1.0 / (squares / narrow(real(gain.len())) + least).sqrt();
        roots.push(root);
        out.extend(row.iter().zip(gain).map(|(number, gain)| number * root * gain));
    }
}

/// Adds to `below` how the loss grows with each number of the rows, and to `by_gain` with each gain, when asked for.
pub(crate) fn norm_back(
    rows: &[f32],
    gain: &[f32],
    roots: &[f32],
    error: &[f32],
    below: &mut [f32],
    mut by_gain: Option<&mut [f32]>,
) {
    let width = gain.len();
    let all = rows.chunks_exact(width).zip(error.chunks_exact(width)).zip(below.chunks_exact_mut(width));
    for (((row, error), below), &root) in all.zip(roots) {
        let along: f32 =
            row.iter().zip(error).zip(gain).map(|((number, error), gain)| number * error * gain).sum();
        let along = along * root * root * root / narrow(real(width));
        for (((below, number), error), gain) in below.iter_mut().zip(row).zip(error).zip(gain) {
            *below += root * gain * error - number * along;
        }
        if let Some(slopes) = by_gain.as_deref_mut() {
            let slopes = slopes.iter_mut().zip(row).zip(error);
            slopes.for_each(|((slope, number), error)| *slope += number * root * error);
        }
    }
}

/// By how much the two halves of each head are turned, place by place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Waves {
    half: usize,
    /// Cosine and sine, of each place and each number of half a head.
    turns: Vec<(f32, f32)>,
}

impl Waves {
    pub(crate) fn new(shape: &Shape) -> Self {
        let half = shape.head_width() / 2;
        let turns = (0..shape.sizes().context).flat_map(|place| {
            (0..half).map(move |number| {
                let angle = real(place) * shape.sizes().wave_base.powf(-real(number) / real(half));
                (narrow(angle.cos()), narrow(angle.sin()))
            })
        });
        Self { half, turns: turns.collect() }
    }

    /// Turns all heads of the rows, the first of which has this place.
    pub(crate) fn turn(&self, rows: &mut [f32], width: usize, first: usize) {
        self.turned(rows, width, first, 1.0);
    }

    /// Turns them back, which is also the way back for errors.
    pub(crate) fn turn_back(&self, rows: &mut [f32], width: usize, first: usize) {
        self.turned(rows, width, first, -1.0);
    }

    fn turned(&self, rows: &mut [f32], width: usize, first: usize, sign: f32) {
        for (row, turns) in rows.chunks_exact_mut(width).zip(self.turns.chunks_exact(self.half).skip(first)) {
            for head in row.chunks_exact_mut(2 * self.half) {
                let (low, high) = head.split_at_mut(self.half);
                for ((low, high), (cosine, sine)) in low.iter_mut().zip(high).zip(turns) {
                    let sine = sign * sine;
                    (*low, *high) = (*low * cosine - *high * sine, *high * cosine + *low * sine);
                }
            }
        }
    }
}

/// How open a gate is.
fn open(gate: f32) -> f32 {
    1.0 / (1.0 + exp(-gate))
}

/// What passes the gates.
pub(crate) fn gated(gates: &[f32], ups: &[f32], out: &mut Vec<f32>) {
    out.clear();
    out.extend(gates.iter().zip(ups).map(|(gate, up)| gate * open(*gate) * up));
}

/// Turns gates, and what is to pass them, into how the loss grows with them; `error` is how it grows with what passed.
pub(crate) fn gated_back(gates: &mut [f32], ups: &mut [f32], error: &[f32]) {
    for ((gate, up), error) in gates.iter_mut().zip(ups).zip(error) {
        let part = open(*gate);
        let passed = *gate * part;
        let slope = part + passed * (1.0 - part);
        (*gate, *up) = (error * *up * slope, error * passed);
    }
}

/// Turns scores of a square into shares, row by row, of what is not in the future.
pub(crate) fn shares(scores: &mut [f32], side: usize) {
    for (row, scores) in scores.chunks_exact_mut(side).enumerate() {
        let (seen, future) = scores.split_at_mut(row + 1);
        softmax(seen, row + 1);
        future.fill(0.0);
    }
}
