//! A model answers.

use trainyard_trainkit::{Chance, narrow};

use crate::model::{Cache, Lora};
use crate::tokens::{END, before_answer, said};
use crate::{Adapter, Base};

/// How an answer is found.
///
/// ```
/// use trainyard_finetune::Speech;
///
/// assert_eq!(Speech::default(), Speech::greedy().with_bytes_max(64));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Speech {
    bytes_max: usize,
    /// Temperature and seed; greedy without.
    drawn: Option<(f32, u64)>,
}

impl Speech {
    /// Always the byte that is likeliest.
    #[must_use]
    pub const fn greedy() -> Self {
        Self { bytes_max: BYTES_MAX, drawn: None }
    }

    /// Each byte drawn, as likely as the model has it after its scores were divided by the temperature, which counts as
    /// within 0.01 to 100.
    #[must_use]
    pub const fn drawn(temperature: f32, seed: u64) -> Self {
        let temperature = if temperature >= 0.01 { temperature.min(100.0) } else { 0.01 };
        Self { bytes_max: BYTES_MAX, drawn: Some((temperature, seed)) }
    }

    /// Of so many bytes at most, and of what the context has left. Default: 64.
    #[must_use]
    pub const fn with_bytes_max(mut self, bytes: usize) -> Self {
        self.bytes_max = bytes;
        self
    }
}

impl Default for Speech {
    fn default() -> Self {
        Self::greedy()
    }
}

impl Base {
    /// What it answers, with or without an adapter. The same every time.
    ///
    /// ```
    /// use trainyard_finetune::{Base, Recipe, Speech};
    ///
    /// let recipe = Recipe::new(1).with_steps(2.try_into()?);
    /// let base = Base::make(&recipe, 1.try_into()?, &mut |_| true).expect("it went on");
    /// let speech = Speech::drawn(0.8, 5).with_bytes_max(10);
    /// let answer = base.answer(None, "You are brief.", "Who are you?", &speech);
    /// assert_eq!(answer, base.answer(None, "You are brief.", "Who are you?", &speech));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    /// When the adapter is of a base of another shape.
    #[must_use]
    pub fn answer(&self, adapter: Option<&Adapter>, system: &str, user: &str, speech: &Speech) -> String {
        let lora = adapter.map(|adapter| &adapter.lora);
        let cache = self.listen(lora, system, user);
        self.speak(lora, cache, speech)
    }

    /// Reads what comes before an answer.
    pub(crate) fn listen(&self, lora: Option<&Lora>, system: &str, user: &str) -> Cache {
        let before = before_answer(system, user, self.shape().sizes().context);
        let mut cache = Cache::default();
        self.model.read_on(lora, &before, &mut cache);
        cache
    }

    /// Answers what was read.
    pub(crate) fn speak(&self, lora: Option<&Lora>, mut cache: Cache, speech: &Speech) -> String {
        let Speech { bytes_max, drawn } = *speech;
        let context = self.shape().sizes().context;
        let mut chance = drawn.map(|(temperature, seed)| (temperature, Chance::new(seed, 0)));
        let mut answer = Vec::new();
        while answer.len() < bytes_max {
            let token = match &mut chance {
                None => likeliest(cache.scores()),
                Some((temperature, chance)) => draw(cache.scores(), *temperature, chance),
            };
            if token == END {
                break;
            }
            answer.push(token);
            if cache.tokens() == context {
                break;
            }
            self.model.read_on(lora, &[token], &mut cache);
        }
        said(&answer)
    }
}

/// What an answer may go on with: a byte, or its end.
fn candidates(scores: &[f32]) -> impl Iterator<Item = (u16, f32)> {
    (0..256).chain([END]).zip(scores[..256].iter().chain([&scores[usize::from(END)]]).copied())
}

/// The first of those with the highest score.
fn likeliest(scores: &[f32]) -> u16 {
    candidates(scores).fold((END, f32::NEG_INFINITY), |best, one| if one.1 > best.1 { one } else { best }).0
}

fn draw(scores: &[f32], temperature: f32, chance: &mut Chance) -> u16 {
    let mut shares: Vec<f32> = candidates(scores).map(|(_, score)| score / temperature).collect();
    let count = shares.len();
    trainyard_trainkit::softmax(&mut shares, count);
    let mut left = narrow(chance.unit());
    for ((token, _), share) in candidates(scores).zip(shares) {
        left -= share;
        if left < 0.0 {
            return token;
        }
    }
    likeliest(scores) // rounding has left a little over
}

const BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_drawn_as_often_as_they_are_likely() {
        let mut scores = vec![-50.0; 264];
        (scores[65], scores[66], scores[usize::from(END)]) = (2.0_f32.ln(), 1.0_f32.ln(), 1.0_f32.ln());
        scores[261] = 90.0; // stands for nothing
        assert_eq!(likeliest(&scores), 65);
        let mut chance = Chance::new(1, 0);
        let mut seen = [0; 3];
        for _ in 0..4_000 {
            let token = draw(&scores, 1.0, &mut chance);
            seen[[65, 66, END].iter().position(|one| *one == token).unwrap()] += 1;
        }
        assert!((1_850..2_150).contains(&seen[0]) && (850..1_150).contains(&seen[1]), "{seen:?}");
        assert!((0..100).all(|_| draw(&scores, 0.01, &mut chance) == 65), "what is cold is greedy");
    }
}
