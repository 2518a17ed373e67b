//! A small language model as llama has it: forwards, backwards, and one token after the other.
//!
//! Weights are one long row of numbers, so that whatever goes downhill, is digested or is saved need not know what is
//! what; a [`Plan`] says where each tensor lies. [`Model::forward`] leaves on a [`Tape`] what [`Model::backward`] needs.
//! What learns is the adapter if there is one, else the model itself.

mod backward;
mod forward;
mod generate;
mod lora;
mod parts;
mod plan;
mod shape;

use trainyard_trainkit::{Chance, narrow, real};

pub(crate) use self::backward::Errors;
pub(crate) use self::generate::Cache;
pub(crate) use self::lora::Lora;
pub use self::lora::Rank;
use self::parts::Waves;
use self::plan::Plan;
pub(crate) use self::plan::{Linear, Tensor};
pub use self::shape::{Head, NoShape, Shape, Sizes};

/// A decoder with its weights.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Model {
    shape: Shape,
    plan: Plan,
    waves: Waves,
    pub(crate) weights: Vec<f32>,
}

impl Model {
    /// All zeros, which is a model that knows nothing and cannot learn; for weights to be read into.
    pub(crate) fn flat(shape: Shape) -> Self {
        let plan = Plan::new(&shape);
        let count = plan.tensors.last().map_or(0, |tensor| tensor.span.range().end);
        Self { waves: Waves::new(&shape), weights: vec![0.0; count], plan, shape }
    }

    /// One to begin with: gains of one, and the rest by chance, uniform; what a layer adds counts less the more layers
    /// there are.
    pub(crate) fn seeded(shape: Shape, chance: &mut Chance) -> Self {
        let mut model = Self::flat(shape);
        let layers = real(2 * shape.sizes().layers);
        for tensor in &model.plan.tensors {
            let is_table = tensor.span.from == 0;
            let adds = tensor.name.contains("o_proj") || tensor.name.contains("down_proj");
            let width = if is_table { 0.02 } else { 1.0 / real(tensor.span.columns).sqrt() };
            let width = 3.0_f64.sqrt() * width / if adds { layers.sqrt() } else { 1.0 };
            for weight in &mut model.weights[tensor.span.range()] {
                *weight = if tensor.is_row { 1.0 } else { narrow(width * (2.0 * chance.unit() - 1.0)) };
            }
        }
        model
    }

    pub(crate) const fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The tensors that a model of this shape has.
    pub(crate) fn tensors_of(shape: &Shape) -> Vec<Tensor> {
        Plan::new(shape).tensors
    }

    /// All tensors as they are called in files.
    pub(crate) fn tensors(&self) -> &[Tensor] {
        &self.plan.tensors
    }
}

/// Texts that go through at once, one after the other without a gap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    tokens: Vec<u16>,
    /// How many of the tokens each text has.
    lengths: Vec<usize>,
    /// After which token which one should follow.
    asked: Vec<(usize, u16)>,
}

impl Batch {
    /// Adds a text; of its tokens those from `first` on are to be foreseen. The last is foreseen only.
    ///
    /// # Panics
    /// When there are fewer than two tokens, or the first is to be foreseen.
    pub(crate) fn push(&mut self, text: &[u16], first: usize) {
        assert!(text.len() > 1 && first > 0, "the first token has none before it");
        let from = self.tokens.len();
        self.tokens.extend_from_slice(&text[..text.len() - 1]);
        self.lengths.push(text.len() - 1);
        self.asked.extend((first..text.len()).map(|place| (from + place - 1, text[place])));
    }

    /// How many tokens are to be foreseen.
    pub(crate) fn asked(&self) -> usize {
        self.asked.len()
    }

    /// How many tokens go through.
    #[cfg(test)]
    pub(crate) fn tokens(&self) -> usize {
        self.tokens.len()
    }

    /// Where each text begins, and how long it is.
    fn texts(&self) -> impl Iterator<Item = (usize, usize)> {
        self.lengths.iter().scan(0, |until, &length| {
            let from = *until;
            *until += length;
            Some((from, length))
        })
    }
}

/// What a pass leaves for the way back, and for the next to write over.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    layers: Vec<LayerTape>,
    /// What comes out of the last layer.
    last: Vec<f32>,
    roots: Vec<f32>,
    /// The rows after which something is asked, scaled.
    asked: Vec<f32>,
    /// Scores of all tokens for each of them; after the loss, how it grows with each.
    scores: Vec<f32>,
}

#[cfg(test)]
impl Tape {
    /// How many numbers there is room for.
    pub(crate) fn numbers(&self) -> usize {
        let layer = |layer: &LayerTape| {
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
            } = layer;
            let all = [input, query, key, value, shares, seen, middle, gate, up, passed];
            let norms = [attention, mlp].into_iter().flat_map(|norm| [&norm.roots, &norm.rows]);
            all.into_iter().chain(norms).chain(thin).map(Vec::capacity).sum::<usize>()
        };
        let Self { layers, last, roots, asked, scores } = self;
        let rest = [last, roots, asked, scores].into_iter().map(Vec::capacity).sum::<usize>();
        layers.iter().map(layer).sum::<usize>() + rest
    }
}

/// What a layer leaves.
#[derive(Debug, Default)]
struct LayerTape {
    /// What goes in.
    input: Vec<f32>,
    attention: NormTape,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    /// For each text and each head, a square of shares.
    shares: Vec<f32>,
    /// What the heads saw.
    seen: Vec<f32>,
    /// What goes into the second half.
    middle: Vec<f32>,
    mlp: NormTape,
    gate: Vec<f32>,
    up: Vec<f32>,
    passed: Vec<f32>,
    /// Between the two matrices of each pair of an adapter.
    thin: [Vec<f32>; 7],
}

#[derive(Debug, Default)]
struct NormTape {
    roots: Vec<f32>,
    rows: Vec<f32>,
}

/// All zeros, so many of them.
fn clear(numbers: &mut Vec<f32>, count: usize) {
    numbers.clear();
    numbers.resize(count, 0.0);
}

#[cfg(test)]
mod tests;
