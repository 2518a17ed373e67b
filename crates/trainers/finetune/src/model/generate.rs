use ndarray::linalg::general_mat_mul;
use trainyard_trainkit::softmax;

use super::plan::{Linear, block, block_mut, view, view_mut};
use super::{Lora, Model, Sizes, clear, parts};

/// What a model remembers of the tokens so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cache {
    /// Keys and values of each layer.
    layers: Vec<(Vec<f32>, Vec<f32>)>,
    tokens: usize,
    scores: Vec<f32>,
}

impl Cache {
    /// How many tokens there were.
    pub(crate) const fn tokens(&self) -> usize {
        self.tokens
    }

    /// The scores of all tokens to follow the last.
    pub(crate) fn scores(&self) -> &[f32] {
        &self.scores
    }
}

impl Model {
    /// Reads more tokens, and leaves the [scores](Cache::scores) of all that may follow the last of them.
    ///
    /// # Panics
    /// When they and those before are more than the context holds, or there are none.
    pub(crate) fn read_on(&self, lora: Option<&Lora>, tokens: &[u16], cache: &mut Cache) {
        let Sizes { width, context, norm_least, vocabulary, hidden, .. } = *self.shape.sizes();
        let Cache { layers, tokens: before, scores } = cache;
        let (first, rows) = (*before, tokens.len());
        assert!(rows > 0 && first + rows <= context, "tokens fit into the context");
        layers.resize_with(self.plan.layers.len(), Default::default);
        let keys = self.shape.key_width();
        let mut state = Vec::with_capacity(rows * width);
        for &token in tokens {
            state.extend_from_slice(
                &self.plan.table.numbers(&self.weights)[usize::from(token) * width..][..width],
            );
        }
        let (mut roots, mut scaled, mut thin) = (Vec::new(), Vec::new(), Default::default());
        let mut query = Vec::new();
        let (mut gate, mut up, mut passed) = (Vec::new(), Vec::new(), Vec::new());
        for (number, (plan, (all_keys, all_values))) in self.plan.layers.iter().zip(layers).enumerate() {
            let gain = plan.attention_norm.numbers(&self.weights);
            parts::norm(&state, gain, norm_least, &mut roots, &mut scaled);
            clear(&mut query, rows * width);
            self.add(number, Linear::Query, lora, &scaled, &mut thin, &mut query);
            self.waves.turn(&mut query, width, first);
            for (linear, all) in [(Linear::Key, &mut *all_keys), (Linear::Value, &mut *all_values)] {
                all.resize((first + rows) * keys, 0.0);
                self.add(number, linear, lora, &scaled, &mut thin, &mut all[first * keys..]);
            }
            self.waves.turn(&mut all_keys[first * keys..], keys, first);
            let seen = self.look_back(&query, all_keys, all_values, first);
            self.add(number, Linear::Out, lora, &seen, &mut thin, &mut state);
            let gain = plan.mlp_norm.numbers(&self.weights);
            parts::norm(&state, gain, norm_least, &mut roots, &mut scaled);
            for (linear, out) in [(Linear::Gate, &mut gate), (Linear::Up, &mut up)] {
                clear(out, rows * hidden);
                self.add(number, linear, lora, &scaled, &mut thin, out);
            }
            parts::gated(&gate, &up, &mut passed);
            self.add(number, Linear::Down, lora, &passed, &mut thin, &mut state);
        }
        let last = &state[(rows - 1) * width..];
        parts::norm(last, self.plan.norm.numbers(&self.weights), norm_least, &mut roots, &mut scaled);
        clear(scores, vocabulary);
        let head = self.plan.head.of(&self.weights);
        general_mat_mul(1.0, &view(&scaled, width), &head.t(), 0.0, &mut view_mut(scores, vocabulary));
        *before += rows;
    }

    /// What the heads of the newest tokens see of all so far.
    fn look_back(&self, query: &[f32], keys: &[f32], values: &[f32], first: usize) -> Vec<f32> {
        let Sizes { width, heads, .. } = *self.shape.sizes();
        let mut seen = vec![0.0; query.len()];
        let (query, mut all) = (view(query, width), view_mut(&mut seen, width));
        let (keys, values) = (view(keys, self.shape.key_width()), view(values, self.shape.key_width()));
        let mut shares = vec![0.0; query.nrows() * keys.nrows()];
        for head in 0..heads {
            let (mine, shared) = self.columns(head);
            let query = block(query, 0..query.nrows(), mine.clone());
            let count = keys.nrows();
            let known = block(keys, 0..count, shared.clone());
            general_mat_mul(self.sharpness(), &query, &known.t(), 0.0, &mut view_mut(&mut shares, count));
            for (row, shares) in shares.chunks_exact_mut(count).enumerate() {
                let (past, future) = shares.split_at_mut(first + row + 1);
                softmax(past, first + row + 1);
                future.fill(0.0);
            }
            let values = block(values, 0..count, shared);
            let mut seen = block_mut(all.view_mut(), 0..query.nrows(), mine);
            general_mat_mul(1.0, &view(&shares, count), &values, 0.0, &mut seen);
        }
        seen
    }
}
