//! Rewrites of rewrites.

use crate::bench::Bench;
use crate::caller::Ended;
use crate::optimizer::Optimizer;
use crate::optimizer::teacher::{Voice, rewrite, written};
use crate::prompt::Prompt;

/// In each round the model rewrites the best prompt so far several times; the best rewrite is where the next round
/// begins, if it is better.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InstructionSearch {
    /// Rewrites a round. Default: 8; at most 100 count.
    pub variants: u32,
    /// Rounds. Default: 3; at most 100 count.
    pub rounds: u32,
    /// Of the rewrites. Default: 0.7.
    pub temperature: f64,
    /// The longest rewrite, in tokens. Default: 1,024.
    pub max_tokens: u32,
}

impl Default for InstructionSearch {
    fn default() -> Self {
        Self { variants: 8, rounds: 3, temperature: 0.7, max_tokens: 1_024 }
    }
}

impl Optimizer for InstructionSearch {
    fn name(&self) -> &'static str {
        "instruction-search"
    }

    fn candidates_max(&self) -> u64 {
        u64::from(self.variants.min(COUNT_MAX)) * u64::from(self.rounds.min(COUNT_MAX))
    }

    fn optimize(&self, bench: &mut Bench<'_>) -> Result<(), Ended> {
        let voice = Voice { temperature: self.temperature, max_tokens: self.max_tokens };
        let baseline = bench.baseline();
        let (mut seed, mut score) = (baseline.prompt.instruction.clone(), baseline.score);
        for round in 1..=self.rounds.min(COUNT_MAX) {
            let wish = rewrite(voice, &seed, bench.examples());
            let wishes = vec![wish; self.variants.min(COUNT_MAX) as usize];
            for (variant, text) in (0..).zip(bench.draw(&wishes)?) {
                let Some(instruction) = written(&text) else {
                    continue;
                };
                let scored = bench.score((round, variant), "rewrite", Prompt::new(instruction))?;
                if let Some(better) = scored.filter(|candidate| candidate.score > score) {
                    (seed, score) = (better.prompt.instruction.clone(), better.score);
                }
            }
        }
        Ok(())
    }
}

const COUNT_MAX: u32 = 100;
