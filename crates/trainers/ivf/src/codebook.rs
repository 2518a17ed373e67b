use std::cmp::Ordering;

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};

use crate::numeric::{Top2, narrow, squared_norm, top2};

/// How many centroids go through one matrix product: what matrixmultiply packs at a time. Bounds the
/// scores kept beside a block of rows, and with them the work between two questions whether to stop.
const CENTROIDS_PER_TILE: usize = 1024;

/// Centroids ready for products: the nearest centroid of `x` has the largest `x·c − |c|²/2`.
#[derive(Debug, Clone)]
pub(crate) struct Codebook {
    dim: usize,
    flat: Vec<f32>,
    halves: Vec<f32>,
}

/// The matrix of products of one thread, kept from block to block.
#[derive(Debug, Default)]
pub(crate) struct Products(Vec<f32>);

/// Where a block of work is not a matrix product but one pass over points, it is this many of them.
pub(crate) const POINTS_PER_QUESTION: usize = 1024;

/// A question that is asked before each block of work.
pub(crate) type Stop<'a> = &'a (dyn Fn() -> bool + Sync);

/// The work was given up because the caller said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GivenUp;

impl Codebook {
    pub(crate) fn new(dim: usize, flat: Vec<f32>) -> Self {
        let halves = flat.chunks_exact(dim).map(|c| narrow(squared_norm(c) * 0.5)).collect();
        Self { dim, flat, halves }
    }

    pub(crate) fn len(&self) -> usize {
        self.halves.len()
    }

    pub(crate) fn dim(&self) -> usize {
        self.dim
    }

    pub(crate) fn flat(&self) -> &[f32] {
        &self.flat
    }

    pub(crate) fn centroid(&self, list: usize) -> &[f32] {
        &self.flat[list * self.dim..][..self.dim]
    }

    pub(crate) fn half(&self, list: usize) -> f32 {
        self.halves[list]
    }

    /// Hands the best two of the first `limit` centroids to `found`, row by row. Among equals the first wins.
    /// A score does not depend on which rows and centroids share the block with it.
    pub(crate) fn nearest(
        &self,
        rows: &[f32],
        limit: usize,
        products: &mut Products,
        stop: Stop<'_>,
        mut found: impl FnMut(usize, Top2),
    ) -> Result<(), GivenUp> {
        if rows.is_empty() {
            return Ok(());
        }
        let count = rows.len() / self.dim;
        let mut tops = if limit > CENTROIDS_PER_TILE { vec![Top2::NONE; count] } else { Vec::new() };
        for start in (0..limit).step_by(CENTROIDS_PER_TILE) {
            if stop() {
                return Err(GivenUp);
            }
            let width = CENTROIDS_PER_TILE.min(limit - start);
            let scores = self.product(rows, start, width, products);
            let halves = &self.halves[start..start + width];
            for (row, line) in scores.chunks_exact(width).enumerate() {
                let tile = top2(line, halves);
                match tops.get_mut(row) {
                    None => found(row, tile),
                    Some(top) => *top = merge(*top, Top2 { at: start + tile.at, ..tile }),
                }
            }
        }
        tops.iter().enumerate().for_each(|(row, &top)| found(row, top));
        Ok(())
    }

    /// How far every centroid is from one row, as a number that orders like the distance.
    pub(crate) fn keys(&self, row: &[f32], products: &mut Products) -> Vec<(f32, u32)> {
        let mut keys = Vec::with_capacity(self.len());
        for start in (0..self.len()).step_by(CENTROIDS_PER_TILE) {
            let width = CENTROIDS_PER_TILE.min(self.len() - start);
            let scores = self.product(row, start, width, products);
            let halves = &self.halves[start..start + width];
            keys.extend(scores.iter().zip(halves).map(|(p, h)| h - p).zip(list_number(start)..));
        }
        keys
    }

    fn product<'p>(&self, rows: &[f32], start: usize, width: usize, products: &'p mut Products) -> &'p [f32] {
        let count = rows.len() / self.dim;
        if products.0.len() < count * width {
            products.0.resize(count * width, 0.0);
        }
        let out = &mut products.0[..count * width];
        let tile = &self.flat[start * self.dim..(start + width) * self.dim];
        let shape = "the slices were cut to this shape";
        let rows = ArrayView2::from_shape((count, self.dim), rows).expect(shape);
        let tile = ArrayView2::from_shape((width, self.dim), tile).expect(shape);
        let mut view = ArrayViewMut2::from_shape((count, width), &mut *out).expect(shape);
        general_mat_mul(1.0, &rows, &tile.t(), 0.0, &mut view);
        out
    }
}

fn merge(left: Top2, right: Top2) -> Top2 {
    match right.best.partial_cmp(&left.best) {
        Some(Ordering::Greater) => Top2 { second: right.second.max(left.best), ..right },
        _ => Top2 { second: left.second.max(right.best), ..left },
    }
}

/// Lists are counted in `u32`: [`KMeans`](crate::KMeans) takes their number as one.
pub(crate) fn list_number(index: usize) -> u32 {
    u32::try_from(index).expect("lists are counted in u32")
}
