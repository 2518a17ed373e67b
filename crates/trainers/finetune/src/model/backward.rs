use ndarray::linalg::general_mat_mul;

use super::plan::{Linear, block, block_mut, view, view_mut};
use super::{Batch, LayerTape, Lora, Model, Sizes, Tape, clear, parts};

/// Errors on their way back.
#[derive(Debug, Default)]
pub(crate) struct Errors {
    /// How the loss grows with what goes into the layer that is next.
    below: Vec<f32>,
    /// With rows that were scaled.
    rows: Vec<f32>,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    seen: Vec<f32>,
    passed: Vec<f32>,
    square: Vec<f32>,
    thin: Vec<f32>,
}

#[cfg(test)]
impl Errors {
    /// How many numbers there is room for.
    pub(crate) fn numbers(&self) -> usize {
        let Self { below, rows, query, key, value, seen, passed, square, thin } = self;
        [below, rows, query, key, value, seen, passed, square, thin].into_iter().map(Vec::capacity).sum()
    }
}

impl Model {
    /// Adds to `slopes` how the loss grows with each weight of what learns, after [`Model::forward`] of the same texts:
    /// of the adapter if there is one, else of the model. Writes over the tape.
    ///
    /// # Panics
    /// When there are not as many slopes as weights.
    pub(crate) fn backward(
        &self,
        lora: Option<&Lora>,
        batch: &Batch,
        tape: &mut Tape,
        errors: &mut Errors,
        slopes: &mut [f32],
    ) {
        assert_eq!(slopes.len(), lora.map_or(&self.weights, |lora| &lora.weights).len(), "a slope for each");
        let Sizes { width, vocabulary, .. } = *self.shape.sizes();
        let Errors { below, rows, .. } = errors;
        let scores = view(&tape.scores, vocabulary);
        clear(rows, batch.asked.len() * width);
        general_mat_mul(1.0, &scores, &self.plan.head.of(&self.weights), 0.0, &mut view_mut(rows, width));
        if lora.is_none() {
            let mut by_head = self.plan.head.of_mut(slopes);
            general_mat_mul(1.0, &scores.t(), &view(&tape.asked, width), 1.0, &mut by_head);
        }
        let mut picked = vec![0.0; rows.len()];
        let gain = self.plan.norm.numbers(&self.weights);
        let by_gain = lora.is_none().then(|| &mut slopes[self.plan.norm.range()]);
        parts::norm_back(&tape.last, gain, &tape.roots, rows, &mut picked, by_gain);
        clear(below, batch.tokens.len() * width);
        for (&(place, _), picked) in batch.asked.iter().zip(picked.chunks_exact(width)) {
            below[place * width..][..width].copy_from_slice(picked);
        }
        for (number, tape) in tape.layers.iter_mut().enumerate().rev() {
            self.layer_back(number, lora, batch, tape, errors, slopes);
        }
        if lora.is_none() {
            let table = &mut slopes[self.plan.table.range()];
            for (&token, error) in batch.tokens.iter().zip(errors.below.chunks_exact(width)) {
                let slopes = &mut table[usize::from(token) * width..][..width];
                slopes.iter_mut().zip(error).for_each(|(slope, error)| *slope += error);
            }
        }
    }

    fn layer_back(
        &self,
        number: usize,
        lora: Option<&Lora>,
        batch: &Batch,
        tape: &mut LayerTape,
        errors: &mut Errors,
        slopes: &mut [f32],
    ) {
        let plan = &self.plan.layers[number];
        let Errors { below, rows, query, key, value, seen, passed, square, thin } = errors;
        let LayerTape { input, attention, shares, mlp, gate, up, middle, .. } = tape;
        let mut back = Back { model: self, number, lora, slopes, thin };

        clear(passed, gate.len());
        back.linear(Linear::Down, &tape.passed, &tape.thin, below, passed);
        parts::gated_back(gate, up, passed);
        clear(rows, below.len());
        back.linear(Linear::Gate, &mlp.rows, &tape.thin, gate, rows);
        back.linear(Linear::Up, &mlp.rows, &tape.thin, up, rows);
        let gain = plan.mlp_norm.numbers(&self.weights);
        let by_gain = lora.is_none().then(|| &mut back.slopes[plan.mlp_norm.range()]);
        parts::norm_back(middle, gain, &mlp.roots, rows, below, by_gain);

        clear(seen, below.len());
        back.linear(Linear::Out, &tape.seen, &tape.thin, below, seen);
        clear(query, tape.query.len());
        clear(key, tape.key.len());
        clear(value, tape.value.len());
        let kept = (tape.query.as_slice(), tape.key.as_slice(), tape.value.as_slice());
        self.attend_back(batch, kept, shares, seen, (query, key, value), square);
        let (width, keys) = (self.shape.sizes().width, self.shape.key_width());
        for (from, length) in batch.texts() {
            self.waves.turn_back(&mut query[from * width..][..length * width], width, 0);
            self.waves.turn_back(&mut key[from * keys..][..length * keys], keys, 0);
        }
        clear(rows, below.len());
        for (linear, error) in [(Linear::Query, &*query), (Linear::Key, key), (Linear::Value, value)] {
            back.linear(linear, &attention.rows, &tape.thin, error, rows);
        }
        let gain = plan.attention_norm.numbers(&self.weights);
        let by_gain = lora.is_none().then(|| &mut back.slopes[plan.attention_norm.range()]);
        parts::norm_back(input, gain, &attention.roots, rows, below, by_gain);
    }

    fn attend_back(
        &self,
        batch: &Batch,
        (query, key, value): (&[f32], &[f32], &[f32]),
        shares: &[f32],
        seen: &[f32],
        (by_query, by_key, by_value): (&mut [f32], &mut [f32], &mut [f32]),
        square: &mut Vec<f32>,
    ) {
        let Sizes { width, heads, .. } = *self.shape.sizes();
        let keys = self.shape.key_width();
        let (query, key, value) = (view(query, width), view(key, keys), view(value, keys));
        let seen = view(seen, width);
        let mut by_query = view_mut(by_query, width);
        let (mut by_key, mut by_value) = (view_mut(by_key, keys), view_mut(by_value, keys));
        let mut rest = shares;
        for (from, length) in batch.texts() {
            for head in 0..heads {
                let (shares, after) = rest.split_at(length * length);
                rest = after;
                let (mine, shared) = self.columns(head);
                let rows = || from..from + length;
                let seen = block(seen, rows(), mine.clone());
                let mut by_value = block_mut(by_value.view_mut(), rows(), shared.clone());
                general_mat_mul(1.0, &view(shares, length).t(), &seen, 1.0, &mut by_value);
                clear(square, length * length);
                let value = block(value, rows(), shared.clone());
                general_mat_mul(1.0, &seen, &value.t(), 0.0, &mut view_mut(square, length));
                for (error, shares) in square.chunks_exact_mut(length).zip(shares.chunks_exact(length)) {
                    let along: f32 = error.iter().zip(shares).map(|(error, share)| error * share).sum();
                    error.iter_mut().zip(shares).for_each(|(error, share)| *error = share * (*error - along));
                }
                let square = view(square, length);
                let (sharp, key) = (self.sharpness(), block(key, rows(), shared.clone()));
                let mut by_query = block_mut(by_query.view_mut(), rows(), mine.clone());
                general_mat_mul(sharp, &square, &key, 0.0, &mut by_query);
                let mut by_key = block_mut(by_key.view_mut(), rows(), shared);
                general_mat_mul(sharp, &square.t(), &block(query, rows(), mine), 1.0, &mut by_key);
            }
        }
    }
}

/// The way back through the matrices of a layer.
struct Back<'a> {
    model: &'a Model,
    number: usize,
    lora: Option<&'a Lora>,
    slopes: &'a mut [f32],
    thin: &'a mut Vec<f32>,
}

impl Back<'_> {
    /// Adds to the slopes of a matrix, or of the adapter beside it, and to `below`, with what went into it.
    fn linear(
        &mut self,
        linear: Linear,
        rows: &[f32],
        kept: &[Vec<f32>; 7],
        error: &[f32],
        below: &mut [f32],
    ) {
        let span = self.model.plan.layers[self.number].linear(linear);
        let (rows, error) = (view(rows, span.columns), view(error, span.rows));
        let mut below = view_mut(below, span.columns);
        general_mat_mul(1.0, &error, &span.of(&self.model.weights), 1.0, &mut below);
        let Some(lora) = self.lora else {
            let mut slopes = span.of_mut(self.slopes);
            return general_mat_mul(1.0, &error.t(), &rows, 1.0, &mut slopes);
        };
        let (pair, scale) = (lora.pair(self.number, linear), lora.scale());
        let kept = view(&kept[linear as usize], pair.down.rows);
        general_mat_mul(scale, &error.t(), &kept, 1.0, &mut pair.up.of_mut(self.slopes));
        clear(self.thin, kept.len());
        let mut thin = view_mut(self.thin, pair.down.rows);
        general_mat_mul(scale, &error, &pair.up.of(&lora.weights), 0.0, &mut thin);
        general_mat_mul(1.0, &thin.t(), &rows, 1.0, &mut pair.down.of_mut(self.slopes));
        general_mat_mul(1.0, &thin, &pair.down.of(&lora.weights), 1.0, &mut below);
    }
}
