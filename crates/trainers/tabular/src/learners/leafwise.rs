//! Trees that grow where there is most to gain.

use std::num::NonZeroUsize;
use std::ops::Range;

use super::ROWS_PER_LOOK;
use super::bins::{Binned, Bins, Sort};
use super::tree::{Question, Rule, Side, Tree};
use crate::Lesson;
use trainyard_trainkit::{each, narrow};

/// What one round wants of each row: how the error grows with its score, and how that grows.
pub(super) struct Pull {
    pub(super) slopes: Vec<f32>,
    pub(super) bends: Vec<f32>,
}

/// A tree whose leaves bring the scores nearer to what is wanted, and which rows are in which leaf.
pub(super) struct Grown {
    pub(super) tree: Tree,
    pub(super) leaves: Leaves,
}

/// What the leaves of a tree say, and to which rows.
pub(super) struct Leaves {
    rows: Vec<u32>,
    left: Vec<(Range<usize>, f32)>,
}

impl Leaves {
    /// Adds to each row's score, `from` places in and `step` further on for each row, what its leaf says; once, and
    /// then they are gone. Asks `over` now and then, and goes on from there the next time; whether it came to the end.
    #[must_use]
    pub(super) fn drain_to(
        &mut self,
        scores: &mut [f32],
        from: usize,
        step: usize,
        over: &dyn Fn() -> bool,
    ) -> bool {
        while let Some((range, value)) = self.left.last_mut() {
            if over() {
                return false;
            }
            let block = range.start..range.end.min(range.start + ROWS_PER_LOOK);
            range.start = block.end;
            for &row in &self.rows[block] {
                scores[row as usize * step + from] += *value;
            }
            if range.start == range.end {
                self.left.pop();
            }
        }
        self.rows = Vec::new();
        true
    }
}

/// Grows a tree; `None` when the lesson is over.
pub(super) fn grow(lesson: &Lesson<'_>, bins: &Bins, pull: &Pull, threads: NonZeroUsize) -> Option<Grown> {
    let rows: Vec<u32> = (0..).take(pull.slopes.len()).collect();
    let least = (rows.len() / 100).clamp(LEAF_ROWS.0, LEAF_ROWS.1);
    let mut growth = Growth { lesson, bins, pull, threads, least, rows, tree: Tree::bud(1) };
    let whole = 0..growth.rows.len();
    let mut ends = vec![growth.look(0, 0, whole)?];
    for _ in 1..LEAVES_MAX {
        // The first of equals: the tree is the same on every run.
        let gain = |end: &End| end.best.as_ref().map_or(0.0, |best| best.gain);
        let mut most: Option<usize> = None;
        for (place, end) in ends.iter().enumerate().filter(|(_, end)| end.best.is_some()) {
            if most.is_none_or(|most| gain(end) > gain(&ends[most])) {
                most = Some(place);
            }
        }
        let Some(End { node, depth, range, best: Some(best), .. }) =
            most.map(|place| ends.swap_remove(place))
        else {
            break;
        };
        let middle = growth.part(&range, &best);
        let left = growth.tree.ask(node, best.question);
        ends.push(growth.look(left, depth + 1, range.start..middle)?);
        ends.push(growth.look(left + 1, depth + 1, middle..range.end)?);
    }
    let Growth { rows, mut tree, .. } = growth;
    let leaf = |end: End| {
        let value = narrow(-RATE * end.sums.slope / (end.sums.bend + CAUTION));
        tree.end(end.node, &[value]);
        (end.range, value)
    };
    let left = ends.into_iter().map(leaf).collect();
    Some(Grown { tree, leaves: Leaves { rows, left } })
}

struct Growth<'a> {
    lesson: &'a Lesson<'a>,
    bins: &'a Bins,
    pull: &'a Pull,
    threads: NonZeroUsize,
    least: usize,
    /// The rows, those of a node side by side.
    rows: Vec<u32>,
    tree: Tree,
}

/// A node that does not ask yet.
struct End {
    node: usize,
    depth: u32,
    range: Range<usize>,
    sums: Sums,
    best: Option<Best>,
}

/// The best question for a node.
struct Best {
    gain: f64,
    question: Question,
    /// The buckets that go left.
    lefts: Vec<bool>,
}

/// What the rows of a bucket want together.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    slope: f64,
    bend: f64,
    rows: usize,
}

impl Growth<'_> {
    /// What there is to gain at a node.
    fn look(&self, node: usize, depth: u32, range: Range<usize>) -> Option<End> {
        let rows = &self.rows[range.clone()];
        let wanted: Vec<(f32, f32)> =
            rows.iter().map(|&row| (self.pull.slopes[row as usize], self.pull.bends[row as usize])).collect();
        let mut sums = Sums::default();
        wanted.iter().for_each(|&(slope, bend)| sums.add(slope, bend));
        let mut end = End { node, depth, range, sums, best: None };
        if depth >= DEPTH_MAX || rows.len() < 2 * self.least {
            return Some(end);
        }
        let columns = self.bins.columns.len();
        let worth = (rows.len() * columns / WORK_PER_THREAD).max(1);
        let threads = self.threads.min(NonZeroUsize::new(worth).unwrap_or(NonZeroUsize::MIN));
        // Each thread has a stretch of the features, and its own histogram.
        let stretch = columns.div_ceil(threads.get()).max(1);
        let found = each(threads, columns.div_ceil(stretch), |part| {
            let mut histogram = Vec::new();
            let mut best: Option<Best> = None;
            for column in (part * stretch..columns).take(stretch) {
                if self.lesson.is_over() {
                    return None;
                }
                let binned = &self.bins.columns[column];
                count(&mut histogram, binned, rows, &wanted);
                best = better(best, self.question(column, binned, &histogram, sums));
            }
            Some(best)
        });
        for best in found {
            end.best = better(end.best, best?);
        }
        Some(end)
    }

    /// The best question about one feature.
    fn question(&self, column: usize, binned: &Binned, histogram: &[Sums], all: Sums) -> Option<Best> {
        let (present, missing) = (&histogram[..binned.buckets], histogram[binned.buckets]);
        let (order, caution): (Vec<usize>, f64) = match &binned.sort {
            Sort::Numbers { .. } => ((0..present.len()).collect(), CAUTION),
            Sort::Texts => {
                let mut order: Vec<usize> =
                    (0..present.len()).filter(|&text| present[text].rows > 0).collect();
                let key = |text: usize| present[text].slope / (present[text].bend + TEXT_CAUTION);
                order.sort_by(|&a, &b| key(a).total_cmp(&key(b)));
                (order, TEXT_CAUTION)
            }
        };
        let before = all.worth(caution);
        let mut best = (GAIN_MIN, None);
        let mut left = Sums::default();
        for (last, &bucket) in order.iter().enumerate() {
            left = left.plus(present[bucket]);
            if present[bucket].rows == 0 {
                continue;
            }
            for side in [Side::Right, Side::Left] {
                let lefts = match side {
                    Side::Right => left,
                    Side::Left if missing.rows == 0 => continue,
                    Side::Left => left.plus(missing),
                };
                let rights = all.minus(lefts);
                if lefts.rows < self.least || rights.rows < self.least {
                    continue;
                }
                let gain = lefts.worth(caution) + rights.worth(caution) - before;
                if gain > best.0 {
                    // Without a missing one here, later ones go with the many.
                    let side = if missing.rows == 0 { Side::of(lefts.rows > rights.rows) } else { side };
                    best = (gain, Some((last, side, Side::of(lefts.rows > rights.rows))));
                }
            }
        }
        let (gain, Some((last, side, many))) = best else {
            return None;
        };
        let mut lefts = vec![false; binned.buckets + 1];
        order[..=last].iter().for_each(|&bucket| lefts[bucket] = true);
        lefts[binned.buckets] = side == Side::Left;
        let rule = match &binned.sort {
            Sort::Numbers { cuts } => Rule::AtMost(cuts.get(last).copied().unwrap_or(f32::MAX)),
            Sort::Texts => {
                // A text that no row here has goes with the many.
                (0..present.len())
                    .for_each(|text| lefts[text] |= present[text].rows == 0 && many == Side::Left);
                let mut words = vec![0_u64; binned.buckets.div_ceil(64)];
                let is_left = |text: &usize| lefts[*text];
                (0..present.len()).filter(is_left).for_each(|text| words[text / 64] |= 1 << (text % 64));
                Rule::Among(words)
            }
        };
        let column = u32::try_from(column).ok()?;
        Some(Best { gain, question: Question { column, rule, missing: side }, lefts })
    }

    /// Puts the rows that go left before the others, both in their order; where those begin.
    fn part(&mut self, range: &Range<usize>, best: &Best) -> usize {
        let of = &self.bins.columns[best.question.column as usize].of;
        let (left, right): (Vec<u32>, Vec<u32>) =
            self.rows[range.clone()].iter().partition(|row| best.lefts[usize::from(of[**row as usize])]);
        let middle = range.start + left.len();
        self.rows[range.start..middle].copy_from_slice(&left);
        self.rows[middle..range.end].copy_from_slice(&right);
        middle
    }
}

impl Sums {
    fn add(&mut self, slope: f32, bend: f32) {
        self.slope += f64::from(slope);
        self.bend += f64::from(bend);
        self.rows += 1;
    }

    fn plus(self, other: Self) -> Self {
        Self { slope: self.slope + other.slope, bend: self.bend + other.bend, rows: self.rows + other.rows }
    }

    fn minus(self, other: Self) -> Self {
        Self { slope: self.slope - other.slope, bend: self.bend - other.bend, rows: self.rows - other.rows }
    }

    /// How much the error falls when all of these get the score that is best for them, twice over.
    fn worth(self, caution: f64) -> f64 {
        self.slope * self.slope / (self.bend.max(0.0) + caution)
    }
}

fn better(one: Option<Best>, other: Option<Best>) -> Option<Best> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if other.gain > one.gain { other } else { one }),
        (one, other) => one.or(other),
    }
}

/// What the rows of each bucket want.
fn count(histogram: &mut Vec<Sums>, binned: &Binned, rows: &[u32], wanted: &[(f32, f32)]) {
    histogram.clear();
    histogram.resize(binned.buckets + 1, Sums::default());
    for (&row, &(slope, bend)) in rows.iter().zip(wanted) {
        histogram[usize::from(binned.of[row as usize])].add(slope, bend);
    }
}

/// How much of what a leaf wants is done in one round.
pub(super) const RATE: f64 = 0.1;
/// Leaves of one tree, and how many questions lead to one.
const LEAVES_MAX: usize = 31;
pub(super) const NODES_MAX: usize = 2 * LEAVES_MAX - 1;
const DEPTH_MAX: u32 = 8;
/// A leaf has a hundredth of the rows at least, within these bounds.
const LEAF_ROWS: (usize, usize) = (2, 20);
/// Counts as rows that want no change, for every leaf, and for texts.
const CAUTION: f64 = 1.0;
const TEXT_CAUTION: f64 = 10.0;
/// A question that gains less is not asked.
const GAIN_MIN: f64 = 1e-6;
/// Buckets to be counted for which a thread more is worth its while.
const WORK_PER_THREAD: usize = 1 << 18;
