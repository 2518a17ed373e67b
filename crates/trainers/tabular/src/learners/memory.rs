//! How much memory learners take, at most and about.

use super::{boosting, extra_trees, network, tree::Tree};

/// What of a table says how much its learners take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) rows: usize,
    pub(crate) features: usize,
    /// How many places the longest dictionary has; 0 where no feature is of texts.
    pub(crate) places: usize,
    /// How many components a vector has.
    pub(crate) width: usize,
    pub(crate) classes: usize,
}

/// In bytes, for all four learners together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needs {
    /// What is learned: held, worked on, and on its way into checkpoints.
    pub(crate) learned: u64,
    /// What is worked out from the rows: bins, sums, orders, what is wanted of each row.
    pub(crate) notes: u64,
}

impl Shape {
    pub(crate) fn needs(&self) -> Needs {
        let weights = self.weights();
        let weights = wide(weights[0]).saturating_add(wide(weights[1]));
        let learned = [
            weights.saturating_mul(WEIGHT_BYTES),
            self.trees(boosting::trees_max(self.classes), boosting::NODES_MAX, 1),
            self.trees(extra_trees::TREES_MAX, extra_trees::nodes_max(self.classes), self.classes),
        ];
        let row = 2 * wide(self.features) + ROW_AND_CLASS_BYTES * wide(self.classes) + ROW_BYTES;
        Needs {
            learned: learned.into_iter().fold(0, u64::saturating_add),
            notes: row.saturating_mul(wide(self.rows)),
        }
    }

    /// How many weights the linear learner and the network have.
    pub(crate) fn weights(&self) -> [usize; 2] {
        let layers = |widths: &[usize]| {
            let layer = |ends: &[usize]| (ends[0] + 1).saturating_mul(ends[1]);
            widths.windows(2).map(layer).fold(0, usize::saturating_add)
        };
        [layers(&[self.width, self.classes]), layers(&network::widths(self.width, self.classes))]
    }

    /// So many trees, each as large as such a table can make it, held and stored.
    fn trees(&self, trees: usize, nodes_max: usize, width: usize) -> u64 {
        let nodes = nodes_max.min(2 * self.rows.max(1));
        let [held, stored] = Tree::bytes_max(nodes, width, self.places.div_ceil(64));
        let tree = wide(held).saturating_add(wide(stored).saturating_mul(COPIES));
        tree.saturating_mul(wide(trees))
    }
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// While a checkpoint is written there are so many copies of what is stored: itself, with what belongs to it, and in its
/// frame; each in room that was doubled until it was enough.
const COPIES: u64 = 6;
/// A weight and its two means; as many again, stored, while a checkpoint is written. A step needs less: the same once
/// more, and a slope.
const WEIGHT_BYTES: u64 = 12 + COPIES * 12;
/// For each row and class: the sums and probabilities of boosting, its pulls, and the votes of trees.
const ROW_AND_CLASS_BYTES: u64 = 40;
/// For each row: the orders of the rows.
const ROW_BYTES: u64 = 16;
