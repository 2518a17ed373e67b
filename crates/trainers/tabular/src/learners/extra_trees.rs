use std::collections::VecDeque;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use trainyard_trainkit::{Chance, each, narrow, real};

use super::maths::{class_weights, highest};
use super::tree::{Question, Rule, Side, Tree};
use crate::{LearnError, Learner, Lesson, Rows, Step};

/// Many trees that ask mostly by chance, and vote (extremely randomised trees).
///
/// A step is four trees. A question is the best of a few, each about a feature drawn by chance: whether a
/// number is below a point drawn between the lowest and the highest there is, or whether a text is in a drawn half of
/// the dictionary. Rows without a value go to the side where they are told apart better; a text that no row has goes by
/// chance too, in each question anew. It heeds no knob.
///
/// After Geurts, Ernst and Wehenkel, "Extremely randomized trees" (Machine Learning 63, 2006).
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExtraTrees;

/// The trees.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Wood {
    classes: u16,
    trees: Vec<Tree>,
}

/// What is worked out before the first step.
pub(crate) struct Notes {
    weights: Vec<f64>,
    /// The sums of the votes for the validation rows, and of how many trees.
    votes: Vec<f32>,
    counted: usize,
}

impl Learner for ExtraTrees {
    type Learned = Wood;
    type Notes = Notes;

    fn begin(&self, lesson: &Lesson<'_>) -> Result<Wood, LearnError> {
        super::look_at(lesson)?;
        let classes = u16::try_from(lesson.classes);
        let classes = classes.map_err(|_| super::too_many(lesson.classes))?;
        Ok(Wood { classes, trees: Vec::new() })
    }

    fn prepare(&self, lesson: &Lesson<'_>, wood: &Wood) -> Result<Notes, LearnError> {
        super::look_at(lesson)?;
        if !wood.fits(lesson.classes) {
            return Err(LearnError::Unfit("these rows have other classes than those learned from".into()));
        }
        let weights = class_weights(lesson.train_classes, lesson.classes);
        Ok(Notes { weights, votes: vec![0.0; lesson.validation.len() * lesson.classes], counted: 0 })
    }

    fn step(&self, lesson: &Lesson<'_>, notes: &mut Notes, wood: &mut Wood) -> Result<Step, LearnError> {
        if wood.trees.len() >= TREES_MAX {
            return Ok(Step::Exhausted);
        }
        let weights = &notes.weights;
        let grow = |number: usize| {
            let chance = Chance::new(lesson.seed, number as u64);
            Growth::new(lesson, weights, chance).grow()
        };
        let first = wood.trees.len();
        let trees: Option<Vec<Tree>> =
            each(lesson.threads, TREES_PER_STEP, |number| grow(first + number)).into_iter().collect();
        let Some(trees) = trees else {
            return Ok(Step::CutShort);
        };
        wood.trees.extend(trees);
        Ok(if wood.trees.len() >= TREES_MAX { Step::Exhausted } else { Step::Again })
    }

    fn validate(&self, lesson: &Lesson<'_>, notes: &mut Notes, wood: &Wood) -> Vec<u16> {
        for tree in &wood.trees[notes.counted.min(wood.trees.len())..] {
            let columns = lesson.validation.columns();
            if !tree.add_to(&mut notes.votes, columns, (0, lesson.classes), lesson.over) {
                // A part of a tree is no vote.
                notes.votes.fill(0.0);
                notes.counted = 0;
                break;
            }
            notes.counted += 1;
        }
        highest(&notes.votes, lesson.classes)
    }

    fn predict(&self, wood: &Wood, rows: &Rows) -> Vec<f32> {
        let classes = usize::from(wood.classes);
        if !wood.fits(classes) {
            return Vec::new();
        }
        let mut votes = vec![0.0; rows.len() * classes];
        for tree in &wood.trees {
            let _whole = tree.add_to(&mut votes, rows.columns(), (0, classes), &|| false);
        }
        for votes in votes.chunks_exact_mut(classes) {
            let sum: f32 = votes.iter().sum();
            let even = 1.0 / narrow(real(classes));
            votes.iter_mut().for_each(|vote| *vote = if sum > 0.0 { *vote / sum } else { even });
        }
        votes
    }
}

impl Wood {
    fn fits(&self, classes: usize) -> bool {
        classes >= 2
            && usize::from(self.classes) == classes
            && self.trees.iter().all(|tree| tree.width() == classes)
    }
}

/// One tree while it grows, level by level.
struct Growth<'a> {
    lesson: &'a Lesson<'a>,
    weights: &'a [f64],
    chance: Chance,
    /// The rows, those of a node side by side.
    rows: Vec<u32>,
    /// The features, for drawing some of them.
    columns: Vec<u32>,
    tree: Tree,
}

/// Rows of each class, by the answer to a question; then those without a value.
struct Counts {
    all: Vec<u32>,
    left: Vec<u32>,
    missing: Vec<u32>,
}

impl<'a> Growth<'a> {
    fn new(lesson: &'a Lesson<'a>, weights: &'a [f64], chance: Chance) -> Self {
        let rows = u32::try_from(lesson.train.len()).unwrap_or(u32::MAX);
        let columns = u32::try_from(lesson.train.columns().len()).unwrap_or(u32::MAX);
        let (rows, columns) = ((0..rows).collect(), (0..columns).collect());
        Self { lesson, weights, chance, rows, columns, tree: Tree::bud(lesson.classes) }
    }

    /// `None` when the lesson is over.
    fn grow(mut self) -> Option<Tree> {
        let nodes_max = nodes_max(self.lesson.classes);
        let enough = (self.rows.len() / 100).clamp(ROWS_TO_ASK.0, ROWS_TO_ASK.1);
        let mut open = VecDeque::from([(0, 0..self.rows.len())]);
        while let Some((node, range)) = open.pop_front() {
            let counts = self.count(&range);
            let mixed = counts.all.iter().filter(|&&count| count > 0).count() > 1;
            let may_ask = mixed && range.len() >= enough && self.tree.len() + 2 <= nodes_max;
            let question = if may_ask { self.question(&range, counts)? } else { Err(counts) };
            match question {
                Ok(question) => {
                    let middle = self.part(&range, &question);
                    let left = self.tree.ask(node, question);
                    open.push_back((left, range.start..middle));
                    open.push_back((left + 1, middle..range.end));
                }
                Err(counts) => self.tree.end(node, &self.shares(&counts.all)),
            }
        }
        Some(self.tree)
    }

    fn count(&self, range: &Range<usize>) -> Counts {
        let mut all = vec![0; self.lesson.classes];
        for &row in &self.rows[range.clone()] {
            all[usize::from(self.lesson.train_classes[row as usize])] += 1;
        }
        let empty = vec![0; all.len()];
        Counts { all, left: empty.clone(), missing: empty }
    }

    /// The best of a few questions; the counts again when no question tells these rows apart, `None` when the lesson
    /// is over.
    fn question(&mut self, range: &Range<usize>, mut counts: Counts) -> Option<Result<Question, Counts>> {
        let mut to_try = real(self.columns.len()).sqrt().ceil();
        let mut best: Option<(f64, Question)> = None;
        for drawn in 0..self.columns.len() {
            if self.lesson.is_over() {
                return None;
            }
            let other = drawn + self.chance.below(self.columns.len() - drawn);
            self.columns.swap(drawn, other);
            let column = self.columns[drawn];
            if let Some(found) = self.ask(range, column, &mut counts) {
                if best.as_ref().is_none_or(|best| found.0 > best.0) {
                    best = Some(found);
                }
                to_try -= 1.0;
                if to_try < 0.5 {
                    break;
                }
            }
        }
        Some(best.map(|(_, question)| question).ok_or(counts))
    }

    /// A question about one feature drawn by chance, and how well it tells the classes apart; `None` when all rows
    /// would answer alike.
    fn ask(&mut self, range: &Range<usize>, column: u32, counts: &mut Counts) -> Option<(f64, Question)> {
        let values = &self.lesson.train.columns()[column as usize];
        let rows = &self.rows[range.clone()];
        let (mut low, mut high, mut missing) = (f32::INFINITY, f32::NEG_INFINITY, 0_usize);
        for &row in rows {
            let value = values[row as usize];
            if value.is_finite() {
                (low, high) = (low.min(value), high.max(value));
            } else {
                missing += 1;
            }
        }
        let is_text = self.lesson.train.encoding().codes(column as usize).is_some();
        let rule = match (low < high, is_text) {
            (true, false) => {
                let point = f64::from(low) + self.chance.unit() * (f64::from(high) - f64::from(low));
                let point = narrow(point);
                Rule::AtMost(if point < high { point } else { low })
            }
            (true, true) => half(&mut self.chance, rows, values)?,
            (false, _) if missing == 0 || missing == rows.len() => return None,
            (false, _) => Rule::AtMost(f32::MAX),
        };
        let mut question = Question { column, rule, missing: Side::Right };
        counts.left.fill(0);
        counts.missing.fill(0);
        let (mut lefts, mut rights) = (0_usize, 0_usize);
        for &row in rows {
            let (value, class) = (values[row as usize], usize::from(self.lesson.train_classes[row as usize]));
            if !value.is_finite() {
                counts.missing[class] += 1;
            } else if question.side(value) == Side::Left {
                counts.left[class] += 1;
                lefts += 1;
            } else {
                rights += 1;
            }
        }
        let right = counts.score(self.weights, Side::Right);
        if missing == 0 {
            question.missing = Side::of(lefts > rights);
            return Some((right, question));
        }
        if rights == 0 {
            return Some((right, question));
        }
        let left = counts.score(self.weights, Side::Left);
        question.missing = Side::of(left > right);
        Some((left.max(right), question))
    }

    /// Puts the rows that go left before the others; where those begin.
    fn part(&mut self, range: &Range<usize>, question: &Question) -> usize {
        let values = &self.lesson.train.columns()[question.column as usize];
        let (left, right): (Vec<u32>, Vec<u32>) = self.rows[range.clone()]
            .iter()
            .partition(|row| question.side(values[**row as usize]) == Side::Left);
        let middle = range.start + left.len();
        self.rows[range.start..middle].copy_from_slice(&left);
        self.rows[middle..range.end].copy_from_slice(&right);
        middle
    }

    /// How likely each class is in a leaf.
    fn shares(&self, counts: &[u32]) -> Vec<f32> {
        let weighed: Vec<f64> =
            counts.iter().zip(self.weights).map(|(&count, weight)| f64::from(count) * weight).collect();
        let sum: f64 = weighed.iter().sum();
        weighed.iter().map(|share| narrow(share / sum)).collect()
    }
}

impl Counts {
    /// How pure both sides are, the higher the better (Gini), when the rows without a value go to one of them.
    fn score(&self, weights: &[f64], missing: Side) -> f64 {
        let (mut left, mut right) = ((0.0, 0.0), (0.0, 0.0));
        let all = self.all.iter().zip(&self.left).zip(&self.missing).zip(weights);
        for (((&all, &lefts), &missings), weight) in all {
            let lefts = match missing {
                Side::Left => lefts + missings,
                Side::Right => lefts,
            };
            let (l, r) = (f64::from(lefts) * weight, f64::from(all - lefts) * weight);
            left = (left.0 + l * l, left.1 + l);
            right = (right.0 + r * r, right.1 + r);
        }
        let purity = |(squares, sum): (f64, f64)| if sum > 0.0 { squares / sum } else { 0.0 };
        purity(left) + purity(right)
    }
}

/// A half of the dictionary that some of these rows are in, and some are not.
fn half(chance: &mut Chance, rows: &[u32], values: &[f32]) -> Option<Rule> {
    (0..DRAWS_MAX).find_map(|_| {
        let rule = Rule::Drawn(chance.any());
        let question = Question { column: 0, rule, missing: Side::Left };
        let mut there = rows.iter().map(|&row| values[row as usize]).filter(|value| value.is_finite());
        let first = there.next().map(|value| question.side(value))?;
        there.any(|value| question.side(value) != first).then_some(question.rule)
    })
}

/// So that a tree takes so many bytes at most.
pub(super) fn nodes_max(classes: usize) -> usize {
    // two nodes and a leaf's numbers
    (2 * TREE_BYTES_MAX / (2 * 16 + 4 * classes)).clamp(127, 8_191)
}

/// Trees that are grown in one step.
const TREES_PER_STEP: usize = 4;
/// Trees at the end.
pub(super) const TREES_MAX: usize = 256;
/// What a tree takes in a model at most, about.
const TREE_BYTES_MAX: usize = 100_000;
/// A question is asked of a hundredth of the rows at least, within these bounds. Leaves of one row would
/// have no shares, and so the rare classes no weight.
const ROWS_TO_ASK: (usize, usize) = (4, 48);
/// How often a half of a dictionary is drawn anew because all texts were in it, or none.
const DRAWS_MAX: usize = 8;
