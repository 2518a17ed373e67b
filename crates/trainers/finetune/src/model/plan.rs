//! Where each tensor lies among the weights, which are one long row of numbers.

use std::ops::Range;

use ndarray::{ArrayView2, ArrayViewMut2, Axis};

use super::{Head, Shape, Sizes};

/// A matrix among the weights, row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: usize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

impl Span {
    pub(crate) const fn range(&self) -> Range<usize> {
        self.from..self.from + self.rows * self.columns
    }

    pub(crate) fn numbers<'w>(&self, weights: &'w [f32]) -> &'w [f32] {
        &weights[self.range()]
    }

    pub(crate) fn of<'w>(&self, weights: &'w [f32]) -> ArrayView2<'w, f32> {
        view(self.numbers(weights), self.columns)
    }

    pub(crate) fn of_mut<'w>(&self, weights: &'w mut [f32]) -> ArrayViewMut2<'w, f32> {
        view_mut(&mut weights[self.range()], self.columns)
    }
}

/// A matrix of so many columns.
pub(crate) fn view(numbers: &[f32], columns: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((numbers.len() / columns, columns), numbers).expect("whole rows only")
}

/// The same, to be written to.
pub(crate) fn view_mut(numbers: &mut [f32], columns: usize) -> ArrayViewMut2<'_, f32> {
    ArrayViewMut2::from_shape((numbers.len() / columns, columns), numbers).expect("whole rows only")
}

/// A block of a matrix.
pub(crate) fn block(
    of: ArrayView2<'_, f32>,
    rows: Range<usize>,
    columns: Range<usize>,
) -> ArrayView2<'_, f32> {
    let rows = of.split_at(Axis(0), rows.end).0.split_at(Axis(0), rows.start).1;
    rows.split_at(Axis(1), columns.end).0.split_at(Axis(1), columns.start).1
}

/// The same, to be written to.
pub(crate) fn block_mut(
    of: ArrayViewMut2<'_, f32>,
    rows: Range<usize>,
    columns: Range<usize>,
) -> ArrayViewMut2<'_, f32> {
    let rows = of.split_at(Axis(0), rows.end).0.split_at(Axis(0), rows.start).1;
    rows.split_at(Axis(1), columns.end).0.split_at(Axis(1), columns.start).1
}

/// The matrices of a layer that an adapter can be put beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Linear {
    Query,
    Key,
    Value,
    Out,
    Gate,
    Up,
    Down,
}

impl Linear {
    pub(crate) const ALL: [Self; 7] =
        [Self::Query, Self::Key, Self::Value, Self::Out, Self::Gate, Self::Up, Self::Down];

    /// What llama calls it, within its layer.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Query => "self_attn.q_proj",
            Self::Key => "self_attn.k_proj",
            Self::Value => "self_attn.v_proj",
            Self::Out => "self_attn.o_proj",
            Self::Gate => "mlp.gate_proj",
            Self::Up => "mlp.up_proj",
            Self::Down => "mlp.down_proj",
        }
    }

    /// How many numbers come out, and how many go in.
    pub(crate) const fn ends(self, shape: &Shape) -> (usize, usize) {
        let Sizes { width, hidden, .. } = *shape.sizes();
        match self {
            Self::Query | Self::Out => (width, width),
            Self::Key | Self::Value => (shape.key_width(), width),
            Self::Gate | Self::Up => (hidden, width),
            Self::Down => (width, hidden),
        }
    }
}

/// Where the tensors of a layer lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LayerPlan {
    pub(crate) attention_norm: Span,
    pub(crate) mlp_norm: Span,
    linears: [Span; 7],
}

impl LayerPlan {
    pub(crate) const fn linear(&self, which: Linear) -> Span {
        self.linears[which as usize]
    }
}

/// Where all tensors of a model lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) table: Span,
    pub(crate) layers: Vec<LayerPlan>,
    pub(crate) norm: Span,
    /// The table itself when both are tied.
    pub(crate) head: Span,
    /// All tensors as they are called in files, one after the other.
    pub(crate) tensors: Vec<Tensor>,
}

/// A tensor and what it is called in files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) span: Span,
    /// Whether it is a row, not a matrix.
    pub(crate) is_row: bool,
}

impl Tensor {
    /// As files have it.
    pub(crate) fn shape(&self) -> Vec<usize> {
        if self.is_row { vec![self.span.columns] } else { vec![self.span.rows, self.span.columns] }
    }
}

impl Plan {
    pub(crate) fn new(shape: &Shape) -> Self {
        let Sizes { layers, width, vocabulary, head, .. } = *shape.sizes();
        let mut tensors = Tensors::default();
        let table = tensors.matrix("model.embed_tokens.weight".to_owned(), vocabulary, width);
        let layers = (0..layers).map(|layer| {
            let name = |what: &str| format!("model.layers.{layer}.{what}.weight");
            LayerPlan {
                attention_norm: tensors.row(name("input_layernorm"), width),
                mlp_norm: tensors.row(name("post_attention_layernorm"), width),
                linears: Linear::ALL.map(|linear| {
                    let (out, input) = linear.ends(shape);
                    tensors.matrix(name(linear.name()), out, input)
                }),
            }
        });
        let layers = layers.collect();
        let norm = tensors.row("model.norm.weight".to_owned(), width);
        let head = match head {
            Head::Tied => table,
            Head::Own => tensors.matrix("lm_head.weight".to_owned(), vocabulary, width),
        };
        Self { table, layers, norm, head, tensors: tensors.all }
    }
}

/// Tensors one after the other.
#[derive(Debug, Default)]
pub(crate) struct Tensors {
    pub(crate) all: Vec<Tensor>,
    pub(crate) until: usize,
}

impl Tensors {
    pub(crate) fn matrix(&mut self, name: String, rows: usize, columns: usize) -> Span {
        self.add(name, rows, columns, false)
    }

    fn row(&mut self, name: String, columns: usize) -> Span {
        self.add(name, 1, columns, true)
    }

    fn add(&mut self, name: String, rows: usize, columns: usize, is_row: bool) -> Span {
        let span = Span { from: self.until, rows, columns };
        self.until = span.range().end;
        self.all.push(Tensor { name, span, is_row });
        span
    }
}
