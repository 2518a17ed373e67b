//! Prompts that are bred, with the model as critic.

use crate::bench::{Bench, Candidate};
use crate::caller::Ended;
use crate::model::Request;
use crate::optimizer::Optimizer;
use crate::optimizer::teacher::{Voice, compress, cross, mend, reflect, written};
use crate::prompt::Prompt;

/// A population of prompts. The model says of each what goes wrong with it, given examples with what was expected and
/// what was answered; children are rewrites that heed this, and rewrites that say the same in fewer words. Whoever is
/// beaten by none in both score and length survives; the two best are crossed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gepa {
    /// Prompts that are scored in a generation at most. Default: 12; 2 to 100 count.
    pub population: u32,
    /// Generations after the first. Default: 8; at most 100 count.
    pub generations: u32,
    /// Examples that the model is shown of each prompt. Default: 3; at most 64 count.
    pub reflection_batch: u32,
    /// Of rewrites. Default: 0.8.
    pub temperature: f64,
    /// Of what is said about a prompt. Default: 0.4.
    pub reflection_temperature: f64,
    /// The longest rewrite, in tokens. Default: 1,024.
    pub max_tokens: u32,
    /// The longest that is said about a prompt, in tokens. Default: 512.
    pub reflection_max_tokens: u32,
    /// Whether the two best are crossed.
    pub crossover: Crossover,
}

/// Whether the two best prompts are crossed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crossover {
    /// They are; the default.
    On,
    /// They are not.
    Off,
}

impl Default for Gepa {
    fn default() -> Self {
        Self {
            population: 12,
            generations: 8,
            reflection_batch: 3,
            temperature: 0.8,
            reflection_temperature: 0.4,
            max_tokens: 1_024,
            reflection_max_tokens: 512,
            crossover: Crossover::On,
        }
    }
}

impl Optimizer for Gepa {
    fn name(&self) -> &'static str {
        "gepa"
    }

    fn candidates_max(&self) -> u64 {
        // The baseline is of the first generation.
        u64::from(self.population()) * (u64::from(self.generations.min(COUNT_MAX)) + 1) - 1
    }

    fn optimize(&self, bench: &mut Bench<'_>) -> Result<(), Ended> {
        let baseline = bench.baseline().clone();
        let mut population = self.reflected(bench, vec![baseline])?;
        let first = population[0].clone();
        let children = (1..self.population()).map(|number| self.child(&first, number % 2 == 1)).collect();
        population.extend(self.born(bench, 0, children)?);
        for generation in 1..=self.generations.min(COUNT_MAX) {
            population = front(population);
            population.truncate(self.population() as usize);
            let children = self.children(&population);
            let born = self.born(bench, generation, children)?;
            if born.is_empty() {
                break; // nothing new comes up any more
            }
            population.extend(born);
        }
        Ok(())
    }
}

impl Gepa {
    fn population(&self) -> u32 {
        self.population.clamp(2, COUNT_MAX)
    }

    fn voice(&self) -> Voice {
        Voice { temperature: self.temperature, max_tokens: self.max_tokens }
    }

    /// What the next generation is asked for: two children each, and one of the two best, which comes first.
    fn children(&self, survivors: &[Member]) -> Vec<(Request, &'static str)> {
        let mut children = Vec::new();
        if let ([one, other, ..], Crossover::On) = (survivors, self.crossover) {
            let wish = cross(self.voice(), &one.prompt.instruction, &other.prompt.instruction);
            children.push((wish, "crossover"));
        }
        let pairs = survivors.iter().flat_map(|parent| [self.child(parent, true), self.child(parent, false)]);
        children.extend(pairs);
        children.truncate(self.population() as usize);
        children
    }

    fn child(&self, parent: &Member, heeds: bool) -> (Request, &'static str) {
        let instruction = &parent.prompt.instruction;
        if heeds {
            (mend(self.voice(), instruction, &parent.diagnosis), "feedback")
        } else {
            (compress(self.voice(), instruction), "compression")
        }
    }

    /// Those of the children that are new, scored and reflected on.
    fn born(
        &self,
        bench: &mut Bench<'_>,
        generation: u32,
        children: Vec<(Request, &'static str)>,
    ) -> Result<Vec<Member>, Ended> {
        let (wishes, notes): (Vec<Request>, Vec<&str>) = children.into_iter().unzip();
        let texts = bench.draw(&wishes)?;
        let mut scored = Vec::with_capacity(texts.len());
        for ((variant, text), note) in (0..).zip(&texts).zip(notes) {
            if let Some(instruction) = written(text) {
                // The baseline is variant 0 of generation 0.
                let place = (generation, if generation == 0 { variant + 1 } else { variant });
                scored.extend(bench.score(place, note, Prompt::new(instruction))?.cloned());
            }
        }
        self.reflected(bench, scored)
    }

    /// Each with what the model says about it.
    fn reflected(&self, bench: &mut Bench<'_>, candidates: Vec<Candidate>) -> Result<Vec<Member>, Ended> {
        let examples = bench.examples();
        let batch = &examples[..examples.len().min(self.reflection_batch.min(BATCH_MAX) as usize)];
        let voice =
            Voice { temperature: self.reflection_temperature, max_tokens: self.reflection_max_tokens };
        let mut wishes = Vec::with_capacity(candidates.len());
        for candidate in &candidates {
            let answers = bench.answers(&candidate.prompt, batch)?;
            let answered: Vec<_> = batch.iter().zip(answers).collect();
            wishes.push(reflect(voice, &candidate.prompt.instruction, &answered));
        }
        let diagnoses = bench.draw(&wishes)?;
        let member = |(candidate, diagnosis): (Candidate, String)| {
            let Candidate { prompt, score, tokens, .. } = candidate;
            Member { prompt, score, tokens, diagnosis }
        };
        Ok(candidates.into_iter().zip(diagnoses).map(member).collect())
    }
}

/// A prompt that lives.
#[derive(Debug, Clone, PartialEq)]
struct Member {
    prompt: Prompt,
    score: f64,
    tokens: u64,
    diagnosis: String,
}

/// Those whom nobody beats in both score and length, best score first. Of two alike the older stays.
fn front(members: Vec<Member>) -> Vec<Member> {
    let is_beaten = |number: usize, member: &Member| {
        members.iter().enumerate().any(|(other_number, other)| {
            let is_as_good = other.score >= member.score && other.tokens <= member.tokens;
            let is_more = other.score > member.score || other.tokens < member.tokens || other_number < number;
            is_as_good && is_more
        })
    };
    let mut survivors: Vec<Member> = members
        .iter()
        .enumerate()
        .filter(|(n, member)| !is_beaten(*n, member))
        .map(|(_, m)| m.clone())
        .collect();
    survivors.sort_by(|one, other| other.score.total_cmp(&one.score));
    survivors
}

const COUNT_MAX: u32 = 100;
const BATCH_MAX: u32 = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn member(number: usize, score: u8, tokens: u8) -> Member {
        let (score, tokens) = (f64::from(score) / 4.0, u64::from(tokens));
        Member { prompt: Prompt::new(number.to_string()), score, tokens, diagnosis: String::new() }
    }

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(33), ..ProptestConfig::default() })]

        #[test]
        fn nobody_on_the_front_is_beaten_and_everybody_else_is(
            drawn in prop::collection::vec((0..5_u8, 0..5_u8), 0..12),
        ) {
            let members: Vec<Member> =
                drawn.iter().enumerate().map(|(number, (score, tokens))| member(number, *score, *tokens)).collect();
            let front = front(members.clone());
            prop_assert_eq!(front.is_empty(), members.is_empty());
            let pairs = front.windows(2).all(|two| two[0].score > two[1].score && two[0].tokens > two[1].tokens);
            prop_assert!(pairs, "a longer prompt survives only by a higher score: {:?}", front);
            for one in &members {
                let is_covered = front.iter().any(|kept| kept.score >= one.score && kept.tokens <= one.tokens);
                prop_assert!(is_covered, "{:?} is beaten by nobody in {:?}", one, front);
            }
        }
    }
}
