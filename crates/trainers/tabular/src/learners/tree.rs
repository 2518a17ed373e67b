//! Trees of questions about single features.

use serde::{Deserialize, Serialize};

use super::ROWS_PER_LOOK;

/// Asks a row one question after the other, and ends at a leaf, which is some numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Raw")]
pub(super) struct Tree {
    /// The root first; whoever has children stands before them.
    nodes: Vec<Node>,
    /// How many numbers a leaf is.
    width: usize,
    values: Vec<f32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Node {
    /// Which leaf it is.
    Leaf(u32),
    Split(Split),
    /// Not decided yet; no tree that is grown has one.
    Bud,
}

/// A question, and where the answers lead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Split {
    question: Question,
    /// The node for the left; the one for the right stands behind it.
    left: u32,
}

/// A question about one feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Question {
    pub(super) column: u32,
    pub(super) rule: Rule,
    /// Where a row goes that has no value.
    pub(super) missing: Side,
}

/// Which values go left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Rule {
    /// Numbers up to this one.
    AtMost(f32),
    /// Codes whose bit is set, 64 to a word.
    Among(Vec<u64>),
    /// Any half of the codes, drawn by this seed.
    Drawn(u64),
}

/// The answer to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Side {
    Left,
    Right,
}

impl Tree {
    /// Nothing but a root that is not decided yet.
    pub(super) fn bud(width: usize) -> Self {
        Self { nodes: vec![Node::Bud], width, values: Vec::new() }
    }

    /// Makes a node a leaf.
    pub(super) fn end(&mut self, node: usize, values: &[f32]) {
        debug_assert_eq!(values.len(), self.width);
        self.nodes[node] = Node::Leaf(short(self.values.len() / self.width));
        self.values.extend_from_slice(values);
    }

    /// Makes a node ask; its left child is the node that is returned, its right one the next.
    pub(super) fn ask(&mut self, node: usize, question: Question) -> usize {
        let left = self.nodes.len();
        self.nodes[node] = Node::Split(Split { question, left: short(left) });
        self.nodes.extend([Node::Bud, Node::Bud]);
        left
    }

    /// How many nodes there are.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// How many bytes one of so many nodes takes in memory, and stored, when a leaf is so many numbers and a question
    /// about texts has so many words.
    pub(super) fn bytes_max(nodes: usize, width: usize, words: usize) -> [usize; 2] {
        let (leaves, questions) = (nodes.div_ceil(2), nodes / 2);
        let room = |count: usize| count.next_power_of_two();
        let values = room(leaves * width) * size_of::<f32>();
        let word_bytes = if words > 0 { words * 8 + 16 } else { 0 };
        let held = size_of::<Self>() + room(nodes) * size_of::<Node>() + values + questions * word_bytes;
        [held, nodes * NODE_BYTES + questions * 10 * words + leaves * width * size_of::<f32>()]
    }

    /// How many numbers a leaf is.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// The leaf of a row.
    pub(super) fn leaf(&self, columns: &[Vec<f32>], row: usize) -> &[f32] {
        let mut node = 0;
        loop {
            match &self.nodes[node] {
                Node::Leaf(place) => return &self.values[*place as usize * self.width..][..self.width],
                Node::Split(Split { question, left }) => {
                    let value = columns.get(question.column as usize).map_or(f32::NAN, |column| column[row]);
                    node = *left as usize + usize::from(question.side(value) == Side::Right);
                }
                Node::Bud => return &[],
            }
        }
    }

    /// Adds the leaf of every row to sums, [`Tree::width`] for each, of which those of the first row are `from` places
    /// in, and those of the next `step` further on. Asks `over` now and then; whether it came to the end.
    #[must_use]
    pub(super) fn add_to(
        &self,
        sums: &mut [f32],
        columns: &[Vec<f32>],
        (from, step): (usize, usize),
        over: &dyn Fn() -> bool,
    ) -> bool {
        for (block, sums) in sums.chunks_mut(ROWS_PER_LOOK * step).enumerate() {
            if over() {
                return false;
            }
            for (row, sums) in (block * ROWS_PER_LOOK..).zip(sums.chunks_exact_mut(step)) {
                let leaf = self.leaf(columns, row);
                sums[from..].iter_mut().zip(leaf).for_each(|(sum, value)| *sum += value);
            }
        }
        true
    }
}

impl Question {
    /// Where a value leads. What is not finite counts as missing.
    pub(super) fn side(&self, value: f32) -> Side {
        if value.is_finite() { self.rule.side(value) } else { self.missing }
    }
}

impl Rule {
    /// Where a finite value leads.
    fn side(&self, value: f32) -> Side {
        let is_left = match self {
            Self::AtMost(most) => value <= *most,
            Self::Among(words) => {
                let code = code(value);
                words.get(code / 64).is_some_and(|word| word >> (code % 64) & 1 == 1)
            }
            Self::Drawn(seed) => mixed(*seed, code(value)) >> 63 == 1,
        };
        if is_left { Side::Left } else { Side::Right }
    }
}

impl Side {
    pub(super) fn of(is_left: bool) -> Self {
        if is_left { Self::Left } else { Self::Right }
    }
}

/// As it is stored.
#[derive(Deserialize)]
struct Raw {
    nodes: Vec<Node>,
    width: usize,
    values: Vec<f32>,
}

impl TryFrom<Raw> for Tree {
    type Error = &'static str;

    fn try_from(raw: Raw) -> Result<Self, Self::Error> {
        let Raw { nodes, width, values } = raw;
        let leaves = values.len().checked_div(width).unwrap_or(0);
        let fits = |(place, node): (usize, &Node)| match node {
            Node::Leaf(leaf) => (*leaf as usize) < leaves,
            Node::Split(Split { left, .. }) => place < *left as usize && (*left as usize) < nodes.len() - 1,
            Node::Bud => false,
        };
        let is_whole = !nodes.is_empty() && nodes.iter().enumerate().all(fits);
        is_whole.then_some(Self { nodes, width, values }).ok_or("the nodes of a tree do not fit together")
    }
}

/// What a node takes where it is stored, without the words of a question about texts.
const NODE_BYTES: usize = 16;

/// A text's place in its dictionary, as a column has it.
#[expect(
    clippy::cast_possible_truncation,
    reason = "it is a whole number from 0, of a dictionary that fits memory"
)]
#[expect(clippy::cast_sign_loss, reason = "it is a whole number from 0, of a dictionary that fits memory")]
pub(super) fn code(value: f32) -> usize {
    value as usize
}

/// Bits that look random, the same for ever.
fn mixed(seed: u64, code: usize) -> u64 {
    let mut bits = seed ^ (code as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for shift in [32, 29] {
        bits = (bits ^ (bits >> shift)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    }
    bits ^ (bits >> 32)
}

fn short(count: usize) -> u32 {
    u32::try_from(count).expect("trees are far smaller")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grown() -> Tree {
        let mut tree = Tree::bud(2);
        let at_most = |column, most, missing| Question { column, rule: Rule::AtMost(most), missing };
        let left = tree.ask(0, at_most(0, 1.5, Side::Right));
        tree.end(left, &[1.0, 0.0]);
        let rule = Rule::Among(vec![0b101, 1]);
        let deeper = tree.ask(left + 1, Question { column: 1, rule, missing: Side::Left });
        tree.end(deeper, &[0.5, 0.5]);
        tree.end(deeper + 1, &[0.0, 1.0]);
        tree
    }

    #[test]
    fn rows_are_asked_down_to_a_leaf() {
        let tree = grown();
        let none = f32::NAN;
        let columns =
            [vec![1.5, 1.6, 1.6, none, none, none, none], vec![9.0, 0.0, 1.0, 64.0, 65.0, 500.0, none]];
        let seconds: Vec<f32> = (0..7).map(|row| tree.leaf(&columns, row)[1]).collect();
        assert_eq!(seconds, [0.0, 0.5, 1.0, 0.5, 1.0, 1.0, 0.5]);
        assert_eq!(tree.leaf(&columns[..1], 2), [0.5, 0.5], "a column that is not there has no values");
        let mut sums = vec![1.0; 14];
        assert!(tree.add_to(&mut sums, &columns, (0, 2), &|| false));
        assert!(!tree.add_to(&mut sums, &columns, (0, 2), &|| true), "nothing is added once it is over");
        assert_eq!(sums[..4], [2.0, 1.0, 1.5, 1.5]);
    }

    #[test]
    fn half_of_the_codes_are_drawn() {
        let lefts = |seed| {
            let question = Question { column: 0, rule: Rule::Drawn(seed), missing: Side::Left };
            (0..1_000_u16).filter(|&code| question.side(f32::from(code)) == Side::Left).count()
        };
        for seed in 0..20 {
            assert!((400..600).contains(&lefts(seed)), "seed {seed}: {}", lefts(seed));
        }
    }

    #[test]
    fn a_tree_that_was_cut_or_bent_is_not_read() {
        let tree = grown();
        let bytes = postcard::to_allocvec(&tree).unwrap();
        assert_eq!(postcard::from_bytes(&bytes), Ok(tree.clone()));
        for len in 0..bytes.len() {
            assert!(postcard::from_bytes::<Tree>(&bytes[..len]).is_err());
        }
        let bent = |bend: &dyn Fn(&mut Tree)| {
            let mut tree = tree.clone();
            bend(&mut tree);
            postcard::from_bytes::<Tree>(&postcard::to_allocvec(&tree).unwrap()).is_err()
        };
        assert!(bent(&|tree| tree.nodes.clear()));
        assert!(bent(&|tree| tree.nodes[1] = Node::Bud));
        assert!(bent(&|tree| tree.nodes[1] = Node::Leaf(3)));
        assert!(bent(&|tree| tree.width = 0));
        for left in [0, 4, 5, u32::MAX] {
            let question = Question { column: 0, rule: Rule::Drawn(1), missing: Side::Left };
            assert!(bent(&|tree| tree.nodes[0] = Node::Split(Split { question: question.clone(), left })));
        }
    }
}
