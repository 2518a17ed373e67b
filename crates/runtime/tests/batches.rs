//! Who is heard first among those who share a commit.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test may panic and be brief")]

use std::sync::Arc;

use proptest::prelude::*;
use trainyard_core::{
    Abilities, Answer, CandidateId, Class, Command, ContestPlan, Entrant, Job, JobId, Kind, Label, Lease,
    ModelId, NodeId, Outcome, Parameters, Placement, QueueName, Reason, Reference, Rejection, Resources, Run,
    RunEnd, Score, Subject, Submission, Timestamp, Trained,
};
use trainyard_journal::MemoryJournal;
use trainyard_runtime::Driver;

const CONTEST: JobId = JobId::from_u128(1);
const CANDIDATES: u64 = 4;

/// What one candidate says in the batch. Values are hundredths; the target is 90.
#[derive(Debug, Clone, Copy)]
enum Word {
    Report(u8),
    Finish(u8),
    Stop,
}

fn word() -> impl Strategy<Value = Word> {
    prop_oneof![
        1 => (0_u8..90).prop_map(Word::Report),
        3 => prop_oneof![0_u8..90, 90_u8..=100].prop_map(Word::Finish),
        1 => Just(Word::Stop),
    ]
}

fn words() -> impl Strategy<Value = Vec<(u64, Word)>> {
    prop::collection::vec((1..=CANDIDATES, word()), 1..12)
}

fn score(hundredths: u8) -> Score {
    Score::new(f64::from(hundredths) / 100.0).unwrap()
}

/// A yard in which the contest runs; its candidates write under the leases from 2.
fn running() -> Driver {
    let kind = Kind::new("test").unwrap();
    let kinds = [(kind.clone(), Placement::InProcess)].into();
    let abilities = Abilities { kinds, capacity: Resources::slots(1) };
    let join = Command::JoinNode { node: NodeId::from_u128(1), abilities };
    let entrant = |n: u64| Entrant {
        id: CandidateId::from_u128(n.into()),
        label: Label::new(n.to_string()).unwrap(),
        parameters: Parameters::default(),
    };
    let candidates = (1..=CANDIDATES).map(entrant).collect();
    let plan = ContestPlan { target: score(90), candidates, median: None };
    let class = Arc::new(Class::new(kind, QueueName::new("q").unwrap()));
    let submission = Submission::new(CONTEST, Subject::new("a").unwrap(), class);
    let submission = Submission { contest: Some(Arc::new(plan)), ..submission };
    let mut driver = Driver::open(MemoryJournal::new()).unwrap();
    driver.turn(NOW, &[join, Command::Submit(Arc::new(submission))]).unwrap();
    driver
}

const NOW: Timestamp = Timestamp::from_millis(0);

fn say((who, word): (u64, Word), number: usize) -> Command {
    let run = Run { job: CONTEST, lease: Lease::new(1 + who) };
    let step = number as u64;
    match word {
        Word::Report(value) => Command::Report { run, step, performance: Some(score(value)) },
        Word::Finish(value) => {
            let trained = Trained { artifact: Some(Reference::new("m")), ..Trained::default() };
            let model = ModelId::from_u128(1 + number as u128);
            Command::Finish {
                run,
                end: RunEnd::Completed { trained, model, last: Some((step, score(value))) },
            }
        }
        Word::Stop => Command::Finish { run, end: RunEnd::Stopped },
    }
}

fn cancel() -> Command {
    Command::Cancel { job: CONTEST, reason: Reason::new("enough") }
}

fn models(driver: &Driver) -> usize {
    let yard = driver.yard();
    yard.registries().map(|registry| yard.models(registry).count()).sum()
}

fn contest(driver: &Driver) -> Job {
    driver.yard().job(CONTEST).unwrap().clone()
}

proptest! {
    /// Whatever candidates say in the same batch, and wherever in it the cancel stands: it comes first.
    #[test]
    fn a_cancel_comes_before_every_finish_of_its_batch(
        words in words(), place in any::<prop::sample::Index>(), facts_max in 1_usize..20,
    ) {
        let mut driver = running().with_record_max(usize::MAX, facts_max);
        let mut commands: Vec<Command> = words.iter().enumerate().map(|(n, word)| say(*word, n)).collect();
        let place = place.index(commands.len() + 1);
        commands.insert(place, cancel());
        let turned = driver.turn(NOW, &commands).unwrap();
        prop_assert_eq!(&turned.answers[place], &Ok(Answer::Done));
        let over = contest(&driver);
        let cancelled = Outcome::Cancelled { reason: Reason::new("enough") };
        prop_assert_eq!(over.outcome(), Some(&cancelled));
        for candidate in &over.contest().unwrap().candidates {
            prop_assert_eq!(candidate.outcome(), Some(&cancelled));
            prop_assert_eq!(candidate.standing.window.reports(), 0, "what they say after that is not kept");
        }
        prop_assert_eq!(models(&driver), 0);
    }

    /// Once a winner is durable nothing takes it back. Until then the words are heard in their order: of several who
    /// have reached the target the first has won.
    #[test]
    fn once_somebody_has_won_a_cancel_is_refused(words in words()) {
        let mut driver = running();
        let mut first = None;
        let mut is_in: Vec<bool> = (0..CANDIDATES).map(|_| true).collect();
        for (n, (who, word)) in words.iter().enumerate() {
            let place = usize::try_from(who - 1).unwrap();
            if let Word::Finish(value) = word
                && *value >= 90 && is_in[place] && first.is_none()
            {
                first = Some((place, ModelId::from_u128(1 + n as u128)));
            }
            is_in[place] &= matches!(word, Word::Report(_));
            if !is_in.contains(&true) {
                break; // it is over, or starts again
            }
        }
        let commands: Vec<Command> = words.iter().enumerate().map(|(n, word)| say(*word, n)).collect();
        driver.turn(NOW, &commands).unwrap();
        let before = contest(&driver);
        if let Some((place, model)) = first {
            let won = Outcome::Completed { model: Some(model) };
            prop_assert_eq!(before.outcome(), Some(&won));
            prop_assert_eq!(before.contest().unwrap().candidates[place].outcome(), Some(&won));
        }
        let refused = driver.turn(NOW, &[cancel()]).unwrap().answers.remove(0);
        match before.outcome().cloned() {
            Some(outcome) => {
                prop_assert_eq!(refused, Err(Rejection::Over { job: CONTEST, outcome }));
                prop_assert_eq!(contest(&driver), before);
            }
            None => prop_assert_eq!(refused, Ok(Answer::Done)),
        }
        prop_assert_eq!(models(&driver), usize::from(first.is_some()));
    }
}
