use ndarray::linalg::general_mat_mul;
use trainyard_trainkit::{exp, narrow, real};

use super::plan::{Linear, block, block_mut, view, view_mut};
use super::{Batch, LayerTape, Lora, Model, Sizes, Tape, clear, parts};

impl Model {
    /// Runs the texts through, and says the sum of the losses: for each token that was to be foreseen, how surprising it
    /// was, in nats. Each counts `weight` on the way back.
    ///
    /// # Panics
    /// When a text is longer than the context, or a token is none.
    pub(crate) fn forward(&self, lora: Option<&Lora>, batch: &Batch, weight: f64, tape: &mut Tape) -> f64 {
        self.run(lora, batch, tape);
        let tokens = self.shape.sizes().vocabulary;
        let mut loss = 0.0;
        for (&(_, next), scores) in batch.asked.iter().zip(tape.scores.chunks_exact_mut(tokens)) {
            let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let wanted = f64::from(scores[usize::from(next)] - top);
            let mut sum = 0.0;
            for score in scores.iter_mut() {
                *score = exp(*score - top);
                sum += f64::from(*score);
            }
            loss += sum.ln() - wanted;
            let part = narrow(weight / sum);
            scores.iter_mut().for_each(|score| *score *= part);
            scores[usize::from(next)] -= narrow(weight);
        }
        loss
    }

    /// Runs the texts through, up to the scores of all tokens where one is asked for.
    fn run(&self, lora: Option<&Lora>, batch: &Batch, tape: &mut Tape) {
        let Sizes { width, context, norm_least, vocabulary, .. } = *self.shape.sizes();
        assert!(batch.lengths.iter().all(|&length| length <= context), "texts fit into the context");
        let Tape { layers, last, roots, asked, scores } = tape;
        layers.resize_with(self.plan.layers.len(), LayerTape::default);
        last.clear();
        for &token in &batch.tokens {
            let from = usize::from(token) * width;
            last.extend_from_slice(&self.plan.table.numbers(&self.weights)[from..from + width]);
        }
        for (number, tape) in layers.iter_mut().enumerate() {
            std::mem::swap(&mut tape.input, last);
            self.layer(number, lora, batch, tape);
            last.clear();
            last.extend_from_slice(&tape.middle);
            self.add(number, Linear::Down, lora, &tape.passed, &mut tape.thin, last);
        }
        // Only rows after which something is asked go on.
        scores.clear();
        let mut picked = Vec::with_capacity(batch.asked.len() * width);
        for &(place, _) in &batch.asked {
            picked.extend_from_slice(&last[place * width..][..width]);
        }
        std::mem::swap(last, &mut picked);
        parts::norm(last, self.plan.norm.numbers(&self.weights), norm_least, roots, asked);
        clear(scores, batch.asked.len() * vocabulary);
        let head = self.plan.head.of(&self.weights);
        general_mat_mul(1.0, &view(asked, width), &head.t(), 0.0, &mut view_mut(scores, vocabulary));
    }

    /// One layer, up to what passes its gates.
    fn layer(&self, number: usize, lora: Option<&Lora>, batch: &Batch, tape: &mut LayerTape) {
        let Sizes { width, norm_least, hidden, .. } = *self.shape.sizes();
        let plan = &self.plan.layers[number];
        let LayerTape {
            input,
            attention,
            query,
            key,
            value,
            shares,
            seen,
            middle,
            mlp,
            gate,
            up,
            passed,
            thin,
        } = tape;
        let gain = plan.attention_norm.numbers(&self.weights);
        parts::norm(input, gain, norm_least, &mut attention.roots, &mut attention.rows);
        let rows = batch.tokens.len();
        let keys = self.shape.key_width();
        for (linear, out, wide) in
            [(Linear::Query, &mut *query, width), (Linear::Key, key, keys), (Linear::Value, value, keys)]
        {
            clear(out, rows * wide);
            self.add(number, linear, lora, &attention.rows, thin, out);
        }
        for (from, length) in batch.texts() {
            self.waves.turn(&mut query[from * width..][..length * width], width, 0);
            self.waves.turn(&mut key[from * keys..][..length * keys], keys, 0);
        }
        self.attend(batch, query, key, value, shares, seen);
        middle.clear();
        middle.extend_from_slice(input);
        self.add(number, Linear::Out, lora, seen, thin, middle);

        let gain = plan.mlp_norm.numbers(&self.weights);
        parts::norm(middle, gain, norm_least, &mut mlp.roots, &mut mlp.rows);
        for (linear, out) in [(Linear::Gate, &mut *gate), (Linear::Up, up)] {
            clear(out, rows * hidden);
            self.add(number, linear, lora, &mlp.rows, thin, out);
        }
        parts::gated(gate, up, passed);
    }

    /// Each head looks at what is not in the future.
    fn attend(
        &self,
        batch: &Batch,
        query: &[f32],
        key: &[f32],
        value: &[f32],
        shares: &mut Vec<f32>,
        seen: &mut Vec<f32>,
    ) {
        let Sizes { width, heads, .. } = *self.shape.sizes();
        let keys = self.shape.key_width();
        clear(seen, query.len());
        let squares: usize = batch.lengths.iter().map(|length| heads * length * length).sum();
        shares.resize(squares, 0.0); // all of it is written over
        let (query, key, value) = (view(query, width), view(key, keys), view(value, keys));
        let mut seen = view_mut(seen, width);
        let mut rest = shares.as_mut_slice();
        for (from, length) in batch.texts() {
            for head in 0..heads {
                let (square, after) = rest.split_at_mut(length * length);
                rest = after;
                let (mine, shared) = self.columns(head);
                let rows = from..from + length;
                let query = block(query, rows.clone(), mine.clone());
                let key = block(key, rows.clone(), shared.clone());
                general_mat_mul(self.sharpness(), &query, &key.t(), 0.0, &mut view_mut(square, length));
                parts::shares(square, length);
                let value = block(value, rows.clone(), shared);
                let mut seen = block_mut(seen.view_mut(), rows, mine);
                general_mat_mul(1.0, &view(square, length), &value, 0.0, &mut seen);
            }
        }
    }

    /// Adds what a matrix makes of the rows, and what the adapter beside it does.
    pub(super) fn add(
        &self,
        layer: usize,
        linear: Linear,
        lora: Option<&Lora>,
        rows: &[f32],
        thin: &mut [Vec<f32>; 7],
        out: &mut [f32],
    ) {
        let span = self.plan.layers[layer].linear(linear);
        let (rows, mut out) = (view(rows, span.columns), view_mut(out, span.rows));
        general_mat_mul(1.0, &rows, &span.of(&self.weights).t(), 1.0, &mut out);
        if let Some(lora) = lora {
            let pair = lora.pair(layer, linear);
            let thin = &mut thin[linear as usize];
            clear(thin, rows.nrows() * pair.down.rows);
            let down = pair.down.of(&lora.weights);
            general_mat_mul(1.0, &rows, &down.t(), 0.0, &mut view_mut(thin, pair.down.rows));
            let up = pair.up.of(&lora.weights);
            general_mat_mul(lora.scale(), &view(thin, pair.down.rows), &up.t(), 1.0, &mut out);
        }
    }

    /// The columns of a head's queries, and those of the keys and values that it shares.
    pub(super) fn columns(&self, head: usize) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
        let Sizes { heads, key_heads, .. } = *self.shape.sizes();
        let width = self.shape.head_width();
        let shared = head / (heads / key_heads) * width;
        (head * width..(head + 1) * width, shared..shared + width)
    }

    /// What products of queries and keys count.
    pub(super) fn sharpness(&self) -> f32 {
        narrow(1.0 / real(self.shape.head_width()).sqrt())
    }
}
