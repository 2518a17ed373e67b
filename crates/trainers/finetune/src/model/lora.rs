use serde::{Deserialize, Serialize};
use trainyard_trainkit::{Chance, narrow, real};

use super::Shape;
use super::plan::{Linear, Span, Tensor, Tensors};

/// How much an adapter can learn, and how much of it counts.
///
/// ```
/// use trainyard_finetune::Rank;
///
/// assert_eq!(Rank::new(8, 16.0), Some(Rank::default()));
/// assert_eq!(Rank::new(0, 16.0), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rank {
    rank: u16,
    alpha: f32,
}

impl Rank {
    /// Matrices of this rank, 1 to 256, which count `alpha / rank`; `alpha` is above 0 and at most 1,024.
    #[must_use]
    pub fn new(rank: u16, alpha: f32) -> Option<Self> {
        ((1..=256).contains(&rank) && alpha > 0.0 && alpha <= 1_024.0).then_some(Self { rank, alpha })
    }

    /// The rank.
    #[must_use]
    pub const fn get(&self) -> u16 {
        self.rank
    }

    /// What counts, times the rank.
    #[must_use]
    pub const fn alpha(&self) -> f32 {
        self.alpha
    }

    fn scale(self) -> f32 {
        self.alpha / f32::from(self.rank)
    }
}

impl Default for Rank {
    /// 8, which counts twice.
    fn default() -> Self {
        Self { rank: 8, alpha: 16.0 }
    }
}

/// What an adapter adds to each matrix of each layer: two thin matrices, `B · A · alpha / rank` (Hu and others, 2021;
/// <https://arxiv.org/abs/2106.09685>).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lora {
    rank: Rank,
    pairs: Vec<[Pair; 7]>,
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) weights: Vec<f32>,
}

/// Where the two matrices for one of the base lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pair {
    /// From what goes in to `rank` numbers.
    pub(crate) down: Span,
    /// From those to what comes out.
    pub(crate) up: Span,
}

impl Lora {
    /// One that adds nothing at all: all zeros.
    pub(crate) fn flat(shape: &Shape, rank: Rank) -> Self {
        let (pairs, tensors) = plan(shape, rank);
        Self { rank, pairs, weights: vec![0.0; tensors.until], tensors: tensors.all }
    }

    /// The tensors that an adapter beside a model of this shape has.
    pub(crate) fn tensors_of(shape: &Shape, rank: Rank) -> Vec<Tensor> {
        plan(shape, rank).1.all
    }

    /// One to begin with: the first of each two matrices by chance, the second all zeros, so that it adds nothing yet.
    pub(crate) fn seeded(shape: &Shape, rank: Rank, chance: &mut Chance) -> Self {
        let mut lora = Self::flat(shape, rank);
        for pair in lora.pairs.iter().flatten() {
            let width = 1.0 / real(pair.down.columns).sqrt();
            let weights = &mut lora.weights[pair.down.range()];
            weights.iter_mut().for_each(|weight| *weight = narrow(width * (2.0 * chance.unit() - 1.0)));
        }
        lora
    }

    pub(crate) const fn rank(&self) -> Rank {
        self.rank
    }

    pub(crate) fn scale(&self) -> f32 {
        self.rank.scale()
    }

    pub(crate) fn pair(&self, layer: usize, linear: Linear) -> Pair {
        self.pairs[layer][linear as usize]
    }

    /// How many weights such a one has.
    pub(crate) fn count(shape: &Shape, rank: Rank) -> u64 {
        let ends = Linear::ALL.map(|linear| linear.ends(shape));
        let width: usize = ends.iter().map(|(out, input)| out + input).sum();
        (shape.sizes().layers * width * usize::from(rank.rank)) as u64
    }
}

fn plan(shape: &Shape, rank: Rank) -> (Vec<[Pair; 7]>, Tensors) {
    let mut tensors = Tensors::default();
    let width = usize::from(rank.rank);
    let pairs = (0..shape.sizes().layers).map(|layer| {
        Linear::ALL.map(|linear| {
            let (out, input) = linear.ends(shape);
            let name =
                |what: &str| format!("base_model.model.model.layers.{layer}.{}.{what}.weight", linear.name());
            let down = tensors.matrix(name("lora_A"), width, input);
            Pair { down, up: tensors.matrix(name("lora_B"), out, width) }
        })
    });
    (pairs.collect(), tensors)
}
