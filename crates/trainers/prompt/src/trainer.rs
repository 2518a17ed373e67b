//! An optimisation as a run of a yard.

use std::collections::BTreeMap;
use std::time::SystemTime;

use trainyard_core::{Progress, Timestamp, Trained};
use trainyard_runtime::{Context, JobToTrain, Stop, TrainError};
use trainyard_trainkit::{Chance, cut_short, real, told};
use trainyard_trajectories::{HELD_OUT_SHARE, Row, split};

use crate::answers::Answers;
use crate::artifact::{Ancestor, Artifact};
use crate::bench::{Bench, Candidate, Lesson, Told};
use crate::caller::{Caller, Ended};
use crate::gate::{MEASURED, judge};
use crate::model::LanguageModel;
use crate::order::Order;
use crate::prompt::{INSTRUCTION_BYTES_MAX, Prompt};

/// Optimises a prompt, as a run of a yard.
///
/// A part of the examples is held back, and with one all that ask the same. The prompt in use is measured on it three times; then the optimiser scores one
/// prompt after another. After each it reports: the step is the number of prompts that were scored, the loss is 1 − the
/// best score on what was held back, and the performance is that score. The best prompt is handed over as an
/// [`Artifact`], with the figures `score`, `baseline`, `loss`, `promoted` (1 or 0, see [`judge`](crate::judge)),
/// `examples`, `candidates` and `tokens`. Without an example that can be used it says so and hands nothing over. In a
/// contest it ends at the target; short of that it hands nothing over, which a contest counts as stalled.
///
/// Every answer is on the disk before the next wave of questions goes out. After a crash the run does its steps again with
/// those answers, and pays for none twice. When the budget of tokens is spent, the best until then is the result.
///
/// # Errors
/// [`TrainError`] when it was told to stop, which it heeds within one call of the model; when the model does not answer,
/// after all retries; when the budget does not even suffice for the baseline; when a prompt is too long to begin with; or
/// when the disk refuses.
pub fn train_prompt(
    cx: &mut Context,
    job: &JobToTrain,
    examples: &[Row],
    model: &dyn LanguageModel,
    order: &Order,
) -> Result<Trained, TrainError> {
    let cx = &*cx;
    let usable = usable(examples);
    if usable.is_empty() {
        let message = format!("of {} examples none can be used; skipped", examples.len());
        cx.report(Progress::step(0, 0).with_phase("skipped").with_message(message))?;
        return Ok(Trained::default());
    }
    let size = usable.len();
    let parts = parts(usable, cx.seed(), order.examples_max.get());
    let baseline = Prompt::new(baseline(order, &parts.learning));
    for (what, text) in [("to begin with", Some(&baseline.instruction)), ("in use", order.incumbent.as_ref())]
    {
        if text.is_some_and(|text| text.len() > INSTRUCTION_BYTES_MAX) {
            let reason = format!("the prompt {what} has more than {INSTRUCTION_BYTES_MAX} bytes");
            return Err(TrainError::failed(reason));
        }
    }
    let stop = || must_stop(cx).is_some();
    let caller = Caller::new(model, &stop, order.at_once, Some(order.tokens), Answers::default());
    let target = job.candidate.as_ref().map(|candidate| candidate.target.get());
    let run = Run { cx, order, parts: &parts, size, target };
    let result = run.go(caller, baseline).map_err(|ended| run.failed(ended))?;
    let is_short = cx.stop_reason() != Some(Stop::TargetReached);
    if target.is_some() && is_short {
        return Ok(Trained::default());
    }
    run.hand_over(result)
}

/// An optimisation at work.
struct Run<'a> {
    cx: &'a Context,
    order: &'a Order,
    parts: &'a Parts,
    /// Examples that can be used.
    size: usize,
    /// Of the contest it takes part in.
    target: Option<f64>,
}

/// What came of it.
struct Optimised {
    scored: Vec<Candidate>,
    best: Candidate,
    /// Scores of the prompt in use.
    incumbent: Vec<f64>,
    spent: u64,
    ended: Option<String>,
}

impl Run<'_> {
    fn go(&self, mut caller: Caller<'_>, baseline: Prompt) -> Result<Optimised, Ended> {
        let Self { cx, order, parts, .. } = *self;
        self.open(&mut caller)?;
        if cx.resume_from() == 0 {
            let _ = cx.report(Progress::step(0, order.total()).with_phase("measuring")); // asked for next
        }
        let in_use = order.incumbent.clone().map_or_else(|| baseline.clone(), Prompt::new);
        let lesson = Lesson {
            learning: &parts.learning,
            held_out: &parts.held_out,
            compare: order.compare,
            seed: cx.seed(),
            candidates_max: order.total(),
        };
        let incumbent = lesson.measure_again(&mut caller, &in_use, MEASURED)?;
        let watch = Box::new(|told: Told<'_>| self.told(&told));
        let mut bench = Bench::new(caller, lesson, baseline, watch)?;
        let ended = match bench.tell().and_then(|()| order.optimizer.optimize(&mut bench)) {
            Ok(()) | Err(Ended::Enough(_)) => None,
            Err(Ended::Stopped) if cx.stop_reason() == Some(Stop::TargetReached) => None,
            Err(spent @ Ended::Spent { .. }) => {
                tracing::warn!(reason = %spent, "the optimisation ends early");
                Some(spent.to_string())
            }
            Err(ended @ (Ended::Stopped | Ended::Unanswered(_) | Ended::NotKept(_))) => return Err(ended),
        };
        let (scored, best) = (bench.scored().to_vec(), bench.best().clone());
        Ok(Optimised { scored, best, incumbent, spent: bench.caller.spent(), ended })
    }

    /// Takes over the answers of an earlier attempt, and has a file for more, which the checkpoint names from now on.
    fn open(&self, caller: &mut Caller<'_>) -> Result<(), Ended> {
        let cx = self.cx;
        match cx.resume_path().map(|path| Answers::read(&path)) {
            None => {}
            Some(Ok((answers, is_whole))) => {
                if !is_whole {
                    tracing::warn!(
                        answers = answers.len(),
                        "of a checkpoint only the answers before a damage are used"
                    );
                }
                caller.answers = answers;
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "a checkpoint is of no use; the optimisation begins anew");
            }
        }
        let dir = cx.dir().map_err(|error| self.not_kept(error))?;
        caller.answers.keep_in(&dir.join(ANSWERS)).map_err(Ended::NotKept)?;
        // Before the first call, so that whatever is paid for is found again.
        cx.checkpoint(ANSWERS, cx.resume_from()).map_err(|error| self.not_kept(error))
    }

    /// Reports a candidate, and makes sure of it.
    fn told(&self, told: &Told<'_>) -> Result<(), Ended> {
        let cx = self.cx;
        let is_target_reached = self.target.is_some_and(|target| told.best.held_out >= target);
        // What an earlier attempt has told is not told again, while its answers last; but each has to reach the target.
        if told.asked > 0 || told.step > cx.resume_from() || is_target_reached {
            let _ = cx.report(progress(told, self.order.total())); // what it answers is asked for next
        }
        if told.step > cx.resume_from() && cx.stop_reason().is_none_or(Stop::may_write) {
            // The answers are kept already; this tells the yard how far they go.
            if let Err(error) = cx.checkpoint(ANSWERS, told.step) {
                tracing::warn!(%error, "a checkpoint was not noted");
            }
        }
        if cx.stop_reason().is_some() { Err(Ended::Stopped) } else { Ok(()) }
    }

    fn not_kept(&self, error: TrainError) -> Ended {
        if must_stop(self.cx).is_some() {
            Ended::Stopped
        } else {
            Ended::NotKept(std::io::Error::other(error))
        }
    }

    /// What to return when there is no result.
    fn failed(&self, ended: Ended) -> TrainError {
        match ended {
            Ended::Stopped => match must_stop(self.cx) {
                Some(stop) => cut_short(stop, || Ok(())),
                None => TrainError::retry("the model or the optimizer has stopped, and was not told to"),
            },
            Ended::Spent { .. } => {
                TrainError::failed(format!("{ended}, and the prompt to begin with is not yet scored"))
            }
            // Another attempt would begin with all of them.
            Ended::NotKept(ref error) if error.kind() == std::io::ErrorKind::FileTooLarge => {
                TrainError::failed(told(&ended))
            }
            Ended::Unanswered(ref error) if !error.is_transient() => TrainError::failed(told(&ended)),
            Ended::Unanswered(ref error) => match error.retry_after() {
                Some(wait) => TrainError::retry_after(wait, told(&ended)),
                None => TrainError::retry(told(&ended)),
            },
            Ended::Enough(_) | Ended::NotKept(_) => TrainError::retry(told(&ended)),
        }
    }

    /// The best prompt, with what the gate says to it.
    fn hand_over(&self, optimised: Optimised) -> Result<Trained, TrainError> {
        let Self { cx, order, parts, size, .. } = *self;
        let Optimised { scored, best, incumbent, spent, ended } = optimised;
        let gate = judge(best.held_out, &incumbent);
        let step = scored.len() as u64;
        let verdict = if gate.promoted { "promoted" } else { "not promoted" };
        let done = Progress::step(step, step).with_phase("done").with_loss(1.0 - best.held_out)?;
        let _ = cx.report(done.with_message(format!("{}; {verdict}", standing(&best, &scored[0]))));
        if let Some(stop) = must_stop(cx) {
            return Err(self.failed(Ended::Stopped))
                .inspect_err(|_| tracing::debug!(%stop, "nothing is handed over"));
        }
        for (name, value) in [
            ("score", best.held_out),
            ("baseline", scored[0].held_out),
            ("loss", 1.0 - best.held_out),
            ("promoted", f64::from(u8::from(gate.promoted))),
            ("examples", real(size)),
            ("candidates", real(scored.len())),
            ("tokens", real(usize::try_from(spent).unwrap_or(usize::MAX))),
        ] {
            cx.measure(name, value)?;
        }
        let ancestor = |candidate: &Candidate| Ancestor {
            round: candidate.round,
            variant: candidate.variant,
            score: candidate.held_out,
            note: candidate.note.clone(),
        };
        let artifact = Artifact {
            task: order.task.clone(),
            optimizer: order.optimizer.name().to_owned(),
            baseline: scored[0].prompt.text(),
            prompt: best.prompt.text(),
            score: best.held_out,
            baseline_score: scored[0].held_out,
            dataset_id: order.dataset_id.clone(),
            dataset_size: size as u64,
            generated_at: order.generated_at.map_or_else(now, Timestamp::as_millis),
            lineage: scored.iter().map(ancestor).collect(),
            few_shot_examples: best.prompt.demos,
            gate,
            held_out_size: parts.held_out.len() as u64,
            tokens_spent: spent,
            ended,
        };
        artifact.save(&cx.dir()?.join(ARTIFACT))?;
        cx.trained(ARTIFACT)
    }
}

/// Why it is time to stop with nothing to hand over, if it is.
fn must_stop(cx: &Context) -> Option<Stop> {
    cx.stop_reason().filter(|stop| *stop != Stop::TargetReached)
}

/// Rows to learn from, and others to measure by.
pub(crate) struct Parts {
    pub(crate) learning: Vec<Row>,
    pub(crate) held_out: Vec<Row>,
}

/// Those in which there is anything to be asked and to be expected.
pub(crate) fn usable(examples: &[Row]) -> Vec<&Row> {
    let is_usable = |row: &&Row| !row.user.trim().is_empty() && !row.expected.trim().is_empty();
    examples.iter().filter(is_usable).collect()
}

/// So many rows at most, in their order, in two parts; see [`split`].
pub(crate) fn parts(usable: Vec<&Row>, seed: u64, most: usize) -> Parts {
    let mut places: Vec<usize> = (0..usable.len()).collect();
    if places.len() > most {
        Chance::new(seed, SAMPLE).shuffle(&mut places);
        places.truncate(most);
        places.sort_unstable();
    }
    let chosen = places.into_iter().map(|place| usable[place].clone()).collect();
    let (learning, held_out) = split(chosen, HELD_OUT_SHARE);
    Parts { learning, held_out }
}

/// The prompt to begin with: as ordered, or that of most examples, or a sentence.
fn baseline(order: &Order, examples: &[Row]) -> String {
    let given = order.baseline.as_deref().map(str::trim).filter(|prompt| !prompt.is_empty());
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let systems = examples.iter().map(|row| row.system.trim());
    systems.filter(|system| !system.is_empty()).for_each(|system| *counts.entry(system).or_default() += 1);
    // Of as many, the first in the alphabet.
    let usual = || counts.iter().rev().max_by_key(|(_, count)| **count).map(|(system, _)| *system);
    let prompt = given.or_else(usual).map(str::to_owned);
    prompt.unwrap_or_else(|| format!("Do the task {:?}: answer the input as the agent would.", order.task))
}

fn progress(told: &Told<'_>, total: u64) -> Progress {
    let Told { step, newest, best, .. } = told;
    let progress = Progress::step(*step, total.max(*step)).with_phase("optimising");
    let progress = progress.with_message(standing(best, newest)).with_loss(1.0 - best.held_out);
    let progress = progress.and_then(|progress| progress.with_performance(best.held_out));
    progress.expect("a score is a number of 0 to 1")
}

/// How the best stands beside another.
fn standing(best: &Candidate, other: &Candidate) -> String {
    format!("{} scores {:.4}, the best {:.4}", other.note, other.held_out, best.held_out)
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

const ANSWERS: &str = "answers";
const ARTIFACT: &str = "prompt.json";
/// The stream of chance that examples are chosen by.
const SAMPLE: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: usize, user: &str) -> Row {
        Row::new(number.to_string(), "", "", user, "answered")
    }

    #[test]
    fn no_question_is_both_learned_from_and_held_back() {
        let rows: Vec<Row> = (0..200).map(|number| row(number, &format!("asked {}", number % 40))).collect();
        let Parts { learning, held_out } = parts(rows.iter().collect(), 1, 200);
        assert_eq!((learning.len() + held_out.len(), held_out.len() % 5), (200, 0));
        assert!((1..=100).contains(&held_out.len()), "{}", held_out.len());
        assert!(held_out.iter().all(|held| learning.iter().all(|row| row.user != held.user)));
    }

    #[test]
    fn of_more_examples_than_are_wanted_any_are_taken_in_their_order() {
        let row = |number: usize| row(number, &format!("asked {number}"));
        let rows: Vec<Row> = (0..100).map(row).collect();
        let taken = |seed, most| {
            let Parts { learning, held_out } = parts(rows.iter().collect(), seed, most);
            let numbers =
                |rows: Vec<Row>| -> Vec<usize> { rows.iter().map(|row| row.id.parse().unwrap()).collect() };
            (numbers(learning), numbers(held_out))
        };
        for most in [1, 40, 100, 101] {
            let (learning, held_out) = taken(1, most);
            assert!(learning.is_sorted() && held_out.is_sorted() && !learning.is_empty());
            let mut all = [learning, held_out].concat();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), most.min(100));
        }
        assert_eq!(taken(1, 40), taken(1, 40));
        assert_ne!(taken(1, 40), taken(2, 40));
    }
}
