//! How far a training is, and how well it does.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::{Metric, Reason, Score, Timestamp};

/// Where a running trainer stands. Live state: it is shown, and gone after a restart.
///
/// ```
/// use trainyard_core::Progress;
///
/// let progress = Progress::step(45, 100).with_loss(0.234)?;
/// assert_eq!(progress.fraction(), Some(0.45));
/// # Ok::<(), trainyard_core::NotFinite>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Steps there will be; 0 when that is not known.
    pub total: u64,
    /// What the steps are of, such as `assign` or `epoch`.
    pub phase: Option<Reason>,
    /// A word to whoever watches.
    pub message: Option<Reason>,
    /// The figure that training makes smaller.
    pub loss: Option<Score>,
    /// The figure that contests and stall rules look at; higher is better. A value here is kept.
    pub performance: Option<Score>,
}

impl Progress {
    /// So many steps done of so many.
    #[must_use]
    pub fn step(step: u64, total: u64) -> Self {
        Self { step, total, ..Self::default() }
    }

    /// With the name of the phase.
    #[must_use]
    pub fn with_phase(mut self, phase: impl AsRef<str>) -> Self {
        self.phase = Some(Reason::new(phase));
        self
    }

    /// With a word to whoever watches.
    #[must_use]
    pub fn with_message(mut self, message: impl AsRef<str>) -> Self {
        self.message = Some(Reason::new(message));
        self
    }

    /// With the loss.
    ///
    /// # Errors
    /// [`NotFinite`](crate::NotFinite) when it is NaN or infinite.
    pub fn with_loss(mut self, loss: f64) -> Result<Self, crate::NotFinite> {
        self.loss = Some(Score::new(loss)?);
        Ok(self)
    }

    /// With the performance.
    ///
    /// # Errors
    /// [`NotFinite`](crate::NotFinite) when it is NaN or infinite.
    pub fn with_performance(mut self, performance: f64) -> Result<Self, crate::NotFinite> {
        self.performance = Some(Score::new(performance)?);
        Ok(self)
    }

    /// The share that is done, 0 to 1, or `None` when the total is not known.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share is shown, not decided on")]
    pub fn fraction(&self) -> Option<f64> {
        (self.total > 0).then(|| (self.step.min(self.total) as f64) / (self.total as f64))
    }

    /// How long the rest takes if it goes on as it went in `elapsed`, or `None` while nothing is known.
    #[must_use]
    pub fn time_left(&self, elapsed: Duration) -> Option<Duration> {
        let left = self.total.checked_sub(self.step)?;
        let millis = elapsed.as_millis().checked_mul(u128::from(left))?.checked_div(u128::from(self.step))?;
        (self.total > 0).then(|| Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)))
    }
}

/// Figures measured at the end, by name.
pub type Metrics = BTreeMap<Metric, Score>;

/// The newest performances of a run, oldest first, with what is derived from all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct PerformanceWindow {
    recent: Vec<Score>,
    reports: u64,
    best: Option<Score>,
}

impl PerformanceWindow {
    /// How many performances are kept.
    pub const SIZE: usize = 5;

    /// A window as it was stored; of `recent` the newest [`PerformanceWindow::SIZE`] count.
    #[must_use]
    pub fn restore(recent: Vec<Score>, reports: u64, best: Option<Score>) -> Self {
        let skip = recent.len().saturating_sub(Self::SIZE);
        Self { recent: recent.into_iter().skip(skip).collect(), reports, best }
    }

    /// Takes one in; the oldest leaves when the window is full.
    pub fn push(&mut self, performance: Score) {
        if self.recent.len() == Self::SIZE {
            self.recent.remove(0);
        }
        self.recent.push(performance);
        self.reports = self.reports.saturating_add(1);
        self.best = self.best.max(Some(performance));
    }

    /// The kept ones, newest last.
    #[must_use]
    pub fn recent(&self) -> &[Score] {
        &self.recent
    }

    /// The newest, which need not be the best.
    #[must_use]
    pub fn latest(&self) -> Option<Score> {
        self.recent.last().copied()
    }

    /// The best of all that were ever pushed.
    #[must_use]
    pub const fn best(&self) -> Option<Score> {
        self.best
    }

    /// How many were ever pushed.
    #[must_use]
    pub const fn reports(&self) -> u64 {
        self.reports
    }
}

/// How much must be gained in which time, or the training counts as stalled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StallRule {
    /// What must be gained.
    pub gain: Gain,
    /// In which running time.
    pub within: Duration,
}

/// What a [`StallRule`] measures. Heartbeats are not among it: a hung loop beats too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gain {
    /// So much more performance than the mark, counted in decimals as [`Score::gains`] does.
    Performance(Score),
    /// So many more steps than the mark.
    Steps(u64),
}

impl std::hash::Hash for Gain {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        match self {
            Self::Performance(gain) => gain.get().to_bits().hash(state),
            Self::Steps(gain) => gain.hash(state),
        }
    }
}

/// The value that has to be outdone, and since when it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// When the clock was last started.
    pub since: Timestamp,
    /// The performance to outdo; `None` until there is one.
    pub performance: Option<Score>,
    /// The step to outdo; `None` until there is one.
    pub step: Option<u64>,
}

impl Mark {
    /// No value yet; the clock starts now.
    #[must_use]
    pub const fn start(now: Timestamp) -> Self {
        Self { since: now, performance: None, step: None }
    }

    /// The same value to outdo, but the clock starts anew: for a run that goes on after an interruption.
    #[must_use]
    pub const fn resume(self, now: Timestamp) -> Self {
        Self { since: now, ..self }
    }
}

impl StallRule {
    /// The mark after a report. The first value becomes the mark; a later one that gains enough becomes the
    /// new mark and restarts the clock.
    #[must_use]
    pub fn mark(&self, mark: Mark, at: Timestamp, step: u64, performance: Option<Score>) -> Mark {
        match self.gain {
            Gain::Performance(gain) => match (mark.performance, performance) {
                (_, None) => mark,
                (None, first) => Mark { performance: first, ..mark },
                (Some(old), Some(new)) if new.gains(gain, old) => Mark { since: at, performance, ..mark },
                (Some(_), Some(_)) => mark,
            },
            Gain::Steps(gain) => match mark.step {
                None => Mark { step: Some(step), ..mark },
                Some(old) if step >= old.saturating_add(gain.max(1)) => {
                    Mark { since: at, step: Some(step), ..mark }
                }
                Some(_) => mark,
            },
        }
    }

    /// When the verdict falls if nothing is gained until then.
    #[must_use]
    pub fn deadline(&self, mark: Mark) -> Timestamp {
        mark.since.after(self.within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn score(value: f64) -> Score {
        Score::new(value).unwrap()
    }

    proptest! {
        #[test]
        fn the_window_is_the_tail_of_everything(values in prop::collection::vec(0.0_f64..1.0, 0..40)) {
            let mut window = PerformanceWindow::default();
            values.iter().for_each(|value| window.push(score(*value)));
            let tail: Vec<_> = values.iter().rev().take(5).rev().copied().map(score).collect();
            prop_assert_eq!(window.recent(), &tail[..]);
            prop_assert_eq!(window.latest(), tail.last().copied());
            prop_assert_eq!(window.best(), values.iter().copied().map(score).max());
            prop_assert_eq!(window.reports(), values.len() as u64);
        }

        #[test]
        fn the_stall_clock_restarts_exactly_on_gain(values in prop::collection::vec(0_u32..=1_000, 1..40)) {
            let rule = StallRule { gain: Gain::Performance(score(0.02)), within: Duration::from_secs(300) };
            let mut mark = Mark::start(Timestamp::from_millis(0));
            let (mut naive_mark, mut naive_since) = (None, 0);
            for (at, value) in (1_i64..).zip(&values) {
                let thousandths = |value: u32| score(f64::from(value) / 1_000.0);
                mark = rule.mark(mark, Timestamp::from_millis(at), 0, Some(thousandths(*value)));
                match naive_mark {
                    None => naive_mark = Some(*value),
                    Some(old) if *value >= old + 20 => { naive_mark = Some(*value); naive_since = at; }
                    Some(_) => {}
                }
                prop_assert_eq!(mark.performance, naive_mark.map(thousandths));
                prop_assert_eq!(rule.deadline(mark), Timestamp::from_millis(naive_since + 300_000));
            }
        }
    }

    #[test]
    fn steps_are_measured_too() {
        let rule = StallRule { gain: Gain::Steps(0), within: Duration::from_secs(1) };
        let start = Mark::start(Timestamp::from_millis(0));
        let first = rule.mark(start, Timestamp::from_millis(5), 7, None);
        assert_eq!(first, Mark { step: Some(7), ..start });
        assert_eq!(rule.mark(first, Timestamp::from_millis(9), 7, None), first, "standing still is no gain");
        assert_eq!(rule.mark(first, Timestamp::from_millis(9), 8, None).since, Timestamp::from_millis(9));
    }

    #[test]
    fn time_left_follows_the_rate() {
        assert_eq!(Progress::step(25, 100).time_left(Duration::from_secs(10)), Some(Duration::from_secs(30)));
        assert_eq!(Progress::step(0, 100).time_left(Duration::from_secs(10)), None);
        assert_eq!(Progress::step(5, 0).time_left(Duration::from_secs(10)), None);
        assert_eq!(Progress::step(5, 0).fraction(), None);
    }
}
