//! What the embedding service decides once.

use trainyard_core::{Class, Kind, QueueName, RetrainRule, Switch, Trigger};
use trainyard_http::secret::Secret;

use std::sync::Arc;

/// How the adapter behaves; everything has a default.
///
/// ```
/// use trainyard_cyborgdb::{Rule, Settings};
///
/// let settings = Settings::new().with_rule(Rule::Service { floor: 65_536 }).with_min_vectors(1_000);
/// assert_eq!(settings.rule().shown(), 65_536);
/// ```
#[derive(Debug, Clone)]
pub struct Settings {
    root_key: Option<Secret>,
    rule: Rule,
    min_vectors: u64,
    auto_train: Switch,
    class: Arc<Class>,
    limits: Limits,
}

/// When an index is trained by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// As CyborgDB documents it: `num_vectors > n_lists * retrain_threshold`; a first training when the index
    /// *reaches* `first` vectors.
    Documented {
        /// Vectors per list. Default: 10,000. 0 retrains after every growth.
        threshold: u64,
        /// Vectors a first training needs. Default: 10,000.
        first: u64,
    },
    /// As cyborgdb-service 0.17 and 0.18 do it: a first training *above* `floor` vectors, then whenever the
    /// optimal number of lists exceeds the present one.
    Service {
        /// Vectors that a first training must exceed. The original's default: 65,536.
        floor: u64,
    },
}

/// Bounds on what one request may ask for. What is beyond them is refused with a 4xx and changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest body, in bytes. Default: 128 MiB, enough for some 190,000 vectors of 128 numbers in
    /// base64. The mount that the service hangs in has a limit of its own, which should be this; the lower
    /// one counts. While it is worked on, a body may take seven times its size, and is counted as eight among
    /// [all bodies of the server](trainyard_http::ServerConfig::with_bodies_bytes).
    pub body_bytes: usize,
    /// How many values besides the numbers of vectors a body may hold. Default: 2,000,000.
    pub body_values: usize,
    /// The longest name of an index, in bytes. Default: 256.
    pub name_bytes: usize,
    /// The most neighbours one query may ask for. Default: 10,000.
    pub top_k: usize,
    /// The most vectors one query may carry. Default: 10,000.
    pub queries: usize,
    /// The most neighbours one request may ask for, `top_k` × vectors. Default: 100,000: with ids of 1 KiB
    /// some 100 MB.
    pub neighbours: usize,
    /// The most multiply-adds one query may cost: vectors × their numbers × the items of the index, all of them
    /// while it is untrained, and those in `n_probes` lists of a trained one when the caller names a number.
    /// Default: 2,000,000,000,000.
    pub multiply_adds: u64,
    /// The most items one upsert may carry. Default: 1,000,000.
    pub items: usize,
    /// The most ids one get or delete may name. Default: 1,000,000.
    pub ids: usize,
    /// The longest answer to a get or a query, in bytes. Default: 64 MiB. Before the host is asked for vectors,
    /// a number counts as 12 bytes.
    pub answer_bytes: usize,
}

impl Settings {
    /// The defaults: no authentication, the documented rule, automatic training.
    ///
    /// # Panics
    /// Never: the words in it are well-formed.
    #[must_use]
    pub fn new() -> Self {
        let kind = Kind::new("ivf").expect("a short word is a kind");
        let queue = QueueName::new("cyborgdb").expect("a short word is a queue name");
        Self {
            root_key: None,
            rule: Rule::default(),
            min_vectors: 10_000,
            auto_train: Switch::On,
            class: Arc::new(Class::new(kind, queue)),
            limits: Limits::default(),
        }
    }

    /// Asks every caller for this key in `X-API-Key`, health excepted. Default: nobody is asked.
    #[must_use]
    pub fn with_root_key(mut self, key: Secret) -> Self {
        self.root_key = Some(key);
        self
    }

    /// Trains by this rule. Default: [`Rule::Documented`] with 10,000 and 10,000.
    #[must_use]
    pub fn with_rule(mut self, rule: Rule) -> Self {
        self.rule = rule;
        self
    }

    /// Never trains an index of fewer vectors; an explicit train of one is a success that does nothing.
    /// Default: 10,000.
    #[must_use]
    pub fn with_min_vectors(mut self, vectors: u64) -> Self {
        self.min_vectors = vectors;
        self
    }

    /// Whether indexes are trained by themselves. Default: on.
    #[must_use]
    pub fn with_auto_train(mut self, switch: Switch) -> Self {
        self.auto_train = switch;
        self
    }

    /// What the training jobs have in common: their kind, the line they wait in, limits, retries. Default:
    /// kind `ivf` in queue `cyborgdb`, no limits, no retries. The wire promises one training at a time, first
    /// come first served, so the queue should let one job run at once.
    #[must_use]
    pub fn with_class(mut self, class: Class) -> Self {
        self.class = Arc::new(class);
        self
    }

    /// Other bounds.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The key that callers must show, if there is one.
    #[must_use]
    pub fn root_key(&self) -> Option<&Secret> {
        self.root_key.as_ref()
    }

    /// The rule by which indexes are trained.
    #[must_use]
    pub fn rule(&self) -> Rule {
        self.rule
    }

    /// How many vectors any training needs.
    #[must_use]
    pub fn min_vectors(&self) -> u64 {
        self.min_vectors
    }

    /// Whether indexes are trained by themselves.
    #[must_use]
    pub fn auto_train(&self) -> Switch {
        self.auto_train
    }

    /// What the training jobs have in common.
    #[must_use]
    pub fn class(&self) -> &Arc<Class> {
        &self.class
    }

    /// The bounds of a request.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The rule as the yard knows it. It never fires below [`Settings::min_vectors`], where a training would do
    /// nothing and the rule would fire again on every upsert.
    #[must_use]
    pub fn retrain_rule(&self) -> RetrainRule {
        let trigger = match self.rule {
            Rule::Documented { threshold, first } => {
                Trigger::PerList { threshold, first: first.max(self.min_vectors) }
            }
            Rule::Service { floor } => {
                Trigger::OptimalLists { above: floor.max(self.min_vectors.saturating_sub(1)) }
            }
        };
        RetrainRule::new(trigger).with_switch(self.auto_train)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}

impl Rule {
    /// What training-status shows as `retrain_threshold`.
    #[must_use]
    pub const fn shown(self) -> u64 {
        match self {
            Self::Documented { threshold, .. } => threshold,
            Self::Service { floor } => floor,
        }
    }
}

impl Default for Rule {
    fn default() -> Self {
        Self::Documented { threshold: 10_000, first: 10_000 }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 128 << 20,
            body_values: 2_000_000,
            name_bytes: 256,
            top_k: 10_000,
            queries: 10_000,
            neighbours: 100_000,
            multiply_adds: 2_000_000_000_000,
            items: 1_000_000,
            ids: 1_000_000,
            answer_bytes: 64 << 20,
        }
    }
}

#[cfg(test)]
mod tests {
    use trainyard_core::{History, Observation, Timestamp, Verdict};

    use super::*;

    fn fires(settings: &Settings, total: u64, lists: Option<u64>) -> bool {
        let observation = Observation { total, lists };
        let now = Timestamp::from_millis(0);
        let decision = settings.retrain_rule().decide(now, &History::default(), observation, None);
        matches!(decision.verdict, Verdict::Train(_))
    }

    /// The table of `docs/WIRE.md`.
    #[test]
    fn around_ten_thousand_under_both_rules() {
        let documented = Settings::new();
        let service = Settings::new().with_rule(Rule::Service { floor: 10_000 });
        let table = |lists| {
            [9_999, 10_000, 10_001].map(|n| (fires(&documented, n, lists), fires(&service, n, lists)))
        };
        assert_eq!(table(None), [(false, false), (true, false), (true, true)]);
        assert_eq!(table(Some(1)), [(false, true), (false, true), (true, true)]);
        assert_eq!(table(Some(128)), [(false, false); 3]);
    }

    #[test]
    fn a_rule_does_not_fire_where_nothing_is_trained() {
        let low = Settings::new().with_rule(Rule::Service { floor: 1_000 });
        assert!(!fires(&low, 9_999, None));
        assert!(fires(&low, 10_000, None));
        let low = Settings::new().with_rule(Rule::Documented { threshold: 10, first: 10 });
        assert!(!fires(&low, 9_999, None));
        assert!(fires(&low, 10_000, None));
        assert!(!fires(&low.with_auto_train(Switch::Off), 10_000, None));
    }
}
