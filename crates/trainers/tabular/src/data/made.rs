//! Made sets: tables drawn by a seed, for tests and examples.
//!
//! A seed means the same file for ever: the numbers come from ChaCha8 by additions and products alone.

use std::io::{self, Write};

use super::reading::io_error;
use trainyard_trainkit::Chance;

/// A table that can be written as CSV, as often as wanted.
///
/// ```
/// use trainyard_tabular::made;
///
/// let mut csv = Vec::new();
/// made::mixed(7, 100).write_csv(&mut csv)?;
/// let text = String::from_utf8(csv)?;
/// assert!(text.starts_with("id,height,colour,"));
/// assert!(text.contains("\nt-99,"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Made {
    seed: u64,
    rows: usize,
    set: Set,
}

#[derive(Debug, Clone)]
enum Set {
    Crossing,
    Mixed,
}

/// A hard set of two classes, `0` and `1`, on which learners cross over.
///
/// 40 features are numbers; 30 % of the rows are of class `1`, before 3 % of the rows were given the other class.
/// What can be said by a weighted sum is learned at once, and takes a linear model to a balanced accuracy of about
/// 0.7, never further; the rest is in products and in regions, and comes slowly. 20,000 rows are a good number.
#[must_use]
pub const fn crossing(seed: u64, rows: usize) -> Made {
    Made { seed, rows, set: Set::Crossing }
}

/// An easy set of three classes with all that a file may have: numbers, texts, missing fields, quotes, commas and
/// line ends within fields.
///
/// 60 % of the rows are `oak`, 30 % `"birch", white`, 10 % `élan`. Nearly all of it can be learned, but by no single
/// feature.
#[must_use]
pub const fn mixed(seed: u64, rows: usize) -> Made {
    Made { seed, rows, set: Set::Mixed }
}

impl Made {
    /// Writes it as CSV, with a header: an id, the features, the class.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn write_csv(&self, to: &mut impl Write) -> io::Result<()> {
        let mut to = csv::Writer::from_writer(to);
        let written = match self.set {
            Set::Crossing => self.write_crossing(&mut to),
            Set::Mixed => self.write_mixed(&mut to),
        };
        written.map_err(io_error)?;
        to.flush()
    }

    fn write_crossing<W: Write>(&self, to: &mut csv::Writer<W>) -> csv::Result<()> {
        let world = Crossing::new(self.seed);
        let threshold = world.threshold(self.seed);
        let names = (0..CROSSING_FEATURES).map(|feature| format!("x{feature}"));
        to.write_record(std::iter::once("id".to_owned()).chain(names).chain(["class".to_owned()]))?;
        let mut chance = Chance::new(self.seed, ROWS);
        for row in 0..self.rows {
            let x = numbers(&mut chance);
            let is_flipped = chance.unit() < FLIPPED;
            let is_one = (world.score(&x) > threshold) != is_flipped;
            let fields = x.iter().map(|x| format!("{x:.4}"));
            let class = u8::from(is_one).to_string();
            to.write_record(std::iter::once(format!("r{row}")).chain(fields).chain([class]))?;
        }
        Ok(())
    }

    fn write_mixed<W: Write>(&self, to: &mut csv::Writer<W>) -> csv::Result<()> {
        to.write_record(["id", "height", "colour", "bark, \"words\"", "leaves", "constant", "class"])?;
        let mut chance = Chance::new(self.seed, ROWS);
        for row in 0..self.rows {
            let draw = chance.unit();
            let class = if draw < 0.6 { 0 } else { usize::from(draw >= 0.9) + 1 };
            let tree = &TREES[class];
            let height = tree.height + 2.0 * normal(&mut chance);
            let leaves = 400.0 + 100.0 * tree.leaves * (1.0 + 0.2 * normal(&mut chance));
            let mut colour =
                || if chance.unit() < 0.8 { tree.colour } else { COLOURS[chance.below(COLOURS.len())] };
            let colour = colour();
            let bark = if chance.unit() < 0.7 { tree.bark } else { TREES[chance.below(TREES.len())].bark };
            let mut sometimes = |field: String| if chance.unit() < 0.1 { String::new() } else { field };
            let fields = [
                format!("t-{row}"),
                sometimes(format!("{height:.2}")),
                sometimes(colour.to_owned()),
                sometimes(bark.to_owned()),
                sometimes(format!("{leaves:.0}")),
                "1".to_owned(),
                tree.class.to_owned(),
            ];
            to.write_record(fields)?;
        }
        Ok(())
    }
}

/// How the classes of the hard set come about.
struct Crossing {
    /// The weighted sum.
    weights: [f64; LINEAR],
    /// Which features are multiplied by which.
    pairs: [[usize; 2]; PAIRS],
    /// Where the regions lie, and whether they are of class 1.
    regions: Vec<([f64; REGION_FEATURES], f64)>,
}

impl Crossing {
    fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed, WORLD);
        let weights = std::array::from_fn(|_| if chance.unit() < 0.5 { -1.0 } else { 1.0 });
        let pairs = std::array::from_fn(|pair| [2 * pair, 2 * pair + 1].map(|feature| feature + PAIRED_FROM));
        let regions = (0..REGIONS)
            .map(|region| {
                let middle = std::array::from_fn(|_| 1.2 * normal(&mut chance));
                (middle, if region % 2 == 0 { 1.0 } else { -1.0 })
            })
            .collect();
        Self { weights, pairs, regions }
    }

    fn score(&self, x: &[f64; CROSSING_FEATURES]) -> f64 {
        let linear: f64 = self.weights.iter().zip(x).map(|(weight, x)| weight * x).sum();
        let squares: f64 = x[SQUARES_FROM..][..SQUARES].iter().map(|x| x * x).sum();
        let products: f64 = self.pairs.iter().map(|&[a, b]| x[a] * x[b]).sum();
        let within: f64 = self
            .regions
            .iter()
            .map(|(middle, sign)| {
                let place = &x[REGIONS_FROM..];
                let square: f64 = middle.iter().zip(place).map(|(m, x)| (x - m) * (x - m)).sum();
                sign / (1.0 + square * square / 4.0)
            })
            .sum();
        LINEAR_SHARE * linear + SQUARES_SHARE * squares + PRODUCTS_SHARE * products + REGIONS_SHARE * within
    }

    /// What 70 % of the rows are below.
    fn threshold(&self, seed: u64) -> f64 {
        let mut chance = Chance::new(seed, SAMPLE);
        let mut scores: Vec<f64> = (0..SAMPLED).map(|_| self.score(&numbers(&mut chance))).collect();
        let at = SAMPLED * 7 / 10;
        *scores.select_nth_unstable_by(at, f64::total_cmp).1
    }
}

/// The features of a row. The second half are echoes of the first, with noise.
fn numbers(chance: &mut Chance) -> [f64; CROSSING_FEATURES] {
    let mut x = std::array::from_fn(|_| normal(chance));
    for echo in CROSSING_FEATURES / 2..CROSSING_FEATURES {
        x[echo] = 0.8 * x[echo - CROSSING_FEATURES / 2] + 0.6 * x[echo];
    }
    x
}

/// About normal, of mean 0 and deviation 1, within ±3.5: by sums alone, so that all machines draw the same.
fn normal(chance: &mut Chance) -> f64 {
    let sum: f64 = (0..4).map(|_| chance.unit()).sum();
    (sum - 2.0) * 1.732_050_807_568_877_2
}

struct Tree {
    class: &'static str,
    height: f64,
    colour: &'static str,
    bark: &'static str,
    leaves: f64,
}

const TREES: [Tree; 3] = [
    Tree { class: "oak", height: 20.0, colour: "green", bark: "rough, \"deep\"", leaves: 9.0 },
    Tree {
        class: "\"birch\", white",
        height: 15.0,
        colour: "yellow",
        bark: "smooth\nand white",
        leaves: 4.0,
    },
    Tree { class: "élan", height: 15.0, colour: "green", bark: "smooth\nand white", leaves: 9.0 },
];
const COLOURS: [&str; 4] = ["green", "yellow", "red", "brown"];

const CROSSING_FEATURES: usize = 40;
const LINEAR: usize = 6;
const PAIRED_FROM: usize = 6;
const PAIRS: usize = 3;
const SQUARES_FROM: usize = 12;
const SQUARES: usize = 4;
const REGIONS_FROM: usize = 16;
const REGION_FEATURES: usize = 4;
const REGIONS: usize = 8;
const LINEAR_SHARE: f64 = 0.55;
const SQUARES_SHARE: f64 = 0.5;
const PRODUCTS_SHARE: f64 = 0.7;
const REGIONS_SHARE: f64 = 2.0;
const FLIPPED: f64 = 0.03;
const SAMPLED: usize = 20_000;

// Streams of chance: what is drawn for one is independent of what is drawn for another.
const WORLD: u64 = 1;
const SAMPLE: u64 = 2;
const ROWS: u64 = 3;
