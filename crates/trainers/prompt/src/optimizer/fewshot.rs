//! Examples in the prompt.

use std::cmp::Ordering;

use trainyard_trainkit::Chance;
use trainyard_trajectories::Row;

use crate::bench::Bench;
use crate::caller::Ended;
use crate::optimizer::Optimizer;
use crate::prompt::{Demo, Prompt};
use crate::shown::demo;

/// The baseline, followed by the best examples there are. Of a question about 600 bytes are shown; of an answer all, so
/// that those of more than 4 KiB are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootstrapFewShot {
    /// How many examples. Default: 5; at most 64 count.
    pub k: u32,
}

impl Default for BootstrapFewShot {
    fn default() -> Self {
        Self { k: 5 }
    }
}

impl Optimizer for BootstrapFewShot {
    fn name(&self) -> &'static str {
        "bootstrap-fewshot"
    }

    fn candidates_max(&self) -> u64 {
        1
    }

    fn optimize(&self, bench: &mut Bench<'_>) -> Result<(), Ended> {
        let demos = best(bench.examples(), self.k);
        let note = format!("{} examples", demos.len());
        let instruction = bench.baseline().prompt.instruction.clone();
        bench.score((1, 0), note, Prompt { instruction, demos })?;
        Ok(())
    }
}

/// Those of the highest reward; of the same reward, the first. What has no reward comes after what has one.
pub(super) fn best(examples: &[Row], k: u32) -> Vec<Demo> {
    let reward = |example: &Row| example.reward.filter(|reward| !reward.is_nan());
    let mut order: Vec<&Row> = examples.iter().collect();
    order.sort_by(|one, other| reward(other).partial_cmp(&reward(one)).unwrap_or(Ordering::Equal));
    order.into_iter().filter_map(demo).take(count(k)).collect()
}

/// Any of them.
pub(super) fn any(examples: &[Row], k: u32, chance: &mut Chance) -> Vec<Demo> {
    let mut order: Vec<&Row> = examples.iter().collect();
    chance.shuffle(&mut order);
    order.into_iter().filter_map(demo).take(count(k)).collect()
}

fn count(k: u32) -> usize {
    k.min(K_MAX) as usize
}

const K_MAX: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_rewarded_are_shown_first_and_of_equals_the_first() {
        let rewards = [None, Some(0.1), Some(0.9), Some(f64::NAN), Some(0.1), Some(-1.0)];
        let example = |(number, reward): (usize, Option<f64>)| {
            let mut row = Row::new("", "", "", number.to_string(), "x".repeat(4 << 10));
            row.reward = reward;
            row
        };
        let examples: Vec<Row> = rewards.into_iter().enumerate().map(example).collect();
        let order = |k| best(&examples, k).iter().map(|demo| demo.input.clone()).collect::<Vec<_>>().concat();
        assert_eq!(order(9), "214503");
        assert_eq!(order(2), "21");
        assert_eq!(best(&examples, 1)[0].output, examples[2].expected, "an answer is never cut");
        let mut shuffled: Vec<Demo> = any(&examples, 9, &mut Chance::new(1, 0));
        shuffled.sort();
        assert_eq!(shuffled.len(), 6);
        let mut longer = examples.clone();
        longer[2].expected.push('x');
        longer[1].user = "y".repeat(700);
        let shown = best(&longer, 9);
        assert_eq!((shown.len(), shown[0].input.clone()), (5, format!("{}…", "y".repeat(600))));
    }
}
