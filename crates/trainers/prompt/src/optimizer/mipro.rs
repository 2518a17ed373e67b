//! Instructions times examples.

use crate::bench::Bench;
use crate::caller::Ended;
use crate::optimizer::Optimizer;
use crate::optimizer::fewshot::{any, best};
use crate::optimizer::teacher::{Voice, rewrite, written};
use crate::prompt::{Demo, Prompt};

/// A pool of instructions (the baseline and what the model proposes) times a pool of sets of examples (none, the most
/// rewarded, and any). Pairs are scored one by one, each once, and which is next is decided by UCB1: by the mean of the
/// pairs that share its instruction or its examples, and a bonus for those of which little is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mipro {
    /// Examples in a set. Default: 4; at most 64 count.
    pub k: u32,
    /// Instructions that are proposed, beside the baseline. Default: 4; at most 100 count.
    pub instructions: u32,
    /// Sets of examples, the one without any among them. Default: 4; 1 to 100 count.
    pub demo_sets: u32,
    /// Pairs that are scored, the baseline without examples among them. Default: 20.
    pub budget: u32,
    /// The weight of the bonus. Default: √2.
    pub c: f64,
    /// Of the proposals. Default: 0.8.
    pub temperature: f64,
    /// The longest proposal, in tokens. Default: 1,024.
    pub max_tokens: u32,
}

impl Default for Mipro {
    fn default() -> Self {
        Self {
            k: 4,
            instructions: 4,
            demo_sets: 4,
            budget: 20,
            c: std::f64::consts::SQRT_2,
            temperature: 0.8,
            max_tokens: 1_024,
        }
    }
}

impl Optimizer for Mipro {
    fn name(&self) -> &'static str {
        "mipro"
    }

    fn candidates_max(&self) -> u64 {
        let instructions = u64::from(self.instructions.min(COUNT_MAX)) + 1;
        let pairs = instructions * u64::from(self.demo_sets.clamp(1, COUNT_MAX));
        u64::from(self.budget).min(pairs).saturating_sub(1)
    }

    fn optimize(&self, bench: &mut Bench<'_>) -> Result<(), Ended> {
        let instructions = self.instructions(bench)?;
        let sets = self.sets(bench);
        let mut arms = Arms::new(instructions.len(), sets.len());
        arms.order.retain(|pair| *pair != (0, 0));
        bench.chance().shuffle(&mut arms.order);
        arms.note((0, 0), bench.baseline().score);
        for round in 1..self.budget {
            let Some((instruction, set)) = arms.next(self.c) else {
                break;
            };
            let note = format!("instruction {instruction}, examples {set}");
            let prompt = Prompt { instruction: instructions[instruction].clone(), demos: sets[set].clone() };
            if let Some(candidate) = bench.score((round, 0), note, prompt)? {
                arms.note((instruction, set), candidate.score);
            }
        }
        Ok(())
    }
}

impl Mipro {
    /// The baseline, and what is proposed in its place.
    fn instructions(&self, bench: &mut Bench<'_>) -> Result<Vec<String>, Ended> {
        let voice = Voice { temperature: self.temperature, max_tokens: self.max_tokens };
        let mut instructions = vec![bench.baseline().prompt.instruction.clone()];
        let wish = rewrite(voice, &instructions[0], bench.examples());
        for text in bench.draw(&vec![wish; self.instructions.min(COUNT_MAX) as usize])? {
            instructions.extend(written(&text).filter(|new| !instructions.contains(new)));
        }
        Ok(instructions)
    }

    /// No examples, the most rewarded, and any.
    fn sets(&self, bench: &mut Bench<'_>) -> Vec<Vec<Demo>> {
        let examples = bench.examples();
        let mut sets = vec![Vec::new()];
        for number in 1..self.demo_sets.clamp(1, COUNT_MAX) {
            let set =
                if number == 1 { best(examples, self.k) } else { any(examples, self.k, bench.chance()) };
            if !sets.contains(&set) {
                sets.push(set);
            }
        }
        sets
    }
}

/// Pairs, and what is known of them.
struct Arms {
    /// Those that are left.
    order: Vec<(usize, usize)>,
    /// Sum and count of the scores of each instruction.
    instructions: Vec<(f64, f64)>,
    /// And of each set.
    sets: Vec<(f64, f64)>,
    scored: f64,
}

impl Arms {
    fn new(instructions: usize, sets: usize) -> Self {
        let order = (0..instructions).flat_map(|one| (0..sets).map(move |other| (one, other))).collect();
        Self {
            order,
            instructions: vec![(0.0, 0.0); instructions],
            sets: vec![(0.0, 0.0); sets],
            scored: 0.0,
        }
    }

    fn note(&mut self, (instruction, set): (usize, usize), score: f64) {
        for (sum, count) in [&mut self.instructions[instruction], &mut self.sets[set]] {
            *sum += score;
            *count += 1.0;
        }
        self.scored += 1.0;
    }

    /// The pair of the highest bound; of equals, the first that is left.
    fn next(&mut self, c: f64) -> Option<(usize, usize)> {
        let mut best: Option<(usize, f64)> = None;
        for (place, pair) in self.order.iter().enumerate() {
            let bound = self.bound(*pair, c);
            if best.is_none_or(|(_, highest)| bound > highest) {
                best = Some((place, bound));
            }
        }
        best.map(|(place, _)| self.order.remove(place))
    }

    fn bound(&self, (instruction, set): (usize, usize), c: f64) -> f64 {
        let ((sum, count), (more, others)) = (self.instructions[instruction], self.sets[set]);
        let known = count + others;
        if known == 0.0 {
            f64::INFINITY
        } else {
            (sum + more) / known + c * (self.scored.ln() / known).sqrt()
        }
    }
}

const COUNT_MAX: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_comes_first_and_then_what_has_done_well() {
        let mut arms = Arms::new(3, 2);
        arms.order.retain(|pair| *pair != (0, 0));
        arms.note((0, 0), 0.1);
        let next = arms.next(1.4).unwrap();
        assert_eq!(next, (1, 1), "the first of which nothing is known");
        arms.note(next, 0.9);
        let next = arms.next(0.01).unwrap();
        assert_eq!(next, (2, 1), "the set has done well");
        arms.note(next, 0.8);
        let rest: Vec<_> = std::iter::from_fn(|| arms.next(0.01)).collect();
        assert_eq!(rest, [(0, 1), (1, 0), (2, 0)], "each once");
    }

    #[test]
    fn no_more_is_scored_than_there_is() {
        assert_eq!(Mipro::default().candidates_max(), 19);
        assert_eq!(Mipro { demo_sets: 0, ..Mipro::default() }.candidates_max(), 4);
        assert_eq!(Mipro { budget: 0, ..Mipro::default() }.candidates_max(), 0);
    }
}
