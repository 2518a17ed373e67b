//! Three scores of what a model answers to rows that it has not learned from.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use trainyard_trainkit::{Chance, each, real};
use trainyard_trajectories::Row;

use crate::learn::{Desk, Places};
use crate::tokens::Text;
use crate::{Adapter, Base, Speech};

/// What a model is worth on held-out rows, each within 0 to 1. Scores of a base and of an adapter beside it can be
/// compared when rows and [`Benchmark`] are the same.
///
/// | score | formula |
/// |---|---|
/// | coherence | exp(−L), where L is the mean surprise in nats over the bytes of the expected answers, as far as they fit into the context, and their ends, each after all before it: the inverse of the perplexity |
/// | consistency | the mean, over rows and over pairs among the greedy answer and so many drawn ones, of how [similar](similarity) both are |
/// | helpfulness | the mean, over rows, of how [similar](similarity) the greedy answer is to the expected one |
///
/// Why these: a model that knows how such texts go on is surprised by few of their bytes, and unlike the perplexity of
/// what it says itself, that cannot be had by saying the same word for ever. One that knows its answer gives it however the
/// dice fall. What helps is what was expected, word by word. None of them asks another model, so they cost little and come
/// out the same for ever. None is enough alone: who always says "no" is consistent.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Scores {
    /// How well it foresees what is expected.
    pub coherence: f64,
    /// How much it says the same when it is asked the same.
    pub consistency: f64,
    /// How much it says what is expected.
    pub helpfulness: f64,
}

/// How a model is judged.
///
/// ```
/// use trainyard_finetune::Benchmark;
///
/// assert_eq!(Benchmark::default(), Benchmark::new(0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Benchmark {
    seed: u64,
    rows_max: usize,
    bytes_max: usize,
}

impl Benchmark {
    /// By 32 rows at most, and answers of 64 bytes at most; this seed draws answers.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, rows_max: ROWS_MAX, bytes_max: BYTES_MAX }
    }

    /// By so many rows at most, the first of those that are given. Default: 32.
    #[must_use]
    pub const fn with_rows_max(mut self, rows: NonZeroUsize) -> Self {
        self.rows_max = rows.get();
        self
    }

    /// By answers of so many bytes at most, and of what the context has left. Default: 64.
    #[must_use]
    pub const fn with_bytes_max(mut self, bytes: NonZeroUsize) -> Self {
        self.bytes_max = bytes.get();
        self
    }

    /// Judges a base, with or without an adapter, by rows that were held out when it learned. The scores are the same
    /// for any number of threads. Before each row it asks whether to go on.
    ///
    /// ```
    /// use trainyard_finetune::{Base, Benchmark, Recipe};
    /// use trainyard_trajectories::Row;
    ///
    /// let recipe = Recipe::new(1).with_steps(2.try_into()?);
    /// let base = Base::make(&recipe, 1.try_into()?, &mut |_| true).expect("it went on");
    /// let rows = [Row::new("row-1", "", "You are brief.", "Who are you?", "Ada.")];
    /// let scores = Benchmark::new(7).run(&base, None, &rows, 1.try_into()?, &|| true)?;
    /// assert!((0.0..=1.0).contains(&scores.coherence));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`NoScores`] when there are no rows, or it was not to go on.
    ///
    /// # Panics
    /// When the adapter is of a base of another shape.
    pub fn run(
        &self,
        base: &Base,
        adapter: Option<&Adapter>,
        rows: &[Row],
        threads: NonZeroUsize,
        goes_on: &(dyn Fn() -> bool + Sync),
    ) -> Result<Scores, NoScores> {
        let rows = &rows[..rows.len().min(self.rows_max)];
        if rows.is_empty() {
            return Err(NoScores::NoRows);
        }
        let judged = each(threads, rows.len(), |number| {
            goes_on().then(|| self.judge(base, adapter, &rows[number], number as u64))
        });
        let (mut surprise, mut bytes, mut consistency, mut helpfulness) = (0.0, 0, 0.0, 0.0);
        for judged in judged {
            let judged = judged.ok_or(NoScores::Stopped)?;
            surprise += judged.surprise.0;
            bytes += judged.surprise.1;
            consistency += judged.consistency;
            helpfulness += judged.helpfulness;
        }
        let count = real(rows.len());
        let coherence = (-surprise / real(bytes)).exp();
        Ok(Scores {
            // A model whose scores are no numbers foresees nothing.
            coherence: if coherence.is_nan() { 0.0 } else { coherence.clamp(0.0, 1.0) },
            consistency: consistency / count,
            helpfulness: helpfulness / count,
        })
    }

    fn judge(&self, base: &Base, adapter: Option<&Adapter>, row: &Row, number: u64) -> Judged {
        let lora = adapter.map(|adapter| &adapter.lora);
        let text = Text::new(&row.system, &row.user, &row.expected, base.shape().sizes().context);
        let places = Places::default();
        let surprise = Desk::new(&base.model, NonZeroUsize::MIN, &places).loss(lora, &[text]);

        let cache = base.listen(lora, &row.system, &row.user);
        let mut chance = Chance::new(self.seed, number);
        let mut speeches = vec![Speech::greedy()];
        speeches.extend((0..DRAWN).map(|_| Speech::drawn(TEMPERATURE, chance.any())));
        let answers = speeches
            .iter()
            .map(|speech| base.speak(lora, cache.clone(), &speech.with_bytes_max(self.bytes_max)));
        let answers: Vec<String> = answers.collect();
        let pairs = answers.iter().enumerate();
        let pairs =
            pairs.flat_map(|(nth, one)| answers[nth + 1..].iter().map(move |other| similarity(one, other)));
        let pairs: Vec<f64> = pairs.collect();
        Judged {
            surprise,
            consistency: pairs.iter().sum::<f64>() / real(pairs.len()),
            helpfulness: similarity(&answers[0], &row.expected),
        }
    }
}

impl Default for Benchmark {
    fn default() -> Self {
        Self::new(0)
    }
}

/// What came of one row.
struct Judged {
    /// The sum, and over how many bytes.
    surprise: (f64, usize),
    consistency: f64,
    helpfulness: f64,
}

/// Why there are no scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoScores {
    /// There is nothing to judge by.
    #[error("there are no rows to judge by")]
    NoRows,
    /// It was not to go on.
    #[error("it was stopped")]
    Stopped,
}

/// How similar two texts are, within 0 to 1: twice the words that both have, over all words of both (F1). Words are runs
/// of letters and digits in lower case, each counted as often as it is there. Of texts without words, 1 when they are the
/// same but for spaces at their ends, else 0.
///
/// ```
/// use trainyard_finetune::similarity;
///
/// assert_eq!(similarity("RESPOND: yes", "yes, respond!"), 1.0);
/// assert_eq!(similarity("to be or", "be"), 0.5);
/// assert_eq!(similarity("yes", ""), 0.0);
/// ```
#[must_use]
pub fn similarity(one: &str, other: &str) -> f64 {
    let (mine, theirs) = (words(one), words(other));
    let count = |words: &BTreeMap<String, usize>| words.values().sum::<usize>();
    let all = count(&mine) + count(&theirs);
    if all == 0 {
        return f64::from(u8::from(one.trim() == other.trim()));
    }
    let both: usize =
        mine.iter().map(|(word, times)| theirs.get(word).map_or(0, |theirs| *times.min(theirs))).sum();
    2.0 * real(both) / real(all)
}

fn words(text: &str) -> BTreeMap<String, usize> {
    let mut words = BTreeMap::new();
    for word in text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()) {
        *words.entry(word.to_lowercase()).or_insert(0) += 1;
    }
    words
}

const ROWS_MAX: usize = 32;
const BYTES_MAX: usize = 64;
/// Answers that are drawn, beside the greedy one.
const DRAWN: usize = 2;
const TEMPERATURE: f32 = 0.5;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Shape;
    use crate::model::Model;

    #[test]
    fn a_model_beyond_all_numbers_is_worth_nothing_and_still_has_scores() {
        let mut model = Model::seeded(Shape::SMALL, &mut Chance::new(1, 0));
        let last = model.tensors().iter().find(|tensor| tensor.name == "model.norm.weight").unwrap();
        let gains = last.span.range();
        model.weights[gains].fill(f32::MAX);
        let rows = [Row::new("row-1", "", "be brief", "who?", "Ada.")];
        let scores =
            Benchmark::new(1).run(&Base::of(model), None, &rows, NonZeroUsize::MIN, &|| true).unwrap();
        assert_eq!((scores.coherence, scores.helpfulness), (0.0, 0.0));
        assert!((0.0..=1.0).contains(&scores.consistency));
    }

    proptest! {
        #[test]
        fn similarity_is_a_share_and_the_same_both_ways(one in "[a-c é]{0,12}", other in "[A-C,é]{0,12}") {
            let found = similarity(&one, &other);
            prop_assert!((0.0..=1.0).contains(&found));
            prop_assert_eq!(found, similarity(&other, &one));
            prop_assert_eq!(similarity(&one, &one), 1.0);
        }
    }
}
