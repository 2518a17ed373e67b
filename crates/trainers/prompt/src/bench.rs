//! What an optimiser works with: examples, a model to ask, and a score for every prompt it comes up with.

use std::collections::BTreeSet;

use trainyard_trainkit::Chance;
use trainyard_trajectories::Row;

use crate::caller::{Caller, Ended};
use crate::model::Request;
use crate::prompt::Prompt;
use crate::score::{Compare, mean};
use crate::shown::cut;

/// What an optimiser works with: examples, a model to ask, and a score for every prompt it comes up with.
///
/// Whatever the model is asked through it is paid for once: a run that is resumed does the same steps again and finds
/// the answers of those that were done. So an optimiser draws all its chance from here, looks at no clock, and needs no
/// state of its own that lasts.
pub struct Bench<'a> {
    pub(crate) caller: Caller<'a>,
    lesson: Lesson<'a>,
    chance: Chance,
    /// All that were scored; the first is the baseline.
    scored: Vec<Candidate>,
    known: BTreeSet<Prompt>,
    best: usize,
    watch: Watch<'a>,
}

/// What there is to learn from, and to measure by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lesson<'a> {
    pub(crate) learning: &'a [Row],
    pub(crate) held_out: &'a [Row],
    pub(crate) compare: Compare,
    pub(crate) seed: u64,
    /// So many prompts are scored at most, the baseline among them.
    pub(crate) candidates_max: u64,
}

/// Hears of each candidate that was scored; its error ends the run.
pub(crate) type Watch<'a> = Box<dyn FnMut(Told<'_>) -> Result<(), Ended> + 'a>;

/// A candidate that was scored, and how things stand then.
pub(crate) struct Told<'t> {
    /// So many were scored, with this one.
    pub(crate) step: u64,
    pub(crate) newest: &'t Candidate,
    pub(crate) best: &'t Candidate,
    /// Calls of the model that were made, and not answered from a file.
    pub(crate) asked: u64,
}

/// A prompt that was scored.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Candidate {
    /// The prompt.
    pub prompt: Prompt,
    /// In which round it came up; 0 for the baseline.
    pub round: u32,
    /// Which of its round it is, from 0.
    pub variant: u32,
    /// How it came up.
    pub note: String,
    /// The mean score of its answers to the examples that are learned from. An optimiser goes by this one.
    pub score: f64,
    /// The same on the examples that were held back; what the result is chosen by, and no optimiser is shown. Where none
    /// are, as above.
    pub(crate) held_out: f64,
    /// About how many tokens it has.
    pub tokens: u64,
}

impl<'a> Bench<'a> {
    /// Scores the baseline, which [`Bench::tell`] is to tell of.
    pub(crate) fn new(
        mut caller: Caller<'a>,
        lesson: Lesson<'a>,
        baseline: Prompt,
        watch: Watch<'a>,
    ) -> Result<Self, Ended> {
        let (score, held_out) = lesson.measure(&mut caller, &baseline)?;
        let (note, tokens) = ("baseline".to_owned(), baseline.tokens());
        let known = BTreeSet::from([baseline.clone()]);
        let first = Candidate { prompt: baseline, round: 0, variant: 0, note, score, held_out, tokens };
        let (scored, chance) = (vec![first], Chance::new(lesson.seed, 0));
        Ok(Self { caller, lesson, chance, scored, known, best: 0, watch })
    }

    /// The examples to learn from; at least one.
    #[must_use]
    pub fn examples(&self) -> &'a [Row] {
        self.lesson.learning
    }

    /// The prompt that all begins with.
    #[must_use]
    pub fn baseline(&self) -> &Candidate {
        &self.scored[0]
    }

    /// The best so far, by its score on what was held back, then on what is learned from, then the shortest, then the
    /// first.
    pub(crate) fn best(&self) -> &Candidate {
        &self.scored[self.best]
    }

    /// All that were scored, in order.
    #[must_use]
    pub fn scored(&self) -> &[Candidate] {
        &self.scored
    }

    /// Where chance comes from.
    pub fn chance(&mut self) -> &mut Chance {
        &mut self.chance
    }

    /// Asks the model, several questions at a time, and gives its answers in order. The same question asked again is
    /// answered anew: it has another [`Request::seed`].
    ///
    /// # Errors
    /// [`Ended`], to be passed on.
    pub fn draw(&mut self, requests: &[Request]) -> Result<Vec<String>, Ended> {
        self.caller.draw(requests)
    }

    /// What the model answers to some of the [examples](Bench::examples) under a prompt. Of one that was scored these
    /// are the answers that it was scored by.
    ///
    /// # Errors
    /// [`Ended`], to be passed on.
    pub fn answers(&mut self, prompt: &Prompt, examples: &[Row]) -> Result<Vec<String>, Ended> {
        self.caller.ask(&questions(prompt, examples, 0))
    }

    /// Scores a prompt on all examples. Of the note, 256 bytes count. `None` for a prompt that was scored before, has no
    /// instruction, one of more than 64 KiB, more than 1,000 examples, or more than 1 MiB in all.
    ///
    /// # Errors
    /// [`Ended`], to be passed on.
    pub fn score(
        &mut self,
        (round, variant): (u32, u32),
        note: impl Into<String>,
        prompt: Prompt,
    ) -> Result<Option<&Candidate>, Ended> {
        if !prompt.is_usable() || self.known.contains(&prompt) {
            return Ok(None);
        }
        if self.scored.len() as u64 >= self.lesson.candidates_max {
            return Err(Ended::Enough(self.lesson.candidates_max));
        }
        let (score, held_out) = self.lesson.measure(&mut self.caller, &prompt)?;
        self.known.insert(prompt.clone());
        let (note, tokens) = (cut(&note.into(), NOTE_BYTES_MAX), prompt.tokens());
        let candidate = Candidate { prompt, round, variant, note, score, held_out, tokens };
        if candidate.is_better_than(self.best()) {
            self.best = self.scored.len();
        }
        self.scored.push(candidate);
        self.tell()?;
        Ok(self.scored.last())
    }

    /// Tells of the newest candidate.
    pub(crate) fn tell(&mut self) -> Result<(), Ended> {
        let Self { scored, watch, best, caller, .. } = self;
        let newest = &scored[scored.len() - 1];
        watch(Told { step: scored.len() as u64, newest, best: &scored[*best], asked: caller.asked() })
    }
}

impl Candidate {
    fn is_better_than(&self, other: &Self) -> bool {
        let scores = |of: &Self| (of.held_out, of.score);
        let shorter = self.tokens < other.tokens;
        scores(self) > scores(other) || scores(self) == scores(other) && shorter
    }
}

impl std::fmt::Debug for Bench<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bench").field("scored", &self.scored.len()).finish_non_exhaustive()
    }
}

impl Lesson<'_> {
    /// The scores of a prompt on both parts.
    fn measure(&self, caller: &mut Caller<'_>, prompt: &Prompt) -> Result<(f64, f64), Ended> {
        let Self { learning, held_out, .. } = *self;
        let mut requests = questions(prompt, learning, 0);
        requests.extend(questions(prompt, held_out, 0));
        let answers = caller.ask(&requests)?;
        let (first, second) = answers.split_at(learning.len());
        let score = self.score(first, learning);
        Ok((score, if held_out.is_empty() { score } else { self.score(second, held_out) }))
    }

    /// The scores of a prompt on what is held back, measured so many times; none where nothing is.
    pub(crate) fn measure_again(
        &self,
        caller: &mut Caller<'_>,
        prompt: &Prompt,
        times: u32,
    ) -> Result<Vec<f64>, Ended> {
        if self.held_out.is_empty() {
            return Ok(Vec::new());
        }
        let requests: Vec<Request> =
            (0..times).flat_map(|seed| questions(prompt, self.held_out, seed)).collect();
        let answers = caller.ask(&requests)?;
        Ok(answers.chunks(self.held_out.len()).map(|answers| self.score(answers, self.held_out)).collect())
    }

    fn score(&self, answers: &[String], rows: &[Row]) -> f64 {
        let scores = answers.iter().zip(rows).map(|(answer, row)| self.compare.score(answer, &row.expected));
        mean(&scores.collect::<Vec<_>>())
    }
}

fn questions(prompt: &Prompt, examples: &[Row], seed: u32) -> Vec<Request> {
    let text = prompt.text();
    examples.iter().map(|example| Request { seed, ..Request::new(&text, &example.user) }).collect()
}

const NOTE_BYTES_MAX: usize = 256;
