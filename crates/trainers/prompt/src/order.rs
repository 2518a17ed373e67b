use std::fmt;
use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::Arc;

use trainyard_core::Timestamp;
use trainyard_trajectories::Row;

use crate::artifact::LINEAGE_MAX;
use crate::optimizer::{Gepa, Optimizer};
use crate::score::Compare;
use crate::trainer::{parts, usable};

/// Which prompt is optimised, how, and within which bounds.
///
/// ```
/// use std::sync::Arc;
/// use trainyard_prompt::{Mipro, Order, optimizer};
///
/// let order = Order::new("should_respond")
///     .with_optimizer(Arc::from(optimizer("mipro")?)) // or
///     .with_optimizer(Arc::new(Mipro { budget: 10, ..Mipro::default() }))
///     .with_baseline("Decide whether to respond.")
///     .with_tokens(500_000.try_into()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Order {
    pub(crate) task: String,
    pub(crate) optimizer: Arc<dyn Optimizer>,
    pub(crate) compare: Compare,
    pub(crate) baseline: Option<String>,
    pub(crate) incumbent: Option<String>,
    pub(crate) dataset_id: String,
    pub(crate) examples_max: NonZeroUsize,
    pub(crate) candidates_max: Option<NonZeroU64>,
    pub(crate) tokens: NonZeroU64,
    pub(crate) at_once: NonZeroUsize,
    pub(crate) generated_at: Option<Timestamp>,
}

impl Order {
    /// The prompt of a task, with [`Gepa`], the task's usual [`Compare`], 1,000 examples, 2 million
    /// tokens, and 4 calls at once.
    #[must_use]
    pub fn new(task: impl Into<String>) -> Self {
        let task = task.into();
        Self {
            optimizer: Arc::new(Gepa::default()),
            compare: Compare::of_task(&task),
            task,
            baseline: None,
            incumbent: None,
            dataset_id: String::new(),
            examples_max: EXAMPLES,
            candidates_max: None,
            tokens: TOKENS,
            at_once: AT_ONCE,
            generated_at: None,
        }
    }

    /// With this optimiser. Default: [`Gepa`] with its usual parameters.
    #[must_use]
    pub fn with_optimizer(mut self, optimizer: Arc<dyn Optimizer>) -> Self {
        self.optimizer = optimizer;
        self
    }

    /// With answers compared like this. Default: [`Compare::of_task`].
    #[must_use]
    pub fn with_compare(mut self, compare: Compare) -> Self {
        self.compare = compare;
        self
    }

    /// Begins with this prompt, of 64 KiB at most. Default: the system prompt that most of the examples were answered under; where none is
    /// known, a sentence for the task.
    #[must_use]
    pub fn with_baseline(mut self, prompt: impl Into<String>) -> Self {
        self.baseline = Some(prompt.into());
        self
    }

    /// The prompt in use, which the result has to beat to be promoted; of 64 KiB at most. Default: the baseline.
    #[must_use]
    pub fn with_incumbent(mut self, prompt: impl Into<String>) -> Self {
        self.incumbent = Some(prompt.into());
        self
    }

    /// What the examples are called, for the artifact. Default: nothing.
    #[must_use]
    pub fn with_dataset(mut self, id: impl Into<String>) -> Self {
        self.dataset_id = id.into();
        self
    }

    /// Uses so many examples; of more, any so many, the same for a seed. Each candidate costs as many calls. Default:
    /// 1,000, which is also the most.
    #[must_use]
    pub fn with_examples(mut self, count: NonZeroUsize) -> Self {
        self.examples_max = count.min(EXAMPLES);
        self
    }

    /// Scores so many candidates at most, the baseline among them. Default: as many as the optimiser wants, and never more
    /// than 20,000.
    #[must_use]
    pub fn with_candidates(mut self, count: NonZeroU64) -> Self {
        self.candidates_max = Some(count);
        self
    }

    /// Spends about so many tokens: no call begins once they are spent, and those that have begun, four for each at
    /// once, are let end. The best until then is the result. Default: 2 million.
    #[must_use]
    pub fn with_tokens(mut self, tokens: NonZeroU64) -> Self {
        self.tokens = tokens;
        self
    }

    /// Makes so many calls at once, 64 at most. Default: 4.
    #[must_use]
    pub fn with_calls_at_once(mut self, calls: NonZeroUsize) -> Self {
        self.at_once = calls.min(AT_ONCE_MAX);
        self
    }

    /// When the artifact says that it was made. Default: when it is.
    #[must_use]
    pub fn with_generated_at(mut self, at: Timestamp) -> Self {
        self.generated_at = Some(at);
        self
    }

    /// The examples that a run with this [seed](trainyard_runtime::Context::seed) holds back to measure by: what a
    /// benchmark of its prompt may ask without asking what was learned.
    #[must_use]
    pub fn held_back(&self, examples: &[Row], seed: u64) -> Vec<Row> {
        parts(usable(examples), seed, self.examples_max.get()).held_out
    }

    /// How many candidates are scored at most, the baseline among them.
    pub(crate) fn total(&self) -> u64 {
        let wanted = self.optimizer.candidates_max().saturating_add(1);
        self.candidates_max.map_or(wanted, |most| wanted.min(most.get())).min(LINEAGE_MAX as u64)
    }
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { task, optimizer, compare, .. } = self;
        let mut shown = f.debug_struct("Order");
        shown.field("task", task).field("optimizer", &optimizer.name()).field("compare", compare);
        shown.finish_non_exhaustive()
    }
}

const EXAMPLES: NonZeroUsize = NonZeroUsize::new(1_000).expect("1,000 is not 0");
const TOKENS: NonZeroU64 = NonZeroU64::new(2_000_000).expect("2 million is not 0");
const AT_ONCE: NonZeroUsize = NonZeroUsize::new(4).expect("4 is not 0");
const AT_ONCE_MAX: NonZeroUsize = NonZeroUsize::new(64).expect("64 is not 0");
