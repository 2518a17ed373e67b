//! Ways to a better prompt.

mod fewshot;
mod gepa;
mod mipro;
mod search;
mod teacher;

use crate::bench::Bench;
use crate::caller::Ended;

pub use self::fewshot::BootstrapFewShot;
pub use self::gepa::{Crossover, Gepa};
pub use self::mipro::Mipro;
pub use self::search::InstructionSearch;

/// A way to a better prompt.
///
/// It scores prompts on a [`Bench`], which keeps them all; the best of them is the result. It is a function of what the
/// bench gives it: for the same examples, answers and seed it does the same steps, so that a run which was cut short is
/// resumed by doing them again with the answers that were kept.
///
/// ```
/// use trainyard_prompt::{Bench, Ended, Optimizer, Prompt};
///
/// /// Says please.
/// struct Polite;
///
/// impl Optimizer for Polite {
///     fn name(&self) -> &'static str {
///         "polite"
///     }
///
///     fn candidates_max(&self) -> u64 {
///         1
///     }
///
///     fn optimize(&self, bench: &mut Bench<'_>) -> Result<(), Ended> {
///         let asked = format!("Please. {}", bench.baseline().prompt.instruction);
///         bench.score((1, 0), "please", Prompt::new(asked)).map(|_| ())
///     }
/// }
/// ```
pub trait Optimizer: Send + Sync {
    /// What it is called, in artifacts and where it is chosen.
    fn name(&self) -> &'static str;

    /// How many prompts it scores at most, beside the baseline.
    fn candidates_max(&self) -> u64;

    /// Scores prompts until it has had enough.
    ///
    /// # Errors
    /// What the bench says, passed on.
    fn optimize(&self, bench: &mut Bench<'_>) -> Result<(), Ended>;
}

/// The optimiser of a name, with its usual parameters: `gepa`, `mipro` (or `dspy-mipro`), `instruction-search`, or
/// `bootstrap-fewshot` (or `dspy-bootstrap-fewshot`).
///
/// # Errors
/// [`UnknownOptimizer`] when there is none of this name.
pub fn optimizer(name: &str) -> Result<Box<dyn Optimizer>, UnknownOptimizer> {
    Ok(match name {
        "gepa" => Box::new(Gepa::default()),
        "mipro" | "dspy-mipro" => Box::new(Mipro::default()),
        "instruction-search" => Box::new(InstructionSearch::default()),
        "bootstrap-fewshot" | "dspy-bootstrap-fewshot" => Box::new(BootstrapFewShot::default()),
        other => return Err(UnknownOptimizer { name: crate::shown::cut(other, NAME_BYTES_MAX) }),
    })
}

/// There is no optimiser of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no optimizer {name:?}; there are gepa, mipro, instruction-search and bootstrap-fewshot")]
pub struct UnknownOptimizer {
    name: String,
}

const NAME_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_optimizer_is_found_by_its_name() {
        for name in ["gepa", "mipro", "instruction-search", "bootstrap-fewshot"] {
            assert_eq!(optimizer(name).map(|found| found.name()), Ok(name));
        }
        assert_eq!(optimizer("dspy-mipro").map(|found| found.name()), Ok("mipro"));
        let Err(error) = optimizer(&"x".repeat(100)) else { panic!("there is none") };
        assert!(error.to_string().len() < 200, "{error}");
    }
}
