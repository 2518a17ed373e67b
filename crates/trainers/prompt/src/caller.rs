//! How a model is asked: once for each question, a few at a time, within a budget.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::atomic::{AtomicBool, Ordering};

use trainyard_trainkit::each;

use crate::answers::{Answers, Key};
use crate::model::{Completion, LanguageModel, ModelError, Request};

/// Why a training cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Ended {
    /// It is time to stop.
    #[error("it is time to stop")]
    Stopped,
    /// As many candidates were scored as were ordered.
    #[error("all {0} candidates that were ordered are scored")]
    Enough(u64),
    /// No more tokens may be spent.
    #[error("the budget of {budget} tokens is spent")]
    Spent {
        /// So many were to be spent at most.
        budget: u64,
    },
    /// The model has not answered.
    #[error("a question stays without an answer")]
    Unanswered(#[source] ModelError),
    /// An answer could not be kept.
    #[error("an answer could not be kept")]
    NotKept(#[source] io::Error),
}

/// Asks a model. Whatever was answered once, in this attempt or before, is not asked again.
pub(crate) struct Caller<'a> {
    model: &'a dyn LanguageModel,
    stop: &'a (dyn Fn() -> bool + Sync),
    at_once: NonZeroUsize,
    budget: Option<NonZeroU64>,
    pub(crate) answers: Answers,
    /// Those that this run has used: only they count as spent, so that a run that is resumed counts as the first did.
    used: BTreeSet<Key>,
    /// How often each was drawn.
    drawn: BTreeMap<Key, u32>,
    spent: u64,
    /// Calls that were made, and not answered from the file.
    asked: u64,
}

impl<'a> Caller<'a> {
    pub(crate) fn new(
        model: &'a dyn LanguageModel,
        stop: &'a (dyn Fn() -> bool + Sync),
        at_once: NonZeroUsize,
        budget: Option<NonZeroU64>,
        answers: Answers,
    ) -> Self {
        let (used, drawn) = (BTreeSet::new(), BTreeMap::new());
        Self { model, stop, at_once, budget, answers, used, drawn, spent: 0, asked: 0 }
    }

    /// Tokens of all answers that were used.
    pub(crate) fn spent(&self) -> u64 {
        self.spent
    }

    pub(crate) fn asked(&self) -> u64 {
        self.asked
    }

    /// An answer to each. They are asked in waves; the answers of one are kept before the next begins, also when one of
    /// its questions stays without.
    pub(crate) fn ask(&mut self, requests: &[Request]) -> Result<Vec<String>, Ended> {
        let mut texts = Vec::with_capacity(requests.len());
        for wave in requests.chunks(self.at_once.get().saturating_mul(WAVE)) {
            let keys: Vec<Key> = wave.iter().map(|request| Key::of(self.model.name(), request)).collect();
            self.ask_wave(wave, &keys)?;
            for key in keys {
                let completion = self.answers.get(&key).expect("each was answered");
                texts.push(completion.text.clone());
                if self.used.insert(key) {
                    self.spent = self.spent.saturating_add(completion.tokens());
                }
            }
        }
        Ok(texts)
    }

    /// A new answer to each, also to what was drawn before.
    pub(crate) fn draw(&mut self, requests: &[Request]) -> Result<Vec<String>, Ended> {
        let number = |request: &Request| {
            let drawn = self.drawn.entry(Key::of(self.model.name(), request)).or_default();
            let seed = request.seed.wrapping_add(*drawn);
            *drawn += 1;
            Request { seed, ..request.clone() }
        };
        let numbered: Vec<Request> = requests.iter().map(number).collect();
        self.ask(&numbered)
    }

    fn ask_wave(&mut self, wave: &[Request], keys: &[Key]) -> Result<(), Ended> {
        if (self.stop)() {
            return Err(Ended::Stopped);
        }
        // The same whether answers are at hand or not, so that a run that is resumed ends where the first did.
        if let Some(budget) = self.budget
            && self.spent >= budget.get()
            && keys.iter().any(|key| !self.used.contains(key))
        {
            return Err(Ended::Spent { budget: budget.get() });
        }
        let mut seen = BTreeSet::new();
        let missing =
            keys.iter().zip(wave).filter(|(key, _)| self.answers.get(key).is_none() && seen.insert(**key));
        let missing: Vec<(&Key, &Request)> = missing.collect();
        let failed = AtomicBool::new(false);
        let call = |number: usize| -> Result<(Key, Completion), Ended> {
            if failed.load(Ordering::Acquire) || (self.stop)() {
                return Err(Ended::Stopped);
            }
            let (key, request) = missing[number];
            // What is in flight when another fails is let end, since it is paid for.
            let answer = self.model.complete(request, self.stop).map_err(Ended::Unanswered)?;
            self.answers.write(*key, &answer).map_err(Ended::NotKept)?;
            Ok((*key, answer))
        };
        let mut first_error = None;
        let mut new = Vec::with_capacity(missing.len());
        for answer in each(self.at_once, missing.len(), |number| {
            call(number).inspect_err(|_| failed.store(true, Ordering::Release))
        }) {
            match answer {
                Ok(answer) => new.push(answer),
                // Those that were stopped were so by the others, or by whoever has stopped it all.
                Err(error) if first_error.is_none() || !error.is_stopped() => first_error = Some(error),
                Err(_) => {}
            }
        }
        self.asked += new.len() as u64;
        self.answers.add(new).map_err(Ended::NotKept)?;
        match first_error {
            None => Ok(()),
            Some(error) if error.is_stopped() => Err(Ended::Stopped),
            Some(error) => Err(error),
        }
    }
}

impl Ended {
    fn is_stopped(&self) -> bool {
        match self {
            Self::Stopped => true,
            Self::Unanswered(error) => error.is_stopped(),
            Self::Enough(_) | Self::Spent { .. } | Self::NotKept(_) => false,
        }
    }
}

/// So many questions for each that is asked at once make a wave.
const WAVE: usize = 4;

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// Says what it was asked, once as many ask as are to be asked at once; refuses some.
    struct Echo {
        at_once: Barrier,
        calls: AtomicUsize,
        now: AtomicUsize,
        most: AtomicUsize,
        refuses: Option<&'static str>,
    }

    impl Echo {
        fn new(at_once: usize, refuses: Option<&'static str>) -> Self {
            let count = || AtomicUsize::new(0);
            Self { at_once: Barrier::new(at_once), calls: count(), now: count(), most: count(), refuses }
        }
    }

    impl LanguageModel for Echo {
        fn name(&self) -> &str {
            "echo"
        }

        fn complete(&self, request: &Request, _: &dyn Fn() -> bool) -> Result<Completion, ModelError> {
            self.calls.fetch_add(1, Ordering::AcqRel);
            let now = self.now.fetch_add(1, Ordering::AcqRel) + 1;
            self.most.fetch_max(now, Ordering::AcqRel);
            self.at_once.wait();
            self.now.fetch_sub(1, Ordering::AcqRel);
            let user = &request.messages[0].text;
            if self.refuses == Some(user) {
                return Err(ModelError::refused("no"));
            }
            let text = format!("{user} {}", request.seed);
            Ok(Completion { text, prompt_tokens: 2, completion_tokens: 1 })
        }
    }

    fn requests(users: &[&str]) -> Vec<Request> {
        users.iter().map(|user| Request::new("", *user)).collect()
    }

    fn caller<'a>(model: &'a Echo, at_once: usize, budget: u64, answers: Answers) -> Caller<'a> {
        Caller::new(model, &|| false, at_once.try_into().unwrap(), NonZeroU64::new(budget), answers)
    }

    #[test]
    fn so_many_are_asked_at_once_and_none_more() {
        let model = Echo::new(3, None);
        let users: Vec<String> = (0..30).map(|number| number.to_string()).collect();
        let requests = requests(&users.iter().map(String::as_str).collect::<Vec<_>>());
        let texts = caller(&model, 3, 0, Answers::default()).ask(&requests).unwrap();
        assert_eq!(texts, users.iter().map(|user| format!("{user} 0")).collect::<Vec<_>>());
        assert_eq!((model.calls.into_inner(), model.most.into_inner()), (30, 3));
    }

    #[test]
    fn a_question_is_asked_once_and_drawn_anew() {
        let model = Echo::new(1, None);
        let mut caller = caller(&model, 1, 0, Answers::default());
        assert_eq!(caller.ask(&requests(&["a", "b", "a"])).unwrap(), ["a 0", "b 0", "a 0"]);
        assert_eq!(caller.ask(&requests(&["b"])).unwrap(), ["b 0"]);
        assert_eq!((caller.asked(), caller.spent()), (2, 6));
        assert_eq!(caller.draw(&requests(&["a", "c", "c"])).unwrap(), ["a 0", "c 0", "c 1"]);
        assert_eq!(caller.draw(&requests(&["a", "c"])).unwrap(), ["a 1", "c 2"]);
        assert_eq!((caller.asked(), caller.spent()), (6, 18));
    }

    #[test]
    fn what_was_answered_beside_a_refusal_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answers");
        let model = Echo::new(1, Some("c"));
        let mut answers = Answers::default();
        answers.keep_in(&path).unwrap();
        let mut first = caller(&model, 1, 0, answers);
        let wave = requests(&["a", "b", "c", "d"]);
        assert!(matches!(first.ask(&wave), Err(Ended::Unanswered(error)) if !error.is_transient()));
        assert_eq!(model.calls.load(Ordering::Acquire), 3, "what came after it was not asked");
        let willing = Echo::new(1, None);
        let mut second = caller(&willing, 1, 0, Answers::read(&path).unwrap().0);
        assert_eq!(second.ask(&wave).unwrap(), ["a 0", "b 0", "c 0", "d 0"]);
        assert_eq!((willing.calls.load(Ordering::Acquire), second.spent()), (2, 12));
    }

    #[test]
    fn a_spent_budget_ends_it_at_the_same_place_whether_answers_are_at_hand_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answers");
        let model = Echo::new(1, None);
        let wave = requests(&["a", "b", "c", "d"]);
        let mut answers = Answers::default();
        answers.keep_in(&path).unwrap();
        let mut rich = caller(&model, 1, 0, answers);
        rich.ask(&wave).unwrap();
        rich.ask(&requests(&["e"])).unwrap();
        for answers in [Answers::default(), Answers::read(&path).unwrap().0] {
            let mut poor = caller(&model, 1, 12, answers);
            poor.ask(&wave).unwrap();
            poor.ask(&wave).unwrap();
            assert!(matches!(poor.ask(&requests(&["e"])), Err(Ended::Spent { budget: 12 })));
        }
    }
}
